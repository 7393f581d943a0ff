//! The samples of a selector that counted at an instant.

use std::ops::ControlFlow;

use crate::model::{HistogramSample, Labels, Matcher, Sample, TimeRange, is_stale};
use crate::promql::{SeriesSource, SourceError};

use super::focus::{is_alike, shared};
use super::part::{SeriesEvidence, WindowEvidence};

/// Series whose labels are looked at to find those that matter.
const LOOKED_AT_MAX: usize = 10_000;

/// Which samples of a window count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// The last one.
    Latest,
    /// All.
    All,
}

/// Some of the series of a selector, those that matter to `focus` first, and how many there are.
pub(super) fn evidence(
    source: &dyn SeriesSource,
    matchers: &[Matcher],
    range: TimeRange,
    takes: Takes,
    focus: Option<&Labels>,
    (series_max, samples_max): (usize, usize),
) -> Result<(Vec<SeriesEvidence>, usize), SourceError> {
    let mut set = source.find(matchers, range, samples_max)?;
    set.sort();
    let mut all: Vec<(usize, usize, Labels)> = (0..set.count().min(LOOKED_AT_MAX))
        .map(|at| {
            let labels = set.labels(at);
            let rank = focus.map_or(0, |focus| match is_alike(focus, &labels) {
                true => 0,
                false => 1 + focus.len().saturating_sub(shared(focus, &labels)),
            });
            (rank, at, labels)
        })
        .collect();
    all.sort_by_key(|(rank, at, _)| (*rank, *at));
    // More are read than are shown, for some may have nothing in the window.
    let wanted: Vec<usize> = all.iter().take(series_max * 4).map(|(_, at, _)| *at).collect();
    let mut read = Vec::new();
    set.read(&mut wanted.iter().map(|at| *at..*at + 1), &mut |at, samples, histograms| {
        read.extend(window(samples, histograms, range, takes).map(|window| (at, window)));
        ControlFlow::Continue(())
    })?;
    let labels_of = |at: usize| all.iter().find(|(_, number, _)| *number == at).map(|(_, _, labels)| labels.clone());
    let place = |at: usize| wanted.iter().position(|number| *number == at);
    read.sort_by_key(|(at, _)| place(*at));
    let missing = wanted.len() - read.len();
    let total = if set.count() > wanted.len() { set.count() } else { wanted.len() - missing };
    let found = read.into_iter().take(series_max);
    let found = found.filter_map(|(at, window)| Some(SeriesEvidence { labels: labels_of(at)?, window }));
    Ok((found.collect(), total))
}

fn window(
    samples: &[Sample],
    histograms: &[HistogramSample],
    range: TimeRange,
    takes: Takes,
) -> Option<WindowEvidence> {
    let samples: Vec<Sample> = samples.iter().copied().filter(|sample| range.contains(sample.t)).collect();
    let histograms: Vec<_> = histograms.iter().filter(|sample| range.contains(sample.t)).collect();
    let last = samples.last().copied();
    if let Some(histogram) = histograms.last()
        && last.is_none_or(|last| last.t < histogram.t)
    {
        let stale = is_stale(histogram.histogram.sum);
        let shown = WindowEvidence::Histograms { count: histograms.len(), last: histogram.t };
        return Some(if stale { WindowEvidence::Ended(histogram.t) } else { shown });
    }
    let last = last?;
    if takes == Takes::Latest {
        return Some(if is_stale(last.v) { WindowEvidence::Ended(last.t) } else { WindowEvidence::Latest(last) });
    }
    let live: Vec<Sample> = samples.into_iter().filter(|sample| !is_stale(sample.v)).collect();
    let (Some(first), Some(newest)) = (live.first(), live.last()) else { return Some(WindowEvidence::Ended(last.t)) };
    Some(WindowEvidence::Window {
        count: live.len(),
        first: *first,
        last: *newest,
        min: live.iter().map(|sample| sample.v).fold(f64::INFINITY, f64::min),
        max: live.iter().map(|sample| sample.v).fold(f64::NEG_INFINITY, f64::max),
        resets: live.windows(2).filter(|pair| pair[1].v < pair[0].v).count(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{STALE_NAN, Timestamp};

    #[test]
    fn windows_are_summed_up() {
        let of = |values: &[(i64, f64)], takes| {
            let samples: Vec<_> = values.iter().map(|(t, v)| Sample { t: Timestamp(*t), v: *v }).collect();
            window(&samples, &[], TimeRange { after: Timestamp(0), until: Timestamp(100) }, takes)
        };
        let sample = |t, v| Sample { t: Timestamp(t), v };
        let values = [(0, 9.0), (10, 5.0), (20, 2.0), (30, 4.0), (110, 9.0)];
        let (first, last) = (sample(10, 5.0), sample(30, 4.0));
        let whole = WindowEvidence::Window { count: 3, first, last, min: 2.0, max: 5.0, resets: 1 };
        assert_eq!(of(&values, Takes::All), Some(whole));
        assert_eq!(of(&values, Takes::Latest), Some(WindowEvidence::Latest(last)));
        let stale = [(10, 1.0), (20, f64::from_bits(STALE_NAN))];
        assert_eq!(of(&stale, Takes::Latest), Some(WindowEvidence::Ended(Timestamp(20))));
        assert_eq!(of(&[(0, 1.0)], Takes::All), None);
    }
}
