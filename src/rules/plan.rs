//! From an expression to nodes of the graph.
//!
//! Invariants:
//! - Equal parts of expressions become one node, equal selectors one leaf, whatever rule they
//!   stand in.
//! - What cannot be followed sample by sample is refused with the reason; its rule is then
//!   evaluated at its group's interval.
//! - Of native histograms the graph knows that they are there, not what they are. So a plan names the
//!   leaves whose values matter to it; those of which it only matters which elements there are, it does not.

use std::collections::BTreeSet;

use crate::model::{Labels, MatchOp, Matcher, Millis, limits};
use crate::promql::kernel::Direction;
use crate::promql::{
    Aggregate, AggregateOp, Binary, BinaryOp, Edges, Expr, ExprKind, Function, LabelChange, Selector, ValueType,
};

use super::aggregate::Aggregation;
use super::follow::{Follow, View};
use super::graph::Graph;
use super::leaf::Reach;
use super::matching::Join;
use super::node::{Map, Op, Relabel};
use super::ranking::Ranking;

/// Why an expression is not followed sample by sample.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct NotFollowed(String);

fn refuse<T>(reason: impl Into<String>) -> Result<T, NotFollowed> {
    Err(NotFollowed(reason.into()))
}

/// Where an expression's result is found.
#[derive(Debug)]
pub(super) struct Plan {
    /// The node that has it.
    pub(super) node: usize,
    /// The leaves whose samples' values it depends on: while one carries native histograms, the node's result
    /// is not the expression's.
    pub(super) by_value: BTreeSet<usize>,
    /// All leaves that it stands on.
    pub(super) leaves: BTreeSet<usize>,
}

/// Adds an expression to the graph. `delay` is the group's query offset.
pub(super) fn plan(graph: &mut Graph, expr: &Expr, delay: Millis) -> Result<Plan, NotFollowed> {
    check(expr)?;
    let mut planner = Planner { graph, delay, by_value: BTreeSet::new() };
    let node = planner.expr(expr, Use::Value)?;
    let by_value = planner.by_value;
    graph.want_root(node);
    Ok(Plan { node, by_value, leaves: graph.leaves_below(node) })
}

/// Refuses before anything is added, so that a refused rule leaves nothing behind.
fn check(expr: &Expr) -> Result<(), NotFollowed> {
    match &expr.kind {
        ExprKind::Number(_) | ExprKind::Duration(_) => Ok(()),
        ExprKind::String(_) => refuse("a string has no value"),
        ExprKind::Selector(selector) => check_selector(selector),
        ExprKind::Range { selector, range } => {
            if *range > limits::RULE_WINDOW_MAX {
                return refuse(format!(
                    "a window of {range} is longer than the {} that are followed",
                    limits::RULE_WINDOW_MAX
                ));
            }
            check_selector(selector)
        }
        ExprKind::Subquery { .. } => refuse("subqueries are not followed"),
        ExprKind::Paren(expr) | ExprKind::Unary { expr, .. } => check(expr),
        ExprKind::Binary(binary) => {
            if !binary.fill.is_none() {
                return refuse("filling in missing series is not followed");
            }
            if matches!(binary.op, BinaryOp::TrimUpper | BinaryOp::TrimLower) {
                return refuse("trimming histograms is not followed");
            }
            check(&binary.lhs).and_then(|()| check(&binary.rhs))
        }
        ExprKind::Aggregate(aggregate) => {
            if !Aggregation::follows(aggregate.op) && direction(aggregate.op).is_none() {
                return refuse(format!("{} is not followed", aggregate.op.as_str()));
            }
            aggregate.param.iter().try_for_each(check).and_then(|()| check(&aggregate.expr))
        }
        ExprKind::Call { function, args } => {
            let plain = |arg: &Expr| matches!(arg.without_parens().kind, ExprKind::Selector(_));
            match function {
                Function::Timestamp if !plain(&args[0]) => {
                    return refuse("timestamp of anything but a selector is not followed");
                }
                Function::LabelReplace | Function::LabelJoin => {
                    LabelChange::of(*function, args).map_err(NotFollowed)?;
                    return check(&args[0]);
                }
                Function::HistogramQuantile if !of_classic_buckets(&args[1]) => {
                    return refuse("histogram_quantile of what may be native histograms is not followed");
                }
                function if !follows(*function) => return refuse(format!("{} is not followed", function.name())),
                _ => {}
            }
            args.iter().try_for_each(check)
        }
    }
}

