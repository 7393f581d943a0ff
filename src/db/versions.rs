//! Deploys that nobody marks: series name the version that runs, as `build_info` does, and one comes up that was not there.
//!
//! Invariants:
//! - What a service runs when it is met is no deploy, unless the last one that is known said something else.
//! - A version that only pauses is not told of again, nor one that somebody has marked by hand.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Labels, Matcher, Millis, TimeRange, Timestamp, is_stale, limits};
use crate::storage::{Entry, StoredSeries};

use super::deploys::{Deploy, note};
use super::ingest::Inner;

/// From one look to the next, at the least.
const EVERY: Millis = Millis::seconds(5);
/// The labels that may hold the version, and those that may name the service. The first that is there counts.
const VERSION_LABELS: [&str; 2] = ["version", "service_version"];
pub(super) const SERVICE_LABELS: [&str; 3] = ["service", "service_name", "job"];
/// What has more versions at a time has something else in its label.
const VERSIONS_MAX: usize = 20;
/// For how long before a version is seen it may have been marked by hand.
const MARKED_BEFORE: Millis = Millis::hours(1);

/// The versions of each service that are there at a time.
type Seen = BTreeMap<String, BTreeSet<String>>;

/// Which versions run.
#[derive(Debug, Default)]
pub(super) struct Versions {
    /// The series that name them; none if nobody wants that.
    series: Vec<Matcher>,
    looked: Option<Timestamp>,
    running: Seen,
}

impl Versions {
    /// Of series that satisfy all of the matchers.
    pub(super) fn new(series: Vec<Matcher>) -> Versions {
        Versions { series, ..Versions::default() }
    }

    /// Looks at others from now on.
    pub(super) fn reload(&mut self, series: Vec<Matcher>) {
        if self.series != series {
            *self = Versions::new(series);
        }
    }

    /// The series to be looked at, if it is time for that.
    fn due(&mut self, now: Timestamp) -> Option<Vec<Matcher>> {
        if self.series.is_empty() || self.looked.is_some_and(|looked| now - looked < EVERY) {
            return None;
        }
        self.looked = Some(now);
        Some(self.series.clone())
    }

    /// Takes what is there; gives what has gone live, as service and version.
    /// `was_named` says of a version whether series have ever named it: what people mark may have other names.
    fn observe(
        &mut self,
        now: Timestamp,
        seen: Seen,
        marked: &[Deploy],
        was_named: impl Fn(&str) -> bool,
    ) -> Vec<(String, String)> {
        let mut live = Vec::new();
        for (service, versions) in seen {
            let last = marked.iter().rev().find(|deploy| deploy.service == service);
            let is_marked = |version: &str| {
                last.is_some_and(|last| is_same(&last.version, version) && now - last.at < MARKED_BEFORE)
            };
            let before = self.running.get(&service);
            let is_new = |version: &&String| match before {
                Some(before) => !before.contains(*version),
                None => last.is_some_and(|last| {
                    !versions.iter().any(|version| is_same(&last.version, version)) && was_named(&last.version)
                }),
            };
            if versions.len() <= VERSIONS_MAX {
                let new = versions.iter().filter(is_new).filter(|version| !is_marked(version));
                live.extend(new.map(|version| (service.clone(), version.clone())));
            }
            if before.is_some() || self.running.len() < limits::COVERAGE_SERVICES_MAX {
                self.running.insert(service, versions);
            }
        }
        live
    }
}

/// Whether two texts name the same version: one may have been written with a `v`.
fn is_same(a: &str, b: &str) -> bool {
    a.trim_start_matches('v') == b.trim_start_matches('v')
}

/// The service that labels name, if they do.
pub(super) fn service_of(labels: &Labels) -> Option<String> {
    first(labels, &SERVICE_LABELS)
}

fn first(labels: &Labels, names: &[&str]) -> Option<String> {
    names.iter().map(|name| labels.get(name)).find(|value| !value.is_empty()).map(str::to_owned)
}

