//! Objectives in Evenkeel's own form.
//!
//! ```yaml
//! objectives:
//!   - service: checkout
//!     name: availability            # unique within the service; "availability" or "latency" if left out
//!     objective: 99.9               # percent, or a share below 1 like 0.999
//!     window: 30d                   # 30d if left out; or day, week, month, quarter, year of the calendar, with
//!                                   # time_zone: Europe/Berlin (UTC if left out) and window_start: 2026-01-15 06:00
//!     slices: {width: 1m, target: 95}  # count slices of time: bad with fewer good events; without a target by their share
//!     adjustments: […]              # as below
//!     good: http_requests_total{job="checkout",code!~"5.."}
//!     total: http_requests_total{job="checkout"}
//!     # or:  errors: …  and  total: …
//!     #      with deltas: true if these are no counters: each sample is how many events there were since the last
//!     # or:  gauge: queue_age_seconds{job="checkout"} < 30
//!     # or:  probe: probe_success{job="checkout"}      # good if it is 1
//!     # or:  composite: [{objective: checkout/availability, weight: 2}, {objective: checkout/latency}]
//!     # or:  latency: {histogram: 'http_request_duration_seconds{job="checkout"}', within: 300ms}
//!     #      with native: true if it is a native histogram
//!     group_by: [route]             # a budget for every route as well; groups_max of them, 100 if left out
//!     labels: {team: shop}          # on all its alerts; page_labels and ticket_labels on one kind
//!     annotations: {runbook: "https://…"}
//!     burn:                         # instead of the Workbook's pairs
//!       - {severity: page, rate: 14.4, long: 1h, short: 5m}
//!   - {service: cart, class: HIGH_FAST}  # an availability and two latencies of the Workbook's request class: CRITICAL,
//!                                   # HIGH_FAST, HIGH_SLOW, LOW (without latencies); of http_requests_total{job="cart"} and
//!                                   # http_request_duration_seconds{job="cart"}, or others of `conventions` with
//!                                   # metrics: opentelemetry, and service_label: service instead of job
//!   - service: search               # the same of metrics that are named
//!     class: HIGH_FAST
//!     errors: http_requests_total{job="search",code=~"5.."}
//!     total: http_requests_total{job="search"}
//!     histogram: http_request_duration_seconds{job="search"}
//! slo: {service: pay, class: LOW}   # one objective beside the list, or instead of it
//! adjustments:                      # times in which events do not count, for objectives of this and other files
//!   - name: move of the database
//!     from: 2026-11-21 02:00        # in time_zone, UTC if left out
//!     for: 2h
//!     repeat: FREQ=WEEKLY;BYDAY=SU  # by RFC 5545; without it once
//!     services: [checkout]          # and objectives: [checkout/availability]; without both for all
//! ```
//!
//! `good`, `errors` and `total` take a counter, or sums and differences of counters:
//! `sum(rate(a_total[5m])) - sum(rate(b_total[5m]))`.

use crate::model::{Labels, Matcher, Millis};
use crate::slo::{BurnPair, Comparison, Events, Indicator, Objective, Part, Reading, Severity};

use super::conventions::ServiceMetrics;
use super::{Found, Scale, expression, reckoning, share, weight};
use crate::config::error::ConfigError;
use crate::config::section::{Field, Section};
use crate::config::source::Source;
use crate::config::yaml::Node;

/// A class of requests: the share that must succeed, and within what time 90 and 99 % of them.
///
/// Source: Google, The Site Reliability Workbook, chapter 5, "Alerting at Scale".
struct Class {
    name: &'static str,
    availability: f64,
    latencies: Option<[Millis; 2]>,
}

const CLASSES: [Class; 4] = [
    Class { name: "CRITICAL", availability: 0.9999, latencies: Some([Millis(100), Millis(200)]) },
    Class { name: "HIGH_FAST", availability: 0.999, latencies: Some([Millis(100), Millis(200)]) },
    Class { name: "HIGH_SLOW", availability: 0.999, latencies: Some([Millis(1000), Millis(5000)]) },
    Class { name: "LOW", availability: 0.99, latencies: None },
];

/// The shares of requests that a class's two latencies are for, with what their objectives are named.
const LATENCY_SHARES: [(f64, &str); 2] = [(0.9, "latency-90"), (0.99, "latency-99")];

/// Keys that say which series are meant.
const SELECTING: [&str; 7] = ["good", "errors", "total", "gauge", "probe", "composite", "histogram"];

