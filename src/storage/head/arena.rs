//! Columns of points in few large pieces of memory.
//!
//! A column is a chain of runs. Where a run begins and how long it is follows from the number of its
//! first point, so that a column needs eight bytes for itself: its last run, and its length.
//!
//! Invariant: runs are full, save the last one of each column.

/// Words of a piece: 256 KiB, which the system gives and takes by pages.
const PIECE_BITS: u32 = 16;
/// A run's first word: the run before it.
const RUN_HEADER: usize = 1;
/// Words of a point: its stamp, and its value in two halves.
pub(super) const POINT_WORDS: usize = 3;
/// The longest run.
const RUN_MAX: u32 = 64;
/// Most questions read no more runs of a column.
const RUNS_USUAL: usize = 8;
/// In [`Column::length`]: the points are not in the order of time.
const UNORDERED: u32 = 1 << 31;

/// A sample without its time, which its stamp tells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub(super) stamp: u32,
    pub(super) v: f64,
}

/// Where a column is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Column {
    /// The first word of the last run.
    tail: u32,
    length: u32,
}

/// Where a run is, and which points of its column it has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    word: u32,
    start: u32,
    end: u32,
}

/// The memory of many columns, given back as a whole.
#[derive(Debug, Default)]
pub(super) struct Arena {
    pieces: Vec<Box<[u32]>>,
    /// The next free word of the last piece.
    free: usize,
}

/// The first point of the run that point `n` lies in, and how many points the run has. Runs grow with
/// their column: at most a third of it is empty, and never more than one long run.
#[inline]
fn run_of(n: u32) -> (u32, u32) {
    let length = match n {
        0..8 => 4,
        _ => (1 << (n.ilog2() - 1)).min(RUN_MAX),
    };
    (n & !(length - 1), length)
}

impl Column {
    /// How many points there are.
    pub(super) fn len(self) -> u32 {
        self.length & !UNORDERED
    }

    /// Whether some point is older than one before it.
    pub(super) fn is_unordered(self) -> bool {
        self.length & UNORDERED != 0
    }

    pub(super) fn set_unordered(&mut self) {
        self.length |= UNORDERED;
    }
}

impl Arena {
    /// Reads the word that an append to the column begins with, and nothing else, so that several
    /// columns are fetched together.
    pub(super) fn touch(&self, column: Column) -> u32 {
        match column.len() {
            0 => 0,
            n => self.word(column.tail, point_at(n - 1)),
        }
    }

    /// Appends a point; gives the stamp of the point before it.
    pub(super) fn push(&mut self, column: &mut Column, point: Point) -> Option<u32> {
        let n = column.len();
        let (start, length) = run_of(n);
        let last = n.checked_sub(1).map(|last| self.word(column.tail, point_at(last)));
        if start == n {
            column.tail = self.allocate(RUN_HEADER + length as usize * POINT_WORDS, column.tail);
        }
        let bits = point.v.to_bits();
        let (piece, at) = split(column.tail);
        let at = at + point_at(n);
        if let Some(words) = self.pieces.get_mut(piece).and_then(|words| words.get_mut(at..at + POINT_WORDS)) {
            words.copy_from_slice(&[point.stamp, bits as u32, (bits >> 32) as u32]);
        }
        column.length += 1;
        last
    }

    /// The points of a column in the order in which they came, from the last run on that begins with a
    /// point for which `early_enough` holds.
    pub(super) fn points(&self, column: Column, early_enough: impl Fn(Point) -> bool) -> impl Iterator<Item = Point> {
        self.runs(column, early_enough).into_iter().rev().flatten().map(point_of)
    }

    /// The runs of those points, the last one first.
    pub(super) fn runs(&self, column: Column, early_enough: impl Fn(Point) -> bool) -> Vec<&[[u32; POINT_WORDS]]> {
        let mut runs = Vec::with_capacity(RUNS_USUAL);
        let mut next = self.last_run(column);
        while let Some(run) = next {
            let points = self.points_of(run);
            runs.push(points);
            if points.first().is_none_or(|first| early_enough(point_of(first))) {
                break;
            }
            next = self.before(run);
        }
        runs
    }

