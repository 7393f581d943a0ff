//! An evidence pack: queries with their values, and the samples from which anybody can compute them again.
//!
//! Invariants:
//! - What is claimed is what the query language answers on the samples of the pack alone. Where the store answers
//!   otherwise, its answer is claimed, and the pack says that it cannot be replayed.
//! - At most [`limits::EVIDENCE_SAMPLES_MAX`] samples; what is too much is narrowed to the series that concern the alert,
//!   and then cut, which is said.
//! - The same question about the same data gives the same pack.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::model::{Labels, Matcher, Millis, Sample, TimeRange, Timestamp, limits};
use crate::promql::{
    At, Edges, ElementValue, EvalError, EvalOptions, Expr, ExprKind, Query, SeriesSamples, SeriesSource, Shift,
    SourceError, Value, parse,
};

use super::focus::is_alike;

/// Parts of an expression whose values are claimed beside its own, and elements of each.
const PARTS_MAX: usize = 12;
const ELEMENTS_MAX: usize = 20;

/// What a pack is to show.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The expression.
    pub expr: Expr,
    /// The instant.
    pub at: Timestamp,
    /// Which samples of it are kept.
    pub keeps: Keeps,
}

/// Which samples of a window are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// All.
    All,
    /// Of counters those at the edges of the window and around resets: the increase needs no others. A counter that
    /// began while its target was watched stood at nothing before, as objectives count it.
    Edges,
}

/// A query and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// The query.
    pub query: String,
    /// The instant.
    pub at: Timestamp,
    /// Its elements by labels: those that concern the alert, if one is meant.
    pub elements: Vec<(Labels, f64)>,
}

/// A series of a pack.
#[derive(Debug, Clone, PartialEq)]
pub struct PackSeries {
    /// Which series.
    pub labels: Labels,
    /// Its samples, oldest first.
    pub samples: Vec<Sample>,
    /// The instant of a sample that was not stored: the counter began behind it.
    pub presumed: Option<Timestamp>,
}

/// Queries with their values, and the samples that decided them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Pack {
    /// How far back instant selectors look.
    pub lookback: Millis,
    /// The labels of the one alert that is meant.
    pub focus: Option<Labels>,
    /// The queries.
    pub claims: Vec<Claim>,
    /// The samples, by series.
    pub series: Vec<PackSeries>,
    /// Why it cannot be replayed wholly, if it cannot.
    pub short: Option<String>,
}

/// A claim that does not come out.
#[derive(Debug, Clone, PartialEq)]
pub struct Contradiction {
    /// The query.
    pub query: String,
    /// The instant.
    pub at: Timestamp,
    /// The element; empty labels for a number.
    pub labels: Labels,
    /// What is claimed; absent if the element is not.
    pub claimed: Option<f64>,
    /// What comes out; absent if the element does not.
    pub computed: Option<f64>,
}

impl Pack {
    /// How many samples it holds.
    pub fn count(&self) -> usize {
        self.series.iter().map(|series| series.samples.len()).sum()
    }

