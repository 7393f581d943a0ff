//! A target's metric families in protobuf, taken into its memory as its text would be.
//!
//! Invariants:
//! - A series is known by the bytes of its labels, so that those that come again are not built again.

use super::cycle::{Cycle, Known, Taken};
use crate::model::{HistogramSample, Labels, MetricKind, Sample, SeriesExemplar, Timestamp, limits};
use crate::wire::{FamilyPart, Line, Point, PointValue, WireError, metric_families};

impl Cycle {
    /// Takes everything that the body says.
    pub(super) fn take_families(&mut self, body: &[u8], at: Timestamp, taken: &mut Taken) -> Result<(), String> {
        let (mut key, histograms) = (String::new(), self.reading.histograms);
        let mut each = |part: FamilyPart<'_>| match part {
            FamilyPart::Family { name, help, kind, unit } => {
                self.describe_family(name, help, kind, unit);
                Ok(())
            }
            FamilyPart::Point(point) => self.take_point(&mut key, point, at, taken),
        };
        metric_families(body, histograms, &mut each).map_err(|error| error.to_string())?;
        self.check_limit(taken)
    }

    fn describe_family(&mut self, name: &str, help: &str, kind: MetricKind, unit: &str) {
        self.describe(Line::Type { name: name.into(), kind });
        if !help.is_empty() {
            self.describe(Line::Help { name: name.into(), text: help.into() });
        }
        if !unit.is_empty() {
            self.describe(Line::Unit { name: name.into(), unit });
        }
    }

    fn take_point(
        &mut self,
        key: &mut String,
        point: Point<'_>,
        at: Timestamp,
        taken: &mut Taken,
    ) -> Result<(), WireError> {
        taken.scraped += 1;
        if taken.scraped > limits::SAMPLES_PER_BATCH_MAX {
            return Err(WireError::TooManySamples);
        }
        key.clear();
        for (name, value) in &point.labels {
            key.push_str(name);
            key.push('\u{0}');
            key.push_str(value);
            key.push('\u{0}');
        }
        let Some(labels) = self.labels_of_point(key, &point, &mut taken.added)? else { return Ok(()) };
        taken.kept += 1;
        let limit = self.reading.sample_limit;
        if limit > 0 && taken.kept > limit {
            // Counted on, for whoever has to find a better limit.
            return Ok(());
        }
        let own_time = point.timestamp.filter(|_| self.reading.honor_timestamps);
        if own_time.is_none() {
            taken.tracked.insert(labels.clone());
        }
        self.take_exemplars(key, &point, &labels, at, taken);
        let t = own_time.unwrap_or(at);
        match point.value {
            PointValue::Number(v) => {
                let created = point.created.filter(|_| self.reading.start_timestamps);
                taken.starts.extend(created.map(|start| (taken.samples.len(), start)));
                taken.samples.push((labels, Sample { t, v }));
            }
            PointValue::Histogram(histogram) => {
                if taken.histograms.len() >= limits::HISTOGRAMS_PER_BATCH_MAX {
                    let (what, max) = ("native histograms", limits::HISTOGRAMS_PER_BATCH_MAX);
                    return Err(WireError::TooMany { what, max });
                }
                let start = point.created.unwrap_or(Timestamp(0));
                taken.histograms.push((labels, HistogramSample { t, start, histogram }));
            }
        }
        Ok(())
    }

    /// The labels of a point's series, or `None` if the rules drop it.
    fn labels_of_point(
        &mut self,
        key: &str,
        point: &Point<'_>,
        added: &mut usize,
    ) -> Result<Option<Labels>, WireError> {
        if let Some(known) = self.known.get_mut(key) {
            known.round = self.round;
            return Ok(known.labels.clone());
        }
        let pairs: Vec<(&str, &str)> = point.labels.iter().map(|(name, value)| (&**name, &**value)).collect();
        let labels = self.name(&pairs).map_err(|error| point.refuse(error))?;
        if labels.as_ref().is_some_and(|labels| labels.metric_name().is_empty()) {
            return Err(point.refuse("the relabeling rules take away the metric's name"));
        }
        *added += usize::from(labels.is_some());
        self.known.insert(key.into(), Known::new(labels.clone(), self.round));
        Ok(labels)
    }

    /// Passes on the exemplars of a point that were not passed on yet.
    fn take_exemplars(&mut self, key: &str, point: &Point<'_>, labels: &Labels, at: Timestamp, taken: &mut Taken) {
        if point.exemplars.is_empty() {
            return;
        }
        let Some(known) = self.known.get_mut(key) else { return };
        let before = std::mem::take(&mut known.exemplars);
        for exemplar in &point.exemplars {
            if !before.contains(exemplar.bytes)
                && let Some(exemplar) = exemplar.exemplar(at)
            {
                taken.beside.exemplars.push(SeriesExemplar { series: labels.clone(), exemplar });
            }
            known.exemplars.insert(exemplar.bytes.into());
        }
    }
}
