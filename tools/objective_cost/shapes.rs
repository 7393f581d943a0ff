//! The same objectives as our file, and as the rules that Sloth generates.

use std::fmt::Write;

/// The value of the label that tells a team's series.
pub(crate) fn team_name(team: usize) -> String {
    format!("team-{team:03}")
}

/// So many objectives, one for each team's service.
pub(crate) fn objectives(count: usize) -> String {
    let mut text = String::from("objectives:\n");
    for team in 0..count {
        let name = team_name(team);
        let _ = writeln!(
            text,
            "- {{service: {name}, name: availability, objective: 99.9, window: 30d, \
errors: 'http_requests_total{{service=\"{name}\",code=~\"5..\"}}', total: 'http_requests_total{{service=\"{name}\"}}'}}"
        );
    }
    text
}

/// Sloth's fifteen recording and two alerting rules for each of them.
pub(crate) fn rules(count: usize) -> String {
    let mut text = String::from("groups:\n");
    (0..count).for_each(|team| text += &sloth(&team_name(team)));
    text
}

fn sloth(name: &str) -> String {
    let labels = format!("sloth_id: {name}-availability, sloth_service: {name}, sloth_slo: availability");
    let id = format!("sloth_id=\"{name}-availability\", sloth_service=\"{name}\", sloth_slo=\"availability\"");
    let record = |record: &str, expr: &str, more: &str| {
        format!("  - {{record: '{record}', expr: '{expr}', labels: {{{labels}{more}}}}}\n")
    };
    let mut text = format!("- name: sloth-slo-sli-recordings-{name}\n  rules:\n");
    for window in ["5m", "30m", "1h", "2h", "6h", "1d", "3d"] {
        let rate = |more: &str| format!("sum(rate(http_requests_total{{service=\"{name}\"{more}}}[{window}]))");
        let expr = format!("({}) / ({})", rate(",code=~\"5..\""), rate(""));
        text += &record(&format!("slo:sli_error:ratio_rate{window}"), &expr, &format!(", sloth_window: {window}"));
    }
    let over = |what: &str| format!("{what}_over_time(slo:sli_error:ratio_rate5m{{{id}}}[30d])");
    let month = format!("{} / ignoring (sloth_window) {}", over("sum"), over("count"));
    text += &record("slo:sli_error:ratio_rate30d", &month, ", sloth_window: 30d");
    text += &format!("- name: sloth-slo-meta-recordings-{name}\n  rules:\n");
    let on = "on(sloth_id, sloth_slo, sloth_service) group_left";
    for (what, expr) in [
        ("slo:objective:ratio", "vector(0.999)".to_owned()),
        ("slo:error_budget:ratio", "vector(1-0.999)".to_owned()),
        ("slo:time_period:days", "vector(30)".to_owned()),
        (
            "slo:current_burn_rate:ratio",
            format!("slo:sli_error:ratio_rate5m{{{id}}} / {on} slo:error_budget:ratio{{{id}}}"),
        ),
        (
            "slo:period_burn_rate:ratio",
            format!("slo:sli_error:ratio_rate30d{{{id}}} / {on} slo:error_budget:ratio{{{id}}}"),
        ),
        ("slo:period_error_budget_remaining:ratio", format!("1 - slo:period_burn_rate:ratio{{{id}}}")),
        ("sloth_slo_info", "vector(1)".to_owned()),
    ] {
        text += &record(what, &expr, "");
    }
    let pair = |short: &str, long: &str, factor: f64| {
        let above = |window: &str| {
            format!("max(slo:sli_error:ratio_rate{window}{{{id}}} > ({factor} * 0.001)) without (sloth_window)")
        };
        format!("({} and {})", above(short), above(long))
    };
    text += &format!("- name: sloth-slo-alerts-{name}\n  rules:\n");
    for (severity, quick, slow) in [
        ("page", pair("5m", "1h", 14.4), pair("30m", "6h", 6.0)),
        ("ticket", pair("2h", "1d", 3.0), pair("6h", "3d", 1.0)),
    ] {
        text += &format!(
            "  - {{alert: ErrorBudgetBurn, expr: '{quick} or {slow}', labels: {{sloth_severity: {severity}, severity: {severity}}}}}\n"
        );
    }
    text
}
