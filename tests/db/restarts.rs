//! A part of a scripted day with restarts, as `tools/rule_restarts` lives through it at length.

use super::day;

#[test]
fn a_day_with_restarts_is_a_day_without() {
    let events = day::script(7, 160);
    let (twin, disturbed) = (day::live(&events, 0, 7), day::live(&events, 40, 7));
    assert!(twin.told.len() > 40 && twin.series.len() > 20, "{} {}", twin.told.len(), twin.series.len());
    assert_eq!(day::difference(&disturbed, &twin), None);
}
