//! `features`: what this server can do, by Prometheus' names, for clients that choose by it.
//!
//! Invariants:
//! - Functions, operators and aggregations are listed from the language itself.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;

use crate::promql::{AggregateOp, Function};

use crate::server::envelope::success;
use crate::server::state::ServerState;

type Category = BTreeMap<String, bool>;

/// `GET /api/v1/features`
pub(super) async fn features(State(state): State<ServerState>) -> Response {
    let admin = state.options().admin_api;
    let words = |words: &[&str]| words.iter().map(|word| ((*word).to_owned(), true)).collect::<Category>();
    let mut api = words(&[
        "exclude_alerts",
        "label_values_match",
        "lifecycle",
        "openapi_3.1",
        "openapi_3.2",
        "query_stats",
        "query_warnings",
        "remote_write_receiver",
        "time_range_labels",
        "time_range_series",
    ]);
    api.insert("admin".to_owned(), admin);
    api.insert("otlp_write_receiver".to_owned(), false);
    let functions: Category = Function::ALL.iter().map(|function| (function.name().to_owned(), true)).collect();
    let mut operators = words(&[
        "!=", "!~", "%", "*", "+", "-", "/", "<", "<=", "==", "=~", ">", ">=", "@", "^", "and", "atan2", "or", "unless",
    ]);
    operators.extend(AggregateOp::ALL.iter().map(|op| (op.as_str().to_owned(), true)));
    let promql =
        words(&["at_modifier", "bool", "group_left", "group_right", "negative_offset", "offset", "subqueries"]);
    success(BTreeMap::from([
        ("api", api),
        ("promql", promql),
        ("promql_functions", functions),
        ("promql_operators", operators),
        ("rules", words(&["keep_firing_for", "query_offset"])),
    ]))
}