    /// Collects what decided `asked`.
    ///
    /// # Errors
    /// The source cannot be read, or an expression cannot be evaluated.
    pub fn gather(
        source: &dyn SeriesSource,
        asked: &[Asked],
        focus: Option<Labels>,
        options: &EvalOptions,
    ) -> Result<Pack, EvalError> {
        let mut pack = Pack { lookback: options.lookback, focus, ..Pack::default() };
        let mut expected = Vec::new();
        for one in asked.iter().filter(|one| one.keeps == Keeps::All) {
            pack.claim(source, one, options, &mut expected)?;
        }
        let all = match Stored::read(source, asked, options) {
            Ok(all) => all,
            Err(SourceError::TooManySamples { limit }) => {
                pack.claims = expected;
                pack.short = Some(format!("its queries read more than {limit} samples"));
                return Ok(pack);
            }
            Err(error) => return Err(EvalError::Source(error)),
        };
        pack.series = all.series();
        if pack.count() > limits::EVIDENCE_SAMPLES_MAX {
            let focus = pack.focus.clone();
            pack.series.retain(|series| focus.as_ref().is_none_or(|focus| is_alike(focus, &series.labels)));
        }
        if pack.count() > limits::EVIDENCE_SAMPLES_MAX {
            let count = pack.count();
            pack.short =
                Some(format!("{count} samples decided it, of which the newest {} are here", pack.cut_to_most()));
        }
        let mut claims = Vec::new();
        for one in asked {
            pack.claim(&pack, one, options, &mut claims)?;
        }
        // What objectives count is held against what they counted, not against other queries.
        let found: Vec<&Claim> =
            claims.iter().filter(|claim| expected.iter().any(|other| same(other, claim))).collect();
        if found.len() == expected.len() && found.iter().zip(&expected).all(|(a, b)| equal(a, b)) {
            pack.claims = claims;
        } else {
            let histograms = all.histograms.then_some("they read native histograms, which a pack does not hold");
            let other = histograms.unwrap_or("its samples alone give other values than all that is stored");
            pack.short.get_or_insert(other.to_owned());
            let edges = claims.into_iter().filter(|claim| !expected.iter().any(|other| same(other, claim)));
            pack.claims = expected.iter().cloned().chain(edges).collect();
        }
        Ok(pack)
    }

    /// Computes everything anew from the samples of the pack alone, and gives what comes out otherwise.
    ///
    /// # Errors
    /// A query is none, or cannot be evaluated.
    pub fn replay(&self) -> Result<Vec<Contradiction>, String> {
        let options = EvalOptions { lookback: self.lookback, ..EvalOptions::default() };
        let mut contradictions = Vec::new();
        for claim in &self.claims {
            let expr = parse(&claim.query).map_err(|error| format!("{}: {error}", claim.query))?;
            let computed = elements(self, &expr, claim.at, self.focus.as_ref(), &options);
            let computed = computed.map_err(|error| format!("{}: {error}", claim.query))?;
            let mut both: BTreeMap<&Labels, [Option<f64>; 2]> = BTreeMap::new();
            claim.elements.iter().for_each(|(labels, v)| both.entry(labels).or_default()[0] = Some(*v));
            computed.iter().for_each(|(labels, v)| both.entry(labels).or_default()[1] = Some(*v));
            let differing = both.into_iter().filter(|(_, [a, b])| a.map(bits) != b.map(bits));
            contradictions.extend(differing.map(|(labels, [claimed, computed])| Contradiction {
                query: claim.query.clone(),
                at: claim.at,
                labels: labels.clone(),
                claimed,
                computed,
            }));
        }
        Ok(contradictions)
    }

    /// Claims what a source answers to an expression, and to the sides of its comparisons.
    fn claim(
        &self,
        source: &dyn SeriesSource,
        asked: &Asked,
        options: &EvalOptions,
        out: &mut Vec<Claim>,
    ) -> Result<(), EvalError> {
        let mut parts = vec![asked.expr.without_parens()];
        compared(&asked.expr, &mut parts);
        parts.truncate(1 + PARTS_MAX);
        for expr in parts {
            let claim = Claim {
                query: expr.to_string(),
                at: asked.at,
                elements: elements(source, expr, asked.at, self.focus.as_ref(), options)?,
            };
            if !out.iter().any(|known| same(known, &claim)) {
                out.push(claim);
            }
        }
        Ok(())
    }

    /// Leaves the newest samples, the same share of each series; gives how many there are then.
    fn cut_to_most(&mut self) -> usize {
        let of_each = (limits::EVIDENCE_SAMPLES_MAX / self.series.len().max(1)).max(1);
        self.series.truncate(limits::EVIDENCE_SAMPLES_MAX);
        for series in &mut self.series {
            series.samples.drain(..series.samples.len().saturating_sub(of_each));
        }
        self.count()
    }
}

fn same(a: &Claim, b: &Claim) -> bool {
    a.at == b.at && a.query == b.query
}

