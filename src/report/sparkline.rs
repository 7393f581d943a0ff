//! A small line for a table: its shape, without axes.

use std::fmt::Write;

use super::svg::{open, path, px};

const WIDTH: f64 = 120.0;
const HEIGHT: f64 = 24.0;

/// Draws values at even distances, with gaps where there is none. The scale runs from zero to the largest value, so
/// that noise around a level does not look like a mountain. `id` must be unique on the page.
pub fn sparkline(id: &str, title: &str, values: &[Option<f64>]) -> String {
    let known = || values.iter().flatten().copied().filter(|v| v.is_finite());
    let (least, most) = known().fold((0.0_f64, 0.0_f64), |(least, most), v| (least.min(v), most.max(v)));
    let height = if most > least { most - least } else { 1.0 };
    let step = (WIDTH - 4.0) / (values.len().max(2) - 1) as f64;
    let at = |n: usize, v: f64| (2.0 + n as f64 * step, HEIGHT - 2.0 - (v - least) / height * (HEIGHT - 4.0));
    let points = || values.iter().enumerate().map(|(n, v)| v.filter(|v| v.is_finite()).map(|v| at(n, v)));
    let last = known().next_back();
    let words = match last {
        Some(last) => format!("Now {last:.3}, at least {least:.3}, at most {most:.3}."),
        None => "No values.".to_owned(),
    };
    let mut out = String::new();
    open(&mut out, id, "spark", (WIDTH, HEIGHT), title, &words);
    let _ = write!(
        out,
        "<path class=\"long\" d=\"{}\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"1.5\" \
         stroke-linejoin=\"round\" stroke-linecap=\"round\"/>",
        path(points())
    );
    if let Some(Some((x, y))) = points().next_back() {
        let _ = write!(out, "<circle cx=\"{}\" cy=\"{}\" r=\"2\"/>", px(x), px(y));
    }
    out.push_str("</svg>");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_values_make_a_picture() {
        for values in [&[][..], &[None], &[Some(1.0)], &[Some(f64::NAN), Some(-3.0), None, Some(4.0)]] {
            let svg = sparkline("s", "burn", values);
            assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>") && !svg.contains("NaN"), "{svg}");
        }
    }
}
