//! The grammar, case by case, and the canonical text by random queries.

use proptest::prelude::*;

use super::*;
use crate::model::limits::{QUERY_BYTES_MAX, QUERY_DEPTH_MAX};
use crate::promql::ast::{ExprKind, Span};

/// The tree without its places, so that two texts of one tree compare equal.
fn bare(expr: &Expr) -> Expr {
    let mut expr = expr.clone();
    clear(&mut expr);
    expr
}

fn clear(expr: &mut Expr) {
    expr.span = Span::default();
    if let ExprKind::Selector(selector) | ExprKind::Range { selector, .. } = &mut expr.kind {
        // The canonical text sorts them.
        selector.matchers.sort_by_key(|matcher| (matcher.name() != "__name__", matcher.to_string()));
    }
    expr.children_mut().into_iter().for_each(clear);
}

#[test]
fn queries_print_in_canonical_form() {
    let check = |text: &str, canonical: &str| {
        let expr = parse(text).unwrap_or_else(|error| panic!("{text}: {error}\n{}", error.caret()));
        assert_eq!(expr.to_string(), canonical, "{text}");
        let again = parse(canonical).unwrap_or_else(|error| panic!("{canonical}: {error}\n{}", error.caret()));
        assert_eq!(bare(&again), bare(&expr), "{canonical}");
    };
    check("1", "1");
    check("-1", "-1");
    check("+1", "1");
    check("- - 1", "1");
    check("-1^2", "-1 ^ 2");
    check("+Inf", "+Inf");
    check("-Inf ^ 2", "-Inf ^ 2");
    check("-inf", "-Inf");
    check("0x1f", "31");
    check("5m", "5m");
    check("-1h30m", "-1h30m");
    check("90s", "1m30s");
    check("1e-7", "0.0000001");
    check("1e21", "1000000000000000000000");
    check("'a\\'b'", "\"a'b\"");
    check("foo", "foo");
    check("a:b", "a:b");
    check("{__name__=\"foo\"}", "{__name__=\"foo\"}");
    check("{a=\"b\", __name__=\"foo\"}", "{__name__=\"foo\",a=\"b\"}");
    check("{__name__=~\"foo.*\"}", "{__name__=~\"foo.*\"}");
    check("{\"http.x\", \"a.b\"!=\"c\"}", "{\"a.b\"!=\"c\",__name__=\"http.x\"}");
    check("{\"foo\"}", "{__name__=\"foo\"}");
    check("{\"on\"}", "{__name__=\"on\"}");
    check("foo{a='b',c!=\"d\",e=~`f`,g!~'h',}", "foo{a=\"b\",c!=\"d\",e=~\"f\",g!~\"h\"}");
    check("sum", "sum");
    check("offset", "offset");
    check("foo[5m]", "foo[5m]");
    check("foo[300]", "foo[5m]");
    check("foo[2m*(1+1.5)]", "foo[2m * (1 + 1.5)]");
    check("foo[(5m)]", "foo[5m]");
    check("foo[-5m+35m]", "foo[-5m + 35m]");
    check("foo[--5m]", "foo[5m]");
    check("foo[((1m+1))*2^2]", "foo[(1m + 1) * 2 ^ 2]");
    check("foo[STEP()+1]", "foo[step() + 1]");
    check("foo[min_of(step(), 1h)]", "foo[min_of(step(), 1h)]");
    check("foo[Max_Of(range()/2, 1h)%7]", "foo[max_of(range() / 2, 1h) % 7]");
    check("foo[2m:min_of(step(),1s)]", "foo[2m:min_of(step(), 1s)]");
    check("foo[1m+1m:1s+1s]", "foo[1m + 1m:1s + 1s]");
    check("foo offset (1+2)", "foo offset (1 + 2)");
    check("foo offset -(1m*2)", "foo offset -(1m * 2)");
    check("foo offset step()", "foo offset step()");
    check("foo offset -min_of(step(), 1s) ^ 0", "foo offset -min_of(step(), 1s) ^ 0");
    check("foo offset 100 + 2", "foo offset 1m40s + 2");
    check("foo[1m:] offset (1-2)", "foo[1m:] offset (1 - 2)");
    check("foo smoothed", "foo smoothed");
    check("foo @ 10 offset 5m smoothed", "foo @ 10.000 smoothed offset 5m");
    check("rate(foo[5m] ANCHORED)", "rate(foo[5m] anchored)");
    check("rate(foo[5m] offset 1m @ 3 smoothed)", "rate(foo[5m] smoothed @ 3.000 offset 1m)");
    check("rate(foo anchored [5m])", "rate(foo[5m] anchored)");
    check("anchored anchored", "anchored anchored");
    check("a + fill(0) b", "a + fill (0) b");
    check(
        "a + on(x) group_left fill_right(-1) fill_left(+Inf) b",
        "a + on (x) group_left () fill_left (+Inf) fill_right (-1) b",
    );
    check("a == bool fill_left(5m) b", "a == bool fill_left (300) b");
    check("fill + fill_left", "fill + fill_left");
    check("a </ 5 >/ b", "a </ 5 >/ b");
    check("limitk(2, a)", "limitk(2, a)");
    check("LIMIT_RATIO by (x) (-0.5, a)", "limit_ratio by (x) (-0.5, a)");
    check("info(a, {b=~\".*\"})", "info(a, {b=~\".*\"})");
    check("Step() + END()", "step() + end()");
    check("start{a=\"b\"} + step", "start{a=\"b\"} + step");
    check(
        "{\"a b\", \"c d\"=~\"e\"} + sum by (\"f g\") (h)",
        "{\"c d\"=~\"e\",__name__=\"a b\"} + sum by (\"f g\") (h)",
    );
    check("\"\\u200b\\a\\x01é\"", "\"\\u200b\\a\\x01é\"");
    check("foo offset 5m", "foo offset 5m");
    check("foo offset -5m", "foo offset -5m");
    check("foo @ 10 offset 5m", "foo @ 10.000 offset 5m");
    check("foo offset 5m @ start()", "foo @ start() offset 5m");
    check("foo[5m] @ END()", "foo[5m] @ end()");
    check("foo @ -1.5", "foo @ -1.500");
    check("foo[5m:]", "foo[5m:]");
    check("foo[5m:1m] offset 2m", "foo[5m:1m] offset 2m");
    check("rate(foo[5m])[1h:30s] @ 0", "rate(foo[5m])[1h:30s] @ 0.000");
    check("a+b*c^d", "a + b * c ^ d");
    check("a and b or c unless d", "a and b or c unless d");
    check("a AND ON (x) b", "a and on (x) b");
    check("a == bool b", "a == bool b");
    check("a / ignoring(x) group_left b", "a / ignoring (x) group_left () b");
    check("a * on(x, \"y.z\",) group_right(q) b", "a * on (x, \"y.z\") group_right (q) b");
    check("a + on() b", "a + on () b");
    check("a + ignoring() b", "a + b");
    check("a atan2 b", "a atan2 b");
    check("SUM(foo) BY (job)", "sum by (job) (foo)");
    check("sum without(a,b)(foo)", "sum without (a, b) (foo)");
    check("sum by () (foo)", "sum(foo)");
    check("topk(3, foo)", "topk(3, foo)");
    check("count_values by (a) (\"v\", foo)", "count_values by (a) (\"v\", foo)");
    check("time()", "time()");
    check("round(foo, 5)", "round(foo, 5)");
    check("label_join(foo, 'a', ',')", "label_join(foo, \"a\", \",\")");
    check("((foo))", "((foo))");
    check("-foo ^ 2", "-foo ^ 2");
    check("# nothing\nfoo # more\n", "foo");
    check("sum by (on, bool, group_left) (foo)", "sum by (on, bool, group_left) (foo)");
    check("foo{on=\"x\", inf=\"y\"}", "foo{inf=\"y\",on=\"x\"}");
}

