//! How large a chart is and what its edges need.

use std::fmt::Write;

use super::scale::TimeScale;
use super::svg::px;

/// For which place a chart is drawn. A picture that only shrinks has letters that nobody can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChartSize {
    /// A page's whole width.
    Wide,
    /// A telephone.
    Narrow,
}

/// A chart's size and margins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) left: f64,
    pub(super) top: f64,
    margin_right: f64,
    margin_bottom: f64,
    /// Marks of the time axis at most.
    pub(super) times: usize,
}

impl Frame {
    /// Room for values on the left only, and for a row of marks above if there are some.
    pub(super) fn plain(size: ChartSize, has_marks: bool) -> Frame {
        let top = if has_marks { 28.0 } else { 12.0 };
        match size {
            ChartSize::Wide => Frame {
                width: 1072.0,
                height: 280.0,
                left: 56.0,
                top,
                margin_right: 36.0,
                margin_bottom: 30.0,
                times: 9,
            },
            ChartSize::Narrow => Frame {
                width: 358.0,
                height: 240.0,
                left: 44.0,
                top,
                margin_right: 24.0,
                margin_bottom: 30.0,
                times: 4,
            },
        }
    }

    /// Room for the legend and the deployments above, and the thresholds' names on the right.
    pub(super) fn burn(size: ChartSize) -> Frame {
        match size {
            ChartSize::Wide => Frame {
                width: 1024.0,
                height: 336.0,
                left: 44.0,
                top: 74.0,
                margin_right: 92.0,
                margin_bottom: 30.0,
                times: 9,
            },
            ChartSize::Narrow => Frame {
                width: 326.0,
                height: 296.0,
                left: 36.0,
                top: 74.0,
                margin_right: 80.0,
                margin_bottom: 30.0,
                times: 4,
            },
        }
    }

    pub(super) fn right(&self) -> f64 {
        self.width - self.margin_right
    }

    pub(super) fn bottom(&self) -> f64 {
        self.height - self.margin_bottom
    }
}

/// The base line with its instants.
pub(super) fn time_axis(out: &mut String, x: TimeScale, frame: &Frame) {
    let base = px(frame.bottom());
    let _ = write!(
        out,
        "<g class=\"axis\"><line class=\"base\" x1=\"{}\" x2=\"{}\" y1=\"{base}\" y2=\"{base}\" \
         stroke=\"currentColor\" stroke-opacity=\"0.5\"/>",
        px(x.left),
        px(x.right)
    );
    for (t, text) in x.ticks(frame.times) {
        let at = px(x.x(t));
        let _ = write!(
            out,
            "<line class=\"base\" x1=\"{at}\" x2=\"{at}\" y1=\"{base}\" y2=\"{}\" stroke=\"currentColor\" \
             stroke-opacity=\"0.5\"/><text x=\"{at}\" y=\"{}\" text-anchor=\"middle\">{text}</text>",
            px(frame.bottom() + 4.0),
            px(frame.bottom() + 19.0),
        );
    }
    let _ = write!(out, "</g>");
}
