//! `/`: are customers fine, and can I trust this?

use maud::{Markup, html};

use super::figures::{budget, sparkline};
use super::layout::{alerts, deploys, encode, page, reasons, state_cell, tiles, when};
use super::shapes::{badge, shape};
use super::view::{Overview, Part, ServiceRow, Shell};
use super::words;

/// The page.
pub(crate) fn overview(shell: &Shell, view: &Overview) -> Markup {
    page(shell, &body(shell, view))
}

fn body(shell: &Shell, view: &Overview) -> Markup {
    html! {
        section class={ "hero " (view.state.class()) } aria-labelledby="verdict" {
            (shape(view.state))
            div {
                h1 id="verdict" data-verdict=(view.state.word()) { (view.state.word()) }
                p class="sentence" { (view.sentence) }
            }
        }
        (reasons(&view.reasons, shell.now, None))
        (tiles(&view.tiles))
        section aria-labelledby="services" {
            h2 id="services" { "Services" }
            @if view.services.is_empty() {
                p class="empty" {
                    "No service has an objective yet. Name a file with "
                    code { "slo_files: [\"slos/*.yaml\"]" } " in the configuration, with a line such as"
                    br;
                    code { "- {service: checkout, objective: 99.9%, good: 'http_requests_total{code!~\"5..\"}', total: http_requests_total}" }
                }
            } @else { (services(&view.services, shell)) }
        }
        section aria-labelledby="alerts" {
            h2 id="alerts" { "Alerts" }
            @if view.alerts.is_empty() { p class="empty" { "Nothing fires." } }
            @else { (alerts(&view.alerts, shell.now)) }
        }
        div class="columns" {
            div {
                section aria-labelledby="told" {
                    h2 id="told" { "Who is told" }
                    (parts(&view.receivers))
                }
                section aria-labelledby="pipeline" {
                    h2 id="pipeline" { "Pipeline" }
                    (parts(&view.parts))
                }
            }
            section aria-labelledby="deploys" {
                h2 id="deploys" { "Deploys" }
                @if view.deploys.is_empty() {
                    p class="empty" { "None marked. " code { "evenkeel deploy mark SERVICE VERSION" } " marks one." }
                } @else { (deploys(&view.deploys, shell.now)) }
            }
        }
    }
}

fn services(rows: &[ServiceRow], shell: &Shell) -> Markup {
    html! {
        table class="services" {
            thead {
                tr {
                    th scope="col" { "Service" }
                    th scope="col" { "State" }
                    th scope="col" { "Error budget left" }
                    th scope="col" { "Burn rate, last 6 h" }
                    th scope="col" { "Last input" }
                }
            }
            tbody {
                @for (n, row) in rows.iter().enumerate() {
                    tr {
                        th scope="row" {
                            a href={ "/services/" (encode(&row.name)) } { (row.name) }
                            small { (row.objective) }
                        }
                        (state_cell(row.state))
                        td data-label="Budget left" { (budget(row.budget_left)) }
                        td data-label="Burn" class="burn" {
                            (sparkline(n, row))
                            @match row.burn {
                                Some((burn, window)) => span class="figure" { (words::burn(burn)) small { "over " (window) } },
                                None => span class="muted" { "not known" },
                            }
                        }
                        td data-label="Last input" class="input" {
                            @match &row.input {
                                Some((t, pace)) => { (when(shell.now, *t)) small { (pace) } },
                                None => span class="muted" { "none yet" },
                            }
                        }
                    }
                }
            }
        }
    }
}

fn parts(parts: &[Part]) -> Markup {
    html! {
        ul class="parts" {
            @for part in parts {
                li {
                    @match part.state {
                        Some(state) => (badge(state)),
                        None => span class="badge none" { "NONE" },
                    }
                    div { strong { (part.name) } span class="muted" { (part.text) } }
                }
            }
        }
    }
}
