//! What an objective says, in lines for people: what it counts, who hears of it, what its traffic can carry.

use crate::model::Millis;
use crate::slo::{BurnPair, Method, Objective, Severity};

use super::words::{number, percent};

/// Fewer bad events than this in a whole window are a budget that chance spends.
const BUDGET_EVENTS_MIN: f64 = 10.0;

/// What an objective says, each line indented, the first with its name.
pub fn objective_text(objective: &Objective) -> String {
    let units = objective.units();
    let window = match &objective.calendar {
        None => format!("any {}", objective.window),
        Some(calendar) => format!("each {calendar}"),
    };
    let mut text = format!(
        "  {}/{}: {} of the {units} of {window} are good\n",
        objective.service,
        objective.name,
        percent(objective.objective),
    );
    if objective.indicator.parts().is_empty() {
        let bad = if objective.method == Method::Occurrences { "events" } else { "slices" };
        text.push_str(&format!("    bad {bad}: {}\n", objective.error_query(objective.window)));
    }
    for part in objective.indicator.parts() {
        text.push_str(&format!("    part: {}/{}, weight {}\n", part.service, part.name, number(part.weight)));
    }
    if let Method::Timeslices { target, .. } = objective.method {
        text.push_str(&format!("    a slice is good if {} of its events are\n", percent(target)));
    }
    for adjustment in &objective.adjustments {
        text.push_str(&format!("    does not count: {}, {}\n", adjustment.name, adjustment.schedule));
    }
    if !objective.group_by.is_empty() {
        text.push_str(&format!(
            "    groups: a budget for each {} as well, of at most {} of them\n",
            objective.group_by.join(", "),
            objective.groups_max
        ));
    }
    let standard = BurnPair::standard(objective.window);
    let pairs = objective.pairs.as_deref().unwrap_or(&standard);
    for (severity, word) in [(Severity::Page, "pages"), (Severity::Ticket, "tickets")] {
        let of: Vec<String> = pairs
            .iter()
            .filter(|pair| pair.severity == severity && pair.threshold < 1.0 / objective.budget())
            .map(|pair| format!("{}x over {} and {}", number(pair.threshold), pair.long, pair.short))
            .collect();
        let of = if of.is_empty() { "none".to_owned() } else { of.join(", ") };
        text.push_str(&format!("    {word}: {of}\n"));
    }
    text
}

/// What so many events a window mean for an objective, as a warning if they are too few.
pub fn traffic_text(objective: &Objective, events: f64) -> String {
    let (budget, per) = (events * objective.budget(), objective.window);
    if events <= 0.0 {
        return format!("    WARNING: no events were counted; over {per} nothing would be measured\n");
    }
    // Slices of time come whatever the traffic is.
    let units = objective.units();
    let (events, budget) = match objective.method.width() {
        None => (events, budget),
        Some(width) => {
            let slices = per.0 as f64 / width.0 as f64;
            (slices, slices * objective.budget())
        }
    };
    let facts = format!("{} {units} in {per}, of which {} may be bad", number(events), number(budget));
    if budget < BUDGET_EVENTS_MIN {
        let window = Millis((per.0 as f64 * BUDGET_EVENTS_MIN / budget).min(1e15) as i64);
        let share = 1.0 - BUDGET_EVENTS_MIN / events;
        let lower = match share > 0.0 {
            true => format!("an objective of {} or ", percent((share * 1e4).floor() / 1e4)),
            false => String::new(),
        };
        return format!(
            "    WARNING: {facts}: chance alone spends such a budget; {lower}a window of {} would carry it\n",
            Millis((window.0 + 86_399_999) / 86_400_000 * 86_400_000)
        );
    }
    format!("    traffic: {facts}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Matcher;
    use crate::slo::Indicator;

    fn objective(share: f64) -> Objective {
        let of = |name| vec![Matcher::equal("__name__", name)].into();
        let indicator = Indicator::ErrorRatio { errors: of("errors"), total: of("requests") };
        Objective::new("shop", "availability", share, Millis::days(30), indicator)
    }

    #[test]
    fn an_objective_is_told_in_words() {
        assert_eq!(
            objective_text(&objective(0.9)),
            "  shop/availability: 90 % of the events of any 30d are good\n    \
             bad events: sum(increase(errors[30d])) / sum(increase(requests[30d]))\n    \
             pages: 6x over 6h and 30m\n    \
             tickets: 3x over 1d and 2h, 1x over 3d and 6h\n"
        );
    }

    #[test]
    fn too_little_traffic_is_told_with_what_would_do() {
        let check = |share, events, expected: &str| assert_eq!(traffic_text(&objective(share), events), expected);
        check(0.999, 5e6, "    traffic: 5000000 events in 30d, of which 5000 may be bad\n");
        check(
            0.999,
            1000.0,
            "    WARNING: 1000 events in 30d, of which 1 may be bad: chance alone spends such a budget; an objective of \
             99 % or a window of 300d would carry it\n",
        );
        check(
            0.999,
            5.0,
            "    WARNING: 5 events in 30d, of which 0.005 may be bad: chance alone spends such a budget; a window of \
             60000d would carry it\n",
        );
        let mut sliced = objective(0.99);
        sliced.method = Method::RatioTimeslices { width: Millis::minutes(1) };
        assert_eq!(traffic_text(&sliced, 5.0), "    traffic: 43200 slices of 1m in 30d, of which 432 may be bad\n");
        check(0.999, 0.0, "    WARNING: no events were counted; over 30d nothing would be measured\n");
    }
}
