//! Columns: two bytes that say how many, then the column.

use evenkeel::codec::{
    Cursor, Effort, Postings, Timestamps, Values, compress, decompress, intersect, put_integers, put_postings,
    put_timestamps, put_values, take_integers,
};

use super::targets::Target;

pub(super) fn targets() -> Vec<Target> {
    vec![
        Target::plain("values", values_seeds, values_column),
        Target::plain("timestamps", timestamps_seeds, timestamps_column),
        Target::plain("integers", integers_seeds, integers_column),
        Target::plain("postings", postings_seeds, postings_list),
        Target::plain("compressed", compressed_seeds, |b| Ok(with_count(b, |n, rest| decompress(rest, n).is_ok()))),
    ]
}

fn counted(count: usize, column: Vec<u8>) -> Vec<u8> {
    let mut out = (count as u16).to_le_bytes().to_vec();
    out.extend(column);
    out
}

fn with_count<T>(bytes: &[u8], run: impl FnOnce(usize, &[u8]) -> T) -> T {
    match bytes.split_first_chunk::<2>() {
        Some((count, rest)) => run(usize::from(u16::from_le_bytes(*count)) % 9000, rest),
        None => run(0, &[]),
    }
}

/// Numbers of several kinds.
fn numbers() -> Vec<Vec<f64>> {
    let shapes: [fn(i64) -> f64; 6] = [
        |_| 1.0,
        |i| (i * i) as f64,
        |i| (i * 7919 % 1013) as f64 / 100.0,
        |i| (i as f64).sin(),
        |i| if i % 50 == 7 { f64::NAN } else { 0.5 },
        |i| f64::from_bits((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
    ];
    [3, 130, 1500].iter().flat_map(|n| shapes.map(|shape| (0..*n).map(shape).collect())).collect()
}

fn values_seeds() -> Vec<Vec<u8>> {
    let both = [Effort::Young, Effort::Cold];
    let columns = numbers().into_iter().flat_map(|values| both.map(|effort| (values.clone(), effort)));
    let column = |(values, effort): (Vec<f64>, Effort)| {
        let mut out = Vec::new();
        put_values(&mut out, &values, effort);
        counted(values.len(), out)
    };
    columns.map(column).collect()
}

fn values_column(bytes: &[u8]) -> Result<bool, String> {
    with_count(bytes, |count, rest| {
        let Ok(column) = Values::open(rest, count) else { return Ok(false) };
        let (mut all, mut parts) = (Vec::new(), Vec::new());
        let whole = column.all(&mut all);
        let pieces = (0..column.vectors()).try_for_each(|i| column.vector(i, &mut parts));
        let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        match (whole, pieces) {
            (Ok(()), Ok(())) if all.len() == count && bits(&all) == bits(&parts) => {
                // What was read can be written and read again.
                let mut out = Vec::new();
                put_values(&mut out, &all, Effort::Young);
                let mut back = Vec::new();
                Values::open(&out, count).and_then(|v| v.all(&mut back)).map_err(|error| error.to_string())?;
                if bits(&back) == bits(&all) { Ok(true) } else { Err("it reads back otherwise".to_owned()) }
            }
            (Ok(()), _) => Err(format!("{count} values asked for, {} and {} read", all.len(), parts.len())),
            (Err(_), Ok(())) => Err("its vectors can be read and it cannot".to_owned()),
            (Err(_), Err(_)) => Ok(false),
        }
    })
}

fn timestamps_seeds() -> Vec<Vec<u8>> {
    let shapes: [fn(i64) -> i64; 4] =
        [|i| 1_700_000_000_000 + i * 15_000, |i| i * 15_000 + i * 7919 % 13, |i| i * i * i, |i| -i];
    let times = [3, 130, 1500].iter().flat_map(|n| shapes.map(|shape| (0..*n).map(shape).collect::<Vec<_>>()));
    let column = |times: Vec<i64>| {
        let mut out = Vec::new();
        put_timestamps(&mut out, &times, Effort::Cold);
        counted(times.len(), out)
    };
    times.map(column).collect()
}

fn timestamps_column(bytes: &[u8]) -> Result<bool, String> {
    with_count(bytes, |count, rest| {
        let Ok(column) = Timestamps::open(rest, count) else { return Ok(false) };
        let mut all = Vec::new();
        if column.all(&mut all).is_err() {
            return Ok(false);
        }
        let mut out = Vec::new();
        put_timestamps(&mut out, &all, Effort::Young);
        let mut back = Vec::new();
        Timestamps::open(&out, count).and_then(|t| t.all(&mut back)).map_err(|error| error.to_string())?;
        if all.len() == count && back == all { Ok(true) } else { Err("it reads back otherwise".to_owned()) }
    })
}

fn integers_seeds() -> Vec<Vec<u8>> {
    let lists = [vec![], vec![0, 1, u64::MAX], (0..200).map(|i| i * i).collect::<Vec<u64>>()];
    let column = |numbers: Vec<u64>| {
        let mut out = Vec::new();
        put_integers(&mut out, &numbers);
        counted(numbers.len(), out)
    };
    lists.map(column).to_vec()
}

fn integers_column(bytes: &[u8]) -> Result<bool, String> {
    with_count(bytes, |count, rest| match take_integers(&mut Cursor::new(rest), count) {
        Ok(numbers) if numbers.len() == count => Ok(true),
        Ok(numbers) => Err(format!("{count} numbers asked for, {} read", numbers.len())),
        Err(_) => Ok(false),
    })
}

fn postings_seeds() -> Vec<Vec<u8>> {
    let lists = [vec![], vec![0, 1, 5, 1_000_000], (0..3000).collect::<Vec<u32>>(), (0..500).map(|i| i * 37).collect()];
    let list = |numbers: Vec<u32>| {
        let mut out = Vec::new();
        put_postings(&mut out, &numbers);
        out
    };
    lists.map(list).to_vec()
}

fn postings_list(bytes: &[u8]) -> Result<bool, String> {
    let Ok(list) = Postings::open(&mut Cursor::new(bytes)) else { return Ok(false) };
    if list.len() > 1 << 20 {
        // A few bytes may stand for very many numbers; reading them all is not what is asked here.
        return Ok(true);
    }
    let numbers = list.to_vec();
    if numbers.len() != list.len() {
        return Err(format!("{} numbers announced, {} read", list.len(), numbers.len()));
    }
    if !numbers.is_sorted_by(|a, b| a < b) {
        // Checksums keep such a list away; asked all the same, it must only come to an end.
        let _ = (list.cursor().seek(numbers[0]), intersect(&[list.clone(), list]));
        return Ok(false);
    }
    let mut cursor = list.cursor();
    let middle = numbers.get(numbers.len() / 2).copied();
    if let Some(middle) = middle
        && cursor.seek(middle) != Some(middle)
    {
        return Err(format!("it has {middle} and does not find it"));
    }
    if intersect(&[list.clone(), list]) == numbers {
        Ok(true)
    } else {
        Err("it is not its own intersection".to_owned())
    }
}

fn compressed_seeds() -> Vec<Vec<u8>> {
    let raw: Vec<u8> = (0..3000u32).map(|i| (i / 7) as u8).collect();
    let packed = compress(&raw).unwrap_or_default();
    vec![counted(raw.len(), packed)]
}
