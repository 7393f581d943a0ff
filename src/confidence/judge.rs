//! From evidence to a verdict.
//!
//! Invariants:
//! - Pure: the same evidence gives the same judgement.
//! - HURTING before BLIND before AT_RISK before OK, for each service and for everything: what is known to
//!   hurt is not hidden by what is not known.
//! - Whatever is not proven is BLIND: without an objective, without input, at the start; so is a critical service without an
//!   objective, or without a page that reaches somebody.

use std::collections::BTreeMap;

use crate::model::{Alert, AlertState, Millis, Timestamp};
use crate::slo::{AdjustmentSpan, Blind, BlindCause, BurnStatus, Companion, ObjectiveStatus};

use super::critical::critical_reason;
use super::evidence::{Evidence, GroupHealth, JobHealth, ReceiverHealth, StorageHealth};
use super::finding::{Finding, findings, group_findings};
use super::judgement::{Fact, Judgement, Outline, Reason, ServiceJudgement};
use super::program::program_reasons;
use super::verdict::Verdict;
use super::words;

/// Groups of one objective that are told of, those with the least left first.
const GROUPS_TOLD_MAX: usize = 10;
/// A receiver that fails for longer than a few retries take is not a hiccup: nobody would be told.
const RECEIVER_FAILING: Millis = Millis::minutes(1);
/// A burn that begins this soon after a deployment is shown with it.
const DEPLOY_RECENT: Millis = Millis::hours(1);

/// The code of the reason that nobody has promised anything.
const NO_OBJECTIVE: &str = "no-objective";

/// Judges each service and everything.
pub fn judge(evidence: &Evidence<'_>) -> Judgement {
    let reasons = reasons(evidence);
    Judgement {
        at: evidence.now,
        overall: worst(&reasons),
        services: services(evidence, &reasons),
        proof: proof(evidence, evidence.objectives.iter().collect::<Vec<_>>().as_slice(), Scope::Everything),
        reasons,
    }
}

/// The words alone, where most objectives are fine: `evidence` has the others, `fine` the services of those that are.
pub fn outline<'a>(evidence: &Evidence<'_>, fine: impl IntoIterator<Item = &'a str>) -> Outline {
    let mut words: BTreeMap<&str, Verdict> = fine.into_iter().map(|service| (service, Verdict::Ok)).collect();
    let mut reasons = reasons(evidence);
    if !words.is_empty() {
        reasons.retain(|reason| reason.code != NO_OBJECTIVE);
    }
    for objective in evidence.objectives {
        words.entry(&objective.service).or_insert(Verdict::Ok);
    }
    for reason in &reasons {
        if let Some(service) = &reason.service {
            let word = words.entry(service).or_insert(Verdict::Ok);
            *word = word.or_worse(reason.verdict);
        }
    }
    let mut services: Vec<_> = words.into_iter().map(|(service, word)| (service.to_owned(), word)).collect();
    services.sort_by_key(|(_, word)| word.rank());
    Outline { overall: worst(&reasons), services, reasons }
}

/// All reasons against OK, the ones that decide first.
fn reasons(evidence: &Evidence<'_>) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for objective in evidence.objectives {
        objective_reasons(evidence, objective, &mut reasons);
    }
    reasons.extend(evidence.alerts.iter().filter_map(alert_reason));
    reasons.extend(evidence.groups.iter().flat_map(|group| group_reasons(evidence, group)));
    reasons.extend(evidence.receivers.iter().filter_map(|receiver| receiver_reason(evidence, receiver)));
    reasons.extend(evidence.jobs.iter().filter_map(job_reason));
    reasons.extend(storage_reason(evidence));
    reasons.extend(program_reasons(evidence));
    reasons.extend(evidence.critical.iter().map(critical_reason));
    if evidence.objectives.is_empty() {
        reasons.push(Reason {
            verdict: Verdict::Blind,
            service: None,
            code: NO_OBJECTIVE.to_owned(),
            subject: String::new(),
            text: "no objective is watched, so nothing says what customers may expect; add one for each service"
                .to_owned(),
            since: evidence.started_at,
            query: None,
            evidence: Vec::new(),
        });
    }
    reasons.sort_by(|a, b| (a.verdict.rank(), a.since, &a.service).cmp(&(b.verdict.rank(), b.since, &b.service)));
    reasons
}

fn worst(reasons: &[Reason]) -> Verdict {
    reasons.iter().fold(Verdict::Ok, |word, reason| word.or_worse(reason.verdict))
}

