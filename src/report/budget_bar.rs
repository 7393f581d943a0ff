//! How much of a budget is left, as a bar.

use std::fmt::Write;

use super::svg::{open, px};

const WIDTH: f64 = 240.0;
const HEIGHT: f64 = 20.0;

/// Draws the share `left` of a budget; below zero the bar is empty and the text says by how much. `id` must be
/// unique on the page, `title` says whose budget it is.
pub fn budget_bar(id: &str, title: &str, left: f64) -> String {
    let left = if left.is_finite() { left } else { 0.0 };
    let words =
        if left < 0.0 { format!("overspent by {:.0} %", -left * 100.0) } else { format!("{} % left", floor(left)) };
    let mut out = String::new();
    open(&mut out, id, "budget", (WIDTH, HEIGHT), &format!("Error budget of {title}"), &words);
    let full = 120.0;
    let _ = write!(
        out,
        "<rect class=\"bar-spent\" x=\"0.5\" y=\"4.5\" width=\"{}\" height=\"11\" rx=\"3\" fill=\"none\" \
         stroke=\"currentColor\" stroke-opacity=\"0.5\"/>\
         <rect class=\"bar-left\" x=\"0.5\" y=\"4.5\" width=\"{}\" height=\"11\" rx=\"3\"/>\
         <text x=\"{}\" y=\"14\">{words}</text></svg>",
        px(full),
        px(full * left.clamp(0.0, 1.0)),
        px(full + 10.0),
    );
    out
}

/// A percentage that never says more is left than is: 99.97 % is not all of it.
fn floor(left: f64) -> String {
    let tenths = (left.min(1.0) * 1000.0 + 1e-9).floor();
    if tenths % 10.0 == 0.0 || (100.0..995.0).contains(&tenths) {
        format!("{:.0}", (tenths / 10.0).floor())
    } else {
        format!("{:.1}", tenths / 10.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_do_not_flatter() {
        let check = |left: f64, words: &str| {
            let svg = budget_bar("b", "a<b", left);
            assert!(svg.contains(&format!(">{words}</text>")), "{left}: {svg}");
            assert!(svg.contains("a&lt;b"), "{svg}");
        };
        check(1.0, "100 % left");
        check(0.9997, "99.9 % left");
        check(0.629, "62 % left");
        check(0.0049, "0.4 % left");
        check(0.0, "0 % left");
        check(-2.5, "overspent by 250 %");
        check(f64::NAN, "0 % left");
    }
}
