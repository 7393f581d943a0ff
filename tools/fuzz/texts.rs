//! Texts that people write and that are written back.

use evenkeel::model::{Labels, LabelsError, Millis, Pattern, Timestamp};
use evenkeel::{promql, template};

use super::targets::{Target, labels};

const PROMQL_WORDS: &[&str] = &[
    "sum by (a) (",
    "rate(",
    "[5m]",
    "[1h:1m]",
    " offset -5m",
    " @ 1.5",
    " @ start()",
    " and ",
    " unless on (a) ",
    " group_left (b) ",
    "histogram_quantile(",
    "\"x\"",
    "`",
    "0x1f",
    "1e309",
    "Inf",
    "NaN",
    "{a=~\"b\"}",
    "!~",
    ">= bool ",
    "^",
    "-",
    "(",
    ")",
    ",",
    "#",
];
const PATTERN_WORDS: &[&str] = &["(?i)", "[a-z]", ".*", "|", "{3}", "\\d", "(?:", ")", "^", "$"];
const TEMPLATE_WORDS: &[&str] = &[
    "{{",
    "}}",
    " range ",
    " end ",
    " if ",
    "$labels.a",
    "$value",
    "| humanize",
    "| printf \"%s\"",
    "define \"x\"",
    "template \"x\" .",
    "$x := ",
    "\"",
    "(",
    ")",
];

pub(super) fn targets() -> Vec<Target> {
    vec![
        Target::plain("promql", promql_seeds, promql_text).with_words(PROMQL_WORDS),
        Target::plain("labels", label_seeds, label_text).with_words(&["a0", "b1", "!", "A"]),
        Target::plain("pattern", pattern_seeds, pattern_text).with_words(PATTERN_WORDS),
        Target::plain("time", time_seeds, time_text).with_words(&["ms", "1w", "T", "Z", "-", ":", "99999999999"]),
        Target::plain("template", template_seeds, template_text).with_words(TEMPLATE_WORDS),
    ]
}

pub(super) fn utf8(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn bytes_of(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn promql_seeds() -> Vec<Vec<u8>> {
    bytes_of(&[
        "sum by (job) (rate(http_requests_total{code=~\"5..\",job!=\"a\"}[5m] offset 1m)) / on (job) group_left (x) b > bool 0.5",
        "histogram_quantile(0.9, sum without (a) (rate(x_bucket[5m]))) and -1 ^ 2 ^ -3",
        "max_over_time(deriv(m[5m])[1h:30s] @ end() offset -5m) or topk(3, label_replace(m, \"a\", \"$1\", \"b\", \"(.*)\"))",
        "{__name__=\"a b\", \"c d\"!~\"x|y\"} atan2 1e-3 != 0x1F",
        "count_values(\"v\", quantile(NaN, m)) unless ignoring (a) vector(time() % +Inf)",
    ])
}

fn promql_text(bytes: &[u8]) -> Result<bool, String> {
    let text = utf8(bytes);
    let _ = promql::parse_selector(&text);
    let Ok(expr) = promql::parse(&text) else { return Ok(false) };
    let shown = expr.to_string();
    match promql::parse(&shown) {
        Ok(again) if again.to_string() == shown => Ok(true),
        Ok(again) => Err(format!("{shown:?} is shown as {:?} the second time", again.to_string())),
        Err(error) => Err(format!("{shown:?} is not read back: {error}")),
    }
}

fn label_seeds() -> Vec<Vec<u8>> {
    let long = "v".repeat(300);
    let some = [labels(&[]), labels(&[("a", "b")]), labels(&[("__name__", "m"), ("é", long.as_str()), ("z", "\u{0}")])];
    some.map(|labels| labels.as_text().as_bytes().to_vec()).to_vec()
}

fn label_text(bytes: &[u8]) -> Result<bool, String> {
    let text = utf8(bytes);
    let taken: Result<Labels, LabelsError> = Labels::from_text(&text);
    match taken {
        Ok(labels) if labels.as_text() != text => Err(format!("{text:?} is not canonical and was taken")),
        Ok(labels) => {
            let again = Labels::new(labels.iter().map(|label| (label.name, label.value)));
            if again.as_ref() == Ok(&labels) { Ok(true) } else { Err(format!("{labels} is not made of its own pairs")) }
        }
        Err(_) => Ok(false),
    }
}

fn pattern_seeds() -> Vec<Vec<u8>> {
    bytes_of(&["5..", "a|b|cd", "(?i)x+(y*?)[^z]{2,3}", "\\Qa.b\\E|\\d+", "foo.*bar", ""])
}

fn pattern_text(bytes: &[u8]) -> Result<bool, String> {
    let text = utf8(bytes);
    let Ok(pattern) = Pattern::new(&text) else { return Ok(false) };
    let values = ["", "a", "foo bar", "500", "\n", "ä€", text.as_str()];
    for value in values {
        let matches = pattern.is_match(value);
        if let Some(literals) = pattern.literals()
            && literals.iter().any(|literal| literal == value) != matches
        {
            return Err(format!("{text:?} on {value:?}: its literals say otherwise than it does"));
        }
        if matches && !value.starts_with(pattern.prefix()) {
            return Err(format!("{text:?} matches {value:?}, which does not begin with {:?}", pattern.prefix()));
        }
        if matches && pattern.least_chars().is_some_and(|least| value.chars().count() < least as usize) {
            return Err(format!("{text:?} matches {value:?}, which is shorter than its least length"));
        }
    }
    Ok(true)
}

fn time_seeds() -> Vec<Vec<u8>> {
    bytes_of(&["1h30m", "5m", "1y2w3d", "2026-11-23T17:00:00.123Z", "2026-11-23T17:00:00+01:30", "1700000000.5"])
}

fn time_text(bytes: &[u8]) -> Result<bool, String> {
    let text = utf8(bytes);
    let date = Timestamp::parse_rfc3339(&text);
    match Millis::parse(&text) {
        Ok(span) if Millis::parse(&span.to_string()) != Ok(span) => Err(format!("{text:?} is shown as {span}")),
        taken => Ok(taken.is_ok() || date.is_some()),
    }
}

fn template_seeds() -> Vec<Vec<u8>> {
    bytes_of(&[
        "{{ $labels.instance }} is at {{ $value | humanizePercentage }}",
        "{{ range $i, $e := $labels }}{{ if gt $value 1.0 }}{{ $e }}{{ else }}-{{ end }}{{ end }}",
        "{{ with $x := printf \"%.2f\" $value }}{{ $x | toUpper }}{{ end }}{{ define \"a\" }}b{{ end }}{{ template \"a\" . }}",
    ])
}

fn template_text(bytes: &[u8]) -> Result<bool, String> {
    let text = utf8(bytes);
    let _ = template::check(&text);
    let (of_alert, external) = (labels(&[("a", "b"), ("instance", "h:1")]), labels(&[("dc", "x")]));
    let data = template::TemplateData {
        name: "Fuzz",
        at: Timestamp(1_435_065_584_128),
        labels: &of_alert,
        external_labels: &external,
        external_url: "http://e/",
        value: template::TemplateValue::Number(1.25),
    };
    Ok(template::expand(&text, &data, &mut |_| Ok(Vec::new())).is_ok())
}
