//! What a regular expression demands of a value before an automaton has to run.
//!
//! Invariants:
//! - A decision is the regular expression's own: the same answer for every value.
//! - What is not understood is left to the automaton.

use regex_syntax::hir::{Class, Hir, HirKind, Look};

use super::limits::{PATTERN_LITERAL_BYTES_MAX, PATTERN_LITERALS_MAX};

/// A regular expression that matches values as a whole, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reduction {
    /// All values that match, sorted, if they are few.
    pub(super) literals: Option<Vec<String>>,
    /// What every value that matches begins with.
    pub(super) prefix: String,
    /// What it ends with, behind the prefix.
    suffix: String,
    /// Between the two, in this order: how many characters at least, and then a text.
    inner: Vec<(u32, String)>,
    /// How many characters stand at least before the suffix.
    least: u32,
    /// Whether that says everything; else the automaton decides about what passes.
    pub(super) complete: bool,
}

/// A part of a concatenation.
enum Piece {
    Text(String),
    /// At least so many characters, whichever.
    Gap(u32),
    /// Something else, with a text that is surely in it, or the empty one.
    Other(String),
}

impl Reduction {
    /// Takes a parsed regular expression apart.
    pub(super) fn of(hir: &Hir) -> Reduction {
        let mut parts = Vec::new();
        flatten(hir, &mut parts);
        // The whole is anchored; what says so again adds nothing.
        while matches!(parts.first().map(|part| part.kind()), Some(HirKind::Look(Look::Start))) {
            parts.remove(0);
        }
        while matches!(parts.last().map(|part| part.kind()), Some(HirKind::Look(Look::End))) {
            parts.pop();
        }
        if let Some(mut literals) = product(parts.iter().copied()) {
            literals.sort_unstable();
            literals.dedup();
            let prefix = match (literals.first(), literals.last()) {
                (Some(first), Some(last)) => common_prefix(first, last).to_owned(),
                _ => String::new(),
            };
            let (suffix, inner) = (String::new(), Vec::new());
            return Reduction { literals: Some(literals), prefix, suffix, inner, least: 0, complete: true };
        }
        Reduction::of_pieces(parts.iter().map(|part| Piece::of(part)).collect())
    }

    fn of_pieces(pieces: Vec<Piece>) -> Reduction {
        let mut reduction = Reduction {
            literals: None,
            prefix: String::new(),
            suffix: String::new(),
            inner: Vec::new(),
            least: 0,
            complete: true,
        };
        // The text at hand; the first one is the prefix, the last one the suffix.
        let mut text = Some(String::new());
        let mut led = false;
        for piece in pieces {
            match piece {
                Piece::Text(more) => text.get_or_insert_default().push_str(&more),
                Piece::Gap(_) | Piece::Other(_) => {
                    match text.take() {
                        Some(text) if !led => (reduction.prefix, led) = (text, true),
                        Some(text) => {
                            reduction.inner.push((reduction.least, text));
                            reduction.least = 0;
                        }
                        None => {}
                    }
                    match piece {
                        Piece::Gap(least) => reduction.least = reduction.least.saturating_add(least),
                        Piece::Other(inside) => {
                            reduction.complete = false;
                            if !inside.is_empty() {
                                reduction.inner.push((reduction.least, inside));
                                reduction.least = 0;
                            }
                        }
                        Piece::Text(_) => {}
                    }
                }
            }
        }
        match text {
            Some(text) if led => reduction.suffix = text,
            Some(text) => reduction.prefix = text,
            None => {}
        }
        reduction
    }

    /// Whether a value matches; nothing if the automaton has to say it.
    pub(super) fn decide(&self, value: &str) -> Option<bool> {
        if let Some(literals) = &self.literals {
            return Some(match literals.as_slice() {
                [only] => only == value,
                all => all.binary_search_by(|literal| literal.as_str().cmp(value)).is_ok(),
            });
        }
        let middle = value.strip_prefix(self.prefix.as_str()).and_then(|v| v.strip_suffix(self.suffix.as_str()));
        let Some(mut rest) = middle else { return Some(false) };
        for (least, text) in &self.inner {
            // The leftmost place of a text leaves the most room for those behind it.
            let behind = skip(rest, *least).and_then(|from| Some(&from[from.find(text.as_str())? + text.len()..]));
            let Some(behind) = behind else { return Some(false) };
            rest = behind;
        }
        match skip(rest, self.least) {
            None => Some(false),
            Some(_) => self.complete.then_some(true),
        }
    }

