//! Deploys: what was rolled out when. Kept as notes in the log.
//!
//! Invariants:
//! - The list is in the order of the log and holds at most [`limits::DEPLOYS_MAX`] entries, the newest.

use std::collections::VecDeque;

use crate::model::{Timestamp, limits};

use super::format;
pub(super) use super::format::note;

/// A version of a service that went live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deploy {
    /// When.
    pub at: Timestamp,
    /// The service, as objectives name it.
    pub service: String,
    /// The version, free text.
    pub version: String,
}

/// The deploys known.
#[derive(Debug, Clone, Default)]
pub(super) struct Deploys {
    list: VecDeque<Deploy>,
}

impl Deploys {
    /// Takes a note of the log; notes of other kinds are none of ours.
    pub(super) fn observe(&mut self, at: Timestamp, note: &[u8]) {
        let Some((service, version)) = format::read_note(note) else { return };
        self.list.push_back(Deploy { at, service: service.to_owned(), version: version.to_owned() });
        if self.list.len() > limits::DEPLOYS_MAX {
            self.list.pop_front();
        }
    }

    /// All of them, oldest first.
    pub(super) fn list(&self) -> Vec<Deploy> {
        self.list.iter().cloned().collect()
    }

    /// The list as bytes.
    pub(super) fn save(&self) -> Vec<u8> {
        format::write(self.list.iter())
    }

    /// What [`Deploys::save`] wrote; a list that cannot be read is left out, loudly.
    pub(super) fn restore(bytes: &[u8]) -> Deploys {
        let list = match format::read(bytes) {
            _ if bytes.is_empty() => Vec::new(),
            Ok(list) => list,
            Err(error) => {
                tracing::error!("{error}");
                Vec::new()
            }
        };
        Deploys { list: list.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_bounded_and_survives_saving() {
        let mut deploys = Deploys::default();
        for i in 0..limits::DEPLOYS_MAX as i64 + 2 {
            deploys.observe(Timestamp(i), &note("checkout", &format!("v{i}")));
        }
        deploys.observe(Timestamp(0), b"\x07other");
        let list = deploys.list();
        assert_eq!(list.len(), limits::DEPLOYS_MAX);
        assert_eq!(list[0], Deploy { at: Timestamp(2), service: "checkout".into(), version: "v2".into() });
        assert_eq!(Deploys::restore(&deploys.save()).list(), list);
        assert_eq!(Deploys::restore(&deploys.save()[..20]).list().len(), 0);
        assert_eq!(Deploys::restore(b"").list().len(), 0);
    }
}
