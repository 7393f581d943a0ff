//! What led to a result that was not expected: values of expressions around its time, and the samples below them.

use super::world::World;
use crate::config::AlertCase;
use crate::model::{
    HistogramSample, Labels, MatchOp, Matcher, Millis, ResetHint, TimeRange, Timestamp, Transition, float_text,
    is_stale, limits,
};
use crate::promql::kernel::{Bucket, FloatHistogram};
use crate::promql::{ElementValue, Expr, ExprKind, Query, SeriesSamples, SeriesSource, Until, VectorSample, reaches};
use crate::rules::{Rule, RuleGroup};

/// Evaluations before the one in question that are shown.
const EARLIER: i64 = 3;
/// Elements of a value, and series of a selector, that are shown.
const ELEMENTS_SHOWN: usize = 5;
/// Samples of a series that are shown: the last ones.
const SAMPLES_SHOWN: usize = 12;
/// Buckets of a native histogram that are written out.
const BUCKETS_SHOWN: i32 = 1000;

/// How much of a series is told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Everything,
    TheLast,
}

/// Why a rule's alerts are what they are.
pub(super) fn explain_alerts(world: &World<'_>, groups: &[RuleGroup], case: &AlertCase) -> Vec<String> {
    let step = world.step().0;
    let evaluation = case.eval_time.0.div_euclid(step);
    let mut lines = Vec::new();
    for group in groups {
        for rule in &group.rules {
            let Rule::Alerting(rule) = rule else { continue };
            if rule.alert != case.alertname {
                continue;
            }
            let hold = if rule.hold.0 > 0 { format!(", for {}", rule.hold) } else { String::new() };
            lines.push(format!("{} in group {}: {}{hold}", rule.alert, group.name, rule.expr));
            for n in (evaluation - EARLIER).max(0)..=evaluation {
                let at = world.start() + Millis(n * step);
                lines.push(format!(
                    "  at {}: {}",
                    world.elapsed(at),
                    value_at(world, &rule.expr, at - group.query_offset)
                ));
            }
            let at = world.start() + Millis(evaluation * step) - group.query_offset;
            lines.extend(below(world, &rule.expr, at).into_iter().map(|line| format!("  {line}")));
        }
    }
    let of = |transition: &&Transition| transition.alert.labels.get("alertname") == case.alertname;
    let changes: Vec<_> = world.transitions.iter().filter(of).collect();
    for change in changes.iter().skip(changes.len().saturating_sub(SAMPLES_SHOWN)) {
        let kind = format!("{:?}", change.kind).to_lowercase();
        lines.push(format!("at {} {kind}: {}", world.elapsed(change.at), change.alert.labels));
    }
    if lines.is_empty() {
        lines.push(format!("no rule is named {}", case.alertname));
    }
    lines
}

/// Why an expression has its value at an instant.
pub(super) fn explain_expr(world: &World<'_>, expr: &Expr, at: Timestamp) -> Vec<String> {
    below(world, expr, at)
}

/// The operands of comparisons and set operators, and the samples of selectors.
fn below(world: &World<'_>, expr: &Expr, at: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    operands(world, expr, at, &mut lines);
    for (matchers, back) in reaches(expr, limits::LOOKBACK) {
        let range = TimeRange { after: at - back, until: at };
        let source = Until(&world.store, world.now);
        let Ok(found) = source.select(matchers, range, limits::QUERY_SAMPLES_MAX) else { continue };
        let name = selector_text(matchers);
        if found.is_empty() {
            let ever = source.select(matchers, TimeRange::ALL, limits::QUERY_SAMPLES_MAX).unwrap_or_default();
            let ever = if ever.is_empty() { "no series" } else { "series, but no sample of them that recent" };
            lines.push(format!("{name} selects {ever}"));
        }
        for series in found.iter().take(ELEMENTS_SHOWN) {
            lines.push(format!("{}: {}", series.labels, values_text(world, series, Told::TheLast)));
        }
        if found.len() > ELEMENTS_SHOWN {
            lines.push(format!("and {} more series of {name}", found.len() - ELEMENTS_SHOWN));
        }
    }
    lines.dedup();
    lines
}

/// A selector as it is written.
fn selector_text(matchers: &[Matcher]) -> String {
    let is_name = |matcher: &&Matcher| matcher.name() == Labels::METRIC_NAME && matcher.op() == MatchOp::Equal;
    let name = matchers.iter().find(is_name).map_or("", Matcher::value);
    let rest: Vec<String> = matchers.iter().filter(|matcher| !is_name(matcher)).map(Matcher::to_string).collect();
    if rest.is_empty() && !name.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", rest.join(",")) }
}

