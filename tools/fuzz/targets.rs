//! The decoders, what they are fed with at first, and what must hold whatever they get.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use evenkeel::codec::{
    Cursor, Effort, Postings, Timestamps, Values, checksum, decompress, intersect, put_integers, put_postings,
    put_timestamps, put_values, take_integers,
};
use evenkeel::config::{self, Config, load_routing, parse_objectives, parse_rules};
use evenkeel::env::disk::{Disk, MemoryDisk, Survival};
use evenkeel::model::{Batch, Labels, LabelsError, MetricKind, Millis, Pattern, Sample, TimeRange, Timestamp, limits};
use evenkeel::promql;
use evenkeel::storage::{Entry, OpenError, Store, StoreOptions};
use evenkeel::template;
use evenkeel::wire::{
    Exposition, FamilyPart, Format, HistogramReading, PointValue, encode_remote_write, exposition, metric_families,
    push_family, read_request, remote_write, to_exposition, write_request,
};

use super::{histograms, saved};

/// A decoder under test.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    /// What our own encoders make.
    pub(crate) seeds: fn() -> Vec<Vec<u8>>,
    /// Whether it took the input; an error if it did what it must not.
    pub(crate) run: fn(&[u8]) -> Result<bool, String>,
    /// Makes checksums right again.
    pub(crate) repair: Option<fn(&mut [u8])>,
    /// Texts that mean something to it.
    pub(crate) words: &'static [&'static str],
}

/// All of them.
pub(crate) fn all() -> Vec<Target> {
    let plain = |name, seeds, run| Target { name, seeds, run, repair: None, words: &[] };
    let text = |name, seeds, run, words| Target { name, seeds, run, repair: None, words };
    let stored = |name, seeds, run, repair| Target { name, seeds, run, repair: Some(repair), words: &[] };
    vec![
        plain("remote-write", remote_write_seeds, remote_write_body),
        plain("snappy", remote_write_seeds, |bytes| Ok(evenkeel::wire::decompressed_bytes(bytes).is_ok())),
        plain("remote-read", remote_read_seeds, remote_read_body),
        text(
            "config-shown",
            config_seeds,
            |b| yaml(b, |t| config::shown(t, None).map_err(|e| e.to_string())),
            YAML_WORDS,
        ),
        plain("metric-families", families_seeds, families_body),
        text("exposition", exposition_seeds, exposition_text, EXPOSITION_WORDS),
        text("promql", promql_seeds, promql_text, PROMQL_WORDS),
        text("labels", label_seeds, label_text, &["a0", "b1", "!", "A"]),
        text("pattern", pattern_seeds, pattern_text, &["(?i)", "[a-z]", ".*", "|", "{3}", "\\d", "(?:", ")", "^", "$"]),
        text("time", time_seeds, time_text, &["ms", "1w", "T", "Z", "-", ":", "99999999999"]),
        text("template", template_seeds, template_text, TEMPLATE_WORDS),
        text(
            "rules",
            rules_seeds,
            |bytes| yaml(bytes, |t| parse_rules("r.yml", t).map_err(|e| e.to_string())),
            YAML_WORDS,
        ),
        text(
            "objectives",
            objectives_seeds,
            |bytes| yaml(bytes, |t| parse_objectives("o.yml", t).map_err(|e| e.to_string())),
            YAML_WORDS,
        ),
        text("alertmanager", routing_seeds, routing_file, YAML_WORDS),
        text("config", config_seeds, config_file, YAML_WORDS),
        plain("values", values_seeds, values_column),
        plain("timestamps", timestamps_seeds, timestamps_column),
        plain("integers", integers_seeds, integers_column),
        plain("postings", postings_seeds, postings_list),
        plain("histograms", histograms::column_seeds, histograms::column),
        plain("histogram", histograms::row_seeds, histograms::row),
        plain("compressed", compressed_seeds, |bytes| Ok(with_count(bytes, |n, rest| decompress(rest, n).is_ok()))),
        stored("log", || store_file("wal", ".log"), |bytes| store_with("wal", ".log", bytes), repair_log),
        stored(
            "series-file",
            || store_file("blocks", ".series"),
            |bytes| store_with("blocks", ".series", bytes),
            repair_seal,
        ),
        stored("block", || store_file("blocks", ".block"), |bytes| store_with("blocks", ".block", bytes), repair_seal),
        stored("manifest", || store_file("", "MANIFEST"), |bytes| store_with("", "MANIFEST", bytes), repair_seal),
        stored("attachments", saved::states_seeds, saved::states, saved::repair_states),
        stored("outbox", saved::outbox_seeds, saved::outbox, saved::repair_outbox),
        stored("verdicts", saved::verdicts_seeds, saved::verdicts, saved::repair_verdicts),
        stored("episodes", saved::episodes_seeds, saved::episodes, saved::repair_episodes),
    ]
}

