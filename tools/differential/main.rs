//! Random expressions, asked of Evenkeel and of a real Prometheus on the same samples: are the answers equal?
//!
//! ```sh
//! cargo build --release
//! cargo run --release --example differential -- PEERS_DIR [--seed N] [--queries 2000]
//! ```
//!
//! `PEERS_DIR` holds Prometheus somewhere below, in a `bin`. Each expression is asked as an instant query and as a range
//! query. Where the answers differ, the expression is made smaller as long as they do; then it is printed, or
//! counted by name if the reason is known (`known.rs`). What the peer's version does not know yet is
//! counted apart: its answers prove nothing.

mod answer;
mod grammar;
#[path = "../harness/mod.rs"]
mod harness;
mod known;
mod peer;
mod series;
mod servers;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use evenkeel::env::Rng;

use answer::{Answer, Order, Part};
use grammar::Grammar;
use known::{Found, KNOWN};
use peer::Unknown;
use series::{EVERY, FIRST, SCRAPES};
use servers::{Asker, Question};
use tree::Node;

/// What can go wrong here is told to a person and ends the run.
type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Times that the peer is asked again.
const ASKED_AGAIN: usize = 5;
/// Steps by which an expression is made smaller.
const STEPS_MAX: usize = 200;

/// Ask random expressions of Evenkeel and of Prometheus and compare the answers
#[derive(Parser)]
#[command(name = "differential")]
struct Options {
    /// Directory that holds the peer's program somewhere below
    peers: PathBuf,
    /// Seed of the series and the expressions
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many expressions
    #[arg(long, default_value_t = 2000)]
    queries: usize,
    /// Ask only this expression, at many times
    #[arg(long)]
    only: Option<String>,
    /// At the end, keep both servers until a line is entered, to ask them by hand
    #[arg(long)]
    hold: bool,
    /// The program under test; without this, the one that lies beside this tool
    #[arg(long)]
    evenkeel: Option<PathBuf>,
}

/// What became of the questions.
#[derive(Default)]
struct Counts {
    equal: usize,
    /// Of those, how many answers of both forms were empty, and how many errors.
    empty: usize,
    errors: usize,
    unknown: BTreeMap<String, usize>,
    known: BTreeMap<&'static str, usize>,
    differ: usize,
}

fn main() -> Outcome<()> {
    let options = Options::parse();
    let dir = tempfile::tempdir()?;
    let program = options.evenkeel.clone().map_or_else(harness::program, Ok)?;
    let ours = servers::start_ours(&program, dir.path())?;
    let peer = servers::start_peer(&harness::peer(&options.peers, "prometheus")?, dir.path())?;
    let batches = series::generate(options.seed)?;
    servers::send(ours.address, &batches).map_err(|error| format!("Evenkeel: {error}"))?;
    servers::send(peer.address, &batches).map_err(|error| format!("Prometheus: {error}"))?;
    let samples: usize = batches.iter().map(|batch| batch.samples().len()).sum();
    let histograms: usize = batches.iter().map(|batch| batch.histograms().len()).sum();
    println!("seed {}: {samples} samples and {histograms} native histograms in both", options.seed);
    let mut pair = Pair { ours: Asker::connect(ours.address)?, peer: Asker::connect(peer.address)? };
    let unknown = Unknown::find(&mut pair.peer)?;
    println!("the peer does not know {}", unknown.names().join(", "));
    let counts = run(&options, &mut pair, &unknown)?;
    print(&options, &counts);
    if options.hold {
        println!("Evenkeel is at http://{}, Prometheus at http://{}", ours.address, peer.address);
        std::io::stdin().read_line(&mut String::new())?;
    }
    ours.stop()?;
    peer.stop()?;
    if counts.differ == 0 { Ok(()) } else { Err("the answers differ".into()) }
}

fn run(options: &Options, pair: &mut Pair, unknown: &Unknown) -> Outcome<Counts> {
    let mut grammar = Grammar::new(options.seed);
    let mut rng = Rng::new(options.seed);
    let mut counts = Counts::default();
    for number in 1..=options.queries {
        let node = match &options.only {
            Some(text) => Node::leaf(tree::Kind::Vector, text),
            None => grammar.expression(),
        };
        let question = question(node.write(), &mut rng);
        if let Some(name) = unknown.of(&question.text) {
            *counts.unknown.entry(name.to_owned()).or_default() += 1;
            // Its answer cannot be compared, but it must be one.
            pair.ours.instant(&question)?;
            pair.ours.range(&question)?;
            continue;
        }
        match pair.ask(&question)? {
            Asked::Equal { empty, error } => {
                counts.equal += 1;
                counts.empty += usize::from(empty);
                counts.errors += usize::from(error);
            }
            Asked::Differ(part, place) => {
                let (small, found) = pair.shrink(node, &question, (part, place), unknown)?;
                match KNOWN.iter().find(|known| (known.explains)(&found)) {
                    Some(known) => *counts.known.entry(known.name).or_default() += 1,
                    None => {
                        counts.differ += 1;
                        println!("\n{number}: {}", question.text);
                        println!("  smallest: {}", small.text);
                        let Question { instant, start, end, step, .. } = &small;
                        println!("  {:?} at {instant} or {start}..{end} by {step}: {}", found.part, found.place);
                    }
                }
            }
        }
    }
    Ok(counts)
}

