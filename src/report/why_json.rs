//! Why an alert fires or does not, as JSON: what the API answers and the program prints.
//!
//! Invariants:
//! - Numbers that a sample may have are texts, as in all answers: JSON knows neither NaN nor infinities.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::db::{Deploy, Why};
use crate::explain::{Compared, Element, Part, PartValue, SeriesEvidence, WindowEvidence};
use crate::model::{Labels, Millis, Sample, Timestamp, float_text};
use crate::promql::ElementValue;
use crate::rules::Standing;

use super::episode_json::DeployReport;

type LabelMap = BTreeMap<String, String>;

/// Why a rule decides as it does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WhyReport {
    /// The rule.
    pub rule: WhyRule,
    /// The alert that is explained, if one is there.
    pub alert: Option<WhyAlert>,
    /// The instant.
    pub at: String,
    /// `firing`, `pending`, `kept firing` or `inactive`.
    pub state: String,
    /// `state` if the times are the rule's own, `history` if they are found from stored data.
    pub known_from: String,
    /// Since when the condition holds, or since when it held last.
    pub active_at: Option<String>,
    /// When it began to fire, or will.
    pub fires_at: Option<String>,
    /// Since when the condition holds no more.
    pub ceased_at: Option<String>,
    /// When it stopped firing, or will.
    pub ends_at: Option<String>,
    /// The name of its evidence pack, while it fires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
    /// The answer in sentences.
    pub summary: Vec<String>,
    /// What went live from an hour before that on.
    #[serde(default)]
    pub deploys: Vec<DeployReport>,
    /// The expression, taken apart.
    pub condition: PartReport,
    /// Why not everything was looked at, if it was not.
    pub unfinished: Option<String>,
    /// Further alerts of the rule at that instant: some.
    pub others: Vec<WhyAlert>,
    /// How many elements the expression has at that instant.
    pub elements_total: usize,
}

/// A rule, as an explanation names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WhyRule {
    /// Its name from one start to the next.
    pub id: String,
    /// The alert's name.
    pub name: String,
    /// Its group.
    pub group: String,
    /// The file.
    pub file: String,
    /// The expression.
    pub query: String,
    /// `for`, in seconds.
    pub duration: f64,
    /// `keep_firing_for`, in seconds.
    pub keep_firing_for: f64,
    /// `ingest` or `interval`: when the group decides.
    pub evaluation_mode: String,
}

/// An alert, as an explanation names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WhyAlert {
    /// Its name from one start to the next.
    pub id: String,
    /// Its labels.
    pub labels: LabelMap,
}

/// A part of an expression.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartReport {
    /// The part as it is written.
    pub query: String,
    /// The instant at which it is evaluated.
    pub at: String,
    /// Its value, if it is one number.
    pub value: Option<String>,
    /// Its elements: some.
    pub elements: Vec<ElementReport>,
    /// How many elements it has.
    pub elements_total: usize,
    /// Since when it is as it is, of what holds or does not.
    pub turn: Option<TurnReport>,
    /// Pairs that a comparison compared: some.
    pub compared: Vec<ComparedReport>,
    /// How many pairs there are.
    pub compared_total: usize,
    /// Series of a selector: some.
    pub series: Vec<SeriesReport>,
    /// How many series there are.
    pub series_total: usize,
    /// Why it gives nothing, where that is decided here.
    pub finding: Option<String>,
    /// What may help.
    pub hints: Vec<String>,
    /// Why it could not be evaluated.
    pub error: Option<String>,
    /// The parts below.
    pub parts: Vec<PartReport>,
}

/// An element of a value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ElementReport {
    /// Its labels.
    pub labels: LabelMap,
    /// Its value.
    pub value: String,
}

/// Since when a part is as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TurnReport {
    /// Whether it holds.
    pub holds: bool,
    /// The first instant of this; absent if it is so as far back as was looked.
    pub since: Option<String>,
    /// How far back was looked.
    pub looked_back_to: String,
    /// How far apart the instants are that were looked at first, in seconds.
    pub looked_every: f64,
    /// The sample with which it turned, if one did that.
    pub sample: Option<SampleReport>,
}

/// A sample of a series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleReport {
    /// The series.
    pub labels: LabelMap,
    /// When.
    pub at: String,
    /// Its value.
    pub value: String,
}

/// Two values that were compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComparedReport {
    /// The labels.
    pub labels: LabelMap,
    /// The left value.
    pub left: String,
    /// The operator.
    pub operator: String,
    /// The right value.
    pub right: String,
    /// Whether the comparison holds.
    pub holds: bool,
    /// How far apart the values are.
    pub distance: String,
    /// The left values that would make it the other way round.
    pub flips_at: String,
}

