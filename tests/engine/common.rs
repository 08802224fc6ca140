//! What the tests of the engine share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use amida::{Durability, ManualClock, MemoryFs, Options, Predicate, Snapshot, Store};
use amida_tests::corpus::{self, START_NS};
use bytes::Bytes;

/// The store's directory on a disk in memory.
pub const DIR: &str = "/store";

/// The time at which the tests' stores stand still: a minute after the first span.
pub const NOW_NS: i64 = START_NS + 60_000_000_000;

/// Options for a store on this disk, with a clock that stands still and no free space asked for.
pub fn options(fs: &MemoryFs) -> Options {
    Store::options()
        .fs(Arc::new(fs.clone()))
        .clock(Arc::new(ManualClock::at(NOW_NS)))
        .disk_floor_bytes(0)
        .retention(amida::Retention::forever())
}

/// The store on this disk.
pub fn open(fs: &MemoryFs) -> Store {
    options(fs).open(DIR).unwrap()
}

/// A store on a disk of its own, without syncs.
pub fn scratch() -> Store {
    options(&MemoryFs::new()).durability(Durability::Os).open(DIR).unwrap()
}

/// A request with one span: its number is its id and its name.
pub fn one_span(number: u64) -> Bytes {
    spans(number..number + 1)
}

/// A request with a span for each number, in one trace.
pub fn spans(numbers: std::ops::Range<u64>) -> Bytes {
    let span = |n: u64| corpus::plain_span(1, n, &n.to_string());
    corpus::body("numbers", numbers.map(span).collect())
}

/// The number in an environment variable, or else this one: how tests are given more time.
pub fn number_from(variable: &str, otherwise: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|e| panic!("{variable}={text}: {e}")),
        Err(_) => otherwise,
    }
}

/// How often each span number is there; the name of every span must be its number.
pub fn numbers(snapshot: &Snapshot) -> BTreeMap<u64, u64> {
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

/// As `numbers`, of what can be read: segments that are open, and what is in memory.
pub fn readable(snapshot: &Snapshot) -> BTreeMap<u64, u64> {
    let mut found = BTreeMap::new();
    let scans = snapshot.segments().iter().map(|s| s.clone().scan(&Predicate::new()).unwrap());
    let batches = scans.flatten().map(Result::unwrap).chain(snapshot.hot_batches().unwrap());
    for batch in batches {
        for span in batch.spans() {
            *found.entry(u64::from_be_bytes(*span.span_id().as_bytes())).or_default() += 1;
        }
    }
    found
}

/// Each of these numbers once.
pub fn once(numbers: impl IntoIterator<Item = u64>) -> BTreeMap<u64, u64> {
    numbers.into_iter().map(|n| (n, 1)).collect()
}

/// Runs a test on a thread of its own and fails when it has not ended after a minute: a test for
/// hangs must not hang.
#[allow(clippy::disallowed_methods)] // tests may start threads
pub fn within_a_minute<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, end) = channel();
    let thread = std::thread::spawn(move || {
        let result = test();
        // The receiver is gone only when the minute is over.
        let _ = done.send(());
        result
    });
    match end.recv_timeout(Duration::from_secs(60)) {
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        _ => thread.join().unwrap(),
    }
}
