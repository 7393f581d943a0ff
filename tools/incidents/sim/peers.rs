//! The rules that Sloth and Pyrra generate for an objective, evaluated every 30 seconds.

use std::error::Error;
use std::fmt::Write;

use evenkeel::backtest::{Backtest, ComputeAhead, spans};
use evenkeel::config::parse_rules;
use evenkeel::model::{Millis, TimeRange};
use evenkeel::rules::{EvaluationMode, RuleContext, RuleGroup};

use super::samples::Samples;
use super::service::{Promise, Service, WINDOW};
use super::{Fired, START, Urgency};

/// Whose rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Sloth,
    Pyrra,
}

/// The rules of a peer for a service. Those that show budgets and decide nothing are left out.
pub(crate) fn rules(peer: Peer, service: &Service) -> Result<Vec<RuleGroup>, Box<dyn Error>> {
    let text = match peer {
        Peer::Sloth => sloth(service),
        Peer::Pyrra => pyrra(service),
    };
    let mut groups = parse_rules("rules.yml", &text)?;
    for group in &mut groups {
        group.interval = Millis::seconds(30);
        group.mode = EvaluationMode::Interval;
    }
    Ok(groups)
}

/// What fired.
pub(crate) fn play(peer: Peer, service: &Service, samples: &Samples) -> Result<Vec<Fired>, Box<dyn Error>> {
    let groups = rules(peer, service)?;
    let (source, context) = (samples.source(), RuleContext::default());
    let range = TimeRange { after: START, until: service.end() };
    let ahead = ComputeAhead::default();
    let backtest = Backtest { groups: &groups, context: &context, source: &source, range, workers: None, ahead };
    let played = backtest.run(&|_| ())?;
    let urgency =
        |severity: &str| if matches!(severity, "page" | "critical") { Urgency::Page } else { Urgency::Ticket };
    let fired = spans(&played.transitions, range).into_iter().map(|span| Fired {
        urgency: urgency(span.labels.get("severity")),
        name: format!("{} {}", span.rule(), span.labels.get("long")),
        start: span.start,
        end: span.until(range),
    });
    Ok(fired.collect())
}

fn sloth(service: &Service) -> String {
    let ratio = |window: &str| match service.promise {
        Promise::Answers => {
            format!("(sum(rate(requests_total{{code=~\"5..\"}}[{window}]))) / (sum(rate(requests_total[{window}])))")
        }
        Promise::Latency => format!(
            "(sum(rate(seconds_count[{window}])) - sum(rate(seconds_bucket{{le=\"0.3\"}}[{window}]))) / (sum(rate(seconds_count[{window}])))"
        ),
    };
    let mut text = String::from("groups:\n- name: sloth-slo-sli-recordings-promise\n  rules:\n");
    for window in ["5m", "30m", "1h", "2h", "6h", "1d", "3d"] {
        let _ = writeln!(
            text,
            "  - {{record: 'slo:sli_error:ratio_rate{window}', expr: '{}', labels: {{sloth_window: {window}}}}}",
            ratio(window)
        );
    }
    let budget = format!("(1 - {})", service.objective);
    let pair = |short: &str, long: &str, factor: f64| {
        format!(
            "(max(slo:sli_error:ratio_rate{short} > ({factor} * {budget})) without (sloth_window) and max(slo:sli_error:ratio_rate{long} > ({factor} * {budget})) without (sloth_window))"
        )
    };
    let alert = |severity: &str, quick: String, slow: String| {
        format!(
            "  - {{alert: SlothBurn, expr: '{quick} or {slow}', labels: {{sloth_severity: {severity}, severity: {severity}}}}}\n"
        )
    };
    text.push_str("- name: sloth-slo-alerts-promise\n  rules:\n");
    text.push_str(&alert("page", pair("5m", "1h", 14.4), pair("30m", "6h", 6.0)));
    text.push_str(&alert("ticket", pair("2h", "1d", 3.0), pair("6h", "3d", 1.0)));
    text
}

fn pyrra(service: &Service) -> String {
    let ratio = |window: &str| match service.promise {
        Promise::Answers => {
            format!("sum(rate(requests_total{{code=~\"5..\"}}[{window}])) / sum(rate(requests_total[{window}]))")
        }
        Promise::Latency => format!(
            "(sum(rate(seconds_count[{window}])) - sum(rate(seconds_bucket{{le=\"0.3\"}}[{window}]))) / sum(rate(seconds_count[{window}]))"
        ),
    };
    // Its windows are parts of four weeks, in proportion to the objective's, to the minute.
    let scaled = |minutes: i64| {
        let ms = minutes * 60_000 * WINDOW.0 / Millis::days(28).0;
        Millis::minutes((ms + 30_000) / 60_000)
    };
    let tiers = [
        ("critical", 14, 60, 5, 2),
        ("critical", 7, 360, 30, 15),
        ("warning", 2, 1440, 120, 60),
        ("warning", 1, 5760, 360, 180),
    ];
    let mut text = String::from("groups:\n- name: promise\n  rules:\n");
    let mut windows: Vec<Millis> = tiers.iter().flat_map(|tier| [scaled(tier.2), scaled(tier.3)]).collect();
    windows.sort_unstable();
    windows.dedup();
    for window in windows {
        let _ = writeln!(
            text,
            "  - {{record: 'requests:burnrate{window}', expr: '{}', labels: {{slo: promise}}}}",
            ratio(&window.to_string())
        );
    }
    for (severity, factor, long, short, hold) in tiers {
        let (long, short, hold) = (scaled(long), scaled(short), scaled(hold));
        let _ = writeln!(
            text,
            "  - {{alert: ErrorBudgetBurn, expr: 'requests:burnrate{short}{{slo=\"promise\"}} > ({factor} * (1-{objective})) and requests:burnrate{long}{{slo=\"promise\"}} > ({factor} * (1-{objective}))', for: {hold}, labels: {{severity: {severity}, long: {long}}}}}",
            objective = service.objective,
        );
    }
    text
}
