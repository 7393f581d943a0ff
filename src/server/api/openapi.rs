//! `openapi.yaml`: the description of this API.

use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::server::envelope::ApiError;
use crate::server::params::Params;
use crate::server::state::ServerState;

const DESCRIPTION: &str = include_str!("openapi.yaml");

/// `GET /api/v1/openapi.yaml?openapi_version=3.1|3.2`
pub(super) async fn yaml(State(state): State<ServerState>, request: Request) -> Result<Response, ApiError> {
    let params = Params::of(request, state.bodies()).await?;
    let text = match params.get("openapi_version") {
        None | Some("3.1") => DESCRIPTION.to_owned(),
        // What 3.2 adds is not needed: the same description holds under both.
        Some("3.2") => DESCRIPTION.replacen("openapi: 3.1.0", "openapi: 3.2.0", 1),
        Some(other) => {
            return Err(ApiError::parameter("openapi_version", format!("\"{other}\" is neither 3.1 nor 3.2")));
        }
    };
    Ok(([(header::CONTENT_TYPE, "application/yaml")], text).into_response())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::server::api::all_routes;

    #[test]
    fn the_description_names_exactly_the_routes() {
        let described: Value = serde_saphyr::from_str(DESCRIPTION).unwrap();
        let mut named = BTreeSet::new();
        for (path, item) in described["paths"].as_object().unwrap() {
            for method in
                item.as_object().unwrap().keys().filter(|key| !["parameters", "summary"].contains(&key.as_str()))
            {
                named.insert((path.clone(), method.clone()));
            }
        }
        let routes: BTreeSet<(String, String)> = all_routes().into_iter().collect();
        let missing: Vec<_> = routes.difference(&named).collect();
        let invented: Vec<_> = named.difference(&routes).collect();
        assert!(missing.is_empty() && invented.is_empty(), "not described: {missing:?}; no route: {invented:?}");
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let described: Value = serde_saphyr::from_str(DESCRIPTION).unwrap();
        let mut references = Vec::new();
        collect(&described, &mut references);
        assert!(references.len() > 50);
        for reference in references {
            let path = reference.strip_prefix('#').unwrap();
            assert!(described.pointer(path).is_some(), "{reference}");
        }
    }

    fn collect(node: &Value, references: &mut Vec<String>) {
        match node {
            Value::Object(map) => {
                references.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|value| collect(value, references));
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
            _ => {}
        }
    }
}
