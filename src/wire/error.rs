//! Why a body was refused, and where in it the fault lies.

use crate::model::limits;

/// A body that was refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The body would decompress to more than is taken.
    #[error("the body decompresses to {bytes} bytes; at most {max} are taken; send smaller requests")]
    TooLarge {
        /// What its header announces.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The body is not compressed as the protocol asks.
    #[error("the body is not a valid snappy block: {reason}; compress it in snappy's block format, not the framed one")]
    Snappy {
        /// What is wrong with it.
        reason: String,
    },
    /// The decompressed body is not the message it should be.
    #[error("{place}, byte {offset} of the decompressed body: {fault}")]
    Protobuf {
        /// Where in the message: `series 3, label 2`, counted from 0.
        place: String,
        /// Where in the decompressed bytes, counted from 0.
        offset: usize,
        /// What is wrong.
        fault: String,
    },
    /// A line of an exposition text cannot be read.
    #[error("{line}:{column}: {fault}")]
    Text {
        /// The line, counted from 1.
        line: usize,
        /// The character of the line, counted from 1.
        column: usize,
        /// What is wrong.
        fault: String,
    },
    /// More samples than one transaction takes.
    #[error("more than {} samples in one body; send smaller requests", limits::SAMPLES_PER_BATCH_MAX)]
    TooManySamples,
    /// More of something else than one body may hold.
    #[error("more than {max} {what} in one body; send smaller requests")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// A series whose labels cannot name it, where one such series refuses the whole.
    #[error("{fault}")]
    Unnamed {
        /// Where it stands and what is wrong.
        fault: String,
    },
}
