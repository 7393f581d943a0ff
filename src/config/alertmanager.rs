//! `alertmanager.yml`: the route tree and its webhook receivers.

use crate::model::{Labels, MatchOp, Matcher, Millis};
use crate::notify::{GroupBy, Receiver, Route, Routing, RoutingError, Webhook};

use super::error::ConfigError;
use super::http::{self, Http};
use super::loader::Loader;
use super::matchers;
use super::section::{Field, Section};
use super::source::Source;
use super::yaml;

/// Receivers of other kinds; each is refused by its name.
const OTHER_RECEIVERS: [&str; 18] = [
    "discord_configs",
    "email_configs",
    "incidentio_configs",
    "jira_configs",
    "mattermost_configs",
    "msteams_configs",
    "msteamsv2_configs",
    "opsgenie_configs",
    "pagerduty_configs",
    "pushover_configs",
    "rocketchat_configs",
    "slack_configs",
    "sns_configs",
    "telegram_configs",
    "victorops_configs",
    "webex_configs",
    "wechat_configs",
    "googlechat_configs",
];

/// Global keys that only receivers of other kinds read.
const OTHER_GLOBALS: [&str; 35] = [
    "smtp_from",
    "smtp_smarthost",
    "smtp_hello",
    "smtp_auth_username",
    "smtp_auth_password",
    "smtp_auth_password_file",
    "smtp_auth_identity",
    "smtp_auth_secret",
    "smtp_auth_secret_file",
    "smtp_require_tls",
    "smtp_tls_config",
    "smtp_force_implicit_tls",
    "slack_api_url",
    "slack_api_url_file",
    "slack_app_token",
    "slack_app_token_file",
    "slack_app_url",
    "pagerduty_url",
    "opsgenie_api_url",
    "opsgenie_api_key",
    "opsgenie_api_key_file",
    "victorops_api_url",
    "victorops_api_key",
    "victorops_api_key_file",
    "telegram_api_url",
    "telegram_bot_token",
    "telegram_bot_token_file",
    "webex_api_url",
    "wechat_api_url",
    "wechat_api_secret",
    "wechat_api_secret_file",
    "wechat_api_corp_id",
    "jira_api_url",
    "rocketchat_api_url",
    "mattermost_webhook_url",
];

/// Reads the file.
pub(super) fn read(source: &Source<'_>, loader: &mut Loader<'_>) -> Result<Routing, ConfigError> {
    let node = yaml::parse(source)?;
    let what = "the Alertmanager configuration";
    let mut top = Section::of(source, &node, what)?;
    let http = match top.get("global") {
        Some(field) => global(&field, loader)?,
        None => Http::default(),
    };
    top.refuse(&["inhibit_rules"], "remove them; alerts are told without inhibition")?;
    top.refuse(&["time_intervals", "mute_time_intervals"], "remove them; alerts are told at any hour")?;
    top.ignore(&["templates", "tracing"], "webhook messages have no templates");
    let receivers_field = top.need("receivers", what)?;
    let receivers = receivers(&receivers_field, &http, loader)?;
    let route_field = top.need("route", what)?;
    let root = Route { group_by: GroupBy::Labels(Vec::new()), ..Route::new("") };
    let route = route(&route_field, &root, Depth::Root, &receivers, loader)?;
    loader.notes.extend(top.finish(what)?);
    let routing = Routing { route, receivers };
    match routing.check() {
        Ok(()) => Ok(routing),
        Err(error @ RoutingError::ReceiverTwice { .. }) => Err(receivers_field.error(error.to_string())),
        Err(error @ RoutingError::UnknownReceiver { .. }) => Err(route_field.error(error.to_string())),
    }
}

fn global(field: &Field<'_>, loader: &mut Loader<'_>) -> Result<Http, ConfigError> {
    let mut section = field.section("global")?;
    section.ignore(&["resolve_timeout"], "rules say themselves when an alert is over");
    section.ignore(&OTHER_GLOBALS, "it belongs to receivers of another kind than webhooks");
    let http = match section.get("http_config") {
        Some(field) => http_config(&field, loader)?,
        None => Http::default(),
    };
    loader.notes.extend(section.finish("global")?);
    Ok(http)
}

fn http_config(field: &Field<'_>, loader: &mut Loader<'_>) -> Result<Http, ConfigError> {
    let mut section = field.section("http_config")?;
    let http = http::read(&mut section, loader)?;
    loader.notes.extend(section.finish("http_config")?);
    Ok(http)
}

fn receivers(field: &Field<'_>, http: &Http, loader: &mut Loader<'_>) -> Result<Vec<Receiver>, ConfigError> {
    let mut receivers = Vec::new();
    for item in field.list()? {
        let mut section = item.section("a receiver")?;
        let name = section.need("name", "a receiver")?.word()?;
        section.refuse(&OTHER_RECEIVERS, "only webhook_configs are; put a bridge that takes webhooks in between")?;
        section.ignore(&["labels"], "receivers have no labels here");
        let mut webhooks = Vec::new();
        if let Some(configs) = section.get("webhook_configs") {
            for config in configs.list()? {
                webhooks.push(webhook(&config, http, loader)?);
            }
        }
        loader.notes.extend(section.finish("a receiver")?);
        receivers.push(Receiver { name, webhooks });
    }
    Ok(receivers)
}

