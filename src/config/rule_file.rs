//! Rule files in Prometheus' format.

use crate::model::{Labels, Millis, limits};
use crate::promql::{self, Expr, ValueType};
use crate::template;

use super::error::ConfigError;
use super::note::Note;
use super::section::{Field, Section, check_label_name};
use super::source::Source;
use super::yaml;
use crate::rules::{AlertingRule, EvaluationMode, RecordingRule, Rule, RuleGroup};

/// What groups inherit from `global`.
#[derive(Debug, Clone, Copy)]
pub(super) struct RuleDefaults {
    pub(super) interval: Millis,
    pub(super) query_offset: Millis,
    pub(super) mode: EvaluationMode,
}

/// Reads a file's groups, and the notes about them.
pub(super) fn read(source: &Source<'_>, defaults: RuleDefaults) -> Result<(Vec<RuleGroup>, Vec<Note>), ConfigError> {
    let node = yaml::parse(source)?;
    let mut top = Section::of(source, &node, "a rule file")?;
    let mut groups: Vec<RuleGroup> = Vec::new();
    let mut notes = Vec::new();
    if let Some(field) = top.get("groups") {
        for item in field.list()? {
            let (group, more) = group(&item, defaults)?;
            if groups.iter().any(|earlier| earlier.name == group.name) {
                let place = item.section("a group")?.get("name").map_or(item.node.place, |f| f.node.place);
                let message = format!("two groups of this file are named \"{}\"; rename one", group.name);
                return Err(source.error(place, message));
            }
            groups.push(group);
            notes.extend(more);
        }
    }
    notes.extend(top.finish("a rule file")?);
    Ok((groups, notes))
}

fn group(item: &Field<'_>, defaults: RuleDefaults) -> Result<(RuleGroup, Vec<Note>), ConfigError> {
    let what = "a rule group";
    let mut section = item.section(what)?;
    let name = section.need("name", what)?.word()?;
    let interval = section.get("interval").map(|f| f.duration()).transpose()?;
    let mut group = RuleGroup {
        name,
        file: item.source.name.clone(),
        // Zero means the global one, as in Prometheus.
        interval: interval.filter(|interval| *interval != Millis::ZERO).unwrap_or(defaults.interval),
        mode: section.get("evaluation_mode").map(|f| mode(&f)).transpose()?.unwrap_or(defaults.mode),
        limit: section.get("limit").map(|f| f.count()).transpose()?.unwrap_or(0),
        query_offset: section.get("query_offset").map(|f| f.duration()).transpose()?.unwrap_or(defaults.query_offset),
        labels: section.get("labels").map(|f| f.labels()).transpose()?.unwrap_or_else(Labels::empty),
        rules: Vec::new(),
    };
    section.ignore(&["partial_response_strategy"], "there is one store, and its answers are whole");
    let mut notes = Vec::new();
    if let Some(field) = section.get("rules") {
        for rule in field.list()? {
            let (rule, more) = self::rule(&rule)?;
            group.rules.push(rule);
            notes.extend(more);
        }
    }
    notes.extend(section.finish(what)?);
    Ok((group, notes))
}

/// `ingest` or `interval`.
pub(super) fn mode(field: &Field<'_>) -> Result<EvaluationMode, ConfigError> {
    let word = field.word()?;
    let found = EvaluationMode::ALL.into_iter().find(|mode| mode.as_str() == word);
    found.ok_or_else(|| {
        field.error(format!(
            "\"{word}\" is not an evaluation mode; write ingest, to decide as samples arrive, or interval, to decide when Prometheus would"
        ))
    })
}

fn rule(item: &Field<'_>) -> Result<(Rule, Vec<Note>), ConfigError> {
    let what = "a rule";
    let mut section = item.section(what)?;
    let (alert, record) = (section.get("alert"), section.get("record"));
    let expr = expression(&section.need("expr", what)?)?;
    let labels = labels(&mut section)?;
    let rule = match (alert, record) {
        (Some(alert), None) => {
            let annotations = section.get("annotations").map(|f| f.pairs()).transpose()?.unwrap_or_default();
            for key in ["labels", "annotations"] {
                check_templates(&mut section, key)?;
            }
            Rule::Alerting(AlertingRule {
                alert: alert.word()?,
                expr,
                hold: section.get("for").map(|f| f.duration()).transpose()?.unwrap_or_default(),
                keep_firing: section.get("keep_firing_for").map(|f| f.duration()).transpose()?.unwrap_or_default(),
                labels,
                annotations,
            })
        }
        (None, Some(record)) => {
            for key in ["for", "keep_firing_for", "annotations"] {
                if let Some(field) = section.get(key) {
                    let message = format!("a recording rule has no \"{key}\"; remove it");
                    return Err(field.source.error(field.key_place, message));
                }
            }
            Rule::Recording(RecordingRule { record: metric_name(&record)?, expr, labels })
        }
        (Some(_), Some(record)) => {
            let message = "a rule has both \"alert\" and \"record\"; keep one";
            return Err(record.source.error(record.key_place, message));
        }
        (None, None) => {
            return Err(item.error("a rule needs the key \"alert\" or \"record\"; add one"));
        }
    };
    Ok((rule, section.finish(what)?))
}

/// The expression of a value; an error shows its place in the file.
fn expression(field: &Field<'_>) -> Result<Expr, ConfigError> {
    let text = field.word()?;
    let expr = promql::parse(&text).map_err(|error| query_error(field, &text, &error))?;
    match expr.value_type() {
        ValueType::Scalar | ValueType::Vector => Ok(expr),
        other => {
            Err(field.error(format!("a rule's expression must give a vector or a scalar, not a {}", other.as_str())))
        }
    }
}

/// A query's error, pointing into the file.
pub(super) fn query_error(field: &Field<'_>, text: &str, error: &promql::ParseError) -> ConfigError {
    let place = field.source.place_within(field.node.place, text, error.span.start, error.span.end);
    let hint = error.hint.map_or(String::new(), |hint| format!("; {hint}"));
    field.source.error(place, format!("parse error: {}{hint}", error.message))
}

fn metric_name(field: &Field<'_>) -> Result<String, ConfigError> {
    let name = field.word()?;
    if name.len() > limits::LABEL_VALUE_BYTES_MAX || name.contains(['{', '}']) {
        return Err(field.error(format!("\"{name}\" is not a metric name; write it without braces")));
    }
    Ok(name)
}

fn labels(section: &mut Section<'_>) -> Result<Vec<(String, String)>, ConfigError> {
    let Some(field) = section.get("labels") else { return Ok(Vec::new()) };
    for label in field.section("labels")?.fields() {
        check_label_name(&label)?;
    }
    field.pairs()
}

fn check_templates(section: &mut Section<'_>, key: &'static str) -> Result<(), ConfigError> {
    let Some(field) = section.get(key) else { return Ok(()) };
    for pair in field.section(key)?.fields() {
        template::check(&pair.text()?)
            .map_err(|error| pair.error(format!("the template of {key} \"{}\" cannot be used: {error}", pair.key)))?;
    }
    Ok(())
}
