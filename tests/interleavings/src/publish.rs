//! A snapshot has each row exactly once while memtables become segments and segments are merged,
//! never changes, and keeps its files.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::Arc as StdArc;

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

use crate::every_interleaving;
use crate::manifest::{SegmentEntry, Version};
use crate::memtable::Decode;
use crate::segment::{Disk, Segment};
use crate::snapshot::{Segments, Snapshot};
use crate::store::state::State;
use crate::sync::lock;

/// A store reduced to what readers see, changed as store/commit.rs and store/maintain.rs do.
struct Store {
    state: Mutex<State>,
    disk: StdArc<Disk>,
    acknowledged: AtomicU64,
}

impl Store {
    /// With a segment for each of these lists of rows.
    fn new(segments: &[&[u64]]) -> Arc<Self> {
        let disk = StdArc::new(Disk::default());
        let open: Vec<_> = segments
            .iter()
            .zip(1..)
            .map(|(rows, number)| Arc::new(Segment::new(&disk, number, rows.to_vec())))
            .collect();
        let mut version = Version::default();
        version.segments.extend(open.iter().map(|s| entry(s.number())));
        let segments = Segments { open, unreadable: Vec::new() };
        let state = Mutex::new(State::new(version, segments, VecDeque::new(), Decode));
        Arc::new(Self { state, disk, acknowledged: AtomicU64::new(0) })
    }

    /// Works on the locked state; the disk is told who does.
    fn with_state<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = lock(&self.state);
        let locked_by = &self.disk.state_locked_by;
        *locked_by.lock().unwrap() = Some(thread::current().id());
        let done = work(&mut state);
        *locked_by.lock().unwrap() = None;
        done
    }

    fn append(&self, row: u64) {
        self.with_state(|state| state.active.0.rows.push(row));
        self.acknowledged.store(row, Ordering::Release);
    }

    /// Flushes what is sealed; the new segment has this number.
    fn flush(&self, number: u64) {
        let next = self.with_state(|state| state.sealed.front().cloned());
        let Some(sealed) = next else { return };
        let segment = Arc::new(Segment::new(&self.disk, number, sealed.view.rows.clone()));
        let mut version = self.with_state(|state| Version::clone(&state.version));
        version.segments.push(entry(number));
        let obsolete = self.with_state(|state| state.publish_flushed(version, &[segment]));
        drop(obsolete);
    }

    /// Merges all segments into one with this number.
    fn merge(&self, number: u64) {
        let open = self.with_state(|state| state.segments.clone());
        let rows = open.open.iter().flat_map(|segment| segment.rows.clone()).collect();
        let segment = Arc::new(Segment::new(&self.disk, number, rows));
        let mut version = self.with_state(|state| Version::clone(&state.version));
        version.segments = vec![entry(number)];
        let obsolete = self.with_state(|state| state.publish(version, &[segment]));
        drop(obsolete);
    }

    /// Drops the oldest segment, as retention does.
    fn drop_oldest(&self) {
        let mut version = self.with_state(|state| Version::clone(&state.version));
        version.segments.remove(0);
        let obsolete = self.with_state(|state| state.publish(version, &[]));
        drop(obsolete);
    }

    /// Takes a snapshot that must have each row up to the last acknowledged one.
    fn snapshot(&self) -> Snapshot {
        let acknowledged = self.acknowledged.load(Ordering::Acquire);
        let snapshot = self.with_state(State::snapshot);
        let rows = snapshot.rows();
        assert_eq!(rows, (1..=rows.len() as u64).collect::<Vec<_>>());
        assert!(rows.len() as u64 >= acknowledged, "{rows:?} without {acknowledged}");
        snapshot
    }

    fn files(&self) -> Vec<u64> {
        self.disk.files.lock().unwrap().iter().copied().collect()
    }

    fn has_files_of(&self, snapshot: &Snapshot) -> bool {
        let files = self.files();
        snapshot.segments.open.iter().all(|segment| files.contains(&segment.number()))
    }
}

fn entry(number: u64) -> SegmentEntry {
    SegmentEntry { number, ..SegmentEntry::default() }
}

fn start(store: &Arc<Store>, run: impl FnOnce(&Store) + 'static) -> thread::JoinHandle<()> {
    let store = store.clone();
    thread::spawn(move || run(&store))
}

fn rows(rows: RangeInclusive<u64>) -> Vec<u64> {
    rows.collect()
}

#[test]
fn a_snapshot_has_each_row_once_while_a_memtable_becomes_a_segment() {
    every_interleaving("a_snapshot_has_each_row_once", || {
        let store = Store::new(&[]);
        let writer = start(&store, |store| {
            store.append(1);
            store.with_state(|state| state.seal(1));
            store.append(2);
        });
        let flusher = start(&store, |store| store.flush(1));
        let early = store.snapshot();
        let seen = early.rows();
        let late = store.snapshot();
        assert!(late.rows().starts_with(&seen));
        writer.join().unwrap();
        flusher.join().unwrap();
        assert_eq!(early.rows(), seen, "a snapshot has changed");
        store.flush(2);
        assert_eq!(store.snapshot().rows(), [1, 2]);
    });
}

#[test]
fn a_replaced_file_is_removed_when_the_last_snapshot_is_gone_and_not_before() {
    every_interleaving("a_replaced_file_is_removed", || {
        let store = Store::new(&[&[1, 2], &[3]]);
        let reader = |store: &Store| {
            let snapshot = store.snapshot();
            assert_eq!(snapshot.rows(), rows(1..=3));
            assert!(store.has_files_of(&snapshot), "a file is gone that a snapshot has");
        };
        let merger = start(&store, |store| store.merge(3));
        let other = start(&store, reader);
        reader(&store);
        merger.join().unwrap();
        other.join().unwrap();
        assert_eq!(store.files(), [3]);
        assert_eq!(store.snapshot().rows(), rows(1..=3));
    });
}

#[test]
fn files_that_retention_drops_are_removed_when_the_state_is_unlocked() {
    every_interleaving("files_that_retention_drops", || {
        let store = Store::new(&[&[1], &[2]]);
        let retention = start(&store, Store::drop_oldest);
        let held = store.with_state(State::snapshot);
        assert!(store.has_files_of(&held), "a file is gone that a snapshot has");
        assert!(held.rows().ends_with(&[2]));
        drop(held);
        retention.join().unwrap();
        assert_eq!(store.files(), [2]);
    });
}

#[test]
fn a_flush_and_a_merge_after_it_leave_each_row_once() {
    every_interleaving("a_flush_and_a_merge", || {
        let store = Store::new(&[&[1]]);
        store.append(2);
        store.with_state(|state| state.seal(1));
        let maintenance = start(&store, |store| {
            store.flush(2);
            store.merge(3);
        });
        let writer = start(&store, |store| store.append(3));
        let held = store.snapshot();
        let seen = held.rows();
        maintenance.join().unwrap();
        assert!(store.has_files_of(&held), "a file is gone that a snapshot has");
        assert_eq!(held.rows(), seen, "a snapshot has changed");
        writer.join().unwrap();
        drop(held);
        assert_eq!(store.files(), [3]);
        assert_eq!(store.snapshot().rows(), rows(1..=3));
    });
}