#[test]
fn long_queries_are_broken_into_lines() {
    let check = |text: &str, expected: &str| assert_eq!(parse(text).unwrap().pretty(), expected, "{text}");
    check("sum  by(job)(rate(x[5m]))", "sum by (job) (rate(x[5m]))");
    let (long, other) = (format!("requests_{}", "a".repeat(60)), format!("errors_{}", "b".repeat(60)));
    check(
        &format!("sum(rate({long}[5m]))/on(x) group_left(y) -topk(3,{other})"),
        &format!("  sum(rate({long}[5m]))\n/ on (x) group_left (y)\n  -topk(3, {other})"),
    );
    check(
        &format!("clamp_max(({long} + {other}), 5m)"),
        &format!("clamp_max(\n  (\n      {long}\n    +\n      {other}\n  ),\n  5m\n)"),
    );
    check(
        &format!("topk without(a) (3, ({long} + {other})[5m:1m] offset 1m)",).replace("[5m:1m] offset 1m", ""),
        &format!("topk without (a) (\n  3,\n  (\n      {long}\n    +\n      {other}\n  )\n)"),
    );
    check(
        &format!("avg_over_time(({long} + {other})[5m:1m] offset 1m)"),
        &format!("avg_over_time(\n  (\n      {long}\n    +\n      {other}\n  )[5m:1m] offset 1m\n)"),
    );
}

