//! Prometheus' text format 0.0.4 and OpenMetrics 1.0, line by line over borrowed text.
//!
//! Invariants:
//! - A line is checked as it is read; its labels are built only on demand, since a scraper meets
//!   the same series again and again and knows them by their text.
//! - Every error has the line and the column, counted in characters from 1.
//!
//! Sources: "Exposition formats", prometheus.io; the OpenMetrics specification 1.0.0.

use std::borrow::Cow;

use super::error::WireError;
use super::exposition_series::{Cursor, LabelText, unescape_help, walk_series};
use crate::model::{Labels, LabelsError, MetricKind, Sample, Timestamp, limits};

/// Which of the two text formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `text/plain; version=0.0.4`: timestamps in milliseconds, blanks where one likes.
    Text,
    /// `application/openmetrics-text`: timestamps in seconds, one space, exemplars, `# EOF`.
    OpenMetrics,
}

/// A line that says something.
#[derive(Debug, Clone, PartialEq)]
pub enum Line<'a> {
    /// A sample.
    Sample(SampleLine<'a>),
    /// The description of a family.
    Help {
        /// The family.
        name: Cow<'a, str>,
        /// Its description.
        text: Cow<'a, str>,
    },
    /// The type of a family.
    Type {
        /// The family.
        name: Cow<'a, str>,
        /// Its type.
        kind: MetricKind,
    },
    /// The unit of a family.
    Unit {
        /// The family.
        name: Cow<'a, str>,
        /// Its unit.
        unit: &'a str,
    },
}

/// A sample as it stands in the text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleLine<'a> {
    /// The series as written, `name{label="value"}`: within one target, a name for it.
    pub series: &'a str,
    /// The value.
    pub value: f64,
    /// The timestamp, if one is given.
    pub timestamp: Option<Timestamp>,
    /// The exemplar behind it, if there is one.
    pub exemplar: Option<ExemplarText<'a>>,
    /// The line, counted from 1.
    pub line: usize,
    column: usize,
}

/// An exemplar as it stands in the text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExemplarText<'a> {
    /// All of it: labels, value and timestamp.
    pub text: &'a str,
    /// The labels, `{name="value"}`.
    labels: &'a str,
    /// The value.
    pub value: f64,
    /// The timestamp, if one is given.
    pub timestamp: Option<Timestamp>,
}

impl ExemplarText<'_> {
    /// Its labels.
    ///
    /// # Errors
    /// A label stands twice or passes a limit.
    pub fn labels(&self) -> Result<Labels, LabelsError> {
        let mut pairs = Vec::new();
        let mut cursor = Cursor::new(self.labels, 0);
        // Checked when the line was read, as the series is.
        let walked = walk_series(&mut cursor, Format::Text, &mut |label| pairs.push(label));
        debug_assert!(walked.is_ok(), "checked labels read again: {}", self.labels);
        Labels::new(pairs.iter().map(|label: &LabelText<'_>| (&*label.name, &*label.value)))
    }
}

impl<'a> SampleLine<'a> {
    /// Name and value of every label in the order written, the metric's name as `__name__`.
    /// Values may be empty.
    pub fn pairs(&self) -> Vec<LabelText<'a>> {
        let mut pairs = Vec::new();
        let mut cursor = Cursor::new(self.series, self.line);
        // The text was checked when the line was read; the formats differ only in what they refuse.
        let walked = walk_series(&mut cursor, Format::Text, &mut |label| pairs.push(label));
        debug_assert!(walked.is_ok(), "a checked series reads again: {}", self.series);
        pairs
    }

    /// The series' labels.
    ///
    /// # Errors
    /// A label stands twice or passes a limit.
    pub fn labels(&self) -> Result<Labels, WireError> {
        let pairs = self.pairs();
        Labels::new(pairs.iter().map(|label| (&*label.name, &*label.value))).map_err(|error| self.refuse(&error))
    }

    /// The error that the labels made of this line cannot name a series.
    pub fn refuse(&self, error: &LabelsError) -> WireError {
        self.refuse_for(&error.to_string())
    }

    /// The error that this line cannot be taken, for a reason that lies outside the text.
    pub fn refuse_for(&self, fault: &str) -> WireError {
        WireError::Text { line: self.line, column: self.column, fault: fault.to_owned() }
    }
}

