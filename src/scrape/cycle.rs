//! What one target's scrapes become: batches with the target's labels, the series about the
//! scrape itself, and staleness markers.
//!
//! Invariants:
//! - One scrape is one batch, whether it succeeded or not.
//! - `live` holds the series whose newest value that went out is not a staleness marker, and
//!   nothing else; a series with timestamps of its own is never in it.
//! - Pure: no clock, no network.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::mem;
use std::time::Duration;

use super::created::Created;
use super::job::Encoding;
use super::relabel::{Relabel, relabel};
use crate::db::Beside;
use crate::model::{
    Batch, Exemplar, HistogramSample, Labels, LabelsError, MetricKind, MetricMetadata, Millis, STALE_NAN, Sample,
    SeriesExemplar, Timestamp, limits,
};
use crate::wire::{ExemplarText, Exposition, Format, HistogramReading, LabelText, Line, SampleLine, WireError};

/// How a target's text is taken.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reading {
    pub(super) honor_labels: bool,
    pub(super) honor_timestamps: bool,
    /// Zero for no limit.
    pub(super) sample_limit: usize,
    pub(super) relabel: Vec<Relabel>,
    /// What is made of histograms in protobuf.
    pub(super) histograms: HistogramReading,
    /// Whether it is looked at when counting began.
    pub(super) start_timestamps: bool,
}

/// What a scrape brought.
#[derive(Debug)]
pub(super) struct Scraped {
    pub(super) batch: Batch,
    /// Exemplars, and what was said of metric families for the first time.
    pub(super) beside: Beside,
    /// Samples in the text.
    pub(super) samples: usize,
    /// Why it counts as failed, if so.
    pub(super) error: Option<String>,
}

/// The memory of one target from scrape to scrape.
#[derive(Debug)]
pub(super) struct Cycle {
    target: Labels,
    pub(super) reading: Reading,
    /// The labels of each series, by the text that the target writes for it.
    pub(super) known: HashMap<Box<str>, Known>,
    /// What the target said of its metric families, and whether that was passed on.
    described: HashMap<String, Described>,
    pub(super) round: u64,
    live: HashSet<Labels>,
    /// What was live before the batch that is on its way out.
    live_before: HashSet<Labels>,
    reports: Option<Reports>,
    last: Timestamp,
}

#[derive(Debug)]
pub(super) struct Known {
    /// `None`: the rules drop it.
    pub(super) labels: Option<Labels>,
    /// The scrape that met it last.
    pub(super) round: u64,
    /// The exemplars that came last, as they were written: targets repeat theirs until they have others.
    pub(super) exemplars: HashSet<Box<[u8]>>,
    /// The labels that tell when its counting began, once that was asked for.
    pub(super) counted: Option<Labels>,
}

impl Known {
    /// A series that is met in a scrape for the first time.
    pub(super) fn new(labels: Option<Labels>, round: u64) -> Known {
        Known { labels, round, exemplars: HashSet::new(), counted: None }
    }
}

#[derive(Debug)]
struct Described {
    metadata: MetricMetadata,
    told: bool,
}

/// The series about the scrape itself, in the order of [`REPORTS`].
#[derive(Debug)]
struct Reports {
    series: [Labels; 5],
    live: bool,
    live_before: bool,
}

const REPORTS: [&str; 5] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
];

/// The samples of one text, before they are in a batch.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) samples: Vec<(Labels, Sample)>,
    pub(super) histograms: Vec<(Labels, HistogramSample)>,
    /// When the counting of samples began, by position.
    pub(super) starts: Vec<(usize, Timestamp)>,
    pub(super) tracked: HashSet<Labels>,
    pub(super) added: usize,
    pub(super) beside: Beside,
    pub(super) scraped: usize,
    /// Those that the rules left, also beyond the limit.
    pub(super) kept: usize,
}

impl Cycle {
    /// A target with these labels that was never scraped.
    pub(super) fn new(target: Labels, reading: Reading) -> Cycle {
        let reports = REPORTS.map(|name| target.builder().set(Labels::METRIC_NAME, name).build());
        // Five short names more cannot pass a limit that the target's own labels keep, except on
        // its very edge; then there are no such series.
        let reports = reports.into_iter().collect::<Result<Vec<_>, _>>().ok().and_then(|all| all.try_into().ok());
        Cycle {
            target,
            reading,
            known: HashMap::new(),
            described: HashMap::new(),
            round: 0,
            live: HashSet::new(),
            live_before: HashSet::new(),
            reports: reports.map(|series| Reports { series, live: false, live_before: false }),
            last: Timestamp::MIN,
        }
    }

