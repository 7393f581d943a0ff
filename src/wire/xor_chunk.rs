//! Prometheus' chunk of floats, as remote read streams it.
//!
//! A count of two bytes, then bits: the first time and value whole; the second time as its distance; from
//! then on the change of the distance in one of five widths, and each value as what differs from the one
//! before, between its zeros.
//!
//! Source: Pelkonen et al., "Gorilla: A Fast, Scalable, In-Memory Time Series Database", VLDB 2015, with
//! the widths that Prometheus' chunk format document gives for milliseconds.

use crate::model::Sample;

/// Samples of one chunk, as Prometheus cuts them.
pub(super) const CHUNK_SAMPLES: usize = 120;

/// Leading zeros that the five bits for them can say.
const LEADING_MAX: u32 = 31;

/// A chunk of at most 65,535 samples in the order of time.
pub(super) fn xor_chunk(samples: &[Sample]) -> Vec<u8> {
    let count = u16::try_from(samples.len()).unwrap_or(u16::MAX);
    let mut bits = BitWriter { bytes: count.to_be_bytes().to_vec(), free: 0 };
    let mut values = ValueWriter::default();
    let (mut before, mut distance) = (0i64, 0i64);
    for (at, sample) in samples.iter().take(usize::from(count)).enumerate() {
        let t = sample.t.0;
        match at {
            0 => {
                for byte in varint((t << 1 ^ t >> 63).cast_unsigned()) {
                    bits.push(u64::from(byte), 8);
                }
                values.push_or_begin(&mut bits, sample.v.to_bits());
            }
            1 => {
                distance = t.wrapping_sub(before);
                for byte in varint(distance.cast_unsigned()) {
                    bits.push(u64::from(byte), 8);
                }
                values.push_or_begin(&mut bits, sample.v.to_bits());
            }
            _ => {
                let now = t.wrapping_sub(before);
                push_change(&mut bits, now.wrapping_sub(distance));
                distance = now;
                values.push_or_begin(&mut bits, sample.v.to_bits());
            }
        }
        before = t;
    }
    bits.bytes
}

/// The change of the distance between two times.
fn push_change(bits: &mut BitWriter, change: i64) {
    let (prefix, length, width) = match change {
        0 => (0b0, 1, 0),
        _ if fits(change, 14) => (0b10, 2, 14),
        _ if fits(change, 17) => (0b110, 3, 17),
        _ if fits(change, 20) => (0b1110, 4, 20),
        _ => (0b1111, 4, 64),
    };
    bits.push(prefix, length);
    bits.push(change.cast_unsigned(), width);
}

/// Whether a number fits into so many bits, of which the highest alone stands for itself and not for less.
pub(super) fn fits(n: i64, width: u32) -> bool {
    n > -(1 << (width - 1)) && n <= 1 << (width - 1)
}

