//! `Reader`: a look at a store from another process, beside its writer. Never writes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::stats::{self, Stats};
use super::{DECODE, lock, record, ticket};
use crate::error::{Error, Result};
use crate::fs::{Fs, names};
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
}

/// A log file as far as it was read.
#[derive(Debug)]
struct Tail {
    reader: WalReader,
    memtable: Memtable,
    rejected: Rejected,
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
        let files = self.fs.list(&names::wal_dir(&self.path))?;
        let floor = view.version.wal_floor;
        view.logs.retain(|number, _| *number >= floor);
        for number in files.iter().filter_map(|name| names::number(name, names::WAL)) {
            if number < floor {
                continue;
            }
            if !view.logs.contains_key(&number) {
                let path = names::wal(&self.path, number);
                let id = &view.version.store_id.0;
                let reader = WalReader::open(&*self.fs, &path, id, number)?;
                let (memtable, rejected) = (Memtable::new(DECODE), Rejected::default());
                view.logs.insert(number, Tail { reader, memtable, rejected });
            }
            if let Some(tail) = view.logs.get_mut(&number) {
                tail.read_on(view.version.flushed_sequence)?;
            }
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
        Snapshot::new(view.segments.clone(), hot, view.catalog.clone())
    }

    /// What the last look saw, in numbers. What only the writer knows is 0.
    pub fn stats(&self) -> Stats {
        let view = lock(&self.view);
        let tails = view.logs.values().map(|tail| (tail.memtable.facts(), &tail.rejected));
        let mut stats = stats::gather(&view.version, tails);
        stats.damage = view.segments.damage().collect();
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

impl Tail {
    /// Reads the records that came since. Bytes that are no record yet end the look: the writer may
    /// be in the middle of them.
    fn read_on(&mut self, flushed_sequence: u64) -> Result<()> {
        loop {
            let found = match self.reader.step()? {
                Step::Record(found) => found,
                Step::Bad if planted!("reader_skips_unfinished") => match self.reader.resync()? {
                    Some(found) => found,
                    None => return Ok(()),
                },
                Step::Bad | Step::End => return Ok(()),
            };
            let sequence = found.header.sequence;
            if found.is_seal() || sequence <= flushed_sequence {
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
