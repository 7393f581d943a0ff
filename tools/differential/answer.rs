//! An answer of the HTTP API as it is compared: label sets, times, values, bucket by bucket, errors and annotations by kind.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::Outcome;

/// Numbers that differ by less, relative to the larger one, are equal.
const EQUAL_WITHIN: f64 = 1e-9;
/// A bucket that counts less, relative to the largest one, is what rounding has left of one that counts nothing.
const RESIDUE: f64 = 1e-13;
/// A server tells this many annotations of a kind and counts the others.
const NOTES_MAX: usize = 10;

/// A value at an instant.
#[derive(Clone, Debug)]
pub(crate) enum Point {
    Number(f64),
    Text(String),
    /// Count, sum, and for each bucket the rule of its bounds, the bounds and its count.
    Histogram(Vec<f64>),
}

/// The labels of a row and its first point.
type FirstPoint = (String, Option<Point>);

/// What a server said to a question.
pub(crate) struct Answer {
    /// The error's type and text.
    pub(crate) error: Option<(String, String)>,
    kind: String,
    /// Points by labels and time in milliseconds.
    rows: BTreeMap<String, BTreeMap<i64, Point>>,
    /// In the order of the answer.
    order: Vec<FirstPoint>,
    /// Kinds of annotations; absent if some were left out.
    notes: Option<BTreeSet<String>>,
}

/// Which part of two answers is not the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub(crate) enum Part {
    /// One is an error, the other is none, or is another.
    Error,
    /// Whether it is a vector, a matrix, a scalar or a string.
    Type,
    /// Which series there are.
    Labels,
    /// At which times they have values.
    Times,
    Values,
    Order,
    Notes,
}

impl Answer {
    /// Reads it.
    pub(crate) fn read(body: &[u8]) -> Outcome<Answer> {
        let json: Value = serde_json::from_slice(body)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let error = (json["status"] != "success").then(|| (text(&json["errorType"]), text(&json["error"])));
        let notes: Vec<&Value> =
            [&json["warnings"], &json["infos"]].into_iter().filter_map(Value::as_array).flatten().collect();
        let full =
            [&json["warnings"], &json["infos"]].iter().any(|n| n.as_array().is_some_and(|n| n.len() >= NOTES_MAX));
        let mut answer = Answer {
            error,
            kind: text(&json["data"]["resultType"]),
            rows: BTreeMap::new(),
            order: Vec::new(),
            notes: (!full).then(|| notes.into_iter().map(|note| kind_of_note(&text(note))).collect()),
        };
        let result = &json["data"]["result"];
        match answer.kind.as_str() {
            "scalar" | "string" => {
                let points = point(result, answer.kind == "string")?;
                answer.rows.entry("{}".to_owned()).or_default().extend([points]);
            }
            _ => {
                for row in result.as_array().into_iter().flatten() {
                    answer.row(row)?;
                }
            }
        }
        Ok(answer)
    }

    fn row(&mut self, row: &Value) -> Outcome<()> {
        // serde_json keeps an object's names in order, so equal sets have equal texts.
        let labels = row["metric"].to_string();
        let mut points = BTreeMap::new();
        for name in ["values", "histograms"] {
            for value in row[name].as_array().into_iter().flatten() {
                points.extend([point(value, false)?]);
            }
        }
        for name in ["value", "histogram"] {
            if row[name].is_array() {
                points.extend([point(&row[name], false)?]);
            }
        }
        self.order.push((labels.clone(), points.values().next().cloned()));
        if self.rows.insert(labels.clone(), points).is_some() {
            return Err(format!("two rows of {labels}").into());
        }
        Ok(())
    }

    /// What it holds at an instant.
    pub(crate) fn at(&self, t: i64) -> BTreeMap<&str, &Point> {
        self.rows.iter().filter_map(|(labels, points)| Some((labels.as_str(), points.get(&t)?))).collect()
    }

