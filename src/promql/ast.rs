//! The expression tree that the parser builds.
//!
//! Invariants:
//! - Every node knows its place in the text, so that every error can point at it.
//! - A tree that came from [`parse`](super::parse) is well typed: see `check`.

use crate::model::{Matcher, Millis, Timestamp};

use super::functions::Function;
use super::naming::is_metadata;
use super::value_type::ValueType;

/// Where a node stands in the text: bytes `start..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
}

impl Expr {
    /// What evaluating it gives.
    pub fn value_type(&self) -> ValueType {
        match &self.kind {
            ExprKind::Number(_) | ExprKind::Duration(_) => ValueType::Scalar,
            ExprKind::String(_) => ValueType::String,
            ExprKind::Selector(_) | ExprKind::Aggregate(_) => ValueType::Vector,
            ExprKind::Range { .. } | ExprKind::Subquery { .. } => ValueType::Matrix,
            ExprKind::Paren(expr) | ExprKind::Unary { expr, .. } => expr.value_type(),
            ExprKind::Binary(binary) => match (binary.lhs.value_type(), binary.rhs.value_type()) {
                (ValueType::Scalar, ValueType::Scalar) => ValueType::Scalar,
                _ => ValueType::Vector,
            },
            ExprKind::Call { function, .. } => function.result(),
        }
    }

    /// The expressions directly below it, in the order of the text.
    pub fn children(&self) -> Vec<&Expr> {
        match &self.kind {
            ExprKind::Paren(expr) | ExprKind::Unary { expr, .. } | ExprKind::Subquery { expr, .. } => vec![expr],
            ExprKind::Binary(binary) => vec![&binary.lhs, &binary.rhs],
            ExprKind::Aggregate(aggregate) => aggregate.param.iter().chain([&aggregate.expr]).collect(),
            ExprKind::Call { args, .. } => args.iter().collect(),
            _ => Vec::new(),
        }
    }

    /// The expressions directly below it, to be changed.
    pub fn children_mut(&mut self) -> Vec<&mut Expr> {
        match &mut self.kind {
            ExprKind::Paren(expr) | ExprKind::Unary { expr, .. } | ExprKind::Subquery { expr, .. } => vec![expr],
            ExprKind::Binary(binary) => vec![&mut binary.lhs, &mut binary.rhs],
            ExprKind::Aggregate(aggregate) => aggregate.param.iter_mut().chain([&mut aggregate.expr]).collect(),
            ExprKind::Call { args, .. } => args.iter_mut().collect(),
            _ => Vec::new(),
        }
    }

    /// The matchers of every selector in it, in the order of the text.
    pub fn selectors(&self) -> Vec<Vec<Matcher>> {
        let mut found = Vec::new();
        self.add_selectors(&mut found);
        found
    }

    fn add_selectors(&self, found: &mut Vec<Vec<Matcher>>) {
        if let ExprKind::Selector(selector) | ExprKind::Range { selector, .. } = &self.kind {
            found.push(selector.matchers.clone());
        }
        self.children().into_iter().for_each(|expr| expr.add_selectors(found));
    }

    /// The expression without the parentheses around it.
    pub fn without_parens(&self) -> &Expr {
        let mut expr = self;
        while let ExprKind::Paren(inner) = &expr.kind {
            expr = inner;
        }
        expr
    }
}

/// The kinds of expression.
#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    /// A number.
    Number(f64),
    /// A duration literal such as `1h30m`: a number, its seconds.
    Duration(Millis),
    /// A string.
    String(String),
    /// An instant vector selector.
    Selector(Selector),
    /// A range vector selector: `selector[range]`.
    Range {
        /// The series.
        selector: Selector,
        /// The window's length, positive; see [`Computed`].
        range: Millis,
    },
    /// A subquery: `expr[range:step]`.
    Subquery {
        /// What is evaluated at each step.
        expr: Box<Expr>,
        /// The window's length, positive.
        range: Millis,
        /// The resolution; absent: the default evaluation interval.
        step: Option<Millis>,
        /// The shift in time.
        shift: Shift,
        /// Which of its durations were written as arithmetic.
        computed: Option<Box<Computed>>,
    },
    /// An expression in parentheses.
    Paren(Box<Expr>),
    /// `-expr` or `+expr`.
    Unary {
        /// Whether the sign is minus.
        negative: bool,
        /// The operand.
        expr: Box<Expr>,
    },
    /// `lhs op rhs`.
    Binary(Box<Binary>),
    /// `op by (labels) (param, expr)`.
    Aggregate(Box<Aggregate>),
    /// `function(args…)`.
    Call {
        /// The function.
        function: Function,
        /// Its arguments.
        args: Vec<Expr>,
    },
}

