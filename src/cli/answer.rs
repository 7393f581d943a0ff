//! Answers of the query API as text: columns and charts for people, CSV for machines.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::Value;

use crate::model::{Labels, Timestamp};

/// The characters that a sparkline is made of, from nothing to all.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Columns of a sparkline or a chart, and rows of a chart.
const WIDTH: usize = 60;
const ROWS: usize = 10;
/// More labels than these make no readable columns.
const COLUMNS_MAX: usize = 8;

/// One series of an answer.
struct Series {
    labels: Vec<(String, String)>,
    /// Times in seconds, and values as they are written.
    samples: Vec<(f64, String)>,
}

/// The samples of an answer; nothing for a number or a text without labels.
fn series(data: &Value) -> Option<Vec<Series>> {
    let one = |entry: &Value| {
        let pairs = entry["metric"].as_object().into_iter().flatten();
        let labels = pairs.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()));
        let lists = [&entry["values"], &entry["histograms"]].into_iter().filter_map(Value::as_array).flatten();
        let mut samples: Vec<(f64, String)> =
            lists.chain([&entry["value"], &entry["histogram"]]).filter_map(sample).collect();
        samples.sort_by(|a, b| a.0.total_cmp(&b.0));
        Series { labels: labels.collect(), samples }
    };
    let kind = data["resultType"].as_str();
    matches!(kind, Some("vector" | "matrix"))
        .then(|| data["result"].as_array().into_iter().flatten().map(one).collect())
}

fn sample(pair: &Value) -> Option<(f64, String)> {
    let value = match &pair[1] {
        Value::String(text) => text.clone(),
        Value::Object(histogram) => {
            let part = |name: &str| histogram.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            format!("count={} sum={}", part("count"), part("sum"))
        }
        _ => return None,
    };
    Some((pair[0].as_f64()?, value))
}

/// The answer in columns; of ranges, a chart of one series or a sparkline of each.
pub(super) fn table(data: &Value) -> String {
    let Some(all) = series(data) else { return format!("{}\n", data["result"][1].as_str().unwrap_or_default()) };
    if all.is_empty() {
        return "nothing\n".to_owned();
    }
    if data["resultType"].as_str() == Some("vector") {
        return columns(&all);
    }
    match all.as_slice() {
        [one] => chart(one),
        _ => sparklines(&all),
    }
}

/// One line a sample: its labels, its time, its value.
pub(super) fn csv(data: &Value) -> String {
    let Some(all) = series(data) else {
        let field = |at: usize| match &data["result"][at] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        return format!("time,value\n{},{}\n", field(0), quoted(&field(1)));
    };
    let names = label_names(&all);
    let mut out =
        names.iter().map(|name| quoted(name)).chain(["time".into(), "value".into()]).collect::<Vec<_>>().join(",");
    out.push('\n');
    for one in &all {
        let labels: Vec<String> = names.iter().map(|name| quoted(one.label(name))).collect();
        for (t, v) in &one.samples {
            let fields = labels.iter().cloned().chain([t.to_string(), quoted(v)]).collect::<Vec<_>>();
            let _ = writeln!(out, "{}", fields.join(","));
        }
    }
    out
}

/// A field as RFC 4180 has it.
fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

impl Series {
    fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    fn text(&self) -> String {
        let pairs = self.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Labels::new(pairs).map_or_else(|_| format!("{:?}", self.labels), |labels| labels.to_string())
    }

    /// The numbers; what is no number has none.
    fn numbers(&self) -> Vec<(f64, f64)> {
        let number = |(t, v): &(f64, String)| Some((*t, v.parse::<f64>().ok().filter(|v| v.is_finite())?));
        self.samples.iter().filter_map(number).collect()
    }
}

