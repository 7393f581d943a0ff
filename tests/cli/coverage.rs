//! `evenkeel coverage` as a gate: who lacks what, and with which exit code.

use super::*;

#[test]
fn a_service_that_a_sample_names_for_the_first_time_fails_the_gate() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("prometheus.yml");
    std::fs::write(&config, "global: {scrape_interval: 15s}\n").unwrap();
    let server = Server::start(Path::new(PROGRAM), &dir.path().join("data"), Some(&config)).unwrap();
    let url = format!("http://{}", server.address);
    let coverage = |more: &[&str]| {
        let output = run(&[&["coverage", "--url", &url], more].concat());
        (output.status.code().unwrap(), text(&output.stdout))
    };
    let labels = [("__name__", "requests_total"), ("service", "foo"), ("team", "sales"), ("tier", "critical")];
    let mut batch = Batch::new();
    batch.push(Labels::new(labels).unwrap(), Sample { t: Timestamp(now_ms()), v: 1.0 });
    let mut http = Http::connect(server.address).unwrap();
    assert_eq!(http.remote_write(&encode_remote_write(&batch)).unwrap().status, 204);

    let (code, told) = coverage(&["--fail-under", "100"]);
    assert_eq!(code, 3, "{told}");
    let line = told.lines().find(|line| line.starts_with("foo ")).unwrap_or_else(|| panic!("{told}"));
    assert_eq!(
        line.split_whitespace().collect::<Vec<_>>(),
        ["foo", "-", "0", "of", "0", "-", "-", "-", "-", "-", "sales"]
    );
    assert!(told.contains("\n0 of 1 services are covered (0 %)"), "{told}");
    assert!(told.contains("\n0 of 1 services have adopted objectives (0 %)"), "{told}");
    let (code, told) = coverage(&["--fail-under", "100", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, json["share"].as_f64()), (3, Some(0.0)), "{told}");
    assert_eq!(json["services"][0]["gaps"], serde_json::json!(["objective", "page", "route"]));
    // Without a bound it only tells.
    assert_eq!(coverage(&[]).0, 0);
    let spots = run(&["blindspots", "--url", &url]);
    assert_eq!(spots.status.code(), Some(3));
    assert!(text(&spots.stdout).contains("foo has no objective"), "{}", text(&spots.stdout));
    server.stop().unwrap();
}

#[test]
fn a_critical_service_that_lacks_something_fails_the_gate_and_makes_the_verdict_blind() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("prometheus.yml");
    std::fs::write(&config, "coverage:\n  critical: tier=\"critical\"\n  services: [{name: checkout, owner: money}]\n")
        .unwrap();
    let server = Server::start(Path::new(PROGRAM), &dir.path().join("data"), Some(&config)).unwrap();
    let url = format!("http://{}", server.address);
    let mut batch = Batch::new();
    for (service, tier) in [("foo", "critical"), ("bar", "other")] {
        let labels = [("__name__", "requests_total"), ("service", service), ("tier", tier)];
        batch.push(Labels::new(labels).unwrap(), Sample { t: Timestamp(now_ms()), v: 1.0 });
    }
    let mut http = Http::connect(server.address).unwrap();
    assert_eq!(http.remote_write(&encode_remote_write(&batch)).unwrap().status, 204);

    let output = run(&["coverage", "--url", &url]);
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(told.contains("\n0 of 2 critical services are covered (0 %)"), "{told}");
    assert!(told.contains("\ncritical and not complete: checkout lacks objective, page, route\n"), "{told}");
    assert!(told.contains("\ncritical and not complete: foo lacks objective, page, route, owner\n"), "{told}");
    let critical = |name: &str| told.lines().find(|line| line.starts_with(name)).unwrap().ends_with("yes");
    assert_eq!(["checkout", "foo", "bar"].map(critical), [true, true, false], "{told}");
    let verdict = run(&["verdict", "foo", "--long", "--url", &url]);
    let told = text(&verdict.stdout);
    assert_eq!(verdict.status.code(), Some(3), "{told}");
    for expected in ["BLIND", "foo is critical and has no objective", "add an objective of it under slo_files"] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    server.stop().unwrap();
}
