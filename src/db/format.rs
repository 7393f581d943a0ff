//! Byte layouts of what this layer stores itself: deploys, as notes in the log and as the list that
//! a checkpoint keeps. `storage-format.md` describes them; change both together.
//!
//! Invariants:
//! - What was written reads back equal; anything else is an error and never a panic.

use crate::codec::{Damaged, SealError, break_seal, close_seal, open_seal, put_signed, put_text, put_varint};
use crate::model::Timestamp;

use super::deploys::Deploy;

const KIND: [u8; 8] = *b"evkdeplo";
/// The version of the list that is written, and the only one that is read.
const VERSION: u32 = 1;

/// The first byte of a note that marks a deploy.
const NOTE_DEPLOY: u8 = 1;

/// A list of deploys that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum DeploysError {
    /// Another kind of data, changed or cut off.
    #[error("the saved deploys cannot be read: {0}; only later ones are shown")]
    Damaged(#[from] Damaged),
    /// Written by a later release.
    #[error("the saved deploys have version {found}, this release reads {VERSION}; only later ones are shown")]
    Version {
        /// Its version.
        found: u32,
    },
}

impl From<SealError> for DeploysError {
    fn from(error: SealError) -> DeploysError {
        match error {
            SealError::Damaged(damaged) => DeploysError::Damaged(damaged),
            SealError::Version(found) => DeploysError::Version { found },
        }
    }
}

/// The note that marks a deploy: its kind, the service, a zero byte, the version.
pub(in crate::db) fn note(service: &str, version: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(service.len() + version.len() + 2);
    bytes.push(NOTE_DEPLOY);
    bytes.extend_from_slice(service.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(version.as_bytes());
    bytes
}

/// Service and version of a note that marks a deploy; `None` for notes of other kinds, which a later
/// release may have written.
pub(super) fn read_note(note: &[u8]) -> Option<(&str, &str)> {
    let (&NOTE_DEPLOY, text) = note.split_first()? else { return None };
    std::str::from_utf8(text).ok()?.split_once('\0')
}

/// The bytes of a list of deploys.
pub(super) fn write<'a>(deploys: impl ExactSizeIterator<Item = &'a Deploy>) -> Vec<u8> {
    let mut out = open_seal(KIND, VERSION);
    put_varint(&mut out, deploys.len() as u64);
    for deploy in deploys {
        put_signed(&mut out, deploy.at.0);
        put_text(&mut out, &deploy.service);
        put_text(&mut out, &deploy.version);
    }
    close_seal(out)
}

/// The list from its bytes.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Deploy>, DeploysError> {
    let mut from = break_seal(bytes, KIND, VERSION)?;
    let mut list = Vec::new();
    for _ in 0..from.length()? {
        let at = Timestamp(from.signed()?);
        list.push(Deploy { at, service: from.text()?.to_owned(), version: from.text()?.to_owned() });
    }
    from.end()?;
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reads_back_and_damage_is_seen() {
        let list = vec![
            Deploy { at: Timestamp(-5), service: "checkout".into(), version: "v1".into() },
            Deploy { at: Timestamp(7), service: "é".into(), version: "".into() },
        ];
        let bytes = write(list.iter());
        assert_eq!(read(&bytes), Ok(list));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(matches!(read(&damaged), Err(DeploysError::Damaged(_))), "byte {at}");
            assert!(read(&bytes[..at]).is_err(), "cut at {at}");
        }
        assert_eq!(read(&close_seal(open_seal(KIND, 3))), Err(DeploysError::Version { found: 3 }));
    }

    #[test]
    fn notes_read_back_and_others_are_passed_over() {
        assert_eq!(read_note(&note("a", "v2")), Some(("a", "v2")));
        for other in [&b""[..], b"\x01", b"\x01a", b"\x02a\0b", b"\x01\xff\0b"] {
            assert_eq!(read_note(other), None);
        }
    }
}