/// Whether all that is selected is named as the buckets of classic histograms are.
fn of_classic_buckets(expr: &Expr) -> bool {
    let names_buckets = |matcher: &Matcher| {
        matcher.name() == Labels::METRIC_NAME && matcher.op() == MatchOp::Equal && matcher.value().ends_with("_bucket")
    };
    expr.selectors().iter().all(|matchers| matchers.iter().any(names_buckets))
}

fn check_selector(selector: &Selector) -> Result<(), NotFollowed> {
    if selector.shift.at.is_some() {
        return refuse("the @ modifier is not followed");
    }
    if selector.shift.offset < Millis::ZERO {
        return refuse("a negative offset looks ahead and is not followed");
    }
    if selector.edges != Edges::Plain {
        return refuse(format!("the {} modifier is not followed", selector.edges.as_str()));
    }
    if selector.computed.as_ref().is_some_and(|computed| computed.depends_on_query()) {
        return refuse("a duration that depends on the query is not followed");
    }
    Ok(())
}

/// Which elements an aggregation puts first, if it ranks them.
fn direction(op: AggregateOp) -> Option<Direction> {
    match op {
        AggregateOp::Topk => Some(Direction::Descending),
        AggregateOp::Bottomk => Some(Direction::Ascending),
        _ => None,
    }
}

fn follows(function: Function) -> bool {
    use Function::{
        Absent, AbsentOverTime, HistogramQuantile, Pi, Scalar, Sort, SortDesc, Time, Timestamp, Vector as VectorOf,
    };
    let others = matches!(
        function,
        Absent | AbsentOverTime | HistogramQuantile | Pi | Scalar | Sort | SortDesc | Time | Timestamp | VectorOf
    );
    others || is_math(function) || is_calendar(function) || is_window(function)
}

fn is_calendar(function: Function) -> bool {
    use Function::{DayOfMonth, DayOfWeek, DayOfYear, DaysInMonth, Hour, Minute, Month, Year};
    matches!(function, DayOfMonth | DayOfWeek | DayOfYear | DaysInMonth | Hour | Minute | Month | Year)
}

fn is_math(function: Function) -> bool {
    use Function::{
        Abs, Acos, Acosh, Asin, Asinh, Atan, Atanh, Ceil, Clamp, ClampMax, ClampMin, Cos, Cosh, Deg, Exp, Floor, Ln,
        Log2, Log10, Rad, Round, Sgn, Sin, Sinh, Sqrt, Tan, Tanh,
    };
    matches!(
        function,
        Abs | Acos
            | Acosh
            | Asin
            | Asinh
            | Atan
            | Atanh
            | Ceil
            | Clamp
            | ClampMax
            | ClampMin
            | Cos
            | Cosh
            | Deg
            | Exp
            | Floor
            | Ln
            | Log2
            | Log10
            | Rad
            | Round
            | Sgn
            | Sin
            | Sinh
            | Sqrt
            | Tan
            | Tanh
    )
}

fn is_window(function: Function) -> bool {
    use Function::{
        AbsentOverTime, DoubleExponentialSmoothing, MadOverTime, TsOfFirstOverTime, TsOfLastOverTime, TsOfMaxOverTime,
        TsOfMinOverTime,
    };
    let others = [
        AbsentOverTime,
        DoubleExponentialSmoothing,
        MadOverTime,
        TsOfFirstOverTime,
        TsOfLastOverTime,
        TsOfMaxOverTime,
        TsOfMinOverTime,
    ];
    function.args().contains(&ValueType::Matrix) && !others.contains(&function)
}

/// What is made of an expression's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Their values are looked at, or become the result.
    Value,
    /// Only which there are.
    Presence,
}

struct Planner<'a> {
    graph: &'a mut Graph,
    delay: Millis,
    by_value: BTreeSet<usize>,
}