    /// Goes on with other options: the target's configuration changed, its labels did not.
    pub(super) fn with_reading(mut self, reading: Reading) -> Cycle {
        if self.reading != reading {
            self.known.clear();
            self.reading = reading;
        }
        self
    }

    /// The batch of an answer.
    pub(super) fn scraped(&mut self, body: &[u8], format: Encoding, at: Timestamp, took: Duration) -> Scraped {
        self.round += 1;
        let mut taken = Taken::default();
        let result = match format {
            Encoding::Text(format) => self.take_text(body, format, at, &mut taken),
            Encoding::Protobuf => self.take_families(body, at, &mut taken),
        };
        match result {
            Ok(()) => self.succeed(taken, at, took),
            Err(reason) => self.fail(reason, &taken, at, took),
        }
    }

    /// The batch of samples that were collected in this process.
    pub(super) fn collected(&mut self, samples: Vec<(Labels, f64)>, at: Timestamp, took: Duration) -> Scraped {
        self.round += 1;
        let mut taken = Taken { scraped: samples.len(), ..Taken::default() };
        for (labels, v) in samples {
            let pairs: Vec<_> = labels.iter().map(|label| (label.name, label.value)).collect();
            match self.name(&pairs) {
                Ok(None) => {}
                Ok(Some(labels)) => {
                    taken.added += usize::from(!self.live.contains(&labels));
                    taken.tracked.insert(labels.clone());
                    taken.samples.push((labels, Sample { t: at, v }));
                }
                Err(error) => return self.fail(error.to_string(), &taken, at, took),
            }
        }
        self.succeed(taken, at, took)
    }

    /// The batch of a target that gave no answer.
    pub(super) fn failed(&mut self, reason: String, at: Timestamp, took: Duration) -> Scraped {
        self.round += 1;
        self.fail(reason, &Taken::default(), at, took)
    }

    /// The batch of a target that is scraped no more: everything of it ends.
    pub(super) fn ended(&mut self, at: Timestamp) -> Batch {
        let at = at.max(self.last + Millis(1));
        let mut batch = Batch::new();
        let live = self.begin(at);
        push_stale(&mut batch, live, at);
        if let Some(reports) = self.reports.as_mut().filter(|reports| reports.live) {
            push_stale(&mut batch, reports.series.iter().cloned().collect(), at);
            reports.live = false;
        }
        self.known.clear();
        batch
    }

    /// The last batch was not stored: what it said of the series is still to be said.
    pub(super) fn not_stored(&mut self) {
        let before = mem::take(&mut self.live_before);
        self.live.extend(before);
        self.forget_told();
        if let Some(reports) = &mut self.reports {
            reports.live |= reports.live_before;
        }
    }

    fn take_text(&mut self, body: &[u8], format: Format, at: Timestamp, taken: &mut Taken) -> Result<(), String> {
        let limit = self.reading.sample_limit;
        let mut created = (self.reading.start_timestamps && format == Format::OpenMetrics).then(Created::default);
        for line in Exposition::new(body, format).map_err(|error| error.to_string())? {
            let line = match line.map_err(|error| error.to_string())? {
                Line::Sample(line) if created.as_mut().is_some_and(|created| created.take(&line)) => continue,
                Line::Sample(line) => line,
                said => {
                    if let Some(created) = &mut created {
                        created.described(&said, taken);
                    }
                    self.describe(said);
                    continue;
                }
            };
            taken.scraped += 1;
            if taken.scraped > limits::SAMPLES_PER_BATCH_MAX {
                return Err(WireError::TooManySamples.to_string());
            }
            let labels = self.labels_of(&line, &mut taken.added).map_err(|error| error.to_string())?;
            let Some(labels) = labels else { continue };
            taken.kept += 1;
            if limit > 0 && taken.kept > limit {
                // Counted on, for whoever has to find a better limit.
                continue;
            }
            let own_time = line.timestamp.filter(|_| self.reading.honor_timestamps);
            if own_time.is_none() {
                taken.tracked.insert(labels.clone());
            }
            if let Some(exemplar) = line.exemplar {
                taken.beside.exemplars.extend(self.exemplar_of(&line, exemplar, &labels, at));
            }
            if let Some(created) = &mut created {
                created.count(taken.samples.len(), &line, self.known.get_mut(line.series));
            }
            taken.samples.push((labels, Sample { t: own_time.unwrap_or(at), v: line.value }));
        }
        if let Some(mut created) = created {
            created.end(taken);
        }
        self.check_limit(taken)
    }

