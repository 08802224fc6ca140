//! The store: opening and recovery, appending with group commit, background work, closing.
//!
//! It promises that an acknowledged request is on stable storage (as
//! `Options::durability` has it), whole, once, and visible to every snapshot taken afterwards.
//!
//! | file | purpose |
//! |---|---|
//! | mod | `Store`: the face, its life and end |
//! | group | who commits and when: the queue of requests, tickets, poison |
//! | commit | what a commit is: a group, the log |
//! | ticket | `Receipt`, `Pending` |
//! | record | the payload of a log record |
//! | state | what readers see |
//! | maintain | flush, retention and compaction carried out |
//! | worker | the background threads |
//! | signal | how a thread is woken and ended |
//! | door | who may open a directory for writing |
//! | recovery | opening a directory |
//! | report | `RecoveryReport`: what was found there |
//! | clock | times of ingest and of retention |
//! | reader | `Reader`: another process's look |
//! | stats | `Stats` |
//! | checkpoint | a copy that is a store itself, while writing goes on |
//! | verify/ | every checksum and count of a store |
//! | rebuild/ | a lost manifest, made again |
//!
//! Locks: `turn` (one maintenance step at a time) and `log` (whoever holds it commits) are held
//! during I/O and nobody waits for one while holding the other, since whoever commits may wait for
//! a flush. `queue` and `state` are taken last and held for moments, never during I/O.

mod checkpoint;
mod clock;
mod commit;
mod door;
mod group;
mod maintain;
mod reader;
mod rebuild;
pub(crate) mod record;
mod recovery;
mod report;
mod signal;
mod state;
mod stats;
mod ticket;
mod verify;
mod worker;

use std::path::{Path, PathBuf};

use bytes::Bytes;

use self::clock::StoreClock;
use self::commit::{Commits, Log};
use self::group::Poison;
use self::signal::Signal;
use self::state::State;
use self::stats::Counters;
use self::verify::no_store;
use crate::error::{Error, Result};
use crate::fs::{Fs, Lock, MemoryFs};
use crate::manifest;
use crate::memtable::Decode;
use crate::options::Options;
use crate::otlp::resolve;
use crate::segment::MetadataCache;
use crate::snapshot::Snapshot;
use crate::sync::thread::JoinHandle;
use crate::sync::{Arc, Condvar, Helpers, Mutex, lock};

pub use self::checkpoint::Checkpoint;
pub use self::reader::Reader;
pub use self::rebuild::{Rebuild, RebuildReport};
pub use self::report::RecoveryReport;
pub use self::stats::Stats;
pub use self::ticket::{Pending, Receipt};
pub use self::verify::{Problem, Verification, verify};

/// How hot rows become columns.
const DECODE: Decode = Decode {
    all: |batches| resolve::resolve(batches.iter().flat_map(|batch| &batch.requests)),
    rows: resolve::resolve_rows,
};

/// A trace store in a directory. Cheap to clone; all clones are the same store, usable from any
/// thread.
///
/// The directory's lock is free again when `close` returns, or when the last clone was dropped and
/// no `Pending` of it is left. Snapshots stay readable after that.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use amida::{RequestBuilder, Resource, SpanBuilder, Store};
/// # let store = Store::in_memory();
/// # let id = "4bf92f3577b34da6a3ce929d0e0e4736".parse()?;
/// # let span = SpanBuilder::new(id, "00f067aa0ba902b7".parse()?, "GET /cart")
/// #     .attribute("http.response.status_code", 503);
/// # let body = RequestBuilder::new(Resource::new("checkout")).span(span).finish();
/// let receipt = store.append_otlp(body)?; // on disk and visible when it returns
/// assert_eq!(receipt.accepted(), 1);
/// assert_eq!(store.snapshot().span_count(), 1);
/// store.close()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Store(Arc<Handle>);

