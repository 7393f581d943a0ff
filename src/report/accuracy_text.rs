//! Accuracy and episodes as documents.

use crate::confidence::plural;
use crate::model::Millis;

use super::accuracy_json::{AccuracyReport, ClaimReport, ClassReport, QuantileReport, ShareReport, SpreadReport};
use super::document::{Document, Table};
use super::episode_json::{EpisodeReport, FiredReport};
use super::words;

impl AccuracyReport {
    /// Everything that is known of how good alerts were.
    pub fn document(&self) -> Document {
        let missed = self.missed.iter().map(episode_row).collect();
        let mut tables = vec![
            table("Pages by the hour in which they come", &SHARES, self.classes.iter().map(shares_row).collect()),
            table("How soon", &TIMES, self.classes.iter().map(times_row).collect()),
            table("Claims", &["of", "target", "met"], self.claims.iter().map(claim_row).collect()),
        ];
        if !self.missed.is_empty() {
            tables.push(table("Missed: episodes without a page", &EPISODE, missed));
        }
        if !self.late.is_empty() {
            tables.push(table(
                "Late: episodes paged after 10 % was spent",
                &EPISODE,
                self.late.iter().map(episode_row).collect(),
            ));
        }
        if !self.rules.is_empty() {
            let rows = self.rules.iter().map(|rule| {
                let (name, service) = (rule.name.clone(), rule.service.clone());
                vec![name, service, rule.urgency.clone(), rule.fired.to_string(), share(&rule.right)]
            });
            tables.push(table(
                "By rule, most wrong alerts first",
                &["alert", "service", "kind", "fired", "right"],
                rows.collect(),
            ));
        }
        Document {
            title: "Accuracy of alerts".to_owned(),
            lines: [
                format!("{} to {}, hours of {}", words::minute(&self.from), words::minute(&self.to), self.time_zone),
                format!("tickets that were right: {}", share(&self.tickets)),
                self.labels_line(),
            ]
            .into_iter()
            .chain(self.left_out())
            .collect(),
            tables,
            notes: NOTES.iter().map(|note| (*note).to_owned()).collect(),
        }
    }

    /// How many episodes were paged before a tenth of the budget was spent, and which were not.
    pub fn early_warning_document(&self) -> Document {
        let all = self.classes.first().map_or("none known".to_owned(), |class| share(&class.early));
        let claim = self.early_warning_claim();
        let rows = |episodes: &[EpisodeReport]| episodes.iter().map(episode_row).collect();
        let mut tables = Vec::new();
        for (title, episodes) in [
            ("Late: episodes that were paged after 10 % of the budget was spent", &self.late),
            ("Missed: episodes without a page", &self.missed),
        ] {
            if !episodes.is_empty() {
                tables.push(table(title, &EPISODE, rows(episodes)));
            }
        }
        Document {
            title: "Early warning".to_owned(),
            lines: [
                Some(format!("{} to {}", self.from, self.to)),
                Some(format!("episodes that were paged before 10 % of the budget was spent: {all}")),
                self.classes.first().map(|all| {
                    format!(
                        "what that took: {}, of which were right: {}",
                        plural(all.pages, "page"),
                        share(&all.precision)
                    )
                }),
                claim.map(|claim| claim_row(claim).join(", ")),
            ]
            .into_iter()
            .flatten()
            .collect(),
            tables,
            notes: [NOTES[0], NOTES[2]].map(str::to_owned).to_vec(),
        }
    }

    fn labels_line(&self) -> String {
        let labels: Vec<String> =
            self.outcomes.iter().filter(|(_, n)| **n > 0).map(|(label, n)| format!("{n} {label}")).collect();
        if labels.is_empty() {
            return "nobody has said of any alert what it was".to_owned();
        }
        format!("people said: {}", labels.join(", "))
    }

