//! Hosts, ports and addresses in texts.

/// `host:port` in two, as Go splits it; nothing if it is not of that form.
fn split_host_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    if let Some(inner) = text.strip_prefix('[') {
        let end = inner.find(']')?;
        let (inside, rest) = (&inner[..end], &inner[end + 1..]);
        let port = rest.strip_prefix(':')?;
        return (!inside.contains('[') && !port.contains([':', '[', ']'])).then_some((inside, port));
    }
    (!host.contains([':', '[', ']']) && !port.contains(['[', ']'])).then_some((host, port))
}

/// The host of `host:port`; anything else as it is.
pub(super) fn strip_port(text: &str) -> &str {
    split_host_port(text).map_or(text, |(host, _)| host)
}

/// The first part of a host's name, its port kept; an address as it is.
pub(super) fn strip_domain(text: &str) -> String {
    let (host, port) = split_host_port(text).unwrap_or((text, ""));
    if host.parse::<std::net::IpAddr>().is_ok() {
        return text.to_owned();
    }
    let name = host.split('.').next().unwrap_or(host);
    match (port, name.contains(':')) {
        ("", _) => name.to_owned(),
        (port, true) => format!("[{name}]:{port}"),
        (port, false) => format!("{name}:{port}"),
    }
}

/// Escapes a text for the query part of a URL; a space becomes `+`.
pub(super) fn query_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The path of a URL, without the slashes at its end.
pub(super) fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split(['?', '#']).next().unwrap_or(rest);
    rest.find('/').map_or("", |at| rest[at..].trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_shortened() {
        let check = |text: &str, without_port: &str, without_domain: &str| {
            assert_eq!(strip_port(text), without_port, "{text}");
            assert_eq!(strip_domain(text), without_domain, "{text}");
        };
        check("web.example.org:80", "web.example.org", "web:80");
        check("web", "web", "web");
        check("web.example.org", "web.example.org", "web");
        check("10.0.0.1:80", "10.0.0.1", "10.0.0.1:80");
        check("10.0.0.1", "10.0.0.1", "10.0.0.1");
        check("[::1]:80", "::1", "[::1]:80");
        check("::1", "::1", "::1");
        check("[::1]", "[::1]", "[::1]");
        check("a.b:c.d:80", "a.b:c.d:80", "a");
        check("[a.b]:80", "a.b", "a:80");
        check(":80", "", ":80");
        check("web.example.org:", "web.example.org", "web");
        check("", "", "");
    }

    #[test]
    fn paths_are_taken_out_of_urls() {
        let check = |url: &str, path: &str| assert_eq!(path_of(url), path, "{url}");
        check("https://even.example/keel/", "/keel");
        check("https://even.example", "");
        check("https://even.example/?a=/b", "");
    }
}