fn services(evidence: &Evidence<'_>, reasons: &[Reason]) -> Vec<ServiceJudgement> {
    let mut by_name: BTreeMap<&str, (Vec<&ObjectiveStatus>, Vec<Reason>)> = BTreeMap::new();
    for objective in evidence.objectives {
        by_name.entry(&objective.service).or_default().0.push(objective);
    }
    for reason in reasons {
        if let Some(service) = &reason.service {
            by_name.entry(service).or_default().1.push(reason.clone());
        }
    }
    let mut services: Vec<ServiceJudgement> = by_name
        .into_iter()
        .map(|(service, (objectives, reasons))| {
            let proof = proof(evidence, &objectives, Scope::Service);
            ServiceJudgement { service: service.to_owned(), verdict: worst(&reasons), reasons, proof }
        })
        .collect();
    services.sort_by_key(|service| service.verdict.rank());
    services
}

/// Why an objective is not fine: by all its events, and by those of each group of which something is wrong.
fn objective_reasons(evidence: &Evidence<'_>, objective: &ObjectiveStatus, out: &mut Vec<Reason>) {
    let reasons = |of: &ObjectiveStatus, found: Vec<Finding<'_>>| -> Vec<Reason> {
        found.into_iter().filter_map(|finding| finding_reason(evidence, of, finding)).collect()
    };
    out.extend(reasons(objective, findings(objective, evidence.started_at)));
    let groups = objective.groups.iter().flat_map(|groups| &groups.budgets);
    let wrong = groups.map(|group| (group, group_findings(group))).filter(|(_, found)| !found.is_empty());
    out.extend(wrong.take(GROUPS_TOLD_MAX).flat_map(|(group, found)| reasons(group, found)));
}

fn finding_reason(evidence: &Evidence<'_>, objective: &ObjectiveStatus, finding: Finding<'_>) -> Option<Reason> {
    let (code, text, since, facts) = match finding {
        Finding::Burns(burn, since) => {
            ("burning", burn_text(evidence, objective, burn, since), since, burn_facts(objective, burn))
        }
        Finding::Tells(companion, since) => {
            let code = match companion {
                Companion::Drain => "budget-drains",
                Companion::Exhausted => "budget-exhausted",
                Companion::Vanished => "traffic-vanished",
            };
            let summary = companion_alert(objective, companion)?.annotations.get("summary").to_owned();
            (code, summary, since, Vec::new())
        }
        Finding::Blind(blind) => {
            let text = format!("{}: {}", objective.name, blind.reason);
            (blind_code(blind), text, blind_since(blind, evidence.started_at), input_facts(evidence, objective))
        }
        Finding::Unheard => {
            let start = words::ago(evidence.now, evidence.started_at);
            let text = format!("{}: no input yet since the start {start}", objective.name);
            ("no-input-since-start", text, evidence.started_at, input_facts(evidence, objective))
        }
        Finding::BudgetLow => {
            let since = objective.counted_since.unwrap_or(evidence.started_at);
            ("budget-low", budget_text(objective), since, adjustment_facts(objective))
        }
    };
    Some(Reason {
        verdict: finding.verdict(),
        service: Some(objective.service.clone()),
        code: code.to_owned(),
        subject: objective.title(),
        text,
        since,
        query: Some(finding_query(objective, finding)),
        evidence: facts,
    })
}

/// The query that shows a finding: that of its alert, if it has one.
fn finding_query(objective: &ObjectiveStatus, finding: Finding<'_>) -> String {
    let alert = match finding {
        Finding::Burns(burn, _) => {
            let window = burn.pair.long.to_string();
            objective.alerts.iter().find(|alert| alert.labels.get("window") == window)
        }
        Finding::Tells(companion, _) => companion_alert(objective, companion),
        Finding::Blind(_) | Finding::Unheard | Finding::BudgetLow => None,
    };
    alert.map_or(&objective.query, |alert| &alert.expr).clone()
}

fn companion_alert(objective: &ObjectiveStatus, companion: Companion) -> Option<&Alert> {
    objective.alerts.iter().find(|alert| alert.labels.get("alertname") == companion.alert_name())
}

fn blind_code(blind: &Blind) -> &'static str {
    match blind.cause {
        BlindCause::NoSeries => "no-series",
        BlindCause::NotProven => "not-proven",
        BlindCause::InputStopped => "input-stopped",
    }
}

