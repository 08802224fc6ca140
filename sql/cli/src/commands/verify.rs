//! `amida verify`: every checksum and count of a store.

use std::path::{Path, PathBuf};
use std::time::Instant;

use amida::{Options, Verification};
use serde::Serialize;

use super::{Failure, Outcome, must_be_directory, told};
use crate::args::VerifyArgs;
use crate::output::{self, Align, Table};

#[derive(Debug, Serialize)]
struct Report<'a> {
    #[serde(serialize_with = "crate::output::path")]
    dir: &'a Path,
    clean: bool,
    problems: Vec<Problem<'a>>,
    problems_more: u64,
    notes: &'a [String],
    files: u64,
    bytes: u64,
    manifests: u64,
    segments: u64,
    row_groups: u64,
    spans: u64,
    log_files: u64,
    records: u64,
    log_spans: u64,
    quarantined: u64,
    seconds: f64,
}

#[derive(Debug, Serialize)]
struct Problem<'a> {
    #[serde(serialize_with = "crate::output::path")]
    path: &'a PathBuf,
    offset: u64,
    what: &'a str,
}

/// Checks a store, also beside its writer.
pub fn run(args: &VerifyArgs) -> Result<Outcome, Failure> {
    must_be_directory(&args.dir)?;
    let started = Instant::now();
    let bar = output::byte_bar(0);
    let found = amida::verify(&args.dir, &Options::default(), |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let found = found?;
    let report = report(&args.dir, &found, started);
    told(if args.json { output::json(&report) } else { tell(&report) })?;
    Ok(if found.is_clean() { Outcome::Good } else { Outcome::Failed })
}

fn report<'a>(dir: &'a Path, found: &'a Verification, started: Instant) -> Report<'a> {
    let problems = found.problems.iter().map(|problem| Problem {
        path: &problem.path,
        offset: problem.offset,
        what: &problem.what,
    });
    Report {
        dir,
        clean: found.is_clean(),
        problems: problems.collect(),
        problems_more: found.problems_more,
        notes: &found.notes,
        files: found.files,
        bytes: found.bytes,
        manifests: found.manifests,
        segments: found.segments,
        row_groups: found.row_groups,
        spans: found.spans,
        log_files: found.log_files,
        records: found.records,
        log_spans: found.log_spans,
        quarantined: found.quarantined,
        seconds: started.elapsed().as_secs_f64(),
    }
}

fn tell(report: &Report<'_>) -> Result<(), Failure> {
    let (count, things) = (output::count, output::things);
    let mut table = Table::new([("checked", Align::Left), ("", Align::Left)]);
    let mut fact = |name: &str, value: String| table.row([name.to_owned(), value]);
    fact("manifests", count(report.manifests));
    fact(
        "segments",
        format!(
            "{}: {}, {}",
            count(report.segments),
            things(report.spans, "span"),
            things(report.row_groups, "row group")
        ),
    );
    fact(
        "log files",
        format!(
            "{}: {}, {} that {} in no segment",
            count(report.log_files),
            things(report.records, "record"),
            things(report.log_spans, "span"),
            if report.log_spans == 1 { "is" } else { "are" }
        ),
    );
    fact("quarantine", things(report.quarantined, "file"));
    fact(
        "in all",
        format!(
            "{}, {}, in {:.1} s",
            things(report.files, "file"),
            output::bytes(report.bytes),
            report.seconds
        ),
    );
    output::say(&table.render(output::width()))?;
    for note in report.notes {
        eprintln!("note: {}", output::visible(note));
    }
    for problem in &report.problems {
        let path = problem.path.display().to_string();
        let (path, what) = (output::visible(&path), output::visible(problem.what));
        eprintln!("DAMAGE: {path} at byte {}: {what}", problem.offset);
    }
    let problems = report.problems.len() as u64 + report.problems_more;
    if report.problems_more > 0 {
        eprintln!("DAMAGE: and {} more", count(report.problems_more));
    }
    match problems {
        0 => output::say("clean: everything is as it was written"),
        n => output::say(&format!("damaged: {}", things(n, "problem"))),
    }
}
