//! Byte layouts of numbers and texts: variable-length integers, packed groups, a column of
//! timestamps, a column of values, and what a sealed state begins and ends with.
//! `storage-format.md` describes them; change both together.
//!
//! Invariants:
//! - Whatever is put is taken back bit for bit: every `i64`, every pattern of an `f64`.
//! - Taking never panics and never allocates more than `count` numbers.

use super::cursor::{Cursor, Damaged};

/// Numbers of a packed group that share one width.
const GROUP: usize = 128;
/// XORs of a group that share one width and shift.
const XOR_GROUP: usize = 16;
/// The largest power of ten that values are scaled by; more digits do not pack better than XOR.
const EXPONENT_MAX: u8 = 6;
const POWERS: [f64; EXPONENT_MAX as usize + 1] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6];

const TAG_CONSTANT: u8 = 0;
const TAG_SCALED: u8 = 1;
const TAG_XOR: u8 = 2;

/// CRC-32 (IEEE 802.3) of all parts, one after the other.
pub fn checksum(parts: &[&[u8]]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    for part in parts {
        crc.update(part);
    }
    crc.finalize()
}

/// Appends seven bits a byte, lowest first; bit 7 says that another byte follows.
pub fn put_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Appends a signed number whose small magnitudes are short: [`unsigned`] of it as a varint.
pub fn put_signed(out: &mut Vec<u8>, n: i64) {
    put_varint(out, unsigned(n));
}

/// Appends a text: its length as a varint, its bytes.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Appends a signed number that may be absent: a byte 0, or a byte 1 and the number.
pub fn put_maybe(out: &mut Vec<u8>, n: Option<i64>) {
    out.push(u8::from(n.is_some()));
    if let Some(n) = n {
        put_signed(out, n);
    }
}

/// Begins a sealed state: what kind it is, and in which version it is written.
pub fn open_seal(kind: [u8; 8], version: u32) -> Vec<u8> {
    let mut out = kind.to_vec();
    out.extend(version.to_le_bytes());
    out
}

/// Ends a sealed state with the checksum of everything before.
pub fn close_seal(mut out: Vec<u8>) -> Vec<u8> {
    let crc = checksum(&[&out]);
    out.extend(crc.to_le_bytes());
    out
}

/// A sealed state that is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealError {
    /// Its bytes fail their check, or are of another kind.
    Damaged(Damaged),
    /// It is whole, and of another version.
    Version(u32),
}

impl From<Damaged> for SealError {
    fn from(damaged: Damaged) -> SealError {
        SealError::Damaged(damaged)
    }
}

/// What stands between [`open_seal`] and [`close_seal`]. The version is believed only of a state
/// whose checksum is right.
///
/// # Errors
/// The checksum is wrong, or kind or version are others.
pub fn break_seal(bytes: &[u8], kind: [u8; 8], version: u32) -> Result<Cursor<'_>, SealError> {
    let (body, crc) = bytes.split_last_chunk::<4>().ok_or(Damaged("it is too short"))?;
    if u32::from_le_bytes(*crc) != checksum(&[body]) {
        return Err(Damaged("it fails its checksum").into());
    }
    let mut from = Cursor::new(body);
    if from.array::<8>()? != kind {
        return Err(Damaged("it is of another kind").into());
    }
    match from.u32()? {
        found if found == version => Ok(from),
        found => Err(SealError::Version(found)),
    }
}

/// 0, -1, 1, -2, … as 0, 1, 2, 3, …
pub fn unsigned(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)) as u64
}

