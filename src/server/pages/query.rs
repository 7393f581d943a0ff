//! `/query`: what does this expression give?

use maud::{Markup, html};

use crate::model::Millis;

use super::figures::line_chart;
use super::layout::page;
use super::view::{Outcome, Query, Shell};

/// The spans on offer.
const SPANS: [(&str, Millis); 7] = [
    ("5m", Millis::minutes(5)),
    ("15m", Millis::minutes(15)),
    ("1h", Millis::hours(1)),
    ("6h", Millis::hours(6)),
    ("1d", Millis::days(1)),
    ("7d", Millis::days(7)),
    ("30d", Millis::days(30)),
];

/// The page.
pub(crate) fn query(shell: &Shell, view: &Query) -> Markup {
    let body = html! {
        h1 { "Query" }
        form class="query" method="get" action="/query" role="search" {
            label for="query" { "PromQL expression" }
            textarea id="query" name="query" rows="2" spellcheck="false" autocapitalize="off" autocomplete="off" required { (view.text) }
            div class="controls" {
                label for="range" { "Over the last" }
                select id="range" name="range" {
                    @for (name, span) in SPANS {
                        option value=(name) selected[span == view.span] { (name) }
                    }
                }
                button type="submit" { "Run" }
            }
        }
        @match &view.outcome {
            None => { p class="empty" { "Try " a href="/query?query=up" { code { "up" } } "." } }
            Some(Outcome::Failed(text)) => { pre class="failure" role="alert" { (text) } }
            Some(found @ Outcome::Found { .. }) => { (result(found)) }
        }
    };
    page(shell, &body)
}

fn result(outcome: &Outcome) -> Markup {
    let Outcome::Found { rows, total, notes, chart } = outcome else { return html! {} };
    html! {
        @for note in notes { p class="note" { (note) } }
        (line_chart(chart))
        h2 { "Now" }
        @if rows.is_empty() { p class="empty" { "The answer is empty at this moment." } }
        @else {
            table class="values" {
                thead { tr { th scope="col" { "Series" } th scope="col" class="right" { "Value" } } }
                tbody {
                    @for (at, (series, value)) in rows.iter().enumerate() {
                        tr {
                            td { span class={ "swatch c" (at % 8) } aria-hidden="true" {} code { (series) } }
                            td class="right figure" { (value) }
                        }
                    }
                }
            }
            @if rows.len() < *total { p class="muted" { (rows.len()) " of " (total) " series are shown." } }
        }
    }
}