/// A series and what of it counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeriesReport {
    /// Its labels.
    pub labels: LabelMap,
    /// `latest`, `window`, `histograms` or `ended`.
    pub kind: String,
    /// How many samples.
    pub count: usize,
    /// The first sample of a window.
    pub first: Option<(String, String)>,
    /// The last sample; of histograms its time alone.
    pub last: Option<(String, String)>,
    /// The lowest value of a window.
    pub min: Option<String>,
    /// The highest value of a window.
    pub max: Option<String>,
    /// Resets of a counter in a window.
    pub resets: usize,
}

impl WhyReport {
    /// What is told of an explanation.
    pub fn new(why: &Why) -> WhyReport {
        let (rule, course) = (&why.rule, &why.course);
        let time = |t: Option<Timestamp>| t.map(|t| t.to_string());
        WhyReport {
            rule: WhyRule {
                id: rule.id.to_string(),
                name: rule.name.clone(),
                group: why.group.name.clone(),
                file: why.group.file.clone(),
                query: rule.expr.clone(),
                duration: rule.hold.as_seconds(),
                keep_firing_for: rule.keep_firing.as_seconds(),
                evaluation_mode: why.group.mode.as_str().to_owned(),
            },
            alert: why.alert.as_ref().map(|(id, labels)| alert(id, labels)),
            at: why.at.to_string(),
            state: course.standing.as_str().to_owned(),
            known_from: if why.is_state { "state" } else { "history" }.to_owned(),
            active_at: time(course.active_at),
            fires_at: time(course.fires_at),
            ceased_at: time(course.ceased_at),
            ends_at: time(course.ends_at),
            evidence: why.evidence.map(|id| id.to_string()),
            summary: summary(why),
            deploys: why.deploys.iter().map(DeployReport::new).collect(),
            condition: PartReport::new(&why.explanation.root),
            unfinished: why.explanation.unfinished.clone(),
            others: why.others.0.iter().map(|(id, labels)| alert(id, labels)).collect(),
            elements_total: why.others.1,
        }
    }
}

fn alert(id: &crate::rules::AlertId, labels: &Labels) -> WhyAlert {
    WhyAlert { id: id.to_string(), labels: map(labels) }
}

/// The answer in sentences: where the alert stands, and what would change that.
fn summary(why: &Why) -> Vec<String> {
    let (rule, course) = (&why.rule, &why.course);
    let time = |t: Option<Timestamp>| t.map_or("longer ago than was looked".to_owned(), |t| t.to_string());
    let hold = rule.hold;
    let mut told = vec![match course.standing {
        Standing::Firing => {
            format!(
                "firing since {}: the condition holds since {}, and `for` is {hold}",
                time(course.fires_at),
                time(course.active_at)
            )
        }
        Standing::Pending => {
            format!(
                "pending since {}: it fires at {} if the condition goes on, for `for` is {hold}",
                time(course.active_at),
                time(course.fires_at)
            )
        }
        Standing::Kept => format!(
            "firing since {}, though the condition ceased at {}: `keep_firing_for` keeps it until {}",
            time(course.fires_at),
            time(course.ceased_at),
            time(course.ends_at)
        ),
        Standing::Inactive => match (course.active_at, course.ceased_at, course.ends_at) {
            (Some(from), Some(to), Some(end)) => format!("over since {end}: the condition held from {from} to {to}"),
            (Some(from), Some(to), None) => {
                format!("the condition held last from {from} to {to}, which is too short for a `for` of {hold}")
            }
            (None, Some(to), _) => format!("the condition does not hold since {to}"),
            _ => {
                let looked = why.explanation.root.turn.as_ref().map(|turn| turn.looked_back_to);
                format!("the condition has not held; looked back to {}", time(looked))
            }
        },
    }];
    if let Some(turn) = &why.explanation.root.turn
        && let (Some(since), Some((labels, sample))) = (turn.since, &turn.sample)
    {
        let way = if turn.holds { "true" } else { "false" };
        told.push(format!("it became {way} at {since} with the sample {} of {labels}", float_text(sample.v)));
    }
    if why.explanation.root.is_empty() {
        if let Some(part) = why.explanation.root.first_finding() {
            let finding = part.finding.as_deref().unwrap_or_default();
            told.push(format!("{}: {finding}", part.text));
        }
    } else {
        flips(&why.explanation.root, &mut told);
    }
    told.extend(why.deploys.iter().map(|deploy| live(deploy, course.active_at)));
    told
}

