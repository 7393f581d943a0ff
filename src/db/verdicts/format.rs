//! Byte layout of the record of verdicts. `storage-format.md` describes it; change both together.
//!
//! Invariants:
//! - What was written reads back equal; no content makes reading panic, and no count is believed before its
//!   bytes are there.
//! - Damage costs the judgements that it hits and no other.

use memchr::memmem;

use crate::codec::{Cursor, Damaged, checksum, put_signed, put_text, put_varint};
use crate::confidence::{Fact, Judgement, Reason, ServiceJudgement, Verdict};
use crate::model::{Timestamp, limits};

/// What every record begins with; the last digit is the version. Reading on behind damage looks for it.
const RECORD_MAGIC: [u8; 8] = *b"\xe7EKverd1";
/// Bytes of a record before its content: the magic, the length, the checksum.
const RECORD_HEADER_BYTES: usize = 16;

/// Appends a record with this content to `out`.
pub(super) fn write(out: &mut Vec<u8>, content: &[u8]) {
    let length = (content.len() as u32).to_le_bytes();
    out.extend_from_slice(&RECORD_MAGIC);
    out.extend_from_slice(&length);
    out.extend_from_slice(&checksum(&[&length, content]).to_le_bytes());
    out.extend_from_slice(content);
}

/// What a file holds.
pub(super) struct Contents {
    /// The content of each record, with the judgement that it is.
    pub(super) records: Vec<(Vec<u8>, Judgement)>,
    /// Bytes that belong to no sound record.
    pub(super) damaged: usize,
}

