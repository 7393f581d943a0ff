//! Objectives in the forms of Sloth, Pyrra and OpenSLO: what each says in ours.

use evenkeel::config::parse_objectives;
use evenkeel::model::{Labels, Millis};
use evenkeel::slo::Objective;

fn labels(labels: &Labels) -> String {
    labels.iter().map(|label| format!("{}={}", label.name, label.value)).collect::<Vec<_>>().join(" ")
}

/// An objective in a few lines: what is promised, what is counted, who hears of it.
fn shown(objective: &Objective) -> String {
    let mut text = format!(
        "{}/{} {} over {}\n  {}\n",
        objective.service,
        objective.name,
        objective.objective,
        objective.window_text(),
        objective.error_query(objective.window)
    );
    for adjustment in &objective.adjustments {
        text.push_str(&format!("  without {} {}\n", adjustment.name, adjustment.schedule));
    }
    for part in objective.indicator.parts() {
        text.push_str(&format!("  part {}/{} {}\n", part.service, part.name, part.weight));
    }
    if !objective.group_by.is_empty() {
        text.push_str(&format!("  by {}, {} of them\n", objective.group_by.join(", "), objective.groups_max));
    }
    for (what, set) in [
        ("labels", &objective.labels),
        ("page", &objective.page_labels),
        ("ticket", &objective.ticket_labels),
        ("says", &objective.annotations),
    ] {
        if !set.is_empty() {
            text.push_str(&format!("  {what}: {}\n", labels(set)));
        }
    }
    match &objective.pairs {
        None => text.push_str("  standard pairs\n"),
        Some(pairs) => {
            for pair in pairs {
                let (severity, threshold) = (pair.severity.as_str(), pair.threshold);
                text.push_str(&format!("  {severity} {threshold} over {} and {}\n", pair.long, pair.short));
            }
        }
    }
    text
}

fn check(text: &str, expected: &str) {
    let objectives = parse_objectives("slo.yml", text).unwrap_or_else(|error| panic!("{error}"));
    let found: String = objectives.iter().map(shown).collect();
    assert_eq!(found.trim(), expected.trim(), "\n{found}");
}

#[test]
fn sloth_files_are_read() {
    check(
        r#"
version: "prometheus/v1"
service: "checkout"
labels: {owner: shop, tier: "2"}
slos:
  - name: "requests-availability"
    objective: 99.9
    description: "Customers can pay."
    labels: {category: availability, tier: "1"}
    sli:
      events:
        error_query: sum(rate(http_requests_total{job="checkout",code=~"(5..|429)"}[{{.window}}]))
        total_query: sum(rate(http_requests_total{job="checkout"}[{{ .window }}]))
    alerting:
      name: CheckoutErrors
      labels: {category: pager}
      annotations: {runbook: "https://r"}
      page_alert: {labels: {severity: critical}}
      ticket_alert: {disable: true}
  - name: latency
    objective: 99
    sli:
      events:
        error_query: |
          (
            sum(rate(http_request_duration_seconds_count{job="checkout"}[{{.window}}]))
            -
            sum(rate(http_request_duration_seconds_bucket{job="checkout",le="0.3"}[{{.window}}]))
          )
        total_query: sum(rate(http_request_duration_seconds_count{job="checkout"}[{{.window}}]))
    alerting: {page_alert: {disable: true}}
  - name: raw
    objective: 95
    sli: {raw: {error_ratio_query: 'sum(rate(a{x="1"}[{{.window}}])) / (sum(rate(b[{{.window}}])) or vector(0))'}}
"#,
        r#"
checkout/requests-availability 0.999 over 30d
  sum(increase(http_requests_total{job="checkout",code=~"(5..|429)"}[30d])) / sum(increase(http_requests_total{job="checkout"}[30d]))
  labels: alertname=CheckoutErrors category=pager owner=shop sloth_id=checkout-requests-availability sloth_service=checkout sloth_slo=requests-availability tier=1
  page: severity=critical sloth_severity=page
  ticket: sloth_severity=ticket
  says: runbook=https://r title=Customers can pay.
  page 14.4 over 1h and 5m
  page 6 over 6h and 30m
checkout/latency 0.99 over 30d
  (sum(increase(http_request_duration_seconds_count{job="checkout"}[30d])) - sum(increase(http_request_duration_seconds_bucket{job="checkout",le="0.3"}[30d]))) / sum(increase(http_request_duration_seconds_count{job="checkout"}[30d]))
  labels: owner=shop sloth_id=checkout-latency sloth_service=checkout sloth_slo=latency tier=2
  page: sloth_severity=page
  ticket: sloth_severity=ticket
  ticket 3 over 1d and 2h
  ticket 1 over 3d and 6h
checkout/raw 0.95 over 30d
  sum(increase(a{x="1"}[30d])) / sum(increase(b[30d]))
  labels: owner=shop sloth_id=checkout-raw sloth_service=checkout sloth_slo=raw tier=2
  page: sloth_severity=page
  ticket: sloth_severity=ticket
  page 14.4 over 1h and 5m
  page 6 over 6h and 30m
  ticket 3 over 1d and 2h
  ticket 1 over 3d and 6h
"#,
    );
}

