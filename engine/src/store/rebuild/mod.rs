//! A lost manifest, made again from what segments and log files say of themselves. Only on request,
//! and only where the newest manifest is missing or damaged. It promises that nothing is deleted:
//! what does not belong to the store is moved to quarantine.
//!
//! | file | purpose |
//! |---|---|
//! | mod | `Rebuild`: the plan, and carrying it out |
//! | choose | which segment files make up the store |

mod choose;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::maintain::quarantine;
use super::verify::{is_store, list};
use crate::error::{Error, Result};
use crate::fs::{Fs, Lock, names};
use crate::manifest::{self, SegmentEntry, StoreId, Version};
use crate::model::batch::SpanBatch;
use crate::model::catalog::{Catalog, Promoted};
use crate::options::Options;
use crate::segment::{self, Description, Visitor};
use crate::wal::read_header;

/// What a rebuilt manifest is made of.
///
/// ```no_run
/// # fn main() -> amida::Result<()> {
/// let rebuild = amida::Rebuild::plan("traces.amida", &amida::Options::default())?;
/// for what in &rebuild.report().unknown {
///     println!("{what}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RebuildReport {
    /// Why there is need of it.
    pub cause: String,
    /// Segments that make up the store.
    pub segments: u64,
    /// Spans in them.
    pub spans: u64,
    /// Log files that opening the store reads.
    pub log_files: u64,
    /// Files that another one has replaced; they go to quarantine.
    pub superseded: Vec<PathBuf>,
    /// Files that cannot be used; they go to quarantine.
    pub unusable: Vec<PathBuf>,
    /// Damage that was found, in these files and in those that stay in the store.
    pub damage: Vec<String>,
    /// What the lost manifest said and nothing else says.
    pub unknown: Vec<String>,
}

/// A lost manifest that can be made again. Holds the writer's lock.
///
/// ```no_run
/// # fn main() -> amida::Result<()> {
/// let rebuild = amida::Rebuild::plan("traces.amida", &amida::Options::default())?;
/// println!("{} spans in {} segments", rebuild.report().spans, rebuild.report().segments);
/// rebuild.apply()?; // until here nothing was changed
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Rebuild {
    fs: std::sync::Arc<dyn Fs>,
    store: PathBuf,
    version: Version,
    damaged_manifests: Vec<PathBuf>,
    report: RebuildReport,
    _lock: Box<dyn Lock>,
}

/// A segment file that can be read.
#[derive(Debug)]
struct File {
    path: PathBuf,
    description: Description,
}

impl File {
    fn sequences(&self) -> (u64, u64) {
        self.description.summary.origin.sequences
    }

    fn number(&self) -> u64 {
        self.description.summary.number
    }

    fn lies_in(&self, other: &File) -> bool {
        let ((first, last), (from, to)) = (self.sequences(), other.sequences());
        from <= first && last <= to
    }
}

impl Rebuild {
    /// Finds out what the manifest of this store must have said: reads every segment. Changes
    /// nothing.
    ///
    /// # Errors
    /// `Invalid` when the newest manifest is whole or there is no store, `Locked`, `Unsupported`,
    /// `Corrupt` when nothing says which store this is, `Io`.
    pub fn plan(path: impl AsRef<Path>, options: &Options) -> Result<Self> {
        let (fs, store) = (options.fs.clone(), path.as_ref().to_owned());
        if !is_store(&*fs, &store)? || fs.exists(&names::unfinished(&store))? {
            return Err(super::no_store(&*fs, &store));
        }
        let held = fs.lock(&names::lock(&store))?;
        let mut plan = Plan { fs: &*fs, store: &store, report: RebuildReport::default() };
        plan.report.cause = plan.cause()?;
        let (version, damaged_manifests) = plan.version()?;
        let report = plan.report;
        Ok(Self { fs, store, version, damaged_manifests, report, _lock: held })
    }

    /// What it is made of.
    pub fn report(&self) -> &RebuildReport {
        &self.report
    }

    /// Makes the manifest. What does not belong to the store is moved to quarantine; nothing is
    /// deleted. When it returns, the store can be opened.
    ///
    /// # Errors
    /// `Io`; then it can be planned again.
    pub fn apply(self) -> Result<RebuildReport> {
        // Segments first: opening a store removes what its manifest does not know. The damaged
        // manifests last: until there is a newer one, an older one must not become the newest.
        for path in self.report.superseded.iter().chain(&self.report.unusable) {
            quarantine(&*self.fs, &self.store, path)?;
        }
        self.fs.create_dir_all(&names::manifest_dir(&self.store))?;
        manifest::write(&*self.fs, &self.store, &self.version)?;
        for path in &self.damaged_manifests {
            quarantine(&*self.fs, &self.store, path)?;
        }
        Ok(self.report)
    }
}

