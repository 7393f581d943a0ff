//! A verdict as a badge for a page of somebody else: the word beside its name, by shape, colour and text.

use super::svg::escape;

/// The badge's height in pixels.
const HEIGHT: usize = 20;
/// Roughly what a character of the font takes; the text is stretched to fit.
const CHARACTER: usize = 7;

/// Draws the badge of what is named `label`, whose verdict is `word`.
pub fn badge(label: &str, word: &str) -> String {
    let (colour, shape) = match word {
        "OK" => ("#1a7f37", "●"),
        "AT_RISK" => ("#9a6700", "▲"),
        "HURTING" => ("#cf222e", "■"),
        _ => ("#6e40c9", "◆"),
    };
    let shown: String = label.chars().take(60).collect();
    let value = format!("{shape} {word}");
    let [left, right] = [&shown, &value].map(|text| text.chars().count() * CHARACTER + 12);
    let width = left + right;
    let (label_x, word_x) = (left / 2, left + right / 2);
    let (left_text, right_text) = (left - 12, right - 12);
    let shown = escape(&shown);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{HEIGHT}\" role=\"img\" \
         aria-label=\"{shown}: {word}\"><title>{shown}: {word}</title>\
         <rect width=\"{width}\" height=\"{HEIGHT}\" rx=\"3\" fill=\"#444\"/>\
         <path d=\"M{left} 0h{inner}q3 0 3 3v14q0 3 -3 3h-{inner}z\" fill=\"{colour}\"/>\
         <g fill=\"#fff\" text-anchor=\"middle\" font-family=\"Verdana,DejaVu Sans,sans-serif\" font-size=\"11\">\
         <text x=\"{label_x}\" y=\"14\" textLength=\"{left_text}\">{shown}</text>\
         <text x=\"{word_x}\" y=\"14\" textLength=\"{right_text}\">{value}</text></g></svg>",
        inner = right - 3,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_badge_says_its_word_and_nothing_that_it_was_not_meant_to() {
        let drawn = badge("check<out>\"&", "HURTING");
        assert!(drawn.contains("■ HURTING</text>"), "{drawn}");
        assert!(drawn.contains("check&lt;out&gt;&quot;&amp;: HURTING\""), "{drawn}");
        assert!(!drawn.contains("<out"));
        for word in ["OK", "AT_RISK", "HURTING", "BLIND"] {
            assert!(badge("a", word).starts_with("<svg"));
        }
    }
}