fn equal(a: &Claim, b: &Claim) -> bool {
    let pairs = a.elements.iter().zip(&b.elements);
    a.elements.len() == b.elements.len() && pairs.into_iter().all(|(a, b)| a.0 == b.0 && bits(a.1) == bits(b.1))
}

/// What tells two values apart; no number is like another that is none.
fn bits(v: f64) -> u64 {
    if v.is_nan() { f64::NAN.to_bits() } else { v.to_bits() }
}

impl SeriesSource for Pack {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        samples_max: usize,
    ) -> Result<Vec<SeriesSamples>, SourceError> {
        let mut selected = Vec::new();
        let mut left = samples_max;
        for series in &self.series {
            if !matchers.iter().all(|matcher| matcher.matches(series.labels.get(matcher.name()))) {
                continue;
            }
            let samples: Vec<Sample> = series.samples.iter().copied().filter(|s| range.contains(s.t)).collect();
            let over = SourceError::TooManySamples { limit: samples_max };
            left = left.checked_sub(samples.len()).ok_or(over)?;
            if !samples.is_empty() {
                selected.push(SeriesSamples::of_numbers(series.labels.clone(), samples));
            }
        }
        Ok(selected)
    }
}

/// The elements of an expression by labels: those that concern the alert, if one is meant.
fn elements(
    source: &dyn SeriesSource,
    expr: &Expr,
    at: Timestamp,
    focus: Option<&Labels>,
    options: &EvalOptions,
) -> Result<Vec<(Labels, f64)>, EvalError> {
    let answer = Query::from_expr(expr.clone()).instant(source, at, options)?;
    let mut elements: Vec<(Labels, f64)> = match answer.value {
        Value::Vector(elements) => elements
            .into_iter()
            .filter_map(|one| match one.value {
                ElementValue::Number(v) => Some((one.labels, v)),
                ElementValue::Histogram(_) => None,
            })
            .collect(),
        Value::Scalar(sample) => vec![(Labels::empty(), sample.v)],
        Value::String(..) | Value::Matrix(_) => Vec::new(),
    };
    elements.retain(|(labels, _)| focus.is_none_or(|focus| is_alike(focus, labels)));
    elements.sort_by(|a, b| a.0.cmp(&b.0));
    elements.truncate(ELEMENTS_MAX);
    Ok(elements)
}

/// The sides of comparisons that are evaluated at the instant of the whole.
fn compared<'e>(expr: &'e Expr, out: &mut Vec<&'e Expr>) {
    if matches!(expr.kind, ExprKind::Subquery { .. } | ExprKind::Range { .. }) {
        return;
    }
    if let ExprKind::Binary(binary) = &expr.kind
        && binary.op.is_comparison()
    {
        out.extend([&binary.lhs, &binary.rhs].map(Expr::without_parens));
    }
    expr.children().into_iter().for_each(|child| compared(child, out));
}

/// What a selector sees.
struct Seen<'e> {
    matchers: &'e [Matcher],
    /// The window.
    window: TimeRange,
    /// The window with what is looked at before and behind it.
    reach: TimeRange,
}

/// What the selectors of an expression see that is evaluated from one instant to another, both included.
fn seen<'e>(expr: &'e Expr, (from, until): (Timestamp, Timestamp), lookback: Millis, out: &mut Vec<Seen<'e>>) {
    let shifted = |shift: &Shift| match shift.at {
        Some(At::Time(t)) => (t - shift.offset, t - shift.offset),
        Some(At::Start | At::End) | None => (from - shift.offset, until - shift.offset),
    };
    match &expr.kind {
        ExprKind::Selector(selector) => {
            let (from, until) = shifted(&selector.shift);
            let window = TimeRange { after: from - lookback, until };
            out.push(Seen { matchers: &selector.matchers, window, reach: window });
        }
        ExprKind::Range { selector, range } => {
            let (from, until) = shifted(&selector.shift);
            let window = TimeRange { after: from - *range, until };
            let (before, behind) = match selector.edges {
                Edges::Plain => (Millis::ZERO, Millis::ZERO),
                Edges::Anchored => (lookback + Millis(1), Millis::ZERO),
                Edges::Smoothed => (lookback + Millis(1), lookback),
            };
            let reach = TimeRange { after: window.after - before, until: window.until + behind };
            out.push(Seen { matchers: &selector.matchers, window, reach });
        }
        ExprKind::Subquery { expr, range, shift, .. } => {
            let (from, until) = shifted(shift);
            seen(expr, (from - *range, until), lookback, out);
        }
        _ => expr.children().into_iter().for_each(|child| seen(child, (from, until), lookback, out)),
    }
}

