//! Opening a store after a crash: the log of what was not flushed is read again.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use amida::{Durability, Store, TraceId};
use amida_benches::corpus::frames::Frames;
use amida_benches::process::{Memory, Result, process_cpu, rounded};
use amida_benches::stores::append;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::{Value, json};

/// How much log the crash leaves: what `wal_bytes_max` allows by default.
const LEFT_BYTES: usize = 96 << 20;

/// The signal of `abort`.
const SIGABRT: i32 = 6;

/// Fills a log and aborts.
pub fn leave(file: &Path, dir: &Path) -> Result<Value> {
    let store = Store::options()
        .durability(Durability::Os)
        .seal_bytes(u64::MAX)
        .seal_age(Duration::from_secs(3_600))
        .wal_bytes_max(u64::MAX)
        .open(dir)?;
    let mut bytes = 0;
    for body in Frames::open(file)? {
        let body = body?;
        bytes += body.len();
        if bytes > LEFT_BYTES {
            std::process::abort();
        }
        append(&store, body)?;
    }
    Err(format!("{} has less than 96 MiB", file.display()).into())
}

fn trace_of(body: Bytes) -> Result<TraceId> {
    let request = ExportTraceServiceRequest::decode(body)?;
    let mut scopes = request.resource_spans.iter().flat_map(|of| &of.scope_spans);
    let span = scopes.find_map(|of| of.spans.first()).ok_or("the first request has no span")?;
    TraceId::from_bytes(&span.trace_id).ok_or_else(|| "a trace id has not 16 bytes".into())
}

/// Measures `reopen`.
pub fn run(file: &Path, dir: &Path) -> Result<Value> {
    if dir.exists() {
        return Err(format!("{} exists", dir.display()).into());
    }
    let first = Frames::open(file)?.next().ok_or("the corpus is empty")??;
    let id = trace_of(first)?;
    let mut child = Command::new(std::env::current_exe()?);
    let status = child.arg("leave").arg(file).arg(dir).status()?;
    if status.signal() != Some(SIGABRT) {
        return Err(format!("no log was left behind: {status}").into());
    }
    let (memory, begun, cpu_s) = (Memory::watch(), Instant::now(), process_cpu());
    let store = Store::options().must_exist().open(dir)?;
    let opened = (begun.elapsed(), process_cpu() - cpu_s);
    let trace = store.snapshot().trace(id)?.ok_or("the trace is gone")?;
    let found = (begun.elapsed(), process_cpu() - cpu_s);
    let (recovery, peak_mib) = (store.recovery().clone(), memory.peak_mib());
    let spans = trace.spans().len();
    store.close()?;
    Ok(json!({
        "what": "reopen",
        "log_files": recovery.wal_files,
        "records": recovery.records,
        "spans": recovery.spans,
        "records_skipped": recovery.records_skipped,
        "open_s": rounded(opened.0.as_secs_f64()),
        "open_cpu_s": rounded(opened.1),
        "first_lookup_s": rounded((found.0 - opened.0).as_secs_f64()),
        "open_and_first_lookup_s": rounded(found.0.as_secs_f64()),
        "open_and_first_lookup_cpu_s": rounded(found.1),
        "spans_of_the_trace": spans,
        "peak_anonymous_mib": peak_mib,
    }))
}
