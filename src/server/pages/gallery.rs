//! Made-up views, for tests and for looking at the pages.

use crate::model::{Millis, TimeRange, Timestamp};
use crate::report::Told;
use crate::slo::{AlertSeverity, BurnHistory, BurnPair, BurnPoint};

use super::view::{
    AdjustmentRow, AlertRow, Chart, Deploy, GroupRow, GroupsView, Line, Objective, Outcome, Overview, Part, PartRow,
    Place, Query, Reason, Service, ServiceRow, Shell, State, TargetRow, Tile,
};
use super::{alerts, overview, query, service, targets};

const NOW: Timestamp = Timestamp(1_795_446_202_000);

fn shell(place: Place, state: State) -> Shell {
    Shell {
        title: format!("{} · Evenkeel", state.word()),
        place,
        state: Some(state),
        now: NOW,
        refresh_seconds: Some(5),
    }
}

fn tile(label: &str, value: &str, note: &str) -> Tile {
    Tile { label: label.to_owned(), value: value.to_owned(), note: note.to_owned() }
}

fn wave(name: &str) -> Line {
    let point = |i: i64| (NOW - Millis::minutes(5 * (287 - i)), 1.0 + 0.4 * (i as f64 / 23.0).sin());
    Line { name: name.to_owned(), points: (0..288).map(point).collect() }
}

fn history(rise: f64) -> BurnHistory {
    let thresholds = BurnPair::standard(Millis::days(30));
    let point = |i: i64| {
        let burn = Some(0.6 + if i > 262 { rise } else { 0.0 });
        BurnPoint { t: NOW - Millis::minutes(5 * (287 - i)), short: burn, long: burn, budget_left: 0.5 }
    };
    BurnHistory { pair: thresholds[0], thresholds, points: (0..288).map(point).collect() }
}

fn deploy(service: &str, version: &str, minutes: i64) -> Deploy {
    Deploy { service: service.to_owned(), version: version.to_owned(), at: NOW - Millis::minutes(minutes) }
}

fn burning() -> AlertRow {
    AlertRow {
        id: None,
        name: "checkout-availability".to_owned(),
        state: "firing",
        severity: "page".to_owned(),
        summary: "2 % of the 30-day error budget goes in one hour at this pace; 4.8 % of requests fail.".to_owned(),
        labels: vec![("service".to_owned(), "checkout".to_owned()), ("window".to_owned(), "1h/5m".to_owned())],
        since: NOW - Millis::minutes(11),
        value: 31.2,
        query: "sum(rate(checkout_requests_total{code=~\"5..\"}[5m]))".to_owned(),
    }
}

fn row(name: &str, state: State, left: Option<f64>, burn: Option<f64>) -> ServiceRow {
    ServiceRow {
        name: name.to_owned(),
        state,
        objective: "availability 99.9 % over 30d".to_owned(),
        input: left.map(|_| (NOW - Millis::seconds(4), "every 15 s".to_owned())),
        budget_left: left,
        burn: burn.map(|burn| (burn, Millis::hours(1))),
        history: burn.map(history),
    }
}

fn part(name: &str, state: Option<State>, text: &str) -> Part {
    Part { name: name.to_owned(), state, text: text.to_owned() }
}

fn hurting() -> Overview {
    Overview {
        state: State::Hurting,
        sentence: "Customers of checkout are hurting now: 4.8 % of requests fail since 13:51.".to_owned(),
        reasons: vec![
            Reason {
                state: State::Hurting,
                text: "burns its budget 31.2× too fast over 5m and 15.8× over 1h (page at 14.4×)".to_owned(),
                service: Some("checkout".to_owned()),
                since: NOW - Millis::minutes(11),
                query: Some("up".to_owned()),
                facts: vec![("last 1h".to_owned(), "<b>480</b> of 10,000 events bad".to_owned())],
            },
            Reason {
                state: State::Blind,
                text: "no sample of its total for 4 min; one came every 15 s before".to_owned(),
                service: Some("refunds".to_owned()),
                since: NOW - Millis::minutes(4),
                query: Some("refunds_total".to_owned()),
                facts: Vec::new(),
            },
        ],
        tiles: vec![
            tile("Services measured", "3 of 4", "refunds is not"),
            tile("Oldest input", "12 s", "search_requests_total"),
            tile("Worst burn", "31.2×", "checkout availability, 5m"),
            tile("Last delivery", "ops-webhook took a message 11 min ago", ""),
        ],
        services: vec![
            row("checkout", State::Hurting, Some(-0.12), Some(31.2)),
            row("refunds", State::Blind, None, None),
            row("payments", State::AtRisk, Some(0.21), Some(1.8)),
            row("search", State::Ok, Some(0.874), Some(0.31)),
        ],
        alerts: vec![burning()],
        deploys: vec![deploy("checkout", "v2.14.0", 14), deploy("search", "2026.11.22-3", 1300)],
        receivers: vec![
            part("ops-webhook", Some(State::Ok), "took its last message 11 min ago"),
            part("mail", None, ""),
        ],
        parts: vec![
            part("Storage", Some(State::Ok), "48 210 series, 1.2 GB"),
            part("Inputs", Some(State::Blind), "1 of 6 targets down: refunds:9100"),
        ],
    }
}

fn fine() -> Overview {
    let mut view = hurting();
    view.state = State::Ok;
    view.sentence = "Four services are measured and none hurts its customers.".to_owned();
    view.reasons.clear();
    view.alerts.clear();
    view.services = vec![row("search", State::Ok, Some(0.874), Some(0.31))];
    view
}

