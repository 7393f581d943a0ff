//! The severity table: what burn alerts are told as.
//!
//! ```yaml
//! severity:                          # the first row that an alert satisfies counts; without one it keeps its severity
//!   - {tier: 1, groups: 10, severity: page}            # at least 10 groups (tenants) of the objective burn
//!   - {tier: [2, 3], alert: page, burn: 30, severity: page}   # at least 30 times too fast over the long window
//!   - {tier: 3, severity: ticket}                      # the objective's label tier
//!   - {alert: ticket, severity: log}
//! ```

use crate::model::limits;
use crate::slo::{AlertSeverity, Objective, Severity, SeverityRow};

use super::error::ConfigError;
use super::loader::Loader;
use super::section::Field;
use super::yaml::Value;

/// Reads the table.
pub(super) fn read(field: &Field<'_>, loader: &mut Loader<'_>) -> Result<Vec<SeverityRow>, ConfigError> {
    let mut rows: Vec<SeverityRow> = Vec::new();
    for item in field.list()? {
        let row = row(&item, loader)?;
        if let Some(earlier) = rows.iter().position(|earlier| earlier.covers(&row)) {
            let (number, earlier) = (rows.len() + 1, earlier + 1);
            let message =
                format!("row {number} is never reached: row {earlier} takes all of its alerts; move or remove it");
            return Err(item.error(message));
        }
        rows.push(row);
        if rows.len() > limits::SEVERITY_ROWS_MAX {
            let most = limits::SEVERITY_ROWS_MAX;
            return Err(item.error(format!("the severity table has more than {most} rows; say more with one")));
        }
    }
    Ok(rows)
}

fn row(item: &Field<'_>, loader: &mut Loader<'_>) -> Result<SeverityRow, ConfigError> {
    let what = "a row of the severity table";
    let mut section = item.section(what)?;
    let severity = section.need("severity", what)?;
    let severity = word(&severity, &AlertSeverity::ALL.map(|severity| (severity.as_str(), severity)))?;
    let pairs = [Severity::Page, Severity::Ticket].map(|severity| (severity.as_str(), severity));
    let alert = section.get("alert").map(|field| word(&field, &pairs)).transpose()?;
    let burn = section.get("burn").map(|field| burn(&field)).transpose()?;
    let groups = section.get("groups").map(|field| groups(&field)).transpose()?;
    let tiers = section.get("tier").map(|field| tiers(&field)).transpose()?.unwrap_or_default();
    loader.notes.extend(section.finish(what)?);
    Ok(SeverityRow { alert, burn, groups, tiers, severity })
}

/// One of some words.
fn word<T: Copy>(field: &Field<'_>, known: &[(&'static str, T)]) -> Result<T, ConfigError> {
    let text = field.word()?;
    known.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
        let words = known.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        field.error(format!("\"{text}\" is none of {words}; write one of them"))
    })
}

fn burn(field: &Field<'_>) -> Result<f64, ConfigError> {
    let text = field.word()?;
    let burn = text.parse().ok().filter(|burn: &f64| *burn > 0.0 && burn.is_finite());
    burn.ok_or_else(|| field.error(format!("\"{text}\" is no burn rate; write a number above 0, like 14.4")))
}

fn groups(field: &Field<'_>) -> Result<usize, ConfigError> {
    match field.count()? {
        0 => Err(field.error("every alert has 0 groups or more; write 1 or more, or leave \"groups\" out")),
        groups => Ok(groups),
    }
}

/// A tier, or a list of them.
fn tiers(field: &Field<'_>) -> Result<Vec<String>, ConfigError> {
    match &field.node.value {
        Value::List(items) if items.is_empty() => {
            Err(field.error("an empty list takes no alert; write a tier, or leave \"tier\" out"))
        }
        Value::List(_) => field.words(),
        _ => Ok(vec![field.word()?]),
    }
}

/// Gives the table to the objectives. Rows of groups are noted where no objective has any: they take no alert.
pub(super) fn apply(
    rows: &[SeverityRow],
    field: &Field<'_>,
    objectives: &mut [Objective],
    loader: &mut Loader<'_>,
) -> Result<(), ConfigError> {
    objectives.iter_mut().for_each(|objective| objective.severities = rows.to_vec());
    let grouped = objectives.iter().any(|objective| !objective.group_by.is_empty());
    for item in field.list()? {
        let mut section = item.section("a row of the severity table")?;
        if let Some(field) = section.get("groups").filter(|_| !grouped) {
            loader.notes.push(field.note("no objective has group_by, so that the row takes no alert"));
        }
    }
    Ok(())
}
