//! Files that a configuration names: found, read, and remembered for watching.

use std::path::{Path, PathBuf};

use crate::env::disk::Disk;
use crate::model::limits;
use crate::notify::Secret;

use super::error::ConfigError;
use super::expand::Environment;
use super::note::Note;
use super::section::{Field, Section};
use super::source::{Source, Variables};

/// Reads files, and gathers what is learned on the way.
pub(super) struct Loader<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) environment: &'a Environment<'a>,
    pub(super) notes: Vec<Note>,
    pub(super) files: Vec<PathBuf>,
}

impl<'a> Loader<'a> {
    pub(super) fn new(disk: &'a dyn Disk, environment: &'a Environment<'a>) -> Loader<'a> {
        Loader { disk, environment, notes: Vec::new(), files: Vec::new() }
    }

    /// The file that was named on the command line.
    pub(super) fn open(&mut self, path: &Path, variables: Variables) -> Result<Source<'a>, ConfigError> {
        let name = path.display().to_string();
        let text = self.read(path).map_err(|message| ConfigError::whole(&name, message))?;
        Ok(Source { name, text, variables, environment: self.environment })
    }

    /// A file that `field` names.
    pub(super) fn open_named(
        &mut self,
        path: &Path,
        field: &Field<'_>,
        variables: Variables,
    ) -> Result<Source<'a>, ConfigError> {
        let name = path.display().to_string();
        let text = self.read(path).map_err(|message| field.error(format!("{name}: {message}")))?;
        Ok(Source { name, text, variables, environment: self.environment })
    }

    /// A secret: the text itself, or the content of the file that the other key names.
    pub(super) fn secret(
        &mut self,
        section: &mut Section<'_>,
        key: &'static str,
        file_key: &'static str,
    ) -> Result<Option<Secret>, ConfigError> {
        match (section.get(key), section.get(file_key)) {
            (Some(_), Some(file)) => {
                let message = format!("both \"{key}\" and \"{file_key}\" are given; keep one");
                Err(file.source.error(file.key_place, message))
            }
            (Some(text), None) => text.text().map(Secret::new).map(Some),
            (None, Some(file)) => {
                let path = beside(&file.source.name, &file.word()?);
                let text = self.read(&path).map_err(|m| file.error(format!("{}: {m}", path.display())))?;
                Ok(Some(Secret::new(text.trim())))
            }
            (None, None) => Ok(None),
        }
    }

    /// The files that a path or pattern names, sorted. A plain path must exist; a pattern that
    /// finds nothing is noted.
    pub(super) fn matching(&mut self, field: &Field<'_>) -> Result<Vec<PathBuf>, ConfigError> {
        let pattern = field.word()?;
        let path = beside(&field.source.name, &pattern);
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let dir = path.parent().map(Path::to_owned).unwrap_or_default();
        if dir.to_string_lossy().contains(['*', '?', '[']) {
            return Err(field.error(format!("\"{pattern}\": a pattern may stand only behind the last slash")));
        }
        if !name.contains(['*', '?', '[']) {
            return Ok(vec![path]);
        }
        let dir_listed = if dir.as_os_str().is_empty() { Path::new(".") } else { &dir };
        let entries = self.disk.list(dir_listed).unwrap_or_default();
        let mut found: Vec<PathBuf> = (entries.into_iter())
            .filter(|entry| !entry.is_dir && fits(&name, &entry.name))
            .map(|entry| dir.join(entry.name))
            .collect();
        found.sort();
        if found.is_empty() {
            self.notes.push(field.note("no file fits the pattern"));
        }
        Ok(found)
    }

    fn read(&mut self, path: &Path) -> Result<String, String> {
        self.files.push(path.to_owned());
        let bytes = self.disk.read(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => "there is no such file; create it or correct the path".to_owned(),
            _ => error.to_string(),
        })?;
        if bytes.len() > limits::CONFIG_BYTES_MAX {
            return Err(format!("{} bytes are more than the {} that are read", bytes.len(), limits::CONFIG_BYTES_MAX));
        }
        String::from_utf8(bytes).map_err(|error| {
            let line = error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
            format!("line {line} is not UTF-8; save the file as UTF-8")
        })
    }
}

/// A path as seen from the file that names it.
pub(super) fn beside(file: &str, path: &str) -> PathBuf {
    Path::new(file).parent().map_or_else(|| PathBuf::from(path), |dir| dir.join(path))
}

/// Whether a name fits a pattern of `*`, `?` and `[a-z]`.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    let mut pattern_chars = pattern.chars();
    match pattern_chars.next() {
        None => name.is_empty(),
        Some('*') => {
            let rest = pattern_chars.as_str();
            (0..=name.len()).filter(|at| name.is_char_boundary(*at)).any(|at| fits(rest, &name[at..]))
        }
        Some(c) => {
            let mut name_chars = name.chars();
            let Some(first) = name_chars.next() else { return false };
            let rest = pattern_chars.as_str();
            match (c, rest.split_once(']')) {
                ('?', _) => fits(rest, name_chars.as_str()),
                ('[', Some((set, after))) => in_set(set, first) && fits(after, name_chars.as_str()),
                _ => c == first && fits(rest, name_chars.as_str()),
            }
        }
    }
}

fn in_set(set: &str, c: char) -> bool {
    let (set, wanted) = match set.strip_prefix('^') {
        Some(set) => (set, false),
        None => (set, true),
    };
    let chars: Vec<char> = set.chars().collect();
    let mut at = 0;
    let mut found = false;
    while at < chars.len() {
        if chars.get(at + 1) == Some(&'-') && at + 2 < chars.len() {
            found |= (chars[at]..=chars[at + 2]).contains(&c);
            at += 3;
        } else {
            found |= chars[at] == c;
            at += 1;
        }
    }
    found == wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_names() {
        let check = |pattern: &str, name: &str, expected: bool| {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        };
        check("*.yml", "a.yml", true);
        check("*.yml", "a.yaml", false);
        check("*.y*ml", "a.yaml", true);
        check("?.yml", "é.yml", true);
        check("[a-c]x", "bx", true);
        check("[^a-c]x", "bx", false);
        check("*", "", true);
        check("a", "", false);
    }
}
