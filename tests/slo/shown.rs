//! What is shown: charts, texts, JSON.

use evenkeel::confidence::{Deploy, Evidence, ProgramHealth, StorageHealth, judge};
use evenkeel::model::{Millis, TimeRange, Timestamp};
use evenkeel::report::{
    BurnChart, ChartSize, Colour, ObjectiveReport, Told, VerdictReport, budget_bar, burn_chart, sparkline,
    verdict_lines, verdict_text,
};
use evenkeel::slo::Severity;

use super::story::{START, Story, ratio, shop};

fn incident() -> (Story, Timestamp) {
    let mut story = Story::new(vec![shop(0.999, ratio())]);
    story.traffic(3 * 3600, 15, 20.0, 0.04);
    let deployed = story.now;
    story.traffic(900, 15, 20.0, 15.0);
    story.traffic(2400, 15, 20.0, 0.05);
    (story, deployed)
}

fn report(story: &Story, deployed: Timestamp) -> VerdictReport {
    let objectives = story.objectives.statuses(story.now);
    VerdictReport::new(&judge(&Evidence {
        now: story.now,
        started_at: Timestamp(START),
        objectives: &objectives,
        alerts: &[],
        groups: &[],
        receivers: &[],
        jobs: &[],
        storage: &StorageHealth::Healthy,
        program: &ProgramHealth::default(),
        deploys: &[Deploy { service: "shop".to_owned(), version: "v2".to_owned(), at: deployed }],
        critical: &[],
    }))
}

#[test]
fn the_burn_chart_shows_course_thresholds_and_deployments() {
    let (story, deployed) = incident();
    let range = TimeRange { after: story.now - Millis::hours(2), until: story.now };
    let history = story.objectives.burn_history("shop", "availability", range, 240).unwrap();
    let deploy = |version: &str, at| Deploy { service: "shop".to_owned(), version: version.to_owned(), at };
    let deploys = [
        deploy("v2 <beta>", deployed),
        deploy("rollback-to-a1b2c3d4e5f6", deployed + Millis::minutes(15)),
        deploy("v0", deployed - Millis::days(1)),
    ];
    let told = [Told { severity: Severity::Page.into(), since: deployed + Millis::minutes(2) }];
    let chart = burn_chart(&BurnChart {
        id: "c",
        title: "shop availability",
        size: ChartSize::Wide,
        history: &history,
        range,
        deploys: &deploys,
        told: &told,
    });
    for part in [
        "<title id=\"c-title\">Burn rate of shop availability</title>",
        ">page 14.4×</text>",
        ">ticket 1×</text>",
        ">v2 &lt;beta&gt;</text>",
        ">rollback-to-…</text>",
        "Deployments shown: 2.",
        ">over 1h</text>",
        "currentColor",
        "class=\"told page\"",
    ] {
        assert!(chart.contains(part), "{part} is missing in {chart}");
    }
    assert!(!chart.contains("NaN") && !chart.contains("style="), "{chart}");
    assert_eq!(chart.matches("<g").count(), chart.matches("</g>").count());
    // For a look at the pictures themselves: EVENKEEL_CHARTS=folder cargo test shown.
    if let Ok(folder) = std::env::var("EVENKEEL_CHARTS") {
        std::fs::write(format!("{folder}/burn.svg"), &chart).unwrap();
        std::fs::write(format!("{folder}/spark.svg"), sparkline("s", "burn", &history)).unwrap();
        std::fs::write(format!("{folder}/bar.svg"), budget_bar(0.62)).unwrap();
        let text = verdict_text(&report(&story, deployed), Colour::Never);
        std::fs::write(format!("{folder}/verdict.txt"), text).unwrap();
    }
}

#[test]
fn a_chart_of_nothing_is_still_a_chart() {
    let story = Story::new(vec![shop(0.999, ratio())]);
    let range = TimeRange { after: Timestamp(START), until: Timestamp(START) };
    let history = story.objectives.burn_history("shop", "availability", range, 0).unwrap();
    let chart = burn_chart(&BurnChart {
        id: "c",
        title: "s",
        size: ChartSize::Narrow,
        history: &history,
        range,
        deploys: &[],
        told: &[],
    });
    assert!(
        chart.contains("No events were counted.")
            && chart.contains(">no events counted</text>")
            && !chart.contains("NaN"),
        "{chart}"
    );
}

#[test]
fn the_text_begins_with_the_word() {
    let (mut story, deployed) = incident();
    let text = verdict_text(&report(&story, deployed), Colour::Never);
    let first = text.lines().next().unwrap();
    assert_eq!(first, format!("AT_RISK  {}", story.now), "{text}");
    assert!(text.contains("\nAT_RISK  shop: availability burns its error budget "), "{text}");
    assert!(text.contains("\n         since    2023-11-15T"), "{text}");
    story.traffic(600, 15, 20.0, 60.0);
    let report = report(&story, deployed);
    let coloured = verdict_text(&report, Colour::Ansi);
    assert!(coloured.starts_with("\u{1b}[1;31mHURTING\u{1b}[0m  "), "{coloured}");
    let alone = report.of_service("shop").unwrap();
    assert!(verdict_text(&alone, Colour::Never).starts_with("HURTING  shop  2023-"));
    assert_eq!(report.of_service("nobody"), None);
}

#[test]
fn in_short_a_verdict_has_at_most_five_lines() {
    let mut story = Story::new(vec![shop(0.999, ratio())]);
    story.traffic(1800, 15, 20.0, 0.0);
    let lines = |report: &VerdictReport| verdict_lines(report, Colour::Never);
    let fine = lines(&report(&story, story.now));
    let rests: Vec<_> = fine.lines().skip(1).map(|line| line.split_once("  ").unwrap().1.split("  ").next()).collect();
    assert!(fine.starts_with("OK  2023-"), "{fine}");
    assert_eq!(rests, ["measured", "oldest input", "worst burn", "last delivery"].map(Some), "{fine}");
    let (story, deployed) = incident();
    let mut report = report(&story, deployed);
    let text = lines(&report);
    assert!(text.lines().nth(1).unwrap().starts_with("  AT_RISK  shop: availability burns its error"), "{text}");
    assert_eq!(text.lines().count(), 1 + report.reasons.len(), "{text}");
    let one = report.reasons[0].clone();
    report.reasons = vec![one; 4];
    assert_eq!(lines(&report).lines().count(), 5);
    report.reasons.push(report.reasons[0].clone());
    report.reasons[0].text = "it said:\nno".to_owned();
    let text = lines(&report);
    assert_eq!((text.lines().count(), text.lines().last()), (5, Some("  and 2 more")), "{text}");
    assert!(text.contains("  AT_RISK  shop: it said: no (for "), "{text}");
}

#[test]
fn json_goes_there_and_back() {
    let (story, deployed) = incident();
    let report = report(&story, deployed);
    let text = serde_json::to_string(&report).unwrap();
    assert!(text.starts_with("{\"verdict\":\"AT_RISK\",\"exit_code\":1,\"at\":\"2023-"), "{text}");
    assert_eq!(serde_json::from_str::<VerdictReport>(&text).unwrap(), report);
    let objective = serde_json::to_value(ObjectiveReport::new(&story.status())).unwrap();
    assert_eq!(objective["burns"][0]["long"]["window"], "1h");
    assert_eq!(objective["blind"], serde_json::Value::Null);
    assert_eq!(objective["interval_seconds"], 15.0);
}
