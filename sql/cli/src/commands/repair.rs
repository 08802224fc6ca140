//! `amida repair`: a lost manifest made again, where the user says so.

use std::path::{Path, PathBuf};

use amida::{Options, Rebuild, RebuildReport};
use serde::Serialize;

use super::{Failure, Outcome, must_be_directory, told};
use crate::args::RepairArgs;
use crate::output;

#[derive(Debug, Serialize)]
struct Report<'a> {
    #[serde(serialize_with = "crate::output::path")]
    dir: &'a Path,
    /// Whether it was done, or only planned.
    done: bool,
    cause: &'a str,
    segments: u64,
    spans: u64,
    log_files: u64,
    superseded: Vec<String>,
    unusable: Vec<String>,
    damage: &'a [String],
    unknown: &'a [String],
}

/// Plans, and carries out what was asked for.
pub fn run(args: &RepairArgs) -> Result<Outcome, Failure> {
    must_be_directory(&args.dir)?;
    let plan = Rebuild::plan(&args.dir, &Options::default())?;
    let made = if args.rebuild_manifest { plan.apply()? } else { plan.report().clone() };
    let report = Report {
        dir: &args.dir,
        done: args.rebuild_manifest,
        cause: &made.cause,
        segments: made.segments,
        spans: made.spans,
        log_files: made.log_files,
        superseded: shown(&made.superseded),
        unusable: shown(&made.unusable),
        damage: &made.damage,
        unknown: &made.unknown,
    };
    told(if args.json { output::json(&report) } else { tell(&report, &made) })?;
    Ok(match (args.rebuild_manifest, made.damage.is_empty()) {
        (false, _) => Outcome::Failed,
        (true, true) => Outcome::Good,
        (true, false) => Outcome::NotAll,
    })
}

fn shown(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| path.display().to_string()).collect()
}

fn tell(report: &Report<'_>, made: &RebuildReport) -> Result<(), Failure> {
    let mut lines = vec![report.cause.to_owned()];
    let what = if report.done { "was made from" } else { "can be made from" };
    lines.push(format!(
        "the manifest {what} {} with {}, and {}",
        output::things(report.segments, "segment"),
        output::things(report.spans, "span"),
        output::things(report.log_files, "log file")
    ));
    let moved = if report.done { "moved to quarantine" } else { "goes to quarantine" };
    for path in shown(&made.superseded) {
        lines.push(format!("{moved}: {path}: another segment replaced it"));
    }
    for path in &report.unusable {
        lines.push(format!("{moved}: {path}: it cannot be used"));
    }
    lines.extend(report.damage.iter().map(|what| format!("DAMAGE: {what}")));
    lines.extend(report.unknown.iter().map(|what| format!("not known: {what}")));
    if !report.done {
        lines.push("nothing was changed; --rebuild-manifest does it".to_owned());
    }
    for line in lines {
        output::say(&output::visible(&line))?;
    }
    Ok(())
}
