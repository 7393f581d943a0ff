//! Files of objectives, in Evenkeel's own form or in another program's, told apart by content.
//!
//! | Form | Told by |
//! | --- | --- |
//! | Evenkeel | the key `objectives` |
//! | Sloth | `version: prometheus/v1`, or `apiVersion: sloth.slok.dev/v1` |
//! | Pyrra | `apiVersion: pyrra.dev/v1alpha1` |
//! | OpenSLO | `apiVersion: openslo/v1` (also `openslo/v1alpha`, `openslo.com/v2alpha`) |
//!
//! What a form says and is not done is refused, or noted if it changes no alert: no objective is watched as
//! something else than was written.

mod conventions;
mod expression;
mod openslo;
mod own;
mod pyrra;
mod reckoning;
mod sloth;

use crate::model::Labels;
use crate::slo::{Objective, Objectives};

use super::error::ConfigError;
use super::note::Note;
use super::section::{Field, Section};
use super::source::Source;
use super::yaml::{self, Node, Value};

pub(super) use reckoning::{ScopedAdjustment, adjust};

/// What a file says: its objectives in order, each with the place to point at.
#[derive(Default)]
struct Found<'a> {
    objectives: Vec<(Objective, Field<'a>)>,
    adjustments: Vec<ScopedAdjustment>,
    notes: Vec<Note>,
}

/// What a file of objectives says.
pub(super) struct ObjectiveFile {
    pub(super) objectives: Vec<Objective>,
    /// Times in which events do not count, of all objectives for which they are: these and other files'.
    pub(super) adjustments: Vec<ScopedAdjustment>,
    pub(super) notes: Vec<Note>,
    /// A part of a composite that is not in this file, though it may be in another.
    pub(super) missing: Option<ConfigError>,
}

/// Reads a file's objectives, and the notes about them.
pub(super) fn read(source: &Source<'_>) -> Result<ObjectiveFile, ConfigError> {
    let documents = yaml::parse_documents(source)?;
    let found = match form(source, &documents)? {
        Form::Own(document) => own::read(source, document)?,
        Form::Sloth => sloth::read(source, &documents)?,
        Form::Pyrra => pyrra::read(source, &documents)?,
        Form::OpenSlo => openslo::read(source, &documents)?,
    };
    let mut objectives: Vec<Objective> = Vec::new();
    let mut composites = Vec::new();
    for (objective, place) in found.objectives {
        // Each by itself, so that the error can point at it.
        objective.check().map_err(|error| place.error(error.to_string()))?;
        if !objective.indicator.parts().is_empty() {
            composites.push((format!("{}/{}: ", objective.service, objective.name), place));
        }
        if objectives.iter().any(|earlier| (&earlier.service, &earlier.name) == (&objective.service, &objective.name)) {
            let (service, name) = (objective.service, objective.name);
            return Err(place.error(format!("two objectives of \"{service}\" are named \"{name}\"; rename one")));
        }
        objectives.push(objective);
    }
    let missing = Objectives::new(objectives.clone()).err().map(|error| {
        let text = error.to_string();
        let place = composites.iter().find(|(name, _)| text.starts_with(name));
        place.map_or_else(|| source.error(Default::default(), text.clone()), |(_, place)| place.error(text.clone()))
    });
    Ok(ObjectiveFile { objectives, adjustments: found.adjustments, notes: found.notes, missing })
}

enum Form<'a> {
    Own(&'a Node),
    Sloth,
    Pyrra,
    OpenSlo,
}

