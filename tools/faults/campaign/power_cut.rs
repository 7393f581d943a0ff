//! A power cut after every change that a history makes, with everything that it may leave.

use std::sync::Arc;

use evenkeel::env::disk::{Disk, MemoryDisk};
use evenkeel::storage::{Durability, StoreOptions};
use evenkeel::testkit::{Contents, Loss, Names, TraceDisk};

use super::cases::{Found, Outcome};
use super::model::{End, Truth};
use super::workload::{Run, Step, dir, history, options, recover};

/// What a power cut may leave, at one place of a history.
fn losses(place: usize, draws: u64) -> Vec<Loss> {
    let seeds = (0..draws).map(|draw| place as u64 * draws + draw);
    let drawn = seeds.flat_map(|seed| [Contents::Torn(seed), Contents::Scattered(seed)]);
    let contents = [Contents::Lost, Contents::Kept].into_iter().chain(drawn);
    let names = [Names::Lost, Names::Kept, Names::Torn(place as u64)];
    contents.flat_map(|contents| names.map(|names| Loss { contents, names })).collect()
}

/// The truth at a place: as it stands from so many changes on.
struct Mark {
    changes: usize,
    truth: Truth,
}

/// Runs the history once and notes what must be there after each change.
fn traced(options: &StoreOptions) -> Result<(TraceDisk, Vec<Mark>), Found> {
    let trace = TraceDisk::new(Arc::new(MemoryDisk::new()), dir()).map_err(|error| error.to_string())?;
    let mut marks = Vec::new();
    let mut run = Run::new(Arc::new(trace.clone()), options.clone());
    let mut store = run.through_failures(&[])?;
    for step in history() {
        let mut doubtful = run.truth.clone();
        if let Step::Commit(at, group) = &step {
            doubtful.in_doubt(*at, group);
        }
        marks.push(Mark { changes: trace.changes(), truth: doubtful });
        store = run.go_on(store, &step)?;
        marks.push(Mark { changes: trace.changes(), truth: run.truth.clone() });
    }
    // Before the first step there was nothing.
    marks.insert(0, Mark { changes: 0, truth: Truth::new(options.clone()) });
    Ok((trace, marks))
}

/// Every `stride`th place, `draws` random images of each kind.
pub(crate) fn run(stride: usize, draws: u64) -> Result<Vec<Outcome>, Found> {
    [Durability::Synced, Durability::Buffered]
        .map(|durability| run_with(durability, stride, draws))
        .into_iter()
        .collect()
}

fn run_with(durability: Durability, stride: usize, draws: u64) -> Result<Outcome, Found> {
    let options = StoreOptions { durability, ..options() };
    let (trace, marks) = traced(&options)?;
    let places = trace.changes() + 1;
    let name = format!("power cut, {durability:?}");
    Ok(Outcome::of(name, places.div_ceil(stride), |case, tally| {
        let place = case * stride;
        let known = marks.iter().rev().find(|mark| mark.changes <= place);
        let truth = known.map_or_else(|| Truth::new(options.clone()), |mark| mark.truth.clone());
        for loss in losses(place, draws) {
            tally.case();
            let image: Arc<dyn Disk> = Arc::new(trace.image(place, loss));
            recover(&image, truth.clone(), End::Power).map_err(|found| {
                format!("{durability:?}, cut before change {place} ({}), {loss:?}: {found}", trace.describe(place))
            })?;
        }
        Ok(())
    }))
}
