//! Files of objectives in Evenkeel's own form; other forms are recognised and named.
//!
//! ```yaml
//! objectives:
//!   - service: checkout
//!     name: availability            # unique within the service; "availability" if left out
//!     objective: 99.9               # percent, or a share below 1 like 0.999
//!     window: 30d                   # 30d if left out
//!     good: http_requests_total{job="checkout",code!~"5.."}
//!     total: http_requests_total{job="checkout"}
//!     # or:  errors: …  and  total: …
//!     # or:  gauge: probe_success{job="checkout"} == 1
//!     labels: {team: shop}          # on all its alerts; page_labels and ticket_labels on one kind
//!     annotations: {runbook: "https://…"}
//! ```

use crate::model::{Labels, Matcher, Millis};
use crate::promql::{self, BinaryOp, Edges, Expr, ExprKind, Shift};
use crate::slo::{Comparison, Indicator, Objective, Objectives};

use super::error::ConfigError;
use super::note::Note;
use super::rule_file::query_error;
use super::section::{Field, Section};
use super::source::Source;
use super::yaml;

/// The window of an objective that names none.
const WINDOW: Millis = Millis::days(30);

/// Reads a file's objectives, and the notes about them.
pub(super) fn read(source: &Source<'_>) -> Result<(Vec<Objective>, Vec<Note>), ConfigError> {
    recognise(source)?;
    let node = yaml::parse(source)?;
    let mut top = Section::of(source, &node, "a file of objectives")?;
    let (mut objectives, mut notes) = (Vec::new(), Vec::new());
    for item in top.need("objectives", "a file of objectives")?.list()? {
        let (objective, more) = objective(&item)?;
        // Each by itself, so that the error can point at it.
        Objectives::new(vec![objective.clone()]).map_err(|error| item.error(error.to_string()))?;
        objectives.push(objective);
        notes.extend(more);
        let pair = |o: &Objective| (o.service.clone(), o.name.clone());
        let last = objectives.last().map(pair);
        if objectives.iter().rev().skip(1).any(|earlier| Some(pair(earlier)) == last) {
            let (service, name) = last.unwrap_or_default();
            return Err(item.error(format!("two objectives of \"{service}\" are named \"{name}\"; rename one")));
        }
    }
    notes.extend(top.finish("a file of objectives")?);
    Ok((objectives, notes))
}

/// Names the forms of other programs, before their documents are looked at more closely.
fn recognise(source: &Source<'_>) -> Result<(), ConfigError> {
    for (marker, form) in [
        ("apiVersion: openslo", "an OpenSLO"),
        ("apiVersion: pyrra.dev", "a Pyrra"),
        ("apiVersion: sloth.slok.dev", "a Sloth"),
        ("version: \"prometheus/v1\"", "a Sloth"),
        ("version: 'prometheus/v1'", "a Sloth"),
        ("version: prometheus/v1", "a Sloth"),
    ] {
        let line = source.text.lines().position(|line| line.starts_with(marker));
        if let Some(line) = line {
            let mut place = source.place_of(line + 1, 1);
            place.end = place.start + marker.len();
            let message =
                format!("this is {form} file, which is not read yet; write its objectives under \"objectives:\"");
            return Err(source.error(place, message));
        }
    }
    Ok(())
}

fn objective(item: &Field<'_>) -> Result<(Objective, Vec<Note>), ConfigError> {
    let what = "an objective";
    let mut section = item.section(what)?;
    let service = section.need("service", what)?.word()?;
    let name = section.get("name").map(|f| f.word()).transpose()?.unwrap_or_else(|| "availability".to_owned());
    let share = share(&section.need("objective", what)?)?;
    let window = section.get("window").map(|f| f.positive_duration()).transpose()?.unwrap_or(WINDOW);
    section.refuse(&["class", "latency", "pairs"], "give good and total, errors and total, or gauge")?;
    let indicator = indicator(&mut section)?;
    let mut objective = Objective::new(&service, &name, share, window, indicator);
    for (key, labels) in [
        ("labels", &mut objective.labels),
        ("page_labels", &mut objective.page_labels),
        ("ticket_labels", &mut objective.ticket_labels),
        ("annotations", &mut objective.annotations),
    ] {
        *labels = section.get(key).map(|f| f.labels()).transpose()?.unwrap_or_else(Labels::empty);
    }
    Ok((objective, section.finish(what)?))
}

