//! A disk that fills up, is full, has room again; then a restart.

use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use evenkeel::env::Rng;

use crate::Row;
use crate::harness::{Http, Server, percent};
use crate::ledger::{Found, Pace, Round, load};
use crate::programs::Program;
use crate::volume::Volume;

/// Room for what all rounds leave behind; what is not written takes none on the disk below.
const VOLUME_BYTES: u64 = 4 << 30;
/// Series a batch: many, because the segment that a server has allocated has to be filled before it notices.
const SERIES: u64 = 2000;
/// How long a server is given to notice that its disk is full, or that it is not any more. Ours goes on
/// in the segment that it has allocated until that is full.
const NOTICES_WITHIN: Duration = Duration::from_secs(45);
/// How long it writes on its own way to a full disk.
const FILLS_WITHIN: Duration = Duration::from_secs(3);
const LOOKS_EVERY: Duration = Duration::from_millis(10);

/// What was seen of one episode.
#[derive(Default)]
struct Episode {
    refused: bool,
    queries_answered: bool,
    died: bool,
    resumed_ms: Option<f64>,
}

pub(crate) fn run(program: &Program, place: &Path, rounds: u64, seed: u64) -> Result<Row, Box<dyn Error>> {
    let (mut rng, begun) = (Rng::new(seed), Instant::now());
    let mut volume = Volume::create(place, VOLUME_BYTES)?;
    let data = volume.path().join("data");
    let mut written: Vec<Round> = Vec::new();
    let mut episodes = Vec::new();
    let (mut found, mut at_the_end) = (Found::default(), Found::default());
    for id in 0..rounds {
        let mut server = program.start(place, &data)?;
        let (stop, acknowledged, refused) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
        let pace =
            Pace { series: SERIES, pause: Duration::ZERO, stop: &stop, acknowledged: &acknowledged, refused: &refused };
        let left = program.reserve_bytes() + (1 << 20) + rng.below(2 << 20);
        let (round, episode) =
            load(&mut server, id, &pace, |server| fill_and_free(program, server, &volume, (id, left), &pace))?;
        volume.free()?;
        if episode.died || rng.below(2) == 0 {
            server.kill()?;
        } else {
            server.stop()?;
        }
        let server = program.start(place, &data)?;
        found.add(round.check(&server)?);
        server.stop()?;
        written.push(round);
        crate::progress(program, written.len() as u64, rounds, begun);
        episodes.push(episode);
    }
    let server = program.start(place, &data)?;
    for round in &written {
        at_the_end.add(round.check(&server)?);
    }
    server.kill()?;
    volume.unmount()?;
    Ok(row(program, &episodes, (found, at_the_end), begun))
}

/// Leaves little room, waits until writes are refused, takes the rest, gives it back.
fn fill_and_free(
    program: &Program,
    server: &mut Server,
    volume: &Volume,
    (id, left): (u64, u64),
    pace: &Pace<'_>,
) -> io::Result<Episode> {
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let mut episode = Episode::default();
    wait_for(NOTICES_WITHIN, || count(pace.acknowledged) > 20);
    volume.leave(left)?;
    wait_for(FILLS_WITHIN, || count(pace.refused) > 3);
    // Now there is really nothing left, whatever the server keeps free.
    volume.leave(0)?;
    episode.refused = wait_for(NOTICES_WITHIN, || count(pace.refused) > 3);
    std::thread::sleep(Duration::from_millis(300));
    episode.died = server.has_ended();
    episode.queries_answered = !episode.died && answers(program, server, id).unwrap_or(false);
    volume.free()?;
    if !episode.died {
        let (before, freed) = (count(pace.acknowledged), Instant::now());
        if wait_for(NOTICES_WITHIN, || count(pace.acknowledged) > before) {
            episode.resumed_ms = Some(freed.elapsed().as_secs_f64() * 1000.0);
        }
        std::thread::sleep(Duration::from_millis(200));
        episode.died = server.has_ended();
    }
    Ok(episode)
}

/// Whether samples of this round can be read.
fn answers(program: &Program, server: &Server, id: u64) -> io::Result<bool> {
    program.make_visible(server)?;
    let selector = percent(&format!("load_value{{round=\"{id}\",series=\"0\"}}[5m]"));
    let answer = Http::connect(server.address)?.form("/api/v1/query", &format!("query={selector}"))?;
    Ok(answer.status == 200 && answer.text().contains("\"values\""))
}

fn wait_for(within: Duration, mut what: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while !what() {
        if begun.elapsed() > within {
            return false;
        }
        std::thread::sleep(LOOKS_EVERY);
    }
    true
}

fn row(program: &Program, episodes: &[Episode], (found, at_the_end): (Found, Found), begun: Instant) -> Row {
    let of = |what: fn(&Episode) -> bool| episodes.iter().filter(|episode| what(episode)).count();
    let mut resumed: Vec<f64> = episodes.iter().filter_map(|episode| episode.resumed_ms).collect();
    resumed.sort_by(f64::total_cmp);
    let mut broken = Vec::new();
    if found.lost + found.invented + at_the_end.lost + at_the_end.invented > 0 {
        broken.push(format!("after restarts {found:?}, at the end {at_the_end:?}"));
    }
    let all = episodes.len();
    for (what, n) in [
        ("refused writes", of(|e| e.refused)),
        ("answered queries while full", of(|e| e.queries_answered)),
        ("stayed up", of(|e| !e.died)),
        ("took writes again", resumed.len()),
    ] {
        if n < all {
            broken.push(format!("only in {n} of {all} rounds it {what}"));
        }
    }
    Row {
        what: format!("disk full, freed, restarted, {}", program.name()),
        counts: vec![
            ("rounds", all.to_string()),
            ("seconds", format!("{:.0}", begun.elapsed().as_secs_f64())),
            ("samples acknowledged", found.acknowledged.to_string()),
            ("lost, seen at the next start", found.lost.to_string()),
            ("lost, seen at the end", at_the_end.lost.to_string()),
            ("samples that nobody sent", at_the_end.invented.to_string()),
            ("rounds in which writes were refused", of(|e| e.refused).to_string()),
            ("rounds in which queries were answered", of(|e| e.queries_answered).to_string()),
            ("rounds in which the process ended", of(|e| e.died).to_string()),
            ("writes resumed by themselves", resumed.len().to_string()),
            ("resumed after, longest ms", format!("{:.0}", crate::harness::quantile(&resumed, 1.0))),
        ],
        broken,
    }
}
