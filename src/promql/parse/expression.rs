//! The grammar of expressions, operators by precedence climbing.
//!
//! Invariants:
//! - Every way down into a nested expression goes through [`Tokens::deeper`], and every node's
//!   height is bounded, so neither reading a tree nor walking it later can use up the stack.

use nom::Parser;
use nom::branch::alt;
use nom::combinator::opt;
use nom::multi::separated_list1;
use nom::sequence::{delimited, preceded, terminated};

use super::duration;
use super::fault::Fault;
use super::lex::{Sign, TokenKind};
use super::selector::{ident, selector, string};
use super::text::quote;
use super::tokens::{Parsed, Tokens, any, keyword, refuse, sign, too_deep};
use crate::model::limits;
use crate::model::{Millis, Timestamp};
use crate::promql::ast::{
    Aggregate, AggregateOp, At, Binary, BinaryOp, Computed, DurationExpr, Edges, Expr, ExprKind, Fill, Group, Grouping,
    MatchLabels, Matching, Selector, Shift, Span,
};
use crate::promql::functions::Function;

/// An expression and the height of its tree.
struct Tree {
    /// Boxed, so that reading a deep tree needs little of the stack.
    expr: Box<Expr>,
    height: usize,
}

/// A node above trees of at most this height.
fn node<'a>(rest: Tokens<'a>, start: usize, kind: ExprKind, below: usize) -> Parsed<'a, Tree> {
    let span = rest.since(start);
    if below >= limits::QUERY_DEPTH_MAX {
        return Err(nom::Err::Failure(too_deep(span)));
    }
    Ok((rest, Tree { expr: Box::new(Expr { kind, span }), height: below + 1 }))
}

/// A whole expression.
pub(super) fn whole(input: Tokens<'_>) -> Parsed<'_, Expr> {
    let (rest, tree) = expression(input, 0)?;
    Ok((rest, *tree.expr))
}

/// Precedences, weakest first; `-x` binds as tightly as `*`, so that `-x^2` is `-(x^2)`.
const POWER: u8 = 6;

fn precedence(op: BinaryOp) -> u8 {
    use BinaryOp::{Add, And, Atan2, Div, Mod, Mul, Or, Pow, Sub, Unless};
    match op {
        Or => 1,
        And | Unless => 2,
        Add | Sub => 4,
        Mul | Div | Mod | Atan2 => 5,
        Pow => POWER,
        _ => 3,
    }
}

fn binary_op(input: Tokens<'_>) -> Option<BinaryOp> {
    match &input.first().kind {
        TokenKind::Sign(sign) => Some(match sign {
            Sign::Add => BinaryOp::Add,
            Sign::Sub => BinaryOp::Sub,
            Sign::Mul => BinaryOp::Mul,
            Sign::Div => BinaryOp::Div,
            Sign::Mod => BinaryOp::Mod,
            Sign::Pow => BinaryOp::Pow,
            Sign::EqualEqual => BinaryOp::Eq,
            Sign::NotEqual => BinaryOp::Ne,
            Sign::Less => BinaryOp::Lt,
            Sign::LessEqual => BinaryOp::Le,
            Sign::Greater => BinaryOp::Gt,
            Sign::GreaterEqual => BinaryOp::Ge,
            Sign::TrimUpper => BinaryOp::TrimUpper,
            Sign::TrimLower => BinaryOp::TrimLower,
            _ => return None,
        }),
        TokenKind::Ident(word) => {
            let words = [BinaryOp::And, BinaryOp::Or, BinaryOp::Unless, BinaryOp::Atan2];
            words.into_iter().find(|op| word.eq_ignore_ascii_case(op.as_str()))
        }
        _ => None,
    }
}

/// An expression of operators that bind at least as tightly as `min`.
fn expression(input: Tokens<'_>, min: u8) -> Parsed<'_, Tree> {
    let start = input.span().start;
    let (mut rest, mut left) = unary(input.deeper()?)?;
    while let Some(op) = binary_op(rest).filter(|op| precedence(*op) >= min) {
        (rest, left) = operation(rest, start, left, op)?;
    }
    Ok((rest.level_of(input), left))
}

/// From the operator on.
fn operation<'a>(input: Tokens<'a>, start: usize, left: Tree, op: BinaryOp) -> Parsed<'a, Tree> {
    let (rest, _) = any(input)?;
    let (rest, (returns_bool, matching)) = modifiers(rest)?;
    let (rest, fill) = fill(rest)?;
    // `^` alone groups to the right.
    let power = precedence(op);
    let (rest, right) = expression(rest, if op == BinaryOp::Pow { power } else { power + 1 })?;
    let below = left.height.max(right.height);
    let binary = Binary { op, lhs: *left.expr, rhs: *right.expr, returns_bool, matching, fill };
    node(rest, start, ExprKind::Binary(Box::new(binary)), below)
}

