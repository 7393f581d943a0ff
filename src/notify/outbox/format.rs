//! Byte layout of the outbox. `storage-format.md` describes it; change both together.
//!
//! Invariants:
//! - What was written reads back equal; no content makes reading panic, and no count is believed
//!   before its bytes are there.

use crate::codec::{Cursor, Damaged, checksum, put_maybe, put_signed, put_text, put_varint};
use crate::model::{Alert, AlertState, Labels, Seq, Timestamp, Transition, TransitionId, TransitionKind, limits};

/// The version that is written.
pub const OUTBOX_VERSION_WRITTEN: u32 = 1;
/// The oldest version that is read.
pub const OUTBOX_VERSION_READ_MIN: u32 = 1;

const MAGIC: [u8; 8] = *b"evkoutbx";
/// Bytes before the first record.
pub(crate) const HEADER_BYTES: usize = 16;
/// What every record begins with; reading on behind damage looks for it.
const RECORD_MAGIC: [u8; 4] = [0xe7, b'E', b'K', 0x0b];
/// Bytes of a record before its content.
const RECORD_HEADER_BYTES: usize = 16;

const ACCEPTED: u8 = 1;
const SENT: u8 = 2;
const POSITION: u8 = 3;
const SETTLED: u8 = 4;

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

/// The first bytes of a file: magic, version, checksum.
pub(crate) fn header() -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&OUTBOX_VERSION_WRITTEN.to_le_bytes());
    let crc = checksum(&[&bytes[..12]]);
    bytes[12..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// What the first bytes of a file say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Header {
    /// A version that can be read.
    Readable,
    /// A whole header of a version that cannot.
    Version(u32),
    /// No whole header.
    Damaged,
}

/// Looks at the first bytes of a file.
pub(crate) fn check_header(file: &[u8]) -> Header {
    let mut from = Cursor::new(file);
    let (Ok(magic), Ok(version), Ok(crc)) = (from.array::<8>(), from.u32(), from.u32()) else {
        return Header::Damaged;
    };
    if magic != MAGIC || crc != checksum(&[&file[..12]]) {
        Header::Damaged
    } else if (OUTBOX_VERSION_READ_MIN..=OUTBOX_VERSION_WRITTEN).contains(&version) {
        Header::Readable
    } else {
        Header::Version(version)
    }
}

/// Appends a record: magic, checksum of all that follows, length of the content, kind, zeros, content.
pub(crate) fn write_record(out: &mut Vec<u8>, record: &Record) {
    let start = out.len();
    out.extend(RECORD_MAGIC);
    out.extend([0; RECORD_HEADER_BYTES - 4]);
    out[start + 12] = put_content(out, record);
    let content = start + RECORD_HEADER_BYTES;
    let length = u32::try_from(out.len() - content).unwrap_or(u32::MAX);
    out[start + 8..start + 12].copy_from_slice(&length.to_le_bytes());
    let crc = checksum(&[&out[start + 8..]]);
    out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
}

/// Appends a record's content and gives its kind.
fn put_content(out: &mut Vec<u8>, record: &Record) -> u8 {
    match record {
        Record::Accepted(transitions) => {
            put_varint(out, transitions.len() as u64);
            transitions.iter().for_each(|t| put_transition(out, t));
            ACCEPTED
        }
        Record::Sent(sent) => {
            put_fixed(out, sent.target);
            put_text(out, &sent.group);
            put_signed(out, sent.at.0);
            out.push(match sent.answer {
                Answer::Delivered => 0,
                Answer::Refused => 1,
            });
            put_varint(out, sent.told.len() as u64);
            for (alert, told) in &sent.told {
                put_fixed(out, *alert);
                out.push(match told.what {
                    What::Firing => 1,
                    What::Resolved => 2,
                });
                put_id(out, &told.firing);
            }
            SENT
        }
        Record::Position(position) => {
            put_varint(out, position.seq.0);
            put_varint(out, position.dropped);
            put_varint(out, position.keys.len() as u64);
            position.keys.iter().for_each(|key| put_fixed(out, *key));
            POSITION
        }
        Record::Settled(alerts) => {
            put_varint(out, alerts.len() as u64);
            alerts.iter().for_each(|alert| put_fixed(out, *alert));
            SETTLED
        }
    }
}

