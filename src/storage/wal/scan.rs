//! Finding the whole records of a segment, and what lies between them.

use std::ops::Range;

use crate::model::Seq;

use super::format::{self, END, HeaderError, RecordHeader, SEGMENT_HEADER_BYTES};

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
    /// The bytes that the record takes.
    pub(in crate::storage) fn bytes(&self) -> u64 {
        format::record_bytes(self.length) as u64
    }

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
    let searched = trim_zeros(bytes);
    while let Some(offset) = searched.get(at..).and_then(format::find_magic) {
        at += offset;
        match format::take_record(&bytes[at..], number) {
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

impl Scan {
    /// Ends the log before the first gap that a power cut explains. Unsynced sectors reach the disk in
    /// any order, so a later record of a group can be whole while an earlier one is torn. A gap is damage
    /// only if a record behind it knew that what is missing was durable. `last` is the entry before
    /// the segment. Whether anything was left out.
    pub(in crate::storage) fn cut_torn(&mut self, last: Seq) -> bool {
        let before = |at: usize| at.checked_sub(1).map_or(last, |at| self.records[at].header.seq);
        let gaps = (0..self.records.len()).rev().filter(|at| self.records[*at].header.seq.0 > before(*at).0 + 1);
        let (mut known, mut behind, mut cut) = (0, self.records.len(), None);
        for gap in gaps {
            let durable = self.records[gap..behind].iter().map(|place| place.header.durable().0).max();
            known = known.max(durable.unwrap_or(0));
            behind = gap;
            if known <= before(gap).0 {
                cut = Some(gap);
            }
        }
        let Some(cut) = cut else { return false };
        self.records.truncate(cut);
        self.end = self.records.last().map_or(SEGMENT_HEADER_BYTES, |place| place.payload + place.length);
        self.damaged.retain(|range| range.start < self.end);
        true
    }

    /// The segment's `bytes` such that what is left after [`Scan::cut_torn`] stands on its own, if they must
    /// change for it. A record behind a gap may have been kept because one that is cut now knew more; the next
    /// start must not think otherwise of it. So it says itself then that all before it was durable. `last` is
    /// the entry before the segment.
    pub(in crate::storage) fn settled(&self, bytes: &[u8], number: u64, last: Seq) -> Option<Vec<u8>> {
        if !self.clone().cut_torn(last) {
            return None;
        }
        let (mut out, mut before) = (bytes.to_vec(), last);
        for place in &self.records {
            if place.header.seq.0 > before.0 + 1 {
                let mut record = Vec::new();
                format::put_record(
                    &mut record,
                    number,
                    RecordHeader { unsynced: 0, ..place.header },
                    place.payload(bytes),
                );
                let end = place.payload + place.length;
                out[end - record.len()..end].copy_from_slice(&record);
            }
            before = place.header.seq;
        }
        Some(out)
    }
}

impl RecordHeader {
    /// The last entry that was known to be durable when this one was written.
    fn durable(&self) -> Seq {
        Seq(self.seq.0.saturating_sub(1 + u64::from(self.unsynced)))
    }
}

/// How many bytes behind the last record at `end` belong to one that is not whole: 0 if the end of the
/// log stands there, or the file ends.
pub(in crate::storage) fn torn_bytes(bytes: &[u8], end: usize) -> usize {
    let rest = trim_zeros(bytes.get(end..).unwrap_or_default());
    memchr::memmem::find(rest, &END).unwrap_or(rest.len())
}

/// The bytes without zeros behind them. By pages first: most of a new segment is zeros.
fn trim_zeros(mut bytes: &[u8]) -> &[u8] {
    const PAGE: [u8; 4096] = [0; 4096];
    while let Some(rest) = bytes.strip_suffix(&PAGE) {
        bytes = rest;
    }
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    &bytes[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use crate::storage::wal::format::EntryKind;

    fn header(seq: u64, unsynced: u32) -> RecordHeader {
        RecordHeader { seq: Seq(seq), at: Timestamp(0), kind: EntryKind::Note, next_series: 0, unsynced }
    }

    fn segment(notes: &[&[u8]]) -> Vec<u8> {
        let mut bytes = format::segment_header(1).to_vec();
        for (seq, note) in (1..).zip(notes) {
            format::put_record(&mut bytes, 1, header(seq, 0), note);
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

    #[test]
    fn what_another_segment_left_in_the_file_never_counts() {
        let stale = segment(&[b"one", b"two", b"three"]);
        let mut bytes = format::segment_header(2).to_vec();
        format::put_record(&mut bytes, 2, header(4, 0), b"x");
        for end in 0..stale.len() - bytes.len() {
            // The new bytes over the old ones at every distance.
            let mut file = stale[end..].to_vec();
            file[..bytes.len()].copy_from_slice(&bytes);
            let found = scan(&file, 2, Seq(3)).unwrap();
            assert_eq!((found.records.len(), found.end, found.damaged.len()), (1, bytes.len(), 0));
        }
    }

    #[test]
    fn the_end_of_the_log_is_known_from_a_torn_entry() {
        let mut bytes = segment(&[b"one", &[0; 100]]);
        let end = scan(&bytes, 1, Seq(0)).unwrap().end;
        assert_eq!((end, torn_bytes(&bytes, end)), (bytes.len(), 0));
        for zeros in [1, 39, 40, 41, 5000] {
            bytes.resize(end + zeros, 0);
            assert_eq!((scan(&bytes, 1, Seq(0)).unwrap().end, torn_bytes(&bytes, end)), (end, 0));
        }
        bytes.extend(b"of an earlier use");
        assert_eq!(torn_bytes(&bytes, end), 0);
        bytes[end + 7] = 1;
        assert_eq!(torn_bytes(&bytes, end), 8, "up to the next end");
    }

    /// Records by how many entries before each were not durable; those without are missing.
    fn check_cut(records: &[Option<u32>], last: u64, kept: usize) {
        let mut bytes = format::segment_header(1).to_vec();
        for (seq, unsynced) in (last + 1..).zip(records) {
            match unsynced {
                Some(unsynced) => format::put_record(&mut bytes, 1, header(seq, *unsynced), b"note"),
                None => bytes.extend([7; 44]),
            }
        }
        let mut found = scan(&bytes, 1, Seq(last)).unwrap();
        let all = found.records.len();
        assert_eq!(found.cut_torn(Seq(last)), kept < all, "{records:?}");
        assert_eq!(found.records.len(), kept, "{records:?}");
        assert!(found.damaged.iter().all(|range| range.end <= found.end), "{records:?}");
        // The next start, which no longer sees what was cut, comes to the same end.
        bytes.truncate(found.end);
        let bytes = found.settled(&bytes, 1, Seq(last)).unwrap_or(bytes);
        let mut again = scan(&bytes, 1, Seq(last)).unwrap();
        assert!(!again.cut_torn(Seq(last)) && again.records.len() == kept, "{records:?}");
    }

    #[test]
    fn a_gap_that_a_power_cut_explains_ends_the_log() {
        check_cut(&[Some(0), Some(0), Some(0)], 0, 3);
        // A group of three, torn in its first or second record.
        check_cut(&[Some(0), None, Some(1), Some(2)], 5, 1);
        check_cut(&[Some(0), Some(0), None, Some(2)], 5, 2);
        check_cut(&[None, Some(1)], 5, 0);
        // A later group knows the first one durable: that is damage, and nothing behind it goes.
        check_cut(&[Some(0), None, Some(1), Some(0)], 5, 3);
        check_cut(&[None, Some(0)], 5, 1);
        // Two gaps, and the record behind the second knows that the first is one of durable entries.
        check_cut(&[Some(0), None, Some(1), None, Some(2)], 5, 2);
        // Damage, then a torn group.
        check_cut(&[None, Some(0), None, Some(1)], 5, 1);
        // Two gaps, neither known to be durable.
        check_cut(&[Some(0), None, Some(1), None, Some(3)], 0, 1);
    }
}