/// The inverse of [`unsigned`].
pub fn signed(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

impl<'a> Cursor<'a> {
    /// What [`put_varint`] put.
    ///
    /// # Errors
    /// The data ends early or the number has more than 64 bits.
    pub fn varint(&mut self) -> Result<u64, Damaged> {
        let mut n = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            n |= bits << shift;
            if byte < 0x80 {
                return Ok(n);
            }
        }
        Err(Damaged("a number is longer than 64 bits"))
    }

    /// What [`put_signed`] put.
    ///
    /// # Errors
    /// As [`Cursor::varint`].
    pub fn signed(&mut self) -> Result<i64, Damaged> {
        self.varint().map(signed)
    }

    /// A varint that counts things of at least one byte, or that is a length: not more than is left.
    ///
    /// # Errors
    /// As [`Cursor::varint`], or more than there are bytes left.
    pub fn length(&mut self) -> Result<usize, Damaged> {
        let n = self.varint()?;
        usize::try_from(n).ok().filter(|n| *n <= self.remaining()).ok_or(Damaged("a length is larger than the data"))
    }

    /// What [`put_text`] put.
    ///
    /// # Errors
    /// The data ends early, or the text is not UTF-8.
    pub fn text(&mut self) -> Result<&'a str, Damaged> {
        let length = self.length()?;
        std::str::from_utf8(self.bytes(length)?).map_err(|_| Damaged("a text is not UTF-8"))
    }

    /// What [`put_maybe`] put.
    ///
    /// # Errors
    /// The data ends early, or it is neither there nor absent.
    pub fn maybe(&mut self) -> Result<Option<i64>, Damaged> {
        match self.u8()? {
            0 => Ok(None),
            1 => self.signed().map(Some),
            _ => Err(Damaged("a mark is neither 0 nor 1")),
        }
    }
}

/// Appends `width` low bits of each number, first number in the lowest bits.
fn put_bits(out: &mut Vec<u8>, numbers: impl Iterator<Item = u64>, width: u32) {
    let (mut pending, mut filled) = (0u128, 0u32);
    for n in numbers {
        pending |= u128::from(n) << filled;
        filled += width;
        while filled >= 8 {
            out.push(pending as u8);
            pending >>= 8;
            filled -= 8;
        }
    }
    if filled > 0 {
        out.push(pending as u8);
    }
}

fn take_bits(from: &mut Cursor<'_>, count: usize, width: u32, mut each: impl FnMut(u64)) -> Result<(), Damaged> {
    if width > 64 {
        return Err(Damaged("a packed width is over 64 bits"));
    }
    let bytes = from.bytes((count * width as usize).div_ceil(8))?;
    let mask = if width == 64 { u64::MAX } else { (1u64 << width) - 1 };
    let (mut pending, mut filled, mut bytes) = (0u128, 0u32, bytes.iter());
    for _ in 0..count {
        while filled < width {
            let byte = bytes.next().ok_or(Damaged("the data ends early"))?;
            pending |= u128::from(*byte) << filled;
            filled += 8;
        }
        each(pending as u64 & mask);
        pending >>= width;
        filled -= width;
    }
    Ok(())
}

fn width_of(numbers: impl Iterator<Item = u64>) -> u32 {
    64 - numbers.fold(0, |all, n| all | n).leading_zeros()
}

/// Appends groups of up to 128 numbers: the width in bits (one byte), then the numbers.
fn put_packed(out: &mut Vec<u8>, numbers: &[u64]) {
    for group in numbers.chunks(GROUP) {
        let width = width_of(group.iter().copied());
        out.push(width as u8);
        put_bits(out, group.iter().copied(), width);
    }
}

fn take_packed(from: &mut Cursor<'_>, count: usize, mut each: impl FnMut(u64)) -> Result<(), Damaged> {
    let mut left = count;
    while left > 0 {
        let n = left.min(GROUP);
        let width = u32::from(from.u8()?);
        take_bits(from, n, width, &mut each)?;
        left -= n;
    }
    Ok(())
}

/// Appends timestamps: the first, the first step, and then how each step differs from the one before.
pub fn put_timestamps(out: &mut Vec<u8>, times: &[i64]) {
    let Some(&first) = times.first() else { return };
    put_signed(out, first);
    let Some(&second) = times.get(1) else { return };
    let mut step = second.wrapping_sub(first);
    put_signed(out, step);
    let changes: Vec<u64> = times[1..]
        .windows(2)
        .map(|two| {
            let next = two[1].wrapping_sub(two[0]);
            let change = next.wrapping_sub(step);
            step = next;
            unsigned(change)
        })
        .collect();
    put_packed(out, &changes);
}

/// Takes `count` timestamps that [`put_timestamps`] put.
///
/// # Errors
/// The data ends early or is malformed.
pub fn take_timestamps(from: &mut Cursor<'_>, count: usize) -> Result<Vec<i64>, Damaged> {
    let mut times = Vec::with_capacity(count);
    if count > 0 {
        let mut t = from.signed()?;
        times.push(t);
        if count > 1 {
            let mut step = from.signed()?;
            t = t.wrapping_add(step);
            times.push(t);
            take_packed(from, count - 2, |change| {
                step = step.wrapping_add(signed(change));
                t = t.wrapping_add(step);
                times.push(t);
            })?;
        }
    }
    Ok(times)
}

