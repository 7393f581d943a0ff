//! `/reports/accuracy`: did alerts tell of what was wrong, and of nothing else?

use maud::{Markup, html};

use crate::confidence::OutcomeLabel;
use crate::report::{EpisodeReport, FiredReport, Table};

use super::layout::{encode, page};
use super::view::{Reports, Shell};
use super::words::percent;

/// `/reports/accuracy`.
pub(crate) fn reports(shell: &Shell, view: &Reports) -> Markup {
    let body = html! {
        h1 { (view.accuracy.title) }
        @for line in &view.accuracy.lines { p { (line) } }
        @for table in &view.accuracy.tables { (of_document(table)) }
        h2 { "Alerts that fired" }
        @if view.alerts.is_empty() { p class="empty" { "None." } } @else { (alerts(&view.alerts)) }
        h2 { "Episodes" }
        @if view.episodes.is_empty() { p class="empty" { "None." } } @else { (episodes(&view.episodes)) }
        @for note in &view.accuracy.notes { p class="muted" { (note) } }
    };
    page(shell, &body)
}

fn of_document(table: &Table) -> Markup {
    html! {
        h2 { (table.title) }
        table {
            thead { tr { @for name in &table.head { th scope="col" { (name) } } } }
            tbody {
                @for row in &table.rows {
                    tr {
                        @for (n, cell) in row.iter().enumerate() {
                            @if n == 0 { th scope="row" { (cell) } }
                            @else { td data-label=(table.head[n]) { (cell) } }
                        }
                    }
                }
            }
        }
    }
}

fn alerts(alerts: &[FiredReport]) -> Markup {
    html! {
        table {
            thead {
                tr {
                    th scope="col" { "Alert" }
                    th scope="col" { "Fired" }
                    th scope="col" { "Told" }
                    th scope="col" { "Machine says" }
                    th scope="col" { "What was it?" }
                }
            }
            tbody {
                @for alert in alerts {
                    tr id={ "alert-" (alert.id) } {
                        th scope="row" {
                            (alert.name) " " small { (alert.urgency) }
                            @if let Some(service) = alert.labels.get("service") {
                                " " a href={ "/services/" (encode(service)) } { (service) }
                            }
                            @if !alert.summary.is_empty() { p { (alert.summary) } }
                            " " a href={ "/api/v1/evidence/" (alert.id) } { "evidence" }
                        }
                        td data-label="Fired" {
                            time datetime=(alert.at) { (alert.at) }
                            @match &alert.ended {
                                Some(ended) => { " to " time datetime=(ended) { (ended) } },
                                None => " and fires",
                            }
                        }
                        td data-label="Told" {
                            @if alert.told.is_empty() { "nobody" }
                            @for told in &alert.told { (told.receiver) " at " time datetime=(told.at) { (told.at) } " " }
                        }
                        td data-label="Machine says" {
                            (alert.truth)
                            @if let Some(episode) = &alert.episode { " " a href={ "#episode-" (episode) } { "which" } }
                        }
                        td data-label="What was it?" { (outcome(alert)) }
                    }
                }
            }
        }
    }
}

/// What people said, and a button for each thing that they can say.
fn outcome(alert: &FiredReport) -> Markup {
    html! {
        @if let Some(said) = &alert.outcome {
            p {
                b { (said) }
                @if let Some(by) = &alert.outcome_by { " by " (by) }
                @if let Some(at) = &alert.outcome_at { " at " time datetime=(at) { (at) } }
                @if let Some(note) = &alert.outcome_note { ": " (note) }
            }
        }
        form class="outcome" method="post" action={ "/alerts/fired/" (alert.id) "/outcome" } {
            input type="text" name="by" maxlength="100" placeholder="your name" aria-label="Your name" autocomplete="name";
            @for label in OutcomeLabel::ALL {
                button type="submit" name="outcome" value=(label.as_str())
                    aria-pressed=[alert.outcome.as_deref().map(|said| if said == label.as_str() { "true" } else { "false" })] {
                    (label.as_str())
                }
            }
        }
    }
}

fn episodes(episodes: &[EpisodeReport]) -> Markup {
    html! {
        table {
            thead {
                tr {
                    th scope="col" { "Episode" }
                    th scope="col" { "Began" }
                    th scope="col" { "Spent" }
                    th scope="col" { "First page" }
                    th scope="col" { "Groups it hit" }
                    th scope="col" { "Deploys around it" }
                }
            }
            tbody {
                @for episode in episodes {
                    tr id={ "episode-" (episode.id) } {
                        th scope="row" {
                            a href={ "/services/" (encode(&episode.service)) } { (episode.service) }
                            " " (episode.objective)
                            " " a href={ "/api/v1/evidence/" (episode.id) } { "evidence" }
                        }
                        td data-label="Began" {
                            time datetime=(episode.start) { (episode.start) }
                            @match &episode.end {
                                Some(end) => { " to " time datetime=(end) { (end) } },
                                None => " and goes on",
                            }
                        }
                        td data-label="Spent" {
                            (percent(episode.spent)) " of the budget at " (format!("{:.1}×", episode.burn))
                        }
                        td data-label="First page" {
                            @match (&episode.first_page, episode.spent_at_detection) {
                                (Some(page), Some(spent)) => {
                                    time datetime=(page) { (page) } ", " (percent(spent)) " spent by then"
                                },
                                _ if !episode.watched => "nobody watched yet",
                                _ => "none",
                            }
                        }
                        td data-label="Groups it hit" {
                            @for group in &episode.groups {
                                p { code { (group.name()) } " " (group.bad) " of " (group.total) " bad, " (percent(group.share)) }
                            }
                            @if episode.other_groups > 0 { p { "and " (episode.other_groups) " others" } }
                        }
                        td data-label="Deploys around it" {
                            @for deploy in &episode.deploys { code { (deploy.version) } " at " (deploy.at) " " }
                        }
                    }
                }
            }
        }
    }
}
