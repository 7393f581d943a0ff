//! Answers as they are compared: values by labels and time.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::Outcome;

/// Values that differ by less, relative to the larger one, are equal.
const EQUAL_WITHIN: f64 = 1e-9;

/// An answer: for each label set its values by time in milliseconds.
pub(crate) struct Values(BTreeMap<String, BTreeMap<i64, f64>>);

/// What a comparison of two answers found.
#[derive(Default, Debug, PartialEq)]
pub(crate) struct Difference {
    pub(crate) series: usize,
    pub(crate) points: usize,
    /// Series that only one has.
    pub(crate) lone_series: usize,
    /// Instants of common series that only one has.
    pub(crate) lone_points: usize,
    /// Points whose values differ.
    pub(crate) far: usize,
    /// The largest relative difference.
    pub(crate) most: f64,
}

impl Values {
    /// Reads an answer to `query` or `query_range`.
    pub(crate) fn read(body: &[u8]) -> Outcome<Values> {
        let answer: Value = serde_json::from_slice(body)?;
        let result = &answer["data"]["result"];
        let mut values: BTreeMap<String, BTreeMap<i64, f64>> = BTreeMap::new();
        if answer["data"]["resultType"] == "scalar" {
            values.entry("{}".to_owned()).or_default().extend(point(result));
            return Ok(Values(values));
        }
        for row in result.as_array().ok_or("the result is no list")? {
            // serde_json keeps an object's names in order, so equal sets have equal texts.
            let points = values.entry(row["metric"].to_string()).or_default();
            points.extend(row["values"].as_array().into_iter().flatten().filter_map(point));
            points.extend(point(&row["value"]));
        }
        Ok(Values(values))
    }

    /// How another answer differs.
    pub(crate) fn compare(&self, other: &Values) -> Difference {
        let mut found = Difference { series: self.0.len(), ..Difference::default() };
        found.lone_series = other.0.keys().filter(|labels| !self.0.contains_key(*labels)).count();
        for (labels, points) in &self.0 {
            found.points += points.len();
            let Some(others) = other.0.get(labels) else {
                found.lone_series += 1;
                continue;
            };
            found.lone_points += others.keys().filter(|t| !points.contains_key(*t)).count();
            for (t, v) in points {
                match others.get(t) {
                    None => found.lone_points += 1,
                    Some(other) => found.value(*v, *other),
                }
            }
        }
        found
    }
}

impl Difference {
    fn value(&mut self, a: f64, b: f64) {
        if a == b || (a.is_nan() && b.is_nan()) {
            return;
        }
        let relative = (a - b).abs() / a.abs().max(b.abs());
        if relative.is_nan() || relative > EQUAL_WITHIN {
            self.far += 1;
            self.most = if relative.is_nan() { f64::INFINITY } else { self.most.max(relative) };
        }
    }

    pub(crate) fn is_equal(&self) -> bool {
        self.lone_series + self.lone_points + self.far == 0
    }

    /// In a few words, for a cell of a table.
    pub(crate) fn words(&self) -> String {
        if self.is_equal() {
            return format!("equal ({} × {})", self.series, self.points.checked_div(self.series).unwrap_or(0));
        }
        let mut words = Vec::new();
        if self.lone_series > 0 {
            words.push(format!("{} series on one side", self.lone_series));
        }
        if self.lone_points > 0 {
            words.push(format!("{} points on one side", self.lone_points));
        }
        if self.far > 0 {
            words.push(format!("{} of {} values by up to {:.1e}", self.far, self.points, self.most));
        }
        words.join(", ")
    }
}

fn point(value: &Value) -> Option<(i64, f64)> {
    let t = (value.get(0)?.as_f64()? * 1000.0).round() as i64;
    let v = match value.get(1)?.as_str()? {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        text => text.parse().ok()?,
    };
    Some((t, v))
}
