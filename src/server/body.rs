//! Takes in a request's body: bounded in bytes, in time, and in memory over all requests.
//!
//! Invariants:
//! - A body that makes no progress for the pause limit, or is not whole within the total, is
//!   refused with 408; one byte past the limit is refused with 413.
//! - Bytes are reserved as they arrive, never by what the peer announces, so an announcement
//!   holds nothing.
//! - No permit of the database is held while a body arrives.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::model::limits;
use crate::wire::RemoteWriteDecoder;

/// The bounds under which bodies are read.
#[derive(Debug, Clone)]
pub struct BodyLimits {
    /// Bytes of one body.
    pub bytes_max: usize,
    /// Time between two parts of a body.
    pub pause: Duration,
    /// Time for the whole body.
    pub total: Duration,
}

impl Default for BodyLimits {
    fn default() -> BodyLimits {
        BodyLimits {
            bytes_max: limits::BODY_BYTES_MAX,
            pause: limits::BODY_PAUSE.to_std(),
            total: limits::BODY_TIMEOUT.to_std(),
        }
    }
}

/// Reads bodies within one budget of memory.
#[derive(Debug)]
pub(super) struct BodyReader {
    limits: BodyLimits,
    memory: Arc<Semaphore>,
    decoder: RemoteWriteDecoder,
}

/// A share of the memory; given back when dropped.
#[derive(Debug)]
pub(super) struct MemoryShare(OwnedSemaphorePermit);

/// A whole body, and its share of the memory.
#[derive(Debug)]
pub(super) struct WholeBody {
    pub(super) bytes: Bytes,
    _memory: Option<OwnedSemaphorePermit>,
}

/// A body that was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the body is larger than {limit} bytes; send smaller requests")]
    TooLarge { limit: usize },
    #[error("the body stopped arriving; send it without long pauses")]
    TooSlow,
    #[error("too many bodies are in memory; try again later")]
    Busy,
    #[error("the body broke off: {0}")]
    Broken(String),
}

impl BodyReader {
    pub(super) fn new(limits: BodyLimits) -> BodyReader {
        let memory = Arc::new(Semaphore::new(limits::BODY_MEMORY_MAX));
        BodyReader { limits, memory, decoder: RemoteWriteDecoder::default() }
    }

    /// Decodes bodies of writes in memory that all of them share.
    pub(super) fn decoder(&self) -> &RemoteWriteDecoder {
        &self.decoder
    }

    pub(super) async fn read(&self, body: Body) -> Result<WholeBody, BodyError> {
        tokio::time::timeout(self.limits.total, self.collect(body)).await.unwrap_or(Err(BodyError::TooSlow))
    }

    /// Sets memory apart for what a body becomes, from the same budget.
    pub(super) fn reserve(&self, bytes: usize) -> Result<MemoryShare, BodyError> {
        let share = u32::try_from(bytes).map_err(|_| BodyError::TooLarge { limit: limits::BODY_MEMORY_MAX })?;
        Arc::clone(&self.memory).try_acquire_many_owned(share).map(MemoryShare).map_err(|_| BodyError::Busy)
    }

    async fn collect(&self, mut body: Body) -> Result<WholeBody, BodyError> {
        let limit = self.limits.bytes_max;
        let announced = hyper::body::Body::size_hint(&body).lower();
        if announced > limit as u64 {
            return Err(BodyError::TooLarge { limit });
        }
        let mut memory: Option<OwnedSemaphorePermit> = None;
        let mut bytes = BytesMut::new();
        loop {
            let frame = tokio::time::timeout(self.limits.pause, body.frame()).await.map_err(|_| BodyError::TooSlow)?;
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|error| BodyError::Broken(error.to_string()))?;
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > limit {
                return Err(BodyError::TooLarge { limit });
            }
            let MemoryShare(permit) = self.reserve(data.len())?;
            match &mut memory {
                Some(held) => held.merge(permit),
                None => memory = Some(permit),
            }
            bytes.extend_from_slice(&data);
        }
        Ok(WholeBody { bytes: bytes.freeze(), _memory: memory })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bodies_and_what_they_become_share_one_budget() {
        let reader = BodyReader::new(BodyLimits::default());
        let body = reader.read(Body::from(vec![0; 1000])).await.unwrap();
        let rest = reader.reserve(limits::BODY_MEMORY_MAX - 1000).unwrap();
        assert!(matches!(reader.reserve(1), Err(BodyError::Busy)));
        assert!(matches!(reader.read(Body::from("a")).await, Err(BodyError::Busy)));
        drop(rest);
        drop(body);
        assert!(reader.reserve(limits::BODY_MEMORY_MAX).is_ok());
    }
}