/// `99.9`, `99.9%` or `0.999`.
fn share(field: &Field<'_>) -> Result<f64, ConfigError> {
    let text = field.word()?;
    let (digits, percent) = match text.strip_suffix('%') {
        Some(digits) => (digits.trim_end(), true),
        None => (text.as_str(), false),
    };
    let number: f64 =
        digits.parse().map_err(|_| field.error(format!("\"{text}\" is not a share; write it like 99.9 or 0.999")))?;
    let share = if percent || number > 1.0 { number / 100.0 } else { number };
    if share > 0.0 && share < 1.0 {
        // 99.9 / 100 is 0.9990000000000001; twelve digits are what a person meant.
        return Ok((share * 1e12).round() / 1e12);
    }
    Err(field.error(format!("an objective of {text} leaves no budget or promises nothing; write one like 99.9")))
}

fn indicator(section: &mut Section<'_>) -> Result<Indicator, ConfigError> {
    let (good, errors) = (section.get("good"), section.get("errors"));
    let (total, gauge) = (section.get("total"), section.get("gauge"));
    let fail = |message: &str| Err(section.source.error(section.place, message));
    match (good, errors, total, gauge) {
        (Some(good), None, Some(total), None) => {
            Ok(Indicator::Ratio { good: selector(&good)?.into(), total: selector(&total)?.into() })
        }
        (None, Some(errors), Some(total), None) => {
            Ok(Indicator::ErrorRatio { errors: selector(&errors)?.into(), total: selector(&total)?.into() })
        }
        (None, None, None, Some(gauge)) => threshold(&gauge),
        (Some(_), Some(_), _, _) => fail("an objective has both \"good\" and \"errors\"; keep one"),
        (_, _, _, Some(_)) => fail("an objective with \"gauge\" has no \"good\", \"errors\" or \"total\"; remove them"),
        (_, _, None, None) if good.is_some() || errors.is_some() => {
            fail("an objective needs the key \"total\" beside \"good\" or \"errors\"; add it")
        }
        _ => fail("an objective needs \"good\" and \"total\", \"errors\" and \"total\", or \"gauge\"; add them"),
    }
}

fn selector(field: &Field<'_>) -> Result<Vec<Matcher>, ConfigError> {
    let text = field.word()?;
    let expr = promql::parse(&text).map_err(|error| query_error(field, &text, &error))?;
    match bare_selector(&expr) {
        Some(matchers) => Ok(matchers),
        None => Err(field.error(format!(
            "\"{}\" takes a selector like requests_total{{job=\"shop\"}}, without functions, ranges and offsets",
            field.key
        ))),
    }
}

fn bare_selector(expr: &Expr) -> Option<Vec<Matcher>> {
    match &expr.without_parens().kind {
        ExprKind::Selector(selector) => {
            let bare = selector.shift == Shift::default() && selector.edges == Edges::Plain;
            (bare && selector.computed.is_none()).then(|| selector.matchers.clone())
        }
        _ => None,
    }
}

fn threshold(field: &Field<'_>) -> Result<Indicator, ConfigError> {
    let text = field.word()?;
    let expr = promql::parse(&text).map_err(|error| query_error(field, &text, &error))?;
    let fail = || field.error("\"gauge\" takes a selector, a comparison and a number, like up{job=\"shop\"} == 1");
    let ExprKind::Binary(binary) = &expr.without_parens().kind else { return Err(fail()) };
    let op = comparison(binary.op).ok_or_else(fail)?;
    let gauge = bare_selector(&binary.lhs).ok_or_else(fail)?;
    let bound = number(&binary.rhs).ok_or_else(fail)?;
    Ok(Indicator::Threshold { gauge, op, bound })
}

fn comparison(op: BinaryOp) -> Option<Comparison> {
    match op {
        BinaryOp::Eq => Some(Comparison::Equal),
        BinaryOp::Ne => Some(Comparison::NotEqual),
        BinaryOp::Lt => Some(Comparison::Less),
        BinaryOp::Le => Some(Comparison::LessEqual),
        BinaryOp::Gt => Some(Comparison::Greater),
        BinaryOp::Ge => Some(Comparison::GreaterEqual),
        _ => None,
    }
}

fn number(expr: &Expr) -> Option<f64> {
    match &expr.without_parens().kind {
        ExprKind::Number(number) => Some(*number),
        ExprKind::Unary { negative, expr } => number(expr).map(|n| if *negative { -n } else { n }),
        _ => None,
    }
}
