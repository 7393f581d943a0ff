//! The bytes of the outbox. All numbers are little-endian.
//!
//! A file `outbox-NNNNNNNN.log` (the number in decimal, from 1 on; only the highest counts):
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `EVKOUTBX` |
//! | 4 | version, 1 |
//! | 4 | zero |
//! | … | records, back to back |
//!
//! A record:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | length of kind and content together, n |
//! | 4 | CRC-32 (ISO-HDLC) over kind and content |
//! | 1 | kind |
//! | n − 1 | content |
//!
//! | kind | name | content |
//! |---|---|---|
//! | 1 | accepted | u32 count, then that many transitions |
//! | 2 | sent | u64 target, text group key, i64 time, u8 answer (0 delivered, 1 refused), u32 count, then for each alert: u64 fingerprint, u8 told (1 firing, 2 resolved), u64 seq and u64 key of the firing transition |
//! | 3 | position | u64 highest seq accepted, u64 dropped, u32 count, u64 keys at that seq |
//! | 4 | settled | u32 count, u64 fingerprints of alerts of which nobody has to be told any more |
//!
//! A transition: u64 seq, u64 key, u8 kind (1 firing, 2 resolved), i64 time, text labels, text
//! annotations (both as `Labels::as_text`), f64 value (its bits), i64 active since, three optional
//! times (fired, resolved, kept firing since), text expression.
//! An optional time is u8 0, or u8 1 and an i64. A text is u32 length and UTF-8.
//!
//! The state is the fold of the records in order; a record that is short, too long, fails its
//! checksum or does not decode ends the file: it and what follows is cut off at open. A rewritten
//! file holds, in this order: one accepted record for each alert that is kept, the sent records,
//! one position. It gets its name after it was synced.

use crate::model::{Alert, AlertState, Labels, Seq, Timestamp, Transition, TransitionId, TransitionKind, limits};

/// The version that is written.
pub const OUTBOX_VERSION_WRITTEN: u32 = 1;
/// The oldest version that is read.
pub const OUTBOX_VERSION_READ_MIN: u32 = 1;

const MAGIC: &[u8; 8] = b"EVKOUTBX";
/// Bytes before the first record.
pub(crate) const HEADER_BYTES: usize = 16;
const FRAME_BYTES: usize = 8;

/// One record.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Record {
    /// Transitions that were taken, in the order of their ids.
    Accepted(Vec<Transition>),
    /// A message that was answered.
    Sent(Sent),
    /// Everything up to here is known.
    Position(Position),
    /// Alerts of which nobody has to be told any more.
    Settled(Vec<u64>),
}

/// A message that was answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sent {
    /// Who answered.
    pub(crate) target: u64,
    /// The group that the message was about.
    pub(crate) group: String,
    /// When.
    pub(crate) at: Timestamp,
    /// What was answered.
    pub(crate) answer: Answer,
    /// What the message told.
    pub(crate) told: Vec<(u64, Told)>,
}

/// How a receiver answered for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It took the message.
    Delivered,
    /// It will never take it.
    Refused,
}

/// What a receiver was last told of an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// That it fires, or that it is resolved.
    pub(crate) what: What,
    /// Which firing that was about.
    pub(crate) firing: TransitionId,
}

/// What is told of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// It fires.
    Firing,
    /// It does not fire any more.
    Resolved,
}

/// How far the log's decisions are known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Position {
    /// The highest place in the log of which a decision was taken.
    pub(crate) seq: Seq,
    /// The decisions known at that place.
    pub(crate) keys: Vec<u64>,
    /// Alerts given up because the outbox was full.
    pub(crate) dropped: u64,
}

/// The first bytes of a file.
pub(crate) fn header() -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&OUTBOX_VERSION_WRITTEN.to_le_bytes());
    bytes
}

/// What the first bytes of a file say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Header {
    /// A version that can be read.
    Readable,
    /// A version that cannot.
    Version(u32),
    /// Not an outbox.
    Foreign,
}

/// Looks at the first bytes of a file.
pub(crate) fn check_header(file: &[u8]) -> Header {
    let (Some(magic), Some(version)) = (file.get(..8), file.get(8..12)) else { return Header::Foreign };
    if magic != MAGIC {
        return Header::Foreign;
    }
    let version = version.iter().rev().fold(0, |n, byte| n << 8 | u32::from(*byte));
    if (OUTBOX_VERSION_READ_MIN..=OUTBOX_VERSION_WRITTEN).contains(&version) && file.len() >= HEADER_BYTES {
        Header::Readable
    } else {
        Header::Version(version)
    }
}

