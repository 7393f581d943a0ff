//! Charts as SVG, drawn by classes so that the style sheet gives them their colours.
//!
//! Invariants:
//! - A point that is not finite breaks its line; a gap is never bridged by more than the pace at
//!   which points came.
//! - Without points there is a text instead of an empty frame.

use std::fmt::Write as _;

use maud::{Markup, PreEscaped, html};

use crate::model::{Millis, Timestamp};

use super::view::{Deploy, Line};
use super::words;

/// How many line styles the style sheet has.
const PALETTE: usize = 8;

/// A chart's frame and everything in it.
pub(super) struct Chart<'a> {
    /// What it shows, for those who do not see it.
    pub(super) title: &'a str,
    pub(super) lines: &'a [Line],
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    /// Values with a line across, each with its name.
    pub(super) thresholds: &'a [(f64, String)],
    pub(super) marks: &'a [Deploy],
    /// The highest value that must be inside.
    pub(super) at_least: f64,
}

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 22.0;
const BOTTOM: f64 = 26.0;

struct Scale {
    start: f64,
    end: f64,
    low: f64,
    high: f64,
}

impl Scale {
    fn x(&self, t: Timestamp) -> f64 {
        LEFT + (t.0 as f64 - self.start) / (self.end - self.start) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, v: f64) -> f64 {
        HEIGHT - BOTTOM - (v - self.low) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)
    }
}

/// Draws the chart.
pub(super) fn chart(chart: &Chart<'_>) -> Markup {
    let values = || chart.lines.iter().flat_map(|l| &l.points).map(|(_, v)| *v).filter(|v| v.is_finite());
    if values().next().is_none() || chart.end <= chart.start {
        return html! { p class="empty" { "No samples in this span." } };
    }
    let low = values().fold(0.0_f64, f64::min);
    let high = values().fold(chart.at_least, f64::max);
    let high = if high > low { high } else { low + 1.0 };
    let ticks = ticks(low, high);
    let top = ticks.last().copied().unwrap_or(high).max(high);
    let bottom = ticks.first().copied().unwrap_or(low).min(low);
    let scale = Scale { start: chart.start.0 as f64, end: chart.end.0 as f64, low: bottom, high: top };
    html! {
        div class="frame" tabindex="0" role="group" aria-label=(chart.title) { (drawing(chart, &scale, &ticks, top)) }
    }
}

fn drawing(chart: &Chart<'_>, scale: &Scale, ticks: &[f64], top: f64) -> Markup {
    html! {
        svg class="chart" viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(chart.title) {
            @for tick in ticks {
                @let y = round(scale.y(*tick));
                path class="grid" d={ "M" (LEFT) " " (y) "H" (WIDTH - RIGHT) } {}
                text class="axis" x=(LEFT - 8.0) y=(y + 4.0) text-anchor="end" { (words::number(*tick)) }
            }
            @for (t, text) in instants(chart.start, chart.end) {
                text class="axis" x=(round(scale.x(t))) y=(HEIGHT - 6.0) text-anchor="middle" { (text) }
            }
            @for (at, line) in chart.lines.iter().enumerate() {
                path class={ "line c" (at % PALETTE) } d=(path(&line.points, scale)) {
                    title { (line.name) }
                }
            }
            // Above the lines, so that a name stays readable.
            @for (value, name) in chart.thresholds.iter().filter(|(v, _)| *v <= top) {
                @let y = round(scale.y(*value));
                path class="threshold" d={ "M" (LEFT) " " (y) "H" (WIDTH - RIGHT) } {}
                text class="threshold-name" x=(LEFT + 6.0) y=(y - 5.0) { (name) }
            }
            @for mark in chart.marks.iter().filter(|m| m.at > chart.start && m.at <= chart.end) {
                @let x = round(scale.x(mark.at));
                path class="mark" d={ "M" (x) " " (TOP - 4.0) "V" (HEIGHT - BOTTOM) } {}
                text class="mark-name" x=(x) y=(TOP - 9.0) text-anchor=(anchor(x)) { "▾ " (mark.version) }
            }
        }
    }
}

fn anchor(x: f64) -> &'static str {
    if x > WIDTH * 0.85 {
        "end"
    } else if x < WIDTH * 0.15 {
        "start"
    } else {
        "middle"
    }
}

/// A line without a frame, for a table's cell.
pub(super) fn sparkline(line: &Line, title: &str) -> Markup {
    const SIZE: (f64, f64) = (120.0, 28.0);
    let finite: Vec<f64> = line.points.iter().map(|(_, v)| *v).filter(|v| v.is_finite()).collect();
    let (Some((first, _)), Some((last, _))) = (line.points.first(), line.points.last()) else {
        return PreEscaped(String::new());
    };
    if finite.len() < 2 || last <= first {
        return PreEscaped(String::new());
    }
    // A burn rate of one is the line between sustainable and not: always inside.
    let high = finite.iter().fold(1.0_f64, |a, b| a.max(*b));
    let x = |t: Timestamp| (t.0 - first.0) as f64 / (last.0 - first.0) as f64 * SIZE.0;
    let y = |v: f64| SIZE.1 - 2.0 - v.max(0.0) / high * (SIZE.1 - 4.0);
    let mut d = String::new();
    let mut pen_down = false;
    for (t, v) in &line.points {
        if v.is_finite() {
            let _ = write!(d, "{}{} {}", if pen_down { 'L' } else { 'M' }, round(x(*t)), round(y(*v)));
        }
        pen_down = v.is_finite();
    }
    html! {
        svg class="sparkline" viewBox={ "0 0 " (SIZE.0) " " (SIZE.1) } width=(SIZE.0) height=(SIZE.1) role="img" aria-label=(title) preserveAspectRatio="none" {
            path class="one" d={ "M0 " (round(y(1.0))) "H" (SIZE.0) } {}
            path class="line" d=(d) {}
        }
    }
}

