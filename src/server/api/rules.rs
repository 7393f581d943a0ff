//! `rules`: what watches, and how it fares.

use std::collections::BTreeMap;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;

use crate::model::{AlertState, Timestamp};
use crate::rules::{GroupStatus, Health, Mode, RuleKind, RuleStatus};

use super::alerts::AlertJson;
use crate::server::envelope::{ApiError, success};
use crate::server::params::Params;
use crate::server::state::ServerState;

#[derive(Serialize)]
struct Groups {
    groups: Vec<GroupJson>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupJson {
    name: String,
    file: String,
    rules: Vec<RuleJson>,
    interval: f64,
    limit: usize,
    evaluation_time: f64,
    last_evaluation: String,
}

/// One rule; what only alerting rules have is absent from recording rules.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RuleJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    name: String,
    query: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_firing_for: Option<f64>,
    labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alerts: Option<Vec<AlertJson>>,
    health: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    evaluation_time: f64,
    last_evaluation: String,
    #[serde(rename = "type")]
    kind: &'static str,
    /// Ours: how it is evaluated, and whether a selector of it has matched nothing yet.
    evaluation: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    evaluation_reason: Option<String>,
    blind: bool,
}

/// What of the rules is asked for.
struct Wanted {
    kind: Option<RuleKind>,
    names: Vec<String>,
    groups: Vec<String>,
    files: Vec<String>,
    with_alerts: bool,
}

impl Wanted {
    fn of(params: &Params) -> Result<Wanted, ApiError> {
        let kind = match params.get("type") {
            None => None,
            Some("alert") => Some(RuleKind::Alerting),
            Some("record") => Some(RuleKind::Recording),
            Some(other) => return Err(ApiError::parameter("type", format!("not supported value \"{other}\""))),
        };
        let all = |name: &str| params.all(name).map(str::to_owned).collect();
        Ok(Wanted {
            kind,
            names: all("rule_name[]"),
            groups: all("rule_group[]"),
            files: all("file[]"),
            with_alerts: !matches!(params.get("exclude_alerts"), Some("true" | "1")),
        })
    }

    fn has(&self, rule: &RuleStatus) -> bool {
        self.kind.is_none_or(|kind| kind == rule.kind) && (self.names.is_empty() || self.names.contains(&rule.name))
    }

    fn has_group(&self, group: &GroupStatus) -> bool {
        (self.groups.is_empty() || self.groups.contains(&group.name))
            && (self.files.is_empty() || self.files.contains(&group.file))
    }

    fn group(&self, group: &GroupStatus) -> Option<GroupJson> {
        let rules: Vec<_> = group.rules.iter().filter(|rule| self.has(rule)).map(|rule| self.rule(rule)).collect();
        let narrowed = self.kind.is_some() || !self.names.is_empty();
        if !self.has_group(group) || (rules.is_empty() && narrowed) {
            return None;
        }
        Some(GroupJson {
            name: group.name.clone(),
            file: group.file.clone(),
            rules,
            interval: group.interval.as_seconds(),
            limit: group.limit,
            evaluation_time: 0.0,
            last_evaluation: evaluated(group.last_evaluation),
        })
    }

    fn rule(&self, rule: &RuleStatus) -> RuleJson {
        let alerting = rule.kind == RuleKind::Alerting;
        let pairs = |pairs: &[(String, String)]| pairs.iter().cloned().collect::<BTreeMap<_, _>>();
        let (health, last_error) = match &rule.health {
            Health::Unknown => ("unknown", None),
            Health::Ok => ("ok", None),
            Health::Err(error) => ("err", Some(error.clone())),
        };
        RuleJson {
            state: alerting.then(|| state_of(rule)),
            name: rule.name.clone(),
            query: rule.expr.clone(),
            duration: alerting.then(|| rule.hold.as_seconds()),
            keep_firing_for: alerting.then(|| rule.keep_firing.as_seconds()),
            labels: pairs(&rule.labels),
            annotations: alerting.then(|| pairs(&rule.annotations)),
            alerts: (alerting && self.with_alerts).then(|| rule.alerts.iter().map(AlertJson::new).collect()),
            health,
            last_error,
            evaluation_time: 0.0,
            last_evaluation: evaluated(rule.last_evaluation),
            kind: if alerting { "alerting" } else { "recording" },
            evaluation: rule.mode.as_str(),
            evaluation_reason: match &rule.mode {
                Mode::Incremental => None,
                Mode::Interval { reason } => Some(reason.clone()),
            },
            blind: rule.is_blind,
        }
    }
}

/// The worst of an alerting rule's alerts.
pub(in crate::server) fn state_of(rule: &RuleStatus) -> &'static str {
    let has = |state: AlertState| rule.alerts.iter().any(|alert| alert.state == state);
    if has(AlertState::Firing) {
        "firing"
    } else if has(AlertState::Pending) {
        "pending"
    } else if rule.health == Health::Unknown {
        "unknown"
    } else {
        "inactive"
    }
}

fn evaluated(at: Timestamp) -> String {
    if at <= Timestamp(0) { "0001-01-01T00:00:00Z".to_owned() } else { at.to_string() }
}

/// `GET /api/v1/rules`
pub(super) async fn rules(State(state): State<ServerState>, request: Request) -> Result<Response, ApiError> {
    let params = Params::of(request, state.bodies()).await?;
    let wanted = Wanted::of(&params)?;
    let groups = state.ask(|db| db.rule_groups()).await?;
    Ok(success(Groups { groups: groups.iter().filter_map(|group| wanted.group(group)).collect() }))
}
