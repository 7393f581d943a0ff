//! Files of unit tests for rules, in the format of `promtool test rules`, with one key of ours: `match`.

use std::path::PathBuf;

use crate::env::disk::Disk;
use crate::model::{Labels, Millis, Timestamp};

use super::error::ConfigError;
use super::glob::matching_anywhere;
use super::loader::beside;
use super::section::{Field, Section};
use super::source::Source;
use super::yaml;

/// A file of unit tests for rules.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleTestFile {
    /// The file, as it was named.
    pub file: String,
    /// The rule files that its patterns find, in order.
    pub rule_files: Vec<PathBuf>,
    /// Patterns that find no file.
    pub unmatched: Vec<String>,
    /// How often every group is evaluated.
    pub evaluation_interval: Millis,
    /// Names of groups that are evaluated first, in this order.
    pub group_eval_order: Vec<String>,
    /// Whether numbers that are neighbours are equal.
    pub fuzzy_compare: bool,
    /// The tests.
    pub tests: Vec<RuleTest>,
}

/// Series, and what rules and expressions make of them.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleTest {
    /// Its name; may be empty.
    pub name: String,
    /// Its line in the file.
    pub line: usize,
    /// From one sample of a series to the next.
    pub interval: Millis,
    /// The instant of the first samples and of the first evaluation.
    pub start: Timestamp,
    /// The series.
    pub input_series: Vec<InputSeries>,
    /// What alerts fire.
    pub alerts: Vec<AlertCase>,
    /// What expressions give.
    pub exprs: Vec<ExprCase>,
    /// The labels of the server, for templates.
    pub external_labels: Labels,
    /// The address of the server, for templates.
    pub external_url: String,
}

/// A series in the notation of PromQL's tests.
#[derive(Debug, Clone, PartialEq)]
pub struct InputSeries {
    /// Its labels.
    pub series: String,
    /// Its values in the expanding notation.
    pub values: String,
    /// Its line in the file.
    pub line: usize,
}

/// The alerts of one name that fire at an instant.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertCase {
    /// Its line in the file.
    pub line: usize,
    /// When, after the start.
    pub eval_time: Millis,
    /// The alert's name.
    pub alertname: String,
    /// Those that fire.
    pub expected: Vec<ExpectedAlert>,
    /// How much of an alert must be written.
    pub matching: AlertMatching,
}

/// How much of an alert must be written in a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AlertMatching {
    /// All labels and all annotations.
    #[default]
    Exact,
    /// Any of them.
    Subset,
}

/// A firing alert, without its label `alertname`.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpectedAlert {
    /// Labels.
    pub labels: Vec<(String, String)>,
    /// Annotations.
    pub annotations: Vec<(String, String)>,
}

/// What an expression gives at an instant.
#[derive(Debug, Clone, PartialEq)]
pub struct ExprCase {
    /// Its line in the file.
    pub line: usize,
    /// The expression.
    pub expr: String,
    /// When, after the start.
    pub eval_time: Millis,
    /// The elements of its value.
    pub expected: Vec<ExpectedSample>,
}

/// An element of a vector.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpectedSample {
    /// Its labels in the notation of a series.
    pub labels: String,
    /// Its number.
    pub value: f64,
    /// Its native histogram, in the notation of values; empty if it is a number.
    pub histogram: String,
}

/// Reads a file.
pub(super) fn read(source: &Source<'_>, disk: &dyn Disk) -> Result<RuleTestFile, ConfigError> {
    let node = yaml::parse(source)?;
    let what = "a test file";
    let mut top = Section::of(source, &node, what)?;
    let mut file = RuleTestFile {
        file: source.name.clone(),
        rule_files: Vec::new(),
        unmatched: Vec::new(),
        evaluation_interval: interval(&mut top, "evaluation_interval")?.unwrap_or(Millis::minutes(1)),
        group_eval_order: Vec::new(),
        fuzzy_compare: top.get("fuzzy_compare").map(|f| f.boolean()).transpose()?.unwrap_or(false),
        tests: Vec::new(),
    };
    if let Some(field) = top.get("rule_files") {
        for item in field.list()? {
            let pattern = item.word()?;
            let found = matching_anywhere(disk, &beside(&source.name, &pattern));
            if found.is_empty() {
                file.unmatched.push(pattern);
            }
            file.rule_files.extend(found);
        }
    }
    if let Some(field) = top.get("group_eval_order") {
        for item in field.list()? {
            let name = item.word()?;
            if file.group_eval_order.contains(&name) {
                return Err(item.error(format!("the group \"{name}\" is listed twice; keep one")));
            }
            file.group_eval_order.push(name);
        }
    }
    let matching = matching(&mut top)?.unwrap_or_default();
    if let Some(field) = top.get("tests") {
        for item in field.list()? {
            file.tests.push(test(&item, file.evaluation_interval, matching)?);
        }
    }
    top.finish(what)?;
    Ok(file)
}

/// An interval; zero counts as not given, as in promtool.
fn interval(section: &mut Section<'_>, key: &'static str) -> Result<Option<Millis>, ConfigError> {
    let interval = section.get(key).map(|f| f.duration()).transpose()?;
    Ok(interval.filter(|interval| *interval > Millis::ZERO))
}