#[test]
fn precedence_is_prometheus() {
    let check = |text: &str, grouped: &str| {
        let mut flat = bare(&parse(text).unwrap());
        let mut deep = bare(&parse(grouped).unwrap());
        for expr in [&mut flat, &mut deep] {
            *expr = strip(expr);
        }
        assert_eq!(flat, deep, "{text} is {grouped}");
    };
    check("a + b - c", "(a + b) - c");
    check("a ^ b ^ c", "a ^ (b ^ c)");
    check("-a ^ b", "-(a ^ b)");
    check("-a * b", "(-a) * b");
    check("a ^ -b ^ c", "a ^ (-(b ^ c))");
    check("a ^ -b * c", "(a ^ -b) * c");
    check("a or b and c", "a or (b and c)");
    check("a and b unless c", "(a and b) unless c");
    check("a == b + c", "a == (b + c)");
    check("a > b == c", "(a > b) == c");
    check("a atan2 b * c", "(a atan2 b) * c");
    check("a + b offset 5m", "a + (b offset 5m)");
}

/// The tree without its parentheses.
fn strip(expr: &Expr) -> Expr {
    let mut expr = expr.without_parens().clone();
    expr.children_mut().into_iter().for_each(|child| *child = strip(child));
    expr
}

#[test]
fn errors_name_the_place() {
    let check = |text: &str, expected: &str| match parse(text) {
        Ok(expr) => panic!("{text} reads as {expr}"),
        Err(error) => assert_eq!(error.to_string(), expected, "{text}"),
    };
    check("", "1:1: parse error: no expression found in input");
    check("# only a comment", "1:17: parse error: no expression found in input");
    check("foo{", "1:5: parse error: unexpected end of input in label matching, expected \",\" or \"}\"");
    check("foo{a}", "1:6: parse error: unexpected \"}\" in label matching, expected one of =, !=, =~, !~");
    check("foo{a=b}", "1:7: parse error: unexpected identifier \"b\" in label matching, expected a string");
    check("foo bar", "1:5: parse error: unexpected identifier \"bar\"");
    check("(foo", "1:5: parse error: unclosed left parenthesis");
    check("foo)", "1:4: parse error: unexpected \")\"");
    check("{}", "1:1: parse error: vector selector must contain at least one non-empty matcher");
    check("{a=~\".*\"}", "1:1: parse error: vector selector must contain at least one non-empty matcher");
    check("foo{__name__=\"bar\"}", "1:1: parse error: metric name must not be set twice: \"foo\" or \"bar\"");
    check("foo{\"bar\"}", "1:1: parse error: metric name must not be set twice: \"foo\" or \"bar\"");
    check("foo{,}", "1:5: parse error: unexpected \",\" in label matching, expected \",\" or \"}\"");
    check("sum by (,) (a)", "1:9: parse error: unexpected \",\" in grouping opts, expected \",\" or \")\"");
    check("1e309", "1:1: parse error: bad number or duration syntax: \"1e309\"");
    check("rate(foo)", "1:6: parse error: expected type range vector in call to function \"rate\", got instant vector");
    check("sum(foo[5m])", "1:5: parse error: expected type instant vector in aggregation expression, got range vector");
    check("abs(1)", "1:5: parse error: expected type instant vector in call to function \"abs\", got scalar");
    check("time(1)", "1:1: parse error: expected 0 argument(s) in call to \"time\", got 1");
    check("round()", "1:1: parse error: expected at least 1 argument(s) in call to \"round\", got 0");
    check("round(a, 1, 2)", "1:1: parse error: expected at most 2 argument(s) in call to \"round\", got 3");
    check("label_join(a, 'b')", "1:1: parse error: expected at least 3 argument(s) in call to \"label_join\", got 2");
    check("nope(1)", "1:1: parse error: unknown function with name \"nope\"");
    check("Rate(x[5m])", "1:1: parse error: unknown function with name \"Rate\"");
    check("1 > 2", "1:3: parse error: comparisons between scalars must use BOOL modifier");
    check("a + bool b", "1:3: parse error: bool modifier can only be used on comparison operators");
    check("a and 1", "1:3: parse error: set operator \"and\" not allowed in binary scalar expression");
    check("a and on(x) group_left b", "1:3: parse error: no grouping allowed for \"and\" operation");
    check("a * on(x) group_left(x) b", "1:3: parse error: label \"x\" must not occur in ON and GROUP clause at once");
    check("1 + on(x) 2", "1:3: parse error: vector matching only allowed between instant vectors");
    check("a[5m] + 1", "1:1: parse error: binary expression must contain only scalar and instant vector types");
    check(
        "-a[5m]",
        "1:1: parse error: unary expression only allowed on expressions of type scalar or instant vector, got \"range vector\"",
    );
    check("(a)[5m]", "1:4: parse error: ranges only allowed for vector selectors");
    check("a offset 1m [5m]", "1:13: parse error: no offset modifiers allowed before range");
    check("a @ 1 [5m]", "1:7: parse error: no @ modifiers allowed before range");
    check("a offset 1m offset 2m", "1:1: parse error: offset may not be set multiple times");
    check("a @ 1 @ 2", "1:1: parse error: @ <timestamp> may not be set multiple times");
    check(
        "(a) offset 1m",
        "1:1: parse error: offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
    );
    check("a @ inf", "1:5: parse error: timestamp out of bounds for @ modifier: inf");
    check("a[0s]", "1:3: parse error: duration must be greater than 0");
    check("a[5m:-1s]", "1:6: parse error: duration must be greater than 0");
    check("a[1/0]", "1:4: parse error: division by zero");
    check("1[5m:]", "1:1: parse error: subquery is only allowed on instant vector, got scalar instead");
    check(
        "topk(a)",
        "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 2, got 1",
    );
    check("sum()", "1:1: parse error: no arguments for aggregate expression provided");
    check("count_values(1, a)", "1:14: parse error: expected type string in aggregation parameter, got scalar");
    check("foo[step() / 0]", "1:12: parse error: division by zero");
    check("foo[1h % (1-1)]", "1:8: parse error: modulo by zero");
    check("foo[min_of(1, -1)]", "1:5: parse error: duration must be greater than 0");
    check("foo[min_of(1)]", "1:13: parse error: unexpected \")\" in duration, expected \",\"");
    check("foo[step]", "1:9: parse error: unexpected \"]\" in duration, expected \"(\"");
    check("foo[bar]", "1:5: parse error: unexpected identifier \"bar\" in duration, expected a duration such as 5m");
    check("foo offset 300y", "1:12: parse error: duration out of range");
    check("foo offset", "1:11: parse error: unexpected end of input in duration, expected a duration such as 5m");
    check("foo anchored smoothed", "1:1: parse error: anchored and smoothed modifiers cannot be used together");
    check("foo[5m:] anchored", "1:1: parse error: anchored modifier is not supported for subqueries");
    check("(a + b) smoothed", "1:1: parse error: smoothed modifier not implemented");
    check("a + fill(0) 1", "1:3: parse error: filling in missing series only allowed between instant vectors");
    check("a and fill(0) b", "1:3: parse error: filling in missing series not allowed for set operators");
    check("a + fill(b) c", "1:10: parse error: unexpected identifier \"b\" in fill, expected a number");
    check("a + fill(1 c", "1:12: parse error: unexpected identifier \"c\" in fill, expected \")\"");
    check("a + fill(1) fill_left(2) c", "1:13: parse error: a side may be filled only once");
    check("1 </ 2", "1:3: parse error: operator \"</\" not allowed for Scalar operations");
    check("info(a, b{c=\"d\"})", "1:9: parse error: expected label selectors only, got vector selector instead");
    check("info(a, sum(b))", "1:9: parse error: expected label selectors only, got instant vector instead");
    check("info(a, {b=\"c\"} offset 1m)", "1:9: parse error: expected label selectors only, got a modifier instead");
    check(
        "histogram_quantiles(a, \"q\")",
        "1:1: parse error: expected at least 3 argument(s) in call to \"histogram_quantiles\", got 2",
    );
    check(
        "histogram_quantiles(a, \"q\", 0,1,2,3,4,5,6,7,8,9,10)",
        "1:1: parse error: expected at most 12 argument(s) in call to \"histogram_quantiles\", got 13",
    );
    check("step(1)", "1:1: parse error: expected 0 argument(s) in call to \"step\", got 1");
    check(
        "limitk(1)",
        "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 2, got 1",
    );
    check(
        "sum by (a b) (c)",
        "1:11: parse error: unexpected identifier \"b\" in grouping opts, expected \",\" or \")\"",
    );
    check("a\n +\n  ]", "3:3: parse error: unexpected \"]\" here, expected an expression");
    check("1.5h", "1:1: parse error: bad number or duration syntax: \"1.5h\"");
    check("ä", "1:1: parse error: unexpected character: 'ä'");
    check("abs(a,)", "1:7: parse error: trailing commas not allowed in function call args");
    check("on(a)", "1:1: parse error: unexpected keyword on here, expected an expression");
    check("foo{a=~\"(\"}", "1:8: parse error: \"(\" is not a regular expression: unclosed group");
}

