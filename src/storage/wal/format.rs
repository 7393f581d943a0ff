//! Byte layout of a log segment. `storage-format.md` describes it; change both together.

use crate::codec::{Cursor, Damaged, checksum, put_varint, signed, unsigned};
use crate::model::limits::{LOG_RECORD_BYTES_MAX, STORED_NUMBER_MAX};
use crate::model::{HistogramSample, Sample, Seq, SeriesRef, StartChange, Timestamp};
use crate::storage::entries::{starts_from_bytes, starts_to_bytes};
use crate::storage::series_files::{TextDecoder, TextEncoder};

use super::histograms::{HistogramEncoder, take_histograms};

/// The version of the log that is written.
const VERSION: u32 = 3;
/// The oldest version that is read: it has no native histograms.
const VERSION_OLDEST: u32 = 1;
const SEGMENT_MAGIC: [u8; 8] = *b"evklog\r\n";
/// Length of a segment's header.
pub(in crate::storage) const SEGMENT_HEADER_BYTES: usize = 24;
/// What every record begins with; resynchronising looks for it.
const RECORD_MAGIC: [u8; 4] = [0xe7, b'E', b'K', 0x1a];
/// Length of a record's header.
pub(super) const RECORD_HEADER_BYTES: usize = 40;
/// What stands behind the last record, as far as the file reaches: no header of a record begins so.
pub(in crate::storage) const END: [u8; RECORD_HEADER_BYTES] = [0; RECORD_HEADER_BYTES];

/// The part of a transaction that explains series.
const PART_SERIES: u8 = 1;
/// The part of a transaction that holds samples.
const PART_SAMPLES: u8 = 2;
/// The part of a transaction that holds native histograms.
const PART_HISTOGRAMS: u8 = 3;
/// Changes of when the counting of series began.
const PART_STARTS: u8 = 4;

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
    if !(VERSION_OLDEST..=VERSION).contains(&version) {
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
    /// A number that no series had had when it was written, this entry's own included.
    pub(in crate::storage) next_series: u32,
    /// How many of the entries before it were not known to be durable when it was written.
    pub(in crate::storage) unsynced: u32,
}

/// The checksum of a record of segment `segment`. The segment is part of it, so that what a file held
/// in an earlier use does not count.
fn record_checksum(segment: u64, head: &[u8; RECORD_HEADER_BYTES], payload: &[u8]) -> u32 {
    checksum(&[&segment.to_le_bytes(), &head[8..], payload])
}

/// Appends a record of segment `segment`: magic, checksum, payload length, kind, zeros, seq, at, next
/// series, unsynced entries, payload.
pub(super) fn put_record(out: &mut Vec<u8>, segment: u64, header: RecordHeader, payload: &[u8]) {
    let mut head = [0; RECORD_HEADER_BYTES];
    head[..4].copy_from_slice(&RECORD_MAGIC);
    head[8..12].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    head[12] = header.kind.tag();
    head[16..24].copy_from_slice(&header.seq.0.to_le_bytes());
    head[24..32].copy_from_slice(&header.at.0.to_le_bytes());
    head[32..36].copy_from_slice(&header.next_series.to_le_bytes());
    head[36..40].copy_from_slice(&header.unsynced.to_le_bytes());
    let crc = record_checksum(segment, &head, payload);
    head[4..8].copy_from_slice(&crc.to_le_bytes());
    out.extend(head);
    out.extend(payload);
}

/// The record at the beginning of `bytes`, if a whole and undamaged one of segment `segment` stands there.
pub(super) fn take_record(bytes: &[u8], segment: u64) -> Option<(RecordHeader, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<RECORD_HEADER_BYTES>()?;
    let mut fields = Cursor::new(&head[4..]);
    let (crc, length) = (fields.u32().ok()?, fields.u32().ok()? as usize);
    if head[..4] != RECORD_MAGIC || length > LOG_RECORD_BYTES_MAX {
        return None;
    }
    let payload = rest.get(..length)?;
    if crc != record_checksum(segment, head, payload) {
        return None;
    }
    let kind = EntryKind::from_tag(fields.u8().ok()?)?;
    fields.bytes(3).ok()?;
    let (seq, at) = (Seq(fields.u64().ok()?), Timestamp(fields.i64().ok()?));
    let (next_series, unsynced) = (fields.u32().ok()?, fields.u32().ok()?);
    (seq.0 <= STORED_NUMBER_MAX).then_some((RecordHeader { seq, at, kind, next_series, unsynced }, payload))
}