/// Appends values, one byte of which says how: whichever of the ways is shortest for them.
pub fn put_values(out: &mut Vec<u8>, values: &[f64]) {
    let Some(first) = values.first() else { return };
    if values.iter().all(|v| v.to_bits() == first.to_bits()) {
        out.push(TAG_CONSTANT);
        out.extend(first.to_bits().to_le_bytes());
        return;
    }
    let start = out.len();
    put_xors(out, values);
    if let Some(scaled) = scaled(values)
        && scaled.len() < out.len() - start
    {
        out.truncate(start);
        out.extend(scaled);
    }
}

/// Takes `count` values that [`put_values`] put.
///
/// # Errors
/// The data ends early or is malformed.
pub fn take_values(from: &mut Cursor<'_>, count: usize) -> Result<Vec<f64>, Damaged> {
    if count == 0 {
        return Ok(Vec::new());
    }
    match from.u8()? {
        TAG_CONSTANT => Ok(vec![f64::from_bits(from.u64()?); count]),
        TAG_SCALED => take_scaled(from, count),
        TAG_XOR => take_xors(from, count),
        _ => Err(Damaged("a column of values has an unknown tag")),
    }
}

/// Each value's bits XOR the bits before it; groups of 16 share the zero bits at both ends.
fn put_xors(out: &mut Vec<u8>, values: &[f64]) {
    out.push(TAG_XOR);
    let mut before = 0;
    for group in values.chunks(XOR_GROUP) {
        let mut xors = [0; XOR_GROUP];
        for (xor, v) in xors.iter_mut().zip(group) {
            *xor = v.to_bits() ^ before;
            before = v.to_bits();
        }
        let xors = &xors[..group.len()];
        let shift = xors.iter().fold(0, |all, n| all | n).trailing_zeros() % 64;
        let width = width_of(xors.iter().map(|n| n >> shift));
        out.push(shift as u8);
        out.push(width as u8);
        put_bits(out, xors.iter().map(|n| n >> shift), width);
    }
}

fn take_xors(from: &mut Cursor<'_>, count: usize) -> Result<Vec<f64>, Damaged> {
    let mut values = Vec::with_capacity(count);
    let mut bits = 0;
    while values.len() < count {
        let n = (count - values.len()).min(XOR_GROUP);
        let shift = u32::from(from.u8()?);
        let width = u32::from(from.u8()?);
        if shift + width > 64 || shift > 63 {
            return Err(Damaged("a packed width is over 64 bits"));
        }
        take_bits(from, n, width, |xor| {
            bits ^= xor << shift;
            values.push(f64::from_bits(bits));
        })?;
    }
    Ok(values)
}

/// The whole number that is `v` times a power of ten, if it gives back `v` bit for bit.
fn scaled_exactly(v: f64, power: f64) -> Option<i64> {
    let n = (v * power).round();
    // Below 2^53 every whole number is an f64.
    if n.abs() >= 9_007_199_254_740_992.0 {
        return None;
    }
    let n = n as i64;
    ((n as f64 / power).to_bits() == v.to_bits()).then_some(n)
}

/// Values as whole numbers over a power of ten: exponent, exceptions with their bits, steps packed.
/// `None` if more than one value in eight does not fit.
fn scaled(values: &[f64]) -> Option<Vec<u8>> {
    let (exponent, power) = (0u8..).zip(POWERS).find(|(_, power)| {
        values.iter().filter(|v| scaled_exactly(**v, *power).is_none()).count() <= values.len() / 8
    })?;
    let mut exceptions = Vec::new();
    let (mut exception_count, mut gap) = (0, 0);
    let mut steps = Vec::with_capacity(values.len());
    let mut before = 0i64;
    for v in values {
        let n = scaled_exactly(*v, power).unwrap_or_else(|| {
            put_varint(&mut exceptions, gap);
            exceptions.extend(v.to_bits().to_le_bytes());
            exception_count += 1;
            gap = 0;
            before
        });
        gap += 1;
        steps.push(unsigned(n.wrapping_sub(before)));
        before = n;
    }
    let mut out = vec![TAG_SCALED, exponent];
    put_varint(&mut out, exception_count);
    out.extend(exceptions);
    put_varint(&mut out, steps[0]);
    put_packed(&mut out, &steps[1..]);
    Some(out)
}

