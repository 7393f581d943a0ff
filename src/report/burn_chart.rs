//! The course of a burn rate, with its thresholds, the deployments and who was told when.

use std::fmt::Write;

use crate::confidence::{Deploy, burn};
use crate::model::{TimeRange, Timestamp};
use crate::slo::{AlertSeverity, BurnHistory, BurnPair, Severity};

use super::deploy_marks::{CHAR_WIDTH, deploy_marks};
use super::frame::{ChartSize, Frame, time_axis};
use super::scale::{BurnScale, TimeScale};
use super::svg::{open, path, px};
use super::words::clock;

/// How far above the lines the deployments' row is: the row of those who were told lies between.
const DEPLOYS_ABOVE: f64 = 20.0;

/// An alert that people were told of and that still fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// Whether it was a page, a ticket, or told nobody.
    pub severity: AlertSeverity,
    /// Since when it fires.
    pub since: Timestamp,
}

/// What a burn chart shows.
#[derive(Debug, Clone, Copy)]
pub struct BurnChart<'a> {
    /// Prefix of the element ids, unique on the page.
    pub id: &'a str,
    /// What burns: `checkout availability`.
    pub title: &'a str,
    /// The course.
    pub history: &'a BurnHistory,
    /// For which place.
    pub size: ChartSize,
    /// The time axis, usually the range of the course.
    pub range: TimeRange,
    /// Deployments; those outside the range are left out.
    pub deploys: &'a [Deploy],
    /// What fires now.
    pub told: &'a [Told],
}

/// Draws the chart as an SVG element.
///
/// The vertical axis is logarithmic above 1, so that 1 and 1000 are both readable. The long window is
/// the heavy line, the short one the thin line; where there were no events there is a gap.
pub fn burn_chart(chart: &BurnChart<'_>) -> String {
    let history = chart.history;
    let frame = Frame::burn(chart.size);
    let burns = || history.points.iter().flat_map(|point| [point.short, point.long]).flatten();
    let threshold = history.thresholds.iter().map(|pair| pair.threshold).fold(1.0, f64::max);
    let most = burns().filter(|burn| burn.is_finite()).fold(threshold * 1.3, |most, burn| most.max(burn * 1.1));
    let y = BurnScale { top: frame.top, bottom: frame.bottom(), most };
    let x = TimeScale { left: frame.left, right: frame.right(), range: chart.range };
    let thresholds = distinct(&history.thresholds);
    let mut out = String::new();
    let title = format!("Burn rate of {}", chart.title);
    open(&mut out, chart.id, "burn", (frame.width, frame.height), &title, &description(chart));
    let shown = chart.told.iter().filter(|told| chart.range.contains(told.since));
    for told in shown.clone() {
        told_span(&mut out, *told, x, y);
    }
    grid(&mut out, x, y, &thresholds);
    time_axis(&mut out, x, &frame);
    for pair in &thresholds {
        threshold_line(&mut out, *pair, x, y);
    }
    let line = |burn: &dyn Fn(usize) -> Option<f64>| {
        path((0..history.points.len()).map(|n| Some((x.x(history.points[n].t), y.y(burn(n)?)))))
    };
    let short = line(&|n| history.points[n].short);
    let long = line(&|n| history.points[n].long);
    let _ = write!(
        out,
        "<path class=\"short\" d=\"{short}\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"1.2\" \
         stroke-opacity=\"0.6\" stroke-linejoin=\"round\"/>\
         <path class=\"long\" d=\"{long}\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"2.5\" \
         stroke-linejoin=\"round\" stroke-linecap=\"round\"/>"
    );
    deploy_marks(&mut out, chart.deploys, x, (y.top - DEPLOYS_ABOVE, y.bottom), frame.width);
    for told in shown {
        told_mark(&mut out, *told, x, y, frame.width);
    }
    legend(&mut out, &history.pair);
    if burns().next().is_none() {
        let (middle, height) = (px((x.left + x.right) / 2.0), px((y.top + y.bottom) / 2.0));
        let _ = write!(
            out,
            "<text class=\"nothing\" x=\"{middle}\" y=\"{height}\" text-anchor=\"middle\">no events counted</text>"
        );
    }
    out.push_str("</svg>");
    out
}

/// The time during which an alert fires.
fn told_span(out: &mut String, told: Told, x: TimeScale, y: BurnScale) {
    let at = x.x(told.since);
    let _ = write!(
        out,
        "<rect class=\"told {}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill-opacity=\"0.1\"/>",
        told.severity.as_str(),
        px(at),
        px(y.top),
        px(x.right - at),
        px(y.bottom - y.top),
    );
}