/// Appends a record with its frame.
pub(crate) fn write_record(out: &mut Vec<u8>, record: &Record) {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_BYTES]);
    match record {
        Record::Accepted(transitions) => {
            out.push(1);
            put_u32(out, transitions.len());
            transitions.iter().for_each(|t| put_transition(out, t));
        }
        Record::Sent(sent) => {
            out.push(2);
            put_u64(out, sent.target);
            put_text(out, &sent.group);
            put_time(out, sent.at);
            out.push(match sent.answer {
                Answer::Delivered => 0,
                Answer::Refused => 1,
            });
            put_u32(out, sent.told.len());
            for (alert, told) in &sent.told {
                put_u64(out, *alert);
                out.push(match told.what {
                    What::Firing => 1,
                    What::Resolved => 2,
                });
                put_u64(out, told.firing.seq.0);
                put_u64(out, told.firing.key);
            }
        }
        Record::Position(position) => {
            out.push(3);
            put_u64(out, position.seq.0);
            put_u64(out, position.dropped);
            put_u32(out, position.keys.len());
            position.keys.iter().for_each(|key| put_u64(out, *key));
        }
        Record::Settled(alerts) => {
            out.push(4);
            put_u32(out, alerts.len());
            alerts.iter().for_each(|alert| put_u64(out, *alert));
        }
    }
    let body = &out[start + FRAME_BYTES..];
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let crc = crc32fast::hash(body);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
}

/// Takes one record off the front. `None`: the end, or bytes that are not a record.
pub(crate) fn read_record(rest: &mut &[u8]) -> Option<Record> {
    let mut bytes = *rest;
    let length = take_u32(&mut bytes)? as usize;
    let crc = take_u32(&mut bytes)?;
    if length > limits::OUTBOX_RECORD_BYTES_MAX {
        return None;
    }
    let mut body = bytes.get(..length)?;
    if crc32fast::hash(body) != crc {
        return None;
    }
    let record = match take_u8(&mut body)? {
        1 => Record::Accepted(take_list(&mut body, 60, take_transition)?),
        2 => Record::Sent(Sent {
            target: take_u64(&mut body)?,
            group: take_text(&mut body)?.to_owned(),
            at: take_time(&mut body)?,
            answer: match take_u8(&mut body)? {
                0 => Answer::Delivered,
                1 => Answer::Refused,
                _ => return None,
            },
            told: take_list(&mut body, 25, take_told)?,
        }),
        3 => {
            let (seq, dropped) = (Seq(take_u64(&mut body)?), take_u64(&mut body)?);
            Record::Position(Position { seq, dropped, keys: take_list(&mut body, 8, take_u64)? })
        }
        4 => Record::Settled(take_list(&mut body, 8, take_u64)?),
        _ => return None,
    };
    *rest = &bytes[length..];
    body.is_empty().then_some(record)
}

fn put_transition(out: &mut Vec<u8>, t: &Transition) {
    put_u64(out, t.id.seq.0);
    put_u64(out, t.id.key);
    out.push(if t.kind == TransitionKind::Firing { 1 } else { 2 });
    put_time(out, t.at);
    put_text(out, t.alert.labels.as_text());
    put_text(out, t.alert.annotations.as_text());
    put_u64(out, t.alert.value.to_bits());
    put_time(out, t.alert.active_at);
    put_time_option(out, t.alert.fired_at);
    put_time_option(out, t.alert.resolved_at);
    put_time_option(out, t.alert.keep_firing_since);
    put_text(out, &t.alert.expr);
}

fn take_transition(rest: &mut &[u8]) -> Option<Transition> {
    let id = TransitionId { seq: Seq(take_u64(rest)?), key: take_u64(rest)? };
    let (kind, state) = match take_u8(rest)? {
        1 => (TransitionKind::Firing, AlertState::Firing),
        2 => (TransitionKind::Resolved, AlertState::Resolved),
        _ => return None,
    };
    let at = take_time(rest)?;
    let alert = Alert {
        labels: Labels::from_text(take_text(rest)?).ok()?,
        annotations: Labels::from_text(take_text(rest)?).ok()?,
        state,
        value: f64::from_bits(take_u64(rest)?),
        active_at: take_time(rest)?,
        fired_at: take_time_option(rest)?,
        resolved_at: take_time_option(rest)?,
        keep_firing_since: take_time_option(rest)?,
        expr: take_text(rest)?.to_owned(),
    };
    Some(Transition { id, kind, at, alert })
}

fn take_told(rest: &mut &[u8]) -> Option<(u64, Told)> {
    let alert = take_u64(rest)?;
    let what = match take_u8(rest)? {
        1 => What::Firing,
        2 => What::Resolved,
        _ => return None,
    };
    Some((alert, Told { what, firing: TransitionId { seq: Seq(take_u64(rest)?), key: take_u64(rest)? } }))
}

