//! `/services/{name}`: how is this service doing against what was promised?

use maud::{Markup, html};

use crate::model::{Millis, Timestamp};

use super::chart::{Chart, budget_bar, chart};
use super::layout::{alerts, deploys, page, query_link, reasons, tiles};
use super::shapes::{badge, shape};
use super::view::{Objective, Service, Shell};

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
        (reasons(&view.reasons))
        @for objective in &view.objectives { (panel(shell.now, objective, view)) }
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

fn panel(now: Timestamp, objective: &Objective, view: &Service) -> Markup {
    let start = objective.burn.points.first().map_or(now - Millis::days(1), |(t, _)| *t);
    let lines = std::slice::from_ref(&objective.burn);
    html! {
        section class="panel" {
            div class="panel-head" {
                h2 { (objective.name) }
                (badge(objective.state))
            }
            @if !objective.note.is_empty() { p class="muted" { (objective.note) } }
            (tiles(&objective.tiles))
            h3 { "Error budget left" }
            div class="wide" { (budget_bar(objective.budget_left)) }
            h3 { "Burn rate" }
            (chart(&Chart {
                title: &format!("burn rate of {} {}", view.name, objective.name),
                lines,
                start,
                end: now,
                thresholds: &objective.thresholds,
                marks: &view.deploys,
                at_least: 1.5,
            }))
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
