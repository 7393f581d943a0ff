//! The power goes while a server writes: the file system is shut down under it, the process killed,
//! the file system mounted again, the server started again.

use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

use evenkeel::env::Rng;

use crate::Row;
use crate::ledger::{Found, Pace, Round, load};
use crate::programs::Program;
use crate::volume::Volume;

const VOLUME_BYTES: u64 = 1 << 30;
/// How long a round writes before the power goes, at the least and at the most.
const WRITES_MS: (u64, u64) = (50, 1500);
/// How long it goes on after that: what is acknowledged then is promised as well.
const AFTER: Duration = Duration::from_millis(60);

pub(crate) fn run(program: &Program, place: &Path, rounds: u64, seed: u64) -> Result<Row, Box<dyn Error>> {
    let (mut rng, begun) = (Rng::new(seed), Instant::now());
    let mut volume = Volume::create(place, VOLUME_BYTES)?;
    let data = volume.path().join("data");
    let mut written: Vec<Round> = Vec::new();
    let (mut found, mut at_the_end, mut rounds_with_loss) = (Found::default(), Found::default(), 0);
    for id in 0..rounds {
        let mut server = program.start(place, &data)?;
        let length = Duration::from_millis(WRITES_MS.0 + rng.below(WRITES_MS.1 - WRITES_MS.0));
        let checkpoint = (rng.below(2) == 0).then(|| length.mul_f64(rng.unit()));
        let (stop, acknowledged, refused) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
        let pace = Pace {
            series: 40,
            pause: Duration::from_micros(500),
            stop: &stop,
            acknowledged: &acknowledged,
            refused: &refused,
        };
        let (round, ()) = load(&mut server, id, &pace, |server| {
            std::thread::sleep(checkpoint.unwrap_or(length));
            if checkpoint.is_some() {
                program.checkpoint(server)?;
                std::thread::sleep(length.saturating_sub(checkpoint.unwrap_or(length)));
            }
            volume.cut_power()?;
            std::thread::sleep(AFTER);
            server.kill_now()
        })?;
        volume.unmount()?;
        volume.mount()?;
        let server = program.start(place, &data)?;
        let now = round.check(&server)?;
        rounds_with_loss += u64::from(now.lost > 0);
        found.add(now);
        server.kill()?;
        written.push(round);
        crate::progress(program, written.len() as u64, rounds, begun);
    }
    let server = program.start(place, &data)?;
    for round in &written {
        at_the_end.add(round.check(&server)?);
    }
    server.kill()?;
    volume.unmount()?;
    let mut broken = Vec::new();
    if found.lost + found.invented + at_the_end.lost + at_the_end.invented > 0 {
        broken.push(format!("after cuts {found:?}, at the end {at_the_end:?}"));
    }
    Ok(Row {
        what: format!("power cut while writing (ext4 shut down), {}", program.name()),
        counts: vec![
            ("rounds", rounds.to_string()),
            ("seconds", format!("{:.0}", begun.elapsed().as_secs_f64())),
            ("samples acknowledged", found.acknowledged.to_string()),
            ("lost, seen at the next start", found.lost.to_string()),
            ("lost, seen at the end", at_the_end.lost.to_string()),
            ("rounds that lost something", rounds_with_loss.to_string()),
            ("samples that nobody sent", at_the_end.invented.to_string()),
        ],
        broken,
    })
}
