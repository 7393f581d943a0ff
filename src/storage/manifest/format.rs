//! Byte layouts of the manifest and of the attachments. `storage-format.md` describes them; change
//! both together.

use crate::codec::{Damaged, SealError, break_seal, close_seal, open_seal};
use crate::model::limits::STORED_NUMBER_MAX;
use crate::model::{Seq, Timestamp};

/// The version that is written.
const VERSION: u32 = 1;
const MANIFEST_MAGIC: [u8; 8] = *b"evkmanif";
const ATTACHMENTS_MAGIC: [u8; 8] = *b"evkattac";

const NUMBER_TOO_LARGE: Damaged = Damaged("it has a number that nothing can have been given");

/// What the store consists of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::storage) struct Manifest {
    /// The last entry of the last checkpoint: everything up to it is in blocks.
    pub(in crate::storage) seq: Seq,
    /// The log's time at that entry.
    pub(in crate::storage) at: Timestamp,
    /// The first log segment with entries behind the checkpoint.
    pub(in crate::storage) first_segment: u64,
    /// A number that no file has had yet.
    pub(in crate::storage) next_file: u64,
    /// The number of the attachments' file; 0 if there is none.
    pub(in crate::storage) attachments: u64,
    /// The number of the tombstones' file; 0 if there is none.
    pub(in crate::storage) tombstones: u64,
    /// The blocks, in the order in which they were made.
    pub(in crate::storage) blocks: Vec<BlockName>,
    /// A number that no series had had at the last checkpoint.
    pub(in crate::storage) next_series: u32,
    /// The series files, in the order in which they were made.
    pub(in crate::storage) series_files: Vec<SeriesFileName>,
}

/// How a manifest names a series file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) struct SeriesFileName {
    /// Its number, which is its file's name.
    pub(in crate::storage) number: u64,
    /// How many series it names.
    pub(in crate::storage) series: u32,
}

/// How a manifest names a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) struct BlockName {
    /// Its number, which is its file's name.
    pub(in crate::storage) number: u64,
    /// How many times its samples were merged.
    pub(in crate::storage) level: u8,
}

impl Manifest {
    /// Magic, version, seq, at, first segment, next file, attachments, tombstones, count of blocks, blocks,
    /// next series, count of series files, series files, checksum.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = open_seal(MANIFEST_MAGIC, VERSION);
        out.extend(self.seq.0.to_le_bytes());
        out.extend(self.at.0.to_le_bytes());
        out.extend(self.first_segment.to_le_bytes());
        out.extend(self.next_file.to_le_bytes());
        out.extend(self.attachments.to_le_bytes());
        out.extend(self.tombstones.to_le_bytes());
        out.extend((self.blocks.len() as u32).to_le_bytes());
        for block in &self.blocks {
            out.extend(block.number.to_le_bytes());
            out.push(block.level);
        }
        out.extend(self.next_series.to_le_bytes());
        out.extend((self.series_files.len() as u32).to_le_bytes());
        for file in &self.series_files {
            out.extend(file.number.to_le_bytes());
            out.extend(file.series.to_le_bytes());
        }
        close_seal(out)
    }

    /// Reads what [`Manifest::to_bytes`] gave.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Manifest, SealError> {
        let mut from = break_seal(bytes, MANIFEST_MAGIC, VERSION)?;
        let mut manifest = Manifest {
            seq: Seq(from.u64()?),
            at: Timestamp(from.i64()?),
            first_segment: from.u64()?,
            next_file: from.u64()?,
            attachments: from.u64()?,
            tombstones: from.u64()?,
            ..Manifest::default()
        };
        for _ in 0..from.u32()? {
            manifest.blocks.push(BlockName { number: from.u64()?, level: from.u8()? });
        }
        manifest.next_series = from.u32()?;
        for _ in 0..from.u32()? {
            manifest.series_files.push(SeriesFileName { number: from.u64()?, series: from.u32()? });
        }
        from.end()?;
        let blocks = manifest.blocks.iter().map(|block| block.number);
        let numbers = [manifest.seq.0, manifest.first_segment, manifest.next_file, manifest.attachments];
        let mut numbers = numbers.into_iter().chain([manifest.tombstones]).chain(blocks);
        if numbers.any(|number| number > STORED_NUMBER_MAX) {
            return Err(NUMBER_TOO_LARGE.into());
        }
        Ok(manifest)
    }
}