#[test]
fn sloth_objects_bring_their_windows() {
    check(
        r#"
apiVersion: sloth.slok.dev/v1
kind: PrometheusServiceLevel
metadata: {name: sloth-slo-my-service, namespace: monitoring}
spec:
  service: myservice
  labels: {owner: myteam}
  slos:
    - name: availability
      objective: 99.5
      sli: {events: {errorQuery: 'sum(rate(e[{{.window}}])) + sum(rate(f[{{.window}}]))', totalQuery: 'sum(rate(t[{{.window}}]))'}}
      alerting: {pageAlert: {labels: {x: y}}, ticketAlert: {}}
---
apiVersion: sloth.slok.dev/v1
kind: AlertWindows
metadata: {name: weekly}
spec:
  sloPeriod: 7d
  page:
    quick: {errorBudgetPercent: 8, shortWindow: 5m, longWindow: 1h}
    slow: {errorBudgetPercent: 12.5, shortWindow: 30m, longWindow: 6h}
  ticket:
    quick: {errorBudgetPercent: 20, shortWindow: 2h, longWindow: 1d}
    slow: {errorBudgetPercent: 42, shortWindow: 6h, longWindow: 3d}
"#,
        r#"
myservice/availability 0.995 over 1w
  (sum(increase(e[1w])) + sum(increase(f[1w]))) / sum(increase(t[1w]))
  labels: owner=myteam sloth_id=myservice-availability sloth_service=myservice sloth_slo=availability
  page: sloth_severity=page x=y
  ticket: sloth_severity=ticket
  page 13.44 over 1h and 5m
  page 3.5 over 6h and 30m
  ticket 1.4 over 1d and 2h
  ticket 0.98 over 3d and 6h
"#,
    );
}

#[test]
fn pyrra_objects_are_read() {
    check(
        r#"
apiVersion: pyrra.dev/v1alpha1
kind: ServiceLevelObjective
metadata:
  name: api-errors
  namespace: monitoring
  labels: {prometheus: k8s, role: alert-rules, pyrra.dev/team: operations}
spec:
  target: "99"
  window: 2w
  description: Errors of the API.
  indicator:
    ratio:
      errors: {metric: 'http_requests_total{job="api",code=~"5.."}'}
      total: {metric: 'http_requests_total{job="api"}'}
---
apiVersion: pyrra.dev/v1alpha1
kind: ServiceLevelObjective
metadata: {name: api-latency, labels: {pyrra.dev/service: api}}
spec:
  target: "99.5"
  window: 4w
  indicator:
    latency:
      success: {metric: 'http_request_duration_seconds_bucket{job="api",le="1"}'}
      total: {metric: 'http_request_duration_seconds_count{job="api"}'}
  alerting: {name: ApiSlow}
---
apiVersion: pyrra.dev/v1alpha1
kind: ServiceLevelObjective
metadata: {name: native}
spec:
  target: "90"
  window: 4w
  indicator: {latencyNative: {latency: 100ms, total: {metric: 'rpc_duration_seconds{job="rpc"}'}}}
---
apiVersion: pyrra.dev/v1alpha1
kind: ServiceLevelObjective
metadata: {name: probe}
spec:
  target: "99.9"
  window: 4w
  indicator: {bool_gauge: {metric: 'probe_success{job="web"}', grouping: [instance]}}
  alerting: {disabled: true}
"#,
        r#"
api-errors/api-errors 0.99 over 2w
  sum(increase(http_requests_total{job="api",code=~"5.."}[2w])) / sum(increase(http_requests_total{job="api"}[2w]))
  labels: team=operations
  page: severity=critical
  ticket: severity=warning
  says: description=Errors of the API.
  page 14 over 30m and 2m30s
  page 7 over 3h and 15m
  ticket 2 over 12h and 1h
  ticket 1 over 2d and 3h
api/api-latency 0.995 over 4w
  1 - sum(increase(http_request_duration_seconds_bucket{job="api",le="1"}[4w])) / sum(increase(http_request_duration_seconds_count{job="api"}[4w]))
  labels: alertname=ApiSlow service=api
  page: severity=critical
  ticket: severity=warning
  page 14 over 1h and 5m
  page 7 over 6h and 30m
  ticket 2 over 1d and 2h
  ticket 1 over 4d and 6h
native/native 0.9 over 4w
  1 - histogram_fraction(-Inf, 0.1, sum(increase(rpc_duration_seconds{job="rpc"}[4w])))
  page: severity=critical
  ticket: severity=warning
  page 7 over 6h and 30m
  ticket 2 over 1d and 2h
  ticket 1 over 4d and 6h
probe/probe 0.999 over 4w
  1 - avg(avg_over_time((probe_success{job="web"} == bool 1)[4w:]))
  by instance, 100 of them
  page: severity=critical
  ticket: severity=warning
"#,
    );
}

