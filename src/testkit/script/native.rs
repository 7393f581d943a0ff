//! Reads native histograms: `{{schema:1 sum:3 count:2 buckets:[1 1]}}`.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::almost_equal;
use crate::model::{CUSTOM_SCHEMA, ResetHint};
use crate::promql::kernel::{Bucket, FloatHistogram};

/// Buckets that are written one by one at the most.
const WRITTEN_MAX: i64 = 500;

/// A histogram as it is written.
#[derive(Debug, Clone)]
pub(in crate::testkit) struct Literal {
    pub(in crate::testkit) histogram: FloatHistogram,
    /// Whether anything is said of its resets.
    pub(in crate::testkit) says_hint: bool,
}

/// Reads what stands between the double braces.
pub(super) fn literal(text: &str) -> Result<Literal, String> {
    let mut read = Reader { rest: text.trim_start(), seen: BTreeSet::new() };
    let mut histogram = FloatHistogram::empty(0, Arc::from([]));
    let (mut says_hint, mut buckets, mut n_buckets) = (false, Vec::new(), Vec::new());
    let (mut offset, mut n_offset) = (0, 0);
    while let Some(key) = read.key()? {
        match key.as_str() {
            "schema" => histogram.schema = read.whole()?,
            "sum" => histogram.sum = read.number()?,
            "count" => histogram.count = read.number()?,
            "z_bucket" => histogram.zero_count = read.number()?,
            "z_bucket_w" => histogram.zero_threshold = read.number()?,
            "custom_values" => histogram.bounds = read.list()?.into(),
            "buckets" => buckets = read.list()?,
            "offset" => offset = read.whole()?,
            "n_buckets" => n_buckets = read.list()?,
            "n_offset" => n_offset = read.whole()?,
            "counter_reset_hint" => {
                histogram.reset_hint = hint(read.word())?;
                says_hint = true;
            }
            _ => return Err(format!("bad histogram descriptor {key:?}")),
        }
    }
    if !(-4..=8).contains(&histogram.schema) && histogram.schema != CUSTOM_SCHEMA {
        return Err(format!("schema {} is none", histogram.schema));
    }
    histogram.positive = buckets_from(offset, &buckets)?;
    histogram.negative = buckets_from(n_offset, &n_buckets)?;
    Ok(Literal { histogram, says_hint })
}

/// A histogram as it is written.
pub(super) fn written(histogram: &FloatHistogram) -> String {
    let FloatHistogram {
        schema, sum, count, zero_count, zero_threshold, bounds, positive, negative, reset_hint, ..
    } = histogram;
    let (Some(buckets), Some(n_buckets)) = (list_of(positive), list_of(negative)) else {
        return format!("{histogram:?}");
    };
    let mut parts = vec![format!("schema:{schema} count:{count} sum:{sum}")];
    if *zero_count != 0.0 || *zero_threshold != 0.0 {
        parts.push(format!("z_bucket:{zero_count} z_bucket_w:{zero_threshold}"));
    }
    if !bounds.is_empty() {
        let bounds: Vec<String> = bounds.iter().map(f64::to_string).collect();
        parts.push(format!("custom_values:[{}]", bounds.join(" ")));
    }
    for (prefix, (offset, counts)) in [("", buckets), ("n_", n_buckets)] {
        if !counts.is_empty() {
            parts.push(format!("{prefix}offset:{offset} {prefix}buckets:[{counts}]"));
        }
    }
    match reset_hint {
        ResetHint::Unknown => {}
        ResetHint::Reset => parts.push("counter_reset_hint:reset".to_owned()),
        ResetHint::NoReset => parts.push("counter_reset_hint:not_reset".to_owned()),
        ResetHint::Gauge => parts.push("counter_reset_hint:gauge".to_owned()),
    }
    format!("{{{{{}}}}}", parts.join(" "))
}

/// The offset of buckets, and the counts from there on; nothing if too many of them are empty to write them all.
fn list_of(buckets: &[Bucket]) -> Option<(i32, String)> {
    let (Some(first), Some(last)) = (buckets.first(), buckets.last()) else { return Some((0, String::new())) };
    if i64::from(last.index) - i64::from(first.index) > WRITTEN_MAX {
        return None;
    }
    let count = |index| buckets.iter().find(|bucket| bucket.index == index).map_or(0.0, |bucket| bucket.count);
    let counts: Vec<String> = (first.index..=last.index).map(|index| count(index).to_string()).collect();
    Some((first.index, counts.join(" ")))
}

