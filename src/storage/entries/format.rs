//! Byte layouts of what the log holds beside samples, and of what a checkpoint keeps of it.
//! `storage-format.md` describes them; change both together.
//!
//! Invariants:
//! - What was written reads back equal; anything else is an error and never a panic.

use std::collections::BTreeSet;

use crate::codec::{Cursor, Damaged, SealError, break_seal, close_seal, open_seal, put_signed, put_text, put_varint};
use crate::model::{
    Exemplar, Labels, MatchOp, Matcher, MetricKind, MetricMetadata, Sample, Seq, SeriesExemplar, SeriesRef,
    StartChange, TimeRange, Timestamp,
};

/// The version of the tombstones that is written.
const VERSION: u32 = 1;
const TOMBSTONES_MAGIC: [u8; 8] = *b"evktombs";
/// Bytes that stand for the operators of matchers, by position.
const OPERATORS: [MatchOp; 4] = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Match, MatchOp::NotMatch];

/// A delete that is not worked off yet: what it covers is not shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::storage) struct Tombstone {
    /// The entry of the delete; it covers what came before.
    pub(in crate::storage) seq: Seq,
    /// The instants that it covers.
    pub(in crate::storage) range: TimeRange,
    /// The series that it covers: those that satisfy all of them.
    pub(in crate::storage) matchers: Vec<Matcher>,
    /// The blocks that may hold something that it covers.
    pub(in crate::storage) blocks: BTreeSet<u64>,
}

/// A list of exemplars; of a series that has several in a row the labels stand once.
pub(in crate::storage) fn exemplars_to_bytes<'a>(
    exemplars: impl ExactSizeIterator<Item = &'a SeriesExemplar>,
) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, exemplars.len() as u64);
    let (mut before, mut t) = (None, 0);
    for SeriesExemplar { series, exemplar } in exemplars {
        put_text(&mut out, if before == Some(series) { "" } else { series.as_text() });
        put_text(&mut out, exemplar.labels.as_text());
        put_signed(&mut out, exemplar.sample.t.0.wrapping_sub(t));
        out.extend(exemplar.sample.v.to_bits().to_le_bytes());
        (before, t) = (Some(series), exemplar.sample.t.0);
    }
    out
}

/// Reads what [`exemplars_to_bytes`] gave.
pub(in crate::storage) fn exemplars_from_bytes(bytes: &[u8]) -> Result<Vec<SeriesExemplar>, Damaged> {
    let mut from = Cursor::new(bytes);
    let count = from.length()?;
    let mut exemplars = Vec::with_capacity(count);
    let (mut series, mut t) = (Labels::empty(), 0i64);
    for _ in 0..count {
        let text = from.text()?;
        if !text.is_empty() {
            series = labels(text)?;
        }
        let labels = labels(from.text()?)?;
        t = t.wrapping_add(from.signed()?);
        let v = f64::from_bits(from.u64()?);
        let exemplar = Exemplar { labels, sample: Sample { t: Timestamp(t), v } };
        exemplars.push(SeriesExemplar { series: series.clone(), exemplar });
    }
    from.end()?;
    Ok(exemplars)
}

/// A list of descriptions of metric families.
pub(in crate::storage) fn metadata_to_bytes<'a>(
    metadata: impl ExactSizeIterator<Item = &'a MetricMetadata>,
) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, metadata.len() as u64);
    for one in metadata {
        put_text(&mut out, &one.family);
        out.push(MetricKind::ALL.iter().position(|kind| *kind == one.kind).unwrap_or_default() as u8);
        put_text(&mut out, &one.help);
        put_text(&mut out, &one.unit);
    }
    out
}

/// Reads what [`metadata_to_bytes`] gave.
pub(in crate::storage) fn metadata_from_bytes(bytes: &[u8]) -> Result<Vec<MetricMetadata>, Damaged> {
    let mut from = Cursor::new(bytes);
    let count = from.length()?;
    let mut metadata = Vec::with_capacity(count);
    for _ in 0..count {
        let family = from.text()?.to_owned();
        let kind = MetricKind::ALL.get(usize::from(from.u8()?)).copied();
        let kind = kind.ok_or(Damaged("a metric has an unknown type"))?;
        let (help, unit) = (from.text()?.to_owned(), from.text()?.to_owned());
        metadata.push(MetricMetadata { family, kind, help, unit });
    }
    from.end()?;
    Ok(metadata)
}

