//! Alertmanager's file.

use evenkeel::env::disk::RealDisk;
use evenkeel::model::Millis;
use evenkeel::notify::{GroupBy, Routing};

use super::*;

fn routing(text: &str) -> Result<Routing, String> {
    let files = Files::new(&[("am.yml", text)]);
    evenkeel::config::load_routing(&RealDisk, &files.path("am.yml")).map_err(|error| files.relative(&error.to_string()))
}

#[test]
fn a_tree_is_read_and_inherits() {
    let routing = routing(
        r#"
global:
  resolve_timeout: 5m
  http_config: {authorization: {credentials: sesame}}
route:
  receiver: default
  group_by: [alertname, job]
  group_wait: 0s
  group_interval: 1m
  routes:
    - matchers: ['severity="page"', 'team =~ "a|b"']
      receiver: page
      continue: true
      routes:
        - match: {env: test}
          receiver: default
          group_by: ['...']
          repeat_interval: 1h
    - match_re: {job: "x.*"}
receivers:
  - name: default
  - name: page
    webhook_configs:
      - url: http://hook/a
        max_alerts: 10
        send_resolved: false
        timeout: 3s
      - url: http://hook/b
        http_config: {basic_auth: {username: u, password: p}}
inhibit_rules: []
"#,
    )
    .unwrap();
    let root = &routing.route;
    assert_eq!(
        (root.group_wait, root.group_interval, root.repeat_interval),
        (Millis::ZERO, Millis::minutes(1), Millis::hours(4))
    );
    let [page, x] = root.routes.as_slice() else { panic!("two routes") };
    let matchers: Vec<_> = page.matchers.iter().map(ToString::to_string).collect();
    assert_eq!(matchers, ["severity=\"page\"", "team=~\"a|b\""]);
    assert!(page.continues && !x.continues);
    assert_eq!(x.receiver, "default");
    assert_eq!(x.matchers[0].to_string(), "job=~\"^(?:x.*)$\"");
    let inner = &page.routes[0];
    assert_eq!((inner.group_by.clone(), inner.group_wait), (GroupBy::All, Millis::ZERO));
    assert_eq!((inner.repeat_interval, inner.continues), (Millis::hours(1), false));
    let [a, b] = routing.receivers[1].webhooks.as_slice() else { panic!("two webhooks") };
    assert_eq!((a.max_alerts, a.send_resolved, a.timeout), (10, false, Millis::seconds(3)));
    assert_eq!(a.authorization.header().as_deref(), Some("Bearer sesame"));
    assert_eq!(b.authorization.header().as_deref(), Some("Basic dTpw"));
    assert!(b.send_resolved);
}

#[test]
fn broken_files_say_what_and_where() {
    let mut wrong = Vec::new();
    let mut check = |text: &str, expected: &str| {
        let error = routing(text).unwrap_err();
        if error != expected {
            wrong.push(format!("{error}\n  instead of\n{expected}\n"));
        }
    };
    let with_route = |route: &str| format!("receivers: [{{name: a}}]\nroute: {route}\n");
    check(
        "receivers: []\n",
        "am.yml:1:1: the Alertmanager configuration needs the key \"route\"; add it\n  receivers: []\n  ^^^^^^^^^",
    );
    check(
        &with_route("{receiver: b}"),
        "am.yml:2:19: a route names the receiver \"b\", which is not among the receivers; add it or correct the name\n  route: {receiver: b}\n                    ^",
    );
    check(
        &with_route("{group_by: [a]}"),
        "am.yml:2:1: the root route needs the key \"receiver\"; add it\n  route: {group_by: [a]}\n  ^^^^^",
    );
    check(
        &with_route("{receiver: a, matchers: ['x=y']}"),
        "am.yml:2:1: the root route takes every alert; move its matchers and continue into a child\n  route: {receiver: a, matchers: ['x=y']}\n  ^^^^^",
    );
    check(
        &with_route("{receiver: a, routes: [{matchers: [severity]}]}"),
        "am.yml:2:43: the matcher severity has no =, !=, =~ or !~ behind \"severity\"; add one\n  route: {receiver: a, routes: [{matchers: [severity]}]}\n                                            ^^^^^^^^",
    );
    check(
        &with_route("{receiver: a, routes: [{mute_time_intervals: [x]}]}"),
        "am.yml:2:32: \"mute_time_intervals\" is not supported yet: remove them; alerts are told at any hour\n  route: {receiver: a, routes: [{mute_time_intervals: [x]}]}\n                                 ^^^^^^^^^^^^^^^^^^^",
    );
    check(
        "receivers:\n- name: a\n  slack_configs: [{channel: x}]\nroute: {receiver: a}\n",
        "am.yml:3:3: \"slack_configs\" is not supported yet: only webhook_configs are; put a bridge that takes webhooks in between\n    slack_configs: [{channel: x}]\n    ^^^^^^^^^^^^^",
    );
    check(
        "receivers:\n- name: a\n  webhook_configs: [{url: nonsense}]\nroute: {receiver: a}\n",
        "am.yml:3:27: the webhook's url must begin with http:// or https://; correct it\n    webhook_configs: [{url: nonsense}]\n                            ^^^^^^^^",
    );
    check(
        "receivers: [{name: a}, {name: a}]\nroute: {receiver: a}\n",
        "am.yml:1:12: two receivers are named \"a\"; rename one\n  receivers: [{name: a}, {name: a}]\n             ^",
    );
    check(
        "inhibit_rules: [{equal: [a]}]\nreceivers: [{name: a}]\nroute: {receiver: a}\n",
        "am.yml:1:1: \"inhibit_rules\" is not supported yet: remove them; alerts are told without inhibition\n  inhibit_rules: [{equal: [a]}]\n  ^^^^^^^^^^^^^",
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