/// What was read of the store.
#[derive(Default)]
struct Stored {
    series: BTreeMap<Labels, BTreeMap<Timestamp, f64>>,
    /// Of counters of which the edges are kept: the first sample that was seen, and since when each target is watched.
    first: BTreeMap<Labels, Timestamp>,
    targets: BTreeMap<Labels, Timestamp>,
    /// Instants before which counters stood at nothing.
    presumed: BTreeMap<Labels, Timestamp>,
    /// Whether there were native histograms.
    histograms: bool,
}

impl Stored {
    /// Reads what expressions see, one series after the other where the edges are enough.
    fn read(source: &dyn SeriesSource, asked: &[Asked], options: &EvalOptions) -> Result<Stored, SourceError> {
        let mut stored = Stored::default();
        let mut edges = Vec::new();
        for one in asked {
            let mut all = Vec::new();
            seen(&one.expr, (one.at, one.at), options.lookback, &mut all);
            for one_seen in all {
                match one.keeps {
                    Keeps::All => stored.read_all(source, &one_seen)?,
                    Keeps::Edges => edges.push(one_seen),
                }
            }
        }
        for one_seen in &edges {
            stored.read_edges(source, one_seen)?;
        }
        stored.presume(&edges);
        Ok(stored)
    }

    fn read_all(&mut self, source: &dyn SeriesSource, seen: &Seen<'_>) -> Result<(), SourceError> {
        for series in source.select(seen.matchers, seen.reach, limits::EVIDENCE_READ_MAX)? {
            self.histograms |= !series.histograms.is_empty();
            let known = self.series.entry(series.labels).or_default();
            known.extend(series.samples.iter().filter(|s| seen.reach.contains(s.t)).map(|s| (s.t, s.v)));
        }
        Ok(())
    }

    /// Leaves out what the increase of a counter does not need.
    fn read_edges(&mut self, source: &dyn SeriesSource, seen: &Seen<'_>) -> Result<(), SourceError> {
        let mut set = source.find(seen.matchers, seen.reach, limits::QUERY_SAMPLES_MAX)?;
        set.sort();
        let count = set.count();
        set.read(&mut (0..count).map(|at| at..at + 1), &mut |at, samples, histograms| {
            self.histograms |= !histograms.is_empty();
            let counts = |sample: &&Sample| sample.v.is_finite() && seen.reach.contains(sample.t);
            let all: Vec<Sample> = samples.iter().filter(counts).copied().collect();
            let Some(first) = all.first().map(|sample| sample.t) else { return ControlFlow::Continue(()) };
            let labels = set.labels(at);
            let earlier = |known: &mut BTreeMap<Labels, Timestamp>, of: Labels| {
                known.entry(of).and_modify(|since| *since = first.min(*since)).or_insert(first);
            };
            earlier(&mut self.targets, target(&labels));
            earlier(&mut self.first, labels.clone());
            let inside = all.partition_point(|sample| sample.t <= seen.window.after);
            let end = all.partition_point(|sample| sample.t <= seen.window.until);
            let from = inside.saturating_sub(1);
            let edge = [Some(from), Some(inside), end.checked_sub(1)];
            let resets = all[from..end.max(from)].windows(2).filter(|pair| pair[1].v < pair[0].v).flatten();
            let kept = edge.into_iter().flatten().filter_map(|at| all.get(at)).chain(resets);
            self.series.entry(labels).or_default().extend(kept.map(|sample| (sample.t, sample.v)));
            ControlFlow::Continue(())
        })
    }

