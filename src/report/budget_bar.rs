//! How much of a budget is left, as a bar and in words.

use std::fmt::Write;

use super::svg::px;

/// Below this share the bar warns; the verdict does so from the same share on.
const LOW: f64 = 0.1;

/// Draws the share `left` of a budget as a bar that stretches to whatever width the page gives it.
/// It is decoration: [`budget_words`] stands beside it and says the same.
pub fn budget_bar(left: f64) -> String {
    let left = if left.is_finite() { left } else { 0.0 };
    let class = match left {
        left if left <= 0.0 => "spent",
        left if left < LOW => "low",
        _ => "healthy",
    };
    let mut out = String::new();
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"budget-bar {class}\" viewBox=\"0 0 100 6\" \
         preserveAspectRatio=\"none\" aria-hidden=\"true\" focusable=\"false\" fill=\"currentColor\">\
         <rect class=\"bar-spent\" width=\"100\" height=\"6\" fill-opacity=\"0.15\"/>\
         <rect class=\"bar-left\" width=\"{}\" height=\"6\"/></svg>",
        px(100.0 * left.clamp(0.0, 1.0)),
    );
    out
}

/// How much is left in words: `95.8 %`, or `overspent by 12 %`. What is nearly all is not all, what is nearly nothing is
/// not nothing.
pub fn budget_words(left: f64) -> String {
    if !left.is_finite() {
        return "not known".to_owned();
    }
    if left < 0.0 {
        return format!("overspent by {:.0} %", (-left * 100.0).ceil());
    }
    let tenths = match left {
        left if left >= 1.0 => 1000.0,
        0.0 => 0.0,
        left => (left * 1000.0).round().clamp(1.0, 999.0),
    };
    if tenths % 10.0 == 0.0 { format!("{:.0} %", tenths / 10.0) } else { format!("{:.1} %", tenths / 10.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_do_not_flatter() {
        let check = |left: f64, words: &str| assert_eq!(budget_words(left), words, "{left}");
        check(1.0, "100 %");
        check(0.9997, "99.9 %");
        check(0.629, "62.9 %");
        check(0.95561, "95.6 %");
        check(0.00001, "0.1 %");
        check(0.0, "0 %");
        check(-2.495, "overspent by 250 %");
        check(f64::NAN, "not known");
    }

    #[test]
    fn the_bar_stays_in_its_frame() {
        let check = |left: f64, class: &str, width: &str| {
            let svg = budget_bar(left);
            assert!(svg.contains(class) && svg.contains(&format!("\"bar-left\" width=\"{width}\"")), "{left}: {svg}");
        };
        check(2.0, "healthy", "100");
        check(0.05, "low", "5");
        check(-3.0, "spent", "0");
        check(f64::NAN, "spent", "0");
    }
}
