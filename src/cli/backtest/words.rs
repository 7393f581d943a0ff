//! What a backtest found, as lines for people.

use std::fmt::Write;

use super::budget;
use super::result::{RuleSet, Tested, time_text};
use crate::backtest::{Accuracy, Interruption, Share};
use crate::model::Millis;

/// Alerts that are listed; all are in the JSON and on the page.
const LISTED: usize = 40;

/// The whole.
pub(super) fn text(tested: &Tested) -> String {
    let (from, to) = (time_text(tested.range.after, &tested.zone), time_text(tested.range.until, &tested.zone));
    let mut text = format!("{from} to {to} ({}, {})\n", tested.range.until - tested.range.after, tested.timezone);
    for set in &tested.sets {
        let head = if tested.sets.len() > 1 { format!("{} rules: ", set.name) } else { String::new() };
        let _ = writeln!(text, "\n{head}{} rules fired {} times", set.rules.len(), set.spans.len());
        table(&mut text, tested, set);
    }
    text.push('\n');
    summary(&mut text, tested);
    for set in &tested.sets {
        let _ = writeln!(
            text,
            "\n{} rules: {} samples played{} in {:.2} s, {:.2} M samples a second",
            set.name,
            set.played.samples,
            if set.played.recorded > 0 { format!(", {} recorded,", set.played.recorded) } else { String::new() },
            set.took.as_secs_f64(),
            set.throughput() / 1e6
        );
    }
    text
}

fn table(text: &mut String, tested: &Tested, set: &RuleSet) {
    for (span, pages) in set.spans.iter().zip(&set.paging).take(LISTED) {
        let class = Interruption::of(super::local_time(span.start, &tested.zone)).as_str();
        let page = if *pages { format!("page, {class}") } else { "no page".to_owned() };
        let lasted = match span.end {
            Some(end) => format!("{}", rounded(end - span.start)),
            None => "fires on".to_owned(),
        };
        let start = time_text(span.start, &tested.zone);
        let _ = writeln!(text, "  {start}  {lasted:>10}  {page:<14}  {}", span.labels);
    }
    if set.spans.len() > LISTED {
        let _ = writeln!(text, "  and {} more; --format json and --html have all", set.spans.len() - LISTED);
    }
    for (rule, fired, paged) in set.by_rule() {
        let _ = writeln!(text, "  {rule}: fired {fired} times, paged {paged} times");
    }
    let silent = set.rules.iter().filter(|rule| !set.spans.iter().any(|span| span.rule() == **rule)).count();
    if silent > 0 {
        let _ = writeln!(text, "  {silent} rules never fired, those that record among them");
    }
}

/// Whole seconds of what is longer than a minute.
pub(super) fn rounded(span: Millis) -> Millis {
    if span < Millis::minutes(1) { span } else { Millis(span.0 / 1000 * 1000) }
}

fn summary(text: &mut String, tested: &Tested) {
    let mut rows: Vec<(String, Vec<String>)> = Vec::new();
    let mut row = |name: &str, cell: &dyn Fn(&RuleSet) -> String| {
        rows.push((name.to_owned(), tested.sets.iter().map(cell).collect()));
    };
    row("", &|set| set.name.clone());
    for class in Interruption::ALL {
        row(&format!("pages, {}", class.as_str()), &|set| set.score.pages[class as usize].to_string());
    }
    row("time firing", &|set| rounded(set.score.firing).to_string());
    if !tested.episodes.is_empty() {
        let of = |set: &RuleSet, tell: &dyn Fn(&Accuracy) -> String| {
            set.score.accuracy.as_ref().map_or_else(String::new, tell)
        };
        row("precision", &|set| of(set, &|accuracy| share_text(accuracy.precision)));
        row("recall", &|set| of(set, &|accuracy| share_text(accuracy.recall)));
        let time = |accuracy: &Accuracy, q: f64| {
            accuracy.detection_quantile(q).map_or_else(|| "none".to_owned(), |time| rounded(time).to_string())
        };
        row("detected, median", &|set| of(set, &|accuracy| time(accuracy, 0.5)));
        row("detected, p90", &|set| of(set, &|accuracy| time(accuracy, 0.9)));
        if tested.sets.iter().any(|set| set.spent.is_some()) {
            let spent =
                |set: &RuleSet, q: f64| budget::share_text(budget::quantile(set.spent.as_deref().unwrap_or(&[]), q));
            row("budget spent, p50", &|set| spent(set, 0.5));
            row("budget spent, p90", &|set| spent(set, 0.9));
        }
    }
    let width = |at: usize| rows.iter().map(|(_, cells)| cells[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..tested.sets.len()).map(width).collect();
    for (name, cells) in &rows {
        let cells: Vec<String> = cells.iter().zip(&widths).map(|(cell, w)| format!("{cell:>w$}")).collect();
        let _ = writeln!(text, "  {name:18}{}", cells.join("  "));
    }
}

/// A share with what it rests on.
pub(super) fn share_text(share: Share) -> String {
    match (share.value(), share.interval()) {
        (Some(value), Some((low, high))) => {
            format!("{:.0} % ({} of {}; {:.0} to {:.0} %)", value * 100.0, share.k, share.n, low * 100.0, high * 100.0)
        }
        _ => "none".to_owned(),
    }
}
