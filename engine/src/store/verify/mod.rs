//! `verify`: every checksum and every count of a store, without opening it for writing.
//!
//! It promises that nothing is written and no lock is taken, that it goes on behind damage, and
//! that what it says is of one version of the store, also while a writer moves on.
//!
//! | file | purpose |
//! |---|---|
//! | mod | `verify`, what it found; manifests, and files that belong to nobody |
//! | segments | the segments, and that they are what the manifest says |
//! | log | the write-ahead log, record by record |

mod log;
mod segments;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use self::segments::Looked;
use super::reader::TRIES;
use crate::error::{Error, Result};
use crate::fs::{Fs, names};
use crate::manifest::{self, Version};
use crate::options::Options;

/// Most problems that are kept word by word; more are counted.
const PROBLEMS_MAX: usize = 1000;

/// Bytes on the disk that are not what was written, or do not fit the rest of the store.
///
/// ```
/// # fn main() -> amida::Result<()> {
/// # let fs = std::sync::Arc::new(amida::MemoryFs::new());
/// # let options = amida::Options::default().fs(fs).disk_floor_bytes(0);
/// # options.clone().open("traces.amida")?.close()?;
/// for problem in amida::verify("traces.amida", &options, |_, _| {})?.problems {
///     println!("{} at byte {}: {}", problem.path.display(), problem.offset, problem.what);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// Where in the file, in bytes from its start.
    pub offset: u64,
    /// What was expected and what was found.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: {}", self.path.display(), self.offset, self.what)
    }
}

/// What `verify` found.
///
/// ```
/// # fn main() -> amida::Result<()> {
/// # let fs = std::sync::Arc::new(amida::MemoryFs::new());
/// # let options = amida::Options::default().fs(fs).disk_floor_bytes(0);
/// # options.clone().open("traces.amida")?.close()?;
/// let found = amida::verify("traces.amida", &options, |_, _| {})?;
/// assert!(found.is_clean());
/// println!("{} spans in {} segments", found.spans, found.segments);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verification {
    /// What is damaged, by file; a thousand at most.
    pub problems: Vec<Problem>,
    /// Problems beyond those.
    pub problems_more: u64,
    /// What is worth knowing and no damage: an unfinished end of the log, files that nobody needs.
    pub notes: Vec<String>,
    /// Files that were read.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Manifests.
    pub manifests: u64,
    /// Segments.
    pub segments: u64,
    /// Row groups in them.
    pub row_groups: u64,
    /// Spans in them.
    pub spans: u64,
    /// Log files.
    pub log_files: u64,
    /// Records in them.
    pub records: u64,
    /// Spans in the log that are in no segment.
    pub log_spans: u64,
    /// Files in quarantine.
    pub quarantined: u64,
}

impl Verification {
    /// Whether nothing is damaged.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    fn problem(&mut self, path: &Path, offset: u64, what: impl Into<String>) {
        if self.problems.len() < PROBLEMS_MAX {
            let (path, what) = (path.to_owned(), what.into());
            self.problems.push(Problem { path, offset, what });
        } else {
            self.problems_more += 1;
        }
    }

    /// An error of reading a file is a problem of it.
    fn error(&mut self, path: &Path, error: &Error) {
        match error {
            Error::Corrupt { path, offset, what } => self.problem(path, *offset, what.as_str()),
            Error::Io { cause, .. } => self.problem(path, 0, format!("cannot be read: {cause}")),
            other => self.problem(path, 0, other.to_string()),
        }
    }

    fn file(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }
}

/// Reads a whole store with these options' disk and checks everything: the checksums of manifests,
/// segments and log, that rows can be decoded in every column, that the trace-ID index is that of
/// the ids, that counts, times and sequences agree with each other, and that no record is missing.
/// Writes nothing and takes no lock; beside a writer it looks again until it saw one version.
/// `progress` is told the bytes that are done, and those in all; they begin again when it looks
/// again.
///
/// Memory: the index of one segment, one log record, and one batch of rows.
///
/// ```no_run
/// # fn main() -> amida::Result<()> {
/// let found = amida::verify("traces.amida", &amida::Options::default(), |_, _| {})?;
/// for problem in &found.problems {
///     println!("{problem}");
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `Invalid` when there is no store, `Unsupported` when a newer Amida wrote it, `Busy` when a
/// writer commits faster than its directory can be read, `Io` when a directory cannot be read.
/// Damage is no error: it is in what is returned.
pub fn verify(
    path: impl AsRef<Path>,
    options: &Options,
    mut progress: impl FnMut(u64, u64),
) -> Result<Verification> {
    let (fs, store) = (&*options.fs, path.as_ref());
    if !is_store(fs, store)? || fs.exists(&names::unfinished(store))? {
        return Err(no_store(fs, store));
    }
    // A segment of a number never changes: none is read twice.
    let mut looked = BTreeMap::new();
    for _ in 0..TRIES {
        let before = manifest::newest_number(fs, store)?;
        let mut run = Run {
            fs,
            store,
            found: Verification::default(),
            version: None,
            looked: &mut looked,
            total: 0,
            done: 0,
            progress: &mut progress,
        };
        let ran = run.all();
        let found = run.found;
        // A writer that moved on may have taken files away, or put new ones beside those seen.
        if manifest::newest_number(fs, store)? == before {
            return ran.map(|()| found);
        }
        if let Err(error @ Error::Unsupported { .. }) = ran {
            return Err(error);
        }
    }
    Err(Error::Busy { what: "the writer commits faster than its directory can be read" })
}

