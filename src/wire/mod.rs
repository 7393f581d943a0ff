//! Bytes of the ingest protocols to batches, and stored samples to those who read them.
//!
//! Layer 1. Imports: `model`.
//! Does not know: HTTP, storage, targets.
//! When you change this, also touch: `scrape`, whose cache is keyed by the text of a series.

mod chunked_read;
mod crc32c;
mod error;
mod exposition;
mod exposition_series;
mod exposition_writer;
mod histogram_chunk;
mod metric_family;
mod metric_family_writer;
mod metric_histogram;
mod packed;
mod protobuf;
mod remote_read;
mod remote_read_client;
mod remote_write;
mod remote_write_encoder;
mod xor_chunk;

pub use chunked_read::{Sent, read_frame};
pub use error::WireError;
pub use exposition::{ExemplarText, Exposition, Format, Line, SampleLine, exposition};
pub use exposition_series::LabelText;
pub use exposition_writer::{Description, EXPOSITION_CONTENT_TYPE, exposition_line, to_exposition, type_line};
pub use metric_family::{FamilyPart, HistogramReading, Point, PointExemplar, PointValue, metric_families};
pub use metric_family_writer::{push_family, push_family_with};
pub use remote_read::{ReadQuery, ReadRequest, ReadSeries, ReadType, read_request, read_response};
pub use remote_read_client::{encode_read_request, read_results};
pub use remote_write::{RemoteWriteDecoder, WriteRequest, decompressed_bytes, remote_write, write_request};
pub use remote_write_encoder::encode_remote_write;
