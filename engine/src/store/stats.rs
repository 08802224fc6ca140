//! What the store did and holds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Inner, lock};
use crate::error::{Error, Result};
use crate::fs::{Fs, names};
use crate::maintenance::plan::{CompactionLimits, due_merges};
use crate::manifest::{SegmentEntry, Version};
use crate::memtable::Facts;
use crate::otlp::walk::Reason;
use crate::sync::Mutex;

/// What the store did and holds, at one moment.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use amida::{RequestBuilder, Resource, SpanBuilder, Store};
/// # let store = Store::in_memory();
/// # let id = "4bf92f3577b34da6a3ce929d0e0e4736".parse()?;
/// # let span = SpanBuilder::new(id, "00f067aa0ba902b7".parse()?, "GET /cart")
/// #     .attribute("http.response.status_code", 503);
/// # let body = RequestBuilder::new(Resource::new("checkout")).span(span).finish();
/// # let _receipt = store.append_otlp(body)?;
/// let stats = store.stats();
/// assert_eq!((stats.accepted, stats.memtable_spans), (1, 1));
/// println!("{} syncs, {:?} in all", stats.fsyncs, stats.fsync_time);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Spans accepted since the store was made.
    pub accepted: u64,
    /// Spans rejected since the store was made, by reason; of a request of which every span was
    /// rejected, a crash before the next flush forgets the count.
    pub rejected: Vec<(&'static str, u64)>,
    /// Spans dropped by retention since the store was made.
    pub dropped: u64,
    /// Bytes that the write-ahead log takes on the disk, space taken ahead included.
    pub wal_bytes: u64,
    /// Bytes of requests in memory, not yet in a segment; a span counts 400 at least.
    pub memtable_bytes: u64,
    /// Spans in memory, not yet in a segment.
    pub memtable_spans: u64,
    /// Bytes of all segments.
    pub segment_bytes: u64,
    /// Spans in segments.
    pub segment_spans: u64,
    /// Number of segments.
    pub segments: u64,
    /// How many of them the background is going to merge next; 0 when it has caught up. Of a
    /// reader, by the default limits.
    pub segments_to_merge: u64,
    /// Bytes of the whole directory: log, segments, manifests, quarantine and reserve.
    pub disk_bytes: u64,
    /// Syncs of the log since the store was opened; 0 for a reader.
    pub fsyncs: u64,
    /// Time spent in them.
    pub fsync_time: Duration,
    /// Longest of them.
    pub fsync_max: Duration,
    /// Groups of appends that had to wait for room in the log.
    pub stalls: u64,
    /// The last error of a background thread, if any.
    pub last_error: Option<String>,
    /// Damage found when the store was opened: what, and where.
    pub damage: Vec<String>,
}

/// Counts since the store was opened.
#[derive(Debug, Default)]
pub struct Counters {
    fsyncs: AtomicU64,
    fsync_ns: AtomicU64,
    fsync_max_ns: AtomicU64,
    /// See `Stats::stalls`.
    pub stalls: AtomicU64,
    last_error: Mutex<Option<String>>,
}

impl Counters {
    /// A sync took this long.
    pub fn synced(&self, took: Duration) {
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.fsyncs.fetch_add(1, Ordering::Relaxed);
        self.fsync_ns.fetch_add(ns, Ordering::Relaxed);
        self.fsync_max_ns.fetch_max(ns, Ordering::Relaxed);
    }

    /// A background step failed.
    pub fn failed(&self, error: &Error) {
        tracing::error!(target: "amida::store", %error, "background work failed");
        *lock(&self.last_error) = Some(error.to_string());
    }
}

impl Inner {
    pub(super) fn stats(&self) -> Stats {
        let mut stats = {
            let state = lock(&self.state);
            let sealed = state.sealed.iter().map(|s| (s.view.facts(), &s.rejected));
            let active = (state.active.facts(), &state.active_rejected);
            gather(&state.version, sealed.chain([active]))
        };
        stats.fsyncs = self.counters.fsyncs.load(Ordering::Relaxed);
        stats.fsync_time = Duration::from_nanos(self.counters.fsync_ns.load(Ordering::Relaxed));
        stats.fsync_max = Duration::from_nanos(self.counters.fsync_max_ns.load(Ordering::Relaxed));
        stats.stalls = self.counters.stalls.load(Ordering::Relaxed);
        stats.last_error = lock(&self.counters.last_error).clone();
        stats.damage.clone_from(&self.recovery.damage);
        let (version, sound) = self.merge_inputs();
        stats.segments_to_merge = to_merge(&version, &self.compaction_limits(), sound);
        measure(&*self.fs, &self.path, &mut stats);
        stats
    }
}

/// What a version and memtables say.
pub fn gather<'a>(
    version: &Version,
    memtables: impl Iterator<Item = (&'a Facts, &'a super::state::Rejected)>,
) -> Stats {
    let mut stats = Stats {
        accepted: version.accepted,
        dropped: version.dropped,
        segment_bytes: version.segment_bytes(),
        segment_spans: version.segment_rows(),
        segments: version.segments.len() as u64,
        ..Stats::default()
    };
    let mut rejected = Reason::ALL.map(|r| version.rejected.get(r.word()).copied().unwrap_or(0));
    for (facts, more) in memtables {
        stats.accepted += facts.rows;
        stats.memtable_spans += facts.rows;
        stats.memtable_bytes += facts.bytes;
        for (count, more) in rejected.iter_mut().zip(more) {
            *count += more;
        }
    }
    stats.rejected = super::ticket::words(&rejected);
    stats
}

/// How many segments are due to be merged.
pub fn to_merge(
    version: &Version,
    limits: &CompactionLimits,
    sound: impl Fn(&SegmentEntry) -> bool,
) -> u64 {
    due_merges(version, limits, sound).iter().map(|run| run.len() as u64).sum()
}

/// Adds what the files say. A file that vanishes meanwhile counts nothing.
pub fn measure(fs: &dyn Fs, store: &std::path::Path, stats: &mut Stats) {
    let bytes_of = |dir: std::path::PathBuf| -> u64 {
        let len = |name: &String| -> Result<u64> { fs.open(&dir.join(name))?.len() };
        let names = fs.list(&dir).unwrap_or_default();
        names.iter().map(|name| len(name).unwrap_or(0)).sum()
    };
    stats.wal_bytes = bytes_of(names::wal_dir(store));
    let reserve = fs.open(&names::reserve(store)).and_then(|file| file.len()).unwrap_or(0);
    stats.disk_bytes = stats.wal_bytes
        + bytes_of(names::segment_dir(store))
        + bytes_of(names::manifest_dir(store))
        + bytes_of(names::quarantine_dir(store))
        + reserve;
}