/// Reads a file, passing over what is damaged.
pub(super) fn read(bytes: &[u8]) -> Contents {
    let mut contents = Contents { records: Vec::new(), damaged: 0 };
    let mut at = 0;
    while at < bytes.len() {
        match record(&bytes[at..]).and_then(|content| Some((content, judgement(content).ok()?))) {
            Some((content, judgement)) => {
                contents.records.push((content.to_vec(), judgement));
                at += RECORD_HEADER_BYTES + content.len();
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

/// The content of the record that `bytes` begin with.
fn record(bytes: &[u8]) -> Option<&[u8]> {
    let mut from = Cursor::new(bytes);
    if from.array::<8>().ok()? != RECORD_MAGIC {
        return None;
    }
    let (length, expected) = (from.array::<4>().ok()?, from.u32().ok()?);
    let content = from.bytes(u32::from_le_bytes(length) as usize).ok()?;
    (checksum(&[&length, content]) == expected).then_some(content)
}

/// The content of a judgement's record.
pub(super) fn content(judgement: &Judgement) -> Vec<u8> {
    let mut out = Vec::new();
    put_signed(&mut out, judgement.at.0);
    put_verdict(&mut out, judgement.overall);
    put_facts(&mut out, &judgement.proof);
    let services = &judgement.services[..judgement.services.len().min(limits::VERDICT_LIST_MAX)];
    put_varint(&mut out, services.len() as u64);
    for service in services {
        put_text(&mut out, &service.service);
        put_verdict(&mut out, service.verdict);
        put_facts(&mut out, &service.proof);
    }
    let reasons = &judgement.reasons[..judgement.reasons.len().min(limits::VERDICT_LIST_MAX)];
    put_varint(&mut out, reasons.len() as u64);
    for reason in reasons {
        put_verdict(&mut out, reason.verdict);
        put_text(&mut out, reason.service.as_deref().unwrap_or_default());
        for text in [&reason.code, &reason.subject, &reason.text] {
            put_text(&mut out, text);
        }
        put_signed(&mut out, reason.since.0);
        put_text(&mut out, reason.query.as_deref().unwrap_or_default());
        put_facts(&mut out, &reason.evidence);
    }
    out
}

/// The judgement that a record's content is.
pub(super) fn judgement(content: &[u8]) -> Result<Judgement, Damaged> {
    let mut from = Cursor::new(content);
    let (at, overall) = (Timestamp(from.signed()?), take_verdict(&mut from)?);
    let proof = take_facts(&mut from)?;
    let mut services = Vec::new();
    for _ in 0..from.length()? {
        let (service, verdict) = (from.text()?.to_owned(), take_verdict(&mut from)?);
        services.push(ServiceJudgement { service, verdict, reasons: Vec::new(), proof: take_facts(&mut from)? });
    }
    let mut reasons = Vec::new();
    for _ in 0..from.length()? {
        let verdict = take_verdict(&mut from)?;
        let mut text = || from.text().map(str::to_owned);
        let (service, code, subject, text) = (text()?, text()?, text()?, text()?);
        let since = Timestamp(from.signed()?);
        let query = from.text()?.to_owned();
        let [service, query] = [service, query].map(|text| (!text.is_empty()).then_some(text));
        reasons.push(Reason { verdict, service, code, subject, text, since, query, evidence: take_facts(&mut from)? });
    }
    from.end()?;
    for service in &mut services {
        let own = reasons.iter().filter(|reason| reason.service.as_ref() == Some(&service.service));
        service.reasons = own.cloned().collect();
    }
    Ok(Judgement { at, overall, reasons, services, proof })
}

fn put_verdict(out: &mut Vec<u8>, verdict: Verdict) {
    out.push(verdict.exit_code());
}

fn take_verdict(from: &mut Cursor<'_>) -> Result<Verdict, Damaged> {
    let code = from.u8()?;
    let known = Verdict::BY_PRECEDENCE.into_iter().find(|verdict| verdict.exit_code() == code);
    known.ok_or(Damaged("a verdict is none of the four words"))
}

fn put_facts(out: &mut Vec<u8>, facts: &[Fact]) {
    put_varint(out, facts.len() as u64);
    for fact in facts {
        put_text(out, &fact.name);
        put_text(out, &fact.value);
    }
}

fn take_facts(from: &mut Cursor<'_>) -> Result<Vec<Fact>, Damaged> {
    (0..from.length()?).map(|_| Ok(Fact { name: from.text()?.to_owned(), value: from.text()?.to_owned() })).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn some(at: i64, overall: Verdict) -> Judgement {
        let fact = |name: &str| Fact { name: name.to_owned(), value: "é".to_owned() };
        let reason = |service: Option<&str>| Reason {
            verdict: overall,
            service: service.map(str::to_owned),
            code: "burning".to_owned(),
            subject: "availability".to_owned(),
            text: "burns".to_owned(),
            since: Timestamp(at - 5),
            query: service.map(|_| "up".to_owned()),
            evidence: vec![fact("n")],
        };
        let reasons = vec![reason(Some("shop")), reason(None)];
        let service = ServiceJudgement {
            service: "shop".to_owned(),
            verdict: overall,
            reasons: vec![reason(Some("shop"))],
            proof: vec![fact("measured")],
        };
        Judgement { at: Timestamp(at), overall, reasons, services: vec![service], proof: vec![fact("rules")] }
    }

    #[test]
    fn judgements_read_back_and_damage_costs_only_what_it_hits() {
        let all = [some(-7, Verdict::Ok), some(9, Verdict::Blind), some(11, Verdict::Hurting)];
        let mut bytes = Vec::new();
        let mut ends = Vec::new();
        for one in &all {
            write(&mut bytes, &content(one));
            ends.push(bytes.len());
        }
        let judgements = |contents: &Contents| -> Vec<Judgement> {
            contents.records.iter().map(|(_, judgement)| judgement.clone()).collect()
        };
        let whole = read(&bytes);
        assert_eq!((judgements(&whole), whole.damaged), (all.to_vec(), 0));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            let hit = ends.iter().position(|end| at < *end).unwrap();
            let left: Vec<_> = (0..all.len()).filter(|n| *n != hit).map(|n| all[n].clone()).collect();
            let found = read(&damaged);
            assert_eq!(judgements(&found), left, "byte {at}");
            assert!(found.damaged > 0);
            let cut = read(&bytes[..at]);
            assert_eq!(judgements(&cut), all[..ends.iter().filter(|end| **end <= at).count()], "cut at {at}");
        }
    }
}
