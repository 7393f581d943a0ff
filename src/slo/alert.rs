//! A firing burn pair as an alert, with its texts.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use crate::model::{
    Alert, AlertState, Labels, LabelsError, Millis, Seq, Timestamp, Transition, TransitionId, TransitionKind,
};

use super::burn::{Companion, Missed};
use super::history::Counts;
use super::objective::Objective;
use super::pair::{BurnPair, Severity};
use super::severity::{AlertSeverity, Told};

/// The `alertname` of a burn alert whose objective names none.
const ALERT_NAME: &str = "ErrorBudgetBurn";

/// The labels of a pair's alert that is told as `severity`.
pub(super) fn labels(objective: &Objective, pair: &BurnPair, severity: AlertSeverity) -> Result<Labels, LabelsError> {
    let mut labels = objective.labels.builder();
    let own = match severity {
        AlertSeverity::Page => Some(&objective.page_labels),
        AlertSeverity::Ticket => Some(&objective.ticket_labels),
        AlertSeverity::Log => None,
    };
    for label in own.into_iter().flat_map(Labels::iter) {
        labels.set(label.name, label.value);
    }
    if labels.get("severity").is_empty() {
        labels.set("severity", severity.as_str());
    }
    if labels.get("alertname").is_empty() {
        labels.set("alertname", ALERT_NAME);
    }
    labels.set("service", &objective.service).set("slo", &objective.name).set("window", &pair.long.to_string());
    labels.build()
}

/// What a pair was found to burn when it began to fire.
#[derive(Debug, Clone, Copy)]
pub(super) struct BurnSeen {
    pub(super) pair: BurnPair,
    /// The counts of its long window.
    pub(super) long: Counts,
    /// Those of its short one.
    pub(super) short: Counts,
    /// Bad events in the long window that are reason enough, whatever their share.
    pub(super) enough: f64,
    /// Groups of the objective that burn.
    pub(super) groups: usize,
}

impl BurnSeen {
    /// How fast the long window burned.
    fn burn(&self, objective: &Objective) -> f64 {
        self.long.ratio().unwrap_or(0.0) / objective.budget()
    }

    /// What the alert is told as.
    pub(super) fn told<'o>(&self, objective: &'o Objective) -> Told<'o> {
        objective.told_as(&self.pair, self.burn(objective), self.groups)
    }
}

/// The texts of a pair that fires.
fn annotations(objective: &Objective, seen: &BurnSeen) -> Labels {
    let BurnSeen { pair, long, short, .. } = *seen;
    let burn = |counts: Counts| counts.ratio().unwrap_or(0.0) / objective.budget();
    let lasts = Millis((objective.window.0 as f64 / burn(long).max(f64::MIN_POSITIVE)).min(1e15) as i64);
    let spent = pair.came_for(seen.burn(objective), objective.window);
    let spent = spent.map_or(String::new(), |share| format!(" or {} of the budget", percent(share)));
    let summary = format!(
        "{} {} burns its {} {} times too fast over {} and {} times over {} ({} from {}{spent}){}",
        objective.service,
        objective.title(),
        objective.budget_text(),
        factor(burn(long)),
        pair.long,
        factor(burn(short)),
        pair.short,
        pair.severity.as_str(),
        factor(pair.threshold),
        seen.told(objective),
    );
    let description = format!(
        "{} of {} {} were bad in the last {}, {} of {} in the last {}; {} of them may be. At this rate a whole \
         budget lasts {}.",
        count(long.bad),
        count(long.total),
        objective.units(),
        pair.long,
        count(short.bad),
        count(short.total),
        pair.short,
        percent(objective.budget()),
        coarse(lasts),
    );
    let mut texts = Labels::empty().builder();
    texts.set("summary", &summary).set("description", &description);
    for label in objective.annotations.iter() {
        texts.set(label.name, label.value);
    }
    // The texts are ours and short; user annotations were checked when they became labels.
    texts.build().unwrap_or_else(|_| objective.annotations.clone())
}

/// The expression that a firing pair stands for.
fn expr(objective: &Objective, seen: &BurnSeen) -> String {
    let BurnSeen { pair, long, enough, .. } = seen;
    let share = pair.threshold * objective.budget();
    let of_long = match pair.came_for(seen.burn(objective), objective.window) {
        None => share,
        Some(_) => enough / long.total,
    };
    format!(
        "({}) > {} and ({}) > {}",
        objective.error_query(pair.long),
        trimmed(of_long),
        objective.error_query(pair.short),
        trimmed(share)
    )
}

/// The alert of a pair that begins to fire. It keeps the texts of that moment: what was known when a person was told.
pub(super) fn firing(objective: &Objective, seen: &BurnSeen, at: Timestamp) -> Alert {
    Alert {
        // Checked when the objective was taken.
        labels: labels(objective, &seen.pair, seen.told(objective).severity).unwrap_or_else(|_| Labels::empty()),
        annotations: annotations(objective, seen),
        state: AlertState::Firing,
        value: seen.burn(objective),
        active_at: at,
        fired_at: Some(at),
        resolved_at: None,
        keep_firing_since: None,
        expr: expr(objective, seen),
    }
}