/// Which series, seen from when.
#[derive(Debug, Clone, PartialEq)]
pub struct Selector {
    /// The metric's name, if it stands before the braces; it is the first of the matchers, too.
    pub name: Option<String>,
    /// The conditions, the one on the metric name among them.
    pub matchers: Vec<Matcher>,
    /// The shift in time.
    pub shift: Shift,
    /// How a value at the edges of the window is found.
    pub edges: Edges,
    /// Which of its durations, or those of the window it stands in, were written as arithmetic.
    pub computed: Option<Box<Computed>>,
}

/// How the value of a series at an instant between two samples, or at the edge of a window, is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Edges {
    /// By the samples inside the window alone.
    #[default]
    Plain,
    /// `anchored`: the sample before the edge counts at the edge.
    Anchored,
    /// `smoothed`: on the line between the samples around the edge.
    Smoothed,
}

impl Edges {
    /// The modifier as it is written; empty if there is none.
    pub fn as_str(self) -> &'static str {
        match self {
            Edges::Plain => "",
            Edges::Anchored => "anchored",
            Edges::Smoothed => "smoothed",
        }
    }
}

/// Durations that were written as arithmetic. What is constant was computed by the parser; what
/// depends on the query's step or range is computed when the query is asked, and stands as zero in
/// the tree until then.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Computed {
    /// The window's length.
    pub range: Option<DurationExpr>,
    /// A subquery's resolution.
    pub step: Option<DurationExpr>,
    /// How far back.
    pub offset: Option<DurationExpr>,
}

impl Computed {
    /// Whether any of them can only be known when the query is asked.
    pub fn depends_on_query(&self) -> bool {
        [&self.range, &self.step, &self.offset].into_iter().flatten().any(DurationExpr::depends_on_query)
    }
}

/// Arithmetic on durations; the unit is seconds.
#[derive(Debug, Clone, PartialEq)]
pub enum DurationExpr {
    /// A number of seconds.
    Seconds(f64),
    /// A literal such as `5m`.
    Literal(Millis),
    /// `step()`: the query's step, nothing for an instant query.
    Step,
    /// `range()`: from the query's start to its end.
    Range,
    /// `min_of(a, b)`
    Min(Box<DurationExpr>, Box<DurationExpr>),
    /// `max_of(a, b)`
    Max(Box<DurationExpr>, Box<DurationExpr>),
    /// `-a`
    Negated(Box<DurationExpr>),
    /// `a op b`, one of the six arithmetic operators.
    Binary(BinaryOp, Box<DurationExpr>, Box<DurationExpr>),
    /// `(a)`
    Paren(Box<DurationExpr>),
}

impl DurationExpr {
    /// Whether it can only be known when the query is asked.
    pub fn depends_on_query(&self) -> bool {
        match self {
            DurationExpr::Seconds(_) | DurationExpr::Literal(_) => false,
            DurationExpr::Step | DurationExpr::Range => true,
            DurationExpr::Negated(one) | DurationExpr::Paren(one) => one.depends_on_query(),
            DurationExpr::Min(a, b) | DurationExpr::Max(a, b) | DurationExpr::Binary(_, a, b) => {
                a.depends_on_query() || b.depends_on_query()
            }
        }
    }
}

/// `offset` and `@`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Shift {
    /// How far back; negative looks ahead.
    pub offset: Millis,
    /// A fixed instant in place of the evaluation time.
    pub at: Option<At>,
}

/// The instant of an `@` modifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// `@ 1609746000`
    Time(Timestamp),
    /// `@ start()`
    Start,
    /// `@ end()`
    End,
}

/// A binary operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Binary {
    /// The operator.
    pub op: BinaryOp,
    /// Left operand.
    pub lhs: Expr,
    /// Right operand.
    pub rhs: Expr,
    /// Whether `bool` was written: a comparison gives 0 or 1 in place of filtering.
    pub returns_bool: bool,
    /// How the series of two vectors are paired.
    pub matching: Matching,
    /// What stands in for a series that has no partner.
    pub fill: Fill,
}

/// `fill`, `fill_left`, `fill_right`: the value of a series that is missing on one side.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Fill {
    /// On the left side.
    pub left: Option<f64>,
    /// On the right side.
    pub right: Option<f64>,
}

