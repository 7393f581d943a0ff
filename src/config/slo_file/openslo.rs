//! OpenSLO's objects: v1, and v1alpha and v2alpha as far as they say the same.
//!
//! Read are `SLO`, `SLI`, `AlertPolicy` and `AlertCondition`, which may refer to others of the same file. `Service`,
//! `DataSource` and `AlertNotificationTarget` are looked through and noted: services are known by their names, samples
//! come from this database, and alerts go where the routes say. A `DataSource` of another kind than Prometheus that a
//! metric refers to is refused: its expressions mean nothing here.

use std::collections::HashMap;

use crate::model::{Labels, Millis};
use crate::slo::{BurnPair, Calendar, CalendarUnit, Comparison, Indicator, Method, Objective, Part, Severity};

use super::reckoning::{self, Window};
use super::{Found, Scale, expression, object, share, weight};
use crate::config::error::ConfigError;
use crate::config::note::Note;
use crate::config::section::{Field, Section};
use crate::config::source::Source;
use crate::config::yaml::{Node, Value};

/// What the objects of a file say of each other by name.
#[derive(Default)]
struct Named<'a> {
    indicators: HashMap<String, Field<'a>>,
    policies: HashMap<String, Field<'a>>,
    conditions: HashMap<String, Field<'a>>,
    /// The types of data sources.
    sources: Sources<'a>,
}

pub(super) fn read<'a>(source: &'a Source<'a>, documents: &'a [Node]) -> Result<Found<'a>, ConfigError> {
    let (mut found, mut named, mut objectives) = (Found::default(), Named::default(), Vec::new());
    for document in documents {
        let (mut object, notes) = object(source, document, "an OpenSLO")?;
        found.notes.extend(notes);
        let name_field = object.metadata.need("name", "\"metadata\"")?;
        let name = name_field.word()?;
        match object.kind.as_str() {
            "SLO" => objectives.push((name_field, name, object.metadata, object.spec)),
            "SLI" => drop(named.indicators.insert(name, object.spec)),
            "AlertPolicy" => drop(named.policies.insert(name, object.spec)),
            "AlertCondition" => drop(named.conditions.insert(name, object.spec)),
            "Service" => found.notes.push(object.kind_field.note("a service is known by the objectives that name it")),
            "DataSource" => {
                let mut spec = object.spec.section("a data source")?;
                named.sources.extend(spec.get("type").map(|kind| (name, kind)));
                found.notes.push(object.kind_field.note("samples come from this database"));
            }
            "AlertNotificationTarget" => {
                found.notes.push(object.kind_field.note("alerts go where the routes of the configuration say"));
            }
            other => {
                let message = format!(
                    "OpenSLO has no kind \"{other}\"; there are SLO, SLI, Service, DataSource, AlertPolicy, \
                     AlertCondition and AlertNotificationTarget"
                );
                return Err(object.kind_field.error(message));
            }
        }
    }
    for (field, name, metadata, spec) in objectives {
        slo((field, &name, metadata), spec, &named, &mut found)?;
    }
    Ok(found)
}