/// The versions that series name whose newest sample is one.
fn seen(series: &[StoredSeries]) -> Seen {
    let mut seen = Seen::new();
    for one in series.iter().filter(|one| one.samples.last().is_some_and(|last| !is_stale(last.v))) {
        let names = (service_of(&one.labels), first(&one.labels, &VERSION_LABELS));
        if let (Some(service), Some(version)) = names
            && service.len() + version.len() <= limits::DEPLOY_BYTES_MAX
        {
            seen.entry(service).or_default().insert(version);
        }
    }
    seen
}

impl Inner {
    /// Marks what has gone live since the last look.
    pub(super) fn note_versions(&self) {
        let now = self.now();
        let Some(matchers) = self.versions.lock().due(now) else { return };
        let range = TimeRange { after: now - limits::LOOKBACK, until: now };
        let snapshot = self.store.snapshot();
        let series = match snapshot.select(&matchers, range, limits::QUERY_SAMPLES_MAX) {
            Ok(series) => series,
            Err(error) => {
                tracing::warn!("versions that run cannot be looked for: {error}");
                return;
            }
        };
        let marked = self.core.lock().deploys.list();
        let ever = TimeRange { after: Timestamp::MIN, until: now };
        let was_named = |version: &str| {
            let values = |label| snapshot.label_values(label, &matchers, ever).unwrap_or_default();
            VERSION_LABELS.into_iter().any(|label| values(label).iter().any(|value| is_same(value, version)))
        };
        let live = self.versions.lock().observe(now, seen(&series), &marked, was_named);
        for (service, version) in live {
            tracing::info!("{service} {version} has gone live");
            if let Err(error) = self.submit(Entry::Note(note(&service, &version))) {
                tracing::warn!("the deploy of {service} {version} is not marked: {error}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(versions: &[&str]) -> Seen {
        Seen::from([("shop".to_owned(), versions.iter().map(|version| (*version).to_owned()).collect())])
    }

    fn mark(at: i64, version: &str) -> Deploy {
        Deploy { at: Timestamp(at), service: "shop".to_owned(), version: version.to_owned() }
    }

    #[test]
    fn what_comes_up_is_live_and_what_was_there_or_is_marked_is_not() {
        let mut versions = Versions::default();
        let mut t = 0;
        let mut look = |versions: &mut Versions, there: &[&str], marked: &[Deploy]| {
            t += 60_000;
            let live = versions.observe(Timestamp(t), running(there), marked, |_| true);
            live.into_iter().map(|(_, version)| version).collect::<Vec<_>>()
        };
        assert!(look(&mut versions, &["1"], &[]).is_empty(), "it was there");
        assert_eq!(look(&mut versions, &["1", "2"], &[]), ["2"], "a canary");
        assert!(look(&mut versions, &["2"], &[]).is_empty());
        assert_eq!(look(&mut versions, &["1"], &[]), ["1"], "back to what was before");
        assert!(versions.observe(Timestamp(0), Seen::new(), &[], |_| true).is_empty());
        assert!(look(&mut versions, &["1"], &[]).is_empty(), "it had only paused");
        assert!(look(&mut versions, &["3"], &[mark(300_000, "v3")]).is_empty(), "somebody has said so");
        let many: Vec<String> = (0..30).map(|n| n.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(look(&mut versions, &many, &[]).is_empty(), "those are no versions");
    }

    #[test]
    fn what_went_live_while_nobody_looked_is_told_of_afterwards() {
        let day = 86_400_000;
        let observe = |there: &[&str], was_named: bool| {
            let mut versions = Versions::default();
            versions.observe(Timestamp(2 * day), running(there), &[mark(day, "1")], |_| was_named).len()
        };
        assert_eq!((observe(&["2"], true), observe(&["1"], true), observe(&["1", "2"], true)), (1, 0, 0));
        assert_eq!(observe(&["2"], false), 0, "people count otherwise");
    }
}