fn matching(section: &mut Section<'_>) -> Result<Option<AlertMatching>, ConfigError> {
    let Some(field) = section.get("match") else { return Ok(None) };
    match field.word()?.as_str() {
        "exact" => Ok(Some(AlertMatching::Exact)),
        "subset" => Ok(Some(AlertMatching::Subset)),
        other => Err(field.error(format!("\"{other}\" is neither \"exact\" nor \"subset\"; write one of them"))),
    }
}

fn test(item: &Field<'_>, step: Millis, inherited: AlertMatching) -> Result<RuleTest, ConfigError> {
    let what = "a test group";
    let mut section = item.section(what)?;
    let matching = matching(&mut section)?.unwrap_or(inherited);
    let mut test = RuleTest {
        name: text(&mut section, "name")?,
        line: item.source.line(section.place),
        interval: interval(&mut section, "interval")?.unwrap_or(step),
        start: section.get("start_timestamp").map(|f| instant(&f)).transpose()?.unwrap_or(Timestamp(0)),
        input_series: Vec::new(),
        alerts: Vec::new(),
        exprs: Vec::new(),
        external_labels: section.get("external_labels").map(|f| f.labels()).transpose()?.unwrap_or_else(Labels::empty),
        external_url: text(&mut section, "external_url")?,
    };
    for item in items(&mut section, "input_series")? {
        let what = "an input series";
        let mut section = item.section(what)?;
        let line = item.source.line(section.place);
        let (series, values) = (section.need("series", what)?.literal()?, text(&mut section, "values")?);
        test.input_series.push(InputSeries { series, values, line });
        section.finish(what)?;
    }
    for item in items(&mut section, "alert_rule_test")? {
        test.alerts.push(alert_case(&item, matching)?);
    }
    for item in items(&mut section, "promql_expr_test")? {
        test.exprs.push(expr_case(&item)?);
    }
    section.finish(what)?;
    Ok(test)
}

fn items<'a>(section: &mut Section<'a>, key: &'static str) -> Result<Vec<Field<'a>>, ConfigError> {
    section.get(key).map_or(Ok(Vec::new()), |field| field.list())
}

fn text(section: &mut Section<'_>, key: &'static str) -> Result<String, ConfigError> {
    section.get(key).map_or(Ok(String::new()), |field| field.literal())
}

fn time(section: &mut Section<'_>) -> Result<Millis, ConfigError> {
    section.get("eval_time").map_or(Ok(Millis::ZERO), |field| field.duration())
}

/// Seconds since the epoch, or RFC 3339.
fn instant(field: &Field<'_>) -> Result<Timestamp, ConfigError> {
    let text = field.word()?;
    let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite());
    seconds.map(Timestamp::from_seconds).or_else(|| Timestamp::parse_rfc3339(&text)).ok_or_else(|| {
        field.error(format!("\"{text}\" is no instant; give seconds since the epoch, or 2026-11-23T13:49:07Z"))
    })
}

fn alert_case(item: &Field<'_>, inherited: AlertMatching) -> Result<AlertCase, ConfigError> {
    let what = "an alert test";
    let mut section = item.section(what)?;
    let mut case = AlertCase {
        line: item.source.line(section.place),
        eval_time: time(&mut section)?,
        alertname: section.need("alertname", what)?.word()?,
        expected: Vec::new(),
        matching: matching(&mut section)?.unwrap_or(inherited),
    };
    for item in items(&mut section, "exp_alerts")? {
        let what = "an expected alert";
        let mut section = item.section(what)?;
        let pairs = |field: Option<Field<'_>>| field.map_or(Ok(Vec::new()), |field| field.pairs());
        let (labels, annotations) = (pairs(section.get("exp_labels"))?, pairs(section.get("exp_annotations"))?);
        case.expected.push(ExpectedAlert { labels, annotations });
        section.finish(what)?;
    }
    section.finish(what)?;
    Ok(case)
}

fn expr_case(item: &Field<'_>) -> Result<ExprCase, ConfigError> {
    let what = "an expression test";
    let mut section = item.section(what)?;
    let mut case = ExprCase {
        line: item.source.line(section.place),
        expr: section.need("expr", what)?.literal()?,
        eval_time: time(&mut section)?,
        expected: Vec::new(),
    };
    for item in items(&mut section, "exp_samples")? {
        let what = "an expected sample";
        let mut section = item.section(what)?;
        let value = section.get("value").map_or(Ok(0.0), |field| number(&field))?;
        let (labels, histogram) = (text(&mut section, "labels")?, text(&mut section, "histogram")?);
        case.expected.push(ExpectedSample { labels, value, histogram });
        section.finish(what)?;
    }
    section.finish(what)?;
    Ok(case)
}

/// A number as YAML writes them.
fn number(field: &Field<'_>) -> Result<f64, ConfigError> {
    let text = field.literal()?;
    let digits = text.replace('_', "");
    let radix = |prefix: &str, radix| i64::from_str_radix(digits.strip_prefix(prefix)?, radix).ok();
    let whole = radix("0x", 16).or_else(|| radix("0o", 8)).or_else(|| radix("0b", 2)).map(|n| n as f64);
    let special = match digits.to_ascii_lowercase().as_str() {
        ".nan" => Some(f64::NAN),
        ".inf" | "+.inf" => Some(f64::INFINITY),
        "-.inf" => Some(f64::NEG_INFINITY),
        _ => None,
    };
    let number = whole.or(special).or_else(|| digits.parse().ok());
    number.ok_or_else(|| field.error(format!("\"{text}\" is not a number")))
}
