//! A restart neither repeats nor loses a page.

use evenkeel::model::{Millis, limits};
use evenkeel::notify::{AlertmanagerTarget, OpenError, Route};

use super::*;

#[test]
fn known_transitions_are_dropped_also_after_a_restart() {
    let mut bench = Bench::new(plain());
    let (a, b) = (firing(5, "A", 1), firing(5, "B", 1));
    bench.accept(std::slice::from_ref(&a));
    bench.accept(&[a.clone(), a.clone()]);
    assert_eq!(bench.sent(1), ["team firing [firing:A]"]);
    bench.restart(plain());
    // The replay brings both; only the one that the crash lost is news.
    bench.accept(&[firing(4, "Old", 0), a.clone(), b.clone()]);
    assert_eq!(bench.sent(2), ["team firing [firing:B]"]);
    bench.restart(plain());
    bench.accept(&[a, b]);
    assert_eq!(bench.sent(3), [""; 0]);
    assert_eq!(bench.notifier().position(), Seq(5));
}

#[test]
fn what_was_not_told_is_told_after_a_restart_with_the_same_key() {
    let mut bench = Bench::new(plain());
    bench.recorder.answer(refused_connection);
    bench.accept(&[firing(1, "A", 1)]);
    bench.step(1);
    let before = bench.recorder.take();
    bench.restart(plain());
    bench.recorder.answer(|_| Ok(status(200)));
    bench.step(2);
    let after = bench.recorder.take();
    assert_eq!(after.len(), 1);
    assert_eq!(header(&before[0], "Idempotency-Key"), header(&after[0], "Idempotency-Key"));
    assert_eq!(before[0].body, after[0].body);
    bench.restart(plain());
    assert_eq!(bench.sent(3), [""; 0]);
    assert_eq!(bench.notifier().status().receivers[0].last_success, Some(seconds(2)));
}

#[test]
fn resolved_is_told_once_across_restarts() {
    let mut bench = Bench::new(plain());
    bench.accept(&[firing(1, "A", 1)]);
    bench.step(1);
    bench.restart(plain());
    bench.accept(&[resolved(2, "A", 10)]);
    bench.recorder.take();
    bench.restart(plain());
    assert_eq!(bench.sent(10), ["team resolved [resolved:A]"]);
    bench.restart(plain());
    assert_eq!(bench.sent(11), [""; 0]);
    assert_eq!(bench.notifier().status().outbox_len, 0);
    // It fires again: news.
    bench.accept(&[firing(3, "A", 20)]);
    bench.restart(plain());
    assert_eq!(bench.sent(20), ["team firing [firing:A]"]);
}

#[test]
fn a_repeat_keeps_its_time_and_has_a_key_of_its_own() {
    let mut bench = Bench::new(plain());
    bench.accept(&[firing(1, "A", 0)]);
    bench.step(0);
    let first = bench.recorder.take();
    bench.restart(plain());
    assert_eq!(bench.step(100), Some(Millis::hours(4).0));
    assert_eq!(bench.recorder.take().len(), 0);
    bench.step(4 * 3600);
    let repeat = bench.recorder.take();
    assert_eq!(repeat.len(), 1);
    assert_ne!(header(&first[0], "Idempotency-Key"), header(&repeat[0], "Idempotency-Key"));
}

#[test]
fn a_waiting_group_goes_on_waiting() {
    let route = Route { group_wait: Millis::seconds(30), ..Route::new("team") };
    let options = || options(route.clone(), &[("team", "http://hook/team")]);
    let mut bench = Bench::new(options());
    bench.accept(&[firing(1, "A", 0), firing(1, "Short", 0)]);
    bench.accept(&[resolved(2, "Short", 10)]);
    bench.restart(options());
    assert_eq!(bench.step(10), Some(30_000));
    assert_eq!(bench.sent(30), ["team firing [firing:A]"]);
    bench.accept(&[firing(3, "B", 40)]);
    bench.restart(options());
    assert_eq!(bench.step(50), Some(330_000));
    assert_eq!(bench.sent(330), ["team firing [firing:A firing:B]"]);
}

#[test]
fn an_alertmanager_hears_of_a_firing_alert_again_and_of_its_end_once() {
    let options =
        || NotifyOptions { alertmanagers: vec![AlertmanagerTarget::new("http://am:9093")], ..NotifyOptions::default() };
    let mut bench = Bench::new(options());
    bench.accept(&[firing(1, "A", 0)]);
    bench.step(0);
    bench.accept(&[resolved(2, "A", 5)]);
    bench.restart(options());
    bench.recorder.take();
    assert_eq!(bench.sent(6), ["A..1970-01-01T00:00:05.000Z"]);
    bench.restart(options());
    assert_eq!(bench.sent(7), [""; 0]);
}

