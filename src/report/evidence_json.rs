//! An evidence pack as JSON: what the API answers, what is kept in a file, and what a replay reads.
//!
//! Invariants:
//! - The same pack is the same bytes: lists are in a fixed order, and nothing says when it was asked for.
//! - Samples and claimed values are texts that read back to the same bits, each sample with a checksum of itself, so that
//!   one that was changed is found and named; the digest is that of everything else together. Neither keeps anybody from
//!   forging a pack: the server that is asked again does.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::confidence::FiredAlert;
use crate::db::{Evidence, EvidenceOf};
use crate::explain::{Claim, Contradiction, Pack, PackSeries};
use crate::model::{Labels, Millis, STALE_NAN, Sample, TimeRange, Timestamp, float_text, is_stale};
use crate::slo::Counted;

use super::episode_json::{EpisodeReport, ToldReport};
use super::verdict_json::{ReasonReport, VerdictReport};

type LabelMap = BTreeMap<String, String>;

/// What the first line of a pack says it is.
const FORMAT: &str = "evenkeel evidence 1";
/// A staleness marker.
const STALE: &str = "stale";

/// What something rests on. Instants are RFC 3339 in UTC, those of samples and claims milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvidenceReport {
    /// `evenkeel evidence 1`.
    pub format: String,
    /// The name by which it was asked for.
    pub id: String,
    /// `alert`, `episode` or `verdict`.
    pub kind: String,
    /// The service, if it is about one.
    pub service: Option<String>,
    /// The instant that it is about.
    pub at: String,
    /// The alert, if it is about one.
    pub alert: Option<ToldAlertReport>,
    /// The episode, if it is about one.
    pub episode: Option<EpisodeReport>,
    /// The word, if it is about a verdict.
    pub verdict: Option<String>,
    /// Its reasons.
    pub reasons: Vec<ReasonReport>,
    /// The alerts that told of it, and who was told.
    pub told: Vec<ToldAlertReport>,
    /// By what it was decided.
    pub decided: DecidedReport,
    /// What the windows of objectives had counted.
    pub windows: Vec<CountedReport>,
    /// The labels of the one alert that the claims are about.
    pub focus: Option<LabelMap>,
    /// How far back instant selectors look, in milliseconds.
    pub lookback: i64,
    /// The queries with their values.
    pub claims: Vec<ClaimedReport>,
    /// The samples that decided them.
    pub series: Vec<PackSeriesReport>,
    /// Whether the claims follow from the samples here.
    pub replayable: bool,
    /// Why they do not, if they do not.
    pub short: Option<String>,
    /// XXH3, in 128 bits, of all above.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
}

/// An alert that fired, and who was told; not what became of it later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldAlertReport {
    /// Its name.
    pub id: String,
    /// Its `alertname`.
    pub name: String,
    /// All its labels.
    pub labels: LabelMap,
    /// What it said.
    pub summary: String,
    /// `page`, `ticket` or `note`.
    pub urgency: String,
    /// When it began to fire.
    pub at: String,
    /// Who was told that it fires.
    pub told: Vec<ToldReport>,
}

impl ToldAlertReport {
    fn new(alert: &FiredAlert) -> ToldAlertReport {
        let told =
            alert.told.iter().map(|told| ToldReport { receiver: told.receiver.clone(), at: told.at.to_string() });
        ToldAlertReport {
            id: alert.id.to_string(),
            name: alert.labels.get("alertname").to_owned(),
            labels: map(&alert.labels),
            summary: alert.summary.clone(),
            urgency: alert.urgency.as_str().to_owned(),
            at: alert.at.to_string(),
            told: told.collect(),
        }
    }
}

/// By what something was decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecidedReport {
    /// The version of the program that decided it.
    pub version: Option<String>,
    /// The place in the log of what decided it.
    pub log_position: Option<u64>,
    /// The query.
    pub query: Option<String>,
    /// The value that was told.
    pub value: Option<String>,
    /// Of an objective, the burn rate from which on it fires.
    pub threshold: Option<f64>,
    /// Of an objective, the share of events that may be bad.
    pub budget: Option<f64>,
    /// A hash of the definition.
    pub definition: Option<String>,
    /// A hash of all rules, objectives, routes and receivers in force.
    pub configuration: String,
    /// Whether these are known as they were then; otherwise they are those of now.
    pub recorded: bool,
    /// The rules and objectives that decided, as they are defined now.
    pub definitions: Vec<DefinitionReport>,
}

