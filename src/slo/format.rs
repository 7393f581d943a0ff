//! Byte layout of the objectives' saved state. `storage-format.md` describes it; change both together.
//!
//! Invariants:
//! - The same state gives the same bytes: whatever has no order of its own is sorted.
//! - No content can panic: every read is checked, and no count is believed before its bytes are there.

use std::collections::VecDeque;

use crate::codec::{
    Cursor as Bytes, Damaged, SealError, break_seal, close_seal, open_seal, put_maybe, put_signed, put_text, put_varint,
};
use crate::model::{Alert, AlertState, Labels, Millis, Timestamp};

use super::adjustment::Excluded;
use super::burn::{Burning, Drain};
use super::composite::Composite;
use super::episode::{Course, Peak};
use super::history::{Counts, History, Point, Tier};
use super::input::Input;
use super::pair::{BurnPair, Severity};
use super::series::{Cursor, Increase};
use super::slices::{Slice, Slices};
use super::time_coverage::{Presence, Span};
use super::watch::{PairState, Waiting, Watch};

const KIND: [u8; 8] = *b"evkobjct";
/// The version that is written.
const VERSION: u32 = 7;
/// The same without when samples were missing, which is read too.
const VERSION_6: u32 = 6;
/// The first version, of plain objectives, which is read too.
const VERSION_1: u32 = 1;

const PAGE: u8 = 0;
const TICKET: u8 = 1;

/// A sum is given by how much more than the one before it is.
const SUM_MORE: u8 = 0;
/// A sum is given by its bits.
const SUM_BITS: u8 = 1;

/// A saved state that cannot be continued from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// Another kind of data, changed or cut off.
    #[error("the saved state of the objectives cannot be read: {0}; it is counted from history")]
    Damaged(#[from] Damaged),
    /// Written by a later release.
    #[error(
        "the saved state of the objectives has version {found}, this release reads {VERSION}; it is counted from history"
    )]
    Version {
        /// Its version.
        found: u32,
    },
}

impl From<SealError> for RestoreError {
    fn from(error: SealError) -> RestoreError {
        match error {
            SealError::Damaged(damaged) => RestoreError::Damaged(damaged),
            SealError::Version(found) => RestoreError::Version { found },
        }
    }
}

/// What was saved.
pub(super) struct Saved {
    pub(super) objectives: Vec<SavedObjective>,
    /// Firing alerts whose pair was watched no more.
    pub(super) orphans: Vec<Alert>,
    pub(super) composites: Vec<SavedComposite>,
}

/// What was saved of a composite: what it counts are its parts' counts.
pub(super) struct SavedComposite {
    pub(super) service: String,
    pub(super) name: String,
    pub(super) window: Millis,
    pub(super) since: Option<Timestamp>,
    pub(super) decided: Option<Timestamp>,
    pub(super) pairs: Vec<PairState>,
    pub(super) burning: Burning,
}

/// What was saved of one objective.
pub(super) struct SavedObjective {
    pub(super) service: String,
    pub(super) name: String,
    /// [`Indicator::identity`](super::objective::Indicator::identity).
    pub(super) indicator: String,
    pub(super) window: Millis,
    pub(super) counted: SavedCounts,
    pub(super) cursors: Vec<(Labels, Cursor)>,
    pub(super) targets: Vec<(Labels, Timestamp)>,
    pub(super) group_by: Vec<String>,
    pub(super) groups: Vec<(Labels, SavedCounts)>,
    pub(super) beyond: Vec<(Labels, Counts)>,
    pub(super) overflown: bool,
    pub(super) left_out: usize,
    /// [`Objective::reckoning`](super::objective::Objective).
    pub(super) reckoning: String,
    /// The calendar at whose edges counts were kept.
    pub(super) edges_of: String,
    pub(super) presence: Presence,
}

/// What was saved of an objective or of one of its groups.
pub(super) struct SavedCounts {
    pub(super) history: History,
    pub(super) since: Option<Timestamp>,
    pub(super) decided: Option<Timestamp>,
    pub(super) input: Input,
    pub(super) heard: [Option<Timestamp>; 2],
    pub(super) waiting: Vec<(Timestamp, Waiting)>,
    pub(super) pairs: Vec<PairState>,
    pub(super) burning: Burning,
    pub(super) course: Course,
    pub(super) slices: Slices,
    pub(super) excluded: Vec<(Timestamp, Excluded)>,
}

