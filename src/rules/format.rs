//! Byte layout of the rules' saved state: what stored samples do not hold. `storage-format.md`
//! describes it; change both together.
//!
//! Invariants:
//! - What was written reads back equal; anything else is an error and never a panic.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::codec::{
    Cursor, Damaged, SealError, break_seal, close_seal, open_seal, put_maybe, put_signed, put_text, put_varint,
};
use crate::model::{Labels, Timestamp};

use super::alert_series::AlertSeries;
use super::alerting::Instance;
use super::reading::Reading;

const KIND: [u8; 8] = *b"evkrules";
/// The version that is written. Those since the first are read.
const VERSION: u32 = 4;
/// It has neither native histograms nor errors.
const FIRST: u32 = 1;
/// It does not have the alerts as series.
const SECOND: u32 = 2;
/// It does not have the values that were told.
const THIRD: u32 = 3;

const PENDING: u8 = 0;
const FIRING: u8 = 1;
/// Since the second version: pending, its time over while its rule had no result.
const OVERDUE: u8 = 2;

/// The state of one rule.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SavedRule {
    pub(super) key: String,
    pub(super) instances: BTreeMap<Labels, Instance>,
    /// The pending alerts whose time was over while the rule had no result: they wait for one.
    pub(super) overdue: BTreeSet<Labels>,
    pub(super) outputs: BTreeSet<Labels>,
    /// Why its last evaluation had no result.
    pub(super) error: Option<String>,
    pub(super) series: AlertSeries,
}

/// Bytes that are not a saved state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// Another kind of data, changed or cut off.
    #[error("the saved alert state cannot be read: {0}; alerts start anew")]
    Damaged(#[from] Damaged),
    /// Written by a later release.
    #[error("the saved alert state has version {found}, this release reads {VERSION}; alerts start anew")]
    Version {
        /// Its version.
        found: u32,
    },
}

impl From<SealError> for RestoreError {
    fn from(error: SealError) -> RestoreError {
        match error {
            SealError::Damaged(damaged) => RestoreError::Damaged(damaged),
            SealError::Version(found) => RestoreError::Version { found },
        }
    }
}

/// The bytes of the rules' states.
pub(super) fn write(rules: &[SavedRule]) -> Vec<u8> {
    let mut out = open_seal(KIND, VERSION);
    put_varint(&mut out, rules.len() as u64);
    for rule in rules {
        put_text(&mut out, &rule.key);
        put_varint(&mut out, rule.instances.len() as u64);
        for (labels, instance) in &rule.instances {
            put_text(&mut out, labels.as_text());
            put_instance(&mut out, instance, rule.overdue.contains(labels).then_some(OVERDUE));
        }
        put_varint(&mut out, rule.outputs.len() as u64);
        rule.outputs.iter().for_each(|labels| put_text(&mut out, labels.as_text()));
        put_text(&mut out, rule.error.as_deref().unwrap_or_default());
        put_times(&mut out, &rule.series.open);
        put_times(&mut out, &rule.series.ended);
    }
    close_seal(out)
}

fn put_times(out: &mut Vec<u8>, series: &BTreeMap<Labels, Timestamp>) {
    put_varint(out, series.len() as u64);
    for (labels, t) in series {
        put_text(out, labels.as_text());
        put_signed(out, t.0);
    }
}

fn put_instance(out: &mut Vec<u8>, instance: &Instance, state: Option<u8>) {
    put_text(out, instance.element.as_text());
    put_text(out, instance.annotations.as_text());
    out.push(state.unwrap_or(if instance.firing { FIRING } else { PENDING }));
    out.extend(instance.value.number.to_bits().to_le_bytes());
    put_text(out, instance.value.histogram.as_deref().unwrap_or_default());
    put_signed(out, instance.active_at.0);
    put_maybe(out, instance.fired_at.map(|t| t.0));
    put_maybe(out, instance.keep_since.map(|t| t.0));
    out.extend(instance.told.to_bits().to_le_bytes());
}

/// The rules' states from their bytes.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<SavedRule>, RestoreError> {
    let (mut from, version) = match break_seal(bytes, KIND, VERSION) {
        Err(SealError::Version(earlier @ (FIRST | SECOND | THIRD))) => (break_seal(bytes, KIND, earlier)?, earlier),
        from => (from?, VERSION),
    };
    let mut rules = Vec::new();
    for _ in 0..from.length()? {
        let (key, instances, outputs) = (from.text()?.to_owned(), BTreeMap::new(), BTreeSet::new());
        let (overdue, series) = (BTreeSet::new(), AlertSeries::default());
        let mut rule = SavedRule { key, instances, overdue, outputs, error: None, series };
        for _ in 0..from.length()? {
            let labels = take_labels(&mut from)?;
            let (instance, state) = take_instance(&mut from, version)?;
            if state == OVERDUE {
                rule.overdue.insert(labels.clone());
            }
            rule.instances.insert(labels, instance);
        }
        for _ in 0..from.length()? {
            rule.outputs.insert(take_labels(&mut from)?);
        }
        rule.error = take_since_second(&mut from, version)?.map(str::to_owned);
        if version >= THIRD {
            rule.series = AlertSeries { open: take_times(&mut from)?, ended: take_times(&mut from)? };
        }
        rules.push(rule);
    }
    from.end()?;
    Ok(rules)
}