/// The instant at which people were told; its name has a row of its own right above the lines.
fn told_mark(out: &mut String, told: Told, x: TimeScale, y: BurnScale, width: f64) {
    let (word, at) = (told.severity.as_str(), x.x(told.since));
    let label = format!("{word} {}", clock(told.since));
    let (place, anchor) = if at + label.len() as f64 * CHAR_WIDTH < width { (at, "start") } else { (width, "end") };
    let _ = write!(
        out,
        "<g class=\"told {word}\"><title>a {word} was due at {}</title><line x1=\"{}\" x2=\"{1}\" y1=\"{}\" \
         y2=\"{}\" stroke=\"currentColor\" stroke-width=\"1.5\"/>\
         <text x=\"{}\" y=\"{}\" text-anchor=\"{anchor}\">{label}</text></g>",
        told.since,
        px(at),
        px(y.top - 2.0),
        px(y.bottom),
        px(place),
        px(y.top - 7.0),
    );
}

fn description(chart: &BurnChart<'_>) -> String {
    let points = &chart.history.points;
    let pair = &chart.history.pair;
    let now = points.iter().rev().find_map(|point| point.long);
    let peak = points
        .iter()
        .filter_map(|point| point.long)
        .fold(None, |most: Option<f64>, burn| Some(most.map_or(burn, |most| most.max(burn))));
    let deploys = chart.deploys.iter().filter(|deploy| chart.range.contains(deploy.at)).count();
    match (now, peak) {
        (Some(now), Some(peak)) => format!(
            "From {} to {}. Over {} the budget now burns {}, at most {}. Pages from {}. Deployments shown: {deploys}.",
            chart.range.after,
            chart.range.until,
            pair.long,
            burn(now),
            burn(peak),
            burn(pair.threshold),
        ),
        _ => format!("From {} to {}. No events were counted.", chart.range.after, chart.range.until),
    }
}

/// The scale's own lines; where a threshold lies there is already one.
fn grid(out: &mut String, x: TimeScale, y: BurnScale, thresholds: &[BurnPair]) {
    out.push_str("<g class=\"axis\">");
    for tick in y.ticks() {
        let at = px(y.y(tick));
        if tick > 0.0 && thresholds.iter().all(|pair| (y.y(pair.threshold) - y.y(tick)).abs() > 3.0) {
            let _ = write!(
                out,
                "<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{at}\" y2=\"{at}\" stroke=\"currentColor\" \
                 stroke-opacity=\"0.12\"/>",
                px(x.left),
                px(x.right),
            );
        }
        let _ = write!(
            out,
            "<text x=\"{}\" y=\"{at}\" dy=\"4\" text-anchor=\"end\">{}</text>",
            px(x.left - 8.0),
            burn(tick)
        );
    }
    out.push_str("</g>");
}

/// Pairs whose thresholds differ, so that no label is written twice.
fn distinct(pairs: &[BurnPair]) -> Vec<BurnPair> {
    let mut out: Vec<BurnPair> = Vec::new();
    for pair in pairs {
        if out.iter().all(|other| other.threshold != pair.threshold) {
            out.push(*pair);
        }
    }
    out
}

fn threshold_line(out: &mut String, pair: BurnPair, x: TimeScale, y: BurnScale) {
    // Told apart by dash and word, not by colour alone.
    let (dash, opacity) = match pair.severity {
        Severity::Page => ("8 4", "0.8"),
        Severity::Ticket => ("2 4", "0.6"),
    };
    let at = px(y.y(pair.threshold));
    let word = pair.severity.as_str();
    let _ = write!(
        out,
        "<g class=\"threshold {word}\"><line x1=\"{}\" x2=\"{}\" y1=\"{at}\" y2=\"{at}\" stroke=\"currentColor\" \
         stroke-dasharray=\"{dash}\" stroke-opacity=\"{opacity}\"/>\
         <text x=\"{}\" y=\"{at}\" dy=\"4\">{word} {}</text></g>",
        px(x.left),
        px(x.right),
        px(x.right + 8.0),
        burn(pair.threshold),
    );
}

fn legend(out: &mut String, pair: &BurnPair) {
    let _ = write!(
        out,
        "<g class=\"legend\">\
         <line x1=\"2\" x2=\"22\" y1=\"12\" y2=\"12\" stroke=\"currentColor\" stroke-width=\"2.5\" class=\"long\"/>\
         <text x=\"30\" y=\"16\">over {}</text>\
         <line x1=\"104\" x2=\"124\" y1=\"12\" y2=\"12\" stroke=\"currentColor\" stroke-width=\"1.2\" \
         stroke-opacity=\"0.6\" class=\"short\"/><text x=\"132\" y=\"16\">over {}</text></g>",
        pair.long, pair.short
    );
}
