//! The main file.

use evenkeel::confidence::AccuracyTargets;
use evenkeel::config::{Authorization, Durability, RetentionRule, StartTimestamps};
use evenkeel::model::{DownsampleRule, MatchOp, Matcher, Millis};

use super::*;

const WHOLE: &str = r#"
global:
  scrape_interval: 15s
  evaluation_interval: 30s
  external_labels: {cluster: eu, replica: "1"}
  query_log_file: /tmp/queries
scrape_configs:
  - job_name: node
    static_configs:
      - targets: ["localhost:9100", "10.0.0.1:9100"]
        labels: {zone: a}
  - job_name: app
    scrape_interval: 5s
    metrics_path: metrics
    scheme: https
    honor_labels: true
    honor_timestamps: false
    sample_limit: 5000
    body_size_limit: 1MB
    params: {module: [a, b]}
    basic_auth: {username: me, password: "${TOKEN}"}
    fallback_scrape_protocol: PrometheusText0.0.4
    static_configs: [{targets: ["app:80"]}]
    relabel_configs:
      - source_labels: [__address__]
        regex: (.*):.*
        target_label: instance
        replacement: ${1}
      - {action: labeldrop, regex: tmp_.*}
rule_files: ["rules/*.yml"]
slo_files: [slo.yml]
alerting:
  alertmanagers:
    - static_configs: [{targets: ["am1:9093", "am2:9093"]}]
      path_prefix: /alerts
      timeout: 5s
      bearer_token_file: token
alertmanager_file: alertmanager.yml
storage: {retention: 30d, durability: 100ms, out_of_order: 10m}
"#;

fn whole() -> Files {
    Files::new(&[
        ("prometheus.yml", WHOLE),
        ("rules/b.yml", "groups: [{name: b, rules: [{record: b, expr: up}]}]"),
        ("rules/a.yml", "groups: [{name: a, interval: 5s, rules: [{alert: A, expr: up == 0, for: 1m}]}]"),
        ("rules/other.txt", "not a rule file"),
        ("slo.yml", "objectives: [{service: s, objective: 99.9, gauge: up == 1}]"),
        (
            "alertmanager.yml",
            "route: {receiver: r}\nreceivers: [{name: r, webhook_configs: [{url: 'http://h/${TOKEN}'}]}]",
        ),
        ("token", "open sesame\n"),
    ])
}

#[test]
fn a_whole_configuration_is_read() {
    let files = whole();
    let config = files.load().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((config.scrape_interval, config.scrape_timeout), (Millis::seconds(15), Millis::seconds(10)));
    assert_eq!(config.external_labels.to_string(), "{cluster=\"eu\", replica=\"1\"}");
    let [node, app] = config.scrape.as_slice() else { panic!("two jobs") };
    assert_eq!((node.interval, node.timeout), (Millis::seconds(15), Millis::seconds(10)));
    assert_eq!(node.targets[0].addresses, ["localhost:9100", "10.0.0.1:9100"]);
    assert_eq!(node.targets[0].labels.get("zone"), "a");
    assert_eq!((app.interval, app.timeout), (Millis::seconds(5), Millis::seconds(5)));
    assert_eq!((app.metrics_path.as_str(), app.scheme.as_str()), ("/metrics", "https"));
    assert!(app.honor_labels && !app.honor_timestamps);
    assert_eq!((app.sample_limit, app.body_bytes_max), (5000, 1 << 20));
    assert_eq!(app.params, [("module".to_owned(), "a".to_owned()), ("module".to_owned(), "b".to_owned())]);
    let Authorization::Basic { username, password } = &app.authorization else { panic!("basic") };
    assert_eq!((username.as_str(), password.reveal()), ("me", "open sesame"));
    assert_eq!(app.relabel[0].replacement, "${1}");
    assert_eq!((app.relabel[1].action.as_str(), app.relabel[1].regex.as_str()), ("labeldrop", "tmp_.*"));
    let groups: Vec<_> = config.rule_groups.iter().map(|g| (g.name.as_str(), g.interval)).collect();
    assert_eq!(groups, [("a", Millis::seconds(5)), ("b", Millis::seconds(30))]);
    assert_eq!(config.objectives[0].name, "availability");
    let urls: Vec<_> = config.alertmanagers.iter().map(|am| am.url.as_str()).collect();
    assert_eq!(urls, ["http://am1:9093/alerts", "http://am2:9093/alerts"]);
    assert_eq!(config.alertmanagers[0].authorization.header().as_deref(), Some("Bearer open sesame"));
    assert_eq!(config.routing.as_ref().unwrap().receivers[0].webhooks[0].url.reveal(), "http://h/open sesame");
    assert_eq!(config.storage.retention, Millis::days(30));
    assert_eq!(config.storage.durability, Durability::Interval(Millis(100)));
    assert_eq!(config.storage.out_of_order, Millis::minutes(10));
    let notes: Vec<_> = config.notes.iter().map(|note| files.relative(&note.to_string())).collect();
    assert_eq!(
        notes,
        [
            "prometheus.yml:6: \"query_log_file\" changes nothing: names are taken as they come, and no extra logs are written"
        ]
    );
    let read: Vec<_> = config.files.iter().map(|path| files.relative(&path.display().to_string())).collect();
    assert_eq!(read, ["prometheus.yml", "rules/a.yml", "rules/b.yml", "slo.yml", "token", "alertmanager.yml"]);
}

