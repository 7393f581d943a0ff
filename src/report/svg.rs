//! Pieces of SVG text.
//!
//! Invariant: every text and attribute from outside goes through [`escape`].

use std::fmt::Write;

/// Text that is safe inside an element and inside a quoted attribute.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Control characters may not stand in XML at all.
            c if c < ' ' && c != '\n' && c != '\t' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// A coordinate with a tenth of a pixel, which is all that can be seen.
pub(super) fn px(v: f64) -> String {
    let text = format!("{v:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// Opens a picture that says in words what it shows. `id` must be unique on the page.
pub(super) fn open(out: &mut String, id: &str, class: &str, size: (f64, f64), title: &str, description: &str) {
    let (id, width, height) = (escape(id), px(size.0), px(size.1));
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart {class}\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" role=\"img\" aria-labelledby=\"{id}-title {id}-desc\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"currentColor\">\
         <title id=\"{id}-title\">{}</title><desc id=\"{id}-desc\">{}</desc>",
        escape(title),
        escape(description),
    );
}

/// The path of a line with gaps where there is no value.
pub(super) fn path(points: impl Iterator<Item = Option<(f64, f64)>>) -> String {
    let mut out = String::new();
    let mut pen_down = false;
    let mut lone: Option<(f64, f64)> = None;
    for point in points {
        match point {
            Some((x, y)) => {
                let _ = write!(out, "{}{} {}", if pen_down { "L" } else { "M" }, px(x), px(y));
                lone = if pen_down { None } else { Some((x, y)) };
                pen_down = true;
            }
            None => {
                dot(&mut out, lone.take());
                pen_down = false;
            }
        }
    }
    dot(&mut out, lone);
    out
}

/// A value between two gaps: without a length it would not be drawn.
fn dot(out: &mut String, at: Option<(f64, f64)>) {
    if at.is_some() {
        out.push_str("h1");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_gaps() {
        let points = [None, Some((0.0, 1.0)), Some((1.0, 2.05)), None, Some((3.0, 3.0)), None];
        assert_eq!(path(points.into_iter()), "M0 1L1 2.0M3 3h1".replace("2.0M", "2M"));
    }

    #[test]
    fn nothing_escapes() {
        assert_eq!(escape("<a b=\"c\">&'\u{1}"), "&lt;a b=&quot;c&quot;&gt;&amp;&#39; ");
    }
}