    /// What counts in none of the shares, if there is anything.
    fn left_out(&self) -> Option<String> {
        let left_out = [
            (self.unknown_pages, "page", "that nobody knows to be right or wrong"),
            (self.open_episodes, "episode", "not over yet"),
            (self.unwatched_episodes, "episode", "of a time in which nobody watched"),
        ];
        let parts: Vec<String> = left_out
            .into_iter()
            .filter(|(n, ..)| *n > 0)
            .map(|(n, one, what)| format!("{} {what}", plural(n, one)))
            .collect();
        (!parts.is_empty()).then(|| format!("not counted: {}", parts.join("; ")))
    }
}

/// How the numbers are made.
const NOTES: [&str; 4] = [
    "An episode is a span in which an objective burned above 1, for certain, and spent at least 1 % of its budget; no rule \
has a say in it. It counts if the objective was watched when it began.",
    "A page is right if people say so (useful, too-late), wrong if they say noise; of what nobody labelled the machine says: it \
told of an episode, or of none. Duplicates and tests count in neither.",
    "Shares have exact 95 % intervals (Clopper and Pearson), quantiles those of order statistics; a target counts as met or \
missed only with 95 % confidence.",
    "Business is Monday to Friday 08 to 18, off 18 to 22 and weekends, sleep 22 to 08. An episode is of the hour of its first page, or \
else of its beginning.",
];

const SHARES: [&str; 6] =
    ["hours", "pages", "precision", "recall by page", "told of at all", "paged before 10 % was spent"];
const TIMES: [&str; 7] =
    ["hours", "detection, median", "90 %", "budget spent by then, median", "90 %", "reset, median", "90 %"];
const EPISODE: [&str; 8] = ["episode", "service", "objective", "began", "lasted", "burn", "spent", "first page"];

fn table(title: &str, head: &[&str], rows: Vec<Vec<String>>) -> Table {
    Table { title: title.to_owned(), head: head.iter().map(|name| (*name).to_owned()).collect(), rows }
}

fn shares_row(class: &ClassReport) -> Vec<String> {
    let mut row = vec![class.class.clone(), class.pages.to_string()];
    row.extend([&class.precision, &class.recall, &class.told, &class.early].map(share));
    row
}

fn times_row(class: &ClassReport) -> Vec<String> {
    let seconds = |v: f64| Millis((v * 1000.0) as i64).to_string();
    let mut row = vec![class.class.clone()];
    for (spread, written) in [
        (&class.detection_seconds, &seconds as &dyn Fn(f64) -> String),
        (&class.spent_at_detection, &short_percent),
        (&class.reset_seconds, &seconds),
    ] {
        let SpreadReport { n, median, p90 } = spread;
        let first = quantile(median.as_ref(), written);
        row.push(if *n > 0 { format!("{first}, n = {n}") } else { first });
        row.push(quantile(p90.as_ref(), written));
    }
    row
}

fn quantile(of: Option<&QuantileReport>, written: &dyn Fn(f64) -> String) -> String {
    let Some(QuantileReport { value, low, high }) = of else { return "–".to_owned() };
    let bound = |bound: &Option<f64>| bound.map_or("?".to_owned(), written);
    match (low, high) {
        (None, None) => format!("{} (too few for an interval)", written(*value)),
        _ => format!("{} ({} to {})", written(*value), bound(low), bound(high)),
    }
}

fn claim_row(claim: &ClaimReport) -> Vec<String> {
    let target = target_percent(claim.target);
    let met = match (claim.met.as_str(), claim.needs) {
        ("insufficient", Some(needs)) => {
            let of = if claim.of.starts_with("precision") { "labelled pages" } else { "episodes" };
            format!("insufficient: {target} needs {needs} {of}; you have {}", claim.cases)
        }
        (met, _) => met.to_owned(),
    };
    vec![claim.of.clone(), target, met]
}

/// `97.4 % (38 of 39; 86.5 to 99.9)`
fn share(of: &ShareReport) -> String {
    match (of.share, of.low, of.high) {
        (Some(share), Some(low), Some(high)) => {
            format!("{} ({} of {}; {:.1} to {:.1})", short_percent(share), of.k, of.n, low * 100.0, high * 100.0)
        }
        _ => "none known".to_owned(),
    }
}

