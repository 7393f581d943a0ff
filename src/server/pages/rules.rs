//! `/rules`, a rule and an alert: what watches, what it decided, why, and why not.

use maud::{Markup, html};

use crate::report::{PartReport, WhyReport};

use super::figures::line_chart;
use super::layout::{alerts as alert_list, encode, no_rules, page, query_link, state_cell, tiles, when};
use super::view::{AlertPage, RuleLine, RulePage, RulesPage, Shell};

/// `/rules`.
pub(crate) fn rules(shell: &Shell, view: &RulesPage) -> Markup {
    let body = html! {
        h1 { "Rules" }
        @if view.groups.is_empty() {
            (no_rules())
        }
        @for group in &view.groups {
            h2 { (group.name) small { (group.file) " · every " (group.interval) " · " (group.mode) } }
            table class="rules" {
                thead {
                    tr {
                        th scope="col" { "Rule" }
                        th scope="col" { "Watching" }
                        th scope="col" { "Alert" }
                        th scope="col" { "Last evaluation" }
                    }
                }
                tbody { @for rule in &group.rules { (rule_row(shell, rule)) } }
            }
        }
    };
    page(shell, &body)
}

fn rule_row(shell: &Shell, rule: &RuleLine) -> Markup {
    html! {
        tr {
            th scope="row" {
                a href={ "/rules/" (rule.id) } { (rule.name) }
                small { (rule.class) }
            }
            (state_cell(rule.health))
            td data-label="Alert" {
                span class={ "pill " (rule.state) } { (rule.state) }
                @if rule.alerts > 0 { small { (rule.alerts) @if rule.alerts == 1 { " alert" } @else { " alerts" } } }
                @if !rule.note.is_empty() { small { (rule.note) } }
            }
            td data-label="Last evaluation" {
                @match rule.last {
                    Some(last) => { (when(shell.now, last)) small { (rule.cost) } }
                    None => span class="muted" { "not yet" },
                }
            }
        }
    }
}

/// `/rules/{id}`.
pub(crate) fn rule(shell: &Shell, view: &RulePage) -> Markup {
    let body = html! {
        p class="crumb" { a href="/rules" { "Rules" } " · " (view.group) }
        h1 { (view.line.name) }
        @if !view.line.note.is_empty() { p class="note" { (view.line.note) } }
        (tiles(&view.tiles))
        h2 { "Condition" }
        pre class="expression" { (view.pretty) }
        p { (query_link(&view.line.query, "query it")) }
        @if let Some(chart) = &view.chart { (line_chart(chart)) }
        @if !view.texts.is_empty() {
            dl class="facts" { @for (name, value) in &view.texts { div { dt { (name) } dd { (value) } } } }
        }
        @if view.is_alerting {
            h2 { "Alerts" }
            @if view.alerts.is_empty() { p class="empty" { "Nothing fires and nothing is pending." } }
            @else { (alert_list(&view.alerts, shell.now)) }
            h2 id="why" { "Why, or why not" }
            (time_form(&format!("/rules/{}", view.line.id), &view.at, "#why"))
            (explanation(view.why.as_ref(), view.failure.as_deref()))
        }
        h2 { "Last evaluations" }
        @if view.evaluations.is_empty() { p class="empty" { "None since the start." } }
        @else {
            table {
                thead {
                    tr {
                        th scope="col" { "Time" }
                        th scope="col" { "Took" }
                        th scope="col" { "Series" }
                        th scope="col" { "Samples read" }
                        th scope="col" { "Error" }
                    }
                }
                tbody {
                    @for one in &view.evaluations {
                        tr {
                            th scope="row" { (when(shell.now, one.at)) }
                            td data-label="Took" class="figure" { (one.took) }
                            td data-label="Series" class="figure" { (one.series) }
                            td data-label="Samples read" class="figure" { (one.samples) }
                            td data-label="Error" class="why" { (one.error) }
                        }
                    }
                }
            }
        }
    };
    page(shell, &body)
}

/// `/alerts/{id}`.
pub(crate) fn alert(shell: &Shell, view: &AlertPage) -> Markup {
    let body = html! {
        p class="crumb" {
            a href="/alerts" { "Alerts" }
            @if let Some(why) = &view.why { " · " a href={ "/rules/" (why.rule.id) } { (why.rule.name) } }
        }
        h1 { (view.name) }
        @if let Some(why) = &view.why {
            p class="detail labels" {
                span class={ "pill " (pill(&why.state)) } { (why.state) }
                @for (name, value) in why.alert.iter().flat_map(|alert| &alert.labels) {
                    span class="label" { (name) "=" b { (value) } }
                }
            }
            (timeline(why))
        }
        h2 { "Who was told" }
        @if view.told.is_empty() { p class="empty" { "Nobody, as far as the outbox remembers: there is no receiver, or nothing was due." } }
        @else {
            ul class="parts" {
                @for told in &view.told {
                    li { span class="pill resolved" { (told.what) } div { strong { (told.receiver) } span class="muted" { (when(shell.now, told.at)) } } }
                }
            }
        }
        h2 id="why" { "Why" }
        (time_form(&format!("/alerts/{}", view.id), &view.at, "#why"))
        (explanation(view.why.as_ref(), view.failure.as_deref()))
    };
    page(shell, &body)
}

/// The style of a state's pill.
fn pill(state: &str) -> &str {
    if state == "kept firing" { "firing" } else { state }
}

