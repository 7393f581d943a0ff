//! The verdict as text for a terminal: the word, the reasons, the evidence.

use std::fmt::Write;

use crate::model::Millis;

use super::verdict_json::{FactReport, ReasonReport, VerdictReport};

/// Whether the text carries ANSI colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Plain text.
    Never,
    /// The words are coloured, for a terminal.
    Ansi,
}

/// Lines of a verdict in short.
const LINES_MAX: usize = 5;
/// What an OK rests on, in short.
const SHOWN: [&str; 4] = ["measured", "oldest input", "worst burn", "last delivery"];

/// Writes a verdict in at most five lines: the word, then the reasons that decide, or what an OK rests on.
pub fn verdict_lines(report: &VerdictReport, colour: Colour) -> String {
    let mut out = first_line(report, colour);
    let (all, most) = (report.reasons.len(), LINES_MAX - 1);
    if all == 0 {
        let shown = report.evidence.iter().filter(|fact| SHOWN.contains(&fact.name.as_str()));
        table(&mut out, &shown.cloned().collect::<Vec<_>>(), 2);
        return out;
    }
    let shown = if all > most { most - 1 } else { all };
    let width = report.reasons[..shown].iter().map(|reason| reason.verdict.len()).max().unwrap_or(0);
    for reason in &report.reasons[..shown] {
        let word = paint(&format!("{:width$}", reason.verdict), &reason.verdict, colour);
        let text = format!("{}{}", whose(report, reason), reason.text).replace('\n', " ");
        let _ = writeln!(out, "  {word}  {text} (for {})", Millis::seconds(reason.seconds));
    }
    if all > shown {
        let _ = writeln!(out, "  and {} more", all - shown);
    }
    out
}

fn first_line(report: &VerdictReport, colour: Colour) -> String {
    let service = report.service.as_ref().map_or(String::new(), |service| format!("  {service}"));
    format!("{}{service}  {}\n", paint(&report.verdict, &report.verdict, colour), report.at)
}

/// The service of a reason, where it does not go without saying.
fn whose(report: &VerdictReport, reason: &ReasonReport) -> String {
    let whose = reason.service.as_ref().filter(|_| report.service.is_none());
    whose.map_or(String::new(), |service| format!("{service}: "))
}

/// Writes a verdict with all of its evidence: the word comes first on the first line, so that a script can read it too.
pub fn verdict_text(report: &VerdictReport, colour: Colour) -> String {
    let mut out = first_line(report, colour);
    // The verdict column is as wide as the widest word that is there.
    let width = report.reasons.iter().map(|reason| reason.verdict.len()).max().unwrap_or(0);
    for reason in &report.reasons {
        let word = paint(&format!("{:width$}", reason.verdict), &reason.verdict, colour);
        let _ = writeln!(out, "\n{word}  {}{}", whose(report, reason), reason.text);
        let held = Millis::seconds(reason.seconds);
        let mut facts = vec![FactReport { name: "since".to_owned(), value: format!("{} ({held})", reason.since) }];
        facts.extend(reason.evidence.iter().cloned());
        facts.extend(reason.query.iter().map(|query| FactReport { name: "query".to_owned(), value: query.clone() }));
        table(&mut out, &facts, width + 2);
    }
    if report.services.len() > 1 {
        out.push('\n');
        let names = report.services.iter().map(|service| service.service.chars().count()).max().unwrap_or(0);
        for service in &report.services {
            let word = paint(&service.verdict, &service.verdict, colour);
            let _ = writeln!(out, "{:names$}  {word}", service.service);
        }
    }
    out.push('\n');
    table(&mut out, &report.evidence, 0);
    if let Some(id) = &report.evidence_id {
        let _ = writeln!(out, "evidence pack: evenkeel evidence '{id}'");
    }
    out
}