#[test]
fn openslo_objects_are_read() {
    check(
        r#"
apiVersion: openslo/v1
kind: Service
metadata: {name: shop}
spec: {description: The shop.}
---
apiVersion: openslo/v1
kind: SLI
metadata: {name: good-requests}
spec:
  ratioMetric:
    counter: true
    good:
      metricSource: {metricSourceRef: prom, type: Prometheus, spec: {query: 'sum(http_requests_total{job="shop",code!~"5.."})'}}
    total:
      metricSource: {type: Prometheus, spec: {query: 'sum(http_requests_total{job="shop"})'}}
---
apiVersion: openslo/v1
kind: AlertCondition
metadata: {name: fast}
spec:
  severity: page
  condition: {kind: burnrate, op: gte, threshold: 14.4, lookbackWindow: 1h, alertAfter: 5m}
---
apiVersion: openslo/v1
kind: AlertPolicy
metadata: {name: burn}
spec:
  alertWhenBreaching: true
  conditions: [{conditionRef: fast}]
  notificationTargets: [{targetRef: x}]
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: availability, displayName: Availability, labels: {team: [shop, web]}}
spec:
  description: Customers can order.
  service: shop
  indicatorRef: good-requests
  timeWindow: [{duration: 4w, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{target: 0.999}]
  alertPolicies:
    - burn
    - kind: AlertPolicy
      metadata: {name: inline}
      spec:
        conditions:
          - kind: AlertCondition
            metadata: {name: slow}
            spec: {severity: low, condition: {kind: burnrate, op: gt, threshold: 1, lookbackWindow: 3d}}
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: queue}
spec:
  service: shop
  indicator:
    metadata: {name: depth}
    spec: {thresholdMetric: {metricSource: {type: Prometheus, spec: {query: 'queue_depth{job="shop"}'}}}}
  timeWindow: [{duration: 1M, isRolling: true}]
  objectives:
    - {displayName: short, op: lte, value: 10, targetPercent: 95}
    - {op: lt, value: 100, target: 0.99}
"#,
        r#"
shop/availability 0.999 over 4w
  1 - sum(increase(http_requests_total{job="shop",code!~"5.."}[4w])) / sum(increase(http_requests_total{job="shop"}[4w]))
  labels: team=shop
  says: description=Customers can order.
  page 14.4 over 1h and 5m
  ticket 1 over 3d and 6h
shop/queue-short 0.95 over 30d
  1 - avg(avg_over_time((queue_depth{job="shop"} <= bool 10)[30d:]))
  standard pairs
shop/queue-2 0.99 over 30d
  1 - avg(avg_over_time((queue_depth{job="shop"} < bool 100)[30d:]))
  standard pairs
"#,
    );
}

