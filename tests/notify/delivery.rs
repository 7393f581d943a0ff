//! What is sent, to whom and when.

use evenkeel::env::Response;
use evenkeel::model::{Labels, MatchOp, Matcher, Millis, TransitionKind, limits};
use evenkeel::notify::{AlertmanagerTarget, Authorization, GroupBy, Route, Secret};
use std::time::Duration;

use super::*;

#[test]
fn firing_and_resolved_are_told_at_once() {
    let bench = Bench::new(plain());
    assert_eq!(bench.step(0), None);
    bench.accept(&[firing(1, "A", 10)]);
    bench.step(10);
    let requests = bench.recorder.take();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].url, "http://hook/team");
    assert_eq!(header(&requests[0], "Content-Type"), "application/json");
    let message = json(&requests[0].body);
    assert_eq!(message["version"], "4");
    assert_eq!(message["groupKey"], "{}:{alertname=\"A\"}");
    assert_eq!(message["alerts"][0]["startsAt"], "1970-01-01T00:00:10Z");
    assert_eq!(message["alerts"][0]["generatorURL"], "http://evenkeel:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1");
    assert_eq!(bench.sent(11), [""; 0]);
    bench.accept(&[resolved(2, "A", 20)]);
    bench.step(20);
    let requests = bench.recorder.take();
    let message = json(&requests[0].body);
    assert_eq!(message["status"], "resolved");
    assert_eq!(message["alerts"][0]["endsAt"], "1970-01-01T00:00:20Z");
    assert_eq!(bench.step(30), None);
    assert_eq!(bench.notifier().status().outbox_len, 0);
}

#[test]
fn a_message_says_why_it_is_sent() {
    let route = Route {
        group_wait: Millis::ZERO,
        group_interval: Millis::ZERO,
        repeat_interval: Millis::hours(1),
        ..Route::new("team")
    };
    let bench = Bench::new(options(route, &[("team", "http://hook/team")]));
    let why = |at| {
        bench.step(at);
        let requests = bench.recorder.take();
        assert_eq!(requests.len(), 1, "at {at}");
        text(&json(&requests[0].body)["notification_reason"]).to_owned()
    };
    bench.accept(&[firing(1, "A", 10)]);
    assert_eq!(why(10), "first notification");
    bench.accept(&[firing(2, "B", 20)]);
    assert_eq!(why(20), "new alerts added");
    bench.accept(&[resolved(3, "A", 30)]);
    assert_eq!(why(30), "some alerts resolved");
    assert_eq!(why(30 + 3600), "repeat interval elapsed");
    bench.accept(&[resolved(4, "B", 4000)]);
    assert_eq!(why(4000), "all alerts resolved");
    bench.accept(&[firing(5, "A", 5000)]);
    assert_eq!(why(5000), "first notification");
}

#[test]
fn pending_and_dropped_are_not_told() {
    let bench = Bench::new(plain());
    bench.accept(&[transition(1, TransitionKind::Pending, "A", 1), transition(2, TransitionKind::Dropped, "A", 2)]);
    bench.accept(&[resolved(3, "Unknown", 3)]);
    assert_eq!(bench.sent(4), [""; 0]);
}

