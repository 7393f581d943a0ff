//! Byte layout of the record of alerts and episodes. `storage-format.md` describes it; change both together.
//!
//! Invariants:
//! - What was written reads back equal; no content makes reading panic, and no count is believed before its
//!   bytes are there.
//! - Damage costs the records that it hits and no other.

use memchr::memmem;

use crate::codec::{Cursor, Damaged, checksum, put_maybe, put_signed, put_text, put_varint};
use crate::confidence::{Deploy, FiredAlert, FiredId, KnownEpisode, Outcome, OutcomeLabel, ToldTo, Urgency};
use crate::model::{Labels, Seq, TimeRange, Timestamp};
use crate::slo::{Counted, CounterQuery, Episode, Grounds, GroupShare, Side, Spending, Suffered};

use super::Decided;

/// What every record begins with; then comes a digit, the version. Reading on behind damage looks for it.
const RECORD_MAGIC: [u8; 7] = *b"\xe7EKepis";
/// The version that is written. In version 1 episodes say nothing of groups.
const VERSION: u8 = b'2';
const VERSION_WITHOUT_GROUPS: u8 = b'1';
/// Bytes of a record before its content: the magic, the length, the checksum.
const RECORD_HEADER_BYTES: usize = 16;

const ALERT: u8 = 1;
const EPISODE: u8 = 2;
const DECIDED: u8 = 3;

/// What a record says: how an alert, or an episode, is now.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Entry {
    Alert(Box<FiredAlert>),
    Episode(Box<KnownEpisode>),
    /// By what one of them was decided.
    Decided(FiredId, Box<Decided>),
}

/// Appends a record with this content to `out`.
pub(super) fn write(out: &mut Vec<u8>, content: &[u8]) {
    let length = (content.len() as u32).to_le_bytes();
    out.extend_from_slice(&RECORD_MAGIC);
    out.push(VERSION);
    out.extend_from_slice(&length);
    out.extend_from_slice(&checksum(&[&length, content]).to_le_bytes());
    out.extend_from_slice(content);
}

/// What a file holds.
pub(super) struct Contents {
    pub(super) entries: Vec<Entry>,
    /// Bytes that belong to no sound record.
    pub(super) damaged: usize,
}

/// Reads a file, passing over what is damaged.
pub(super) fn read(bytes: &[u8]) -> Contents {
    let mut contents = Contents { entries: Vec::new(), damaged: 0 };
    let mut at = 0;
    while at < bytes.len() {
        match record(&bytes[at..]).and_then(|(version, content)| Some((content.len(), entry(version, content).ok()?))) {
            Some((length, entry)) => {
                contents.entries.push(entry);
                at += RECORD_HEADER_BYTES + length;
            }
            None => {
                let next = memmem::find(&bytes[at + 1..], &RECORD_MAGIC).map_or(bytes.len(), |found| at + 1 + found);
                contents.damaged += next - at;
                at = next;
            }
        }
    }
    contents
}

/// The version and the content of the record that `bytes` begin with.
fn record(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let mut from = Cursor::new(bytes);
    if from.array::<7>().ok()? != RECORD_MAGIC {
        return None;
    }
    let version = from.u8().ok().filter(|version| [VERSION, VERSION_WITHOUT_GROUPS].contains(version))?;
    let (length, expected) = (from.array::<4>().ok()?, from.u32().ok()?);
    let content = from.bytes(u32::from_le_bytes(length) as usize).ok()?;
    (checksum(&[&length, content]) == expected).then_some((version, content))
}

/// The content of an alert's record.
pub(super) fn alert(alert: &FiredAlert) -> Vec<u8> {
    let mut out = vec![ALERT];
    out.extend_from_slice(&alert.id.0.to_le_bytes());
    put_text(&mut out, alert.labels.as_text());
    put_text(&mut out, &alert.summary);
    put_signed(&mut out, alert.at.0);
    put_maybe(&mut out, alert.ended.map(|t| t.0));
    out.push(alert.urgency as u8);
    put_varint(&mut out, alert.about.len() as u64);
    for (service, objective) in &alert.about {
        put_text(&mut out, service);
        put_text(&mut out, objective);
    }
    put_varint(&mut out, alert.spent.len() as u64);
    for spending in &alert.spent {
        put_text(&mut out, &spending.service);
        put_text(&mut out, &spending.objective);
        put_text(&mut out, spending.group.as_text());
        put_signed(&mut out, spending.since.0);
        put_float(&mut out, spending.spent);
    }
    put_varint(&mut out, alert.told.len() as u64);
    for told in &alert.told {
        put_text(&mut out, &told.receiver);
        put_signed(&mut out, told.at.0);
    }
    out.push(u8::from(alert.outcome.is_some()));
    if let Some(outcome) = &alert.outcome {
        out.push(outcome.label as u8);
        put_text(&mut out, &outcome.by);
        put_signed(&mut out, outcome.at.0);
        put_text(&mut out, &outcome.note);
    }
    out
}

