//! Events that are counted: a sum of counters, of which some may be taken away.
//!
//! A native histogram counts as two counters: of its observations, and of those up to a bound.

use crate::model::{HistogramSample, Labels, MatchOp, Matcher, Millis, STALE_NAN, Sample};
use crate::promql::kernel::FloatHistogram;

/// A sum of counters.
#[derive(Debug, Clone, PartialEq)]
pub struct Events {
    /// What is added up; never empty.
    pub terms: Vec<Term>,
}

/// Counters of a sum.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    /// Selects the series.
    pub series: Vec<Matcher>,
    /// What is read from their samples.
    pub reading: Reading,
    /// Whether it is taken away instead of added.
    pub subtracted: bool,
}

/// What is read from a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reading {
    /// The number that it is.
    Value,
    /// The number that it is, which is not a counter's, but how many events there were since the last sample.
    Each,
    /// One, whatever it is: how many samples there were. With [`Reading::Each`] for the bad ones this is the average of
    /// ratios that somebody else has computed.
    One,
    /// Of a native histogram: how many observations it holds.
    Observations,
    /// Of a native histogram: how many of them are at most so large. Within a bucket they are taken as spread as
    /// `histogram_fraction` takes them.
    ObservationsUpTo(f64),
}

impl Events {
    /// The increases of the counters that are selected.
    pub fn of(counters: Vec<Matcher>) -> Events {
        Events { terms: vec![Term { series: counters, reading: Reading::Value, subtracted: false }] }
    }

    /// The same of numbers that are no counters: each sample says how many events there were since the last.
    #[must_use]
    pub fn of_deltas(mut self) -> Events {
        let values = self.terms.iter_mut().filter(|term| term.reading == Reading::Value);
        values.for_each(|term| term.reading = Reading::Each);
        self
    }

    /// What is read from the series that are selected.
    pub fn read(series: Vec<Matcher>, reading: Reading) -> Events {
        Events { terms: vec![Term { series, reading, subtracted: false }] }
    }

    /// What is read from the native histograms that are selected.
    pub fn of_histograms(series: Vec<Matcher>, reading: Reading) -> Events {
        Events { terms: vec![Term { series, reading, subtracted: false }] }
    }

    /// These and others.
    #[must_use]
    pub fn plus(mut self, other: Events) -> Events {
        self.terms.extend(other.terms);
        self
    }

    /// These without others.
    #[must_use]
    pub fn minus(mut self, other: Events) -> Events {
        self.terms.extend(other.terms.into_iter().map(|term| Term { subtracted: !term.subtracted, ..term }));
        self
    }

    /// How often a series counts, by what is read from it; absent if none of it does.
    pub(super) fn weight(&self, labels: &Labels, reading: Reading) -> Option<f64> {
        let selects =
            |term: &&Term| term.reading == reading && term.series.iter().all(|m| m.matches(labels.get(m.name())));
        let mut weights = self.terms.iter().filter(selects).map(|term| if term.subtracted { -1.0 } else { 1.0 });
        weights.next().map(|first| first + weights.sum::<f64>())
    }

    /// What is read from any of its series.
    pub(super) fn readings(&self) -> impl Iterator<Item = Reading> {
        self.terms.iter().map(|term| term.reading)
    }

    /// The selectors of its series.
    pub(super) fn matchers(&self) -> impl Iterator<Item = &[Matcher]> {
        self.terms.iter().map(|term| term.series.as_slice())
    }

    /// The expression that gives its increase over `window`.
    pub(super) fn query(&self, window: Millis) -> String {
        self.joined(|term| {
            let range = format!("{}[{window}]", selector(&term.series));
            match term.reading {
                Reading::Value => format!("sum(increase({range}))"),
                Reading::Each => format!("sum(sum_over_time({range}))"),
                Reading::One => format!("sum(count_over_time({range}))"),
                Reading::Observations => format!("histogram_count(sum(increase({range})))"),
                Reading::ObservationsUpTo(bound) => format!(
                    "histogram_fraction(-Inf, {bound}, sum(increase({range}))) * histogram_count(sum(increase({range})))"
                ),
            }
        })
    }

