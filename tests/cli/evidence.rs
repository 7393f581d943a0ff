//! A pack that is saved from one server and checked without it; and who says what of an alert, from the click on.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::*;

/// A server with a rule that has fired, in a directory of its own.
struct Fired {
    dir: tempfile::TempDir,
}

impl Fired {
    fn new() -> Fired {
        let dir = tempfile::tempdir().unwrap();
        let rules = "groups: [{name: g, rules: [{alert: High, expr: x / 3 > 1, labels: {severity: page}}]}]";
        std::fs::write(dir.path().join("rules.yml"), rules).unwrap();
        std::fs::write(dir.path().join("prometheus.yml"), "rule_files: [rules.yml]\n").unwrap();
        Fired { dir }
    }

    fn start(&self) -> Server {
        let config = self.dir.path().join("prometheus.yml");
        Server::start(Path::new(PROGRAM), &self.dir.path().join("data"), Some(&config)).unwrap()
    }

    /// Sends a sample that fires, and gives the alert's name.
    fn fire(&self, server: &Server) -> String {
        let mut batch = Batch::new();
        batch.push(Labels::new([("__name__", "x"), ("job", "a")]).unwrap(), Sample { t: Timestamp(now_ms()), v: 9.1 });
        let mut http = Http::connect(server.address).unwrap();
        assert_eq!(http.remote_write(&encode_remote_write(&batch)).unwrap().status, 204);
        let (code, listed) = asked(server, &["episodes", "--alerts", "--format", "json"]);
        assert_eq!(code, 0, "{listed}");
        let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
        listed["alerts"][0]["id"].as_str().unwrap().to_owned()
    }
}

fn asked(server: &Server, args: &[&str]) -> (i32, String) {
    let url = format!("http://{}", server.address);
    said(&[args, &["--url", &url]].concat())
}

fn said(args: &[&str]) -> (i32, String) {
    let output = run(args);
    (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn a_saved_pack_is_replayed_without_a_server() {
    let fired = Fired::new();
    let server = fired.start();
    let id = fired.fire(&server);
    let (code, json) = asked(&server, &["evidence", &id, "--format", "json"]);
    assert_eq!(code, 0, "{json}");
    assert_eq!(asked(&server, &["evidence", &id, "--format", "json"]).1, json);
    let (code, shown) = asked(&server, &["evidence", &id]);
    assert!(code == 0 && shown.contains("page High fired at ") && shown.contains("9.1 at "), "{shown}");
    assert!(shown.contains("it can be replayed: "), "{shown}");
    let (code, replayed) = asked(&server, &["evidence", &id, "--replay"]);
    assert!(code == 0 && replayed.ends_with("the same, bit for bit\n"), "{replayed}");
    let (code, refused) = asked(&server, &["evidence", "0000000000000000"]);
    assert!(code == 1 && refused.contains("no alert and no episode 0000000000000000 is remembered"), "{refused}");
    let (code, why) = asked(&server, &["why", "High"]);
    assert!(code == 0 && why.contains(&format!("its evidence: evenkeel evidence {id}")), "{why}");
    server.stop().unwrap();

    let file = fired.dir.path().join("pack.json");
    std::fs::write(&file, &json).unwrap();
    let path = file.to_str().unwrap();
    let (code, replayed) = said(&["evidence", "--replay", path]);
    assert!(code == 0 && replayed.ends_with("the same, bit for bit\n"), "{replayed}");
    std::fs::write(&file, json.replace("\"9.1\"", "\"9.2\"")).unwrap();
    let (code, replayed) = said(&["evidence", "--replay", path]);
    assert!(code == 1 && replayed.contains("changed: the sample 9.2 of x{job=\"a\"} at "), "{replayed}");
    assert!(replayed.contains("differs: x / 3 > 1 at ") && replayed.ends_with("not the same\n"), "{replayed}");
    let (code, replayed) = said(&["evidence", "--replay", path, "--format", "json"]);
    let replayed: serde_json::Value = serde_json::from_str(&replayed).unwrap();
    assert_eq!((code, &replayed["same"], &replayed["changed"][0]["value"]), (1, &false.into(), &"9.2".into()));
    std::fs::write(&file, "{}").unwrap();
    let (code, refused) = said(&["evidence", "--replay", path]);
    assert!(code == 1 && refused.contains("pack.json: it is no evidence pack; "), "{refused}");
    let (code, refused) = said(&["evidence", "--replay", "nowhere.json"]);
    assert!(code == 1 && refused.contains("there is no file nowhere.json"), "{refused}");
}

/// What the browser sends when a button of the form is clicked.
fn click(server: &Server, id: &str, form: &str) {
    let mut stream = TcpStream::connect(server.address).unwrap();
    let length = form.len();
    write!(
        stream,
        "POST /alerts/fired/{id}/outcome HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{form}",
        server.address
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 303 "), "{answer}");
}

#[test]
fn who_said_what_and_when_is_known_from_the_click_on_and_after_a_restart() {
    let fired = Fired::new();
    let mut server = fired.start();
    let id = fired.fire(&server);
    for (form, by) in
        [("by=Ada&outcome=noise", "Ada"), ("by=&outcome=useful", "anonymous"), ("outcome=test", "anonymous")]
    {
        let before = now_ms();
        click(&server, &id, form);
        let after = now_ms();
        let mut times = Vec::new();
        for restarted in [false, true] {
            if restarted {
                server.stop().unwrap();
                server = fired.start();
            }
            let (_, json) = asked(&server, &["episodes", "--alerts", "--format", "json"]);
            let alert = serde_json::from_str::<serde_json::Value>(&json).unwrap()["alerts"][0].take();
            assert_eq!(alert["outcome_by"], by, "{form}, {restarted}");
            let at = alert["outcome_at"].as_str().unwrap().to_owned();
            let said_at = Timestamp::parse_rfc3339(&at).unwrap().0;
            assert!((before..=after).contains(&said_at), "{form}: {at}");
            let (_, listed) = asked(&server, &["episodes", "--alerts"]);
            assert!(listed.contains(&format!(", by {by} at {at}")), "{listed}");
            times.push(at);
        }
        assert_eq!(times[0], times[1]);
    }
    server.stop().unwrap();
}
