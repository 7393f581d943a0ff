//! What goes wrong, and what only looks like it.

use evenkeel::env::Rng;
use evenkeel::model::{Millis, Timestamp};

use super::draw::{log_uniform, uniform};
use super::service::{Promise, QUIET, Service};
use super::{START, STEP};

/// The kinds of incidents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Outage,
    Partial,
    Regression,
    SlowBurn,
    Flapping,
    LatencyShift,
    Trickle,
    /// Requests stop coming.
    Vanished,
    /// Failures for seconds, too few to matter.
    Blip,
}

impl Kind {
    pub(crate) const ALL: [Kind; 9] = [
        Kind::Outage,
        Kind::Partial,
        Kind::Regression,
        Kind::SlowBurn,
        Kind::Flapping,
        Kind::LatencyShift,
        Kind::Trickle,
        Kind::Vanished,
        Kind::Blip,
    ];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Kind::Outage => "full outage",
            Kind::Partial => "partial outage",
            Kind::Regression => "deploy regression",
            Kind::SlowBurn => "slow burn",
            Kind::Flapping => "flapping",
            Kind::LatencyShift => "latency shift",
            Kind::Trickle => "failing trickle",
            Kind::Vanished => "vanished traffic",
            Kind::Blip => "blip",
        }
    }
}

/// Something that goes wrong.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Incident {
    pub(crate) kind: Kind,
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    /// The probability that a request fails while it lasts.
    pub(crate) failure: f64,
    /// How long it takes to come to that.
    pub(crate) ramp: Millis,
    /// On and off for so long each; zero: on all the time.
    pub(crate) beat: Millis,
}

/// What disturbs the measurement and nobody else.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Disturbance {
    /// Nothing is scraped until then.
    Gap(Timestamp),
    /// An instance starts anew, its counters with it.
    Restart(usize),
    /// An instance is replaced by one of another name.
    Replaced(usize),
    /// Three times the traffic until then.
    Surge(Timestamp),
}

/// All that will happen to a service.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    /// In the order of time; they do not overlap.
    pub(crate) incidents: Vec<Incident>,
    /// In the order of time.
    pub(crate) disturbances: Vec<(Timestamp, Disturbance)>,
}

/// An incident is over for so long before the next begins.
const APART: Millis = Millis::hours(14);

impl Incident {
    /// The probability that a request fails because of it.
    pub(crate) fn failure_at(&self, t: Timestamp) -> f64 {
        if t < self.start || t >= self.end || matches!(self.kind, Kind::Vanished) {
            return 0.0;
        }
        let since = t - self.start;
        if self.beat > Millis::ZERO && (since.0 / self.beat.0) % 2 == 1 {
            return 0.0;
        }
        if since < self.ramp { self.failure * since.0 as f64 / self.ramp.0 as f64 } else { self.failure }
    }
}

fn rounded(seconds: f64) -> Millis {
    Millis((seconds * 1000.0) as i64 / STEP.0 * STEP.0).max(STEP)
}

impl Plan {
    pub(crate) fn draw(service: &Service) -> Plan {
        let mut rng = Rng::new(service.seed ^ 0x70_6c_61_6e);
        let mut plan = Plan::default();
        let mut t = START + QUIET + rounded(uniform(&mut rng, 0.0, 86_400.0));
        loop {
            let incident = incident(&mut rng, service, t);
            if incident.end + APART > service.end() {
                break;
            }
            if matches!(incident.kind, Kind::Regression | Kind::LatencyShift) {
                for instance in 0..service.instances {
                    plan.disturbances.push((t, Disturbance::Restart(instance)));
                }
            }
            t = incident.end + APART + rounded(uniform(&mut rng, 0.0, 36.0 * 3600.0));
            plan.incidents.push(incident);
        }
        plan.disturb(&mut rng, service);
        plan
    }

    /// About one disturbance in eight hours.
    fn disturb(&mut self, rng: &mut Rng, service: &Service) {
        let mut t = START + rounded(uniform(rng, 0.0, 28_800.0));
        while t < service.end() {
            let instance = rng.below(service.instances as u64) as usize;
            let what = match rng.below(4) {
                0 => Disturbance::Gap(t + rounded(log_uniform(rng, 60.0, 2400.0))),
                1 => Disturbance::Restart(instance),
                2 => Disturbance::Replaced(instance),
                _ => Disturbance::Surge(t + rounded(log_uniform(rng, 300.0, 7200.0))),
            };
            self.disturbances.push((t, what));
            t = t + rounded(uniform(rng, 3600.0, 54_000.0));
        }
        self.disturbances.sort_by_key(|(t, _)| *t);
    }

    pub(crate) fn incident_at(&self, t: Timestamp) -> Option<&Incident> {
        let after = self.incidents.partition_point(|incident| incident.start <= t);
        self.incidents[..after].last().filter(|incident| t < incident.end)
    }
}

fn incident(rng: &mut Rng, service: &Service, start: Timestamp) -> Incident {
    let budget = service.budget();
    let slow = service.rate < 0.3;
    let kind = loop {
        let kind = Kind::ALL[rng.below(Kind::ALL.len() as u64) as usize];
        let fits = match kind {
            Kind::LatencyShift => service.promise == Promise::Latency,
            Kind::Trickle => slow,
            _ => true,
        };
        if fits {
            break kind;
        }
    };
    let most = |burn: f64| (burn * budget).min(0.9);
    let minutes = |m: f64| m * 60.0;
    let (failure, seconds, ramp, beat) = match kind {
        Kind::Outage => (1.0, log_uniform(rng, minutes(2.0), minutes(90.0)), 0.0, 0.0),
        Kind::Partial => (uniform(rng, 0.1, 0.7), log_uniform(rng, minutes(5.0), minutes(240.0)), 0.0, 0.0),
        Kind::Regression | Kind::LatencyShift => {
            let burn = log_uniform(rng, 8.0, 100.0);
            (most(burn), log_uniform(rng, minutes(20.0), minutes(480.0)), uniform(rng, 0.0, minutes(5.0)), 0.0)
        }
        Kind::SlowBurn => {
            (most(log_uniform(rng, 1.5, 5.0)), log_uniform(rng, minutes(720.0), minutes(5760.0)), 0.0, 0.0)
        }
        Kind::Flapping => {
            let beat = log_uniform(rng, minutes(1.0), minutes(10.0));
            (uniform(rng, 0.3, 1.0), log_uniform(rng, minutes(60.0), minutes(360.0)), 0.0, beat)
        }
        Kind::Trickle => (0.9, log_uniform(rng, minutes(180.0), minutes(600.0)), 0.0, 0.0),
        Kind::Vanished => (0.0, log_uniform(rng, minutes(60.0), minutes(480.0)), 0.0, 0.0),
        Kind::Blip => {
            // Half a percent of the budget at the most.
            let spent = uniform(rng, 0.05, 0.5) / 100.0 * service.allowed();
            let seconds = uniform(rng, 10.0, 90.0);
            ((spent / (service.rate * seconds)).min(1.0), seconds, 0.0, 0.0)
        }
    };
    let (ramp, beat) =
        (if ramp > 0.0 { rounded(ramp) } else { Millis::ZERO }, if beat > 0.0 { rounded(beat) } else { Millis::ZERO });
    Incident { kind, start, end: start + rounded(seconds), failure, ramp, beat }
}
