//! The course of a burn rate in a table's cell: its shape, without axes.

use std::fmt::Write;

use crate::confidence::burn;
use crate::slo::BurnHistory;

use super::scale::BurnScale;
use super::svg::{open, path, px};

const WIDTH: f64 = 128.0;
const HEIGHT: f64 = 28.0;

/// Draws the burn rate over the long window, with gaps where there is none. Every line has the burn chart's scale and
/// reaches at least to the first threshold, so that lines compare and noise does not look like a mountain. `id` must
/// be unique on the page.
pub fn sparkline(id: &str, title: &str, history: &BurnHistory) -> String {
    let values = || history.points.iter().map(|point| point.long.filter(|burn| burn.is_finite()));
    let known = || values().flatten();
    let threshold = history.pair.threshold;
    let y = BurnScale { top: 3.0, bottom: HEIGHT - 3.0, most: known().fold(threshold * 1.3, f64::max) };
    let step = (WIDTH - 6.0) / (history.points.len().max(2) - 1) as f64;
    let points = || values().enumerate().map(|(n, burn)| burn.map(|burn| (3.0 + n as f64 * step, y.y(burn))));
    let words = match known().next_back() {
        Some(last) => format!("Now {}, at most {}.", burn(last), burn(known().fold(0.0, f64::max))),
        None => "No events were counted.".to_owned(),
    };
    let mut out = String::new();
    open(&mut out, id, "spark", (WIDTH, HEIGHT), title, &words);
    let (line, right) = (px(y.y(threshold)), px(WIDTH));
    let _ = write!(
        out,
        "<line class=\"threshold page\" x1=\"0\" x2=\"{right}\" y1=\"{line}\" y2=\"{line}\" stroke=\"currentColor\" \
         stroke-dasharray=\"2 3\" stroke-opacity=\"0.5\"/>\
         <path class=\"long\" d=\"{}\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"1.5\" \
         stroke-linejoin=\"round\" stroke-linecap=\"round\"/>",
        path(points())
    );
    if let Some(Some((x, y))) = points().next_back() {
        let _ = write!(out, "<circle class=\"now\" cx=\"{}\" cy=\"{}\" r=\"2.5\"/>", px(x), px(y));
    }
    out.push_str("</svg>");
    out
}

#[cfg(test)]
mod tests {
    use crate::model::{Millis, Timestamp};
    use crate::slo::{BurnPair, BurnPoint};

    use super::*;

    #[test]
    fn any_values_make_a_picture() {
        let pair = BurnPair::standard(Millis::days(30))[0];
        for values in [&[][..], &[None], &[Some(1.0)], &[Some(f64::NAN), Some(-3.0), None, Some(4.0)]] {
            let point = |(n, long): (usize, &Option<f64>)| BurnPoint {
                t: Timestamp(n as i64),
                short: None,
                long: *long,
                budget_left: 1.0,
            };
            let points = values.iter().enumerate().map(point).collect();
            let svg = sparkline("s", "burn", &BurnHistory { pair, thresholds: vec![pair], points });
            assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>") && !svg.contains("NaN"), "{svg}");
        }
    }
}