    pub(super) fn check_limit(&self, taken: &Taken) -> Result<(), String> {
        let (limit, kept) = (self.reading.sample_limit, taken.kept);
        if limit > 0 && kept > limit {
            return Err(format!("{kept} samples, more than {limit}; raise sample_limit or have the target say less"));
        }
        Ok(())
    }

    /// An exemplar that was not passed on yet; one that cannot be labelled is none.
    fn exemplar_of(
        &mut self,
        line: &SampleLine<'_>,
        exemplar: ExemplarText<'_>,
        series: &Labels,
        at: Timestamp,
    ) -> Option<SeriesExemplar> {
        let known = self.known.get_mut(line.series)?;
        if known.exemplars.contains(exemplar.text.as_bytes()) {
            return None;
        }
        known.exemplars.clear();
        known.exemplars.insert(exemplar.text.as_bytes().into());
        let sample = Sample { t: exemplar.timestamp.unwrap_or(at), v: exemplar.value };
        let exemplar = Exemplar { labels: exemplar.labels().ok()?, sample };
        Some(SeriesExemplar { series: series.clone(), exemplar })
    }

    /// Takes note of what a line says of a metric family.
    pub(super) fn describe(&mut self, line: Line<'_>) {
        let name = match &line {
            Line::Help { name, .. } | Line::Type { name, .. } | Line::Unit { name, .. } => name,
            Line::Sample(_) => return,
        };
        if !self.described.contains_key(&**name) {
            if self.described.len() >= limits::METADATA_FAMILIES_MAX {
                return;
            }
            let (help, unit) = (String::new(), String::new());
            let metadata = MetricMetadata { family: name.to_string(), kind: MetricKind::Unknown, help, unit };
            self.described.insert(name.to_string(), Described { metadata, told: false });
        }
        let Some(Described { metadata, told }) = self.described.get_mut(&**name) else { return };
        match line {
            Line::Help { text, .. } if metadata.help != text => metadata.help = text.into_owned(),
            Line::Type { kind, .. } if metadata.kind != kind => metadata.kind = kind,
            Line::Unit { unit, .. } if metadata.unit != unit => unit.clone_into(&mut metadata.unit),
            _ => return,
        }
        *told = false;
    }

    /// What was passed on was not stored, or is not going to be: it is to be said again.
    fn forget_told(&mut self) {
        self.described.values_mut().for_each(|described| described.told = false);
        self.known.values_mut().for_each(|known| known.exemplars.clear());
    }