fn hint(word: &str) -> Result<ResetHint, String> {
    match word {
        "unknown" => Ok(ResetHint::Unknown),
        "reset" => Ok(ResetHint::Reset),
        "not_reset" => Ok(ResetHint::NoReset),
        "gauge" => Ok(ResetHint::Gauge),
        _ => Err(format!("bad counter_reset_hint {word:?}")),
    }
}

fn buckets_from(offset: i32, counts: &[f64]) -> Result<Vec<Bucket>, String> {
    let indices = i64::from(offset)..;
    let buckets = indices.zip(counts).filter(|(_, count)| **count != 0.0).map(|(index, count)| {
        let index = i32::try_from(index).ok().filter(|index| index.unsigned_abs() < 1 << 30);
        index.map(|index| Bucket { index, count: *count }).ok_or_else(|| "a bucket is too far away".to_owned())
    });
    buckets.collect()
}

/// What is left of a literal.
struct Reader<'a> {
    rest: &'a str,
    seen: BTreeSet<String>,
}

impl<'a> Reader<'a> {
    /// The next key, before its colon.
    fn key(&mut self) -> Result<Option<String>, String> {
        self.rest = self.rest.trim_start();
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (key, rest) = self.rest.split_once(':').ok_or_else(|| format!("a colon is missing in {:?}", self.rest))?;
        self.rest = rest;
        let key = key.trim().to_owned();
        if !self.seen.insert(key.clone()) {
            return Err(format!("duplicate key {key:?} in a histogram"));
        }
        Ok(Some(key))
    }

    fn word(&mut self) -> &'a str {
        let text = self.rest.trim_start();
        let (word, rest) = text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()));
        self.rest = rest;
        word
    }

    fn number(&mut self) -> Result<f64, String> {
        number(self.word())
    }

    fn whole(&mut self) -> Result<i32, String> {
        let word = self.word();
        word.parse().map_err(|_| format!("bad whole number {word:?}"))
    }

    fn list(&mut self) -> Result<Vec<f64>, String> {
        let inner = self.rest.trim_start().strip_prefix('[').ok_or("a list begins with [")?;
        let (inner, rest) = inner.split_once(']').ok_or("a list ends with ]")?;
        self.rest = rest;
        inner.split_whitespace().map(number).collect()
    }
}

fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| format!("bad number {text:?}"))
}

impl Literal {
    /// Whether a histogram that was found is the one that is written here, counts within a millionth.
    pub(super) fn is_like(&self, found: &FloatHistogram) -> bool {
        self.fits(found, almost_equal)
    }

    /// Whether a histogram that was found is the one that is written here, with counts that are the same.
    pub(in crate::testkit) fn fits(&self, found: &FloatHistogram, same: fn(f64, f64) -> bool) -> bool {
        let expected = &self.histogram;
        let buckets = |a: &[Bucket], b: &[Bucket]| {
            let like = |(a, b): (&Bucket, &Bucket)| a.index == b.index && same(a.count, b.count);
            a.len() == b.len() && a.iter().zip(b).all(like)
        };
        (!self.says_hint || expected.reset_hint == found.reset_hint)
            && expected.schema == found.schema
            && expected.zero_threshold == found.zero_threshold
            && expected.bounds == found.bounds
            && same(expected.count, found.count)
            && same(expected.sum, found.sum)
            && same(expected.zero_count, found.zero_count)
            && buckets(&expected.positive, &found.positive)
            && buckets(&expected.negative, &found.negative)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for text in [
            "schema:1 count:4 sum:3 z_bucket:1 z_bucket_w:0.001 offset:-2 buckets:[1 0 2] counter_reset_hint:gauge",
            "schema:-53 count:3 sum:1.5 custom_values:[1 2.5] offset:0 buckets:[1 2]",
            "schema:0 count:2 sum:-3 n_offset:4 n_buckets:[2] counter_reset_hint:not_reset",
            "schema:3 count:0 sum:NaN",
        ] {
            let Literal { histogram, .. } = literal(text).unwrap();
            assert_eq!(written(&histogram), format!("{{{{{text}}}}}"));
        }
    }
}
