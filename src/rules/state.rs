//! The bytes of the state that stored samples do not hold.
//!
//! Layout: the text `EVKRULES`, a version byte, the rules, and the CRC-32 of all before it. A
//! number is eight bytes, little-endian; a text or a list is its length and its content; an
//! instant that may be absent is preceded by a byte 0 or 1.
//!
//! Invariants:
//! - What was written reads back equal; anything else is an error and never a panic.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Labels, Timestamp};

use super::alerting::Instance;

const MAGIC: &[u8] = b"EVKRULES";
const VERSION: u8 = 1;

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
    /// Another kind of data, or cut off.
    #[error("the saved alert state cannot be read: {0}; alerts start anew")]
    Malformed(&'static str),
    /// Written by a later release.
    #[error("the saved alert state has version {found}, this release reads {VERSION}; alerts start anew")]
    Version {
        /// Its version.
        found: u8,
    },
}

/// The bytes of the rules' states.
pub(super) fn write(rules: &[SavedRule]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.push(VERSION);
    put_number(&mut out, rules.len() as u64);
    for rule in rules {
        put_text(&mut out, &rule.key);
        put_number(&mut out, rule.instances.len() as u64);
        for (labels, instance) in &rule.instances {
            put_text(&mut out, labels.as_text());
            put_text(&mut out, instance.element.as_text());
            put_text(&mut out, instance.annotations.as_text());
            out.push(u8::from(instance.firing));
            put_number(&mut out, instance.value.to_bits());
            put_number(&mut out, instance.active_at.0 as u64);
            put_instant(&mut out, instance.fired_at);
            put_instant(&mut out, instance.keep_since);
        }
        put_number(&mut out, rule.outputs.len() as u64);
        rule.outputs.iter().for_each(|labels| put_text(&mut out, labels.as_text()));
    }
    let sum = crc32fast::hash(&out);
    out.extend(sum.to_le_bytes());
    out
}

/// The rules' states from their bytes.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<SavedRule>, RestoreError> {
    let Some((body, sum)) = bytes.split_last_chunk::<4>() else { return Err(RestoreError::Malformed("too short")) };
    let Some(rest) = body.strip_prefix(MAGIC) else { return Err(RestoreError::Malformed("not an alert state")) };
    match rest.first() {
        Some(&VERSION) => {}
        Some(&found) => return Err(RestoreError::Version { found }),
        None => return Err(RestoreError::Malformed("too short")),
    }
    if crc32fast::hash(body) != u32::from_le_bytes(*sum) {
        return Err(RestoreError::Malformed("its checksum does not match"));
    }
    rules(&mut Reader { rest: &rest[1..] }).ok_or(RestoreError::Malformed("its structure is broken"))
}

fn rules(reader: &mut Reader<'_>) -> Option<Vec<SavedRule>> {
    let mut rules = Vec::new();
    for _ in 0..reader.number()? {
        let key = reader.text()?.to_owned();
        let mut instances = BTreeMap::new();
        for _ in 0..reader.number()? {
            instances.insert(reader.labels()?, reader.instance()?);
        }
        let mut outputs = BTreeSet::new();
        for _ in 0..reader.number()? {
            outputs.insert(reader.labels()?);
        }
        rules.push(SavedRule { key, instances, outputs });
    }
    reader.rest.is_empty().then_some(rules)
}

fn put_number(out: &mut Vec<u8>, n: u64) {
    out.extend(n.to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_number(out, text.len() as u64);
    out.extend(text.as_bytes());
}

fn put_instant(out: &mut Vec<u8>, instant: Option<Timestamp>) {
    out.push(u8::from(instant.is_some()));
    if let Some(t) = instant {
        put_number(out, t.0 as u64);
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(n)?;
        self.rest = rest;
        Some(head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.number()?).ok()?;
        std::str::from_utf8(self.take(length)?).ok()
    }

    fn labels(&mut self) -> Option<Labels> {
        Labels::from_text(self.text()?).ok()
    }

    fn instant(&mut self) -> Option<Timestamp> {
        Some(Timestamp(self.number()? as i64))
    }

    fn maybe_instant(&mut self) -> Option<Option<Timestamp>> {
        match self.byte()? {
            0 => Some(None),
            1 => self.instant().map(Some),
            _ => None,
        }
    }

    fn instance(&mut self) -> Option<Instance> {
        Some(Instance {
            element: self.labels()?,
            annotations: self.labels()?,
            firing: self.byte()? == 1,
            value: f64::from_bits(self.number()?),
            active_at: self.instant()?,
            fired_at: self.maybe_instant()?,
            keep_since: self.maybe_instant()?,
            armed: None,
        })
    }
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
            assert!(read(&damaged).is_err(), "byte {at}");
            assert!(read(&bytes[..at]).is_err(), "cut at {at}");
        }
    }
}
