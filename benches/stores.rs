//! Stores for benches: filled from the corpus, and with nothing going on in the background that was
//! not asked for.

use std::io;
use std::path::Path;
use std::time::Duration;

use amida::{Durability, Options, Receipt, Retention, Snapshot, Store, TraceId};
use bytes::Bytes;

use crate::corpus::Corpus;
use crate::process::Result;

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

/// Appends a request.
///
/// # Errors
/// Those of the store, and when it does not take every span.
pub fn append(store: &Store, body: Bytes) -> Result<()> {
    whole(&store.append_otlp(body)?)
}

/// Whether every span of a request was taken.
///
/// # Errors
/// Which were not, and why.
pub fn whole(receipt: &Receipt) -> Result<()> {
    match receipt.rejected() {
        0 => Ok(()),
        _ => Err(format!("rejected: {:?}", receipt.rejections()).into()),
    }
}

fn append_all(store: &Store, bodies: &[Bytes]) {
    for body in bodies {
        append(store, body.clone()).unwrap_or_else(|error| panic!("a good request: {error}"));
    }
}

/// A new store with these requests in its memory, in no segment.
///
/// # Panics
/// When a request is refused, or there is no room for a store.
pub fn filled(directory: &Path, bodies: &[Bytes]) -> Store {
    let store = quiet().open(directory).unwrap_or_else(|error| panic!("no new store: {error}"));
    append_all(&store, bodies);
    store
}

/// A new store with these requests in so many segments.
///
/// # Panics
/// As `filled`.
pub fn in_segments(directory: &Path, bodies: &[Bytes], segments: usize) -> Store {
    let store = filled(directory, &[]);
    for bodies in bodies.chunks(bodies.len().div_ceil(segments.max(1)).max(1)) {
        append_all(&store, bodies);
        store.flush().unwrap_or_else(|error| panic!("no flush: {error}"));
    }
    store
}

/// Ids of so many traces with 20 to 40 spans, drawn at random: ids say nothing of when a trace ran,
/// so they are spread over the whole store. Finding them warms what answers them.
///
/// # Errors
/// When the store cannot be read, or has no such trace.
pub fn traces(snapshot: &Snapshot, count: usize) -> Result<Vec<TraceId>> {
    let mut all = snapshot.traces_with_prefix("", usize::MAX)?;
    fastrand::Rng::with_seed(SEED).shuffle(&mut all);
    let mut picked = Vec::new();
    for id in all {
        if picked.len() == count {
            break;
        }
        let trace = snapshot.trace(id)?.ok_or("a trace that was listed is gone")?;
        if (20..=40).contains(&trace.spans().len()) {
            picked.push(id);
        }
    }
    if picked.is_empty() { Err("no trace has 20 to 40 spans".into()) } else { Ok(picked) }
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
