//! Rule files.

use evenkeel::config::parse_rules;
use evenkeel::model::Millis;
use evenkeel::rules::{EvaluationMode, Rule};

const GOOD: &str = r#"
groups:
  - name: g
    interval: 10s
    limit: 5
    query_offset: 1s
    evaluation_mode: interval
    labels: {team: shop}
    rules:
      - alert: HighErrors
        expr: |
          sum by (job) (rate(errors_total[5m]))
            > 0.5
        for: 2m
        keep_firing_for: 5m
        labels: {severity: page, price: "$5"}
        annotations:
          summary: "{{ $labels.job }} has {{ $value | humanize }} errors; ${NOT_A_VARIABLE}"
      - record: job:errors:rate5m
        expr: sum by (job) (rate(errors_total[5m]))
        labels: {source: here, drop: ""}
"#;

#[test]
fn groups_are_read() {
    let groups = parse_rules("rules.yml", GOOD).unwrap_or_else(|error| panic!("{error}"));
    let [group] = groups.as_slice() else { panic!("one group") };
    assert_eq!((group.name.as_str(), group.file.as_str(), group.limit), ("g", "rules.yml", 5));
    assert_eq!((group.interval, group.query_offset), (Millis::seconds(10), Millis::seconds(1)));
    assert_eq!(group.mode, EvaluationMode::Interval);
    assert_eq!(group.labels.get("team"), "shop");
    let [Rule::Alerting(alert), Rule::Recording(record)] = group.rules.as_slice() else { panic!("two rules") };
    assert_eq!((alert.hold, alert.keep_firing), (Millis::minutes(2), Millis::minutes(5)));
    assert_eq!(alert.expr.to_string(), "sum by (job) (rate(errors_total[5m])) > 0.5");
    assert_eq!(alert.labels[1], ("price".to_owned(), "$5".to_owned()));
    assert!(alert.annotations[0].1.ends_with("${NOT_A_VARIABLE}"));
    assert_eq!(record.record, "job:errors:rate5m");
    assert_eq!(record.labels, [("source".to_owned(), "here".to_owned()), ("drop".to_owned(), String::new())]);
    assert_eq!(parse_rules("rules.yml", "").unwrap(), []);
}

#[test]
fn broken_files_say_what_and_where() {
    let mut wrong = Vec::new();
    let mut check = |text: &str, expected: &str| {
        let error = parse_rules("rules.yml", text).unwrap_err().to_string();
        if error != expected {
            wrong.push(format!("{error}\n  instead of\n{expected}\n"));
        }
    };
    let rule = |rule: &str| format!("groups: [{{name: g, rules: [{rule}]}}]");
    check(
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up ==\n",
        "rules.yml:5:16: parse error: unexpected end of input here, expected an expression\n      expr: up ==\n                 ^",
    );
    check(
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: |\n      sum(up)\n        > foo(1)\n",
        "rules.yml:7:11: parse error: unknown function with name \"foo\"; see the list of functions in the documentation\n          > foo(1)\n            ^^^",
    );
    check(
        "groups: [{rules: []}]",
        "rules.yml:1:11: a rule group needs the key \"name\"; add it\n  groups: [{rules: []}]\n            ^^^^^",
    );
    check(
        "groups:\n- name: a\n- name: a\n",
        "rules.yml:3:9: two groups of this file are named \"a\"; rename one\n  - name: a\n          ^",
    );
    check(
        "groups:\n- name: a\n  evaluation_mode: poll\n",
        "rules.yml:3:20: \"poll\" is not an evaluation mode; write ingest, to decide as samples arrive, or interval, to decide when Prometheus would\n    evaluation_mode: poll\n                     ^^^^",
    );
    check(
        &rule("{expr: up}"),
        "rules.yml:1:29: a rule needs the key \"alert\" or \"record\"; add one\n  groups: [{name: g, rules: [{expr: up}]}]\n                              ^^^^",
    );
    check(
        &rule("{alert: A, record: b, expr: up}"),
        "rules.yml:1:39: a rule has both \"alert\" and \"record\"; keep one\n  groups: [{name: g, rules: [{alert: A, record: b, expr: up}]}]\n                                        ^^^^^^",
    );
    check(
        &rule("{record: b, expr: up, for: 5m}"),
        "rules.yml:1:50: a recording rule has no \"for\"; remove it\n  groups: [{name: g, rules: [{record: b, expr: up, for: 5m}]}]\n                                                   ^^^",
    );
    check(
        &rule("{alert: A, expr: up, fro: 5m}"),
        "rules.yml:1:49: unknown key \"fro\" in a rule; did you mean \"for\"?\n  groups: [{name: g, rules: [{alert: A, expr: up, fro: 5m}]}]\n                                                  ^^^",
    );
    check(
        &rule("{alert: A, expr: \"up[5m]\"}"),
        "rules.yml:1:45: a rule's expression must give a vector or a scalar, not a range vector\n  groups: [{name: g, rules: [{alert: A, expr: \"up[5m]\"}]}]\n                                              ^^^^^^^^",
    );
    check(
        &rule("{record: 'a{b}', expr: up}"),
        "rules.yml:1:37: \"a{b}\" is not a metric name; write it without braces\n  groups: [{name: g, rules: [{record: 'a{b}', expr: up}]}]\n                                      ^^^^^^",
    );
    check(
        &rule("{alert: A, expr: up, labels: {__name__: x}}"),
        "rules.yml:1:58: the label \"__name__\" cannot be set; it is the metric's name\n  groups: [{name: g, rules: [{alert: A, expr: up, labels: {__name__: x}}]}]\n                                                           ^^^^^^^^",
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let error =
        parse_rules("rules.yml", &rule("{alert: A, expr: up, annotations: {a: '{{ $label.x }}'}}")).unwrap_err();
    assert!(error.message.starts_with("the template of annotations \"a\" cannot be used: "), "{error}");
    assert_eq!((error.line, error.column), (1, 66));
}
