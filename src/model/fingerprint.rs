//! Short names of series for tables in memory.
//!
//! Invariants:
//! - A fingerprint is keyed with a secret of this process, so that no sender can make two series
//!   collide; it is never stored.
//! - Labels and the bytes in which a protocol spelled them have different fingerprints.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::OnceLock;

use xxhash_rust::xxh3::xxh3_128_with_secret;

use super::label::Labels;

/// A keyed hash of 128 bits: two series of one process share one with a chance of 2^-64 even among
/// four thousand million.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub u128);

/// XXH3 takes at least 136 bytes of secret; its own default has 192.
const SECRET_BYTES: usize = 192;

/// The secrets of this process: for labels, and for bytes as received.
struct Secrets {
    labels: [u8; SECRET_BYTES],
    raw: [u8; SECRET_BYTES],
}

static SECRETS: OnceLock<Secrets> = OnceLock::new();

impl Fingerprint {
    /// That of a label set.
    pub fn of_labels(labels: &Labels) -> Fingerprint {
        Fingerprint(xxh3_128_with_secret(labels.as_text().as_bytes(), &secrets().labels))
    }

    /// That of a label set in the bytes in which it was received.
    pub fn of_raw(bytes: &[u8]) -> Fingerprint {
        Fingerprint(xxh3_128_with_secret(bytes, &secrets().raw))
    }
}

fn secrets() -> &'static Secrets {
    SECRETS.get_or_init(|| Secrets { labels: random_bytes(), raw: random_bytes() })
}

/// Bytes that differ in each process: the standard library keys its hash maps from the operating
/// system's randomness.
fn random_bytes() -> [u8; SECRET_BYTES] {
    let mut bytes = [0; SECRET_BYTES];
    for (n, part) in bytes.chunks_mut(8).enumerate() {
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_usize(n);
        part.copy_from_slice(&hasher.finish().to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_do_not_collide_with_labels() {
        let labels = Labels::new([("__name__", "up"), ("job", "a")]).unwrap();
        let same = Labels::new([("job", "a"), ("__name__", "up")]).unwrap();
        let other = Labels::new([("__name__", "up"), ("job", "b")]).unwrap();
        assert_eq!(Fingerprint::of_labels(&labels), Fingerprint::of_labels(&same));
        assert_ne!(Fingerprint::of_labels(&labels), Fingerprint::of_labels(&other));
        assert_ne!(Fingerprint::of_labels(&labels), Fingerprint::of_raw(labels.as_text().as_bytes()));
    }
}
