//! An expression as the JSON tree of `parse_query`.
//!
//! Invariants:
//! - Every node has the keys that Prometheus gives it, in its own words, so that its pages can show it.

use serde_json::{Value, json};

use crate::model::{MatchOp, Matcher};
use crate::promql::{
    Aggregate, At, Binary, Edges, Expr, ExprKind, Function, Group, Grouping, MatchLabels, Selector, Shift, ValueType,
};

use crate::server::number::push_plain;

/// The tree of an expression; `text` is what it was read from.
pub(super) fn tree(expr: &Expr, text: &str) -> Value {
    match &expr.kind {
        ExprKind::Number(value) => number(*value),
        ExprKind::Duration(value) => number(value.as_seconds()),
        ExprKind::String(text) => json!({"type": "stringLiteral", "val": text}),
        ExprKind::Selector(selector) => {
            let mut node = series(selector);
            node["type"] = json!("vectorSelector");
            node
        }
        ExprKind::Range { selector, range } => {
            let mut node = series(selector);
            node["type"] = json!("matrixSelector");
            node["range"] = json!(range.0);
            node
        }
        ExprKind::Subquery { expr, range, step, shift, .. } => {
            let (timestamp, start_or_end) = anchor(shift);
            json!({
                "type": "subquery",
                "expr": tree(expr, text),
                "range": range.0,
                "step": step.map_or(0, |step| step.0),
                "offset": shift.offset.0,
                "timestamp": timestamp,
                "startOrEnd": start_or_end,
            })
        }
        ExprKind::Paren(inner) => json!({"type": "parenExpr", "expr": tree(inner, text)}),
        ExprKind::Unary { negative, expr } => unary(*negative, expr, text),
        ExprKind::Binary(binary) => operation(binary, text),
        ExprKind::Aggregate(aggregate) => aggregation(aggregate, text),
        ExprKind::Call { function, args } => json!({
            "type": "call",
            "func": signature(*function),
            "args": args.iter().map(|arg| tree(arg, text)).collect::<Vec<_>>(),
        }),
    }
}

fn number(value: f64) -> Value {
    let mut out = String::new();
    push_plain(&mut out, value);
    json!({"type": "numberLiteral", "val": out})
}

/// A signed number is a number.
fn unary(negative: bool, expr: &Expr, text: &str) -> Value {
    match &expr.kind {
        ExprKind::Number(value) => number(if negative { -value } else { *value }),
        _ => json!({"type": "unaryExpr", "op": if negative { "-" } else { "+" }, "expr": tree(expr, text)}),
    }
}

/// What selectors of instants and of ranges have in common.
fn series(selector: &Selector) -> Value {
    // A name inside the braces is a matcher only.
    let name = selector.matchers.first().filter(|_| selector.name.is_some());
    // A name before the braces comes last, as in Prometheus.
    let others = selector.matchers.iter().filter(|m| name.is_none_or(|name| !std::ptr::eq(*m, name)));
    let matcher = |m: &Matcher| {
        let op = match m.op() {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Match => "=~",
            MatchOp::NotMatch => "!~",
        };
        json!({"name": m.name(), "type": op, "value": m.value()})
    };
    let (timestamp, start_or_end) = anchor(&selector.shift);
    json!({
        "name": name.map_or("", |name| name.value()),
        "matchers": others.chain(name).map(matcher).collect::<Vec<_>>(),
        "offset": selector.shift.offset.0,
        "timestamp": timestamp,
        "startOrEnd": start_or_end,
        "anchored": selector.edges == Edges::Anchored,
        "smoothed": selector.edges == Edges::Smoothed,
    })
}

/// The fixed instant of a shift, as a time or as a word.
fn anchor(shift: &Shift) -> (Value, Value) {
    match shift.at {
        None => (Value::Null, Value::Null),
        Some(At::Time(at)) => (json!(at.0), Value::Null),
        Some(At::Start) => (Value::Null, json!("start")),
        Some(At::End) => (Value::Null, json!("end")),
    }
}

fn operation(binary: &Binary, text: &str) -> Value {
    let vectors = binary.lhs.value_type() == ValueType::Vector && binary.rhs.value_type() == ValueType::Vector;
    json!({
        "type": "binaryExpr",
        "op": binary.op.as_str(),
        "lhs": tree(&binary.lhs, text),
        "rhs": tree(&binary.rhs, text),
        "bool": binary.returns_bool,
        "matching": vectors.then(|| matching(binary)),
    })
}

fn matching(binary: &Binary) -> Value {
    let (on, labels) = match &binary.matching.labels {
        MatchLabels::On(labels) => (true, labels),
        MatchLabels::Ignoring(labels) => (false, labels),
    };
    let none = Vec::new();
    let (card, include) = match &binary.matching.group {
        Group::OneToOne if binary.op.is_set() => ("many-to-many", &none),
        Group::OneToOne => ("one-to-one", &none),
        Group::Left(include) => ("many-to-one", include),
        Group::Right(include) => ("one-to-many", include),
    };
    let side = |value: Option<f64>| {
        value.map(|value| {
            let mut out = String::new();
            push_plain(&mut out, value);
            out
        })
    };
    let fill = json!({"lhs": side(binary.fill.left), "rhs": side(binary.fill.right)});
    json!({"card": card, "on": on, "labels": labels, "include": include, "fillValues": fill})
}