#[test]
fn what_is_not_done_is_refused_with_its_place() {
    let check = |text: &str, place: &str, message: &str| {
        let error = parse_objectives("slo.yml", text).map(|found| format!("{found:?}")).unwrap_err();
        let found = (format!("{}:{}", error.line, error.column), error.message.as_str());
        assert_eq!(found, (place.to_owned(), message), "{error}");
    };
    let sloth =
        |sli: &str| format!("version: prometheus/v1\nservice: s\nslos:\n- name: n\n  objective: 99.9\n  sli: {sli}\n");
    check(
        &sloth("{events: {error_query: 'max(rate(a[{{.window}}]))', total_query: b}}"),
        "6:31",
        "\"error_query\" takes a counter like requests_total{job=\"shop\"}, a sum(rate(counter[5m])), or sums and \
         differences of these; \"max(rate(a[5m]))\" is not counted sample by sample: max of counters is no count; write sum",
    );
    check(
        &sloth("{events: {error_query: 'sum by (path) (rate(a[{{.window}}]))', total_query: b}}"),
        "6:31",
        "\"error_query\" takes a counter like requests_total{job=\"shop\"}, a sum(rate(counter[5m])), or sums and \
         differences of these; \"sum by (path) (rate(a[5m]))\" is not counted sample by sample: for a budget for each \
         group write group_by: [path] in a file of our own form, and sum without groups here",
    );
    check(
        &sloth("{plugin: {id: x}}"),
        "6:9",
        "\"plugin\" is not supported yet: the expression would be made by a program of yours; write it under \"events\"",
    );
    check(
        &sloth("{events: {error_query: 'rate(a[{{.win}}])', total_query: b}}"),
        "6:31",
        "the template {{.win}} is unknown; only {{.window}} is filled in",
    );
    let pyrra = |rest: &str| {
        format!("apiVersion: pyrra.dev/v1alpha1\nkind: ServiceLevelObjective\nmetadata: {{name: n}}\nspec:\n  {rest}\n")
    };
    check(
        &pyrra("target: '99'\n  window: 4w\n  indicator: {}"),
        "7:14",
        "\"indicator\" has exactly one of ratio, latency, latencyNative, bool_gauge",
    );
    let openslo = |rest: &str| {
        format!("apiVersion: openslo/v1\nkind: SLO\nmetadata: {{name: n}}\nspec:\n  service: s\n  {rest}\n")
    };
    let calendar = |rest: &str| format!("timeWindow: [{{{rest}}}]\n  indicator: {{}}\n  objectives: []");
    check(
        &openslo(&calendar("duration: 1M, calendar: {startTime: 2026-01-01 00:00:00, timeZone: Mars/Base}")),
        "6:27",
        "there is no time zone \"Mars/Base\"; write one of the IANA database, like Europe/Berlin or UTC",
    );
    check(
        &openslo(&calendar("duration: 90m, calendar: {startTime: 2026-01-01 00:00:00}")),
        "6:27",
        "\"90m\" is no period of the calendar; write one like 1M, 1Q, 1Y, 2w or 1d",
    );
    check(
        &openslo(&calendar("duration: 1M, isRolling: false")),
        "6:42",
        "a window that is not rolling needs \"calendar\" with its startTime and timeZone; add it",
    );
    let slices = |method: &str, rest: &str| {
        let indicator = "indicator: {ratioMetric: {good: {metricSource: {spec: {query: g}}}, total: {metricSource: {spec: {query: t}}}}}";
        openslo(&format!(
            "timeWindow: [{{duration: 4w}}]\n  budgetingMethod: {method}\n  {indicator}\n  objectives: [{{target: 0.99{rest}}}]"
        ))
    };
    check(
        &slices("Timeslices", ", timeSliceTarget: 0.95"),
        "9:17",
        "budgetingMethod Timeslices needs \"timeSliceTarget\" and \"timeSliceWindow\"; add them",
    );
    check(
        &slices("Occurrences", ", timeSliceWindow: 1m"),
        "9:31",
        "\"timeSliceWindow\" is for slices of time; write budgetingMethod: Timeslices",
    );
    check(
        &slices("Minutes", ""),
        "7:20",
        "there is no budgeting method \"Minutes\"; write Occurrences, Timeslices or RatioTimeslices",
    );
    check(
        &openslo("timeWindow: [{duration: 4w, isRolling: true}]\n  indicatorRef: x\n  objectives: [{target: 0.99}]"),
        "7:17",
        "no object of this file is named \"x\"; add it to the file, or correct the name",
    );
    check(
        &openslo("timeWindow: [{duration: 4w, isRolling: true}]\n  objectives: [{target: 99}]"),
        "7:25",
        "an objective of 99 leaves no budget or promises nothing; write one like 0.999",
    );
    check(
        "apiVersion: v1\nkind: Pod\n",
        "1:13",
        "no form of objectives has the version \"v1\"; prometheus/v1, sloth.slok.dev/v1, pyrra.dev/v1alpha1, openslo/v1, \
         openslo/v1alpha and openslo.com/v2alpha are read, and a file of our own begins with \"objectives:\"",
    );
}

#[test]
fn classes_and_latencies_of_our_own_form_are_read() {
    check(
        r#"
objectives:
  - service: search
    class: HIGH_SLOW
    errors: http_requests_total{job="search",code=~"5.."}
    total: sum(rate(http_requests_total{job="search"}[5m]))
    histogram: http_request_duration_seconds{job="search"}
    labels: {team: search}
  - service: pay
    objective: 95
    latency: {histogram: rpc_seconds, within: 250ms, native: true}
    burn:
      - {severity: page, rate: 10, long: 2h}
      - {severity: ticket, rate: 1, long: 3d, short: 1h}
"#,
        r#"
search/availability 0.999 over 30d
  sum(increase(http_requests_total{job="search",code=~"5.."}[30d])) / sum(increase(http_requests_total{job="search"}[30d]))
  labels: team=search
  standard pairs
search/latency-90 0.9 over 30d
  1 - sum(increase(http_request_duration_seconds_bucket{job="search",le=~"1(\\.0)?"}[30d])) / sum(increase(http_request_duration_seconds_count{job="search"}[30d]))
  labels: team=search
  standard pairs
search/latency-99 0.99 over 30d
  1 - sum(increase(http_request_duration_seconds_bucket{job="search",le=~"5(\\.0)?"}[30d])) / sum(increase(http_request_duration_seconds_count{job="search"}[30d]))
  labels: team=search
  standard pairs
pay/latency 0.95 over 30d
  1 - histogram_fraction(-Inf, 0.25, sum(increase(rpc_seconds[30d])))
  page 10 over 2h and 10m
  ticket 1 over 3d and 1h
"#,
    );
}

