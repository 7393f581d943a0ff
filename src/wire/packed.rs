//! Repeated numbers, and the spans of native histograms, as more than one protocol has them.

use super::protobuf::{Fault, Field, Value, from_zigzag};
use crate::model::Span;
use crate::model::limits::HISTOGRAM_PARTS_PER_BATCH_MAX;

/// A run of buckets.
pub(super) fn span(field: Field<'_>) -> Result<Span, Fault> {
    let mut span = Span { offset: 0, length: 0 };
    let mut message = field.bytes()?;
    while let Some(field) = message.next()? {
        match field.number {
            1 => span.offset = small(field, field.sint64()?)?,
            2 => span.length = small(field, field.uint64()?)?,
            _ => {}
        }
    }
    Ok(span)
}

/// A number that should have 32 bits.
pub(super) fn small<N: TryInto<S>, S>(field: Field<'_>, n: N) -> Result<S, Fault> {
    n.try_into().map_err(|_| Fault { offset: field.offset, reason: "a number does not fit into 32 bits" })
}

/// Repeated numbers may stand together or each by itself. More than a body may have are not read.
pub(super) fn deltas(field: Field<'_>, out: &mut Vec<i64>) -> Result<(), Fault> {
    let Value::Bytes(mut packed) = field.value else {
        out.push(field.sint64()?);
        return Ok(());
    };
    while let Some(n) = packed.next_varint()?
        && out.len() <= HISTOGRAM_PARTS_PER_BATCH_MAX
    {
        out.push(from_zigzag(n));
    }
    Ok(())
}

/// The same of doubles.
pub(super) fn doubles(field: Field<'_>, out: &mut Vec<f64>) -> Result<(), Fault> {
    let Value::Bytes(mut packed) = field.value else {
        out.push(field.double()?);
        return Ok(());
    };
    while let Some(n) = packed.next_double()?
        && out.len() <= HISTOGRAM_PARTS_PER_BATCH_MAX
    {
        out.push(n);
    }
    Ok(())
}

/// The counts of which these are the differences; `None` if one is below zero.
pub(super) fn added_up(deltas: &[i64]) -> Option<Vec<u64>> {
    let mut count = 0u64;
    let add = |delta: &i64| {
        count = count.checked_add_signed(*delta)?;
        Some(count)
    };
    deltas.iter().map(add).collect()
}