fn take_scaled(from: &mut Cursor<'_>, count: usize) -> Result<Vec<f64>, Damaged> {
    let power = *POWERS.get(usize::from(from.u8()?)).ok_or(Damaged("an exponent is too large"))?;
    let exception_count = from.length()?;
    let mut exceptions = Vec::with_capacity(exception_count.min(count));
    let mut at = 0usize;
    for _ in 0..exception_count {
        at = at.saturating_add(usize::try_from(from.varint()?).unwrap_or(usize::MAX));
        exceptions.push((at, f64::from_bits(from.u64()?)));
    }
    let mut n = from.signed()?;
    let mut values = Vec::with_capacity(count);
    values.push(n as f64 / power);
    take_packed(from, count - 1, |step| {
        n = n.wrapping_add(signed(step));
        values.push(n as f64 / power);
    })?;
    for (at, v) in exceptions {
        *values.get_mut(at).ok_or(Damaged("an exception lies behind the end"))? = v;
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check_times(times: &[i64]) {
        let mut out = Vec::new();
        put_timestamps(&mut out, times);
        let mut from = Cursor::new(&out);
        assert_eq!(take_timestamps(&mut from, times.len()).unwrap(), times);
        from.end().unwrap();
    }

    fn check_values(values: &[f64]) -> usize {
        let mut out = Vec::new();
        put_values(&mut out, values);
        let mut from = Cursor::new(&out);
        let back = take_values(&mut from, values.len()).unwrap();
        let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&back), bits(values));
        from.end().unwrap();
        out.len()
    }

    #[test]
    fn numbers_round_trip_at_the_edges() {
        for n in [0, 1, 127, 128, 1 << 32, u64::MAX - 1, u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, n);
            put_signed(&mut out, n as i64);
            let mut from = Cursor::new(&out);
            assert_eq!((from.varint().unwrap(), from.signed().unwrap()), (n, n as i64));
        }
        assert!(Cursor::new(&[0xff; 10]).varint().is_err());
        assert!(Cursor::new(&[0x80]).varint().is_err());
    }

    #[test]
    fn timestamps_round_trip() {
        check_times(&[]);
        check_times(&[7]);
        check_times(&[i64::MIN, i64::MAX, 0, -1]);
        check_times(&(0..1000).map(|i| 1_700_000_000_000 + i * 15_000 + i % 3).collect::<Vec<_>>());
    }

    #[test]
    fn values_round_trip_and_choose_the_short_way() {
        let stale = f64::from_bits(0x7ff0_0000_0000_0002);
        check_values(&[]);
        check_values(&[-0.0]);
        check_values(&[0.0, -0.0, f64::NAN, stale, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, f64::MAX]);
        check_values(&[f64::from_bits(0x7ff8_dead_beef_0001), f64::from_bits(0xfff0_0000_0000_0001)]);
        assert_eq!(check_values(&[stale; 500]), 9);
        let counter: Vec<f64> = (0..1000).map(|i| 1e9 + f64::from(i * 3)).collect();
        assert!(check_values(&counter) < 500, "a counter takes at most half a byte a sample");
        let mut decimal: Vec<f64> = (0..1000).map(|i| f64::from(i % 7) / 100.0).collect();
        decimal[999] = stale;
        assert!(check_values(&decimal) < 700, "hundredths are packed although the series ends");
    }

    proptest! {
        #[test]
        fn any_column_round_trips(bits in proptest::collection::vec(any::<u64>(), 0..300), times in proptest::collection::vec(any::<i64>(), 0..300)) {
            check_values(&bits.iter().map(|b| f64::from_bits(*b)).collect::<Vec<_>>());
            check_times(&times);
        }

        #[test]
        fn mixtures_round_trip(values in proptest::collection::vec(prop_oneof![(-1000i32..1000).prop_map(|n| f64::from(n) / 1000.0), any::<f64>(), Just(-0.0)], 0..300)) {
            check_values(&values);
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), count in 0usize..400) {
            let _ = take_values(&mut Cursor::new(&bytes), count);
            let _ = take_timestamps(&mut Cursor::new(&bytes), count);
        }
    }
}
