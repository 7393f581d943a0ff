//! When the counting of a text's samples began: the `_created` lines of OpenMetrics.
//!
//! Invariants:
//! - Only inside of its family, a counter, a histogram or a summary, is a line `NAME_created` taken for one. Anywhere
//!   else it is a sample like others.
//! - It speaks of the family's samples with the same labels, `le` and `quantile` left aside, before and behind it.

use std::collections::HashMap;

use super::cycle::{Known, Taken};
use crate::model::{Labels, MetricKind, Timestamp};
use crate::wire::{Line, SampleLine};

/// The family that is being read.
#[derive(Debug, Default)]
pub(super) struct Created {
    /// Its name, if its samples count something.
    family: Option<String>,
    /// When counting began, by labels.
    begun: HashMap<Labels, Timestamp>,
    /// The samples that were taken, by position, with the labels that say when theirs began.
    counted: Vec<(usize, Labels)>,
}

impl Created {
    /// Takes note of what is said of a family, with which another one may begin.
    pub(super) fn described(&mut self, line: &Line<'_>, taken: &mut Taken) {
        let (name, kind) = match line {
            Line::Type { name, kind } => (name, Some(*kind)),
            Line::Help { name, .. } | Line::Unit { name, .. } => (name, None),
            Line::Sample(_) => return,
        };
        if self.family.as_deref() == Some(name) {
            return;
        }
        self.end(taken);
        let counts = matches!(kind, Some(MetricKind::Counter | MetricKind::Histogram | MetricKind::Summary));
        self.family = counts.then(|| name.to_string());
    }

    /// Whether a line says when counting began; it is taken then, and no sample.
    pub(super) fn take(&mut self, line: &SampleLine<'_>) -> bool {
        let suffix = self.family.as_deref().and_then(|family| line.series.strip_prefix(family));
        let Some(rest) = suffix.and_then(|suffix| suffix.strip_prefix("_created")) else { return false };
        if !(rest.is_empty() || rest.starts_with('{')) {
            return false;
        }
        let Some(labels) = counted_labels(line) else { return false };
        // Cut to milliseconds, as Prometheus cuts it.
        self.begun.insert(labels, Timestamp((line.value * 1000.0) as i64));
        true
    }

    /// Takes note of a sample of the family that gets this position.
    pub(super) fn count(&mut self, position: usize, line: &SampleLine<'_>, known: Option<&mut Known>) {
        let Some(family) = &self.family else { return };
        let (true, Some(known)) = (line.series.starts_with(family.as_str()), known) else { return };
        if known.counted.is_none() {
            known.counted = counted_labels(line);
        }
        self.counted.extend(known.counted.clone().map(|labels| (position, labels)));
    }

    /// Ends the family: its samples are told when their counting began.
    pub(super) fn end(&mut self, taken: &mut Taken) {
        let begun = |(position, labels): (usize, Labels)| Some((position, *self.begun.get(&labels)?));
        taken.starts.extend(self.counted.drain(..).filter_map(begun));
        self.begun.clear();
        self.family = None;
    }
}

