//! The two sides of a binary operation, paired as the language pairs them.

use std::collections::HashMap;

use crate::model::Labels;
use crate::promql::{Binary, BinaryOp, ElementValue, MatchLabels};

use super::part::Compared;

/// The whole value of a part, before it is cut to what is shown.
#[derive(Debug, Clone)]
pub(super) enum Full {
    Vector(Vec<(Labels, ElementValue)>),
    Scalar(f64),
    /// None that can be compared.
    Nothing,
}

impl Full {
    /// The elements, none of a number.
    pub(super) fn elements(&self) -> &[(Labels, ElementValue)] {
        match self {
            Full::Vector(elements) => elements,
            Full::Scalar(_) | Full::Nothing => &[],
        }
    }

    /// Whether it is a vector without elements.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Full::Vector(elements) if elements.is_empty())
    }
}

/// The labels by which an element finds its partner.
fn signature(labels: &Labels, matching: &MatchLabels) -> Labels {
    match matching {
        MatchLabels::On(names) => labels.filter(|name| names.iter().any(|n| n == name)),
        MatchLabels::Ignoring(names) => {
            labels.filter(|name| name != Labels::METRIC_NAME && !names.iter().any(|n| n == name))
        }
    }
}

/// The pairs of numbers that a comparison compares.
pub(super) fn pairs(binary: &Binary, lhs: &Full, rhs: &Full) -> Vec<Compared> {
    let number = |value: &ElementValue| match value {
        ElementValue::Number(v) => Some(*v),
        ElementValue::Histogram(_) => None,
    };
    let pair = |labels: &Labels, lhs: f64, rhs: f64| {
        let (labels, op) = (labels.clone(), binary.op);
        Compared { labels, lhs, op, rhs, holds: holds(op, lhs, rhs) }
    };
    match (lhs, rhs) {
        (Full::Scalar(l), Full::Scalar(r)) => vec![pair(&Labels::empty(), *l, *r)],
        (Full::Vector(all), Full::Scalar(r)) => {
            all.iter().filter_map(|(labels, l)| Some(pair(labels, number(l)?, *r))).collect()
        }
        (Full::Scalar(l), Full::Vector(all)) => {
            all.iter().filter_map(|(labels, r)| Some(pair(labels, *l, number(r)?))).collect()
        }
        (Full::Vector(left), Full::Vector(right)) => {
            let by = &binary.matching.labels;
            let mut partners: HashMap<Labels, Vec<f64>> = HashMap::new();
            for (labels, value) in right {
                partners.entry(signature(labels, by)).or_default().extend(number(value));
            }
            let mut found = Vec::new();
            for (labels, value) in left {
                let (Some(l), Some(rs)) = (number(value), partners.get(&signature(labels, by))) else { continue };
                found.extend(rs.iter().map(|r| pair(labels, l, *r)));
            }
            found
        }
        _ => Vec::new(),
    }
}

fn holds(op: BinaryOp, l: f64, r: f64) -> bool {
    match op {
        BinaryOp::Eq => l == r,
        BinaryOp::Ne => l != r,
        BinaryOp::Lt => l < r,
        BinaryOp::Le => l <= r,
        BinaryOp::Gt => l > r,
        BinaryOp::Ge => l >= r,
        _ => false,
    }
}

/// Why two sides that both have elements give none together.
pub(super) fn unpaired(binary: &Binary, lhs: &Full, rhs: &Full) -> Option<String> {
    let (Full::Vector(left), Full::Vector(right)) = (lhs, rhs) else { return None };
    let by = &binary.matching.labels;
    let words = match by {
        MatchLabels::On(names) => format!("on ({})", names.join(", ")),
        MatchLabels::Ignoring(names) if names.is_empty() => "by all labels".to_owned(),
        MatchLabels::Ignoring(names) => format!("ignoring ({})", names.join(", ")),
    };
    let of = |side: &[(Labels, ElementValue)]| side.first().map(|(labels, _)| signature(labels, by));
    let (l, r) = (of(left)?, of(right)?);
    if binary.op == BinaryOp::Unless {
        return Some(format!("the right side has a partner for each of the {} on the left, {words}", left.len()));
    }
    Some(format!("no element of the left has a partner on the right, {words}: the left has {l}, the right {r}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::{ExprKind, parse};

    fn full(elements: &[(&str, f64)]) -> Full {
        let one = |(job, v): &(&str, f64)| (Labels::new([("job", *job)]).unwrap(), ElementValue::Number(*v));
        Full::Vector(elements.iter().map(one).collect())
    }

    fn check(text: &str, lhs: &Full, rhs: &Full, expected: &[(f64, f64, bool, &str)]) {
        let ExprKind::Binary(binary) = parse(text).unwrap().kind else { panic!("{text}") };
        let found: Vec<_> =
            pairs(&binary, lhs, rhs).iter().map(|pair| (pair.lhs, pair.rhs, pair.holds, pair.flips_at())).collect();
        let expected: Vec<_> =
            expected.iter().map(|(l, r, holds, flips)| (*l, *r, *holds, (*flips).to_owned())).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn values_are_paired_and_what_flips_them_is_told() {
        let (ab, a) = (full(&[("a", 3.0), ("b", 1.0)]), full(&[("a", 2.0)]));
        check("x > 2", &ab, &Full::Scalar(2.0), &[(3.0, 2.0, true, "≤ 2"), (1.0, 2.0, false, "> 2")]);
        check("2 <= x", &Full::Scalar(2.0), &ab, &[(2.0, 3.0, true, "> 3"), (2.0, 1.0, false, "≤ 1")]);
        check("x < y", &ab, &a, &[(3.0, 2.0, false, "< 2")]);
        check("x == on () y", &a, &full(&[("b", 2.0)]), &[(2.0, 2.0, true, "≠ 2")]);
        check("x != y", &a, &full(&[("b", 2.0)]), &[]);
        check("1 > bool 2", &Full::Scalar(1.0), &Full::Scalar(2.0), &[(1.0, 2.0, false, "> 2")]);
    }
}
