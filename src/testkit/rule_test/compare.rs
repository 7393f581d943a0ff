//! Whether what fires, or what an expression gives, is what a test expects.

use std::collections::BTreeMap;

use super::RuleTestFailure;
use super::explain::{histogram_text, value_text};
use crate::config::{AlertCase, AlertMatching, ExpectedSample, ExprCase};
use crate::model::{Alert, AlertState, Labels, float_text};
use crate::promql::kernel::FloatHistogram;
use crate::promql::{ElementValue, VectorSample};
use crate::testkit::script::native::Literal;
use crate::testkit::script::{Point, read};

/// The labels and annotations of an alert.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Texts {
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

impl Texts {
    /// As Prometheus compares them: a label without a value is none.
    fn of<'a>(
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        annotations: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Texts {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Texts {
            labels: labels.filter(|(_, value)| !value.is_empty()).map(owned).collect(),
            annotations: annotations.filter(|(_, value)| !value.is_empty()).map(owned).collect(),
        }
    }

    fn fits(&self, got: &Texts, matching: AlertMatching) -> bool {
        let within = |part: &BTreeMap<String, String>, whole: &BTreeMap<String, String>| {
            part.iter().all(|(name, value)| whole.get(name) == Some(value))
        };
        match matching {
            AlertMatching::Exact => self == got,
            AlertMatching::Subset => within(&self.labels, &got.labels) && within(&self.annotations, &got.annotations),
        }
    }

    fn text(&self) -> String {
        let braces = |pairs: &BTreeMap<String, String>| {
            let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
            format!("{{{}}}", pairs.join(", "))
        };
        format!("labels {} annotations {}", braces(&self.labels), braces(&self.annotations))
    }

    /// What is written otherwise than found, one line each.
    fn differences(&self, got: &Texts, matching: AlertMatching) -> Vec<String> {
        let mut lines = Vec::new();
        let kinds = [("label", &self.labels, &got.labels), ("annotation", &self.annotations, &got.annotations)];
        for (kind, expected, got) in kinds {
            for (name, value) in expected {
                match got.get(name) {
                    Some(found) if found == value => {}
                    Some(found) => lines.push(format!("{kind} {name}: expected {value:?}, got {found:?}")),
                    None => lines.push(format!("{kind} {name}: expected {value:?}, and there is none")),
                }
            }
            let more = got.iter().filter(|(name, _)| !expected.contains_key(*name));
            if matching == AlertMatching::Exact {
                lines.extend(more.map(|(name, found)| format!("{kind} {name}: not expected, got {found:?}")));
            }
        }
        lines
    }
}

/// Compares what fires under a name with what a test expects.
pub(super) fn compare_alerts(case: &AlertCase, alerts: &[Alert]) -> Result<(), RuleTestFailure> {
    let pairs = |labels: &Labels| {
        labels.iter().map(|label| (label.name.to_owned(), label.value.to_owned())).collect::<Vec<_>>()
    };
    let firing = alerts
        .iter()
        .filter(|alert| alert.state == AlertState::Firing && alert.labels.get("alertname") == case.alertname);
    let mut got: Vec<Texts> = firing
        .map(|alert| {
            let (labels, annotations) = (pairs(&alert.labels), pairs(&alert.annotations));
            Texts::of(borrowed(&labels), borrowed(&annotations))
        })
        .collect();
    let mut expected: Vec<Texts> = (case.expected.iter())
        .map(|alert| {
            let name = [("alertname", case.alertname.as_str())];
            let named = borrowed(&alert.labels).filter(|(name, _)| *name != "alertname").chain(name);
            Texts::of(named, borrowed(&alert.annotations))
        })
        .collect();
    got.sort();
    expected.sort();
    let (missing, more) = unpaired(&expected, &got, case.matching);
    if missing.is_empty() && more.is_empty() {
        return Ok(());
    }
    let count = |n: usize| if n == 1 { "1 alert".to_owned() } else { format!("{n} alerts") };
    let what =
        format!("{} at {}: {} expected, {} fire", case.alertname, case.eval_time, count(expected.len()), got.len());
    let texts = |all: &[Texts]| all.iter().map(Texts::text).collect();
    let mut why = Vec::new();
    for one in missing {
        let nearest = more.iter().map(|other| one.differences(other, case.matching)).min_by_key(Vec::len);
        why.extend(nearest.unwrap_or_default());
    }
    Err(RuleTestFailure { line: case.line, what, expected: texts(&expected), got: texts(&got), why })
}

fn borrowed(pairs: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

/// Pairs as many expected alerts with different ones that fire as can be; gives those that are left over. With
/// subsets one may fit several, so pairs are changed along augmenting paths.
fn unpaired<'a>(expected: &'a [Texts], got: &'a [Texts], matching: AlertMatching) -> (Vec<&'a Texts>, Vec<&'a Texts>) {
    let mut taken_by: Vec<Option<usize>> = vec![None; got.len()];
    for at in 0..expected.len() {
        let mut seen = vec![false; got.len()];
        pair(at, expected, got, matching, &mut taken_by, &mut seen);
    }
    let missing = (0..expected.len()).filter(|at| !taken_by.contains(&Some(*at))).map(|at| &expected[at]);
    let more = taken_by.iter().zip(got).filter(|(taken, _)| taken.is_none()).map(|(_, got)| got);
    (missing.collect(), more.collect())
}

