//! What a backtest found, as a page that needs nothing else: style, timeline and tables in one file.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::budget;
use super::result::{RuleSet, Tested, time_text, zoned};
use super::words::{rounded, share_text};
use crate::backtest::{Interruption, Span};
use crate::model::{Millis, Timestamp};

const STYLE: &str = include_str!("page.css");
/// Width of the timeline in its own units.
const WIDTH: f64 = 1000.0;
const ROW: f64 = 18.0;
/// The narrowest bar that can be seen.
const BAR_MIN: f64 = 2.0;
/// Instants that are named under a timeline.
const AXIS: i64 = 5;

/// The document.
pub(super) fn html(tested: &Tested) -> String {
    let (from, to) = (time_text(tested.range.after, &tested.zone), time_text(tested.range.until, &tested.zone));
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Backtest" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Backtest" }
                p { (from) " to " (to) ", " (tested.timezone) " (" (tested.range.until - tested.range.after) ")" }
                (summary(tested))
                @for set in &tested.sets {
                    h2 { (set.name) " rules" }
                    (timeline(tested, set))
                    (alerts(tested, set))
                }
                @if !tested.episodes.is_empty() { (episodes(tested)) }
                footer {
                    @for set in &tested.sets {
                        p { (set.name) " rules: " (set.played.samples) " samples played in " (format!("{:.2}", set.took.as_secs_f64())) " s" }
                    }
                    p { "Shares are given with their 95 % interval (Wilson). Business is Monday to Friday 08 to 18, off 18 to 22 and weekends, sleep 22 to 08." }
                }
            }
        }
    };
    page.into_string()
}

