//! What became of each file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use amida::Receipt;
use serde::Serialize;

use super::source::Source;
use crate::commands::Outcome;
use crate::output::{self, Align, Table};

/// What became of one file.
#[derive(Debug, Serialize)]
pub struct FileReport {
    #[serde(serialize_with = "crate::output::path")]
    path: PathBuf,
    /// `None` when it was not recognised.
    pub format: Option<&'static str>,
    /// Spans stored.
    pub accepted: u64,
    rejected: u64,
    reasons: BTreeMap<&'static str, u64>,
    /// Why it was not read to its end.
    pub error: Option<String>,
}

impl FileReport {
    pub fn new(source: &Source) -> Self {
        Self {
            path: source.path.clone(),
            format: None,
            accepted: 0,
            rejected: 0,
            reasons: BTreeMap::new(),
            error: source.error.clone(),
        }
    }

    /// Counts the spans of a request.
    pub fn add(&mut self, receipt: &Receipt) {
        self.accepted += receipt.accepted();
        self.rejected += receipt.rejected();
        for (reason, spans) in receipt.rejections() {
            *self.reasons.entry(reason).or_default() += spans;
        }
    }

    /// Counts a row that never became a span.
    pub fn reject(&mut self, reason: &'static str) {
        self.rejected += 1;
        *self.reasons.entry(reason).or_default() += 1;
    }

    /// It could not be read to its end.
    pub fn failed(mut self, why: String) -> Self {
        self.error = Some(match self.accepted {
            0 => why,
            spans => format!("{why}; stored all the same: {}", output::things(spans, "span")),
        });
        self
    }
}

/// What became of all files.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    #[serde(serialize_with = "crate::output::path")]
    dir: &'a Path,
    files: Vec<FileReport>,
    accepted: u64,
    rejected: u64,
    reasons: BTreeMap<&'static str, u64>,
    failed_files: usize,
    seconds: f64,
}

impl<'a> Report<'a> {
    pub fn new(dir: &'a Path, files: Vec<FileReport>, took: Duration) -> Self {
        let mut reasons: BTreeMap<&'static str, u64> = BTreeMap::new();
        for (reason, spans) in files.iter().flat_map(|file| &file.reasons) {
            *reasons.entry(reason).or_default() += spans;
        }
        Self {
            dir,
            accepted: files.iter().map(|file| file.accepted).sum(),
            rejected: files.iter().map(|file| file.rejected).sum(),
            reasons,
            failed_files: files.iter().filter(|file| file.error.is_some()).count(),
            files,
            seconds: took.as_secs_f64(),
        }
    }

    /// Good when all was taken, failed when every file failed and gave nothing.
    pub fn outcome(&self) -> Outcome {
        if self.failed_files == self.files.len() && self.accepted == 0 {
            Outcome::Failed
        } else if self.failed_files > 0 || self.rejected > 0 {
            Outcome::NotAll
        } else {
            Outcome::Good
        }
    }

    /// The report for people.
    pub fn text(&self, width: Option<usize>) -> String {
        let mut table = Table::new([
            ("file", Align::Left),
            ("accepted", Align::Right),
            ("rejected", Align::Right),
            ("why", Align::Left),
        ]);
        for file in &self.files {
            let mut why = Vec::new();
            if !file.reasons.is_empty() {
                why.push(output::reasons(&file.reasons));
            }
            why.extend(file.error.clone());
            table.row([
                file.path.display().to_string(),
                output::count(file.accepted),
                output::count(file.rejected),
                why.join("; "),
            ]);
        }
        format!("{}\n\n{}", table.render(width), self.summary())
    }

    fn summary(&self) -> String {
        let rate = self.accepted as f64 / self.seconds.max(0.001);
        let mut parts = vec![format!(
            "{} accepted into {} in {:.1} s ({} spans/s)",
            output::things(self.accepted, "span"),
            self.dir.display(),
            self.seconds,
            output::count(rate as u64)
        )];
        if self.rejected > 0 {
            let reasons = output::reasons(&self.reasons);
            parts.push(format!("{} rejected ({reasons})", output::count(self.rejected)));
        }
        if self.failed_files > 0 {
            parts.push(format!("{} of {} files failed", self.failed_files, self.files.len()));
        }
        parts.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(accepted: u64, rejected: u64, error: Option<&str>) -> FileReport {
        let source = Source { path: "f".into(), bytes: 0, error: error.map(str::to_owned) };
        FileReport { accepted, rejected, ..FileReport::new(&source) }
    }

    #[test]
    fn the_outcome_says_whether_all_some_or_nothing_was_taken() {
        for (files, outcome) in [
            (vec![file(1, 0, None)], Outcome::Good),
            (vec![file(0, 0, None)], Outcome::Good),
            (vec![file(1, 1, None)], Outcome::NotAll),
            (vec![file(0, 1, None)], Outcome::NotAll),
            (vec![file(1, 0, None), file(0, 0, Some("bad"))], Outcome::NotAll),
            (vec![file(3, 0, Some("bad"))], Outcome::NotAll),
            (vec![file(0, 0, Some("bad"))], Outcome::Failed),
        ] {
            let report = Report::new(Path::new("d"), files, Duration::ZERO);
            assert_eq!(report.outcome(), outcome, "{report:?}");
        }
    }
}