/// What one line promises: names, targets and expressions over an hour.
fn promised(text: &str) -> Vec<String> {
    let objectives = parse_objectives("slo.yml", text).unwrap_or_else(|error| panic!("{error}"));
    let hour = Millis::hours(1);
    objectives.iter().map(|o| format!("{} {}: {}", o.name, o.objective, o.error_query(hour))).collect()
}

#[test]
fn a_class_in_one_line_is_of_metrics_with_conventional_names() {
    let availability = |share: &str| {
        format!(
            "availability {share}: sum(increase(http_requests_total{{job=\"pay\",code=~\"5..\"}}[1h])) \
             / sum(increase(http_requests_total{{job=\"pay\",code!=\"\"}}[1h]))"
        )
    };
    let latency = |name: &str, le: &str| {
        let histogram = "http_request_duration_seconds";
        format!(
            "latency-{name}: 1 - sum(increase({histogram}_bucket{{job=\"pay\",le{le}}}[1h])) \
             / sum(increase({histogram}_count{{job=\"pay\"}}[1h]))"
        )
    };
    let quick = [latency("90 0.9", "=\"0.1\""), latency("99 0.99", "=\"0.2\"")];
    let slow = [latency("90 0.9", "=~\"1(\\\\.0)?\""), latency("99 0.99", "=~\"5(\\\\.0)?\"")];
    let check = |class: &str, share: &str, latencies: &[String]| {
        let expected = [&[availability(share)], latencies].concat();
        assert_eq!(promised(&format!("objectives:\n- {{service: pay, class: {class}}}\n")), expected);
        // By itself it needs no list.
        assert_eq!(promised(&format!("slo: {{service: pay, class: {class}}}\n")), expected);
    };
    check("CRITICAL", "0.9999", &quick);
    check("HIGH_FAST", "0.999", &quick);
    check("HIGH_SLOW", "0.999", &slow);
    check("LOW", "0.99", &[]);
}

#[test]
fn conventions_of_other_libraries_are_chosen_by_name() {
    let check = |keys: &str, expected: [&str; 2]| {
        let found = promised(&format!("slo: {{service: pay, class: HIGH_FAST, {keys}}}\n"));
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!([found[0].as_str(), found[1].as_str()], expected);
    };
    check(
        "metrics: opentelemetry",
        [
            "availability 0.999: sum(increase(http_server_request_duration_seconds_count{job=\"pay\",\
             http_response_status_code=~\"5..\"}[1h])) / sum(increase(http_server_request_duration_seconds_count{job=\"pay\",\
             http_response_status_code!=\"\"}[1h]))",
            "latency-90 0.9: 1 - sum(increase(http_server_request_duration_seconds_bucket{job=\"pay\",le=\"0.1\"}[1h])) \
             / sum(increase(http_server_request_duration_seconds_count{job=\"pay\"}[1h]))",
        ],
    );
    check(
        "metrics: micrometer, native: true, service_label: app",
        [
            "availability 0.999: histogram_count(sum(increase(http_server_requests_seconds{app=\"pay\",status=~\"5..\"}[1h]))) \
             / histogram_count(sum(increase(http_server_requests_seconds{app=\"pay\",status!=\"\"}[1h])))",
            "latency-90 0.9: 1 - histogram_fraction(-Inf, 0.1, sum(increase(http_server_requests_seconds{app=\"pay\"}[1h])))",
        ],
    );
    check(
        "metrics: grpc, native: true",
        [
            "availability 0.999: sum(increase(grpc_server_handled_total{job=\"pay\",\
             grpc_code=~\"Unknown|DeadlineExceeded|Unimplemented|Internal|Unavailable|DataLoss\"}[1h])) \
             / sum(increase(grpc_server_handled_total{job=\"pay\",grpc_code!=\"\"}[1h]))",
            "latency-90 0.9: 1 - histogram_fraction(-Inf, 0.1, sum(increase(grpc_server_handling_seconds{job=\"pay\"}[1h])))",
        ],
    );
}

