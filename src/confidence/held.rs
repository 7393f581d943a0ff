//! For how long each word held: of a month, the minutes in which customers were fine, and those in which nobody knew.
//!
//! Invariants:
//! - Pure: the same record and span give the same times.
//! - The times of each service, with that of which nothing is recorded, add up to the span.
//! - While the program did not run, every service is BLIND that had a word before.

use std::collections::BTreeMap;

use crate::model::{Millis, TimeRange, Timestamp};

use super::judgement::Judgement;
use super::verdict::Verdict;

/// For how long each word held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    /// The words' times, by [`Verdict::BY_PRECEDENCE`].
    words: [Millis; 4],
    /// Time of which nothing is recorded.
    pub unrecorded: Millis,
}

impl Held {
    /// For how long the word held.
    pub fn of(&self, word: Verdict) -> Millis {
        self.words[word.rank()]
    }

    fn add(&mut self, word: Option<Verdict>, time: Millis) {
        let held = word.map_or(&mut self.unrecorded, |word| &mut self.words[word.rank()]);
        *held = Millis(held.0 + time.0);
    }
}

/// For how long each word held, of everything and of each service by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeldWords {
    /// Of everything.
    pub overall: Held,
    /// Of each service that had a word in the span.
    pub services: BTreeMap<String, Held>,
}

/// Adds up for how long each word held within a span. `record` are the judgements of the span, one for each change, oldest
/// first, after the one that held at its beginning.
pub fn held_words(record: &[Judgement], range: TimeRange) -> HeldWords {
    let begin = range.after + Millis(1);
    let end = range.until + Millis(1);
    let mut held = HeldWords::default();
    let first = record.first().map_or(end, |judgement| judgement.at.clamp(begin, end));
    held.overall.add(None, first - begin);
    let ends = record.iter().skip(1).map(|next| next.at).chain([end]);
    let mut from = first;
    for (judgement, until) in record.iter().zip(ends) {
        // A clock that was set back gives no time twice.
        let until = until.clamp(from, end);
        add(&mut held, judgement, begin, from, until);
        from = until;
    }
    held
}

fn add(held: &mut HeldWords, judgement: &Judgement, begin: Timestamp, from: Timestamp, until: Timestamp) {
    held.overall.add(Some(judgement.overall), until - from);
    for service in &judgement.services {
        let new = || Held { unrecorded: from - begin, ..Held::default() };
        held.services.entry(service.service.clone()).or_insert_with(new);
    }
    for (name, held) in &mut held.services {
        let word = judgement.service(name).map(|service| service.verdict);
        let absent = judgement.did_not_run().then_some(Verdict::Blind);
        held.add(word.or(absent), until - from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::confidence::ServiceJudgement;
    use Verdict::{AtRisk, Blind, Hurting, Ok};

    fn judged(at: i64, overall: Verdict, services: &[(&str, Verdict)]) -> Judgement {
        let service = |(name, verdict): &(&str, Verdict)| ServiceJudgement {
            service: (*name).to_owned(),
            verdict: *verdict,
            reasons: Vec::new(),
            proof: Vec::new(),
        };
        let services = services.iter().map(service).collect();
        Judgement { at: Timestamp(at), overall, reasons: Vec::new(), services, proof: Vec::new() }
    }

    /// OK, AT_RISK, HURTING, BLIND, unrecorded.
    fn times(held: &Held) -> [i64; 5] {
        let of = |word| held.of(word).0;
        [of(Ok), of(AtRisk), of(Hurting), of(Blind), held.unrecorded.0]
    }

    const SPAN: TimeRange = TimeRange { after: Timestamp(99), until: Timestamp(199) };

    #[test]
    fn times_add_up_to_the_span() {
        let check = |record: &[Judgement], overall: [i64; 5], services: &[(&str, [i64; 5])]| {
            let held = held_words(record, SPAN);
            assert_eq!(times(&held.overall), overall);
            let known: Vec<_> = held.services.iter().map(|(name, held)| (name.as_str(), times(held))).collect();
            assert_eq!(known, services);
            assert!(known.iter().all(|(_, times)| times.iter().sum::<i64>() == 100));
        };
        check(&[], [0, 0, 0, 0, 100], &[]);
        // What held before the span holds in it; an instant belongs to the word that came with it.
        let record = [
            judged(40, Blind, &[("shop", Blind)]),
            judged(110, Ok, &[("shop", Ok)]),
            judged(150, Hurting, &[("shop", Ok), ("host", Hurting)]),
            judged(170, Ok, &[("shop", Ok), ("host", AtRisk)]),
        ];
        check(&record, [70, 0, 20, 10, 0], &[("host", [0, 30, 20, 0, 50]), ("shop", [90, 0, 0, 10, 0])]);
        // Nothing is recorded before the first, and nothing of a service that is no more.
        let record = [judged(130, AtRisk, &[("old", AtRisk)]), judged(180, Ok, &[])];
        check(&record, [20, 50, 0, 0, 30], &[("old", [0, 50, 0, 0, 50])]);
        let set_back = [judged(120, Ok, &[]), judged(110, Blind, &[]), judged(150, Ok, &[])];
        check(&set_back, [50, 0, 0, 30, 20], &[]);
        let later = [judged(10, Ok, &[("shop", Ok)]), judged(400, Blind, &[])];
        check(&later, [100, 0, 0, 0, 0], &[("shop", [100, 0, 0, 0, 0])]);
    }

    #[test]
    fn nobody_sees_a_service_while_the_program_does_not_run() {
        let record = [judged(100, Ok, &[("shop", Ok)]), Judgement::not_running(Timestamp(119), Timestamp(160))];
        let held = held_words(&record, SPAN);
        assert_eq!(times(&held.overall), [20, 0, 0, 80, 0]);
        assert_eq!(times(&held.services["shop"]), [20, 0, 0, 80, 0]);
    }
}
