//! Timestamps as what is left of them beside equidistant ticks.
//!
//! A scrape that is late does not make the next one late. Differences of neighbours hold each delay
//! twice; the distance from a tick holds it once.
//!
//! Invariant: arithmetic wraps around, so any timestamps are restored.

/// Ticks, and where timestamps lie beside them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Grid {
    /// The first tick.
    pub(super) first: i64,
    /// The distance of two ticks.
    pub(super) step: i64,
    /// Places of timestamps, rising, before which ticks were passed over, and how many. Where two lie
    /// beside one tick it is -1.
    pub(super) gaps: Vec<(u32, i64)>,
    /// Each timestamp less its tick.
    pub(super) residuals: Vec<u64>,
}

impl Grid {
    /// Grids that may suit the timestamps: their median distance, and that in whole seconds.
    pub(super) fn candidates(times: &[i64]) -> Vec<Grid> {
        let mut distances: Vec<i64> = times.windows(2).map(|two| two[1].wrapping_sub(two[0])).collect();
        let middle = distances.len() / 2;
        if distances.is_empty() {
            return Vec::new();
        }
        let median = *distances.select_nth_unstable(middle).1;
        let seconds = median.saturating_add(500) / 1000 * 1000;
        let near = seconds != median && seconds.abs_diff(median) <= median.unsigned_abs() / 50;
        let steps = [Some(median), near.then_some(seconds)];
        steps.into_iter().flatten().filter_map(|step| Grid::of(times, step)).collect()
    }

    fn of(times: &[i64], step: i64) -> Option<Grid> {
        let (first, last) = (*times.first()?, *times.last()?);
        // Distances that do not overflow when they are rounded; nobody's timestamps are further apart.
        if step <= 0 || last.checked_sub(first)?.unsigned_abs() > 1 << 60 {
            return None;
        }
        let (mut gaps, mut residuals, mut tick) = (Vec::new(), Vec::with_capacity(times.len()), 0);
        for (i, t) in (0u32..).zip(times) {
            let distance = t.checked_sub(first).filter(|distance| distance.unsigned_abs() <= 1 << 60)?;
            let nearest = (distance + step / 2).div_euclid(step);
            let passed = nearest - tick - i64::from(i > 0);
            if passed != 0 {
                gaps.push((i, passed));
            }
            tick = nearest;
            residuals.push((distance - tick * step) as u64);
        }
        (gaps.len() <= times.len() / 8).then_some(Grid { first, step, gaps, residuals })
    }

    /// Appends the timestamps that begin at a place, by their residuals.
    pub(super) fn restore(&self, place: usize, residuals: &[u64], out: &mut Vec<i64>) {
        let before = self.gaps.partition_point(|(gap, _)| (*gap as usize) < place);
        let passed = self.gaps[..before].iter().fold(0i64, |sum, (_, ticks)| sum.wrapping_add(*ticks));
        let mut tick = self.first.wrapping_add(self.step.wrapping_mul(passed.wrapping_add(place as i64)));
        let mut gaps = self.gaps[before..].iter().peekable();
        for (i, residual) in (place..).zip(residuals) {
            while let Some((_, ticks)) = gaps.next_if(|(gap, _)| *gap as usize == i) {
                tick = tick.wrapping_add(self.step.wrapping_mul(*ticks));
            }
            out.push(tick.wrapping_add(*residual as i64));
            tick = tick.wrapping_add(self.step);
        }
    }
}
