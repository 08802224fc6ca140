//! Amida in the comparison: `amida ingest CORPUS DIR [--os]`, `amida ask DIR FACTS`; see README.md.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use amida::{Durability, Error, Reader, Store, TraceId};
use amida_benches::corpus::frames::Frames;
use amida_benches::process::{Clocks, OnDisk, Result, lookups, report, rounded};
use amida_benches::queries::{QUESTIONS, with_values};
use amida_sql::Session;
use arrow::array::RecordBatch;
use clap::{Parser, Subcommand};
use serde_json::{Value, json};

/// Runs of a question, after one that warms up.
const RUNS: usize = 5;

/// Measures Amida for the comparison; prints one JSON object.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Appends a corpus and settles it.
    Ingest {
        corpus: PathBuf,
        dir: PathBuf,
        /// Acknowledge when the operating system has the bytes, instead of the disk.
        #[arg(long)]
        os: bool,
    },
    /// Looks traces up and asks the questions.
    Ask { dir: PathBuf, facts: PathBuf },
}

fn ingest(corpus: &Path, dir: &Path, os: bool) -> Result<Value> {
    let mut clocks = Clocks::start();
    let durability = if os { Durability::Os } else { Durability::Sync };
    let store = Store::options().durability(durability).open(dir)?;
    for body in Frames::open(corpus)? {
        let body = body?;
        while let Err(error) = store.append_otlp(body.clone()) {
            match error {
                Error::Busy { .. } => std::thread::park_timeout(Duration::from_millis(1)),
                other => return Err(other.into()),
            }
        }
    }
    let ingest = clocks.lap();
    store.flush()?;
    store.compact()?;
    let spans = store.stats().segment_spans;
    store.close()?;
    let settle = clocks.lap();
    let bytes = OnDisk::of(dir)?.bytes;
    Ok(json!({ "spans": spans, "bytes": bytes, "ingest": ingest.json(), "settle": settle.json() }))
}

/// Looks traces up, after once to warm up: `spans` returns how many a trace has.
async fn lookup(ids: &[String], spans: impl AsyncFn(&str) -> Result<usize>) -> Result<Value> {
    let mut found = Vec::new();
    for id in ids {
        found.push(spans(id).await?);
    }
    let (mut clocks, mut times) = (Clocks::start(), Vec::new());
    for id in ids {
        let begun = Instant::now();
        spans(id).await?;
        times.push(begun.elapsed());
    }
    Ok(lookups(times, clocks.lap().cpu_s, &found))
}

/// The values of an answer, row by row.
fn rows(batches: &[RecordBatch]) -> Result<Value> {
    let mut writer = arrow::json::ArrayWriter::new(Vec::new());
    writer.write_batches(&batches.iter().collect::<Vec<_>>())?;
    writer.finish()?;
    let names = batches.first().map(RecordBatch::schema);
    let names: Vec<String> =
        names.iter().flat_map(|s| s.fields()).map(|field| field.name().clone()).collect();
    let bytes = writer.into_inner();
    let objects: Vec<Value> =
        if bytes.is_empty() { Vec::new() } else { serde_json::from_slice(&bytes)? };
    let row = |object: &Value| names.iter().map(|name| object[name].clone()).collect::<Value>();
    Ok(objects.iter().map(row).collect())
}

async fn ask(dir: &Path, facts: &Path) -> Result<Value> {
    let facts: Value = serde_json::from_slice(&std::fs::read(facts)?)?;
    let text = |name: &str| facts[name].as_str().unwrap_or_default().to_owned();
    let traces: Vec<(String, usize)> = serde_json::from_value(facts["traces"].clone())?;
    let reader = Reader::open(dir)?;
    let session = Session::new(&reader);
    let ids: Vec<String> = traces.into_iter().map(|(id, _)| id).collect();
    let looked_up = lookup(&ids, async |id: &str| {
        let trace = black_box(reader.snapshot().trace(id.parse::<TraceId>()?)?);
        Ok(trace.map_or(0, |trace| trace.batch().len()))
    });
    let lookup_api = looked_up.await?;
    let selected = lookup(&ids, async |id: &str| {
        let rows = session.query_with("SELECT * FROM spans WHERE trace_id = $1", [id]).await?;
        Ok(black_box(rows.collect().await?).num_rows())
    });
    let lookup_sql = selected.await?;
    let mut questions = Vec::new();
    for (_, sql) in QUESTIONS {
        let sql = with_values(sql, &text("user"), &text("service"));
        let answer = session.query(&sql).await?.collect().await?.into_batches();
        let mut laps = Vec::new();
        for _ in 0..RUNS {
            let mut clocks = Clocks::start();
            black_box(session.query(&sql).await?.collect().await?);
            laps.push(clocks.lap());
        }
        let (mut cpu, mut wall): (Vec<f64>, Vec<f64>) =
            laps.iter().map(|lap| (lap.cpu_s, lap.wall_s)).unzip();
        cpu.sort_by(f64::total_cmp);
        wall.sort_by(f64::total_cmp);
        questions.push(json!({
            "cpu_ms": rounded(cpu[RUNS / 2] * 1e3),
            "wall_ms": rounded(wall[RUNS / 2] * 1e3),
            "answer": rows(&answer)?,
        }));
    }
    Ok(json!({ "lookup": lookup_api, "lookup_sql": lookup_sql, "questions": questions }))
}

#[tokio::main]
async fn main() -> ExitCode {
    let measured = match Args::parse().what {
        What::Ingest { corpus, dir, os } => ingest(&corpus, &dir, os),
        What::Ask { dir, facts } => ask(&dir, &facts).await,
    };
    report("amida", measured)
}