fn summary(tested: &Tested) -> Markup {
    let accuracy = |set: &RuleSet, tell: &dyn Fn(&crate::backtest::Accuracy) -> String| {
        set.score.accuracy.as_ref().map_or_else(String::new, tell)
    };
    let time = |time: Option<Millis>| time.map_or_else(|| "none".to_owned(), |time| rounded(time).to_string());
    html! {
        table.summary {
            thead { tr { th scope="col" { "" } @for set in &tested.sets { th scope="col" { (set.name) " rules" } } } }
            tbody {
                tr { th scope="row" { "rules" } @for set in &tested.sets { td { (set.rules.len()) } } }
                tr { th scope="row" { "alerts fired" } @for set in &tested.sets { td { (set.spans.len()) } } }
                @for class in Interruption::ALL {
                    tr {
                        th scope="row" { "pages, " (class.as_str()) }
                        @for set in &tested.sets { td { (set.score.pages[class as usize]) } }
                    }
                }
                tr { th scope="row" { "time firing" } @for set in &tested.sets { td { (rounded(set.score.firing)) } } }
                @if !tested.episodes.is_empty() {
                    tr { th scope="row" { "precision" } @for set in &tested.sets { td { (accuracy(set, &|a| share_text(a.precision))) } } }
                    tr { th scope="row" { "recall" } @for set in &tested.sets { td { (accuracy(set, &|a| share_text(a.recall))) } } }
                    tr { th scope="row" { "detected after, median" } @for set in &tested.sets { td { (accuracy(set, &|a| time(a.detection_quantile(0.5)))) } } }
                    tr { th scope="row" { "detected after, p90" } @for set in &tested.sets { td { (accuracy(set, &|a| time(a.detection_quantile(0.9)))) } } }
                    @if tested.sets.iter().any(|set| set.spent.is_some()) {
                        @for (name, q) in [("median", 0.5), ("p90", 0.9)] {
                            tr {
                                th scope="row" { "budget spent at detection, " (name) }
                                @for set in &tested.sets { td { (budget::share_text(budget::quantile(set.spent.as_deref().unwrap_or(&[]), q))) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A row for each rule that fired, with a bar for each time, episodes behind them.
fn timeline(tested: &Tested, set: &RuleSet) -> Markup {
    let rules = set.by_rule();
    let whole = (tested.range.until - tested.range.after).0.max(1) as f64;
    let x = |t: Timestamp| ((t - tested.range.after).0 as f64 / whole).clamp(0.0, 1.0) * WIDTH;
    let height = ROW * rules.len() as f64;
    let bar = |span: &Span| {
        let (from, to) = (x(span.start), x(span.until(tested.range)));
        (from.min(WIDTH - BAR_MIN), (to - from).max(BAR_MIN))
    };
    if rules.is_empty() {
        return html! { p { "No rule fired." } };
    }
    html! {
        div.timeline {
            div.names {
                @for (rule, fired, _) in &rules { div { span title=(rule) { (rule) } " " small { (fired) } } }
            }
            svg role="img" aria-label={ "When alerts fired, " (set.name) " rules" } viewBox={ "0 0 " (WIDTH) " " (height) } preserveAspectRatio="none" style={ "height: " (height) "px" } {
                @for episode in &tested.episodes {
                    rect.episode x=(px(x(episode.start))) y="0" width=(px((x(episode.end) - x(episode.start)).max(BAR_MIN))) height=(px(height)) {
                        title { "episode " (episode.name) " " (episode.labels) ", " (time_text(episode.start, &tested.zone)) }
                    }
                }
                @for (row, (rule, _, _)) in rules.iter().enumerate() {
                    line.grid x1="0" x2=(WIDTH) y1=(px(ROW * (row as f64 + 1.0))) y2=(px(ROW * (row as f64 + 1.0))) {}
                    @for (span, pages) in set.spans.iter().zip(&set.paging).filter(|(span, _)| span.rule() == *rule) {
                        @let (from, width) = bar(span);
                        rect class=(if *pages { "page" } else { "quiet" }) x=(px(from)) y=(px(ROW * row as f64 + 3.0)) width=(px(width)) height=(px(ROW - 6.0)) {
                            title { (span.labels) ", " (time_text(span.start, &tested.zone)) }
                        }
                    }
                }
            }
            div {}
            (axis(tested))
        }
        p.legend {
            span.key.page {} " pages  "
            span.key.quiet {} " does not page  "
            @if !tested.episodes.is_empty() { span.key.episode {} " episode" }
        }
    }
}

/// Four digits: the page has the others in the cell's title.
fn short(v: f64) -> String {
    if v == 0.0 || !v.is_finite() {
        return v.to_string();
    }
    let digits = 3 - v.abs().log10().floor() as i32;
    let scale = 10f64.powi(digits);
    ((v * scale).round() / scale).to_string()
}

/// The instants under a timeline.
fn axis(tested: &Tested) -> Markup {
    let whole = (tested.range.until - tested.range.after).0;
    let at = |n: i64| tested.range.after + Millis(whole / AXIS * n);
    let format = if whole > Millis::days(2).0 { "%b %d" } else { "%a %H:%M" };
    html! {
        div.axis {
            @for n in 0..AXIS { span { (zoned(at(n), &tested.zone).strftime(format)) } }
        }
    }
}

fn px(v: f64) -> String {
    format!("{v:.1}")
}

fn alerts(tested: &Tested, set: &RuleSet) -> Markup {
    html! {
        details open[set.spans.len() <= 50] {
            summary { (set.spans.len()) " alerts" }
            table {
                thead { tr { th scope="col" { "began" } th scope="col" { "lasted" } th scope="col" { "interrupts" } th scope="col" { "alert" } th scope="col" { "value" } } }
                tbody {
                    @for (span, pages) in set.spans.iter().zip(&set.paging) {
                        tr {
                            td.time { (time_text(span.start, &tested.zone)) }
                            td { @match span.end { Some(end) => (rounded(end - span.start)), None => "fires on" } }
                            td { @if *pages { "page, " (Interruption::of(super::local_time(span.start, &tested.zone)).as_str()) } @else { "nobody" } }
                            td { code { (span.labels) } }
                            td title=(span.value) { (short(span.value)) }
                        }
                    }
                }
            }
        }
    }
}

fn episodes(tested: &Tested) -> Markup {
    html! {
        h2 { "Episodes" }
        table {
            thead {
                tr {
                    th scope="col" { "began" } th scope="col" { "lasted" } th scope="col" { "about" }
                    @for set in &tested.sets { th scope="col" { "detected, " (set.name) " rules" } }
                }
            }
            tbody {
                @for (at, episode) in tested.episodes.iter().enumerate() {
                    tr {
                        td.time { (time_text(episode.start, &tested.zone)) }
                        td { (episode.end - episode.start) }
                        td { (episode.name) " " code { (episode.labels) } }
                        @for set in &tested.sets {
                            td {
                                @match set.score.accuracy.as_ref().and_then(|accuracy| accuracy.detection[at]) {
                                    Some(time) => {
                                        "after " (rounded(time))
                                        @if let Some(spent) = set.spent.as_ref().and_then(|spent| spent[at].as_ref()) {
                                            ", " (budget::share_text(Some(spent.share))) " of " (spent.objective) " spent"
                                        }
                                    }
                                    None => { strong { "missed" } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
