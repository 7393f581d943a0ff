//! A dashboard that is refreshed: the same range again, a step later each time, with what each server keeps of its answers.

use std::time::Instant;

use crate::answers::Values;
use crate::harness::{Http, percent};
use crate::options::Options;
use crate::process::Process;
use crate::program::Kind;
use crate::queries::{self, Query};
use crate::speed::{median_of, summary};
use crate::table::{Table, short, times};
use crate::{Outcome, Output};

const HOW: &str = "\n## Refreshed dashboards\n
Each range is asked for once, which is not measured, and then again and again, a step later each time, of every server in turn;
medians are given. Every server may answer from what it keeps: VictoriaMetrics from its cache of rollup results, we from ours;
Prometheus keeps none. Ranges begin and end at multiples of the step, as Grafana's do. Whether answers are equal is looked at
before speed, after the last refresh, and ours is held to our own with `nocache=1`, byte for byte, after each of them. *Anew* is
what that takes us.\n";

/// What one server did.
struct Run {
    median_ms: f64,
    cpu_ms: f64,
    answer: Vec<u8>,
}

/// A server that is asked.
struct Asked<'a> {
    process: &'a Process,
    http: Http,
    times: Vec<f64>,
    cpu: f64,
    answer: Vec<u8>,
}

/// Measures all range queries that were asked for.
pub(crate) fn run(options: &Options, processes: &[Process], end: i64, output: &mut Output) -> Outcome<()> {
    output.print(HOW)?;
    let columns =
        "query|#|span|ours ms|P ms|VM ms|P ÷ ours|VM ÷ ours|CPU ms: ours|P|VM|ours anew ms|answer of P|answer of VM";
    let mut table = Table::new(&columns.split('|').collect::<Vec<_>>());
    let mut ratios: [Vec<(f64, usize)>; 2] = Default::default();
    let (mut unequal, mut gains) = (Vec::new(), Vec::new());
    for query in queries::all().iter().filter(|query| query.matches(&options.queries)) {
        let Some((length, step)) = query.span.range() else { continue };
        let (runs, anew_ms) = measure(processes, query, (length, step), (options.repeats, end / 1000))?;
        let of = |kind: Kind| processes.iter().position(|process| process.kind == kind).map(|at| &runs[at]);
        let all = [of(Kind::Evenkeel), of(Kind::Prometheus), of(Kind::VictoriaMetrics)];
        let cell = |take: &dyn Fn(&Run) -> String| all.map(|run| run.map_or("–".to_owned(), take));
        let ratio = |peer: Option<&Run>| match (all[0], peer) {
            (Some(ours), Some(peer)) => peer.median_ms / ours.median_ms,
            _ => f64::NAN,
        };
        let found = [ratio(all[1]), ratio(all[2])];
        ratios.iter_mut().zip(found).for_each(|(list, ratio)| list.push((ratio, query.number)));
        gains.push(all[0].map_or(f64::NAN, |ours| anew_ms / ours.median_ms));
        let mut row = vec![format!("`{}`", query.text.replace('|', "\\|")), query.number.to_string()];
        row.push(query.span.name().to_owned());
        row.extend(cell(&|run| short(run.median_ms)));
        row.extend(found.map(times));
        row.extend(cell(&|run| short(run.cpu_ms)));
        row.push(short(anew_ms));
        let words = differences(all, query)?;
        if !words[0].starts_with("equal") && words[0] != "–" {
            unequal.push(query.number);
        }
        row.extend(words);
        eprintln!("{}", row.join(" | "));
        table.row(row);
    }
    output.print(&table.text())?;
    output.print(&summary(&ratios, &unequal))?;
    let known: Vec<f64> = gains.into_iter().filter(|gain| gain.is_finite()).collect();
    let mean = (known.iter().map(|gain| gain.ln()).sum::<f64>() / known.len().max(1) as f64).exp();
    output.print(&format!("- Ours anew ÷ ours, geometric mean of {}: {mean:.2}×\n", known.len()))
}

/// How the peers' last answers differ from ours.
fn differences(all: [Option<&Run>; 3], query: &Query) -> Outcome<[String; 2]> {
    let mut words = ["–".to_owned(), "–".to_owned()];
    let Some(ours) = all[0] else { return Ok(words) };
    let ours = Values::read(&ours.answer)?;
    for (word, peer) in words.iter_mut().zip(&all[1..]) {
        if let Some(peer) = peer {
            *word = ours.compare(&Values::read(&peer.answer)?).words();
        }
    }
    if query.extrapolates() && words[1] != "–" && !words[1].starts_with("equal") {
        words[1] = format!("by design: {}", words[1]);
    }
    Ok(words)
}

/// The last refresh is the one that ends where the data do.
fn measure(
    processes: &[Process],
    query: &Query,
    (length, step): (i64, i64),
    (refreshes, end): (usize, i64),
) -> Outcome<(Vec<Run>, f64)> {
    let last = end / step * step;
    let ask = |one: &mut Asked<'_>, end: i64, more: &str| -> Outcome<Vec<u8>> {
        let text = percent(query.text);
        let form = format!("query={text}&start={}&end={end}&step={step}{more}", end - length);
        let answer = one.http.form("/api/v1/query_range", &form)?;
        if answer.status != 200 {
            let name = one.process.kind.name();
            return Err(format!("{name}: {}: {} {}", query.text, answer.status, answer.text()).into());
        }
        Ok(answer.body)
    };
    let mut asked = Vec::new();
    for process in processes {
        let mut http = Http::connect(process.address)?;
        http.wait_up_to(std::time::Duration::from_secs(120))?;
        let mut one = Asked { process, http, times: Vec::new(), cpu: 0.0, answer: Vec::new() };
        ask(&mut one, last - refreshes as i64 * step, "")?;
        asked.push(one);
    }
    let mut anew = Vec::new();
    for refresh in (0..refreshes as i64).rev() {
        let end = last - refresh * step;
        for one in &mut asked {
            let before = one.process.figures()?;
            let begun = Instant::now();
            one.answer = ask(one, end, "")?;
            one.times.push(begun.elapsed().as_secs_f64() * 1e3);
            one.cpu += (one.process.figures()?.cpu - before.cpu) * 1e3;
            if one.process.kind == Kind::Evenkeel {
                let begun = Instant::now();
                let fresh = ask(one, end, "&nocache=1")?;
                anew.push(begun.elapsed().as_secs_f64() * 1e3);
                if fresh != one.answer {
                    return Err(format!("{}: what is kept is not what evaluating gives", query.text).into());
                }
            }
        }
    }
    let run = |one: Asked<'_>| Run {
        median_ms: median_of(&one.times),
        cpu_ms: one.cpu / one.times.len().max(1) as f64,
        answer: one.answer,
    };
    Ok((asked.into_iter().map(run).collect(), median_of(&anew)))
}