/// Bytes that a record with this much payload takes.
pub(super) fn record_bytes(payload: usize) -> usize {
    RECORD_HEADER_BYTES + payload
}

/// Where the next record may begin in `bytes`: at its first magic.
pub(super) fn find_magic(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, &RECORD_MAGIC)
}

/// The most bytes that one sample takes: head, step of 32 bits, time, value.
const SAMPLE_BYTES_MAX: usize = 1 + 5 + 10 + 8;
/// Samples are written into memory that is there already, so much of it at a time.
const SAMPLES_GROW: usize = 16 << 10;
/// In a sample's head: how its value is stored.
const CODE_SAME: u8 = 0;
const CODE_RAW: u8 = 7;
const CODE_THOUSANDTHS: u8 = 7;
const CODE_MASK: u8 = 0x0f;
/// In a sample's head: whether a time follows.
const TIME_FOLLOWS: u8 = 0x10;
/// In a sample's head: where the step to its series' number begins, and the one that says that it follows.
const STEP_SHIFT: u32 = 5;
const STEP_FOLLOWS: u8 = 7;
/// Magnitudes of whole numbers are below this: six bytes with their sign.
const WHOLE_MAX: u64 = 1 << 47;

/// Collects the payload of one transaction; used again and again without allocating.
#[derive(Debug, Default)]
pub(in crate::storage) struct Encoder {
    series: Vec<u8>,
    texts: TextEncoder,
    /// Zeros behind `used`.
    samples: Vec<u8>,
    used: usize,
    number: u32,
    t: i64,
    bits: u64,
    histograms: HistogramEncoder,
    starts: Vec<u8>,
    payload: Vec<u8>,
}

impl Encoder {
    /// Begins a transaction of log time `at`.
    pub(in crate::storage) fn begin(&mut self, at: Timestamp) {
        self.series.clear();
        self.texts.clear();
        self.used = 0;
        self.histograms.begin(at);
        self.starts.clear();
        // The number before the first one is -1.
        (self.number, self.t, self.bits) = (u32::MAX, at.0, 0);
    }

    /// Says which labels series `number` has.
    pub(in crate::storage) fn explain(&mut self, number: u32, labels: &str) {
        self.texts.put(&mut self.series, number, labels);
    }

    /// Adds a sample of series `number`.
    pub(in crate::storage) fn sample(&mut self, number: u32, sample: Sample) {
        if self.samples.len() < self.used + SAMPLE_BYTES_MAX {
            self.samples.resize(self.used + SAMPLES_GROW, 0);
        }
        let Some(out) = self.samples[self.used..].first_chunk_mut::<SAMPLE_BYTES_MAX>() else { return };
        let step = number.wrapping_sub(self.number).wrapping_sub(1) as i32;
        let step = (step << 1 ^ step >> 31) as u32;
        let (code, value, value_bytes) = code_of(sample.v, self.bits);
        let mut head = code;
        let mut at = 1;
        if step < u32::from(STEP_FOLLOWS) {
            head |= (step as u8) << STEP_SHIFT;
        } else {
            head |= STEP_FOLLOWS << STEP_SHIFT;
            at = write_varint(out, at, u64::from(step));
        }
        if sample.t.0 != self.t {
            head |= TIME_FOLLOWS;
            at = write_varint(out, at, unsigned(sample.t.0.wrapping_sub(self.t)));
        }
        out[0] = head;
        out[at..at + 8].copy_from_slice(&value.to_le_bytes());
        self.used += at + value_bytes;
        (self.number, self.t, self.bits) = (number, sample.t.0, sample.v.to_bits());
    }

    /// Adds a native histogram of series `number`.
    pub(in crate::storage) fn histogram(&mut self, number: u32, sample: &HistogramSample) {
        self.histograms.put(number, sample);
    }

    /// Adds changes of when the counting of series began.
    pub(in crate::storage) fn changes(&mut self, changes: &[StartChange]) {
        if !changes.is_empty() {
            self.starts = starts_to_bytes(changes.iter().copied());
        }
    }

