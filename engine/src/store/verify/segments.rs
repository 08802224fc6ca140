//! The segments: each file as it is, and that it is the one that the manifest means.

use std::path::Path;

use super::{Problem, Run};
use crate::error::{Error, Result};
use crate::fs::names;
use crate::manifest::SegmentEntry;
use crate::segment::{self, Description, Visitor};

/// What was found in one segment file.
#[derive(Debug, Default)]
pub struct Looked {
    problems: Vec<Problem>,
    description: Option<Description>,
    bytes: u64,
}

/// Collects what is wrong with a file, and passes on how far it is.
struct Look<'a, 'b> {
    path: &'a Path,
    looked: Looked,
    done: &'a mut (dyn FnMut(u64) + 'b),
}

impl Visitor for Look<'_, '_> {
    fn damage(&mut self, offset: u64, what: String) {
        let path = self.path.to_owned();
        self.looked.problems.push(Problem { path, offset, what });
    }

    fn done(&mut self, bytes: u64) {
        (self.done)(bytes);
    }
}

impl Run<'_> {
    pub(super) fn segments(&mut self) -> Result<()> {
        let dir = names::segment_dir(self.store);
        let files = super::list(self.fs, &dir)?;
        let there: Vec<u64> =
            files.iter().filter_map(|name| names::number(name, names::SEGMENT)).collect();
        // Without a version every file is looked at for itself.
        let entries = self.version.as_ref().map(|version| version.segments.clone());
        let Some(entries) = entries else {
            for number in there {
                self.look(number, None)?;
            }
            return Ok(());
        };
        for entry in &entries {
            self.look(entry.number, Some(entry))?;
        }
        let next = self.version.as_ref().map_or(0, |version| version.next_segment);
        for number in there {
            if entries.iter().any(|entry| entry.number == number) {
                continue;
            }
            let what = if number < next {
                "replaced by another segment, or dropped; opening the store removes it"
            } else {
                "in no version of the store; opening the store moves it to quarantine"
            };
            self.note(&names::segment(self.store, number), what);
        }
        Ok(())
    }

    /// Looks at one file, unless an earlier look did.
    fn look(&mut self, number: u64, entry: Option<&SegmentEntry>) -> Result<()> {
        let path = names::segment(self.store, number);
        if !self.looked.contains_key(&number) {
            let looked = match self.examine(&path) {
                Ok(looked) => looked,
                Err(error @ Error::Unsupported { .. }) => return Err(error),
                // Not remembered: a writer that moved on may have taken it away.
                Err(error) => {
                    self.found.error(&path, &error);
                    return Ok(());
                }
            };
            self.looked.insert(number, looked);
        }
        let Some(looked) = self.looked.get(&number) else { return Ok(()) };
        let bytes = looked.bytes;
        for problem in &looked.problems {
            self.found.problem(&problem.path, problem.offset, problem.what.as_str());
        }
        if let Some(description) = looked.description.clone() {
            self.compare(&path, number, description, entry);
        }
        self.found.segments += 1;
        self.end_of_file(bytes);
        Ok(())
    }

    fn examine(&mut self, path: &Path) -> Result<Looked> {
        let bytes = self.len(path)?;
        let (fs, done, total) = (self.fs, self.done, self.total);
        let mut told = |bytes: u64| (self.progress)((done + bytes).min(total), total);
        let looked = Looked { bytes, ..Looked::default() };
        let mut look = Look { path, looked, done: &mut told };
        let description = segment::examine(fs, path, &mut look)?;
        Ok(Looked { description, ..look.looked })
    }

    /// Compares what a file says of itself with its name and with the manifest.
    fn compare(
        &mut self,
        path: &Path,
        number: u64,
        description: Description,
        entry: Option<&SegmentEntry>,
    ) {
        let found = &mut self.found;
        let mut wrong = |what: String| found.problem(path, 4, what);
        let summary = description.summary;
        if summary.number != number {
            wrong(format!("the header is that of segment {}", summary.number));
        }
        let store_id = self.version.as_ref().map(|version| version.store_id.0);
        if store_id.is_some_and(|id| id != description.store_id) {
            wrong("it belongs to another store".into());
        }
        if let Some(entry) = entry {
            let file = SegmentEntry::from(summary.clone());
            let mut differ = |what: &str, manifest: String, file: String| {
                if manifest != file {
                    wrong(format!("the manifest says {what} {manifest}, the file {file}"));
                }
            };
            let pair = |(a, b): (i64, i64)| format!("{a} to {b}");
            differ("spans", entry.rows.to_string(), file.rows.to_string());
            differ("bytes", entry.bytes.to_string(), file.bytes.to_string());
            differ("row groups", entry.row_groups.to_string(), file.row_groups.to_string());
            differ("start times", pair(entry.start_times), pair(file.start_times));
            differ("times of ingest", pair(entry.ingest_times), pair(file.ingest_times));
            let records = |(a, b): (u64, u64)| format!("{a} to {b}");
            differ("records", records(entry.sequences), records(file.sequences));
            if entry.promoted != file.promoted {
                wrong("its promoted columns are not those that the manifest says".into());
            }
        }
        self.found.spans += summary.rows;
        self.found.row_groups += u64::from(summary.row_groups);
    }
}
