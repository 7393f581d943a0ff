//! Each query on each server in turn: latency, processor time, growth of memory, and whether the answers are the same.

use std::fs;
use std::time::Instant;

use crate::answers::Values;
use crate::harness::{Http, percent};
use crate::options::Options;
use crate::process::Process;
use crate::program::Kind;
use crate::queries::{self, Query};
use crate::table::{Table, bytes, median, short, times};
use crate::{Outcome, Output};

const HOW: &str = "\n## Queries\n
Each query is asked once of every server, which warms what can be warmed and whose answers are compared; then every server is
asked in turn, and the medians are given. No server may answer from a cache of results. *CPU* is processor time of the process
per query, *RSS* how much its resident memory grew at the most while a query ran. *P* is Prometheus, *VM* VictoriaMetrics.
VictoriaMetrics means another thing by rates and increases (the last sample before the window counts, nothing is extrapolated),
so its answers to such queries differ; its other differences are named.\n";

/// What one server did with one query.
struct Run {
    median_ms: f64,
    cpu_ms: f64,
    growth: f64,
    answer: Vec<u8>,
}

/// A server that is asked.
struct Asked<'a> {
    process: &'a Process,
    http: Http,
}

/// Measures all queries that were asked for.
pub(crate) fn run(options: &Options, processes: &[Process], end: i64, output: &mut Output) -> Outcome<()> {
    output.print(HOW)?;
    let mut asked = Vec::new();
    for process in processes {
        let mut http = Http::connect(process.address)?;
        http.wait_up_to(std::time::Duration::from_secs(120))?;
        asked.push(Asked { process, http });
    }
    let mut table = Table::new(&[
        "query",
        "#",
        "span",
        "ours ms",
        "P ms",
        "VM ms",
        "P ÷ ours",
        "VM ÷ ours",
        "CPU ms: ours",
        "P",
        "VM",
        "RSS: ours",
        "P",
        "VM",
        "answer of P",
        "answer of VM",
    ]);
    let mut ratios: [Vec<(f64, usize)>; 2] = Default::default();
    let mut unequal = Vec::new();
    for query in queries::all().iter().filter(|query| query.matches(&options.queries)) {
        let runs = measure(&mut asked, query, options.repeats, end)?;
        let of = |kind: Kind| processes.iter().position(|process| process.kind == kind).map(|at| &runs[at]);
        let all = [of(Kind::Evenkeel), of(Kind::Prometheus), of(Kind::VictoriaMetrics)];
        let cell = |take: &dyn Fn(&Run) -> String| all.map(|run| run.map_or("–".to_owned(), take));
        let ratio = |peer: Option<&Run>| match (all[0], peer) {
            (Some(ours), Some(peer)) => peer.median_ms / ours.median_ms,
            _ => f64::NAN,
        };
        let found = [ratio(all[1]), ratio(all[2])];
        ratios.iter_mut().zip(found).for_each(|(list, ratio)| list.push((ratio, query.number)));
        let mut row = vec![
            format!("`{}`", query.text.replace('|', "\\|")),
            query.number.to_string(),
            query.span.name().to_owned(),
        ];
        row.extend(cell(&|run| short(run.median_ms)));
        row.extend(found.map(times));
        row.extend(cell(&|run| short(run.cpu_ms)));
        row.extend(cell(&|run| bytes(run.growth)));
        let words = answers(all)?;
        if !words[0].starts_with("equal") && words[0] != "–" {
            unequal.push(query.number);
        }
        if query.extrapolates() && words[1] != "–" && !words[1].starts_with("equal") {
            row.extend([words[0].clone(), format!("by design: {}", words[1])]);
        } else {
            row.extend(words);
        }
        eprintln!("{}", row.join(" | "));
        table.row(row);
    }
    output.print(&table.text())?;
    output.print(&summary(&ratios, &unequal))
}

