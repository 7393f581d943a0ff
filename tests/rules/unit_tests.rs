//! Unit tests of rules in promtool's format: what passes, what fails and how that is told.

use std::path::Path;

use evenkeel::config::parse_rule_tests;
use evenkeel::env::disk::RealDisk;
use evenkeel::testkit::{RuleTestFailure, RuleTestReport, run_rule_test_file, run_rule_test_text};

fn file() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules/unit/shop.test.yml")
}

fn failures(report: &RuleTestReport) -> Vec<&RuleTestFailure> {
    report.tests.iter().flat_map(|test| &test.failures).collect()
}

#[test]
fn a_file_that_says_all_that_the_format_can_passes() {
    let report = run_rule_test_file(&RealDisk, &file(), &|_| true).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(failures(&report), Vec::<&RuleTestFailure>::new());
    assert_eq!(report.tests.iter().map(|test| test.passed).collect::<Vec<_>>(), [13, 11, 1]);
    assert_eq!(report.notes, Vec::<String>::new());
}

#[test]
fn tests_are_chosen_by_name() {
    let report = run_rule_test_file(&RealDisk, &file(), &|name| name.starts_with("num")).unwrap();
    assert_eq!(report.tests.iter().map(|test| test.name.as_str()).collect::<Vec<_>>(), ["numbers"]);
    assert!(
        report.tests[0].data.iter().any(
            |line| line.starts_with("special{} NaN @0s +Inf @30s") || line.starts_with("special NaN @0s +Inf @30s")
        ),
        "{:#?}",
        report.tests[0].data
    );
}

const RULES: &str = r#"
groups:
  - name: g
    rules:
      - alert: High
        expr: sum by (job) (x) > 5
        for: 2m
        labels: {severity: page}
        annotations: {summary: "{{ $value }} in {{ $labels.job }}"}
"#;

const SERIES: &str = r#"
  - input_series: [{series: 'x{job="a", i="1"}', values: 3 4 5 6}, {series: 'x{job="a", i="2"}', values: 3 4 5 6}]
"#;

/// What fails, if a test on [`SERIES`] says `text`.
fn told(text: &str) -> Vec<RuleTestFailure> {
    let tests = format!("tests:{SERIES}{text}");
    let report = run_rule_test_text(&tests, RULES).unwrap_or_else(|error| panic!("{error}"));
    failures(&report).into_iter().cloned().collect()
}

#[test]
fn an_alert_that_is_another_is_told_with_its_differences_and_what_led_to_it() {
    let failures = told(
        "    alert_rule_test:
      - eval_time: 3m
        alertname: High
        exp_alerts: [{exp_labels: {job: a, severity: ticket}, exp_annotations: {summary: 12 in a}}]
",
    );
    let [failure] = &*failures else { panic!("{failures:#?}") };
    assert_eq!((failure.line, failure.what.as_str()), (4, "High at 3m: 1 alert expected, 1 fire"));
    let labels = |severity: &str| {
        format!("labels {{alertname=\"High\", job=\"a\", severity=\"{severity}\"}} annotations {{summary=\"12 in a\"}}")
    };
    assert_eq!((&*failure.expected, &*failure.got), (&[labels("ticket")][..], &[labels("page")][..]));
    let expected = [
        "label severity: expected \"ticket\", got \"page\"",
        "High in group g: sum by (job) (x) > 5, for 2m",
        "  at 0s: {job=\"a\"} 6",
        "  at 1m: {job=\"a\"} 8",
        "  at 2m: {job=\"a\"} 10",
        "  at 3m: {job=\"a\"} 12",
        "  sum by (job) (x) is {job=\"a\"} 12",
        "  x{i=\"1\", job=\"a\"}: 3 @0s 4 @1m 5 @2m 6 @3m",
        "  x{i=\"2\", job=\"a\"}: 3 @0s 4 @1m 5 @2m 6 @3m",
        "at 0s pending: {alertname=\"High\", job=\"a\", severity=\"page\"}",
        "at 2m firing: {alertname=\"High\", job=\"a\", severity=\"page\"}",
    ];
    assert_eq!(failure.why, expected);
}

#[test]
fn what_is_not_as_expected_fails() {
    let check = |text: &str, expected: &[&str]| {
        let failures = told(text);
        let told: Vec<&str> = failures.iter().map(|failure| failure.what.as_str()).collect();
        assert_eq!(told, expected, "{text}");
    };
    let alert =
        |time: &str, rest: &str| format!("    alert_rule_test: [{{eval_time: {time}, alertname: High{rest}}}]\n");
    let sample = |expr: &str, rest: &str| format!("    promql_expr_test: [{{expr: {expr:?}, eval_time: 1m{rest}}}]\n");
    // Pending alerts do not fire.
    check(&alert("119s", ""), &[]);
    check(&alert("2m", ""), &["High at 2m: 0 alerts expected, 1 fire"]);
    let labels = "exp_labels: {job: a, severity: page}";
    check(&alert("1m", &format!(", exp_alerts: [{{{labels}}}]")), &["High at 1m: 1 alert expected, 0 fire"]);
    // Without its annotations it is another one, unless some are enough.
    check(&alert("2m", &format!(", exp_alerts: [{{{labels}}}]")), &["High at 2m: 1 alert expected, 1 fire"]);
    check(&alert("2m", &format!(", match: subset, exp_alerts: [{{{labels}}}]")), &[]);
    check(&alert("2m", ", match: subset, exp_alerts: [{}, {}]"), &["High at 2m: 2 alerts expected, 1 fire"]);
    check(&sample("sum(x)", ", exp_samples: [{labels: '{}', value: 8}]"), &[]);
    check(&sample("sum(x)", ", exp_samples: [{value: 8.5}]"), &["sum(x) at 1m: 1 elements expected, 1 found"]);
    check(&sample("sum(x)", ""), &["sum(x) at 1m: 0 elements expected, 1 found"]);
    check(&sample("none", ", exp_samples: [{value: 1}]"), &["none at 1m: 1 elements expected, 0 found"]);
    check(&sample("x[5m]", ""), &["x[5m] at 1m: it is neither a vector nor a scalar"]);
    check(
        &sample("x", ", exp_samples: [{labels: 'x{', value: 1}]"),
        &["x at 1m: labels \"x{\": the labels are not closed"],
    );
    check(
        &sample("x", ", exp_samples: [{labels: x, histogram: '1 2'}]"),
        &["x at 1m: histogram \"1 2\" is not one native histogram"],
    );
    let broken = sample("sum(", "");
    assert!(told(&broken)[0].what.starts_with("sum( at 1m: "), "{:?}", told(&broken));
}

