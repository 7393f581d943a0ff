//! Episodes and alerts that fired, as JSON: what the API answers and the commands read.

use serde::{Deserialize, Serialize};

use crate::confidence::{FiredAlert, KnownEpisode, Truth};
use crate::model::Timestamp;
use crate::slo::GroupShare;

/// Who says something without a name.
const ANONYMOUS: &str = "anonymous";

/// An episode in its JSON form. Instants are RFC 3339 in UTC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpisodeReport {
    /// Its name.
    pub id: String,
    /// Whose objective it is.
    pub service: String,
    /// The objective, with its group.
    pub objective: String,
    /// The first bad event of it.
    pub start: String,
    /// When burn was last above 1; `null` while it goes on.
    pub end: Option<String>,
    /// How long that was, so far.
    pub seconds: i64,
    /// Bad events.
    pub bad: f64,
    /// All events.
    pub total: f64,
    /// Bad events over all, in budgets.
    pub burn: f64,
    /// The share of the window's budget that it spent.
    pub spent: f64,
    /// Whether anybody watched when it began.
    pub watched: bool,
    /// What told of it, oldest first: names of alerts that fired.
    pub told_by: Vec<String>,
    /// When the first page came; `null` if none did.
    pub first_page: Option<String>,
    /// Seconds from its beginning to the first page.
    pub detection_seconds: Option<f64>,
    /// The share of the window's budget that was spent by then.
    pub spent_at_detection: Option<f64>,
    /// Deploys of the service around it.
    pub deploys: Vec<DeployReport>,
    /// Of an objective with groups: those with the most bad events, the worst first.
    #[serde(default)]
    pub groups: Vec<GroupShareReport>,
    /// How many other groups had bad events, or have no budget of their own.
    #[serde(default)]
    pub other_groups: usize,
}

/// What an episode was to one group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupShareReport {
    /// The labels that tell it from others.
    pub labels: std::collections::BTreeMap<String, String>,
    /// Its bad events.
    pub bad: f64,
    /// All its events.
    pub total: f64,
    /// Its share of the episode's bad events.
    pub share: f64,
}

/// A deploy in its JSON form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployReport {
    /// The service.
    pub service: String,
    /// The version.
    pub version: String,
    /// When.
    pub at: String,
}

impl DeployReport {
    /// The report of one.
    pub fn new(deploy: &crate::db::Deploy) -> DeployReport {
        DeployReport { service: deploy.service.clone(), version: deploy.version.clone(), at: deploy.at.to_string() }
    }
}

/// An alert that fired, in its JSON form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FiredReport {
    /// Its name.
    pub id: String,
    /// Its `alertname`.
    pub name: String,
    /// All its labels.
    pub labels: std::collections::BTreeMap<String, String>,
    /// What it said.
    pub summary: String,
    /// `page`, `ticket` or `note`.
    pub urgency: String,
    /// When it began to fire.
    pub at: String,
    /// When that ended; `null` while it fires.
    pub ended: Option<String>,
    /// Who was told that it fires.
    pub told: Vec<ToldReport>,
    /// What the machine says: `episode`, `no-episode`, `open` or `unmeasured`.
    pub truth: String,
    /// The episode that it told of.
    pub episode: Option<String>,
    /// What people say: `useful`, `noise`, `duplicate`, `too-late` or `test`.
    pub outcome: Option<String>,
    /// Who says so: `anonymous`, if they gave no name.
    pub outcome_by: Option<String>,
    /// When it was said.
    pub outcome_at: Option<String>,
    /// Why.
    pub outcome_note: Option<String>,
}

/// Somebody who was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldReport {
    /// The receiver.
    pub receiver: String,
    /// When it took the message.
    pub at: String,
}

impl EpisodeReport {
    /// The report of an episode, with what told of it among `alerts`.
    pub fn new(known: &KnownEpisode, alerts: &[FiredAlert], now: Timestamp) -> EpisodeReport {
        let episode = &known.episode;
        let mut told: Vec<&FiredAlert> = alerts.iter().filter(|alert| alert.tells_of(known, now)).collect();
        told.sort_by_key(|alert| alert.at);
        let page = known.first_page(alerts, now);
        let group = if episode.group.is_empty() { String::new() } else { episode.group.to_string() };
        let deploy = |deploy: &crate::confidence::Deploy| DeployReport {
            service: deploy.service.clone(),
            version: deploy.version.clone(),
            at: deploy.at.to_string(),
        };
        EpisodeReport {
            id: known.id.to_string(),
            service: episode.service.clone(),
            objective: format!("{}{group}", episode.objective),
            start: episode.start.to_string(),
            end: episode.over.then(|| episode.last.to_string()),
            seconds: (episode.last - episode.start).0 / 1000,
            bad: episode.bad,
            total: episode.total,
            burn: episode.burn,
            spent: episode.spent,
            watched: episode.watched,
            told_by: told.iter().map(|alert| alert.id.to_string()).collect(),
            first_page: page.map(|page| page.at.to_string()),
            detection_seconds: page.map(|page| (page.at - episode.start).0.max(0) as f64 / 1000.0),
            spent_at_detection: page.map(|page| known.spent_at(page)),
            deploys: known.deploys.iter().map(deploy).collect(),
            groups: episode.suffered.groups.iter().map(GroupShareReport::new).collect(),
            other_groups: episode.suffered.others,
        }
    }
}

impl GroupShareReport {
    fn new(share: &GroupShare) -> GroupShareReport {
        GroupShareReport {
            labels: share.group.iter().map(|label| (label.name.to_owned(), label.value.to_owned())).collect(),
            bad: share.bad,
            total: share.total,
            share: share.share,
        }
    }

    /// The group as its labels tell it: `route="/pay"`.
    pub fn name(&self) -> String {
        self.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect::<Vec<_>>().join(", ")
    }
}

impl FiredReport {
    /// The report of an alert, held against episodes.
    pub fn new(alert: &FiredAlert, episodes: &[KnownEpisode], now: Timestamp) -> FiredReport {
        let truth = alert.truth(episodes, now);
        let outcome = alert.outcome.as_ref();
        let text = |text: &String| (!text.is_empty()).then(|| text.clone());
        FiredReport {
            id: alert.id.to_string(),
            name: alert.labels.get("alertname").to_owned(),
            labels: alert.labels.iter().map(|label| (label.name.to_owned(), label.value.to_owned())).collect(),
            summary: alert.summary.clone(),
            urgency: alert.urgency.as_str().to_owned(),
            at: alert.at.to_string(),
            ended: alert.ended.map(|ended| ended.to_string()),
            told: alert
                .told
                .iter()
                .map(|told| ToldReport { receiver: told.receiver.clone(), at: told.at.to_string() })
                .collect(),
            truth: truth.as_str().to_owned(),
            episode: if let Truth::Episode(id) = truth { Some(id.to_string()) } else { None },
            outcome: outcome.map(|outcome| outcome.label.as_str().to_owned()),
            outcome_by: outcome.map(|outcome| text(&outcome.by).unwrap_or_else(|| ANONYMOUS.to_owned())),
            outcome_at: outcome.map(|outcome| outcome.at.to_string()),
            outcome_note: outcome.and_then(|outcome| text(&outcome.note)),
        }
    }
}