/// Ends the store when the last clone is dropped.
#[derive(Debug)]
struct Handle {
    inner: Arc<Inner>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// Everything that the clones and the threads share.
#[derive(Debug)]
struct Inner {
    path: PathBuf,
    options: Options,
    fs: Arc<dyn Fs>,
    store_id: [u8; 16],
    metadata_cache: Arc<MetadataCache>,
    recovery: RecoveryReport,
    turn: Mutex<()>,
    commits: Commits,
    state: Mutex<State>,
    /// Told when a flush made room in the log; with `state`.
    room: Condvar,
    maintainer: Signal,
    clock: Mutex<StoreClock>,
    poison: Poison,
    counters: Counters,
    helpers: Helpers,
    lock: Mutex<Option<Box<dyn Lock>>>,
}

impl Options {
    /// Opens the store in this directory, or makes one there.
    ///
    /// # Errors
    /// `Locked` when it is open for writing already, here or in another process; `Corrupt` when its
    /// manifest is damaged; `Unsupported` when a newer Amida wrote it; `Io`; `Invalid` when there
    /// is no store and `must_exist` was said.
    pub fn open(self, path: impl Into<PathBuf>) -> Result<Store> {
        Store::open_with(path.into(), self)
    }

    /// Opens the store in this directory for reading, with these options' disk and caches.
    ///
    /// # Errors
    /// As `Reader::open`.
    pub fn open_reader(self, path: impl Into<PathBuf>) -> Result<Reader> {
        Reader::open_with(path.into(), &self)
    }
}

impl Store {
    /// Settings to open a store with.
    pub fn options() -> Options {
        Options::default()
    }

    /// Opens the store in this directory with the default settings, or makes one there.
    ///
    /// # Errors
    /// As `Options::open`.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        Options::default().open(path)
    }

    /// A store in memory: the same engine on a disk that is gone with it. For tests.
    ///
    /// # Panics
    /// When the system gives no thread or no random numbers.
    pub fn in_memory() -> Self {
        let options = Options::default().fs(Arc::new(MemoryFs::new())).disk_floor_bytes(0);
        // An empty disk in memory refuses nothing.
        options.open("memory").expect("a store in memory opens")
    }

    fn open_with(path: PathBuf, options: Options) -> Result<Self> {
        let fs = options.fs.clone();
        // Before anything is touched: a store of a newer Amida stays as it is.
        let known = manifest::load(&*fs, &path)?.is_some();
        if !known && !options.create {
            return Err(no_store(&*fs, &path));
        }
        fs.create_dir_all(&path)?;
        door::refuse_other_content(&*fs, &path, known)?;
        let held = door::take_lock(&*fs, &path, options.lock_wait)?;
        let mut report = RecoveryReport::default();
        let reading_ns = options.clock.now_ns();
        let version = recovery::newest(&*fs, &path, &options.retention, reading_ns, &mut report)?;
        let store_id = version.store_id.0;
        let metadata_cache = Arc::new(MetadataCache::new(options.metadata_cache_bytes));
        let recovered =
            recovery::recover(&fs, &path, version, DECODE, &metadata_cache, &mut report)?;
        let inner = Arc::new(Inner {
            path,
            fs,
            store_id,
            metadata_cache,
            recovery: report,
            turn: Mutex::new(()),
            commits: commit::queue(Log {
                writer: None,
                next_file: recovered.next_wal,
                next_sequence: recovered.next_sequence,
                dirty_since: None,
            }),
            clock: Mutex::new(StoreClock::new(reading_ns, recovered.newest_ingest_ns())),
            state: Mutex::new(State::new(
                recovered.version,
                recovered.segments,
                recovered.sealed,
                DECODE,
            )),
            room: Condvar::new(),
            maintainer: Signal::default(),
            poison: Poison::default(),
            counters: Counters::default(),
            helpers: Helpers::new(options.threads()),
            lock: Mutex::new(Some(held)),
            options,
        });
        inner.take_reserve();
        let threads =
            if inner.options.single_threaded { Vec::new() } else { worker::start(&inner)? };
        Ok(Self(Arc::new(Handle { inner, threads: Mutex::new(threads) })))
    }

    /// Stores an OTLP request (the protobuf bytes of an `ExportTraceServiceRequest`, at most
    /// 16 MiB) and returns when it is on disk, as `Options::durability` has it, and visible.
    ///
    /// # Errors
    /// `Invalid` when the bytes are no request (nothing is stored), `Busy` and `DiskFull` (try
    /// again), `Poisoned` after a failed sync, `Closed`, `Io`. After `Io` the request was not
    /// acknowledged and is not visible.
    pub fn append_otlp(&self, body: impl Into<Bytes>) -> Result<Receipt> {
        self.submit_otlp(body).wait()
    }

    /// Hands over an OTLP request without waiting: `wait` for the result or `.await` it. Requests
    /// are committed in the order of submission.
    pub fn submit_otlp(&self, body: impl Into<Bytes>) -> Pending {
        self.0.inner.submit(body.into())
    }