/// How much of the budget is left, as a bar; a spent one is shown as overspent.
pub(super) fn budget_bar(left: Option<f64>) -> Markup {
    let Some(left) = left.filter(|left| left.is_finite()) else {
        return html! { span class="muted" { "not known" } };
    };
    let class = match left {
        l if l <= 0.0 => "spent",
        l if l < 0.25 => "low",
        _ => "healthy",
    };
    let width = round(left.clamp(0.0, 1.0) * 100.0);
    html! {
        span class={ "budget " (class) } {
            svg viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true" focusable="false" {
                rect class="track" x="0" y="0" width="100" height="6" {}
                rect class="left" x="0" y="0" width=(width) height="6" {}
            }
            span class="figure" { (words::percent(left)) }
        }
    }
}

fn path(points: &[(Timestamp, f64)], scale: &Scale) -> String {
    let pace = points.windows(2).map(|two| (two[1].0 - two[0].0).0).min().unwrap_or(0);
    let mut d = String::new();
    let mut before: Option<Timestamp> = None;
    for (t, v) in points {
        if !v.is_finite() {
            before = None;
            continue;
        }
        let joined = before.is_some_and(|b| (*t - b).0 <= pace.saturating_mul(3) / 2);
        let _ = write!(d, "{}{} {}", if joined { 'L' } else { 'M' }, round(scale.x(*t)), round(scale.y(*v)));
        if !joined {
            // A single point must be seen too.
            d.push_str("h.01");
        }
        before = Some(*t);
    }
    d
}

/// Three to six values at steps of 1, 2 or 5 that cover the span.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let raw = (high - low) / 4.0;
    let power = 10_f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| *s >= raw).unwrap_or(raw);
    if !(step.is_finite() && step > 0.0) {
        return vec![low, high];
    }
    let (first, last) = ((low / step).floor() as i64, (high / step).ceil() as i64);
    (first..=last.min(first.saturating_add(10))).map(|n| n as f64 * step).collect()
}

/// Round instants for the time axis, each with its text.
fn instants(start: Timestamp, end: Timestamp) -> Vec<(Timestamp, String)> {
    const STEPS: [Millis; 14] = [
        Millis::seconds(15),
        Millis::minutes(1),
        Millis::minutes(5),
        Millis::minutes(10),
        Millis::minutes(15),
        Millis::minutes(30),
        Millis::hours(1),
        Millis::hours(3),
        Millis::hours(6),
        Millis::hours(12),
        Millis::days(1),
        Millis::days(2),
        Millis::days(7),
        Millis::days(30),
    ];
    let span = (end - start).0;
    let step = STEPS.iter().find(|s| span / s.0 <= 8).map_or(span / 6, |s| s.0).max(1);
    let mut t = start.0.div_euclid(step) * step + step;
    let mut out = Vec::new();
    while t <= end.0 && out.len() < 16 {
        // Not at the very edges, where the text would be cut.
        if (t - start.0) * 30 > span && (end.0 - t) * 30 > span {
            let at = Timestamp(t);
            let text = if step < 60_000 {
                words::clock(at)
            } else if step < 86_400_000 {
                words::minute(at)
            } else {
                at.to_string().get(5..10).unwrap_or("").to_owned()
            };
            out.push((at, text));
        }
        t += step;
    }
    out
}

fn round(v: f64) -> f64 {
    (v * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_cover() {
        assert_eq!(ticks(0.0, 1.0), vec![0.0, 0.5, 1.0]);
        assert_eq!(ticks(0.0, 14.4), vec![0.0, 5.0, 10.0, 15.0]);
        assert_eq!(ticks(-3.0, 3.0), vec![-4.0, -2.0, 0.0, 2.0, 4.0]);
    }

    #[test]
    fn a_gap_is_not_bridged() {
        let scale = Scale { start: 0.0, end: 10_000.0, low: 0.0, high: 1.0 };
        let at = |s: i64| (Timestamp(s * 1000), 0.5);
        let d = path(&[at(0), at(1), at(2), at(8), at(9)], &scale);
        assert_eq!(d.matches('M').count(), 2, "{d}");
        let broken = path(&[at(0), (Timestamp(1000), f64::NAN), at(2)], &scale);
        assert_eq!(broken.matches('M').count(), 2, "{broken}");
    }

    #[test]
    fn nothing_to_draw_is_said() {
        let empty = Chart {
            title: "t",
            lines: &[],
            start: Timestamp(0),
            end: Timestamp(1000),
            thresholds: &[],
            marks: &[],
            at_least: 0.0,
        };
        assert!(chart(&empty).into_string().contains("No samples"));
    }
}