    /// The labels of a line's series, or `None` if the rules drop it.
    fn labels_of(&mut self, line: &SampleLine<'_>, added: &mut usize) -> Result<Option<Labels>, WireError> {
        if let Some(known) = self.known.get_mut(line.series) {
            known.round = self.round;
            return Ok(known.labels.clone());
        }
        let pairs = line.pairs();
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|LabelText { name, value }| (&**name, &**value)).collect();
        let labels = self.name(&pairs).map_err(|error| line.refuse(&error))?;
        if labels.as_ref().is_some_and(|labels| labels.metric_name().is_empty()) {
            return Err(line.refuse_for("the relabeling rules take away the metric's name"));
        }
        *added += usize::from(labels.is_some());
        self.known.insert(line.series.into(), Known::new(labels.clone(), self.round));
        Ok(labels)
    }

    pub(super) fn name(&self, own: &[(&str, &str)]) -> Result<Option<Labels>, LabelsError> {
        relabel(&combine(own, &self.target, self.reading.honor_labels)?, &self.reading.relabel)
    }

    fn succeed(&mut self, taken: Taken, at: Timestamp, took: Duration) -> Scraped {
        let round = self.round;
        self.known.retain(|_, known| known.round == round);
        let mut batch = Batch::new();
        let live = self.begin(at);
        let count = (taken.samples.len() + taken.histograms.len()) as f64;
        self.report(&mut batch, at, [1.0, took.as_secs_f64(), taken.scraped as f64, count, taken.added as f64]);
        let mut starts = taken.starts.into_iter().peekable();
        for (position, (labels, sample)) in taken.samples.into_iter().enumerate() {
            match starts.next_if(|(of, _)| *of == position) {
                Some((_, start)) => batch.push_counted(labels, sample, start),
                None => batch.push(labels, sample),
            }
        }
        for (labels, sample) in taken.histograms {
            batch.push_histogram(labels, sample);
        }
        push_stale(&mut batch, live.difference(&taken.tracked).cloned().collect(), at);
        self.live = taken.tracked;
        let mut beside = taken.beside;
        for described in self.described.values_mut().filter(|described| !described.told) {
            described.told = true;
            beside.metadata.push(described.metadata.clone());
        }
        // In the order of names, so that the same scrapes give the same bytes.
        beside.metadata.sort_unstable_by(|a, b| a.family.cmp(&b.family));
        Scraped { batch, beside, samples: taken.scraped, error: None }
    }

    fn fail(&mut self, reason: String, taken: &Taken, at: Timestamp, took: Duration) -> Scraped {
        self.known.clear();
        self.forget_told();
        let mut batch = Batch::new();
        let live = self.begin(at);
        self.report(&mut batch, at, [0.0, took.as_secs_f64(), taken.scraped as f64, taken.kept as f64, 0.0]);
        push_stale(&mut batch, live, at);
        Scraped { batch, beside: Beside::default(), samples: taken.scraped, error: Some(reason) }
    }

    /// Starts a batch: hands out what was live and remembers it until the batch is stored.
    fn begin(&mut self, at: Timestamp) -> HashSet<Labels> {
        self.last = self.last.max(at);
        let live = mem::take(&mut self.live);
        self.live_before.clone_from(&live);
        if let Some(reports) = &mut self.reports {
            reports.live_before = reports.live;
        }
        live
    }

    /// Our own word on the scrape goes first: should the target say `up` with the same labels, its
    /// sample is the duplicate.
    fn report(&mut self, batch: &mut Batch, at: Timestamp, values: [f64; 5]) {
        let Some(reports) = &mut self.reports else { return };
        reports.live = true;
        for (labels, v) in reports.series.iter().zip(values) {
            batch.push(labels.clone(), Sample { t: at, v });
        }
    }
}

/// In the order of the labels, so that the same scrapes give the same bytes.
fn push_stale(batch: &mut Batch, series: HashSet<Labels>, at: Timestamp) {
    let mut series: Vec<_> = series.into_iter().collect();
    series.sort_unstable();
    for labels in series {
        batch.push(labels, Sample { t: at, v: f64::from_bits(STALE_NAN) });
    }
}

