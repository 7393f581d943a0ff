//! Random expressions that the rules follow.

use evenkeel::env::Rng;

/// Writes expressions by a small grammar.
pub(super) struct Grammar {
    pub(super) rng: Rng,
}

impl Grammar {
    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.rng.below(choices.len() as u64) as usize]
    }

    fn selector(&mut self) -> String {
        let metric = self.pick(&["c", "d", "g", "h", "k", "l"]);
        let matchers = self.pick(&["", "", "{job=\"a\"}", "{i=~\"1|2\"}", "{i!=\"1\",job=\"b\"}", "{job=\"none\"}"]);
        format!("{metric}{matchers}")
    }

    fn offset(&mut self) -> &'static str {
        self.pick(&["", "", "", " offset 7s", " offset 1m"])
    }

    fn window(&mut self) -> String {
        let function = self.pick(&[
            "rate",
            "rate",
            "increase",
            "delta",
            "irate",
            "idelta",
            "deriv",
            "changes",
            "resets",
            "sum_over_time",
            "avg_over_time",
            "min_over_time",
            "max_over_time",
            "count_over_time",
            "stddev_over_time",
            "last_over_time",
            "present_over_time",
            "quantile_over_time",
            "predict_linear",
        ]);
        let (selector, range, offset) = (self.selector(), self.pick(&["31s", "1m", "2m", "5m"]), self.offset());
        match function {
            "quantile_over_time" => format!("quantile_over_time(0.7, {selector}[{range}]{offset})"),
            "predict_linear" => format!("predict_linear({selector}[{range}]{offset}, 90)"),
            _ => format!("{function}({selector}[{range}]{offset})"),
        }
    }

    fn scalar(&mut self) -> String {
        match self.rng.below(6) {
            0 => "time()".to_owned(),
            1 => format!("scalar({}{})", self.selector(), self.offset()),
            2 => "pi()".to_owned(),
            _ => self.pick(&["0", "1", "2.5", "10", "-1"]).to_owned(),
        }
    }

    fn matching(&mut self) -> &'static str {
        self.pick(&[
            "",
            "on (job, i)",
            "on (job)",
            "ignoring (i)",
            "on (job) group_left ()",
            "on (i) group_right (job)",
        ])
    }

    /// A comparison as alerts have it.
    pub(super) fn threshold(&mut self) -> String {
        let op = self.pick(&[">", ">", "<", ">=", "<=", "!=", "== bool", "> bool"]);
        let (window, other) = (self.window(), self.window());
        let threshold = self.pick(&["0", "0.05", "0.2", "0.5", "1", "3", "10", "12"]);
        match self.rng.below(13) {
            11 => {
                let op_of = self.pick(&["sum", "avg", "max"]);
                format!("{op_of} by (job) ({}) {op} {threshold}", self.vector(2))
            }
            12 => {
                let op = self.pick(&["and", "unless", "or"]);
                format!("({}) {op} on (job) ({})", self.vector(1), self.threshold())
            }
            6 => format!("{}{} {op} {threshold}", self.selector(), self.offset()),
            7 => format!(
                "{} / {} {op} {threshold}",
                self.selector(),
                self.pick(&["on (job, i) l", "ignoring (i) k", "l"])
            ),
            8 => format!("abs(l - 1.02 * {}) {op} {threshold}", self.selector()),
            9 => format!("rate(k[{}]) {op} {}", self.pick(&["1m", "5m"]), self.pick(&["1", "0.98", "1.05"])),
            10 => {
                let by = self.pick(&["job, le", "le", "job, i, le"]);
                let bucket = format!("sum by ({by}) (rate(b_bucket[{}]))", self.pick(&["1m", "5m"]));
                format!("histogram_quantile({}, {bucket}) {op} {threshold}", self.pick(&["0.25", "0.5", "0.75", "0.9"]))
            }
            0 => format!("{window} {op} {threshold}"),
            1 => format!("sum by (job) ({window}) / sum by (job) ({other}) {op} {threshold}"),
            2 => format!("1 - avg by (i) ({window}) {op} {threshold}"),
            3 => format!("sum by (job) ({window}) {op} {threshold} * sum by (job) ({other})"),
            4 => format!("{threshold} / abs({window}) {op} {threshold}"),
            _ => format!("(sum by (job) ({window}) {op} {threshold}) and max by (job) ({other}) {op} {threshold}"),
        }
    }

    /// An expression of at most so many operators above each other.
    pub(super) fn vector(&mut self, depth: u32) -> String {
        if depth == 0 {
            return match self.rng.below(3) {
                0 => format!("{}{}", self.selector(), self.offset()),
                _ => self.window(),
            };
        }
        let depth = depth - 1;
        match self.rng.below(12) {
            11 => self.threshold(),
            0 if self.rng.below(4) == 0 => {
                let (op, by) = (self.pick(&["topk", "bottomk"]), self.pick(&["", "by (job) ", "without (i) "]));
                let count = match self.rng.below(6) {
                    0 => self.scalar(),
                    _ => self.pick(&["1", "2", "1", "0", "2.9"]).to_owned(),
                };
                format!("{op} {by}({count}, {})", self.vector(depth))
            }
            0 | 1 => {
                let op = self.pick(&["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"]);
                let by = self.pick(&["", "by (job) ", "by (i) ", "without (i) "]);
                format!("{op} {by}({})", self.vector(depth))
            }
            2 => {
                let op = self.pick(&["+", "-", "*", "/", "^", "%", ">", "<=", "== bool", "!="]);
                format!("({}) {op} {}", self.vector(depth), self.scalar())
            }
            3 => {
                let op = self.pick(&["-", "*", "<", ">= bool"]);
                format!("{} {op} ({})", self.scalar(), self.vector(depth))
            }
            4 | 5 => {
                let (op, matching) = (self.pick(&["+", "/", "-", ">", "<", "== bool"]), self.matching());
                format!("({}) {op} {matching} ({})", self.vector(depth), self.vector(depth))
            }
            6 => {
                let (op, on) = (self.pick(&["and", "or", "unless"]), self.pick(&["", "on (job)", "ignoring (i)"]));
                format!("({}) {op} {on} ({})", self.vector(depth), self.vector(depth))
            }
            7 if self.rng.below(2) == 0 => {
                let inner = self.vector(depth);
                match self.rng.below(6) {
                    0 => format!(r#"label_replace({inner}, "i", "$1x", "job", "(a)")"#),
                    1 => format!(r#"label_replace({inner}, "i", "", "i", "2")"#),
                    2 => format!(r#"label_join({inner}, "job", "-", "i", "job")"#),
                    3 => format!("minute({inner})"),
                    4 => format!("hour() * minute() > bool {}", self.scalar()),
                    _ => format!("day_of_week() >= 0 or {inner}"),
                }
            }
            7 => {
                let function = self.pick(&["abs", "ceil", "sgn", "sqrt", "round", "-", "sort"]);
                format!("{function}({})", self.vector(depth))
            }
            8 => format!("clamp({}, {}, {})", self.vector(depth), self.scalar(), self.scalar()),
            9 => match self.rng.below(3) {
                0 => format!("absent({})", self.vector(depth)),
                1 => format!("absent_over_time({}[1m])", self.selector()),
                _ => format!("timestamp({})", self.selector()),
            },
            _ => match self.rng.below(2) {
                0 => {
                    format!("histogram_quantile(0.9, sum by (job, le) (rate(b_bucket[{}])))", self.pick(&["1m", "5m"]))
                }
                _ => "histogram_quantile(0.5, b_bucket)".to_owned(),
            },
        }
    }
}