/// The bytes of all objectives' states.
pub(super) fn write(watches: &[Watch], orphans: &[Alert], composites: &[Composite]) -> Vec<u8> {
    let mut out = open_seal(KIND, VERSION);
    put_varint(&mut out, watches.len() as u64);
    watches.iter().for_each(|watch| put_watch(&mut out, watch));
    put_varint(&mut out, orphans.len() as u64);
    orphans.iter().for_each(|alert| put_alert(&mut out, alert));
    put_varint(&mut out, composites.len() as u64);
    composites.iter().for_each(|composite| put_composite(&mut out, composite));
    close_seal(out)
}

/// All objectives' states from their bytes.
pub(super) fn read(bytes: &[u8]) -> Result<Saved, RestoreError> {
    let (mut from, version) = match break_seal(bytes, KIND, VERSION) {
        Err(SealError::Version(old @ (VERSION_1 | VERSION_6))) => (break_seal(bytes, KIND, old)?, old),
        from => (from?, VERSION),
    };
    let objectives = take_list(&mut from, |from| take_objective(from, version))?;
    let orphans = take_list(&mut from, take_alert)?;
    let composites = if version > VERSION_1 { take_list(&mut from, take_composite)? } else { Vec::new() };
    from.end()?;
    Ok(Saved { objectives, orphans, composites })
}

fn put_composite(out: &mut Vec<u8>, composite: &Composite) {
    put_text(out, &composite.objective.service);
    put_text(out, &composite.objective.name);
    put_signed(out, composite.objective.window.0);
    put_time(out, composite.since);
    put_time(out, composite.decided);
    put_varint(out, composite.pairs.len() as u64);
    composite.pairs.iter().for_each(|state| put_pair(out, state));
    put_burning(out, &composite.burning);
}

fn take_composite(from: &mut Bytes<'_>) -> Result<SavedComposite, Damaged> {
    Ok(SavedComposite {
        service: from.text()?.to_owned(),
        name: from.text()?.to_owned(),
        window: Millis(from.signed()?),
        since: take_maybe_time(from)?,
        decided: take_maybe_time(from)?,
        pairs: take_list(from, take_pair)?,
        burning: take_burning(from)?,
    })
}

fn put_float(out: &mut Vec<u8>, v: f64) {
    out.extend(v.to_bits().to_le_bytes());
}

fn put_sums(out: &mut Vec<u8>, counts: Counts) {
    put_float(out, counts.bad);
    put_float(out, counts.total);
}

fn put_time(out: &mut Vec<u8>, t: Option<Timestamp>) {
    put_maybe(out, t.map(|t| t.0));
}

fn put_watch(out: &mut Vec<u8>, watch: &Watch) {
    put_text(out, &watch.objective.service);
    put_text(out, &watch.objective.name);
    put_text(out, &watch.objective.indicator.identity());
    put_signed(out, watch.objective.window.0);
    put_counts(out, watch);
    let cursors = watch.series.cursors();
    put_varint(out, cursors.len() as u64);
    for (labels, cursor) in cursors {
        put_text(out, labels.as_text());
        put_signed(out, cursor.t.0);
        put_signed(out, cursor.seen_at.0);
        put_float(out, cursor.v);
    }
    let mut targets: Vec<_> = watch.series.targets.iter().collect();
    targets.sort_unstable_by(|a, b| a.0.as_text().cmp(b.0.as_text()));
    put_varint(out, targets.len() as u64);
    for (labels, since) in targets {
        put_text(out, labels.as_text());
        put_signed(out, since.0);
    }
    put_varint(out, watch.objective.group_by.len() as u64);
    watch.objective.group_by.iter().for_each(|name| put_text(out, name));
    put_varint(out, watch.groups.members.len() as u64);
    for (labels, group) in &watch.groups.members {
        put_text(out, labels.as_text());
        put_counts(out, group);
    }
    put_varint(out, watch.groups.beyond.len() as u64);
    for (labels, counts) in &watch.groups.beyond {
        put_text(out, labels.as_text());
        put_sums(out, *counts);
    }
    out.push(u8::from(watch.groups.overflown));
    put_varint(out, watch.groups.left_out as u64);
    put_text(out, &watch.reckoning);
    put_text(out, &watch.edges_of);
    put_presence(out, &watch.presence);
}

fn put_presence(out: &mut Vec<u8>, presence: &Presence) {
    put_time(out, presence.first);
    put_time(out, presence.newest);
    put_varint(out, presence.missing.len() as u64);
    let mut last = 0;
    for (from, until) in &presence.missing {
        put_signed(out, from.0.wrapping_sub(last));
        put_signed(out, until.0.wrapping_sub(from.0));
        last = until.0;
    }
}