/// The times of an alert, in their order.
fn timeline(why: &WhyReport) -> Markup {
    let steps = [
        ("condition true", &why.active_at),
        ("fires", &why.fires_at),
        ("condition false", &why.ceased_at),
        ("ends", &why.ends_at),
    ];
    html! {
        ol class="timeline" {
            @for (name, at) in steps {
                @if let Some(at) = at { li { span { (name) } time datetime=(at) { (at.replace('T', " ").trim_end_matches('Z')) } } }
            }
        }
    }
}

fn time_form(action: &str, at: &str, anchor: &str) -> Markup {
    html! {
        form class="query at" method="get" action={ (action) (anchor) } {
            div class="controls" {
                label for="at" { "At (UTC or Unix seconds; empty: now)" }
                input id="at" name="at" value=(at) placeholder="2026-11-28T12:00:00Z" autocomplete="off" spellcheck="false";
                button type="submit" { "Explain" }
            }
        }
    }
}

fn explanation(why: Option<&WhyReport>, failure: Option<&str>) -> Markup {
    html! {
        @if let Some(failure) = failure { pre class="failure" role="alert" { (failure) } }
        @if let Some(why) = why {
            ul class="summary" { @for sentence in &why.summary { li { (sentence) } } }
            @if let Some(id) = &why.evidence { p { a href={ "/api/v1/evidence/" (id) } { "Evidence pack" } } }
            @if why.known_from == "history" {
                p class="muted" { "As of " (why.at) ". Times are found from stored data, by the rule as it is today." }
            }
            @if let Some(reason) = &why.unfinished { p class="note" { "Not everything was looked at: " (reason) } }
            ul class="tree" { (part(&why.condition)) }
            @if !why.others.is_empty() {
                h3 { "Further alerts of this rule at that time" }
                ul class="evidence" {
                    @for other in &why.others {
                        li { a href={ "/alerts/" (other.id) "?at=" (encode(&why.at)) } { (labels_text(&other.labels)) } }
                    }
                }
            }
        }
    }
}

/// One part of an expression with what is below it.
fn part(report: &PartReport) -> Markup {
    html! {
        li {
            p class="part" {
                (query_link(&report.query, &report.query))
                @if let Some(value) = &report.value { " = " b { (value) } }
                @else if let (1, Some(only)) = (report.elements_total, report.elements.first()) { " = " b { (only.value) } }
            }
            @if let Some(turn) = &report.turn {
                p class="muted" {
                    @if turn.holds { "✓ holds since " } @else { "✗ does not hold since " }
                    @match &turn.since {
                        Some(since) => (since),
                        None => { "before " (turn.looked_back_to) }
                    }
                    @if let Some(sample) = &turn.sample { ", with " b { (sample.value) } " of " code { (labels_text(&sample.labels)) } }
                }
            }
            @if let Some(error) = &report.error { p class="bad" { "✗ " (error) } }
            @if let Some(finding) = &report.finding { p class="bad" { "✗ " (finding) } }
            @for hint in &report.hints { p class="muted" { (hint) } }
            (rows(report))
            @if !report.parts.is_empty() { ul { @for below in &report.parts { (part(below)) } } }
        }
    }
}

/// Pairs, samples, or elements: what there is of them.
fn rows(report: &PartReport) -> Markup {
    let more = |shown: usize, total: usize, what: &str| {
        html! { @if total > shown { li class="muted" { "and " (total - shown) " more " (what) } } }
    };
    html! {
        @if !report.compared.is_empty() {
            ul class="rows" {
                @for pair in &report.compared {
                    li {
                        (if pair.holds { "✓ " } else { "✗ " }) b { (pair.left) } " " (pair.operator) " " (pair.right) " "
                        code { (labels_text(&pair.labels)) }
                        span class="muted" { @if pair.holds { " ends at " } @else { " needs " } (pair.flips_at) @if pair.distance != "0" { ", " (pair.distance) " away" } }
                    }
                }
                (more(report.compared.len(), report.compared_total, "pairs"))
            }
        } @else if !report.series.is_empty() {
            ul class="rows" {
                @for series in &report.series {
                    li {
                        code { (labels_text(&series.labels)) } " "
                        @if series.kind == "window" {
                            (series.count) " samples"
                            @if let (Some(first), Some(last)) = (&series.first, &series.last) {
                                ": " b { (first.1) } span class="muted" { " at " (first.0) } " … " b { (last.1) } span class="muted" { " at " (last.0) }
                            }
                            @if series.resets > 0 { ", " (series.resets) " resets" }
                        } @else if let Some(last) = &series.last {
                            @if series.kind == "latest" { b { (last.1) } } @else { (series.kind) }
                            span class="muted" { " at " (last.0) }
                        }
                    }
                }
                (more(report.series.len(), report.series_total, "series"))
            }
        } @else if report.elements_total > 1 {
            ul class="rows" {
                @for element in &report.elements { li { b { (element.value) } " " code { (labels_text(&element.labels)) } } }
                (more(report.elements.len(), report.elements_total, "elements"))
            }
        }
    }
}

fn labels_text(labels: &std::collections::BTreeMap<String, String>) -> String {
    let name = labels.get("__name__").map_or("", String::as_str);
    let rest: Vec<String> = labels
        .iter()
        .filter(|(name, _)| *name != "__name__")
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    format!("{name}{{{}}}", rest.join(", "))
}