impl Planner<'_> {
    fn expr(&mut self, expr: &Expr, usage: Use) -> Result<usize, NotFollowed> {
        match &expr.kind {
            ExprKind::Number(v) => Ok(self.number(*v)),
            ExprKind::Duration(v) => Ok(self.number(v.as_seconds())),
            ExprKind::Selector(selector) => {
                let leaf = self.leaf(selector, Reach::Instant(limits::LOOKBACK));
                if usage == Use::Value {
                    self.by_value.insert(leaf);
                }
                Ok(self.follow(leaf, View::Value))
            }
            ExprKind::Paren(expr) | ExprKind::Unary { negative: false, expr } => self.expr(expr, usage),
            ExprKind::Unary { negative: true, expr } => {
                let child = self.expr(expr, Use::Value)?;
                Ok(self.map(child, Map::Negate, false))
            }
            ExprKind::Binary(binary) => self.binary(binary, usage),
            ExprKind::Aggregate(aggregate) => self.aggregate(aggregate),
            ExprKind::Call { function, args } => self.call(*function, args),
            ExprKind::String(_) | ExprKind::Range { .. } | ExprKind::Subquery { .. } => {
                refuse("it has no value at an instant")
            }
        }
    }

    fn number(&mut self, v: f64) -> usize {
        self.graph.node(format!("number {:016x}", v.to_bits()), || Op::Number(v))
    }

    fn time(&mut self) -> usize {
        let offset = self.delay;
        self.graph.node(format!("time {offset}"), || Op::Time { offset, armed: None })
    }

    fn leaf(&mut self, selector: &Selector, reach: Reach) -> usize {
        self.graph.leaf(&selector.matchers, selector.shift.offset + self.delay, reach)
    }

    fn follow(&mut self, leaf: usize, view: View) -> usize {
        let key = format!("follow {leaf} {view:?}");
        self.graph.node(key, || Op::Follow(Follow::new(leaf, view)))
    }

    fn map(&mut self, child: usize, map: Map, keeps_name: bool) -> usize {
        let key = format!("map {child} {map:?}");
        self.graph.node(key, || Op::Map { child, map, keeps_name })
    }

    fn binary(&mut self, binary: &Binary, usage: Use) -> Result<usize, NotFollowed> {
        let (of_left, of_right) = match binary.op {
            BinaryOp::And | BinaryOp::Unless => (usage, Use::Presence),
            BinaryOp::Or => (usage, usage),
            _ => (Use::Value, Use::Value),
        };
        let (left, right) = (self.expr(&binary.lhs, of_left)?, self.expr(&binary.rhs, of_right)?);
        let is_scalar = |expr: &Expr| expr.value_type() == ValueType::Scalar;
        let Binary { op, returns_bool, .. } = *binary;
        let keeps_name = op.is_comparison() && !returns_bool;
        if is_scalar(&binary.rhs) {
            let map = Map::Binary { op, scalar: right, scalar_is_left: false, returns_bool };
            return Ok(self.map(left, map, keeps_name));
        }
        if is_scalar(&binary.lhs) {
            let map = Map::Binary { op, scalar: left, scalar_is_left: true, returns_bool };
            return Ok(self.map(right, map, keeps_name));
        }
        let matching = &binary.matching;
        let key = format!("join {left} {right} {op:?} {returns_bool} {matching:?}");
        Ok(self.graph.node(key, || Op::Join {
            left,
            right,
            join: Box::new(Join::new(op, returns_bool, matching.clone())),
        }))
    }

    fn aggregate(&mut self, aggregate: &Aggregate) -> Result<usize, NotFollowed> {
        let usage = match aggregate.op {
            AggregateOp::Count | AggregateOp::Group => Use::Presence,
            _ => Use::Value,
        };
        let child = self.expr(&aggregate.expr, usage)?;
        let (op, grouping) = (aggregate.op, &aggregate.grouping);
        if let (Some(direction), Some(count)) = (direction(op), &aggregate.param) {
            let count = self.expr(count, Use::Value)?;
            let key = format!("rank {count} {child} {op:?} {grouping:?}");
            return Ok(self.graph.node(key, || {
                let ranking = Box::new(Ranking::new(direction, grouping.clone()));
                Op::Rank { count, child, ranking }
            }));
        }
        let key = format!("aggregate {child} {op:?} {grouping:?}");
        Ok(self.graph.node(key, || Op::Aggregate { child, groups: Aggregation::new(op, grouping.clone()) }))
    }

    fn call(&mut self, function: Function, args: &[Expr]) -> Result<usize, NotFollowed> {
        match function {
            Function::Time => Ok(self.time()),
            Function::LabelReplace | Function::LabelJoin => {
                let child = self.expr(&args[0], Use::Value)?;
                let change = LabelChange::of(function, args).map_err(NotFollowed)?;
                let key = format!("relabel {child} {change:?}");
                Ok(self.graph.node(key, || Op::Relabel { child, relabel: Box::new(Relabel::new(change)) }))
            }
            Function::Pi => Ok(self.number(std::f64::consts::PI)),
            Function::Vector | Function::Sort | Function::SortDesc => self.expr(&args[0], Use::Value),
            Function::Scalar => {
                let child = self.expr(&args[0], Use::Value)?;
                Ok(self.graph.node(format!("scalar {child}"), || Op::Scalar { child }))
            }
            Function::Timestamp => match &args[0].without_parens().kind {
                ExprKind::Selector(selector) => {
                    let leaf = self.leaf(selector, Reach::Instant(limits::LOOKBACK));
                    Ok(self.follow(leaf, View::Time))
                }
                _ => refuse("timestamp of anything but a selector is not followed"),
            },
            Function::Absent => {
                let child = self.expr(&args[0], Use::Presence)?;
                Ok(self.absent(child, &args[0]))
            }
            Function::AbsentOverTime => {
                let child = self.window(Function::PresentOverTime, args)?;
                Ok(self.absent(child, &args[0]))
            }
            Function::HistogramQuantile => {
                let (q, child) = (self.expr(&args[0], Use::Value)?, self.expr(&args[1], Use::Value)?);
                let key = format!("quantile {q} {child}");
                Ok(self.graph.node(key, || Op::Quantile { q, child, buckets: Box::default() }))
            }
            function if is_window(function) => self.window(function, args),
            function if is_calendar(function) => {
                let child = match args.first() {
                    Some(arg) => self.expr(arg, Use::Value)?,
                    None => self.time(),
                };
                Ok(self.map(child, Map::Math { function, args: Vec::new() }, false))
            }
            function => {
                let child = self.expr(&args[0], Use::Value)?;
                let args = args[1..].iter().map(|arg| self.expr(arg, Use::Value)).collect::<Result<_, _>>()?;
                Ok(self.map(child, Map::Math { function, args }, false))
            }
        }
    }

    fn window(&mut self, function: Function, args: &[Expr]) -> Result<usize, NotFollowed> {
        let mut scalars = Vec::new();
        let mut window = None;
        for arg in args {
            match &arg.without_parens().kind {
                ExprKind::Range { selector, range } => window = Some((selector, *range)),
                _ => scalars.push(self.expr(arg, Use::Value)?),
            }
        }
        let Some((selector, range)) = window else { return refuse("subqueries are not followed") };
        let leaf = self.leaf(selector, Reach::Range(range));
        if !matches!(function, Function::PresentOverTime | Function::CountOverTime) {
            self.by_value.insert(leaf);
        }
        let keeps_name = matches!(function, Function::LastOverTime | Function::FirstOverTime);
        let offset = selector.shift.offset;
        Ok(self.follow(leaf, View::Window { function, args: scalars, offset, keeps_name }))
    }

    fn absent(&mut self, child: usize, arg: &Expr) -> usize {
        let labels = absent_labels(arg);
        self.graph.node(format!("absent {child} {labels}"), || Op::Absent { child, labels })
    }
}

/// The labels of the element that `absent` makes: those that the selector fixes, each by a single
/// equality.
fn absent_labels(arg: &Expr) -> Labels {
    let (ExprKind::Selector(selector) | ExprKind::Range { selector, .. }) = &arg.without_parens().kind else {
        return Labels::empty();
    };
    let once = |m: &&Matcher| selector.matchers.iter().filter(|other| other.name() == m.name()).count() == 1;
    let fixed = selector.matchers.iter().filter(|m| m.op() == MatchOp::Equal && m.name() != Labels::METRIC_NAME);
    Labels::new(fixed.filter(once).map(|m| (m.name(), m.value()))).unwrap_or_else(|_| Labels::empty())
}
