//! Many spans, and many segments.

use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use amida::Store;
use amida_benches::corpus::{Corpus, REQUEST_SPANS};
use amida_benches::process::{OnDisk, Result, rounded, thread_cpu};
use amida_benches::stores::{SEED, append};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{Durability, ingest};

/// Requests that wait between the thread that makes them and the one that appends them.
const AHEAD: usize = 32;

/// Measures `scale`. A thread makes the requests meanwhile, so that no disk has to hold them; the
/// CPU-seconds it took are subtracted. It has a core of its own at best, and time on the wall says
/// nothing here.
pub fn run(dir: &Path, sizes: &[usize]) -> Result<Value> {
    let measured: Result<Vec<Value>> = sizes.iter().map(|spans| of_size(dir, *spans)).collect();
    Ok(json!({ "what": "scale", "sizes": measured? }))
}

fn of_size(dir: &Path, spans: usize) -> Result<Value> {
    let store = dir.join(format!("{spans}.amida"));
    let (sender, receiver) = sync_channel::<Bytes>(AHEAD);
    let generator = thread::spawn(move || {
        for body in Corpus::new(SEED, spans) {
            if sender.send(body).is_err() {
                break;
            }
        }
        thread_cpu()
    });
    let source = Box::new(Receiver::into_iter(receiver).map(Ok));
    let measured = ingest::from(source, &store, Durability::Os, 1)?;
    let generator_cpu_s = generator.join().map_err(|_| "the generator panicked")?;
    std::fs::remove_dir_all(&store)?;
    let cpu_s = measured["cpu_s"].as_f64().unwrap_or(f64::NAN) - generator_cpu_s;
    Ok(json!({
        "spans": spans,
        "cpu_s": rounded(cpu_s),
        "cpu_s_per_million": rounded(cpu_s / spans as f64 * 1e6),
        "generator_cpu_s": rounded(generator_cpu_s),
        "appends_cpu_s_per_million": measured["appends_cpu_s_per_million"],
        "append": measured["append"],
        "busy": measured["busy"],
        "disk_bytes_per_span": measured["disk_bytes_per_span"],
        "segments": measured["segments"],
        "peak_anonymous_mib": measured["peak_anonymous_mib"],
    }))
}

/// Makes a store of many segments.
pub fn segments(count: usize, spans: usize, dir: &Path) -> Result<Value> {
    if dir.exists() {
        return Err(format!("{} exists", dir.display()).into());
    }
    // No segment may become larger than a byte: what was flushed stays as it is.
    let store =
        Store::options().durability(amida::Durability::Os).segment_bytes_max(1).open(dir)?;
    let requests = spans.div_ceil(REQUEST_SPANS).max(1);
    let mut corpus = Corpus::new(SEED, count * requests * REQUEST_SPANS);
    for _ in 0..count {
        for body in corpus.by_ref().take(requests) {
            append(&store, body)?;
        }
        store.flush()?;
    }
    let stats = store.stats();
    store.close()?;
    Ok(json!({
        "what": "segments",
        "segments": stats.segments,
        "spans": stats.segment_spans,
        "disk_bytes": OnDisk::of(dir)?.bytes,
    }))
}
