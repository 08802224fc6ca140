//! Every limit of the store, with its default and unit.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use crate::fs::{Fs, RealFs};
use crate::model::catalog::{Promoted, PromotedType, Scope};
use crate::model::time::{Clock, SystemClock};

/// Largest request that a store takes, in bytes; larger ones are `Invalid` and have to be split.
pub const REQUEST_BYTES_MAX: usize = 16 << 20;

/// When an append is acknowledged.
///
/// ```
/// use std::time::Duration;
/// use amida::{Durability, Options};
///
/// // A service that can lose its last second of traces when the power fails, but not more.
/// let options = Options::default().durability(Durability::Interval(Duration::from_secs(1)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// After the bytes are on stable storage (`fdatasync` returned). Survives power loss.
    #[default]
    Sync,
    /// After the operating system took the bytes; they are synced this often. A crash of the
    /// process loses nothing, power loss at most this long.
    Interval(Duration),
    /// After the operating system took the bytes; it writes them when it likes. A crash of the
    /// process loses nothing, power loss whatever was not written yet.
    Os,
}

/// How long spans are kept. By default 7 days and 10 GiB, whichever is reached first.
///
/// Both limits drop whole segments, the oldest in order of ingest first; a span is never dropped
/// for the time that its sender gave it.
///
/// ```
/// use amida::{Options, Retention, days};
///
/// let options = Options::default().retention(Retention::max_age(days(30)).max_bytes(50 << 30));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    pub(crate) age_max: Option<Duration>,
    pub(crate) bytes_max: Option<u64>,
}

impl Retention {
    /// Keeps everything for ever.
    pub fn forever() -> Self {
        Self { age_max: None, bytes_max: None }
    }

    /// Drops segments whose newest span was ingested longer ago than this.
    pub fn max_age(age: Duration) -> Self {
        Self { age_max: Some(age), bytes_max: None }
    }

    /// Drops the oldest segments while all segments together have more bytes than this; never the
    /// newest one. Compaction makes segments of at most an eighth of it: a drop removes little.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.bytes_max = Some(bytes);
        self
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self::max_age(days(7)).max_bytes(10 << 30)
    }
}

/// This many days.
pub const fn days(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 60 * 60)
}

/// Settings of a store; made by `Store::options()`, used by `open`.
///
/// ```
/// use std::sync::Arc;
/// use amida::{MemoryFs, Store};
///
/// # fn main() -> amida::Result<()> {
/// let store = Store::options()
///     .seal_bytes(8 << 20) // a small container: flush at 8 MiB
///     .wal_bytes_max(24 << 20)
///     .fs(Arc::new(MemoryFs::new()))
///     .open("/traces.amida")?;
/// store.close()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Options {
    pub(crate) durability: Durability,
    pub(crate) retention: Retention,
    pub(crate) seal_bytes: u64,
    pub(crate) seal_age: Duration,
    pub(crate) wal_bytes_max: u64,
    pub(crate) queue_bytes_max: u64,
    pub(crate) stall_max: Duration,
    pub(crate) disk_floor_bytes: u64,
    pub(crate) future_max: Option<Duration>,
    pub(crate) promoted: Vec<Promoted>,
    pub(crate) promoted_max: usize,
    pub(crate) metadata_cache_bytes: u64,
    pub(crate) segment_bytes_max: u64,
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) create: bool,
    pub(crate) lock_wait: Duration,
    pub(crate) single_threaded: bool,
    pub(crate) flush_threads: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            durability: Durability::Sync,
            retention: Retention::default(),
            seal_bytes: 16 << 20,
            seal_age: Duration::from_secs(60),
            wal_bytes_max: 96 << 20,
            queue_bytes_max: 32 << 20,
            stall_max: Duration::from_secs(1),
            disk_floor_bytes: 64 << 20,
            future_max: None,
            promoted: Vec::new(),
            promoted_max: 24,
            metadata_cache_bytes: 16 << 20,
            segment_bytes_max: 256 << 20,
            fs: Arc::new(RealFs),
            clock: Arc::new(SystemClock),
            create: true,
            lock_wait: Duration::ZERO,
            single_threaded: false,
            flush_threads: None,
        }
    }
}