fn pair(
    at: usize,
    expected: &[Texts],
    got: &[Texts],
    matching: AlertMatching,
    taken_by: &mut [Option<usize>],
    seen: &mut [bool],
) -> bool {
    for to in 0..got.len() {
        if seen[to] || !expected[at].fits(&got[to], matching) {
            continue;
        }
        seen[to] = true;
        let is_free = match taken_by[to] {
            None => true,
            Some(other) => pair(other, expected, got, matching, taken_by, seen),
        };
        if is_free {
            taken_by[to] = Some(at);
            return true;
        }
    }
    false
}

/// An expected element, read.
struct Expected {
    labels: Labels,
    value: Point,
}

/// Compares an expression's elements with what a test expects.
pub(super) fn compare_samples(case: &ExprCase, found: &[VectorSample], fuzzy: bool) -> Result<(), RuleTestFailure> {
    let head = format!("{} at {}", case.expr.trim(), case.eval_time);
    let mut expected = Vec::new();
    for sample in &case.expected {
        expected.push(read_sample(sample).map_err(|reason| RuleTestFailure {
            line: case.line,
            what: format!("{head}: {reason}"),
            ..RuleTestFailure::default()
        })?);
    }
    expected.sort_by(|a, b| a.labels.cmp(&b.labels));
    let mut got: Vec<&VectorSample> = found.iter().collect();
    got.sort_by(|a, b| a.labels.cmp(&b.labels));
    let same = if fuzzy { neighbours } else { equal };
    let fits = |(a, b): (&Expected, &&VectorSample)| a.labels == b.labels && is_value(&a.value, &b.value, same);
    if expected.len() == got.len() && expected.iter().zip(&got).all(fits) {
        return Ok(());
    }
    let what = format!("{head}: {} elements expected, {} found", expected.len(), got.len());
    let texts = expected.iter().map(|one| format!("{} {}", one.labels, point_text(&one.value)));
    let mut why = Vec::new();
    for one in &expected {
        match got.iter().find(|other| other.labels == one.labels) {
            Some(other) if !is_value(&one.value, &other.value, same) => why.push(format!(
                "{}: expected {}, got {}",
                one.labels,
                point_text(&one.value),
                value_text(&other.value)
            )),
            Some(_) => {}
            None => why.push(format!("{} is missing", one.labels)),
        }
    }
    let unexpected = got.iter().filter(|other| !expected.iter().any(|one| one.labels == other.labels));
    why.extend(unexpected.map(|other| format!("{} is not expected", other.labels)));
    Err(RuleTestFailure {
        line: case.line,
        what,
        expected: texts.collect(),
        got: got.iter().map(|one| format!("{} {}", one.labels, value_text(&one.value))).collect(),
        why,
    })
}

fn read_sample(sample: &ExpectedSample) -> Result<Expected, String> {
    let text = if sample.labels.trim().is_empty() { "{}" } else { sample.labels.trim() };
    let (labels, rest, _) = read::series(text).map_err(|error| format!("labels {text:?}: {error}"))?;
    if !rest.is_empty() {
        return Err(format!("labels {text:?}: {rest:?} is behind them; values are written under \"value\""));
    }
    let value = match sample.histogram.trim() {
        "" => Point::Number(sample.value),
        text => match <[Option<Point>; 1]>::try_from(read::values(text)?) {
            Ok([Some(Point::Histogram(literal))]) => Point::Histogram(literal),
            _ => return Err(format!("histogram {text:?} is not one native histogram")),
        },
    };
    Ok(Expected { labels, value })
}

fn is_value(expected: &Point, got: &ElementValue, same: fn(f64, f64) -> bool) -> bool {
    match (expected, got) {
        (Point::Number(a), ElementValue::Number(b)) => same(*a, *b),
        (Point::Histogram(literal), ElementValue::Histogram(histogram)) => {
            literal.fits(&FloatHistogram::from(&**histogram), same)
        }
        _ => false,
    }
}

fn point_text(point: &Point) -> String {
    match point {
        Point::Number(v) => float_text(*v),
        Point::Histogram(literal) => {
            let Literal { histogram, .. } = &**literal;
            histogram_text(histogram)
        }
    }
}

fn equal(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan())
}

/// Whether two numbers are equal or neighbours.
fn neighbours(a: f64, b: f64) -> bool {
    equal(a, b) || a.next_up() == b || a.next_down() == b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_paired_so_that_most_fit() {
        let texts = |pairs: &[(&str, &str)]| Texts::of(pairs.iter().copied(), std::iter::empty());
        let got = [texts(&[("a", "1"), ("b", "1")]), texts(&[("a", "1"), ("b", "2")])];
        let check = |expected: &[Texts], matching, left: (usize, usize)| {
            let (missing, more) = unpaired(expected, &got, matching);
            assert_eq!((missing.len(), more.len()), left, "{expected:?} {matching:?}");
        };
        // The first fits both, and must give way to the second.
        check(&[texts(&[("a", "1")]), texts(&[("b", "1")])], AlertMatching::Subset, (0, 0));
        check(&[texts(&[("b", "1")]), texts(&[("b", "1")])], AlertMatching::Subset, (1, 1));
        check(&[texts(&[("a", "1")]), texts(&[("b", "1")])], AlertMatching::Exact, (2, 2));
        check(&[texts(&[])], AlertMatching::Subset, (0, 1));
        check(&got, AlertMatching::Exact, (0, 0));
    }

    #[test]
    fn neighbours_are_equal_only_when_that_is_asked_for() {
        let (a, b) = (0.3, 0.1 + 0.2);
        assert!(!equal(a, b) && neighbours(a, b) && neighbours(b, a) && !neighbours(a, 0.4));
        assert!(equal(f64::NAN, f64::NAN) && neighbours(f64::NAN, f64::NAN));
    }
}
