//! `amida checkpoint`: a consistent copy of a store, also beside its writer.

use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use super::{Failure, Outcome, open};
use crate::args::CheckpointArgs;
use crate::output;

#[derive(Debug, Serialize)]
struct Report<'a> {
    #[serde(serialize_with = "crate::output::path")]
    dir: &'a Path,
    spans: u64,
    bytes: u64,
    linked: u64,
    copied: u64,
    copied_bytes: u64,
    seconds: f64,
}

/// Makes the copy.
pub fn run(args: &CheckpointArgs) -> Result<Outcome, Failure> {
    let started = Instant::now();
    let made = open(&args.dir)?.checkpoint(&args.to)?;
    let report = Report {
        dir: &args.to,
        spans: made.spans,
        bytes: made.bytes,
        linked: made.linked,
        copied: made.copied,
        copied_bytes: made.copied_bytes,
        seconds: started.elapsed().as_secs_f64(),
    };
    if args.json {
        output::json(&report)?;
    } else {
        output::say(&format!(
            "{}: {}, {}; {} linked, {} copied ({}), in {:.1} s",
            output::visible(&args.to.display().to_string()),
            output::things(report.spans, "span"),
            output::bytes(report.bytes),
            output::things(report.linked, "file"),
            output::count(report.copied),
            output::bytes(report.copied_bytes),
            report.seconds
        ))?;
    }
    Ok(Outcome::Good)
}
