//! The main path: commit, read, reopen, checkpoint, retention, health.

use std::sync::Arc;

use evenkeel::env::disk::{Disk, RealDisk};
use evenkeel::model::Seq;
use evenkeel::storage::{Applied, CommitError, Entry, OpenError, Store};

use super::*;

#[test]
fn a_real_directory_keeps_what_was_committed() {
    let temp = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let path = temp.path().join("data");
    let up = labels("up", 1);
    let shown;
    {
        let (store, mut replay) = Store::open(Arc::clone(&disk), &path, options()).unwrap();
        assert_eq!(store.commit(at(0), vec![Entry::Tick]), Err(CommitError::Replaying));
        assert_eq!(replay.next().unwrap(), None);
        drop(replay);
        let taken = commit(&store, 1000, batch(&[(&up, 1000, 1.0)]));
        assert_eq!((taken.seq, taken.at, taken.new_series.len()), (Seq(1), at(1000), 1));
        assert!(matches!(Store::open(Arc::clone(&disk), &path, options()), Err(OpenError::Locked { .. })));
        assert!(store.begin_checkpoint(vec![("rules".into(), b"state".to_vec())]).unwrap());
        commit(&store, 2000, batch(&[(&up, 2000, 0.0)]));
        assert!(!store.begin_checkpoint(Vec::new()).unwrap(), "one is under way");
        store.finish_checkpoint().unwrap();
        let note = store.commit(at(3000), vec![Entry::Note(b"deploy".to_vec()), Entry::Tick]).unwrap();
        assert_eq!(note[1], Applied::Tick { seq: Seq(4), at: at(3000) });
        shown = content(&store.snapshot());
    }
    let (store, mut replay) = Store::open(disk, &path, options()).unwrap();
    assert_eq!((replay.position(), replay.attachment("rules")), ((Seq(1), at(1000)), Some(b"state".as_slice())));
    let Some(Applied::Transaction(second)) = replay.next().unwrap() else { panic!("a transaction comes first") };
    assert_eq!((second.seq, second.new_series.len(), second.samples.len()), (Seq(2), 1, 1));
    assert_eq!(store.snapshot().seq(), Seq(2));
    assert!(matches!(replay.next().unwrap(), Some(Applied::Note { seq: Seq(3), .. })));
    assert!(matches!(replay.next().unwrap(), Some(Applied::Tick { seq: Seq(4), .. })));
    assert_eq!(replay.next().unwrap(), None);
    assert_eq!(content(&store.snapshot()), shown);
    assert_eq!((store.status().blocks, store.status().wal_segments), (1, 1));
    let later = commit(&store, 4000, batch(&[(&up, 4000, 1.0)]));
    assert!(later.new_series.is_empty(), "replay told it already");
}
