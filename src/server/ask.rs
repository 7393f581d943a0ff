//! How a query is run for a peer: its limits, and its end when the peer has gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::model::{Millis, limits};
use crate::promql::{Deadline, EvalOptions};

use super::envelope::ApiError;
use super::params::Params;
use super::state::ServerState;

/// Ends a query when dropped: the handler that waits for it is dropped when its peer goes.
pub(super) struct Abandon(Arc<AtomicBool>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Options from the parameters `timeout` and `lookback_delta`. Keep the second part until the
/// query has answered.
pub(super) fn options(state: &ServerState, params: &Params) -> Result<(EvalOptions, Abandon), ApiError> {
    let timeout = params.span("timeout")?.unwrap_or(limits::QUERY_TIMEOUT).clamp(Millis::ZERO, limits::QUERY_TIMEOUT);
    let (mut options, abandon) = within(state, timeout);
    if let Some(lookback) = params.span("lookback_delta")? {
        if lookback <= Millis::ZERO {
            return Err(ApiError::parameter("lookback_delta", "it must be positive"));
        }
        options.lookback = lookback;
    }
    Ok((options, abandon))
}

/// Options with this time limit.
pub(super) fn within(state: &ServerState, timeout: Millis) -> (EvalOptions, Abandon) {
    let clock = Arc::clone(&state.doors().clock);
    let end = clock.elapsed() + timeout.to_std();
    let abandoned = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&abandoned);
    let deadline = Deadline::new(move || seen.load(Ordering::Relaxed) || clock.elapsed() >= end);
    (EvalOptions { deadline: Some(deadline), ..EvalOptions::default() }, Abandon(abandoned))
}
