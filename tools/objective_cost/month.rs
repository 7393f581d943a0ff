//! What objectives take that know thirty days: memory, and processor time for a decision and for a status.

use evenkeel::model::{Committed, Labels, Matcher, Millis, Rejected, Sample, Seq, SeriesRef, Timestamp};
use evenkeel::slo::{Indicator, Objective, Objectives};

use crate::{Outcome, procfs};

/// What was measured.
pub(crate) struct Month {
    pub(crate) objectives: usize,
    /// Bytes of resident memory.
    pub(crate) bytes_each: f64,
    /// Microseconds for one transaction of one objective.
    pub(crate) micros: f64,
    /// Milliseconds for the status of a thousand.
    pub(crate) status_ms: f64,
}

fn objective(n: usize) -> Objective {
    let of = |name: &str| vec![Matcher::equal("__name__", name), Matcher::equal("service", &n.to_string())].into();
    let indicator = Indicator::ErrorRatio { errors: of("errors_total"), total: of("requests_total") };
    Objective::new(&n.to_string(), "availability", 0.999, Millis::days(30), indicator)
}

/// Lets thirty days pass for so many objectives.
pub(crate) fn measure(count: usize) -> Outcome<Month> {
    let before = procfs::figures(std::process::id())?.resident;
    let mut objectives = Objectives::new((0..count).map(objective).collect())?;
    let (mut seq, mut passed, mut now) = (0, 0.0f64, Timestamp(0));
    let fine_from = Millis::days(30) - Millis::hours(3);
    let begun = procfs::figures(std::process::id())?.cpu;
    while now.0 < Millis::days(30).0 {
        passed += 1.0;
        now = now + if now.0 < fine_from.0 { Millis::minutes(1) } else { Millis::seconds(10) };
        for n in 0..count {
            seq += 1;
            let number = |side: u64| SeriesRef(n as u64 * 2 + side);
            let labels = |name: &str| Labels::new([("__name__", name), ("service", n.to_string().as_str())]);
            let new_series = match seq <= count as u64 {
                true => vec![(number(0), labels("requests_total")?), (number(1), labels("errors_total")?)],
                false => Vec::new(),
            };
            // One in ten thousand fails.
            let samples = [(0, passed * 100.0), (1, (passed / 100.0).floor())];
            objectives.observe(&Committed {
                seq: Seq(seq),
                at: now + Millis(n as i64),
                new_series,
                samples: samples.map(|(side, v)| (number(side), Sample { t: now, v })).to_vec(),
                histograms: Vec::new(),
                starts: Vec::new(),
                coarsened: 0,
                rejected: Rejected::default(),
            });
        }
    }
    let after = procfs::figures(std::process::id())?;
    let micros = (after.cpu - begun) * 1e6 / seq as f64;
    let mut statuses = 0;
    while statuses < 200_000 {
        statuses += objectives.statuses(now).len();
    }
    let status_ms = (procfs::figures(std::process::id())?.cpu - after.cpu) * 1e6 / statuses as f64;
    let bytes_each = (after.resident as f64 - before as f64) / count as f64;
    Ok(Month { objectives: count, bytes_each, micros, status_ms })
}
