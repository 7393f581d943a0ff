//! `evenkeel report verdicts`: minutes of each word.

use super::*;

#[test]
fn minutes_of_each_word_add_up_and_a_closed_month_stays_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("prometheus.yml");
    std::fs::write(&config, "global: {scrape_interval: 15s}\n").unwrap();
    let start = || Server::start(Path::new(PROGRAM), &dir.path().join("data"), Some(&config)).unwrap();
    let report = |server: &Server, args: &[&str]| {
        let url = format!("http://{}", server.address);
        let output = run(&[&["report", "verdicts", "--url", &url], args].concat());
        (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
    };
    let server = start();
    let (code, hour) = report(&server, &["--since", "1h", "--format", "json"]);
    assert_eq!(code, 0, "{hour}");
    let hour: serde_json::Value = serde_json::from_str(&hour).unwrap();
    let minutes: f64 = hour["overall"].as_object().unwrap().values().map(|minutes| minutes.as_f64().unwrap()).sum();
    // Both ends belong to it, each to the millisecond.
    assert!((minutes - 60.0).abs() < 1e-4, "{hour}");
    let closed = ["--month", "2021-02", "--time-zone", "Europe/Berlin", "--format", "json"];
    let (code, before) = report(&server, &closed);
    assert!(code == 0 && before.contains("\"unrecorded_minutes\": 40320.0"), "{before}");
    let (code, told) = report(&server, &["--month", "2999-01"]);
    assert!(code == 1 && told.contains("the span must begin before it ends, and before now"), "{told}");
    let (_, told) = report(&server, &["--month", "2021-02"]);
    assert!(told.contains("Minutes of each word\n  service     OK   AT_RISK  HURTING  BLIND  unrecorded\n"), "{told}");
    server.stop().unwrap();
    let server = start();
    assert_eq!(report(&server, &closed), (0, before));
    server.stop().unwrap();
}
