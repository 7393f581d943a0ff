//! Exemplars of a series.

use super::labels::{Place, RawLabel, RawLabels};
use crate::model::{Exemplar, Sample, Timestamp};
use crate::wire::WireError;
use crate::wire::protobuf::{Fault, Field};

/// The exemplar in a field; `None` if it may not be stored.
pub(super) fn exemplar(field: Field<'_>, place: Place) -> Result<Option<Exemplar>, WireError> {
    let at = |fault: Fault| fault.at(place);
    let mut message = field.bytes().map_err(at)?;
    let offset = message.offset();
    let mut labels = RawLabels::default();
    let mut sample = Sample { t: Timestamp(0), v: 0.0 };
    while let Some(field) = message.next().map_err(at)? {
        match field.number {
            1 => labels.push(RawLabel::of(field).map_err(at)?),
            2 => sample.v = field.double().map_err(at)?,
            3 => sample.t = Timestamp(field.int64().map_err(at)?),
            _ => {}
        }
    }
    let labels = labels.set(offset, |_| place).ok();
    Ok(labels.map(|labels| Exemplar { labels, sample }).filter(|exemplar| exemplar.check().is_ok()))
}
