//! Byte layout of a log segment. `storage-format.md` describes it; change both together.

use crate::codec::{Cursor, Damaged, checksum, put_signed, put_varint, signed, unsigned};
use crate::model::limits::LOG_RECORD_BYTES_MAX;
use crate::model::{Sample, Seq, Timestamp};

/// The version of the log that is written; older ones do not exist.
const VERSION: u32 = 1;
const SEGMENT_MAGIC: [u8; 8] = *b"evklog\r\n";
/// Length of a segment's header.
pub(in crate::storage) const SEGMENT_HEADER_BYTES: usize = 24;
/// What every record begins with; resynchronising looks for it.
const RECORD_MAGIC: [u8; 4] = [0xe7, b'E', b'K', 0x1a];
/// Length of a record's header.
const RECORD_HEADER_BYTES: usize = 32;

const VALUE_RAW: u64 = 0;
const VALUE_WHOLE: u64 = 1;
const VALUE_SAME: u64 = 2;

/// The header of segment `number`: magic, version, number, checksum.
pub(super) fn segment_header(number: u64) -> [u8; SEGMENT_HEADER_BYTES] {
    let mut header = [0; SEGMENT_HEADER_BYTES];
    header[..8].copy_from_slice(&SEGMENT_MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[12..20].copy_from_slice(&number.to_le_bytes());
    let crc = checksum(&[&header[..20]]);
    header[20..].copy_from_slice(&crc.to_le_bytes());
    header
}

/// Whether `bytes` begins with the header of segment `number`; a whole header of another version
/// gives that version.
pub(super) fn check_segment_header(bytes: &[u8], number: u64) -> Result<(), HeaderError> {
    let header: &[u8; SEGMENT_HEADER_BYTES] = bytes.first_chunk().ok_or(HeaderError::Damaged)?;
    let version = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
    let crc = u32::from_le_bytes([header[20], header[21], header[22], header[23]]);
    if header[..8] != SEGMENT_MAGIC || crc != checksum(&[&header[..20]]) {
        return Err(HeaderError::Damaged);
    }
    if version != VERSION {
        return Err(HeaderError::Version(version));
    }
    if header[12..20] != number.to_le_bytes() { Err(HeaderError::Damaged) } else { Ok(()) }
}

/// A segment's header that is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderError {
    /// Not a header of this segment.
    Damaged,
    /// A whole header of a version that is not known here.
    Version(u32),
}

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) enum EntryKind {
    /// Samples.
    Transaction,
    /// Nothing: time moved.
    Tick,
    /// Bytes of an upper layer.
    Note,
    /// Exemplars.
    Exemplars,
    /// What metric families are.
    Metadata,
    /// A delete.
    Delete,
}

impl EntryKind {
    fn tag(self) -> u8 {
        match self {
            EntryKind::Transaction => 1,
            EntryKind::Tick => 2,
            EntryKind::Note => 3,
            EntryKind::Exemplars => 4,
            EntryKind::Metadata => 5,
            EntryKind::Delete => 6,
        }
    }

    fn from_tag(tag: u8) -> Option<EntryKind> {
        const ALL: [EntryKind; 6] = [
            EntryKind::Transaction,
            EntryKind::Tick,
            EntryKind::Note,
            EntryKind::Exemplars,
            EntryKind::Metadata,
            EntryKind::Delete,
        ];
        ALL.into_iter().find(|kind| kind.tag() == tag)
    }
}

/// What stands before a record's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) struct RecordHeader {
    /// Its place in the log.
    pub(in crate::storage) seq: Seq,
    /// The log's time.
    pub(in crate::storage) at: Timestamp,
    /// What the payload is.
    pub(in crate::storage) kind: EntryKind,
}

/// Appends a record: magic, checksum of all that follows, payload length, kind, zeros, seq, at, payload.
pub(super) fn put_record(out: &mut Vec<u8>, header: RecordHeader, payload: &[u8]) {
    let mut head = [0; RECORD_HEADER_BYTES];
    head[..4].copy_from_slice(&RECORD_MAGIC);
    head[8..12].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    head[12] = header.kind.tag();
    head[16..24].copy_from_slice(&header.seq.0.to_le_bytes());
    head[24..32].copy_from_slice(&header.at.0.to_le_bytes());
    let crc = checksum(&[&head[8..], payload]);
    head[4..8].copy_from_slice(&crc.to_le_bytes());
    out.extend(head);
    out.extend(payload);
}