/// The content of an episode's record.
pub(super) fn episode(known: &KnownEpisode) -> Vec<u8> {
    let episode = &known.episode;
    let mut out = vec![EPISODE];
    out.extend_from_slice(&known.id.0.to_le_bytes());
    put_text(&mut out, &episode.service);
    put_text(&mut out, &episode.objective);
    put_text(&mut out, episode.group.as_text());
    put_signed(&mut out, episode.start.0);
    put_signed(&mut out, episode.last.0);
    out.push(u8::from(episode.over));
    for number in [episode.bad, episode.total, episode.burn, episode.spent] {
        put_float(&mut out, number);
    }
    out.push(u8::from(episode.watched));
    put_varint(&mut out, known.deploys.len() as u64);
    for deploy in &known.deploys {
        put_text(&mut out, &deploy.service);
        put_text(&mut out, &deploy.version);
        put_signed(&mut out, deploy.at.0);
    }
    put_varint(&mut out, episode.suffered.groups.len() as u64);
    for share in &episode.suffered.groups {
        put_text(&mut out, share.group.as_text());
        [share.bad, share.total, share.share].into_iter().for_each(|number| put_float(&mut out, number));
    }
    put_varint(&mut out, episode.suffered.others as u64);
    out
}

/// The content of a record that says by what an alert or an episode was decided.
pub(super) fn decided(id: FiredId, decided: &Decided) -> Vec<u8> {
    let mut out = vec![DECIDED];
    out.extend_from_slice(&id.0.to_le_bytes());
    put_varint(&mut out, decided.seq.0);
    put_signed(&mut out, decided.seen.0);
    put_float(&mut out, decided.value);
    for text in [&decided.query, &decided.definition, &decided.configuration, &decided.version] {
        put_text(&mut out, text);
    }
    out.push(u8::from(decided.grounds.is_some()));
    let Some(grounds) = &decided.grounds else { return out };
    put_float(&mut out, grounds.budget);
    out.push(u8::from(grounds.threshold.is_some()));
    grounds.threshold.into_iter().for_each(|threshold| put_float(&mut out, threshold));
    put_varint(&mut out, grounds.windows.len() as u64);
    for window in &grounds.windows {
        put_text(&mut out, &window.of);
        put_signed(&mut out, window.range.after.0);
        put_signed(&mut out, window.range.until.0);
        put_float(&mut out, window.bad);
        put_float(&mut out, window.total);
        put_varint(&mut out, window.counters.len() as u64);
        for counter in &window.counters {
            out.push(counter.side as u8);
            out.push(u8::from(counter.subtracted));
            put_text(&mut out, &counter.query);
        }
        put_text(&mut out, window.beyond.as_deref().unwrap_or_default());
    }
    out
}

fn put_float(out: &mut Vec<u8>, v: f64) {
    out.extend(v.to_bits().to_le_bytes());
}

/// What a record's content says.
fn entry(version: u8, content: &[u8]) -> Result<Entry, Damaged> {
    let mut from = Cursor::new(content);
    let entry = match from.u8()? {
        ALERT => Entry::Alert(Box::new(take_alert(&mut from)?)),
        EPISODE => Entry::Episode(Box::new(take_episode(&mut from, version)?)),
        DECIDED => {
            let id = FiredId(u64::from_le_bytes(from.array()?));
            Entry::Decided(id, Box::new(take_decided(&mut from)?))
        }
        _ => return Err(Damaged("a record is neither an alert nor an episode, nor says by what one was decided")),
    };
    from.end()?;
    Ok(entry)
}

fn take_alert(from: &mut Cursor<'_>) -> Result<FiredAlert, Damaged> {
    let id = FiredId(u64::from_le_bytes(from.array()?));
    let (labels, summary) = (take_labels(from)?, from.text()?.to_owned());
    let (at, ended) = (Timestamp(from.signed()?), from.maybe()?.map(Timestamp));
    let urgency = from.u8()?;
    let urgency = Urgency::ALL.into_iter().find(|known| *known as u8 == urgency);
    let (mut about, mut spent, mut told) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..from.length()? {
        about.push((from.text()?.to_owned(), from.text()?.to_owned()));
    }
    for _ in 0..from.length()? {
        let (service, objective) = (from.text()?.to_owned(), from.text()?.to_owned());
        let (group, since) = (take_labels(from)?, Timestamp(from.signed()?));
        spent.push(Spending { service, objective, group, since, spent: from.f64()? });
    }
    for _ in 0..from.length()? {
        told.push(ToldTo { receiver: from.text()?.to_owned(), at: Timestamp(from.signed()?) });
    }
    let outcome = if take_mark(from)? {
        let label = from.u8()?;
        let label = OutcomeLabel::ALL.into_iter().find(|known| *known as u8 == label);
        let label = label.ok_or(Damaged("an outcome is none of the five words"))?;
        let (by, at) = (from.text()?.to_owned(), Timestamp(from.signed()?));
        Some(Outcome { label, by, at, note: from.text()?.to_owned() })
    } else {
        None
    };
    let urgency = urgency.ok_or(Damaged("an urgency is none of the three"))?;
    Ok(FiredAlert { id, labels, summary, at, ended, urgency, about, spent, told, outcome })
}

