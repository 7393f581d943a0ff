//! Finding the whole records of a segment, and what lies between them.

use std::ops::Range;

use crate::model::Seq;

use super::format::{self, HeaderError, RecordHeader, SEGMENT_HEADER_BYTES};

/// Where a record stands in its segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) struct Place {
    /// Its header.
    pub(in crate::storage) header: RecordHeader,
    /// Where its payload begins.
    pub(in crate::storage) payload: usize,
    /// How long its payload is.
    pub(in crate::storage) length: usize,
}

impl Place {
    /// The record's payload in its segment's bytes.
    pub(in crate::storage) fn payload<'a>(&self, segment: &'a [u8]) -> &'a [u8] {
        segment.get(self.payload..self.payload + self.length).unwrap_or_default()
    }
}

/// What a segment holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::storage) struct Scan {
    /// The whole records, in order.
    pub(in crate::storage) records: Vec<Place>,
    /// Byte ranges before the last whole record that hold none.
    pub(in crate::storage) damaged: Vec<Range<usize>>,
    /// Where the last whole record ends; behind it there is at most a torn one.
    pub(in crate::storage) end: usize,
}

/// Reads segment `number`, whose records come after `last`. A whole header of another version gives that version.
pub(in crate::storage) fn scan(bytes: &[u8], number: u64, last: Seq) -> Result<Scan, u32> {
    let mut found = Scan::default();
    let mut at = match format::check_segment_header(bytes, number) {
        Ok(()) => SEGMENT_HEADER_BYTES,
        Err(HeaderError::Version(version)) => return Err(version),
        Err(HeaderError::Damaged) => 0,
    };
    found.end = at;
    let mut last = last;
    while let Some(offset) = bytes.get(at..).and_then(format::find_magic) {
        at += offset;
        match format::take_record(&bytes[at..]) {
            Some((header, payload)) if header.seq > last => {
                if at > found.end {
                    found.damaged.push(found.end..at);
                }
                let payload_at = at + format::record_bytes(0);
                found.records.push(Place { header, payload: payload_at, length: payload.len() });
                last = header.seq;
                at = payload_at + payload.len();
                found.end = at;
            }
            _ => at += 1,
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use crate::storage::wal::format::EntryKind;

    fn segment(notes: &[&[u8]]) -> Vec<u8> {
        let mut bytes = format::segment_header(1).to_vec();
        for (seq, note) in (1..).zip(notes) {
            let header = RecordHeader { seq: Seq(seq), at: Timestamp(0), kind: EntryKind::Note };
            format::put_record(&mut bytes, header, note);
        }
        bytes
    }

    #[test]
    fn every_cut_leaves_the_records_before_it() {
        let whole = segment(&[b"one", b"", b"three"]);
        let ends: Vec<usize> = scan(&whole, 1, Seq(0)).unwrap().records.iter().map(|p| p.payload + p.length).collect();
        for cut in 0..=whole.len() {
            let found = scan(&whole[..cut], 1, Seq(0)).unwrap();
            assert_eq!(found.records.len(), ends.iter().filter(|end| **end <= cut).count(), "cut at {cut}");
            assert!(found.damaged.is_empty(), "cut at {cut}");
        }
    }

    #[test]
    fn every_damaged_byte_costs_at_most_its_record() {
        let whole = segment(&[b"one", b"two", b"three"]);
        let all = scan(&whole, 1, Seq(0)).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x40;
            let found = scan(&bytes, 1, Seq(0)).unwrap();
            let kept = all.records.iter().filter(|place| {
                let start = place.payload - format::record_bytes(0);
                !(start..place.payload + place.length).contains(&at)
            });
            assert!(found.records.iter().eq(kept), "byte {at}");
            assert!(found.damaged.len() == 1 || found.end < bytes.len(), "byte {at} is noticed");
        }
    }

    #[test]
    fn a_record_inside_a_note_is_not_mistaken_for_a_later_one() {
        let inner = segment(&[b"x"]);
        let found = scan(&segment(&[&inner, b"y"]), 1, Seq(0)).unwrap();
        assert_eq!(found.records.len(), 2);
        assert!(found.damaged.is_empty());
    }
}