    /// Gives counters that began while their target was watched the nothing that they stood at before.
    fn presume(&mut self, edges: &[Seen<'_>]) {
        for (labels, first) in &self.first {
            let sees = |seen: &&Seen<'_>| seen.matchers.iter().all(|m| m.matches(labels.get(m.name())));
            let inside = edges.iter().filter(sees).all(|seen| *first > seen.window.after);
            let watched = self.targets.get(&target(labels)).is_some_and(|since| since < first);
            if inside
                && watched
                && let Some(samples) = self.series.get_mut(labels)
            {
                let before = Timestamp(first.0 - 1);
                samples.insert(before, 0.0);
                self.presumed.insert(labels.clone(), before);
            }
        }
    }

    fn series(&self) -> Vec<PackSeries> {
        let sample = |(t, v): (&Timestamp, &f64)| Sample { t: *t, v: *v };
        let series = self.series.iter().filter(|(_, samples)| !samples.is_empty());
        let one = |(labels, samples): (&Labels, &BTreeMap<Timestamp, f64>)| PackSeries {
            labels: labels.clone(),
            samples: samples.iter().map(sample).collect(),
            presumed: self.presumed.get(labels).copied(),
        };
        series.map(one).collect()
    }
}

fn target(labels: &Labels) -> Labels {
    labels.filter(|name| name == "job" || name == "instance")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The labels of a series and its values, ten seconds apart.
    type Values<'a> = (&'a [(&'a str, &'a str)], &'a [f64]);

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::new(pairs.iter().copied()).unwrap()
    }

    fn stored(series: &[Values<'_>]) -> Pack {
        let one = |(pairs, values): &Values<'_>| PackSeries {
            labels: labels(pairs),
            samples: (0..).zip(*values).map(|(n, v)| Sample { t: Timestamp(n * 10_000), v: *v }).collect(),
            presumed: None,
        };
        let mut series: Vec<PackSeries> = series.iter().map(one).collect();
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        Pack { series, ..Pack::default() }
    }

    fn asked(text: &str, at: i64, keeps: Keeps) -> Asked {
        Asked { expr: parse(text).unwrap(), at: Timestamp(at), keeps }
    }

    #[test]
    fn a_pack_computes_what_the_store_answers_and_a_changed_sample_does_not() {
        let rising: Vec<f64> = (0..60).map(|n| f64::from(n * n) / 7.0).collect();
        let store =
            stored(&[(&[("__name__", "x"), ("job", "a")], &rising), (&[("__name__", "x"), ("job", "b")], &[1.0; 60])]);
        let options = EvalOptions::default();
        let question = [asked(
            "sum by (job) (rate(x[2m])) / 2 > max_over_time(x[1m:10s] offset 30s) * 0.001",
            590_000,
            Keeps::All,
        )];
        let focus = Some(labels(&[("job", "a"), ("alertname", "A")]));
        let pack = Pack::gather(&store, &question, focus, &options).unwrap();
        assert_eq!((pack.short.as_deref(), pack.claims.len()), (None, 3), "{pack:#?}");
        assert!(pack.claims.iter().all(|claim| claim.elements.len() == 1), "{:?}", pack.claims);
        assert_eq!(pack.replay(), Ok(Vec::new()));
        assert_eq!(Pack::gather(&store, &question, pack.focus.clone(), &options).unwrap(), pack);
        let mut changed = pack.clone();
        let last = changed.series[0].samples.last_mut().unwrap();
        last.v += 1e-9;
        let found = changed.replay().unwrap();
        assert!(!found.is_empty() && found[0].claimed != found[0].computed, "{found:?}");
    }