#[test]
fn neighbours_of_a_number_are_equal_if_the_file_says_so() {
    let tests = |fuzzy: &str| {
        format!(
            "fuzzy_compare: {fuzzy}\ntests: [{{input_series: [], promql_expr_test: [{{expr: vector(0.1) + 0.2, \
             exp_samples: [{{value: 0.3}}]}}]}}]"
        )
    };
    assert!(run_rule_test_text(&tests("true"), RULES).unwrap().is_ok());
    assert!(!run_rule_test_text(&tests("false"), RULES).unwrap().is_ok());
}

#[test]
fn series_that_are_none_and_rules_without_a_result_fail_the_test() {
    let run = |series: &str, rules: &str| {
        let tests = format!(
            "tests: [{{input_series: {series}, promql_expr_test: [{{expr: x, eval_time: 1m, exp_samples: []}}]}}]"
        );
        let report = run_rule_test_text(&tests, rules).unwrap_or_else(|error| panic!("{error}"));
        failures(&report).into_iter().map(|failure| failure.what.clone()).collect::<Vec<_>>()
    };
    let check = |series: &str, expected: &str| assert_eq!(run(series, RULES), [expected], "{series}");
    check("[{series: 'x{', values: 1}]", "series x{: the labels are not closed");
    check("[{series: x, values: 1 b}]", "series x: bad value \"b\"");
    check("[{series: x, values: 1x2000000}]", "series x: \"1x2000000\" is more than 1000000 values; write fewer");
    check("[{series: x 1, values: 1}]", "series x 1: \"1\" is behind the labels; values are written under \"values\"");
    let twins = "groups: [{name: g, rules: [{record: r, expr: 'sum by (a) (x)', labels: {a: b}}]}]";
    let expected = "rule r at 0s: vector contains metrics with the same labelset after applying rule labels";
    assert_eq!(run("[{series: 'x{a=\"1\"}', values: 1}, {series: 'x{a=\"2\"}', values: 1}]", twins), [expected]);
}

#[test]
fn broken_files_say_what_and_where() {
    let mut wrong = Vec::new();
    let mut check = |text: &str, expected: &str| {
        let found = parse_rule_tests(&RealDisk, "t.yml", text).map_or_else(|error| error.to_string(), |_| "ok".into());
        if found.lines().next() != Some(expected) {
            wrong.push(format!("{text}\n  expected {expected}\n  found    {found}"));
        }
    };
    check(
        "evaluation_intervall: 1m",
        "t.yml:1:1: unknown key \"evaluation_intervall\" in a test file; did you mean \"evaluation_interval\"?",
    );
    check(
        "tests:\n- input_serie: []",
        "t.yml:2:3: unknown key \"input_serie\" in a test group; did you mean \"input_series\"?",
    );
    check(
        "tests:\n- alert_rule_test:\n  - eval_time: 1m",
        "t.yml:3:5: an alert test needs the key \"alertname\"; add it",
    );
    check(
        "tests: [{alert_rule_test: [{alertname: A, exp_alerts: [{exp_label: {}}]}]}]",
        "t.yml:1:57: unknown key \"exp_label\" in an expected alert; did you mean \"exp_labels\"?",
    );
    check(
        "tests: [{promql_expr_test: [{expr: x, exp_samples: [{value: many}]}]}]",
        "t.yml:1:61: \"many\" is not a number",
    );
    check(
        "tests: [{start_timestamp: soon}]",
        "t.yml:1:27: \"soon\" is no instant; give seconds since the epoch, or 2026-11-23T13:49:07Z",
    );
    check("group_eval_order: [a, a]", "t.yml:1:23: the group \"a\" is listed twice; keep one");
    check("match: some", "t.yml:1:8: \"some\" is neither \"exact\" nor \"subset\"; write one of them");
    check("rule_files: [none/*.yml]", "ok");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_finds_nothing_is_noted() {
    let tests = "
group_eval_order: [none]
tests: [{alert_rule_test: [{alertname: Hihg, eval_time: 1m}]}]
";
    let report = run_rule_test_text(tests, RULES).unwrap();
    assert!(report.is_ok());
    let expected =
        ["group_eval_order names \"none\", and no rule file has such a group", "line 3: no rule is named Hihg"];
    assert_eq!(report.notes, expected);
}
