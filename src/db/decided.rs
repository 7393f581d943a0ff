//! By what an alert or an episode was decided: the definition and the configuration in force, and where in the log.

use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_128;

use crate::model::{Labels, Millis, Seq, Timestamp};
use crate::rules::{AlertingRule, Rule, RuleGroup};
use crate::slo::Grounds;

use super::options::Watch;

/// By what something was decided, as it was then.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// The place in the log of the transaction or tick that decided it.
    pub seq: Seq,
    /// The instant at which the query was evaluated: earlier than the decision by the group's `query_offset`.
    pub seen: Timestamp,
    /// The value that was told.
    pub value: f64,
    /// The query.
    pub query: String,
    /// A hash of the rule's or objective's definition; empty if it is not known.
    pub definition: String,
    /// A hash of all rules, objectives, routes and receivers in force.
    pub configuration: String,
    /// The version of the program.
    pub version: String,
    /// What the alert of an objective rests on.
    pub grounds: Option<Grounds>,
}

/// What is in force, by what alerts tell of themselves.
#[derive(Debug, Default)]
pub(super) struct Definitions {
    /// Its hash.
    pub(super) configuration: String,
    /// Rules by their alert's name and their expression.
    rules: HashMap<(String, String), (Definition, Millis)>,
    /// Objectives by service and name.
    objectives: HashMap<(String, String), Definition>,
}

/// A rule or an objective, as it is defined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// What it says.
    pub text: String,
    /// A hash of that.
    pub hash: String,
}

impl Definition {
    fn new(text: String) -> Definition {
        Definition { hash: hash(&text), text }
    }
}

/// The hash that tells definitions and configurations apart: XXH3 in 128 bits, no protection from forgery.
fn hash(text: &str) -> String {
    format!("{:032x}", xxh3_128(text.as_bytes()))
}

impl Definitions {
    pub(super) fn of(watch: &Watch) -> Definitions {
        let notify = &watch.notify;
        let told = (&notify.routing, &notify.alertmanagers, &notify.external_url, &notify.external_labels);
        let all = format!("{:?}{:?}{:?}{told:?}", watch.groups, watch.objectives, watch.deploy_series);
        let mut definitions = Definitions { configuration: hash(&all), ..Definitions::default() };
        for group in &watch.groups {
            for rule in &group.rules {
                let Rule::Alerting(rule) = rule else { continue };
                let defined = (Definition::new(rule_text(group, rule)), group.query_offset);
                definitions.rules.entry((rule.alert.clone(), rule.expr.to_string())).or_insert(defined);
            }
        }
        for objective in &watch.objectives {
            let name = (objective.service.clone(), objective.name.clone());
            definitions.objectives.insert(name, Definition::new(objective.definition_text()));
        }
        definitions
    }

    /// The rule that makes an alert, with how far back of the present it looks.
    pub(super) fn rule(&self, alert: &str, expr: &str) -> Option<(&Definition, Millis)> {
        self.rules.get(&(alert.to_owned(), expr.to_owned())).map(|(definition, offset)| (definition, *offset))
    }

    /// An objective.
    pub(super) fn objective(&self, service: &str, name: &str) -> Option<&Definition> {
        self.objectives.get(&(service.to_owned(), name.to_owned()))
    }

    /// By what an alert that begins to fire is decided.
    pub(super) fn decided(
        &self,
        (seq, at): (Seq, Timestamp),
        labels: &Labels,
        (query, value): (&str, f64),
        grounds: Option<Grounds>,
    ) -> Decided {
        let rule = self.rule(labels.get("alertname"), query).filter(|_| grounds.is_none());
        let objective = || self.objective(labels.get("service"), labels.get("slo"));
        let definition = rule.map(|(definition, _)| definition).or_else(objective);
        Decided {
            seq,
            seen: at - rule.map_or(Millis::ZERO, |(_, offset)| offset),
            value,
            query: query.to_owned(),
            definition: definition.map_or_else(String::new, |definition| definition.hash.clone()),
            configuration: self.configuration.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            grounds,
        }
    }
}

/// A rule as its file has it.
fn rule_text(group: &RuleGroup, rule: &AlertingRule) -> String {
    let mut text = format!("alert: {}\nexpr: {}\nfor: {}\n", rule.alert, rule.expr, rule.hold);
    text += &format!("keep_firing_for: {}\n", rule.keep_firing);
    for (what, pairs) in [("labels", &rule.labels), ("annotations", &rule.annotations)] {
        text.extend(pairs.iter().map(|(name, value)| format!("{what}.{name}: {value:?}\n")));
    }
    text += &format!("group: {} in {}, labels {}\n", group.name, group.file, group.labels);
    text + &format!(
        "evaluated: {} every {}, {} back, limit {}\n",
        group.mode.as_str(),
        group.interval,
        group.query_offset,
        group.limit
    )
}