fn put_u32(out: &mut Vec<u8>, n: usize) {
    out.extend_from_slice(&u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes());
}

fn put_u64(out: &mut Vec<u8>, n: u64) {
    out.extend_from_slice(&n.to_le_bytes());
}

fn put_time(out: &mut Vec<u8>, t: Timestamp) {
    out.extend_from_slice(&t.0.to_le_bytes());
}

fn put_time_option(out: &mut Vec<u8>, t: Option<Timestamp>) {
    out.push(u8::from(t.is_some()));
    if let Some(t) = t {
        put_time(out, t);
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_u32(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

fn take_array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (array, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*array)
}

fn take_u8(rest: &mut &[u8]) -> Option<u8> {
    take_array::<1>(rest).map(|[byte]| byte)
}

fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    take_array(rest).map(u32::from_le_bytes)
}

fn take_u64(rest: &mut &[u8]) -> Option<u64> {
    take_array(rest).map(u64::from_le_bytes)
}

fn take_time(rest: &mut &[u8]) -> Option<Timestamp> {
    take_array(rest).map(|bytes| Timestamp(i64::from_le_bytes(bytes)))
}

fn take_time_option(rest: &mut &[u8]) -> Option<Option<Timestamp>> {
    match take_u8(rest)? {
        0 => Some(None),
        1 => take_time(rest).map(Some),
        _ => None,
    }
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let length = take_u32(rest)? as usize;
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after;
    std::str::from_utf8(text).ok()
}

/// A counted list; the count is believed only as far as `least` bytes for each can be there.
fn take_list<T>(rest: &mut &[u8], least: usize, mut take: impl FnMut(&mut &[u8]) -> Option<T>) -> Option<Vec<T>> {
    let count = take_u32(rest)? as usize;
    if count.checked_mul(least)? > rest.len() {
        return None;
    }
    (0..count).map(|_| take(rest)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Vec<Record> {
        let alert = Alert {
            labels: Labels::new([("alertname", "Down"), ("job", "é")]).unwrap(),
            annotations: Labels::new([("summary", "it is down")]).unwrap(),
            state: AlertState::Firing,
            value: f64::NAN,
            active_at: Timestamp(1),
            fired_at: Some(Timestamp(2)),
            resolved_at: None,
            keep_firing_since: None,
            expr: "up == 0".to_owned(),
        };
        let id = TransitionId { seq: Seq(7), key: 9 };
        let firing = Transition { id: id.clone(), kind: TransitionKind::Firing, at: Timestamp(2), alert };
        let told =
            vec![(5, Told { what: What::Firing, firing: id.clone() }), (6, Told { what: What::Resolved, firing: id })];
        vec![
            Record::Accepted(vec![firing.clone(), firing]),
            Record::Sent(Sent {
                target: 3,
                group: "{}:{}".to_owned(),
                at: Timestamp(-4),
                answer: Answer::Refused,
                told,
            }),
            Record::Position(Position { seq: Seq(8), keys: vec![1, 2], dropped: 3 }),
            Record::Settled(vec![4, 5]),
        ]
    }

    #[test]
    fn records_round_trip() {
        let mut bytes = Vec::new();
        records().iter().for_each(|record| write_record(&mut bytes, record));
        let mut rest = bytes.as_slice();
        let read: Vec<_> = std::iter::from_fn(|| read_record(&mut rest)).collect();
        // NaN is not equal to itself, so the texts are compared.
        assert_eq!(format!("{read:?}"), format!("{:?}", records()));
        assert!(rest.is_empty());
    }

    #[test]
    fn no_damaged_byte_is_believed() {
        for record in records() {
            let mut bytes = Vec::new();
            write_record(&mut bytes, &record);
            for cut in 0..bytes.len() {
                assert_eq!(read_record(&mut &bytes[..cut]), None, "cut at {cut}");
            }
            for at in 0..bytes.len() {
                let mut damaged = bytes.clone();
                damaged[at] ^= 0x10;
                assert_eq!(read_record(&mut damaged.as_slice()), None, "damaged at {at}");
            }
        }
    }

    #[test]
    fn headers_are_told_apart() {
        assert_eq!(check_header(&header()), Header::Readable);
        assert_eq!(check_header(b"EVKOUTBX\x09\0\0\0\0\0\0\0"), Header::Version(9));
        assert_eq!(check_header(b"something else entirely"), Header::Foreign);
        assert_eq!(check_header(b""), Header::Foreign);
    }
}
