//! The verdict as JSON: what `/api/v1/verdict` answers and `evenkeel verdict` reads.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::confidence::{Customers, Fact, Factor, Judgement, Reason};
use crate::model::Timestamp;

/// Names that a factor lists of what it lacks.
const LACKING_MAX: usize = 20;

/// A judgement in its JSON form. Instants are RFC 3339 in UTC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VerdictReport {
    /// `OK`, `AT_RISK`, `HURTING` or `BLIND`.
    pub verdict: String,
    /// 0, 1, 2 or 3, in that order.
    pub exit_code: u8,
    /// The service, if it is the verdict of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The instant that was judged.
    pub at: String,
    /// The reasons against OK, the ones that decide first.
    pub reasons: Vec<ReasonReport>,
    /// Each service, the worst first.
    #[serde(default)]
    pub services: Vec<ServiceReport>,
    /// What is known for certain.
    pub evidence: Vec<FactReport>,
    /// The name of the evidence pack of the service's verdict; of a service alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence_id: Option<String>,
    /// How far it can be trusted. Known of everything and of now; neither of a service alone nor of the past.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<ConfidenceReport>,
    /// Whom it hurts; known when `confidence` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customers: Option<CustomersReport>,
}

/// Bad events of the last hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CustomersReport {
    /// Of all services; of each the objective with the most of them counts.
    pub bad_events_1h: f64,
    /// The group with the most of them, of objectives that have groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<MostHurtReport>,
}

/// A group of an objective with its bad events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MostHurtReport {
    /// Whose objective it is.
    pub service: String,
    /// The objective.
    pub objective: String,
    /// The labels that tell the group from others.
    pub labels: BTreeMap<String, String>,
    /// Its bad events of the last hour.
    pub bad_events_1h: f64,
}

/// How far a verdict can be trusted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfidenceReport {
    /// The product of the factors.
    pub value: f64,
    /// What it is made of.
    pub factors: Vec<FactorReport>,
}

/// A share of what would have to be fine for the verdict to be certain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FactorReport {
    /// `coverage`, `freshness` or `delivery`.
    pub name: String,
    /// The share that is fine.
    pub value: f64,
    /// How many are fine.
    pub k: usize,
    /// Of how many.
    pub n: usize,
    /// What is counted.
    pub source: String,
    /// The first twenty that are not fine, by name.
    pub lacking: Vec<String>,
}

/// The verdict of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceReport {
    /// The service.
    pub service: String,
    /// Its word.
    pub verdict: String,
    /// Its exit code.
    pub exit_code: u8,
    /// Its reasons.
    pub reasons: Vec<ReasonReport>,
    /// What is known of it for certain.
    pub evidence: Vec<FactReport>,
    /// The name of its evidence pack.
    #[serde(default)]
    pub evidence_id: String,
}

/// A reason against OK.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonReport {
    /// The word that it argues for.
    pub verdict: String,
    /// The service that it concerns, unless it concerns everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// What kind of reason, for machines.
    #[serde(default)]
    pub code: String,
    /// The objective, alert, receiver or job that it is about.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// The reason in a sentence.
    pub text: String,
    /// Since when.
    pub since: String,
    /// For how many seconds.
    pub seconds: i64,
    /// The query that shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The numbers behind it.
    pub evidence: Vec<FactReport>,
}

/// A named value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactReport {
    /// What.
    pub name: String,
    /// Its value with its unit.
    pub value: String,
}

impl VerdictReport {
    /// The report of a judgement.
    pub fn new(judgement: &Judgement) -> VerdictReport {
        let at = judgement.at;
        let services = judgement.services.iter().map(|service| ServiceReport {
            service: service.service.clone(),
            verdict: service.verdict.as_str().to_owned(),
            exit_code: service.verdict.exit_code(),
            reasons: reasons(&service.reasons, at),
            evidence: facts(&service.proof),
            evidence_id: format!("verdict:{}@{at}", service.service),
        });
        VerdictReport {
            verdict: judgement.overall.as_str().to_owned(),
            exit_code: judgement.overall.exit_code(),
            service: None,
            at: at.to_string(),
            reasons: reasons(&judgement.reasons, at),
            services: services.collect(),
            evidence: facts(&judgement.proof),
            evidence_id: None,
            confidence: None,
            customers: None,
        }
    }

    /// The same with whom it hurts.
    #[must_use]
    pub fn with_customers(self, customers: &Customers) -> VerdictReport {
        let by = customers.most.as_ref().map(|most| MostHurtReport {
            service: most.service.clone(),
            objective: most.objective.clone(),
            labels: most.group.iter().map(|label| (label.name.to_owned(), label.value.to_owned())).collect(),
            bad_events_1h: most.bad_events,
        });
        VerdictReport { customers: Some(CustomersReport { bad_events_1h: customers.bad_events, by }), ..self }
    }

    /// The same with what its certainty is made of.
    #[must_use]
    pub fn with_factors(self, factors: &[Factor]) -> VerdictReport {
        let report = |factor: &Factor| FactorReport {
            name: factor.name.to_owned(),
            value: factor.share(),
            k: factor.fine(),
            n: factor.of,
            source: factor.source.to_owned(),
            lacking: factor.lacking.iter().take(LACKING_MAX).cloned().collect(),
        };
        let value = factors.iter().map(Factor::share).product();
        let confidence = ConfidenceReport { value, factors: factors.iter().map(report).collect() };
        VerdictReport { confidence: Some(confidence), ..self }
    }

    /// The report of one service alone; absent if nothing is known of it.
    pub fn of_service(&self, name: &str) -> Option<VerdictReport> {
        let service = self.services.iter().find(|service| service.service == name)?;
        Some(VerdictReport {
            verdict: service.verdict.clone(),
            exit_code: service.exit_code,
            service: Some(service.service.clone()),
            at: self.at.clone(),
            reasons: service.reasons.clone(),
            services: Vec::new(),
            evidence: service.evidence.clone(),
            evidence_id: Some(service.evidence_id.clone()).filter(|id| !id.is_empty()),
            confidence: None,
            customers: None,
        })
    }
}

fn reasons(reasons: &[Reason], now: Timestamp) -> Vec<ReasonReport> {
    let report = |reason: &Reason| ReasonReport {
        verdict: reason.verdict.as_str().to_owned(),
        service: reason.service.clone(),
        code: reason.code.clone(),
        subject: reason.subject.clone(),
        text: reason.text.clone(),
        since: reason.since.to_string(),
        seconds: (now - reason.since).0.max(0) / 1000,
        query: reason.query.clone(),
        evidence: facts(&reason.evidence),
    };
    reasons.iter().map(report).collect()
}

fn facts(facts: &[Fact]) -> Vec<FactReport> {
    facts.iter().map(|fact| FactReport { name: fact.name.clone(), value: fact.value.clone() }).collect()
}