/// Which program's form it is. All documents of a file have the same.
fn form<'a>(source: &Source<'_>, documents: &'a [Node]) -> Result<Form<'a>, ConfigError> {
    let mut found = None;
    for document in documents {
        let kind = match marker(document, "apiVersion").or_else(|| marker(document, "version")) {
            Some(("prometheus/v1" | "sloth.slok.dev/v1", _)) => "Sloth",
            Some(("pyrra.dev/v1alpha1", _)) => "Pyrra",
            Some(("openslo/v1" | "openslo/v1alpha" | "openslo.com/v2alpha", _)) => "OpenSLO",
            Some((other, node)) => {
                let message = format!(
                    "no form of objectives has the version \"{other}\"; prometheus/v1, sloth.slok.dev/v1, \
                     pyrra.dev/v1alpha1, openslo/v1, openslo/v1alpha and openslo.com/v2alpha are read, and a file \
                     of our own begins with \"objectives:\""
                );
                return Err(source.error(node.place, message));
            }
            None => "Evenkeel",
        };
        if found.is_some_and(|earlier| earlier != kind) {
            return Err(source.error(document.place, "a file holds objectives of one form; split it"));
        }
        found = Some(kind);
    }
    match (found, documents) {
        (Some("Sloth"), _) => Ok(Form::Sloth),
        (Some("Pyrra"), _) => Ok(Form::Pyrra),
        (Some("OpenSLO"), _) => Ok(Form::OpenSlo),
        (_, [only]) => Ok(Form::Own(only)),
        (_, [_, second, ..]) => Err(source.error(second.place, "a file of objectives is one document; keep one")),
        (_, []) => Err(source.error(Default::default(), "the file is empty; write \"objectives:\" and a list")),
    }
}

/// The text of a key at the top of a document.
fn marker<'a>(document: &'a Node, name: &str) -> Option<(&'a str, &'a Node)> {
    let Value::Map(entries) = &document.value else { return None };
    let (_, node) = entries.iter().find(|(key, _)| key.name == name)?;
    match &node.value {
        Value::Scalar(text) => Some((text, node)),
        _ => None,
    }
}

/// A share that must leave a budget and promise something: `99.9`, `99.9%` or, if so told, `0.999`.
fn share(field: &Field<'_>, scale: Scale) -> Result<f64, ConfigError> {
    let text = field.word()?;
    let (digits, percent) = match text.strip_suffix('%') {
        Some(digits) => (digits.trim_end(), true),
        None => (text.as_str(), false),
    };
    let number: f64 =
        digits.parse().map_err(|_| field.error(format!("\"{text}\" is not a share; write it like 99.9 or 0.999")))?;
    let percent = percent
        || match scale {
            Scale::Percent => true,
            Scale::Share => false,
            Scale::Either => number > 1.0,
        };
    let share = if percent { number / 100.0 } else { number };
    if share > 0.0 && share < 1.0 {
        // 99.9 / 100 is 0.9990000000000001; twelve digits are what a person meant.
        return Ok((share * 1e12).round() / 1e12);
    }
    let like = if scale == Scale::Share { "0.999" } else { "99.9" };
    Err(field.error(format!("an objective of {text} leaves no budget or promises nothing; write one like {like}")))
}

/// How much a part of a composite weighs.
fn weight(field: &Field<'_>) -> Result<f64, ConfigError> {
    let text = field.word()?;
    let weight = text.parse().ok().filter(|weight: &f64| *weight > 0.0 && weight.is_finite());
    weight.ok_or_else(|| field.error(format!("\"{text}\" is no weight; write a number above 0, like 2 or 0.5")))
}

/// What a number means that has no sign of percent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scale {
    Percent,
    Share,
    Either,
}

/// One label of our own writing, by itself.
fn label(name: &str, value: &str) -> Labels {
    Labels::new([(name, value)]).unwrap_or_else(|_| Labels::empty())
}

/// What a document is in the forms that look like Kubernetes' objects.
struct Object<'a> {
    kind: String,
    kind_field: Field<'a>,
    metadata: Section<'a>,
    spec: Field<'a>,
}

/// Takes such an object apart; `form` names it in errors.
fn object<'a>(source: &'a Source<'a>, document: &'a Node, form: &str) -> Result<(Object<'a>, Vec<Note>), ConfigError> {
    let what = format!("{form} document");
    let what = what.as_str();
    let mut top = Section::of(source, document, what)?;
    top.need("apiVersion", what)?;
    let kind_field = top.need("kind", what)?;
    let metadata = top.need("metadata", what)?.section("\"metadata\"")?;
    let spec = top.need("spec", what)?;
    top.ignore(&["status"], "a controller writes it");
    let notes = top.finish(what)?;
    Ok((Object { kind: kind_field.word()?, kind_field, metadata, spec }, notes))
}