struct Plan<'a> {
    fs: &'a dyn Fs,
    store: &'a Path,
    report: RebuildReport,
}

/// Counts keys, and collects what is wrong with a file.
struct Count<'a> {
    path: &'a Path,
    catalog: Catalog,
    damage: Vec<String>,
}

impl<'a> Count<'a> {
    fn new(path: &'a Path) -> Self {
        Self { path, catalog: Catalog::default(), damage: Vec::new() }
    }
}

impl Visitor for Count<'_> {
    fn damage(&mut self, offset: u64, what: String) {
        self.damage.push(format!("{} at byte {offset}: {what}", self.path.display()));
    }

    fn rows(&mut self, rows: &SpanBatch) {
        self.catalog.add_rows(rows);
    }
}

impl Plan<'_> {
    /// What is wrong with the newest manifest.
    fn cause(&self) -> Result<String> {
        let Some(number) = manifest::newest_number(self.fs, self.store)? else {
            return Ok("there is no manifest".into());
        };
        match manifest::read(self.fs, self.store, number) {
            Err(error @ Error::Corrupt { .. }) => Ok(error.to_string()),
            Err(error) => Err(error),
            Ok(_) => {
                let path = names::manifest(self.store, number);
                let what = format!("{} is whole: there is nothing to rebuild", path.display());
                Err(Error::invalid(what))
            }
        }
    }

    fn version(&mut self) -> Result<(Version, Vec<PathBuf>)> {
        let (older, damaged) = self.manifests()?;
        let (mut files, highest) = self.files()?;
        let logs = self.logs()?;
        let store_id = store_id(older.as_ref(), &files, &logs).ok_or_else(|| {
            let what = "no manifest, segment or log file says which store this is";
            Error::corrupt(self.store, 0, what)
        })?;
        let foreign = |file: &File| file.description.store_id != store_id;
        for file in files.extract_if(.., |file| foreign(file)) {
            self.unusable(file.path, "it belongs to another store");
        }
        let kept = self.choose(files)?;
        let mut version = older.clone().unwrap_or_else(|| Version::first(store_id));
        self.count(&mut version, &kept)?;
        let newest = manifest::newest_number(self.fs, self.store)?.unwrap_or(0);
        version.number = newest.max(self.highest_in_quarantine(names::MANIFEST)?) + 1;
        version.store_id = StoreId(store_id);
        version.next_segment =
            highest.max(self.highest_in_quarantine(names::SEGMENT)?).saturating_add(1);
        self.place_in_log(&mut version, &logs)?;
        self.report.segments = version.segments.len() as u64;
        self.report.spans = version.segment_rows();
        self.report.log_files = logs.len() as u64;
        self.say_what_is_unknown(older.as_ref());
        Ok((version, damaged))
    }

    /// The newest version that is whole, and the manifests that are not.
    fn manifests(&self) -> Result<(Option<Version>, Vec<PathBuf>)> {
        let (mut older, mut damaged) = (None, Vec::new());
        for number in manifest::numbers(self.fs, self.store)? {
            match manifest::read(self.fs, self.store, number) {
                Ok(version) => older = Some(version),
                Err(Error::Corrupt { .. }) => damaged.push(names::manifest(self.store, number)),
                Err(error) => return Err(error),
            }
        }
        Ok((older, damaged))
    }

    /// The segment files that say what they are, and the highest number of all.
    fn files(&mut self) -> Result<(Vec<File>, u64)> {
        let (mut files, mut highest) = (Vec::new(), 0);
        for name in list(self.fs, &names::segment_dir(self.store))? {
            let Some(number) = names::number(&name, names::SEGMENT) else { continue };
            highest = highest.max(number);
            let path = names::segment(self.store, number);
            match segment::describe(self.fs, &path) {
                Ok(description) if description.summary.number == number => {
                    files.push(File { path, description });
                }
                Ok(description) => {
                    let what = format!("it is segment {}", description.summary.number);
                    self.unusable(path, &what);
                }
                Err(error @ Error::Corrupt { .. }) => {
                    self.report.damage.push(error.to_string());
                    self.report.unusable.push(path);
                }
                Err(error) => return Err(error),
            }
        }
        Ok((files, highest))
    }

    fn unusable(&mut self, path: PathBuf, what: &str) {
        self.report.damage.push(format!("{}: {what}", path.display()));
        self.report.unusable.push(path);
    }

    /// Number, store and first record of the log files that have a header.
    fn logs(&mut self) -> Result<Vec<(u64, [u8; 16], u64)>> {
        let mut logs = Vec::new();
        for name in list(self.fs, &names::wal_dir(self.store))? {
            let Some(number) = names::number(&name, names::WAL) else { continue };
            let path = names::wal(self.store, number);
            match read_header(&*self.fs.open(&path)?, &path) {
                Ok(header) => logs.push((number, header.store_id, header.first_sequence)),
                // Opening the store puts it into quarantine.
                Err(error @ Error::Corrupt { .. }) => self.report.damage.push(error.to_string()),
                Err(error) => return Err(error),
            }
        }
        Ok(logs)
    }

    /// Reads all rows of the segments: the catalog, and what the version says of each.
    fn count(&mut self, version: &mut Version, kept: &[File]) -> Result<()> {
        version.catalog = Catalog::default();
        version.segments.clear();
        let mut longest: Vec<Promoted> = std::mem::take(&mut version.promoted);
        let mut end = 0;
        for file in kept {
            let mut count = Count::new(&file.path);
            segment::examine(self.fs, &file.path, &mut count)?;
            version.catalog.merge(&count.catalog);
            self.report.damage.extend(count.damage);
            let (first, last) = file.sequences();
            if first <= end {
                let path = file.path.display();
                let what = format!("{path}: it has records to {end} that others have, too");
                self.report.damage.push(what);
            } else if end > 0 && first > end + 1 {
                let what = format!("the records {} to {} are in no segment", end + 1, first - 1);
                self.report.damage.push(what);
            }
            end = end.max(last);
            let summary = file.description.summary.clone();
            if summary.promoted.len() > longest.len() {
                longest = summary.promoted.clone();
            }
            version.segments.push(SegmentEntry::from(summary));
        }
        // The set only grew: the longest list has the order, the others what it may lack.
        for key in version.segments.iter().flat_map(|segment| &segment.promoted) {
            if !longest.contains(key) {
                longest.push(key.clone());
            }
        }
        version.promoted = longest;
        version.accepted = version.segment_rows().saturating_add(version.dropped);
        Ok(())
    }

    /// How far the log is in segments, and which of its files count.
    fn place_in_log(&mut self, version: &mut Version, logs: &[(u64, [u8; 16], u64)]) -> Result<()> {
        let ends = version.segments.iter().map(|segment| segment.sequences.1);
        let flushed = ends.max().unwrap_or(0).max(version.flushed_sequence);
        let own = || logs.iter().filter(|(_, id, _)| *id == version.store_id.0);
        let first = own().map(|(.., first)| *first).min();
        version.flushed_sequence = flushed.max(first.unwrap_or(1).saturating_sub(1));
        if version.flushed_sequence > flushed {
            let (from, to) = (flushed + 1, version.flushed_sequence);
            self.report.unknown.push(format!(
                "the records {from} to {to} are in no segment and not in the log: retention \
                 dropped their spans, or they are lost"
            ));
        }
        // What cannot be read is not below the floor: opening the store puts it aside.
        let names = list(self.fs, &names::wal_dir(self.store))?;
        if let Some(floor) = names.iter().filter_map(|n| names::number(n, names::WAL)).min() {
            version.wal_floor = floor;
        }
        Ok(())
    }

    fn say_what_is_unknown(&mut self, older: Option<&Version>) {
        let since = match older {
            Some(version) => format!("as of version {}", version.number),
            None => "from 0 on".into(),
        };
        self.report.unknown.push(format!(
            "how many spans were rejected, and how many retention dropped: they are counted {since}"
        ));
        self.report.unknown.push(
            "attribute keys of spans that retention dropped, and which value of a key was the first"
                .into(),
        );
    }

    /// The highest number of a file that was put aside: none is used twice.
    fn highest_in_quarantine(&self, extension: &str) -> Result<u64> {
        let names = list(self.fs, &names::quarantine_dir(self.store))?;
        let numbers = names.iter().filter_map(|name| {
            let (name, _) = name.rsplit_once('.')?;
            names::number(name, extension)
        });
        Ok(numbers.max().unwrap_or(0))
    }
}

/// Which store this is: as an older manifest says, or most of the files.
fn store_id(
    older: Option<&Version>,
    files: &[File],
    logs: &[(u64, [u8; 16], u64)],
) -> Option<[u8; 16]> {
    if let Some(version) = older {
        return Some(version.store_id.0);
    }
    let mut votes: BTreeMap<[u8; 16], usize> = BTreeMap::new();
    let ids = files.iter().map(|file| file.description.store_id);
    for id in ids.chain(logs.iter().map(|(_, id, _)| *id)) {
        *votes.entry(id).or_default() += 1;
    }
    votes.into_iter().max_by_key(|(_, count)| *count).map(|(id, _)| id)
}