/// The lines of an exposition text. After an error or the end there is nothing more.
#[derive(Debug, Clone)]
pub struct Exposition<'a> {
    rest: &'a str,
    line: usize,
    format: Format,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    /// `# EOF` was read.
    Closed,
    Done,
}

impl<'a> Exposition<'a> {
    /// Reads `text`.
    ///
    /// # Errors
    /// It is not UTF-8.
    pub fn new(text: &'a [u8], format: Format) -> Result<Exposition<'a>, WireError> {
        match std::str::from_utf8(text) {
            Ok(text) => Ok(Exposition { rest: text, line: 0, format, state: State::Reading }),
            Err(error) => {
                let before = &text[..error.valid_up_to()];
                let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
                Err(WireError::Text {
                    line: before.iter().filter(|byte| **byte == b'\n').count() + 1,
                    column: String::from_utf8_lossy(&before[start..]).chars().count() + 1,
                    fault: "the text is not valid UTF-8".to_owned(),
                })
            }
        }
    }

    fn read(&mut self) -> Result<Option<Line<'a>>, WireError> {
        while !self.rest.is_empty() {
            let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
            self.rest = rest;
            self.line += 1;
            let mut cursor = Cursor::new(line, self.line);
            if self.state == State::Closed {
                return Err(cursor.error("there is text behind # EOF"));
            }
            match self.format {
                Format::Text => {
                    cursor.skip_blanks();
                    if cursor.at_end() {
                        continue;
                    }
                    if let Some(line) = text_line(&mut cursor)? {
                        return Ok(Some(line));
                    }
                }
                Format::OpenMetrics if line == "# EOF" => self.state = State::Closed,
                Format::OpenMetrics => return open_metrics_line(&mut cursor).map(Some),
            }
        }
        if self.format == Format::OpenMetrics && self.state != State::Closed {
            let cursor = Cursor::new("", self.line + 1);
            return Err(cursor.error("the text does not end with # EOF; it was cut off"));
        }
        Ok(None)
    }
}

impl<'a> Iterator for Exposition<'a> {
    type Item = Result<Line<'a>, WireError>;

    fn next(&mut self) -> Option<Result<Line<'a>, WireError>> {
        if self.state == State::Done {
            return None;
        }
        let read = self.read().transpose();
        if !matches!(read, Some(Ok(_))) {
            self.state = State::Done;
        }
        read
    }
}

/// All samples of a text; those without a timestamp get `default`.
///
/// # Errors
/// The text cannot be read; nothing of it is returned.
pub fn exposition(text: &[u8], format: Format, default: Timestamp) -> Result<Vec<(Labels, Sample)>, WireError> {
    let mut samples = Vec::new();
    for line in Exposition::new(text, format)? {
        if let Line::Sample(line) = line? {
            if samples.len() == limits::SAMPLES_PER_BATCH_MAX {
                return Err(WireError::TooManySamples);
            }
            samples.push((line.labels()?, Sample { t: line.timestamp.unwrap_or(default), v: line.value }));
        }
    }
    Ok(samples)
}

/// A line of the text format; a comment says nothing.
fn text_line<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Line<'a>>, WireError> {
    if cursor.take('#') {
        return text_comment(cursor);
    }
    let mut sample = series(cursor, Format::Text)?;
    cursor.skip_blanks();
    sample.value = cursor.number("a value is missing behind the series")?;
    cursor.skip_blanks();
    if !cursor.at_end() {
        let at = cursor.at();
        let token = cursor.token();
        let millis =
            token.parse().map_err(|_| cursor.error_at(at, "the timestamp is not a whole number of milliseconds"))?;
        sample.timestamp = Some(Timestamp(millis));
        cursor.skip_blanks();
    }
    if !cursor.at_end() {
        return Err(cursor.error("there is text behind the timestamp"));
    }
    Ok(Some(Line::Sample(sample)))
}

