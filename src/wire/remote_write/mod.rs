//! Remote-write 1.0: a snappy block that holds a `prometheus.WriteRequest`.
//!
//! Invariants:
//! - A message that cannot be read is refused whole, and the fault names its place.
//! - A series that cannot be named is left out, counted and named; the others are taken. One bad
//!   series of a sender must not cost what its other series had to say.
//! - Memory is in proportion to the body: texts stay in it, and what is read of it is bounded.
//!
//! Source: "Prometheus Remote-Write 1.0 specification", prometheus.io.

mod body;
mod exemplar;
mod histogram;
mod labels;
mod metadata;
mod plain;
mod series;

use std::sync::Arc;

pub use body::decompressed_bytes;

use self::body::Rooms;
use self::series::Walk;
use super::error::WireError;
use super::protobuf::{Fault, Fields};
use crate::model::{Batch, MetricMetadata, RawBatch, RawBatchBuilder, Rejected, SeriesExemplar};

/// Bytes of a series with one sample, about: real ones take 100 to 400. For the room that is made
/// before the message is read.
const SERIES_BYTES: usize = 128;

/// A decoded request.
#[derive(Debug, Clone)]
pub struct WriteRequest {
    /// Its samples and native histograms.
    pub batch: RawBatch,
    /// Its exemplars that may be stored.
    pub exemplars: Vec<SeriesExemplar>,
    /// Exemplars that may not: their labels are too long or are none.
    pub exemplars_refused: u64,
    /// What it says of metric families.
    pub metadata: Vec<MetricMetadata>,
    /// Entries that were left out: they name no family, or a text of theirs is too long or none.
    pub metadata_refused: u64,
    /// Native histograms that were left out: some count of theirs is below zero.
    pub rejected: Rejected,
    /// Series that were left out because their labels cannot name one. Those of the batch are read
    /// later and not counted here.
    pub unnamed: u64,
    /// The fault of the first of them.
    pub first_unnamed: Option<String>,
}

/// Decodes remote-write 1.0 bodies in memory that it uses again.
#[derive(Debug, Clone, Default)]
pub struct RemoteWriteDecoder {
    rooms: Arc<Rooms>,
}

impl RemoteWriteDecoder {
    /// What a body says.
    ///
    /// # Errors
    /// The body is too large, not a snappy block, or not a `WriteRequest`.
    pub fn decode(&self, body: &[u8]) -> Result<WriteRequest, WireError> {
        let room = body::decompress(body, &self.rooms)?;
        let batch = RawBatchBuilder::with_capacity(room.as_ref().len() / SERIES_BYTES);
        let mut walk = Walk::into(batch);
        walk_message(&mut walk, room.as_ref(), Walk::series)?;
        let bytes = room.with(&walk.gathered).into_bytes();
        Ok(WriteRequest {
            batch: walk.batch.finish(bytes, labels::read),
            exemplars: walk.exemplars,
            exemplars_refused: walk.exemplars_refused,
            metadata: walk.metadata,
            metadata_refused: walk.metadata_refused,
            rejected: walk.rejected,
            unnamed: walk.unnamed,
            first_unnamed: walk.first_unnamed,
        })
    }
}

/// A remote-write 1.0 body with what was left out of it.
///
/// # Errors
/// The body is too large, not a snappy block, or not a `WriteRequest`.
pub fn write_request(body: &[u8]) -> Result<WriteRequest, WireError> {
    RemoteWriteDecoder::default().decode(body)
}

/// The samples of a remote-write 1.0 body, all labels read.
///
/// # Errors
/// The body is too large, not a snappy block, not a `WriteRequest`, or names a series wrongly.
pub fn remote_write(body: &[u8]) -> Result<Batch, WireError> {
    let request = write_request(body)?;
    let mut rejected = Rejected::default();
    let batch = request.batch.read(&mut rejected);
    match request.first_unnamed.or(rejected.first_unnamed) {
        None => Ok(batch),
        Some(fault) => Err(WireError::Unnamed { fault }),
    }
}

/// How a series is read: [`Walk::series`].
type ReadSeries = fn(&mut Walk, &[u8], Fields<'_>) -> Result<(), WireError>;

fn walk_message(walk: &mut Walk, message: &[u8], read_series: ReadSeries) -> Result<(), WireError> {
    let in_request = |fault: Fault| fault.at("the request");
    let mut fields = Fields::new(message);
    while let Some(field) = fields.next().map_err(in_request)? {
        match field.number {
            1 => {
                let series = field.bytes().map_err(|fault| fault.at(walk.place()))?;
                read_series(walk, message, series)?;
            }
            3 => walk.metadata(field.bytes().map_err(in_request)?)?,
            // Numbers of version 2; without this its samples would vanish with an answer of success.
            4 | 5 => {
                let reason = "this is a remote-write 2.0 message; send 1.0";
                return Err(in_request(Fault { offset: field.offset, reason }));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