/// What was never proven is unknown for as long as anybody has been looking.
fn blind_since(blind: &Blind, started_at: Timestamp) -> Timestamp {
    if blind.cause == BlindCause::InputStopped { blind.since } else { blind.since.max(started_at) }
}

fn budget_text(objective: &ObjectiveStatus) -> String {
    format!(
        "{}: {} of the {} is left ({} of {} bad {} spent)",
        objective.title(),
        words::percent(objective.budget.left),
        objective.budget_text,
        words::count(objective.budget.spent),
        words::count(objective.budget.total.floor()),
        objective.units,
    )
}

fn burn_text(evidence: &Evidence<'_>, objective: &ObjectiveStatus, burn: &BurnStatus, since: Timestamp) -> String {
    let deploys = evidence.deploys.iter().filter(|deploy| {
        deploy.service == objective.service && deploy.at <= since && since - deploy.at <= DEPLOY_RECENT
    });
    let deploy = deploys.max_by_key(|deploy| deploy.at).map_or(String::new(), |deploy| {
        format!("; it began {} after the deployment of {}", words::span(since - deploy.at), deploy.version)
    });
    let lasts = objective.budget.exhausted_in.map_or(String::new(), |lasts| match lasts {
        Millis::ZERO => ", nothing is left".to_owned(),
        lasts => format!(", what is left lasts {}", words::span(lasts)),
    });
    let worst = objective.parts.iter().max_by(|a, b| a.share_of_bad.total_cmp(&b.share_of_bad));
    let most = worst.filter(|part| part.share_of_bad > 0.0).map_or(String::new(), |part| {
        format!(", {} of it by {}/{}", words::percent(part.share_of_bad), part.service, part.name)
    });
    let pair = &burn.pair;
    let spent = pair.came_for(burn.long.burn.unwrap_or(0.0), objective.window);
    let spent = spent.map_or(String::new(), |share| format!(" or {} of the budget", words::percent(share)));
    format!(
        "{} burns its error budget {} over {} and {} over {} ({} from {}{spent}){most}{lasts}{deploy}",
        objective.title(),
        words::burn(burn.long.burn.unwrap_or(0.0)),
        burn.long.window,
        words::burn(burn.short.burn.unwrap_or(0.0)),
        burn.short.window,
        pair.severity.as_str(),
        words::burn(pair.threshold),
    )
}

fn burn_facts(objective: &ObjectiveStatus, burn: &BurnStatus) -> Vec<Fact> {
    let mut facts = Vec::new();
    for window in [burn.long, burn.short] {
        let young = if window.covered < window.window {
            format!(", {} of it counted so far", words::span(window.covered))
        } else {
            String::new()
        };
        facts.push(Fact::new(
            format!("last {}", window.window),
            format!(
                "{} of {} {} bad, burn {}, at least {} with 99 % confidence{young}",
                words::count(window.bad),
                words::count(window.n),
                objective.units,
                words::burn(window.burn.unwrap_or(0.0)),
                words::burn(window.burn_low()),
            ),
        ));
    }
    facts.push(Fact::new(
        "budget",
        format!("{} of {} left", words::percent(objective.budget.left), objective.window_text),
    ));
    facts.extend(adjustment_facts(objective));
    facts
}

/// What did not count within the window.
fn adjustment_facts(objective: &ObjectiveStatus) -> Vec<Fact> {
    let taken = objective.adjustments.iter().filter(|span| span.total > 0.0);
    let fact = |span: &AdjustmentSpan| {
        let text = format!(
            "{} events, {} of them bad, from {} to {}",
            words::count(span.total),
            words::count(span.bad),
            span.from,
            span.until
        );
        Fact::new(format!("without {}", span.name), text)
    };
    taken.map(fact).collect()
}

fn input_facts(evidence: &Evidence<'_>, objective: &ObjectiveStatus) -> Vec<Fact> {
    let last = objective.last_input.map(|last| Fact::new("last sample", words::ago(evidence.now, last)));
    let interval = objective.interval.map(|interval| Fact::new("expected every", words::span(interval)));
    let series = Fact::new("series", objective.series.to_string());
    last.into_iter().chain(interval).chain([series]).collect()
}