fn operands(world: &World<'_>, expr: &Expr, at: Timestamp, lines: &mut Vec<String>) {
    if let ExprKind::Binary(binary) = &expr.without_parens().kind
        && (binary.op.is_comparison() || binary.op.is_set())
    {
        for side in [&binary.lhs, &binary.rhs] {
            let side = side.without_parens();
            // A plain selector is told with its samples.
            if !matches!(side.kind, ExprKind::Number(_) | ExprKind::Selector(_)) {
                lines.push(format!("{side} is {}", value_at(world, side, at)));
            }
            operands(world, side, at, lines);
        }
    }
}

fn value_at(world: &World<'_>, expr: &Expr, at: Timestamp) -> String {
    match world.ask(&Query::from_expr(expr.clone()), at) {
        Err(error) => error,
        Ok(elements) if elements.is_empty() => "nothing".to_owned(),
        Ok(elements) => {
            let text = |one: &VectorSample| format!("{} {}", one.labels, value_text(&one.value));
            let mut texts: Vec<String> = elements.iter().take(ELEMENTS_SHOWN).map(text).collect();
            if elements.len() > ELEMENTS_SHOWN {
                texts.push(format!("and {} more", elements.len() - ELEMENTS_SHOWN));
            }
            texts.join(", ")
        }
    }
}

/// Samples with their times, the earliest first.
pub(super) fn values_text(world: &World<'_>, series: &SeriesSamples, told: Told) -> String {
    let number = |v: f64| if is_stale(v) { "stale".to_owned() } else { float_text(v) };
    let numbers = series.samples.iter().map(|sample| (sample.t, number(sample.v)));
    let histogram = |one: &HistogramSample| match one.histogram.is_stale() {
        true => "stale".to_owned(),
        false => histogram_text(&FloatHistogram::from(&*one.histogram)),
    };
    let histograms = series.histograms.iter().map(|one| (one.t, histogram(one)));
    let mut all: Vec<(Timestamp, String)> = numbers.chain(histograms).collect();
    all.sort_by_key(|(t, _)| *t);
    let left_out = if told == Told::TheLast { all.len().saturating_sub(SAMPLES_SHOWN) } else { 0 };
    let texts = all[left_out..].iter().map(|(t, text)| format!("{text} @{}", world.elapsed(*t)));
    let more = (left_out > 0).then(|| format!("({left_out} before)"));
    more.into_iter().chain(texts).collect::<Vec<_>>().join(" ")
}

/// A value in the notation of tests.
pub(super) fn value_text(value: &ElementValue) -> String {
    match value {
        ElementValue::Number(v) => float_text(*v),
        ElementValue::Histogram(histogram) => histogram_text(&FloatHistogram::from(&**histogram)),
    }
}

/// A native histogram in the notation of tests.
pub(super) fn histogram_text(histogram: &FloatHistogram) -> String {
    let mut parts = Vec::new();
    let mut put = |name: &str, text: String| parts.push(format!("{name}:{text}"));
    if histogram.schema != 0 {
        put("schema", histogram.schema.to_string());
    }
    let numbers = [
        ("count", histogram.count),
        ("sum", histogram.sum),
        ("z_bucket", histogram.zero_count),
        ("z_bucket_w", histogram.zero_threshold),
    ];
    for (name, v) in numbers.into_iter().filter(|(_, v)| *v != 0.0) {
        put(name, float_text(v));
    }
    let sides = [("offset", "buckets", &histogram.positive), ("n_offset", "n_buckets", &histogram.negative)];
    for (offset, name, buckets) in sides {
        let Some(first) = buckets.first() else { continue };
        if first.index != 0 {
            put(offset, first.index.to_string());
        }
        put(name, counts_text(buckets, first.index));
    }
    if !histogram.bounds.is_empty() {
        let bounds: Vec<String> = histogram.bounds.iter().map(|bound| float_text(*bound)).collect();
        put("custom_values", format!("[{}]", bounds.join(" ")));
    }
    match histogram.reset_hint {
        ResetHint::Unknown => {}
        ResetHint::Reset => put("counter_reset_hint", "reset".to_owned()),
        ResetHint::NoReset => put("counter_reset_hint", "not_reset".to_owned()),
        ResetHint::Gauge => put("counter_reset_hint", "gauge".to_owned()),
    }
    format!("{{{{{}}}}}", parts.join(" "))
}

fn counts_text(buckets: &[Bucket], first: i32) -> String {
    let mut counts = Vec::new();
    let mut next = first;
    for bucket in buckets {
        if bucket.index - first > BUCKETS_SHOWN {
            counts.push("…".to_owned());
            break;
        }
        counts.extend((next..bucket.index).map(|_| "0".to_owned()));
        counts.push(float_text(bucket.count));
        next = bucket.index + 1;
    }
    format!("[{}]", counts.join(" "))
}