impl Options {
    /// When an append is acknowledged; `Durability::Sync` by default.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How long spans are kept; 7 days and 10 GiB by default.
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// Bytes of requests after which the memtable is sealed and flushed to a segment; 16 MiB by
    /// default. A span counts 400 bytes at least.
    pub fn seal_bytes(mut self, bytes: u64) -> Self {
        self.seal_bytes = bytes.max(1);
        self
    }

    /// Age of its oldest span after which the memtable is sealed and flushed; 60 s by default.
    pub fn seal_age(mut self, age: Duration) -> Self {
        self.seal_age = age;
        self
    }

    /// Most bytes of requests that are not flushed to segments yet; 96 MiB by default.
    /// Appends beyond it wait (`stall_max`), then fail with `Busy`.
    pub fn wal_bytes_max(mut self, bytes: u64) -> Self {
        self.wal_bytes_max = bytes;
        self
    }

    /// Most bytes of requests that wait to be committed; 32 MiB by default. Requests beyond it fail
    /// with `Busy` at once.
    pub fn queue_bytes_max(mut self, bytes: u64) -> Self {
        self.queue_bytes_max = bytes;
        self
    }

    /// Longest time an append waits for room before it fails with `Busy`; 1 s by default.
    pub fn stall_max(mut self, wait: Duration) -> Self {
        self.stall_max = wait;
        self
    }

    /// Free bytes that are left on the disk: below, appends fail with `DiskFull` while reading and
    /// retention go on; 64 MiB by default.
    pub fn disk_floor_bytes(mut self, bytes: u64) -> Self {
        self.disk_floor_bytes = bytes;
        self
    }

    /// Rejects spans that start further in the future than this; by default none is rejected for
    /// its time.
    pub fn future_max(mut self, ahead: Duration) -> Self {
        self.future_max = Some(ahead);
        self
    }

    /// Span attribute keys that get a column of their own in segments from the first flush on, with
    /// the type of that column. Other keys are chosen by the data, up to 24 in all.
    pub fn promote(mut self, keys: impl IntoIterator<Item = (String, PromotedType)>) -> Self {
        let promoted = keys.into_iter().map(|(key, value_type)| Promoted {
            scope: Scope::Span,
            key,
            value_type,
        });
        self.promoted.extend(promoted);
        self
    }

    /// Most bytes of parsed segment footers kept in memory; 16 MiB by default.
    pub fn metadata_cache_bytes(mut self, bytes: u64) -> Self {
        self.metadata_cache_bytes = bytes;
        self
    }

    /// Largest segment that compaction makes; 256 MiB by default, and at most an eighth of
    /// `Retention::max_bytes`. Of a larger one the parsed footer is larger, too: a merge has those
    /// of its segments in memory, and queries parse it again where `metadata_cache_bytes` is less.
    pub fn segment_bytes_max(mut self, bytes: u64) -> Self {
        self.segment_bytes_max = bytes.max(1);
        self
    }

    /// The disk; the operating system's by default.
    pub fn fs(mut self, fs: Arc<dyn Fs>) -> Self {
        self.fs = fs;
        self
    }

    /// The clock; the machine's by default.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Waits this long for another writer of the directory to close it, as in a rolling deployment
    /// where the new process starts before the old one ends; by default `open` fails with `Locked`
    /// at once.
    pub fn wait_for_lock(mut self, wait: Duration) -> Self {
        self.lock_wait = wait;
        self
    }

    /// How many threads decode and encode the spans of one flush, or of what compaction encodes
    /// again; 2 by default, 1 on a machine with one processor.
    pub fn flush_threads(mut self, threads: usize) -> Self {
        self.flush_threads = Some(threads.max(1));
        self
    }

    /// The threads of a flush.
    pub(crate) fn threads(&self) -> usize {
        if self.single_threaded {
            return 1;
        }
        let all = || available_parallelism().map_or(1, NonZeroUsize::get);
        self.flush_threads.unwrap_or_else(|| all().min(2))
    }

    /// The store starts no threads: whoever appends flushes, retains and compacts, when that is
    /// due, before the append returns. Calls then reach the disk in the same order every time,
    /// which tests that replay a failure need; `Durability::Interval` syncs at the next append
    /// after the interval.
    pub fn single_threaded(mut self) -> Self {
        self.single_threaded = true;
        self
    }

    /// Fails instead of making a new store where there is none.
    pub fn must_exist(mut self) -> Self {
        self.create = false;
        self
    }
}