/// What went live, and how long before or after the condition became true.
fn live(deploy: &Deploy, active_at: Option<Timestamp>) -> String {
    let apart = match active_at.map(|active_at| active_at - deploy.at) {
        Some(before) if before >= Millis::ZERO => format!(", {before} before the condition became true"),
        Some(after) => format!(", {} after the condition became true", Millis(-after.0)),
        None => String::new(),
    };
    format!("{} {} went live at {}{apart}", deploy.service, deploy.version, deploy.at)
}

/// What would make a condition false, of each comparison that holds.
fn flips(part: &Part, told: &mut Vec<String>) {
    if let Some(pair) = part.compared.first().filter(|pair| pair.holds) {
        let (left, by) = (float_text(pair.lhs), float_text(pair.distance()));
        let away = if pair.distance() == 0.0 { String::new() } else { format!(", which is {by} away") };
        told.push(format!("{}: {left} now; it would take {}{away}", part.text, pair.flips_at()));
    }
    part.children.iter().for_each(|child| flips(child, told));
}

impl PartReport {
    fn new(part: &Part) -> PartReport {
        let (mut value, mut error, mut elements, mut total) = (None, None, Vec::new(), 0);
        match &part.value {
            PartValue::Vector { elements: some, total: all } => {
                (elements, total) = (some.iter().map(element).collect(), *all);
            }
            PartValue::Scalar(v) => value = Some(float_text(*v)),
            PartValue::Failed(reason) => error = Some(reason.clone()),
            PartValue::Skipped => error = Some("not looked at".to_owned()),
            PartValue::Windows => {}
        }
        PartReport {
            query: part.text.clone(),
            at: part.at.to_string(),
            value,
            elements,
            elements_total: total,
            turn: part.turn.as_ref().map(|turn| TurnReport {
                holds: turn.holds,
                since: turn.since.map(|t| t.to_string()),
                looked_back_to: turn.looked_back_to.to_string(),
                looked_every: turn.looked_every.as_seconds(),
                sample: turn.sample.as_ref().map(|(labels, sample)| SampleReport {
                    labels: map(labels),
                    at: sample.t.to_string(),
                    value: float_text(sample.v),
                }),
            }),
            compared: part.compared.iter().map(compared).collect(),
            compared_total: part.compared_total,
            series: part.series.iter().map(series).collect(),
            series_total: part.series_total,
            finding: part.finding.clone(),
            hints: part.hints.clone(),
            error,
            parts: part.children.iter().map(PartReport::new).collect(),
        }
    }
}

fn element(element: &Element) -> ElementReport {
    let value = match &element.value {
        ElementValue::Number(v) => float_text(*v),
        ElementValue::Histogram(_) => "histogram".to_owned(),
    };
    ElementReport { labels: map(&element.labels), value }
}

fn compared(pair: &Compared) -> ComparedReport {
    ComparedReport {
        labels: map(&pair.labels),
        left: float_text(pair.lhs),
        operator: pair.op.as_str().to_owned(),
        right: float_text(pair.rhs),
        holds: pair.holds,
        distance: float_text(pair.distance()),
        flips_at: pair.flips_at(),
    }
}

fn series(series: &SeriesEvidence) -> SeriesReport {
    let pair = |sample: &Sample| Some((sample.t.to_string(), float_text(sample.v)));
    let mut report = SeriesReport {
        labels: map(&series.labels),
        kind: String::new(),
        count: 0,
        first: None,
        last: None,
        min: None,
        max: None,
        resets: 0,
    };
    let kind = match &series.window {
        WindowEvidence::Latest(sample) => {
            (report.count, report.last) = (1, pair(sample));
            "latest"
        }
        WindowEvidence::Window { count, first, last, min, max, resets } => {
            (report.count, report.first, report.last) = (*count, pair(first), pair(last));
            (report.min, report.max) = (Some(float_text(*min)), Some(float_text(*max)));
            report.resets = *resets;
            "window"
        }
        WindowEvidence::Histograms { count, last } => {
            (report.count, report.last) = (*count, Some((last.to_string(), String::new())));
            "histograms"
        }
        WindowEvidence::Ended(at) => {
            report.last = Some((at.to_string(), String::new()));
            "ended"
        }
    };
    report.kind = kind.to_owned();
    report
}

fn map(labels: &Labels) -> LabelMap {
    labels.iter().map(|label| (label.name.to_owned(), label.value.to_owned())).collect()
}