fn modifiers(input: Tokens<'_>) -> Parsed<'_, (bool, Matching)> {
    let (rest, returns_bool) = opt(keyword("bool")).parse(input)?;
    let on = preceded(keyword("on"), labels).map(MatchLabels::On);
    let ignoring = preceded(keyword("ignoring"), labels).map(MatchLabels::Ignoring);
    let (mut rest, labels_of) = opt(alt((on, ignoring))).parse(rest)?;
    let mut group = Group::OneToOne;
    if labels_of.is_some() {
        let include = || opt(labels).map(Option::unwrap_or_default);
        let left = preceded(keyword("group_left"), include()).map(Group::Left);
        let right = preceded(keyword("group_right"), include()).map(Group::Right);
        let found;
        (rest, found) = opt(alt((left, right))).parse(rest)?;
        group = found.unwrap_or_default();
    }
    Ok((rest, (returns_bool.is_some(), Matching { labels: labels_of.unwrap_or_default(), group })))
}

/// `fill(0)`, or `fill_left(0)` and `fill_right(0)` in either order; words of that kind without a
/// parenthesis name metrics.
fn fill(input: Tokens<'_>) -> Parsed<'_, Fill> {
    let (mut rest, mut fill) = (input, Fill::default());
    loop {
        let (TokenKind::Ident(word), TokenKind::Sign(Sign::LeftParen)) = (&rest.first().kind, &rest.second().kind)
        else {
            return Ok((rest, fill));
        };
        let sides: &[fn(&mut Fill) -> &mut Option<f64>] = match word.to_ascii_lowercase().as_str() {
            "fill" => &[|fill| &mut fill.left, |fill| &mut fill.right],
            "fill_left" => &[|fill| &mut fill.left],
            "fill_right" => &[|fill| &mut fill.right],
            _ => return Ok((rest, fill)),
        };
        let start = rest.span().start;
        let (after, value) = fill_value(any(any(rest)?.0)?.0)?;
        for side in sides {
            if side(&mut fill).replace(value).is_some() {
                return refuse(after.since(start), "a side may be filled only once");
            }
        }
        rest = after;
    }
}

/// A number and the parenthesis that ends it.
fn fill_value(input: Tokens<'_>) -> Parsed<'_, f64> {
    let (rest, negative) = match input.first().kind {
        TokenKind::Sign(Sign::Sub) => (any(input)?.0, true),
        TokenKind::Sign(Sign::Add) => (any(input)?.0, false),
        _ => (input, false),
    };
    let Some(value) = number_token(rest) else {
        return rest.fail("in fill, expected a number");
    };
    let (rest, _) = any(rest)?;
    match rest.first().kind {
        TokenKind::Sign(Sign::RightParen) => Ok((any(rest)?.0, if negative { -value } else { value })),
        _ => rest.fail("in fill, expected \")\""),
    }
}

/// The value of the next token, if it is a number of whatever form.
fn number_token(input: Tokens<'_>) -> Option<f64> {
    match &input.first().kind {
        TokenKind::Number(value) => Some(*value),
        TokenKind::Duration(duration) => Some(duration.as_seconds()),
        TokenKind::Ident(word) => number_word(word),
        _ => None,
    }
}

/// `(a, b, "c.d")`
fn labels(input: Tokens<'_>) -> Parsed<'_, Vec<String>> {
    let comma = || sign(Sign::Comma, "in grouping opts");
    // A comma may end the list but not be all of it.
    let list = opt(terminated(separated_list1(comma(), label), opt(comma()))).map(Option::unwrap_or_default);
    delimited(sign(Sign::LeftParen, "in grouping opts"), list, close_labels).parse(input)
}

fn close_labels(input: Tokens<'_>) -> Parsed<'_, ()> {
    match input.first().kind {
        TokenKind::Sign(Sign::RightParen) => any(input).map(|(rest, _)| (rest, ())),
        _ => input.fail("in grouping opts, expected \",\" or \")\""),
    }
}

fn label(input: Tokens<'_>) -> Parsed<'_, String> {
    let (rest, name) = alt((ident, string)).parse(input)?;
    if name.is_empty() {
        return input.fail("in grouping opts, expected a label name");
    }
    Ok((rest, name))
}

fn unary(input: Tokens<'_>) -> Parsed<'_, Tree> {
    let negative = match input.first().kind {
        TokenKind::Sign(Sign::Sub) => true,
        TokenKind::Sign(Sign::Add) => false,
        _ => return postfix(input),
    };
    let start = input.span().start;
    let (rest, _) = any(input)?;
    let (rest, operand) = expression(rest, POWER)?;
    match operand.expr.kind {
        ExprKind::Number(value) => {
            node(rest, start, ExprKind::Number(if negative { -value } else { value }), operand.height - 1)
        }
        ExprKind::Duration(Millis(ms)) => {
            node(rest, start, ExprKind::Duration(Millis(if negative { -ms } else { ms })), operand.height - 1)
        }
        _ => node(rest, start, ExprKind::Unary { negative, expr: operand.expr }, operand.height),
    }
}

/// What has been written behind an operand, as each modifier may stand but once.
#[derive(Default)]
struct Written {
    offset: bool,
    at: bool,
}

fn postfix(input: Tokens<'_>) -> Parsed<'_, Tree> {
    let start = input.span().start;
    let (mut rest, mut tree) = primary(input)?;
    let mut written = Written::default();
    loop {
        (rest, tree) = match &rest.first().kind {
            TokenKind::Sign(Sign::LeftBracket) => bracket(rest, start, tree, &mut written)?,
            TokenKind::Sign(Sign::At) => at_modifier(rest, start, tree, &mut written)?,
            TokenKind::Ident(word) if word.eq_ignore_ascii_case("offset") => {
                offset_modifier(rest, start, tree, &mut written)?
            }
            TokenKind::Ident(word) if word.eq_ignore_ascii_case("anchored") => {
                edges(rest, start, tree, Edges::Anchored)?
            }
            TokenKind::Ident(word) if word.eq_ignore_ascii_case("smoothed") => {
                edges(rest, start, tree, Edges::Smoothed)?
            }
            _ => return Ok((rest, tree)),
        };
    }
}

fn bracket<'a>(input: Tokens<'a>, start: usize, tree: Tree, written: &mut Written) -> Parsed<'a, Tree> {
    let (rest, open) = any(input)?;
    let (rest, length) = duration::positive(rest)?;
    if rest.first().kind == TokenKind::Sign(Sign::Colon) {
        *written = Written::default();
        return subquery(rest, start, tree, length);
    }
    let (rest, ()) = close_bracket(rest)?;
    let span = Span { start: open.span.start, end: rest.since(start).end };
    match tree.expr.kind {
        _ if written.offset => refuse(span, "no offset modifiers allowed before range"),
        _ if written.at => refuse(span, "no @ modifiers allowed before range"),
        ExprKind::Selector(mut selector) => {
            note_computed(&mut selector.computed, |computed| &mut computed.range, length.written);
            node(rest, start, ExprKind::Range { selector, range: length.millis }, 0)
        }
        _ => {
            let fault = Fault::new(span, "ranges only allowed for vector selectors");
            Err(nom::Err::Failure(fault.hint("a range over an expression is a subquery: write [5m:] or [5m:1m]")))
        }
    }
}

/// From the colon on.
fn subquery<'a>(input: Tokens<'a>, start: usize, tree: Tree, range: duration::Length) -> Parsed<'a, Tree> {
    let (rest, _) = any(input)?;
    let mut computed = None;
    note_computed(&mut computed, |computed| &mut computed.range, range.written);
    let (rest, step) = match rest.first().kind {
        TokenKind::Sign(Sign::RightBracket) => (rest, None),
        _ => {
            let (rest, step) = duration::positive(rest)?;
            note_computed(&mut computed, |computed| &mut computed.step, step.written);
            (rest, Some(step.millis))
        }
    };
    let (rest, ()) = close_bracket(rest)?;
    let expr = tree.expr;
    let kind = ExprKind::Subquery { expr, range: range.millis, step, shift: Shift::default(), computed };
    node(rest, start, kind, tree.height)
}

fn close_bracket(input: Tokens<'_>) -> Parsed<'_, ()> {
    match input.first().kind {
        TokenKind::Sign(Sign::RightBracket) => any(input).map(|(rest, _)| (rest, ())),
        _ => input.fail("in subquery or range selector, expected \":\" or \"]\""),
    }
}

/// Keeps arithmetic, so that it prints as it was written.
fn note_computed(
    computed: &mut Option<Box<Computed>>,
    field: impl Fn(&mut Computed) -> &mut Option<DurationExpr>,
    written: Option<DurationExpr>,
) {
    if let Some(written) = written {
        *field(computed.get_or_insert_default()) = Some(written);
    }
}

fn edges<'a>(input: Tokens<'a>, start: usize, mut tree: Tree, edges: Edges) -> Parsed<'a, Tree> {
    let (rest, _) = any(input)?;
    let word = edges.as_str();
    match &mut tree.expr.kind {
        ExprKind::Selector(selector) | ExprKind::Range { selector, .. } => {
            if selector.edges != Edges::Plain && selector.edges != edges {
                return refuse(tree.expr.span, "anchored and smoothed modifiers cannot be used together");
            }
            selector.edges = edges;
        }
        ExprKind::Subquery { .. } => {
            let fault = Fault::new(tree.expr.span, format!("{word} modifier is not supported for subqueries"));
            return Err(nom::Err::Failure(fault.hint("put it behind the selector inside")));
        }
        _ => return refuse(tree.expr.span, format!("{word} modifier not implemented")),
    }
    tree.expr.span = rest.since(start);
    Ok((rest, tree))
}

/// The shift of a node that may have one.
fn shift_of(expr: &mut Expr) -> Option<(&mut Shift, &mut Option<Box<Computed>>)> {
    match &mut expr.kind {
        ExprKind::Selector(selector) | ExprKind::Range { selector, .. } => {
            Some((&mut selector.shift, &mut selector.computed))
        }
        ExprKind::Subquery { shift, computed, .. } => Some((shift, computed)),
        _ => None,
    }
}

const SHIFTED: &str = "must be preceded by an instant vector selector or range vector selector or a subquery";

fn offset_modifier<'a>(input: Tokens<'a>, start: usize, mut tree: Tree, written: &mut Written) -> Parsed<'a, Tree> {
    let (rest, _) = any(input)?;
    let (rest, offset) = duration::offset(rest)?;
    let span = rest.since(start);
    let Some((shift, computed)) = shift_of(&mut tree.expr) else {
        return refuse(span, format!("offset modifier {SHIFTED}"));
    };
    if written.offset {
        return refuse(span, "offset may not be set multiple times");
    }
    written.offset = true;
    shift.offset = offset.millis;
    note_computed(computed, |computed| &mut computed.offset, offset.written);
    tree.expr.span = span;
    Ok((rest, tree))
}

fn at_modifier<'a>(input: Tokens<'a>, start: usize, mut tree: Tree, written: &mut Written) -> Parsed<'a, Tree> {
    let (rest, _) = any(input)?;
    let (rest, at) = instant(rest)?;
    let span = rest.since(start);
    let Some((shift, _)) = shift_of(&mut tree.expr) else {
        return refuse(span, format!("@ modifier {SHIFTED}"));
    };
    if written.at {
        return refuse(span, "@ <timestamp> may not be set multiple times");
    }
    written.at = true;
    shift.at = Some(at);
    tree.expr.span = span;
    Ok((rest, tree))
}