fn take_presence(from: &mut Bytes<'_>) -> Result<Presence, Damaged> {
    let (first, newest) = (take_maybe_time(from)?, take_maybe_time(from)?);
    let mut missing: VecDeque<Span> = VecDeque::new();
    let mut last = 0_i64;
    for _ in 0..from.length()? {
        let begin = last.wrapping_add(from.signed()?);
        let end = begin.wrapping_add(from.signed()?);
        if end <= begin || (!missing.is_empty() && begin < last) {
            return Err(Damaged("the times without samples are not in their order"));
        }
        missing.push_back((Timestamp(begin), Timestamp(end)));
        last = end;
    }
    Ok(Presence { first, newest, missing })
}

fn put_counts(out: &mut Vec<u8>, watch: &Watch) {
    put_history(out, &watch.history);
    put_time(out, watch.since);
    put_time(out, watch.decided);
    put_time(out, watch.input.last_at);
    out.push(watch.input.seen);
    put_varint(out, watch.input.gaps().len() as u64);
    watch.input.gaps().iter().for_each(|gap| put_signed(out, gap.0));
    watch.heard.iter().for_each(|heard| put_time(out, *heard));
    put_varint(out, watch.waiting.len() as u64);
    for (t, waiting) in &watch.waiting {
        put_signed(out, t.0);
        put_signed(out, waiting.arrived.0);
        put_float(out, waiting.more.part);
        put_float(out, waiting.more.total);
    }
    put_varint(out, watch.pairs.len() as u64);
    watch.pairs.iter().for_each(|state| put_pair(out, state));
    put_burning(out, &watch.burning);
    put_varint(out, watch.history.edges.len() as u64);
    for edge in &watch.history.edges {
        put_signed(out, edge.t.0);
        put_sums(out, edge.sum);
    }
    put_varint(out, watch.slices.known.len() as u64);
    for (number, slice) in &watch.slices.known {
        put_signed(out, *number);
        put_sums(out, slice.events);
        out.push(u8::from(slice.counted.is_some()));
        slice.counted.iter().for_each(|counted| put_sums(out, *counted));
        out.push(u8::from(watch.slices.changed.contains(number)));
    }
    put_varint(out, watch.exclusions.taken.len() as u64);
    for (from, excluded) in &watch.exclusions.taken {
        put_signed(out, from.0);
        put_signed(out, excluded.until.0);
        put_text(out, &excluded.name);
        put_sums(out, excluded.counts);
    }
    put_course(out, &watch.course);
}

fn put_course(out: &mut Vec<u8>, course: &Course) {
    put_time(out, course.since);
    put_float(out, course.excess);
    put_sums(out, course.counts);
    put_signed(out, course.peak.t.0);
    put_float(out, course.peak.excess);
    put_sums(out, course.peak.counts);
    out.push(u8::from(course.told));
}

fn take_course(from: &mut Bytes<'_>) -> Result<Course, Damaged> {
    Ok(Course {
        since: take_maybe_time(from)?,
        excess: from.f64()?,
        counts: take_sums(from)?,
        peak: Peak { t: take_time(from)?, excess: from.f64()?, counts: take_sums(from)? },
        told: take_mark(from)?,
    })
}

fn put_pair(out: &mut Vec<u8>, PairState { pair, firing }: &PairState) {
    out.push(if pair.severity == Severity::Page { PAGE } else { TICKET });
    put_float(out, pair.threshold);
    put_signed(out, pair.long.0);
    put_signed(out, pair.short.0);
    out.push(u8::from(firing.is_some()));
    if let Some(alert) = firing {
        put_alert(out, alert);
    }
}

fn put_burning(out: &mut Vec<u8>, burning: &Burning) {
    burning.cleared.iter().for_each(|cleared| put_time(out, *cleared));
    put_time(out, burning.looked_at);
    put_time(out, burning.drain.since);
    put_float(out, burning.drain.excess);
    put_float(out, burning.drain.counts.bad);
    put_float(out, burning.drain.counts.total);
    for alert in &burning.firing {
        out.push(u8::from(alert.is_some()));
        alert.iter().for_each(|alert| put_alert(out, alert));
    }
}

fn take_burning(from: &mut Bytes<'_>) -> Result<Burning, Damaged> {
    let cleared = [take_maybe_time(from)?, take_maybe_time(from)?];
    let looked_at = take_maybe_time(from)?;
    let since = take_maybe_time(from)?;
    let drain = Drain { since, excess: from.f64()?, counts: Counts { bad: from.f64()?, total: from.f64()? } };
    let mut burning = Burning { cleared, looked_at, drain, ..Burning::default() };
    for slot in &mut burning.firing {
        *slot = if take_mark(from)? { Some(take_alert(from)?) } else { None };
    }
    Ok(burning)
}

