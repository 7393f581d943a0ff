//! Byte layout of the rules' saved state: what stored samples do not hold. `storage-format.md`
//! describes it; change both together.
//!
//! Invariants:
//! - What was written reads back equal; anything else is an error and never a panic.

use std::collections::{BTreeMap, BTreeSet};

use crate::codec::{
    Cursor, Damaged, SealError, break_seal, close_seal, open_seal, put_maybe, put_signed, put_text, put_varint,
};
use crate::model::{Labels, Timestamp};

use super::alerting::Instance;

const KIND: [u8; 8] = *b"evkrules";
/// The version that is written, and the only one that is read.
const VERSION: u32 = 1;

const PENDING: u8 = 0;
const FIRING: u8 = 1;

/// The state of one rule.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SavedRule {
    pub(super) key: String,
    pub(super) instances: BTreeMap<Labels, Instance>,
    pub(super) outputs: BTreeSet<Labels>,
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
            put_instance(&mut out, instance);
        }
        put_varint(&mut out, rule.outputs.len() as u64);
        rule.outputs.iter().for_each(|labels| put_text(&mut out, labels.as_text()));
    }
    close_seal(out)
}

fn put_instance(out: &mut Vec<u8>, instance: &Instance) {
    put_text(out, instance.element.as_text());
    put_text(out, instance.annotations.as_text());
    out.push(if instance.firing { FIRING } else { PENDING });
    out.extend(instance.value.to_bits().to_le_bytes());
    put_signed(out, instance.active_at.0);
    put_maybe(out, instance.fired_at.map(|t| t.0));
    put_maybe(out, instance.keep_since.map(|t| t.0));
}

/// The rules' states from their bytes.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<SavedRule>, RestoreError> {
    let mut from = break_seal(bytes, KIND, VERSION)?;
    let mut rules = Vec::new();
    for _ in 0..from.length()? {
        let mut rule = SavedRule { key: from.text()?.to_owned(), instances: BTreeMap::new(), outputs: BTreeSet::new() };
        for _ in 0..from.length()? {
            rule.instances.insert(take_labels(&mut from)?, take_instance(&mut from)?);
        }
        for _ in 0..from.length()? {
            rule.outputs.insert(take_labels(&mut from)?);
        }
        rules.push(rule);
    }
    from.end()?;
    Ok(rules)
}

fn take_labels(from: &mut Cursor<'_>) -> Result<Labels, Damaged> {
    Labels::from_text(from.text()?).map_err(|_| Damaged("labels are not in their canonical form"))
}

fn take_instance(from: &mut Cursor<'_>) -> Result<Instance, Damaged> {
    Ok(Instance {
        element: take_labels(from)?,
        annotations: take_labels(from)?,
        firing: match from.u8()? {
            PENDING => false,
            FIRING => true,
            _ => return Err(Damaged("an alert has an unknown state")),
        },
        value: from.f64()?,
        active_at: Timestamp(from.signed()?),
        fired_at: from.maybe()?.map(Timestamp),
        keep_since: from.maybe()?.map(Timestamp),
        armed: None,
    })
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
            value: -0.5,
            active_at: Timestamp(-3),
            fired_at: Some(Timestamp(7)),
            keep_since: None,
            armed: None,
        };
        vec![SavedRule {
            key: "f\u{0}g".to_owned(),
            instances: BTreeMap::from([(labels.clone(), instance)]),
            outputs: BTreeSet::from([labels]),
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
        assert_eq!(read(&close_seal(open_seal(KIND, 2))), Err(RestoreError::Version { found: 2 }));
    }
}