    /// The payload: a part with the series, one with the samples, one with the histograms, one with the starts, each
    /// only if it is not empty.
    pub(in crate::storage) fn finish(&mut self) -> &[u8] {
        self.payload.clear();
        for (tag, part) in [
            (PART_SERIES, &self.series[..]),
            (PART_SAMPLES, &self.samples[..self.used]),
            (PART_HISTOGRAMS, self.histograms.bytes()),
            (PART_STARTS, &self.starts[..]),
        ] {
            if !part.is_empty() {
                self.payload.push(tag);
                put_varint(&mut self.payload, part.len() as u64);
                self.payload.extend(part);
            }
        }
        &self.payload
    }
}

fn write_varint(out: &mut [u8; SAMPLE_BYTES_MAX], mut at: usize, mut n: u64) -> usize {
    while n >= 0x80 {
        out[at] = n as u8 | 0x80;
        n >>= 7;
        at += 1;
    }
    out[at] = n as u8;
    at + 1
}

/// How a value is stored behind one with the bits `before`: code, number, and how many of its bytes.
fn code_of(v: f64, before: u64) -> (u8, u64, usize) {
    let bits = v.to_bits();
    if bits == before {
        return (CODE_SAME, 0, 0);
    }
    // Only a number that comes back bit for bit is written as a whole one; -0.0 does not.
    let whole = v as i64;
    if (whole as f64).to_bits() == bits && whole.unsigned_abs() < WHOLE_MAX {
        let (n, bytes) = packed(whole);
        return (bytes as u8, n, bytes);
    }
    // Durations, ratios and sizes are often written with three decimals or fewer.
    let scaled = (v * 1000.0 + 0.5f64.copysign(v)) as i64;
    if (scaled as f64 / 1000.0).to_bits() == bits && scaled.unsigned_abs() < WHOLE_MAX {
        let (n, bytes) = packed(scaled);
        return (CODE_THOUSANDTHS + bytes as u8, n, bytes);
    }
    (CODE_RAW, bits, 8)
}

/// A number below [`WHOLE_MAX`] without its sign bit, and in how many bytes it fits: 1 to 6.
fn packed(n: i64) -> (u64, usize) {
    let n = unsigned(n);
    (n, (71 - (n | 1).leading_zeros() as usize) / 8)
}

/// A transaction as read back.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::storage) struct Transaction<'a> {
    series: &'a [u8],
    samples: &'a [u8],
    histograms: &'a [u8],
    starts: &'a [u8],
}

