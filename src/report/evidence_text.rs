//! An evidence pack, and what a replay of it found, as text.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::model::{Timestamp, float_text};

use super::evidence_json::{CountedReport, EvidenceReport, PackSeriesReport, ReplayReport, ToldAlertReport};

/// Samples of a series that are shown; the JSON has all.
const SHOWN_MAX: usize = 6;

/// Writes a pack for a terminal.
pub fn evidence_text(report: &EvidenceReport) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{} {} at {}", report.kind, report.id, report.at);
    for alert in report.alert.iter().chain(&report.told) {
        fired(&mut out, alert);
    }
    if let Some(episode) = &report.episode {
        let (service, objective) = (&episode.service, &episode.objective);
        let _ = writeln!(out, "{service} {objective}: {} of {} bad from {}", episode.bad, episode.total, episode.start);
    }
    if let (Some(verdict), Some(service)) = (&report.verdict, &report.service) {
        let _ = writeln!(out, "{service} was {verdict}");
    }
    for reason in &report.reasons {
        let _ = writeln!(out, "- {}: {}", reason.verdict, reason.text);
    }
    decided(&mut out, report);
    report.windows.iter().for_each(|window| counted(&mut out, window));
    if !report.claims.is_empty() {
        out.push_str("\nqueries:\n");
    }
    for claim in &report.claims {
        let _ = writeln!(out, "  {} at {}", claim.query, Timestamp(claim.at));
        if claim.elements.is_empty() {
            out.push_str("    nothing\n");
        }
        for (labels, value) in &claim.elements {
            let _ = writeln!(out, "    {value}  {}", label_text(labels));
        }
    }
    let count: usize = report.series.iter().map(|series| series.samples.len()).sum();
    let _ = writeln!(out, "\n{count} samples of {} series:", report.series.len());
    report.series.iter().for_each(|one| series(&mut out, one));
    match &report.short {
        None => out.push_str("\nit can be replayed: the queries give these values on these samples alone\n"),
        Some(reason) => drop(writeln!(out, "\nit cannot be replayed wholly: {reason}")),
    }
    let _ = writeln!(out, "digest {}", report.digest);
    out
}

fn fired(out: &mut String, alert: &ToldAlertReport) {
    let service = alert.labels.get("service").map_or(String::new(), |service| format!(" of {service}"));
    let _ = writeln!(out, "{} {}{service} fired at {}: {}", alert.urgency, alert.name, alert.at, alert.summary);
    let told: Vec<String> = alert.told.iter().map(|told| format!("{} at {}", told.receiver, told.at)).collect();
    let told = if told.is_empty() { "nobody was told".to_owned() } else { format!("told: {}", told.join(", ")) };
    let _ = writeln!(out, "  {told}");
}

fn decided(out: &mut String, report: &EvidenceReport) {
    let by = &report.decided;
    out.push_str("\ndecided:\n");
    if let (Some(position), Some(version)) = (by.log_position, &by.version) {
        let _ = writeln!(out, "  at position {position} of the log, by version {version}");
    }
    if let (Some(value), Some(query)) = (&by.value, &by.query) {
        let _ = writeln!(out, "  with the value {value} of {query}");
    }
    if let (Some(threshold), Some(budget)) = (by.threshold, by.budget) {
        let share = float_text(budget);
        let _ = writeln!(out, "  from a burn rate of {threshold} on, where a share of {share} may be bad");
    }
    let when = if by.recorded { "then" } else { "now; what it was then is not recorded" };
    let _ = writeln!(out, "  configuration {} ({when})", by.configuration);
    if let Some(hash) = &by.definition {
        let _ = writeln!(out, "  definition {hash}");
    }
    for one in &by.definitions {
        let same = by.definition.as_ref().is_none_or(|then| *then == one.hash);
        let _ = writeln!(
            out,
            "  {}:",
            if same { "as it is defined" } else { "as it is defined now, which is other than then" }
        );
        for line in one.text.lines() {
            let _ = writeln!(out, "    {line}");
        }
    }
}

fn counted(out: &mut String, window: &CountedReport) {
    let _ = writeln!(out, "\n{} from {} to {}:", window.of, window.after, window.until);
    if let (Some(bad), Some(total)) = (window.bad, window.total) {
        let _ = writeln!(out, "  counted: {bad} bad of {total}");
    }
    if let Some(counts) = window.of_samples {
        let _ = writeln!(out, "  by its samples: {} bad, {} good, {} in all", counts.bad, counts.good, counts.total);
    }
    if window.agrees == Some(false) {
        out.push_str("  they differ: samples came late, were deleted, or came after a gap\n");
    }
    if let Some(reason) = &window.beyond {
        let _ = writeln!(out, "  samples alone do not tell: {reason}");
    }
}

fn series(out: &mut String, series: &PackSeriesReport) {
    let _ = writeln!(out, "  {}", label_text(&series.labels));
    let more = series.samples.len().saturating_sub(SHOWN_MAX);
    for (n, (t, value, _)) in series.samples.iter().enumerate() {
        if more > 0 && (SHOWN_MAX / 2..SHOWN_MAX / 2 + more).contains(&n) {
            if n == SHOWN_MAX / 2 {
                let _ = writeln!(out, "    … and {more} more");
            }
            continue;
        }
        let presumed = if series.presumed == Some(*t) { "  (presumed: it began behind this)" } else { "" };
        let _ = writeln!(out, "    {value} at {}{presumed}", Timestamp(*t));
    }
}

/// Writes what a replay found for a terminal.
pub fn replay_text(replay: &ReplayReport) -> String {
    let mut out = String::new();
    for sample in &replay.changed {
        let _ = writeln!(out, "changed: the sample {} of {} at {}", sample.value, sample.series, sample.at);
    }
    for found in &replay.contradictions {
        let or_nothing = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        let (claimed, computed) = (or_nothing(&found.claimed), or_nothing(&found.computed));
        let labels = label_text(&found.labels);
        let _ =
            writeln!(out, "differs: {} at {} {labels}: {claimed} claimed, {computed} computed", found.query, found.at);
    }
    if replay.altered {
        out.push_str("altered: something else than a sample is not what it was when the pack was made\n");
    }
    if let Some(reason) = &replay.short {
        let _ = writeln!(out, "not wholly: {reason}");
    }
    let word = if replay.same { "the same, bit for bit" } else { "not the same" };
    let _ = writeln!(out, "{}: {} values computed from its samples: {word}", replay.id, replay.computed);
    out
}

/// Labels as they are written in queries.
fn label_text(labels: &BTreeMap<String, String>) -> String {
    let name = labels.get("__name__").map_or("", String::as_str);
    let rest = labels.iter().filter(|(name, _)| *name != "__name__");
    let rest: Vec<String> = rest.map(|(name, value)| format!("{name}={value:?}")).collect();
    if rest.is_empty() && !name.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", rest.join(", ")) }
}