/// Whether there is anything of a store in this directory. What a crash while one was made left is
/// nothing.
pub fn is_store(fs: &dyn Fs, store: &Path) -> Result<bool> {
    for dir in [names::manifest_dir(store), names::segment_dir(store), names::wal_dir(store)] {
        if list(fs, &dir)?.iter().any(|name| !names::is_tmp(name)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Why a directory without a manifest is no store.
pub fn no_store(fs: &dyn Fs, path: &Path) -> Error {
    if fs.exists(&names::unfinished(path)).unwrap_or(false) {
        let path = path.display();
        return Error::invalid(format!("{path} is a checkpoint that was not finished: delete it"));
    }
    if is_store(fs, path).unwrap_or(false) {
        let what = format!("there is data but no manifest; {}", manifest::REBUILD);
        return Error::corrupt(names::manifest_dir(path), 0, what);
    }
    Error::invalid(format!("{} holds no Amida store", path.display()))
}

/// The names in a folder of the store; none where the folder is missing.
pub fn list(fs: &dyn Fs, dir: &Path) -> Result<Vec<String>> {
    if fs.exists(dir)? { fs.list(dir) } else { Ok(Vec::new()) }
}

/// One look at the store.
struct Run<'a> {
    fs: &'a dyn Fs,
    store: &'a Path,
    found: Verification,
    /// The newest version, where it can be read.
    version: Option<Version>,
    looked: &'a mut BTreeMap<u64, Looked>,
    total: u64,
    done: u64,
    progress: &'a mut dyn FnMut(u64, u64),
}

impl Run<'_> {
    fn all(&mut self) -> Result<()> {
        for dir in [
            names::manifest_dir(self.store),
            names::segment_dir(self.store),
            names::wal_dir(self.store),
        ] {
            for name in list(self.fs, &dir)? {
                self.total += self.len(&dir.join(name)).unwrap_or(0);
            }
        }
        self.manifests()?;
        self.segments()?;
        self.log()?;
        self.others()?;
        self.done = self.total;
        (self.progress)(self.done, self.total);
        Ok(())
    }

    fn len(&self, path: &Path) -> Result<u64> {
        self.fs.open(path)?.len()
    }

    /// Reports bytes within a file that begins at `self.done`.
    fn within(&mut self, bytes: u64) {
        (self.progress)((self.done + bytes).min(self.total), self.total);
    }

    /// A file was read to its end.
    fn end_of_file(&mut self, bytes: u64) {
        self.found.file(bytes);
        self.done += bytes;
        self.within(0);
    }

    fn manifests(&mut self) -> Result<()> {
        let numbers = manifest::numbers(self.fs, self.store)?;
        let newest = numbers.last().copied();
        if newest.is_none() {
            let dir = names::manifest_dir(self.store);
            let what = format!("there is data but no manifest; {}", manifest::REBUILD);
            self.found.problem(&dir, 0, what);
        }
        for number in numbers {
            let path = names::manifest(self.store, number);
            match manifest::read(self.fs, self.store, number) {
                Ok(version) if Some(number) == newest => self.version = Some(version),
                Ok(_) => {}
                Err(error @ Error::Unsupported { .. }) => return Err(error),
                Err(Error::Corrupt { path, offset, what }) if Some(number) == newest => {
                    let what = format!("{what}; {}", manifest::REBUILD);
                    self.found.problem(&path, offset, what);
                }
                Err(error) => self.found.error(&path, &error),
            }
            self.found.manifests += 1;
            let bytes = self.len(&path).unwrap_or(0);
            self.end_of_file(bytes);
        }
        self.check_version();
        Ok(())
    }

    /// What must hold within a version.
    fn check_version(&mut self) {
        let Some(version) = &self.version else { return };
        let path = names::manifest(self.store, version.number);
        let mut wrong = Vec::new();
        let held = version.segment_rows().saturating_add(version.dropped);
        if version.accepted != held {
            wrong.push(format!(
                "{} spans were accepted, but segments have {} and {} were dropped",
                version.accepted,
                version.segment_rows(),
                version.dropped
            ));
        }
        let mut last = 0;
        for segment in &version.segments {
            let (number, (first, end)) = (segment.number, segment.sequences);
            if number >= version.next_segment {
                let next = version.next_segment;
                wrong.push(format!("segment {number} is there and the next one is {next}"));
            }
            if first <= last || end < first {
                wrong.push(format!(
                    "segment {number} has the records {first} to {end}, the one before it those to \
                     {last}"
                ));
            }
            last = last.max(end);
        }
        if last > version.flushed_sequence {
            let flushed = version.flushed_sequence;
            wrong.push(format!("records to {last} are in segments, records to {flushed} flushed"));
        }
        for what in wrong {
            self.found.problem(&path, 24, what);
        }
    }

    /// Files that no version names.
    fn others(&mut self) -> Result<()> {
        for name in self.fs.list(self.store)? {
            if !names::TOP.contains(&name.as_str()) {
                self.note(&self.store.join(name), "no file of a store");
            }
        }
        for (dir, extension) in [
            (names::manifest_dir(self.store), names::MANIFEST),
            (names::wal_dir(self.store), names::WAL),
            (names::segment_dir(self.store), names::SEGMENT),
        ] {
            for name in list(self.fs, &dir)? {
                if names::is_tmp(&name) {
                    self.note(
                        &dir.join(name),
                        "unfinished: a writer is at it, or opening removes it",
                    );
                } else if names::number(&name, extension).is_none() {
                    self.note(&dir.join(name), "no file of a store");
                }
            }
        }
        let dir = names::quarantine_dir(self.store);
        for name in list(self.fs, &dir)? {
            self.found.quarantined += 1;
            self.note(&dir.join(name), "put aside earlier, because it could not be verified");
        }
        Ok(())
    }

    fn note(&mut self, path: &Path, what: &str) {
        self.found.notes.push(format!("{}: {what}", path.display()));
    }
}
