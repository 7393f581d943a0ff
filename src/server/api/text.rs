//! `format_query` and `parse_query`: a query's text, without any data.

use axum::extract::{Request, State};
use axum::response::Response;

use crate::promql;

use super::tree::tree;
use crate::server::ask;
use crate::server::envelope::{ApiError, success};
use crate::server::params::Params;
use crate::server::state::ServerState;

/// `GET|POST /api/v1/format_query`: the text as people read it.
pub(super) async fn format(State(state): State<ServerState>, request: Request) -> Result<Response, ApiError> {
    Ok(success(parsed(&state, request).await?.0.pretty()))
}

/// `GET|POST /api/v1/parse_query`: the tree.
pub(super) async fn parse(State(state): State<ServerState>, request: Request) -> Result<Response, ApiError> {
    let (expr, text) = parsed(&state, request).await?;
    Ok(success(tree(&expr, &text)))
}

/// The expression and its text.
async fn parsed(state: &ServerState, request: Request) -> Result<(promql::Expr, String), ApiError> {
    let params = Params::of(request, state.bodies()).await?;
    let text = ask::query_text(&params)?;
    let expr = promql::parse(&text).map_err(|error| ApiError::parameter("query", error))?;
    Ok((expr, text))
}