    /// Whether another answer holds the same at an instant.
    pub(crate) fn equals_at(&self, other: &Answer, t: i64) -> bool {
        let (ours, others) = (self.at(t), other.at(t));
        ours.len() == others.len()
            && ours.iter().all(|(labels, point)| others.get(labels).is_some_and(|p| p.equals(point)))
    }

    /// The instants at which another answer holds something else.
    pub(crate) fn unequal_times(&self, other: &Answer) -> BTreeSet<i64> {
        let all = self.rows.values().chain(other.rows.values()).flat_map(BTreeMap::keys).copied();
        let all: BTreeSet<i64> = all.collect();
        all.into_iter().filter(|t| !self.equals_at(other, *t)).collect()
    }

    /// Whether one of its annotations is of a kind.
    pub(crate) fn tells(&self, kind: &str) -> bool {
        self.notes.iter().flatten().any(|note| note.contains(kind))
    }

    /// Whether there is anything to compare.
    pub(crate) fn is_empty(&self) -> bool {
        self.error.is_none() && self.rows.values().all(BTreeMap::is_empty)
    }

    /// The first part in which another answer differs, and where.
    pub(crate) fn differs(&self, other: &Answer, order: Order) -> Option<(Part, String)> {
        let found = |part: Part, text: String| Some((part, text));
        match (&self.error, &other.error) {
            (None, None) => {}
            (Some((a, _)), Some((b, _))) if a == b => return None,
            (a, b) => {
                let say = |error: &Option<(String, String)>| {
                    error.as_ref().map_or("an answer".to_owned(), |(kind, text)| format!("{kind}: {text}"))
                };
                return found(Part::Error, format!("{} | {}", say(a), say(b)));
            }
        }
        if self.kind != other.kind {
            return found(Part::Type, format!("{} | {}", self.kind, other.kind));
        }
        let lone = |a: &Answer, b: &Answer| a.rows.keys().find(|labels| !b.rows.contains_key(*labels)).cloned();
        if let Some(labels) = lone(self, other) {
            return found(Part::Labels, format!("{labels}: {} | –", first(&self.rows[&labels])));
        }
        if let Some(labels) = lone(other, self) {
            return found(Part::Labels, format!("{labels}: – | {}", first(&other.rows[&labels])));
        }
        for (labels, points) in &self.rows {
            if let Some((part, text)) = differ(points, &other.rows[labels]) {
                return found(part, format!("{labels} {text}"));
            }
        }
        if let Some(text) = order.differs(&self.order, &other.order) {
            return found(Part::Order, text);
        }
        match (&self.notes, &other.notes) {
            (Some(a), Some(b)) if a != b => {
                let only = |a: &BTreeSet<String>, b| a.difference(b).cloned().collect::<Vec<_>>().join(" + ");
                found(Part::Notes, format!("[{}] | [{}]", only(a, b), only(b, a)))
            }
            _ => None,
        }
    }
}

/// What must be in the same order in two instant answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    Any,
    /// Values; series of equal values may stand in any order.
    Values,
    Labels,
}

impl Order {
    /// What the outermost function of an expression promises.
    pub(crate) fn of(text: &str) -> Order {
        let starts = |names: &[&str]| names.iter().any(|name| text.starts_with(name));
        // Whatever stands behind the call could be an operator.
        match () {
            () if starts(&["sort_by_label(", "sort_by_label_desc("]) => Order::Labels,
            () if starts(&["sort(", "sort_desc("]) => Order::Values,
            () => Order::Any,
        }
    }

    fn differs(self, a: &[FirstPoint], b: &[FirstPoint]) -> Option<String> {
        let same = |a: &FirstPoint, b: &FirstPoint| match (self, &a.1, &b.1) {
            (Order::Labels, ..) => a.0 == b.0,
            (Order::Values, Some(a), Some(b)) => a.equals(b),
            _ => true,
        };
        a.iter().zip(b).find(|(a, b)| !same(a, b)).map(|(a, b)| format!("{} | {}", a.0, b.0))
    }
}

