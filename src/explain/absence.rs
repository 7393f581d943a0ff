//! Why a selector matches nothing, and what is there instead.

use crate::model::{Labels, MatchOp, Matcher, Millis, TimeRange, Timestamp};
use crate::promql::SourceError;

use super::explainer::Names;

/// Values that are offered in place of one that there is not.
const HINTS_MAX: usize = 5;
/// Values that are compared with it; beyond that, the first ones.
const COMPARED_MAX: usize = 20_000;

/// Why nothing matches, in a sentence, and hints. `seen` is what the selector looks at; `known` is longer.
pub(super) fn explain(
    names: &dyn Names,
    matchers: &[Matcher],
    seen: TimeRange,
    known: TimeRange,
) -> Result<(String, Vec<String>), SourceError> {
    if let Some(newest) = names.newest(matchers, known)? {
        let ago = seen.until - newest;
        let text = if newest > seen.after {
            "the series ended: a staleness marker is their last sample".to_owned()
        } else {
            format!(
                "the last sample of a series that matches came at {newest}, {ago} before; it looks back {}",
                span(seen)
            )
        };
        return Ok((text, Vec::new()));
    }
    let metric =
        matchers.iter().find(|matcher| matcher.name() == Labels::METRIC_NAME && matcher.op() == MatchOp::Equal);
    if let Some(metric) = metric
        && names.newest(std::slice::from_ref(metric), known)?.is_none()
    {
        let text = format!("no series is called {}", metric.value());
        let all = names.values(Labels::METRIC_NAME, &[], known)?;
        return Ok((text, nearest(metric.value(), all).into_iter().map(|name| format!("there is {name}")).collect()));
    }
    // Which condition is it? The one without which something matches.
    for (at, matcher) in matchers.iter().enumerate() {
        if matcher.name() == Labels::METRIC_NAME {
            continue;
        }
        let others: Vec<Matcher> =
            matchers.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, m)| m.clone()).collect();
        if names.newest(&others, known)?.is_some() {
            let (name, value) = (matcher.name(), matcher.value());
            let values = names.values(name, &others, known)?;
            let (count, values) = (values.len(), nearest(value, values));
            let text = if count == 0 {
                format!(
                    "{matcher} matches none of the series that satisfy the other conditions: they have no label {name}"
                )
            } else {
                format!(
                    "{matcher} matches none of the series that satisfy the other conditions; {name} has {count} value(s) there"
                )
            };
            return Ok((text, values.into_iter().map(|value| format!("there is {name}=\"{value}\"")).collect()));
        }
    }
    Ok(("no series satisfies all of its conditions, nor all but one of them".to_owned(), Vec::new()))
}

fn span(range: TimeRange) -> Millis {
    range.until - range.after
}

/// The values most alike, the nearest first.
fn nearest(wanted: &str, all: Vec<String>) -> Vec<String> {
    let mut ranked: Vec<(usize, String)> =
        all.into_iter().take(COMPARED_MAX).map(|value| (distance(wanted, &value), value)).collect();
    ranked.sort();
    ranked.into_iter().take(HINTS_MAX).map(|(_, value)| value).collect()
}

/// How many letters differ; one that begins with the other is near.
fn distance(a: &str, b: &str) -> usize {
    if a.starts_with(b) || b.starts_with(a) {
        return a.len().abs_diff(b.len()).min(3);
    }
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

/// The range of everything up to an instant.
pub(super) fn known_until(at: Timestamp, back: Millis) -> TimeRange {
    TimeRange { after: at - back, until: at }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_values_come_first() {
        let all = ["http_request_total", "up", "http_requests_total", "process_start", "http_requests"];
        let found = nearest("http_requests_totl", all.map(str::to_owned).to_vec());
        assert_eq!(found[..2], ["http_requests_total".to_owned(), "http_request_total".to_owned()]);
        assert_eq!((distance("abc", "abc"), distance("abc", "abd"), distance("", "é")), (0, 1, 1));
    }
}