    /// The last run of a column.
    #[inline]
    pub(super) fn last_run(&self, column: Column) -> Option<Run> {
        let last = column.len().checked_sub(1)?;
        Some(Run { word: column.tail, start: run_of(last).0, end: column.len() })
    }

    /// The run before another one.
    #[inline]
    pub(super) fn before(&self, run: Run) -> Option<Run> {
        let last = run.start.checked_sub(1)?;
        Some(Run { word: self.word(run.word, 0), start: run_of(last).0, end: run.start })
    }

    /// The points of a run.
    #[inline]
    pub(super) fn points_of(&self, run: Run) -> &[[u32; POINT_WORDS]] {
        self.run(run.word, (run.end - run.start) as usize).as_chunks::<POINT_WORDS>().0
    }

    /// The words of the first `count` points of a run.
    #[inline]
    fn run(&self, run: u32, count: usize) -> &[u32] {
        let (piece, at) = split(run);
        let from = at + RUN_HEADER;
        self.pieces.get(piece).and_then(|words| words.get(from..from + count * POINT_WORDS)).unwrap_or_default()
    }

    /// Bytes of all pieces.
    pub(super) fn bytes(&self) -> usize {
        self.pieces.len() << PIECE_BITS << 2
    }

    #[inline]
    fn word(&self, run: u32, offset: usize) -> u32 {
        let (piece, at) = split(run);
        self.pieces.get(piece).and_then(|words| words.get(at + offset)).copied().unwrap_or(0)
    }

    /// Takes words for a run that follows `before`.
    fn allocate(&mut self, words: usize, before: u32) -> u32 {
        if self.pieces.is_empty() || self.free + words > 1 << PIECE_BITS {
            self.pieces.push(vec![0; 1 << PIECE_BITS].into_boxed_slice());
            self.free = 0;
        }
        let (piece, at) = (self.pieces.len() - 1, self.free);
        self.free += words;
        self.pieces[piece][at] = before;
        // 16 GiB of points in a sixteenth of a generation are more than the log before a checkpoint holds.
        debug_assert!(piece < 1 << PIECE_BITS);
        (piece as u32) << PIECE_BITS | at as u32
    }
}

/// The point that these words hold.
#[inline]
pub(super) fn point_of([stamp, low, high]: &[u32; POINT_WORDS]) -> Point {
    Point { stamp: *stamp, v: f64::from_bits(u64::from(*low) | u64::from(*high) << 32) }
}

/// The first word of point `n` in its run.
#[inline]
fn point_at(n: u32) -> usize {
    let (start, _) = run_of(n);
    RUN_HEADER + (n - start) as usize * POINT_WORDS
}

#[inline]
fn split(run: u32) -> (usize, usize) {
    ((run >> PIECE_BITS) as usize, run as usize & ((1 << PIECE_BITS) - 1))
}

#[cfg(test)]
mod tests {
    use crate::env::Rng;

    use super::*;

    #[test]
    fn runs_follow_from_their_first_point() {
        let mut next = 0;
        while next < 2000 {
            let (start, length) = run_of(next);
            assert_eq!(start, next);
            assert!((start..start + length).all(|n| run_of(n) == (start, length)), "{start}");
            assert!(start < 8 || length <= start / 2, "{start}");
            next += length;
        }
    }

    #[test]
    fn columns_hold_what_vectors_hold() {
        let (mut arena, mut rng) = (Arena::default(), Rng::new(5));
        let mut columns: Vec<(Column, Vec<Point>)> = vec![Default::default(); 300];
        for stamp in 0..100_000 {
            let at = rng.below(17) * rng.below(18);
            let (column, model) = &mut columns[at as usize];
            let point = Point { stamp, v: rng.normal() };
            assert_eq!(arena.push(column, point), model.last().map(|last| last.stamp));
            assert_eq!(arena.touch(*column), stamp);
            model.push(point);
        }
        for (column, model) in &columns {
            assert_eq!(column.len() as usize, model.len());
            assert!(arena.points(*column, |_| false).eq(model.iter().copied()));
            let late = rng.below(100_000) as u32;
            let some: Vec<Point> = arena.points(*column, |point| point.stamp <= late).collect();
            assert!(model.ends_with(&some));
            assert!(some.len() == model.len() || some[0].stamp <= late, "nothing behind it is left out");
        }
    }
}
