//! What stands around every page, and the pieces that several pages share.

use maud::{DOCTYPE, Markup, html};

use crate::model::Timestamp;

use super::shapes::{badge, shape};
use super::view::{AlertRow, Deploy, Place, Reason, Shell, State, Tile};
use super::words;

/// A whole page.
pub(super) fn page(shell: &Shell, main: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (shell.title) }
                link rel="icon" type="image/svg+xml" href={ "/assets/icon-" (shell.state.map_or("none", State::class)) ".svg" };
                link rel="stylesheet" href="/assets/style.css";
                @if let Some(seconds) = shell.refresh_seconds {
                    noscript { meta http-equiv="refresh" content=(seconds); }
                    script src="/assets/live.js" defer {}
                }
            }
            body data-refresh=[shell.refresh_seconds] {
                a class="skip" href="#main" { "Skip to the content" }
                header class="top" {
                    div class="bar" {
                        a class="brand" href="/" {
                            svg viewBox="0 0 24 24" width="22" height="22" aria-hidden="true" focusable="false" {
                                path d="M2 9.5h20l-3.6 5.2a5 5 0 0 1-4.1 2.2H9.7a5 5 0 0 1-4.1-2.2z" {}
                                path d="M10.6 18.4h2.8v3.4h-2.8z" {}
                                path d="M11.2 2h1.6v6h-1.6z" {}
                            }
                            span { "Evenkeel" }
                        }
                        nav aria-label="Pages" {
                            @for (place, name, href) in PAGES {
                                a href=(href) aria-current=[(place == shell.place).then_some("page")] { (name) }
                            }
                        }
                        p class="as-of" { "as of " (instant(shell.now)) " UTC" }
                    }
                }
                main id="main" tabindex="-1" { (main) }
                p id="lost" class="lost" role="status" {}
                footer {
                    p {
                        "Evenkeel " (env!("CARGO_PKG_VERSION"))
                        " · times are UTC · "
                        a href="/metrics" { "metrics" } " · "
                        a href="/api/v1/verdict" { "verdict as JSON" }
                    }
                }
            }
        }
    }
}

const PAGES: [(Place, &str, &str); 7] = [
    (Place::Overview, "Overview", "/"),
    (Place::Alerts, "Alerts", "/alerts"),
    (Place::Rules, "Rules", "/rules"),
    (Place::Query, "Query", "/query"),
    (Place::Targets, "Targets", "/targets"),
    (Place::Coverage, "Coverage", "/coverage"),
    (Place::Reports, "Reports", "/reports/accuracy"),
];

/// The page's own instant: the day too, where there is room.
fn instant(t: Timestamp) -> Markup {
    let full = t.to_string();
    html! {
        time datetime=(full) { span class="day" { (full.get(..10).unwrap_or("")) " " } (words::clock(t)) }
    }
}

/// When something was: the instant, then how long ago.
pub(super) fn when(now: Timestamp, t: Timestamp) -> Markup {
    html! { span class="when" { (time(t, &words::stamp(now, t))) " " span class="muted" { (words::ago(now, t)) } } }
}

/// A time with its full form on hover.
pub(super) fn time(t: Timestamp, text: &str) -> Markup {
    let full = t.to_string();
    html! { time datetime=(full) title=(full) { (text) } }
}

/// A link to the page that answers a query.
pub(super) fn query_link(query: &str, text: &str) -> Markup {
    html! { a class="query-link" href={ "/query?query=" (encode(query)) } title=(query) { (text) } }
}

/// A text as one part of a URL.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => {
                out.push('%');
                for digit in [byte >> 4, byte & 15] {
                    out.push(char::from_digit(u32::from(digit), 16).unwrap_or('0').to_ascii_uppercase());
                }
            }
        }
    }
    out
}

/// So many reasons are shown with the numbers behind them; a longer list is only a list.
const REASONS_WITH_FACTS: usize = 3;

/// The reasons of a verdict; `page_of` is the service whose page this is.
pub(super) fn reasons(reasons: &[Reason], now: Timestamp, page_of: Option<&str>) -> Markup {
    html! {
        @if !reasons.is_empty() {
            ul class={ "reasons" @if reasons.len() > REASONS_WITH_FACTS { " many" } } {
                @for reason in reasons {
                    li class=(reason.state.class()) {
                        (shape(reason.state))
                        div {
                            span class="sr" { (reason.state.word()) ": " }
                            p {
                                @if let Some(service) = reason.service.as_deref().filter(|name| Some(*name) != page_of) {
                                    a href={ "/services/" (encode(service)) } { (service) } ": "
                                }
                                (reason.text)
                            }
                            @if reasons.len() <= REASONS_WITH_FACTS { (facts(&reason.facts)) }
                            p class="since" {
                                span { "since " (when(now, reason.since)) }
                                @if let Some(query) = &reason.query { (query_link(query, "query that shows it")) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn facts(facts: &[(String, String)]) -> Markup {
    html! {
        @if !facts.is_empty() {
            dl class="facts" {
                @for (name, value) in facts { div { dt { (name) } dd { (value) } } }
            }
        }
    }
}

/// Characters of a tile's value that fit in large print.
const TILE_CHARS: usize = 14;

/// Measured things, side by side.
pub(super) fn tiles(tiles: &[Tile]) -> Markup {
    html! {
        @if !tiles.is_empty() {
            dl class="tiles" {
                @for tile in tiles {
                    div class=[(tile.value.chars().count() > TILE_CHARS).then_some("long")] {
                        dt { (tile.label) }
                        dd { (tile.value) @if !tile.note.is_empty() { small { (tile.note) } } }
                    }
                }
            }
        }
    }
}

/// Alerts with what is known of each.
pub(super) fn alerts(alerts: &[AlertRow], now: Timestamp) -> Markup {
    html! {
        ul class="alerts" {
            @for alert in alerts {
                li {
                    div class="head" {
                        span class={ "pill " (alert.state) } { (alert.state) }
                        strong {
                            @match &alert.id {
                                Some(id) => a href={ "/alerts/" (id) } { (alert.name) },
                                None => (alert.name),
                            }
                        }
                        @if !alert.severity.is_empty() { span class="severity" { (alert.severity) } }
                        span class="since" { "since " (when(now, alert.since)) }
                    }
                    @if !alert.summary.is_empty() { p { (alert.summary) } }
                    p class="detail" {
                        @for (name, value) in &alert.labels {
                            span class="label" { (name) "=" b { (value) } }
                        }
                        span class="muted" { "value " (words::number(alert.value)) }
                        " " (query_link(&alert.query, "query that shows it"))
                    }
                }
            }
        }
    }
}

/// Deploys, newest first.
pub(super) fn deploys(deploys: &[Deploy], now: Timestamp) -> Markup {
    html! {
        ol class="deploys" {
            @for deploy in deploys {
                li {
                    a href={ "/services/" (encode(&deploy.service)) } { (deploy.service) }
                    code { (deploy.version) }
                    (when(now, deploy.at))
                }
            }
        }
    }
}

/// A table's row heading with the state's badge.
pub(super) fn state_cell(state: State) -> Markup {
    html! { td data-label="State" { (badge(state)) } }
}

/// What stands in the place of rules where there are none.
pub(super) fn no_rules() -> Markup {
    html! {
        p class="empty" { "No rules. Name files with " code { "rule_files: [\"rules/*.yml\"]" } " in the configuration." }
    }
}
