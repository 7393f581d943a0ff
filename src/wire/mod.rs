//! Bytes of the ingest protocols to batches, and our own metrics to text.
//!
//! Layer 1. Imports: `model`.
//! Does not know: HTTP, storage, targets.
//! When you change this, also touch: `scrape`, whose cache is keyed by the text of a series.

mod error;
mod exposition;
mod exposition_series;
mod exposition_writer;
mod protobuf;
mod remote_write;
mod remote_write_encoder;

pub use error::WireError;
pub use exposition::{ExemplarText, Exposition, Format, Line, SampleLine, exposition};
pub use exposition_series::LabelText;
pub use exposition_writer::{Description, EXPOSITION_CONTENT_TYPE, to_exposition};
pub use remote_write::{RemoteWriteDecoder, WriteRequest, decompressed_bytes, remote_write, write_request};
pub use remote_write_encoder::encode_remote_write;
