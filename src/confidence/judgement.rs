//! A verdict with its reasons.

use crate::model::Timestamp;

use super::verdict::Verdict;

/// What is known of everything at an instant, in one word with its reasons.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The instant that was judged.
    pub at: Timestamp,
    /// The word for everything.
    pub overall: Verdict,
    /// All reasons against OK, the ones that decide first.
    pub reasons: Vec<Reason>,
    /// Each service that has an objective or a reason, the worst first.
    pub services: Vec<ServiceJudgement>,
    /// What is known for certain: services measured, oldest input, worst burn, last delivery, and what
    /// else was checked.
    pub proof: Vec<Fact>,
}

/// The code of the reason that nobody looked.
const NOT_RUNNING: &str = "not-running";

impl Judgement {
    /// What is known of a time at which nobody looked: after `last` and before `now`.
    pub fn not_running(last: Timestamp, now: Timestamp) -> Judgement {
        let since = Timestamp(last.0.saturating_add(1));
        let reason = Reason {
            verdict: Verdict::Blind,
            service: None,
            code: NOT_RUNNING.to_owned(),
            subject: String::new(),
            text: format!("the program did not run from {last} to {now}"),
            since,
            query: None,
            evidence: Vec::new(),
        };
        Judgement { at: since, overall: Verdict::Blind, reasons: vec![reason], services: Vec::new(), proof: Vec::new() }
    }

    /// Whether it is one of a time at which nobody looked.
    pub fn did_not_run(&self) -> bool {
        self.reasons.iter().any(|reason| reason.code == NOT_RUNNING)
    }

    /// The judgement of one service.
    pub fn service(&self, name: &str) -> Option<&ServiceJudgement> {
        self.services.iter().find(|service| service.service == name)
    }
}

/// The words of a judgement and what argues for them, without what is known for certain.
#[derive(Debug, Clone, PartialEq)]
pub struct Outline {
    /// The word for everything.
    pub overall: Verdict,
    /// The word for each service that has an objective or a reason, the worst first.
    pub services: Vec<(String, Verdict)>,
    /// All reasons against OK, the ones that decide first.
    pub reasons: Vec<Reason>,
}

impl From<&Judgement> for Outline {
    fn from(judgement: &Judgement) -> Outline {
        Outline {
            overall: judgement.overall,
            services: judgement.services.iter().map(|one| (one.service.clone(), one.verdict)).collect(),
            reasons: judgement.reasons.clone(),
        }
    }
}

/// What is known of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceJudgement {
    /// The service.
    pub service: String,
    /// The word.
    pub verdict: Verdict,
    /// Its reasons against OK, the ones that decide first.
    pub reasons: Vec<Reason>,
    /// What is known for certain of it.
    pub proof: Vec<Fact>,
}

/// Why a verdict is not OK.
#[derive(Debug, Clone, PartialEq)]
pub struct Reason {
    /// The word that it argues for.
    pub verdict: Verdict,
    /// The service that it concerns; absent if it concerns everything.
    pub service: Option<String>,
    /// What kind of reason: `burning`, `input-stopped` and the like. It stays the same while the text's numbers move.
    pub code: String,
    /// What it is about: an objective, an alert, a receiver, by name.
    pub subject: String,
    /// The reason in a sentence.
    pub text: String,
    /// Since when it holds.
    pub since: Timestamp,
    /// The query that shows it, if there is one.
    pub query: Option<String>,
    /// The numbers behind it.
    pub evidence: Vec<Fact>,
}

/// One thing that is known: its name and its value, for a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What.
    pub name: String,
    /// Its value with its unit.
    pub value: String,
}

impl Fact {
    pub(super) fn new(name: impl Into<String>, value: impl Into<String>) -> Fact {
        Fact { name: name.into(), value: value.into() }
    }
}
