//! `amida files`: where the segments are.

use std::path::PathBuf;

use serde::Serialize;

use super::{Failure, Outcome, open, rfc3339};
use crate::args::FilesArgs;
use crate::output::{self, Align, Table};

#[derive(Debug, Serialize)]
struct File {
    #[serde(serialize_with = "crate::output::path")]
    path: PathBuf,
    spans: u64,
    bytes: u64,
    start_time_min: String,
    start_time_max: String,
}

#[derive(Debug, Serialize)]
struct Report {
    files: Vec<File>,
    /// Spans that are in no file yet.
    unflushed_spans: u64,
}

/// Lists the segments in order of ingest.
pub fn run(args: &FilesArgs) -> Result<Outcome, Failure> {
    let reader = open(&args.dir)?;
    let snapshot = reader.snapshot();
    let files = snapshot.segments().iter().map(|segment| {
        let (from, to) = segment.start_times();
        File {
            path: segment.path().to_owned(),
            spans: segment.rows(),
            bytes: segment.bytes(),
            start_time_min: rfc3339(from),
            start_time_max: rfc3339(to),
        }
    });
    let stats = reader.stats();
    let report = Report { files: files.collect(), unflushed_spans: stats.memtable_spans };
    for damage in &stats.damage {
        eprintln!("note: not listed: {}", output::visible(damage));
    }
    let outcome = if stats.damage.is_empty() { Outcome::Good } else { Outcome::NotAll };
    if args.json {
        output::json(&report)?;
        return Ok(outcome);
    }
    if args.long {
        output::say(&table(&report.files).render(None))?;
    } else {
        for file in &report.files {
            output::say(&file.path.display().to_string())?;
        }
    }
    if report.unflushed_spans > 0 {
        eprintln!(
            "in the log and in no file yet: {}",
            output::things(report.unflushed_spans, "span")
        );
    }
    Ok(outcome)
}

fn table(files: &[File]) -> Table {
    let mut table = Table::new([
        ("spans", Align::Right),
        ("bytes", Align::Right),
        ("first start", Align::Left),
        ("last start", Align::Left),
        ("path", Align::Left),
    ]);
    for file in files {
        table.row([
            output::count(file.spans),
            output::bytes(file.bytes),
            file.start_time_min.clone(),
            file.start_time_max.clone(),
            file.path.display().to_string(),
        ]);
    }
    table
}