/// A rule or objective.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefinitionReport {
    /// A hash of the text.
    pub hash: String,
    /// What it says.
    pub text: String,
}

/// What a window had counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CountedReport {
    /// The objective, with its service and group.
    pub of: String,
    /// Where the window begins; this instant is not inside.
    pub after: String,
    /// Where it ends.
    pub until: String,
    /// Bad events, as they were counted; absent where no count was recorded.
    pub bad: Option<f64>,
    /// All events.
    pub total: Option<f64>,
    /// The queries for them: what each counts, whether it is taken away, and the query.
    pub counters: Vec<CounterReport>,
    /// Bad events, good ones and all, as the samples tell.
    pub of_samples: Option<CountsReport>,
    /// Whether the samples tell what was counted.
    pub agrees: Option<bool>,
    /// Why queries do not tell what was counted, if they do not.
    pub beyond: Option<String>,
}

/// Bad events, good events and all.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CountsReport {
    /// Bad ones.
    pub bad: f64,
    /// Good ones.
    pub good: f64,
    /// All.
    pub total: f64,
}

/// A query for a part of a count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterReport {
    /// `bad`, `good` or `total`.
    pub counts: String,
    /// Whether it is taken away instead of added.
    pub subtracted: bool,
    /// The query.
    pub query: String,
}

/// A query with its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimedReport {
    /// The query.
    pub query: String,
    /// When.
    pub at: i64,
    /// Its elements.
    pub elements: Vec<(LabelMap, String)>,
}

/// A series with the samples that counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackSeriesReport {
    /// Which series.
    pub labels: LabelMap,
    /// When, the value, and a checksum of both and of the labels.
    pub samples: Vec<(i64, String, String)>,
    /// The time of a sample that was never stored: the counter began behind it, while its target was watched, so it
    /// stood at nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presumed: Option<i64>,
}

/// A sample that is not what it was when the pack was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedSample {
    /// The series.
    pub series: String,
    /// When.
    pub at: String,
    /// The value that stands there.
    pub value: String,
}

/// What a replay found.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ReplayReport {
    /// The name of the pack.
    pub id: String,
    /// Whether everything comes out bit for bit, and the pack is as it was made.
    pub same: bool,
    /// Values that were computed.
    pub computed: usize,
    /// Samples that were changed.
    pub changed: Vec<ChangedSample>,
    /// Values that come out otherwise.
    pub contradictions: Vec<ContradictionReport>,
    /// Whether something else than a sample was changed.
    pub altered: bool,
    /// Why it cannot be replayed wholly, if it cannot.
    pub short: Option<String>,
}

/// A value that comes out otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContradictionReport {
    /// The query.
    pub query: String,
    /// When.
    pub at: String,
    /// The element.
    pub labels: LabelMap,
    /// What is claimed; absent if nothing is.
    pub claimed: Option<String>,
    /// What comes out; absent if nothing does.
    pub computed: Option<String>,
}

