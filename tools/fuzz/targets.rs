//! The decoders under test.

use evenkeel::model::Labels;

use super::{columns, configuration, files, histograms, saved, texts, wire};

/// A decoder under test.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    /// What our own encoders make.
    pub(crate) seeds: fn() -> Vec<Vec<u8>>,
    /// Whether it took the input; an error if it did what it must not.
    pub(crate) run: fn(&[u8]) -> Result<bool, String>,
    /// Makes checksums right again.
    pub(crate) repair: Option<fn(&mut [u8])>,
    /// Texts that mean something to it.
    pub(crate) words: &'static [&'static str],
}

impl Target {
    /// One that takes bytes as they come.
    pub(super) fn plain(
        name: &'static str,
        seeds: fn() -> Vec<Vec<u8>>,
        run: fn(&[u8]) -> Result<bool, String>,
    ) -> Target {
        Target { name, seeds, run, repair: None, words: &[] }
    }

    /// One with words of its own.
    pub(super) fn with_words(self, words: &'static [&'static str]) -> Target {
        Target { words, ..self }
    }

    /// One that looks at checksums first.
    pub(super) fn with_repair(self, repair: fn(&mut [u8])) -> Target {
        Target { repair: Some(repair), ..self }
    }
}

/// All of them.
pub(crate) fn all() -> Vec<Target> {
    let of_each = [
        wire::targets(),
        texts::targets(),
        configuration::targets(),
        columns::targets(),
        histograms::targets(),
        files::targets(),
        saved::targets(),
    ];
    of_each.into_iter().flatten().collect()
}

/// A label set.
pub(super) fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::new(pairs.iter().copied()).expect("different names, none of them empty")
}