/// An SLO: an objective, or several that share all but the target and the indicator.
fn slo<'a>(
    (name_field, name, mut metadata): (Field<'a>, &str, Section<'a>),
    spec: Field<'a>,
    named: &Named<'a>,
    found: &mut Found<'a>,
) -> Result<(), ConfigError> {
    let what = "an SLO";
    let mut spec = spec.section("\"spec\"")?;
    let service = match spec.get("service") {
        Some(service) => service.word()?,
        None => spec.need("serviceRef", what)?.word()?,
    };
    let window = match spec.get("timeWindows") {
        // As v1alpha writes it.
        Some(windows) => time_window(&windows)?,
        None => time_window(&spec.need("timeWindow", what)?)?,
    };
    let method_field = spec.get("budgetingMethod");
    let mut annotations = Labels::empty();
    if let Some(text) = spec.get("description").map(|f| f.text()).transpose()?.filter(|t| !t.trim().is_empty()) {
        annotations = Labels::new([("description", text.trim())]).map_err(|e| name_field.error(e.to_string()))?;
    }
    let shared = first_of(&mut spec, ["indicator", "indicatorRef", "sli", "sliRef"]);
    let pairs = spec.get("alertPolicies").map(|field| policies(&field, named, &mut found.notes)).transpose()?;
    let labels = labels(&mut metadata)?;
    let items = spec.need("objectives", what)?.list()?;
    let (mut composite, mut parts, mut promised) = (false, Vec::new(), 0.0);
    for (n, item) in items.iter().enumerate() {
        let mut section = item.section("an objective")?;
        let target = match (section.get("target"), section.get("targetPercent")) {
            (Some(target), None) => share(&target, Scale::Share)?,
            (None, Some(percent)) => share(&percent, Scale::Percent)?,
            _ => return Err(item.error("an objective has either \"target\" or \"targetPercent\"; write one of them")),
        };
        let own = first_of(&mut section, ["indicator", "indicatorRef", "sli", "sliRef"]);
        let indicator_field = own.or(shared);
        // As v1alpha writes it.
        let ratio_metrics = section.get("ratioMetrics");
        let bound = match (section.get("op"), section.get("value")) {
            (Some(op), Some(value)) => Some((operator(&op)?, decimal(&value)?)),
            (None, None) => None,
            (Some(one), None) | (None, Some(one)) => {
                return Err(one.error("\"op\" and \"value\" go together; add the other"));
            }
        };
        let indicator = match (indicator_field, ratio_metrics) {
            (_, Some(metrics)) => ratio_metric(&metrics, &named.sources)?,
            (Some(field), None) => indicator(&resolved(&field, &named.indicators)?, bound, &named.sources)?,
            (None, None) => {
                return Err(item.error("neither the SLO nor the objective has an indicator; add \"indicator\""));
            }
        };
        let shown = section.get("displayName").map(|f| f.word()).transpose()?;
        let method = method(method_field.as_ref(), &mut section, item)?;
        let weighs = section.get("compositeWeight").map(|field| weight(&field)).transpose()?;
        composite |= weighs.is_some();
        found.notes.extend(section.finish("an objective")?);
        let objective_name: String = match (items.len(), shown) {
            (1, _) => name.to_owned(),
            (_, Some(shown)) => format!("{name}-{shown}"),
            (_, None) => format!("{name}-{}", n + 1),
        };
        let mut objective = Objective::new(&service, &objective_name, target, window.length, indicator);
        (objective.calendar, objective.method) = (window.calendar.clone(), method);
        (objective.labels, objective.annotations) = (labels.clone(), annotations.clone());
        objective.pairs = pairs.clone();
        parts.push(Part::new(&service, &objective_name, weighs.unwrap_or(1.0)));
        promised += weighs.unwrap_or(1.0) * target;
        found.objectives.push((objective, *item));
    }
    if composite && items.len() > 1 {
        // All of them together promise what they promise on the average, by weight.
        let weights: f64 = parts.iter().map(|part| part.weight).sum();
        let target = (promised / weights * 1e12).round() / 1e12;
        let mut whole = Objective::new(&service, name, target, window.length, Indicator::Composite(parts));
        (whole.calendar, whole.labels, whole.annotations, whole.pairs) = (window.calendar, labels, annotations, pairs);
        found.objectives.push((whole, name_field));
    }
    found.notes.extend(spec.finish(what)?);
    Ok(())
}

/// What an objective's budget is made of. Slices of ratios have no target of their own.
fn method(method: Option<&Field<'_>>, section: &mut Section<'_>, item: &Field<'_>) -> Result<Method, ConfigError> {
    let (target, width) = (section.get("timeSliceTarget"), section.get("timeSliceWindow"));
    let name = method.map(Field::word).transpose()?.unwrap_or_else(|| "Occurrences".to_owned());
    match (name.as_str(), method) {
        ("Occurrences", _) | (_, None) => match target.or(width) {
            None => Ok(Method::Occurrences),
            Some(only) => {
                let message = format!("\"{}\" is for slices of time; write budgetingMethod: Timeslices", only.key);
                Err(only.source.error(only.key_place, message))
            }
        },
        ("Timeslices", _) => {
            match (target, width) {
                (Some(target), Some(width)) => {
                    let target = reckoning::whole_or_share(&target)?;
                    Ok(Method::Timeslices { width: slice_width(&width)?, target })
                }
                _ => Err(item
                    .error("budgetingMethod Timeslices needs \"timeSliceTarget\" and \"timeSliceWindow\"; add them")),
            }
        }
        ("RatioTimeslices", _) => match (target, width) {
            (None, Some(width)) => Ok(Method::RatioTimeslices { width: slice_width(&width)? }),
            (Some(target), _) => {
                let message =
                    "slices count by their share of good events and have no target; remove \"timeSliceTarget\"";
                Err(target.source.error(target.key_place, message))
            }
            (None, None) => Err(item.error("budgetingMethod RatioTimeslices needs \"timeSliceWindow\"; add it")),
        },
        (other, Some(field)) => {
            let message =
                format!("there is no budgeting method \"{other}\"; write Occurrences, Timeslices or RatioTimeslices");
            Err(field.error(message))
        }
    }
}

