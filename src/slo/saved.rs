//! The saved state: bytes that a restart continues from.
//!
//! Layout, all integers as LEB128 varints (signed ones zigzag), all floats as 8 bytes little-endian:
//! `"EKSLO"`, a version byte, the objectives, and the CRC-32 of all that as 4 bytes little-endian.
//!
//! Invariants:
//! - The same state gives the same bytes: whatever has no order of its own is sorted.
//! - An objective is recognised by service, name and indicator; for another window its counts are
//!   carried over, for another indicator they are dropped.
//! - No content can panic: every read is checked, and no count is believed before its bytes are there.

use crate::model::{Alert, AlertState, Labels, Millis, Timestamp};

use super::history::{Counts, History, Point, Tier};
use super::objective::{Comparison, Indicator, Objective};
use super::objectives::Objectives;
use super::pair::{BurnPair, Severity};
use super::series::{Cursor, Increase};
use super::watch::{PairState, Waiting, Watch};

const MAGIC: &[u8; 5] = b"EKSLO";
/// The version written, and the only one read so far.
const VERSION: u8 = 1;

/// A saved state that cannot be continued from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// Something else, or written by a later program.
    #[error(
        "the saved state of the objectives has version {found}; this program reads version 1; seed it from history"
    )]
    Version {
        /// The version byte, 0 if it is no such state at all.
        found: u8,
    },
    /// The checksum does not fit, or the content makes no sense.
    #[error("the saved state of the objectives is damaged at byte {at}; seed it from history")]
    Damaged {
        /// Where reading stopped.
        at: usize,
    },
}

impl Objectives {
    /// The state as bytes, from which [`Objectives::restore`] continues.
    pub fn save(&self) -> Vec<u8> {
        let mut out = Writer { bytes: MAGIC.to_vec() };
        out.bytes.push(VERSION);
        out.unsigned(self.watches.len() as u64);
        for watch in &self.watches {
            let mut body = Writer { bytes: Vec::new() };
            body.watch(watch);
            out.text(&watch.objective.service);
            out.text(&watch.objective.name);
            out.text(&watch.objective.indicator.identity());
            out.unsigned(body.bytes.len() as u64);
            out.bytes.extend_from_slice(&body.bytes);
        }
        out.unsigned(self.orphans.len() as u64);
        self.orphans.iter().for_each(|alert| out.alert(alert));
        let sum = crc32fast::hash(&out.bytes);
        out.bytes.extend_from_slice(&sum.to_le_bytes());
        out.bytes
    }

    /// Continues from a saved state. Objectives that it does not hold begin empty.
    ///
    /// # Errors
    /// The bytes are damaged or of another version; then nothing has changed.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let version = bytes.strip_prefix(MAGIC).and_then(|rest| rest.first().copied()).unwrap_or(0);
        if version != VERSION {
            return Err(RestoreError::Version { found: version });
        }
        let body = bytes.len().checked_sub(4).filter(|body| *body > MAGIC.len());
        let body = body.ok_or(RestoreError::Damaged { at: bytes.len() })?;
        if crc32fast::hash(&bytes[..body]).to_le_bytes() != bytes[body..] {
            return Err(RestoreError::Damaged { at: body });
        }
        let mut reader = Reader { bytes: &bytes[..body], at: MAGIC.len() + 1 };
        let restored = reader.objectives(&self.watches).ok_or(RestoreError::Damaged { at: reader.at })?;
        self.watches.iter_mut().for_each(Watch::unbind);
        self.bindings.clear();
        self.orphans = restored.orphans;
        for (n, old) in restored.watches {
            self.orphans.extend(self.watches[n].inherit(old));
        }
        Ok(())
    }
}

struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    fn unsigned(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.bytes.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.bytes.push(n as u8);
    }

    fn signed(&mut self, n: i64) {
        self.unsigned(((n << 1) ^ (n >> 63)) as u64);
    }

    fn float(&mut self, v: f64) {
        self.bytes.extend_from_slice(&v.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.unsigned(text.len() as u64);
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn instant(&mut self, t: Option<Timestamp>) {
        match t {
            None => self.bytes.push(0),
            Some(t) => {
                self.bytes.push(1);
                self.signed(t.0);
            }
        }
    }

    fn watch(&mut self, watch: &Watch) {
        self.signed(watch.objective.window.0);
        self.history(&watch.history);
        self.instant(watch.since);
        self.instant(watch.decided);
        self.instant(watch.input.last_at);
        self.bytes.push(watch.input.seen);
        self.unsigned(watch.input.gaps.len() as u64);
        watch.input.gaps.iter().for_each(|gap| self.signed(gap.0));
        watch.heard.iter().for_each(|heard| self.instant(*heard));
        self.unsigned(watch.waiting.len() as u64);
        for (t, waiting) in &watch.waiting {
            self.signed(t.0);
            self.signed(waiting.arrived.0);
            self.float(waiting.more.part);
            self.float(waiting.more.total);
        }
        self.unsigned(watch.pairs.len() as u64);
        watch.pairs.iter().for_each(|state| self.pair(state));
        let cursors = watch.series.cursors();
        self.unsigned(cursors.len() as u64);
        for (labels, cursor) in cursors {
            self.text(labels.as_text());
            self.signed(cursor.t.0);
            self.signed(cursor.seen_at.0);
            self.float(cursor.v);
        }
        let mut targets: Vec<_> = watch.series.targets.iter().collect();
        targets.sort_unstable_by(|a, b| a.0.as_text().cmp(b.0.as_text()));
        self.unsigned(targets.len() as u64);
        for (labels, since) in targets {
            self.text(labels.as_text());
            self.signed(since.0);
        }
    }

    fn pair(&mut self, PairState { pair, firing }: &PairState) {
        self.bytes.push(if pair.severity == Severity::Page { 0 } else { 1 });
        self.float(pair.threshold);
        self.signed(pair.long.0);
        self.signed(pair.short.0);
        self.bytes.push(u8::from(firing.is_some()));
        if let Some(alert) = firing {
            self.alert(alert);
        }
    }

    fn alert(&mut self, alert: &Alert) {
        self.signed(alert.active_at.0);
        self.float(alert.value);
        self.text(alert.labels.as_text());
        self.text(alert.annotations.as_text());
        self.text(&alert.expr);
    }

    fn history(&mut self, history: &History) {
        self.instant(history.first);
        self.float(history.now.bad);
        self.float(history.now.total);
        self.unsigned(history.tiers.len() as u64);
        for tier in &history.tiers {
            self.signed(tier.step.0);
            self.signed(tier.span.0);
            let mut last = Point { t: Timestamp(0), sum: Counts::default() };
            self.bytes.push(u8::from(tier.floor.is_some()));
            if let Some(floor) = tier.floor {
                self.point(last, floor);
                last = floor;
            }
            self.unsigned(tier.points.len() as u64);
            for point in &tier.points {
                self.point(last, *point);
                last = *point;
            }
        }
    }

    fn point(&mut self, last: Point, next: Point) {
        self.signed(next.t.0.wrapping_sub(last.t.0));
        self.step(last.sum.bad, next.sum.bad);
        self.step(last.sum.total, next.sum.total);
    }

    /// A sum after another: nearly always a small whole number more, which takes a byte or two.
    fn step(&mut self, from: f64, to: f64) {
        let more = to - from;
        let whole = more as i64;
        if more.abs() < 9e15 && whole as f64 == more && from + more == to {
            self.signed(whole);
            self.bytes.push(0);
        } else {
            self.signed(0);
            self.bytes.push(1);
            self.float(to);
        }
    }
}

/// What a saved state held.
#[derive(Default)]
struct Restored {
    /// The objectives that are still watched, by position.
    watches: Vec<(usize, Watch)>,
    /// Alerts that nothing watches any more.
    orphans: Vec<Alert>,
}

/// An objective of which only the name is left.
fn unknown(service: &str, name: &str) -> Objective {
    let nothing = Indicator::Threshold { gauge: Vec::new(), op: Comparison::Equal, bound: 0.0 };
    Objective::new(service, name, 0.5, Millis::days(1), nothing)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let part = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(part)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|part| part[0])
    }

    fn unsigned(&mut self) -> Option<u64> {
        let (mut n, mut shift) = (0u64, 0);
        loop {
            let byte = self.byte()?;
            n |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(n);
            }
            shift += 7;
            if shift > 63 {
                return None;
            }
        }
    }

    fn signed(&mut self) -> Option<i64> {
        let n = self.unsigned()?;
        Some((n >> 1) as i64 ^ -((n & 1) as i64))
    }

    /// A count of things of which each takes at least a byte.
    fn count(&mut self) -> Option<usize> {
        let n = usize::try_from(self.unsigned()?).ok()?;
        (n <= self.bytes.len() - self.at).then_some(n)
    }

    fn float(&mut self) -> Option<f64> {
        Some(f64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.count()?;
        std::str::from_utf8(self.take(length)?).ok()
    }

    fn labels(&mut self) -> Option<Labels> {
        Labels::from_text(self.text()?).ok()
    }

    fn time(&mut self) -> Option<Timestamp> {
        self.signed().map(Timestamp)
    }

    #[expect(clippy::option_option, reason = "damaged, absent and present are three things")]
    fn instant(&mut self) -> Option<Option<Timestamp>> {
        match self.byte()? {
            0 => Some(None),
            1 => self.time().map(Some),
            _ => None,
        }
    }

    fn objectives(&mut self, watches: &[Watch]) -> Option<Restored> {
        let mut out = Restored::default();
        for _ in 0..self.count()? {
            let (service, name, identity) = (self.text()?, self.text()?, self.text()?);
            let length = self.count()?;
            let mut body = Reader { bytes: &self.bytes[..self.at + length], at: self.at };
            self.at += length;
            let named = |watch: &Watch| (&*watch.objective.service, &*watch.objective.name) == (service, name);
            let known = watches.iter().position(|w| named(w) && w.objective.indicator.identity() == identity);
            // Of an objective that is watched no more, only what fires is of use: any shape will do.
            let shape = known.map_or_else(|| unknown(service, name), |n| watches[n].objective.clone());
            let Some(watch) = body.watch(shape) else {
                self.at = body.at;
                return None;
            };
            match known {
                Some(n) => out.watches.push((n, watch)),
                None => out.orphans.extend(watch.alerts()),
            }
        }
        for _ in 0..self.count()? {
            out.orphans.push(self.alert()?);
        }
        Some(out)
    }

    fn watch(&mut self, objective: Objective) -> Option<Watch> {
        let mut watch = Watch::new(objective, Vec::new());
        watch.objective.window = Millis(self.signed()?);
        watch.history = self.history()?;
        watch.since = self.instant()?;
        watch.decided = self.instant()?;
        watch.input.last_at = self.instant()?;
        watch.input.seen = self.byte()?;
        for _ in 0..self.count()? {
            watch.input.gaps.push_back(Millis(self.signed()?));
        }
        watch.heard = [self.instant()?, self.instant()?];
        for _ in 0..self.count()? {
            let (t, arrived) = (self.time()?, self.time()?);
            let more = Increase { part: self.float()?, total: self.float()? };
            watch.waiting.insert(t, Waiting { more, arrived });
        }
        for _ in 0..self.count()? {
            watch.pairs.push(self.pair()?);
        }
        for _ in 0..self.count()? {
            let labels = self.labels()?;
            let (t, seen_at) = (self.time()?, self.time()?);
            watch.series.dormant.insert(labels, Cursor { t, seen_at, v: self.float()? });
        }
        for _ in 0..self.count()? {
            let labels = self.labels()?;
            watch.series.targets.insert(labels, self.time()?);
        }
        Some(watch)
    }

    fn pair(&mut self) -> Option<PairState> {
        let severity = match self.byte()? {
            0 => Severity::Page,
            1 => Severity::Ticket,
            _ => return None,
        };
        let threshold = self.float()?;
        let (long, short) = (Millis(self.signed()?), Millis(self.signed()?));
        let firing = if self.byte()? == 1 { Some(self.alert()?) } else { None };
        Some(PairState { pair: BurnPair { severity, threshold, long, short }, firing })
    }

    fn alert(&mut self) -> Option<Alert> {
        let since = self.time()?;
        Some(Alert {
            value: self.float()?,
            labels: self.labels()?,
            annotations: self.labels()?,
            expr: self.text()?.to_owned(),
            state: AlertState::Firing,
            active_at: since,
            fired_at: Some(since),
            resolved_at: None,
            keep_firing_since: None,
        })
    }

    fn history(&mut self) -> Option<History> {
        let first = self.instant()?;
        let now = Counts { bad: self.float()?, total: self.float()? };
        let mut tiers = Vec::new();
        for _ in 0..self.count()? {
            let (step, span) = (Millis(self.signed()?), Millis(self.signed()?));
            if step <= Millis::ZERO || span <= Millis::ZERO {
                return None;
            }
            let mut tier = Tier { step, span, floor: None, points: Default::default() };
            let mut last = Point { t: Timestamp(0), sum: Counts::default() };
            if self.byte()? == 1 {
                last = self.point(last)?;
                tier.floor = Some(last);
            }
            for _ in 0..self.count()? {
                let next = self.point(last)?;
                if !tier.points.is_empty() && next.t <= last.t {
                    return None;
                }
                last = next;
                tier.points.push_back(last);
            }
            tiers.push(tier);
        }
        (!tiers.is_empty()).then_some(History { tiers, now, first })
    }

    fn point(&mut self, last: Point) -> Option<Point> {
        let t = Timestamp(last.t.0.wrapping_add(self.signed()?));
        let (bad, total) = (self.step(last.sum.bad)?, self.step(last.sum.total)?);
        Some(Point { t, sum: Counts { bad, total } })
    }

    fn step(&mut self, from: f64) -> Option<f64> {
        let more = self.signed()?;
        match self.byte()? {
            0 => Some(from + more as f64),
            1 => self.float(),
            _ => None,
        }
    }
}