/// The record at the beginning of `bytes`, if a whole and undamaged one stands there.
pub(super) fn take_record(bytes: &[u8]) -> Option<(RecordHeader, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<RECORD_HEADER_BYTES>()?;
    let mut fields = Cursor::new(&head[4..]);
    let (crc, length) = (fields.u32().ok()?, fields.u32().ok()? as usize);
    if head[..4] != RECORD_MAGIC || length > LOG_RECORD_BYTES_MAX {
        return None;
    }
    let payload = rest.get(..length)?;
    if crc != checksum(&[&head[8..], payload]) {
        return None;
    }
    let kind = EntryKind::from_tag(fields.u8().ok()?)?;
    fields.bytes(3).ok()?;
    let (seq, at) = (Seq(fields.u64().ok()?), Timestamp(fields.i64().ok()?));
    Some((RecordHeader { seq, at, kind }, payload))
}

/// Bytes that a record with this much payload takes.
pub(super) fn record_bytes(payload: usize) -> usize {
    RECORD_HEADER_BYTES + payload
}

/// Where the next record may begin in `bytes`: at its first magic.
pub(super) fn find_magic(bytes: &[u8]) -> Option<usize> {
    bytes.windows(RECORD_MAGIC.len()).position(|window| window == RECORD_MAGIC)
}

/// Collects the payload of one transaction; used again and again without allocating.
#[derive(Debug, Default)]
pub(in crate::storage) struct Encoder {
    series: Vec<u8>,
    series_count: u64,
    samples: Vec<u8>,
    sample_count: u64,
    id: i64,
    t: i64,
    bits: u64,
    payload: Vec<u8>,
}

impl Encoder {
    /// Begins a transaction of log time `at`.
    pub(in crate::storage) fn begin(&mut self, at: Timestamp) {
        self.series.clear();
        self.samples.clear();
        (self.series_count, self.sample_count) = (0, 0);
        (self.id, self.t, self.bits) = (-1, at.0, 0);
    }

    /// Says what series `id` of this segment is.
    pub(in crate::storage) fn define(&mut self, id: u32, labels: &str) {
        self.series_count += 1;
        put_varint(&mut self.series, u64::from(id));
        put_varint(&mut self.series, labels.len() as u64);
        self.series.extend(labels.as_bytes());
    }

    /// Adds a sample of series `id`.
    pub(in crate::storage) fn sample(&mut self, id: u32, sample: Sample) {
        self.sample_count += 1;
        let id = i64::from(id);
        let step = unsigned(id - self.id - 1) << 2;
        self.id = id;
        let bits = sample.v.to_bits();
        // Only a number that comes back bit for bit is written as a whole number; -0.0 does not.
        let whole = sample.v as i64;
        let form = if bits == self.bits {
            VALUE_SAME
        } else if whole.unsigned_abs() < 1 << 48 && (whole as f64).to_bits() == bits {
            VALUE_WHOLE
        } else {
            VALUE_RAW
        };
        put_varint(&mut self.samples, step | form);
        put_signed(&mut self.samples, sample.t.0.wrapping_sub(self.t));
        self.t = sample.t.0;
        match form {
            VALUE_SAME => {}
            VALUE_WHOLE => put_signed(&mut self.samples, whole),
            _ => self.samples.extend(bits.to_le_bytes()),
        }
        self.bits = bits;
    }

    /// The payload: count and definitions of series, count and samples.
    pub(in crate::storage) fn finish(&mut self) -> &[u8] {
        self.payload.clear();
        put_varint(&mut self.payload, self.series_count);
        self.payload.extend(&self.series);
        put_varint(&mut self.payload, self.sample_count);
        self.payload.extend(&self.samples);
        &self.payload
    }
}

/// A transaction as read back; series by their number in the segment.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::storage) struct Transaction<'a> {
    /// Series named here for the first time in the segment.
    pub(in crate::storage) series: Vec<(u32, &'a str)>,
    /// Samples in order.
    pub(in crate::storage) samples: Vec<(u32, Sample)>,
}

