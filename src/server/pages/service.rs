//! `/services/{name}`: how is this service doing against what was promised?

use maud::{Markup, html};

use crate::model::{Millis, Timestamp};

use super::figures::{budget, burn_chart};
use super::layout::{alerts, deploys, encode, page, query_link, reasons, state_cell, tiles, time};
use super::shapes::{badge, shape};
use super::view::{GroupsView, Objective, PartRow, Service, Shell};
use super::words;

/// The spans on offer for the charts.
const SPANS: [(&str, Millis); 5] = [
    ("1h", Millis::hours(1)),
    ("6h", Millis::hours(6)),
    ("1d", Millis::days(1)),
    ("7d", Millis::days(7)),
    ("30d", Millis::days(30)),
];

/// The page.
pub(crate) fn service(shell: &Shell, view: &Service) -> Markup {
    let body = html! {
        section class={ "hero small " (view.state.class()) } aria-labelledby="verdict" {
            (shape(view.state))
            div {
                p class="crumb" { a href="/" { "Overview" } }
                h1 id="verdict" data-verdict=(view.state.word()) { (view.name) " " span class="word" { (view.state.word()) } }
            }
        }
        (reasons(&view.reasons, shell.now, Some(&view.name)))
        p class="muted" {
            a href={ "/api/v1/evidence/" (encode(&format!("verdict:{}@{}", view.name, shell.now))) } { "Evidence pack" }
            " of this verdict: what it rests on, to be kept and checked."
        }
        @if view.objectives.is_empty() {
            p class="empty" { "No objective says what the customers of this service may expect." }
        } @else {
            (spans(view))
            @for (n, objective) in view.objectives.iter().enumerate() { (panel(n, objective, view, shell.now)) }
        }
        div class="columns" {
            section aria-labelledby="alerts" {
                h2 id="alerts" { "Alerts" }
                @if view.alerts.is_empty() { p class="empty" { "Nothing fires for this service." } }
                @else { (alerts(&view.alerts, shell.now)) }
            }
            section aria-labelledby="deploys" {
                h2 id="deploys" { "Deploys" }
                @if view.deploys.is_empty() {
                    p class="empty" { "None marked. " code { "evenkeel deploy mark " (view.name) " VERSION" } " marks one." }
                } @else { (deploys(&view.deploys, shell.now)) }
            }
        }
    };
    page(shell, &body)
}

/// Links to the same page with other charts.
fn spans(view: &Service) -> Markup {
    html! {
        nav class="spans" aria-label="Span of the charts" {
            span class="muted" { "Charts over the last" }
            @for (name, span) in SPANS {
                a href={ "/services/" (encode(&view.name)) "?range=" (name) }
                    aria-current=[(span == view.span).then_some("true")] { (name) }
            }
        }
    }
}

fn panel(n: usize, objective: &Objective, view: &Service, now: Timestamp) -> Markup {
    let title = format!("{} {}", view.name, objective.name);
    html! {
        section class="panel" aria-labelledby={ "objective-" (n) } {
            div class="panel-head" {
                h2 id={ "objective-" (n) } { (objective.name) }
                (badge(objective.state))
            }
            @if !objective.note.is_empty() { p class="muted" { (objective.note) } }
            (tiles(&objective.tiles))
            h3 { "Error budget left" }
            div class="wide" { (budget(objective.budget_left)) }
            h3 { "Burn rate" }
            (burn_chart(&format!("burn-{n}"), &title, objective, &view.deploys))
            @if !objective.parts.is_empty() { (part_table(n, &objective.parts)) }
            @if !objective.adjustments.is_empty() {
                h3 { "Does not count" }
                ul class="adjustments" {
                    @for row in &objective.adjustments {
                        li {
                            strong { (row.name) } " "
                            (time(row.from, &words::stamp(now, row.from))) " to "
                            (time(row.until, &words::stamp(now, row.until))) ": " (row.text)
                        }
                    }
                }
            }
            @if let Some(groups) = &objective.groups { (group_table(n, groups)) }
            @if !objective.evidence.is_empty() {
                h3 { "Evidence" }
                ul class="evidence" {
                    @for (text, query) in &objective.evidence {
                        li { span { (text) } " " (query_link(query, query)) }
                    }
                }
            }
        }
    }
}

/// The parts of a composite, with what each has in what is bad.
fn part_table(n: usize, parts: &[PartRow]) -> Markup {
    html! {
        h3 id={ "parts-" (n) } { "Parts" }
        table class="groups" aria-labelledby={ "parts-" (n) } {
            thead {
                tr {
                    th scope="col" { "Objective" }
                    th scope="col" { "Weight" }
                    th scope="col" { "Measured" }
                    th scope="col" { "Its budget left" }
                    th scope="col" { "Of what is bad" }
                }
            }
            tbody {
                @for part in parts {
                    tr {
                        th scope="row" { a href={ "/services/" (encode(&part.service)) } { (part.service) "/" (part.name) } }
                        td data-label="Weight" { (part.weight) }
                        td data-label="Measured" { (part.measured) }
                        td data-label="Its budget left" { (budget(part.budget_left)) }
                        td data-label="Of what is bad" { (words::percent(part.share_of_bad)) }
                    }
                }
            }
        }
    }
}

/// The groups with their budgets.
fn group_table(n: usize, groups: &GroupsView) -> Markup {
    html! {
        h3 id={ "groups-" (n) } { "By " (groups.by) }
        @if !groups.rows.is_empty() {
            table class="groups" aria-labelledby={ "groups-" (n) } {
                thead {
                    tr {
                        th scope="col" { (groups.by) }
                        th scope="col" { "State" }
                        th scope="col" { "Measured" }
                        th scope="col" { "Error budget left" }
                        th scope="col" { "Burn rate" }
                    }
                }
                tbody {
                    @for row in &groups.rows {
                        tr {
                            th scope="row" { (query_link(&row.query, &row.name)) }
                            (state_cell(row.state))
                            td data-label="Measured" { span class="figure" { (row.measured) small { "of " (row.events) } } }
                            td data-label="Budget left" { (budget(row.budget_left)) }
                            td data-label="Burn" class="burn" {
                                @match &row.burn {
                                    Some((burn, window)) => span class="figure" { (burn) small { "over " (window) } },
                                    None => span class="muted" { "not known" },
                                }
                            }
                        }
                    }
                }
            }
        }
        @if !groups.note.is_empty() { p class="muted" { (groups.note) } }
    }
}