fn instant(input: Tokens<'_>) -> Parsed<'_, At> {
    if let (TokenKind::Ident(word), TokenKind::Sign(Sign::LeftParen)) = (&input.first().kind, &input.second().kind) {
        let at = match word.to_ascii_lowercase().as_str() {
            "start" => At::Start,
            "end" => At::End,
            _ => return input.fail("in @, expected a timestamp, start() or end()"),
        };
        let (rest, _) = any(any(input)?.0)?;
        let (rest, _) = sign(Sign::RightParen, "in @")(rest)?;
        return Ok((rest, at));
    }
    let start = input.span().start;
    let (rest, negative) = match input.first().kind {
        TokenKind::Sign(Sign::Sub) => (any(input)?.0, true),
        TokenKind::Sign(Sign::Add) => (any(input)?.0, false),
        _ => (input, false),
    };
    let Some(seconds) = number_token(rest) else {
        return rest.fail("in @, expected a timestamp, start() or end()");
    };
    let (rest, _) = any(rest)?;
    let seconds = if negative { -seconds } else { seconds };
    // Half of the range keeps every sum of times exact.
    if seconds.is_nan() || seconds.abs() > (i64::MAX / 2000) as f64 {
        return refuse(rest.since(start), format!("timestamp out of bounds for @ modifier: {seconds}"));
    }
    Ok((rest, At::Time(Timestamp::from_seconds(seconds))))
}

fn number_word(word: &str) -> Option<f64> {
    match word.to_ascii_lowercase().as_str() {
        "inf" => Some(f64::INFINITY),
        "nan" => Some(f64::NAN),
        _ => None,
    }
}

fn primary(input: Tokens<'_>) -> Parsed<'_, Tree> {
    let start = input.span().start;
    let leaf = |kind| any(input).and_then(|(rest, _)| node(rest, start, kind, 0));
    match &input.first().kind {
        TokenKind::Number(value) => leaf(ExprKind::Number(*value)),
        TokenKind::Duration(duration) => leaf(ExprKind::Duration(*duration)),
        TokenKind::Text(text) => leaf(ExprKind::String(text.clone())),
        TokenKind::Sign(Sign::LeftParen) => paren(input),
        TokenKind::Sign(Sign::LeftBrace) => select(input),
        TokenKind::Ident(word) => match number_word(word) {
            Some(value) => leaf(ExprKind::Number(value)),
            None => named(input, word),
        },
        _ => input.fail("here, expected an expression"),
    }
}

fn paren(input: Tokens<'_>) -> Parsed<'_, Tree> {
    let start = input.span().start;
    let (rest, _) = any(input)?;
    let (rest, tree) = expression(rest, 0)?;
    let (rest, ()) = close_paren(rest)?;
    node(rest, start, ExprKind::Paren(tree.expr), tree.height)
}

fn close_paren(input: Tokens<'_>) -> Parsed<'_, ()> {
    match input.first().kind {
        TokenKind::Sign(Sign::RightParen) => any(input).map(|(rest, _)| (rest, ())),
        TokenKind::End => {
            let fault = Fault::new(input.span(), "unclosed left parenthesis");
            Err(nom::Err::Failure(fault.hint("add the missing \")\"")))
        }
        _ => input.fail("here, expected \")\""),
    }
}

fn select(input: Tokens<'_>) -> Parsed<'_, Tree> {
    let start = input.span().start;
    let (rest, (name, matchers)) = selector(input)?;
    let (shift, edges) = Default::default();
    node(rest, start, ExprKind::Selector(Selector { name, matchers, shift, edges, computed: None }), 0)
}

/// Words that begin no selector: they would make an operator ambiguous.
const RESERVED: [&str; 6] = ["bool", "on", "ignoring", "group_left", "group_right", "atan2"];

fn named<'a>(input: Tokens<'a>, word: &str) -> Parsed<'a, Tree> {
    let opens = input.second().kind == TokenKind::Sign(Sign::LeftParen);
    let groups = matches!(&input.second().kind, TokenKind::Ident(next)
        if next.eq_ignore_ascii_case("by") || next.eq_ignore_ascii_case("without"));
    if let Some(op) = AggregateOp::ALL.iter().find(|op| word.eq_ignore_ascii_case(op.as_str()))
        && (opens || groups)
    {
        return aggregate(input, *op);
    }
    if RESERVED.iter().any(|reserved| word.eq_ignore_ascii_case(reserved)) {
        return input.fail("here, expected an expression");
    }
    if opens { call(input, word) } else { select(input) }
}

fn aggregate(input: Tokens<'_>, op: AggregateOp) -> Parsed<'_, Tree> {
    let start = input.span().start;
    let (rest, _) = any(input)?;
    let grouping = || {
        let by = preceded(keyword("by"), grouping_labels).map(Grouping::By);
        let without = preceded(keyword("without"), grouping_labels).map(Grouping::Without);
        opt(alt((by, without)))
    };
    let (rest, before) = grouping().parse(rest)?;
    if rest.first().kind != TokenKind::Sign(Sign::LeftParen) {
        return rest.fail("in aggregation, expected \"(\"");
    }
    let (rest, (mut args, height)) = arguments(rest)?;
    let (rest, after) = if before.is_none() { grouping().parse(rest)? } else { (rest, None) };
    let wanted = if op.takes_parameter() { 2 } else { 1 };
    let span = rest.since(start);
    if args.is_empty() {
        return refuse(span, "no arguments for aggregate expression provided");
    }
    if args.len() != wanted {
        let got = args.len();
        let message =
            format!("wrong number of arguments for aggregate expression provided, expected {wanted}, got {got}");
        return refuse(span, message);
    }
    let Some(expr) = args.pop() else {
        return refuse(span, "no arguments for aggregate expression provided");
    };
    let grouping = before.or(after).unwrap_or(Grouping::By(Vec::new()));
    let aggregate = Aggregate { op, param: args.pop(), expr, grouping };
    node(rest, start, ExprKind::Aggregate(Box::new(aggregate)), height)
}

fn grouping_labels(input: Tokens<'_>) -> Parsed<'_, Vec<String>> {
    labels(input).map_err(|error| match error {
        nom::Err::Error(fault) => nom::Err::Failure(fault),
        other => other,
    })
}

/// `(a, b)`: the expressions and the greatest height among them.
fn arguments(input: Tokens<'_>) -> Parsed<'_, (Vec<Expr>, usize)> {
    let (mut rest, _) = any(input)?;
    let (mut args, mut height) = (Vec::new(), 0);
    if rest.first().kind == TokenKind::Sign(Sign::RightParen) {
        return any(rest).map(|(rest, _)| (rest, (args, height)));
    }
    loop {
        let (after, tree) = expression(rest, 0)?;
        height = height.max(tree.height);
        args.push(*tree.expr);
        match after.first().kind {
            TokenKind::Sign(Sign::Comma) => rest = any(after)?.0,
            _ => {
                let (after, ()) = close_paren(after)?;
                return Ok((after, (args, height)));
            }
        }
        if rest.first().kind == TokenKind::Sign(Sign::RightParen) {
            return refuse(rest.span(), "trailing commas not allowed in function call args");
        }
    }
}

/// The words that also stand in durations are keywords, in whatever case.
fn function_named(word: &str) -> Option<Function> {
    use Function::{End, MaxOf, MinOf, Range, Start, Step};
    let keyword = |function: &Function| matches!(function, End | MaxOf | MinOf | Range | Start | Step);
    Function::ALL
        .iter()
        .copied()
        .find(|function| function.name() == word || keyword(function) && function.name().eq_ignore_ascii_case(word))
}

fn call<'a>(input: Tokens<'a>, word: &str) -> Parsed<'a, Tree> {
    let start = input.span().start;
    let (rest, name) = any(input)?;
    let Some(function) = function_named(word) else {
        let fault = Fault::new(name.span, format!("unknown function with name {}", quote(word)));
        let lower = word.to_ascii_lowercase();
        let known = Function::ALL.iter().any(|function| function.name() == lower);
        let hint =
            if known { "function names are in lower case" } else { "see the list of functions in the documentation" };
        return Err(nom::Err::Failure(fault.hint(hint)));
    };
    let (rest, (args, height)) = arguments(rest)?;
    node(rest, start, ExprKind::Call { function, args }, height)
}