/// A list of changes of when counting began.
pub(in crate::storage) fn starts_to_bytes(changes: impl ExactSizeIterator<Item = StartChange>) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, changes.len() as u64);
    let (mut number, mut from, mut begun) = (0, 0, 0);
    for StartChange { series, t, start } in changes {
        put_signed(&mut out, (series.0 as i64).wrapping_sub(number));
        put_signed(&mut out, t.0.wrapping_sub(from));
        put_signed(&mut out, start.0.wrapping_sub(begun));
        (number, from, begun) = (series.0 as i64, t.0, start.0);
    }
    out
}

/// Reads what [`starts_to_bytes`] gave.
pub(in crate::storage) fn starts_from_bytes(bytes: &[u8]) -> Result<Vec<StartChange>, Damaged> {
    let mut from = Cursor::new(bytes);
    let count = from.length()?;
    let mut changes = Vec::with_capacity(count);
    let (mut number, mut t, mut start) = (0i64, 0i64, 0i64);
    for _ in 0..count {
        number = number.wrapping_add(from.signed()?);
        let series = u32::try_from(number).map_err(|_| Damaged("a series number is over 32 bits"))?;
        t = t.wrapping_add(from.signed()?);
        start = start.wrapping_add(from.signed()?);
        changes.push(StartChange { series: SeriesRef(series.into()), t: Timestamp(t), start: Timestamp(start) });
    }
    from.end()?;
    Ok(changes)
}

/// A delete: range and matchers.
pub(in crate::storage) fn deletion_to_bytes(range: TimeRange, matchers: &[Matcher]) -> Vec<u8> {
    let mut out = Vec::new();
    put_deletion(&mut out, range, matchers);
    out
}

/// Reads what [`deletion_to_bytes`] gave.
pub(in crate::storage) fn deletion_from_bytes(bytes: &[u8]) -> Result<(TimeRange, Vec<Matcher>), Damaged> {
    let mut from = Cursor::new(bytes);
    let deletion = take_deletion(&mut from)?;
    from.end()?;
    Ok(deletion)
}

/// Magic, version, list of tombstones, checksum.
pub(in crate::storage) fn tombstones_to_bytes<'a>(tombstones: impl ExactSizeIterator<Item = &'a Tombstone>) -> Vec<u8> {
    let mut out = open_seal(TOMBSTONES_MAGIC, VERSION);
    put_varint(&mut out, tombstones.len() as u64);
    for tombstone in tombstones {
        put_varint(&mut out, tombstone.seq.0);
        put_deletion(&mut out, tombstone.range, &tombstone.matchers);
        put_varint(&mut out, tombstone.blocks.len() as u64);
        for number in &tombstone.blocks {
            put_varint(&mut out, *number);
        }
    }
    close_seal(out)
}

/// Reads what [`tombstones_to_bytes`] gave.
pub(in crate::storage) fn tombstones_from_bytes(bytes: &[u8]) -> Result<Vec<Tombstone>, Damaged> {
    let mut from = break_seal(bytes, TOMBSTONES_MAGIC, VERSION).map_err(|error| match error {
        SealError::Damaged(damaged) => damaged,
        SealError::Version(_) => Damaged("it was written by another version of evenkeel"),
    })?;
    let mut tombstones = Vec::new();
    for _ in 0..from.length()? {
        let seq = Seq(from.varint()?);
        let (range, matchers) = take_deletion(&mut from)?;
        let blocks = (0..from.length()?).map(|_| from.varint()).collect::<Result<_, _>>()?;
        tombstones.push(Tombstone { seq, range, matchers, blocks });
    }
    from.end()?;
    Ok(tombstones)
}

fn put_deletion(out: &mut Vec<u8>, range: TimeRange, matchers: &[Matcher]) {
    put_signed(out, range.after.0);
    put_signed(out, range.until.0);
    put_varint(out, matchers.len() as u64);
    for matcher in matchers {
        out.push(OPERATORS.iter().position(|op| *op == matcher.op()).unwrap_or_default() as u8);
        put_text(out, matcher.name());
        put_text(out, matcher.value());
    }
}

