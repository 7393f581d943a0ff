//! `/alerts` and `/targets`: what fires and which rules watch; where samples come from.

use maud::{Markup, html};

use super::layout::{alerts as alert_list, no_rules, page, query_link, state_cell, when};
use super::view::{Alerts, Shell, TargetRow};

/// `/alerts`.
pub(crate) fn alerts(shell: &Shell, view: &Alerts) -> Markup {
    let body = html! {
        h1 { "Alerts" }
        @if view.alerts.is_empty() { p class="empty" { "Nothing fires and nothing is pending." } }
        @else { (alert_list(&view.alerts, shell.now)) }
        h2 { "Rules" }
        @if view.rules.is_empty() {
            (no_rules())
        } @else {
            table class="rules" {
                thead {
                    tr {
                        th scope="col" { "Rule" }
                        th scope="col" { "Watching" }
                        th scope="col" { "Alert" }
                        th scope="col" { "Expression" }
                    }
                }
                tbody {
                    @for rule in &view.rules {
                        tr {
                            th scope="row" { (rule.name) small { (rule.group) } }
                            (state_cell(rule.health))
                            td data-label="Alert" {
                                span class={ "pill " (rule.state) } { (rule.state) }
                                @if !rule.note.is_empty() { small { (rule.note) } }
                            }
                            td data-label="Expression" class="expr" { (query_link(&rule.query, &rule.query)) }
                        }
                    }
                }
            }
        }
    };
    page(shell, &body)
}

/// `/targets`.
pub(crate) fn targets(shell: &Shell, targets: &[TargetRow]) -> Markup {
    let body = html! {
        h1 { "Targets" }
        @if targets.is_empty() {
            p class="empty" { "Nothing is scraped. Name targets under " code { "scrape_configs" } " in the configuration." }
        } @else {
            table {
                thead {
                    tr {
                        th scope="col" { "Target" }
                        th scope="col" { "State" }
                        th scope="col" { "Last scrape" }
                        th scope="col" { "Took" }
                        th scope="col" { "Error" }
                    }
                }
                tbody {
                    @for target in targets {
                        tr {
                            th scope="row" { (target.url) small { (target.pool) " " (target.labels) } }
                            (state_cell(target.state))
                            td data-label="Last scrape" {
                                @match target.last {
                                    Some(last) => (when(shell.now, last)),
                                    None => span class="muted" { "not yet" },
                                }
                            }
                            td data-label="Took" { (target.duration) }
                            td data-label="Error" class="why" { (target.error) }
                        }
                    }
                }
            }
        }
    };
    page(shell, &body)
}

/// A page that is not there, or not now.
pub(crate) fn message(shell: &Shell, title: &str, text: &str) -> Markup {
    page(shell, &html! { h1 { (title) } p class="empty" { (text) } })
}