fn take_episode(from: &mut Cursor<'_>, version: u8) -> Result<KnownEpisode, Damaged> {
    let id = FiredId(u64::from_le_bytes(from.array()?));
    let mut episode = Episode {
        service: from.text()?.to_owned(),
        objective: from.text()?.to_owned(),
        group: take_labels(from)?,
        start: Timestamp(from.signed()?),
        last: Timestamp(from.signed()?),
        over: take_mark(from)?,
        bad: from.f64()?,
        total: from.f64()?,
        burn: from.f64()?,
        spent: from.f64()?,
        watched: take_mark(from)?,
        suffered: Suffered::default(),
    };
    let mut deploys = Vec::new();
    for _ in 0..from.length()? {
        let (service, version) = (from.text()?.to_owned(), from.text()?.to_owned());
        deploys.push(Deploy { service, version, at: Timestamp(from.signed()?) });
    }
    if version != VERSION_WITHOUT_GROUPS {
        for _ in 0..from.length()? {
            let group = take_labels(from)?;
            let (bad, total, share) = (from.f64()?, from.f64()?, from.f64()?);
            episode.suffered.groups.push(GroupShare { group, bad, total, share });
        }
        episode.suffered.others = usize::try_from(from.varint()?).unwrap_or(usize::MAX);
    }
    Ok(KnownEpisode { id, episode, deploys })
}

fn take_decided(from: &mut Cursor<'_>) -> Result<Decided, Damaged> {
    let (seq, seen, value) = (Seq(from.varint()?), Timestamp(from.signed()?), from.f64()?);
    let mut text = || Ok::<_, Damaged>(from.text()?.to_owned());
    let (query, definition, configuration, version) = (text()?, text()?, text()?, text()?);
    let grounds = if take_mark(from)? { Some(take_grounds(from)?) } else { None };
    Ok(Decided { seq, seen, value, query, definition, configuration, version, grounds })
}

fn take_grounds(from: &mut Cursor<'_>) -> Result<Grounds, Damaged> {
    let budget = from.f64()?;
    let threshold = if take_mark(from)? { Some(from.f64()?) } else { None };
    let mut windows = Vec::new();
    for _ in 0..from.length()? {
        let of = from.text()?.to_owned();
        let range = TimeRange { after: Timestamp(from.signed()?), until: Timestamp(from.signed()?) };
        let (bad, total) = (from.f64()?, from.f64()?);
        let mut counters = Vec::new();
        for _ in 0..from.length()? {
            let side = from.u8()?;
            let side = Side::ALL.into_iter().find(|known| *known as u8 == side);
            let side = side.ok_or(Damaged("a counter counts neither bad events, nor good ones, nor all"))?;
            counters.push(CounterQuery { side, subtracted: take_mark(from)?, query: from.text()?.to_owned() });
        }
        let beyond = Some(from.text()?.to_owned()).filter(|reason| !reason.is_empty());
        windows.push(Counted { of, range, bad, total, counters, beyond });
    }
    Ok(Grounds { budget, threshold, windows })
}

fn take_labels(from: &mut Cursor<'_>) -> Result<Labels, Damaged> {
    Labels::from_text(from.text()?).map_err(|_| Damaged("labels are not in their canonical form"))
}