fn webhook(field: &Field<'_>, http: &Http, loader: &mut Loader<'_>) -> Result<Webhook, ConfigError> {
    let what = "a webhook";
    let mut section = field.section(what)?;
    section.refuse(&["payload"], "remove it; version 4 of the message is sent")?;
    let place = section.get("url").map(|f| f.node.place);
    let Some(url) = loader.secret(&mut section, "url", "url_file")? else {
        return Err(field.error("a webhook needs the key \"url\" or \"url_file\"; add one"));
    };
    if !url.reveal().starts_with("http://") && !url.reveal().starts_with("https://") {
        let message = "the webhook's url must begin with http:// or https://; correct it";
        return Err(field.source.error(place.unwrap_or(field.node.place), message));
    }
    let http = match section.get("http_config") {
        Some(field) => http_config(&field, loader)?,
        None => http.clone(),
    };
    let mut webhook = Webhook { authorization: http.authorization, headers: http.headers, ..Webhook::new("") };
    webhook.url = url;
    if let Some(field) = section.get("send_resolved") {
        webhook.send_resolved = field.boolean()?;
    }
    if let Some(field) = section.get("max_alerts") {
        webhook.max_alerts = field.count()?;
    }
    if let Some(field) = section.get("timeout") {
        match field.duration()? {
            // Alertmanager's "no timeout of its own"; ours stays.
            Millis::ZERO => {}
            timeout => webhook.timeout = timeout,
        }
    }
    loader.notes.extend(section.finish(what)?);
    Ok(webhook)
}

/// Where in the tree a route stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    Root,
    Below(usize),
}

/// Routes below routes; real trees have three levels.
const ROUTE_DEPTH_MAX: usize = 32;

fn route(
    field: &Field<'_>,
    parent: &Route,
    depth: Depth,
    receivers: &[Receiver],
    loader: &mut Loader<'_>,
) -> Result<Route, ConfigError> {
    let mut section = field.section("a route")?;
    section.refuse(&["mute_time_intervals", "active_time_intervals"], "remove them; alerts are told at any hour")?;
    section.ignore(&["labels"], "routes have no labels here");
    let mut route = Route { matchers: Vec::new(), continues: false, routes: Vec::new(), ..parent.clone() };
    match section.get("receiver") {
        Some(field) => {
            route.receiver = field.word()?;
            if !receivers.iter().any(|receiver| receiver.name == route.receiver) {
                let error = RoutingError::UnknownReceiver { name: route.receiver };
                return Err(field.error(error.to_string()));
            }
        }
        None if depth == Depth::Root => {
            return Err(field.source.error(field.key_place, "the root route needs the key \"receiver\"; add it"));
        }
        None => {}
    }
    if let Some(field) = section.get("group_by") {
        route.group_by = group_by(&field)?;
    }
    for (key, duration) in [("group_wait", &mut route.group_wait), ("group_interval", &mut route.group_interval)] {
        if let Some(field) = section.get(key) {
            *duration = field.duration()?;
        }
    }
    if let Some(field) = section.get("repeat_interval") {
        route.repeat_interval = field.positive_duration()?;
    }
    route.matchers = route_matchers(&mut section)?;
    if let Some(field) = section.get("continue") {
        route.continues = field.boolean()?;
    }
    if depth == Depth::Root && (!route.matchers.is_empty() || route.continues) {
        let message = "the root route takes every alert; move its matchers and continue into a child";
        return Err(field.source.error(field.key_place, message));
    }
    if let Some(children) = section.get("routes") {
        let level = match depth {
            Depth::Root => 1,
            Depth::Below(level) => level + 1,
        };
        if level > ROUTE_DEPTH_MAX {
            return Err(children.error(format!("routes are nested more than {ROUTE_DEPTH_MAX} deep; flatten them")));
        }
        for child in children.list()? {
            let child = self::route(&child, &route, Depth::Below(level), receivers, loader)?;
            route.routes.push(child);
        }
    }
    loader.notes.extend(section.finish("a route")?);
    Ok(route)
}

fn group_by(field: &Field<'_>) -> Result<GroupBy, ConfigError> {
    let names = field.words()?;
    match names.as_slice() {
        [all] if all == "..." => Ok(GroupBy::All),
        names if names.iter().any(|name| name == "...") => {
            Err(field.error("\"...\" means every label and stands alone; remove the others"))
        }
        _ => Ok(GroupBy::Labels(names)),
    }
}

fn route_matchers(section: &mut Section<'_>) -> Result<Vec<Matcher>, ConfigError> {
    let mut all = Vec::new();
    for (key, op) in [("match", MatchOp::Equal), ("match_re", MatchOp::Match)] {
        let Some(field) = section.get(key) else { continue };
        for pair in field.section(key)?.fields() {
            if pair.key == Labels::METRIC_NAME {
                return Err(pair.error("alerts have no label \"__name__\"; remove the matcher"));
            }
            let text = pair.text()?;
            let value = match op {
                // So Alertmanager keeps the older form, and its group keys show it.
                MatchOp::Match => format!("^(?:{text})$"),
                _ => text,
            };
            let matcher = Matcher::new(pair.key, op, &value);
            all.push(matcher.map_err(|error| pair.error(error.to_string()))?);
        }
    }
    if let Some(field) = section.get("matchers") {
        for item in field.list()? {
            all.extend(matchers::parse(&item.text()?).map_err(|error| item.error(error))?);
        }
    }
    // Alertmanager sorts a route's matchers, and its group keys show them so.
    all.sort_by(|a, b| (a.name(), a.value()).cmp(&(b.name(), b.value())));
    Ok(all)
}