fn short_percent(share: f64) -> String {
    let text = format!("{:.1}", share * 100.0);
    format!("{} %", text.trim_end_matches(".0"))
}

/// All digits of a target: 99.95 % is not 100 %.
fn target_percent(share: f64) -> String {
    format!("{} %", (share * 1e12).round() / 1e10)
}

fn episode_row(episode: &EpisodeReport) -> Vec<String> {
    let lasted = Millis::seconds(episode.seconds).to_string();
    let page = match (episode.detection_seconds, episode.spent_at_detection) {
        (Some(after), Some(spent)) => {
            format!("after {}, {} spent", Millis((after * 1000.0) as i64), short_percent(spent))
        }
        _ if !episode.watched => "nobody watched".to_owned(),
        _ => "none".to_owned(),
    };
    vec![
        episode.id.clone(),
        episode.service.clone(),
        episode.objective.clone(),
        episode.start.clone(),
        if episode.end.is_some() { lasted } else { format!("{lasted}, goes on") },
        format!("{:.1}×", episode.burn),
        short_percent(episode.spent),
        page,
    ]
}

/// `noise, by ann at 2026-11-28T12:00:00Z`
fn people_say(alert: &FiredReport) -> String {
    match (&alert.outcome, &alert.outcome_by, &alert.outcome_at) {
        (Some(outcome), Some(by), Some(at)) => format!("{outcome}, by {by} at {at}"),
        _ => String::new(),
    }
}

/// `0011…: tenant="a" 60 of 90 bad (75 %), tenant="b" 20 of 80 bad (25 %), and 3 others`
fn groups_hit(episode: &EpisodeReport) -> String {
    let group = |one: &super::episode_json::GroupShareReport| {
        format!("{} {} of {} bad ({})", one.name(), one.bad, one.total, short_percent(one.share))
    };
    let groups = episode.groups.iter().map(group).collect::<Vec<_>>().join(", ");
    let others =
        if episode.other_groups > 0 { format!(", and {} others", episode.other_groups) } else { String::new() };
    format!("{}: {groups}{others}", episode.id)
}

/// Episodes, and alerts that fired, each with what is known of it.
pub fn episodes_document(episodes: &[EpisodeReport], alerts: &[FiredReport]) -> Document {
    let alert = |alert: &FiredReport| {
        let told = alert.told.iter().map(|told| told.receiver.as_str()).collect::<Vec<_>>().join(", ");
        vec![
            alert.id.clone(),
            alert.name.clone(),
            alert.labels.get("service").cloned().unwrap_or_default(),
            alert.urgency.clone(),
            alert.at.clone(),
            alert.ended.clone().unwrap_or_else(|| "fires".to_owned()),
            if told.is_empty() { "nobody".to_owned() } else { told },
            alert.episode.as_ref().map_or_else(|| alert.truth.clone(), |episode| format!("episode {episode}")),
            people_say(alert),
        ]
    };
    let heads = ["alert", "name", "service", "kind", "fired", "ended", "told", "machine says", "people say"];
    let deploys = episodes.iter().flat_map(|episode| {
        episode
            .deploys
            .iter()
            .map(|deploy| format!("{}: {} {} at {}", episode.id, deploy.service, deploy.version, deploy.at))
    });
    let mut notes: Vec<String> = deploys.collect();
    if !notes.is_empty() {
        notes.insert(0, "Deploys around them:".to_owned());
    }
    let hit: Vec<String> = episodes.iter().filter(|episode| !episode.groups.is_empty()).map(groups_hit).collect();
    if !hit.is_empty() {
        notes.push("Groups that they hit, with their share of the bad events:".to_owned());
        notes.extend(hit);
    }
    Document {
        title: "Episodes".to_owned(),
        lines: if episodes.is_empty() { vec!["none".to_owned()] } else { Vec::new() },
        tables: vec![
            table("Episodes", &EPISODE, episodes.iter().map(episode_row).collect()),
            table("Alerts", &heads, alerts.iter().map(alert).collect()),
        ],
        notes,
    }
}
