//! Single files of each kind, for checking them by themselves.

use std::path::Path;

use crate::backtest::Episode;
use crate::env::disk::Disk;
use crate::model::Millis;
use crate::notify::Routing;
use crate::slo::Objective;

use super::episode_file;
use super::error::ConfigError;
use super::loader::Loader;
use super::note::Note;
use super::rule_file::{self, RuleDefaults};
use super::rule_test_file::{self, RuleTestFile};
use super::source::{Source, Variables};
use super::{alertmanager, slo_file};
use crate::rules::{EvaluationMode, RuleGroup};

/// Defaults of Prometheus' `global` section.
const DEFAULTS: RuleDefaults =
    RuleDefaults { interval: Millis::minutes(1), query_offset: Millis::ZERO, mode: EvaluationMode::Ingest };

/// Reads a rule file in Prometheus' format.
///
/// # Errors
/// The first thing that is wrong, with its line and column.
pub fn load_rules(disk: &dyn Disk, path: &Path) -> Result<Vec<RuleGroup>, ConfigError> {
    let source = Loader::new(disk, &process_environment).open(path, Variables::Literal)?;
    rule_file::read(&source, DEFAULTS).map(|(groups, _)| groups)
}

/// Reads rules from a text; `name` stands for the file in groups and errors.
///
/// # Errors
/// The first thing that is wrong, with its line and column.
pub fn parse_rules(name: &str, text: &str) -> Result<Vec<RuleGroup>, ConfigError> {
    rule_file::read(&source(name, text, Variables::Literal), DEFAULTS).map(|(groups, _)| groups)
}

/// Reads a file of episodes: YAML with a list `episodes` of `start`, `end`, `labels` and `name`, or CSV with the columns
/// `start`, `end`, perhaps `name`, and one for each label.
///
/// # Errors
/// The first thing that is wrong, with its line and column.
pub fn load_episodes(disk: &dyn Disk, path: &Path) -> Result<Vec<Episode>, ConfigError> {
    let source = Loader::new(disk, &process_environment).open(path, Variables::Literal)?;
    episode_file::read(&source)
}

/// Reads a file of unit tests for rules, in promtool's format. Patterns of rule files are looked up beside it.
///
/// # Errors
/// The first thing that is wrong, with its line and column.
pub fn load_rule_tests(disk: &dyn Disk, path: &Path) -> Result<RuleTestFile, ConfigError> {
    let source = Loader::new(disk, &process_environment).open(path, Variables::Literal)?;
    rule_test_file::read(&source, disk)
}

/// Reads unit tests for rules from a text; `name` stands for the file.
///
/// # Errors
/// The first thing that is wrong, with its line and column.
pub fn parse_rule_tests(disk: &dyn Disk, name: &str, text: &str) -> Result<RuleTestFile, ConfigError> {
    rule_test_file::read(&source(name, text, Variables::Literal), disk)
}

/// Reads a file of objectives, in our form or in that of Sloth, Pyrra or OpenSLO, and what in it changes nothing.
///
/// # Errors
/// The first thing that is wrong, with its line and column.
pub fn load_objectives(disk: &dyn Disk, path: &Path) -> Result<(Vec<Objective>, Vec<Note>), ConfigError> {
    whole(slo_file::read(&Loader::new(disk, &process_environment).open(path, Variables::Expanded)?)?)
}

/// A file by itself: its adjustments are for its own objectives.
fn whole(file: slo_file::ObjectiveFile) -> Result<(Vec<Objective>, Vec<Note>), ConfigError> {
    if let Some(error) = file.missing {
        return Err(error);
    }
    let mut objectives = file.objectives;
    slo_file::adjust(&mut objectives, &file.adjustments);
    Ok((objectives, file.notes))
}

/// Reads objectives from a text; `name` stands for the file in errors.
///
/// # Errors
/// The first thing that is wrong, with its line and column.
pub fn parse_objectives(name: &str, text: &str) -> Result<Vec<Objective>, ConfigError> {
    whole(slo_file::read(&source(name, text, Variables::Literal))?).map(|(objectives, _)| objectives)
}

/// Reads an Alertmanager's file.
///
/// # Errors
/// The first thing that is wrong, with its line and column.
pub fn load_routing(disk: &dyn Disk, path: &Path) -> Result<Routing, ConfigError> {
    let mut loader = Loader::new(disk, &process_environment);
    let source = loader.open(path, Variables::Expanded)?;
    alertmanager::read(&source, &mut loader)
}

pub(super) fn process_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn source(name: &str, text: &str, variables: Variables) -> Source<'static> {
    Source { name: name.to_owned(), text: text.to_owned(), variables, environment: &process_environment }
}
