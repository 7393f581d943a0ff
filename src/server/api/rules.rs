//! `rules`: what watches, and how it fares.

use std::collections::BTreeMap;
use std::hash::Hasher;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;

use siphasher::sip::SipHasher24;

use crate::model::{AlertState, Matcher, Timestamp};
use crate::rules::{GroupStatus, Health, Mode, RuleKind, RuleStatus};

use super::alerts::AlertJson;
use crate::server::envelope::{ApiError, ErrorType, success};
use crate::server::params::{Params, whole_number};
use crate::server::state::ServerState;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Groups {
    groups: Vec<GroupJson>,
    /// Where the next page begins, if the groups were limited and there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    group_next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupJson {
    name: String,
    file: String,
    rules: Vec<RuleJson>,
    interval: f64,
    /// Ours: when its alerting rules decide.
    evaluation_mode: &'static str,
    limit: usize,
    evaluation_time: f64,
    last_evaluation: String,
}

/// One rule; what only alerting rules have is absent from recording rules.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RuleJson {
    /// Ours: its name from one start to the next.
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    name: String,
    query: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_firing_for: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<BTreeMap<String, String>>,
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
    /// Selectors, of which the labels of a rule must satisfy one.
    selectors: Vec<Vec<Matcher>>,
    with_alerts: bool,
    page: Page,
}

/// Which groups of those that are wanted.
struct Page {
    /// How many at the most; 0 for all.
    limit: usize,
    /// The token of the first.
    begin: Option<String>,
}

impl Page {
    fn of(params: &Params) -> Result<Page, ApiError> {
        let number = |text: &str| {
            let reason = |error: String| {
                format!("group_limit needs to be a valid number: {}", error.replace("Atoi", "ParseInt"))
            };
            let limit = whole_number(text).map_err(|error| ApiError::parameter("group_limit", reason(error)))?;
            let fits = usize::try_from(limit).ok().filter(|limit| *limit > 0);
            fits.ok_or_else(|| ApiError::parameter("group_limit", "group_limit needs to be greater than 0"))
        };
        let limit = params.get("group_limit").map(number).transpose()?.unwrap_or(0);
        let begin = params.get("group_next_token").map(str::to_owned);
        if begin.is_some() && limit == 0 {
            let reason = "group_limit needs to be present in order to paginate over the groups";
            return Err(ApiError::parameter("group_next_token", reason));
        }
        Ok(Page { limit, begin })
    }

    /// The groups of the page, and the token of the next one's first.
    fn cut<'a>(&self, mut groups: &'a [GroupStatus]) -> Result<(&'a [GroupStatus], Option<String>), ApiError> {
        if let Some(begin) = &self.begin {
            let reason = || format!("invalid group_next_token '{begin}'. were rule groups changed?");
            let at = groups.iter().position(|group| token(group) == *begin);
            groups = &groups[at.ok_or_else(|| ApiError::parameter("group_next_token", reason()))?..];
        }
        match groups.get(self.limit) {
            Some(next) if self.limit > 0 => Ok((&groups[..self.limit], Some(token(next)))),
            _ => Ok((groups, None)),
        }
    }
}

