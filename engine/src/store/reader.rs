//! `Reader`: a look at a store from another process, beside its writer. Never writes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::recovery::durable_beyond;
use super::stats::{self, Stats};
use super::verify::list;
use super::{DECODE, lock, record, ticket};
use crate::error::{Error, Result};
use crate::fs::{Fs, names};
use crate::maintenance::plan::CompactionLimits;
use crate::manifest::{self, Version};
use crate::memtable::Memtable;
use crate::model::catalog::Catalog;
use crate::model::hot::HotBatch;
use crate::options::Options;
use crate::segment::MetadataCache;
use crate::snapshot::{Segments, Snapshot};
use crate::store::state::Rejected;
use crate::sync::{Arc, Mutex};
use crate::wal::{Step, WalReader};

/// How often a reader tries again when the writer commits a version in the middle of its look.
pub const TRIES: usize = 16;

/// Reads a store beside the process that writes it, or with no writer at all; takes no lock and
/// writes nothing. Cheap to clone; clones are the same view and are refreshed together.
///
/// It sees what was appended when it was opened or refreshed last. It may see rows shortly before
/// they are acknowledged, and a crash of the machine may take those away; never torn rows.
///
/// ```no_run
/// use amida::Reader;
///
/// # fn main() -> amida::Result<()> {
/// let reader = Reader::open("traces.amida")?; // beside the service that writes it
/// println!("{} spans", reader.snapshot().span_count());
/// reader.refresh()?; // what came since
/// println!("{} spans", reader.snapshot().span_count());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Reader {
    path: PathBuf,
    fs: Arc<dyn Fs>,
    cache: Arc<MetadataCache>,
    view: Arc<Mutex<View>>,
}

#[derive(Debug)]
struct View {
    version: Version,
    segments: Arc<Segments>,
    catalog: Arc<Catalog>,
    logs: BTreeMap<u64, Tail>,
    /// Log files that are missing.
    gaps: Vec<Error>,
}

/// A log file as far as it was read.
#[derive(Debug)]
struct Tail {
    /// `None` when nothing in the file can be read, or nothing more.
    reader: Option<WalReader>,
    memtable: Memtable,
    rejected: Rejected,
    /// The sequence of its first record.
    first_sequence: u64,
    /// The sequence of the next record.
    next_sequence: u64,
    /// What is damaged in it.
    damage: Vec<Error>,
}

impl Default for Tail {
    fn default() -> Self {
        Self {
            reader: None,
            memtable: Memtable::new(DECODE),
            rejected: Rejected::default(),
            first_sequence: 0,
            next_sequence: 0,
            damage: Vec::new(),
        }
    }
}

