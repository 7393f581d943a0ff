//! From a template's text and an alert's data to the finished text.
//!
//! Invariants:
//! - A text without `{{` is given back as it is, without being parsed.
//! - A label that is absent is the empty text, as in Prometheus.
//! - A text asks a bounded number of queries. What one asks is looked up outside of the engine, which then begins
//!   anew with the answer: it can hold nothing that is borrowed.

use std::collections::BTreeMap;
use std::sync::Arc;

use gotmpl::parse::Parser;
use gotmpl::{FuncMap, Template, Value};
use parking_lot::Mutex;

use crate::model::{Labels, Timestamp, limits};

use super::functions::{self, Fault, Surroundings};
use super::resolve::{CallSite, LABEL, METHOD, Resolver, SHOWN};

/// What a template may refer to: `$labels`, `$externalLabels`, `$externalURL`, `$value`.
#[derive(Debug, Clone, Copy)]
pub struct TemplateData<'a> {
    /// What the text belongs to: the alert's name, for errors.
    pub name: &'a str,
    /// The labels of the element that made the alert.
    pub labels: &'a Labels,
    /// The labels of this server.
    pub external_labels: &'a Labels,
    /// Where this server is found from outside.
    pub external_url: &'a str,
    /// The value of the expression.
    pub value: TemplateValue<'a>,
    /// The instant, for `now`.
    pub at: Timestamp,
}

/// The value of the expression of an alert.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TemplateValue<'a> {
    /// A number.
    Number(f64),
    /// A native histogram, in words.
    Histogram(&'a str),
}

/// An element of the result of a query that a template asks.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateSample {
    /// Its labels.
    pub labels: Labels,
    /// Its value.
    pub value: f64,
}

/// Answers the queries of a template, at its instant; an error is told in the words of the query language.
pub type TemplateQuery<'a> = dyn FnMut(&str) -> Result<Vec<TemplateSample>, String> + 'a;

/// A template that cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    message: String,
}

/// Gives every template its short names, as in Prometheus.
const PRELUDE: &str = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}\
                       {{$externalURL := .ExternalURL}}{{$value := .Value}}";

/// Loop rounds that one text may take.
const ROUNDS_MAX: u64 = 10_000;

/// What the template itself is called in the engine, which keeps the empty name for nothing.
const ROOT: &str = "(root)";

/// The template's text with everything filled in.
///
/// # Errors
/// The text is not a template, or a function in it fails.
pub fn expand(text: &str, data: &TemplateData<'_>, query: &mut TemplateQuery<'_>) -> Result<String, TemplateError> {
    if !text.contains("{{") {
        return Ok(text.to_owned());
    }
    let name = format!("__alert_{}", data.name);
    let parsing = |message: String| TemplateError { message: format!("error parsing template {name}: {message}") };
    let executing = |message: String| TemplateError { message: format!("error executing template {name}: {message}") };
    let answers = Arc::new(Answers::default());
    let template = parse(text, &name, data, &answers).map_err(parsing)?;
    let root = Value::from_entries([
        ("Labels".to_owned(), labels_value(data.labels)),
        ("ExternalLabels".to_owned(), labels_value(data.external_labels)),
        ("ExternalURL".to_owned(), Value::String(Arc::from(data.external_url))),
        ("Value".to_owned(), value_of(data.value)),
    ]);
    for _ in 0..=limits::TEMPLATE_QUERIES_MAX {
        let done = template.execute_template_to_string(ROOT, &root);
        let Some(asked) = answers.0.lock().asked.take() else {
            // What the engine knows nothing of is printed as nothing.
            return done.map(|text| text.replace("<no value>", "")).map_err(|error| executing(described(&name, error)));
        };
        let answer = query(&asked).map(|samples| Value::List(samples.iter().map(sample_value).collect()));
        answers.0.lock().known.insert(asked, answer);
    }
    let most = limits::TEMPLATE_QUERIES_MAX;
    Err(executing(format!("it asks more than {most} different queries; put some of them into a recording rule")))
}

