//! `format_query` and `parse_query`: a query's text, without any data.

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;

use crate::promql;
use crate::promql::ValueType;

use crate::server::envelope::{ApiError, success};
use crate::server::params::Params;
use crate::server::state::ServerState;

/// `GET|POST /api/v1/format_query`: the canonical text.
pub(super) async fn format(State(state): State<ServerState>, request: Request) -> Result<Response, ApiError> {
    Ok(success(parsed(&state, request).await?.to_string()))
}

/// `GET|POST /api/v1/parse_query`: what the query is. The tree itself is not written out.
pub(super) async fn parse(State(state): State<ServerState>, request: Request) -> Result<Response, ApiError> {
    let expr = parsed(&state, request).await?;
    let kind = match expr.value_type() {
        ValueType::Scalar => "scalar",
        ValueType::String => "string",
        ValueType::Vector => "vector",
        ValueType::Matrix => "matrix",
    };
    Ok(success(Parsed { kind, text: expr.to_string() }))
}

#[derive(Serialize)]
struct Parsed {
    #[serde(rename = "valueType")]
    kind: &'static str,
    text: String,
}

async fn parsed(state: &ServerState, request: Request) -> Result<promql::Expr, ApiError> {
    let params = Params::of(request, state.bodies()).await?;
    promql::parse(params.get("query").unwrap_or_default()).map_err(|error| ApiError::parameter("query", error))
}
