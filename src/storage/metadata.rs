//! Type, description and unit of metric families, as their senders told them.
//!
//! Invariants:
//! - At most [`limits::METADATA_FAMILIES_MAX`] families, and of each the last
//!   [`limits::METADATA_PER_FAMILY_MAX`] different descriptions.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::model::{MetricMetadata, limits};

/// The descriptions that are kept.
#[derive(Debug, Default)]
pub(super) struct Metadata {
    families: BTreeMap<Box<str>, VecDeque<Arc<MetricMetadata>>>,
}

impl Metadata {
    /// Those that say something new, with texts cut to what is kept.
    pub(super) fn choose(&self, given: Vec<MetricMetadata>) -> Vec<Arc<MetricMetadata>> {
        let cut = |mut one: MetricMetadata| {
            shorten(&mut one.help, limits::METADATA_TEXT_BYTES_MAX);
            shorten(&mut one.unit, limits::METADATA_TEXT_BYTES_MAX);
            one
        };
        given.into_iter().map(cut).filter(|one| self.is_new(one)).map(Arc::new).collect()
    }

    /// Keeps a description; the oldest of a family goes if it has too many.
    pub(super) fn insert(&mut self, given: Arc<MetricMetadata>) {
        if !self.is_new(&given) {
            return;
        }
        let list = self.families.entry(given.family.as_str().into()).or_default();
        if list.len() >= limits::METADATA_PER_FAMILY_MAX {
            list.pop_front();
        }
        list.push_back(given);
    }

    /// All of them, by family, older ones of a family first.
    pub(super) fn all(&self) -> Vec<Arc<MetricMetadata>> {
        self.families.values().flatten().cloned().collect()
    }

    /// Up to `limit` families, all or the one of that name, each with its descriptions, the newest first.
    pub(super) fn select(&self, family: Option<&str>, limit: usize) -> Vec<Vec<Arc<MetricMetadata>>> {
        let newest_first = |list: &VecDeque<Arc<MetricMetadata>>| list.iter().rev().cloned().collect();
        match family {
            Some(name) => self.families.get(name).into_iter().take(limit).map(newest_first).collect(),
            None => self.families.values().take(limit).map(newest_first).collect(),
        }
    }

    fn is_new(&self, given: &MetricMetadata) -> bool {
        match self.families.get(given.family.as_str()) {
            Some(list) => !list.iter().any(|known| **known == *given),
            None => {
                self.families.len() < limits::METADATA_FAMILIES_MAX
                    && given.family.len() <= limits::LABEL_VALUE_BYTES_MAX
            }
        }
    }
}

fn shorten(text: &mut String, bytes: usize) {
    text.truncate(text.floor_char_boundary(bytes));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MetricKind;

    fn metadata(family: &str, help: &str) -> MetricMetadata {
        MetricMetadata { family: family.into(), kind: MetricKind::Gauge, help: help.into(), unit: String::new() }
    }

    fn take(all: &mut Metadata, given: Vec<MetricMetadata>) -> usize {
        let chosen = all.choose(given);
        let count = chosen.len();
        chosen.into_iter().for_each(|one| all.insert(one));
        count
    }

    fn helps(all: &Metadata, family: &str) -> Vec<String> {
        all.select(Some(family), usize::MAX).concat().iter().map(|one| one.help.clone()).collect()
    }

    #[test]
    fn what_is_new_is_kept_once() {
        let mut all = Metadata::default();
        assert_eq!(take(&mut all, vec![metadata("a", "one"), metadata("b", "one")]), 2);
        assert_eq!(take(&mut all, vec![metadata("a", "one"), metadata("a", "two")]), 1);
        assert_eq!(helps(&all, "a"), ["two", "one"]);
        assert_eq!(all.select(None, 1).len(), 1);
        assert_eq!(all.select(None, 9).len(), 2);
        assert_eq!(all.all().len(), 3);
        assert!(helps(&all, "c").is_empty());
    }

    #[test]
    fn a_family_and_a_text_are_bounded() {
        let mut all = Metadata::default();
        for n in 0..limits::METADATA_PER_FAMILY_MAX + 2 {
            take(&mut all, vec![metadata("a", &n.to_string())]);
        }
        let kept = helps(&all, "a");
        assert_eq!((kept.len(), kept.last().unwrap().as_str()), (limits::METADATA_PER_FAMILY_MAX, "2"));
        let long = format!("x{}", "é".repeat(limits::METADATA_TEXT_BYTES_MAX));
        assert_eq!(take(&mut all, vec![metadata("b", &long)]), 1);
        assert_eq!(helps(&all, "b")[0].len(), limits::METADATA_TEXT_BYTES_MAX - 1);
        assert_eq!(take(&mut all, vec![metadata("b", &long)]), 0, "known by its beginning");
    }
}
