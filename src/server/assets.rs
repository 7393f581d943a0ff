//! The style sheet, the script and the icons: compiled in, served by exact name.

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::envelope::{ApiError, ErrorType};

const STYLE: &str = include_str!("pages/style.css");
const LIVE: &str = include_str!("pages/live.js");
const ICON_OK: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><circle cx="12" cy="12" r="10.5" fill="#14935f"/><path d="M7.2 12.4l3.3 3.3 6.3-7" fill="none" stroke="#fff" stroke-width="2.6" stroke-linecap="round" stroke-linejoin="round"/></svg>"##;
const ICON_RISK: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path d="M12 1.5L23.5 22H.5z" fill="#e09b12"/><path d="M12 9v6M12 18.4v.1" fill="none" stroke="#fff" stroke-width="2.6" stroke-linecap="round"/></svg>"##;
const ICON_HURTING: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path d="M7.6 1.5h8.8l6.1 6.1v8.8l-6.1 6.1H7.6l-6.1-6.1V7.6z" fill="#d0382b"/><path d="M8.2 8.2l7.6 7.6M15.8 8.2l-7.6 7.6" fill="none" stroke="#fff" stroke-width="2.6" stroke-linecap="round"/></svg>"##;
const ICON_BLIND: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><circle cx="12" cy="12" r="10" fill="#fff" stroke="#6a5fc4" stroke-width="2.4" stroke-dasharray="4.4 2.2"/><path d="M4.6 14.6L14.6 4.6M6.4 18.6L18.6 6.4M10.4 20L20 10.4" stroke="#6a5fc4" stroke-width="2" fill="none"/></svg>"##;
const ICON_NONE: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path d="M2 9.5h20l-3.6 5.2a5 5 0 0 1-4.1 2.2H9.7a5 5 0 0 1-4.1-2.2zM10.6 18.4h2.8v3.4h-2.8zM11.2 2h1.6v6h-1.6z" fill="#59708f"/></svg>"##;

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// `GET /assets/{name}`
pub(super) async fn asset(Path(name): Path<String>) -> Response {
    let (kind, text) = match name.as_str() {
        "style.css" => (CSS, STYLE),
        "live.js" => (JS, LIVE),
        "icon-ok.svg" => (SVG, ICON_OK),
        "icon-risk.svg" => (SVG, ICON_RISK),
        "icon-hurting.svg" => (SVG, ICON_HURTING),
        "icon-blind.svg" => (SVG, ICON_BLIND),
        "icon-none.svg" => (SVG, ICON_NONE),
        _ => return ApiError::new(ErrorType::NotFound, "there is no such asset").into_plain(),
    };
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=300")], text).into_response()
}