/// The labels that a sample shares with the line that says when its counting began; none if they are no labels.
fn counted_labels(line: &SampleLine<'_>) -> Option<Labels> {
    let pairs = line.pairs();
    let shared = pairs.iter().filter(|pair| !matches!(&*pair.name, Labels::METRIC_NAME | "le" | "quantile"));
    Labels::new(shared.map(|pair| (&*pair.name, &*pair.value))).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::Batch;
    use crate::scrape::Encoding;
    use crate::scrape::cycle::{Cycle, Reading};
    use crate::wire::{Format, HistogramReading};

    const READING: Reading = Reading {
        honor_labels: false,
        honor_timestamps: true,
        sample_limit: 0,
        relabel: Vec::new(),
        histograms: HistogramReading { native: false, always_classic: false, convert_classic: false },
        start_timestamps: true,
    };

    fn scrape(cycle: &mut Cycle, body: &[u8], format: Encoding) -> Batch {
        let scraped = cycle.scraped(body, format, Timestamp(9_000_000), Duration::ZERO);
        assert_eq!(scraped.error, None);
        scraped.batch
    }

    /// The target's samples in order, each with when its counting began: `a_total{x="1"} 2000`.
    fn lines(batch: &Batch) -> Vec<String> {
        let begun: HashMap<u32, i64> = batch.starts().iter().map(|told| (told.sample, told.start.0)).collect();
        let line = |(at, sample): (u32, &crate::model::BatchSample)| {
            let labels = batch.series()[sample.series as usize].to_string();
            begun.get(&at).map_or(labels.clone(), |start| format!("{labels} {start}"))
        };
        let is_report = |line: &String| line.starts_with("up") || line.starts_with("scrape_");
        (0..).zip(batch.samples()).map(line).filter(|line| !is_report(line)).collect()
    }

    const COUNTED: &str = "# HELP a Words.\n# TYPE a counter\na_total{x=\"1\"} 5\na_created{x=\"1\"} 2\na_created{x=\"2\"} 3.0019\n\
        a_total{x=\"2\"} 6\na_total{x=\"3\"} 6\n# TYPE h histogram\nh_bucket{le=\"1.0\",x=\"1\"} 1\nh_bucket{x=\"1\",le=\"+Inf\"} 2\n\
        h_count{x=\"1\"} 2\nh_sum{x=\"1\"} 3\nh_created{x=\"1\"} 4\n# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_count 2\n\
        s_created 5\n# TYPE g gauge\ng 1\ng_created 6\n# TYPE b counter\nb_total 1\na_created{x=\"1\"} 7\nb_created_total 1\n# EOF\n";

    #[test]
    fn lines_of_their_family_tell_when_counting_began() {
        let mut cycle = Cycle::new(Labels::empty(), READING);
        let expected = [
            "a_total{x=\"1\"} 2000",
            "a_total{x=\"2\"} 3001",
            "a_total{x=\"3\"}",
            "h_bucket{le=\"1.0\", x=\"1\"} 4000",
            "h_bucket{le=\"+Inf\", x=\"1\"} 4000",
            "h_count{x=\"1\"} 4000",
            "h_sum{x=\"1\"} 4000",
            "s{quantile=\"0.5\"} 5000",
            "s_count 5000",
            "g",
            "g_created",
            "b_total",
            "a_created{x=\"1\"}",
            "b_created_total",
        ];
        for _ in 0..2 {
            let batch = scrape(&mut cycle, COUNTED.as_bytes(), Encoding::Text(Format::OpenMetrics));
            assert_eq!(lines(&batch), expected);
        }
    }

    #[test]
    fn they_are_samples_where_nobody_looks_at_them() {
        let count = |start_timestamps, text: &str, format| {
            let mut cycle = Cycle::new(Labels::empty(), Reading { start_timestamps, ..READING });
            let batch = scrape(&mut cycle, text.as_bytes(), Encoding::Text(format));
            (lines(&batch).len(), batch.starts().len())
        };
        assert_eq!(count(false, COUNTED, Format::OpenMetrics), (18, 0));
        let plain = "# TYPE a counter\na_total 1\na_created 2\n";
        assert_eq!(count(true, plain, Format::Text), (2, 0), "the text format has no such lines");
    }

    #[test]
    fn protobuf_says_it_of_each_metric() {
        fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
            [&[number << 3 | 2, bytes.len() as u8], bytes].concat()
        }
        let value = [&[1 << 3 | 1][..], &1.0f64.to_le_bytes()].concat();
        let counter = field(3, &[value.clone(), field(3, &[1 << 3, 7])].concat());
        let family = [field(1, b"a_total"), vec![3 << 3, 0], field(4, &counter), field(4, &field(3, &value))].concat();
        let body = [&[family.len() as u8], &family[..]].concat();
        for (start_timestamps, expected) in [(true, vec![7000]), (false, vec![])] {
            let mut cycle = Cycle::new(Labels::empty(), Reading { start_timestamps, ..READING });
            let batch = scrape(&mut cycle, &body, Encoding::Protobuf);
            let starts: Vec<i64> = batch.starts().iter().map(|told| told.start.0).collect();
            assert_eq!(starts, expected);
        }
    }
}
