//! What the program itself has to say against being believed.

use crate::model::{Millis, Timestamp};

use super::evidence::{Evidence, ProgramHealth};
use super::judgement::Reason;
use super::verdict::Verdict;
use super::words;

/// Why nobody can be sure of what the program says, if so.
pub(super) fn program_reasons(evidence: &Evidence<'_>) -> Vec<Reason> {
    let ProgramHealth { clock_jump, clock_behind, reload_failed, late } = evidence.program;
    let mut reasons = Vec::new();
    if let Some(behind) = clock_behind {
        let text = format!(
            "the clock is {} behind the log: time stands still for rules and objectives until it has caught up",
            words::span(*behind)
        );
        reasons.push(reason("clock-behind", text, evidence.now));
    }
    if let Some(jump) = clock_jump {
        let (by, way) = if jump.by < Millis::ZERO { (-jump.by, "back") } else { (jump.by, "forward") };
        let text = format!(
            "the clock was set {way} by {}: rates, `for` and windows around it are of another length than they seem",
            words::span(by)
        );
        reasons.push(reason("clock-jumped", text, jump.at));
    }
    if let Some((since, error)) = reload_failed {
        let text = format!("the configuration could not be reloaded, what was in force before goes on: {error}");
        reasons.push(reason("reload-failed", text, *since));
    }
    if let Some((since, by)) = late {
        let text = format!("decisions lag: the latest one is {} late", words::span(*by));
        reasons.push(reason("decisions-late", text, *since));
    }
    reasons
}

fn reason(code: &str, text: String, since: Timestamp) -> Reason {
    Reason {
        verdict: Verdict::Blind,
        service: None,
        code: code.to_owned(),
        subject: String::new(),
        text,
        since,
        query: None,
        evidence: Vec::new(),
    }
}