impl Reader {
    /// Opens a store for reading.
    ///
    /// # Errors
    /// `Invalid` when there is no store; `Corrupt`, `Unsupported`, `Io`.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let options = Options::default();
        Self::open_with(path.into(), &options)
    }

    pub(super) fn open_with(path: PathBuf, options: &Options) -> Result<Self> {
        let cache = Arc::new(MetadataCache::new(options.metadata_cache_bytes));
        let Some(version) = manifest::load(&*options.fs, &path)? else {
            return Err(super::no_store(&*options.fs, &path));
        };
        // Version 0 does not exist: the first refresh reads everything.
        let version = Version { number: 0, segments: Vec::new(), ..version };
        let view = View {
            version,
            segments: Arc::default(),
            catalog: Arc::default(),
            logs: BTreeMap::new(),
            gaps: Vec::new(),
        };
        let reader = Self { path, fs: options.fs.clone(), cache, view: Arc::new(Mutex::new(view)) };
        reader.refresh()?;
        Ok(reader)
    }

    /// Looks again: snapshots taken from now on have what was appended until now.
    ///
    /// # Errors
    /// `Busy` when the writer commits so fast that no look is consistent; `Invalid` when the
    /// directory is gone or holds another store now; `Corrupt`, `Io`. The earlier view stays.
    pub fn refresh(&self) -> Result<()> {
        let mut view = lock(&self.view);
        for _ in 0..TRIES {
            match self.look(&mut view) {
                Ok(true) => return Ok(()),
                // A file may vanish while the writer moves on: then there is a newer version.
                Err(Error::Io { kind: std::io::ErrorKind::NotFound, .. }) | Ok(false) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::Busy { what: "the writer commits faster than its directory can be read" })
    }

    /// Brings the view up to date; `false` when a new version came meanwhile.
    fn look(&self, view: &mut View) -> Result<bool> {
        let Some(version) = manifest::load(&*self.fs, &self.path)? else {
            return Err(super::no_store(&*self.fs, &self.path));
        };
        if version.store_id.0 != view.version.store_id.0 {
            let path = self.path.display();
            return Err(Error::invalid(format!("{path} holds another store than before")));
        }
        // What could not be opened may have come back.
        let whole = view.segments.unreadable.is_empty();
        if version.number != view.version.number || !whole {
            self.take_version(view, version)?;
        }
        let files = list(&*self.fs, &names::wal_dir(&self.path))?;
        let floor = view.version.wal_floor;
        view.logs.retain(|number, _| *number >= floor);
        let mut numbers: Vec<u64> =
            files.iter().filter_map(|name| names::number(name, names::WAL)).collect();
        numbers.retain(|number| *number >= floor);
        view.logs.retain(|number, _| numbers.contains(number));
        view.gaps.clear();
        let mut expected = view.version.flushed_sequence + 1;
        for number in &numbers {
            let path = names::wal(&self.path, *number);
            let found = Tail::open(&*self.fs, &path, &view.version.store_id.0, *number)?;
            let tail = view.logs.entry(*number).or_default();
            if !tail.goes_on_in(&found)? {
                *tail = found;
            }
            // A file is begun only when all before it is on stable storage.
            let complete = numbers.last() != Some(number);
            tail.read_on(view.version.flushed_sequence, complete)?;
            if tail.first_sequence > expected {
                let what = format!(
                    "the records {expected} to {} before it are missing",
                    tail.first_sequence - 1
                );
                view.gaps.push(Error::corrupt(path, 0, what));
            }
            expected = expected.max(tail.next_sequence);
        }
        let newest = manifest::newest_number(&*self.fs, &self.path)?;
        Ok(newest == Some(view.version.number))
    }

    /// Opens the segments of a version that the view does not have open yet.
    ///
    /// # Errors
    /// `Io` (not found) when a file is gone because there is a newer version.
    fn take_version(&self, view: &mut View, version: Version) -> Result<()> {
        let known = &view.segments;
        let segments = Segments::open(&self.fs, &self.path, &version, known, &self.cache)?;
        let gone =
            |error: &Error| matches!(error, Error::Io { kind: std::io::ErrorKind::NotFound, .. });
        // The writer removes a file only after the version that does without it.
        if let Some(gone) = segments.unreadable.iter().find(|u| gone(&u.error))
            && manifest::newest_number(&*self.fs, &self.path)? != Some(version.number)
        {
            return Err(gone.error.clone());
        }
        view.segments = Arc::new(segments);
        view.catalog = Arc::new(version.catalog.clone());
        view.version = version;
        Ok(())
    }

    /// What the last look saw, as one immutable view.
    pub fn snapshot(&self) -> Snapshot {
        let mut view = lock(&self.view);
        let hot = view.logs.values_mut().map(|tail| tail.memtable.view()).collect();
        let segments = match view.log_damage().next() {
            None => view.segments.clone(),
            Some(_) => Arc::new(view.segments.beside_damage(view.log_damage())),
        };
        Snapshot::new(segments, hot, view.catalog.clone())
    }

    /// What the last look saw, in numbers. What only the writer knows is 0.
    pub fn stats(&self) -> Stats {
        let view = lock(&self.view);
        let tails = view.logs.values().map(|tail| (tail.memtable.facts(), &tail.rejected));
        let mut stats = stats::gather(&view.version, tails);
        let logs = view.log_damage().map(Error::to_string);
        stats.damage = view.segments.damage().chain(logs).collect();
        let defaults = Options::default();
        let limits = CompactionLimits::new(defaults.segment_bytes_max, &defaults.retention);
        stats.segments_to_merge = stats::to_merge(&view.version, &limits, |_| true);
        stats::measure(&*self.fs, &self.path, &mut stats);
        stats
    }

    /// The store's directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The disk that it is on.
    pub(super) fn fs(&self) -> &dyn Fs {
        &*self.fs
    }
}