/// What upper layers gave at a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::storage) struct Attachments {
    /// The entry up to which they count.
    pub(in crate::storage) seq: Seq,
    /// The log's time at that entry.
    pub(in crate::storage) at: Timestamp,
    /// Names and bytes.
    pub(in crate::storage) parts: Vec<(String, Vec<u8>)>,
}

impl Attachments {
    /// Magic, version, seq, at, count of parts, name and bytes of each after their lengths, checksum.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = open_seal(ATTACHMENTS_MAGIC, VERSION);
        out.extend(self.seq.0.to_le_bytes());
        out.extend(self.at.0.to_le_bytes());
        out.extend((self.parts.len() as u32).to_le_bytes());
        for (name, bytes) in &self.parts {
            out.extend((name.len() as u32).to_le_bytes());
            out.extend(name.as_bytes());
            out.extend((bytes.len() as u64).to_le_bytes());
            out.extend(bytes);
        }
        close_seal(out)
    }

    /// Reads what [`Attachments::to_bytes`] gave.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Attachments, Damaged> {
        let mut from = break_seal(bytes, ATTACHMENTS_MAGIC, VERSION).map_err(|error| match error {
            SealError::Damaged(damaged) => damaged,
            SealError::Version(_) => Damaged("it was written by another version of evenkeel"),
        })?;
        let (seq, at) = (Seq(from.u64()?), Timestamp(from.i64()?));
        if seq.0 > STORED_NUMBER_MAX {
            return Err(NUMBER_TOO_LARGE);
        }
        let mut parts = Vec::new();
        for _ in 0..from.u32()? {
            let length = from.u32()? as usize;
            let name = std::str::from_utf8(from.bytes(length)?).map_err(|_| Damaged("a name is not UTF-8"))?;
            let length = usize::try_from(from.u64()?).unwrap_or(usize::MAX);
            parts.push((name.to_owned(), from.bytes(length)?.to_vec()));
        }
        from.end()?;
        Ok(Attachments { seq, at, parts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_and_attachments_come_back() {
        let manifest = Manifest {
            seq: Seq(9),
            at: Timestamp(-1),
            first_segment: 3,
            next_file: 12,
            attachments: 11,
            tombstones: 10,
            blocks: vec![BlockName { number: 4, level: 0 }, BlockName { number: 7, level: 2 }],
            next_series: 70,
            series_files: vec![SeriesFileName { number: 5, series: 60 }, SeriesFileName { number: 9, series: 3 }],
        };
        let bytes = manifest.to_bytes();
        assert_eq!(Manifest::from_bytes(&bytes).unwrap(), manifest);
        let attachments =
            Attachments { seq: Seq(9), at: Timestamp(5), parts: vec![("a".into(), vec![1, 2]), ("".into(), vec![])] };
        let other = attachments.to_bytes();
        assert_eq!(Attachments::from_bytes(&other).unwrap(), attachments);
        check_every_damage(&bytes, |bytes| Manifest::from_bytes(bytes).is_err());
        check_every_damage(&other, |bytes| Attachments::from_bytes(bytes).is_err());
    }

    #[test]
    fn a_number_that_leaves_no_room_to_count_on_is_damage() {
        let check = |seq: u64, next_file: u64, taken: bool| {
            let manifest = Manifest { seq: Seq(seq), next_file, ..Manifest::default() };
            assert_eq!(Manifest::from_bytes(&manifest.to_bytes()).is_ok(), taken, "{seq}, {next_file}");
            let attachments = Attachments { seq: Seq(seq), ..Attachments::default() };
            assert_eq!(Attachments::from_bytes(&attachments.to_bytes()).is_ok(), seq <= STORED_NUMBER_MAX, "{seq}");
        };
        check(STORED_NUMBER_MAX, STORED_NUMBER_MAX, true);
        check(STORED_NUMBER_MAX + 1, 1, false);
        check(1, u64::MAX, false);
    }

    fn check_every_damage(whole: &[u8], refused: impl Fn(&[u8]) -> bool) {
        for at in 0..whole.len() {
            let mut damaged = whole.to_vec();
            damaged[at] ^= 1;
            assert!(refused(&damaged), "byte {at}");
            assert!(refused(&whole[..at]), "cut at {at}");
        }
    }
}
