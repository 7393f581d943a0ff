//! What a backtest found, and that as JSON.

use std::time::Duration;

use jiff::Zoned;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::budget::{Spent, quantile};
use crate::backtest::{Accuracy, Episode, Interruption, Played, Score, Share, Span};
use crate::model::{Labels, TimeRange, Timestamp};

/// What a set of rules would have done.
pub(super) struct RuleSet {
    /// `new` or `old`.
    pub(super) name: String,
    /// The names of its rules.
    pub(super) rules: Vec<String>,
    pub(super) spans: Vec<Span>,
    /// Of each span whether it pages.
    pub(super) paging: Vec<bool>,
    pub(super) score: Score,
    /// Of each episode what was spent when it was detected, if objectives were given.
    pub(super) spent: Option<Vec<Option<Spent>>>,
    pub(super) played: Played,
    pub(super) took: Duration,
}

/// Everything that is told.
pub(super) struct Tested {
    pub(super) range: TimeRange,
    pub(super) sets: Vec<RuleSet>,
    pub(super) episodes: Vec<Episode>,
    pub(super) zone: TimeZone,
    pub(super) timezone: String,
}

impl RuleSet {
    /// The names of rules that fired, each with how often and how often somebody was paged; the loudest first.
    pub(super) fn by_rule(&self) -> Vec<(&str, usize, usize)> {
        let mut counts = std::collections::BTreeMap::<&str, (usize, usize)>::new();
        for (span, pages) in self.spans.iter().zip(&self.paging) {
            let count = counts.entry(span.rule()).or_default();
            count.0 += 1;
            count.1 += usize::from(*pages);
        }
        let mut all: Vec<_> = counts.into_iter().map(|(name, (fired, paged))| (name, fired, paged)).collect();
        all.sort_by(|a, b| (b.2, b.1, a.0).cmp(&(a.2, a.1, b.0)));
        all
    }

    /// Samples a second.
    pub(super) fn throughput(&self) -> f64 {
        self.played.samples as f64 / self.took.as_secs_f64().max(1e-9)
    }
}

/// An instant in a time zone.
pub(super) fn zoned(t: Timestamp, zone: &TimeZone) -> Zoned {
    jiff::Timestamp::from_millisecond(t.0).unwrap_or_default().to_zoned(zone.clone())
}

/// An instant as people read it.
pub(super) fn time_text(t: Timestamp, zone: &TimeZone) -> String {
    zoned(t, zone).strftime("%a %Y-%m-%d %H:%M:%S").to_string()
}

fn share_json(share: Share) -> Value {
    let interval = share.interval().map(|(low, high)| json!([low, high]));
    json!({"k": share.k, "n": share.n, "value": share.value(), "interval_95": interval})
}

fn labels_json(labels: &Labels) -> Value {
    labels
        .iter()
        .map(|label| (label.name.to_owned(), Value::from(label.value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn accuracy_json(accuracy: &Accuracy) -> Value {
    let seconds = |q: f64| accuracy.detection_quantile(q).map(|time| time.as_seconds());
    json!({
        "precision": share_json(accuracy.precision),
        "recall": share_json(accuracy.recall),
        "detection_seconds": {"p50": seconds(0.5), "p90": seconds(0.9)},
    })
}

/// The whole as one object. Times are seconds since the epoch.
pub(super) fn json(tested: &Tested) -> Value {
    let set = |set: &RuleSet| {
        let alerts = set.spans.iter().zip(&set.paging).map(|(span, pages)| {
            json!({
                "labels": labels_json(&span.labels),
                "annotations": labels_json(&span.annotations),
                "active_at": span.active_at.as_seconds(),
                "start": span.start.as_seconds(),
                "end": span.end.map(Timestamp::as_seconds),
                "value": span.value.to_string(),
                "pages": pages,
                "interruption": Interruption::of(super::local_time(span.start, &tested.zone)).as_str(),
            })
        });
        let pages = Interruption::ALL.map(|class| (class.as_str().to_owned(), json!(set.score.pages[class as usize])));
        let episodes = tested.episodes.iter().enumerate().map(|(at, episode)| {
            let detected = set.score.accuracy.as_ref().and_then(|accuracy| accuracy.detection[at]);
            json!({
                "name": episode.name,
                "labels": labels_json(&episode.labels),
                "start": episode.start.as_seconds(),
                "end": episode.end.as_seconds(),
                "detected_after_seconds": detected.map(|time| time.as_seconds()),
                "budget_spent": set.spent.as_ref().and_then(|spent| spent[at].as_ref()).map(|spent| {
                    json!({"share": spent.share, "objective": spent.objective})
                }),
            })
        });
        json!({
            "name": set.name,
            "rules": set.rules.len(),
            "fired": set.spans.len(),
            "firing_seconds": set.score.firing.as_seconds(),
            "pages": Value::Object(pages.into_iter().collect()),
            "accuracy": set.score.accuracy.as_ref().map(accuracy_json),
            "budget_spent_at_detection": set.spent.as_ref().map(|spent| {
                json!({"p50": quantile(spent, 0.5), "p90": quantile(spent, 0.9)})
            }),
            "episodes": episodes.collect::<Vec<_>>(),
            "alerts": alerts.collect::<Vec<_>>(),
            "samples": set.played.samples,
            "recorded": set.played.recorded,
            "seconds": set.took.as_secs_f64(),
        })
    };
    json!({
        "start": tested.range.after.as_seconds(),
        "end": tested.range.until.as_seconds(),
        "timezone": tested.timezone,
        "sets": tested.sets.iter().map(set).collect::<Vec<_>>(),
    })
}