    /// How many characters a value must have at least, if nothing else is demanded.
    pub(super) fn least_chars(&self) -> Option<u32> {
        let free = self.literals.is_none() && self.prefix.is_empty() && self.suffix.is_empty() && self.inner.is_empty();
        (free && self.complete).then_some(self.least)
    }
}

impl Piece {
    fn of(hir: &Hir) -> Piece {
        match hir.kind() {
            HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
                Ok(text) => Piece::Text(text.to_owned()),
                Err(_) => Piece::Other(String::new()),
            },
            HirKind::Empty => Piece::Text(String::new()),
            HirKind::Repetition(repetition) if repetition.max.is_none() && is_any(&repetition.sub) => {
                Piece::Gap(repetition.min)
            }
            HirKind::Repetition(repetition) if repetition.min > 0 => Piece::Other(surely_inside(&repetition.sub)),
            _ => Piece::Other(String::new()),
        }
    }
}

/// The longest text that every match of a part holds, as far as that is easily seen.
fn surely_inside(hir: &Hir) -> String {
    let mut parts = Vec::new();
    flatten(hir, &mut parts);
    let texts = parts.into_iter().filter_map(|part| match Piece::of(part) {
        Piece::Text(text) | Piece::Other(text) => Some(text),
        Piece::Gap(_) => None,
    });
    texts.max_by_key(String::len).unwrap_or_default()
}

/// The parts of a concatenation, through captures.
fn flatten<'h>(hir: &'h Hir, out: &mut Vec<&'h Hir>) {
    match hir.kind() {
        HirKind::Concat(parts) => parts.iter().for_each(|part| flatten(part, out)),
        HirKind::Capture(capture) => flatten(&capture.sub, out),
        _ => out.push(hir),
    }
}

fn is_any(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Class(Class::Unicode(class)) => {
            matches!(class.ranges(), [range] if range.start() == '\0' && range.end() == char::MAX)
        }
        HirKind::Capture(capture) => is_any(&capture.sub),
        _ => false,
    }
}

/// All texts that the parts match one after the other, if they are few.
fn product<'h>(parts: impl Iterator<Item = &'h Hir>) -> Option<Vec<String>> {
    let mut all = vec![String::new()];
    for part in parts {
        let tails = texts(part)?;
        let bytes: usize = all.iter().chain(&tails).map(String::len).sum();
        if all.len() * tails.len() > PATTERN_LITERALS_MAX || bytes > PATTERN_LITERAL_BYTES_MAX {
            return None;
        }
        all = all.iter().flat_map(|head| tails.iter().map(move |tail| format!("{head}{tail}"))).collect();
    }
    Some(all)
}

/// All texts that a part matches, if they are few.
fn texts(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Empty => Some(vec![String::new()]),
        HirKind::Literal(literal) => Some(vec![std::str::from_utf8(&literal.0).ok()?.to_owned()]),
        HirKind::Class(Class::Unicode(class)) => {
            let count =
                |range: &regex_syntax::hir::ClassUnicodeRange| range.end() as usize - range.start() as usize + 1;
            let few = class.ranges().iter().map(count).sum::<usize>() <= PATTERN_LITERALS_MAX;
            few.then(|| class.ranges().iter().flat_map(|r| r.start()..=r.end()).map(String::from).collect())
        }
        HirKind::Class(Class::Bytes(_)) | HirKind::Look(_) => None,
        HirKind::Capture(capture) => texts(&capture.sub),
        HirKind::Concat(parts) => product(parts.iter()),
        HirKind::Alternation(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(texts(part)?);
                if all.len() > PATTERN_LITERALS_MAX {
                    return None;
                }
            }
            Some(all)
        }
        HirKind::Repetition(repetition) => {
            let max = repetition.max.filter(|max| *max <= 8)?;
            let mut all = Vec::new();
            for n in repetition.min..=max {
                all.extend(product((0..n).map(|_| &*repetition.sub))?);
                if all.len() > PATTERN_LITERALS_MAX {
                    return None;
                }
            }
            Some(all)
        }
    }
}

fn skip(text: &str, chars: u32) -> Option<&str> {
    let mut rest = text.chars();
    (0..chars).try_for_each(|_| rest.next().map(|_| ()))?;
    Some(rest.as_str())
}

fn common_prefix<'a>(a: &'a str, b: &str) -> &'a str {
    let same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
    &a[..same]
}