/// The names of all labels, the metric's name first.
fn label_names(all: &[Series]) -> Vec<&str> {
    let names: BTreeSet<&str> = all.iter().flat_map(|one| &one.labels).map(|(name, _)| name.as_str()).collect();
    let (first, rest): (Vec<&str>, Vec<&str>) = names.into_iter().partition(|name| *name == Labels::METRIC_NAME);
    first.into_iter().chain(rest).collect()
}

fn columns(all: &[Series]) -> String {
    let names = label_names(all);
    let value = |one: &Series| one.samples.first().map_or_else(String::new, |(_, value)| value.clone());
    let mut rows: Vec<Vec<String>> = Vec::new();
    if names.len() > COLUMNS_MAX {
        rows.extend(all.iter().map(|one| vec![one.text(), value(one)]));
    } else {
        let head = |name: &&str| if *name == Labels::METRIC_NAME { "metric".to_owned() } else { (*name).to_owned() };
        rows.push(names.iter().map(head).chain(["value".to_owned()]).collect());
        let row = |one: &Series| names.iter().map(|name| one.label(name).to_owned()).chain([value(one)]).collect();
        rows.extend(all.iter().map(row));
    }
    aligned(&rows)
}

/// Columns of equal width; the last one to the right.
fn aligned(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut out = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            let width = widths[column];
            let _ = if column + 1 == count { write!(out, "{cell:>width$}") } else { write!(out, "{cell:<width$}  ") };
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
    }
    out
}

/// How many columns a range takes: one for each step, as far as there is room. The shortest gap is the step.
fn width(all: &[Series], (start, end): (f64, f64)) -> usize {
    let gaps = all.iter().flat_map(|one| one.samples.windows(2)).map(|two| two[1].0 - two[0].0);
    let step = gaps.filter(|gap| *gap > 0.0).fold(f64::INFINITY, f64::min);
    (((end - start) / step).round() as usize).saturating_add(1).min(WIDTH)
}

/// The mean of the numbers that fall into each of `width` equal parts of a range of time.
fn parts(numbers: &[(f64, f64)], (start, end): (f64, f64), width: usize) -> Vec<Option<f64>> {
    let mut sums = vec![(0.0, 0.0); width];
    let span = (end - start).max(f64::MIN_POSITIVE);
    for (t, v) in numbers {
        let place = (((t - start) / span) * (width - 1) as f64).round() as usize;
        if let Some(sum) = sums.get_mut(place) {
            *sum = (sum.0 + v, sum.1 + 1.0);
        }
    }
    sums.into_iter().map(|(sum, count)| (count > 0.0).then(|| sum / count)).collect()
}

fn bounds(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |bounds, v| match bounds {
        None => Some((v, v)),
        Some((low, high)) => Some((v.min(low), v.max(high))),
    })
}

fn sparklines(all: &[Series]) -> String {
    let times = all.iter().flat_map(|one| &one.samples).map(|(t, _)| *t);
    let Some(range) = bounds(times) else { return "nothing\n".to_owned() };
    let mut rows = vec![["series", "", "least", "most", "last"].map(str::to_owned).to_vec()];
    for one in all {
        let numbers = one.numbers();
        let (low, high) = bounds(numbers.iter().map(|(_, v)| *v)).unwrap_or((f64::NAN, f64::NAN));
        let bar = |v: Option<f64>| match v {
            None => ' ',
            Some(v) if high > low => BARS[((v - low) / (high - low) * 7.0).round().clamp(0.0, 7.0) as usize],
            Some(_) => BARS[3],
        };
        let line: String = parts(&numbers, range, width(all, range)).into_iter().map(bar).collect();
        let last = one.samples.last().map_or_else(String::new, |(_, v)| v.clone());
        rows.push(vec![one.text(), line, short(low), short(high), last]);
    }
    format!("{}{}", aligned(&rows), axis(range))
}

