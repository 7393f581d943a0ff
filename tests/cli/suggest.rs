//! `evenkeel suggest slos` on a server that is five minutes old.

use super::*;

/// Five minutes of a sample each 15 s: 6,000 requests, of which three fail.
fn five_minutes(now: i64) -> Batch {
    let mut batch = Batch::new();
    for step in 0..=20i64 {
        let t = Timestamp(now - 15_000 * (20 - step));
        let n = step as f64;
        for (code, v) in [("200", n * 300.0 - (n / 6.0).floor()), ("500", (n / 6.0).floor())] {
            let labels = [("__name__", "http_requests_total"), ("job", "shop"), ("code", code)];
            batch.push(Labels::new(labels).unwrap(), Sample { t, v });
        }
        let up = Labels::new([("__name__", "up"), ("job", "shop")]).unwrap();
        batch.push(up, Sample { t, v: 1.0 });
    }
    batch
}

#[test]
fn five_minutes_of_samples_are_enough_for_proposals_and_none_is_applied() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("prometheus.yml");
    std::fs::write(&config, "global: {scrape_interval: 15s}\n").unwrap();
    let server = Server::start(Path::new(PROGRAM), &dir.path().join("data"), Some(&config)).unwrap();
    let url = format!("http://{}", server.address);
    let mut http = Http::connect(server.address).unwrap();
    let mut objectives = || http.get("/api/v1/objectives").unwrap().text();
    let before = objectives();
    let mut writer = Http::connect(server.address).unwrap();
    assert_eq!(writer.remote_write(&encode_remote_write(&five_minutes(now_ms()))).unwrap().status, 204);

    let output = run(&["suggest", "slos", "--url", &url]);
    let proposed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{proposed}{}", text(&output.stderr));
    for line in [
        // How many events there were depends on how soon they are asked for.
        "objectives:\n  # attained 99.95 % of 60",
        " events, 3 of them bad\n  - service: 'shop'\n    name: 'availability'\n    objective: 99.5\n",
        "# Nothing fits shop/up: attained 100.00 % of 21 events, 0 of them bad.\n",
    ] {
        assert!(proposed.contains(line), "{line}\n{proposed}");
    }
    let file = dir.path().join("proposed.yml");
    std::fs::write(&file, &proposed).unwrap();
    let checked = run(&["check", "slo", file.to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
    assert_eq!((before.as_str(), objectives()), (r#"{"status":"success","data":[]}"#, before.clone()));
    assert_eq!(std::fs::read_to_string(&config).unwrap(), "global: {scrape_interval: 15s}\n");
    server.stop().unwrap();
}
