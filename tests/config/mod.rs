//! Tests of `config`: what files mean, and what broken ones say.

mod alertmanager;
mod hostile;
mod objectives;
mod prometheus;
mod rules;
mod slo_forms;

use std::path::{Path, PathBuf};

use evenkeel::config::{Config, ConfigError};
use evenkeel::env::disk::RealDisk;

/// Files in a directory that goes away with it.
struct Files(tempfile::TempDir);

impl Files {
    fn new(files: &[(&str, &str)]) -> Files {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Files(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The configuration that `prometheus.yml` says.
    fn load(&self) -> Result<Config, ConfigError> {
        let environment = |name: &str| (name == "TOKEN").then(|| "open sesame".to_owned());
        Config::load_with(&RealDisk, &self.path("prometheus.yml"), &environment)
    }

    /// A text without the directory's name.
    fn relative(&self, text: &str) -> String {
        let dir = format!("{}/", self.0.path().display());
        text.replace(&dir, "")
    }
}

fn load(text: &str) -> Config {
    match Files::new(&[("prometheus.yml", text)]).load() {
        Ok(config) => config,
        Err(error) => panic!("{error}"),
    }
}

/// The error text of a `prometheus.yml` beside other files.
fn error_with(text: &str, others: &[(&str, &str)]) -> String {
    let mut files = vec![("prometheus.yml", text)];
    files.extend(others);
    let files = Files::new(&files);
    match files.load() {
        Ok(_) => panic!("no error: {text}"),
        Err(error) => files.relative(&error.to_string()),
    }
}

/// Each text has exactly this error.
fn check_errors(cases: &[(&str, &str)]) {
    let mut wrong = String::new();
    for (text, expected) in cases {
        let error = error_with(text, &[]);
        if error != *expected {
            wrong += &format!("{error}\n  instead of\n{expected}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_missing_file_is_named() {
    let error = Config::load(&RealDisk, Path::new("/nowhere/prometheus.yml")).unwrap_err();
    assert_eq!(error.to_string(), "/nowhere/prometheus.yml: there is no such file; create it or correct the path");
}

#[test]
fn the_built_in_configuration_parses() {
    let config = evenkeel::config::host().unwrap();
    let services: Vec<_> = config.objectives.iter().map(|o| format!("{}/{}", o.service, o.name)).collect();
    assert_eq!(
        services,
        [
            "host/collected",
            "host/disk-space",
            "host/memory",
            "host/cpu-saturation",
            "evenkeel/writes",
            "evenkeel/storage"
        ]
    );
    assert_eq!(config.rule_groups.len(), 3);
    evenkeel::rules::Evaluator::new(config.rule_groups.clone(), evenkeel::rules::RuleContext::default()).unwrap();
    evenkeel::slo::Objectives::new(config.objectives.clone()).unwrap();
    assert_eq!(config.notes, []);
    let listing = config.summary();
    assert!(listing.contains("  host-alerts in built-in/host/rules.yml: 6 alerting, 0 recording\n"), "{listing}");
    assert!(listing.contains("  host/memory: 99 % over 30d\n"), "{listing}");
}
