//! Commands whose reader is gone, as `head` is once it has seen enough.

use std::process::Stdio;

use super::*;

/// Runs a command of whose output nobody reads anything.
fn unread(args: &[&str]) -> Output {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    Command::new(PROGRAM).args(args).stdout(writer).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap()
}

#[test]
fn a_command_that_nobody_reads_ends_quietly() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let slos = "objectives:\n- {service: shop, objective: 99.9, errors: failed_total, total: requests_total}\n";
    std::fs::write(path("slo.yml"), slos).unwrap();
    std::fs::write(path("rules.yml"), "groups: [{name: g, rules: [{alert: High, expr: x > 5}]}]\n").unwrap();
    std::fs::write(path("prometheus.yml"), "slo_files: [slo.yml]\n").unwrap();
    let server =
        Server::start(Path::new(PROGRAM), &dir.path().join("data"), Some(&dir.path().join("prometheus.yml"))).unwrap();
    let url = format!("http://{}", server.address);
    let (slos, rules) = (path("slo.yml"), path("rules.yml"));
    for args in [
        &["check", "slo", &slos][..],
        &["check", "rules", &rules],
        &["verdict", "--url", &url],
        &["coverage", "--url", &url],
        &["blindspots", "--url", &url],
        &["query", "1 + 1", "--url", &url],
        &["episodes", "--url", &url],
        &["report", "accuracy", "--url", &url],
        &["suggest", "slos", "--url", &url],
        &["what-if", "shop/availability", "--url", &url],
        &["what-if", "shop/availability", "--format", "json", "--url", &url],
    ] {
        let output = unread(args);
        assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""), "{args:?}");
    }
    server.stop().unwrap();
}

#[test]
fn a_command_whose_complaint_nobody_reads_still_has_its_exit_code() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    for args in [&["check", "rules", "nowhere.yml"][..], &["check", "slo", "nowhere.yml"]] {
        let command = Command::new(PROGRAM).args(args).stderr(writer.try_clone().unwrap()).output().unwrap();
        assert_eq!(command.status.code(), Some(1), "{args:?}");
    }
}
