//! The instants at which a group is evaluated.
//!
//! Invariants:
//! - They depend on the group's file, name and interval alone, so that a restart does not shift them.
//! - They are Prometheus' own: the interval is cut at a hash of name and file, in nanoseconds.

use xxhash_rust::xxh64::xxh64;

use crate::model::Timestamp;

use super::rule::RuleGroup;

/// The last instant of a group's grid that is not after `now`.
pub(super) fn slot_at(group: &RuleGroup, now: Timestamp) -> Timestamp {
    let phase = phase(group);
    // An evaluator that has seen nothing yet is at the beginning of time.
    let since = now.0.max(0) - phase;
    Timestamp(since.div_euclid(group.interval.0) * group.interval.0 + phase)
}

/// The first instant of a group's grid after `now`.
pub(super) fn slot_after(group: &RuleGroup, now: Timestamp) -> Timestamp {
    slot_at(group, now) + group.interval
}

fn phase(group: &RuleGroup) -> i64 {
    let nanos = u64::try_from(group.interval.0).unwrap_or(1).max(1).saturating_mul(1_000_000);
    let mut bytes = Vec::new();
    for text in ["file", &group.file, "name", &group.name] {
        put_text(&mut bytes, text);
    }
    i64::try_from(xxh64(&bytes, 0) % nanos / 1_000_000).unwrap_or(0)
}

/// A text after its length, as Prometheus lays out labels in memory and so hashes them.
fn put_text(bytes: &mut Vec<u8>, text: &str) {
    match u8::try_from(text.len()) {
        Ok(length) if length < u8::MAX => bytes.push(length),
        _ => {
            bytes.push(u8::MAX);
            bytes.extend_from_slice(&text.len().to_le_bytes()[..3]);
        }
    }
    bytes.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Labels, Millis};
    use crate::rules::EvaluationMode;

    fn group(file: &str, name: &str, interval: Millis) -> RuleGroup {
        RuleGroup {
            name: name.to_owned(),
            file: file.to_owned(),
            interval,
            mode: EvaluationMode::Ingest,
            limit: 0,
            query_offset: Millis::ZERO,
            labels: Labels::empty(),
            rules: Vec::new(),
        }
    }

    #[test]
    fn slots_are_where_prometheus_has_them() {
        // Timestamps that Prometheus 3.5.3 gave to what these groups recorded.
        let check = |name: &str, seconds: i64, expected: i64| {
            let group = group("rules.yml", name, Millis::seconds(seconds));
            assert_eq!(slot_at(&group, Timestamp(expected)), Timestamp(expected), "{name}");
            assert_eq!(slot_at(&group, Timestamp(expected - 1)), Timestamp(expected - 1000 * seconds), "{name}");
        };
        check("first", 7, 1_795_892_710_814);
        check("a longer name, with ünïcode", 10, 1_795_892_712_631);
    }

    #[test]
    fn a_grid_depends_on_the_group_alone() {
        let group = group("f", "g", Millis::minutes(1));
        let slot = slot_after(&group, Timestamp(1_000_000));
        assert!(slot > Timestamp(1_000_000) && slot <= Timestamp(1_060_000));
        assert_eq!(slot_at(&group, slot), slot);
        assert_eq!(slot_at(&group, Timestamp(slot.0 - 1)), slot - Millis::minutes(1));
        assert_eq!(slot_after(&group, slot), slot + Millis::minutes(1));
        assert!(slot_after(&group, Timestamp::MIN) > Timestamp(0));
    }
}