fn text_comment<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Line<'a>>, WireError> {
    if !cursor.skip_blanks() {
        return Ok(None);
    }
    let word = cursor.token();
    if !matches!(word, "HELP" | "TYPE") {
        return Ok(None);
    }
    cursor.skip_blanks();
    let name = cursor.family_name()?;
    cursor.skip_blanks();
    if word == "HELP" {
        return Ok(Some(Line::Help { name, text: unescape_help(cursor.take_rest()) }));
    }
    let kind = kind(cursor)?;
    cursor.skip_blanks();
    if !cursor.at_end() {
        return Err(cursor.error("there is text behind the type"));
    }
    Ok(Some(Line::Type { name, kind }))
}

fn kind(cursor: &mut Cursor<'_>) -> Result<MetricKind, WireError> {
    let at = cursor.at();
    let word = cursor.token();
    MetricKind::from_word(word).ok_or_else(|| {
        cursor.error_at(
            at,
            &format!("\"{word}\" is not a metric type; use counter, gauge, histogram, summary or untyped"),
        )
    })
}

fn open_metrics_line<'a>(cursor: &mut Cursor<'a>) -> Result<Line<'a>, WireError> {
    if cursor.at_end() {
        return Err(cursor.error("OpenMetrics has no empty lines; the text must end with # EOF"));
    }
    if cursor.take('#') {
        return open_metrics_metadata(cursor);
    }
    let mut sample = series(cursor, Format::OpenMetrics)?;
    cursor.space()?;
    sample.value = cursor.number("a value is missing behind the series")?;
    if !cursor.at_end() {
        cursor.space()?;
        if !cursor.take('#') {
            sample.timestamp = Some(cursor.seconds()?);
            if cursor.at_end() {
                return Ok(Line::Sample(sample));
            }
            cursor.space()?;
            if !cursor.take('#') {
                return Err(cursor.error("there is text behind the timestamp"));
            }
        }
        sample.exemplar = Some(exemplar(cursor)?);
    }
    Ok(Line::Sample(sample))
}

fn open_metrics_metadata<'a>(cursor: &mut Cursor<'a>) -> Result<Line<'a>, WireError> {
    cursor.space()?;
    let at = cursor.at();
    let word = cursor.token();
    if !matches!(word, "HELP" | "TYPE" | "UNIT") {
        return Err(cursor.error_at(at, "only HELP, TYPE, UNIT and EOF may stand behind # in OpenMetrics"));
    }
    cursor.space()?;
    let name = cursor.family_name()?;
    if word != "TYPE" && cursor.at_end() {
        return Ok(if word == "HELP" { Line::Help { name, text: "".into() } } else { Line::Unit { name, unit: "" } });
    }
    cursor.space()?;
    match word {
        "HELP" => Ok(Line::Help { name, text: unescape_help(cursor.take_rest()) }),
        "UNIT" => Ok(Line::Unit { name, unit: cursor.take_rest() }),
        _ => {
            let kind = kind(cursor)?;
            if !cursor.at_end() {
                return Err(cursor.error("there is text behind the type"));
            }
            Ok(Line::Type { name, kind })
        }
    }
}

/// An exemplar behind its `#`.
fn exemplar<'a>(cursor: &mut Cursor<'a>) -> Result<ExemplarText<'a>, WireError> {
    cursor.space()?;
    let start = cursor.at();
    if !cursor.starts_with('{') {
        return Err(cursor.error("an exemplar's labels are missing behind #"));
    }
    walk_series(cursor, Format::OpenMetrics, &mut |_| {})?;
    let labels = cursor.since(start);
    cursor.space()?;
    let value = cursor.number("an exemplar's value is missing")?;
    let mut timestamp = None;
    if !cursor.at_end() {
        cursor.space()?;
        timestamp = Some(cursor.seconds()?);
    }
    if !cursor.at_end() {
        return Err(cursor.error("there is text behind the exemplar"));
    }
    Ok(ExemplarText { text: cursor.since(start), labels, value, timestamp })
}