impl EvidenceReport {
    /// The report of evidence.
    pub fn new(evidence: &Evidence, now: Timestamp) -> EvidenceReport {
        let told: Vec<ToldAlertReport> = evidence.alerts.iter().map(ToldAlertReport::new).collect();
        let mut report = EvidenceReport {
            format: FORMAT.to_owned(),
            id: evidence.id.clone(),
            kind: String::new(),
            service: None,
            at: evidence.at.to_string(),
            alert: None,
            episode: None,
            verdict: None,
            reasons: Vec::new(),
            told,
            decided: decided(evidence),
            windows: evidence.windows.iter().map(|window| counted(evidence, window)).collect(),
            focus: evidence.pack.focus.as_ref().map(map),
            lookback: evidence.pack.lookback.0,
            claims: evidence.pack.claims.iter().map(claimed).collect(),
            series: evidence.pack.series.iter().map(series).collect(),
            replayable: evidence.pack.short.is_none(),
            short: evidence.pack.short.clone(),
            digest: String::new(),
        };
        match &evidence.of {
            EvidenceOf::Alert(alert) => {
                report.kind = "alert".to_owned();
                report.service = Some(alert.labels.get("service").to_owned()).filter(|name| !name.is_empty());
                report.alert = report.told.pop();
            }
            EvidenceOf::Episode(known) => {
                report.kind = "episode".to_owned();
                report.service = Some(known.episode.service.clone());
                report.episode = Some(EpisodeReport::new(known, &evidence.alerts, now));
            }
            EvidenceOf::Verdict(service, judgement) => {
                report.kind = "verdict".to_owned();
                report.service = Some(service.clone());
                let of_service = VerdictReport::new(judgement).of_service(service);
                report.verdict = of_service.as_ref().map(|known| known.verdict.clone());
                report.reasons = of_service.map_or_else(Vec::new, |known| known.reasons);
            }
        }
        report.digest = report.hash();
        report
    }

    /// What a pack in a file says.
    ///
    /// # Errors
    /// It is no pack, or of another version.
    pub fn read(text: &str) -> Result<EvidenceReport, String> {
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
        // As the API answers, or as the program writes it.
        let value = if value["data"].is_object() { value["data"].clone() } else { value };
        match value["format"].as_str() {
            Some(FORMAT) => {}
            Some(other) => return Err(format!("it is \"{other}\"; this program reads \"{FORMAT}\"")),
            None => return Err("it is no evidence pack; `evenkeel evidence ID --format json` writes one".to_owned()),
        }
        serde_json::from_value(value).map_err(|error| format!("it is no whole evidence pack: {error}"))
    }

    fn hash(&self) -> String {
        let bare = EvidenceReport { digest: String::new(), ..self.clone() };
        // A report of texts and numbers is always written.
        format!("{:032x}", xxh3_128(&serde_json::to_vec(&bare).unwrap_or_default()))
    }

    /// Computes everything anew from the samples that are here.
    ///
    /// # Errors
    /// A value is no number, labels are none, or a query cannot be evaluated: the reason, with the place.
    pub fn replay(&self) -> Result<ReplayReport, String> {
        let mut replay = ReplayReport { id: self.id.clone(), short: self.short.clone(), ..ReplayReport::default() };
        let mut pack = Pack { lookback: Millis(self.lookback), ..Pack::default() };
        pack.focus = self.focus.as_ref().map(labels).transpose()?;
        for one in &self.series {
            let labels = labels(&one.labels)?;
            let mut samples = Vec::with_capacity(one.samples.len());
            for (t, text, sum) in &one.samples {
                let sample = Sample { t: Timestamp(*t), v: number(text, || format!("{labels} at {}", Timestamp(*t)))? };
                if checksum(&labels, sample) != *sum {
                    let at = sample.t.to_string();
                    replay.changed.push(ChangedSample { series: labels.to_string(), at, value: text.clone() });
                }
                samples.push(sample);
            }
            samples.sort_by_key(|sample| sample.t);
            pack.series.push(PackSeries { labels, samples, presumed: one.presumed.map(Timestamp) });
        }
        pack.series.sort_by(|a, b| a.labels.cmp(&b.labels));
        for one in &self.claims {
            let place = || format!("the value of {}", one.query);
            let element = |(map, text): &(LabelMap, String)| Ok((labels(map)?, number(text, place)?));
            let elements = one.elements.iter().map(element).collect::<Result<Vec<_>, String>>()?;
            replay.computed += elements.len();
            pack.claims.push(Claim { query: one.query.clone(), at: Timestamp(one.at), elements });
        }
        replay.contradictions = pack.replay()?.iter().map(contradiction).collect();
        replay.altered = self.hash() != self.digest && replay.changed.is_empty();
        replay.same =
            replay.changed.is_empty() && replay.contradictions.is_empty() && !replay.altered && replay.short.is_none();
        Ok(replay)
    }
}