#[test]
fn targets_that_rules_turn_into_addresses_may_be_anything() {
    let config = load(
        "scrape_configs:\n- job_name: blackbox\n  metrics_path: /probe\n  \
         static_configs: [{targets: ['https://example.org/a']}]\n  relabel_configs:\n  \
         - {source_labels: [__address__], target_label: __param_target}\n  \
         - {target_label: __address__, replacement: 'blackbox:9115'}\n",
    );
    assert_eq!(config.scrape[0].targets[0].addresses, ["https://example.org/a"]);
    let summary = config.summary();
    assert!(summary.contains("\n    https://example.org/a {}, then relabel_configs: 2\n"), "{summary}");
}

#[test]
fn secrets_are_not_shown() {
    let config = whole().load().unwrap();
    for text in [format!("{config:?}"), config.summary()] {
        assert!(!text.contains("sesame"), "{text}");
    }
}

#[test]
fn nothing_at_all_gives_the_defaults() {
    let config = load("");
    assert_eq!(Config { files: Vec::new(), ..config.clone() }, Config::default());
    assert_eq!(
        config.summary(),
        "global\n  scrape every 1m, for at most 10s\n  evaluate rules as samples arrive, others every 1m\n  external labels {}\n\
         storage\n  keep samples for 90d\n  \
         keep those of {__name__=~\"evenkeel_(accuracy|adoption|confidence|coverage|customers|error_budget|objective_time_coverage|scorecard|verdict)(_.+)?\"} for 400d\n  keep answers to range queries in up to 67108864 bytes of memory\n  durability synced: on disk before they are acknowledged\n  \
         take samples up to 0s older than the newest\n\
         deploys: new versions that {__name__=~\"(.+_)?build_info|target_info\"} name, and what is marked\n\
         accuracy: precision 98 %, recall 99.5 %, early warning 99 %\n\
         scrape configs: 0\nrule groups: 0\nobjectives: 0\n\
         alertmanagers: 0\nreceivers: 0\n"
    );
}

#[test]
fn series_that_say_what_runs_are_chosen_or_none() {
    let series = |text: &str| load(text).deploy_series.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        series("deploy_series: shop_build_info{env=\"live\"}\n"),
        ["__name__=\"shop_build_info\"", "env=\"live\""]
    );
    assert!(series("deploy_series: ''\n").is_empty());
    let error = error_with("deploy_series: 'a{'\n", &[]);
    assert!(error.starts_with("prometheus.yml:1:"), "{error}");
}

