//! Blindness as alerts: somebody is told when nothing is seen any more.
//!
//! Invariants:
//! - What is blind for a moment tells nobody, and what sees again for a moment ends nothing, neither an alert nor the
//!   waiting for one.
//! - There is one alert for each service, or for everything, and each urgency, however many reasons there are.
//! - What has an alert of its own has none here.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Alert, AlertState, Labels, Millis, Timestamp, TransitionKind, limits};
use crate::slo::Severity;

use super::judgement::Reason;
use super::verdict::Verdict;

/// The name of the alerts.
const NAME: &str = "Blind";
/// So many reasons stand in an alert's text.
const REASONS_TOLD_MAX: usize = 5;

/// What is blind, since when, and who was told of it.
#[derive(Debug, Default)]
pub struct Blindness {
    lasting: BTreeMap<ReasonKey, Lasting>,
    told: BTreeMap<Labels, Told>,
}

/// A reason by service, code and subject.
type ReasonKey = (Option<String>, String, String);

/// A reason that was there at the last look, or shortly before.
#[derive(Debug)]
struct Lasting {
    since: Timestamp,
    /// Since when it has not been seen.
    gone_since: Option<Timestamp>,
}

#[derive(Debug)]
struct Told {
    alert: Alert,
    /// Since when none of its reasons has been seen.
    sees_since: Option<Timestamp>,
}

impl Blindness {
    /// Goes on with the alerts that receivers hold for firing, of whatever kind.
    pub fn resume(firing: impl IntoIterator<Item = Alert>) -> Blindness {
        let own = firing.into_iter().filter(is_own);
        let told = own.map(|alert| (alert.labels.clone(), Told { alert, sees_since: None }));
        Blindness { lasting: BTreeMap::new(), told: told.collect() }
    }

    /// The alerts that fire.
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.told.values().map(|told| &told.alert)
    }

    /// Looks at everything that argues against OK at an instant; gives the alerts that fire or end with it.
    pub fn observe(&mut self, now: Timestamp, reasons: &[Reason]) -> Vec<(TransitionKind, Alert)> {
        let is_over = |since: Timestamp| now - since >= limits::BLIND_ENDS_AFTER;
        let mut there = BTreeSet::new();
        let mut lasting: BTreeMap<(Option<&str>, &str), Vec<&Reason>> = BTreeMap::new();
        let mut seen: Vec<(Option<&str>, &str)> = Vec::new();
        for reason in reasons.iter().filter(|reason| reason.verdict == Verdict::Blind) {
            let Some(severity) = severity(&reason.code) else { continue };
            let key = (reason.service.clone(), reason.code.clone(), reason.subject.clone());
            let own = self.lasting.entry(key.clone()).or_insert(Lasting { since: now, gone_since: None });
            let is_new = own.gone_since.take().is_some_and(is_over);
            own.since = if is_new { now } else { own.since.min(now) };
            let since = own.since;
            there.insert(key);
            let place = (reason.service.as_deref(), severity.as_str());
            seen.push(place);
            if now - since >= patience(severity) {
                lasting.entry(place).or_default().push(reason);
            }
        }
        self.lasting.retain(|key, own| there.contains(key) || !is_over(*own.gone_since.get_or_insert(now)));
        let mut changes = Vec::new();
        for ((service, severity), reasons) in lasting {
            let Some(labels) = labels(service, severity).filter(|labels| !self.told.contains_key(labels)) else {
                continue;
            };
            let alert = alert(labels.clone(), service, &reasons, now);
            changes.push((TransitionKind::Firing, alert.clone()));
            self.told.insert(labels, Told { alert, sees_since: None });
        }
        let blind: Vec<Labels> = seen.into_iter().filter_map(|(service, severity)| labels(service, severity)).collect();
        self.told.retain(|labels, told| {
            if blind.contains(labels) {
                told.sees_since = None;
                return true;
            }
            let ends = is_over(*told.sees_since.get_or_insert(now));
            if ends {
                let alert = Alert { state: AlertState::Resolved, resolved_at: Some(now), ..told.alert.clone() };
                changes.push((TransitionKind::Resolved, alert));
            }
            !ends
        });
        changes
    }
}

