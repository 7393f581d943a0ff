//! Incidents with known truth: how good our burn alerts are, and Sloth's and Pyrra's on the same samples.
//!
//! `cargo run --profile checked --example incidents -- [--seed 1] [--services 24] [--days 60] [--no-peers] [--list] [--only NAME]`, or with `low-traffic`.
//! Everything follows from the seed. `--list` names what was missed or wrong; `--only` plays one service and tells all of it.

mod sim;

use std::error::Error;
use std::time::Instant;

use parking_lot::Mutex;
use sim::peers::Peer;
use sim::plan::Plan;
use sim::samples::Samples;
use sim::score::Score;
use sim::service::{Service, services};
use sim::traffic::Traffic;
use sim::truth::{Class, DEFINITION, Episode};
use sim::{Fired, peers, table, truth};

struct Options {
    seed: u64,
    services: usize,
    days: i64,
    peers: bool,
    list: bool,
    only: Option<String>,
    low_traffic: bool,
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut options =
        Options { seed: 1, services: 24, days: 60, peers: true, list: false, only: None, low_traffic: false };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--seed" => options.seed = value()?.parse()?,
            "--services" => options.services = value()?.parse()?,
            "--days" => options.days = value()?.parse()?,
            "--no-peers" => options.peers = false,
            "--only" => options.only = Some(value()?),
            "low-traffic" => options.low_traffic = true,
            "--list" => options.list = true,
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    Ok(options)
}

/// What came of one service.
struct Played {
    service: Service,
    plan: Plan,
    episodes: Vec<Episode>,
    samples: Samples,
    fired: Vec<(&'static str, Vec<Fired>)>,
}

fn play(service: &Service, with_peers: bool) -> Result<Played, Box<dyn Error>> {
    let plan = Plan::draw(service);
    let traffic = Traffic::draw(service, &plan);
    let samples = Samples::draw(service, &plan, &traffic);
    let episodes = truth::episodes(service, &plan, &traffic, &samples);
    let mut fired = vec![("Evenkeel", sim::ours::play(service.objective(), &samples)?)];
    if with_peers {
        fired.push(("Sloth", peers::play(Peer::Sloth, service, &samples)?));
        fired.push(("Pyrra", peers::play(Peer::Pyrra, service, &samples)?));
    }
    Ok(Played { service: service.clone(), plan, episodes, samples, fired })
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    if options.low_traffic {
        return sim::low::report(options.seed);
    }
    let begun = Instant::now();
    let all = services(options.seed, options.services, options.days);
    let wanted = |service: &&Service| options.only.as_ref().is_none_or(|name| *name == service.name);
    let queue = Mutex::new(all.iter().filter(wanted).collect::<Vec<_>>());
    let done: Mutex<Vec<Played>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(service) = queue.lock().pop() else { return };
                    match play(service, options.peers) {
                        Ok(played) => done.lock().push(played),
                        Err(error) => eprintln!("{}: {error}", service.name),
                    }
                }
            });
        }
    });
    let mut done = done.into_inner();
    done.sort_by_key(|played| played.service.seed);
    report(&options, &done);
    println!("\ntook {:.0} s", begun.elapsed().as_secs_f64());
    Ok(())
}

fn report(options: &Options, done: &[Played]) {
    let incidents: usize = done.iter().map(|played| played.plan.incidents.len()).sum();
    let disturbances: usize = done.iter().map(|played| played.plan.disturbances.len()).sum();
    let scrapes: usize = done.iter().map(|played| played.samples.scrapes.len()).sum();
    let months = done.len() as f64 * options.days as f64 / 30.0;
    println!("{DEFINITION}\n");
    println!(
        "Seed {}: {} services from 0.02 to 2,000 requests/s, {} days each ({months:.0} service months), {scrapes} scrapes, \
         {incidents} labelled incidents, {disturbances} disturbances of the measurement.",
        options.seed,
        done.len(),
        options.days,
    );
    let episodes = || done.iter().flat_map(|played| &played.episodes);
    let count = |class| episodes().filter(|e| e.clear && e.class == class).count();
    println!(
        "Episodes: {} must page, {} need a ticket, {} minor; {} unclear. Early possible for {} that must page.\n",
        count(Class::Page),
        count(Class::Ticket),
        count(Class::Minor),
        episodes().filter(|e| !e.clear).count(),
        episodes().filter(|e| e.clear && e.class == Class::Page && e.early_possible).count(),
    );
    let mut scores: Vec<(&str, Score)> = Vec::new();
    for played in done {
        for (n, (name, fired)) in played.fired.iter().enumerate() {
            if scores.len() <= n {
                scores.push((*name, Score::default()));
            }
            let service = format!("{} ({}/s, {})", played.service.name, played.service.rate, played.service.objective);
            scores[n].1.add(&service, &played.episodes, fired, &|t| played.samples.seen_by(t));
        }
    }
    let columns: Vec<(&str, &Score)> = scores.iter().map(|(name, score)| (*name, score)).collect();
    println!("{}", table::comparison(&columns));
    println!("told, by kind of incident, of what must be told:");
    for kind in sim::plan::Kind::ALL {
        let cells: Vec<String> =
            columns.iter().filter_map(|(_, score)| Some(score.by_kind.get(&kind)?.text())).collect();
        if !cells.is_empty() {
            println!("  {:<20} {}", kind.word(), cells.join(" | "));
        }
    }
    if options.only.is_some() {
        for played in done {
            played.plan.incidents.iter().for_each(|incident| println!("{incident:?}"));
            played.plan.disturbances.iter().for_each(|what| println!("{what:?}"));
            for (name, fired) in &played.fired {
                fired
                    .iter()
                    .for_each(|one| println!("{name}: {:?} {} {} to {}", one.urgency, one.name, one.start, one.end));
            }
        }
    }
    if options.list {
        for (name, score) in &columns {
            println!("\n{name}:");
            score.misses.iter().for_each(|miss| println!("  {miss}"));
        }
    }
}
