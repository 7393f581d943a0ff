//! Chunks: up to 8192 samples of one series, in vectors of 1024, on timelines that series share.
//!
//! Invariants:
//! - Chunks of a series do not overlap and lie in the order of time: those of samples among themselves,
//!   and those of native histograms among themselves.
//! - A chunk's stamps are a part of one timeline; a column of stamps is stored once.

mod cut;
pub(super) mod format;
mod histograms;
mod reader;
mod survey;
mod timeline;

pub(super) use cut::cut;
pub(super) use histograms::pieces;
pub(in crate::storage) use reader::ChunkPlace;
pub(super) use reader::{ChunkCache, Chunks};
pub(super) use survey::StoredStamps;
pub(super) use timeline::TimelineWriter;

use self::format::{Slice, VectorStatistics};
use crate::codec::Effort;
use crate::model::Sample;
use crate::model::Summary;

/// Chunks with fewer samples have no statistics: decoding them is as quick.
const SUMMARIZED_SAMPLES_MIN: usize = 256;
/// Nor have chunks whose vectors take no more bytes than their statistics would.
const SUMMARIZED_BYTES_MIN: usize = 40;

/// A chunk that is encoded and not yet written.
#[derive(Debug, Clone)]
pub(in crate::storage) struct EncodedChunk {
    /// Its stamps.
    pub(super) slice: Slice,
    /// How many samples it has.
    pub(super) count: u32,
    /// Its first and its last stamp.
    pub(super) span: (i64, i64),
    /// Its values.
    pub(super) values: Vec<u8>,
    /// Whether it holds native histograms.
    pub(super) histograms: bool,
    /// Whether they are all the same.
    pub(super) constant: bool,
    /// The statistics of its vectors, if it has any.
    pub(super) statistics: Vec<VectorStatistics>,
}

impl EncodedChunk {
    /// Encodes the values of a chunk whose stamps are that part of a timeline.
    pub(super) fn of(slice: Slice, samples: &[Sample], effort: Effort) -> EncodedChunk {
        let values: Vec<f64> = samples.iter().map(|sample| sample.v).collect();
        let constant = values.windows(2).all(|two| two[0].to_bits() == two[1].to_bits());
        let mut bytes = Vec::new();
        match values.first() {
            Some(first) if constant => format::put_constant(&mut bytes, *first),
            _ => format::put_chunk_values(&mut bytes, &values, effort),
        }
        let vectors = samples.len().div_ceil(format::VECTOR_SAMPLES);
        let worth = bytes.len() > SUMMARIZED_BYTES_MIN * vectors && samples.len() >= SUMMARIZED_SAMPLES_MIN;
        let statistics = if constant || !worth {
            Vec::new()
        } else {
            let summaries = samples.chunks(format::VECTOR_SAMPLES).map(Summary::of);
            summaries.map(|summary| Some(summary).filter(format::is_storable)).collect()
        };
        let span = (samples.first().map_or(0, |s| s.t.0), samples.last().map_or(0, |s| s.t.0));
        EncodedChunk {
            slice,
            count: samples.len() as u32,
            span,
            values: bytes,
            histograms: false,
            constant,
            statistics,
        }
    }
}
