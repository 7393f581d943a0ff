//! A YAML text as a tree of values that know their places.
//!
//! Invariants:
//! - A scalar's text is what stands in the file: `1.0` and `0755` keep their digits.
//! - A file is one document; depth, size and aliases are bounded by the parser.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::error::ConfigError;
use super::source::{Place, Source};

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) place: Place,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// Any scalar, as text.
    Scalar(String),
    List(Vec<Node>),
    /// Keys in the order of the file, none of them twice.
    Map(Vec<(Key, Node)>),
}

/// A key of a map.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) place: Place,
}

/// Reads a file's text, which is one document.
pub(super) fn parse(source: &Source<'_>) -> Result<Node, ConfigError> {
    let text = text_of(source);
    let raw: Spanned<Raw> =
        serde_saphyr::from_str_with_options(text, options()).map_err(|error| syntax(source, &error))?;
    Ok(settle(raw, &source.text))
}

/// Reads a file's text, which may be several documents. Those that say nothing are left out.
pub(super) fn parse_documents(source: &Source<'_>) -> Result<Vec<Node>, ConfigError> {
    let text = text_of(source);
    let raw: Vec<Spanned<Raw>> =
        serde_saphyr::from_multiple_with_options(text, options()).map_err(|error| syntax(source, &error))?;
    let nodes = raw.into_iter().map(|raw| settle(raw, &source.text));
    Ok(nodes.filter(|node| node.value != Value::Null).collect())
}

fn text_of<'a>(source: &'a Source<'_>) -> &'a str {
    source.text.strip_prefix('\u{feff}').unwrap_or(&source.text)
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        with_snippet: false,
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::PassThrough,
    }
}

fn syntax(source: &Source<'_>, error: &serde_saphyr::Error) -> ConfigError {
    let place = error.location().map_or(Place::default(), |location| {
        let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        source.place_of(count(location.line()), count(location.column()))
    });
    let message = error.without_snippet().to_string();
    // The place is told apart; the library's own words end with it.
    let fact = message.rsplit_once(" at line ").map_or(message.as_str(), |(fact, _)| fact);
    let fact = fact.split_once(", set DuplicateKeyPolicy").map_or(fact, |(fact, _)| fact);
    let fact = match fact.split_once(';') {
        Some((fact, _)) if fact.starts_with("multiple YAML documents") => "more than one document; keep one",
        _ => fact,
    };
    source.error(place, format!("not valid YAML: {fact}"))
}

/// What the parser gives: typed scalars, whose own text is looked up by their place.
enum Raw {
    Null,
    Text(String),
    Typed,
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

fn settle(raw: Spanned<Raw>, text: &str) -> Node {
    let mut place = place_of(&raw.defined);
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Text(scalar) => Value::Scalar(scalar),
        Raw::Typed => Value::Scalar(text.get(place.start..place.end).unwrap_or_default().to_owned()),
        Raw::List(items) => Value::List(items.into_iter().map(|item| settle(item, text)).collect()),
        Raw::Map(entries) => {
            let entries = entries
                .into_iter()
                .map(|(key, value)| (Key { place: place_of(&key.defined), name: key.value }, settle(value, text)));
            Value::Map(entries.collect())
        }
    };
    if let Value::Map(entries) = &value
        && let Some((first, _)) = entries.first()
    {
        // The place of a map is its first key, whichever way it is written.
        place = first.place;
    }
    Node { value, place }
}

fn place_of(location: &serde_saphyr::Location) -> Place {
    let count = |n: Option<u64>| n.and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    let start = count(location.span().byte_offset());
    Place { start, end: start + count(location.span().byte_len()) }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::source::Variables;

    fn source(text: &str) -> Source<'static> {
        Source {
            name: "f.yml".to_owned(),
            text: text.to_owned(),
            variables: Variables::Literal,
            environment: &|_| None,
        }
    }

    fn show(node: &Node, text: &str) -> String {
        match &node.value {
            Value::Null => "null".to_owned(),
            Value::Scalar(scalar) => format!("{scalar:?}@{:?}", &text[node.place.start..node.place.end]),
            Value::List(items) => format!("{:?}", items.iter().map(|item| show(item, text)).collect::<Vec<_>>()),
            Value::Map(entries) => {
                let entries: Vec<_> = entries
                    .iter()
                    .map(|(key, value)| {
                        assert_eq!(&text[key.place.start..key.place.start + key.name.len()], key.name);
                        format!("{}: {}", key.name, show(value, text))
                    })
                    .collect();
                format!("{{{}}}", entries.join(", "))
            }
        }
    }

    #[test]
    fn scalars_keep_their_text_and_place() {
        let check = |text: &str, expected: &str| {
            assert_eq!(show(&parse(&source(text)).unwrap(), text), expected, "{text}");
        };
        check(
            "a: 1.0\nb: 0755\nc: true\nd: ~\ne: +5",
            r#"{a: "1.0"@"1.0", b: "0755"@"0755", c: "true"@"true", d: null, e: "+5"@"+5"}"#,
        );
        check("é: \"x\"", r#"{é: "x"@"\"x\""}"#);
        check("a: &x {k: 1}\nb: *x", r#"{a: {k: "1"@"1"}, b: {k: "1"@"1"}}"#);
        check("", "null");
    }

    #[test]
    fn broken_yaml_says_where() {
        let check = |text: &str, expected: &str| {
            assert_eq!(parse(&source(text)).unwrap_err().to_string(), expected, "{text}");
        };
        check("a: 1\na: 2\n", "f.yml:2:1: not valid YAML: duplicate mapping key: a\n  a: 2\n  ^");
        check("a: \"x\n", "f.yml:1:4: not valid YAML: unclosed quote\n  a: \"x\n     ^");
        check("a: 1\n---\nb: 2\n", "f.yml:3:1: not valid YAML: more than one document; keep one\n  b: 2\n  ^");
    }

    #[test]
    fn places_inside_values_are_found() {
        let check = |text: &str, start: usize, end: usize, expected: (usize, &str)| {
            let source = source(text);
            let Value::Map(entries) = parse(&source).unwrap().value else { panic!("a map") };
            let Value::Scalar(value) = &entries[0].1.value else { panic!("a scalar") };
            let place = source.place_within(entries[0].1.place, value, start, end);
            assert_eq!((source.line(place), &text[place.start..place.end]), expected, "{text}");
        };
        check("a: up == 0", 3, 5, (1, "=="));
        check("a: \"x\\\"y == 0\"", 4, 6, (1, "=="));
        check("a: |\n  up\n  == 0\n", 3, 5, (3, "=="));
        check("a: >-\n  up\n\n  == 0\n", 3, 5, (4, "=="));
    }
}
