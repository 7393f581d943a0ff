//! How a query is run for a peer: its limits, and its end when the peer has gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::model::{Millis, limits};
use crate::promql::Deadline;

use super::envelope::{ApiError, ErrorType};
use super::params::{Params, parse_span};
use super::queries::Asked;
use super::state::ServerState;

/// Ends a query when dropped: the handler that waits for it is dropped when its peer goes.
pub(super) struct Abandon(Arc<AtomicBool>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A query's text and its limits, from the parameters `query`, `timeout` and `lookback_delta`. Keep
/// the second part until the query has answered.
pub(super) fn asked(state: &ServerState, params: &Params) -> Result<(Asked, Abandon), ApiError> {
    let text = query_text(params)?;
    let longest = state.queries().options().timeout;
    let timeout = match params.span("timeout")? {
        // Prometheus' words for a time that is over before anything was done.
        Some(span) if span.nanos <= 0 => return Err(ApiError::parameter("query", "context deadline exceeded")),
        Some(span) => span.to_std().min(longest.to_std()),
        None => longest.to_std(),
    };
    let (mut asked, abandon) = within(state, text, timeout);
    if let Some(text) = params.get("lookback_delta") {
        let wrong =
            |reason| ApiError::new(ErrorType::BadData, format!("error parsing lookback delta duration: {reason}"));
        let lookback = parse_span(text).map_err(wrong)?.millis();
        // As in Prometheus: what is no lookback leaves the default.
        if lookback > Millis::ZERO {
            asked.lookback = lookback;
        }
    }
    Ok((asked, abandon))
}

/// A query with this time limit.
pub(super) fn within(state: &ServerState, text: String, timeout: Duration) -> (Asked, Abandon) {
    let clock = Arc::clone(&state.doors().clock);
    let ends = clock.elapsed() + timeout;
    let abandoned = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&abandoned);
    let deadline = Deadline::new(move || seen.load(Ordering::Relaxed) || clock.elapsed() >= ends);
    (Asked { text, points: 1, lookback: state.queries().options().lookback, deadline, ends }, Abandon(abandoned))
}

/// The parameter `query`, if it is not too long.
pub(super) fn query_text(params: &Params) -> Result<String, ApiError> {
    let text = params.get("query").unwrap_or_default();
    if text.len() > limits::QUERY_BYTES_MAX {
        let reason = format!("{} bytes long; at most {} are taken", text.len(), limits::QUERY_BYTES_MAX);
        return Err(ApiError::parameter("query", reason));
    }
    Ok(text.to_owned())
}