const EXPOSITION_WORDS: &[&str] = &[
    "# HELP ",
    "# TYPE ",
    "# UNIT ",
    "# EOF\n",
    "{",
    "}",
    "\"",
    "\\n",
    " NaN",
    " +Inf",
    " # {a=\"b\"} 1 2",
    "_total",
    "_bucket",
    "le=",
    "\n",
];
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
const YAML_WORDS: &[&str] = &[
    ": ",
    "- ",
    "\n",
    "  ",
    "{",
    "}",
    "[",
    "]",
    "&a ",
    "*a",
    "|\n",
    ">\n",
    "\"",
    "'",
    "#",
    "!!",
    "? ",
    "---\n",
    "expr: up == 0",
    "for: 5m",
    "${A}",
    "receiver: x",
];

// Wire.

pub(super) fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::new(pairs.iter().copied()).expect("different names, none of them empty")
}

fn remote_write_seeds() -> Vec<Vec<u8>> {
    let mut batch = Batch::new();
    for n in 0..5i64 {
        let text = n.to_string();
        let labels = labels(&[("__name__", "m"), ("job", "fuzz"), ("n", text.as_str())]);
        batch.push_series(labels, (0..3).map(|i| Sample { t: Timestamp(1000 * (n + i)), v: i as f64 / 8.0 }));
    }
    for (t, histogram) in (1000..).zip(histograms::kinds()) {
        let labels = labels(&[("__name__", "h"), ("job", "fuzz")]);
        batch.push_mixed(labels, [Sample { t: Timestamp(t), v: 1.0 }], [histograms::sample(t, histogram)]);
    }
    let plain = encode_remote_write(&batch);
    // Literals only, so that a mutation changes the message and not the way it is packed.
    let message = snap::raw::Decoder::new().decompress_vec(&plain).unwrap_or_default();
    vec![plain, as_literals(&message), encode_remote_write(&Batch::new())]
}

/// A snappy block of literals of one length, which ends up in front of them.
fn as_literals(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut length = message.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    for piece in message.chunks(60) {
        out.push((piece.len() as u8 - 1) << 2);
        out.extend(piece);
    }
    out
}

/// Requests for two queries, in the two forms of the answer.
fn remote_read_seeds() -> Vec<Vec<u8>> {
    const QUERY: &[u8] = b"\x0a\x15\x08\x80\x01\x10\x80\x08\x1a\x0d\x08\x02\x12\x03job\x1a\x04a|b+";
    let bytes = [QUERY, QUERY, b"\x12\x02\x01\x00"].concat();
    let pack = |bytes: &[u8]| snap::raw::Encoder::new().compress_vec(bytes).expect("a short text fits");
    vec![pack(&bytes), pack(QUERY), as_literals(&bytes)]
}

fn remote_read_body(bytes: &[u8]) -> Result<bool, String> {
    let Ok(request) = read_request(bytes) else { return Ok(false) };
    if request.queries.iter().any(|query| query.range.contains(Timestamp::MIN)) {
        return Err("a range that is open to the left holds the first instant".to_owned());
    }
    Ok(true)
}

