//! What is configured, as the server's API shows it.

use std::path::Path;

use parking_lot::RwLock;

use crate::config;
use crate::env::disk::{Disk, RealDisk};
use crate::model::Labels;
use crate::scrape::{Job, Relabel, dropped_targets, relabel_steps};
use crate::server::{DroppedTarget, RelabelStep};

/// The configuration in force.
#[derive(Default)]
pub(super) struct SetupCell(RwLock<Shown>);

#[derive(Default)]
struct Shown {
    text: String,
    jobs: Vec<Job>,
}

impl SetupCell {
    /// Takes note of a configuration that is in force now.
    pub(super) fn set(&self, path: Option<&Path>, jobs: Vec<Job>) {
        let read = |path: &Path| String::from_utf8(RealDisk.read(path).ok()?).ok();
        let text = path.and_then(read).unwrap_or_default();
        *self.0.write() = Shown { text, jobs };
    }

    pub(super) fn config_text(&self) -> String {
        self.shown(None).unwrap_or_default()
    }

    pub(super) fn pool_text(&self, pool: &str) -> Option<String> {
        self.shown(Some(pool))
    }

    /// The text without secrets; what is no YAML any more is not shown at all.
    fn shown(&self, job: Option<&str>) -> Option<String> {
        let shown = self.0.read();
        if shown.text.is_empty() {
            return None;
        }
        config::shown(&shown.text, job).ok().flatten()
    }

    pub(super) fn relabel_steps(&self, pool: &str, labels: &Labels) -> Option<Vec<RelabelStep>> {
        let shown = self.0.read();
        let job = shown.jobs.iter().find(|job| job.name == pool)?;
        // Labels that a rule cannot make end the list as a rule that drops them does.
        let steps = relabel_steps(labels, &job.relabel).unwrap_or_default();
        let step =
            |((output, keep), rule): ((Labels, bool), &Relabel)| RelabelStep { rule: fields(rule), output, keep };
        Some(steps.into_iter().zip(&job.relabel).map(step).collect())
    }

    pub(super) fn dropped(&self) -> Vec<DroppedTarget> {
        let shown = self.0.read();
        let of = |job: &Job| {
            let pool = job.name.clone();
            dropped_targets(job)
                .into_iter()
                .map(move |discovered_labels| DroppedTarget { pool: pool.clone(), discovered_labels })
        };
        shown.jobs.iter().flat_map(of).collect()
    }
}

/// A rule under the names of the configuration.
fn fields(rule: &Relabel) -> Vec<(&'static str, String)> {
    let options = rule.options();
    let mut fields = vec![
        ("source_labels", options.source_labels.join(",")),
        ("separator", options.separator.clone()),
        ("regex", options.regex.clone()),
        ("target_label", options.target_label.clone()),
        ("replacement", options.replacement.clone()),
        ("action", options.action.as_str().to_owned()),
    ];
    if options.modulus > 0 {
        fields.push(("modulus", options.modulus.to_string()));
    }
    fields.retain(|(_, value)| !value.is_empty());
    fields
}