/// Times at which an expression is asked: often those of samples.
fn question(text: String, rng: &mut Rng) -> Question {
    let mut t = |from: i64, to: i64| {
        let t = FIRST + EVERY * from + rng.below(((to - from) * EVERY) as u64) as i64;
        match rng.below(3) {
            0 => t,
            1 => t / 1000 * 1000,
            _ => FIRST + (t - FIRST) / EVERY * EVERY,
        }
    };
    let (instant, start, length) = (t(20, SCRAPES + 20), t(0, SCRAPES - 40), t(0, 80) - FIRST);
    let step = [7000, 15_000, 15_000, 30_000, 60_000, 61_500, 300_000][rng.below(7) as usize];
    Question { text, instant, start, end: start + length, step }
}

/// The servers.
struct Pair {
    ours: Asker,
    peer: Asker,
}

enum Asked {
    Equal { empty: bool, error: bool },
    Differ(Part, String),
}

impl Pair {
    fn ask(&mut self, question: &Question) -> Outcome<Asked> {
        let differ = |ours: &Answer, peer: &Answer, order| ours.differs(peer, order);
        let (ours, peer) = (self.ours.instant(question)?, self.peer.instant(question)?);
        if let Some((part, place)) = differ(&ours, &peer, Order::of(&question.text)) {
            return Ok(Asked::Differ(part, format!("instant {place}")));
        }
        let (over_time, of_peer) = (self.ours.range(question)?, self.peer.range(question)?);
        if let Some((part, place)) = differ(&over_time, &of_peer, Order::Any) {
            return Ok(Asked::Differ(part, format!("range {place}")));
        }
        let error = ours.error.is_some() && over_time.error.is_some();
        Ok(Asked::Equal { empty: ours.is_empty() && over_time.is_empty(), error })
    }

    /// The smallest expression found whose answers still differ in the same part.
    fn shrink(
        &mut self,
        node: Node,
        asked: &Question,
        (part, mut place): (Part, String),
        unknown: &Unknown,
    ) -> Outcome<(Question, Found)> {
        let mut smallest = node;
        let mut question = asked.clone();
        'smaller: for _ in 0..STEPS_MAX {
            for candidate in smallest.smaller() {
                let text = candidate.write();
                if text.len() >= question.text.len() || unknown.of(&text).is_some() {
                    continue;
                }
                let asked = Question { text, ..question.clone() };
                match self.ask(&asked)? {
                    Asked::Differ(other, at) if other == part => {
                        (smallest, question, place) = (candidate, asked, at);
                        continue 'smaller;
                    }
                    _ => {}
                }
            }
            break;
        }
        let peer_contradicts_itself = self.peer_contradicts_itself(&question)?;
        let notes = "custom buckets";
        let answers = [self.ours.range(&question)?, self.ours.instant(&question)?, self.peer.range(&question)?];
        let custom_buckets = answers.iter().any(|answer| answer.tells(notes));
        let found = Found { text: question.text.clone(), part, place, peer_contradicts_itself, custom_buckets };
        Ok((question, found))
    }

    /// Whether each point that differs is ours in another answer of the peer to the same question, or to the same at that
    /// instant alone.
    fn peer_contradicts_itself(&mut self, question: &Question) -> Outcome<bool> {
        for _ in 0..ASKED_AGAIN {
            if let Asked::Equal { .. } = self.ask(question)? {
                return Ok(true);
            }
        }
        let (at_once, over_time) = (self.ours.instant(question)?, self.ours.range(question)?);
        let mut instant_points = at_once.unequal_points(&self.peer.instant(question)?);
        let mut range_points = over_time.unequal_points(&self.peer.range(question)?);
        let any = !instant_points.is_empty() || !range_points.is_empty();
        for _ in 0..ASKED_AGAIN {
            let (instant, range) = (self.peer.instant(question)?, self.peer.range(question)?);
            instant_points.retain(|point| !at_once.equals_at(&instant, point));
            range_points.retain(|point| !over_time.equals_at(&range, point));
            for t in range_points.iter().map(|(_, t)| *t).collect::<BTreeSet<i64>>() {
                let then = self.peer.instant(&Question { instant: t, ..question.clone() })?;
                range_points.retain(|point| point.1 != t || !over_time.equals_at(&then, point));
            }
        }
        Ok(any && instant_points.is_empty() && range_points.is_empty())
    }
}

fn print(options: &Options, counts: &Counts) {
    let unknown: usize = counts.unknown.values().sum();
    println!();
    for (name, n) in &counts.unknown {
        println!("  {n:>5}  the peer does not know {name}");
    }
    for known in KNOWN {
        if let Some(n) = counts.known.get(known.name) {
            println!("  {n:>5}  {}: {}", known.name, known.why);
        }
    }
    println!(
        "seed {}: {} expressions: {} equal ({} of them errors of the same kind, {} empty), {} explained, {} differ, {unknown} \
         that the peer does not know",
        options.seed,
        options.queries,
        counts.equal,
        counts.errors,
        counts.empty,
        counts.known.values().sum::<usize>(),
        counts.differ,
    );
}
