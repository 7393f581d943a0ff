//! Every operation of a history fails once, at every position, in every way; then the one after it
//! too; then operations of the recovery.

use std::io::ErrorKind;
use std::sync::Arc;

use evenkeel::env::disk::{Disk, MemoryDisk};
use evenkeel::testkit::{Contents, Fault, FaultyDisk, Loss, Names, TraceDisk};

use super::cases::{Found, Outcome, Tally};
use super::model::End;
use super::workload::{Run, dir, history, options, recover};

/// The ways in which an operation fails.
const FAULTS: [Fault; 5] = [
    Fault::Error(ErrorKind::Other),
    Fault::Error(ErrorKind::StorageFull),
    Fault::Error(ErrorKind::ReadOnlyFilesystem),
    Fault::Short(ErrorKind::StorageFull),
    Fault::Short(ErrorKind::Other),
];

/// A disk in memory of which operations fail and every change is noted.
struct Disks {
    faulty: FaultyDisk,
    trace: TraceDisk,
}

impl Disks {
    fn on(memory: MemoryDisk) -> Result<Disks, Found> {
        let faulty = FaultyDisk::new(Arc::new(memory));
        let trace = TraceDisk::new(Arc::new(faulty.clone()), dir()).map_err(|error| error.to_string())?;
        Ok(Disks { faulty, trace })
    }

    fn shared(&self) -> Arc<dyn Disk> {
        Arc::new(self.trace.clone())
    }

    /// What a power cut now leaves.
    fn cut(&self, loss: Loss) -> Arc<dyn Disk> {
        Arc::new(self.trace.image(self.trace.changes(), loss))
    }
}

/// Operations of the history when none fails.
fn operations() -> Result<u64, Found> {
    let disks = Disks::on(MemoryDisk::new())?;
    let mut run = Run::new(disks.shared(), options());
    run.through_failures(&history())?;
    match (run.merged, run.dropped, run.reopened) {
        (0, ..) | (_, 0, _) | (.., 0) => {
            Err("the history has to merge and to drop blocks and to open again".to_owned())
        }
        _ => Ok(disks.faulty.operations()),
    }
}

/// Every `stride`th position.
pub(crate) fn run(stride: usize) -> Result<Vec<Outcome>, Found> {
    let count = operations()? as usize;
    let positions = count.div_ceil(stride);
    let at = |case: usize| ((case % positions) * stride) as u64;
    Ok(vec![
        Outcome::of("an operation fails once", positions * FAULTS.len(), |case, tally| {
            fails(at(case), FAULTS[case / positions], 1, tally)
        }),
        Outcome::of("operations fail twice in a row", positions * FAULTS.len() * 3, |case, tally| {
            let (fault, gap) = (FAULTS[case / positions % FAULTS.len()], case / positions / FAULTS.len());
            fails(at(case), fault, 2 + gap as u64, tally)
        }),
        Outcome::of("the process stops", positions, |case, tally| stops(at(case), tally)),
    ])
}

/// Fails operation `position`; with `times` above one also the `times - 2`nd after the caller noticed.
fn fails(position: u64, fault: Fault, times: u64, tally: &mut Tally) -> Result<(), Found> {
    let disks = Disks::on(MemoryDisk::new())?;
    disks.faulty.fail_at(position, fault);
    let mut run = Run::new(disks.shared(), options());
    let mut again = times > 1;
    let faulty = disks.faulty.clone();
    run.after_failure = Box::new(move || {
        if std::mem::take(&mut again) {
            faulty.fail_at(faulty.operations() + times - 2, fault);
        }
    });
    tally.case();
    let told = |found| {
        let place = disks.faulty.met().unwrap_or_default();
        format!("{fault:?} at operation {position} ({place}), {times} times: {found}")
    };
    let store = run.through_failures(&history()).map_err(told)?;
    drop(store);
    tally.add("opened again", run.reopened);
    tally.add("refused", run.refused);
    let truth = run.truth.clone();
    disks.faulty.heal();
    let after = |image| recover(&image, truth.clone(), End::Power).map_err(|found| told(format!("power cut: {found}")));
    after(disks.cut(Loss::MOST))?;
    after(disks.cut(Loss { contents: Contents::Scattered(position), names: Names::Torn(position) }))?;
    recover(&disks.shared(), truth, End::Process).map_err(told)
}

/// Stops at operation `position`; then the recovery stops at each of its operations.
fn stops(position: u64, tally: &mut Tally) -> Result<(), Found> {
    let disks = Disks::on(MemoryDisk::new())?;
    disks.faulty.fail_at(position, Fault::Stop);
    let mut run = Run::new(disks.shared(), options());
    let told = |found| format!("stop at operation {position}: {found}");
    run.until_failure(&history()).map_err(told)?;
    disks.faulty.heal();
    let truth = run.truth;
    let all = Loss { contents: Contents::Kept, names: Names::Kept };
    for (loss, end) in [(all, End::Process), (Loss::MOST, End::Power)] {
        for second in 0.. {
            let image = Disks::on(disks.trace.image(disks.trace.changes(), loss))?;
            image.faulty.fail_at(second, Fault::Stop);
            let mut again = Run::new(image.shared(), options());
            again.truth = truth.clone();
            again.until_failure(&[]).map_err(told)?;
            tally.case();
            let stopped = image.faulty.met();
            image.faulty.heal();
            let told =
                |found| told(format!("{loss:?}, then at operation {second} of the start ({stopped:?}): {found}"));
            recover(&image.cut(Loss::MOST), truth.clone(), End::Power).map_err(told)?;
            recover(&image.shared(), truth.clone(), end).map_err(told)?;
            if stopped.is_none() {
                break;
            }
        }
    }
    recover(&disks.shared(), truth, End::Process).map_err(told)
}
