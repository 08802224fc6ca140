//! Traces by their ids: from segments, and from memory.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use amida::{Reader, Snapshot, Stats, Store};
use amida_benches::corpus::frames::Frames;
use amida_benches::process::{Result, percentiles, process_cpu, rounded};
use amida_benches::stores;
use serde_json::{Value, json};

/// Each trace is looked up this often, not twice in a row.
const ROUNDS: usize = 5;

/// As by default.
const SEAL_BYTES: u64 = 16 << 20;

fn measure(
    what: &str,
    snapshot: impl Fn() -> Snapshot,
    stats: impl Fn() -> Stats,
    traces: usize,
) -> Result<Value> {
    let ids = stores::traces(&snapshot(), traces)?;
    let (mut times, mut spans) = (Vec::with_capacity(ids.len() * ROUNDS), 0);
    let cpu_s = process_cpu();
    for id in (0..ROUNDS).flat_map(|_| &ids) {
        let begun = Instant::now();
        let trace = black_box(snapshot().trace(*id)?);
        times.push(begun.elapsed());
        spans += trace.map_or(0, |trace| trace.spans().len());
    }
    let cpu_s = process_cpu() - cpu_s;
    let stats = stats();
    Ok(json!({
        "what": what,
        "traces": ids.len(),
        "lookups": times.len(),
        "spans_per_trace": rounded(spans as f64 / times.len() as f64),
        "cpu_us": rounded(cpu_s / times.len() as f64 * 1e6),
        "lookup": percentiles(times),
        "segments": stats.segments,
        "segment_spans": stats.segment_spans,
        "memtable_spans": stats.memtable_spans,
    }))
}

/// Measures `lookup`. A reader: it merges no segments meanwhile.
pub fn stored(dir: &Path, traces: usize) -> Result<Value> {
    let reader = Reader::open(dir)?;
    measure("lookup", || reader.snapshot(), || reader.stats(), traces)
}

/// Measures `hot`.
pub fn hot(file: &Path, traces: usize) -> Result<Value> {
    let dir = tempfile::tempdir()?;
    let store = Store::options()
        .durability(amida::Durability::Os)
        .seal_bytes(SEAL_BYTES)
        .seal_age(Duration::from_secs(3_600))
        .open(dir.path().join("hot.amida"))?;
    for body in Frames::open(file)? {
        let body = body?;
        if store.stats().memtable_bytes + 2 * body.len() as u64 > SEAL_BYTES {
            break;
        }
        stores::append(&store, body)?;
    }
    let measured = measure("hot", || store.snapshot(), || store.stats(), traces)?;
    if store.stats().segments > 0 {
        return Err("the memtable was flushed while it was measured".into());
    }
    store.close()?;
    Ok(measured)
}
