//! Where rules stand in their file, and what comments there say.
//!
//! A comment `# evenkeel:disable NAME, …` switches checks off: above or inside of a rule for that rule, in a group
//! before its rules for the group, before the groups for the file.

use std::collections::BTreeSet;
use std::path::Path;

use crate::env::disk::Disk;

use super::error::ConfigError;
use super::files::process_environment;
use super::loader::Loader;
use super::section::Section;
use super::source::{Source, Variables};
use super::yaml;

/// A rule's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulePlace {
    /// Its group's name.
    pub group: String,
    /// Its line, counted from 1.
    pub line: usize,
    /// What comments switch off for it.
    pub disabled: BTreeSet<String>,
}

const DISABLE: &str = "evenkeel:disable";

/// The places of a file's rules, group by group, in order.
///
/// # Errors
/// The file cannot be read, or is no rule file.
pub fn load_rule_places(disk: &dyn Disk, path: &Path) -> Result<Vec<RulePlace>, ConfigError> {
    let source = Loader::new(disk, &process_environment).open(path, Variables::Literal)?;
    read(&source)
}

fn read(source: &Source<'_>) -> Result<Vec<RulePlace>, ConfigError> {
    let node = yaml::parse(source)?;
    let mut top = Section::of(source, &node, "a rule file")?;
    let lines: Vec<&str> = source.text.lines().collect();
    let Some(groups) = top.get("groups") else { return Ok(Vec::new()) };
    let of_file = disabled(&lines, 1, source.line(groups.key_place));
    let mut places = Vec::new();
    // Where each rule's lines begin, comments above it included.
    let mut starts = Vec::new();
    for group in groups.list()? {
        let mut section = group.section("a rule group")?;
        let name = section.get("name").map(|field| field.text()).transpose()?.unwrap_or_default();
        let Some(rules) = section.get("rules") else { continue };
        let begin = with_comments_above(&lines, source.line(section.place));
        starts.push(begin);
        let of_group = disabled(&lines, begin, source.line(rules.key_place));
        for rule in rules.list()? {
            let line = source.line(rule.node.place);
            starts.push(with_comments_above(&lines, line));
            let disabled = of_file.union(&of_group).cloned().collect();
            places.push(RulePlace { group: name.clone(), line, disabled });
        }
    }
    for place in &mut places {
        let begin = with_comments_above(&lines, place.line);
        let end = starts.iter().copied().filter(|start| *start > place.line).min().unwrap_or(lines.len() + 1);
        place.disabled.extend(disabled(&lines, begin, end));
    }
    Ok(places)
}

/// The first of the comment lines directly above a line.
fn with_comments_above(lines: &[&str], line: usize) -> usize {
    let is_comment = |line: usize| lines.get(line - 1).is_some_and(|text| text.trim_start().starts_with('#'));
    (1..line).rev().take_while(|above| is_comment(*above)).last().unwrap_or(line)
}

/// The names behind the mark in the lines `from..to`.
fn disabled(lines: &[&str], from: usize, to: usize) -> BTreeSet<String> {
    let inside = lines.iter().skip(from - 1).take(to.saturating_sub(from));
    let marked = inside.filter_map(|line| line.split_once('#')?.1.trim_start().strip_prefix(DISABLE));
    let names = marked.flat_map(|names| names.split([',', ' ', '\t']));
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_switch_checks_off_for_what_they_stand_at() {
        let text = "\
# evenkeel:disable a
groups:
# evenkeel:disable b
- name: g
  interval: 1m  # evenkeel:disable c
  rules:
  - alert: A
    expr: up == 0
  # Not now.
  # evenkeel:disable d, e
  - alert: B
    expr: up == 0 # evenkeel:disable f
- name: h
  rules: [{alert: C, expr: up}]
";
        let source = Source {
            name: "f".to_owned(),
            text: text.to_owned(),
            variables: Variables::Literal,
            environment: &|_| None,
        };
        let found = read(&source).unwrap();
        let told: Vec<String> = found
            .iter()
            .map(|place| format!("{} {} {}", place.group, place.line, Vec::from_iter(place.disabled.clone()).join("")))
            .collect();
        assert_eq!(told, ["g 7 abc", "g 11 abcdef", "h 14 a"]);
    }
}