/// What names a group from one request to the next.
fn token(group: &GroupStatus) -> String {
    let mut hash = SipHasher24::new();
    hash.write(group.file.as_bytes());
    hash.write(b";");
    hash.write(group.name.as_bytes());
    format!("{:016x}", hash.finish())
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
            selectors: params.matchers().map_err(|reason| ApiError::new(ErrorType::BadData, reason))?,
            with_alerts: !params.flag("exclude_alerts")?,
            page: Page::of(params)?,
        })
    }

    fn has(&self, group: &GroupStatus, rule: &RuleStatus) -> bool {
        self.kind.is_none_or(|kind| kind == rule.kind)
            && (self.names.is_empty() || self.names.contains(&rule.name))
            && (self.selectors.is_empty() || self.selectors.iter().any(|all| all.iter().all(|m| fits(m, group, rule))))
    }

    fn has_group(&self, group: &GroupStatus) -> bool {
        (self.groups.is_empty() || self.groups.contains(&group.name))
            && (self.files.is_empty() || self.files.contains(&group.file))
    }

    fn group(&self, group: &GroupStatus) -> Option<GroupJson> {
        let rules: Vec<_> =
            group.rules.iter().filter(|rule| self.has(group, rule)).map(|rule| self.rule(group, rule)).collect();
        let narrowed = self.kind.is_some() || !self.names.is_empty() || !self.selectors.is_empty();
        if !self.has_group(group) || (rules.is_empty() && narrowed) {
            return None;
        }
        Some(GroupJson {
            name: group.name.clone(),
            file: group.file.clone(),
            rules,
            interval: group.interval.as_seconds(),
            evaluation_mode: group.mode.as_str(),
            limit: group.limit,
            evaluation_time: group.rules.iter().map(took).sum(),
            last_evaluation: evaluated(group.last_evaluation),
        })
    }

    fn rule(&self, group: &GroupStatus, rule: &RuleStatus) -> RuleJson {
        let mut json = rule_json(group, rule);
        if let Some(alerts) = json.alerts.as_mut().filter(|_| !self.with_alerts) {
            alerts.clear();
        }
        json
    }
}

/// A rule as it is told.
pub(super) fn rule_json(group: &GroupStatus, rule: &RuleStatus) -> RuleJson {
    let alerting = rule.kind == RuleKind::Alerting;
    let pairs = |pairs: &[(String, String)]| pairs.iter().cloned().collect::<BTreeMap<_, _>>();
    // As in Prometheus: the group's labels, and over them the rule's.
    let mut labels: BTreeMap<String, String> =
        group.labels.iter().map(|label| (label.name.to_owned(), label.value.to_owned())).collect();
    labels.extend(pairs(&rule.labels));
    let (health, last_error) = match &rule.health {
        Health::Unknown => ("unknown", None),
        Health::Ok => ("ok", None),
        Health::Err(error) => ("err", Some(error.clone())),
    };
    RuleJson {
        id: rule.id.to_string(),
        state: alerting.then(|| state_of(rule)),
        name: rule.name.clone(),
        query: rule.expr.clone(),
        duration: alerting.then(|| rule.hold.as_seconds()),
        keep_firing_for: alerting.then(|| rule.keep_firing.as_seconds()),
        // Prometheus leaves out a recording rule's labels if it has none.
        labels: (alerting || !labels.is_empty()).then_some(labels),
        annotations: alerting.then(|| pairs(&rule.annotations)),
        alerts: alerting.then(|| {
            rule.alerts.iter().map(|alert| AlertJson::new(Some(rule.id.alert(&alert.labels)), alert)).collect()
        }),
        health,
        last_error,
        evaluation_time: took(rule),
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

/// How long the last evaluation took, in seconds.
fn took(rule: &RuleStatus) -> f64 {
    rule.last.as_ref().map_or(0.0, |last| last.took.as_secs_f64())
}

fn evaluated(at: Timestamp) -> String {
    if at <= Timestamp(0) { "0001-01-01T00:00:00Z".to_owned() } else { at.to_string() }
}

/// `GET /api/v1/rules`
pub(super) async fn rules(State(state): State<ServerState>, request: Request) -> Result<Response, ApiError> {
    let params = Params::of(request, state.bodies()).await?;
    let wanted = Wanted::of(&params)?;
    let groups = state.ask(|db| db.rule_groups()).await?;
    let (page, group_next_token) = wanted.page.cut(&groups)?;
    Ok(success(Groups { groups: page.iter().filter_map(|group| wanted.group(group)).collect(), group_next_token }))
}

/// Whether a rule's own labels satisfy a matcher.
fn fits(matcher: &Matcher, group: &GroupStatus, rule: &RuleStatus) -> bool {
    let value = rule.labels.iter().find(|(name, _)| name == matcher.name()).map(|(_, value)| value.as_str());
    matcher.matches(value.unwrap_or_else(|| group.labels.get(matcher.name())))
}
