//! The shape of a series that every real sender writes, read without the general walk.
//!
//! A label is its name and its value, a sample its value and its time, in this order, and lengths
//! take the fewest bytes that they can. Anything else is `None`, and the general walk decides.
//!
//! Invariants:
//! - What is read here the general walk reads alike.
//! - No read leaves the slice.

use crate::model::{Sample, Timestamp};

const LABEL: u8 = 0x0a;
const SAMPLE: u8 = 0x12;
const NAME: u8 = 0x0a;
const VALUE: u8 = 0x12;
const DOUBLE: u8 = 0x09;
const TIME: u8 = 0x10;

/// Where the label field that begins at `at` ends.
#[inline]
pub(super) fn label_end(series: &[u8], at: usize) -> Option<usize> {
    let [LABEL, length, name_key, name] = *series.get(at..)?.first_chunk::<4>()? else { return None };
    if length >= 0x80 || name >= 0x80 || name_key != NAME {
        return long_label_end(series, at);
    }
    let (value_at, end) = (at + 4 + usize::from(name), at + 2 + usize::from(length));
    let [VALUE, value] = *series.get(value_at..)?.first_chunk::<2>()? else { return None };
    // A value of 128 bytes or more does not fit into the label's length.
    (value_at + 2 + usize::from(value) == end && end <= series.len()).then_some(end)
}

/// The same with lengths of two bytes.
#[cold]
fn long_label_end(series: &[u8], at: usize) -> Option<usize> {
    let (start, end) = field(series, at, LABEL)?;
    let (_, name_end) = field(series, start, NAME)?;
    let (_, value_end) = field(series, name_end, VALUE)?;
    (value_end == end && end <= series.len()).then_some(end)
}

/// Where the content of a length-delimited field begins and ends; the end is not checked. Lengths
/// of up to two bytes are read: 16 KiB.
fn field(series: &[u8], at: usize, key: u8) -> Option<(usize, usize)> {
    let [found, length] = *series.get(at..)?.first_chunk::<2>()?;
    if found != key {
        return None;
    }
    if length < 0x80 {
        return Some((at + 2, at + 2 + usize::from(length)));
    }
    let high = *series.get(at + 2)?;
    let length = usize::from(length & 0x7f) | usize::from(high) << 7;
    (high < 0x80).then_some((at + 3, at + 3 + length))
}

/// The sample whose field begins at `at`, and where it ends. Behind the series, `message` may go on:
/// eight bytes are read at once where eight are left.
#[inline]
pub(super) fn sample(message: &[u8], at: usize, series_end: usize) -> Option<(Sample, usize)> {
    let [key, length] = *message.get(at..)?.first_chunk::<2>()?;
    if key != SAMPLE || length >= 0x80 {
        return None;
    }
    let end = at + 2 + usize::from(length);
    if end > series_end {
        return None;
    }
    let (bits, at) = match *message.get(at + 2)? {
        DOUBLE => (*message.get(at + 3..)?.first_chunk::<8>()?, at + 11),
        // The value 0 is left out.
        _ => ([0; 8], at + 2),
    };
    if at >= end || *message.get(at)? != TIME {
        return None;
    }
    let t = whole_varint(message, at + 1, end)?;
    Some((Sample { t: Timestamp(t.cast_signed()), v: f64::from_le_bytes(bits) }, end))
}

/// The varint that takes all bytes from `at` to `end`, at most eight.
#[inline]
fn whole_varint(message: &[u8], at: usize, end: usize) -> Option<u64> {
    const MORE: u64 = 0x8080_8080_8080_8080;
    let bytes = end.checked_sub(at).filter(|bytes| (1..=8).contains(bytes))?;
    let word = u64::from_le_bytes(*message.get(at..)?.first_chunk::<8>()?);
    let mask = u64::MAX >> (64 - 8 * bytes);
    // Every byte but the last says that another one follows.
    if word & mask & MORE != MORE & (mask >> 8) {
        return None;
    }
    let n = word & mask & !MORE;
    // Groups of seven bits move together: two by two, then four by four, then all.
    let n = (n & 0x007f_007f_007f_007f) | (n & 0x7f00_7f00_7f00_7f00) >> 1;
    let n = (n & 0x0000_3fff_0000_3fff) | (n & 0x3fff_0000_3fff_0000) >> 2;
    Some((n & 0x0fff_ffff) | (n & 0x0fff_ffff_0000_0000) >> 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::protobuf::{FieldWriter, Fields};

    #[test]
    fn varints_of_every_length_read_alike() {
        for bits in 0..64 {
            for n in [1u64 << bits, (1 << bits) - 1, u64::MAX >> (63 - bits)] {
                let mut writer = FieldWriter::default();
                writer.varint(n);
                let length = writer.bytes.len();
                writer.bytes.extend([0xff; 8]);
                let expected = (length <= 8).then_some(n);
                assert_eq!(whole_varint(&writer.bytes, 0, length), expected, "{n}");
                assert_eq!(whole_varint(&writer.bytes, 0, length + 1), None, "{n}");
                assert_eq!(whole_varint(&writer.bytes, 0, length - 1), None, "{n}");
            }
        }
    }

    #[test]
    fn every_cut_and_every_changed_byte_of_a_sample_reads_alike_or_not_at_all() {
        let mut content = FieldWriter::default();
        content.double_field(1, 1.5);
        content.int64_field(2, 1_700_000_000_123);
        let mut writer = FieldWriter::default();
        writer.bytes_field(2, &content.bytes);
        let whole = writer.bytes;
        let padded = |bytes: &[u8]| [bytes, &[0; 8]].concat();
        assert!(sample(&padded(&whole), 0, whole.len()).is_some());
        assert_eq!(sample(&whole, 0, whole.len()).is_some(), whole.len() - 8 >= 12, "eight bytes are read at once");
        for cut in 0..whole.len() {
            assert_eq!(sample(&padded(&whole[..cut]), 0, cut), None);
        }
        for at in 0..whole.len() {
            for byte in 0..=255 {
                let mut changed = whole.clone();
                changed[at] = byte;
                let Some((read, end)) = sample(&padded(&changed), 0, changed.len()) else { continue };
                let field = Fields::new(&changed[..end]).next().unwrap().unwrap();
                let slow = crate::wire::remote_write::series::sample(field).unwrap();
                assert_eq!((read.t, read.v.to_bits()), (slow.t, slow.v.to_bits()), "byte {at} is {byte}");
            }
        }
    }
}