    #[test]
    fn of_counters_the_edges_and_resets_are_enough() {
        let values: Vec<f64> = (0..400).map(|n| f64::from(if n < 250 { n } else { n - 250 })).collect();
        let mut store = stored(&[(&[("__name__", "all"), ("job", "a")], &values)]);
        // It began while its target was watched: all that it shows counts.
        let born: Vec<Sample> = (380..400).map(|n| Sample { t: Timestamp(n * 10_000), v: 5.0 }).collect();
        store.series.push(PackSeries {
            labels: labels(&[("__name__", "bad"), ("job", "a")]),
            samples: born,
            presumed: None,
        });
        let at = 399 * 10_000;
        let question =
            ["sum(increase(all[1h] anchored))", "sum(increase(bad[1h] anchored))"].map(|q| asked(q, at, Keeps::Edges));
        let pack = Pack::gather(&store, &question, None, &EvalOptions::default()).unwrap();
        let values: Vec<f64> = pack.claims.iter().map(|claim| claim.elements[0].1).collect();
        // From 39 to 249, and from 0 to 149.
        assert_eq!((values, pack.short.as_deref()), (vec![210.0 + 149.0, 5.0], None));
        assert_eq!((pack.series[0].samples.len(), pack.series[1].presumed), (5, Some(Timestamp(3_799_999))));
        assert_eq!(pack.replay(), Ok(Vec::new()));
    }

    #[test]
    fn what_is_too_much_is_narrowed_then_cut_and_says_so() {
        let many: Vec<(String, Vec<f64>)> = (0..50).map(|n| (format!("{n:02}"), vec![f64::from(n); 200])).collect();
        let pairs: Vec<[(&str, &str); 2]> =
            many.iter().map(|(n, _)| [("__name__", "x"), ("job", n.as_str())]).collect();
        let all: Vec<Values<'_>> =
            pairs.iter().zip(&many).map(|(pairs, (_, values))| (&pairs[..], &values[..])).collect();
        let store = stored(&all);
        let options = EvalOptions::default();
        let check = |text: &str, count: usize, short: Option<&str>| {
            let focus = Some(labels(&[("job", "07")]));
            let pack = Pack::gather(&store, &[asked(text, 1_990_000, Keeps::All)], focus, &options).unwrap();
            assert_eq!((pack.count(), pack.short.as_deref()), (count, short), "{text}");
            let value = pack.claims[0].elements[0].1;
            let whole = elements(&store, &parse(text).unwrap(), Timestamp(1_990_000), None, &options).unwrap();
            assert!(whole.iter().any(|(_, v)| *v == value), "{text}: {value}");
        };
        check("sum by (job) (sum_over_time(x[2000s])) > 0", 200, None);
        let other = "its samples alone give other values than all that is stored";
        check("sum(sum_over_time(x[2000s])) > 0", 200, Some(other));
    }

    #[test]
    fn however_long_a_window_of_counters_is_its_edges_fit() {
        let values: Vec<f64> = (0..15_000).map(f64::from).collect();
        let jobs: Vec<String> = (0..20).map(|n| format!("{n:02}")).collect();
        let pairs: Vec<[(&str, &str); 2]> = jobs.iter().map(|job| [("__name__", "x"), ("job", job.as_str())]).collect();
        let all: Vec<Values<'_>> = pairs.iter().map(|pairs| (&pairs[..], &values[..])).collect();
        let store = stored(&all);
        assert!(store.count() > limits::EVIDENCE_READ_MAX, "all of them could not be held");
        let check = |keeps, short: bool, count: usize| {
            let question = [asked("sum(increase(x[40h] anchored))", 149_990_000, keeps)];
            let pack = Pack::gather(&store, &question, None, &EvalOptions::default()).unwrap();
            assert_eq!((pack.short.is_some(), pack.count()), (short, count), "{:?}", pack.short);
            assert_eq!(pack.claims[0].elements[0].1, 20.0 * 14_400.0);
        };
        check(Keeps::Edges, false, 20 * 3);
        check(Keeps::All, true, 0);
    }
}
