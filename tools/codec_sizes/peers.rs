//! What others do with the same values: exact sizes, not their code.

/// Bits of Gorilla's values (Pelkonen et al., 2015), as Prometheus writes them.
pub(crate) fn gorilla_bits(values: &[f64]) -> usize {
    let (mut bits, mut before) = (0, None);
    let mut window: Option<(u32, u32)> = None;
    for v in values.iter().map(|v| v.to_bits()) {
        let Some(last) = before.replace(v) else {
            bits += 64;
            continue;
        };
        let xor = v ^ last;
        if xor == 0 {
            bits += 1;
            continue;
        }
        let (leading, trailing) = (xor.leading_zeros().min(31), xor.trailing_zeros());
        match window {
            Some((l, t)) if leading >= l && trailing >= t => bits += 2 + (64 - l - t) as usize,
            _ => {
                bits += 2 + 5 + 6 + (64 - leading - trailing) as usize;
                window = Some((leading, trailing));
            }
        }
    }
    bits
}

/// Bytes of a Zstandard frame of level 3 around the raw doubles.
pub(crate) fn zstd_raw(values: &[f64]) -> std::io::Result<usize> {
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_bits().to_le_bytes()).collect();
    Ok(zstd::bulk::compress(&raw, 3)?.len())
}

/// Bytes of pco by itself at its default level.
pub(crate) fn pco_alone(values: &[f64]) -> Result<usize, pco::errors::PcoError> {
    let config = pco::ChunkConfig::default();
    Ok(pco::standalone::simple_compress(values, &config)?.len())
}

/// Bytes of VictoriaMetrics' values: decimals of one exponent, differences (for counters twice),
/// varints, Zstandard. Where its decimals lose digits, fewer are counted here than exactness needs.
pub(crate) fn victoria_metrics(values: &[f64]) -> std::io::Result<usize> {
    let numbers = common_exponent(values);
    let steps: Vec<i64> = numbers.windows(2).map(|two| two[1].wrapping_sub(two[0])).collect();
    if steps.iter().all(|step| *step == 0) {
        return Ok(0);
    }
    let mut bytes = Vec::new();
    if steps.iter().all(|step| *step == steps[0]) {
        varint(&mut bytes, steps[0]);
        return Ok(bytes.len());
    }
    let resets = steps.iter().filter(|step| **step < 0).count();
    let gauge = numbers.iter().any(|n| *n < 0) || (resets > 2 && resets * 8 > numbers.len());
    if gauge {
        steps.iter().for_each(|step| varint(&mut bytes, *step));
    } else {
        varint(&mut bytes, steps[0]);
        steps.windows(2).for_each(|two| varint(&mut bytes, two[1].wrapping_sub(two[0])));
    }
    if bytes.len() < 128 {
        return Ok(bytes.len());
    }
    let level = match numbers.len() {
        0..=64 => 1,
        65..=256 => 2,
        257..=1024 => 3,
        1025..=4096 => 4,
        _ => 5,
    };
    let packed = zstd::bulk::compress(&bytes, level)?.len();
    Ok(if packed * 10 > bytes.len() * 9 { bytes.len() } else { packed })
}

fn varint(out: &mut Vec<u8>, n: i64) {
    let mut n = ((n << 1) ^ (n >> 63)) as u64;
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// The values' shortest digits over the smallest exponent that all of them fit with.
fn common_exponent(values: &[f64]) -> Vec<i64> {
    let digits: Vec<(i64, i32)> = values.iter().map(|v| shortest(*v)).collect();
    let used = || digits.iter().filter(|(m, _)| *m != 0);
    let lowest = used().map(|(_, e)| *e).min().unwrap_or(0);
    // Digits that go beyond 18 with the smallest exponent are lost there.
    let top = used().map(|(m, e)| e + m.unsigned_abs().ilog10() as i32 + 1).max().unwrap_or(0);
    let exponent = lowest.max(top - 18);
    digits
        .iter()
        .map(|(m, e)| {
            if *m == 0 {
                0
            } else if *e >= exponent {
                m.saturating_mul(10i64.pow((e - exponent) as u32))
            } else {
                m / 10i64.checked_pow((exponent - e) as u32).unwrap_or(i64::MAX)
            }
        })
        .collect()
}

fn shortest(v: f64) -> (i64, i32) {
    if !v.is_finite() || v == 0.0 {
        return (0, 0);
    }
    let text = format!("{v:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let places = mantissa.split_once('.').map_or(0, |(_, places)| places.len() as i32);
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    let (mut m, mut e) = (digits.parse().unwrap_or(0i64), exponent.parse().unwrap_or(0) - places);
    while m != 0 && m % 10 == 0 {
        m /= 10;
        e += 1;
    }
    (m, e)
}