fn remote_write_body(bytes: &[u8]) -> Result<bool, String> {
    let taken = remote_write(bytes);
    if let Ok(batch) = &taken {
        let again = remote_write(&encode_remote_write(batch)).map_err(|error| format!("its own body: {error}"))?;
        let bits = |batch: &Batch| -> Vec<(String, i64, u64)> {
            let name = |series: u32| batch.series()[series as usize].to_string();
            batch.samples().iter().map(|s| (name(s.series), s.sample.t.0, s.sample.v.to_bits())).collect()
        };
        if bits(&again) != bits(batch) || again.histograms() != batch.histograms() {
            return Err("it reads back otherwise".to_owned());
        }
        let raw = write_request(bytes).map_err(|error| format!("the two readers disagree: {error}"))?;
        let counts = (raw.batch.sample_count(), raw.batch.histograms().len());
        if counts != (batch.samples().len(), batch.histograms().len()) {
            return Err("the two readers count otherwise".to_owned());
        }
    }
    Ok(taken.is_ok())
}

fn exposition_seeds() -> Vec<Vec<u8>> {
    let series = [
        (labels(&[("__name__", "a_total"), ("job", "x\"\\\n")]), 1.5),
        (labels(&[("__name__", "b"), ("le", "+Inf")]), f64::NAN),
    ];
    let own = to_exposition(&series, &[]);
    let classic = "# HELP m says \\\\ what\n# TYPE m histogram\nm_bucket{le=\"0.5\"} 1 1700000000000\nm_bucket{le=\"+Inf\"} 2\nm_sum 1.5e3\nm_count 2\n";
    let open = "# TYPE r counter\n# UNIT r_seconds seconds\nr_total{a=\"b\",\"c d\"=\"e\"} 17.0 1520879607.789 # {id=\"x\"} 0.1 123.4\n{\"quoted name\",a=\"b\"} 1\n# EOF\n";
    [own.as_str(), classic, open].map(|text| text.as_bytes().to_vec()).to_vec()
}

fn exposition_text(bytes: &[u8]) -> Result<bool, String> {
    let mut taken = false;
    for format in [Format::Text, Format::OpenMetrics] {
        if let Ok(lines) = Exposition::new(bytes, format) {
            for line in lines {
                if line.is_err() {
                    break;
                }
            }
        }
        let Ok(samples) = exposition(bytes, format, Timestamp(0)) else { continue };
        taken = true;
        for (labels, _) in &samples {
            if Labels::from_text(labels.as_text()).as_ref() != Ok(labels) {
                return Err(format!("{labels} is not read back from its own text"));
            }
        }
    }
    Ok(taken)
}

fn families_seeds() -> Vec<Vec<u8>> {
    let mut own = Vec::new();
    let labels = || labels(&[("job", "x")]);
    let metrics: Vec<_> = histograms::kinds()
        .into_iter()
        .map(|histogram| (labels(), PointValue::Histogram(Arc::new(histogram)), Timestamp(5)))
        .collect();
    push_family(&mut own, "h", MetricKind::Histogram, &metrics);
    push_family(&mut own, "n", MetricKind::Unknown, &[(labels(), PointValue::Number(1.5), Timestamp(5))]);
    // A counter with an exemplar and its beginning; a summary; a classic histogram.
    let field = |number: u8, content: &[u8]| [&[number << 3 | 2, content.len() as u8][..], content].concat();
    let double = |number: u8, v: f64| [&[number << 3 | 1][..], &v.to_le_bytes()].concat();
    let time = field(3, &[8, 7, 16, 8]);
    let exemplar = [field(1, &[field(1, b"i"), field(2, b"x")].concat()), double(2, 0.5), time.clone()].concat();
    let counter = field(3, &[double(1, 1.5), field(2, &exemplar), time].concat());
    let summary =
        field(4, &[&[8, 4][..], &double(2, 1.5), &field(3, &[double(1, 0.5), double(2, 1.0)].concat())].concat());
    let bucket = |count: u8, bound: f64| field(3, &[&[8, count][..], &double(2, bound)].concat());
    let histogram = field(7, &[&[8, 9][..], &double(2, 1.5), &bucket(3, 0.5), &bucket(8, 2.0)].concat());
    for (kind, metric) in [(0, counter), (2, summary), (4, histogram)] {
        let family = [field(1, b"c_t"), vec![3 << 3, kind], field(4, &metric)].concat();
        own.push(family.len() as u8);
        own.extend(family);
    }
    vec![own]
}