/// The labels of a series and those of its target in one set.
fn combine(own: &[(&str, &str)], target: &Labels, honor_labels: bool) -> Result<Labels, LabelsError> {
    // Said here because a renamed label could otherwise hide the second of two.
    if let Some((name, _)) = own.iter().enumerate().find_map(|(i, pair)| own[..i].iter().find(|p| p.0 == pair.0)) {
        return Err(LabelsError::Duplicate { name: (*name).to_owned() });
    }
    let is_own = |name: &str| own.iter().any(|pair| pair.0 == name);
    let mut pairs: Vec<(Cow<'_, str>, &str)> = Vec::with_capacity(own.len() + 8);
    if honor_labels {
        // An empty label counts as said: it removes the target's.
        pairs.extend(own.iter().map(|(name, value)| (Cow::Borrowed(*name), *value)));
        pairs.extend(target.iter().filter(|l| !is_own(l.name)).map(|l| (Cow::Borrowed(l.name), l.value)));
    } else {
        pairs.extend(target.iter().map(|label| (Cow::Borrowed(label.name), label.value)));
        for (name, value) in own {
            if target.get(name).is_empty() {
                pairs.push((Cow::Borrowed(*name), *value));
            } else if !value.is_empty() {
                let mut renamed = format!("exported_{name}");
                while is_own(&renamed) || pairs.iter().any(|pair| pair.0 == renamed) {
                    renamed.insert_str(0, "exported_");
                }
                pairs.push((Cow::Owned(renamed), *value));
            }
        }
    }
    Labels::new(pairs.iter().map(|(name, value)| (&**name, *value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scrape::{RelabelAction, RelabelOptions};

    const TOOK: Duration = Duration::from_millis(250);
    const PLAIN: Reading = Reading {
        honor_labels: false,
        honor_timestamps: true,
        sample_limit: 0,
        relabel: Vec::new(),
        histograms: HistogramReading { native: true, always_classic: false, convert_classic: false },
        start_timestamps: false,
    };

    fn cycle(reading: Reading) -> Cycle {
        Cycle::new(Labels::new([("instance", "i"), ("job", "j")]).unwrap(), reading)
    }

    fn scrape(cycle: &mut Cycle, text: &str, at: i64) -> Scraped {
        cycle.scraped(text.as_bytes(), Encoding::Text(Format::Text), Timestamp(at), TOOK)
    }

    /// The batch's samples without the target's labels, in order: `a{x="y"} 1 @5`.
    fn lines(batch: &Batch) -> Vec<String> {
        let samples = batch.samples().iter().map(|sample| {
            let labels = &batch.series()[sample.series as usize];
            assert_eq!((labels.get("instance"), labels.get("job")), ("i", "j"), "{labels}");
            let shown = labels.filter(|name| name != "instance" && name != "job");
            let Sample { t, v } = sample.sample;
            if v.to_bits() == STALE_NAN { format!("{shown} stale @{}", t.0) } else { format!("{shown} {v} @{}", t.0) }
        });
        samples.collect()
    }

    fn reports(up: u8, scraped: usize, stored: usize, added: usize, at: i64) -> Vec<String> {
        vec![
            format!("up {up} @{at}"),
            format!("scrape_duration_seconds 0.25 @{at}"),
            format!("scrape_samples_scraped {scraped} @{at}"),
            format!("scrape_samples_post_metric_relabeling {stored} @{at}"),
            format!("scrape_series_added {added} @{at}"),
        ]
    }

    #[track_caller]
    fn check(batch: &Batch, reports: Vec<String>, samples: &[&str]) {
        let expected: Vec<String> = reports.into_iter().chain(samples.iter().map(|line| (*line).to_owned())).collect();
        assert_eq!(lines(batch), expected);
    }

    #[test]
    fn a_series_that_vanishes_gets_one_marker() {
        let mut cycle = cycle(PLAIN);
        check(
            &scrape(&mut cycle, "a 1\nb{x=\"y\"} 2", 10).batch,
            reports(1, 2, 2, 2, 10),
            &["a 1 @10", "b{x=\"y\"} 2 @10"],
        );
        check(&scrape(&mut cycle, "a 3", 20).batch, reports(1, 1, 1, 0, 20), &["a 3 @20", "b{x=\"y\"} stale @20"]);
        check(&scrape(&mut cycle, "a 4", 30).batch, reports(1, 1, 1, 0, 30), &["a 4 @30"]);
        check(
            &scrape(&mut cycle, "a 5\nb{x=\"y\"} 6", 40).batch,
            reports(1, 2, 2, 1, 40),
            &["a 5 @40", "b{x=\"y\"} 6 @40"],
        );
    }

    #[test]
    fn exemplars_and_descriptions_are_passed_on_once() {
        let mut cycle = cycle(PLAIN);
        let mut round = |text: &str, at: i64| {
            let text = format!("# HELP a words\n# TYPE a counter\n# UNIT b s\n{text}\n# EOF\n");
            let scraped = cycle.scraped(text.as_bytes(), Encoding::Text(Format::OpenMetrics), Timestamp(at), TOOK);
            assert_eq!(scraped.error, None);
            let exemplars = scraped.beside.exemplars.iter().map(|one| {
                let series = one.series.filter(|name| name != "instance" && name != "job");
                format!("{series} {} {} @{}", one.exemplar.labels, one.exemplar.sample.v, one.exemplar.sample.t.0)
            });
            let metadata = scraped
                .beside
                .metadata
                .iter()
                .map(|one| format!("{} {} {:?} {:?}", one.family, one.kind.as_str(), one.help, one.unit));
            let said: Vec<String> = exemplars.chain(metadata).collect();
            if at == 40 {
                cycle.not_stored();
            }
            said
        };
        let words = ["a counter \"words\" \"\"", "b unknown \"\" \"s\""];
        assert_eq!(round("a_total 1 # {id=\"x\"} 0.5", 10), [&["a_total {id=\"x\"} 0.5 @10"][..], &words[..]].concat());
        assert_eq!(round("a_total 2 # {id=\"x\"} 0.5", 20), [""; 0]);
        assert_eq!(round("a_total 3 # {id=\"y\"} 0.5 0.025", 30), ["a_total {id=\"y\"} 0.5 @25"]);
        assert_eq!(round("# TYPE b gauge\na_total 4 # {id=\"y\",id=\"z\"} 1", 40), ["b gauge \"\" \"s\""]);
        let again = ["a_total {} 1 @50", "a counter \"words\" \"\"", "b gauge \"\" \"s\""];
        assert_eq!(round("a_total 4 # {} 1", 50), again, "what was not stored is said again");
    }

    #[test]
    fn a_failed_scrape_ends_everything_but_the_word_on_it() {
        let mut cycle = cycle(PLAIN);
        scrape(&mut cycle, "a 1", 10);
        let failed = cycle.failed("no route".to_owned(), Timestamp(20), TOOK);
        assert_eq!(failed.error.as_deref(), Some("no route"));
        check(&failed.batch, reports(0, 0, 0, 0, 20), &["a stale @20"]);
        check(&cycle.failed(String::new(), Timestamp(30), TOOK).batch, reports(0, 0, 0, 0, 30), &[]);
        check(&scrape(&mut cycle, "a 1", 40).batch, reports(1, 1, 1, 1, 40), &["a 1 @40"]);
    }

    #[test]
    fn of_a_text_with_a_fault_nothing_is_taken() {
        let mut cycle = cycle(PLAIN);
        scrape(&mut cycle, "a 1", 10);
        let failed = scrape(&mut cycle, "a 2\nb 3\nc x", 20);
        assert_eq!(failed.error.as_deref(), Some("3:3: \"x\" is not a number"));
        check(&failed.batch, reports(0, 2, 2, 0, 20), &["a stale @20"]);
        let failed = scrape(&mut cycle, "a{b=\"1\",b=\"2\"} 2", 30);
        assert_eq!(failed.error.as_deref(), Some("1:1: label \"b\" stands twice; keep one"));
        let failed = cycle.scraped(b"a 1", Encoding::Text(Format::OpenMetrics), Timestamp(40), TOOK);
        assert_eq!(failed.error.as_deref(), Some("2:1: the text does not end with # EOF; it was cut off"));
    }

    #[test]
    fn too_many_samples_fail_the_scrape() {
        let mut cycle = cycle(Reading { sample_limit: 2, ..PLAIN });
        assert_eq!(scrape(&mut cycle, "a 1\nb 1", 10).error, None);
        let failed = scrape(&mut cycle, "a 1\nb 1\nc 1\nd 1", 20);
        assert_eq!(
            failed.error.as_deref(),
            Some("4 samples, more than 2; raise sample_limit or have the target say less")
        );
        // All are counted: it is the number to set the limit by.
        check(&failed.batch, reports(0, 4, 4, 0, 20), &["a stale @20", "b stale @20"]);
    }

    #[test]
    fn a_removed_target_ends_once_and_after_its_last_scrape() {
        let mut cycle = cycle(PLAIN);
        assert!(cycle.ended(Timestamp(5)).is_empty());
        scrape(&mut cycle, "a 1", 10);
        let ended = lines(&cycle.ended(Timestamp(10)));
        let names = [
            "a",
            "scrape_duration_seconds",
            "scrape_samples_post_metric_relabeling",
            "scrape_samples_scraped",
            "scrape_series_added",
            "up",
        ];
        assert_eq!(ended, names.map(|name| format!("{name} stale @11")));
        assert!(cycle.ended(Timestamp(20)).is_empty());
    }

    #[test]
    fn a_batch_that_was_not_stored_is_made_up_for() {
        let mut cycle = cycle(PLAIN);
        scrape(&mut cycle, "a 1\nb 1", 10);
        // The marker of `b` and the sample of `c` get lost; both must end later.
        scrape(&mut cycle, "a 1\nc 1", 20);
        cycle.not_stored();
        check(
            &scrape(&mut cycle, "a 1", 30).batch,
            reports(1, 1, 1, 0, 30),
            &["a 1 @30", "b stale @30", "c stale @30"],
        );
        cycle.failed(String::new(), Timestamp(40), TOOK);
        cycle.not_stored();
        check(&cycle.failed(String::new(), Timestamp(50), TOOK).batch, reports(0, 0, 0, 0, 50), &["a stale @50"]);
        cycle.ended(Timestamp(60));
        cycle.not_stored();
        assert_eq!(cycle.ended(Timestamp(70)).samples().len(), 5);
    }

    #[test]
    fn series_with_timestamps_of_their_own_do_not_end() {
        let mut cycle = cycle(PLAIN);
        check(&scrape(&mut cycle, "a 1 7\nb 2", 10).batch, reports(1, 2, 2, 2, 10), &["a 1 @7", "b 2 @10"]);
        check(&scrape(&mut cycle, "", 20).batch, reports(1, 0, 0, 0, 20), &["b stale @20"]);
        let mut cycle = Cycle::new(cycle.target, Reading { honor_timestamps: false, ..PLAIN });
        check(&scrape(&mut cycle, "a 1 7", 30).batch, reports(1, 1, 1, 1, 30), &["a 1 @30"]);
        check(&scrape(&mut cycle, "", 40).batch, reports(1, 0, 0, 0, 40), &["a stale @40"]);
    }

    #[test]
    fn the_targets_labels_win_unless_its_own_are_honored() {
        let target = Labels::new([("instance", "i"), ("job", "j")]).unwrap();
        let check = |own: &[(&str, &str)], honor: bool, expected: &str| {
            assert_eq!(combine(own, &target, honor).unwrap().to_string(), expected);
        };
        check(&[("__name__", "a"), ("job", "x")], false, r#"a{exported_job="x", instance="i", job="j"}"#);
        check(&[("__name__", "a"), ("job", "x")], true, r#"a{instance="i", job="x"}"#);
        check(&[("__name__", "a"), ("instance", "")], true, r#"a{job="j"}"#);
        check(&[("__name__", "a"), ("instance", "")], false, r#"a{instance="i", job="j"}"#);
        check(
            &[("__name__", "a"), ("exported_job", "y"), ("job", "x")],
            false,
            r#"a{exported_exported_job="x", exported_job="y", instance="i", job="j"}"#,
        );
        assert!(combine(&[("a", "1"), ("a", "2")], &target, false).is_err());
        assert!(combine(&[("job", "1"), ("job", "2")], &target, false).is_err());
    }

    #[test]
    fn rules_drop_and_rewrite_samples() {
        let rule = |action, regex: &str, target: &str| {
            let source_labels = vec!["__name__".to_owned()];
            let (regex, target_label) = (regex.to_owned(), target.to_owned());
            Relabel::new(RelabelOptions { source_labels, regex, target_label, action, ..RelabelOptions::default() })
                .unwrap()
        };
        let drop = rule(RelabelAction::Drop, "noise_.*", "");
        let copy = rule(RelabelAction::Replace, "(.).*", "first");
        let reading = Reading { sample_limit: 2, relabel: vec![drop, copy], ..PLAIN };
        let mut cycle = cycle(reading);
        let text = "noise_a 1\nxy 1\nnoise_b 1\nz 1";
        let expected = ["xy{first=\"x\"} 1 @10", "z{first=\"z\"} 1 @10"];
        check(&scrape(&mut cycle, text, 10).batch, reports(1, 4, 2, 2, 10), &expected);
        let expected = ["xy{first=\"x\"} 1 @20", "z{first=\"z\"} stale @20"];
        check(&scrape(&mut cycle, "noise_a 1\nxy 1", 20).batch, reports(1, 2, 1, 0, 20), &expected);
        let mut cycle =
            cycle.with_reading(Reading { relabel: vec![rule(RelabelAction::LabelDrop, "__.*", "")], ..PLAIN });
        let failed = scrape(&mut cycle, "xy 1", 30);
        assert_eq!(failed.error.as_deref(), Some("1:1: the relabeling rules take away the metric's name"));
    }

    #[test]
    fn samples_of_this_process_are_treated_alike() {
        let mut cycle = cycle(PLAIN);
        let named = |name| Labels::new([("__name__", name), ("job", "inner")]).unwrap();
        let collected = cycle.collected(vec![(named("a"), 1.0), (named("b"), 2.0)], Timestamp(10), TOOK);
        check(
            &collected.batch,
            reports(1, 2, 2, 2, 10),
            &["a{exported_job=\"inner\"} 1 @10", "b{exported_job=\"inner\"} 2 @10"],
        );
        let collected = cycle.collected(vec![(named("a"), 1.0)], Timestamp(20), TOOK);
        check(
            &collected.batch,
            reports(1, 1, 1, 0, 20),
            &["a{exported_job=\"inner\"} 1 @20", "b{exported_job=\"inner\"} stale @20"],
        );
    }
}