fn series<'a>(cursor: &mut Cursor<'a>, format: Format) -> Result<SampleLine<'a>, WireError> {
    let (start, column) = (cursor.at(), cursor.column());
    let mut named = false;
    walk_series(cursor, format, &mut |label| named |= label.name == Labels::METRIC_NAME && !label.value.is_empty())?;
    if !named {
        return Err(cursor.error_at(start, "a metric name is missing"));
    }
    let series = cursor.since(start);
    Ok(SampleLine { series, value: 0.0, timestamp: None, exemplar: None, line: cursor.line(), column })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, format: Format) -> Result<Vec<String>, String> {
        let samples = exposition(text.as_bytes(), format, Timestamp(-1)).map_err(|error| error.to_string())?;
        Ok(samples.iter().map(|(labels, sample)| format!("{labels} {} @{}", sample.v, sample.t.0)).collect())
    }

    fn check(format: Format, text: &str, expected: &[&str]) {
        assert_eq!(read(text, format).unwrap(), expected, "{text}");
    }

    fn refused(format: Format, text: &str, expected: &str) {
        assert_eq!(read(text, format).unwrap_err(), expected, "{text}");
    }

    #[test]
    fn the_text_format_is_read() {
        let t = |text, expected: &[&str]| check(Format::Text, text, expected);
        t("", &[]);
        t("\n  \n# a comment\n#\n#HELP x y\n", &[]);
        t("a 1\n", &["a 1 @-1"]);
        t("a 1", &["a 1 @-1"]);
        t("a{} 1", &["a 1 @-1"]);
        t(" \ta\t{ b = \"c\" ,\td=\"e\", } \t1e3  1395066363000 \n", &["a{b=\"c\", d=\"e\"} 1000 @1395066363000"]);
        t("a{b=\"c\"}-1 -5", &["a{b=\"c\"} -1 @-5"]);
        t("a:b_1 +Inf\nb -Inf\nc NaN", &["a:b_1 inf @-1", "b -inf @-1", "c NaN @-1"]);
        t(r#"a{b="q\"b\\n\n",c="\d"} 1"#, &[r#"a{b="q\"b\\n\n", c="\\d"} 1 @-1"#]);
        t(r#"{"a.b",l="v"} 1"#, &[r#"{"a.b", l="v"} 1 @-1"#]);
        t(r#"{l="v","a.b"} 1"#, &[r#"{"a.b", l="v"} 1 @-1"#]);
        t(r#"{"plain"} 1"#, &["plain 1 @-1"]);
        t(r#"a{"l.x"="v",empty=""} 1"#, &[r#"a{"l.x"="v"} 1 @-1"#]);
        t("# HELP a text\n# TYPE a counter\na 1 2\n", &["a 1 @2"]);
    }

    #[test]
    fn open_metrics_is_read() {
        let t = |text, expected: &[&str]| check(Format::OpenMetrics, text, expected);
        t("# EOF", &[]);
        t("# EOF\n", &[]);
        t("# TYPE a counter\n# UNIT a seconds\n# HELP a b\na_total 1.0 1.5\n# EOF\n", &["a_total 1 @1500"]);
        t("a_total 17 # {trace_id=\"x\"} 0.5\n# EOF\n", &["a_total 17 @-1"]);
        t("a_bucket{le=\"1\"} 17 1.001 # {} 0.5 1.25\n# EOF\n", &["a_bucket{le=\"1\"} 17 @1001"]);
        t("{\"a.b\"} 1\n# EOF\n", &["{\"a.b\"} 1 @-1"]);
        t("# HELP a\na NaN\n# EOF\n", &["a NaN @-1"]);
    }

    #[test]
    fn faults_have_line_and_column() {
        let t = |text, expected| refused(Format::Text, text, expected);
        t("a 1\nb", "2:2: a value is missing behind the series");
        t("a 1 2 3", "1:7: there is text behind the timestamp");
        t("a 1 1.5", "1:5: the timestamp is not a whole number of milliseconds");
        t("a x", "1:3: \"x\" is not a number");
        t("a 1_0", "1:3: \"1_0\" is not a number");
        t("é 1", "1:1: a metric name or { must stand here; quote names with other characters: {\"name\"}");
        t("a{é=\"x\"} 1", "1:3: a label name must stand here; quote names with other characters: \"name\"=\"value\"");
        t("a{b} 1", "1:4: = must stand behind the label name");
        t("a{b=c} 1", "1:5: a quoted value must stand here");
        t("a{b=\"é\"\"} 1", "1:8: , or } must stand behind a label");
        t("a{b=\"c} 1", "1:5: the quote is not closed on this line");
        t("a{b=\"c\\", "1:5: the quote is not closed on this line");
        t("a{b=\"c\",b=\"d\"} 1", "1:1: label \"b\" stands twice; keep one");
        t("a{\"b\"} 1", "1:3: the metric has two names");
        t("{b=\"c\"} 1", "1:1: a metric name is missing");
        t("{\"\"} 1", "1:1: a metric name is missing");
        t("a{\"\"=\"x\"} 1", "1:3: the label name is empty");
        t("a{__name__=\"b\"} 1", "1:1: label \"__name__\" stands twice; keep one");
        t("a{,} 1", "1:3: a label name must stand here; quote names with other characters: \"name\"=\"value\"");
        t("# TYPE a b", "1:10: \"b\" is not a metric type; use counter, gauge, histogram, summary or untyped");
        t("# TYPE a gauge b", "1:16: there is text behind the type");
        t("# TYPE", "1:7: a metric name must stand here");
        let t = |text, expected| refused(Format::OpenMetrics, text, expected);
        t("", "1:1: the text does not end with # EOF; it was cut off");
        t("a 1\n", "2:1: the text does not end with # EOF; it was cut off");
        t("a 1\n\n# EOF", "2:1: OpenMetrics has no empty lines; the text must end with # EOF");
        t("# EOF\na 1", "2:1: there is text behind # EOF");
        t("# EOF\n\n", "2:1: there is text behind # EOF");
        t("a  1\n# EOF", "1:3: \"\" is not a number");
        t("a 1 NaN\n# EOF", "1:5: the timestamp is not a number of seconds");
        t("a 1 # 5\n# EOF", "1:7: an exemplar's labels are missing behind #");
        t("# hello\n# EOF", "1:3: only HELP, TYPE, UNIT and EOF may stand behind # in OpenMetrics");
    }

    #[test]
    fn text_that_is_not_utf_8_is_refused_with_its_place() {
        let error = exposition(b"a 1\nb{c=\"\xc3\xa9\xff\"} 1\n", Format::Text, Timestamp(0)).unwrap_err();
        assert_eq!(error.to_string(), "2:7: the text is not valid UTF-8");
    }

    #[test]
    fn an_ordinary_nan_is_never_the_staleness_marker() {
        let samples = exposition(b"a NaN", Format::Text, Timestamp(0)).unwrap();
        assert_eq!(samples[0].1.v.to_bits(), 0x7ff8_0000_0000_0001);
    }

    #[test]
    fn exemplars_are_read() {
        let text = b"a_total 17 # {trace_id=\"x\",a=\"\"} 0.5 1.25\nb_total 1 3 # {} 2\nc 1\n# EOF";
        let lines = Exposition::new(text, Format::OpenMetrics).unwrap().map(Result::unwrap);
        let exemplars: Vec<_> = lines
            .map(|line| match line {
                Line::Sample(sample) => {
                    sample.exemplar.map(|e| (e.labels().unwrap().to_string(), e.value, e.timestamp))
                }
                other => panic!("{other:?}"),
            })
            .collect();
        let first = ("{trace_id=\"x\"}".to_owned(), 0.5, Some(Timestamp(1250)));
        assert_eq!(exemplars, [Some(first), Some(("{}".to_owned(), 2.0, None)), None]);
    }

    #[test]
    fn metadata_is_unescaped() {
        let text = b"# HELP a.b one\n# EOF";
        assert!(exposition(text, Format::OpenMetrics, Timestamp(0)).is_err());
        let text = b"# HELP \"a.b\" x\\\\y\\nz\n# TYPE \"a.b\" stateset\n# UNIT \"a.b\" s\n# EOF";
        let lines: Vec<_> = Exposition::new(text, Format::OpenMetrics).unwrap().map(Result::unwrap).collect();
        let expected = [
            Line::Help { name: "a.b".into(), text: "x\\y\nz".into() },
            Line::Type { name: "a.b".into(), kind: MetricKind::StateSet },
            Line::Unit { name: "a.b".into(), unit: "s" },
        ];
        assert_eq!(lines, expected);
    }
}