fn families_body(bytes: &[u8]) -> Result<bool, String> {
    let mut taken = false;
    for (native, convert_classic) in [(true, true), (false, false), (true, false)] {
        let reading = HistogramReading { native, always_classic: native != convert_classic, convert_classic };
        let mut fault = None;
        let mut each = |part: FamilyPart<'_>| {
            let FamilyPart::Point(point) = part else { return Ok(()) };
            if point.labels.len() > limits::LABELS_PER_SERIES_MAX + 2 {
                fault = Some("a point has more labels than a series may".to_owned());
            }
            point.exemplars.iter().for_each(|exemplar| drop(exemplar.exemplar(Timestamp(0))));
            if let PointValue::Histogram(histogram) = &point.value {
                // What the store does with it.
                if let Ok(Some(coarser)) = histogram.coarser() {
                    let _ = coarser.validate();
                }
                let _ = histogram.validate();
            }
            Ok(())
        };
        taken |= metric_families(bytes, reading, &mut each).is_ok();
        if let Some(fault) = fault {
            return Err(fault);
        }
    }
    Ok(taken)
}

// Texts.

fn utf8(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn promql_seeds() -> Vec<Vec<u8>> {
    [
        "sum by (job) (rate(http_requests_total{code=~\"5..\",job!=\"a\"}[5m] offset 1m)) / on (job) group_left (x) b > bool 0.5",
        "histogram_quantile(0.9, sum without (a) (rate(x_bucket[5m]))) and -1 ^ 2 ^ -3",
        "max_over_time(deriv(m[5m])[1h:30s] @ end() offset -5m) or topk(3, label_replace(m, \"a\", \"$1\", \"b\", \"(.*)\"))",
        "{__name__=\"a b\", \"c d\"!~\"x|y\"} atan2 1e-3 != 0x1F",
        "count_values(\"v\", quantile(NaN, m)) unless ignoring (a) vector(time() % +Inf)",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
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
    ["5..", "a|b|cd", "(?i)x+(y*?)[^z]{2,3}", "\\Qa.b\\E|\\d+", "foo.*bar", ""]
        .map(|text| text.as_bytes().to_vec())
        .to_vec()
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
    ["1h30m", "5m", "1y2w3d", "2026-11-23T17:00:00.123Z", "2026-11-23T17:00:00+01:30", "1700000000.5"]
        .map(|text| text.as_bytes().to_vec())
        .to_vec()
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
    [
        "{{ $labels.instance }} is at {{ $value | humanizePercentage }}",
        "{{ range $i, $e := $labels }}{{ if gt $value 1.0 }}{{ $e }}{{ else }}-{{ end }}{{ end }}",
        "{{ with $x := printf \"%.2f\" $value }}{{ $x | toUpper }}{{ end }}{{ define \"a\" }}b{{ end }}{{ template \"a\" . }}",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
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

// Configuration.

fn yaml<T>(bytes: &[u8], parse: impl Fn(&str) -> Result<T, String>) -> Result<bool, String> {
    match parse(&utf8(bytes)) {
        Ok(_) => Ok(true),
        Err(error) if error.is_empty() => Err("an error without words".to_owned()),
        Err(_) => Ok(false),
    }
}

fn rules_seeds() -> Vec<Vec<u8>> {
    vec![include_bytes!("../../src/config/host/rules.yml").to_vec()]
}

fn objectives_seeds() -> Vec<Vec<u8>> {
    let own = "adjustments: [{from: 2026-11-21 02:00, for: 2h, repeat: FREQ=MONTHLY;BYDAY=1SU, time_zone: Europe/Berlin}]\n\
               objectives:\n- {service: a, objective: 99, window: month, time_zone: Asia/Kathmandu, good: 'sum(rate(g[5m]))', \
               total: t, group_by: [route], slices: {width: 1m, target: 95}}\n- {service: b, objective: 99, composite: \
               [{objective: a/availability, weight: 2}], window: month, time_zone: Asia/Kathmandu}\n";
    let openslo = "apiVersion: openslo/v1\nkind: SLO\nmetadata: {name: x}\nspec:\n  service: s\n  timeWindow: [{duration: 1M, \
                   calendar: {startTime: 2020-01-21 12:30:00, timeZone: America/New_York}}]\n  budgetingMethod: Timeslices\n  \
                   objectives: [{target: 0.99, timeSliceTarget: 0.95, timeSliceWindow: 5}]\n  indicator: {spec: {ratioMetric: \
                   {counter: false, bad: {metricSource: {spec: {query: a}}}, total: {metricSource: {spec: {query: b}}}}}}\n";
    let host = include_bytes!("../../src/config/host/objectives.yml").to_vec();
    vec![host, own.as_bytes().to_vec(), openslo.as_bytes().to_vec()]
}

fn routing_seeds() -> Vec<Vec<u8>> {
    vec![
        b"global: {resolve_timeout: 5m}\nroute:\n  receiver: a\n  group_by: [job]\n  group_wait: 30s\n  routes:\n  - matchers: ['severity=~\"page|ticket\"', 'job != x']\n    continue: true\n    receiver: b\nreceivers:\n- name: a\n  webhook_configs: [{url: 'http://localhost:1/', send_resolved: true, max_alerts: 3}]\n- name: b\n"
            .to_vec(),
    ]
}

fn config_seeds() -> Vec<Vec<u8>> {
    vec![
        b"global: {scrape_interval: 15s, external_labels: {dc: a}}\nscrape_configs:\n- job_name: shop\n  metrics_path: /m\n  params: {a: [b]}\n  static_configs: [{targets: ['10.0.0.5:8080'], labels: {x: y}}]\n  relabel_configs:\n  - {source_labels: [__address__, a], regex: '(.*):.*', target_label: host, replacement: '$1', action: replace}\n  - {action: labeldrop, regex: x}\nalerting:\n  alertmanagers: [{scheme: http, static_configs: [{targets: ['10.0.0.9:9093']}]}]\nstorage: {retention: 30d, durability: synced}\n"
            .to_vec(),
    ]
}

fn on_disk(name: &str, bytes: &[u8]) -> Result<(MemoryDisk, PathBuf), String> {
    let (disk, path) = (MemoryDisk::new(), Path::new("/c").join(name));
    put_file(&disk, &path, bytes)?;
    Ok((disk, path))
}

pub(super) fn put_file(disk: &MemoryDisk, path: &Path, bytes: &[u8]) -> Result<(), String> {
    let write = || {
        disk.create_dir(path.parent().unwrap_or(path))?;
        let mut file = disk.create(path)?;
        file.write_all(bytes)?;
        file.sync()
    };
    write().map_err(|error| error.to_string())
}

fn routing_file(bytes: &[u8]) -> Result<bool, String> {
    let (disk, path) = on_disk("alertmanager.yml", bytes)?;
    Ok(load_routing(&disk, &path).is_ok())
}

fn config_file(bytes: &[u8]) -> Result<bool, String> {
    let (disk, path) = on_disk("prometheus.yml", bytes)?;
    match Config::load_with(&disk, &path, &|_| None) {
        Ok(config) => Ok(!config.summary().is_empty()),
        Err(_) => Ok(false),
    }
}

// Columns: two bytes that say how many, then the column.

fn counted(count: usize, column: Vec<u8>) -> Vec<u8> {
    let mut out = (count as u16).to_le_bytes().to_vec();
    out.extend(column);
    out
}

fn with_count<T>(bytes: &[u8], run: impl FnOnce(usize, &[u8]) -> T) -> T {
    match bytes.split_first_chunk::<2>() {
        Some((count, rest)) => run(usize::from(u16::from_le_bytes(*count)) % 9000, rest),
        None => run(0, &[]),
    }
}

/// Numbers of several kinds.
fn numbers() -> Vec<Vec<f64>> {
    let shapes: [fn(i64) -> f64; 6] = [
        |_| 1.0,
        |i| (i * i) as f64,
        |i| (i * 7919 % 1013) as f64 / 100.0,
        |i| (i as f64).sin(),
        |i| if i % 50 == 7 { f64::NAN } else { 0.5 },
        |i| f64::from_bits((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
    ];
    [3, 130, 1500].iter().flat_map(|n| shapes.map(|shape| (0..*n).map(shape).collect())).collect()
}

fn values_seeds() -> Vec<Vec<u8>> {
    let both = [Effort::Young, Effort::Cold];
    let columns = numbers().into_iter().flat_map(|values| both.map(|effort| (values.clone(), effort)));
    let column = |(values, effort): (Vec<f64>, Effort)| {
        let mut out = Vec::new();
        put_values(&mut out, &values, effort);
        counted(values.len(), out)
    };
    columns.map(column).collect()
}

fn values_column(bytes: &[u8]) -> Result<bool, String> {
    with_count(bytes, |count, rest| {
        let Ok(column) = Values::open(rest, count) else { return Ok(false) };
        let (mut all, mut parts) = (Vec::new(), Vec::new());
        let whole = column.all(&mut all);
        let pieces = (0..column.vectors()).try_for_each(|i| column.vector(i, &mut parts));
        let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        match (whole, pieces) {
            (Ok(()), Ok(())) if all.len() == count && bits(&all) == bits(&parts) => {
                // What was read can be written and read again.
                let mut out = Vec::new();
                put_values(&mut out, &all, Effort::Young);
                let mut back = Vec::new();
                Values::open(&out, count).and_then(|v| v.all(&mut back)).map_err(|error| error.to_string())?;
                if bits(&back) == bits(&all) { Ok(true) } else { Err("it reads back otherwise".to_owned()) }
            }
            (Ok(()), _) => Err(format!("{count} values asked for, {} and {} read", all.len(), parts.len())),
            (Err(_), Ok(())) => Err("its vectors can be read and it cannot".to_owned()),
            (Err(_), Err(_)) => Ok(false),
        }
    })
}

fn timestamps_seeds() -> Vec<Vec<u8>> {
    let shapes: [fn(i64) -> i64; 4] =
        [|i| 1_700_000_000_000 + i * 15_000, |i| i * 15_000 + i * 7919 % 13, |i| i * i * i, |i| -i];
    let times = [3, 130, 1500].iter().flat_map(|n| shapes.map(|shape| (0..*n).map(shape).collect::<Vec<_>>()));
    let column = |times: Vec<i64>| {
        let mut out = Vec::new();
        put_timestamps(&mut out, &times, Effort::Cold);
        counted(times.len(), out)
    };
    times.map(column).collect()
}

fn timestamps_column(bytes: &[u8]) -> Result<bool, String> {
    with_count(bytes, |count, rest| {
        let Ok(column) = Timestamps::open(rest, count) else { return Ok(false) };
        let mut all = Vec::new();
        if column.all(&mut all).is_err() {
            return Ok(false);
        }
        let mut out = Vec::new();
        put_timestamps(&mut out, &all, Effort::Young);
        let mut back = Vec::new();
        Timestamps::open(&out, count).and_then(|t| t.all(&mut back)).map_err(|error| error.to_string())?;
        if all.len() == count && back == all { Ok(true) } else { Err("it reads back otherwise".to_owned()) }
    })
}

fn integers_seeds() -> Vec<Vec<u8>> {
    let lists = [vec![], vec![0, 1, u64::MAX], (0..200).map(|i| i * i).collect::<Vec<u64>>()];
    let column = |numbers: Vec<u64>| {
        let mut out = Vec::new();
        put_integers(&mut out, &numbers);
        counted(numbers.len(), out)
    };
    lists.map(column).to_vec()
}

fn integers_column(bytes: &[u8]) -> Result<bool, String> {
    with_count(bytes, |count, rest| match take_integers(&mut Cursor::new(rest), count) {
        Ok(numbers) if numbers.len() == count => Ok(true),
        Ok(numbers) => Err(format!("{count} numbers asked for, {} read", numbers.len())),
        Err(_) => Ok(false),
    })
}

fn postings_seeds() -> Vec<Vec<u8>> {
    let lists = [vec![], vec![0, 1, 5, 1_000_000], (0..3000).collect::<Vec<u32>>(), (0..500).map(|i| i * 37).collect()];
    let list = |numbers: Vec<u32>| {
        let mut out = Vec::new();
        put_postings(&mut out, &numbers);
        out
    };
    lists.map(list).to_vec()
}

fn postings_list(bytes: &[u8]) -> Result<bool, String> {
    let Ok(list) = Postings::open(&mut Cursor::new(bytes)) else { return Ok(false) };
    if list.len() > 1 << 20 {
        // A few bytes may stand for very many numbers; reading them all is not what is asked here.
        return Ok(true);
    }
    let numbers = list.to_vec();
    if numbers.len() != list.len() {
        return Err(format!("{} numbers announced, {} read", list.len(), numbers.len()));
    }
    if !numbers.is_sorted_by(|a, b| a < b) {
        // Checksums keep such a list away; asked all the same, it must only come to an end.
        let _ = (list.cursor().seek(numbers[0]), intersect(&[list.clone(), list]));
        return Ok(false);
    }
    let mut cursor = list.cursor();
    let middle = numbers.get(numbers.len() / 2).copied();
    if let Some(middle) = middle
        && cursor.seek(middle) != Some(middle)
    {
        return Err(format!("it has {middle} and does not find it"));
    }
    if intersect(&[list.clone(), list]) == numbers {
        Ok(true)
    } else {
        Err("it is not its own intersection".to_owned())
    }
}

fn compressed_seeds() -> Vec<Vec<u8>> {
    let raw: Vec<u8> = (0..3000u32).map(|i| (i / 7) as u8).collect();
    let packed = evenkeel::codec::compress(&raw).unwrap_or_default();
    vec![counted(raw.len(), packed)]
}

// Files of a database.

pub(super) const DIR: &str = "/data";
pub(super) const START: i64 = 1_700_000_000_000;

pub(super) fn store_options() -> StoreOptions {
    StoreOptions {
        segment_bytes_max: 1500,
        reserve_bytes: 0,
        out_of_order: Millis::seconds(10),
        ..StoreOptions::default()
    }
}

/// A small store with a block, attachments, a series file if there is one, and a log.
fn store_disk() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let fill = || -> Result<(), String> {
        let store = open_store(&disk).map_err(|error| error.to_string())?;
        for i in 0..12i64 {
            let mut batch = Batch::new();
            for n in 0..4 {
                let text = (n + i / 5).to_string();
                let labels = labels(&[("__name__", "m"), ("n", text.as_str())]);
                batch.push(labels, Sample { t: Timestamp(START + i * 1000), v: (i * n) as f64 / 3.0 });
            }
            let histogram = histograms::sample(START + i * 1000, histograms::growing(i.unsigned_abs()));
            batch.push_histogram(labels(&[("__name__", "h")]), histogram);
            let group = vec![Entry::Transaction(batch), Entry::Note(vec![1, 2, 3])];
            store.commit(Timestamp(START + i * 1000), group).map_err(|error| error.to_string())?;
            if i == 6 {
                store.begin_checkpoint(vec![("rules".into(), vec![9; 30])]).map_err(|error| error.to_string())?;
                store.finish_checkpoint().map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    };
    fill().expect("a store on a disk that works");
    disk
}

fn open_store(disk: &MemoryDisk) -> Result<Store, OpenError> {
    let (store, mut replay) = Store::open(Arc::new(disk.clone()), Path::new(DIR), store_options())?;
    while replay.next()?.is_some() {}
    Ok(store)
}

/// The last file of that kind below a folder.
pub(super) fn find(disk: &MemoryDisk, folder: &str, suffix: &str) -> Option<PathBuf> {
    let dir = if folder.is_empty() { PathBuf::from(DIR) } else { Path::new(DIR).join(folder) };
    let entries = disk.list(&dir).ok()?;
    entries.into_iter().rfind(|entry| !entry.is_dir && entry.name.ends_with(suffix)).map(|entry| entry.path)
}

fn store_file(folder: &str, suffix: &str) -> Vec<Vec<u8>> {
    let disk = store_disk();
    let file = find(&disk, folder, suffix).and_then(|path| disk.read(&path).ok());
    vec![file.unwrap_or_default()]
}

thread_local! {
    static STORE: MemoryDisk = store_disk();
}

/// Opens a store of which one file is the input, twice: no panic, and the second start is like the first.
fn store_with(folder: &str, suffix: &str, bytes: &[u8]) -> Result<bool, String> {
    let disk = STORE.with(|disk| disk.power_cut(Survival::Most));
    let Some(path) = find(&disk, folder, suffix) else { return Ok(false) };
    disk.tamper(&path, |file| *file = bytes.to_vec()).map_err(|error| error.to_string())?;
    let content = |store: &Store| {
        let all = store.snapshot().select(&[], TimeRange::ALL, 1 << 20);
        all.map(|all| format!("{all:?}")).map_err(|error| error.to_string())
    };
    let Ok(store) = open_store(&disk) else { return Ok(false) };
    let mut first = content(&store);
    if first.is_err() {
        let _ = store.maintain(Timestamp(START + 20_000));
        first = content(&store);
    }
    drop(store);
    let store = open_store(&disk).map_err(|error| format!("the second start fails: {error}"))?;
    let second = content(&store);
    if second != first {
        return Err(format!("the second start differs: {first:?}, then {second:?}").chars().take(2000).collect());
    }
    let mut batch = Batch::new();
    batch.push(labels(&[("__name__", "m"), ("n", "0")]), Sample { t: Timestamp(START + 60_000), v: 1.0 });
    let _ = store.commit(Timestamp(START + 60_000), vec![Entry::Transaction(batch)]);
    Ok(first.is_ok())
}

/// The last four bytes are the checksum of all before.
pub(super) fn repair_seal(bytes: &mut [u8]) {
    if let Some(end) = bytes.len().checked_sub(4) {
        let sum = checksum(&[&bytes[..end]]);
        bytes[end..].copy_from_slice(&sum.to_le_bytes());
    }
}

/// Every record's checksum: of its segment's number, of its header behind the checksum, of its payload.
fn repair_log(bytes: &mut [u8]) {
    const MAGIC: [u8; 4] = [0xe7, b'E', b'K', 0x1a];
    let Some(number) = bytes.get(12..20).map(<[u8]>::to_vec) else { return };
    if bytes.len() >= 24 {
        let sum = checksum(&[&bytes[..20]]);
        bytes[20..24].copy_from_slice(&sum.to_le_bytes());
    }
    repair_records(bytes, MAGIC, |record| checksum(&[&number, &record[8..]]), 40);
}

/// Records: magic, checksum, length of what is behind a header of so many bytes.
pub(super) fn repair_records(bytes: &mut [u8], magic: [u8; 4], sum: impl Fn(&[u8]) -> u32, header: usize) {
    let mut at = 0;
    while let Some(offset) = bytes[at..].windows(4).position(|window| window == magic) {
        at += offset;
        let length = bytes.get(at + 8..at + 12).and_then(|field| field.first_chunk().copied());
        let length = length.map_or(usize::MAX, |field| u32::from_le_bytes(field) as usize);
        let end = at.saturating_add(header).saturating_add(length);
        if end <= bytes.len() && at + header <= end {
            let sum = sum(&bytes[at..end]).to_le_bytes();
            bytes[at + 4..at + 8].copy_from_slice(&sum);
            at = end;
        } else {
            at += 4;
        }
    }
}
