//! Our own objectives, in a database with virtual time.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use evenkeel::db::{Db, DbOptions, Threads};
use evenkeel::env::ManualClock;
use evenkeel::env::disk::MemoryDisk;
use evenkeel::model::{Alert, AlertState, Labels, Millis};
use evenkeel::slo::Objective;
use evenkeel::storage::Durability;

use super::samples::Samples;
use super::{Fired, START, Urgency};

/// What fired. A change is noticed with the next scrape, its beginning is the alert's own.
pub(crate) fn play(objective: Objective, samples: &Samples) -> Result<Vec<Fired>, Box<dyn Error>> {
    let clock = Arc::new(ManualClock::new(START.0));
    let mut options = DbOptions::new("/sim");
    options.watch.objectives = vec![objective];
    options.clock = clock.clone();
    options.threads = Threads::None;
    options.disk = Arc::new(MemoryDisk::new());
    options.store.durability = Durability::Buffered;
    options.store.reserve_bytes = 0;
    options.results_cache_bytes = 0;
    let db = Db::open(options)?;
    let mut open: BTreeMap<Labels, Alert> = BTreeMap::new();
    let mut fired = Vec::new();
    let mut day = 0;
    for scrape in &samples.scrapes {
        clock.set(scrape.t.0);
        db.append(samples.batch(scrape))?;
        let alerts = db.alerts();
        if !(alerts.is_empty() && open.is_empty()) {
            let now: BTreeMap<Labels, Alert> = alerts
                .into_iter()
                .filter(|alert| alert.state == AlertState::Firing)
                .map(|alert| (alert.labels.clone(), alert))
                .collect();
            for (labels, alert) in &open {
                if now.get(labels).is_none_or(|still| still.active_at != alert.active_at) {
                    fired.push(of(alert, scrape.t));
                }
            }
            open = now;
        }
        if (scrape.t - START).0 / Millis::hours(6).0 != day {
            day = (scrape.t - START).0 / Millis::hours(6).0;
            db.step();
        }
    }
    let end = samples.scrapes.last().map_or(START, |scrape| scrape.t);
    fired.extend(open.values().map(|alert| of(alert, end)));
    fired.sort_by_key(|one| one.start);
    Ok(fired)
}

fn of(alert: &Alert, end: evenkeel::model::Timestamp) -> Fired {
    let urgency = if alert.labels.get("severity") == "page" { Urgency::Page } else { Urgency::Ticket };
    let name = format!("{} {}", alert.labels.get("alertname"), alert.labels.get("window")).trim().to_owned();
    Fired { urgency, name, start: alert.active_at, end }
}
