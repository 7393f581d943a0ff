//! Random expressions: of every function, aggregation, operator and modifier, nearly all of them valid.

use evenkeel::env::Rng;
use evenkeel::promql::{AggregateOp, Function, ValueType};

use crate::series::{EVERY, FIRST, SCRAPES};
use crate::tree::{Kind, Node};

/// Metrics of numbers.
const NUMBERS: [&str; 16] = [
    "requests_total",
    "requests_total",
    "requests_total",
    "busy_seconds_total",
    "temperature",
    "temperature",
    "up",
    "odd",
    "odd",
    "duration_seconds_bucket",
    "duration_seconds_sum",
    "duration_seconds_count",
    "{\"my.metric\"}",
    "target_info",
    "mixed",
    "absent_metric",
];
/// Metrics of native histograms.
const NATIVE: [&str; 7] =
    ["latency_seconds", "latency_seconds", "latency_seconds", "latency_gauge", "size_bytes", "size_bytes", "mixed"];
/// Metrics that `info` may take its labels from, and classic histograms.
const CLASSIC: [&str; 3] = ["duration_seconds_bucket", "duration_seconds_bucket", "broken_bucket"];
const LABELS: [&str; 8] = ["job", "job", "instance", "instance", "code", "room", "kind", "le"];
const MATCHERS: [&str; 18] = [
    "job=\"api\"",
    "job=\"web\"",
    "job!=\"api\"",
    "job=~\"a.*\"",
    "job!~\"w.+\"",
    "instance=\"a:1\"",
    "instance!=\"a:1\"",
    "instance=~\".*2\"",
    "instance=~\"(a|b):.\"",
    "code=\"200\"",
    "code=~\"4..|5..\"",
    "code!=\"\"",
    "room=\"hall\"",
    "kind!~\"huge|tiny\"",
    "kind=~\"nan|inf\"",
    "le=\"+Inf\"",
    "\"label.one\"=\"ü\"",
    "missing=\"\"",
];
const NUMERALS: [&str; 20] = [
    "0", "1", "2", "3", "0.5", "-1", "10", "1e3", "0x1F", "1_000", "1m", "2.5", "-0.25", "NaN", "Inf", "-Inf", "1e-9",
    "0.9", "100", "5",
];
const DURATIONS: [&str; 12] = ["15s", "30s", "45s", "1m", "1m", "2m", "5m", "5m", "10m", "1m30s", "17s", "250ms"];
/// Durations that are written as arithmetic.
pub(crate) const COMPUTED: [&str; 12] = [
    "90",
    "1m * 2",
    "1m + 30s",
    "5m - 1m",
    "10m / 4",
    "7m % 4m",
    "2 ^ 7",
    "(1m + 15) * 2",
    "step() + 1m",
    "max_of(step(), 1m)",
    "min_of(10m, range() + 1m)",
    "-(-2m)",
];
const ARITHMETIC: [&str; 9] = ["+", "+", "-", "-", "*", "/", "%", "^", "atan2"];
const COMPARISONS: [&str; 6] = ["==", "!=", ">", "<", ">=", "<="];

/// What the samples of a vector are meant to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Numbers,
    Histograms,
}

/// Makes expressions.
pub(crate) struct Grammar {
    rng: Rng,
}

impl Grammar {
    /// From a seed.
    pub(crate) fn new(seed: u64) -> Grammar {
        Grammar { rng: Rng::new(seed ^ 0x6772_616d_6d61_7200) }
    }

