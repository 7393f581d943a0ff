//! What stands before every handler: who may ask, and what browsers may do with the answer.

use std::net::{IpAddr, Ipv6Addr};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::accept::Peer;
use super::envelope::{ApiError, ErrorType};
use super::state::{Changes, Hosts, ServerState};

/// Nothing but our own files, and no frame around us.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Middleware: headers that hold browsers to our own content.
pub(super) async fn protect(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let fixed: [(HeaderName, &'static str); 5] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Middleware: only requests for a host that is ours.
pub(super) async fn check_host(State(state): State<ServerState>, request: Request, next: Next) -> Response {
    if let Hosts::Only(names) = &state.options().hosts {
        let host = request
            .headers()
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .or_else(|| request.uri().authority().map(|authority| authority.as_str()))
            .unwrap_or("");
        if !host_is_ours(host, names) {
            let text = format!("this server does not answer for the host {host:?}; use its address, or allow the name");
            return ApiError::new(ErrorType::Forbidden, text).into_response();
        }
    }
    next.run(request).await
}

fn host_is_ours(host: &str, names: &[String]) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((v6, _)) => return v6.parse::<Ipv6Addr>().is_ok(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || names.iter().any(|allowed| allowed.eq_ignore_ascii_case(name))
}

/// Middleware for what changes something: never on behalf of another site's page.
pub(super) async fn check_origin(request: Request, next: Next) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) && !same_origin(request.headers()) {
        return ApiError::new(ErrorType::Forbidden, "a page of another site may not change anything here")
            .into_response();
    }
    next.run(request).await
}

/// Programs send neither header; browsers send at least one.
fn same_origin(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(site) = text("sec-fetch-site")
        && !matches!(site, "same-origin" | "none")
    {
        return false;
    }
    match (text("origin"), text("host")) {
        (None, _) => true,
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, o)| o.eq_ignore_ascii_case(host)),
        (Some(_), None) => false,
    }
}

/// Middleware for what only the operator may do.
pub(super) async fn check_peer(State(state): State<ServerState>, request: Request, next: Next) -> Response {
    let local = request.extensions().get::<Peer>().is_some_and(|peer| peer.0.ip().to_canonical().is_loopback());
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    if changes && !local && state.options().changes == Changes::FromLoopback {
        return ApiError::new(
            ErrorType::Forbidden,
            "this is taken from this machine only, as the server is configured",
        )
        .into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_resolve_here_by_trickery_are_refused() {
        let names = ["metrics.lan".to_owned()];
        let check = |host: &str, expected: bool| assert_eq!(host_is_ours(host, &names), expected, "{host}");
        check("127.0.0.1:9090", true);
        check("localhost", true);
        check("LOCALHOST:9090", true);
        check("[::1]:9090", true);
        check("10.1.2.3", true);
        check("metrics.lan:80", true);
        check("evil.example", false);
        check("127.0.0.1.evil.example:9090", false);
        check("", false);
        check("[evil]:1", false);
    }

    #[test]
    fn other_sites_change_nothing() {
        let check = |pairs: &[(&'static str, &'static str)], expected: bool| {
            let headers = pairs
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect();
            assert_eq!(same_origin(&headers), expected, "{pairs:?}");
        };
        check(&[("host", "a:1")], true);
        check(&[("host", "a:1"), ("origin", "http://a:1")], true);
        check(&[("host", "a:1"), ("origin", "http://b:1")], false);
        check(&[("host", "a:1"), ("origin", "null")], false);
        check(&[("host", "a:1"), ("sec-fetch-site", "cross-site")], false);
        check(&[("host", "a:1"), ("sec-fetch-site", "same-site")], false);
        check(&[("host", "a:1"), ("sec-fetch-site", "none")], true);
    }
}
