//! Mutations by seed: bits, bytes, numbers, pieces doubled, moved, taken away, or from another input.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use evenkeel::env::Rng;
use rustix::time::{ClockId, clock_gettime};

use super::targets::Target;

/// Inputs that are kept to go on from, besides the seeds.
const POOL_MAX: usize = 256;
/// An input longer than this is cut: longer ones only take longer.
const LENGTH_MAX: usize = 16 << 10;
/// A single input that takes longer than this is a finding.
const SLOW: Duration = Duration::from_secs(2);
/// After so many findings a target is left.
const FOUND_MAX: usize = 5;
/// Numbers at which arithmetic turns.
const NUMBERS: [u64; 9] = [0, 1, 0x7f, 0xff, 0xffff, 0x7fff_ffff, 0xffff_ffff, i64::MAX as u64, u64::MAX];

/// How long to go on.
#[derive(Debug, Clone, Copy)]
#[allow(dead_code, reason = "the command goes by time, the tests by number")]
pub(crate) enum Rounds {
    Number(u64),
    /// Of the processor, not of the clock: what else the machine does takes nothing away.
    For(Duration),
}

/// What a target got and what it did.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) inputs: u64,
    /// Inputs that the decoder took for good.
    pub(crate) taken: u64,
    pub(crate) longest: Duration,
    /// Inputs that should not have done what they did, and what that was.
    pub(crate) found: Vec<(Vec<u8>, String)>,
}

/// Runs a target.
pub(crate) fn run(target: &Target, seed: u64, rounds: Rounds) -> Report {
    let mut rng = Rng::new(seed);
    let seeds = (target.seeds)();
    let mut pool = seeds.clone();
    let begun = busy();
    let mut report = Report::default();
    for input in &seeds {
        report.try_one(target, input);
    }
    loop {
        let is_over = match rounds {
            Rounds::Number(n) => report.inputs >= n,
            Rounds::For(time) => report.inputs.is_multiple_of(64) && busy() - begun >= time,
        };
        if is_over || report.found.len() >= FOUND_MAX {
            return report;
        }
        // Half of the time from a seed: a pool of broken inputs leads nowhere.
        let from = if rng.below(2) == 0 { &seeds } else { &pool };
        let mut input = from[rng.below(from.len() as u64) as usize].clone();
        let other = pool[rng.below(pool.len() as u64) as usize].clone();
        for _ in 0..=rng.below(4) {
            mutate(&mut input, &other, target.words, &mut rng);
        }
        input.truncate(LENGTH_MAX);
        if let Some(repair) = target.repair
            && rng.below(4) > 0
        {
            repair(&mut input);
        }
        if report.try_one(target, &input) {
            if pool.len() < POOL_MAX {
                pool.push(input);
            } else {
                let place = rng.below(pool.len() as u64) as usize;
                pool[place] = input;
            }
        }
    }
}

/// Gives a target one input.
#[allow(dead_code, reason = "the command's")]
pub(crate) fn run_once(target: &Target, input: &[u8]) -> Report {
    let mut report = Report::default();
    report.try_one(target, input);
    report
}

impl Report {
    /// Whether the decoder took it.
    fn try_one(&mut self, target: &Target, input: &[u8]) -> bool {
        self.inputs += 1;
        let begun = busy();
        let done = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
        let took = busy() - begun;
        self.longest = self.longest.max(took);
        let again = || {
            let begun = busy();
            let _ = (target.run)(input);
            busy() - begun
        };
        let found = match done {
            Ok(Ok(taken)) => {
                self.taken += u64::from(taken);
                // A machine that was stood still for a moment is not the input's fault.
                if took <= SLOW || again() <= SLOW {
                    return taken;
                }
                Some(format!("it took {took:?}"))
            }
            Ok(Err(found)) => Some(found),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
                Some(format!("panic: {text}"))
            }
        };
        self.found.extend(found.map(|found| (input.to_vec(), found)));
        false
    }
}

/// How long this thread has had a processor.
fn busy() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

fn place(rng: &mut Rng, length: usize) -> usize {
    rng.below(length as u64 + 1) as usize
}

fn piece(rng: &mut Rng, bytes: &[u8]) -> Vec<u8> {
    let from = place(rng, bytes.len());
    let longest = (bytes.len() - from).min(1 << rng.below(9));
    bytes[from..from + place(rng, longest)].to_vec()
}

fn insert(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    bytes.splice(at..at, piece.iter().copied());
}

fn mutate(bytes: &mut Vec<u8>, other: &[u8], words: &[&str], rng: &mut Rng) {
    if bytes.is_empty() {
        bytes.push(rng.below(256) as u8);
    }
    let at = rng.below(bytes.len() as u64) as usize;
    match rng.below(12) {
        0 | 1 => bytes[at] ^= 1 << rng.below(8),
        2 => bytes[at] = rng.below(256) as u8,
        3 => bytes[at] = bytes[at].wrapping_add(rng.below(17) as u8).wrapping_sub(8),
        4 => {
            let number = NUMBERS[rng.below(NUMBERS.len() as u64) as usize].to_le_bytes();
            let end = bytes.len().min(at + (1 << rng.below(4)));
            bytes[at..end].copy_from_slice(&number[..end - at]);
        }
        5 => {
            let end = at + place(rng, (bytes.len() - at).min(64));
            bytes.drain(at..end);
        }
        6 => {
            let piece = piece(rng, bytes);
            insert(bytes, at, &piece);
        }
        7 => {
            let piece = piece(rng, other);
            insert(bytes, at, &piece);
        }
        8 => {
            let piece = piece(rng, other);
            let end = bytes.len().min(at + piece.len());
            bytes[at..end].copy_from_slice(&piece[..end - at]);
        }
        9 if rng.below(4) == 0 => bytes.truncate(at),
        10 => {
            // A varint of any size.
            let mut number = rng.bits() >> rng.below(64);
            let mut varint = Vec::new();
            while number >= 0x80 {
                varint.push(number as u8 | 0x80);
                number >>= 7;
            }
            varint.push(number as u8);
            insert(bytes, at, &varint);
        }
        _ if !words.is_empty() => {
            let word = words[rng.below(words.len() as u64) as usize];
            insert(bytes, at, word.as_bytes());
        }
        _ => bytes[at] = !bytes[at],
    }
}