#[test]
fn classes_that_cannot_be_meant_are_refused() {
    let check = |keys: &str, message: &str| {
        let text = format!("objectives:\n- {{service: pay, class: {keys}}}\n");
        let error = parse_objectives("slo.yml", &text).map(|found| format!("{found:?}")).unwrap_err();
        assert!(error.line == 2 && error.message == message, "{error}");
    };
    check("FAST", "there is no class \"FAST\"; there are CRITICAL, HIGH_FAST, HIGH_SLOW, LOW");
    check(
        "LOW, metrics: statsd",
        "there is no convention \"statsd\"; there are prometheus, opentelemetry, micrometer, grpc, and others are written as \
         \"errors\", \"total\" and \"histogram\"",
    );
    check("LOW, service_label: __name__", "\"__name__\" names the metric, not the service; name another label");
    // Of counters that are named, nobody knows the histogram.
    check(
        "HIGH_FAST, errors: e, total: t",
        "the class HIGH_FAST promises latencies and needs the key \"histogram\", the name of a histogram without _bucket; add it",
    );
    check("LOW, errors: e, total: t, histogram: h", "the class LOW promises no latency; remove \"histogram\"");
    check(
        "LOW, errors: e, total: t, metrics: grpc",
        "an objective with \"errors\" has no \"metrics\"; remove one of them",
    );
    check(
        "LOW, total: t, errors: e, service_label: app",
        "an objective with \"errors\" has no \"service_label\"; remove one of them",
    );
    check(
        "HIGH_FAST, histogram: h",
        "an objective needs \"good\" and \"total\", \"errors\" and \"total\", \"gauge\", \"probe\", \"latency\" or \
         \"composite\"; add them",
    );
}

#[test]
fn calendars_slices_and_composites_of_openslo_are_read() {
    check(
        r#"
apiVersion: openslo/v1
kind: SLO
metadata: {name: journey}
spec:
  service: shop
  timeWindow: [{duration: 1Q, calendar: {startTime: 2020-01-21 12:30:00, timeZone: America/New_York}, isRolling: false}]
  budgetingMethod: Timeslices
  objectives:
    - displayName: pay
      target: 0.99
      compositeWeight: 3
      timeSliceTarget: 0.95
      timeSliceWindow: 5
      indicator: {spec: {ratioMetric: {counter: true, bad: {metricSource: {spec: {query: e}}}, total: {metricSource: {spec: {query: t}}}}}}
    - displayName: queue
      op: lt
      value: 30
      target: 0.95
      compositeWeight: 1
      timeSliceTarget: 1.0
      timeSliceWindow: 1m
      indicator: {spec: {thresholdMetric: {metricSource: {spec: {query: age_seconds}}}}}
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: ratio}
spec:
  service: shop
  timeWindow: [{duration: 1w, isRolling: true}]
  budgetingMethod: RatioTimeslices
  objectives: [{target: 0.99, timeSliceWindow: 1m}]
  indicator: {spec: {ratioMetric: {counter: true, good: {metricSource: {spec: {query: g}}}, total: {metricSource: {spec: {query: t}}}}}}
"#,
        r#"
shop/journey-pay 0.99 over quarter in America/New_York
  avg_over_time(((sum(increase(e[5m])) / sum(increase(t[5m]))) > bool 0.05)[90d:5m])
  standard pairs
shop/journey-queue 0.95 over quarter in America/New_York
  avg_over_time(((1 - avg(avg_over_time((age_seconds < bool 30)[1m:]))) > bool 0)[90d:1m])
  standard pairs
shop/journey 0.98 over quarter in America/New_York
  (3 * () + 1 * ()) / 4
  part shop/journey-pay 3
  part shop/journey-queue 1
  standard pairs
shop/ratio 0.99 over 1w
  avg_over_time(((1 - sum(increase(g[1m])) / sum(increase(t[1m]))) >= 0)[1w:1m])
  standard pairs
"#,
    );
}