/// What an alert of a rule means: by its label `severity`, for the service of its label `service`.
fn alert_reason(alert: &Alert) -> Option<Reason> {
    let verdict = match (alert.labels.get("severity"), alert.state) {
        ("page" | "critical", AlertState::Firing) => Verdict::Hurting,
        ("page" | "critical", AlertState::Pending) => Verdict::AtRisk,
        ("ticket" | "warning", AlertState::Firing) => Verdict::AtRisk,
        _ => return None,
    };
    let summary = ["summary", "description"].map(|name| alert.annotations.get(name));
    let summary = summary.into_iter().find(|text| !text.is_empty()).map_or(String::new(), |text| format!(": {text}"));
    let service = alert.labels.get("service");
    Some(Reason {
        verdict,
        service: (!service.is_empty()).then(|| service.to_owned()),
        code: format!("alert-{}", alert.state.as_str()),
        subject: alert.labels.to_string(),
        text: format!("alert {} is {}{summary}", alert.labels.get("alertname"), alert.state.as_str()),
        since: alert.fired_at.filter(|_| alert.state == AlertState::Firing).unwrap_or(alert.active_at),
        query: Some(alert.expr.clone()),
        evidence: vec![Fact::new("value", alert.value.to_string()), Fact::new("labels", alert.labels.to_string())],
    })
}

fn group_reasons(evidence: &Evidence<'_>, group: &GroupHealth) -> Vec<Reason> {
    let failing = group.rules.iter().filter_map(|rule| Some((rule, rule.error.as_ref()?)));
    failing
        .map(|(rule, error)| Reason {
            verdict: Verdict::Blind,
            service: rule.about.service.clone(),
            code: "rule-failing".to_owned(),
            subject: format!("{}/{}", group.name, rule.about.name),
            text: format!("rule {} of group {} cannot be evaluated: {error}", rule.about.name, group.name),
            since: rule.failing_since.unwrap_or(evidence.now),
            query: Some(rule.about.query.clone()),
            evidence: vec![Fact::new("file", group.file.clone())],
        })
        .collect()
}

fn receiver_reason(evidence: &Evidence<'_>, receiver: &ReceiverHealth) -> Option<Reason> {
    let since = receiver.failing_since?;
    let error = receiver.last_error.as_deref().unwrap_or("no attempt succeeds");
    let failing = evidence.now - since >= RECEIVER_FAILING;
    let (verdict, code, text) = if failing {
        let text = format!("receiver {} has failed for {}: {error}", receiver.name, words::span(evidence.now - since));
        (Verdict::Blind, "receiver-failing", text)
    } else {
        (Verdict::AtRisk, "receiver-struggling", format!("receiver {} is struggling: {error}", receiver.name))
    };
    let last = receiver.last_success.map_or("never".to_owned(), |last| words::ago(evidence.now, last));
    let facts = vec![Fact::new("waiting", receiver.pending.to_string()), Fact::new("last delivery", last)];
    let (code, subject) = (code.to_owned(), receiver.name.clone());
    Some(Reason { verdict, service: None, code, subject, text, since, query: None, evidence: facts })
}

/// Most targets of a job gone is blindness; fewer is a risk, or one machine of many that is being
/// replaced would make the word useless.
fn job_reason(job: &JobHealth) -> Option<Reason> {
    let (first, since) = job.down.iter().min_by_key(|(_, since)| *since)?;
    let verdict = if job.down.len() * 2 > job.targets { Verdict::Blind } else { Verdict::AtRisk };
    let others = match job.down.len() - 1 {
        0 => String::new(),
        n => format!(" and {}", words::plural(n, "other")),
    };
    let text = format!(
        "{} of {} of job {} cannot be scraped: {first}{others}",
        job.down.len(),
        words::plural(job.targets, "target"),
        job.job
    );
    let query = Some(format!("up{{job={:?}}} == 0", job.job));
    let (code, subject) = ("targets-down".to_owned(), job.job.clone());
    Some(Reason { verdict, service: None, code, subject, text, since: *since, query, evidence: Vec::new() })
}

fn storage_reason(evidence: &Evidence<'_>) -> Option<Reason> {
    let (code, text, since) = match evidence.storage {
        StorageHealth::Healthy => return None,
        StorageHealth::ReadOnly { reason, since } => {
            ("storage-read-only", format!("no sample can be stored: {reason}"), since)
        }
        StorageHealth::Poisoned { reason, since } => {
            ("storage-poisoned", format!("no sample is stored until the data is opened anew: {reason}"), since)
        }
    };
    Some(Reason {
        verdict: Verdict::Blind,
        service: None,
        code: code.to_owned(),
        subject: String::new(),
        text,
        since: since.unwrap_or(evidence.now),
        query: None,
        evidence: Vec::new(),
    })
}

