//! Files of objectives.

use evenkeel::config::parse_objectives;
use evenkeel::model::Millis;
use evenkeel::slo::{Comparison, Indicator};

#[test]
fn objectives_are_read() {
    let objectives = parse_objectives(
        "slo.yml",
        r#"
objectives:
  - service: checkout
    objective: 99.9
    good: http_requests_total{job="checkout",code!~"5.."}
    total: http_requests_total{job="checkout"}
    labels: {team: shop}
    page_labels: {severity: critical}
    annotations: {runbook: "https://r"}
  - {service: checkout, name: errors, objective: 0.995, window: 7d, errors: 'e{a="b"}', total: t}
  - {service: checkout, name: routes, objective: 99, errors: e, total: t, group_by: [route, tenant], groups_max: 20}
  - {service: probe, name: up, objective: 99.95%, gauge: '(probe_success{job="x"}) >= 1'}
"#,
    )
    .unwrap_or_else(|error| panic!("{error}"));
    let [ratio, errors, routes, gauge] = objectives.as_slice() else { panic!("four") };
    assert_eq!((routes.group_by.join(" ").as_str(), routes.groups_max), ("route tenant", 20));
    assert!(ratio.group_by.is_empty());
    assert_eq!((ratio.name.as_str(), ratio.objective, ratio.window), ("availability", 0.999, Millis::days(30)));
    assert!(
        matches!(&ratio.indicator, Indicator::Ratio { good, total } if good.terms[0].series.len() == 3 && total.terms[0].series.len() == 2)
    );
    assert_eq!(ratio.labels.get("team"), "shop");
    assert_eq!(ratio.page_labels.get("severity"), "critical");
    assert_eq!((errors.objective, errors.window), (0.995, Millis::days(7)));
    assert!(matches!(&errors.indicator, Indicator::ErrorRatio { .. }));
    assert_eq!(gauge.objective, 0.9995);
    let Indicator::Threshold { gauge, op, bound } = &gauge.indicator else { panic!("a threshold") };
    assert_eq!((gauge.len(), *op, *bound), (2, Comparison::GreaterEqual, 1.0));
}

#[test]
fn broken_files_say_what_and_where() {
    let mut wrong = Vec::new();
    let mut check = |text: &str, expected: &str| {
        let error = parse_objectives("slo.yml", text).unwrap_err().to_string();
        if error != expected {
            wrong.push(format!("{error}\n  instead of\n{expected}\n"));
        }
    };
    let one = |rest: &str| format!("objectives:\n- service: s\n  {rest}\n");
    check(
        &one("objective: 100\n  gauge: up == 1"),
        "slo.yml:3:14: an objective of 100 leaves no budget or promises nothing; write one like 99.9\n    objective: 100\n               ^^^",
    );
    check(
        &one("objective: 99\n  good: x"),
        "slo.yml:2:3: an objective needs the key \"total\" beside \"good\" or \"errors\"; add it\n  - service: s\n    ^^^^^^^",
    );
    check(
        &one("objective: 99\n  good: max(x)\n  total: y"),
        "slo.yml:4:9: \"good\" takes a counter like requests_total{job=\"shop\"}, a sum(rate(counter[5m])), or sums and \
         differences of these; \"max(x)\" is not counted sample by sample: max of counters is no count; write sum\n    good: max(x)\n          ^^^^^^",
    );
    check(
        &one("objective: 99\n  gauge: up"),
        "slo.yml:4:10: \"gauge\" takes a selector, a comparison and a number, like up{job=\"shop\"} == 1\n    gauge: up\n           ^^",
    );
    check(
        &one("objective: 99\n  gauge: up{job=} == 1"),
        "slo.yml:4:17: parse error: unexpected \"}\" in label matching, expected a string\n    gauge: up{job=} == 1\n                  ^",
    );
    check(
        &one("objective: 99\n  gauge: up == 1\n  windwo: 3d"),
        "slo.yml:5:3: unknown key \"windwo\" in an objective; did you mean \"window\"?\n    windwo: 3d\n    ^^^^^^",
    );
    check(
        &one("objective: 99\n  gauge: up == 1\n- service: s\n  objective: 99\n  gauge: up == 1"),
        "slo.yml:5:3: two objectives of \"s\" are named \"availability\"; rename one\n  - service: s\n    ^^^^^^^",
    );
    check(
        &one("objective: 99\n  gauge: up == 1\n  groups_max: 5"),
        "slo.yml:5:3: \"groups_max\" says how many groups have a budget; add \"group_by\", or remove it\n    groups_max: 5\n    ^^^^^^^^^^",
    );
    check(
        &one("objective: 99\n  gauge: up == 1\n  group_by: [job, job]"),
        "slo.yml:2:3: s/availability: the label \"job\" stands twice among those of the groups; remove one\n  - service: s\n    ^^^^^^^",
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