fn take_deletion(from: &mut Cursor<'_>) -> Result<(TimeRange, Vec<Matcher>), Damaged> {
    let range = TimeRange { after: Timestamp(from.signed()?), until: Timestamp(from.signed()?) };
    let mut matchers = Vec::new();
    for _ in 0..from.length()? {
        let op = OPERATORS.get(usize::from(from.u8()?)).copied().ok_or(Damaged("a matcher has an unknown operator"))?;
        let (name, value) = (from.text()?, from.text()?);
        matchers
            .push(Matcher::new(name, op, value).map_err(|_| Damaged("a matcher has a pattern that cannot be used"))?);
    }
    Ok((range, matchers))
}

fn labels(text: &str) -> Result<Labels, Damaged> {
    Labels::from_text(text).map_err(|_| Damaged("labels are not in canonical form"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exemplar(series: &str, trace: &str, t: i64, v: f64) -> SeriesExemplar {
        SeriesExemplar {
            series: Labels::new([("__name__", series)]).unwrap(),
            exemplar: Exemplar {
                labels: Labels::new([("trace_id", trace)]).unwrap(),
                sample: Sample { t: Timestamp(t), v },
            },
        }
    }

    fn tombstone() -> Tombstone {
        Tombstone {
            seq: Seq(9),
            range: TimeRange { after: Timestamp::MIN, until: Timestamp(5) },
            matchers: vec![Matcher::equal("job", "a"), Matcher::new("x", MatchOp::NotMatch, "b.*|").unwrap()],
            blocks: BTreeSet::from([3, 700]),
        }
    }

    #[test]
    fn everything_comes_back() {
        let exemplars = [
            exemplar("a", "1", 5, 0.5),
            exemplar("a", "", i64::MIN, f64::NEG_INFINITY),
            exemplar("b", "2", i64::MAX, -0.0),
        ];
        assert_eq!(exemplars_from_bytes(&exemplars_to_bytes(exemplars.iter())).unwrap(), exemplars);
        let metadata = MetricKind::ALL.map(|kind| MetricMetadata {
            family: format!("m_{}", kind.as_str()),
            kind,
            help: "Wärme\n".to_owned(),
            unit: "s".to_owned(),
        });
        assert_eq!(metadata_from_bytes(&metadata_to_bytes(metadata.iter())).unwrap(), metadata);
        let changes = [(7, 5, 1), (7, i64::MAX, i64::MIN), (u64::from(u32::MAX), -3, 9), (0, 0, 0)];
        let changes = changes.map(|(series, t, start)| StartChange {
            series: SeriesRef(series),
            t: Timestamp(t),
            start: Timestamp(start),
        });
        assert_eq!(starts_from_bytes(&starts_to_bytes(changes.into_iter())).unwrap(), changes);
        let one = tombstone();
        let deletion = deletion_from_bytes(&deletion_to_bytes(one.range, &one.matchers)).unwrap();
        assert_eq!(deletion, (one.range, one.matchers));
        let all = [tombstone(), Tombstone { seq: Seq(10), ..tombstone() }];
        assert_eq!(tombstones_from_bytes(&tombstones_to_bytes(all.iter())).unwrap(), all);
    }

    #[test]
    fn every_changed_byte_and_every_cut_of_the_tombstones_is_noticed() {
        let whole = tombstones_to_bytes([tombstone()].iter());
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            assert!(tombstones_from_bytes(&damaged).is_err(), "byte {at}");
            assert!(tombstones_from_bytes(&whole[..at]).is_err(), "cut at {at}");
        }
    }

    proptest::proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(proptest::arbitrary::any::<u8>(), 0..200)) {
            let _ = exemplars_from_bytes(&bytes);
            let _ = metadata_from_bytes(&bytes);
            let _ = deletion_from_bytes(&bytes);
            let _ = starts_from_bytes(&bytes);
            let mut sealed = open_seal(TOMBSTONES_MAGIC, VERSION);
            sealed.extend(&bytes);
            let _ = tombstones_from_bytes(&close_seal(sealed));
        }
    }
}