impl<'a> Transaction<'a> {
    /// The parts of a payload.
    pub(in crate::storage) fn split(payload: &'a [u8]) -> Result<Transaction<'a>, Damaged> {
        let (mut from, mut found, mut before) = (Cursor::new(payload), Transaction::default(), 0);
        while from.remaining() > 0 {
            let tag = from.u8()?;
            if tag <= before {
                return Err(Damaged("its parts are not in order"));
            }
            before = tag;
            let length = from.length()?;
            let part = from.bytes(length)?;
            match tag {
                PART_SERIES => found.series = part,
                PART_SAMPLES => found.samples = part,
                PART_HISTOGRAMS => found.histograms = part,
                PART_STARTS => found.starts = part,
                _ => return Err(Damaged("it has a part of an unknown kind")),
            }
        }
        Ok(found)
    }

    /// Gives the series that are explained here, one by one.
    pub(in crate::storage) fn series(&self, mut each: impl FnMut(u32, &str)) -> Result<(), Damaged> {
        let (mut from, mut texts) = (Cursor::new(self.series), TextDecoder::default());
        while from.remaining() > 0 {
            let (number, text) = texts.take(&mut from)?;
            each(number, text);
        }
        Ok(())
    }

    /// Appends the samples to `out`, series by their numbers. `at` is the entry's log time.
    pub(in crate::storage) fn samples(&self, at: Timestamp, out: &mut Vec<(SeriesRef, Sample)>) -> Result<(), Damaged> {
        // Half of the least that a plain sample takes; more grows by doubling.
        out.reserve(self.samples.len() / 4);
        let (mut rest, mut number, mut t, mut bits) = (self.samples, u32::MAX, at.0, 0u64);
        let mut last;
        while !rest.is_empty() {
            // Near the end, from a copy with zeros behind it, so that eight bytes can be taken at once.
            let from = match rest.first_chunk::<SAMPLE_BYTES_MAX>() {
                Some(from) => from,
                None => {
                    last = [0; SAMPLE_BYTES_MAX];
                    last[..rest.len()].copy_from_slice(rest);
                    &last
                }
            };
            let head = from[0];
            let mut pos = 1;
            let mut step = u64::from(head >> STEP_SHIFT);
            if step == u64::from(STEP_FOLLOWS) {
                (step, pos) = read_varint(from, pos)?;
            }
            let step = u32::try_from(step).map_err(|_| Damaged("a series number is over 32 bits"))?;
            number = number.wrapping_add(1).wrapping_add(step >> 1 ^ (step & 1).wrapping_neg());
            if head & TIME_FOLLOWS != 0 {
                let step;
                (step, pos) = read_varint(from, pos)?;
                t = t.wrapping_add(signed(step));
            }
            let word = from.get(pos..pos + 8).and_then(|word| word.first_chunk());
            let word = u64::from_le_bytes(*word.ok_or(Damaged("a sample is longer than one can be"))?);
            let code = head & CODE_MASK;
            let length = VALUE_BYTES[usize::from(code)];
            let kept = |bytes: usize| signed(word & !(u64::MAX << (8 * bytes))) as f64;
            bits = match code {
                CODE_SAME => bits,
                1..CODE_RAW => kept(length).to_bits(),
                CODE_RAW => word,
                8..=13 => (kept(length) / 1000.0).to_bits(),
                _ => return Err(Damaged("a value has an unknown form")),
            };
            rest = rest.get(pos + length..).ok_or(Damaged("the data ends early"))?;
            out.push((SeriesRef(u64::from(number)), Sample { t: Timestamp(t), v: f64::from_bits(bits) }));
        }
        Ok(())
    }

    /// Appends the native histograms to `out`, series by their numbers. `at` is the entry's log time.
    pub(in crate::storage) fn histograms(
        &self,
        at: Timestamp,
        out: &mut Vec<(SeriesRef, HistogramSample)>,
    ) -> Result<(), Damaged> {
        take_histograms(self.histograms, at, out)
    }

    /// The changes of when the counting of series began.
    pub(in crate::storage) fn changes(&self) -> Result<Vec<StartChange>, Damaged> {
        if self.starts.is_empty() { Ok(Vec::new()) } else { starts_from_bytes(self.starts) }
    }
}

/// Bytes of a value, by the code in its head.
const VALUE_BYTES: [usize; 16] = [0, 1, 2, 3, 4, 5, 6, 8, 1, 2, 3, 4, 5, 6, 0, 0];

fn read_varint(from: &[u8; SAMPLE_BYTES_MAX], mut at: usize) -> Result<(u64, usize), Damaged> {
    let mut n = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *from.get(at).ok_or(Damaged("a sample is longer than one can be"))?;
        at += 1;
        n |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok((n, at));
        }
    }
    Err(Damaged("a number is longer than 64 bits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Samples = Vec<(SeriesRef, Sample)>;

    fn bits(samples: &Samples) -> Vec<(u64, i64, u64)> {
        samples.iter().map(|(series, s)| (series.0, s.t.0, s.v.to_bits())).collect()
    }

    fn check(at: Timestamp, samples: &Samples) -> usize {
        let mut encoder = Encoder::default();
        encoder.begin(at);
        samples.iter().for_each(|(series, sample)| encoder.sample(series.0 as u32, *sample));
        let payload = encoder.finish();
        let mut back = Vec::new();
        Transaction::split(payload).unwrap().samples(at, &mut back).unwrap();
        assert_eq!(bits(&back), bits(samples));
        payload.len()
    }

    #[test]
    fn a_transaction_comes_back_bit_for_bit() {
        let at = Timestamp(1_700_000_000_000);
        let mut values =
            vec![0.0, -0.0, 1.0, -1.0, 1e300, f64::NAN, f64::INFINITY, 0.5, 0.5, -1e14, 1e18, 0.001, -2.125];
        values.extend([f64::from_bits(0x7ff0_0000_0000_0002), f64::MIN_POSITIVE, 0.1 + 0.2, 12345.678, -0.0004]);
        for power in 0..64 {
            let n = (1u64 << power) as f64;
            values.extend([n, -n, n - 1.0, n + 0.5, n / 1000.0, -n / 1000.0, f64::from_bits(1 << power)]);
        }
        let samples = (0u64..).zip(&values).map(|(i, v)| {
            let number = [i, i * 7 % 5, u64::from(u32::MAX) - i, 1 << 31][i as usize / 3 % 4];
            let t = if i == 3 { i64::MIN } else { at.0 - (i / 5) as i64 };
            (SeriesRef(number), Sample { t: Timestamp(t), v: *v })
        });
        check(at, &samples.collect());
        check(at, &Vec::new());
    }

    #[test]
    fn explained_series_come_back() {
        let mut encoder = Encoder::default();
        for _ in 0..2 {
            encoder.begin(Timestamp(0));
            encoder.explain(7, "a");
            encoder.explain(9, "ab");
            let payload = encoder.finish();
            let mut back = Vec::new();
            Transaction::split(payload).unwrap().series(|number, text| back.push((number, text.to_owned()))).unwrap();
            assert_eq!(back, [(7, "a".to_owned()), (9, "ab".to_owned())]);
        }
    }

    #[test]
    fn a_plain_scrape_takes_few_bytes() {
        let at = Timestamp(1_700_000_000_000);
        let sample = |n: u64| (SeriesRef(n), Sample { t: at, v: (n * 13) as f64 });
        let bytes = check(at, &(0..1000).map(sample).collect());
        assert!(bytes < 3100, "{bytes} bytes for 1000 samples");
    }

    #[test]
    fn a_part_that_is_not_known_here_is_refused() {
        for (payload, fault) in [
            (&[9, 1, 0][..], "unknown kind"),
            (&[2, 2, 7, 7, 1, 0], "not in order"),
            (&[1, 0, 1, 0], "not in order"),
            (&[2, 9, 0], "larger than the data"),
        ] {
            let error = Transaction::split(payload).unwrap_err();
            assert!(error.0.contains(fault), "{error}");
        }
    }

    #[test]
    fn a_log_of_the_first_version_is_read_and_a_later_one_is_not() {
        let refused = |version: u32| (version as u8, Err(HeaderError::Version(version)));
        for (version, expected) in [refused(0), (1, Ok(())), (2, Ok(())), (3, Ok(())), refused(4)] {
            let mut header = segment_header(9);
            header[8] = version;
            let crc = checksum(&[&header[..20]]);
            header[20..].copy_from_slice(&crc.to_le_bytes());
            assert_eq!(check_segment_header(&header, 9), expected);
        }
    }

    #[test]
    fn a_changed_byte_is_noticed() {
        let header = RecordHeader { seq: Seq(3), at: Timestamp(5), kind: EntryKind::Note, next_series: 7, unsynced: 1 };
        let mut record = Vec::new();
        put_record(&mut record, 9, header, b"note");
        assert_eq!(take_record(&record, 9), Some((header, b"note".as_slice())));
        assert_eq!(take_record(&record, 8), None, "of another segment");
        for at in 0..record.len() {
            record[at] ^= 1;
            assert_eq!(take_record(&record, 9), None, "byte {at}");
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

    #[test]
    fn a_seq_that_leaves_no_room_to_count_on_is_no_record() {
        for (seq, taken) in [(STORED_NUMBER_MAX, true), (STORED_NUMBER_MAX + 1, false), (u64::MAX, false)] {
            let header =
                RecordHeader { seq: Seq(seq), at: Timestamp(5), kind: EntryKind::Tick, next_series: 7, unsynced: 0 };
            let mut record = Vec::new();
            put_record(&mut record, 9, header, b"");
            assert_eq!(take_record(&record, 9).is_some(), taken, "{seq}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_samples_come_back(
            samples in proptest::collection::vec(proptest::arbitrary::any::<(u32, i64, u64)>(), 0..50),
            at in proptest::arbitrary::any::<i64>(),
        ) {
            let sample = |(n, t, v): &(u32, i64, u64)| {
                (SeriesRef(u64::from(*n)), Sample { t: Timestamp(*t), v: f64::from_bits(*v) })
            };
            check(Timestamp(at), &samples.iter().map(sample).collect());
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(proptest::arbitrary::any::<u8>(), 0..200)) {
            let _ = take_record(&bytes, 1);
            for transaction in [Transaction::split(&bytes), Ok(Transaction { series: &bytes, samples: &bytes, histograms: &bytes, starts: &bytes })] {
                let Ok(transaction) = transaction else { continue };
                let _ = transaction.samples(Timestamp(i64::MAX), &mut Vec::new());
                let _ = transaction.series(|_, _| {});
                let _ = transaction.histograms(Timestamp(i64::MAX), &mut Vec::new());
                let _ = transaction.changes();
            }
        }
    }
}
