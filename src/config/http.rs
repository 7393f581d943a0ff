//! How to log in at a server: the part of an HTTP client's settings that Prometheus' and
//! Alertmanager's files share.

use crate::notify::{Authorization, Secret};

use super::error::ConfigError;
use super::loader::Loader;
use super::section::Section;

/// Settings of an HTTP client.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Http {
    pub(super) authorization: Authorization,
    pub(super) headers: Vec<(String, Secret)>,
}

/// Reads the settings from among a section's keys.
pub(super) fn read(section: &mut Section<'_>, loader: &mut Loader<'_>) -> Result<Http, ConfigError> {
    section.refuse(
        &["oauth2", "tls_config", "proxy_url", "proxy_from_environment", "proxy_connect_header", "no_proxy"],
        "use basic_auth or authorization, and public certificates",
    )?;
    section.ignore(&["enable_http2", "follow_redirects"], "the HTTP client decides it");
    let mut found: Vec<(crate::config::source::Place, Authorization)> = Vec::new();
    if let Some(field) = section.get("basic_auth") {
        let mut inner = field.section("basic_auth")?;
        let username = loader.secret(&mut inner, "username", "username_file")?.unwrap_or_default();
        let password = loader.secret(&mut inner, "password", "password_file")?.unwrap_or_default();
        loader.notes.extend(inner.finish("basic_auth")?);
        let username = username.reveal().to_owned();
        found.push((field.key_place, Authorization::Basic { username, password }));
    }
    if let Some(field) = section.get("authorization") {
        let mut inner = field.section("authorization")?;
        let scheme = inner.get("type").map(|f| f.word()).transpose()?.unwrap_or_else(|| "Bearer".to_owned());
        let credentials = loader.secret(&mut inner, "credentials", "credentials_file")?;
        loader.notes.extend(inner.finish("authorization")?);
        let credentials = credentials.ok_or_else(|| {
            field
                .source
                .error(field.key_place, "\"authorization\" needs \"credentials\" or \"credentials_file\"; add one")
        })?;
        found.push((field.key_place, Authorization::Credentials { scheme, credentials }));
    }
    let place = section.get("bearer_token").or(section.get("bearer_token_file")).map(|field| field.key_place);
    if let Some(credentials) = loader.secret(section, "bearer_token", "bearer_token_file")? {
        let authorization = Authorization::Credentials { scheme: "Bearer".to_owned(), credentials };
        found.push((place.unwrap_or(section.place), authorization));
    }
    if let Some((place, _)) = found.get(1) {
        let message = "more than one of basic_auth, authorization and bearer_token is given; keep one";
        return Err(section.source.error(*place, message));
    }
    let authorization = found.pop().map_or(Authorization::None, |(_, authorization)| authorization);
    Ok(Http { authorization, headers: headers(section, loader)? })
}

fn headers(section: &mut Section<'_>, loader: &mut Loader<'_>) -> Result<Vec<(String, Secret)>, ConfigError> {
    let mut headers = Vec::new();
    let Some(field) = section.get("http_headers") else { return Ok(headers) };
    for header in field.section("http_headers")?.fields() {
        let mut inner = header.section("a header")?;
        inner.refuse(&["files"], "put the value into secrets as ${VARIABLE}")?;
        for key in ["values", "secrets"] {
            let Some(values) = inner.get(key) else { continue };
            for value in values.words()? {
                headers.push((header.key.to_owned(), Secret::new(value)));
            }
        }
        loader.notes.extend(inner.finish("a header")?);
    }
    Ok(headers)
}