/// What was asked, and what the answers are: shared by the functions of one template.
#[derive(Debug, Default)]
struct Answers(Mutex<Asked>);

#[derive(Debug, Default)]
struct Asked {
    known: BTreeMap<String, Result<Value, String>>,
    /// What is not known yet.
    asked: Option<String>,
}

/// Whether the text is a template: its syntax, its functions' and variables' names.
///
/// # Errors
/// It is not.
pub fn check(text: &str) -> Result<(), TemplateError> {
    if !text.contains("{{") {
        return Ok(());
    }
    let (none, value) = (Labels::empty(), TemplateValue::Number(0.0));
    let data =
        TemplateData { name: "", labels: &none, external_labels: &none, external_url: "", value, at: Timestamp(0) };
    let answers = Arc::new(Answers::default());
    parse(text, "", &data, &answers).map_err(|message| TemplateError { message })?;
    match expand(text, &data, &mut |_| Ok(Vec::new())) {
        // What fails for want of labels or series may succeed for an alert that has them.
        Err(error) if error.message.contains("undefined variable") => Err(error),
        _ => Ok(()),
    }
}

fn parse(text: &str, name: &str, data: &TemplateData<'_>, answers: &Arc<Answers>) -> Result<Template, String> {
    let source = format!("{PRELUDE}{text}");
    let parser = Parser::with_name(Some(name).filter(|name| !name.is_empty()), &source, "{{", "}}");
    let (mut tree, mut defines) = parser.and_then(Parser::parse).map_err(|error| error.to_string())?;
    let mut resolver = Resolver::new(&source, &functions::is_function);
    resolver.list(&mut tree);
    defines.iter_mut().for_each(|define| resolver.list(&mut define.body));
    if let Some(CallSite { function, line, column }) = resolver.unknown {
        return Err(format!("template: {name}:{line}:{column}: function {function:?} not defined"));
    }
    let around = Surroundings { external_url: Arc::from(data.external_url), now: data.at.as_seconds() };
    let template = Template::new("").max_range_iters(ROUNDS_MAX).funcs(table(resolver.sites, name, &around, answers));
    let template = template.add_parse_tree(ROOT, tree);
    Ok(defines.into_iter().fold(template, |template, define| template.add_parse_tree(&define.name, define.body)))
}

/// A function for each place at which one is called.
fn table(sites: BTreeMap<String, CallSite>, template: &str, around: &Surroundings, answers: &Arc<Answers>) -> FuncMap {
    let mut map = FuncMap::new();
    for plain in [LABEL, SHOWN] {
        let around = around.clone();
        let call = move |args: &[Value]| {
            functions::call(plain, args, &around).map_err(|fault| match fault {
                Fault::Call(text) | Fault::Plain(text) => engine_error(text),
            })
        };
        map.insert(plain.to_owned(), Arc::new(call));
    }
    for (name, site) in sites {
        let (around, answers, template) = (around.clone(), Arc::clone(answers), template.to_owned());
        let call = move |args: &[Value]| {
            let function = site.function.as_str();
            let outcome = match (function, args) {
                ("query", [Value::String(text)]) => ask(text, &answers).map_err(Fault::Call),
                ("query", [_]) => functions::string(args, 0).map(functions::text),
                _ => functions::call(function, args, &around),
            };
            outcome.map_err(|fault| {
                let shown = if function == METHOD { args.first().and_then(Value::as_str) } else { None };
                let shown = shown.unwrap_or(function);
                let text = match fault {
                    Fault::Call(text) => format!("error calling {shown}: {text}"),
                    Fault::Plain(text) => text,
                };
                let CallSite { line, column, .. } = &site;
                let place = format!("template: {template}:{line}:{column}: executing {template:?} at <{shown}>");
                engine_error(format!("{place}: {text}"))
            })
        };
        map.insert(name, Arc::new(call));
    }
    map
}