pub(super) fn read<'a>(source: &'a Source<'a>, document: &'a Node) -> Result<Found<'a>, ConfigError> {
    let mut top = Section::of(source, document, "a file of objectives")?;
    let mut found = Found::default();
    let adjustments = top.get("adjustments").map(|field| reckoning::scoped(&field)).transpose()?.unwrap_or_default();
    let alone = top.get("slo");
    let mut objectives = match top.get("objectives") {
        Some(field) => field.list()?,
        None if !adjustments.is_empty() || alone.is_some() => Vec::new(),
        None => top.need("objectives", "a file of objectives")?.list()?,
    };
    objectives.extend(alone);
    found.adjustments = adjustments;
    for item in objectives {
        let mut section = item.section("an objective")?;
        let objectives = match section.get("class") {
            Some(class) => of_class(&mut section, &class)?,
            None => vec![single(&mut section)?],
        };
        found.objectives.extend(objectives.into_iter().map(|objective| (objective, item)));
        found.notes.extend(section.finish("an objective")?);
    }
    found.notes.extend(top.finish("a file of objectives")?);
    Ok(found)
}

fn single(section: &mut Section<'_>) -> Result<Objective, ConfigError> {
    let service = section.need("service", "an objective")?.word()?;
    let latency = section.get("latency");
    let default_name = if latency.is_some() { "latency" } else { "availability" };
    let name = section.get("name").map(|f| f.word()).transpose()?.unwrap_or_else(|| default_name.to_owned());
    let share = share(&section.need("objective", "an objective")?, Scale::Either)?;
    let window = reckoning::window(section)?;
    let indicator = match latency {
        Some(latency) => quick_enough(section, &latency)?,
        None => indicator(section)?,
    };
    let mut objective = Objective::new(&service, &name, share, window.length, indicator);
    objective.calendar = window.calendar;
    objective.pairs = section.get("burn").map(|field| pairs(&field)).transpose()?;
    reckon(section, std::slice::from_mut(&mut objective))?;
    groups(section, std::slice::from_mut(&mut objective))?;
    say(section, std::slice::from_mut(&mut objective))?;
    Ok(objective)
}

/// The objectives of a class of requests.
fn of_class(section: &mut Section<'_>, class: &Field<'_>) -> Result<Vec<Objective>, ConfigError> {
    let service = section.need("service", "an objective")?.word()?;
    let name = class.word()?;
    let Some(class) = CLASSES.iter().find(|known| known.name == name) else {
        let known = CLASSES.map(|class| class.name).join(", ");
        return Err(class.error(format!("there is no class \"{name}\"; there are {known}")));
    };
    let window = reckoning::window(section)?;
    let native = section.get("native").map(|f| f.boolean()).transpose()?.unwrap_or(false);
    let (availability, histogram) = match SELECTING.into_iter().find_map(|key| section.get(key)) {
        Some(named) => (named_counters(section, &named)?, named_histogram(section, class)?),
        None => {
            let metrics = ServiceMetrics::read(section, &service)?;
            let availability = metrics.availability(native);
            let availability = availability.map_err(|message| section.source.error(section.place, message))?;
            (availability, metrics.histogram())
        }
    };
    let mut all = vec![Objective::new(&service, "availability", class.availability, window.length, availability)];
    for (within, (share, name)) in class.latencies.into_iter().flatten().zip(LATENCY_SHARES) {
        let indicator = within_bound(&histogram, within, native);
        all.push(Objective::new(&service, name, share, window.length, indicator));
    }
    all.iter_mut().for_each(|objective| objective.calendar.clone_from(&window.calendar));
    reckon(section, &mut all)?;
    groups(section, &mut all)?;
    say(section, &mut all)?;
    Ok(all)
}

/// The counters that an objective of a class names, of which `named` is one.
fn named_counters(section: &mut Section<'_>, named: &Field<'_>) -> Result<Indicator, ConfigError> {
    for key in ["metrics", "service_label"] {
        if let Some(other) = section.get(key) {
            let message = format!("an objective with \"{}\" has no \"{key}\"; remove one of them", named.key);
            return Err(other.source.error(other.key_place, message));
        }
    }
    indicator(section)
}