#[test]
fn other_options_tell_nothing_twice() {
    let bench = Bench::new(plain());
    bench.accept(&[firing(1, "A", 0)]);
    bench.step(0);
    bench.recorder.take();
    let hooks = [("team", "http://hook/team"), ("new", "http://hook/new")];
    let both = options(
        Route { routes: vec![Route { continues: true, ..at_once("team") }, at_once("new")], ..at_once("team") },
        &hooks,
    );
    bench.notifier().reload(both).unwrap();
    // Team's group has another key now, as in Alertmanager; the new receiver hears of it.
    let mut messages = bench.sent(1);
    messages.sort();
    assert_eq!(messages, ["new firing [firing:A]", "team firing [firing:A]"]);
    bench.notifier().reload(plain()).unwrap();
    bench.notifier().reload(plain()).unwrap();
    bench.accept(&[resolved(2, "A", 5)]);
    assert!(bench.sent(5).contains(&"team resolved [resolved:A]".to_owned()));
}

#[test]
fn the_outbox_is_rewritten_when_it_has_grown() {
    let mut bench = Bench::new(plain());
    bench.accept(&[firing(1, "Stays", 0)]);
    let mut seq = 2;
    let long = "x".repeat(15_000);
    for round in 0..200 {
        let name = format!("A{round}{long}");
        bench.accept(&[firing(seq, &name, round)]);
        bench.accept(&[resolved(seq + 1, &name, round)]);
        bench.step(round);
        seq += 2;
    }
    let status = bench.notifier().status();
    assert!(status.outbox_bytes < limits::OUTBOX_FILE_BYTES_MAX, "{}", status.outbox_bytes);
    bench.recorder.take();
    bench.restart(plain());
    assert_eq!(bench.notifier().position(), Seq(seq - 1));
    bench.accept(&[firing(seq - 2, "A199", 199)]);
    assert_eq!(bench.sent(300), [""; 0]);
    assert_eq!(bench.notifier().status().outbox_len, 1);
}

#[test]
fn a_torn_end_is_cut_and_the_rest_is_kept() {
    let mut bench = Bench::new(plain());
    bench.accept(&[firing(1, "A", 0)]);
    bench.notifier = None;
    let dir = bench.dir.path().join("outbox");
    let file = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|e| e == "log"))
        .unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.extend_from_slice(&[9, 0, 0, 0, 1, 2]);
    std::fs::write(&file, &bytes).unwrap();
    bench.restart(plain());
    assert_eq!(bench.notifier().status().cut_bytes, 6);
    assert_eq!(bench.sent(1), ["team firing [firing:A]"]);
    bench.restart(plain());
    assert_eq!(bench.notifier().status().cut_bytes, 0);
    assert_eq!(bench.sent(2), [""; 0]);
}

#[test]
fn a_newer_file_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("outbox-00000001.log");
    let mut newer = b"evkoutbx\x09\0\0\0".to_vec();
    let crc = evenkeel::codec::checksum(&[&newer]);
    newer.extend(crc.to_le_bytes());
    std::fs::write(&file, &newer).unwrap();
    let error = Notifier::open(Arc::new(RealDisk), dir.path(), plain()).unwrap_err();
    assert!(matches!(error, OpenError::Outbox { .. }));
    let expected = "has version 9; this program reads versions 1 to 1; open it with a newer program";
    assert!(error.to_string().ends_with(expected), "{error}");
    assert_eq!(std::fs::read(&file).unwrap(), newer);
}

#[test]
fn damage_costs_the_record_it_hits_and_the_file_is_kept_aside() {
    let mut bench = Bench::new(plain());
    bench.accept(&[firing(1, "A", 0)]);
    bench.accept(&[firing(2, "B", 0)]);
    bench.notifier = None;
    let dir = bench.dir.path().join("outbox");
    let logs = |suffix: &str| -> Vec<_> {
        let paths = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|e| e == suffix)).collect()
    };
    let file = logs("log").remove(0);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[60] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    bench.restart(plain());
    assert!(bench.notifier().status().cut_bytes > 0);
    assert_eq!(bench.sent(1), ["team firing [firing:B]"]);
    assert_eq!(std::fs::read(&logs("damaged")[0]).unwrap(), bytes);
    bench.notifier = None;
    std::fs::write(&logs("log")[0], b"hello").unwrap();
    bench.restart(plain());
    assert_eq!((bench.notifier().status().cut_bytes, bench.notifier().status().outbox_len), (5, 0));
}
