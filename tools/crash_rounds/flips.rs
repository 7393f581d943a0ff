//! One bit of one data file flipped while the server is down: what it answers then.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use evenkeel::env::Rng;
use evenkeel::model::{Batch, Labels, Sample, Timestamp};
use evenkeel::wire::encode_remote_write;
use serde_json::Value;

use crate::Row;
use crate::harness::{Http, Server, now_ms, percent};
use crate::programs::Program;

const METRICS: u64 = 6;
const SERIES: u64 = 10;
/// Samples of a series: five hours, so that a server that cuts blocks by the clock has cut one.
const SAMPLES: i64 = 1200;
const STEP_MS: i64 = 15_000;
const BATCH: i64 = 30;
/// How long servers that write blocks by their own clock are given for it.
const SETTLES: Duration = Duration::from_secs(75);

/// Words by which a server tells in its log that something stored is not as it was.
const TOLD_BY: [&str; 9] =
    ["damag", "corrupt", "checksum", "crc", "unexpected", "cannot unmarshal", "cannot read", "repair", "half-written"];

type Answers = BTreeMap<(u64, u64), Vec<(i64, f64)>>;

/// What became of one flipped bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    NoEffect,
    ErrorAnswered,
    MissingAndLogged,
    MissingSilently,
    WrongSilently,
    DoesNotStart,
}

/// Numbers of few digits: a server may keep no more than fifteen.
fn value(metric: u64, series: u64, i: i64) -> f64 {
    match metric {
        0 => (i * (series as i64 + 1)) as f64,
        1 => 0.25 + ((i * 7 + series as i64) % 97) as f64 / 1000.0,
        2 => series as f64,
        3 => ((i * 7919 + series as i64 * 104_729) % 1_000_003) as f64 / 8.0,
        4 => 1e9 + (i * i) as f64,
        _ => (i % 2) as f64,
    }
}

pub(crate) fn run(program: &Program, place: &Path, rounds: u64, seed: u64) -> Result<Row, Box<dyn Error>> {
    let (mut rng, begun) = (Rng::new(seed), Instant::now());
    let template = place.join("template");
    let first = now_ms() - SAMPLES * STEP_MS;
    fill(program, place, &template, first)?;
    let mut expected = Answers::new();
    for (metric, series) in (0..METRICS).flat_map(|metric| (0..SERIES).map(move |series| (metric, series))) {
        let samples = (0..SAMPLES).map(|i| (first + i * STEP_MS, value(metric, series, i))).collect();
        expected.insert((metric, series), samples);
    }
    let mut fates: BTreeMap<Fate, u64> = BTreeMap::new();
    let mut broken = Vec::new();
    let work = place.join("work");
    for round in 0..=rounds {
        if work.exists() {
            fs::remove_dir_all(&work)?;
        }
        copy(&template, &work)?;
        // The first round shows that without a flip nothing is missing.
        let flipped = if round == 0 { None } else { Some(flip(&work, &mut rng)?) };
        let fate = fate(program, place, &work, &expected)?;
        if round == 0 {
            if fate != Fate::NoEffect {
                return Err(format!("without a flip: {fate:?}").into());
            }
            continue;
        }
        *fates.entry(fate).or_default() += 1;
        if matches!(fate, Fate::MissingSilently | Fate::WrongSilently | Fate::DoesNotStart) {
            broken.push(format!("{fate:?}: {flipped:?}"));
        }
    }
    let of = |fate: Fate| fates.get(&fate).copied().unwrap_or(0).to_string();
    Ok(Row {
        what: format!("one bit of a data file flipped, {}", program.name()),
        counts: vec![
            ("bits flipped, one at a time", rounds.to_string()),
            ("seconds", format!("{:.0}", begun.elapsed().as_secs_f64())),
            ("no effect", of(Fate::NoEffect)),
            ("queries answered with an error", of(Fate::ErrorAnswered)),
            ("samples missing, told in the log", of(Fate::MissingAndLogged)),
            ("samples missing, nothing told", of(Fate::MissingSilently)),
            ("wrong values, nothing told", of(Fate::WrongSilently)),
            ("does not start", of(Fate::DoesNotStart)),
        ],
        broken,
    })
}