#[test]
fn a_group_waits_for_company_and_tells_changes_at_its_interval() {
    let route = Route {
        group_by: GroupBy::Labels(vec!["job".to_owned()]),
        group_wait: Millis::seconds(30),
        group_interval: Millis::minutes(5),
        repeat_interval: Millis::hours(4),
        ..Route::new("team")
    };
    let bench = Bench::new(options(route, &[("team", "http://hook/team")]));
    let alert = |seq, kind, name, at| labelled(seq, kind, &[("alertname", name), ("job", "x")], at);
    bench.accept(&[alert(1, TransitionKind::Firing, "A", 0)]);
    assert_eq!(bench.step(0), Some(30_000));
    bench.accept(&[alert(2, TransitionKind::Firing, "B", 10), alert(2, TransitionKind::Firing, "Short", 10)]);
    bench.accept(&[alert(3, TransitionKind::Resolved, "Short", 20)]);
    assert_eq!(bench.sent(29), [""; 0]);
    assert_eq!(bench.sent(30), ["team firing [firing:A firing:B]"]);
    bench.accept(&[alert(4, TransitionKind::Firing, "C", 40), alert(5, TransitionKind::Resolved, "A", 50)]);
    assert_eq!(bench.step(60), Some(330_000));
    assert_eq!(bench.sent(329), [""; 0]);
    assert_eq!(bench.sent(330), ["team firing [resolved:A firing:B firing:C]"]);
    // Nothing new: told again after the repeat interval.
    assert_eq!(bench.step(331), Some((330 + 4 * 3600) * 1000));
    assert_eq!(bench.sent(330 + 4 * 3600), ["team firing [firing:B firing:C]"]);
    bench.accept(&[alert(6, TransitionKind::Resolved, "B", 15_000), alert(6, TransitionKind::Resolved, "C", 15_000)]);
    assert_eq!(bench.sent(15_100), ["team resolved [resolved:B resolved:C]"]);
    // The group is gone: the next alert waits for company again.
    bench.accept(&[alert(7, TransitionKind::Firing, "A", 15_200)]);
    assert_eq!(bench.step(15_200), Some(15_230_000));
}

#[test]
fn routes_choose_the_receiver() {
    let page = Route {
        matchers: vec![Matcher::new("severity", MatchOp::Equal, "page").unwrap()],
        continues: true,
        ..at_once("page")
    };
    let all = Route { matchers: vec![Matcher::new("job", MatchOp::Match, ".+").unwrap()], ..at_once("log") };
    let root = Route { routes: vec![page, all], ..at_once("rest") };
    let hooks = [("rest", "http://hook/rest"), ("page", "http://hook/page"), ("log", "http://hook/log")];
    let bench = Bench::new(options(root, &hooks));
    let kind = TransitionKind::Firing;
    bench.accept(&[
        labelled(1, kind, &[("alertname", "A"), ("severity", "page"), ("job", "x")], 1),
        labelled(1, kind, &[("alertname", "B"), ("severity", "page")], 1),
        labelled(1, kind, &[("alertname", "C")], 1),
    ]);
    let mut messages = bench.sent(1);
    messages.sort();
    let expected =
        ["log firing [firing:A]", "page firing [firing:A]", "page firing [firing:B]", "rest firing [firing:C]"];
    assert_eq!(messages, expected);
}

#[test]
fn a_failure_is_retried_with_the_same_key_and_growing_waits() {
    let bench = Bench::new(plain());
    bench.recorder.answer(refused_connection);
    bench.accept(&[firing(1, "A", 10)]);
    let (mut now, mut keys, mut waits) = (seconds(10), Vec::new(), Vec::new());
    for _ in 0..12 {
        let next = bench.notifier().step(now, &bench.recorder).unwrap();
        let requests = bench.recorder.take();
        assert_eq!(requests.len(), 1);
        keys.push(header(&requests[0], "Idempotency-Key").to_owned());
        waits.push((next - now).0);
        now = next;
    }
    assert_eq!(keys[0].len(), 32);
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    assert!(waits[0] <= 1000 && waits.iter().all(|wait| *wait <= limits::NOTIFY_BACKOFF_MAX.0), "{waits:?}");
    assert!(waits[11] >= limits::NOTIFY_BACKOFF_MAX.0 / 2, "{waits:?}");
    let status = bench.notifier().status();
    assert_eq!(status.receivers[0].pending, 1);
    assert_eq!(status.receivers[0].failing_since, Some(seconds(10)));
    let error = "no answer from http://hook/team: connection refused";
    assert_eq!(status.receivers[0].last_error.as_deref(), Some(error));
    // Between two attempts nothing is sent.
    bench.recorder.answer(|_| Ok(status_ok()));
    bench.notifier().step(now - Millis(1), &bench.recorder);
    assert_eq!(bench.recorder.take().len(), 0);
    bench.notifier().step(now, &bench.recorder);
    assert_eq!(bench.recorder.messages(), ["team firing [firing:A]"]);
    let status = bench.notifier().status();
    assert_eq!((status.receivers[0].pending, status.receivers[0].last_success), (0, Some(now)));
    assert_eq!((status.receivers[0].failing_since, status.receivers[0].last_error.clone()), (None, None));
}

