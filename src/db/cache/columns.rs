//! The values of a range of steps, one column of numbers a series.
//!
//! Invariants:
//! - Series are sorted by labels, as in the answer to a range query, and each has a value.
//! - A step without a number holds the bits of the staleness marker, which no answer holds: see `promql`'s rows.

use std::cmp::Ordering;

use super::grid::Grid;
use crate::model::{HistogramSample, Labels, STALE_NAN, Sample, is_stale};
use crate::promql::MatrixSeries;

/// What a column takes beside its values: lists, labels' counts.
const COLUMN_BYTES: usize = 128;

/// A range of steps, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StepRange {
    pub(super) first: i64,
    pub(super) last: i64,
}

impl StepRange {
    pub(super) fn count(self) -> u64 {
        u64::try_from(self.last.saturating_sub(self.first).saturating_add(1)).unwrap_or(0)
    }

    pub(super) fn contains(self, number: i64) -> bool {
        self.first <= number && number <= self.last
    }
}

/// The values of one series.
#[derive(Debug, Clone)]
struct Column {
    labels: Labels,
    /// The step of the first number.
    first: i64,
    numbers: Vec<f64>,
    histograms: Vec<HistogramSample>,
}

/// The values of some series.
#[derive(Debug, Clone, Default)]
pub(super) struct Columns(Vec<Column>);

impl Column {
    fn new(labels: Labels) -> Column {
        Column { labels, first: 0, numbers: Vec::new(), histograms: Vec::new() }
    }

    fn push(&mut self, number: i64, v: f64) {
        if self.numbers.is_empty() {
            self.first = number;
        }
        let at = usize::try_from(number - self.first).unwrap_or(usize::MAX);
        self.numbers.resize(at, f64::from_bits(STALE_NAN));
        self.numbers.push(v);
    }

    fn add_column(&mut self, other: &Column, steps: StepRange, grid: Grid) {
        other.numbers_in(steps).for_each(|(number, v)| self.push(number, v));
        self.histograms.extend(other.histograms_in(steps, grid).cloned());
    }

    fn add_series(&mut self, series: &MatrixSeries, steps: StepRange, grid: Grid) {
        for sample in &series.samples {
            let number = grid.at(sample.t);
            if steps.contains(number) {
                self.push(number, sample.v);
            }
        }
        let inside = |sample: &&HistogramSample| steps.contains(grid.at(sample.t));
        self.histograms.extend(series.histograms.iter().filter(inside).cloned());
    }

    fn numbers_in(&self, steps: StepRange) -> impl Iterator<Item = (i64, f64)> {
        let end = self.first + self.numbers.len() as i64;
        let from = steps.first.clamp(self.first, end);
        let to = steps.last.saturating_add(1).clamp(from, end);
        let part = &self.numbers[(from - self.first) as usize..(to - self.first) as usize];
        (from..to).zip(part.iter().copied()).filter(|(_, v)| !is_stale(*v))
    }

    fn histograms_in(&self, steps: StepRange, grid: Grid) -> impl Iterator<Item = &HistogramSample> {
        self.histograms.iter().filter(move |sample| steps.contains(grid.at(sample.t)))
    }

    fn is_empty(&self) -> bool {
        self.numbers.is_empty() && self.histograms.is_empty()
    }

    fn bytes(&self) -> usize {
        let histograms: usize = self.histograms.iter().map(|one| one.histogram.bytes() + size_of_val(one)).sum();
        COLUMN_BYTES + self.labels.as_text().len() + 8 * self.numbers.len() + histograms
    }
}

impl Columns {
    /// The values of `old` in some steps, and behind them those of `new` in others.
    pub(super) fn joined(
        (old, old_steps): (&Columns, StepRange),
        (new, new_steps): (&[MatrixSeries], StepRange),
        grid: Grid,
    ) -> Columns {
        let mut columns = Vec::with_capacity(new.len());
        both(old.0.iter(), new.iter(), |old, new| {
            let labels = old.map(|column| &column.labels).or(new.map(|series| &series.labels));
            let mut column = Column::new(labels.cloned().unwrap_or_else(Labels::empty));
            old.into_iter().for_each(|old| column.add_column(old, old_steps, grid));
            new.into_iter().for_each(|new| column.add_series(new, new_steps, grid));
            if !column.is_empty() {
                column.numbers.shrink_to_fit();
                columns.push(column);
            }
        });
        Columns(columns)
    }

