//! Why an alert fires or does not, as text: the sentences, then the expression as a tree with its values.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::why_json::{ComparedReport, PartReport, SeriesReport, TurnReport, WhyReport};

/// Writes an explanation for a terminal.
pub fn why_text(report: &WhyReport) -> String {
    let mut out = String::new();
    let name = report.alert.as_ref().map_or_else(|| report.rule.name.clone(), |alert| label_text(&alert.labels));
    let _ = writeln!(out, "{}  {name}", report.state.to_uppercase());
    let _ = writeln!(
        out,
        "at {}, rule {} of group {} in {}",
        report.at, report.rule.name, report.rule.group, report.rule.file
    );
    for sentence in &report.summary {
        let _ = writeln!(out, "- {sentence}");
    }
    if report.known_from == "history" {
        let _ = writeln!(out, "- times are found from stored data, by the rule as it is today");
    }
    if let Some(evidence) = &report.evidence {
        let _ = writeln!(out, "- its evidence: evenkeel evidence {evidence}");
    }
    out.push('\n');
    part(&mut out, &report.condition, "", "");
    if let Some(reason) = &report.unfinished {
        let _ = writeln!(out, "\nnot everything was looked at: {reason}");
    }
    let alerts = report.elements_total.saturating_sub(usize::from(report.alert.is_some() && report.elements_total > 0));
    if alerts > 0 {
        let _ = writeln!(out, "\n{alerts} further element(s) of the condition:");
        for alert in &report.others {
            let _ = writeln!(out, "  {}  {}", alert.id, label_text(&alert.labels));
        }
    }
    out
}

