//! The order of values in `topk`, `bottomk`, `sort` and `sort_desc`.

/// Which values come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The least.
    Ascending,
    /// The greatest.
    Descending,
}

/// A key for each value: that of one that comes first is less, that of equal ones the same. NaN comes last either way, so
/// that a number always wins over it.
#[inline]
pub fn rank_key(direction: Direction, v: f64) -> u64 {
    if v.is_nan() {
        return u64::MAX;
    }
    // Zero has two signs and is one number.
    let bits = (v + 0.0).to_bits();
    let ascending = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
    if direction == Direction::Ascending { ascending } else { !ascending }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_the_order_of_values() {
        let ascending = [f64::NEG_INFINITY, -1e300, -1.5, -1e-310, 0.0, 1e-310, 1.5, f64::MAX, f64::INFINITY, f64::NAN];
        assert!(ascending.is_sorted_by_key(|v| rank_key(Direction::Ascending, *v)));
        assert!(
            ascending[..9]
                .iter()
                .rev()
                .is_sorted_by(|a, b| { rank_key(Direction::Descending, **a) < rank_key(Direction::Descending, **b) })
        );
        for direction in [Direction::Ascending, Direction::Descending] {
            assert_eq!(rank_key(direction, 0.0), rank_key(direction, -0.0));
            assert!(ascending[..9].iter().all(|v| rank_key(direction, *v) < rank_key(direction, -f64::NAN)));
        }
    }
}