fn take_mark(from: &mut Cursor<'_>) -> Result<bool, Damaged> {
    match from.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Damaged("a mark is neither 0 nor 1")),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::decided as decided_content;
    use super::*;

    pub(crate) fn fired(at: i64) -> FiredAlert {
        let labels = Labels::new([("alertname", "A"), ("service", "é")]).unwrap();
        let group = group("/pay");
        FiredAlert {
            id: FiredId::of(&labels, Timestamp(at)),
            labels,
            summary: "burns".to_owned(),
            at: Timestamp(at),
            ended: None,
            urgency: Urgency::Ticket,
            about: vec![("é".to_owned(), "answers".to_owned())],
            spent: vec![Spending {
                service: "é".to_owned(),
                objective: "answers".to_owned(),
                group,
                since: Timestamp(at - 9),
                spent: 0.25,
            }],
            told: vec![ToldTo { receiver: "on-call".to_owned(), at: Timestamp(at + 1) }],
            outcome: Some(Outcome {
                label: OutcomeLabel::TooLate,
                by: "ann".to_owned(),
                at: Timestamp(at + 7),
                note: String::new(),
            }),
        }
    }

    fn group(route: &str) -> Labels {
        Labels::new([("route", route)]).unwrap()
    }

    pub(crate) fn decided(at: i64) -> Decided {
        let counter =
            |side, subtracted| CounterQuery { side, subtracted, query: "sum(increase(x[1h] anchored))".into() };
        let window = Counted {
            of: "é/answers".to_owned(),
            range: TimeRange { after: Timestamp(at - 9), until: Timestamp(at) },
            bad: 3.0,
            total: 9.5,
            counters: vec![counter(Side::Good, false), counter(Side::Total, true)],
            beyond: Some("slices".to_owned()),
        };
        let windows = vec![window.clone(), Counted { beyond: None, counters: Vec::new(), ..window }];
        Decided {
            seq: Seq(77),
            seen: Timestamp(at),
            value: f64::INFINITY,
            query: "x > 1".to_owned(),
            definition: "d".to_owned(),
            configuration: "c".to_owned(),
            version: "0.1.0".to_owned(),
            grounds: Some(Grounds { budget: 0.001, threshold: Some(14.4), windows }),
        }
    }

    pub(crate) fn known(start: i64) -> KnownEpisode {
        let episode = Episode {
            service: "é".to_owned(),
            objective: "answers".to_owned(),
            group: Labels::empty(),
            start: Timestamp(start),
            last: Timestamp(start + 5),
            over: true,
            bad: 3.0,
            total: 9.0,
            burn: f64::INFINITY,
            spent: 0.5,
            watched: false,
            suffered: Suffered {
                groups: vec![GroupShare { group: group("/pay"), bad: 2.0, total: 4.0, share: 0.625 }],
                others: 3,
            },
        };
        let deploys = vec![Deploy { service: "é".to_owned(), version: "v2".to_owned(), at: Timestamp(start - 1) }];
        KnownEpisode { id: FiredId::of_episode(&episode), episode, deploys }
    }

    #[test]
    fn records_read_back_and_damage_costs_only_what_it_hits() {
        let bare = FiredAlert { ended: Some(Timestamp(3)), told: Vec::new(), outcome: None, ..fired(-5) };
        let by = |at| Entry::Decided(fired(at).id, Box::new(decided(at)));
        let plain = Decided { grounds: None, ..decided(3) };
        let plain = Entry::Decided(known(-100).id, Box::new(plain));
        let all = [
            Entry::Alert(Box::new(fired(7))),
            Entry::Episode(Box::new(known(-100))),
            Entry::Alert(Box::new(bare)),
            by(7),
            plain,
        ];
        let mut bytes = Vec::new();
        let mut ends = Vec::new();
        for one in &all {
            let content = match one {
                Entry::Alert(one) => alert(one),
                Entry::Episode(one) => episode(one),
                Entry::Decided(id, one) => decided_content(*id, one),
            };
            write(&mut bytes, &content);
            ends.push(bytes.len());
        }
        let whole = read(&bytes);
        assert_eq!((whole.entries, whole.damaged), (all.to_vec(), 0));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            let hit = ends.iter().position(|end| at < *end).unwrap();
            let left: Vec<_> = (0..all.len()).filter(|n| *n != hit).map(|n| all[n].clone()).collect();
            let found = read(&damaged);
            assert_eq!(found.entries, left, "byte {at}");
            assert!(found.damaged > 0);
            let cut = read(&bytes[..at]);
            assert_eq!(cut.entries, all[..ends.iter().filter(|end| **end <= at).count()], "cut at {at}");
        }
    }

    #[test]
    fn records_of_version_1_are_read_and_know_no_groups() {
        let mut content = episode(&known(5));
        // One group: its count, labels, three numbers; how many others.
        let groups = 1 + 1 + group("/pay").as_text().len() + 3 * 8 + 1;
        content.truncate(content.len() - groups);
        let length = (content.len() as u32).to_le_bytes();
        let mut bytes = b"\xe7EKepis1".to_vec();
        bytes.extend_from_slice(&length);
        bytes.extend_from_slice(&checksum(&[&length, &content]).to_le_bytes());
        bytes.extend_from_slice(&content);
        write(&mut bytes, &episode(&known(9)));
        let found = read(&bytes);
        let mut old = known(5);
        old.episode.suffered = Suffered::default();
        assert_eq!(found.damaged, 0);
        assert_eq!(found.entries, [Entry::Episode(Box::new(old)), Entry::Episode(Box::new(known(9)))]);
    }
}