/// Writes the samples, some into blocks, some left in the log, and ends the server in good order.
fn fill(program: &Program, place: &Path, data: &Path, first: i64) -> Result<(), Box<dyn Error>> {
    let server = program.start(place, data)?;
    let mut http = Http::connect(server.address)?;
    for begin in (0..SAMPLES).step_by(BATCH as usize) {
        let mut batch = Batch::new();
        for (metric, series) in (0..METRICS).flat_map(|metric| (0..SERIES).map(move |series| (metric, series))) {
            let text = [format!("flip_{metric}"), series.to_string()];
            let labels = Labels::new([("__name__", text[0].as_str()), ("series", text[1].as_str())])?;
            let sample = |i: i64| Sample { t: Timestamp(first + i * STEP_MS), v: value(metric, series, i) };
            batch.push_series(labels, (begin..begin + BATCH).map(sample));
        }
        let answer = http.remote_write(&encode_remote_write(&batch))?;
        if answer.status != 204 && answer.status != 200 {
            return Err(format!("a write was answered with {}: {}", answer.status, answer.text()).into());
        }
        if program.is_ours() && [300, 600, 900].contains(&begin) {
            program.checkpoint(&server)?;
            std::thread::sleep(Duration::from_secs(1));
        }
    }
    if !program.is_ours() {
        std::thread::sleep(SETTLES);
    }
    // What is in a log stays in it, where there is one.
    if program.is_ours() {
        server.kill()?
    } else {
        server.stop()?
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let path = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &path)?
        } else {
            fs::copy(entry.path(), path).map(|_| ())?
        }
    }
    Ok(())
}

fn files(dir: &Path, found: &mut Vec<(PathBuf, u64)>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let length = entry.metadata()?.len();
        if entry.file_type()?.is_dir() {
            files(&entry.path(), found)?;
        } else if length > 0 {
            found.push((entry.path(), length));
        }
    }
    Ok(())
}

/// Flips a random bit; files are chosen alike, however long they are, and in a file only among the bytes
/// before its last ones that are zero: what is allocated ahead and empty says nothing.
fn flip(data: &Path, rng: &mut Rng) -> io::Result<(PathBuf, u64, u8)> {
    let mut all = Vec::new();
    files(data, &mut all)?;
    all.sort();
    let (path, _) = all[rng.below(all.len() as u64) as usize].clone();
    let mut bytes = fs::read(&path)?;
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(bytes.len(), |last| last + 1);
    let (at, bit) = (rng.below(used as u64), rng.below(8) as u8);
    bytes[at as usize] ^= 1 << bit;
    fs::write(&path, bytes)?;
    Ok((path, at, bit))
}

fn fate(program: &Program, place: &Path, data: &Path, expected: &Answers) -> Result<Fate, Box<dyn Error>> {
    let log = program.log(place);
    fs::write(&log, "")?;
    let Ok(server) = program.start(place, data) else { return Ok(Fate::DoesNotStart) };
    let mut found = Answers::new();
    let mut errors = 0;
    for metric in 0..METRICS {
        match ask(&server, metric, expected) {
            Ok(answers) => found.extend(answers),
            Err(_) => errors += 1,
        }
    }
    server.kill()?;
    let is_wrong = found.iter().any(|(key, samples)| {
        let known = expected.get(key);
        samples.iter().any(|sample| known.is_none_or(|known| !has(program, known, sample)))
    });
    let count = |answers: &Answers| answers.values().map(Vec::len).sum::<usize>();
    let text = fs::read_to_string(&log)?.to_lowercase();
    let is_logged = TOLD_BY.iter().any(|word| text.contains(word));
    Ok(match (is_wrong, errors, count(&found) == count(expected)) {
        (true, ..) => Fate::WrongSilently,
        (_, 1.., _) => Fate::ErrorAnswered,
        (_, _, true) => Fate::NoEffect,
        _ if is_logged => Fate::MissingAndLogged,
        _ => Fate::MissingSilently,
    })
}

/// Whether a sample is among those that were written, as exactly as the server promises to keep it.
fn has(program: &Program, known: &[(i64, f64)], (t, v): &(i64, f64)) -> bool {
    let at = known.partition_point(|(known, _)| known < t);
    let close = |known: f64| match program {
        Program::VictoriaMetrics(_) => (known - v).abs() <= 1e-12 * known.abs(),
        Program::Evenkeel(_) | Program::Prometheus(_) => known == *v,
    };
    known.get(at).is_some_and(|(known_t, known)| known_t == t && close(*known))
}

/// The samples of one metric; an error if the server answers with one.
fn ask(server: &Server, metric: u64, expected: &Answers) -> Result<Answers, Box<dyn Error>> {
    let last = expected.values().filter_map(|samples| samples.last()).map(|(t, _)| *t).max().unwrap_or(0);
    let form = format!("query={}&time={}", percent(&format!("flip_{metric}[6h]")), last as f64 / 1000.0);
    let answer = Http::connect(server.address)?.form("/api/v1/query", &form)?;
    if answer.status != 200 {
        return Err(answer.text().into());
    }
    let json: Value = serde_json::from_slice(&answer.body)?;
    let mut found = Answers::new();
    for result in json["data"]["result"].as_array().into_iter().flatten() {
        let series = result["metric"]["series"].as_str().and_then(|text| text.parse().ok()).unwrap_or(u64::MAX);
        let pairs = result["values"].as_array().into_iter().flatten();
        let sample = |pair: &Value| {
            let t = pair[0].as_f64().map_or(0, |t| (t * 1000.0).round() as i64);
            (t, pair[1].as_str().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN))
        };
        found.insert((metric, series), pairs.map(sample).collect());
    }
    Ok(found)
}
