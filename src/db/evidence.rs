//! Evidence packs: what an alert, a verdict or an episode rests on, for somebody who was not there and has no server.
//!
//! Invariants:
//! - Everything is read from one view of the store; the same question about the same data has the same answer.
//! - What was decided is told as it was recorded then. Where nothing was recorded, the definitions of now are taken, and
//!   that is said.

use std::collections::BTreeSet;

use crate::confidence::{FiredAlert, FiredId, Judgement, KnownEpisode};
use crate::explain::{Asked, Keeps, Pack};
use crate::model::{Labels, TimeRange, Timestamp};
use crate::promql::{self, EvalError, EvalOptions};
use crate::slo::{BurnPair, Counted, Side};

use super::Db;
use super::decided::{Decided, Definition};
use super::error::QueryError;
use super::meter::{Metered, QueryMeter};
use super::source::Source;

/// How the name of a verdict's pack begins.
const VERDICT: &str = "verdict:";
/// Objectives, reasons and alerts that the pack of a verdict looks into.
const LISTED_MAX: usize = 20;

/// What something rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The name by which it was asked for.
    pub id: String,
    /// The instant that it is about: of an episode its last one above an even pace.
    pub at: Timestamp,
    /// What it is about.
    pub of: EvidenceOf,
    /// By what it was decided, if that is recorded.
    pub decided: Option<Decided>,
    /// A hash of the configuration in force: then, if it is recorded, otherwise now.
    pub configuration: String,
    /// The rules and objectives that decided, as they are defined now.
    pub definitions: Vec<Definition>,
    /// The alerts that told of it, with who was told.
    pub alerts: Vec<FiredAlert>,
    /// What the windows of objectives had counted.
    pub windows: Vec<Counted>,
    /// The queries, their values, and the samples.
    pub pack: Pack,
}

/// What evidence is about.
#[derive(Debug, Clone, PartialEq)]
pub enum EvidenceOf {
    /// An alert, one time that it fired.
    Alert(Box<FiredAlert>),
    /// An episode.
    Episode(Box<KnownEpisode>),
    /// The verdict of a service, as it was known.
    Verdict(String, Box<Judgement>),
}

/// Evidence that cannot be given.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The name is none.
    #[error(
        "\"{0}\" names no evidence; write the id of an alert that fired or of an episode, as `evenkeel episodes --alerts` \
         lists them, or verdict:SERVICE@TIME"
    )]
    Name(String),
    /// Nothing is known of it.
    #[error("{0}")]
    Unknown(String),
    /// A query has no value, or the store cannot be read.
    #[error(transparent)]
    Query(#[from] QueryError),
}

/// What is asked of the samples.
#[derive(Default)]
struct Question {
    asked: Vec<Asked>,
    focus: Option<Labels>,
    /// Why it cannot be asked wholly.
    short: Option<String>,
}

impl Question {
    fn ask(&mut self, query: &str, at: Timestamp, keeps: Keeps) {
        match promql::parse(query) {
            Ok(expr) => self.asked.push(Asked { expr, at, keeps }),
            Err(error) => drop(self.short.get_or_insert(format!("{query} cannot be parsed: {error}"))),
        }
    }

    /// Asks for what a window counted, at its end.
    fn count(&mut self, window: &Counted) {
        for counter in &window.counters {
            // Of what is no counter every sample counts.
            let keeps = if counter.query.contains("anchored") { Keeps::Edges } else { Keeps::All };
            self.ask(&counter.query, window.range.until, keeps);
        }
        if let Some(reason) = &window.beyond {
            self.short.get_or_insert(format!("{}: {reason}", window.of));
        }
    }
}

impl Db {
    /// What an alert that fired, an episode or a verdict rests on, by its name.
    ///
    /// # Errors
    /// Nothing has that name, or what is stored cannot be read.
    pub fn evidence(&self, id: &str, options: &EvalOptions, meter: &QueryMeter) -> Result<Evidence, EvidenceError> {
        self.inner.counters.queried();
        let mut question = Question::default();
        let mut evidence = match id.strip_prefix(VERDICT) {
            Some(rest) => self.of_verdict(id, rest, &mut question)?,
            None => self.of_record(id, &mut question)?,
        };
        let source = Source::new(self.inner.store.snapshot());
        let source = Metered { source, meter, clock: &*self.inner.clock };
        let options = self.shared(options);
        let gathered = Pack::gather(&source, &question.asked, question.focus, &options);
        evidence.pack = gathered.map_err(|error: EvalError| QueryError::Eval(error))?;
        evidence.pack.short = question.short.or(evidence.pack.short);
        Ok(evidence)
    }