/// The alert that takes the place of one that is told as something less urgent than what it sees now; absent if it is not.
pub(super) fn raised(objective: &Objective, before: &Alert, seen: &BurnSeen, at: Timestamp) -> Option<Alert> {
    let told = objective.told_by(&seen.pair, &before.labels)?;
    let now = firing(objective, seen, at);
    let more = seen.told(objective).severity < told && now.labels != before.labels;
    more.then_some(now)
}

/// The alert of a companion that begins to fire: what it saw, and over which span.
pub(super) fn companion(
    objective: &Objective,
    companion: Companion,
    at: Timestamp,
    value: f64,
    summary: &str,
    span: Millis,
) -> Alert {
    let mut labels = objective.labels.builder();
    for label in objective.ticket_labels.iter() {
        labels.set(label.name, label.value);
    }
    if labels.get("severity").is_empty() {
        labels.set("severity", Severity::Ticket.as_str());
    }
    labels.set("alertname", companion.alert_name()).set("service", &objective.service).set("slo", &objective.name);
    let mut texts = Labels::empty().builder();
    texts.set("summary", summary);
    for label in objective.annotations.iter() {
        texts.set(label.name, label.value);
    }
    let expr = match companion {
        Companion::Drain | Companion::Exhausted => {
            format!("({}) > {}", objective.error_query(coarse(span)), trimmed(objective.budget()))
        }
        Companion::Vanished => objective.indicator.total_query(span),
    };
    Alert {
        // Checked when the objective was taken, and shorter than those of a pair.
        labels: labels.build().unwrap_or_else(|_| Labels::empty()),
        annotations: texts.build().unwrap_or_else(|_| objective.annotations.clone()),
        state: AlertState::Firing,
        value,
        active_at: at,
        fired_at: Some(at),
        resolved_at: None,
        keep_firing_since: None,
        expr,
    }
}

/// What a drain tells.
pub(super) fn drain_summary(objective: &Objective, burn: f64, counts: Counts, span: Millis) -> String {
    format!(
        "{} {} spends its {} {} times too fast since {}: {} of {} {} were bad, {} of them may be",
        objective.service,
        objective.title(),
        objective.budget_text(),
        factor(burn),
        coarse(span),
        count(counts.bad),
        count(counts.total),
        objective.units(),
        percent(objective.budget()),
    )
}

/// What an exhausted budget tells at `at`, from what its window holds up to then.
pub(super) fn exhausted_summary(objective: &Objective, at: Timestamp, all: Counts) -> String {
    let span = match &objective.calendar {
        None => format!("of the last {}", objective.window),
        Some(calendar) => format!("since {}", calendar.begin_text(at)),
    };
    format!(
        "{} {} has spent its {}: {} of {} {} {span} were bad, {} of them may be",
        objective.service,
        objective.title(),
        objective.budget_text(),
        count(all.bad),
        count(all.total),
        objective.units(),
        percent(objective.budget()),
    )
}

/// What vanished traffic tells.
pub(super) fn vanished_summary(objective: &Objective, missed: Missed) -> String {
    format!(
        "{} {}: {} {} came in the last {}, where this hour of the week brings {}",
        objective.service,
        objective.title(),
        count(missed.came),
        objective.units(),
        missed.span,
        count(missed.expected.round()),
    )
}

/// The same alert after it stopped.
pub(super) fn resolved(alert: Alert, at: Timestamp) -> Alert {
    Alert { state: AlertState::Resolved, resolved_at: Some(at), ..alert }
}

/// A change of a pair's alert, with an identity that a replay repeats.
pub(super) fn transition(seq: Seq, at: Timestamp, kind: TransitionKind, alert: Alert) -> Transition {
    // The keys are arbitrary and part of what stays the same for ever.
    let mut hasher = SipHasher13::new_with_keys(0x65_76_65_6e_6b_65_65_6c, 0x73_6c_6f_20_62_75_72_6e);
    hasher.write(alert.labels.as_text().as_bytes());
    hasher.write(match kind {
        TransitionKind::Pending => b"pending",
        TransitionKind::Firing => b"firing",
        TransitionKind::Resolved => b"resolved",
        TransitionKind::Dropped => b"dropped",
    });
    Transition { id: TransitionId { seq, key: hasher.finish() }, kind, at, alert }
}

/// A burn rate with as many digits as mean something: `43`, `6.2`, `0.87`.
fn factor(value: f64) -> String {
    if value >= 99.5 {
        format!("{value:.0}")
    } else if value >= 9.95 {
        trimmed((value * 10.0).round() / 10.0)
    } else {
        trimmed((value * 100.0).round() / 100.0)
    }
}