impl Fill {
    /// Whether nothing is filled in.
    pub fn is_none(&self) -> bool {
        self.left.is_none() && self.right.is_none()
    }
}

/// Binary operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
    /// `^`
    Pow,
    /// `atan2`
    Atan2,
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `</`: a native histogram without what lies above a value.
    TrimUpper,
    /// `>/`: a native histogram without what lies below a value.
    TrimLower,
    /// `and`
    And,
    /// `or`
    Or,
    /// `unless`
    Unless,
}

impl BinaryOp {
    /// Whether it is a comparison.
    pub fn is_comparison(self) -> bool {
        use BinaryOp::{Eq, Ge, Gt, Le, Lt, Ne};
        matches!(self, Eq | Ne | Lt | Le | Gt | Ge)
    }

    /// The operator as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Mod => "%",
            BinaryOp::Pow => "^",
            BinaryOp::Atan2 => "atan2",
            BinaryOp::Eq => "==",
            BinaryOp::Ne => "!=",
            BinaryOp::Lt => "<",
            BinaryOp::Le => "<=",
            BinaryOp::Gt => ">",
            BinaryOp::Ge => ">=",
            BinaryOp::TrimUpper => "</",
            BinaryOp::TrimLower => ">/",
            BinaryOp::And => "and",
            BinaryOp::Or => "or",
            BinaryOp::Unless => "unless",
        }
    }

    /// Whether it works on sets of series and not on values.
    pub fn is_set(self) -> bool {
        matches!(self, BinaryOp::And | BinaryOp::Or | BinaryOp::Unless)
    }
}

/// How the series of two vectors are paired.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Matching {
    /// The labels that must be equal, or those that need not be.
    pub labels: MatchLabels,
    /// Which side may have several series for one of the other.
    pub group: Group,
}

/// Which labels decide a pairing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MatchLabels {
    /// `on(…)`: just these.
    On(Vec<String>),
    /// `ignoring(…)`: all but these; nothing written is `ignoring()`.
    Ignoring(Vec<String>),
}

impl Default for MatchLabels {
    fn default() -> MatchLabels {
        MatchLabels::Ignoring(Vec::new())
    }
}

/// One to one, or many to one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Group {
    /// Neither `group_left` nor `group_right`.
    #[default]
    OneToOne,
    /// `group_left(include…)`: many on the left.
    Left(Vec<String>),
    /// `group_right(include…)`: many on the right.
    Right(Vec<String>),
}

/// An aggregation.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    /// The operator.
    pub op: AggregateOp,
    /// The parameter of `topk`, `bottomk`, `quantile`, `count_values`, `limitk`, `limit_ratio`.
    pub param: Option<Expr>,
    /// What is aggregated.
    pub expr: Expr,
    /// How series are grouped.
    pub grouping: Grouping,
}

/// How an aggregation groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grouping {
    /// `by (…)`; nothing written is `by ()`.
    By(Vec<String>),
    /// `without (…)`
    Without(Vec<String>),
}

impl Grouping {
    /// Whether a label tells groups apart.
    pub fn keeps(&self, name: &str) -> bool {
        match self {
            Grouping::By(names) => names.iter().any(|n| n == name),
            Grouping::Without(names) => !is_metadata(name) && names.iter().all(|n| n != name),
        }
    }
}

/// Declares the aggregation operators once: variant and name.
macro_rules! aggregate_ops {
    ($($variant:ident $name:literal)*) => {
        /// Aggregation operators.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "each is named as it is written")]
        pub enum AggregateOp { $($variant,)* }

        impl AggregateOp {
            /// Every operator.
            pub const ALL: &'static [AggregateOp] = &[$(AggregateOp::$variant,)*];

            /// The operator as it is written.
            pub fn as_str(self) -> &'static str {
                match self { $(AggregateOp::$variant => $name,)* }
            }
        }
    };
}

aggregate_ops! {
    Sum "sum" Avg "avg" Min "min" Max "max" Count "count" Group "group" Stddev "stddev" Stdvar "stdvar"
    Topk "topk" Bottomk "bottomk" Quantile "quantile" CountValues "count_values" Limitk "limitk"
    LimitRatio "limit_ratio"
}

impl AggregateOp {
    /// Whether a parameter stands before the expression.
    pub fn takes_parameter(self) -> bool {
        use AggregateOp::{Bottomk, CountValues, LimitRatio, Limitk, Quantile, Topk};
        matches!(self, Topk | Bottomk | Quantile | CountValues | Limitk | LimitRatio)
    }
}
