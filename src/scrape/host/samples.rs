//! The samples of one collection in the making.

use std::path::Path;

use crate::env::Host;
use crate::model::Labels;

/// The samples so far.
#[derive(Default)]
pub(super) struct Samples {
    samples: Vec<(Labels, f64)>,
}

impl Samples {
    /// Adds a sample. A series that cannot be named is left out: the kernel's texts hold no such.
    pub(super) fn push(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let pairs = labels.iter().copied().chain([(Labels::METRIC_NAME, name)]);
        if let Ok(labels) = Labels::new(pairs) {
            self.samples.push((labels, value));
        }
    }

    pub(super) fn into_vec(self) -> Vec<(Labels, f64)> {
        self.samples
    }
}

/// The text of a file.
pub(super) fn text_of(host: &dyn Host, path: &str) -> Option<String> {
    host.read(Path::new(path)).ok()
}

/// The one number in a file, in decimal or with `0x` in hexadecimal.
pub(super) fn number_of(host: &dyn Host, path: &str) -> Option<f64> {
    let text = text_of(host, path)?;
    let text = text.trim();
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok().map(|n| n as f64),
        None => number(text),
    }
}

/// A decimal number.
pub(super) fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.is_finite())
}