fn varint(mut n: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while n >= 0x80 {
        out.push((n as u8 & 0x7f) | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
    out
}

/// Writes values as their difference to the one before.
#[derive(Default)]
pub(super) struct ValueWriter {
    last: Option<u64>,
    /// Leading and trailing zeros of the differences that are written now, if any was.
    window: Option<(u32, u32)>,
}

impl ValueWriter {
    /// The first value whole.
    pub(super) fn push_or_begin(&mut self, bits: &mut BitWriter, value: u64) {
        match self.last.replace(value) {
            None => bits.push(value, 64),
            Some(before) => self.push(bits, value ^ before),
        }
    }

    fn push(&mut self, bits: &mut BitWriter, difference: u64) {
        if difference == 0 {
            return bits.push(0, 1);
        }
        let leading = difference.leading_zeros().min(LEADING_MAX);
        let trailing = difference.trailing_zeros();
        if let Some((before, after)) = self.window
            && leading >= before
            && trailing >= after
        {
            bits.push(0b10, 2);
            return bits.push(difference >> after, 64 - before - after);
        }
        self.window = Some((leading, trailing));
        let width = 64 - leading - trailing;
        bits.push(0b11, 2);
        bits.push(u64::from(leading), 5);
        // Of 64 bits all six are zero.
        bits.push(u64::from(width) & 63, 6);
        bits.push(difference >> trailing, width);
    }
}

/// Bits into bytes, the highest first.
pub(super) struct BitWriter {
    pub(super) bytes: Vec<u8>,
    /// Bits of the last byte that are not used.
    pub(super) free: u32,
}

impl BitWriter {
    /// The lowest `width` bits of a number.
    pub(super) fn push(&mut self, bits: u64, width: u32) {
        let mut left = width;
        while left > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let taken = left.min(self.free);
            let part = (bits >> (left - taken)) & ((1u64 << taken) - 1);
            if let Some(last) = self.bytes.last_mut() {
                *last |= (part << (self.free - taken)) as u8;
            }
            self.free -= taken;
            left -= taken;
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::Timestamp;

    /// Random enough for shapes.
    pub(in crate::wire) struct Xorshift(pub(in crate::wire) u64);

    impl Xorshift {
        pub(in crate::wire) fn next_u64(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
        }
    }

    /// Reads bits, as the format's document says.
    pub(in crate::wire) struct BitReader<'a> {
        pub(in crate::wire) bytes: &'a [u8],
        pub(in crate::wire) at: usize,
    }

    impl BitReader<'_> {
        pub(in crate::wire) fn take(&mut self, width: u32) -> u64 {
            (0..width).fold(0, |n, _| {
                let bit = self.bytes[self.at / 8] >> (7 - self.at % 8) & 1;
                self.at += 1;
                n << 1 | u64::from(bit)
            })
        }

        fn varint(&mut self) -> u64 {
            let mut n = 0;
            for shift in (0..).step_by(7) {
                let byte = self.take(8);
                n |= (byte & 0x7f) << shift;
                if byte < 0x80 {
                    break;
                }
            }
            n
        }
    }

    /// The samples of a chunk: a reader written from the format's document, apart from the writer.
    pub(in crate::wire) fn read(chunk: &[u8]) -> Vec<(i64, u64)> {
        let count = u16::from_be_bytes([chunk[0], chunk[1]]);
        let mut bits = BitReader { bytes: chunk, at: 16 };
        let mut out = Vec::new();
        let (mut t, mut distance, mut value, mut leading, mut trailing) = (0i64, 0i64, 0u64, 0u32, 0u32);
        for at in 0..count {
            if at == 0 {
                let zigzag = bits.varint();
                t = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
                value = bits.take(64);
                out.push((t, value));
                continue;
            }
            if at == 1 {
                distance = bits.varint() as i64;
            } else {
                let mut ones = 0;
                while ones < 4 && bits.take(1) == 1 {
                    ones += 1;
                }
                let width = [0, 14, 17, 20, 64][ones];
                let raw = bits.take(width);
                let change = if width == 64 || width == 0 {
                    raw as i64
                } else if raw > 1 << (width - 1) {
                    raw as i64 - (1 << width)
                } else {
                    raw as i64
                };
                distance = distance.wrapping_add(change);
            }
            t = t.wrapping_add(distance);
            if bits.take(1) == 1 {
                if bits.take(1) == 1 {
                    leading = bits.take(5) as u32;
                    let width = match bits.take(6) as u32 {
                        0 => 64,
                        width => width,
                    };
                    trailing = 64 - leading - width;
                }
                value ^= bits.take(64 - leading - trailing) << trailing;
            }
            out.push((t, value));
        }
        out
    }

    #[test]
    fn chunks_read_back_bit_for_bit() {
        for seed in 0..200 {
            let mut rng = Xorshift(seed * 2 + 1);
            let mut t = (rng.next_u64() >> 20) as i64 - (1 << 43);
            let mut samples = Vec::new();
            for _ in 0..rng.next_u64() % 121 {
                let v = match rng.next_u64() % 5 {
                    0 => f64::from_bits(rng.next_u64()),
                    1 => (rng.next_u64() % 1000) as f64,
                    2 => f64::from_bits(0x7ff0_0000_0000_0002),
                    _ => samples.last().map_or(0.5, |last: &Sample| last.v),
                };
                samples.push(Sample { t: Timestamp(t), v });
                t += 1 + match rng.next_u64() % 4 {
                    0 => (rng.next_u64() >> 40) as i64,
                    1 => (rng.next_u64() >> (rng.next_u64() % 20 + 24)) as i64,
                    _ => 14_999,
                };
            }
            let expected: Vec<(i64, u64)> = samples.iter().map(|one| (one.t.0, one.v.to_bits())).collect();
            assert_eq!(read(&xor_chunk(&samples)), expected, "seed {seed}");
        }
    }

    #[test]
    fn the_widths_change_where_the_format_says() {
        let check = |change: i64, bits: usize| {
            let mut writer = BitWriter { bytes: Vec::new(), free: 0 };
            push_change(&mut writer, change);
            assert_eq!(writer.bytes.len() * 8 - writer.free as usize, bits, "{change}");
        };
        check(0, 1);
        for (width, length) in [(14, 2), (17, 3), (20, 4)] {
            check(1 << (width - 1), length + width);
            check(1 - (1 << (width - 1)), length + width);
        }
        check(-(1 << 19), 68);
        check((1 << 19) + 1, 68);
    }
}