    /// The answer whose first `steps` are these values and whose others are `new`.
    pub(super) fn answer(&self, steps: StepRange, new: Vec<MatrixSeries>, grid: Grid) -> Vec<MatrixSeries> {
        let mut answer = Vec::with_capacity(self.0.len().max(new.len()));
        both(self.0.iter(), new.into_iter(), |old, new| {
            let Some(old) = old else {
                answer.extend(new);
                return;
            };
            let mut samples = Vec::with_capacity(old.numbers.len() + new.as_ref().map_or(0, |new| new.samples.len()));
            samples.extend(old.numbers_in(steps).map(|(number, v)| Sample { t: grid.time(number), v }));
            let mut histograms: Vec<HistogramSample> = old.histograms_in(steps, grid).cloned().collect();
            if let Some(new) = new {
                samples.extend(new.samples);
                histograms.extend(new.histograms);
            }
            let series = MatrixSeries { labels: old.labels.clone(), samples, histograms };
            if !series.is_empty() {
                answer.push(series);
            }
        });
        answer
    }

    /// About how much memory they take.
    pub(super) fn bytes(&self) -> usize {
        self.0.iter().map(Column::bytes).sum()
    }
}

/// Something of a series.
trait Labelled {
    fn labels(&self) -> &Labels;
}

impl Labelled for &Column {
    fn labels(&self) -> &Labels {
        &self.labels
    }
}

impl Labelled for &MatrixSeries {
    fn labels(&self) -> &Labels {
        &self.labels
    }
}

impl Labelled for MatrixSeries {
    fn labels(&self) -> &Labels {
        &self.labels
    }
}

/// Calls `each` for every label set of one or both, in order.
fn both<A: Labelled, B: Labelled>(
    old: impl Iterator<Item = A>,
    new: impl Iterator<Item = B>,
    mut each: impl FnMut(Option<A>, Option<B>),
) {
    let (mut old, mut new) = (old.peekable(), new.peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (Some(a), Some(b)) => a.labels().cmp(b.labels()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return,
        };
        let a = if order == Ordering::Greater { None } else { old.next() };
        let b = if order == Ordering::Less { None } else { new.next() };
        each(a, b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Millis, Timestamp};

    #[test]
    fn parts_of_two_ranges_make_the_whole() {
        let grid = Grid::new(Timestamp(0), Millis(10));
        let series = |name: &str, values: &[(i64, f64)]| MatrixSeries {
            labels: Labels::new([("n", name)]).unwrap(),
            samples: values.iter().map(|(number, v)| Sample { t: grid.time(*number), v: *v }).collect(),
            histograms: Vec::new(),
        };
        let range = |first, last| StepRange { first, last };
        let old = [series("a", &[(1, 1.0), (4, 4.0)]), series("b", &[(1, 1.0)]), series("d", &[(3, 3.0)])];
        let none = (&Columns::default(), range(0, -1));
        let columns = Columns::joined(none, (&old, range(0, 4)), grid);
        let new = [series("a", &[(5, 5.0)]), series("c", &[(5, 5.0), (6, 6.0)]), series("d", &[(6, -0.0)])];
        let answer = columns.answer(range(2, 4), new.to_vec(), grid);
        let expected = [
            series("a", &[(4, 4.0), (5, 5.0)]),
            series("c", &[(5, 5.0), (6, 6.0)]),
            series("d", &[(3, 3.0), (6, -0.0)]),
        ];
        assert_eq!(answer, expected);
        let longer = Columns::joined((&columns, range(2, 4)), (&new, range(5, 5)), grid);
        let expected = [series("a", &[(4, 4.0), (5, 5.0)]), series("c", &[(5, 5.0)]), series("d", &[(3, 3.0)])];
        assert_eq!(longer.answer(range(0, 9), Vec::new(), grid), expected);
        assert_eq!(longer.answer(range(6, 9), Vec::new(), grid), []);
        assert!(longer.bytes() > 0);
    }
}