#[test]
fn critical_services_are_chosen_by_labels_and_by_name() {
    let config = load(
        "coverage:\n  critical: 'tier=\"critical\",env!=dev'\n  services: [checkout, {name: search, owner: find}]\n",
    );
    let named: Vec<_> = config.critical.declared.iter().map(|one| (one.name.as_str(), one.owner.as_deref())).collect();
    assert_eq!(config.critical.matchers_text(), "tier=\"critical\",env!=\"dev\"");
    assert_eq!(named, [("checkout", None), ("search", Some("find"))]);
    let summary = config.summary();
    for line in
        ["services: those of series with tier=\"critical\",env!=\"dev\"\n", "critical service: search, of find\n"]
    {
        assert!(summary.contains(line), "{summary}");
    }
    assert!(load("").critical.is_empty());
    for (text, expected) in [
        ("{critical: 'tier!=\"test\"'}", "1:22: series without these labels satisfy it too"),
        ("{critical: 'tier'}", "1:22: the matcher tier has no ="),
        ("{services: [a, b, a]}", "1:29: the service \"a\" stands twice; remove one"),
        ("{services: [{owner: a}]}", "1:24: an entry of services needs the key \"name\"; add it"),
        ("{services: ['']}", "1:23: \"services\" must not be empty"),
        ("{criticals: x}", "1:12: unknown key \"criticals\" in coverage; did you mean \"critical\"?"),
    ] {
        let error = error_with(&format!("coverage: {text}\n"), &[]);
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn samples_are_kept_as_said() {
    let config = load(
        "storage:\n  retention: 40d\n  retention_size: 20GB\n  compaction_rate: 8MB\n  results_cache: 0\n  retention_rules:\n  \
         - {match: '{job=\"debug\"}', keep: 2d}\n  - {match: 'slo:ratio{}', keep: 2y}\n  exemplars: {max_exemplars: 7}\n",
    );
    let storage = &config.storage;
    assert_eq!((storage.retention_bytes, storage.compaction_bytes_per_second), (20 << 30, 8 << 20));
    assert_eq!((storage.exemplars_max, storage.results_cache_bytes), (7, 0));
    let debug = RetentionRule { matchers: vec![Matcher::equal("job", "debug")], keep: Millis::days(2) };
    assert_eq!((storage.retention_rules.len(), &storage.retention_rules[0]), (3, &debug));
    let summary = config.summary();
    assert!(summary.contains("\n  keep those of {job=\"debug\"} for 2d\n"), "{summary}");
    assert_eq!(load("storage: {tsdb: {retention: {size: 1KB}}}").storage.retention_bytes, 1024);
    let refused = |text: &str, place: &str| {
        let error = error_with(text, &[]);
        assert!(error.starts_with(place), "{error}");
    };
    refused("storage:\n  retention_rules:\n  - {match: 'a{', keep: 2d}\n", "prometheus.yml:3:");
    refused("storage: {start_timestamps: yes}\n", "prometheus.yml:1:29: \"yes\" is not known here; write ignored");
    refused("storage:\n  retention_rules:\n  - {match: 'a'}\n", "prometheus.yml:3:");
}

#[test]
fn the_scorecard_is_kept_thirteen_months_unless_told_otherwise() {
    let rules = |text: &str| load(text).storage.retention_rules;
    let scorecard = RetentionRule::scorecard();
    assert!(scorecard.keep >= Millis::days(366 + 31) && scorecard.matchers.len() == 1);
    for text in ["", "storage: {retention: 7d}", "storage: {tsdb: {retention: {time: 399d}}}"] {
        assert_eq!(rules(text), std::slice::from_ref(&scorecard), "{text}");
    }
    assert_eq!(rules("storage: {retention: 2y}"), [], "all is kept as long");
    // The first rule that takes a series counts.
    let own = rules("storage:\n  retention_rules:\n  - {match: '{__name__=~\"evenkeel_.+\"}', keep: 5d}\n");
    assert_eq!((own.len(), own[0].keep, &own[1]), (2, Millis::days(5), &scorecard));
    // It is no reason to downsample what is gone by then.
    let error = error_with("storage: {retention: 30d, downsample: [{after: 60d, resolution: 1h}]}\n", &[]);
    assert!(error.contains("60d"), "{error}");
}

#[test]
fn alerts_are_held_to_targets_that_can_be_shown() {
    let targets = |text: &str| load(text).accuracy;
    assert_eq!(targets(""), AccuracyTargets::default());
    let set = AccuracyTargets { precision: 0.9, recall: 0.95, early_warning: 0.999 };
    assert_eq!(targets("accuracy: {precision: 90, recall: 0.95, early_warning: 99.9%}"), set);
    assert_eq!(targets("accuracy: {recall: 95}").precision, 0.98, "what is left out has its default");
    let summary = load("accuracy: {precision: 99.95}").summary();
    assert!(summary.contains("\naccuracy: precision 99.95 %, recall 99.5 %, early warning 99 %\n"), "{summary}");
    let refused = |value: &str, why: &str| {
        let error = error_with(&format!("accuracy:\n  recall: {value}\n"), &[]);
        assert!(error.starts_with("prometheus.yml:2:11: ") && error.contains(why), "{error}");
    };
    refused(
        "100",
        "a recall of 100 can never be shown: any number of cases leaves room for a failure; write a target below",
    );
    refused("1", "a recall of 1 can never be shown");
    refused("0", "a recall of 0 asks for nothing; write a target above 0, like 98");
    refused("NaN", "a recall of NaN asks for nothing");
    refused("-5", "a recall of -5 asks for nothing");
    refused("99.9999", "a recall of 99.9999 needs 2995731 cases without a failure to be shown; lower it");
    refused("high", "\"high\" is not a target; write it like 98 or 0.98");
    let error = error_with("accuracy: {recal: 98}\n", &[]);
    assert!(error.contains("unknown key \"recal\" in accuracy; did you mean \"recall\"?"), "{error}");
}

#[test]
fn the_severity_table_is_read_and_every_objective_has_it() {
    let slos = "objectives:\n- {service: pay, class: LOW, labels: {tier: \"1\"}}\n";
    let text = "slo_files: [slo.yml]\nseverity:\n- {tier: 1, groups: 10, severity: page}\n- {tier: [2, 3], alert: page, burn: 30, severity: page}\n\
                - {tier: 3, severity: ticket}\n- {alert: ticket, severity: log}\n- {severity: ticket}\n";
    let config = Files::new(&[("prometheus.yml", text), ("slo.yml", slos)]).load().unwrap();
    let shown = "severity: the first row that a burn alert satisfies\n  \
                 1: groups from 10, tier 1 -> page\n  2: alert page, burn from 30, tier 2 or 3 -> page\n  \
                 3: tier 3 -> ticket\n  4: alert ticket -> log\n  5: every alert -> ticket\n";
    let summary = config.summary();
    assert!(summary.contains(shown), "{summary}");
    assert_eq!((config.severity.len(), &config.objectives[0].severities), (5, &config.severity));
    let note =
        "prometheus.yml:3: \"groups\" changes nothing: no objective has group_by, so that the row takes no alert\n";
    assert!(summary.contains(note), "{summary}");
}

#[test]
fn rows_of_the_severity_table_that_mean_nothing_are_refused() {
    let check = |rows: &str, expected: &str| {
        let error = error_with(&format!("severity:\n{rows}"), &[]);
        assert!(error.starts_with(&format!("prometheus.yml:{expected}")), "{error}");
    };
    check("- {tier: 1}\n", "2:4: a row of the severity table needs the key \"severity\"; add it");
    check("- {severity: critical}\n", "2:14: \"critical\" is none of page, ticket, log; write one of them");
    check("- {alert: log, severity: page}\n", "2:11: \"log\" is none of page, ticket; write one of them");
    check("- {burn: 0, severity: page}\n", "2:10: \"0\" is no burn rate; write a number above 0, like 14.4");
    check("- {burn: fast, severity: page}\n", "2:10: \"fast\" is no burn rate");
    check("- {groups: 0, severity: page}\n", "2:12: every alert has 0 groups or more; write 1 or more, or leave");
    check("- {groups: many, severity: page}\n", "2:12: \"many\" is not a whole number");
    check("- {tier: [], severity: page}\n", "2:10: an empty list takes no alert; write a tier, or leave \"tier\" out");
    check(
        "- {tires: 1, severity: page}\n",
        "2:4: unknown key \"tires\" in a row of the severity table; known keys are alert, burn,",
    );
    check(
        "- {severity: page}\n- {tier: 1, severity: ticket}\n",
        "3:4: row 2 is never reached: row 1 takes all of its alerts; move or remove it",
    );
    check(
        "- {tier: [1, 2], burn: 6, severity: page}\n- {alert: page, severity: log}\n- {tier: 2, burn: 6, severity: ticket}\n",
        "4:4: row 3 is never reached: row 1 takes",
    );
    // What is only partly taken before is reached.
    load("severity:\n- {burn: 6, severity: page}\n- {burn: 3, severity: ticket}\n- {tier: 1, severity: log}\n");
    load("severity: []\n");
}

#[test]
fn when_counting_began_is_kept_and_looked_at_as_said() {
    let setting = |text: &str| load(text).storage.start_timestamps;
    assert_eq!(setting(""), StartTimestamps::Ignored);
    assert_eq!(setting("storage: {start_timestamps: ignored}"), StartTimestamps::Ignored);
    assert_eq!(setting("storage: {start_timestamps: stored}"), StartTimestamps::Stored);
    assert_eq!(setting("storage: {start_timestamps: used}"), StartTimestamps::Used);
    let summary = load("storage: {start_timestamps: used}").summary();
    assert!(summary.contains("\n  keep when counting began; queries and rules look at it\n"), "{summary}");
}

#[test]
fn samples_are_downsampled_as_said() {
    let config = load(
        "storage:\n  retention: 2y\n  downsample:\n  - {after: 30d, resolution: 5m}\n  - {after: 180d, resolution: 1h}\n  \
         - {match: '{__name__=~\".+\",job!=\"slo\"}', after: 7d, resolution: 1m}\n",
    );
    let rule = |matchers: Vec<Matcher>, after, resolution| DownsampleRule { matchers, after, resolution };
    let any = Matcher::new("__name__", MatchOp::Match, ".+").unwrap();
    let not_slo = Matcher::new("job", MatchOp::NotEqual, "slo").unwrap();
    let expected = [
        rule(vec![], Millis::days(30), Millis::minutes(5)),
        rule(vec![], Millis::days(180), Millis::hours(1)),
        rule(vec![any, not_slo], Millis::days(7), Millis::minutes(1)),
    ];
    assert_eq!(config.storage.downsample, expected);
    let summary = config.summary();
    assert!(summary.contains("\n  downsample those after 30d to 5m\n"), "{summary}");
    assert!(summary.contains("\n  downsample those of {__name__=~\".+\",job!=\"slo\"} after 1w to 1m\n"), "{summary}");
    let refused = |entries: &str, place: &str, words: &str| {
        let error = error_with(&format!("storage:\n  out_of_order: 1h\n  downsample: {entries}\n"), &[]);
        assert!(error.starts_with(place) && error.contains(words), "{error}");
    };
    refused("[{after: 30d, to: 5m}]", "prometheus.yml:3:", "resolution");
    refused("[{resolution: 5m}]", "prometheus.yml:3:", "after");
    refused("[{after: 30d, resolution: 5}]", "prometheus.yml:3:41: ", "not a duration");
    refused("[{after: 0d, resolution: 5m}]", "prometheus.yml:3:24: ", "");
    refused("[{match: 'a{', after: 30d, resolution: 5m}]", "prometheus.yml:3:", "");
    refused("[{after: 30d, resolution: 5ms}]", "prometheus.yml:3:41: ", "is not between 1s and 1d");
    refused("[{after: 30d, resolution: 2d}]", "prometheus.yml:3:41: ", "is not between 1s and 1d");
    refused("[{after: 90d, resolution: 5m}]", "prometheus.yml:3:24: ", "samples are kept for 90d");
    refused("[{after: 1h, resolution: 5m}]", "prometheus.yml:3:24: ", "let after be at least the two together");
    refused("[{after: 9d, resolution: 5m}, {after: 8d, resolution: 1h}]", "prometheus.yml:3:53: ", "does not rise");
    refused("[{after: 8d, resolution: 5m}, {after: 9d, resolution: 1m}]", "prometheus.yml:3:69: ", "does not rise");
    refused("[{after: 8d, resolution: 5m}, {after: 9d, resolution: 7m}]", "prometheus.yml:3:69: ", "do not fit");
    let rules = "groups:\n- name: g\n  rules:\n  - record: r\n    expr: rate(x[40d])\n";
    let text = "rule_files: [r.yml]\nstorage:\n  downsample: [{after: 30d, resolution: 5m}]\n";
    let error = error_with(text, &[("r.yml", rules)]);
    assert!(error.starts_with("prometheus.yml:3:3: rule r of group g looks back 40d"), "{error}");
}

#[test]
fn broken_files_say_what_and_where() {
    check_errors(&[
        (
            "global:\n  scrape_intervall: 15s\n",
            "prometheus.yml:2:3: unknown key \"scrape_intervall\" in global; did you mean \"scrape_interval\"?\n    scrape_intervall: 15s\n    ^^^^^^^^^^^^^^^^",
        ),
        (
            "storage:\n  foo: 1\n",
            "prometheus.yml:2:3: unknown key \"foo\" in storage; known keys are compaction_rate, downsample, durability, exemplars, out_of_order, results_cache, retention, retention_rules, retention_size, start_timestamps, tsdb\n    foo: 1\n    ^^^",
        ),
        (
            "global:\n  scrape_interval: 15 s\n",
            "prometheus.yml:2:20: \"15 s\" is not a duration: units are y, w, d, h, m, s, ms, each once, from large to small; write it like 1h30m, 15s or 100ms\n    scrape_interval: 15 s\n                     ^^^^",
        ),
        (
            "global: {scrape_interval: 5s, scrape_timeout: 10s}",
            "prometheus.yml:1:47: scrape_timeout 10s is longer than scrape_interval 5s; shorten it\n  global: {scrape_interval: 5s, scrape_timeout: 10s}\n                                                ^^^",
        ),
        (
            "remote_write:\n  - url: http://x\n",
            "prometheus.yml:1:1: \"remote_write\" is not supported yet: remove it; samples are not passed on\n  remote_write:\n  ^^^^^^^^^^^^",
        ),
        (
            "scrape_configs:\n- job_name: a\n  file_sd_configs: [{files: [x]}]\n",
            "prometheus.yml:3:3: \"file_sd_configs\" is not supported yet: list the targets under static_configs\n    file_sd_configs: [{files: [x]}]\n    ^^^^^^^^^^^^^^^",
        ),
        (
            "scrape_configs:\n- job_name: a\n- job_name: a\n",
            "prometheus.yml:3:13: two scrape configs have the job_name \"a\"; rename one\n  - job_name: a\n              ^",
        ),
        (
            "scrape_configs:\n- static_configs: []\n",
            "prometheus.yml:2:3: a scrape config needs the key \"job_name\"; add it\n  - static_configs: []\n    ^^^^^^^^^^^^^^",
        ),
        (
            "scrape_configs: [{job_name: a, static_configs: [{targets: ['http://x:1/m']}]}]",
            "prometheus.yml:1:60: \"http://x:1/m\" is not an address; write host:port, and the rest as scheme and metrics_path\n  scrape_configs: [{job_name: a, static_configs: [{targets: ['http://x:1/m']}]}]\n                                                             ^^^^^^^^^^^^^^",
        ),
        (
            "scrape_configs: [{job_name: a, scheme: ftp}]",
            "prometheus.yml:1:40: the scheme \"ftp\" is neither http nor https; write one of them\n  scrape_configs: [{job_name: a, scheme: ftp}]\n                                         ^^^",
        ),
        (
            "scrape_configs: [{job_name: a, honor_labels: maybe}]",
            "prometheus.yml:1:46: \"maybe\" is neither true nor false; write one of them\n  scrape_configs: [{job_name: a, honor_labels: maybe}]\n                                               ^^^^^",
        ),
        (
            "scrape_configs: [{job_name: a, relabel_configs: [{action: kep, regex: x}]}]",
            "prometheus.yml:1:59: the action \"kep\" is not known; did you mean \"keep\"?\n  scrape_configs: [{job_name: a, relabel_configs: [{action: kep, regex: x}]}]\n                                                            ^^^",
        ),
        (
            "scrape_configs: [{job_name: a, basic_auth: {password: \"${NO}\"}}]",
            "prometheus.yml:1:55: the environment variable NO is not set; set it or write ${NO:-default}\n  scrape_configs: [{job_name: a, basic_auth: {password: \"${NO}\"}}]\n                                                        ^^^^^^^",
        ),
        (
            "scrape_configs: [{job_name: a, basic_auth: {password: x}, bearer_token: y}]",
            "prometheus.yml:1:59: more than one of basic_auth, authorization and bearer_token is given; keep one\n  scrape_configs: [{job_name: a, basic_auth: {password: x}, bearer_token: y}]\n                                                            ^^^^^^^^^^^^",
        ),
        (
            "storage: {durability: sync}",
            "prometheus.yml:1:23: the durability \"sync\" is not known; write synced, buffered or the time between two syncs, like 100ms\n  storage: {durability: sync}\n                        ^^^^",
        ),
        (
            "rule_files: [missing.yml]",
            "prometheus.yml:1:14: missing.yml: there is no such file; create it or correct the path\n  rule_files: [missing.yml]\n               ^^^^^^^^^^^",
        ),
        (
            "rule_files: x.yml",
            "prometheus.yml:1:13: \"rule_files\" must be a list\n  rule_files: x.yml\n              ^^^^^",
        ),
        ("- a", "prometheus.yml:1:1: the configuration must be a map of keys and values\n  - a\n  ^"),
        ("a: [", "prometheus.yml:1:4: not valid YAML: unclosed bracket '['\n  a: [\n     ^"),
        (
            "global: {external_labels: {__name__: x}}",
            "prometheus.yml:1:28: the label \"__name__\" cannot be set; it is the metric's name\n  global: {external_labels: {__name__: x}}\n                             ^^^^^^^^",
        ),
    ]);
}

#[test]
fn a_pattern_without_files_is_noted() {
    let config = load("rule_files: ['rules/*.yml']\n");
    assert_eq!(config.notes.len(), 1);
    assert!(config.notes[0].to_string().ends_with("\"rule_files\" changes nothing: no file fits the pattern"));
}

#[test]
fn a_secret_file_that_is_missing_is_named() {
    let text = "scrape_configs: [{job_name: a, basic_auth: {password_file: secret}}]";
    assert_eq!(
        error_with(text, &[]),
        "prometheus.yml:1:60: secret: there is no such file; create it or correct the path\n  \
         scrape_configs: [{job_name: a, basic_auth: {password_file: secret}}]\n  \
         \u{20}                                                          ^^^^^^"
    );
}

#[test]
fn composites_and_adjustments_reach_over_files() {
    let files = Files::new(&[
        ("prometheus.yml", "slo_files: ['slos/*.yml']\n"),
        (
            "slos/a.yml",
            "objectives: [{service: shop, name: all, objective: 99, composite: [{objective: cart/availability}]}]",
        ),
        ("slos/b.yml", "objectives: [{service: cart, objective: 99, errors: e, total: t}]"),
        ("slos/c.yml", "adjustments: [{name: move, from: 2026-11-21, for: 2h}]"),
    ]);
    let config = files.load().unwrap();
    let adjustments: Vec<usize> = config.objectives.iter().map(|objective| objective.adjustments.len()).collect();
    // What a composite counts its parts count.
    assert_eq!(adjustments, [0, 1]);
    let composite = "objectives: [{service: shop, name: all, objective: 99, composite: [{objective: cart/other}]}]";
    let error = error_with("slo_files: [slo.yml]\n", &[("slo.yml", composite)]);
    let expected = "shop/all: there is no objective cart/other that could be its part; add it, or correct the name";
    assert!(error.starts_with("prometheus.yml:1:") && error.contains(expected), "{error}");
}