/// The histogram that an objective of a class names beside its counters; of a class without latencies nothing.
fn named_histogram(section: &mut Section<'_>, class: &Class) -> Result<Vec<Matcher>, ConfigError> {
    match (class.latencies, section.get("histogram")) {
        (Some(_), Some(histogram)) => histogram_selector(&histogram),
        (None, Some(histogram)) => {
            let message = format!("the class {} promises no latency; remove \"histogram\"", class.name);
            Err(histogram.source.error(histogram.key_place, message))
        }
        (Some(_), None) => {
            let message = format!(
                "the class {} promises latencies and needs the key \"histogram\", the name of a histogram without \
                 _bucket; add it",
                class.name
            );
            Err(section.source.error(section.place, message))
        }
        (None, None) => Ok(Vec::new()),
    }
}

/// What the budget is made of, and what does not count.
fn reckon(section: &mut Section<'_>, objectives: &mut [Objective]) -> Result<(), ConfigError> {
    let (method, adjustments) = (reckoning::method(section)?, reckoning::adjustments(section)?);
    for objective in objectives {
        (objective.method, objective.adjustments) = (method, adjustments.clone());
    }
    Ok(())
}

/// By which labels there are budgets of their own, and how many.
fn groups(section: &mut Section<'_>, objectives: &mut [Objective]) -> Result<(), ConfigError> {
    let by = section.get("group_by").map(|f| f.words()).transpose()?.unwrap_or_default();
    let most = section.get("groups_max").map(|f| Ok((f.count()?, f))).transpose()?;
    if let (true, Some((_, field))) = (by.is_empty(), &most) {
        let message = "\"groups_max\" says how many groups have a budget; add \"group_by\", or remove it";
        return Err(field.source.error(field.key_place, message));
    }
    for objective in objectives {
        objective.group_by = by.clone();
        objective.groups_max = most.as_ref().map_or(objective.groups_max, |(most, _)| *most);
    }
    Ok(())
}

/// Labels and annotations.
fn say(section: &mut Section<'_>, objectives: &mut [Objective]) -> Result<(), ConfigError> {
    let mut labels = |key| section.get(key).map(|f| f.labels()).transpose().map(|l| l.unwrap_or_else(Labels::empty));
    let (all, page, ticket) = (labels("labels")?, labels("page_labels")?, labels("ticket_labels")?);
    let annotations = labels("annotations")?;
    for objective in objectives {
        (objective.labels, objective.annotations) = (all.clone(), annotations.clone());
        (objective.page_labels, objective.ticket_labels) = (page.clone(), ticket.clone());
    }
    Ok(())
}

fn pairs(field: &Field<'_>) -> Result<Vec<BurnPair>, ConfigError> {
    let what = "a burn pair";
    let read = |item: Field<'_>| {
        let mut section = item.section(what)?;
        let severity = section.need("severity", what)?;
        let severity = match severity.word()?.as_str() {
            "page" => Severity::Page,
            "ticket" => Severity::Ticket,
            other => return Err(severity.error(format!("\"{other}\" is neither page nor ticket; write one of them"))),
        };
        let rate = section.need("rate", what)?;
        let threshold = rate.word()?.parse().map_err(|_| rate.error("\"rate\" is a number like 14.4"))?;
        let long = section.need("long", what)?.positive_duration()?;
        let short = section.get("short").map(|f| f.positive_duration()).transpose()?.unwrap_or(Millis(long.0 / 12));
        section.finish(what)?;
        Ok(BurnPair { severity, threshold, long, short })
    };
    field.list()?.into_iter().map(read).collect()
}

fn indicator(section: &mut Section<'_>) -> Result<Indicator, ConfigError> {
    let deltas = section.get("deltas").map(|field| field.boolean()).transpose()?.unwrap_or(false);
    let indicator = counted(section)?;
    Ok(if deltas { indicator.of_deltas() } else { indicator })
}

