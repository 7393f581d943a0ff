//! Alerts that fired, what people say of them, and the report, in every form.

use super::*;

#[test]
fn what_people_say_of_an_alert_is_in_the_report_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let rules = "groups: [{name: g, rules: [{alert: High, expr: x > 5, labels: {severity: page}}]}]";
    std::fs::write(dir.path().join("rules.yml"), rules).unwrap();
    let config = dir.path().join("prometheus.yml");
    std::fs::write(&config, "rule_files: [rules.yml]\n").unwrap();
    let start = || Server::start(Path::new(PROGRAM), &dir.path().join("data"), Some(&config)).unwrap();
    let server = start();
    let mut batch = Batch::new();
    batch.push(Labels::new([("__name__", "x")]).unwrap(), Sample { t: Timestamp(now_ms()), v: 9.0 });
    let mut http = Http::connect(server.address).unwrap();
    assert_eq!(http.remote_write(&encode_remote_write(&batch)).unwrap().status, 204);
    let asked = |server: &Server, args: &[&str]| {
        let url = format!("http://{}", server.address);
        let output = run(&[args, &["--url", &url]].concat());
        (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
    };
    let (code, listed) = asked(&server, &["episodes", "--alerts", "--format", "json"]);
    assert_eq!(code, 0, "{listed}");
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let alert = &listed["alerts"][0];
    assert_eq!((&alert["name"], &alert["truth"]), (&"High".into(), &"unmeasured".into()));
    let id = alert["id"].as_str().unwrap();
    let (code, said) = asked(&server, &["outcome", id, "useful", "--by", "ann"]);
    assert!(code == 0 && said.ends_with(" is useful\n"), "{said}");
    let (code, said) = asked(&server, &["outcome", "0000000000000000", "useful"]);
    assert!(code == 1 && said.contains("no alert 0000000000000000 is remembered"), "{said}");
    server.stop().unwrap();

    std::fs::write(&config, "rule_files: [rules.yml]\naccuracy: {precision: 90, early_warning: 99.95}\n").unwrap();
    let server = start();
    let report = |format: &str| {
        let (code, report) = asked(&server, &["report", "accuracy", "--since", "1d", "--format", format]);
        assert_eq!(code, 0, "{report}");
        report
    };
    for (format, expected) in [
        ("text", "insufficient: 90 % needs 29 labelled pages; you have 1"),
        ("text", "100 % (1 of 1; 2.5 to 100.0)"),
        ("md", "| all | 1 | 100 % (1 of 1; 2.5 to 100.0) | none known |"),
        ("csv", "all,1,100 % (1 of 1; 2.5 to 100.0),none known"),
        ("html", "<td>100 % (1 of 1; 2.5 to 100.0)</td>"),
        ("json", "\"useful\": 1"),
    ] {
        assert!(report(format).contains(expected), "{expected}: {}", report(format));
    }
    let (code, early) = asked(&server, &["report", "early-warning", "--since", "90d"]);
    assert!(code == 0 && early.contains("before 10 % of the budget was spent: none known"), "{early}");
    assert!(early.contains("early warning, 99.95 %, insufficient: 99.95 % needs 5990 episodes; "), "{early}");
    let (_, early) = asked(&server, &["report", "early-warning", "--format", "json"]);
    assert!(early.contains("\"target\": 0.9995"), "{early}");
    assert!(early.contains("\"late\": []") && early.contains("\"missed\": []"), "{early}");
    let (code, said) = asked(&server, &["report", "accuracy", "--month", "Octember"]);
    assert!(code == 1 && said.contains("Octember is no month; write 2026-10"), "{said}");
    let (_, episodes) = asked(&server, &["episodes", "--alerts"]);
    assert!(episodes.contains("High") && episodes.contains("useful"), "{episodes}");
    server.stop().unwrap();
}