/// Writes a verdict as a Nagios plugin does: a line, and how many services have which word.
pub fn nagios_text(report: &VerdictReport) -> String {
    let nagios = match report.verdict.as_str() {
        "OK" => "OK",
        "AT_RISK" => "WARNING",
        "HURTING" => "CRITICAL",
        _ => "UNKNOWN",
    };
    let what = match (report.reasons.first(), report.reasons.len()) {
        (None, _) => report.evidence.first().map_or(String::new(), |fact| format!("{} {}", fact.name, fact.value)),
        (Some(first), n) => {
            let whose = first.service.as_ref().map_or(String::new(), |service| format!("{service}: "));
            let more = if n > 1 { format!(" (and {} more)", n - 1) } else { String::new() };
            format!("{whose}{}{more}", first.text)
        }
    };
    // A bar would begin the performance data.
    let what = what.replace('|', "/").replace('\n', " ");
    let count = |word: &str| report.services.iter().filter(|service| service.verdict == word).count();
    let data = ["OK", "AT_RISK", "HURTING", "BLIND"].map(|word| format!("{}={}", word.to_lowercase(), count(word)));
    let data = if report.service.is_some() { String::new() } else { format!(" | {}", data.join(" ")) };
    format!("{nagios} - {}: {what}{data}", report.verdict)
}

fn table(out: &mut String, facts: &[FactReport], indent: usize) {
    let width = facts.iter().map(|fact| fact.name.chars().count()).max().unwrap_or(0);
    for fact in facts {
        let _ = writeln!(out, "{:indent$}{:width$}  {}", "", fact.name, fact.value);
    }
}

fn paint(text: &str, verdict: &str, colour: Colour) -> String {
    let code = match (colour, verdict) {
        (Colour::Never, _) => return text.to_owned(),
        (Colour::Ansi, "OK") => "1;32",
        (Colour::Ansi, "AT_RISK") => "1;33",
        (Colour::Ansi, "HURTING") => "1;31",
        (Colour::Ansi, _) => "1;35",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::verdict_json::{ReasonReport, ServiceReport};

    #[test]
    fn a_plugins_line_has_its_word_its_first_reason_and_its_counts() {
        let reason = ReasonReport {
            verdict: "HURTING".to_owned(),
            service: Some("shop".to_owned()),
            code: String::new(),
            subject: String::new(),
            text: "burns | fast\nvery".to_owned(),
            since: String::new(),
            seconds: 0,
            query: None,
            evidence: Vec::new(),
        };
        let service = |verdict: &str| ServiceReport {
            service: "shop".to_owned(),
            verdict: verdict.to_owned(),
            exit_code: 0,
            reasons: Vec::new(),
            evidence: Vec::new(),
            evidence_id: String::new(),
        };
        let report = |verdict: &str, reasons: usize| VerdictReport {
            verdict: verdict.to_owned(),
            exit_code: 0,
            service: None,
            at: String::new(),
            reasons: vec![reason.clone(); reasons],
            services: vec![service("OK"), service(verdict)],
            evidence: vec![FactReport { name: "measured".to_owned(), value: "2 services".to_owned() }],
            evidence_id: None,
            confidence: None,
            customers: None,
        };
        let check = |verdict: &str, reasons: usize, expected: &str| {
            assert_eq!(nagios_text(&report(verdict, reasons)), expected);
        };
        check("OK", 0, "OK - OK: measured 2 services | ok=2 at_risk=0 hurting=0 blind=0");
        check("AT_RISK", 1, "WARNING - AT_RISK: shop: burns / fast very | ok=1 at_risk=1 hurting=0 blind=0");
        check(
            "HURTING",
            3,
            "CRITICAL - HURTING: shop: burns / fast very (and 2 more) | ok=1 at_risk=0 hurting=1 blind=0",
        );
        check("BLIND", 1, "UNKNOWN - BLIND: shop: burns / fast very | ok=1 at_risk=0 hurting=0 blind=1");
        let alone = VerdictReport { service: Some("shop".to_owned()), ..report("HURTING", 1) };
        assert_eq!(nagios_text(&alone), "CRITICAL - HURTING: shop: burns / fast very");
    }
}
