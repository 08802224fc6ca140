//! The corpus in columns, as one Arrow IPC file, for systems that do not take OTLP; and what the
//! comparison asks and must find. What the conversion cost is printed: it is added to those
//! systems.
//!
//! `columns corpus.otlp columns.arrow facts.json`

mod facts;
mod table;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use amida_benches::corpus::frames::Frames;
use amida_benches::process::{Result, process_cpu, report, rounded};
use arrow::ipc::writer::FileWriter;
use clap::Parser;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::{Value, json};

use table::Table;

/// Rows of a batch.
const BATCH_ROWS: usize = 65_536;

/// Writes a corpus as an Arrow file, and facts about it.
#[derive(Parser)]
struct Args {
    corpus: PathBuf,
    columns: PathBuf,
    facts: PathBuf,
}

fn requests(corpus: &Path) -> Result<impl Iterator<Item = Result<ExportTraceServiceRequest>>> {
    let frames = Frames::open(corpus)?;
    Ok(frames.map(|body| Ok(ExportTraceServiceRequest::decode(body?)?)))
}

/// Decodes with prost, builds arrays, writes them.
fn convert(corpus: &Path, columns: &Path) -> Result<Value> {
    let cpu_s = process_cpu();
    let (mut table, mut spans) = (Table::default(), 0);
    let first = table.finish()?;
    let mut file = FileWriter::try_new(File::create(columns)?, &first.schema())?;
    for request in requests(corpus)? {
        table.add(&request?);
        if table.rows() >= BATCH_ROWS {
            spans += table.rows();
            file.write(&table.finish()?)?;
        }
    }
    spans += table.rows();
    file.write(&table.finish()?)?;
    file.finish()?;
    let cpu_s = process_cpu() - cpu_s;
    Ok(json!({
        "spans": spans,
        "cpu_s_per_million": rounded(cpu_s / spans as f64 * 1e6),
        "bytes_per_span": rounded(std::fs::metadata(columns)?.len() as f64 / spans as f64),
    }))
}

fn run(args: &Args) -> Result<Value> {
    let mut measured = convert(&args.corpus, &args.columns)?;
    let bytes = std::fs::metadata(&args.corpus)?.len() as f64;
    let spans = measured["spans"].as_f64().unwrap_or(f64::NAN);
    measured["otlp_bytes_per_span"] = json!(rounded(bytes / spans));
    let mut facts = facts::gather(requests(&args.corpus)?)?;
    facts["columns"] = measured.clone();
    std::fs::write(&args.facts, format!("{facts:#}"))?;
    Ok(measured)
}

fn main() -> ExitCode {
    report("columns", run(&Args::parse()))
}