fn decided(evidence: &Evidence) -> DecidedReport {
    let by = evidence.decided.as_ref();
    let text = |text: fn(&crate::db::Decided) -> &String| by.map(text).filter(|text| !text.is_empty()).cloned();
    let grounds = by.and_then(|by| by.grounds.as_ref());
    let definition = |one: &crate::db::Definition| DefinitionReport { hash: one.hash.clone(), text: one.text.clone() };
    DecidedReport {
        version: text(|by| &by.version),
        log_position: by.map(|by| by.seq.0),
        query: text(|by| &by.query),
        value: by.map(|by| float_text(by.value)),
        threshold: grounds.and_then(|grounds| grounds.threshold),
        budget: grounds.map(|grounds| grounds.budget),
        definition: text(|by| &by.definition),
        configuration: evidence.configuration.clone(),
        recorded: by.is_some(),
        definitions: evidence.definitions.iter().map(definition).collect(),
    }
}

fn counted(evidence: &Evidence, window: &Counted) -> CountedReport {
    let is_recorded = !matches!(evidence.of, EvidenceOf::Verdict(..));
    let of_samples = evidence.of_samples(window);
    let TimeRange { after, until } = window.range;
    CountedReport {
        of: window.of.clone(),
        after: after.to_string(),
        until: until.to_string(),
        bad: is_recorded.then_some(window.bad),
        total: is_recorded.then_some(window.total),
        counters: window
            .counters
            .iter()
            .map(|counter| CounterReport {
                counts: counter.side.as_str().to_owned(),
                subtracted: counter.subtracted,
                query: counter.query.clone(),
            })
            .collect(),
        of_samples: of_samples.map(|(bad, total)| CountsReport { bad, good: total - bad, total }),
        agrees: of_samples.filter(|_| is_recorded).map(|counts| counts == (window.bad, window.total)),
        beyond: window.beyond.clone(),
    }
}

fn claimed(claim: &Claim) -> ClaimedReport {
    let elements = claim.elements.iter().map(|(labels, v)| (map(labels), value_text(*v))).collect();
    ClaimedReport { query: claim.query.clone(), at: claim.at.0, elements }
}

fn series(series: &PackSeries) -> PackSeriesReport {
    let row = |sample: &Sample| (sample.t.0, value_text(sample.v), checksum(&series.labels, *sample));
    PackSeriesReport {
        labels: map(&series.labels),
        samples: series.samples.iter().map(row).collect(),
        presumed: series.presumed.map(|t| t.0),
    }
}

fn contradiction(found: &Contradiction) -> ContradictionReport {
    ContradictionReport {
        query: found.query.clone(),
        at: found.at.to_string(),
        labels: map(&found.labels),
        claimed: found.claimed.map(value_text),
        computed: found.computed.map(value_text),
    }
}

fn value_text(v: f64) -> String {
    if is_stale(v) { STALE.to_owned() } else { float_text(v) }
}

fn number(text: &str, place: impl Fn() -> String) -> Result<f64, String> {
    if text == STALE {
        return Ok(f64::from_bits(STALE_NAN));
    }
    text.parse().map_err(|_| format!("{}: \"{text}\" is no number", place()))
}

/// What tells that a sample was changed.
fn checksum(labels: &Labels, sample: Sample) -> String {
    let v = if sample.v.is_nan() && !is_stale(sample.v) { f64::NAN } else { sample.v };
    let mut bytes = labels.as_text().as_bytes().to_vec();
    bytes.extend(sample.t.0.to_le_bytes());
    bytes.extend(v.to_bits().to_le_bytes());
    format!("{:08x}", xxh3_64(&bytes) >> 32)
}

fn map(labels: &Labels) -> LabelMap {
    labels.iter().map(|label| (label.name.to_owned(), label.value.to_owned())).collect()
}

fn labels(map: &LabelMap) -> Result<Labels, String> {
    let pairs = map.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    Labels::new(pairs).map_err(|error| format!("the labels {map:?} are none: {error}"))
}