    /// The expression for these as a share of `total`, if they are the observations up to a bound of the same
    /// histograms.
    pub(super) fn fraction_of(&self, total: &Events, window: Millis) -> Option<String> {
        let ([part], [all]) = (self.terms.as_slice(), total.terms.as_slice()) else { return None };
        let Reading::ObservationsUpTo(bound) = part.reading else { return None };
        let same = part.series == all.series && all.reading == Reading::Observations;
        (same && !part.subtracted && !all.subtracted)
            .then(|| format!("histogram_fraction(-Inf, {bound}, sum(increase({}[{window}])))", selector(&part.series)))
    }

    /// Its counters, for people and for telling whether the same is counted.
    pub(super) fn text(&self) -> String {
        self.joined(|term| {
            let selector = selector(&term.series);
            match term.reading {
                Reading::Value => selector,
                Reading::Each => format!("each({selector})"),
                Reading::One => format!("samples({selector})"),
                Reading::Observations => format!("observations({selector})"),
                Reading::ObservationsUpTo(bound) => format!("observations({selector}) up to {bound}"),
            }
        })
    }

    fn joined(&self, text: impl Fn(&Term) -> String) -> String {
        let mut all = String::new();
        for (n, term) in self.terms.iter().enumerate() {
            all.push_str(match (n, term.subtracted) {
                (0, false) => "",
                (0, true) => "-",
                (_, false) => " + ",
                (_, true) => " - ",
            });
            all.push_str(&text(term));
        }
        all
    }
}

impl From<Vec<Matcher>> for Events {
    fn from(counters: Vec<Matcher>) -> Events {
        Events::of(counters)
    }
}

impl Reading {
    /// Whether it is read from numbers; otherwise it is from native histograms.
    pub(super) fn of_numbers(self) -> bool {
        matches!(self, Reading::Value | Reading::Each | Reading::One)
    }

    /// The number that a histogram gives; the mark of staleness if the series has ended.
    pub(super) fn of(self, histogram: &HistogramSample) -> Sample {
        let held = &histogram.histogram;
        let v = match self {
            _ if held.is_stale() => f64::from_bits(STALE_NAN),
            Reading::Value | Reading::Each | Reading::One => f64::NAN,
            Reading::Observations => FloatHistogram::from(held.as_ref()).count,
            Reading::ObservationsUpTo(bound) => FloatHistogram::from(held.as_ref()).observations_below(bound),
        };
        Sample { t: histogram.t, v }
    }

    /// The labels under which a counter is known that is read from a series.
    pub(super) fn labels(self, series: &Labels) -> Labels {
        let what = match self {
            Reading::Value => return series.clone(),
            Reading::Each => "each".to_owned(),
            Reading::One => "samples".to_owned(),
            Reading::Observations => "observations".to_owned(),
            Reading::ObservationsUpTo(bound) => format!("observations up to {bound}"),
        };
        // The series' own labels were checked, and what is added is short.
        series.builder().set("__reading__", &what).build().unwrap_or_else(|_| series.clone())
    }
}

/// Matchers as a selector of the query language.
pub(super) fn selector(matchers: &[Matcher]) -> String {
    let is_name = |m: &&Matcher| {
        m.name() == Labels::METRIC_NAME
            && m.op() == MatchOp::Equal
            && m.value().chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
            && m.value().starts_with(|c: char| !c.is_ascii_digit())
    };
    let name = matchers.iter().find(is_name);
    let rest: Vec<String> = matchers.iter().filter(|m| Some(*m) != name).map(Matcher::to_string).collect();
    match (name, rest.is_empty()) {
        (Some(name), true) => name.value().to_owned(),
        (name, _) => format!("{}{{{}}}", name.map_or("", Matcher::value), rest.join(",")),
    }
}