impl<'a> Transaction<'a> {
    /// Reads a payload of log time `at`.
    pub(in crate::storage) fn decode(payload: &'a [u8], at: Timestamp) -> Result<Transaction<'a>, Damaged> {
        let mut from = Cursor::new(payload);
        let id_of = |n: u64| u32::try_from(n).map_err(|_| Damaged("a series number is over 32 bits"));
        let series_count = from.length()?;
        let mut series = Vec::with_capacity(series_count);
        for _ in 0..series_count {
            let id = id_of(from.varint()?)?;
            let length = from.length()?;
            let text = std::str::from_utf8(from.bytes(length)?).map_err(|_| Damaged("labels are not UTF-8"))?;
            series.push((id, text));
        }
        let sample_count = from.length()?;
        let mut samples = Vec::with_capacity(sample_count);
        let (mut id, mut t, mut bits) = (-1i64, at.0, 0u64);
        for _ in 0..sample_count {
            let head = from.varint()?;
            id = id.wrapping_add(1).wrapping_add(signed(head >> 2));
            t = t.wrapping_add(from.signed()?);
            bits = match head & 3 {
                VALUE_RAW => from.u64()?,
                VALUE_WHOLE => (from.signed()? as f64).to_bits(),
                VALUE_SAME => bits,
                _ => return Err(Damaged("a value has an unknown form")),
            };
            samples.push((id_of(id as u64)?, Sample { t: Timestamp(t), v: f64::from_bits(bits) }));
        }
        from.end()?;
        Ok(Transaction { series, samples })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_comes_back_bit_for_bit() {
        let values =
            [0.0, -0.0, 1.0, -1.0, 1e300, f64::NAN, f64::from_bits(0x7ff0_0000_0000_0002), 0.5, 0.5, -1e14, 1e18];
        let at = Timestamp(1_700_000_000_000);
        let mut encoder = Encoder::default();
        encoder.begin(at);
        encoder.define(7, "a");
        let samples: Vec<(u32, Sample)> = (0u32..)
            .zip(values)
            .map(|(i, v)| (i * 7 % 5, Sample { t: Timestamp(if i == 3 { i64::MIN } else { at.0 - 3 }), v }))
            .collect();
        for (id, sample) in &samples {
            encoder.sample(*id, *sample);
        }
        let back = Transaction::decode(encoder.finish(), at).unwrap();
        assert_eq!(back.series, [(7, "a")]);
        let bits = |s: &[(u32, Sample)]| s.iter().map(|(i, s)| (*i, s.t, s.v.to_bits())).collect::<Vec<_>>();
        assert_eq!(bits(&back.samples), bits(&samples));
    }

    #[test]
    fn a_plain_scrape_takes_few_bytes() {
        let at = Timestamp(1_700_000_000_000);
        let mut encoder = Encoder::default();
        encoder.begin(at);
        for id in 0..1000 {
            encoder.sample(id, Sample { t: at, v: f64::from(id * 13) });
        }
        let bytes = encoder.finish().len();
        assert!(bytes < 5000, "{bytes} bytes for 1000 samples");
    }

    #[test]
    fn a_changed_byte_is_noticed() {
        let header = RecordHeader { seq: Seq(3), at: Timestamp(5), kind: EntryKind::Note };
        let mut record = Vec::new();
        put_record(&mut record, header, b"note");
        assert_eq!(take_record(&record), Some((header, b"note".as_slice())));
        for at in 0..record.len() {
            record[at] ^= 1;
            assert_eq!(take_record(&record), None, "byte {at}");
            record[at] ^= 1;
        }
        let mut first = segment_header(9);
        for at in 0..first.len() {
            first[at] ^= 1;
            assert_eq!(check_segment_header(&first, 9), Err(HeaderError::Damaged), "byte {at}");
            first[at] ^= 1;
        }
        assert_eq!(check_segment_header(&first, 8), Err(HeaderError::Damaged));
    }

    proptest::proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(proptest::arbitrary::any::<u8>(), 0..200)) {
            let _ = Transaction::decode(&bytes, Timestamp(i64::MAX));
            let _ = take_record(&bytes);
        }
    }
}
