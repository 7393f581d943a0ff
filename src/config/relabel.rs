//! `relabel_configs` and `metric_relabel_configs`: rules that rewrite label sets.

use crate::model::{MatchOp, Matcher};

use super::error::ConfigError;
use super::loader::Loader;
use super::nearest::nearest;
use super::section::{Field, Section};

/// One rule, what the file leaves out filled in. Its texts are as written: `$1` and `${name}` in
/// them stand for groups of the pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relabel {
    /// The labels whose values are looked at.
    pub source_labels: Vec<String>,
    /// What stands between their values.
    pub separator: String,
    /// The pattern, which must match as a whole.
    pub regex: String,
    /// The divisor of a hash.
    pub modulus: u64,
    /// The label that is set.
    pub target_label: String,
    /// Its value.
    pub replacement: String,
    /// `replace`, `keep`, `drop`, `keepequal`, `dropequal`, `hashmod`, `labelmap`, `labeldrop`,
    /// `labelkeep`, `lowercase` or `uppercase`.
    pub action: String,
}

const ACTIONS: [&str; 11] = [
    "replace",
    "keep",
    "drop",
    "keepequal",
    "dropequal",
    "hashmod",
    "labelmap",
    "labeldrop",
    "labelkeep",
    "lowercase",
    "uppercase",
];
/// Actions that set or compare a label, which must be named.
const WITH_TARGET: [&str; 6] = ["replace", "keepequal", "dropequal", "hashmod", "lowercase", "uppercase"];

/// Reads the rules under `key`.
pub(super) fn read(
    section: &mut Section<'_>,
    key: &'static str,
    loader: &mut Loader<'_>,
) -> Result<Vec<Relabel>, ConfigError> {
    let Some(field) = section.get(key) else { return Ok(Vec::new()) };
    field.list()?.iter().map(|item| rule(item, loader)).collect()
}

fn rule(item: &Field<'_>, loader: &mut Loader<'_>) -> Result<Relabel, ConfigError> {
    let what = "a relabeling rule";
    let mut section = item.section(what)?;
    let mut literal = |key, default: &str| match section.get(key) {
        Some(field) => field.literal(),
        None => Ok(default.to_owned()),
    };
    let mut relabel = Relabel {
        separator: literal("separator", ";")?,
        regex: literal("regex", "(.*)")?,
        target_label: literal("target_label", "")?,
        replacement: literal("replacement", "$1")?,
        action: literal("action", "replace")?.to_ascii_lowercase(),
        source_labels: Vec::new(),
        modulus: 0,
    };
    if let Some(field) = section.get("source_labels") {
        relabel.source_labels = field.words()?;
    }
    if let Some(field) = section.get("modulus") {
        relabel.modulus = field.count()? as u64;
    }
    if !ACTIONS.contains(&relabel.action.as_str()) {
        let remedy = match nearest(&relabel.action, ACTIONS) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("use one of {}", ACTIONS.join(", ")),
        };
        let place = section.get("action").map_or(item.node.place, |field| field.node.place);
        let message = format!("the action \"{}\" is not known; {remedy}", relabel.action);
        return Err(item.source.error(place, message));
    }
    if let Some(field) = section.get("regex") {
        Matcher::new("regex", MatchOp::Match, &relabel.regex).map_err(|error| field.error(error.to_string()))?;
    }
    if relabel.target_label.is_empty() && WITH_TARGET.contains(&relabel.action.as_str()) {
        return Err(item.error(format!("the action {} needs the key \"target_label\"; add it", relabel.action)));
    }
    if relabel.modulus == 0 && relabel.action == "hashmod" {
        return Err(item.error("the action hashmod needs a \"modulus\" above zero; add it"));
    }
    loader.notes.extend(section.finish(what)?);
    Ok(relabel)
}
