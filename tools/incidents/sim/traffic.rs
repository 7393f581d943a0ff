//! Requests and failures, drawn step by step from what is planned.

use evenkeel::env::Rng;
use evenkeel::model::Timestamp;

use super::draw::binomial;
use super::plan::{Disturbance, Kind, Plan};
use super::service::Service;
use super::{START, STEP};

/// What one step brought, of all instances.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Step {
    /// Requests expected.
    pub(crate) expected: f32,
    /// The probability that one fails.
    pub(crate) failure: f32,
    pub(crate) total: u32,
    pub(crate) bad: u32,
}

/// All steps of a service; the n-th ends `n + 1` steps after the start.
pub(crate) struct Traffic {
    pub(crate) steps: Vec<Step>,
    /// Of each instance, step by step: requests and failures.
    pub(crate) by_instance: Vec<Vec<(u32, u32)>>,
}

impl Traffic {
    pub(crate) fn draw(service: &Service, plan: &Plan) -> Traffic {
        let mut rng = Rng::new(service.seed ^ 0x74_72_61_66);
        let count = ((service.end() - START).0 / STEP.0) as usize;
        let mut steps = Vec::with_capacity(count);
        let mut by_instance = vec![Vec::with_capacity(count); service.instances];
        let surges: Vec<(Timestamp, Timestamp)> = plan
            .disturbances
            .iter()
            .filter_map(|(t, what)| if let Disturbance::Surge(until) = what { Some((*t, *until)) } else { None })
            .collect();
        let mut surge = 0;
        for n in 0..count {
            let t = Timestamp(START.0 + n as i64 * STEP.0);
            while surges.get(surge).is_some_and(|(_, until)| *until <= t) {
                surge += 1;
            }
            let surging = surges.get(surge).is_some_and(|(from, _)| *from <= t);
            let incident = plan.incident_at(t);
            let failure = incident.map_or(0.0, |incident| incident.failure_at(t)).max(service.base * service.budget());
            let mut rate = service.rate * service.shape(t) * (1.0 + service.retries * failure);
            if surging {
                rate *= 3.0;
            }
            if incident.is_some_and(|incident| incident.kind == Kind::Vanished) {
                rate = 0.0;
            }
            let expected = rate * STEP.0 as f64 / 1000.0;
            let mut step = Step { expected: expected as f32, failure: failure as f32, ..Step::default() };
            for instance in &mut by_instance {
                let total = rng.poisson(expected / service.instances as f64);
                let bad = binomial(&mut rng, total, failure);
                step.total += total as u32;
                step.bad += bad as u32;
                instance.push((total as u32, bad as u32));
            }
            steps.push(step);
        }
        Traffic { steps, by_instance }
    }
}