/// The records of a file, and what lies between them.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Scan {
    /// The whole records, in order.
    pub(crate) records: Vec<Record>,
    /// Bytes that are no whole record, with whole ones behind them or no whole header before them.
    pub(crate) damaged: usize,
    /// Where the last whole record ends; behind it there is at most a torn one.
    pub(crate) end: usize,
}

/// Reads all records of a file.
pub(crate) fn scan(file: &[u8]) -> Scan {
    let mut found = Scan::default();
    let whole = check_header(file) != Header::Damaged;
    let mut at = if whole { HEADER_BYTES } else { 0 };
    found.end = at;
    while let Some(offset) = file.get(at..).and_then(find_magic) {
        at += offset;
        match take_record(&file[at..]) {
            Some((record, length)) => {
                found.damaged += at - found.end;
                found.records.push(record);
                at += length;
                found.end = at;
            }
            None => at += 1,
        }
    }
    if !whole && found.records.is_empty() {
        (found.damaged, found.end) = (file.len(), file.len());
    }
    found
}

fn find_magic(bytes: &[u8]) -> Option<usize> {
    bytes.windows(RECORD_MAGIC.len()).position(|window| window == RECORD_MAGIC)
}

/// The record at the beginning of `bytes` and its length, if a whole and undamaged one stands there.
fn take_record(bytes: &[u8]) -> Option<(Record, usize)> {
    let mut from = Cursor::new(bytes);
    if from.array::<4>().ok()? != RECORD_MAGIC {
        return None;
    }
    let (crc, length) = (from.u32().ok()?, from.u32().ok()? as usize);
    let end = RECORD_HEADER_BYTES + length;
    if length > limits::OUTBOX_RECORD_BYTES_MAX || crc != checksum(&[bytes.get(8..end)?]) {
        return None;
    }
    let record = take_content(bytes[12], &mut Cursor::new(&bytes[RECORD_HEADER_BYTES..end])).ok()?;
    Some((record, end))
}

fn take_content(kind: u8, from: &mut Cursor<'_>) -> Result<Record, Damaged> {
    let record = match kind {
        ACCEPTED => Record::Accepted(take_list(from, take_transition)?),
        SENT => Record::Sent(Sent {
            target: from.u64()?,
            group: from.text()?.to_owned(),
            at: Timestamp(from.signed()?),
            answer: match from.u8()? {
                0 => Answer::Delivered,
                1 => Answer::Refused,
                _ => return Err(Damaged("an answer is unknown")),
            },
            told: take_list(from, take_told)?,
        }),
        POSITION => Record::Position(Position {
            seq: Seq(from.varint()?),
            dropped: from.varint()?,
            keys: take_list(from, Cursor::u64)?,
        }),
        SETTLED => Record::Settled(take_list(from, Cursor::u64)?),
        _ => return Err(Damaged("the kind of a record is unknown")),
    };
    from.end()?;
    Ok(record)
}

fn put_transition(out: &mut Vec<u8>, t: &Transition) {
    put_id(out, &t.id);
    out.push(if t.kind == TransitionKind::Firing { 1 } else { 2 });
    put_signed(out, t.at.0);
    put_text(out, t.alert.labels.as_text());
    put_text(out, t.alert.annotations.as_text());
    put_fixed(out, t.alert.value.to_bits());
    put_signed(out, t.alert.active_at.0);
    for time in [t.alert.fired_at, t.alert.resolved_at, t.alert.keep_firing_since] {
        put_maybe(out, time.map(|t| t.0));
    }
    put_text(out, &t.alert.expr);
}

