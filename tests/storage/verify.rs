//! Looking at stored files: sound ones are sound, every changed byte is found, and nothing is written.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use evenkeel::env::Rng;
use evenkeel::env::disk::{Disk, MemoryDisk};
use evenkeel::model::{Exemplar, Labels, MetricKind, MetricMetadata, Sample, SeriesExemplar, TimeRange};
use evenkeel::storage::{CodecShare, Entry, Fact, FileKind, Inspection, StoreOptions, VerifyReport, inspect, verify};
use evenkeel::testkit::FaultyDisk;

use super::{at, batch, commit, dir, labels, named, open, options};

/// A store with a file of each kind: merged and young blocks, tombstones, exemplars, a log.
fn stored() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let (store, ..) = open(&shared, StoreOptions { segment_bytes_max: 3000, ..options() });
    for i in 0..60i64 {
        let rows: Vec<(Labels, i64, f64)> = (0..5)
            .map(|n| (labels("m", n), i * 1000, if n == 0 { 7.0 } else { (i * n as i64) as f64 / 7.0 }))
            .collect();
        let rows: Vec<(&Labels, i64, f64)> = rows.iter().map(|(labels, t, v)| (labels, *t, *v)).collect();
        commit(&store, i * 1000, batch(&rows));
        if i % 10 == 9 {
            store.begin_checkpoint(vec![("rules".into(), vec![1, 2, 3])]).unwrap();
            store.finish_checkpoint().unwrap();
        }
        if i == 45 {
            store.maintain(at(i * 1000)).unwrap();
            let sample = Sample { t: at(0), v: 1.0 };
            let exemplar = Exemplar { labels: Labels::new([("id", "1")]).unwrap(), sample };
            let metadata = MetricMetadata {
                family: "m".to_owned(),
                kind: MetricKind::Gauge,
                help: "words".to_owned(),
                unit: String::new(),
            };
            let group = vec![
                Entry::Exemplars(vec![SeriesExemplar { series: labels("m", 1), exemplar }]),
                Entry::Metadata(vec![metadata]),
                Entry::Delete { matchers: named("m"), range: TimeRange { after: at(0), until: at(2000) } },
            ];
            store.commit(at(i * 1000), group).unwrap();
        }
    }
    commit(&store, 61_000, batch(&[(&labels("new", 1), 61_000, 1.0)]));
    disk
}

fn checked(disk: &MemoryDisk) -> VerifyReport {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    verify(&shared, dir(), &mut |done, all| assert!(done <= all)).unwrap()
}

fn all_files(disk: &MemoryDisk) -> Vec<PathBuf> {
    let mut paths = vec![dir().join("MANIFEST")];
    for name in ["wal", "blocks"] {
        paths.extend(disk.list(&dir().join(name)).unwrap().into_iter().map(|entry| entry.path));
    }
    paths
}

#[test]
fn a_sound_store_is_sound_and_nothing_is_written() {
    let disk = stored();
    let report = checked(&disk);
    assert_eq!((report.faults.as_slice(), report.faults_found), (&[][..], 0));
    assert!(report.samples >= 297 && report.entries >= 1 && report.files >= 6, "{report:?}");
    let watched = FaultyDisk::new(Arc::new(disk.clone()));
    let shared: Arc<dyn Disk> = Arc::new(watched.clone());
    verify(&shared, dir(), &mut |_, _| ()).unwrap();
    inspect(&watched, dir()).unwrap();
    assert_eq!(watched.operations(), 0);
}

/// Bytes behind the end of the log count for nothing.
fn counts(disk: &MemoryDisk, path: &Path, place: usize) -> bool {
    let found = inspect(disk, path).unwrap();
    found.files[0].kind != FileKind::Spare
        && found.files[0].facts.iter().all(|(name, fact)| match fact {
            Fact::Bytes(used) if name == "bytes in use" => (place as u64) < *used,
            _ => true,
        })
}

#[test]
fn every_changed_byte_is_found() {
    let sound = stored();
    let mut rng = Rng::new(7);
    for path in all_files(&sound) {
        let length = sound.read(&path).unwrap().len();
        for _ in 0..40 {
            let place = rng.below(length as u64) as usize;
            if !counts(&sound, &path, place) {
                continue;
            }
            let disk = sound.power_cut(evenkeel::env::disk::Survival::Most);
            disk.tamper(&path, |bytes| bytes[place] ^= 1 << rng.below(8)).unwrap();
            let report = checked(&disk);
            assert!(report.faults_found > 0, "byte {place} of {}", path.display());
            let named = report.faults.iter().any(|fault| fault.file == path);
            assert!(named, "byte {place} of {}: {:?}", path.display(), report.faults);
        }
    }
}

#[test]
fn a_missing_file_and_a_lost_entry_are_found() {
    let sound = stored();
    for suffix in [".block", ".series", ".attachments", ".tombstones"] {
        let disk = sound.power_cut(evenkeel::env::disk::Survival::Most);
        let path = all_files(&disk).into_iter().find(|path| path.to_string_lossy().ends_with(suffix)).unwrap();
        disk.remove(&path).unwrap();
        assert!(checked(&disk).faults.iter().any(|fault| fault.file == path), "{suffix}");
    }
    let disk = sound.power_cut(evenkeel::env::disk::Survival::Most);
    disk.remove(&dir().join("MANIFEST")).unwrap();
    assert_eq!(checked(&disk).faults.len(), 1);
}

