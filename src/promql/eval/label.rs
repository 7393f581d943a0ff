//! `label_replace` and `label_join`.

use super::Evaluator;
use super::row::{Operand, Row, unique};
use crate::model::{Labels, Pattern};
use crate::promql::ast::{Expr, ExprKind};
use crate::promql::parse::quote;
use crate::promql::plan::Steps;
use crate::promql::query::EvalError;

impl Evaluator<'_> {
    pub(super) fn label_replace(&self, args: &[Expr], steps: Steps) -> Result<Operand, EvalError> {
        let [vector, destination, replacement, source, pattern] = args else { return Ok(Operand::Vector(Vec::new())) };
        let (destination, source) = (text_of(destination), text_of(source));
        let pattern = text_of(pattern);
        let regex = Pattern::new(pattern)
            .map_err(|_| EvalError::Parameter(format!("invalid regular expression in label_replace(): {pattern}")))?;
        if destination.is_empty() {
            return Err(EvalError::Parameter("invalid destination label name in label_replace(): ".to_owned()));
        }
        let mut rows = self.vector(vector, steps)?;
        for row in &mut rows {
            let Some(groups) = regex.groups(row.labels.get(source)) else { continue };
            let value = groups.expand(text_of(replacement));
            set_label(row, destination, &value)?;
        }
        Ok(Operand::Vector(unique(rows)?))
    }

    pub(super) fn label_join(&self, args: &[Expr], steps: Steps) -> Result<Operand, EvalError> {
        let [vector, destination, separator, sources @ ..] = args else { return Ok(Operand::Vector(Vec::new())) };
        let destination = text_of(destination);
        if destination.is_empty() {
            return Err(EvalError::Parameter("invalid destination label name in label_join(): ".to_owned()));
        }
        if sources.iter().any(|source| text_of(source).is_empty()) {
            return Err(EvalError::Parameter("invalid source label name in label_join(): ".to_owned()));
        }
        let mut rows = self.vector(vector, steps)?;
        for row in &mut rows {
            let values: Vec<&str> = sources.iter().map(|source| row.labels.get(text_of(source))).collect();
            let value = values.join(text_of(separator));
            set_label(row, destination, &value)?;
        }
        Ok(Operand::Vector(unique(rows)?))
    }
}

/// The text of an argument that the check found to be a string.
pub(super) fn text_of(arg: &Expr) -> &str {
    match &arg.without_parens().kind {
        ExprKind::String(text) => text,
        _ => "",
    }
}

fn set_label(row: &mut Row, name: &str, value: &str) -> Result<(), EvalError> {
    let mut builder = row.labels.builder();
    builder.set(name, value);
    row.labels = builder.build().map_err(|error| EvalError::Parameter(format!("label {}: {error}", quote(name))))?;
    if name == Labels::METRIC_NAME {
        // A name that was set on purpose stays.
        row.drop_name = false;
    }
    Ok(())
}