#[test]
fn the_caret_marks_the_place_and_hints() {
    let error = parse("sum(\n\trate(foo)\n)").unwrap_err();
    assert_eq!((error.line, error.column), (2, 7));
    assert_eq!(error.caret(), "\trate(foo)\n\t     ^^^\nhint: give the range of the window in brackets, as in x[5m]");
}

#[test]
fn selectors_stand_alone_for_match_parameters() {
    assert_eq!(parse_selector("foo{a=\"b\"}").unwrap().len(), 2);
    assert_eq!(parse_selector("{\"a.b\"}").unwrap().len(), 1);
    for bad in ["foo[5m]", "sum(foo)", "", "{}", "foo offset 1m"] {
        assert!(parse_selector(bad).is_err(), "{bad}");
    }
}

#[test]
fn deep_and_huge_queries_are_refused() {
    let nested = |n: usize| format!("{}a{}", "(".repeat(n), ")".repeat(n));
    assert!(parse(&nested(QUERY_DEPTH_MAX - 1)).is_ok());
    let cases = [
        nested(QUERY_DEPTH_MAX),
        nested(100_000),
        "-".repeat(100_000),
        "abs(".repeat(50_000),
        format!("a{}", " + a".repeat(50_000)),
        format!("a{}", " ^ a".repeat(50_000)),
        format!("a[{}", "(".repeat(100_000)),
        format!("a[{}", "2^".repeat(100_000)),
        format!("a[{}1]", "1+".repeat(50_000)),
        format!("a[{}1]", "-".repeat(100_000)),
        format!("a[{}1", "min_of(1,".repeat(20_000)),
        format!("a{}", "[5m:]".repeat(50_000)),
        format!("a + {}", "x".repeat(QUERY_BYTES_MAX)),
    ];
    for text in cases {
        let error = parse(&text).unwrap_err();
        assert!(error.message.contains("nested deeper") || error.message.contains("bytes long"), "{error}");
    }
}