fn count(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

fn percent(share: f64) -> String {
    format!("{} %", trimmed(share * 100.0))
}

/// A number without the digits that only binary fractions bring.
fn trimmed(value: f64) -> String {
    let text = format!("{value:.10}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A span in its two largest units at most.
fn coarse(span: Millis) -> Millis {
    let unit = match span.0 {
        ms if ms >= 86_400_000 => 3_600_000,
        ms if ms >= 3_600_000 => 60_000,
        ms if ms >= 1000 => 1000,
        _ => 1,
    };
    Millis(span.0 / unit * unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Matcher;
    use crate::slo::{Calendar, CalendarUnit, Indicator, Method};

    fn objective() -> Objective {
        let of = |name: &str| vec![Matcher::equal("__name__", name)].into();
        let indicator = Indicator::ErrorRatio { errors: of("errors"), total: of("requests") };
        Objective::new("shop", "availability", 0.99, Millis::days(30), indicator)
    }

    /// In months of Berlin and minutes that may be bad.
    fn monthly() -> Objective {
        let mut objective = objective();
        objective.calendar = Calendar::new(CalendarUnit::Month, 1, "Europe/Berlin", None).ok();
        objective.method = Method::Timeslices { width: Millis::minutes(1), target: 0.95 };
        objective
    }

    fn of_a_route() -> Objective {
        let mut objective = objective();
        objective.group_by = vec!["route".to_owned()];
        objective.of_group(&Labels::new([("route", "/pay")]).unwrap())
    }

    #[test]
    fn companions_name_the_group_the_window_and_what_is_counted() {
        let at = Timestamp::parse_rfc3339("2026-11-10T12:00:00Z").unwrap();
        let counts = Counts { bad: 12.0, total: 400.0 };
        let missed = Missed { span: Millis::hours(1), came: 0.0, expected: 60.0 };
        let check = |objective: Objective, expected: [&str; 3]| {
            let told = [
                drain_summary(&objective, 3.0, counts, Millis::hours(14)),
                exhausted_summary(&objective, at, counts),
                vanished_summary(&objective, missed),
            ];
            assert_eq!(told, expected);
        };
        check(
            of_a_route(),
            [
                "shop availability{route=\"/pay\"} spends its 30d error budget 3 times too fast since 14h: 12 of 400 \
                 events were bad, 1 % of them may be",
                "shop availability{route=\"/pay\"} has spent its 30d error budget: 12 of 400 events of the last 30d \
                 were bad, 1 % of them may be",
                "shop availability{route=\"/pay\"}: 0 events came in the last 1h, where this hour of the week brings 60",
            ],
        );
        check(
            monthly(),
            [
                "shop availability spends its error budget of the month in Europe/Berlin 3 times too fast since 14h: 12 \
                 of 400 slices of 1m were bad, 1 % of them may be",
                "shop availability has spent its error budget of the month in Europe/Berlin: 12 of 400 slices of 1m \
                 since 2026-11-01 were bad, 1 % of them may be",
                "shop availability: 0 slices of 1m came in the last 1h, where this hour of the week brings 60",
            ],
        );
    }

    #[test]
    fn the_query_of_a_companion_counts_what_the_budget_is_made_of() {
        let expr =
            |objective: &Objective, which| companion(objective, which, Timestamp(0), 1.0, "", Millis::hours(1)).expr;
        let slices =
            "(avg_over_time(((sum(increase(errors[1m])) / sum(increase(requests[1m]))) > bool 0.05)[1h:1m])) > 0.01";
        assert_eq!(expr(&monthly(), Companion::Drain), slices);
        assert_eq!(expr(&monthly(), Companion::Exhausted), slices);
        assert_eq!(expr(&monthly(), Companion::Vanished), "sum(increase(requests[1h]))");
    }

    #[test]
    fn a_page_that_the_budget_gave_reason_for_says_so() {
        let pair = BurnPair::standard(Millis::days(30))[0];
        let short = Counts { bad: 50.0, total: 200.0 };
        let told = |bad: f64| {
            let long = Counts { bad, total: 2000.0 };
            let alert = firing(&objective(), &BurnSeen { pair, long, short, enough: 144.0, groups: 0 }, Timestamp(0));
            (alert.annotations.get("summary").to_owned(), alert.expr)
        };
        let (summary, expr) = told(300.0);
        assert!(summary.ends_with("15 times too fast over 1h and 25 times over 5m (page from 14.4)"), "{summary}");
        assert!(expr.contains("> 0.144 and"), "{expr}");
        let (summary, expr) = told(150.0);
        let ends = "7.5 times too fast over 1h and 25 times over 5m (page from 14.4 or 2 % of the budget)";
        assert!(summary.ends_with(ends), "{summary}");
        assert!(expr.contains("> 0.072 and") && expr.ends_with("> 0.144"), "{expr}");
    }
}