fn status_ok() -> Response {
    status(204)
}

#[test]
fn retry_after_is_obeyed_and_refusals_are_not_retried() {
    let bench = Bench::new(plain());
    bench.recorder.answer(|_| {
        let retry_after = Some(Duration::from_secs(120));
        Ok(Response { status: 429, retry_after, body: "slow down\n".to_owned() })
    });
    bench.accept(&[firing(1, "A", 10)]);
    assert_eq!(bench.step(10), Some(130_000));
    assert_eq!(bench.notifier().status().receivers[0].last_error.as_deref(), Some("status 429: slow down"));
    bench.recorder.take();
    bench.recorder.answer(|_| Ok(status(404)));
    // The next attempt belongs to the repeat interval.
    assert_eq!(bench.step(130), Some((130 + 4 * 3600) * 1000));
    let receiver = &bench.notifier().status().receivers[0];
    assert_eq!((receiver.refused, receiver.failed, receiver.pending), (1, 1, 0));
    assert_eq!(receiver.last_error.as_deref(), Some("status 404"));
    assert!(receiver.failing_since.is_some() && receiver.last_success.is_none());
}

#[test]
fn a_page_that_was_due_is_told_even_if_it_is_over_when_the_receiver_is_back() {
    let bench = Bench::new(plain());
    bench.recorder.answer(refused_connection);
    bench.accept(&[firing(1, "A", 10)]);
    bench.step(10);
    bench.accept(&[resolved(2, "A", 20)]);
    bench.recorder.take();
    bench.recorder.answer(|_| Ok(status(200)));
    assert_eq!(bench.sent(60), ["team firing [firing:A]", "team resolved [resolved:A]"]);
    assert_eq!(bench.notifier().status().outbox_len, 0);
}

#[test]
fn a_slow_receiver_does_not_hold_up_the_other() {
    let hooks = [("team", "http://hook/bad"), ("other", "http://hook/good")];
    let mut options = options(at_once("team"), &hooks);
    let routing = options.routing.as_mut().unwrap();
    let copy = Route { continues: true, ..at_once("other") };
    routing.route.routes = vec![copy, at_once("team")];
    let bench = Bench::new(options);
    bench.recorder.answer(
        |request| {
            if request.url.ends_with("bad") { refused_connection(request) } else { Ok(status(200)) }
        },
    );
    bench.accept(&[firing(1, "A", 1), firing(2, "B", 1)]);
    let good: Vec<_> = bench.sent(1).into_iter().filter(|message| message.starts_with("other")).collect();
    assert_eq!(good, ["other firing [firing:A]", "other firing [firing:B]"]);
}

#[test]
fn accept_goes_on_while_a_request_is_on_its_way() {
    let bench = Arc::new(Bench::new(plain()));
    let inner = Arc::clone(&bench);
    let mut first = true;
    bench.recorder.answer(move |_| {
        if std::mem::take(&mut first) {
            // Would never come back if step held the lock.
            inner.accept(&[firing(2, "B", 11)]);
            assert_eq!(inner.notifier().status().outbox_len, 2);
        }
        Ok(status(200))
    });
    bench.accept(&[firing(1, "A", 10)]);
    assert_eq!(bench.sent(11), ["team firing [firing:A]", "team firing [firing:B]"]);
    bench.recorder.answer(|_| Ok(status(200)));
}