/// How the peers' answers differ from ours.
fn answers(all: [Option<&Run>; 3]) -> Outcome<[String; 2]> {
    let mut words = ["–".to_owned(), "–".to_owned()];
    let Some(ours) = all[0] else { return Ok(words) };
    let ours = Values::read(&ours.answer)?;
    for (word, peer) in words.iter_mut().zip(&all[1..]) {
        if let Some(peer) = peer {
            *word = ours.compare(&Values::read(&peer.answer)?).words();
        }
    }
    Ok(words)
}

/// Geometric means, and where a peer is ahead.
pub(crate) fn summary(ratios: &[Vec<(f64, usize)>; 2], unequal: &[usize]) -> String {
    let mut text = String::new();
    for (name, list) in ["Prometheus", "VictoriaMetrics"].iter().zip(ratios) {
        let known: Vec<(f64, usize)> = list.iter().copied().filter(|(ratio, _)| ratio.is_finite()).collect();
        if known.is_empty() {
            continue;
        }
        let mean = (known.iter().map(|(ratio, _)| ratio.ln()).sum::<f64>() / known.len() as f64).exp();
        let slower: Vec<String> = known
            .iter()
            .filter(|(ratio, _)| *ratio < 1.0)
            .map(|(ratio, number)| format!("#{number} ({ratio:.2}×)"))
            .collect();
        let mut sorted = known.clone();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let worst: Vec<String> = sorted.iter().take(5).map(|(ratio, n)| format!("#{n} {ratio:.2}×")).collect();
        text += &format!(
            "- {name} ÷ ours, geometric mean of {} medians: {mean:.2}×; least: {}; faster than us: {}\n",
            known.len(),
            worst.join(", "),
            if slower.is_empty() { "none".to_owned() } else { slower.join(", ") }
        );
    }
    let unequal: Vec<String> = unequal.iter().map(|number| format!("#{number}")).collect();
    text + &format!(
        "- Answers that are not Prometheus': {}\n",
        if unequal.is_empty() { "none".to_owned() } else { unequal.join(", ") }
    )
}

/// The median of some times.
pub(crate) fn median_of(times: &[f64]) -> f64 {
    median(times.iter().copied())
}

fn measure(asked: &mut [Asked<'_>], query: &Query, repeats: usize, end: i64) -> Outcome<Vec<Run>> {
    let mut runs = Vec::new();
    for one in asked.iter_mut() {
        runs.push((ask(one, query, end)?, Vec::new(), 0.0, 0.0));
    }
    for _ in 0..repeats {
        for (one, (_, times, cpu, growth)) in asked.iter_mut().zip(&mut runs) {
            let before = one.process.figures()?;
            // From here on the high-water mark of resident memory counts anew (proc(5)).
            fs::write(format!("/proc/{}/clear_refs", one.process.pid()), "5")?;
            let begun = Instant::now();
            ask(one, query, end)?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
            let after = one.process.figures()?;
            *cpu += (after.cpu - before.cpu) * 1e3;
            *growth = after.peak.saturating_sub(before.resident).max(*growth as u64) as f64;
        }
    }
    let run = |(answer, times, cpu, growth): (Vec<u8>, Vec<f64>, f64, f64)| Run {
        median_ms: median_of(&times),
        cpu_ms: cpu / times.len().max(1) as f64,
        growth,
        answer,
    };
    Ok(runs.into_iter().map(run).collect())
}

fn ask(asked: &mut Asked<'_>, query: &Query, end: i64) -> Outcome<Vec<u8>> {
    let end = end / 1000;
    let text = percent(query.text);
    let (path, form) = match query.span.range() {
        None => ("/api/v1/query", format!("query={text}&time={end}&nocache=1")),
        Some((length, step)) => {
            let form = format!("query={text}&start={}&end={end}&step={step}&nocache=1", end - length);
            ("/api/v1/query_range", form)
        }
    };
    let answer = asked.http.form(path, &form)?;
    if answer.status != 200 {
        let name = asked.process.kind.name();
        return Err(format!("{name}: {}: {} {}", query.text, answer.status, answer.text()).into());
    }
    Ok(answer.body)
}
