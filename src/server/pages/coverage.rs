//! `/coverage`: which services somebody would be told of, and what the others lack.

use maud::{Markup, html};

use crate::report::{CoverageReport, ServiceCoverageReport};

use super::layout::{encode, page, tiles};
use super::view::{Shell, Tile};
use super::words;

/// The page.
pub(crate) fn coverage(shell: &Shell, report: &CoverageReport) -> Markup {
    let all = report.services.len();
    let told = match report.scope.as_str() {
        "critical" => "critical services: somebody would be told of their failures",
        _ => "services: somebody would be told of their failures",
    };
    let tile = |label: &str, value: f64, k: usize, n: usize, note: &str| Tile {
        label: label.to_owned(),
        value: words::percent(value),
        note: format!("{k} of {n} {note}"),
    };
    let numbers = [
        tile("covered", report.share, report.covered, report.counted, told),
        tile(
            "adoption",
            report.adoption,
            report.adopted,
            all,
            "services: an objective with input, a page with a route, an owner",
        ),
    ];
    let body = html! {
        h1 { "Coverage" }
        (tiles(&numbers))
        p {
            "Over the last 30 days, where the program's own metrics are stored: "
            a href="/query?query=evenkeel_coverage_ratio&range=30d" { "coverage" } " · "
            a href="/query?query=evenkeel_adoption_ratio&range=30d" { "adoption" }
        }
        @if report.services.is_empty() {
            p class="empty" { "No service is known yet: no objective, no rule and no stored series names one." }
        } @else { (table(&report.services)) }
    };
    page(shell, &body)
}

fn table(services: &[ServiceCoverageReport]) -> Markup {
    html! {
        table {
            thead {
                tr {
                    th scope="col" { "Service" }
                    th scope="col" { "Objectives" }
                    th scope="col" { "With input" }
                    th scope="col" { "Measured" }
                    th scope="col" { "Can page" }
                    th scope="col" { "Would be told" }
                    th scope="col" { "Proven by" }
                    th scope="col" { "Owner" }
                }
            }
            tbody {
                @for service in services {
                    tr {
                        th scope="row" {
                            @if service.objectives == 0 { (service.service) }
                            @else { a href={ "/services/" (encode(&service.service)) } { (service.service) } }
                            @if service.critical { small { "critical" } }
                        }
                        (cell("Objectives", service, "objective", &service.objectives.to_string()))
                        (cell("With input", service, "input", &format!("{} of {}", service.measured, service.objectives)))
                        td data-label="Measured" {
                            @match service.time_covered_day.zip(service.time_covered_window) {
                                Some((day, window)) => {
                                    (words::percent(day)) " of the last day"
                                    small { (words::percent(window)) " of the window" }
                                }
                                None => span class="muted" { "not yet" },
                            }
                        }
                        (cell("Can page", service, "page", &service.pages.join(", ")))
                        (cell("Would be told", service, "route", &service.receivers.join(", ")))
                        (cell("Proven by", service, "proof", service.proven.as_deref().unwrap_or("no receiver")))
                        (cell("Owner", service, "owner", &service.owners.join(", ")))
                    }
                }
            }
        }
    }
}

/// What a service has of one kind; in words that it has not.
fn cell(label: &str, service: &ServiceCoverageReport, gap: &str, what: &str) -> Markup {
    let lacks = service.gaps.iter().any(|one| one == gap);
    html! { td data-label=(label) { @if lacks { span class="muted" { "none" } } @else { (what) } } }
}