fn aggregation(aggregate: &Aggregate, text: &str) -> Value {
    let (grouping, without) = match &aggregate.grouping {
        Grouping::By(labels) => (labels, false),
        Grouping::Without(labels) => (labels, true),
    };
    json!({
        "type": "aggregation",
        "op": aggregate.op.as_str(),
        "expr": tree(&aggregate.expr, text),
        "param": aggregate.param.as_ref().map(|param| tree(param, text)),
        "grouping": grouping,
        "without": without,
    })
}

fn signature(function: Function) -> Value {
    // Any number of arguments is -1; of an argument that may be repeated so often one is listed.
    let variadic = i64::try_from(function.optional()).unwrap_or(-1);
    let listed = match function.optional() {
        0 | usize::MAX => function.args().len(),
        optional => function.args().len() - optional + 1,
    };
    json!({
        "name": function.name(),
        "argTypes": function.args().iter().take(listed).map(|kind| word(*kind)).collect::<Vec<_>>(),
        "variadic": variadic,
        "returnType": word(function.result()),
    })
}

fn word(kind: ValueType) -> &'static str {
    match kind {
        ValueType::Scalar => "scalar",
        ValueType::String => "string",
        ValueType::Vector => "vector",
        ValueType::Matrix => "matrix",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::parse;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let expected: Value = serde_json::from_str(expected).unwrap();
        assert_eq!(tree(&parse(text).unwrap(), text), expected, "{text}");
    }

    const UP: &str = r#"{"type":"vectorSelector","name":"up","offset":0,"timestamp":null,"startOrEnd":null,
        "anchored":false,"smoothed":false,"matchers":[{"name":"__name__","type":"=","value":"up"}]}"#;

    #[test]
    fn trees_have_prometheus_own_shape() {
        check("up", UP);
        check("-1.5", r#"{"type":"numberLiteral","val":"-1.5"}"#);
        check("Inf", r#"{"type":"numberLiteral","val":"+Inf"}"#);
        check("1e30", r#"{"type":"numberLiteral","val":"1000000000000000000000000000000"}"#);
        check("'s'", r#"{"type":"stringLiteral","val":"s"}"#);
        check("-(up)", &format!(r#"{{"type":"unaryExpr","op":"-","expr":{{"type":"parenExpr","expr":{UP}}}}}"#));
        check(
            r#"rate(up{b=~"c"}[5m] @ start() offset -1h)"#,
            r#"{"type":"call","func":{"name":"rate","argTypes":["matrix"],"variadic":0,"returnType":"vector"},"args":[
                {"type":"matrixSelector","name":"up","range":300000,"offset":-3600000,"timestamp":null,
                 "startOrEnd":"start","anchored":false,"smoothed":false,
                 "matchers":[{"name":"b","type":"=~","value":"c"},{"name":"__name__","type":"=","value":"up"}]}]}"#,
        );
        check(
            r#"{"a.b", c!="d"} @ 10"#,
            r#"{"type":"vectorSelector","name":"","offset":0,"timestamp":10000,"startOrEnd":null,
                "anchored":false,"smoothed":false,
                "matchers":[{"name":"__name__","type":"=","value":"a.b"},{"name":"c","type":"!=","value":"d"}]}"#,
        );
        check(
            "max_over_time(up[5m:])",
            &format!(
                r#"{{"type":"call","func":{{"name":"max_over_time","argTypes":["matrix"],"variadic":0,
                "returnType":"vector"}},"args":[{{"type":"subquery","expr":{UP},"range":300000,"step":0,"offset":0,
                "timestamp":null,"startOrEnd":null}}]}}"#
            ),
        );
    }

    #[test]
    fn operators_say_how_series_are_paired() {
        let of = |text: &str| tree(&parse(text).unwrap(), text);
        let pairing = |text: &str| of(text)["matching"].to_string();
        let fill = r#""fillValues":{"lhs":null,"rhs":null},"include""#;
        assert_eq!(
            pairing("up * on(x) group_left(y) up"),
            format!(r#"{{"card":"many-to-one",{fill}:["y"],"labels":["x"],"on":true}}"#)
        );
        assert_eq!(pairing("up and up"), format!(r#"{{"card":"many-to-many",{fill}:[],"labels":[],"on":false}}"#));
        assert_eq!(pairing("1 + 2"), "null");
        assert_eq!(pairing("up > bool 1"), "null");
        assert_eq!(of("up > bool 1")["bool"], json!(true));
        let top = of("topk without (a) (3, up)");
        assert_eq!(
            (&top["op"], &top["param"]["val"], &top["without"], &top["grouping"]),
            (&json!("topk"), &json!("3"), &json!(true), &json!(["a"]))
        );
        assert_eq!(of("sum(up)")["param"], Value::Null);
        assert_eq!(of("label_join(up, 'a', 'b', 'c')")["func"]["variadic"], json!(-1));
        assert_eq!(of("round(up)")["func"]["variadic"], json!(1));
    }
}
