//! Numbers and instants as charts write them.

use crate::model::Timestamp;

/// A value of an axis whose ticks are `step` apart and go up to `most`: a unit for large ones, as many decimals as
/// tell the ticks apart.
pub(super) fn axis_text(value: f64, step: f64, most: f64) -> String {
    let units = [("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e4)];
    if value == 0.0 {
        return "0".to_owned();
    }
    if most >= 1e18 || step < 1e-6 {
        return format!("{value:.1e}");
    }
    let (unit, size) = units.into_iter().find(|(_, from)| most >= *from).unwrap_or(("", 1.0));
    let size = if unit == "k" { 1e3 } else { size };
    let decimals = (-(step / size).log10() - 1e-9).ceil().clamp(0.0, 9.0) as usize;
    let text = format!("{:.decimals$}", value / size);
    let space = if unit.is_empty() { "" } else { " " };
    format!("{}{space}{unit}", text.replace('-', "−"))
}

/// A number without the digits that only binary fractions bring.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A share as a percentage.
pub(super) fn percent(share: f64) -> String {
    format!("{} %", number(share * 100.0))
}

/// `09:04:05`, in UTC.
pub(super) fn clock(t: Timestamp) -> String {
    t.to_string().get(11..19).unwrap_or_default().to_owned()
}

/// `2026-11-29 09:04`, of an instant as JSON has it.
pub(super) fn minute(instant: &str) -> String {
    instant.get(..16).unwrap_or(instant).replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_differ_from_their_neighbours() {
        let check = |value: f64, step: f64, most: f64, text: &str| assert_eq!(axis_text(value, step, most), text);
        check(0.5, 0.5, 1.0, "0.5");
        check(0.0, 0.5, 1.0, "0");
        check(15.0, 5.0, 15.0, "15");
        check(-0.02, 0.01, 0.1, "−0.02");
        check(20_000.0, 5000.0, 20_000.0, "20 k");
        check(1.25e9, 5e7, 1.3e9, "1.25 G");
        check(1e-9, 1e-9, 3e-9, "1.0e-9");
    }
}