    /// The name of the evidence for an alert with these labels that fires at an instant.
    pub(super) fn evidence_of_alert(&self, labels: &Labels, at: Timestamp) -> Option<FiredId> {
        let fired = self.fired_alerts(TimeRange { after: Timestamp::MIN, until: at });
        let fires = |alert: &&FiredAlert| alert.labels == *labels && alert.ended.is_none_or(|ended| ended > at);
        fired.iter().rev().find(fires).map(|alert| alert.id)
    }

    fn of_record(&self, id: &str, question: &mut Question) -> Result<Evidence, EvidenceError> {
        let ever = TimeRange { after: Timestamp::MIN, until: Timestamp::MAX };
        let name = FiredId::parse(id).ok_or_else(|| EvidenceError::Name(id.to_owned()))?;
        if let Some(alert) = self.fired_alerts(ever).into_iter().find(|alert| alert.id == name) {
            return Ok(self.of_alert(id, alert, question));
        }
        if let Some(known) = self.episodes(ever).into_iter().find(|known| known.id == name) {
            return Ok(self.of_episode(id, known, question));
        }
        Err(EvidenceError::Unknown(format!(
            "no alert and no episode {id} is remembered; `evenkeel episodes --alerts` lists those that are"
        )))
    }

    fn of_alert(&self, id: &str, alert: FiredAlert, question: &mut Question) -> Evidence {
        let decided = self.decided(alert.id);
        let windows = decided.iter().flat_map(|decided| &decided.grounds).flat_map(|grounds| &grounds.windows);
        let windows: Vec<Counted> = windows.cloned().collect();
        windows.iter().for_each(|window| question.count(window));
        let core = self.inner.core.lock();
        let labels = &alert.labels;
        let mut definition = core.definitions.objective(labels.get("service"), labels.get("slo"));
        match &decided {
            None => {
                let earlier = "by which query it was decided is not recorded: an earlier version did";
                question.short = Some(earlier.to_owned());
            }
            Some(decided) if decided.grounds.is_none() => {
                question.ask(&decided.query, decided.seen, Keeps::All);
                definition = core.definitions.rule(labels.get("alertname"), &decided.query).map(|(rule, _)| rule);
                // What the rule itself sets says nothing of the element.
                let groups = core.evaluator.groups();
                let rules = groups.iter().flat_map(|group| group.rules.iter().map(move |rule| (group, rule)));
                let mut own: BTreeSet<String> = BTreeSet::from(["alertname".to_owned()]);
                let fits = rules.filter(|(_, rule)| rule.name == labels.get("alertname") && rule.expr == decided.query);
                for (group, rule) in fits {
                    own.extend(rule.labels.iter().map(|(name, _)| name.clone()));
                    own.extend(group.labels.iter().map(|label| label.name.to_owned()));
                }
                question.focus = Some(labels.filter(|name| !own.contains(name)));
            }
            Some(_) => {}
        }
        let configuration =
            decided.as_ref().map_or_else(|| core.definitions.configuration.clone(), |by| by.configuration.clone());
        Evidence {
            id: id.to_owned(),
            at: alert.at,
            decided,
            configuration,
            definitions: definition.into_iter().cloned().collect(),
            alerts: vec![alert.clone()],
            of: EvidenceOf::Alert(Box::new(alert)),
            windows,
            pack: Pack::default(),
        }
    }

    fn of_episode(&self, id: &str, known: KnownEpisode, question: &mut Question) -> Evidence {
        let ever = TimeRange { after: Timestamp::MIN, until: Timestamp::MAX };
        let (mut alerts, now) = (self.fired_alerts(ever), self.now());
        alerts.retain(|alert| alert.tells_of(&known, now));
        alerts.truncate(LISTED_MAX);
        let episode = &known.episode;
        let decided = self.decided(known.id);
        let core = self.inner.core.lock();
        let range = TimeRange { after: Timestamp(episode.start.0 - 1), until: episode.last };
        let counters = core.objectives.counters(&episode.service, &episode.objective, &episode.group, range);
        let windows: Vec<Counted> =
            counters.into_iter().map(|one| Counted { bad: episode.bad, total: episode.total, ..one }).collect();
        windows.iter().for_each(|window| question.count(window));
        if windows.is_empty() {
            question.short =
                Some("its objective is not watched any more, so that nothing says what it counted".to_owned());
        }
        let definition = core.definitions.objective(&episode.service, &episode.objective).cloned();
        Evidence {
            id: id.to_owned(),
            at: episode.last,
            configuration: decided
                .as_ref()
                .map_or_else(|| core.definitions.configuration.clone(), |by| by.configuration.clone()),
            definitions: definition.into_iter().collect(),
            of: EvidenceOf::Episode(Box::new(known)),
            decided,
            alerts,
            windows,
            pack: Pack::default(),
        }
    }