/// Texts of random queries; most of them read, and those that do must print as they are.
fn random_query() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "1",
        "-0.5",
        "1e30",
        "NaN",
        "Inf",
        "-Inf",
        "foo",
        "foo{a=\"b\"}",
        "{\"x.y\", q!~\"a|b\"}",
        "foo offset 5m",
        "foo @ 3 offset -1h",
        "foo @ end()",
        "foo smoothed @ 3",
        "fill",
        "90s",
        "-1h",
        "rate(foo[step()*2+min_of(1m, range())] anchored offset -(step()))",
        "time()",
        "end()",
        "pi()",
        "rate(foo[5m])",
        "sum(bar)",
        "quantile_over_time(0.5, a[1h:5m] @ start())",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(5, 40, 3, |inner| {
        let op = prop::sample::select(vec![
            "+",
            "-",
            "*",
            "/",
            "%",
            "^",
            "atan2",
            "==",
            "!= bool",
            "> bool",
            "<=",
            "and",
            "or",
            "unless",
            "* on (a) group_left (b)",
            "/ ignoring (a) group_right",
            "+ on ()",
            "</",
            ">/",
            "+ fill (0)",
            "- ignoring (a) group_left () fill_left (-1) fill_right (NaN)",
        ]);
        let wrap = prop::sample::select(vec![
            "(_)",
            "-_",
            "+_",
            "sum(_)",
            "sum by (a, \"b.c\") (_)",
            "avg without () (_)",
            "topk(2, _)",
            "abs(_)",
            "vector(_)",
            "scalar(_)",
            "max_over_time(_[1h:1m])",
            "max_over_time(_[range():step() + 1] offset (1 - 5m))",
            "limitk(3, _)",
            "limit_ratio by (a) (-0.5, _)",
            "info(_, {\"q.r\"=~\".*\"})",
            "sort_by_label(_, \"a\", \"b\")",
            "label_replace(_, \"a\", \"$1\", \"b\", \"(.*)\")",
            "count_values(\"v\", _)",
            "round(_, 2)",
        ]);
        prop_oneof![
            (inner.clone(), op, inner.clone()).prop_map(|(lhs, op, rhs)| format!("{lhs} {op} {rhs}")),
            (wrap, inner).prop_map(|(wrap, inner)| wrap.replace('_', &inner)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn canonical_text_reads_back_as_the_same_tree(text in random_query()) {
        if let Ok(expr) = parse(&text) {
            let canonical = expr.to_string();
            let again = parse(&canonical).map_err(|error| TestCaseError::fail(format!("{text} -> {canonical}: {error}")))?;
            prop_assert_eq!(format!("{:?}", bare(&again)), format!("{:?}", bare(&expr)), "{} -> {}", text, &canonical);
            prop_assert_eq!(again.to_string(), canonical);
            let pretty = expr.pretty();
            let again = parse(&pretty).map_err(|error| TestCaseError::fail(format!("{pretty}: {error}")))?;
            prop_assert_eq!(format!("{:?}", bare(&again)), format!("{:?}", bare(&expr)), "{}", &pretty);
            prop_assert_eq!(again.pretty(), pretty);
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[a-z(){}\\[\\]0-9.:@,=~!<>+\"'`\\\\ #\n*/^%-]{0,60}") {
        if let Err(error) = parse(&text) {
            error.caret();
        }
    }
}