fn checkout() -> Service {
    Service {
        name: "checkout".to_owned(),
        state: State::Hurting,
        reasons: hurting().reasons.into_iter().take(1).collect(),
        span: Millis::days(1),
        objectives: vec![Objective {
            parts: vec![PartRow {
                service: "shop".to_owned(),
                name: "latency".to_owned(),
                weight: "40 %".to_owned(),
                measured: "98.2 %".to_owned(),
                budget_left: Some(0.3),
                share_of_bad: 0.75,
            }],
            adjustments: vec![AdjustmentRow {
                name: "move of the <database>".to_owned(),
                from: NOW - Millis::hours(3),
                until: NOW - Millis::hours(1),
                text: "1.2k events, 40 of them bad, do not count".to_owned(),
            }],
            groups: Some(GroupsView {
                by: "route".to_owned(),
                rows: vec![GroupRow {
                    name: "/pay <b>".to_owned(),
                    state: State::Hurting,
                    measured: "97.1 %".to_owned(),
                    events: "12.4k".to_owned(),
                    budget_left: Some(-0.4),
                    burn: Some(("29×".to_owned(), Millis::hours(1))),
                    query: "1 - sum(increase(a{route=\"/pay\"}[30d]))".to_owned(),
                }],
                note: "Another 3 have no budget of their own.".to_owned(),
            }),
            name: "availability".to_owned(),
            state: State::Hurting,
            note: "99.9 % of requests over 30 days".to_owned(),
            budget_left: Some(0.12),
            tiles: vec![
                tile("Objective", "99.9 %", "over 30d"),
                tile("Measured", "99.912 %", "99.905 to 99.918 %, n = 812 004"),
                tile("Burn now", "31.2×", "5m window"),
                tile("Budget gone in", "54 min", "at this pace"),
            ],
            history: Some(history(30.0)),
            range: TimeRange { after: NOW - Millis::days(1), until: NOW },
            told: vec![Told { severity: AlertSeverity::Page, since: NOW - Millis::minutes(11) }],
            evidence: vec![("bad requests a second".to_owned(), burning().query)],
        }],
        alerts: vec![burning()],
        deploys: vec![deploy("checkout", "v2.14.0", 130)],
    }
}

fn found() -> Query {
    let lines: Vec<Line> = (0..3).map(|i| wave(&format!("{{pod=\"{i}\"}}"))).collect();
    Query {
        text: "sum by (pod) (rate(http_requests_total[5m]))".to_owned(),
        span: Millis::days(1),
        outcome: Some(Outcome::Found {
            rows: (0..3).map(|i| (format!("{{pod=\"{i}\"}}"), "1.25".to_owned())).collect(),
            total: 3,
            notes: vec![],
            chart: Chart {
                title: "sum by (pod) (rate(http_requests_total[5m]))".to_owned(),
                lines,
                range: TimeRange { after: NOW - Millis::days(1), until: NOW },
                deploys: vec![deploy("checkout", "v2.14.0", 130)],
            },
        }),
    }
}

#[test]
fn every_page_is_whole_and_safe() {
    let failed = Query {
        text: "<script>alert(1)</script>".to_owned(),
        span: Millis::hours(1),
        outcome: Some(Outcome::Failed("1:1: parse error\n<script>\n^".to_owned())),
    };
    let target = TargetRow {
        pool: "node".to_owned(),
        url: "http://10.0.0.1:9100/metrics".to_owned(),
        labels: "instance=\"a\"".to_owned(),
        state: State::Blind,
        last: Some(NOW - Millis::seconds(40)),
        duration: "3 ms".to_owned(),
        error: "connection refused".to_owned(),
    };
    let rule = super::view::RuleRow {
        group: "shop.yaml · checkout".to_owned(),
        name: "CheckoutErrors".to_owned(),
        state: "firing".to_owned(),
        health: State::Ok,
        note: "at each sample".to_owned(),
        query: "sum(rate(checkout_requests_total{code=~\"5..\"}[5m])) / sum(rate(checkout_requests_total[5m])) > 0.02"
            .to_owned(),
    };
    let lists = super::view::Alerts { alerts: vec![burning()], rules: vec![rule] };
    let pages = [
        ("overview-hurting", overview(&shell(Place::Overview, State::Hurting), &hurting())),
        ("overview-ok", overview(&shell(Place::Overview, State::Ok), &fine())),
        ("service", service(&shell(Place::None, State::Hurting), &checkout())),
        ("query", query(&shell(Place::Query, State::Ok), &found())),
        ("query-failed", query(&shell(Place::Query, State::Ok), &failed)),
        ("alerts", alerts(&shell(Place::Alerts, State::Hurting), &lists)),
        ("targets", targets(&shell(Place::Targets, State::Blind), &[target])),
    ];
    for (name, page) in pages {
        let text = page.into_string();
        assert!(text.contains("<main id=\"main\""), "{name}");
        assert!(
            !text.contains("<script>")
                && !text.contains("<b>480")
                && !text.contains("style=")
                && !text.contains("onclick"),
            "{name}"
        );
        assert!(!text.contains("NaN"), "{name}");
    }
}

#[test]
fn a_state_is_a_word_and_a_shape() {
    for state in [State::Ok, State::AtRisk, State::Hurting, State::Blind] {
        let mut view = fine();
        view.state = state;
        let text = overview(&shell(Place::Overview, state), &view).into_string();
        assert!(text.contains(&format!("data-verdict=\"{}\"", state.word())));
        assert!(text.contains(&format!("shape {}", state.class())));
    }
}
