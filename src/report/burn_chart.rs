//! The course of a burn rate, with its thresholds and the deployments.

use std::fmt::Write;

use crate::confidence::Deploy;
use crate::model::TimeRange;
use crate::slo::{BurnHistory, BurnPair, Severity};

use super::scale::{BurnScale, TimeScale};
use super::svg::{escape, open, path, px};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 92.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 40.0;
/// How wide a character is at most, roughly, at the charts' font size.
const CHAR_WIDTH: f64 = 7.5;
/// Longer versions, such as whole commit hashes, are cut.
const VERSION_CHARS_MAX: usize = 12;

/// What a burn chart shows.
#[derive(Debug, Clone, Copy)]
pub struct BurnChart<'a> {
    /// Prefix of the element ids, unique on the page.
    pub id: &'a str,
    /// What burns: `checkout availability`.
    pub title: &'a str,
    /// The course.
    pub history: &'a BurnHistory,
    /// The time axis, usually the range of the course.
    pub range: TimeRange,
    /// Deployments; those outside the range are left out.
    pub deploys: &'a [Deploy],
}

/// Draws the chart as an SVG element.
///
/// The vertical axis is logarithmic above 1, so that 1 and 1000 are both readable. The long window is
/// the heavy line, the short one the thin line; where there were no events there is a gap.
pub fn burn_chart(chart: &BurnChart<'_>) -> String {
    let history = chart.history;
    let burns = history.points.iter().flat_map(|point| [point.short, point.long]).flatten();
    let threshold = history.thresholds.iter().map(|pair| pair.threshold).fold(1.0, f64::max);
    let most = burns.filter(|burn| burn.is_finite()).fold(threshold * 1.3, |most, burn| most.max(burn * 1.1));
    let y = BurnScale { top: TOP, bottom: HEIGHT - BOTTOM, most };
    let x = TimeScale { left: LEFT, right: WIDTH - RIGHT, range: chart.range };
    let mut out = String::new();
    let title = format!("Burn rate of {}", chart.title);
    open(&mut out, chart.id, "burn", (WIDTH, HEIGHT), &title, &description(chart));
    axes(&mut out, x, y);
    for pair in distinct(&history.thresholds) {
        threshold_line(&mut out, pair, y);
    }
    deploy_marks(&mut out, chart.deploys, x);
    let line = |burn: &dyn Fn(usize) -> Option<f64>| {
        path((0..history.points.len()).map(|n| Some((x.x(history.points[n].t), y.y(burn(n)?)))))
    };
    let short = line(&|n| history.points[n].short);
    let long = line(&|n| history.points[n].long);
    let _ = write!(
        out,
        "<path class=\"short\" d=\"{short}\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"1\" \
         stroke-opacity=\"0.55\" stroke-linejoin=\"round\"/>\
         <path class=\"long\" d=\"{long}\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"2.5\" \
         stroke-linejoin=\"round\" stroke-linecap=\"round\"/>"
    );
    legend(&mut out, &history.pair);
    out.push_str("</svg>");
    out
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
            burn_text(now),
            burn_text(peak),
            burn_text(pair.threshold),
        ),
        _ => format!("From {} to {}. No events were counted.", chart.range.after, chart.range.until),
    }
}

