//! The comparison as a table.

use super::score::{Score, quantile};

fn seconds(value: f64) -> String {
    match value {
        v if v.is_infinite() => "never".to_owned(),
        v if v < 120.0 => format!("{v:.0} s"),
        v if v < 7200.0 => format!("{:.1} min", v / 60.0),
        v => format!("{:.1} h", v / 3600.0),
    }
}

fn spent(value: f64) -> String {
    if value.is_infinite() { "all".to_owned() } else { format!("{:.2} %", value * 100.0) }
}

fn plain(value: f64) -> String {
    format!("{value:.0}")
}

fn quantiles(values: &[f64], q: f64, show: fn(f64) -> String) -> String {
    let (at, low, high) = quantile(values, q);
    format!("{} ({}–{})", show(at), show(low), show(high))
}

/// Rows of the comparison, a column for each system.
pub(crate) fn comparison(systems: &[(&str, &Score)]) -> String {
    type Row = (&'static str, fn(&Score) -> String);
    let rows: Vec<Row> = vec![
        ("precision of pages", |s| s.pages_right.text()),
        ("precision of tickets", |s| s.tickets_right.text()),
        ("recall: told of what must be told", |s| s.told.text()),
        ("recall: paged of what must page", |s| s.paged.text()),
        ("told of any episode, minor too", |s| s.told_any.text()),
        ("page before 10 % of the budget, where possible", |s| s.early.text()),
        ("word before 10 %, of those that need a ticket", |s| s.early_ticket.text()),
        ("time to the first page, median", |s| quantiles(&s.detection, 0.5, seconds)),
        ("time to the first page, p90", |s| quantiles(&s.detection, 0.9, seconds)),
        ("budget spent at first page, median", |s| quantiles(&s.spent, 0.5, spent)),
        ("budget spent at first page, p90", |s| quantiles(&s.spent, 0.9, spent)),
        ("reset time of pages, median", |s| quantiles(&s.reset, 0.5, seconds)),
        ("reset time of pages, p90", |s| quantiles(&s.reset, 0.9, seconds)),
        ("pages for one episode, mean", |s| {
            format!("{:.2}", s.pages_each.iter().sum::<f64>() / s.pages_each.len().max(1) as f64)
        }),
        ("pages for one episode, p90", |s| quantiles(&s.pages_each, 0.9, plain)),
    ];
    let mut text = format!("{:<48}", "");
    for (name, _) in systems {
        text.push_str(&format!(" | {name:<34}"));
    }
    text.push('\n');
    for (name, cell) in rows {
        text.push_str(&format!("{name:<48}"));
        for (_, score) in systems {
            text.push_str(&format!(" | {:<34}", cell(score)));
        }
        text.push('\n');
    }
    text
}