#[test]
fn calendars_slices_adjustments_and_composites_of_our_own_form_are_read() {
    check(
        r#"
adjustments:
  - {name: database, from: 2026-11-21 02:00, for: 2h, time_zone: Europe/Berlin, repeat: FREQ=WEEKLY, services: [cart]}
  - {from: 2026-12-24, for: 1d, objectives: [pay/up]}
objectives:
  - {service: cart, objective: 99.9, window: month, time_zone: Europe/Berlin, errors: e, total: t}
  - {service: pay, name: up, objective: 99, probe: 'probe_success{job="pay"}', slices: {width: 1m, target: 100}}
  - service: pay
    name: fast
    objective: 99
    window: week
    window_start: 2026-11-25 06:00
    gauge: latency_seconds < 0.3
    slices: {width: 5m}
    adjustments: [{name: test, from: 2026-11-21, for: 1h}]
  - {service: shop, name: all, objective: 99.5, composite: [{objective: pay/up, weight: 2}, {objective: shop/other}]}
  - {service: shop, name: other, objective: 99.5, errors: e, total: t}
"#,
        r#"
cart/availability 0.999 over month in Europe/Berlin
  sum(increase(e[30d])) / sum(increase(t[30d]))
  without database from 2026-11-21 02:00 for 2h in Europe/Berlin, FREQ=WEEKLY
  standard pairs
pay/up 0.99 over 30d
  avg_over_time(((1 - avg(avg_over_time((probe_success{job="pay"} == bool 1)[1m:]))) > bool 0)[30d:1m])
  without adjustment from 2026-12-24 00:00 for 1d in UTC
  standard pairs
pay/fast 0.99 over week in UTC
  avg_over_time(((1 - avg(avg_over_time((latency_seconds < bool 0.3)[5m:]))) >= 0)[1w:5m])
  without test from 2026-11-21 00:00 for 1h in UTC
  standard pairs
shop/all 0.995 over 30d
  (2 * () + 1 * ()) / 3
  part pay/up 2
  part shop/other 1
  standard pairs
shop/other 0.995 over 30d
  sum(increase(e[30d])) / sum(increase(t[30d]))
  standard pairs
"#,
    );
    let check = |rest: &str, place: &str, message: &str| {
        let text = format!("objectives:\n- service: s\n  objective: 99\n  {rest}\n");
        let error = parse_objectives("slo.yml", &text).map(|found| format!("{found:?}")).unwrap_err();
        let found = (format!("{}:{}", error.line, error.column), error.message.as_str());
        assert_eq!(found, (place.to_owned(), message), "{error}");
    };
    check(
        "time_zone: UTC\n  gauge: up == 1",
        "4:3",
        "\"time_zone\" is for windows of the calendar; write window: month",
    );
    check(
        "gauge: up == 1\n  adjustments: [{from: 2026-11-21, for: 1h, repeat: FREQ=HOURLY}]",
        "5:18",
        "\"FREQ=HOURLY\" is no part of a repeat rule that is kept: write DAILY, WEEKLY, MONTHLY or YEARLY",
    );
    check(
        "composite: [{objective: a/b}]",
        "2:3",
        "s/availability: there is no objective a/b that could be its part; add it, or correct the name",
    );
    check(
        "composite: [{objective: a/b, weight: 0}]",
        "4:40",
        "\"0\" is no weight; write a number above 0, like 2 or 0.5",
    );
    check(
        "composite: [{objective: a/b}]\n  group_by: [route]",
        "5:3",
        "an objective with \"composite\" has no \"group_by\"; write it at its parts",
    );
}

#[test]
fn a_file_of_adjustments_alone_is_read() {
    let text = "adjustments: [{name: move, from: 2026-11-21, for: 2h}]\n";
    assert!(parse_objectives("slo.yml", text).unwrap().is_empty());
}

#[test]
fn expressions_that_come_to_sums_of_counters_are_read() {
    let read = |errors: &str| {
        let text = format!("objectives:\n- {{service: s, objective: 99, total: t, errors: '{errors}'}}\n");
        parse_objectives("slo.yml", &text)
    };
    let check = |errors: &str, expected: &str| {
        let found = read(errors).unwrap_or_else(|error| panic!("{error}")).remove(0);
        let query = found.error_query(Millis::hours(1));
        assert_eq!(query.split_once(" / sum(increase(t[1h]))").unwrap().0, expected, "{errors}");
    };
    check("sum(sum by (job) (rate(a{x=\"1\"}[5m])))", "sum(increase(a{x=\"1\"}[1h]))");
    check("sum(sum without (pod) (increase(a[5m])))", "sum(increase(a[1h]))");
    check("sum(irate(a[5m])) or vector(0)", "sum(increase(a[1h]))");
    check("sum(label_replace(rate(a[5m]), \"x\", \"$1\", \"y\", \"(.*)\"))", "sum(increase(a[1h]))");
    check("clamp_min(sum(rate(a[5m])), 1)", "sum(increase(a[1h]))");
    check("(sum(rate(a[5m])) > 0)", "sum(increase(a[1h]))");
    check("(sum(rate(a[5m])) or on() vector(0)) + sum(rate(b[5m]))", "(sum(increase(a[1h])) + sum(increase(b[1h])))");
    let refused = |errors: &str, hint: &str| {
        let error = read(errors).unwrap_err();
        assert!(error.message.ends_with(hint), "{errors}: {}", error.message);
    };
    refused("sum(rate(a[5m] offset 1m))", "leave offset and @ away: each sample counts at its own time");
    refused("sum(rate(a[5m])) * 60", "leave factors away: only the ratio of both counts matters");
    refused("avg(rate(a[5m]))", "avg of counters is no count; write sum");
    refused("histogram_quantile(0.9, sum by (le) (rate(a_bucket[5m])))", "latency: {histogram: …, within: 300ms}");
    refused("avg_over_time(up[5m])", "and slices: {width: 1m} to judge minutes");
    refused("clamp_min(sum(rate(a[5m])), 100)", "\"clamp_min(sum(rate(a[5m])), 100)\" is not counted sample by sample");
}