fn counted(section: &mut Section<'_>) -> Result<Indicator, ConfigError> {
    let (good, errors) = (section.get("good"), section.get("errors"));
    let (total, gauge) = (section.get("total"), section.get("gauge"));
    if let Some(parts) = section.get("composite") {
        return composite(section, &parts);
    }
    if let Some(probe) = section.get("probe") {
        if let Some(other) = [&good, &errors, &total, &gauge].into_iter().flatten().next() {
            let message = format!("an objective with \"probe\" has no \"{}\"; remove one of them", other.key);
            return Err(other.source.error(other.key_place, message));
        }
        return Ok(Indicator::Threshold { gauge: expression::selector(&probe)?, op: Comparison::Equal, bound: 1.0 });
    }
    let fail = |message: &str| Err(section.source.error(section.place, message));
    match (good, errors, total, gauge) {
        (Some(good), None, Some(total), None) => {
            Ok(Indicator::Ratio { good: expression::events(&good)?, total: expression::events(&total)? })
        }
        (None, Some(errors), Some(total), None) => {
            Ok(Indicator::ErrorRatio { errors: expression::events(&errors)?, total: expression::events(&total)? })
        }
        (None, None, None, Some(gauge)) => expression::threshold(&gauge),
        (Some(_), Some(_), _, _) => fail("an objective has both \"good\" and \"errors\"; keep one"),
        (_, _, _, Some(_)) => fail("an objective with \"gauge\" has no \"good\", \"errors\" or \"total\"; remove them"),
        (_, _, None, None) if good.is_some() || errors.is_some() => {
            fail("an objective needs the key \"total\" beside \"good\" or \"errors\"; add it")
        }
        _ => fail(
            "an objective needs \"good\" and \"total\", \"errors\" and \"total\", \"gauge\", \"probe\", \"latency\" or \"composite\"; \
             add them",
        ),
    }
}

/// Other objectives, each with its weight.
fn composite(section: &mut Section<'_>, parts: &Field<'_>) -> Result<Indicator, ConfigError> {
    for key in ["good", "errors", "total", "gauge", "probe", "slices", "group_by", "adjustments"] {
        if let Some(other) = section.get(key) {
            let message = format!("an objective with \"composite\" has no \"{key}\"; write it at its parts");
            return Err(other.source.error(other.key_place, message));
        }
    }
    let service = section.need("service", "an objective")?.word()?;
    let what = "a part of a composite";
    let read = |item: Field<'_>| {
        let mut part = item.section(what)?;
        let path = part.need("objective", what)?.word()?;
        let (service, name) = path.split_once('/').unwrap_or((&service, &path));
        let weight = part.get("weight").map(|field| weight(&field)).transpose()?.unwrap_or(1.0);
        part.finish(what)?;
        Ok(Part::new(service, name, weight))
    };
    parts.list()?.into_iter().map(read).collect::<Result<Vec<_>, _>>().map(Indicator::Composite)
}

fn quick_enough(section: &mut Section<'_>, latency: &Field<'_>) -> Result<Indicator, ConfigError> {
    for key in ["good", "errors", "total", "gauge", "probe"] {
        if let Some(other) = section.get(key) {
            let message = format!("an objective with \"latency\" has no \"{key}\"; remove one of them");
            return Err(other.source.error(other.key_place, message));
        }
    }
    let what = "\"latency\"";
    let mut section = latency.section(what)?;
    let within = section.need("within", what)?.positive_duration()?;
    let native = section.get("native").map(|f| f.boolean()).transpose()?.unwrap_or(false);
    let histogram = section.need("histogram", what)?;
    let series = histogram_selector(&histogram)?;
    section.finish(what)?;
    Ok(within_bound(&series, within, native))
}

/// The selector of a histogram, whose name has no ending.
fn histogram_selector(histogram: &Field<'_>) -> Result<Vec<Matcher>, ConfigError> {
    let series = expression::selector(histogram)?;
    let is_name = |m: &&Matcher| m.name() == Labels::METRIC_NAME && m.op() == crate::model::MatchOp::Equal;
    let Some(name) = series.iter().find(is_name).map(|matcher| matcher.value().to_owned()) else {
        return Err(histogram.error("name the histogram's metric, as in http_request_duration_seconds{job=\"shop\"}"));
    };
    if let Some(base) = ["_bucket", "_count", "_sum"].iter().find_map(|ending| name.strip_suffix(ending)) {
        return Err(histogram.error(format!("the histogram is called \"{base}\"; leave the ending away")));
    }
    Ok(series)
}

/// Of the observations of a histogram, those within a time.
fn within_bound(series: &[Matcher], within: Millis, native: bool) -> Indicator {
    let bound = within.0 as f64 / 1000.0;
    match native {
        true => Indicator::Ratio {
            good: Events::of_histograms(series.to_vec(), Reading::ObservationsUpTo(bound)),
            total: Events::of_histograms(series.to_vec(), Reading::Observations),
        },
        false => Indicator::Ratio {
            good: expression::classic_bucket(series, bound).into(),
            total: expression::classic_count(series).into(),
        },
    }
}
