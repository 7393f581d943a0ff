//! What a request says of metric families.

use super::series::Walk;
use crate::model::{MetricKind, MetricMetadata, limits};
use crate::wire::WireError;
use crate::wire::protobuf::{Fault, Fields};

impl Walk {
    /// Reads the next entry.
    pub(super) fn metadata(&mut self, message: Fields<'_>) -> Result<(), WireError> {
        let max = limits::METADATA_PER_BATCH_MAX;
        if self.metadata.len() == max {
            return Err(WireError::TooMany { what: "metadata entries", max });
        }
        let number = self.metadata.len() as u64 + self.metadata_refused;
        match entry(message).map_err(|fault| fault.at(format!("metadata {number}")))? {
            Some(entry) => self.metadata.push(entry),
            None => self.metadata_refused += 1,
        }
        Ok(())
    }
}

/// An entry; `None` if it names no family or a text of it is none or too long.
fn entry(mut message: Fields<'_>) -> Result<Option<MetricMetadata>, Fault> {
    let mut kind = MetricKind::Unknown;
    let (mut family, mut help, mut unit) = (Some(""), Some(""), Some(""));
    while let Some(field) = message.next()? {
        let text = match field.number {
            1 => {
                kind = kind_of(field.int64()?);
                continue;
            }
            2 => &mut family,
            4 => &mut help,
            5 => &mut unit,
            _ => continue,
        };
        let content = field.bytes()?.bytes();
        *text = std::str::from_utf8(content).ok().filter(|text| text.len() <= limits::LABEL_VALUE_BYTES_MAX);
    }
    let (Some(family), Some(help), Some(unit)) = (family, help, unit) else { return Ok(None) };
    let entry = || MetricMetadata { family: family.to_owned(), kind, help: help.to_owned(), unit: unit.to_owned() };
    Ok((!family.is_empty()).then(entry))
}

/// The numbers of `MetricMetadata.MetricType`.
fn kind_of(number: i64) -> MetricKind {
    match number {
        1 => MetricKind::Counter,
        2 => MetricKind::Gauge,
        3 => MetricKind::Histogram,
        4 => MetricKind::GaugeHistogram,
        5 => MetricKind::Summary,
        6 => MetricKind::Info,
        7 => MetricKind::StateSet,
        _ => MetricKind::Unknown,
    }
}