    fn of_verdict(&self, id: &str, name: &str, question: &mut Question) -> Result<Evidence, EvidenceError> {
        let (service, time) = name.rsplit_once('@').ok_or_else(|| EvidenceError::Name(id.to_owned()))?;
        let seconds = || time.parse::<f64>().ok().filter(|s| s.is_finite()).map(Timestamp::from_seconds);
        let at = Timestamp::parse_rfc3339(time).or_else(seconds).ok_or_else(|| EvidenceError::Name(id.to_owned()))?;
        let none = || EvidenceError::Unknown(format!("no verdict of a service \"{service}\" is known at {at}"));
        if at > self.now() {
            return Err(EvidenceError::Unknown(format!("{at} has not come yet; a verdict is known of the past")));
        }
        let judgement = self.judgement_at(at).filter(|known| known.service(service).is_some()).ok_or_else(none)?;
        let mut alerts = self.fired_alerts(TimeRange { after: Timestamp::MIN, until: at });
        alerts.retain(|alert| alert.labels.get("service") == service && alert.ended.is_none_or(|ended| ended > at));
        alerts.drain(..alerts.len().saturating_sub(LISTED_MAX));
        let core = self.inner.core.lock();
        let objectives: Vec<_> = core.objectives.definitions_of(service).take(LISTED_MAX).collect();
        let mut windows = Vec::new();
        for objective in &objectives {
            let pair = objective.pairs.as_ref().and_then(|pairs| pairs.first()).copied();
            let pair = pair.unwrap_or_else(|| BurnPair::standard(objective.window)[0]);
            for length in [pair.long, pair.short] {
                let range = TimeRange { after: at - length, until: at };
                windows.extend(core.objectives.counters(service, &objective.name, &Labels::empty(), range));
            }
        }
        windows.iter().for_each(|window| question.count(window));
        let reasons = judgement.service(service).map_or(&[][..], |of| &of.reasons);
        let of_objective = |subject: &str| objectives.iter().any(|one| subject.starts_with(&one.name));
        let mut definitions: Vec<Definition> =
            objectives.iter().filter_map(|one| core.definitions.objective(service, &one.name).cloned()).collect();
        for reason in reasons.iter().filter(|reason| !of_objective(&reason.subject)).take(LISTED_MAX) {
            let Some(query) = &reason.query else { continue };
            question.ask(query, at, Keeps::All);
            definitions.extend(core.definitions.rule(&reason.subject, query).map(|(rule, _)| rule.clone()));
        }
        Ok(Evidence {
            id: id.to_owned(),
            at,
            of: EvidenceOf::Verdict(service.to_owned(), Box::new(judgement)),
            decided: None,
            configuration: core.definitions.configuration.clone(),
            definitions,
            alerts,
            windows,
            pack: Pack::default(),
        })
    }
}

impl Evidence {
    /// What the samples of the pack say that a window counted, bad events and all; absent if queries do not tell.
    pub fn of_samples(&self, window: &Counted) -> Option<(f64, f64)> {
        if window.beyond.is_some() || window.counters.is_empty() {
            return None;
        }
        let mut sums = [0.0; Side::ALL.len()];
        for counter in &window.counters {
            // Their text is that of the parsed query.
            let query = promql::parse(&counter.query).ok()?.to_string();
            let claimed = |claim: &&crate::explain::Claim| claim.query == query && claim.at == window.range.until;
            let claim = self.pack.claims.iter().find(claimed)?;
            let value = claim.elements.first().map_or(0.0, |(_, v)| *v);
            sums[counter.side as usize] += if counter.subtracted { -value } else { value };
        }
        let total = sums[Side::Total as usize];
        let is_ratio = window.counters.iter().any(|counter| counter.side == Side::Good);
        let bad = if is_ratio { total - sums[Side::Good as usize] } else { sums[Side::Bad as usize] };
        Some((bad, total))
    }
}
