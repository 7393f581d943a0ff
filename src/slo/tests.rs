//! Weeks of pods that come and go: what an objective remembers stays small, and does not depend on which series
//! the store has retired.

use std::collections::HashMap;

use crate::model::{Committed, Labels, Matcher, Millis, Rejected, Sample, Seq, SeriesRef, Timestamp};

use super::{Indicator, Objective, Objectives};

fn objectives() -> Objectives {
    let all = vec![Matcher::equal("__name__", "requests_total")];
    let errors = vec![all[0].clone(), Matcher::equal("code", "500")];
    let indicator = Indicator::ErrorRatio { errors: errors.into(), total: all.into() };
    Objectives::new(vec![Objective::new("shop", "answers", 0.99, Millis::days(30), indicator)]).unwrap()
}

fn series(pod: u64, code: &str) -> Labels {
    let (pod, instance) = (format!("pod-{pod}"), format!("10.0.{pod}"));
    let instance = if code == "none" { "gateway" } else { instance.as_str() };
    let pairs = [("__name__", "requests_total"), ("pod", pod.as_str()), ("code", code), ("instance", instance)];
    Labels::new(pairs).unwrap()
}

#[test]
fn what_is_gone_is_forgotten_by_the_log_alone() {
    let (mut tidy, mut whole) = (objectives(), objectives());
    let (mut known, mut all_known) = (HashMap::new(), HashMap::new());
    let (mut met, mut changes, mut most, mut seq) = (0, 0, 0, 0);
    let mut steps = HashMap::new();
    // 40 days of rounds of half an hour, in which three samples come. A pod lives for four rounds.
    for round in 0..1920u64 {
        let mut pods: Vec<u64> = (0..4).map(|n| (round + n) / 4 * 4 + n).collect();
        // Those of yesterday come back now and then, and those of a month ago.
        pods.extend((round > 100 && round % 50 < 2).then(|| round / 50 * 50 - 48));
        pods.extend((round > 1500 && round % 100 < 2).then(|| round / 100 * 100 - 1400));
        let bad = if round % 300 < 10 { 20.0 } else { 0.0 };
        for step in 0..3 {
            seq += 1;
            let at = Timestamp((round * 1_800_000 + step * 30_000) as i64);
            let mut values = Vec::new();
            for pod in &pods {
                for (code, more) in [("200", 100.0), ("500", bad), ("none", 1.0)] {
                    let labels = series(*pod, code);
                    let v = steps.entry(labels.clone()).or_insert(5.0);
                    *v += more;
                    // The first failure makes the series.
                    if code != "500" || *v > 5.0 {
                        values.push((labels, *v));
                    }
                }
            }
            let mut commit = |known: &mut HashMap<Labels, (SeriesRef, u64)>| {
                let (mut new_series, mut samples) = (Vec::new(), Vec::new());
                for (labels, v) in &values {
                    let (number, seen) = known.entry(labels.clone()).or_insert_with(|| {
                        met += 1;
                        new_series.push((SeriesRef(met), labels.clone()));
                        (SeriesRef(met), round)
                    });
                    *seen = round;
                    samples.push((*number, Sample { t: at, v: *v }));
                }
                Committed {
                    seq: Seq(seq),
                    at,
                    new_series,
                    samples,
                    histograms: vec![],
                    starts: Vec::new(),
                    coarsened: 0,
                    rejected: Rejected::default(),
                }
            };
            let (a, b) = (commit(&mut known), commit(&mut all_known));
            let (a, b) = (tidy.observe(&a), whole.observe(&b));
            assert_eq!(a, b, "round {round}");
            changes += a.len();
            assert_eq!(tidy.next_deadline(), whole.next_deadline(), "round {round}");
        }
        let before = round.saturating_sub(2);
        let old: Vec<_> = known.values().filter(|(_, seen)| *seen < before).map(|(number, _)| *number).collect();
        known.retain(|_, (_, seen)| *seen >= before);
        tidy.retire(&old);
        if round % 31 == 0 {
            assert!(tidy.save() == whole.save(), "round {round}");
        }
        if round == 1111 {
            let saved = tidy.save();
            tidy = objectives();
            tidy.restore(&saved).unwrap();
            known.clear();
        }
        let set = &tidy.watches[0].series;
        most = most.max(set.dormant.len() + set.targets.len() + set.bound.len());
    }
    assert!(changes > 10, "{changes} transitions");
    // A week has 336 pods of three series and one target each.
    assert!((1000..1600).contains(&most), "{most}");
    assert!(whole.watches[0].series.bound.len() > 3 * most, "{}", whole.watches[0].series.bound.len());
}

#[test]
fn what_comes_back_within_the_memory_goes_on_and_later_begins_anew() {
    let counted = |away: Millis| {
        let mut objectives = objectives();
        let mut total = 0.0;
        let (a, b) = (series(1, "200"), series(2, "200"));
        let times = [0, 60_000, 60_000 + away.0, 120_000 + away.0];
        for (n, t) in times.into_iter().enumerate() {
            let at = Timestamp(t);
            // The other one tells the time.
            let new_series =
                if n == 0 { vec![(SeriesRef(1), a.clone()), (SeriesRef(2), b.clone())] } else { Vec::new() };
            let sample = |v| Sample { t: at, v };
            let samples = vec![(SeriesRef(1), sample(1000.0 * (n + 1) as f64)), (SeriesRef(2), sample(7.0))];
            let committed = Committed {
                seq: Seq(n as u64 + 1),
                at,
                new_series,
                samples,
                histograms: vec![],
                starts: Vec::new(),
                coarsened: 0,
                rejected: Rejected::default(),
            };
            if n == 2 {
                for hour in 1..away.0 / 3_600_000 {
                    objectives.tick(Seq(2), Timestamp(60_000 + hour * 3_600_000));
                    let samples = vec![(SeriesRef(2), Sample { t: Timestamp(60_000 + hour * 3_600_000), v: 7.0 })];
                    let at = Timestamp(60_000 + hour * 3_600_000);
                    let (seq, new_series) = (Seq(2), Vec::new());
                    objectives.observe(&Committed {
                        seq,
                        at,
                        new_series,
                        samples,
                        histograms: vec![],
                        starts: Vec::new(),
                        coarsened: 0,
                        rejected: Rejected::default(),
                    });
                }
            }
            objectives.observe(&committed);
            total = objectives.statuses(at)[0].total;
        }
        total
    };
    assert_eq!(counted(Millis::days(5)), 3000.0);
    // Its first value is where it begins: its target was as long away as itself.
    assert_eq!(counted(Millis::days(8)), 2000.0);
}