impl View {
    /// What is damaged in the log, or missing.
    fn log_damage(&self) -> impl Iterator<Item = &Error> {
        self.gaps.iter().chain(self.logs.values().flat_map(|tail| &tail.damage))
    }
}

impl Tail {
    /// Whether this is still the file that was found now under its name, and not cut: its number
    /// may be used again when it held nothing.
    fn goes_on_in(&self, found: &Self) -> Result<bool> {
        let (Some(open), Some(found)) = (&self.reader, &found.reader) else {
            // What cannot be read on was said, and is said once.
            return Ok(self.reader.is_none() && !self.damage.is_empty());
        };
        Ok(open.header() == found.header() && found.len()? >= open.offset())
    }

    fn open(fs: &dyn Fs, path: &Path, store_id: &[u8; 16], number: u64) -> Result<Self> {
        let (reader, damage) = match WalReader::open(fs, path, store_id, number) {
            Ok(reader) => (Some(reader), Vec::new()),
            // A log gets its name with its header: this is nothing that is being written.
            Err(error @ Error::Corrupt { .. }) => (None, vec![error]),
            Err(error) => return Err(error),
        };
        let first_sequence = reader.as_ref().map_or(0, |reader| reader.header().first_sequence);
        Ok(Self {
            reader,
            first_sequence,
            next_sequence: first_sequence,
            damage,
            ..Self::default()
        })
    }

    /// Reads the records that came since. Bytes that are no record end the look, for the writer may
    /// be in the middle of them; unless it is known that a record was on stable storage there,
    /// since the file is complete or a later record says so: that is damage.
    fn read_on(&mut self, flushed_sequence: u64, complete: bool) -> Result<()> {
        loop {
            let Some(reader) = &mut self.reader else { return Ok(()) };
            let at = reader.offset();
            let found = match reader.step()? {
                Step::Record(found) => found,
                Step::End => return Ok(()),
                Step::Bad if planted!("reader_skips_unfinished") => match reader.resync()? {
                    Some(found) => found,
                    None => return Ok(()),
                },
                Step::Bad => {
                    let damaged = complete || durable_beyond(reader, self.next_sequence)?;
                    reader.seek(at);
                    if !damaged {
                        return Ok(());
                    }
                    let found = reader.resync()?;
                    let from = self.next_sequence;
                    let until = match &found {
                        Some(record) if record.is_seal() => "the end of the file".to_owned(),
                        Some(record) => (record.header.sequence.max(1) - 1).to_string(),
                        None => "the end".to_owned(),
                    };
                    let what = format!("the records {from} to {until} are damaged");
                    self.damage.push(Error::corrupt(reader.path(), at, what));
                    match found {
                        Some(found) => found,
                        None => {
                            self.reader = None;
                            return Ok(());
                        }
                    }
                }
            };
            let sequence = found.header.sequence;
            if found.is_seal() {
                continue;
            }
            self.next_sequence = sequence + 1;
            if sequence <= flushed_sequence {
                continue;
            }
            let Some(replayed) = record::read(found.payload) else { continue };
            for (count, more) in
                self.rejected.iter_mut().zip(ticket::count(&replayed.walked.rejected))
            {
                *count += more;
            }
            let ingest = (replayed.ingest_ns, replayed.ingest_ns);
            let batch = HotBatch::new(vec![replayed.walked.request]);
            self.memtable.insert(batch, sequence, ingest);
        }
    }
}
