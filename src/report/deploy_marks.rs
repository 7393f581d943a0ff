//! Deployments on the time axis of a chart.

use std::fmt::Write;

use crate::confidence::Deploy;

use super::scale::TimeScale;
use super::svg::{escape, px};

/// How wide a character is at most, roughly, at the charts' font size.
pub(super) const CHAR_WIDTH: f64 = 7.5;
/// Longer versions, such as whole commit hashes, are cut.
const VERSION_CHARS_MAX: usize = 12;

/// Draws a line from `top` to `bottom` for each deployment in the range, with its version beside its head.
pub(super) fn deploy_marks(out: &mut String, deploys: &[Deploy], x: TimeScale, (top, bottom): (f64, f64), width: f64) {
    let mut shown: Vec<&Deploy> = deploys.iter().filter(|deploy| x.range.contains(deploy.at)).collect();
    shown.sort_by_key(|deploy| deploy.at);
    // Up to here labels are written.
    let mut written = 0.0_f64;
    for (n, deploy) in shown.iter().enumerate() {
        let at = x.x(deploy.at);
        let (mark, head) = (px(at), px(top));
        let _ = write!(
            out,
            "<g class=\"deploy\"><title>{} {} at {}</title><line x1=\"{mark}\" x2=\"{mark}\" y1=\"{head}\" y2=\"{}\" \
             stroke=\"currentColor\" stroke-opacity=\"0.7\"/><path d=\"M{mark} {head}l-5 -8h10z\"/>",
            escape(&deploy.service),
            escape(&deploy.version),
            deploy.at,
            px(bottom),
        );
        let mut version: String = deploy.version.chars().take(VERSION_CHARS_MAX).collect();
        if deploy.version.chars().count() > VERSION_CHARS_MAX {
            version.push('…');
        }
        let length = version.chars().count() as f64 * CHAR_WIDTH + 8.0;
        let next = shown.get(n + 1).map_or(width, |next| x.x(next.at) - 5.0);
        // Right of its mark if the next one leaves room, else left of it, else its line alone.
        let label = if at + length <= next && at >= written {
            Some((at + 8.0, "start", at + length))
        } else if at - length >= written {
            Some((at - 8.0, "end", at))
        } else {
            None
        };
        written = written.max(at + 5.0);
        if let Some((place, anchor, end)) = label {
            written = written.max(end);
            let (place, height) = (px(place), px(top - 1.0));
            let _ =
                write!(out, "<text x=\"{place}\" y=\"{height}\" text-anchor=\"{anchor}\">{}</text>", escape(&version));
        }
        out.push_str("</g>");
    }
}