#[test]
fn a_damaged_chunk_is_named_with_series_and_time() {
    let disk = stored();
    let block = all_files(&disk).into_iter().find(|path| path.to_string_lossy().ends_with(".block")).unwrap();
    // The first page of a block holds values.
    disk.tamper(&block, |bytes| bytes[30] ^= 1).unwrap();
    let report = checked(&disk);
    assert!(report.faults.iter().any(|fault| fault.offset == Some(16)), "{:?}", report.faults);
    let of_series = report.faults.iter().find(|fault| fault.series.is_some()).unwrap();
    assert!(of_series.range.is_some() && of_series.file == block, "{of_series:?}");
}

fn bytes_of(found: &Inspection) -> u64 {
    found.parts.iter().map(|(_, bytes)| bytes).sum()
}

fn check_codecs(found: &Inspection) {
    let sum = |of: fn(&CodecShare) -> u64| found.value_codecs.iter().map(of).sum::<u64>();
    assert_eq!(sum(|share| share.columns), found.chunks.0, "every chunk has a codec");
    assert_eq!(sum(|share| share.samples), found.block_samples);
    assert_eq!(sum(|share| share.bytes), found.metrics.iter().map(|metric| metric.value_bytes).sum::<u64>());
    let constant = found.value_codecs.iter().find(|share| share.codec == "constant").unwrap();
    assert_eq!(constant.columns, found.chunks.1);
    assert!(found.value_codecs.iter().any(|share| share.codec.ends_with("floats")), "{:?}", found.value_codecs);
    assert!(found.stamp_codecs.iter().all(|share| share.codec == "linear"), "{:?}", found.stamp_codecs);
    for share in &found.pages {
        let part = found.parts.iter().find(|(part, _)| *part == format!("block: {}", share.section)).unwrap();
        assert_eq!(part.1, share.bytes, "{}", share.section);
        assert!(share.compressed <= share.pages, "{share:?}");
    }
}

#[test]
fn inspect_tells_what_there_is() {
    let disk = stored();
    let found = inspect(&disk, dir()).unwrap();
    assert_eq!(found.series, 6);
    assert!(found.files.iter().all(|file| file.damage.is_empty()), "{found:#?}");
    let on_disk: u64 = all_files(&disk).iter().map(|path| disk.read(path).unwrap().len() as u64).sum();
    assert_eq!(bytes_of(&found), on_disk, "every byte belongs to a part");
    assert_eq!(found.span, Some((at(0), at(61_000))));
    assert_eq!((found.metrics[0].name.as_str(), found.metrics[0].series), ("m", 5));
    assert_eq!(found.metrics[0].samples, found.block_samples);
    assert_eq!((found.labels[0].name.as_str(), found.labels[0].values), ("n", 5));
    assert!(found.chunks.1 > 0 && found.chunks.1 < found.chunks.0, "{:?}", found.chunks);
    check_codecs(&found);
    let kinds: Vec<FileKind> = {
        let mut kinds: Vec<FileKind> = found.files.iter().map(|file| file.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    };
    for kind in [
        FileKind::Manifest,
        FileKind::Segment,
        FileKind::SeriesFile,
        FileKind::Block,
        FileKind::Attachments,
        FileKind::Tombstones,
    ] {
        assert!(kinds.contains(&kind), "{kind:?} is not among {kinds:?}");
    }
    // Each file tells the same by itself, wherever it lies.
    for file in &found.files {
        let elsewhere = Path::new("/elsewhere");
        disk.create_dir(elsewhere).unwrap();
        let copy = elsewhere.join("copy");
        let mut out = disk.create(&copy).unwrap();
        out.write_all(&disk.read(&file.path).unwrap()).unwrap();
        if file.kind == FileKind::Spare {
            continue;
        }
        let alone = inspect(&disk, &copy).unwrap();
        assert_eq!((alone.files[0].kind, &alone.files[0].facts), (file.kind, &file.facts));
    }
}

#[test]
fn no_bytes_make_inspect_panic() {
    let sound = stored();
    let mut rng = Rng::new(11);
    let path = Path::new("/data/blocks/other");
    for original in all_files(&sound) {
        let bytes = sound.read(&original).unwrap();
        for _ in 0..60 {
            let mut changed = bytes.clone();
            for _ in 0..=rng.below(4) {
                let place = rng.below(changed.len() as u64) as usize;
                changed[place] = rng.bits() as u8;
            }
            changed.truncate(rng.below(changed.len() as u64 + 1) as usize);
            let disk = MemoryDisk::new();
            disk.create_dir(path.parent().unwrap()).unwrap();
            disk.create(path).unwrap().write_all(&changed).unwrap();
            let found = inspect(&disk, path).unwrap();
            assert_eq!(found.files.len(), 1);
        }
    }
}
