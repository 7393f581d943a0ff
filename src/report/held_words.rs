//! For how long each word held: as JSON, and as a document.

use serde::{Deserialize, Serialize};

use crate::confidence::{Held, HeldWords, Verdict};
use crate::model::{Millis, TimeRange};

use super::document::{Document, Table};
use super::words;

/// For how many minutes each word held, in its JSON form. Instants are RFC 3339 in UTC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeldWordsReport {
    /// Behind this instant.
    pub from: String,
    /// Up to this one.
    pub to: String,
    /// Of everything.
    pub overall: HeldReport,
    /// Of each service, by name.
    pub services: Vec<ServiceHeldReport>,
}

/// Minutes of each word.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HeldReport {
    /// Minutes of OK.
    pub ok_minutes: f64,
    /// Minutes of AT_RISK.
    pub at_risk_minutes: f64,
    /// Minutes of HURTING.
    pub hurting_minutes: f64,
    /// Minutes of BLIND.
    pub blind_minutes: f64,
    /// Minutes of which nothing is recorded: before the first word, and after the last.
    pub unrecorded_minutes: f64,
}

/// Minutes of each word of a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceHeldReport {
    /// The service.
    pub service: String,
    /// Its minutes.
    #[serde(flatten)]
    pub held: HeldReport,
}

impl HeldReport {
    fn new(held: &Held) -> HeldReport {
        let minutes = |time: Millis| time.0 as f64 / 60_000.0;
        HeldReport {
            ok_minutes: minutes(held.of(Verdict::Ok)),
            at_risk_minutes: minutes(held.of(Verdict::AtRisk)),
            hurting_minutes: minutes(held.of(Verdict::Hurting)),
            blind_minutes: minutes(held.of(Verdict::Blind)),
            unrecorded_minutes: minutes(held.unrecorded),
        }
    }

    fn cells(&self) -> Vec<String> {
        let minutes =
            [self.ok_minutes, self.at_risk_minutes, self.hurting_minutes, self.blind_minutes, self.unrecorded_minutes];
        minutes.iter().map(|minutes| format!("{minutes:.1}")).collect()
    }
}

impl HeldWordsReport {
    /// The report of what held within a span.
    pub fn new(held: &HeldWords, range: TimeRange) -> HeldWordsReport {
        let service = |(service, held): (&String, &Held)| ServiceHeldReport {
            service: service.clone(),
            held: HeldReport::new(held),
        };
        HeldWordsReport {
            from: range.after.to_string(),
            to: range.until.to_string(),
            overall: HeldReport::new(&held.overall),
            services: held.services.iter().map(service).collect(),
        }
    }

    /// The same as a table.
    pub fn document(&self) -> Document {
        let row = |name: &str, held: &HeldReport| [vec![name.to_owned()], held.cells()].concat();
        let services = self.services.iter().map(|service| row(&service.service, &service.held));
        Document {
            title: "Verdicts".to_owned(),
            lines: vec![format!("{} to {}", words::minute(&self.from), words::minute(&self.to))],
            tables: vec![Table {
                title: "Minutes of each word".to_owned(),
                head: HEAD.map(str::to_owned).to_vec(),
                rows: [row("everything", &self.overall)].into_iter().chain(services).collect(),
            }],
            notes: NOTES.map(str::to_owned).to_vec(),
        }
    }
}

const HEAD: [&str; 6] = ["service", "OK", "AT_RISK", "HURTING", "BLIND", "unrecorded"];

/// How the numbers are made.
const NOTES: [&str; 2] = [
    "A word holds from the instant at which it was known until another one was, as it was known then; what was learned \
later changes nothing.",
    "While the program did not run, every service is BLIND. Unrecorded is the time before a service had a word, after it was \
named no more, and of which the record is kept no longer.",
];