fn ask(text: &str, answers: &Answers) -> Result<Value, String> {
    let mut answers = answers.0.lock();
    match answers.known.get(text) {
        Some(answer) => answer.clone(),
        None => {
            answers.asked = Some(text.to_owned());
            Err("not known yet".to_owned())
        }
    }
}

fn engine_error(text: String) -> gotmpl::TemplateError {
    gotmpl::TemplateError::Exec(text)
}

/// An error of the execution; those of our functions name their place already.
fn described(name: &str, error: gotmpl::TemplateError) -> String {
    let text = functions::error_text(error);
    if text.starts_with("template: ") { text } else { format!("template: {name}: {text}") }
}

fn value_of(value: TemplateValue<'_>) -> Value {
    match value {
        TemplateValue::Number(v) => Value::Float(v),
        TemplateValue::Histogram(text) => Value::String(Arc::from(text)),
    }
}

fn sample_value(sample: &TemplateSample) -> Value {
    Value::from_entries([
        ("Labels".to_owned(), labels_value(&sample.labels)),
        ("Value".to_owned(), Value::Float(sample.value)),
    ])
}

fn labels_value(labels: &Labels) -> Value {
    let map: BTreeMap<Arc<str>, Value> =
        labels.iter().map(|label| (Arc::from(label.name), Value::String(Arc::from(label.value)))).collect();
    Value::Map(Arc::new(map))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<String, TemplateError> {
        let labels = Labels::new([("instance", "db-1:9100"), ("job", "node exporter"), ("Day", "a label")]).unwrap();
        let external = Labels::new([("cluster", "eu")]).unwrap();
        let data = TemplateData {
            name: "Test",
            labels: &labels,
            external_labels: &external,
            external_url: "https://even.example/keel",
            value: TemplateValue::Number(1234.5678),
            at: Timestamp(1_435_065_584_128),
        };
        let sample = |job: &str, value| {
            let labels = Labels::new([("__name__", "up"), ("job", job), ("__value__", "text")]).unwrap();
            TemplateSample { labels, value }
        };
        expand(text, &data, &mut |query| match query {
            "up" => Ok(vec![sample("b", 1.0), sample("a", 0.5)]),
            "none" => Ok(Vec::new()),
            other => Err(format!("1:1: parse error: {other}")),
        })
    }

    fn check_text(text: &str, expected: &str) {
        assert_eq!(expanded(text).unwrap_or_else(|error| format!("error: {error}")), expected, "{text}");
    }

    /// The error at the text's first function, after the prelude.
    fn check_error(text: &str, expected: &str) {
        let error = expanded(text).unwrap_err().to_string();
        assert_eq!(error, expected.replace("COLUMN", &(PRELUDE.len() + 3).to_string()), "{text}");
    }

    #[test]
    fn alerts_are_put_into_words() {
        check_text("plain { text }", "plain { text }");
        check_text("{{ $labels.instance }} of {{ .Labels.job }}", "db-1:9100 of node exporter");
        check_text("[{{ $labels.none }}][{{ .Labels.none }}][{{ $.Labels.none }}]", "[][][]");
        check_text("{{ if eq $labels.none \"\" }}absent{{ end }}{{ index $labels \"none\" }}", "absent");
        check_text("{{ index $labels \"job\" }}", "node exporter");
        check_text("{{ $externalLabels.cluster }} {{ $externalURL }}", "eu https://even.example/keel");
        check_text("{{ $value | humanize }}", "1.235k");
        check_text("{{ $value }}", "1234.5678");
        check_text("{{ 1e6 }} {{ 123456.5 }} {{ 34359738368.0 }}", "1e+06 123456.5 3.4359738368e+10");
        check_text("{{ printf \"%v %.1f%% %d %s\" 34359738368.0 1.0 7 \"é\" }}", "3.4359738368e+10 1.0% 7 é");
        check_text("{{ printf \"%.2f\" $value }}", "1234.57");
        check_text("{{ $value | printf \"%.0f%%\" }}", "1235%");
        check_text("{{ if gt $value 1000.0 }}high{{ else }}low{{ end }}", "high");
        check_text(
            "{{ range $k, $v := $labels }}{{ $k }}={{ $v }};{{ end }}",
            "Day=a label;instance=db-1:9100;job=node exporter;",
        );
        check_text("{{ $labels.instance | stripPort }}", "db-1");
        check_text("{{ reReplaceAll \"(.*)-(.*):.*\" \"$2-$1\" $labels.instance }}", "1-db");
        check_text("{{ reReplaceAll `\\d` \"${0}x\" \"a1٣\" }}", "a1x٣");
        check_text("{{ if match \"^db\" $labels.instance }}yes{{ end }}", "yes");
        check_text("{{ title $labels.job }} {{ toUpper \"a\" }}{{ toLower \"B\" }}", "Node Exporter Ab");
        check_text("{{ $labels.job | urlQueryEscape }}", "node+exporter");
        check_text("{{ externalURL }}{{ pathPrefix }}", "https://even.example/keel/keel");
        check_text("{{ graphLink \"up == 0\" }}", "/graph?g0.expr=up+%3D%3D+0&g0.tab=0");
        check_text("{{ tableLink \"up\" }}", "/graph?g0.expr=up&g0.tab=1");
        check_text("{{ with args 1 \"b\" }}{{ .arg1 }}{{ end }}", "b");
        check_text("{{ parseDuration \"1h30m\" }}", "5400");
        check_text("{{ safeHtml \"<b>\" }}", "<b>");
        check_text("{{ define \"t\" }}<{{ .Labels.job | title }}>{{ end }}{{ template \"t\" . }}", "<Node Exporter>");
        check_text("{{ humanize \"1e3\" }} {{ humanize 5 }} {{ humanizePercentage 0.5 }}", "1k 5 50%");
    }

    #[test]
    fn instants_and_spans_have_methods() {
        check_text("{{ now }}", "1.435065584128e+09");
        check_text("{{ now | toTime }}", "2015-06-23 13:19:44.128 +0000 UTC");
        check_text("{{ now | humanizeTimestamp }}", "2015-06-23 13:19:44.128 +0000 UTC");
        check_text("{{ (now | toTime).Format \"15:04\" }}", "13:19");
        check_text("{{ $t := toTime now }}{{ $t.Year }}/{{ $t.Month }}/{{ $t.Weekday }}", "2015/June/Tuesday");
        check_text("{{ ((now | toTime).Add (toDuration 60)).Unix }}", "1435065644");
        check_text("{{ ((toTime now).AddDate 0 1 0).Format \"2006-01-02\" }}", "2015-07-23");
        check_text("{{ (toTime 0).Before (toTime now) }}", "true");
        check_text("{{ toDuration 3600.5 }} {{ (toDuration 90).Minutes }}", "1h0m0.5s 1.5");
        check_text("{{ $labels.Day }} {{ .Labels.Day }}", "a label a label");
        check_text("{{ humanizeTimestamp \"NaN\" }}", "NaN");
    }

    #[test]
    fn queries_are_asked() {
        check_text("{{ range query \"up\" }}{{ .Labels.job }}={{ .Value }} {{ end }}", "b=1 a=0.5 ");
        check_text("{{ range query \"up\" | sortByLabel \"job\" }}{{ . | value }} {{ end }}", "0.5 1 ");
        check_text("{{ query \"up\" | first | label \"job\" }}{{ query \"up\" | first | strvalue }}", "btext");
        check_text("{{ with query \"none\" }}some{{ else }}none{{ end }}", "none");
        check_text("{{ (query \"up\" | first).Value }}{{ (query \"up\" | first).Labels.absent }}", "1");
        check_text("{{ len (query (printf \"%s\" \"up\")) }}", "2");
        check_error(
            "{{ query \"x(\" }}",
            "error executing template __alert_Test: template: __alert_Test:1:COLUMN: executing \"__alert_Test\" at \
             <query>: error calling query: 1:1: parse error: x(",
        );
    }

    #[test]
    fn errors_are_told_as_in_prometheus() {
        let at = |function: &str, text: &str| {
            format!(
                "error executing template __alert_Test: template: __alert_Test:1:COLUMN: executing \"__alert_Test\" \
                 at <{function}>: {text}"
            )
        };
        let call = |function: &str, text: &str| at(function, &format!("error calling {function}: {text}"));
        let empty = "{{ first (query \"none\") }}";
        check_error(empty, &call("first", "first() called on vector with no elements"));
        check_error("{{ humanize true }}", &call("humanize", "can't convert bool to float"));
        let syntax = "strconv.ParseFloat: parsing \" 1\": invalid syntax";
        check_error("{{ humanize \" 1\" }}", &call("humanize", syntax));
        check_error("{{ toTime \"Inf\" }}", &call("toTime", "value is NaN or Inf"));
        let overflow = "1e+11 cannot be represented as a nanoseconds timestamp since it overflows int64";
        check_error("{{ humanizeTimestamp 1e11 }}", &call("humanizeTimestamp", overflow));
        check_error("{{ toUpper }}", &at("toUpper", "wrong number of args for toUpper: want 1 got 0"));
        check_error("{{ toUpper 1 }}", &at("toUpper", "wrong type for value; expected string; got int"));
        check_error("{{ parseDuration \"1x\" }}", &call("parseDuration", "not a valid duration string: \"1x\""));
        check_error("{{ parseDuration \"\" }}", &call("parseDuration", "empty duration string"));
        let error = expanded("{{ match \"(\" \"a\" }}").unwrap_err().to_string();
        assert!(error.contains("error calling match: error parsing regexp: "), "{error}");
        let error = expanded("{{ reReplaceAll \"(\" \"a\" \"b\" }}").unwrap_err().to_string();
        assert!(error.contains("error calling reReplaceAll: regexp: Compile(`(`): error parsing regexp: "), "{error}");
        check_error(
            "{{ tmpl \"a\" . }}",
            "error parsing template __alert_Test: template: __alert_Test:1:COLUMN: function \"tmpl\" not defined",
        );
    }

    #[test]
    fn a_text_asks_a_bounded_number_of_queries() {
        let none = Labels::empty();
        let data = TemplateData {
            name: "Test",
            labels: &none,
            external_labels: &none,
            external_url: "",
            value: TemplateValue::Number(0.0),
            at: Timestamp(0),
        };
        let asking = |n: usize| -> String { (0..n).map(|n| format!("{{{{ query \"q{n}\" | len }}}}")).collect() };
        let mut count = 0;
        let mut run = |n: usize| {
            count = 0;
            let done = expand(&asking(n), &data, &mut |_| {
                count += 1;
                Ok(Vec::new())
            });
            (done, count)
        };
        let most = limits::TEMPLATE_QUERIES_MAX;
        assert_eq!(run(most), (Ok("0".repeat(most)), most));
        let (done, _) = run(most + 1);
        assert!(done.unwrap_err().to_string().contains("different queries"));
    }

    #[test]
    fn a_bad_template_says_why() {
        for bad in
            ["{{ $labels.a", "{{ nothing }}", "{{ $none }}", "{{ if }}x{{ end }}", "{{ if true }}{{ tmpl }}{{ end }}"]
        {
            assert!(check(bad).is_err(), "{bad}");
        }
        for good in ["x", "{{ $labels.a | humanize }}", "{{ query \"up\" | first | value }}"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }
}
