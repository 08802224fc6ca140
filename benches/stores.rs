//! Stores for benches: filled from the corpus, and with nothing going on in the background that was
//! not asked for.

use std::io;
use std::path::Path;
use std::time::Duration;

use amida::{Durability, Options, Retention, Store, TraceId};
use bytes::Bytes;

use crate::corpus::Corpus;

/// The seed of all benches.
pub const SEED: u64 = 42;

/// The requests of a corpus.
pub fn bodies(spans: usize) -> Vec<Bytes> {
    Corpus::new(SEED, spans).collect()
}

/// A store that syncs, flushes and drops nothing by itself, and merges no segments.
pub fn quiet() -> Options {
    Store::options()
        .durability(Durability::Os)
        .retention(Retention::forever())
        .disk_floor_bytes(0)
        .seal_bytes(u64::MAX)
        .seal_age(Duration::from_secs(24 * 3_600))
        .wal_bytes_max(u64::MAX)
        .segment_bytes_max(1)
}

/// Appends these requests.
///
/// # Panics
/// When the store does not take all of their spans.
pub fn append(store: &Store, bodies: &[Bytes]) {
    for body in bodies {
        match store.append_otlp(body.clone()) {
            Ok(receipt) => assert_eq!(receipt.rejected(), 0, "{:?}", receipt.rejections()),
            Err(error) => panic!("a good request fails: {error}"),
        }
    }
}

/// A new store with these requests in its memory, in no segment.
///
/// # Panics
/// As `append`, and where there is no room for a store.
pub fn filled(directory: &Path, bodies: &[Bytes]) -> Store {
    let store = quiet().open(directory).unwrap_or_else(|error| panic!("no new store: {error}"));
    append(&store, bodies);
    store
}

/// A new store with these requests in so many segments.
///
/// # Panics
/// As `filled`.
pub fn in_segments(directory: &Path, bodies: &[Bytes], segments: usize) -> Store {
    let store = filled(directory, &[]);
    for bodies in bodies.chunks(bodies.len().div_ceil(segments.max(1)).max(1)) {
        append(&store, bodies);
        store.flush().unwrap_or_else(|error| panic!("no flush: {error}"));
    }
    store
}

/// Ids of traces with 20 to 40 spans, spread over the store.
///
/// # Panics
/// When the store cannot be read.
pub fn traces(store: &Store, count: usize) -> Vec<TraceId> {
    let snapshot = store.snapshot();
    let all = snapshot.traces_with_prefix("", usize::MAX);
    let mut all = all.unwrap_or_else(|error| panic!("no ids: {error}"));
    // Ids are random: some of the first in their order are some of all times.
    fastrand::Rng::with_seed(SEED).shuffle(&mut all);
    let fits = |id: &TraceId| {
        let trace = snapshot.trace(*id).ok().flatten();
        trace.is_some_and(|trace| (20..=40).contains(&trace.spans().len()))
    };
    all.into_iter().filter(fits).take(count).collect()
}

/// Copies a directory with all files below it.
///
/// # Errors
/// What the disk says.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
