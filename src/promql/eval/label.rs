//! `label_replace` and `label_join`.

use super::Evaluator;
use super::row::{Operand, unique};
use crate::promql::ast::Expr;
use crate::promql::functions::Function;
use crate::promql::label_change::LabelChange;
use crate::promql::plan::Steps;
use crate::promql::query::EvalError;

impl Evaluator<'_> {
    pub(super) fn change_label(&self, function: Function, args: &[Expr], steps: Steps) -> Result<Operand, EvalError> {
        let change = LabelChange::of(function, args).map_err(EvalError::Parameter)?;
        let mut rows = self.vector(&args[0], steps)?;
        for row in &mut rows {
            let Some(labels) = change.apply(&row.labels).map_err(EvalError::Parameter)? else { continue };
            row.labels = labels;
            if change.sets_name() {
                // A name that was set on purpose stays.
                row.drop_name = false;
            }
        }
        Ok(Operand::Vector(unique(rows)?))
    }
}