fn chart(one: &Series) -> String {
    let numbers = one.numbers();
    let Some(range) = bounds(one.samples.iter().map(|(t, _)| *t)) else { return "nothing\n".to_owned() };
    let (low, high) = bounds(numbers.iter().map(|(_, v)| *v)).unwrap_or((f64::NAN, f64::NAN));
    let parts = parts(&numbers, range, width(std::slice::from_ref(one), range));
    let mut out = format!("{}\n", one.text());
    for row in (0..ROWS).rev() {
        let scale = match row {
            0 => short(low),
            row if row + 1 == ROWS => short(high),
            _ => String::new(),
        };
        // A column is filled up to its value, in eighths of a row.
        let cell = |v: &Option<f64>| {
            let Some(v) = v else { return ' ' };
            let share = if high > low { (v - low) / (high - low) } else { 0.5 };
            let eighths = (share * (ROWS * 8 - 1) as f64).round() as i64 + 1 - (row * 8) as i64;
            if eighths <= 0 { ' ' } else { BARS[(eighths.min(8) - 1) as usize] }
        };
        let line: String = parts.iter().map(cell).collect();
        let _ = writeln!(out, "{scale:>12} │{}", line.trim_end());
    }
    let last = one.samples.last().map_or("", |(_, v)| v);
    let _ = write!(out, "{:>12} └{}\n{}", "", "─".repeat(parts.len()), axis(range));
    let _ = writeln!(out, "last {last}");
    out
}

fn axis((start, end): (f64, f64)) -> String {
    format!("from {} to {}\n", Timestamp::from_seconds(start), Timestamp::from_seconds(end))
}

/// A number in few digits.
fn short(v: f64) -> String {
    let size = v.abs();
    if v.is_nan() {
        String::new()
    } else if size != 0.0 && !(1e-3..1e9).contains(&size) {
        format!("{v:.3e}")
    } else {
        format!("{}", (v * 1e4).round() / 1e4)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn instants_stand_in_columns() {
        let data = json!({"resultType": "vector", "result": [
            {"metric": {"__name__": "up", "job": "a"}, "value": [1.0, "1"]},
            {"metric": {"__name__": "up", "job": "longer"}, "value": [1.0, "0.25"]},
            {"metric": {"zone": "z"}, "histogram": [1.0, {"count": "2", "sum": "3.5"}]},
        ]});
        let expected = "metric  job     zone            value\n\
                        up      a                           1\n\
                        up      longer                   0.25\n                z     count=2 sum=3.5\n";
        assert_eq!(table(&data), expected);
        assert_eq!(csv(&data).lines().nth(1), Some("up,a,,1,1"));
    }

    #[test]
    fn scalars_and_nothing_are_said_plainly() {
        assert_eq!(table(&json!({"resultType": "scalar", "result": [1.5, "3"]})), "3\n");
        assert_eq!(csv(&json!({"resultType": "string", "result": [1.5, "a,\"b"]})), "time,value\n1.5,\"a,\"\"b\"\n");
        assert_eq!(table(&json!({"resultType": "vector", "result": []})), "nothing\n");
    }

    #[test]
    fn ranges_are_drawn_whatever_their_values() {
        let one = |values: &[&str]| {
            let values: Vec<Value> = values.iter().enumerate().map(|(t, v)| json!([t as f64 * 60.0, v])).collect();
            json!({"metric": {"job": "a"}, "values": values})
        };
        let many = json!({"resultType": "matrix", "result": [one(&["0", "1", "2"]), one(&["NaN", "+Inf"]), one(&[])]});
        let lines = table(&many);
        assert!(
            lines.contains("▁▅█") && lines.contains("from 1970-01-01T00:00:00.000Z"),
            "{lines}: steps stand side by side"
        );
        for values in [&["1", "5", "3"][..], &["2"], &["NaN"], &["1e300", "-1e300"]] {
            let drawn = table(&json!({"resultType": "matrix", "result": [one(values)]}));
            assert!(drawn.contains("└") && drawn.contains(&format!("last {}", values[values.len() - 1])), "{drawn}");
        }
    }
}