fn take_labels(from: &mut Cursor<'_>) -> Result<Labels, Damaged> {
    Labels::from_text(from.text()?).map_err(|_| Damaged("labels are not in their canonical form"))
}

fn take_times(from: &mut Cursor<'_>) -> Result<BTreeMap<Labels, Timestamp>, Damaged> {
    let mut times = BTreeMap::new();
    for _ in 0..from.length()? {
        times.insert(take_labels(from)?, Timestamp(from.signed()?));
    }
    Ok(times)
}

/// An alert and its state.
fn take_instance(from: &mut Cursor<'_>, version: u32) -> Result<(Instance, u8), Damaged> {
    let (element, annotations) = (take_labels(from)?, take_labels(from)?);
    let state = match (from.u8()?, version) {
        (state @ (PENDING | FIRING), _) => state,
        (OVERDUE, SECOND..) => OVERDUE,
        _ => return Err(Damaged("an alert has an unknown state")),
    };
    let mut instance = Instance {
        element,
        annotations,
        firing: state == FIRING,
        told: 0.0,
        value: Reading { number: from.f64()?, histogram: take_since_second(from, version)?.map(Arc::from) },
        active_at: Timestamp(from.signed()?),
        fired_at: from.maybe()?.map(Timestamp),
        keep_since: from.maybe()?.map(Timestamp),
        armed: None,
    };
    instance.told = if version > THIRD { from.f64()? } else { instance.value.number };
    Ok((instance, state))
}

/// A text that may be empty, and that the first version does not have.
fn take_since_second<'a>(from: &mut Cursor<'a>, version: u32) -> Result<Option<&'a str>, Damaged> {
    if version == FIRST {
        return Ok(None);
    }
    Ok(Some(from.text()?).filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved() -> Vec<SavedRule> {
        let labels = Labels::new([("alertname", "Down"), ("job", "a")]).unwrap();
        let instance = Instance {
            element: labels.clone(),
            annotations: Labels::empty(),
            firing: true,
            value: Reading { number: -0.5, histogram: Some(Arc::from("{count:1, sum:2}")) },
            told: 2.5,
            active_at: Timestamp(-3),
            fired_at: Some(Timestamp(7)),
            keep_since: None,
            armed: None,
        };
        let late = Labels::new([("alertname", "Late")]).unwrap();
        let overdue = Instance { firing: false, fired_at: None, ..instance.clone() };
        vec![SavedRule {
            key: "f\u{0}g".to_owned(),
            instances: BTreeMap::from([(labels.clone(), instance.clone()), (late.clone(), overdue)]),
            overdue: BTreeSet::from([late]),
            outputs: BTreeSet::from([labels.clone()]),
            error: Some("no result".to_owned()),
            series: AlertSeries {
                open: BTreeMap::from([(labels.clone(), Timestamp(5))]),
                ended: BTreeMap::from([(Labels::empty(), Timestamp(-5))]),
            },
        }]
    }

    #[test]
    fn a_state_reads_back_and_damage_is_seen() {
        let bytes = write(&saved());
        assert_eq!(read(&bytes), Ok(saved()));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(matches!(read(&damaged), Err(RestoreError::Damaged(_))), "byte {at}");
            assert!(read(&bytes[..at]).is_err(), "cut at {at}");
            // A checksum that fits does not make nonsense believed blindly.
            let body = damaged.split_at(bytes.len() - 4).0;
            let _ = read(&close_seal(body.to_vec()));
        }
        assert_eq!(read(&close_seal(open_seal(KIND, 5))), Err(RestoreError::Version { found: 5 }));
    }

    #[test]
    fn the_first_version_is_read() {
        let mut out = open_seal(KIND, FIRST);
        let mut state = saved();
        let (labels, instance) = state[0].instances.pop_first().unwrap();
        state[0].instances.clear();
        state[0].overdue.clear();
        put_varint(&mut out, 1);
        put_text(&mut out, &state[0].key);
        put_varint(&mut out, 1);
        for labels in [&labels, &instance.element, &instance.annotations] {
            put_text(&mut out, labels.as_text());
        }
        out.push(FIRING);
        out.extend((-0.5f64).to_bits().to_le_bytes());
        put_signed(&mut out, -3);
        put_maybe(&mut out, Some(7));
        put_maybe(&mut out, None);
        put_varint(&mut out, 1);
        put_text(&mut out, labels.as_text());
        let value = Reading::of_number(-0.5);
        state[0].error = None;
        state[0].series = AlertSeries::default();
        state[0].instances.insert(labels, Instance { told: value.number, value, ..instance });
        assert_eq!(read(&close_seal(out)), Ok(state));
    }
}