fn take_transition(from: &mut Cursor<'_>) -> Result<Transition, Damaged> {
    let id = take_id(from)?;
    let (kind, state) = match from.u8()? {
        1 => (TransitionKind::Firing, AlertState::Firing),
        2 => (TransitionKind::Resolved, AlertState::Resolved),
        _ => return Err(Damaged("the kind of a transition is unknown")),
    };
    let at = Timestamp(from.signed()?);
    let alert = Alert {
        labels: take_labels(from)?,
        annotations: take_labels(from)?,
        state,
        value: from.f64()?,
        active_at: Timestamp(from.signed()?),
        fired_at: from.maybe()?.map(Timestamp),
        resolved_at: from.maybe()?.map(Timestamp),
        keep_firing_since: from.maybe()?.map(Timestamp),
        expr: from.text()?.to_owned(),
    };
    Ok(Transition { id, kind, at, alert })
}

fn take_told(from: &mut Cursor<'_>) -> Result<(u64, Told), Damaged> {
    let alert = from.u64()?;
    let what = match from.u8()? {
        1 => What::Firing,
        2 => What::Resolved,
        _ => return Err(Damaged("what was told is unknown")),
    };
    Ok((alert, Told { what, firing: take_id(from)? }))
}

fn put_id(out: &mut Vec<u8>, id: &TransitionId) {
    put_varint(out, id.seq.0);
    put_fixed(out, id.key);
}

fn take_id(from: &mut Cursor<'_>) -> Result<TransitionId, Damaged> {
    Ok(TransitionId { seq: Seq(from.varint()?), key: from.u64()? })
}

/// Hashes and bit patterns are long whatever their value, so they stand in eight bytes.
fn put_fixed(out: &mut Vec<u8>, n: u64) {
    out.extend_from_slice(&n.to_le_bytes());
}

fn take_labels(from: &mut Cursor<'_>) -> Result<Labels, Damaged> {
    Labels::from_text(from.text()?).map_err(|_| Damaged("labels are not in their canonical form"))
}

fn take_list<'a, T>(
    from: &mut Cursor<'a>,
    take: impl Fn(&mut Cursor<'a>) -> Result<T, Damaged>,
) -> Result<Vec<T>, Damaged> {
    (0..from.length()?).map(|_| take(from)).collect()
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

    fn file() -> Vec<u8> {
        let mut bytes = header().to_vec();
        records().iter().for_each(|record| write_record(&mut bytes, record));
        bytes
    }

    /// NaN is not equal to itself, so texts are compared.
    fn texts(records: &[Record]) -> Vec<String> {
        records.iter().map(|record| format!("{record:?}")).collect()
    }

    #[test]
    fn records_come_back() {
        let (bytes, records) = (file(), texts(&records()));
        let found = scan(&bytes);
        assert_eq!((texts(&found.records), found.damaged, found.end), (records.clone(), 0, bytes.len()));
        for cut in HEADER_BYTES..bytes.len() {
            let found = scan(&bytes[..cut]);
            assert_eq!(texts(&found.records), records[..found.records.len()], "cut at {cut}");
            assert!(found.records.len() < records.len() && found.damaged == 0, "cut at {cut}");
        }
    }

    #[test]
    fn a_damaged_byte_costs_at_most_its_record() {
        let (bytes, records) = (file(), texts(&records()));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            let found = scan(&damaged);
            let kept = texts(&found.records);
            let lost = records.iter().filter(|record| !kept.contains(record)).count();
            assert!(lost == usize::from(at >= HEADER_BYTES), "byte {at}: {lost} records lost");
            assert!(found.damaged > 0 || found.end < bytes.len(), "byte {at} is noticed");
        }
    }

    #[test]
    fn headers_are_told_apart() {
        assert_eq!(check_header(&header()), Header::Readable);
        let mut newer = header();
        newer[8] = 9;
        assert_eq!(check_header(&newer), Header::Damaged);
        let crc = checksum(&[&newer[..12]]);
        newer[12..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(check_header(&newer), Header::Version(9));
        assert_eq!(check_header(b"something else entirely"), Header::Damaged);
        assert_eq!(scan(b"something else entirely").damaged, 23);
        assert_eq!(check_header(b""), Header::Damaged);
    }

    proptest::proptest! {
        #[test]
        fn garbage_never_panics(kind in 0u8..6, bytes in proptest::collection::vec(proptest::arbitrary::any::<u8>(), 0..200)) {
            let _ = take_content(kind, &mut Cursor::new(&bytes));
            let _ = scan(&bytes);
        }
    }
}
