//! Binary operators: scalars, vectors with a scalar, and the pairing of two vectors.

use std::collections::{HashMap, HashSet};

use super::row::{Operand, Point, Row, unique};
use super::{Evaluator, Resets, kernel};
use crate::model::{Labels, STALE_NAN, is_stale};
use crate::promql::ast::{Binary, BinaryOp, Group, MatchLabels, Matching};
use crate::promql::plan::Steps;
use crate::promql::query::{EvalError, NameDropping};
use crate::promql::without_name;

impl Evaluator<'_> {
    pub(super) fn eval_binary(&self, binary: &Binary, steps: Steps) -> Result<Operand, EvalError> {
        let lhs = self.with_resets(Resets::AsStored, || self.eval(&binary.lhs, steps))?;
        let rhs = self.with_resets(Resets::AsStored, || self.eval(&binary.rhs, steps))?;
        let op = binary.op;
        let rows = match (lhs, rhs) {
            (Operand::Scalar(mut left), Operand::Scalar(right)) => {
                left.iter_mut().zip(right).for_each(|(l, r)| *l = kernel::binary(op, *l, r));
                return Ok(Operand::Scalar(left));
            }
            (Operand::Vector(rows), Operand::Scalar(values)) => {
                self.with_scalar(binary, rows, |v, step| (v, Point::Number(values[step])), |v, step| (v, values[step]))
            }
            (Operand::Scalar(values), Operand::Vector(rows)) => {
                self.with_scalar(binary, rows, |v, step| (Point::Number(values[step]), v), |v, step| (values[step], v))
            }
            (Operand::Vector(left), Operand::Vector(right)) if op.is_set() => {
                unique(set_operation(op, left, right, &binary.matching, steps))
            }
            (Operand::Vector(left), Operand::Vector(right)) => self.pair(binary, left, right, steps),
            (Operand::Text(_), _) | (_, Operand::Text(_)) => Ok(Vec::new()),
        };
        Ok(Operand::Vector(rows?))
    }

    /// A vector with a scalar; `points` and `numbers` put the value of a row and a step in their order.
    fn with_scalar(
        &self,
        binary: &Binary,
        mut rows: Vec<Row>,
        points: impl Fn(Point, usize) -> (Point, Point),
        numbers: impl Fn(f64, usize) -> (f64, f64),
    ) -> Result<Vec<Row>, EvalError> {
        let op = binary.op;
        for row in &mut rows {
            self.check_deadline()?;
            row.map_histograms(|step, histogram| {
                let (l, r) = points(Point::Histogram(histogram.clone()), step);
                self.operate(binary, l, r)
            });
            row.map_steps(|step, v| {
                let (l, r) = numbers(v, step);
                if is_trim(op) {
                    self.note_types(binary, "float", "float");
                    return None;
                }
                // A filter keeps the value of the vector, on whichever side it stands.
                if op.is_comparison() && !binary.returns_bool {
                    kernel::compare(op, l, r).then_some(v)
                } else {
                    Some(kernel::binary(op, l, r))
                }
            });
        }
        let keeps_name = is_trim(op) || op.is_comparison() && !binary.returns_bool;
        if keeps_name { Ok(rows) } else { self.unnamed(rows) }
    }

    fn pair(&self, binary: &Binary, left: Vec<Row>, right: Vec<Row>, steps: Steps) -> Result<Vec<Row>, EvalError> {
        let swapped = matches!(binary.matching.group, Group::Right(_));
        let (many, one) = if swapped { (&right, &left) } else { (&left, &right) };
        let eager = self.options.name_dropping == NameDropping::Eager;
        let pairing = Pairing { evaluator: self, binary, many, one, swapped, eager };
        // Each signature, in the order in which they are met, with the rows that have it.
        let mut groups: Vec<(Labels, [Vec<usize>; 2])> = Vec::new();
        let mut places: HashMap<Labels, usize> = HashMap::with_capacity(many.len());
        for (side, rows) in [many, one].into_iter().enumerate() {
            for (at, row) in rows.iter().enumerate() {
                let place = places.entry(signature(&row.labels, &binary.matching)).or_insert_with_key(|signature| {
                    groups.push((signature.clone(), Default::default()));
                    groups.len() - 1
                });
                groups[*place].1[side].push(at);
            }
        }
        let mut out = Vec::new();
        for (signature, [many, one]) in &groups {
            self.check_size(out.len() + many.len(), steps)?;
            pairing.group(signature, many, one, steps, &mut out)?;
        }
        unique(out)
    }
}

