//! The charts on the pages: each is drawn for a wide and for a narrow page, and the style sheet shows one.

use maud::{Markup, PreEscaped, html};

use crate::report::{self, BurnChart, ChartSize, LineChart};

use super::view::{Chart, Deploy, Objective, ServiceRow};

const SIZES: [(ChartSize, &str); 2] = [(ChartSize::Wide, "wide"), (ChartSize::Narrow, "narrow")];

/// The course of an objective's burn rate.
pub(super) fn burn_chart(id: &str, title: &str, objective: &Objective, deploys: &[Deploy]) -> Markup {
    let Some(history) = &objective.history else { return html! {} };
    html! {
        @for (size, class) in SIZES {
            div class={ "figure-" (class) } {
                (PreEscaped(report::burn_chart(&BurnChart {
                    id: &format!("{id}-{class}"),
                    title,
                    history,
                    size,
                    range: objective.range,
                    deploys,
                    told: &objective.told,
                })))
            }
        }
    }
}

/// Lines over time.
pub(super) fn line_chart(chart: &Chart) -> Markup {
    let Chart { title, lines, range, deploys } = chart;
    if lines.iter().all(|line| line.points.is_empty()) {
        return html! { p class="empty" { "No samples in this span." } };
    }
    let lines: Vec<_> = lines.iter().map(|line| (line.name.as_str(), line.points.as_slice())).collect();
    html! {
        @for (size, class) in SIZES {
            div class={ "figure-" (class) } {
                (PreEscaped(report::line_chart(&LineChart {
                    id: &format!("lines-{class}"),
                    title,
                    size,
                    range: *range,
                    lines: &lines,
                    deploys,
                })))
            }
        }
    }
}

/// A service's burn rate in its row; `n` is the row.
pub(super) fn sparkline(n: usize, row: &ServiceRow) -> Markup {
    let title = format!("Burn rate of {} over the last six hours", row.name);
    let counted = row.history.as_ref().filter(|history| history.points.iter().any(|point| point.long.is_some()));
    let drawn = counted.map(|history| report::sparkline(&format!("spark-{n}"), &title, history));
    html! { @if let Some(drawn) = drawn { (PreEscaped(drawn)) } }
}

/// How much of a budget is left, as a bar with its words.
pub(super) fn budget(left: Option<f64>) -> Markup {
    html! {
        @match left.filter(|left| left.is_finite()) {
            None => span class="muted" { "not known" },
            Some(left) => span class={ "budget" @if left < 0.0 { " overspent" } } {
                (PreEscaped(report::budget_bar(left)))
                span class="figure" { (report::budget_words(left)) }
            },
        }
    }
}
