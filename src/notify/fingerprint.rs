//! Identities made of content: the same in every process, on every machine.

use crate::model::Labels;
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;

/// An alert, by the fingerprint of its labels as the rule gave them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct AlertKey(pub(super) u64);

impl AlertKey {
    /// The key of the alert with these labels.
    pub(super) fn of(labels: &Labels) -> AlertKey {
        AlertKey(fingerprint(labels))
    }
}

/// Prometheus' fingerprint of a label set: FNV-1a of 64 bits over names and values, each closed by
/// the byte 0xff. Receivers know alerts by it, so it must be this one.
pub(super) fn fingerprint(labels: &Labels) -> u64 {
    let mut sum: u64 = 0xcbf2_9ce4_8422_2325;
    let mut add = |bytes: &[u8]| {
        for byte in bytes.iter().chain(&[0xff]) {
            sum = (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for label in labels.iter() {
        add(label.name.as_bytes());
        add(label.value.as_bytes());
    }
    sum
}

/// A hash of 128 bits over parts, none of which can run into the next.
pub(super) struct Digest(SipHasher13);

impl Digest {
    pub(super) fn new() -> Digest {
        Digest(SipHasher13::new())
    }

    pub(super) fn text(mut self, part: &str) -> Digest {
        self.0.write_u64(part.len() as u64);
        self.0.write(part.as_bytes());
        self
    }

    pub(super) fn number(mut self, part: u64) -> Digest {
        self.0.write_u64(part);
        self
    }

    pub(super) fn short(&self) -> u64 {
        self.0.finish()
    }

    pub(super) fn hex(&self) -> String {
        format!("{:032x}", self.0.finish128().as_u128())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_is_fnv_over_names_and_values() {
        // FNV-1a's offset basis: what Prometheus gives for no labels.
        assert_eq!(fingerprint(&Labels::empty()), 14_695_981_039_346_656_037);
        let two = Labels::new([("a", "b"), ("c", "d")]).unwrap();
        let other = Labels::new([("a", "bc"), ("d", "x")]).unwrap();
        assert_ne!(fingerprint(&two), fingerprint(&other));
    }

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(Digest::new().text("ab").text("c").hex(), Digest::new().text("a").text("bc").hex());
    }
}