/// The width of a slice; a number alone is minutes.
fn slice_width(field: &Field<'_>) -> Result<Millis, ConfigError> {
    match field.word()?.parse::<i64>() {
        Ok(minutes) if (1..=100_000).contains(&minutes) => Ok(Millis::minutes(minutes)),
        Ok(_) => Err(field.error("a slice of time is at least a minute; write it like 5 or 5m")),
        Err(_) => long_duration(field),
    }
}

fn first_of<'a, const N: usize>(section: &mut Section<'a>, keys: [&'static str; N]) -> Option<Field<'a>> {
    keys.map(|key| section.get(key)).into_iter().flatten().next()
}

/// Labels of the metadata: a text, or a list of which the first counts.
fn labels(metadata: &mut Section<'_>) -> Result<Labels, ConfigError> {
    let Some(field) = metadata.get("labels") else { return Ok(Labels::empty()) };
    let mut labels = Labels::empty().builder();
    for label in field.section("\"labels\"")?.fields() {
        let text = match &label.node.value {
            Value::List(_) => label.list()?.first().map(|first| first.text()).transpose()?.unwrap_or_default(),
            _ => label.text()?,
        };
        labels.set(label.key, &text);
    }
    labels.build().map_err(|error| field.error(error.to_string()))
}

/// The one time window of an SLO: a rolling one, or one of the calendar.
fn time_window(field: &Field<'_>) -> Result<Window, ConfigError> {
    let windows = field.list()?;
    let [window] = windows.as_slice() else { return Err(field.error("\"timeWindow\" holds exactly one window")) };
    let mut section = window.section("\"timeWindow\"")?;
    let rolling_field = section.get("isRolling");
    let rolling = rolling_field.as_ref().map(Field::boolean).transpose()?;
    let calendar = section.get("calendar");
    let duration = section.get("duration");
    // As v1alpha writes it.
    let counted = match &duration {
        Some(_) => None,
        None => Some((section.need("unit", "\"timeWindow\"")?, section.need("count", "\"timeWindow\"")?)),
    };
    section.finish("\"timeWindow\"")?;
    match (calendar, rolling) {
        (Some(calendar), Some(true)) => {
            let message = "a window is rolling or has a calendar; remove \"calendar\", or write isRolling: false";
            Err(calendar.source.error(calendar.key_place, message))
        }
        (Some(calendar), _) => {
            let (unit, count, place) = match (&duration, &counted) {
                (Some(duration), _) => calendar_unit(duration).map(|(unit, count)| (unit, count, *duration))?,
                (None, Some((unit, count))) => (named_unit(unit)?, count.count()? as i64, *unit),
                (None, None) => return Err(window.error("a window needs \"duration\"; add it")),
            };
            let mut section = calendar.section("\"calendar\"")?;
            let start = section.need("startTime", "\"calendar\"")?.word()?;
            let zone = section.get("timeZone").map(|f| f.word()).transpose()?.unwrap_or_else(|| "UTC".to_owned());
            section.finish("\"calendar\"")?;
            let calendar = Calendar::new(unit, count, &zone, Some(&start));
            Ok(Window::of_calendar(calendar.map_err(|error| place.error(error.to_string()))?))
        }
        (None, Some(false)) => {
            let field = rolling_field.unwrap_or(*window);
            Err(field.error("a window that is not rolling needs \"calendar\" with its startTime and timeZone; add it"))
        }
        (None, _) => Ok(Window::rolling(match (&duration, &counted) {
            (Some(duration), _) => long_duration(duration)?,
            (None, Some((unit, count))) => {
                Millis(days_of(unit, &unit.word()?)?.0.saturating_mul(count.count()? as i64))
            }
            (None, None) => return Err(window.error("a window needs \"duration\"; add it")),
        })),
    }
}

/// A duration as units of the calendar: `1M`, `2w`, `1Q`, `1Y`, `1d`.
fn calendar_unit(field: &Field<'_>) -> Result<(CalendarUnit, i64), ConfigError> {
    let text = field.word()?;
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let count = text[..text.len() - unit.len()].parse::<i64>().ok();
    let unit = match unit {
        "d" => Some(CalendarUnit::Day),
        "w" => Some(CalendarUnit::Week),
        "M" => Some(CalendarUnit::Month),
        "Q" => Some(CalendarUnit::Quarter),
        "Y" => Some(CalendarUnit::Year),
        _ => None,
    };
    unit.zip(count).ok_or_else(|| {
        field.error(format!("\"{text}\" is no period of the calendar; write one like 1M, 1Q, 1Y, 2w or 1d"))
    })
}

fn named_unit(field: &Field<'_>) -> Result<CalendarUnit, ConfigError> {
    match field.word()?.as_str() {
        "Day" => Ok(CalendarUnit::Day),
        "Week" => Ok(CalendarUnit::Week),
        "Month" => Ok(CalendarUnit::Month),
        "Quarter" => Ok(CalendarUnit::Quarter),
        "Year" => Ok(CalendarUnit::Year),
        other => {
            Err(field
                .error(format!("\"{other}\" is no period of the calendar; write Day, Week, Month, Quarter or Year")))
        }
    }
}

/// A duration with a unit that Prometheus does not know: months, quarters and years as 30, 90 and 365 days.
fn long_duration(field: &Field<'_>) -> Result<Millis, ConfigError> {
    let text = field.word()?;
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let days = match unit {
        "M" => 30,
        "Q" => 90,
        "Y" => 365,
        _ => return field.positive_duration(),
    };
    let count: i64 = text[..text.len() - unit.len()].parse().unwrap_or(0);
    match count.checked_mul(days).filter(|days| (1..=36_600).contains(days)) {
        Some(days) => Ok(Millis::days(days)),
        None => Err(field.error(format!("\"{text}\" is not a duration; write one like 28d, 4w or 1M"))),
    }
}

fn days_of(field: &Field<'_>, unit: &str) -> Result<Millis, ConfigError> {
    match unit {
        "Minute" => Ok(Millis::minutes(1)),
        "Hour" => Ok(Millis::hours(1)),
        "Day" => Ok(Millis::days(1)),
        "Week" => Ok(Millis::days(7)),
        "Month" => Ok(Millis::days(30)),
        "Quarter" => Ok(Millis::days(90)),
        "Year" => Ok(Millis::days(365)),
        _ => {
            Err(field.error(format!("\"{unit}\" is no unit of time windows; write Day, Week, Month, Quarter or Year")))
        }
    }
}

/// The `spec` that a field holds, or that of the object which it names.
fn resolved<'a>(field: &Field<'a>, named: &HashMap<String, Field<'a>>) -> Result<Field<'a>, ConfigError> {
    match &field.node.value {
        Value::Scalar(name) => named.get(name).copied().ok_or_else(|| {
            field.error(format!("no object of this file is named \"{name}\"; add it to the file, or correct the name"))
        }),
        _ => {
            let mut inline = field.section(field.key)?;
            Ok(inline.get("spec").unwrap_or(*field))
        }
    }
}

/// The types of data sources by their names.
type Sources<'a> = HashMap<String, Field<'a>>;

fn indicator(
    spec: &Field<'_>,
    bound: Option<(Comparison, f64)>,
    sources: &Sources<'_>,
) -> Result<Indicator, ConfigError> {
    let mut section = spec.section("an SLI")?;
    section.get("description");
    let (ratio, threshold) = (section.get("ratioMetric"), section.get("thresholdMetric"));
    section.finish("an SLI")?;
    match (ratio, threshold, bound) {
        (Some(ratio), None, None) => ratio_metric(&ratio, sources),
        (None, Some(threshold), Some((op, bound))) => {
            let gauge = query(&threshold, sources)?;
            let gauge = expression::selector(&gauge)?;
            Ok(Indicator::Threshold { gauge, op, bound })
        }
        (None, Some(threshold), None) => {
            Err(threshold.error("the objective of a thresholdMetric needs \"op\" and \"value\"; add them"))
        }
        (Some(ratio), None, Some(_)) => {
            Err(ratio.error("the objective of a ratioMetric has no \"op\" and \"value\"; remove them"))
        }
        _ => Err(spec.error("an SLI has either \"ratioMetric\" or \"thresholdMetric\"; write one of them")),
    }
}

fn ratio_metric(field: &Field<'_>, sources: &Sources<'_>) -> Result<Indicator, ConfigError> {
    let what = "\"ratioMetric\"";
    let mut section = field.section(what)?;
    let counter = section.get("counter").map(|f| f.boolean()).transpose()?;
    let (good, bad, total) = (section.get("good"), section.get("bad"), section.get("total"));
    let (raw, raw_type) = (section.get("raw"), section.get("rawType"));
    let incremental = section.get("incremental").map(|f| f.boolean()).transpose()?;
    section.finish(what)?;
    let query = |metric: &Field<'_>| query(metric, sources).and_then(|field| expression::events(&field));
    let counted = match (good, bad, total, raw) {
        (Some(good), None, Some(total), None) => Indicator::Ratio { good: query(&good)?, total: query(&total)? },
        (None, Some(bad), Some(total), None) => Indicator::ErrorRatio { errors: query(&bad)?, total: query(&total)? },
        (None, None, None, Some(raw)) => {
            let raw_type =
                raw_type.ok_or_else(|| raw.error("\"raw\" needs \"rawType\": success or failure; add it"))?;
            let ratio = self::query(&raw, sources)?;
            return match raw_type.word()?.as_str() {
                "success" => expression::good_ratio(&ratio),
                "failure" => expression::error_ratio(&ratio),
                other => Err(raw_type.error(format!("\"{other}\" is neither success nor failure; write one of them"))),
            };
        }
        _ => {
            let message = "\"ratioMetric\" has \"total\" with \"good\" or \"bad\", or \"raw\"; write one of these";
            return Err(field.error(message));
        }
    };
    // A number that may go up or down is how many events there were since the last sample.
    let deltas = counter == Some(false) || incremental == Some(false);
    Ok(if deltas { counted.of_deltas() } else { counted })
}

/// The expression of a metric.
fn query<'a>(metric: &Field<'a>, sources: &Sources<'_>) -> Result<Field<'a>, ConfigError> {
    let mut section = metric.section(metric.key)?;
    // As v1alpha writes it: the query stands beside the name of its source.
    if let Some(query) = section.get("query") {
        section.get("source");
        section.get("queryType");
        section.finish(metric.key)?;
        return Ok(query);
    }
    let mut source = match section.get("metricSource") {
        Some(source) => source.section("\"metricSource\"")?,
        None => section.need("dataSourceSpec", metric.key)?.section("\"dataSourceSpec\"")?,
    };
    for key in ["metricSourceRef", "dataSourceRef"] {
        let Some(reference) = source.get(key) else { continue };
        let name = reference.word()?;
        let kind = sources.get(&name).map(|kind| kind.word()).transpose()?;
        if let Some(kind) = kind.filter(|kind| !kind.eq_ignore_ascii_case("prometheus")) {
            let message = format!(
                "the data source \"{name}\" is of the type {kind}; only metrics of the type Prometheus are read"
            );
            return Err(reference.error(message));
        }
    }
    if let Some(kind) = source.get("type")
        && !kind.word()?.eq_ignore_ascii_case("prometheus")
    {
        return Err(kind.error("only metrics of the type Prometheus are read"));
    }
    let field = match source.get("spec") {
        Some(spec) => {
            let mut spec = spec.section("\"spec\"")?;
            let found = first_of(&mut spec, ["query", "promql"]);
            let found =
                found.ok_or_else(|| spec.source.error(spec.place, "\"spec\" needs the key \"query\"; add it"))?;
            spec.finish("\"spec\"")?;
            found
        }
        // As v1alpha writes it.
        None => source.need("query", "\"metricSource\"")?,
    };
    source.get("queryType");
    source.finish("\"metricSource\"")?;
    section.finish(metric.key)?;
    Ok(field)
}

fn operator(field: &Field<'_>) -> Result<Comparison, ConfigError> {
    match field.word()?.as_str() {
        "lte" => Ok(Comparison::LessEqual),
        "lt" => Ok(Comparison::Less),
        "gte" => Ok(Comparison::GreaterEqual),
        "gt" => Ok(Comparison::Greater),
        other => Err(field.error(format!("\"{other}\" is no operator; write lte, lt, gte or gt"))),
    }
}

fn decimal(field: &Field<'_>) -> Result<f64, ConfigError> {
    let text = field.word()?;
    text.parse().map_err(|_| field.error(format!("\"{text}\" is not a number")))
}

/// The burn pairs of an SLO's alert policies.
fn policies<'a>(field: &Field<'a>, named: &Named<'a>, notes: &mut Vec<Note>) -> Result<Vec<BurnPair>, ConfigError> {
    let mut pairs = Vec::new();
    for item in field.list()? {
        let spec = referred(&item, "alertPolicyRef", &named.policies)?;
        let what = "an alert policy";
        let mut policy = spec.section(what)?;
        policy.get("description");
        policy.ignore(&["alertWhenNoData"], "an objective without input is BLIND, which pages on its own route");
        policy
            .ignore(&["alertWhenBreaching", "alertWhenResolved"], "alerts are sent when they begin and when they end");
        policy.ignore(&["notificationTargets"], "alerts go where the routes of the configuration say");
        for condition in policy.need("conditions", what)?.list()? {
            let spec = referred(&condition, "conditionRef", &named.conditions)?;
            pairs.push(condition_of(&spec, notes)?);
        }
        notes.extend(policy.finish(what)?);
    }
    Ok(pairs)
}