fn put_alert(out: &mut Vec<u8>, alert: &Alert) {
    put_signed(out, alert.active_at.0);
    put_float(out, alert.value);
    put_text(out, alert.labels.as_text());
    put_text(out, alert.annotations.as_text());
    put_text(out, &alert.expr);
}

fn put_history(out: &mut Vec<u8>, history: &History) {
    put_time(out, history.first);
    put_sums(out, history.now);
    put_varint(out, history.tiers.len() as u64);
    for tier in &history.tiers {
        put_signed(out, tier.step.0);
        put_signed(out, tier.span.0);
        let mut last = BEFORE_FIRST;
        out.push(u8::from(tier.floor.is_some()));
        if let Some(floor) = tier.floor {
            put_point(out, last, floor);
            last = floor;
        }
        put_varint(out, tier.points.len() as u64);
        for point in &tier.points {
            put_point(out, last, *point);
            last = *point;
        }
    }
}

/// What the first point of a tier is counted from.
const BEFORE_FIRST: Point = Point { t: Timestamp(0), sum: Counts { bad: 0.0, total: 0.0 } };

fn put_point(out: &mut Vec<u8>, last: Point, next: Point) {
    put_signed(out, next.t.0.wrapping_sub(last.t.0));
    put_sum(out, last.sum.bad, next.sum.bad);
    put_sum(out, last.sum.total, next.sum.total);
}

/// A sum after another: nearly always a small whole number more, which takes a byte or two.
fn put_sum(out: &mut Vec<u8>, from: f64, to: f64) {
    let more = to - from;
    let whole = more as i64;
    if more.abs() < 9e15 && (from + whole as f64).to_bits() == to.to_bits() {
        out.push(SUM_MORE);
        put_signed(out, whole);
    } else {
        out.push(SUM_BITS);
        put_float(out, to);
    }
}

fn take_list<T>(from: &mut Bytes<'_>, take: impl Fn(&mut Bytes<'_>) -> Result<T, Damaged>) -> Result<Vec<T>, Damaged> {
    (0..from.length()?).map(|_| take(from)).collect()
}

fn take_labels(from: &mut Bytes<'_>) -> Result<Labels, Damaged> {
    Labels::from_text(from.text()?).map_err(|_| Damaged("labels are not in their canonical form"))
}

fn take_time(from: &mut Bytes<'_>) -> Result<Timestamp, Damaged> {
    from.signed().map(Timestamp)
}

fn take_maybe_time(from: &mut Bytes<'_>) -> Result<Option<Timestamp>, Damaged> {
    Ok(from.maybe()?.map(Timestamp))
}

fn take_mark(from: &mut Bytes<'_>) -> Result<bool, Damaged> {
    match from.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Damaged("a mark is neither 0 nor 1")),
    }
}

fn take_objective(from: &mut Bytes<'_>, version: u32) -> Result<SavedObjective, Damaged> {
    let mut saved = SavedObjective {
        service: from.text()?.to_owned(),
        name: from.text()?.to_owned(),
        indicator: from.text()?.to_owned(),
        window: Millis(from.signed()?),
        counted: take_counts(from, version)?,
        cursors: take_list(from, |from| {
            let labels = take_labels(from)?;
            Ok((labels, Cursor { t: take_time(from)?, seen_at: take_time(from)?, v: from.f64()? }))
        })?,
        targets: take_list(from, |from| Ok((take_labels(from)?, take_time(from)?)))?,
        group_by: Vec::new(),
        groups: Vec::new(),
        beyond: Vec::new(),
        overflown: false,
        left_out: 0,
        reckoning: String::new(),
        edges_of: String::new(),
        presence: Presence::default(),
    };
    if version > VERSION_1 {
        saved.group_by = take_list(from, |from| Ok(from.text()?.to_owned()))?;
        saved.groups = take_list(from, |from| Ok((take_labels(from)?, take_counts(from, version)?)))?;
        saved.beyond = take_list(from, |from| Ok((take_labels(from)?, take_sums(from)?)))?;
        saved.overflown = take_mark(from)?;
        saved.left_out = from.varint()? as usize;
        saved.reckoning = from.text()?.to_owned();
        saved.edges_of = from.text()?.to_owned();
    }
    saved.presence = match version {
        VERSION => take_presence(from)?,
        // What was missing before is not known.
        _ => Presence::since(saved.counted.heard.into_iter().flatten().max()),
    };
    Ok(saved)
}