fn axes(out: &mut String, x: TimeScale, y: BurnScale) {
    out.push_str("<g class=\"axis\">");
    for tick in y.ticks() {
        let at = px(y.y(tick));
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{at}\" y2=\"{at}\" stroke=\"currentColor\" \
             stroke-opacity=\"0.12\"/><text x=\"{}\" y=\"{at}\" dy=\"4\" text-anchor=\"end\">{}</text>",
            px(x.left),
            px(x.right),
            px(x.left - 8.0),
            burn_text(tick),
        );
    }
    let base = px(y.bottom);
    let _ = write!(
        out,
        "<line x1=\"{}\" x2=\"{}\" y1=\"{base}\" y2=\"{base}\" stroke=\"currentColor\" stroke-opacity=\"0.5\"/>",
        px(x.left),
        px(x.right)
    );
    for (t, text) in x.ticks() {
        let at = px(x.x(t));
        let _ = write!(
            out,
            "<line x1=\"{at}\" x2=\"{at}\" y1=\"{base}\" y2=\"{}\" stroke=\"currentColor\" stroke-opacity=\"0.5\"/>\
             <text x=\"{at}\" y=\"{}\" text-anchor=\"middle\">{text}</text>",
            px(y.bottom + 4.0),
            px(y.bottom + 18.0),
        );
    }
    let _ = write!(
        out,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"start\" opacity=\"0.7\">UTC</text></g>",
        px(x.right + 8.0),
        px(y.bottom + 18.0)
    );
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

fn threshold_line(out: &mut String, pair: BurnPair, y: BurnScale) {
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
        px(LEFT),
        px(WIDTH - RIGHT),
        px(WIDTH - RIGHT + 8.0),
        burn_text(pair.threshold),
    );
}

fn deploy_marks(out: &mut String, deploys: &[Deploy], x: TimeScale) {
    let mut shown: Vec<&Deploy> = deploys.iter().filter(|deploy| x.range.contains(deploy.at)).collect();
    shown.sort_by_key(|deploy| deploy.at);
    // Up to here labels are written.
    let mut written = LEFT;
    for (n, deploy) in shown.iter().enumerate() {
        let at = x.x(deploy.at);
        let (mark, top) = (px(at), px(TOP));
        let _ = write!(
            out,
            "<g class=\"deploy\"><title>{} {} at {}</title><line x1=\"{mark}\" x2=\"{mark}\" y1=\"{top}\" y2=\"{}\" \
             stroke=\"currentColor\" stroke-opacity=\"0.7\"/><path d=\"M{mark} {top}l-5 -8h10z\"/>",
            escape(&deploy.service),
            escape(&deploy.version),
            deploy.at,
            px(HEIGHT - BOTTOM),
        );
        let mut version: String = deploy.version.chars().take(VERSION_CHARS_MAX).collect();
        if deploy.version.chars().count() > VERSION_CHARS_MAX {
            version.push('…');
        }
        let width = version.chars().count() as f64 * CHAR_WIDTH + 8.0;
        let next = shown.get(n + 1).map_or(WIDTH, |next| x.x(next.at) - 5.0);
        // Right of its mark if the next one leaves room, else left of it, else its line alone.
        let label = if at + width <= next && at >= written {
            Some((at + 8.0, "start", at + width))
        } else if at - width >= written {
            Some((at - 8.0, "end", at))
        } else {
            None
        };
        written = written.max(at + 5.0);
        if let Some((place, anchor, end)) = label {
            written = written.max(end);
            let (place, y) = (px(place), px(TOP - 2.0));
            let _ = write!(out, "<text x=\"{place}\" y=\"{y}\" text-anchor=\"{anchor}\">{}</text>", escape(&version));
        }
        out.push_str("</g>");
    }
}

fn legend(out: &mut String, pair: &BurnPair) {
    let _ = write!(
        out,
        "<g class=\"legend\"><text x=\"8\" y=\"16\" opacity=\"0.7\">burn rate, × budget</text>\
         <line x1=\"150\" x2=\"174\" y1=\"12\" y2=\"12\" stroke=\"currentColor\" stroke-width=\"2.5\" class=\"long\"/>\
         <text x=\"180\" y=\"16\">over {}</text>\
         <line x1=\"250\" x2=\"274\" y1=\"12\" y2=\"12\" stroke=\"currentColor\" stroke-opacity=\"0.55\" class=\"short\"/>\
         <text x=\"280\" y=\"16\">over {}</text></g>",
        pair.long, pair.short
    );
}

fn burn_text(burn: f64) -> String {
    let digits = usize::from(burn < 99.5 && burn.fract() != 0.0);
    format!("{burn:.digits$}×")
}