/// A list's item that names an object, by itself or under a key, or holds one.
fn referred<'a>(
    item: &Field<'a>,
    key: &'static str,
    named: &HashMap<String, Field<'a>>,
) -> Result<Field<'a>, ConfigError> {
    if let Value::Map(_) = &item.node.value
        && let Some(reference) = item.section(key)?.get(key)
    {
        return resolved(&reference, named);
    }
    resolved(item, named)
}

/// An alert condition: a burn rate over one window. The short window that shows that it still goes on is a twelfth of it.
fn condition_of(spec: &Field<'_>, notes: &mut Vec<Note>) -> Result<BurnPair, ConfigError> {
    let what = "an alert condition";
    let mut section = spec.section(what)?;
    section.get("description");
    let severity = section.get("severity").map(|f| f.word()).transpose()?.unwrap_or_default();
    let severity = match severity.to_ascii_lowercase().as_str() {
        "page" | "critical" | "high" | "fatal" | "emergency" | "p1" | "p2" | "sev1" | "sev2" => Severity::Page,
        _ => Severity::Ticket,
    };
    let mut condition = section.need("condition", what)?.section("\"condition\"")?;
    let kind = condition.need("kind", "\"condition\"")?;
    if !kind.word()?.eq_ignore_ascii_case("burnrate") {
        return Err(kind.error("only conditions of the kind burnrate are watched"));
    }
    if let Some(op) = condition.get("op")
        && !matches!(op.word()?.as_str(), "gt" | "gte")
    {
        return Err(op.error("a burn rate alerts when it is above; write gt or gte"));
    }
    let threshold = decimal(&condition.need("threshold", "\"condition\"")?)?;
    let long = long_duration(&condition.need("lookbackWindow", "\"condition\"")?)?;
    condition.ignore(&["alertAfter"], "a pair fires on evidence in its short and in its long window");
    notes.extend(condition.finish("\"condition\"")?);
    notes.extend(section.finish(what)?);
    Ok(BurnPair { severity, threshold, long, short: Millis((long.0 / 12).max(1)) })
}