fn is_own(alert: &Alert) -> bool {
    alert.labels.get("alertname") == NAME && alert.expr.starts_with("evenkeel_verdict")
}

/// Who is told of a reason to be blind; nobody if something else tells of it, or nobody was promised anything.
fn severity(code: &str) -> Option<Severity> {
    match code {
        // Nothing was promised; what is overdue says so by itself; the objective has an alert for it.
        "no-objective" | "no-input-since-start" | "traffic-vanished" => None,
        // What was seen is not any more, or what is seen reaches nobody.
        "input-stopped" | "receiver-failing" | "storage-read-only" | "storage-poisoned" | "decisions-late"
        | "clock-behind" => Some(Severity::Page),
        _ => Some(Severity::Ticket),
    }
}

/// How long a reason must last.
fn patience(severity: Severity) -> Millis {
    match severity {
        Severity::Page => limits::BLIND_PAGES_AFTER,
        Severity::Ticket => limits::BLIND_TICKETS_AFTER,
    }
}

fn labels(service: Option<&str>, severity: &str) -> Option<Labels> {
    let service = service.map(|service| ("service", service));
    Labels::new([("alertname", NAME), ("severity", severity)].into_iter().chain(service)).ok()
}

fn alert(labels: Labels, service: Option<&str>, reasons: &[&Reason], now: Timestamp) -> Alert {
    let texts: Vec<&str> = reasons.iter().take(REASONS_TOLD_MAX).map(|reason| reason.text.as_str()).collect();
    let first = texts.first().copied().unwrap_or_default();
    let summary = match service {
        Some(service) => format!("nobody sees how {service} is: {first}"),
        None => format!("what is said of customers cannot be relied on: {first}"),
    };
    let more = reasons.len().saturating_sub(REASONS_TOLD_MAX);
    let others = if more > 0 { format!("\nand {more} more") } else { String::new() };
    let description = format!("{}{others}", texts.join("\n"));
    let annotations = Labels::new([("summary", &*summary), ("description", &*description)]);
    let expr = match service {
        Some(service) => format!("evenkeel_verdict{{service={service:?}}} == {}", Verdict::Blind.exit_code()),
        None => format!("evenkeel_verdict_overall == {}", Verdict::Blind.exit_code()),
    };
    Alert {
        labels,
        annotations: annotations.unwrap_or_else(|_| Labels::empty()),
        state: AlertState::Firing,
        value: f64::from(Verdict::Blind.exit_code()),
        active_at: reasons.iter().map(|reason| reason.since).min().unwrap_or(now),
        fired_at: Some(now),
        resolved_at: None,
        keep_firing_since: None,
        expr,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(service: Option<&str>, code: &str, subject: &str, text: &str) -> Reason {
        Reason {
            verdict: Verdict::Blind,
            service: service.map(str::to_owned),
            code: code.to_owned(),
            subject: subject.to_owned(),
            text: text.to_owned(),
            since: Timestamp(0),
            query: None,
            evidence: Vec::new(),
        }
    }

    fn minutes(n: i64) -> Timestamp {
        Timestamp(n * 60_000)
    }

    /// What changed, as `Firing shop page`.
    fn told(changes: &[(TransitionKind, Alert)]) -> Vec<String> {
        let text = |(kind, alert): &(TransitionKind, Alert)| {
            let labels = &alert.labels;
            format!("{kind:?} {} {}", labels.get("service"), labels.get("severity"))
        };
        changes.iter().map(text).collect()
    }

    #[test]
    fn somebody_is_told_once_of_what_lasts_and_once_of_its_end() {
        let mut blindness = Blindness::default();
        let stopped = reason(Some("shop"), "input-stopped", "a", "a: no sample for 3m");
        let other = reason(Some("shop"), "input-stopped", "b", "b: no sample for 3m");
        assert_eq!(told(&blindness.observe(minutes(0), std::slice::from_ref(&stopped))), [""; 0]);
        assert_eq!(told(&blindness.observe(minutes(1), &[])), [""; 0], "a moment");
        assert_eq!(told(&blindness.observe(minutes(2), std::slice::from_ref(&stopped))), [""; 0]);
        let fired = blindness.observe(minutes(4), &[stopped.clone(), other.clone()]);
        assert_eq!(told(&fired), ["Firing shop page"]);
        assert_eq!(fired[0].1.annotations.get("summary"), "nobody sees how shop is: a: no sample for 3m");
        assert_eq!(fired[0].1.expr, "evenkeel_verdict{service=\"shop\"} == 3");
        assert_eq!(
            told(&blindness.observe(minutes(9), std::slice::from_ref(&other))),
            [""; 0],
            "it goes on for another reason"
        );
        assert_eq!(told(&blindness.observe(Timestamp(9 * 60_000 + 2000), &[])), [""; 0]);
        assert_eq!(told(&blindness.observe(Timestamp(9 * 60_000 + 4000), &[other])), [""; 0], "it saw for a moment");
        assert_eq!(told(&blindness.observe(minutes(10), &[])), [""; 0]);
        assert_eq!(told(&blindness.observe(minutes(11), &[])), ["Resolved shop page"]);
        assert_eq!(blindness.alerts().count(), 0);
    }

    #[test]
    fn an_input_that_comes_for_a_moment_now_and_then_is_told_of_all_the_same() {
        let stopped = reason(Some("shop"), "input-stopped", "a", "a: no sample for 50s");
        let mut blindness = Blindness::default();
        let fired = (0..30).flat_map(|look| {
            let reasons = if look % 8 == 7 { &[][..] } else { std::slice::from_ref(&stopped) };
            blindness.observe(Timestamp(look * 10_000), reasons)
        });
        assert_eq!(told(&fired.collect::<Vec<_>>()), ["Firing shop page"]);
        assert!(blindness.lasting.len() == 1 && told(&blindness.observe(minutes(6), &[])).is_empty());
        assert_eq!(told(&blindness.observe(minutes(7), &[])), ["Resolved shop page"]);
        assert!(blindness.lasting.is_empty(), "what is over is forgotten");
    }

    #[test]
    fn what_was_never_seen_is_for_working_hours_and_what_was_never_promised_for_nobody() {
        let mut blindness = Blindness::default();
        let reasons = [
            reason(Some("shop"), "no-series", "a", "no series"),
            reason(None, "storage-read-only", "", "no space"),
            reason(None, "no-objective", "", "none"),
            reason(Some("shop"), "no-input-since-start", "b", "none yet"),
            reason(Some("shop"), "traffic-vanished", "c", "gone"),
            Reason { verdict: Verdict::AtRisk, ..reason(None, "input-stopped", "d", "not blind") },
        ];
        assert_eq!(told(&blindness.observe(minutes(0), &reasons)), [""; 0]);
        assert_eq!(told(&blindness.observe(minutes(5), &reasons)), ["Firing  page"]);
        assert_eq!(told(&blindness.observe(minutes(15), &reasons)), ["Firing shop ticket"]);
        assert_eq!(told(&blindness.observe(minutes(60), &reasons)), [""; 0]);
    }

    #[test]
    fn a_restart_repeats_nothing_and_loses_no_end() {
        let stopped = reason(Some("shop"), "input-stopped", "a", "a: no sample for 3m");
        let mut before = Blindness::default();
        before.observe(minutes(0), std::slice::from_ref(&stopped));
        let fired = before.observe(minutes(5), std::slice::from_ref(&stopped));
        let theirs = Alert { expr: "absent(up)".to_owned(), ..fired[0].1.clone() };
        assert_eq!(Blindness::resume([theirs]).alerts().count(), 0, "a rule may have the same name");
        let resume = || Blindness::resume(fired.iter().map(|(_, alert)| alert.clone()));
        let mut after = resume();
        assert_eq!(told(&after.observe(minutes(6), std::slice::from_ref(&stopped))), [""; 0]);
        assert_eq!(told(&after.observe(minutes(20), &[stopped])), [""; 0]);
        let mut after = resume();
        assert_eq!(told(&after.observe(minutes(6), &[])), [""; 0]);
        assert_eq!(told(&after.observe(minutes(7), &[])), ["Resolved shop page"]);
    }
}
