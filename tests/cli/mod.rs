//! The program as a process: what it prints, its exit codes, and that a kill loses nothing.

#[path = "../../tools/kill_rounds/campaign.rs"]
mod campaign;

mod accuracy;
mod closed_pipe;
mod coverage;
mod evidence;
mod suggest;
mod verdicts;

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use evenkeel::model::{Batch, Labels, Sample, Timestamp};
use evenkeel::wire::encode_remote_write;

use crate::harness::{Http, Server, free_address, now_ms};

const PROGRAM: &str = env!("CARGO_BIN_EXE_evenkeel");

fn run(args: &[&str]) -> Output {
    Command::new(PROGRAM).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_kill_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let report = campaign::run(Path::new(PROGRAM), dir.path(), 4, 7).unwrap();
    assert!(report.failures.is_empty(), "{report}");
}

#[test]
fn every_command_has_help_with_an_example() {
    for command in [
        &["serve"][..],
        &["demo"],
        &["verdict"],
        &["query"],
        &["deploy", "mark"],
        &["report", "accuracy"],
        &["report", "verdicts"],
        &["report", "early-warning"],
        &["simulate", "outage"],
        &["episodes"],
        &["outcome"],
        &["evidence"],
        &["backtest"],
        &["what-if"],
        &["suggest", "slos"],
        &["check", "config"],
        &["check", "rules"],
        &["test", "promql"],
        &["test", "rules"],
    ] {
        let output = run(&[command, &["--help"]].concat());
        assert!(output.status.success());
        assert!(text(&output.stdout).contains("Example: evenkeel "), "{command:?}: {}", text(&output.stdout));
    }
}

#[test]
fn a_bad_config_is_named_with_its_place_and_nothing_starts() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("prometheus.yml");
    std::fs::write(&config, "global:\n  scrape_intervall: 15s\n").unwrap();
    let output =
        run(&["serve", "--config", config.to_str().unwrap(), "--data", dir.path().join("d").to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(error.contains("prometheus.yml:2:3") && error.contains("scrape_interval"), "{error}");
    assert!(!dir.path().join("d").exists());
}

#[test]
fn a_check_of_rules_says_how_each_is_evaluated() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rules.yml");
    let rules = "groups:\n- name: g\n  interval: 30s\n  rules:\n  - {alert: Gone, expr: 'absent(x)'}\n  \
                 - {alert: High, expr: 'x > 5'}\n  - {alert: Top, expr: 'quantile(1, x)'}\n  - {record: 'a:b', expr: x}\n";
    std::fs::write(&file, rules).unwrap();
    let output = run(&["check", "rules", file.to_str().unwrap()]);
    let (printed, errors) = (text(&output.stdout), text(&output.stderr));
    for line in [
        "1 groups, 4 rules\n",
        "  g/Gone: with each sample\n",
        "  g/High: with each sample; every 30s while native histograms are selected by {__name__=\"x\"}\n",
        "  g/Top: every 30s: quantile is not followed\n",
        "  g/a:b: every 30s: recording rules make one sample an interval\n",
    ] {
        assert!(printed.contains(line), "{line} in {printed}{errors}");
    }
}

#[test]
fn a_wide_address_needs_a_word() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(&["serve", "--listen", "0.0.0.0:0", "--data", dir.path().join("d").to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("--insecure-listen"), "{}", text(&output.stderr));
}

#[test]
fn nobody_answering_is_said_plainly() {
    let url = format!("http://{}", free_address().unwrap());
    let output = run(&["verdict", "--url", &url]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("is `evenkeel serve` running"), "{}", text(&output.stderr));
}