#[test]
fn webhook_settings_are_followed() {
    let mut options =
        options(Route { group_by: GroupBy::Labels(Vec::new()), ..at_once("team") }, &[("team", "http://hook/team")]);
    let webhook = &mut options.routing.as_mut().unwrap().receivers[0].webhooks[0];
    webhook.max_alerts = 2;
    webhook.send_resolved = false;
    webhook.timeout = Millis::seconds(3);
    webhook.authorization = Authorization::Basic { username: "me".to_owned(), password: Secret::new("open sesame") };
    webhook.headers = vec![("X-Tenant".to_owned(), Secret::new("t1"))];
    options.external_labels = Labels::new([("cluster", "eu"), ("alertname", "never")]).unwrap();
    assert!(!format!("{options:?}").contains("sesame"));
    let bench = Bench::new(options);
    bench.accept(&[firing(1, "A", 1), firing(1, "B", 1), firing(1, "C", 1)]);
    bench.step(1);
    let requests = bench.recorder.take();
    assert_eq!(requests.len(), 1);
    assert_eq!(header(&requests[0], "Authorization"), "Basic bWU6b3BlbiBzZXNhbWU=");
    assert_eq!(header(&requests[0], "X-Tenant"), "t1");
    assert_eq!(requests[0].timeout, Duration::from_secs(3));
    let message = json(&requests[0].body);
    assert_eq!(message["alerts"].as_array().unwrap().len(), 2);
    assert_eq!(message["truncatedAlerts"], 1);
    assert_eq!(message["commonLabels"], serde_json::json!({"cluster": "eu"}));
    bench.accept(&[resolved(2, "A", 5), resolved(2, "B", 5), resolved(2, "C", 5)]);
    assert_eq!(bench.sent(5), [""; 0]);
    assert_eq!(bench.notifier().status().outbox_len, 0);
}

#[test]
fn alertmanagers_are_told_again_each_minute_while_an_alert_fires() {
    let options = NotifyOptions {
        alertmanagers: vec![AlertmanagerTarget::new("http://am:9093/prefix/")],
        ..NotifyOptions::default()
    };
    let bench = Bench::new(options);
    bench.accept(&[firing(1, "A", 60)]);
    assert_eq!(bench.step(60), Some(120_000));
    let requests = bench.recorder.take();
    assert_eq!(requests[0].url, "http://am:9093/prefix/api/v2/alerts");
    let alert = &json(&requests[0].body)[0];
    assert_eq!(alert["startsAt"], "1970-01-01T00:01:00.000Z");
    assert_eq!(alert["endsAt"], "1970-01-01T00:05:00.000Z");
    assert_eq!(alert["annotations"]["summary"], "something is wrong");
    assert_eq!(bench.sent(119), [""; 0]);
    assert_eq!(bench.sent(120), ["A..1970-01-01T00:06:00.000Z"]);
    bench.recorder.answer(|_| Ok(status(503)));
    bench.accept(&[resolved(2, "A", 130)]);
    bench.step(130);
    bench.recorder.answer(|_| Ok(status(200)));
    bench.recorder.take();
    assert_eq!(bench.sent(140), ["A..1970-01-01T00:02:10.000Z"]);
    // Its end is told again for a quarter of an hour.
    let ended = "A..1970-01-01T00:02:10.000Z".to_owned();
    assert_eq!(bench.sent(199), [""; 0]);
    let again: Vec<i64> = (200..2000).filter(|at| bench.sent(*at) == [ended.as_str()]).collect();
    assert_eq!(again, (200..=130 + 900).step_by(60).collect::<Vec<i64>>());
    assert_eq!(bench.step(2000), None);
    let status = bench.notifier().status();
    assert_eq!(
        (status.receivers[0].name.as_str(), status.receivers[0].address.as_str()),
        ("alertmanager", "http://am:9093")
    );
}

#[test]
fn a_full_outbox_gives_up_what_is_over_first() {
    // In memory: each of the many messages is synced.
    let bench = Bench::on(Arc::new(evenkeel::env::disk::MemoryDisk::new()), plain());
    bench.recorder.answer(refused_connection);
    let names: Vec<String> = (0..limits::OUTBOX_MAX + 1).map(|n| format!("A{n}")).collect();
    let last = names.len() - 1;
    let fire: Vec<_> = (0..last).map(|n| firing(1 + n as u64, &names[n], 1)).collect();
    bench.accept(&fire);
    bench.step(1);
    let seq = names.len() as u64 + 1;
    bench.accept(&[resolved(seq, &names[7], 2)]);
    bench.accept(&[firing(seq + 1, &names[last], 2)]);
    let status = bench.notifier().status();
    assert_eq!((status.outbox_len, status.dropped), (limits::OUTBOX_MAX, 1));
    bench.recorder.take();
    bench.recorder.answer(|_| Ok(super::status(200)));
    let messages = bench.sent(100);
    assert_eq!(messages.len(), limits::OUTBOX_MAX);
    assert!(!messages.contains(&"team firing [firing:A7]".to_owned()));
}
