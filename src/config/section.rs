//! Reads a map key by key, so that what nobody asked for is noticed.

use crate::model::{Labels, Millis};

use super::error::ConfigError;
use super::nearest::nearest;
use super::note::Note;
use super::source::{Place, Source};
use super::yaml::{Node, Value};

/// A map of a file. [`Section::finish`] refuses the keys that were not asked for.
pub(super) struct Section<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) place: Place,
    entries: &'a [(super::yaml::Key, Node)],
    known: Vec<&'static str>,
    notes: Vec<Note>,
}

impl<'a> Section<'a> {
    /// The map that `node` is; nothing at all is an empty map.
    pub(super) fn of(source: &'a Source<'a>, node: &'a Node, what: &str) -> Result<Section<'a>, ConfigError> {
        let entries = match &node.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Null => &[],
            Value::List(_) | Value::Scalar(_) => {
                return Err(source.error(node.place, format!("{what} must be a map of keys and values")));
            }
        };
        Ok(Section { source, place: node.place, entries, known: Vec::new(), notes: Vec::new() })
    }

    /// The value of a key, unless it is missing or null.
    pub(super) fn get(&mut self, key: &'static str) -> Option<Field<'a>> {
        self.known.push(key);
        let (key, node) = self.entries.iter().find(|(k, _)| k.name == key)?;
        (node.value != Value::Null).then_some(Field { source: self.source, key: &key.name, key_place: key.place, node })
    }

    /// The value of a key that must be there.
    pub(super) fn need(&mut self, key: &'static str, what: &str) -> Result<Field<'a>, ConfigError> {
        self.get(key).ok_or_else(|| self.source.error(self.place, format!("{what} needs the key \"{key}\"; add it")))
    }

    /// Keys that are accepted and change nothing: `why` goes into the notes.
    pub(super) fn ignore(&mut self, keys: &[&'static str], why: &'static str) {
        for key in keys {
            if let Some(field) = self.get(key) {
                self.notes.push(field.note(why));
            }
        }
    }

    /// Keys that mean something that is not done: a file that has one is refused.
    pub(super) fn refuse(&mut self, keys: &[&'static str], why: &str) -> Result<(), ConfigError> {
        for key in keys {
            if let Some(field) = self.get(key) {
                let empty = matches!(&field.node.value, Value::List(items) if items.is_empty());
                if !empty {
                    return Err(self.source.error(field.key_place, format!("\"{key}\" is not supported yet: {why}")));
                }
            }
        }
        Ok(())
    }

    /// Every entry, for sections whose keys are data.
    pub(super) fn fields(&self) -> impl Iterator<Item = Field<'a>> + use<'a> {
        let source = self.source;
        self.entries.iter().map(move |(key, node)| Field { source, key: &key.name, key_place: key.place, node })
    }

    /// Sees that no key is left over; gives the notes.
    pub(super) fn finish(self, what: &str) -> Result<Vec<Note>, ConfigError> {
        for (key, _) in self.entries {
            if self.known.contains(&key.name.as_str()) {
                continue;
            }
            let remedy = match nearest(&key.name, self.known.iter().copied()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("known keys are {}", listed(&self.known)),
            };
            return Err(self.source.error(key.place, format!("unknown key \"{}\" in {what}; {remedy}", key.name)));
        }
        Ok(self.notes)
    }
}

fn listed(known: &[&str]) -> String {
    let mut known = known.to_vec();
    known.sort_unstable();
    known.dedup();
    known.join(", ")
}

/// The value of a key.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) key: &'a str,
    pub(super) key_place: Place,
    pub(super) node: &'a Node,
}

impl<'a> Field<'a> {
    /// The error that points at the value.
    pub(super) fn error(&self, message: impl Into<String>) -> ConfigError {
        self.source.error(self.node.place, message)
    }

    /// The note that the key changes nothing.
    pub(super) fn note(&self, why: &'static str) -> Note {
        let (file, line) = (self.source.name.clone(), self.source.line(self.key_place));
        Note { file, line, key: self.key.to_owned(), why: why.to_owned() }
    }

    /// A text, with its variables filled in.
    pub(super) fn text(&self) -> Result<String, ConfigError> {
        match &self.node.value {
            Value::Scalar(text) => self.source.expanded(self.node.place, text),
            Value::Null => Ok(String::new()),
            Value::List(_) | Value::Map(_) => Err(self.error(format!("\"{}\" must be a single value", self.key))),
        }
    }

    /// A text as it stands in the file: `$` has a meaning of its own in it.
    pub(super) fn literal(&self) -> Result<String, ConfigError> {
        match &self.node.value {
            Value::Scalar(text) => Ok(text.clone()),
            _ => self.text(),
        }
    }

    /// A text that must not be empty.
    pub(super) fn word(&self) -> Result<String, ConfigError> {
        let text = self.text()?;
        if text.is_empty() { Err(self.error(format!("\"{}\" must not be empty", self.key))) } else { Ok(text) }
    }

    pub(super) fn duration(&self) -> Result<Millis, ConfigError> {
        Millis::parse(self.text()?.trim()).map_err(|error| self.error(error.to_string()))
    }

    /// A duration above zero.
    pub(super) fn positive_duration(&self) -> Result<Millis, ConfigError> {
        match self.duration()? {
            Millis::ZERO => Err(self.error(format!("\"{}\" must be longer than zero", self.key))),
            duration => Ok(duration),
        }
    }

    pub(super) fn boolean(&self) -> Result<bool, ConfigError> {
        match self.text()?.as_str() {
            "true" | "True" | "TRUE" | "yes" | "on" => Ok(true),
            "false" | "False" | "FALSE" | "no" | "off" => Ok(false),
            other => Err(self.error(format!("\"{other}\" is neither true nor false; write one of them"))),
        }
    }

    pub(super) fn count(&self) -> Result<usize, ConfigError> {
        let text = self.text()?;
        text.parse().map_err(|_| self.error(format!("\"{text}\" is not a whole number of zero or more")))
    }

    /// A size: `100`, `64KB`, `50GB`; the units are powers of 1024, as in Prometheus.
    pub(super) fn bytes(&self) -> Result<u64, ConfigError> {
        let text = self.text()?;
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let shift = match text[digits..].trim() {
            "" | "B" => Some(0),
            "KB" | "KiB" => Some(10),
            "MB" | "MiB" => Some(20),
            "GB" | "GiB" => Some(30),
            "TB" | "TiB" => Some(40),
            "PB" | "PiB" => Some(50),
            _ => None,
        };
        let size = text[..digits].parse::<u64>().ok().zip(shift).and_then(|(n, shift)| n.checked_mul(1 << shift));
        size.ok_or_else(|| self.error(format!("\"{text}\" is not a size; write it like 512MB or 50GB")))
    }

    /// The elements of a list.
    pub(super) fn list(&self) -> Result<Vec<Field<'a>>, ConfigError> {
        match &self.node.value {
            Value::List(items) => Ok(items
                .iter()
                .map(|node| Field { source: self.source, key: self.key, key_place: self.key_place, node })
                .collect()),
            _ => Err(self.error(format!("\"{}\" must be a list", self.key))),
        }
    }

    /// A list of texts.
    pub(super) fn words(&self) -> Result<Vec<String>, ConfigError> {
        self.list()?.iter().map(Field::word).collect()
    }

    /// A map.
    pub(super) fn section(&self, what: &str) -> Result<Section<'a>, ConfigError> {
        Section::of(self.source, self.node, what)
    }

    /// Names and texts, in the order of the file.
    pub(super) fn pairs(&self) -> Result<Vec<(String, String)>, ConfigError> {
        self.section(&format!("\"{}\"", self.key))?
            .fields()
            .map(|field| Ok((field.key.to_owned(), field.text()?)))
            .collect()
    }

    /// A label set.
    pub(super) fn labels(&self) -> Result<Labels, ConfigError> {
        for field in self.section(&format!("\"{}\"", self.key))?.fields() {
            check_label_name(&field)?;
        }
        let pairs = self.pairs()?;
        Labels::new(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
            .map_err(|error| self.error(error.to_string()))
    }
}

/// Sees that a key is a label name that a person may set.
pub(super) fn check_label_name(field: &Field<'_>) -> Result<(), ConfigError> {
    match field.key {
        "" => Err(field.source.error(field.key_place, "a label name is empty; give every label a name")),
        Labels::METRIC_NAME => {
            Err(field.source.error(field.key_place, "the label \"__name__\" cannot be set; it is the metric's name"))
        }
        _ => Ok(()),
    }
}