/// The first points of a row.
fn first(points: &BTreeMap<i64, Point>) -> String {
    points.iter().next().map_or("nothing".to_owned(), |(t, point)| format!("{} @{t}", point.write()))
}

fn differ(a: &BTreeMap<i64, Point>, b: &BTreeMap<i64, Point>) -> Option<(Part, String)> {
    for (t, point) in a {
        match b.get(t) {
            None => return Some((Part::Times, format!("@{t}: {} | –", point.write()))),
            Some(other) if !point.equals(other) => {
                return Some((Part::Values, format!("@{t}: {} | {}", point.write(), other.write())));
            }
            Some(_) => {}
        }
    }
    let lone = b.iter().find(|(t, _)| !a.contains_key(t));
    lone.map(|(t, point)| (Part::Times, format!("@{t}: – | {}", point.write())))
}

impl Point {
    fn equals(&self, other: &Point) -> bool {
        match (self, other) {
            (Point::Number(a), Point::Number(b)) => equal(*a, *b),
            (Point::Text(a), Point::Text(b)) => a == b,
            (Point::Histogram(a), Point::Histogram(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(*a, *b))
            }
            _ => false,
        }
    }

    fn write(&self) -> String {
        match self {
            Point::Number(v) => format!("{v:?}"),
            Point::Text(text) => format!("{text:?}"),
            Point::Histogram(numbers) => {
                let mut text = format!("{{count {:?} sum {:?}", numbers[0], numbers[1]);
                for bucket in numbers[2..].chunks(4) {
                    text += &format!(" ({}..{}):{}", bucket[1], bucket[2], bucket[3]);
                }
                text + "}"
            }
        }
    }
}

fn equal(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= EQUAL_WITHIN * a.abs().max(b.abs()) && (a - b).is_finite()
}

fn point(value: &Value, text: bool) -> Outcome<(i64, Point)> {
    let t = value[0].as_f64().ok_or_else(|| format!("no time in {value}"))?;
    let t = (t * 1000.0).round() as i64;
    if text {
        return Ok((t, Point::Text(value[1].as_str().unwrap_or_default().to_owned())));
    }
    if value[1].is_string() {
        return Ok((t, Point::Number(number(&value[1])?)));
    }
    let histogram = &value[1];
    let mut numbers = vec![number(&histogram["count"])?, number(&histogram["sum"])?];
    let buckets = || histogram["buckets"].as_array().into_iter().flatten();
    let counts: Vec<f64> = buckets().map(|bucket| number(&bucket[3])).collect::<Outcome<_>>()?;
    let most = counts.iter().fold(0f64, |most, count| most.max(count.abs()));
    // What is left of a bucket by rounding is as good as none.
    for (bucket, count) in buckets().zip(&counts) {
        if count.abs() < most * RESIDUE {
            continue;
        }
        numbers.push(bucket[0].as_f64().ok_or("a bucket without a rule")?);
        for part in 1..4 {
            numbers.push(number(&bucket[part])?);
        }
    }
    Ok((t, Point::Histogram(numbers)))
}

fn number(value: &Value) -> Outcome<f64> {
    let text = value.as_str().ok_or_else(|| format!("{value} is no number in quotes"))?;
    text.parse().map_err(|_| format!("{text:?} is no number").into())
}

/// An annotation without what it is about and where.
fn kind_of_note(text: &str) -> String {
    let end = text.find(['"', '(']).unwrap_or(text.len());
    let text = text[..end].trim_start_matches("PromQL ").trim();
    [", got", ": metric name", " for metric name", ":"]
        .iter()
        .fold(text, |text, cut| {
            // The first word with its colon says whether it is a warning.
            let from = text.find(": ").map_or(0, |at| at + 2);
            text[from..].find(cut).map_or(text, |at| &text[..from + at])
        })
        .to_owned()
}