    /// The next expression.
    pub(crate) fn expression(&mut self) -> Node {
        let depth = 1 + self.rng.below(3) as usize;
        match self.rng.below(100) {
            0..6 => self.scalar(depth),
            6..9 => self.matrix(depth, Of::Numbers),
            9..10 => Node::leaf(Kind::Text, self.pick(&["\"text\"", "'it\\'s'", "`raw\\n`", "\"\\u00fc\""])),
            10..18 => self.broken(depth),
            18..36 => self.vector(depth, Of::Histograms),
            _ => self.vector(depth, Of::Numbers),
        }
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.rng.below(list.len() as u64) as usize]
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.rng.below(100) < percent
    }

    fn scalar(&mut self, depth: usize) -> Node {
        let new = || Node::new(Kind::Scalar);
        match if depth == 0 { 0 } else { self.rng.below(12) } {
            0..6 => Node::leaf(Kind::Scalar, self.pick(&NUMERALS)),
            6 => Node::leaf(Kind::Scalar, self.pick(&["time()", "pi()", "start()", "end()", "step()", "range()"])),
            7 => new().text("scalar(").part(self.vector(depth - 1, Of::Numbers)).text(")"),
            8 => {
                let (name, a, b) = (self.pick(&["max_of(", "min_of("]), self.scalar(depth - 1), self.scalar(depth - 1));
                new().text(name).part(a).text(", ").part(b).text(")")
            }
            9 => {
                let (a, op, b) = (self.scalar(depth - 1), self.pick(&COMPARISONS), self.scalar(depth - 1));
                new().part(a).text(format!(" {op} bool ")).part(b)
            }
            10 => new().text("-").part(self.scalar(depth - 1)),
            _ => {
                let (a, op, b) = (self.scalar(depth - 1), self.pick(&ARITHMETIC), self.scalar(depth - 1));
                new().text("(").part(a).text(format!(" {op} ")).part(b).text(")")
            }
        }
    }

    fn selector(&mut self, of: Of) -> Node {
        let metric = match of {
            Of::Numbers => self.pick(&NUMBERS),
            Of::Histograms => self.pick(&NATIVE),
        };
        let metric = if self.chance(4) { self.pick(&["{__name__=~\"temp.*|up\"}", "{job=\"api\"}"]) } else { metric };
        let mut node = Node::new(Kind::Vector).text(metric);
        if !metric.starts_with('{') && self.chance(40) {
            let count = 1 + self.rng.below(2);
            let matchers: Vec<&str> = (0..count).map(|_| self.pick(&MATCHERS)).collect();
            node = node.optional(format!("{{{}}}", matchers.join(",")));
        }
        node
    }

    /// `offset` and `@`, in any order.
    fn shifts(&mut self, mut node: Node) -> Node {
        let at_first = self.chance(50);
        for at in [at_first, !at_first] {
            if at && self.chance(9) {
                let t = FIRST + self.rng.below((SCRAPES * EVERY) as u64) as i64;
                let fixed = format!(" @ {}.{:03}", t / 1000, t % 1000);
                let text = self.pick(&[fixed.as_str(), fixed.as_str(), " @ start()", " @ end()"]).to_owned();
                node = node.optional(text);
            }
            if !at && self.chance(16) {
                let sign = self.pick(&["", "", "", "-"]);
                let length = if self.chance(12) { format!("({})", self.pick(&COMPUTED)) } else { self.duration() };
                node = node.optional(format!(" offset {sign}{length}"));
            }
        }
        node
    }

    fn duration(&mut self) -> String {
        self.pick(&DURATIONS).to_owned()
    }

    fn length(&mut self) -> String {
        if self.chance(8) { self.pick(&COMPUTED).to_owned() } else { self.duration() }
    }

    fn matrix(&mut self, depth: usize, of: Of) -> Node {
        let node = if depth > 0 && self.chance(22) {
            let inner = self.vector(depth - 1, of);
            let step = if self.chance(60) { self.length() } else { String::new() };
            Node::new(Kind::Matrix).text("(").part(inner).text(format!(")[{}:{step}]", self.length()))
        } else {
            let selector = self.selector(of);
            let node = Node::new(Kind::Matrix).part(selector).text(format!("[{}]", self.length()));
            if self.chance(6) { node.optional(self.pick(&[" anchored", " smoothed"])) } else { node }
        };
        self.shifts(node)
    }

    fn vector(&mut self, depth: usize, of: Of) -> Node {
        let of = if self.chance(4) { self.pick(&[Of::Numbers, Of::Histograms]) } else { of };
        if depth == 0 {
            let node = self.selector(of);
            return self.shifts(node);
        }
        match self.rng.below(100) {
            0..10 => self.vector(0, of),
            10..50 => self.function(depth, of),
            50..70 => self.aggregation(depth, of),
            70..95 => self.binary(depth, of),
            95..98 => {
                let sign = self.pick(&["-", "+", "-"]);
                Node::new(Kind::Vector).text(sign).part(self.vector(depth - 1, of))
            }
            _ => Node::new(Kind::Vector).text("(").part(self.vector(depth - 1, of)).text(")"),
        }
    }

    /// A call that gives a vector of what is asked for, as far as that can be told.
    fn function(&mut self, depth: usize, of: Of) -> Node {
        use Function::{
            AvgOverTime, Delta, FirstOverTime, Idelta, Increase, Irate, LabelReplace, LastOverTime, Rate, SumOverTime,
        };
        if of == Of::Histograms {
            let kept = [
                Rate,
                Rate,
                Increase,
                Delta,
                Irate,
                Idelta,
                SumOverTime,
                AvgOverTime,
                LastOverTime,
                FirstOverTime,
                LabelReplace,
            ];
            let function = self.pick(&kept);
            return self.call(function, depth, Of::Histograms);
        }
        loop {
            let function = self.pick(Function::ALL);
            let of_histograms = match function.name() {
                "histogram_quantile" | "histogram_fraction" | "histogram_quantiles" => 50,
                name if name.starts_with("histogram_") => 92,
                _ => 6,
            };
            if function.result() == ValueType::Vector {
                let of = if self.chance(of_histograms) { Of::Histograms } else { Of::Numbers };
                return self.call(function, depth, of);
            }
        }
    }

    fn call(&mut self, function: Function, depth: usize, of: Of) -> Node {
        let repeated = function.optional() == usize::MAX;
        let most = function.args().len();
        let least = if repeated { most - 1 } else { most - function.optional() };
        let count = least + self.rng.below((most - least) as u64 + 1) as usize;
        let mut types = function.args()[..count].to_vec();
        if repeated && count == most && self.chance(40) {
            types.push(ValueType::String);
        }
        let mut node = Node::new(Kind::Vector).text(function.name()).text("(");
        for (i, kind) in types.into_iter().enumerate() {
            let argument = match kind {
                ValueType::Scalar => self.parameter(function, depth),
                ValueType::Vector if function == Function::Info && i == 1 => self.data_labels(),
                ValueType::Vector if function == Function::StartTimestamp => self.vector(0, of),
                ValueType::Vector => self.argument(function, depth - 1, of),
                ValueType::Matrix => self.matrix(depth - 1, of),
                ValueType::String => Node::leaf(Kind::Text, self.string(function, i)),
            };
            node = node.text(if i == 0 { "" } else { ", " }).part(argument);
        }
        node.text(")")
    }

    /// Quantiles of classic histograms want buckets.
    fn argument(&mut self, function: Function, depth: usize, of: Of) -> Node {
        let of_buckets = function.name().starts_with("histogram_") && of == Of::Numbers;
        if !of_buckets || self.chance(10) {
            return self.vector(depth, of);
        }
        let metric = self.pick(&CLASSIC);
        let selector = Node::leaf(Kind::Vector, metric);
        match self.rng.below(4) {
            0 => selector,
            1 => Node::new(Kind::Vector).text("sum by (le) (").part(selector).text(")"),
            2 => Node::new(Kind::Vector).text("rate(").part(selector).text("[5m])"),
            _ => Node::new(Kind::Vector).text("sum by (le, job) (rate(").part(selector).text("[5m]))"),
        }
    }

    fn parameter(&mut self, function: Function, depth: usize) -> Node {
        let usual: &[&str] = match function.name() {
            "double_exponential_smoothing" => &["0.1", "0.5", "0.9"],
            "histogram_quantile" | "histogram_quantiles" | "quantile_over_time" => {
                &["0", "0.1", "0.5", "0.5", "0.9", "0.99", "1", "-1", "2", "NaN"]
            }
            "histogram_fraction" => &["0", "-Inf", "+Inf", "0.5", "1", "-1", "0.3", "4"],
            "predict_linear" => &["0", "60", "3600", "-30", "1h"],
            "round" => &["1", "0.1", "5", "0", "-2"],
            "clamp" | "clamp_max" | "clamp_min" => &["0", "1", "-5", "10", "NaN", "100"],
            _ => &[],
        };
        if usual.is_empty() || self.chance(8) {
            return self.scalar(depth - 1);
        }
        Node::leaf(Kind::Scalar, self.pick(usual))
    }

    fn string(&mut self, function: Function, at: usize) -> &'static str {
        match (function, at) {
            (Function::LabelReplace, 1) => self.pick(&["\"job\"", "\"new\"", "\"__name__\"", "\"a.b\"", "\"code\""]),
            (Function::LabelReplace, 2) => {
                self.pick(&["\"$1\"", "\"x-$1-$2\"", "\"\"", "\"${n}!\"", "\"$0\"", "\"z\""])
            }
            (Function::LabelReplace, 3) => self.pick(&["\"job\"", "\"instance\"", "\"nothing\"", "\"__name__\""]),
            (Function::LabelReplace, _) => {
                self.pick(&["\"(.*)\"", "\"(.*):(.*)\"", "\"(?P<n>a).*\"", "\"\"", "\"a\"", "\".+\""])
            }
            (Function::LabelJoin, 1) => self.pick(&["\"new\"", "\"job\"", "\"__name__\""]),
            (Function::LabelJoin, 2) => self.pick(&["\"-\"", "\"\"", "\", \""]),
            (Function::HistogramQuantiles, _) => self.pick(&["\"q\"", "\"quantile\"", "\"job\""]),
            _ => self.pick(&["\"job\"", "\"instance\"", "\"code\"", "\"room\"", "\"kind\"", "\"nothing\""]),
        }
    }

    fn data_labels(&mut self) -> Node {
        let matchers = [
            "{version=~\".+\"}",
            "{zone=\"north\"}",
            "{version=\"1.2\"}",
            "{__name__=\"build_info\"}",
            "{__name__=~\".+_info\", version!=\"\"}",
            "{branch=\"none\"}",
            "{zone!=\"south\"}",
        ];
        // Not a vector that others may be put in place of.
        Node::leaf(Kind::Text, self.pick(&matchers))
    }

    fn aggregation(&mut self, depth: usize, of: Of) -> Node {
        use AggregateOp::{Avg, Count, CountValues, Group, LimitRatio, Limitk, Sum};
        let op = match of {
            Of::Numbers => self.pick(AggregateOp::ALL),
            Of::Histograms => self.pick(&[Sum, Sum, Sum, Avg, Avg, Limitk, LimitRatio, Count, Group, CountValues]),
        };
        let parameter = match op.as_str() {
            "topk" | "bottomk" | "limitk" => self.pick(&["1", "2", "3", "5", "0", "-1", "1.9"]),
            "quantile" => self.pick(&["0", "0.5", "0.9", "1", "1.5", "-1", "NaN"]),
            "limit_ratio" => self.pick(&["0.5", "-0.5", "1", "0", "0.1", "-0.9", "1.2", "-2"]),
            "count_values" => self.pick(&["\"value\"", "\"value\"", "\"job\"", "\"v.1\""]),
            _ => "",
        };
        let labels: Vec<&str> = (0..self.rng.below(3)).map(|_| self.pick(&LABELS)).collect();
        let grouping = match self.rng.below(10) {
            0..5 => format!(" by ({}) ", labels.join(", ")),
            5..8 => format!(" without ({}) ", labels.join(", ")),
            _ => String::new(),
        };
        let behind = self.chance(15);
        let mut node = Node::new(Kind::Vector).text(op.as_str());
        if !behind {
            node = node.optional(grouping.clone());
        }
        node = node.text("(");
        if op == CountValues {
            node = node.text(parameter).text(", ");
        } else if op.takes_parameter() {
            let parameter = if self.chance(92) { Node::leaf(Kind::Scalar, parameter) } else { self.scalar(depth - 1) };
            node = node.part(parameter).text(", ");
        }
        node = node.part(self.vector(depth - 1, of)).text(")");
        if behind { node.optional(grouping) } else { node }
    }

    fn binary(&mut self, depth: usize, of: Of) -> Node {
        match self.rng.below(10) {
            0..3 => self.with_scalar(depth, of),
            3 if of == Of::Histograms => self.trim(depth),
            _ => self.of_vectors(depth, of),
        }
    }

    fn with_scalar(&mut self, depth: usize, of: Of) -> Node {
        let (vector, scalar) = (self.vector(depth - 1, of), self.scalar(depth - 1));
        let op = match of {
            Of::Histograms => self.pick(&["*", "*", "/", "+", "=="]),
            Of::Numbers if self.chance(40) => self.pick(&COMPARISONS),
            Of::Numbers => self.pick(&ARITHMETIC),
        };
        let (a, b) = if self.chance(70) { (vector, scalar) } else { (scalar, vector) };
        let mut node = self.operand(a).text(format!(" {op} "));
        if COMPARISONS.contains(&op) && self.chance(25) {
            node = node.optional("bool ");
        }
        let b = self.operand(b);
        Node::new(Kind::Vector).part(node).part(b)
    }

    /// Most are in parentheses; the others show who binds tighter.
    fn operand(&mut self, node: Node) -> Node {
        let kind = Kind::Vector;
        if self.chance(70) { Node::new(kind).text("(").part(node).text(")") } else { Node::new(kind).part(node) }
    }

    fn trim(&mut self, depth: usize) -> Node {
        let (op, bound) = (self.pick(&["</", ">/"]), self.pick(&["0", "0.5", "1", "-0.5", "2.2", "+Inf"]));
        let vector = self.vector(depth - 1, Of::Histograms);
        self.operand(vector).text(format!(" {op} {bound}"))
    }

    fn of_vectors(&mut self, depth: usize, of: Of) -> Node {
        let (left, right) = match self.rng.below(10) {
            // The same series on both sides have partners for certain.
            0..4 => {
                let one = self.vector(depth - 1, of);
                (one.clone(), one)
            }
            4 if of == Of::Histograms => (self.vector(depth - 1, of), self.vector(depth - 1, Of::Numbers)),
            _ => (self.vector(depth - 1, of), self.vector(depth - 1, of)),
        };
        let set = self.chance(22);
        let op = match of {
            _ if set => self.pick(&["and", "or", "unless"]),
            Of::Histograms => self.pick(&["+", "+", "-", "==", "!=", "*"]),
            Of::Numbers if self.chance(30) => self.pick(&COMPARISONS),
            Of::Numbers => self.pick(&ARITHMETIC),
        };
        let mut node = Node::new(Kind::Vector).part(self.operand(left)).text(format!(" {op} "));
        if COMPARISONS.contains(&op) && self.chance(30) {
            node = node.optional("bool ");
        }
        node = self.matching(node, set);
        node.part(self.operand(right))
    }

    fn matching(&mut self, mut node: Node, set: bool) -> Node {
        let labels = self.pick(&["job, instance", "job, instance", "instance", "job", "", "code", "job, instance, le"]);
        let ignored = self.pick(&["code", "room", "room, code", "path, code", "kind", "le", "version, zone"]);
        match self.rng.below(10) {
            0..4 => node = node.optional(format!("on ({labels}) ")),
            4..6 => node = node.optional(format!("ignoring ({ignored}) ")),
            _ => return node,
        }
        if set {
            return node;
        }
        if self.chance(45) {
            let side = self.pick(&["group_left", "group_left", "group_right"]);
            let include = self.pick(&["", "", " ()", " (version)", " (code, path)", " (room)"]);
            node = node.optional(format!("{side}{include} "));
        }
        if self.chance(8) {
            node = node.optional(self.pick(&["fill (0) ", "fill_left (1) ", "fill_right (NaN) "]));
        }
        node
    }

    /// An expression with a fault: of its grammar, of its types, or one that only evaluation finds.
    fn broken(&mut self, depth: usize) -> Node {
        let vector = self.vector(depth - 1, Of::Numbers);
        let whole = [
            "sum(",
            "up{",
            "up{job=\"a\"",
            "rate(up)",
            "rate(up[])",
            "up[5m",
            "sum by job (up)",
            "{}",
            "{job=~\".*\"}",
            "up offset 5m offset 5m",
            "up @ 1 @ 2",
            "up[5m:1m:1s]",
            "up[-5m]",
            "1 == 2",
            "up and 1",
            "1 or 2",
            "\"a\" + 1",
            "up{job=~\"(\"}",
            "up{job==\"a\"}",
            "foo bar",
            "nope(up)",
            "up offset",
            "1 +",
            "up{__name__=\"x\"}",
            "topk(up)",
            "topk(1)",
            "1 + on (job) 2",
            "up and on (job) group_left up",
            "up + bool up",
            "rate(up[5m:])[1m]",
            "sum(up[5m])",
            "abs(1)",
            "scalar(1)",
            "vector(up)",
            "time(1)",
            "pi",
            "count_values(up)",
            "1m30",
            "5m1h",
            "0x",
            "up[5m] offset 1",
            "label_replace(up)",
            "absent()",
            "round(up, up)",
            "up ? up",
            "'open",
            "up # comment",
            "# only a comment",
            "",
            "quantile(up, up)",
            "up > bool",
            "sum()(up)",
            "a b c",
            "1..2",
            "up{job=\"a\" job=\"b\"}",
            "up[1m] + 1",
            "-\"a\"",
            "by (job) sum(up)",
            "up{\"a.b\"}",
            "{\"a\", \"b\"}",
            "1 and bool 2",
            "info(up, up)",
        ];
        let around = [
            ("label_replace(", ", \"x\", \"$1\", \"job\", \"(\")"),
            ("label_replace(", ", \"\", \"$1\", \"job\", \"(.*)\")"),
            ("label_replace(", ", \"job\", \"same\", \"job\", \".*\")"),
            ("label_join(", ", \"\\xff\", \"-\", \"job\")"),
            ("count_values(\"\", ", ")"),
            ("topk(NaN, ", ")"),
            ("limitk(1e30, ", ")"),
            ("limit_ratio(NaN, ", ")"),
            ("double_exponential_smoothing((", ")[5m:1m], 1, 2)"),
            ("rate(", ")"),
            ("sum(", ", 1)"),
            ("(", ") + on () (up)"),
            ("(", ") * on (job) up"),
            ("(", ") + ignoring (instance) group_left () up"),
            ("(", ") == bool on (job) group_left () (up or temperature)"),
            ("(", ")[0s:1m]"),
            ("{__name__=~\".+\"} * ", ""),
            ("sum_over_time((", ")[5m:0s])"),
            ("(", ""),
            ("", ")"),
        ];
        if self.chance(50) {
            return Node::leaf(Kind::Vector, self.pick(&whole));
        }
        let (before, behind) = self.pick(&around);
        Node::new(Kind::Vector).text(before).part(vector).text(behind)
    }
}