/// Writes a part with `lead` before its first line and `rest` before the others.
fn part(out: &mut String, report: &PartReport, lead: &str, rest: &str) {
    let _ = writeln!(out, "{lead}{}{}", report.query, value_text(report));
    let bar = if report.parts.is_empty() { "  " } else { "│ " };
    let mut line = |text: String| {
        let _ = writeln!(out, "{rest}{bar}{text}");
    };
    if let Some(turn) = &report.turn {
        line(turn_text(turn));
    }
    report.compared.iter().for_each(|pair| line(compared_text(pair)));
    elided(report.compared.len(), report.compared_total, "pairs").map(&mut line);
    if report.compared.is_empty() && report.series.is_empty() {
        for element in &report.elements {
            line(format!("{}  {}", element.value, label_text(&element.labels)));
        }
        elided(report.elements.len(), report.elements_total, "elements").map(&mut line);
    }
    report.series.iter().for_each(|series| line(series_text(series)));
    elided(report.series.len(), report.series_total, "series").filter(|_| !report.series.is_empty()).map(&mut line);
    report.error.iter().for_each(|error| line(format!("✗ {error}")));
    report.finding.iter().for_each(|finding| line(format!("✗ {finding}")));
    report.hints.iter().for_each(|hint| line(format!("  {hint}")));
    for (at, child) in report.parts.iter().enumerate() {
        let last = at + 1 == report.parts.len();
        let (own, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        part(out, child, &format!("{rest}{own}"), &format!("{rest}{below}"));
    }
}

fn elided(shown: usize, total: usize, what: &str) -> Option<String> {
    (total > shown).then(|| format!("… and {} more {what}", total - shown))
}

fn value_text(report: &PartReport) -> String {
    match (&report.value, report.elements_total) {
        (Some(value), _) => format!("  =  {value}"),
        (None, 0) if report.error.is_none() && report.series_total == 0 => "  =  nothing".to_owned(),
        (None, 1) if report.compared.is_empty() && !report.series.is_empty() => {
            report.elements.first().map_or(String::new(), |element| format!("  =  {}", element.value))
        }
        _ => String::new(),
    }
}

fn turn_text(turn: &TurnReport) -> String {
    let word = if turn.holds { "holds" } else { "does not hold" };
    let since = match &turn.since {
        Some(since) => format!("since {since}"),
        None => format!("since before {}", turn.looked_back_to),
    };
    match &turn.sample {
        Some(sample) => format!("{word} {since}, with {} of {}", sample.value, label_text(&sample.labels)),
        None => format!("{word} {since}"),
    }
}

fn compared_text(pair: &ComparedReport) -> String {
    let mark = if pair.holds { '✓' } else { '✗' };
    let ComparedReport { left, operator, right, flips_at, distance, .. } = pair;
    let way = if pair.holds { "ends at" } else { "needs" };
    let away = if distance == "0" { String::new() } else { format!(", {distance} away") };
    format!("{mark} {left} {operator} {right}  {}  {way} {flips_at}{away}", label_text(&pair.labels))
}

fn series_text(series: &SeriesReport) -> String {
    let labels = label_text(&series.labels);
    let none = (String::new(), String::new());
    let (at, value) = series.last.as_ref().unwrap_or(&none);
    match series.kind.as_str() {
        "latest" => format!("{labels}  {value} at {at}"),
        "window" => {
            let (from, first) = series.first.as_ref().unwrap_or(&none);
            let resets = if series.resets > 0 { format!(", {} reset(s)", series.resets) } else { String::new() };
            format!("{labels}  {} samples: {first} at {from} … {value} at {at}{resets}", series.count)
        }
        "histograms" => format!("{labels}  {} histograms, the last at {at}", series.count),
        _ => format!("{labels}  ended at {at}"),
    }
}

/// Labels as they are written in queries.
fn label_text(labels: &BTreeMap<String, String>) -> String {
    let name = labels.get("__name__").map_or("", String::as_str);
    let rest = labels.iter().filter(|(name, _)| *name != "__name__");
    let rest: Vec<String> = rest.map(|(name, value)| format!("{name}={value:?}")).collect();
    match (name, rest.is_empty()) {
        ("", _) => format!("{{{}}}", rest.join(", ")),
        (name, true) => name.to_owned(),
        (name, false) => format!("{name}{{{}}}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{ElementReport, WhyAlert, WhyRule};

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn blank(query: &str) -> PartReport {
        PartReport {
            query: query.to_owned(),
            at: "T".to_owned(),
            value: None,
            elements: Vec::new(),
            elements_total: 0,
            turn: None,
            compared: Vec::new(),
            compared_total: 0,
            series: Vec::new(),
            series_total: 0,
            finding: None,
            hints: Vec::new(),
            error: None,
            parts: Vec::new(),
        }
    }

    #[test]
    fn an_explanation_is_a_tree() {
        let (errors, job) = (labels(&[("__name__", "errors"), ("job", "a")]), labels(&[("job", "a")]));
        let latest = SeriesReport {
            labels: errors,
            kind: "latest".to_owned(),
            count: 1,
            first: None,
            last: Some(("T1".to_owned(), "8".to_owned())),
            min: None,
            max: None,
            resets: 0,
        };
        let mut left = PartReport { series: vec![latest], series_total: 3, ..blank("errors") };
        left.elements = vec![ElementReport { labels: job.clone(), value: "8".to_owned() }];
        left.elements_total = 3;
        let right = PartReport { finding: Some("no series is called total".to_owned()), ..blank("total") };
        let pair = ComparedReport {
            labels: job.clone(),
            left: "8".to_owned(),
            operator: ">".to_owned(),
            right: "5".to_owned(),
            holds: true,
            distance: "3".to_owned(),
            flips_at: "≤ 5".to_owned(),
        };
        let turn = TurnReport {
            holds: true,
            since: Some("T0".to_owned()),
            looked_back_to: "T".to_owned(),
            looked_every: 5.0,
            sample: None,
        };
        let root = PartReport {
            turn: Some(turn),
            compared: vec![pair],
            compared_total: 2,
            elements_total: 1,
            parts: vec![left, right],
            ..blank("errors > total")
        };
        let report = WhyReport {
            rule: WhyRule {
                id: "1".to_owned(),
                name: "Errors".to_owned(),
                group: "g".to_owned(),
                file: "f.yml".to_owned(),
                query: "errors > total".to_owned(),
                duration: 0.0,
                keep_firing_for: 0.0,
                evaluation_mode: "ingest".to_owned(),
            },
            alert: Some(WhyAlert { id: "2".to_owned(), labels: job }),
            at: "T".to_owned(),
            state: "firing".to_owned(),
            known_from: "state".to_owned(),
            active_at: None,
            fires_at: None,
            ceased_at: None,
            ends_at: None,
            evidence: Some("0011223344556677".to_owned()),
            deploys: Vec::new(),
            summary: vec!["firing".to_owned()],
            condition: root,
            unfinished: None,
            others: Vec::new(),
            elements_total: 1,
        };
        let expected = "\
FIRING  {job=\"a\"}
at T, rule Errors of group g in f.yml
- firing
- its evidence: evenkeel evidence 0011223344556677

errors > total
│ holds since T0
│ ✓ 8 > 5  {job=\"a\"}  ends at ≤ 5, 3 away
│ … and 1 more pairs
├─ errors
│    errors{job=\"a\"}  8 at T1
│    … and 2 more series
└─ total  =  nothing
     ✗ no series is called total
";
        assert_eq!(why_text(&report), expected);
    }
}