/// Two vectors about to be paired, the side with several series for one of the other first.
struct Pairing<'a> {
    evaluator: &'a Evaluator<'a>,
    binary: &'a Binary,
    many: &'a [Row],
    one: &'a [Row],
    swapped: bool,
    eager: bool,
}

impl Pairing<'_> {
    /// Pairs the series of one signature.
    fn group(
        &self,
        signature: &Labels,
        many: &[usize],
        one: &[usize],
        steps: Steps,
        out: &mut Vec<Row>,
    ) -> Result<(), EvalError> {
        if let Some(rows) = self.group_of_numbers(many, one) {
            out.extend(rows);
            return Ok(());
        }
        let base = out.len();
        let fill = self.binary.fill;
        // As in Prometheus: with `group_right`, too, `fill_left` is for the side with many series.
        let (fill_many, fill_one) = (fill.left, fill.right);
        let mut places: HashMap<Labels, usize> = HashMap::new();
        let mut pairs: HashMap<(Option<usize>, Option<usize>), usize> = HashMap::new();
        for step in 0..steps.count() {
            let mut present = one.iter().copied().filter(|at| self.one[*at].has(step));
            let single = present.next();
            if let (Some(single), Some(second)) = (single, present.next()) {
                if !fill.is_none() || self.many.iter().any(|row| row.has(step)) {
                    return Err(self.duplicate(signature, single, second));
                }
                continue;
            }
            // Which results of this signature have a value at this step already.
            let mut taken: Vec<usize> = Vec::new();
            let there = many.iter().copied().filter(|at| self.many[*at].has(step)).map(Some);
            let mut there = there.peekable();
            let stand_in = if there.peek().is_none() && fill_many.is_some() { Some(None) } else { None };
            for at in there.chain(stand_in) {
                let many_value = at.map_or(fill_many.map(Point::Number), |at| self.many[at].point(step));
                let one_value = single.map_or(fill_one.map(Point::Number), |at| self.one[at].point(step));
                let (Some(many_value), Some(one_value)) = (many_value, one_value) else { continue };
                if at.is_none() && single.is_none() {
                    continue;
                }
                let place = *pairs.entry((at, single)).or_insert_with(|| {
                    // What is filled in has the labels that decide the pairing.
                    let many_labels = at.map_or(signature, |at| &self.many[at].labels);
                    let one_labels = single.map_or(signature, |at| &self.one[at].labels);
                    let labels = self.result_labels(many_labels, one_labels);
                    *places.entry(labels.clone()).or_insert_with(|| {
                        let mut row = Row::absent(labels, steps);
                        let drop_name = at.is_some_and(|at| self.many[at].drop_name);
                        row.drop_name = drop_name || (self.binary.returns_bool && !self.eager);
                        out.push(row);
                        out.len() - 1 - base
                    })
                });
                self.check_single(&taken, place)?;
                taken.push(place);
                if let Some(point) = self.value(many_value, one_value) {
                    out[base + place].set_point(step, point);
                }
            }
        }
        Ok(())
    }

    /// The results of a signature of which one side has one series, if all values are numbers and no two results
    /// can be the same: then each series of the other side is paired with that one, whatever is there at a step.
    fn group_of_numbers(&self, many: &[usize], one: &[usize]) -> Option<Vec<Row>> {
        let [single] = one else { return None };
        let is_many = many.len() > 1;
        let op = self.binary.op;
        if !self.binary.fill.is_none() || is_trim(op) || (is_many && self.binary.matching.group == Group::OneToOne) {
            return None;
        }
        let single = &self.one[*single];
        let single_values = single.numbers()?;
        let (mut rows, mut seen) = (Vec::with_capacity(many.len()), HashSet::new());
        for at in many {
            let row = &self.many[*at];
            let values = row.numbers()?;
            let labels = self.result_labels(&row.labels, &single.labels);
            if is_many && !seen.insert(labels.clone()) {
                return None;
            }
            let filters = op.is_comparison() && !self.binary.returns_bool;
            let value = |(many, one): (&f64, &f64)| {
                let (l, r) = if self.swapped { (*one, *many) } else { (*many, *one) };
                let there = !is_stale(l) && !is_stale(r) && (!filters || kernel::compare(op, l, r));
                match (there, filters) {
                    (false, _) => f64::from_bits(STALE_NAN),
                    (true, true) => l,
                    (true, false) => kernel::binary(op, l, r),
                }
            };
            let mut result = Row::of_numbers(labels, values.iter().zip(single_values).map(value).collect());
            result.drop_name = row.drop_name || (self.binary.returns_bool && !self.eager);
            rows.push(result);
        }
        Some(rows)
    }

    /// Refuses a second series for the same result, even where a comparison drops the value.
    fn check_single(&self, taken: &[usize], place: usize) -> Result<(), EvalError> {
        let message = match self.binary.matching.group {
            Group::OneToOne if !taken.is_empty() => {
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
            }
            Group::Left(_) | Group::Right(_) if taken.contains(&place) => {
                "multiple matches for labels: grouping labels must ensure unique matches"
            }
            _ => return Ok(()),
        };
        Err(EvalError::Matching(message.to_owned()))
    }

    fn value(&self, many: Point, one: Point) -> Option<Point> {
        let (l, r) = if self.swapped { (one, many) } else { (many, one) };
        self.evaluator.operate(self.binary, l, r)
    }

    fn duplicate(&self, signature: &Labels, first: usize, second: usize) -> EvalError {
        let side = if self.swapped { "left" } else { "right" };
        let mut names = [first, second].map(|at| self.one[at].labels.to_string());
        names.sort();
        let [first, second] = names;
        let signature = braced(signature);
        EvalError::Matching(format!(
            "found duplicate series for the match group {signature} on the {side} hand-side of the operation: \
             [{first}, {second}];many-to-many matching not allowed: matching labels must be unique on one side"
        ))
    }

    fn result_labels(&self, many: &Labels, one: &Labels) -> Labels {
        let Binary { op, returns_bool, matching, .. } = self.binary;
        let drops = !is_trim(*op) && (!op.is_comparison() || (*returns_bool && self.eager));
        let labels = if drops { without_name(many) } else { many.clone() };
        let include = match &matching.group {
            Group::OneToOne => {
                return match &matching.labels {
                    MatchLabels::On(on) => labels.filter(|name| on.iter().any(|label| label == name)),
                    MatchLabels::Ignoring(ignoring) => {
                        labels.filter(|name| !ignoring.iter().any(|label| label == name))
                    }
                };
            }
            Group::Left(include) | Group::Right(include) => include,
        };
        if include.is_empty() {
            return labels;
        }
        let mut builder = labels.builder();
        for name in include {
            builder.set(name, one.get(name));
        }
        // Values come from label sets that were within the limits, only their number may grow.
        builder.build().unwrap_or(labels)
    }
}