    /// Everything that was acknowledged before, as one immutable view.
    pub fn snapshot(&self) -> Snapshot {
        lock(&self.0.inner.state).snapshot()
    }

    /// Writes everything that is in memory to segments.
    ///
    /// # Errors
    /// `Closed`, `Poisoned`, `Io`; nothing is lost: the spans stay in the log and in memory.
    pub fn flush(&self) -> Result<()> {
        let inner = &self.0.inner;
        inner.with_open_log(|log| inner.seal(log))?;
        inner.flush_sealed(&inner.take_turn()?)
    }

    /// Returns once everything that was acknowledged before is on stable storage, whatever
    /// `Options::durability` says.
    ///
    /// # Errors
    /// `Closed`, `Poisoned`, `Io`.
    pub fn sync(&self) -> Result<()> {
        let inner = &self.0.inner;
        inner.with_open_log(|log| {
            // Another sync may have failed just now: nothing is left to sync, nor safe.
            inner.check_poison()?;
            match log.dirty_since {
                Some(_) => inner.sync_log(log),
                None => Ok(()),
            }
        })
    }

    /// Flushes, drops what retention does not keep, and merges segments to as few as the limits
    /// allow.
    ///
    /// # Errors
    /// As `flush`; `Corrupt` or `Io` when a segment is damaged: it stays, and all else is done.
    pub fn compact(&self) -> Result<()> {
        self.compact_with(|_, _| {})
    }

    /// As `compact`; `progress` is told now and then how many bytes of segments were read to be
    /// merged, and of how many. It must not flush or compact, nor append where the store has no
    /// threads: it would wait for itself.
    ///
    /// # Errors
    /// As `compact`.
    pub fn compact_with(&self, progress: impl Fn(u64, u64)) -> Result<()> {
        self.flush()?;
        let inner = &self.0.inner;
        let turn = inner.take_turn()?;
        inner.retain(&turn)?;
        inner.compact_all(&turn, &progress)
    }

    /// What opening the store found and did: what was replayed, cut and put aside, and what is
    /// damaged.
    pub fn recovery(&self) -> &RecoveryReport {
        &self.0.inner.recovery
    }

    /// What the store did and holds.
    pub fn stats(&self) -> Stats {
        self.0.inner.stats()
    }

    /// The store's directory.
    pub fn path(&self) -> &Path {
        &self.0.inner.path
    }

    /// Ends the store for all its clones: requests that wait are committed first, later ones get
    /// `Closed`. When it returns, the log is sealed, the threads have ended and the directory's
    /// lock is free. Closing again does nothing.
    ///
    /// # Errors
    /// The error that kept the log from being sealed; the store is closed all the same, and opening
    /// it again recovers everything that was acknowledged.
    pub fn close(self) -> Result<()> {
        self.0.close()
    }
}

impl Handle {
    fn close(&self) -> Result<()> {
        let inner = &self.inner;
        // Whoever closes at the same time waits here.
        let mut threads = lock(&self.threads);
        if !inner.close_queue() {
            return Ok(());
        }
        inner.maintainer.stop();
        for thread in threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!(target: "amida::store", "a background thread panicked");
            }
        }
        // Maintenance in another thread ends first, and none begins any more (`take_turn`).
        drop(lock(&inner.turn));
        let sealed = inner.with_log(|log| inner.check_poison().and_then(|()| inner.end_file(log)));
        drop(lock(&inner.lock).take());
        sealed
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(target: "amida::store", %error, "the store did not close in order");
        }
    }
}

impl Inner {
    fn check_poison(&self) -> Result<()> {
        self.poison.cause().map_or(Ok(()), |cause| Err(Error::Poisoned { cause }))
    }

    /// Stops all writing after a failed sync; the first cause is kept.
    fn poison(&self, error: &Error) -> Error {
        let cause = self.poison.set(error.to_string());
        tracing::error!(target: "amida::store", cause, "the store stopped writing");
        Error::Poisoned { cause }
    }

    fn take_reserve(&self) {
        let floor = self.options.disk_floor_bytes;
        if floor > 0 {
            maintain::take_reserve(&*self.fs, &self.path, floor);
        }
    }

    fn wake_maintenance(&self) {
        self.maintainer.wake();
    }
}