#[test]
fn the_verdict_follows_the_input_from_blind_to_ok_and_back() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("slo.yml"),
        "objectives:\n- {service: shop, name: availability, objective: 99, window: 30d, errors: 'http_requests_total{code=\"500\"}', total: http_requests_total}\n",
    )
    .unwrap();
    let config = dir.path().join("prometheus.yml");
    std::fs::write(&config, "slo_files: [slo.yml]\n").unwrap();
    let server = Server::start(Path::new(PROGRAM), &dir.path().join("data"), Some(&config)).unwrap();
    let url = format!("http://{}", server.address);
    let verdict = || {
        let output = run(&["verdict", "--url", &url]);
        (output.status.code().unwrap(), text(&output.stdout))
    };
    let (code, word) = verdict();
    assert!(code == 3 && word.starts_with("BLIND"), "{code} {word}");
    let mut http = Http::connect(server.address).unwrap();
    let mut write = |value: f64| {
        let mut batch = Batch::new();
        for (code, v) in [("200", value), ("500", 0.0)] {
            let labels = Labels::new([("__name__", "http_requests_total"), ("code", code)]).unwrap();
            batch.push(labels, Sample { t: Timestamp(now_ms()), v });
        }
        assert_eq!(http.remote_write(&encode_remote_write(&batch)).unwrap().status, 204);
    };
    let begun = Instant::now();
    let mut value = 0.0;
    loop {
        value += 50.0;
        write(value);
        let (code, word) = verdict();
        if code == 0 {
            assert!(word.starts_with("OK"), "{word}");
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{word}");
    }
    let simulated = |slo: &str, rate: &str| {
        let output = run(&["simulate", "outage", "--slo", slo, "--error-rate", rate, "--url", &url]);
        (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
    };
    let (code, told) = simulated("shop", "50%");
    assert!(code == 0 && told.starts_with("shop/availability of 99 %: 50 % of "), "{told}");
    assert!(told.contains("page      ErrorBudgetBurn 1h") && told.contains(" resolved "), "{told}");
    let (code, told) = simulated("shop/availability", "0.001");
    assert!(code == 3 && told.ends_with("\n  nobody would be told\n"), "{told}");
    let (code, told) = simulated("nobody", "1%");
    assert!(code == 1 && told.contains("there is no objective nobody; there are: shop/availability"), "{told}");
    // The input has stopped; nothing else happens.
    let begun = Instant::now();
    loop {
        let (code, word) = verdict();
        if code == 3 {
            assert!(word.starts_with("BLIND"), "{word}");
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{word}");
    }
}

#[test]
fn the_demo_tells_its_whole_story_and_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let output = Command::new(PROGRAM)
        .args(["demo", "--speed", "1000", "--seed", "3", "--exit"])
        .env("TMPDIR", temporary.path())
        .output()
        .unwrap();
    let told = text(&output.stdout);
    assert!(output.status.success(), "{told}\n{}", text(&output.stderr));
    let order = ["BLIND", "OK", "checkout v2 is deployed", "HURTING", "PAGE: checkout", "after its decisive sample"];
    let order = order.into_iter().chain(["rolled back", "OK", "RESOLVED"]);
    let mut rest = told.as_str();
    for chapter in order {
        let at = rest.find(chapter).unwrap_or_else(|| panic!("no {chapter:?} in its place:\n{told}"));
        rest = &rest[at + chapter.len()..];
    }
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "something stayed behind");
}