#[test]
fn ratios_that_are_stored_are_read() {
    let check = |ratio: &str, expected: &str| {
        let text = format!(
            "version: prometheus/v1\nservice: s\nslos:\n- name: n\n  objective: 99.9\n  sli: {{raw: {{error_ratio_query: '{ratio}'}}}}\n"
        );
        let found = parse_objectives("slo.yml", &text).unwrap_or_else(|error| panic!("{error}")).remove(0);
        assert_eq!(found.error_query(Millis::hours(1)), expected, "{ratio}");
    };
    let average = "sum(sum_over_time(job:errors:ratio[1h])) / sum(count_over_time(job:errors:ratio[1h]))";
    check("job:errors:ratio", average);
    check("avg_over_time(job:errors:ratio[{{.window}}])", average);
    check("avg(avg_over_time(job:errors:ratio[{{.window}}]))", average);
    check(
        "1 - histogram_fraction(0, 0.3, sum(rate(h[{{.window}}])))",
        "1 - histogram_fraction(-Inf, 0.3, sum(increase(h[1h])))",
    );
}

#[test]
fn gauges_and_deltas_of_our_own_form_are_read() {
    check(
        r#"
objectives:
  - {service: a, objective: 99, gauge: '30 > queue_age_seconds{job="a"}'}
  - {service: b, objective: 99, errors: failed, total: handled, deltas: true}
"#,
        r#"
a/availability 0.99 over 30d
  1 - avg(avg_over_time((queue_age_seconds{job="a"} < bool 30)[30d:]))
  standard pairs
b/availability 0.99 over 30d
  sum(sum_over_time(failed[30d])) / sum(sum_over_time(handled[30d]))
  standard pairs
"#,
    );
}

#[test]
fn openslo_s_first_form_its_deltas_and_its_data_sources_are_read() {
    check(
        r#"
apiVersion: openslo/v1alpha
kind: SLO
metadata: {name: slo}
spec:
  service: my-service
  description: Requests are answered.
  budgetingMethod: Occurrences
  objectives:
    - ratioMetrics:
        good: {source: prometheus, queryType: promql, query: 'sum(rate(requests_total{code!~"5.."}[{{.window}}]))'}
        total: {source: prometheus, queryType: promql, query: 'sum(rate(requests_total[{{.window}}]))'}
      target: 0.999
  timeWindows: [{count: 30, unit: Day}]
---
apiVersion: openslo/v1
kind: DataSource
metadata: {name: prom}
spec: {type: Prometheus, connectionDetails: {url: "http://x", token: secret}}
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: deltas}
spec:
  service: s
  timeWindow: [{duration: 1w}]
  objectives: [{target: 0.99}]
  indicator:
    spec:
      ratioMetric:
        counter: false
        bad: {metricSource: {metricSourceRef: prom, spec: {query: failed}}}
        total: {metricSource: {metricSourceRef: prom, spec: {query: handled}}}
"#,
        r#"
my-service/slo 0.999 over 30d
  1 - sum(increase(requests_total{code!~"5.."}[30d])) / sum(increase(requests_total[30d]))
  says: description=Requests are answered.
  standard pairs
s/deltas 0.99 over 1w
  sum(sum_over_time(failed[1w])) / sum(sum_over_time(handled[1w]))
  standard pairs
"#,
    );
    let text = r#"
apiVersion: openslo/v1
kind: DataSource
metadata: {name: watch}
spec: {type: CloudWatch}
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: x}
spec:
  service: s
  timeWindow: [{duration: 1w}]
  objectives: [{target: 0.99}]
  indicator: {spec: {ratioMetric: {bad: {metricSource: {metricSourceRef: watch, spec: {query: a}}}, total: {metricSource: {spec: {query: b}}}}}}
"#;
    let error = parse_objectives("slo.yml", text).unwrap_err();
    let message = "the data source \"watch\" is of the type CloudWatch; only metrics of the type Prometheus are read";
    assert_eq!(error.message, message);
}
