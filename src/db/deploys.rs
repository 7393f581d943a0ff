//! Deploys: what was rolled out when. Kept as notes in the log.
//!
//! Invariants:
//! - The list is in the order of the log and holds at most [`limits::DEPLOYS_MAX`] entries, the newest.

use std::collections::VecDeque;

use crate::model::{Timestamp, limits};

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

/// The first byte of a note that marks a deploy.
const NOTE_DEPLOY: u8 = 1;

/// The note that marks a deploy: kind, service, a zero byte, version.
pub(super) fn note(service: &str, version: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(service.len() + version.len() + 2);
    bytes.push(NOTE_DEPLOY);
    bytes.extend_from_slice(service.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(version.as_bytes());
    bytes
}

impl Deploys {
    /// Takes a note of the log; notes of other kinds are none of ours.
    pub(super) fn observe(&mut self, at: Timestamp, note: &[u8]) {
        let Some((&NOTE_DEPLOY, text)) = note.split_first() else { return };
        let Some(zero) = text.iter().position(|b| *b == 0) else { return };
        let text_of = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.list.push_back(Deploy { at, service: text_of(&text[..zero]), version: text_of(&text[zero + 1..]) });
        if self.list.len() > limits::DEPLOYS_MAX {
            self.list.pop_front();
        }
    }

    /// All of them, oldest first.
    pub(super) fn list(&self) -> Vec<Deploy> {
        self.list.iter().cloned().collect()
    }

    /// The list as bytes: for each entry the time, the length of the note and the note.
    pub(super) fn save(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for deploy in &self.list {
            let note = note(&deploy.service, &deploy.version);
            bytes.extend_from_slice(&deploy.at.0.to_le_bytes());
            bytes.extend_from_slice(&(note.len() as u32).to_le_bytes());
            bytes.extend_from_slice(&note);
        }
        bytes
    }

    /// Reads what [`Deploys::save`] wrote; stops at the first entry that is cut off.
    pub(super) fn restore(mut bytes: &[u8]) -> Deploys {
        let mut deploys = Deploys::default();
        while let Some((at, rest)) = bytes.split_first_chunk::<8>() {
            let Some((len, rest)) = rest.split_first_chunk::<4>() else { break };
            let len = u32::from_le_bytes(*len) as usize;
            let Some((note, rest)) = rest.split_at_checked(len) else { break };
            deploys.observe(Timestamp(i64::from_le_bytes(*at)), note);
            bytes = rest;
        }
        deploys
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
    }
}