#[test]
fn a_target_that_is_down_is_blindness() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("prometheus.yml");
    let nobody = free_address().unwrap();
    std::fs::write(
        &config,
        format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
             scrape_configs: [{{job_name: gone, static_configs: [{{targets: ['{nobody}']}}]}}]\n"
        ),
    )
    .unwrap();
    let server = Server::start(Path::new(PROGRAM), &dir.path().join("data"), Some(&config)).unwrap();
    let url = format!("http://{}", server.address);
    let begun = Instant::now();
    loop {
        let output = run(&["verdict", "--url", &url]);
        let told = text(&output.stdout);
        if told.contains("1 of 1 target of job gone cannot be scraped") {
            assert_eq!(output.status.code(), Some(3));
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{told}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_server_outlives_a_log_that_cannot_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let address = free_address().unwrap();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut child = Command::new(PROGRAM)
        .args(["serve", "--listen", &address.to_string(), "--data", dir.path().to_str().unwrap()])
        .stdout(full.try_clone().unwrap())
        .stderr(full)
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let answers = loop {
        let asked = std::net::TcpStream::connect(address).and_then(|mut peer| {
            peer.write_all(b"GET /-/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
            let mut answer = String::new();
            peer.read_to_string(&mut answer).map(|_| answer)
        });
        if asked.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            break child.try_wait().unwrap().is_none();
        }
        if child.try_wait().unwrap().is_some() || Instant::now() > deadline {
            break false;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(answers, "the server ended");
}

#[test]
fn scripts_of_the_query_language_are_run() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("a.test");
    std::fs::write(&script, "load 1m\n  x 1 2\n\neval instant at 1m x\n  x 2\n\neval instant at 1m x + 1\n  {} 4\n")
        .unwrap();
    let output = run(&["test", "promql", dir.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stdout);
    for part in
        ["a.test:7: eval instant at 1m x + 1", "expected:\n      {} 4", "got:\n      {} 3", "\n1 passed, 1 failed\n"]
    {
        assert!(told.contains(part), "{part:?} in {told}");
    }
    std::fs::write(&script, "load 1m\n  x 1\n\neval instant at 0 x\n  x 1\n").unwrap();
    let output = run(&["test", "promql", script.to_str().unwrap()]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "1 passed, 0 failed\n".to_owned()));
}

#[test]
fn queries_are_written_out_and_their_mistakes_marked() {
    let output = run(&["query", "--format-only", "sum(rate(x[5m]))by(job)"]);
    assert_eq!(text(&output.stdout), "sum by (job) (rate(x[5m]))\n");
    let output = run(&["query", "sum(rate(x))"]);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(told.contains("1:10: parse error") && told.contains("sum(rate(x))\n         ^\nhint: "), "{told}");
}

#[test]
fn a_stopped_database_answers_queries() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = evenkeel::db::DbOptions::new(dir.path());
    options.threads = evenkeel::db::Threads::None;
    let db = evenkeel::db::Db::open(options).unwrap();
    let now = now_ms();
    for back in 0..5i64 {
        let mut batch = Batch::new();
        let sample = Sample { t: Timestamp(now - 60_000 * (4 - back)), v: back as f64 };
        batch.push(Labels::new([("__name__", "x"), ("job", "a")]).unwrap(), sample);
        db.append(batch).unwrap();
    }
    db.close().unwrap();
    let ask = |args: &[&str]| {
        let output = run(&[&["query", "--data", dir.path().to_str().unwrap()], args].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    assert_eq!(ask(&["x + 1"]), "job  value\na        5\n");
    assert!(ask(&["--format", "csv", "x"]).starts_with("__name__,job,time,value\nx,a,"));
    assert!(ask(&["--format", "json", "1 + 1"]).contains("\"resultType\": \"scalar\""));
    let drawn = ask(&["--last", "4m", "--step", "1m", "x"]);
    assert!(drawn.contains("x{job=\"a\"}") && drawn.contains('█') && drawn.contains("last "), "{drawn}");
}

#[test]
fn tests_of_rules_tell_what_failed_and_write_junit() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(path("r.yml"), "groups: [{name: g, rules: [{alert: Down, expr: up == 0}]}]").unwrap();
    let test = |name: &str, expected: &str| {
        format!(
            "{{name: {name}, input_series: [{{series: up, values: 0 0}}],\n alert_rule_test: [{{eval_time: 1m, \
             alertname: Down, exp_alerts: {expected}}}]}}"
        )
    };
    let tests = format!("rule_files: [r.yml]\ntests: [{},\n{}]", test("fires", "[{}]"), test("silent", "[]"));
    std::fs::write(path("t.yml"), tests).unwrap();
    let output = run(&["test", "rules", "--diff", "--junit", &path("j.xml"), &path("t.yml")]);
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("t.yml:5: Down at 1m: 0 alerts expected, 1 fire"), "{told}");
    assert!(told.contains("+ labels {alertname=\"Down\"}") && told.ends_with("1 passed, 1 failed\n"), "{told}");
    let junit = std::fs::read_to_string(path("j.xml")).unwrap();
    assert!(junit.contains("tests=\"2\" failures=\"1\"") && junit.contains("<testcase name=\"silent\">"), "{junit}");
    let output = run(&["test", "rules", "--run", "^fires$", &path("t.yml")]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
}

#[test]
fn a_check_of_rules_finds_what_is_likely_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rules.yml").display().to_string();
    let rules = "\
groups:
- name: g
  rules:
  - {alert: Never, expr: up > 1}
  # evenkeel:disable missing-owner, missing-runbook
  - alert: Typo
    expr: rate(reqests_total[1m]) > 1
  - {record: 'a:b', expr: 'rate(requests_total[30s])'}
";
    std::fs::write(&file, rules).unwrap();
    let found = |args: &[&str]| {
        let output = run(&[&["check", "rules", &file], args].concat());
        let printed = text(&output.stdout);
        let lines = printed.lines().filter_map(|line| line.trim().strip_prefix(&file)?.strip_prefix(':'));
        let found: Vec<String> = lines.map(|line| line.splitn(3, ": ").take(2).collect::<Vec<_>>().join(" ")).collect();
        (output.status.code(), found.into_iter().filter(|line| line != " ok").collect::<Vec<_>>())
    };
    assert_eq!(
        found(&[]),
        (Some(0), ["4 missing-owner", "4 missing-runbook", "4 never-true"].map(String::from).into())
    );
    let disabled = ["--disable", "missing-owner", "--disable", "missing-runbook", "--lint-fatal"];
    assert_eq!(found(&disabled), (Some(3), vec!["4 never-true".to_owned()]));
    let mut options = evenkeel::db::DbOptions::new(dir.path().join("data"));
    options.threads = evenkeel::db::Threads::None;
    let db = evenkeel::db::Db::open(options).unwrap();
    let now = now_ms();
    for back in [2, 1, 0i64] {
        let mut batch = Batch::new();
        for name in ["up", "requests_total"] {
            let sample = Sample { t: Timestamp(now - 60_000 * back), v: 1.0 };
            batch.push(Labels::new([("__name__", name)]).unwrap(), sample);
        }
        db.append(batch).unwrap();
    }
    db.close().unwrap();
    let data = dir.path().join("data").display().to_string();
    let with_data = ["--disable", "missing-owner", "--disable", "missing-runbook", "--data", &data];
    let expected = ["4 never-true", "6 matches-nothing", "8 window-too-short"].map(String::from);
    assert_eq!(found(&with_data), (Some(0), expected.to_vec()));
    let server = Server::start(Path::new(PROGRAM), &dir.path().join("data"), None).unwrap();
    let url = format!("http://{}", server.address);
    let asked = ["--disable", "missing-owner", "--disable", "missing-runbook", "--url", &url];
    assert_eq!(found(&asked).1[1], "6 matches-nothing");
    server.stop().unwrap();
    let output = run(&["check", "rules", "--disable", "nothing", &file]);
    assert!(text(&output.stderr).contains("there is no such lint"), "{}", text(&output.stderr));
}

#[test]
fn a_backtest_tells_what_would_have_fired_and_how_good_that_would_have_been() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let rule = |bound: &str| {
        format!(
            "groups: [{{name: g, rules: [{{alert: High, expr: x > {bound}, for: 2m, labels: {{severity: page}}}}]}}]"
        )
    };
    std::fs::write(path("new.yml"), rule("5")).unwrap();
    std::fs::write(path("old.yml"), rule("50")).unwrap();
    let mut options = evenkeel::db::DbOptions::new(dir.path().join("data"));
    options.threads = evenkeel::db::Threads::None;
    let db = evenkeel::db::Db::open(options).unwrap();
    let begin = now_ms() / 60_000 * 60_000 - 3_600_000;
    for minute in 0..60i64 {
        let mut batch = Batch::new();
        let v = if (20..30).contains(&minute) || minute >= 58 { 9.0 } else { 1.0 };
        batch.push(
            Labels::new([("__name__", "x"), ("job", "a")]).unwrap(),
            Sample { t: Timestamp(begin + minute * 60_000), v },
        );
        db.append(batch).unwrap();
    }
    db.close().unwrap();
    let second = |minute: i64| (begin / 1000 + minute * 60).to_string();
    let csv =
        format!("start,end,name,job\n{},{},disk,a\n{},{},dns,b\n", second(19), second(29), second(40), second(45));
    std::fs::write(path("e.csv"), csv).unwrap();
    let range = ["--start", &second(5), "--end", &second(59)].map(String::from);
    let backtest = |more: &[&str]| {
        let files = [path("new.yml"), "--against".to_owned(), path("old.yml"), "--episodes".to_owned(), path("e.csv")];
        let args: Vec<&str> = ["backtest"]
            .into_iter()
            .chain(files.iter().chain(&range).map(String::as_str))
            .chain(more.iter().copied())
            .collect();
        let output = run(&args);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let data = path("data");
    let told = backtest(&["--data", &data, "--html", &path("page.html"), "--timezone", "Europe/Berlin"]);
    for line in
        ["new rules: 1 rules fired 1 times", "old rules: 1 rules fired 0 times", "detected, median", "50 % (1 of 2;"]
    {
        assert!(told.contains(line), "{line} in {told}");
    }
    let page = std::fs::read_to_string(path("page.html")).unwrap();
    assert!(
        page.contains("<svg") && page.contains("High") && page.contains("missed") && !page.contains("http"),
        "{page}"
    );
    let from_data = backtest(&["--data", &data, "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&from_data).unwrap();
    let alert = &json["sets"][0]["alerts"][0];
    assert_eq!(alert["start"].as_f64().unwrap() * 1000.0, (begin + 22 * 60_000) as f64, "{json}");
    assert_eq!(alert["end"].as_f64().unwrap() * 1000.0, (begin + 30 * 60_000) as f64, "{json}");
    assert_eq!(json["sets"][0]["episodes"][0]["detected_after_seconds"], 180.0);
    let server = Server::start(Path::new(PROGRAM), &dir.path().join("data"), None).unwrap();
    let url = format!("http://{}", server.address);
    let from_server: serde_json::Value = serde_json::from_str(&backtest(&["--url", &url, "--format", "json"])).unwrap();
    assert_eq!(from_server["sets"][0]["alerts"], json["sets"][0]["alerts"]);
    server.stop().unwrap();
}

#[test]
fn objectives_are_proposed_from_what_was_measured_and_can_be_asked_what_if() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut options = evenkeel::db::DbOptions::new(data.clone());
    options.threads = evenkeel::db::Threads::None;
    let db = evenkeel::db::Db::open(options).unwrap();
    let now = now_ms();
    for minute in 0..600i64 {
        let mut batch = Batch::new();
        let mut push = |name: &str, labels: &[(&str, &str)], v: f64| {
            let labels = Labels::new([("__name__", name)].into_iter().chain(labels.iter().copied())).unwrap();
            batch.push(labels, Sample { t: Timestamp(now - 60_000 * (600 - minute)), v });
        };
        let n = minute as f64;
        // Ten minutes in which half of the requests fail: 250 of 60,000.
        let failed = (n - 300.0).clamp(0.0, 5.0) * 50.0;
        push("http_requests_total", &[("job", "shop"), ("code", "200")], n * 100.0 - failed);
        push("http_requests_total", &[("job", "shop"), ("code", "500")], failed);
        for (le, share) in [("0.1", 0.9), ("0.3", 0.997), ("1", 1.0), ("+Inf", 1.0)] {
            push("http_duration_seconds_bucket", &[("job", "shop"), ("le", le)], (n * 100.0 * share).floor());
        }
        push("grpc_server_handled_total", &[("job", "cart"), ("grpc_code", "OK")], n * 100.0);
        push("grpc_server_handled_total", &[("job", "cart"), ("grpc_code", "Unavailable")], (n / 100.0).floor());
        push("probe_success", &[("job", "web")], 1.0);
        push("odd_things_total", &[("job", "shop")], n);
        db.append(batch).unwrap();
    }
    db.close().unwrap();
    let slos = dir.path().join("slo.yml");
    let config = dir.path().join("prometheus.yml");
    let written = "objectives:\n- service: shop\n  objective: 99.9\n  errors: http_requests_total{code=~\"5..\"}\n  total: \
                   http_requests_total\n";
    std::fs::write(&slos, written).unwrap();
    std::fs::write(&config, "slo_files: [slo.yml]\n").unwrap();
    let server = Server::start(Path::new(PROGRAM), &data, Some(&config)).unwrap();
    let url = format!("http://{}", server.address);
    let output = run(&["suggest", "slos", "--since", "1d", "--url", &url]);
    let proposed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{proposed}{}", text(&output.stderr));
    let file = dir.path().join("proposed.yml");
    std::fs::write(&file, &proposed).unwrap();
    let checked = run(&["check", "slo", file.to_str().unwrap()]);
    let understood = text(&checked.stdout);
    assert_eq!(checked.status.code(), Some(0), "{proposed}\n{}", text(&checked.stderr));
    for line in [
        "  shop/availability: 99 % of the events of any 30d are good\n    bad events: \
         sum(increase(http_requests_total{job=\"shop\",code=~\"5..\"}[30d])) / \
         sum(increase(http_requests_total{job=\"shop\"}[30d]))\n",
        "  cart/availability: 99.95 % of the events",
        "  shop/latency-300ms: 99 % of the events",
        "http_duration_seconds_bucket{job=\"shop\",le=\"0.3\"}",
        "  web/probe: 98 % of the events",
    ] {
        assert!(understood.contains(line), "{line}\n{understood}\n{proposed}");
    }
    assert!(!understood.contains("odd_things"), "{understood}");
    let what_if = |args: &[&str]| run(&[&["what-if", "shop/availability", "--url", &url], args].concat());
    let told = text(&what_if(&["--objective", "99", "--window", "7d"]).stdout);
    for line in ["objective    99.9 %", "as it is", "99 %\n", "1w\n"] {
        assert!(told.contains(line), "{line}: {told}");
    }
    let json: serde_json::Value =
        serde_json::from_slice(&what_if(&["--slices", "1m", "--slice-target", "95", "--format", "json"]).stdout)
            .unwrap();
    assert_eq!((json["as_is"]["bad"].as_f64(), json["as_is"]["units"].as_str()), (Some(250.0), Some("events")));
    assert_eq!((json["what_if"]["bad"].as_f64(), json["what_if"]["units"].as_str()), (Some(5.0), Some("slices of 1m")));
    assert!(json["as_is"]["pages"].as_u64().unwrap() > 0, "{json}");
    let refused = |args: &[&str], path: &str| {
        let output = run(&[&["what-if", path, "--url", &url], args].concat());
        assert_eq!(output.status.code(), Some(1));
        text(&output.stderr)
    };
    assert!(refused(&[], "shop/other").contains("there is no objective shop/other"));
    assert!(refused(&["--objective", "50"], "shop/availability").contains("can never be reached"));
    assert!(refused(&["--window", "month", "--time-zone", "Mars"], "shop/availability").contains("no time zone"));
    server.stop().unwrap();
}
