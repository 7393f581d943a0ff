//! What pages of other sites may read: the API, from the origins that are allowed.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::state::{Origins, ServerState};

/// Middleware of the API: answers `OPTIONS` for every path, and lets allowed origins read.
pub(super) async fn allow(State(state): State<ServerState>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut response = match *request.method() {
        Method::OPTIONS => StatusCode::NO_CONTENT.into_response(),
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin.filter(|origin| is_allowed(&state.options().origins, origin)) {
        add(headers, origin);
    }
    response
}

fn is_allowed(origins: &Origins, origin: &HeaderValue) -> bool {
    match origins {
        Origins::Any => true,
        Origins::Matching(pattern) => origin.to_str().is_ok_and(|origin| pattern.is_match(origin)),
    }
}

fn add(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    let fixed = [
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "Accept, Authorization, Content-Type, Origin"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Date"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