/// Whether an operator trims native histograms: it has no value for numbers.
pub(super) fn is_trim(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower)
}

/// Go's form of a label set that has no name.
fn braced(labels: &Labels) -> String {
    let text = labels.to_string();
    if text.starts_with('{') { text } else { format!("{{__name__={text:?}}}") }
}

/// The labels that decide a pairing.
fn signature(labels: &Labels, matching: &Matching) -> Labels {
    match &matching.labels {
        MatchLabels::On(on) => labels.filter(|name| on.iter().any(|label| label == name)),
        MatchLabels::Ignoring(ignoring) => {
            labels.filter(|name| name != Labels::METRIC_NAME && !ignoring.iter().any(|label| label == name))
        }
    }
}

/// `and`, `or`, `unless`: which series are there at each step decides, not their values.
fn set_operation(op: BinaryOp, mut left: Vec<Row>, mut right: Vec<Row>, matching: &Matching, steps: Steps) -> Vec<Row> {
    let (deciding, decided) = if op == BinaryOp::Or { (&left, &mut right) } else { (&right, &mut left) };
    let mut present: HashMap<Labels, Vec<bool>> = HashMap::new();
    for row in deciding {
        let seen = present.entry(signature(&row.labels, matching)).or_insert_with(|| vec![false; steps.count()]);
        row.steps().for_each(|step| seen[step] = true);
    }
    let keeps_matched = op == BinaryOp::And;
    for row in decided.iter_mut() {
        let seen = present.get(&signature(&row.labels, matching));
        row.retain(|step| seen.is_some_and(|seen| seen[step]) == keeps_matched);
    }
    if op == BinaryOp::Or {
        left.extend(right);
    }
    left
}
