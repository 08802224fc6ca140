//! Appending a whole corpus, and settling it: flush, compact, close.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use amida::{Error, Receipt, Store};
use amida_benches::corpus::frames::Frames;
use amida_benches::process::{
    Clocks, Memory, OnDisk, Result, peak_resident_mib, percentiles, process_cpu, rounded,
    thread_cpu,
};
use amida_benches::stores::whole;
use bytes::Bytes;
use serde_json::{Value, json};

use super::Durability;

/// Requests in memory that wait to be appended, over all appenders: about 8 MiB.
const READ_AHEAD: usize = 32;

/// A refused request is sent again after this.
const RETRY: Duration = Duration::from_millis(1);

/// What appending took, of one thread or of all.
#[derive(Debug, Default)]
struct Appended {
    spans: u64,
    bytes: u64,
    /// Requests that were refused, to be sent again.
    busy: u64,
    /// One per request, the repeats included.
    times: Vec<Duration>,
    /// In appends only; of several threads the longest.
    wall: Duration,
    cpu_s: f64,
    /// Reading the file, which is none of the store's work.
    reading_cpu_s: f64,
}

impl Appended {
    fn and(mut self, other: Self) -> Self {
        self.spans += other.spans;
        self.bytes += other.bytes;
        self.busy += other.busy;
        self.times.extend(other.times);
        self.wall = self.wall.max(other.wall);
        self.cpu_s += other.cpu_s;
        self.reading_cpu_s += other.reading_cpu_s;
        self
    }
}

/// Appends until the store takes it; counts how often it did not.
fn append(store: &Store, body: &Bytes, busy: &mut u64) -> amida::Result<Receipt> {
    loop {
        match store.append_otlp(body.clone()) {
            Err(Error::Busy { .. }) => {
                *busy += 1;
                thread::park_timeout(RETRY);
            }
            answer => return answer,
        }
    }
}

/// Where requests come from.
pub type Source = Box<dyn Iterator<Item = std::io::Result<Bytes>> + Send>;

/// What each appending thread does: reads a few requests, then appends them by the clocks.
fn appender(store: &Store, source: &Mutex<Source>, ahead: usize) -> Result<Appended> {
    let mut sum = Appended::default();
    loop {
        let cpu_s = thread_cpu();
        let bodies: Vec<Bytes> = {
            let mut source = source.lock().unwrap_or_else(PoisonError::into_inner);
            source.by_ref().take(ahead).collect::<std::io::Result<_>>()?
        };
        let read_s = thread_cpu();
        sum.reading_cpu_s += read_s - cpu_s;
        if bodies.is_empty() {
            return Ok(sum);
        }
        for body in bodies {
            let begun = Instant::now();
            let receipt = append(store, &body, &mut sum.busy)?;
            let took = begun.elapsed();
            whole(&receipt)?;
            sum.spans += receipt.accepted();
            sum.bytes += body.len() as u64;
            sum.wall += took;
            sum.times.push(took);
        }
        sum.cpu_s += thread_cpu() - read_s;
    }
}

fn append_all(store: &Store, source: Source, appenders: usize) -> Result<Appended> {
    let source = Mutex::new(source);
    let ahead = (READ_AHEAD / appenders).max(1);
    let appended: Vec<Result<Appended>> = thread::scope(|scope| {
        let run = || appender(store, &source, ahead);
        let threads: Vec<_> = (0..appenders).map(|_| scope.spawn(run)).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.map(|done| done.unwrap_or_else(|_| Err("an appender panicked".into()))).collect()
    });
    appended.into_iter().try_fold(Appended::default(), |sum, one| Ok(sum.and(one?)))
}

/// Measures `ingest`.
pub fn run(file: &Path, dir: &Path, durability: Durability, appenders: usize) -> Result<Value> {
    from(Box::new(Frames::open(file)?), dir, durability, appenders)
}

/// Measures appending these requests to a new store and settling it.
pub fn from(source: Source, dir: &Path, durability: Durability, appenders: usize) -> Result<Value> {
    if dir.exists() {
        return Err(format!("{} exists", dir.display()).into());
    }
    let (memory, cpu_s) = (Memory::watch(), process_cpu());
    let store = Store::options().durability(durability.into()).open(dir)?;
    let mut clocks = Clocks::start();
    let appended = append_all(&store, source, appenders)?;
    let appending = clocks.lap().json();
    let after_append = store.stats();
    store.flush()?;
    let flush = clocks.lap().json();
    let flushed = store.stats().segments;
    store.compact()?;
    let compact = clocks.lap().json();
    let stats = store.stats();
    store.close()?;
    let close = clocks.lap().json();
    let cpu_s = process_cpu() - cpu_s - appended.reading_cpu_s;
    let (spans, on_disk) = (appended.spans as f64, OnDisk::of(dir)?);
    if stats.segment_spans != appended.spans || !stats.damage.is_empty() {
        return Err(format!("not every span is in a segment: {stats:?}").into());
    }
    Ok(json!({
        "what": "ingest",
        "durability": format!("{durability:?}").to_lowercase(),
        "appenders": appenders,
        "spans": appended.spans,
        "requests": appended.times.len(),
        "busy": appended.busy,
        "otlp_bytes_per_span": rounded(appended.bytes as f64 / spans),
        "appends_wall_s": rounded(appended.wall.as_secs_f64()),
        "appends_cpu_s": rounded(appended.cpu_s),
        "appends_cpu_s_per_million": rounded(appended.cpu_s / spans * 1e6),
        "append": percentiles(appended.times),
        "reading_cpu_s": rounded(appended.reading_cpu_s),
        "cpu_s": rounded(cpu_s),
        "cpu_s_per_million": rounded(cpu_s / spans * 1e6),
        "phases": { "append": appending, "flush": flush, "compact": compact, "close": close },
        "unflushed_spans_after_append": after_append.memtable_spans,
        "stalls": stats.stalls,
        "syncs": stats.fsyncs,
        "sync_s": rounded(stats.fsync_time.as_secs_f64()),
        "peak_anonymous_mib": memory.peak_mib(),
        "peak_resident_mib": peak_resident_mib(),
        "disk_bytes_per_span": rounded(on_disk.bytes as f64 / spans),
        "disk_allocated_bytes_per_span": rounded(on_disk.allocated as f64 / spans),
        "segment_bytes_per_span": rounded(stats.segment_bytes as f64 / spans),
        "segments_after_append": after_append.segments,
        "segments_after_flush": flushed,
        "segments": stats.segments,
    }))
}