/// Whom a proof is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Everything,
    Service,
}

fn proof(evidence: &Evidence<'_>, objectives: &[&ObjectiveStatus], scope: Scope) -> Vec<Fact> {
    let label = |objective: &ObjectiveStatus| match scope {
        Scope::Everything => format!("{}/{}", objective.service, objective.name),
        Scope::Service => objective.name.clone(),
    };
    let mut facts = Vec::new();
    let seeing: Vec<_> = objectives.iter().copied().filter(|objective| objective.blind.is_none()).collect();
    let measured = words::plural(seeing.len(), "objective");
    let series: usize = seeing.iter().map(|objective| objective.series).sum();
    if scope == Scope::Everything {
        let mut services: Vec<_> = seeing.iter().map(|objective| objective.service.as_str()).collect();
        services.sort_unstable();
        services.dedup();
        let text = format!("{} by {measured} over {series} series", words::plural(services.len(), "service"));
        facts.push(Fact::new("measured", text));
    } else {
        facts.push(Fact::new("measured", format!("{measured} over {series} series")));
    }
    let inputs = seeing.iter().filter_map(|objective| Some((objective, objective.last_input?)));
    if let Some((objective, last)) = inputs.min_by_key(|(_, last)| *last) {
        let every = objective.interval.map_or(String::new(), |i| format!(", expected every {}", words::span(i)));
        let text = format!("{} ({}{every})", words::ago(evidence.now, last), label(objective));
        facts.push(Fact::new("oldest input", text));
    }
    let times = objectives.iter().filter_map(|objective| Some((objective, objective.time_coverage?)));
    if let Some((objective, time)) = times.min_by(|a, b| a.1.day.share().total_cmp(&b.1.day.share())) {
        let [day, window] = [time.day, time.window].map(|time| words::percent(time.share()));
        let text = format!("{day} (of the last day, {window} of {}, {})", objective.window_text, label(objective));
        facts.push(Fact::new("least time measured", text));
    }
    let burns = seeing.iter().filter_map(|objective| {
        let window = objective.worst_burn()?.long;
        Some((objective, window, window.burn?))
    });
    if let Some((objective, window, burn)) = burns.max_by(|a, b| a.2.total_cmp(&b.2)) {
        let n = words::count(window.n);
        let text = format!("{} over {} ({}, n = {n})", words::burn(burn), window.window, label(objective));
        facts.push(Fact::new("worst burn", text));
    }
    let budgets = seeing.iter().min_by(|a, b| a.budget.left.total_cmp(&b.budget.left));
    if let Some(objective) = budgets {
        let text =
            format!("{} of {} ({})", words::percent(objective.budget.left), objective.window_text, label(objective));
        facts.push(Fact::new("least budget left", text));
    }
    if scope == Scope::Everything {
        machinery(evidence, &mut facts);
    }
    facts
}

fn machinery(evidence: &Evidence<'_>, facts: &mut Vec<Fact>) {
    let rules: usize = evidence.groups.iter().map(|group| group.rules.len()).sum();
    let all = || evidence.groups.iter().flat_map(|group| &group.rules);
    let failing = all().filter(|rule| rule.error.is_some()).count();
    let unmatched = all().filter(|rule| rule.unmatched).count();
    let quiet = if unmatched > 0 { format!(", {unmatched} without any series so far") } else { String::new() };
    let (targets, down) = evidence.jobs.iter().fold((0, 0), |(n, d), job| (n + job.targets, d + job.down.len()));
    if targets > 0 {
        facts.push(Fact::new("targets", format!("{} of {targets} answer", targets - down)));
    }
    facts.push(Fact::new("rules", format!("{} watched, {failing} failing{quiet}", words::plural(rules, "rule"))));
    let delivered = evidence.receivers.iter().filter_map(|receiver| Some((receiver, receiver.last_success?)));
    let delivery = match delivered.max_by_key(|(_, at)| *at) {
        Some((receiver, at)) => format!("{} to {}", words::ago(evidence.now, at), receiver.name),
        None if evidence.receivers.is_empty() => "no receiver is configured, nobody would be told".to_owned(),
        None => format!("none yet to {}", words::plural(evidence.receivers.len(), "receiver")),
    };
    facts.push(Fact::new("last delivery", delivery));
}
