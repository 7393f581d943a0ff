//! Series over time, with a linear scale.

use std::fmt::Write;

use crate::confidence::Deploy;
use crate::model::{TimeRange, Timestamp};

use super::deploy_marks::deploy_marks;
use super::frame::{ChartSize, Frame, time_axis};
use super::scale::{LinearScale, TimeScale};
use super::svg::{escape, open, path, px};
use super::words::axis_text;

/// How many line styles there are; the next line begins with the first again.
const PALETTE: usize = 8;
/// How far above the lines the deployments' row is.
const MARKS_ABOVE: f64 = 4.0;

/// What a line chart shows.
#[derive(Debug, Clone, Copy)]
pub struct LineChart<'a> {
    /// Prefix of the element ids, unique on the page.
    pub id: &'a str,
    /// What is shown, such as the query.
    pub title: &'a str,
    /// For which place.
    pub size: ChartSize,
    /// The time axis.
    pub range: TimeRange,
    /// Each line's name and points, in the order of time.
    pub lines: &'a [(&'a str, &'a [(Timestamp, f64)])],
    /// Deployments; those outside the range are left out.
    pub deploys: &'a [Deploy],
}

/// Draws the chart as an SVG element. Line `n` has class `c` and its place modulo eight. A gap in a line is longer
/// than one and a half times the pace at which its points come, or a value that is not finite.
pub fn line_chart(chart: &LineChart<'_>) -> String {
    let deploys = chart.deploys.iter().filter(|deploy| chart.range.contains(deploy.at)).count();
    let frame = Frame::plain(chart.size, deploys > 0);
    let values = || chart.lines.iter().flat_map(|(_, points)| *points).map(|(_, v)| *v).filter(|v| v.is_finite());
    let y = LinearScale::over(values(), frame.top, frame.bottom());
    let x = TimeScale { left: frame.left, right: frame.right(), range: chart.range };
    let mut out = String::new();
    let shown = if deploys > 0 { format!(" Deployments shown: {deploys}.") } else { String::new() };
    let words = format!("From {} to {}, {} lines.{shown}", chart.range.after, chart.range.until, chart.lines.len());
    open(&mut out, chart.id, "lines", (frame.width, frame.height), chart.title, &words);
    let (left, right) = (px(x.left), px(x.right));
    let ticks = y.ticks();
    let most = ticks.iter().fold(0.0_f64, |most, tick| most.max(tick.abs()));
    for tick in &ticks {
        let at = px(y.y(*tick));
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{at}\" y2=\"{at}\" stroke=\"currentColor\" \
             stroke-opacity=\"0.12\"/><text class=\"axis\" x=\"{}\" y=\"{at}\" dy=\"4\" text-anchor=\"end\">{}</text>",
            px(x.left - 8.0),
            axis_text(*tick, y.step, most),
        );
    }
    time_axis(&mut out, x, &frame);
    for (n, (name, points)) in chart.lines.iter().enumerate() {
        let _ = write!(
            out,
            "<path class=\"line c{}\" d=\"{}\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"1.6\" \
             stroke-linejoin=\"round\" stroke-linecap=\"round\"><title>{}</title></path>",
            n % PALETTE,
            path(places(points, x, y)),
            escape(name),
        );
    }
    deploy_marks(&mut out, chart.deploys, x, (frame.top - MARKS_ABOVE, frame.bottom()), frame.width);
    out.push_str("</svg>");
    out
}

/// Where the points lie, with nothing between those that are not neighbours.
fn places(points: &[(Timestamp, f64)], x: TimeScale, y: LinearScale) -> impl Iterator<Item = Option<(f64, f64)>> {
    let pace = points.windows(2).map(|two| (two[1].0 - two[0].0).0).min().unwrap_or(0);
    let mut before: Option<Timestamp> = None;
    points.iter().flat_map(move |(t, v)| {
        let gap = before.is_some_and(|before| (*t - before).0 > pace.saturating_mul(3) / 2);
        before = Some(*t);
        let place = v.is_finite().then(|| (x.x(*t), y.y(*v)));
        gap.then_some(None).into_iter().chain([place])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(points: &[(Timestamp, f64)]) -> String {
        let range = TimeRange { after: Timestamp(0), until: Timestamp(10_000) };
        line_chart(&LineChart {
            id: "l",
            title: "<t>",
            size: ChartSize::Wide,
            range,
            lines: &[("<n>", points)],
            deploys: &[],
        })
    }

    #[test]
    fn a_gap_is_not_bridged() {
        let at = |s: i64| (Timestamp(s * 1000), 0.5);
        let moves = |svg: &str| svg.split(" d=\"").nth(1).unwrap().split('"').next().unwrap().matches('M').count();
        assert_eq!(moves(&drawn(&[at(0), at(1), at(2), at(8), at(9)])), 2);
        assert_eq!(moves(&drawn(&[at(0), (Timestamp(1000), f64::NAN), at(2)])), 2);
    }

    #[test]
    fn deployments_stand_where_they_belong() {
        let deploy = |t: i64| Deploy { service: "a<b".to_owned(), version: "v2".to_owned(), at: Timestamp(t) };
        let range = TimeRange { after: Timestamp(0), until: Timestamp(10_000) };
        let deploys = [deploy(5000), deploy(20_000)];
        let (id, title, size, lines) = ("l", "t", ChartSize::Wide, &[][..]);
        let svg = line_chart(&LineChart { id, title, size, range, lines, deploys: &deploys });
        assert_eq!(svg.matches("class=\"deploy\"").count(), 1, "{svg}");
        assert!(svg.contains("a&lt;b v2 at") && svg.contains("Deployments shown: 1."), "{svg}");
        let none = line_chart(&LineChart { id, title, size, range, lines, deploys: &deploys[1..] });
        assert!(!none.contains("deploy") && !none.contains("Deployments"), "{none}");
    }

    #[test]
    fn any_values_make_a_picture() {
        for values in [&[][..], &[0.0], &[-1.0], &[f64::NAN, f64::INFINITY], &[f64::MAX, f64::MIN], &[5e-324, 0.0]] {
            let points: Vec<_> = values.iter().enumerate().map(|(n, v)| (Timestamp(n as i64 * 1000), *v)).collect();
            let svg = drawn(&points);
            assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>"), "{svg}");
            assert!(!svg.contains("NaN") && !svg.contains("inf") && !svg.contains("<n>"), "{values:?}: {svg}");
        }
    }
}
