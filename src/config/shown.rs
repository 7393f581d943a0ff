//! A configuration file as others may see it: what it says, without its secrets.
//!
//! Invariants:
//! - The value of a key that names a secret is never shown, nor is a password inside an address.
//! - Comments are left out: they may hold what was a secret once. Variables stand as they are written.

use super::error::ConfigError;
use super::expand::Environment;
use super::source::{Source, Variables};
use super::yaml::{self, Node, Value};

/// What stands in place of a secret, as in Prometheus.
const SECRET: &str = "<secret>";

/// Keys whose value is a secret if they hold one of these words.
const SECRET_WORDS: [&str; 9] =
    ["password", "secret", "token", "credential", "api_key", "access_key", "routing_key", "service_key", "private"];

/// Keys with such a word that only say where a secret is.
const PLACES: [&str; 6] = ["_file", "_files", "_url", "_ref", "_path", "_type"];

/// The text of a configuration without secrets and comments; the text of one job, if `job` names it.
///
/// # Errors
/// The text is not YAML.
pub fn shown(text: &str, job: Option<&str>) -> Result<Option<String>, ConfigError> {
    let environment: &Environment<'_> = &|_| None;
    let source = Source { name: String::new(), text: text.to_owned(), variables: Variables::Literal, environment };
    let node = yaml::parse(&source)?;
    let chosen = match job {
        None => Some(&node),
        Some(job) => child(&node, "scrape_configs").and_then(|jobs| match &jobs.value {
            Value::List(jobs) => jobs.iter().find(|one| is_named(one, job)),
            _ => None,
        }),
    };
    Ok(chosen.map(|node| {
        let mut out = String::new();
        push(&mut out, node, 0, Shown::Open);
        out
    }))
}

fn child<'a>(node: &'a Node, name: &str) -> Option<&'a Node> {
    match &node.value {
        Value::Map(entries) => entries.iter().find(|(key, _)| key.name == name).map(|(_, value)| value),
        _ => None,
    }
}

fn is_named(job: &Node, name: &str) -> bool {
    child(job, "job_name").is_some_and(|node| node.value == Value::Scalar(name.to_owned()))
}

/// Whether what is written may be seen.
#[derive(Clone, Copy, PartialEq)]
enum Shown {
    Open,
    Hidden,
}

fn push(out: &mut String, node: &Node, depth: usize, shown: Shown) {
    match &node.value {
        Value::Null => out.push_str("null\n"),
        Value::Scalar(text) => {
            let text = if shown == Shown::Hidden { SECRET.to_owned() } else { without_password(text) };
            out.push_str(&scalar(&text));
            out.push('\n');
        }
        Value::List(items) if items.is_empty() => out.push_str("[]\n"),
        Value::Map(entries) if entries.is_empty() => out.push_str("{}\n"),
        Value::List(items) => {
            for (at, item) in items.iter().enumerate() {
                indent(out, if at == 0 { 0 } else { depth });
                out.push_str("- ");
                push(out, item, depth + 2, shown);
            }
        }
        Value::Map(entries) => {
            for (at, (key, value)) in entries.iter().enumerate() {
                indent(out, if at == 0 { 0 } else { depth });
                out.push_str(&scalar(&key.name));
                out.push(':');
                let shown = if shown == Shown::Hidden || is_secret(&key.name) { Shown::Hidden } else { Shown::Open };
                if matches!(&value.value, Value::List(items) if !items.is_empty())
                    || matches!(&value.value, Value::Map(entries) if !entries.is_empty())
                {
                    out.push('\n');
                    indent(out, depth + 2);
                    push(out, value, depth + 2, shown);
                } else {
                    out.push(' ');
                    push(out, value, depth, shown);
                }
            }
        }
    }
}

fn indent(out: &mut String, depth: usize) {
    out.extend(std::iter::repeat_n(' ', depth));
}

fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| key.contains(word)) && !PLACES.iter().any(|end| key.ends_with(end))
}

/// An address without the password in it.
fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let authority = rest.split('/').next().unwrap_or_default();
    match authority.rsplit_once('@') {
        Some((user, _)) => {
            let name = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{name}:{SECRET}{}", &rest[user.len()..])
        }
        None => text.to_owned(),
    }
}

/// A scalar as YAML reads it back: as it is where that is safe, else quoted.
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./+$<>()[]{}*^|,=~".contains(c);
    let safe =
        !text.is_empty() && text.chars().all(plain) && !text.starts_with(|c: char| "-[]{}*|,>=~$^+()".contains(c))
            || text == SECRET;
    if safe && !text.contains(['[', ']', '{', '}', ',']) {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
global: {scrape_interval: 15s, external_labels: {dc: "x"}}   # password: old
scrape_configs:
- job_name: a
  basic_auth: {username: me, password: "p: w"}
  authorization:
    credentials_file: /run/token
  oauth2: {client_secret: s1, token_url: "http://u:pw@h/x", scopes: []}
  http_headers: {X-Key: {secrets: [s2, s3]}}
  static_configs: [{targets: ['h:1', "[::1]:9"]}]
- {job_name: b, bearer_token: s4}
"#;

    #[test]
    fn what_is_shown_has_no_secret() {
        let text = shown(FILE, None).unwrap().unwrap();
        let expected = r#"global:
  scrape_interval: 15s
  external_labels:
    dc: x
scrape_configs:
  - job_name: a
    basic_auth:
      username: me
      password: <secret>
    authorization:
      credentials_file: /run/token
    oauth2:
      client_secret: <secret>
      token_url: "http://u:<secret>@h/x"
      scopes: []
    http_headers:
      X-Key:
        secrets:
          - <secret>
          - <secret>
    static_configs:
      - targets:
          - "h:1"
          - "[::1]:9"
  - job_name: b
    bearer_token: <secret>
"#;
        assert_eq!(text, expected);
        assert_eq!(shown(&text, None).unwrap().unwrap(), text, "it reads back");
    }

    #[test]
    fn one_job_is_shown_alone() {
        assert_eq!(shown(FILE, Some("b")).unwrap().unwrap(), "job_name: b\nbearer_token: <secret>\n");
        assert_eq!(shown(FILE, Some("c")).unwrap(), None);
        assert!(shown("a: [", None).is_err());
    }
}