fn take_counts(from: &mut Bytes<'_>, version: u32) -> Result<SavedCounts, Damaged> {
    let mut saved = SavedCounts {
        history: take_history(from)?,
        since: take_maybe_time(from)?,
        decided: take_maybe_time(from)?,
        input: Input::restored(
            take_maybe_time(from)?,
            from.u8()?,
            take_list(from, |from| from.signed().map(Millis))?.into(),
        ),
        heard: [take_maybe_time(from)?, take_maybe_time(from)?],
        waiting: take_list(from, |from| {
            let (t, arrived) = (take_time(from)?, take_time(from)?);
            Ok((t, Waiting { arrived, more: Increase { part: from.f64()?, total: from.f64()? } }))
        })?,
        pairs: take_list(from, take_pair)?,
        burning: Burning::default(),
        course: Course::default(),
        slices: Slices::default(),
        excluded: Vec::new(),
    };
    if version > VERSION_1 {
        saved.burning = take_burning(from)?;
        let edges = take_list(from, |from| Ok(Point { t: take_time(from)?, sum: take_sums(from)? }))?;
        saved.history.edges = edges.into();
        for _ in 0..from.length()? {
            let number = from.signed()?;
            let events = take_sums(from)?;
            let counted = if take_mark(from)? { Some(take_sums(from)?) } else { None };
            saved.slices.known.insert(number, Slice { events, counted });
            if take_mark(from)? {
                saved.slices.changed.insert(number);
            }
        }
        saved.excluded = take_list(from, |from| {
            let (begin, until) = (take_time(from)?, take_time(from)?);
            Ok((begin, Excluded { until, name: from.text()?.to_owned(), counts: take_sums(from)? }))
        })?;
        saved.course = take_course(from)?;
    }
    Ok(saved)
}

fn take_sums(from: &mut Bytes<'_>) -> Result<Counts, Damaged> {
    Ok(Counts { bad: from.f64()?, total: from.f64()? })
}

fn take_pair(from: &mut Bytes<'_>) -> Result<PairState, Damaged> {
    let severity = match from.u8()? {
        PAGE => Severity::Page,
        TICKET => Severity::Ticket,
        _ => return Err(Damaged("a burn pair has an unknown severity")),
    };
    let threshold = from.f64()?;
    let (long, short) = (Millis(from.signed()?), Millis(from.signed()?));
    let firing = if take_mark(from)? { Some(take_alert(from)?) } else { None };
    Ok(PairState { pair: BurnPair { severity, threshold, long, short }, firing })
}

fn take_alert(from: &mut Bytes<'_>) -> Result<Alert, Damaged> {
    let since = take_time(from)?;
    Ok(Alert {
        value: from.f64()?,
        labels: take_labels(from)?,
        annotations: take_labels(from)?,
        expr: from.text()?.to_owned(),
        state: AlertState::Firing,
        active_at: since,
        fired_at: Some(since),
        resolved_at: None,
        keep_firing_since: None,
    })
}

fn take_history(from: &mut Bytes<'_>) -> Result<History, Damaged> {
    let first = take_maybe_time(from)?;
    let now = take_sums(from)?;
    let tiers = take_list(from, take_tier)?;
    if tiers.is_empty() {
        Err(Damaged("a history has no resolution"))
    } else {
        Ok(History { tiers, now, first, edges: Default::default() })
    }
}

fn take_tier(from: &mut Bytes<'_>) -> Result<Tier, Damaged> {
    let (step, span) = (Millis(from.signed()?), Millis(from.signed()?));
    if step <= Millis::ZERO || span <= Millis::ZERO {
        return Err(Damaged("a resolution is not positive"));
    }
    let mut tier = Tier { step, span, floor: None, points: Default::default() };
    let mut last = BEFORE_FIRST;
    if take_mark(from)? {
        last = take_point(from, last)?;
        tier.floor = Some(last);
    }
    for _ in 0..from.length()? {
        let next = take_point(from, last)?;
        if !tier.points.is_empty() && next.t <= last.t {
            return Err(Damaged("the points of a history are not in the order of time"));
        }
        last = next;
        tier.points.push_back(last);
    }
    Ok(tier)
}

fn take_point(from: &mut Bytes<'_>, last: Point) -> Result<Point, Damaged> {
    let t = Timestamp(last.t.0.wrapping_add(from.signed()?));
    Ok(Point { t, sum: Counts { bad: take_sum(from, last.sum.bad)?, total: take_sum(from, last.sum.total)? } })
}

fn take_sum(from: &mut Bytes<'_>, before: f64) -> Result<f64, Damaged> {
    match from.u8()? {
        SUM_MORE => Ok(before + from.signed()? as f64),
        SUM_BITS => from.f64(),
        _ => Err(Damaged("a sum has an unknown form")),
    }
}
