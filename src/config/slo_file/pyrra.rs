//! Pyrra's Kubernetes objects, `pyrra.dev/v1alpha1`.
//!
//! Its four burn rates (14, 7, 2 and 1, over windows that are fractions of four weeks) are kept, its waiting times
//! (`for`) are not: evidence takes their place. Labels that begin with `pyrra.dev/` are labels of the alerts without
//! that.

use crate::model::{Labels, Millis};
use crate::slo::{BurnPair, Comparison, Events, Indicator, Objective, Reading, Severity};

use super::{Found, Scale, expression, label, object, share};
use crate::config::error::ConfigError;
use crate::config::section::{Field, Section};
use crate::config::source::Source;
use crate::config::yaml::Node;

/// The window for which the burn windows below are written down.
const FOUR_WEEKS: Millis = Millis::days(28);
/// Label names of this kind go to the alerts.
const PREFIX: &str = "pyrra.dev/";

pub(super) fn read<'a>(source: &'a Source<'a>, documents: &'a [Node]) -> Result<Found<'a>, ConfigError> {
    let mut found = Found::default();
    for document in documents {
        let (mut object, notes) = object(source, document, "a Pyrra")?;
        found.notes.extend(notes);
        if object.kind != "ServiceLevelObjective" {
            let message = format!("Pyrra has no kind \"{}\"; write ServiceLevelObjective", object.kind);
            return Err(object.kind_field.error(message));
        }
        let name_field = object.metadata.need("name", "\"metadata\"")?;
        let name = name_field.word()?;
        let labels = passed_on(&mut object.metadata)?;
        let mut spec = object.spec.section("\"spec\"")?;
        let what = "an objective";
        let target = share(&spec.need("target", what)?, Scale::Percent)?;
        let window = spec.need("window", what)?.positive_duration()?;
        let (indicator, grouping) = indicator(&spec.need("indicator", what)?)?;
        // A service of its own unless a label names one: Pyrra knows none.
        let service = match labels.get("service") {
            "" => name.as_str(),
            service => service,
        };
        let mut objective = Objective::new(service, &name, target, window, indicator);
        objective.group_by = grouping;
        objective.labels = labels.clone();
        objective.page_labels = label("severity", "critical");
        objective.ticket_labels = label("severity", "warning");
        if let Some(text) = spec.get("description").map(|f| f.text()).transpose()?.filter(|t| !t.trim().is_empty()) {
            objective.annotations = label("description", text.trim());
        }
        objective.pairs = Some(pairs(&objective));
        alerting(&mut spec, &mut objective)?;
        spec.ignore(&["performanceOverAccuracy"], "here exact counts of every window cost nothing more");
        found.notes.extend(spec.finish(what)?);
        found.objectives.push((objective, name_field));
    }
    Ok(found)
}

fn passed_on(metadata: &mut Section<'_>) -> Result<Labels, ConfigError> {
    let pairs = metadata.get("labels").map(|f| f.pairs()).transpose()?.unwrap_or_default();
    let kept = pairs.iter().filter_map(|(name, value)| Some((name.strip_prefix(PREFIX)?, value.as_str())));
    Labels::new(kept).map_err(|error| metadata.source.error(metadata.place, error.to_string()))
}

/// Pyrra's windows, in proportion to the objective's, as far as an outage reaches them.
fn pairs(objective: &Objective) -> Vec<BurnPair> {
    let scale =
        |part: Millis| Millis((i128::from(objective.window.0) * i128::from(part.0) / i128::from(FOUR_WEEKS.0)) as i64);
    let all = [
        (Severity::Page, 14.0, Millis::hours(1), Millis::minutes(5)),
        (Severity::Page, 7.0, Millis::hours(6), Millis::minutes(30)),
        (Severity::Ticket, 2.0, Millis::days(1), Millis::hours(2)),
        (Severity::Ticket, 1.0, Millis::days(4), Millis::hours(6)),
    ];
    let most = 1.0 / objective.budget();
    all.into_iter()
        .filter(|(_, threshold, _, _)| *threshold < most)
        .map(|(severity, threshold, long, short)| BurnPair {
            severity,
            threshold,
            long: scale(long),
            short: scale(short),
        })
        .collect()
}

fn alerting(spec: &mut Section<'_>, objective: &mut Objective) -> Result<(), ConfigError> {
    let Some(field) = spec.get("alerting") else { return Ok(()) };
    let mut alerting = field.section("\"alerting\"")?;
    let told = |f: Option<Field<'_>>| f.map(|f| f.boolean()).transpose();
    let disabled = told(alerting.get("disabled"))?.unwrap_or(false);
    if disabled || told(alerting.get("burnrates"))? == Some(false) {
        objective.pairs = Some(Vec::new());
    }
    alerting.ignore(&["absent"], "an objective without input is BLIND, which pages on its own route");
    if let Some(name) = alerting.get("name") {
        let mut labels = objective.labels.builder();
        labels.set("alertname", &name.word()?);
        objective.labels = labels.build().map_err(|error| name.error(error.to_string()))?;
    }
    alerting.finish("\"alerting\"")?;
    Ok(())
}

/// The indicator, and the labels by which there are objectives of their own.
fn indicator(field: &Field<'_>) -> Result<(Indicator, Vec<String>), ConfigError> {
    let mut section = field.section("\"indicator\"")?;
    let kinds = ["ratio", "latency", "latencyNative", "bool_gauge"];
    let mut given: Vec<Field<'_>> = kinds.into_iter().filter_map(|kind| section.get(kind)).collect();
    section.finish("\"indicator\"")?;
    let (Some(kind), true) = (given.pop(), given.is_empty()) else {
        return Err(field.error(format!("\"indicator\" has exactly one of {}", kinds.join(", "))));
    };
    let mut of = kind.section(kind.key)?;
    let grouping = of.get("grouping").map(|field| field.words()).transpose()?.unwrap_or_default();
    let indicator = match kind.key {
        "ratio" => {
            Indicator::ErrorRatio { errors: metric(&mut of, "errors")?.into(), total: metric(&mut of, "total")?.into() }
        }
        "latency" => {
            Indicator::Ratio { good: metric(&mut of, "success")?.into(), total: metric(&mut of, "total")?.into() }
        }
        "latencyNative" => {
            let bound = of.need("latency", kind.key)?.positive_duration()?.0 as f64 / 1000.0;
            let series = metric(&mut of, "total")?;
            Indicator::Ratio {
                good: Events::of_histograms(series.clone(), Reading::ObservationsUpTo(bound)),
                total: Events::of_histograms(series, Reading::Observations),
            }
        }
        _ => {
            let gauge = expression::selector(&of.need("metric", kind.key)?)?;
            Indicator::Threshold { gauge, op: Comparison::Equal, bound: 1.0 }
        }
    };
    of.finish(kind.key)?;
    Ok((indicator, grouping))
}

fn metric(section: &mut Section<'_>, key: &'static str) -> Result<Vec<crate::model::Matcher>, ConfigError> {
    let mut query = section.need(key, "\"indicator\"")?.section(key)?;
    let selector = expression::selector(&query.need("metric", key)?)?;
    query.finish(key)?;
    Ok(selector)
}
