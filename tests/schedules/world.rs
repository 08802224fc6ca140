//! A store, and what is known about each span that was sent to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use amida::{CrashModel, ManualClock, MemoryFs, Options, Predicate, Retention, Snapshot, Store};
use amida_tests::corpus::{self, START_NS};
use bytes::Bytes;
use shuttle::thread::{self, JoinHandle};

const DIR: &str = "/store";

/// What is known about the spans. The lock is not shuttle's and never held while the store works.
#[derive(Default)]
struct Known {
    submitted: BTreeSet<u64>,
    acknowledged: BTreeSet<u64>,
    failed: BTreeSet<u64>,
    seen: BTreeSet<u64>,
}

/// A store under test; clones are the same.
#[derive(Clone)]
pub struct World {
    pub disk: MemoryFs,
    pub store: Store,
    known: Arc<Mutex<Known>>,
}

pub fn options(disk: &MemoryFs) -> Options {
    Store::options()
        .fs(Arc::new(disk.clone()))
        .clock(Arc::new(ManualClock::at(START_NS + 60_000_000_000)))
        .disk_floor_bytes(0)
        .retention(Retention::forever())
}

/// A request with one span: its number is its id and its name.
fn one_span(number: u64) -> Bytes {
    corpus::body("numbers", vec![corpus::plain_span(1, number, &number.to_string())])
}

/// How often each span is there.
fn numbers(snapshot: &Snapshot) -> BTreeMap<u64, u64> {
    let mut found = BTreeMap::new();
    for batch in snapshot.scan(&Predicate::new()).unwrap() {
        for span in batch.unwrap().spans() {
            let number = u64::from_be_bytes(*span.span_id().as_bytes());
            assert_eq!(span.name(), number.to_string());
            *found.entry(number).or_default() += 1;
        }
    }
    found
}

/// A snapshot, and what was in it.
pub struct Look {
    snapshot: Snapshot,
    rows: BTreeMap<u64, u64>,
}

impl Look {
    /// It still has what it had.
    pub fn again(&self) {
        assert_eq!(numbers(&self.snapshot), self.rows, "a snapshot has changed");
    }
}

impl World {
    pub fn new(options_of: impl FnOnce(&MemoryFs) -> Options) -> Self {
        let disk = MemoryFs::new();
        let store = options_of(&disk).open(DIR).unwrap();
        Self { disk, store, known: Arc::default() }
    }

    fn known<T>(&self, look: impl FnOnce(&mut Known) -> T) -> T {
        look(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Starts a thread that has the store.
    pub fn start(&self, run: impl FnOnce(&World) + Send + 'static) -> JoinHandle<()> {
        let world = self.clone();
        thread::spawn(move || run(&world))
    }

    /// Appends these spans, one after the other.
    pub fn append(&self, spans: impl IntoIterator<Item = u64>) {
        for number in spans {
            self.known(|known| known.submitted.insert(number));
            let answer = self.store.append_otlp(one_span(number));
            match answer {
                Ok(receipt) => {
                    assert_eq!(receipt.accepted(), 1);
                    self.known(|known| known.acknowledged.insert(number));
                }
                Err(_) => {
                    self.known(|known| known.failed.insert(number));
                }
            }
        }
    }

    /// Submits a span and does not wait.
    pub fn submit(&self, number: u64) {
        self.known(|known| known.submitted.insert(number));
        drop(self.store.submit_otlp(one_span(number)));
    }

    /// Takes a snapshot: it has everything acknowledged before, each once, and nothing that failed.
    pub fn look(&self) -> Look {
        let acknowledged = self.known(|known| known.acknowledged.clone());
        let snapshot = self.store.snapshot();
        let rows = numbers(&snapshot);
        self.check(&rows, &acknowledged, "a snapshot");
        assert_eq!(snapshot.span_count(), rows.len() as u64);
        self.known(|known| known.seen.extend(rows.keys()));
        Look { snapshot, rows }
    }

    fn check(&self, rows: &BTreeMap<u64, u64>, acknowledged: &BTreeSet<u64>, what: &str) {
        assert!(rows.values().all(|count| *count == 1), "{what} has a span twice: {rows:?}");
        let lost: Vec<_> = acknowledged.iter().filter(|n| !rows.contains_key(n)).collect();
        assert!(lost.is_empty(), "{what} does not have {lost:?}: {rows:?}");
        let submitted = self.known(|known| known.submitted.clone());
        assert!(rows.keys().all(|n| submitted.contains(n)), "{what} has unknown spans: {rows:?}");
    }

    /// Nothing that failed was ever seen; returns how many spans failed.
    pub fn nothing_that_failed_was_seen(&self) -> usize {
        self.known(|known| {
            let wrong: Vec<_> = known.failed.intersection(&known.seen).collect();
            assert!(wrong.is_empty(), "{wrong:?} were seen and then failed");
            known.failed.len()
        })
    }

    /// The power fails: what was acknowledged is there afterwards, once.
    pub fn lose_power(&self) {
        let disk = self.disk.crash(CrashModel::LoseUnsynced);
        self.reopen(&disk);
    }

    /// Opens the store on this disk and looks at everything; returns the open store.
    pub fn reopen(&self, disk: &MemoryFs) -> Store {
        let store = options(disk).single_threaded().open(DIR).unwrap();
        assert_eq!(store.stats().damage, Vec::<String>::new());
        let acknowledged = self.known(|known| known.acknowledged.clone());
        self.check(&numbers(&store.snapshot()), &acknowledged, "the store, opened again,");
        store
    }
}

/// Waits for threads, and passes on their panics.
pub fn join(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    for thread in threads {
        thread.join().unwrap();
    }
}
