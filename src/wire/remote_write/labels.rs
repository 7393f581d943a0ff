//! The labels of a series: read when the store meets the series for the first time.

use std::fmt;

use crate::model::{Labels, LabelsError, limits};
use crate::wire::WireError;
use crate::wire::protobuf::{Fault, Field, Fields};

/// Labels of one series that are looked at. Empty ones do not count as labels, so that this is more
/// than a series may have.
pub(super) const LABELS_READ_MAX: usize = 2 * limits::LABELS_PER_SERIES_MAX;

/// Where a fault lies; made into words only when there is one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) series: usize,
    pub(super) part: Part,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    Series,
    Label(usize),
    Sample(usize),
    Exemplar(usize),
    Histogram(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "series {}", self.series)?;
        match self.part {
            Part::Series => Ok(()),
            Part::Label(label) => write!(f, ", label {label}"),
            Part::Sample(sample) => write!(f, ", sample {sample}"),
            Part::Exemplar(exemplar) => write!(f, ", exemplar {exemplar}"),
            Part::Histogram(histogram) => write!(f, ", histogram {histogram}"),
        }
    }
}

/// A label whose texts are not looked at yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawLabel<'a> {
    offset: usize,
    name: Option<Field<'a>>,
    value: Option<Field<'a>>,
}

impl<'a> RawLabel<'a> {
    /// The label in a field.
    pub(super) fn of(field: Field<'a>) -> Result<RawLabel<'a>, Fault> {
        let mut message = field.bytes()?;
        let mut label = RawLabel { offset: field.offset, name: None, value: None };
        while let Some(field) = message.next()? {
            match field.number {
                1 => label.name = Some(field),
                2 => label.value = Some(field),
                _ => continue,
            }
            field.bytes()?;
        }
        Ok(label)
    }

    fn texts(self) -> Result<(&'a str, &'a str), Fault> {
        let text = |field: Option<Field<'a>>| field.map_or(Ok(""), Field::text);
        let (name, value) = (text(self.name)?, text(self.value)?);
        if name.is_empty() {
            return Err(Fault { offset: self.offset, reason: "the label name is empty; give every label a name" });
        }
        Ok((name, value))
    }
}

/// The labels of one series as they stand in the message; bounded.
#[derive(Debug, Default)]
pub(super) struct RawLabels<'a> {
    first: Vec<RawLabel<'a>>,
    met: usize,
}

impl<'a> RawLabels<'a> {
    pub(super) fn met(&self) -> usize {
        self.met
    }

    pub(super) fn push(&mut self, label: RawLabel<'a>) {
        self.met += 1;
        if self.first.len() < LABELS_READ_MAX {
            self.first.push(label);
        }
    }

    /// The label set of an exemplar, which needs no metric name.
    pub(super) fn set(&self, offset: usize, place: impl Fn(Option<usize>) -> Place) -> Result<Labels, WireError> {
        let mut pairs = Vec::with_capacity(self.first.len());
        for (n, label) in self.first.iter().enumerate() {
            pairs.push(label.texts().map_err(|fault| fault.at(place(Some(n))))?);
        }
        let refuse = |error: LabelsError| refusal(place(None), offset, error.to_string());
        if self.met > LABELS_READ_MAX {
            return Err(refuse(LabelsError::TooMany { count: self.met }));
        }
        Labels::new(pairs).map_err(refuse)
    }

    /// The labels of series number `series` of the request, which begins at `offset`.
    pub(super) fn name(&self, offset: usize, series: usize) -> Result<Labels, WireError> {
        let labels = self.set(offset, |label| Place { series, part: label.map_or(Part::Series, Part::Label) })?;
        if labels.metric_name().is_empty() {
            let fault = "it has no metric name; set the label \"__name__\"".to_owned();
            return Err(refusal(Place { series, part: Part::Series }, offset, fault));
        }
        Ok(labels)
    }
}

fn refusal(place: Place, offset: usize, fault: String) -> WireError {
    WireError::Protobuf { place: place.to_string(), offset, fault }
}

/// Reads the labels of a series of a batch: the label fields of its message, one behind the other.
pub(super) fn read(bytes: &[u8], offset: usize, series: usize) -> Result<Labels, String> {
    let read = || {
        let mut labels = RawLabels::default();
        let mut fields = Fields::at(bytes, offset);
        let place = |part| Place { series, part };
        while let Some(field) = fields.next().map_err(|fault| fault.at(place(Part::Series)))? {
            let at = Part::Label(labels.met());
            labels.push(RawLabel::of(field).map_err(|fault| fault.at(place(at)))?);
        }
        labels.name(offset, series)
    };
    read().map_err(|fault: WireError| fault.to_string())
}
