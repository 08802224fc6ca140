//! What readers see, behind one lock: segments, sealed memtables and the active one. A version, and
//! what it puts in the place of a memtable, become visible in one step.

use std::collections::VecDeque;
use std::time::Instant;

use crate::manifest::Version;
use crate::memtable::{Decode, Memtable, MemtableView};
use crate::model::catalog::Catalog;
use crate::otlp::walk::Reason;
use crate::segment::Segment;
use crate::snapshot::{Segments, Snapshot};
use crate::sync::Arc;

/// Rejected spans by reason, in the order of `Reason::ALL`.
pub type Rejected = [u64; Reason::ALL.len()];

/// A memtable that takes no more spans and waits to be flushed.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// Its spans.
    pub view: MemtableView,
    /// The log file that holds them.
    pub wal_number: u64,
    /// Spans that were rejected in it.
    pub rejected: Rejected,
    /// Whether the log file has bytes that could not be read: it is kept in quarantine.
    pub damaged: bool,
}

/// The state of an open store.
#[derive(Debug)]
pub struct State {
    /// The newest version.
    pub version: Arc<Version>,
    /// Its segments.
    pub segments: Arc<Segments>,
    /// The version's catalog, shared with snapshots.
    pub catalog: Arc<Catalog>,
    /// Memtables to flush, oldest first.
    pub sealed: VecDeque<Sealed>,
    /// The memtable that appends go to.
    pub active: Memtable,
    /// Spans that were rejected since the active memtable was started.
    pub active_rejected: Rejected,
    /// When the first span went into the active memtable.
    pub active_since: Option<Instant>,
    decode: Decode,
}

impl State {
    /// The state of a version with its segments and the memtables that the log gave.
    pub fn new(
        version: Version,
        segments: Segments,
        sealed: VecDeque<Sealed>,
        decode: Decode,
    ) -> Self {
        let catalog = Arc::new(version.catalog.clone());
        Self {
            version: Arc::new(version),
            segments: Arc::new(segments),
            catalog,
            sealed,
            active: Memtable::new(decode),
            active_rejected: Rejected::default(),
            active_since: None,
            decode,
        }
    }

    /// A view of everything.
    pub fn snapshot(&mut self) -> Snapshot {
        let mut hot: Vec<MemtableView> = self.sealed.iter().map(|s| s.view.clone()).collect();
        hot.push(self.active.view());
        Snapshot::new(self.segments.clone(), hot, self.catalog.clone())
    }

    /// Bytes of requests that are in no segment.
    pub fn unflushed_bytes(&self) -> u64 {
        let sealed: u64 = self.sealed.iter().map(|s| s.view.facts().bytes).sum();
        sealed + self.active.facts().bytes
    }

    /// Turns the active memtable, whose spans stand in this log file, into a sealed one.
    pub fn seal(&mut self, wal_number: u64) {
        let view = self.active.view();
        let rejected = std::mem::take(&mut self.active_rejected);
        self.sealed.push_back(Sealed { view, wal_number, rejected, damaged: false });
        self.active = Memtable::new(self.decode);
        self.active_since = None;
    }

    /// As `publish`, for the version whose new segment, if any, holds what the oldest sealed
    /// memtable held: no view has the spans twice, or not at all.
    #[must_use = "it is dropped after the state was unlocked"]
    pub fn publish_flushed(&mut self, version: Version, new: &[Arc<Segment>]) -> Arc<Segments> {
        self.sealed.pop_front();
        self.publish(version, new)
    }

    /// Makes a version visible and returns the segments before it: let go of them when the state is
    /// not locked any more, for that may remove files. Segments that the version does not have any
    /// more are removed from the disk when the last snapshot lets go of them; `new` are those that
    /// it has and the state does not.
    #[must_use = "it is dropped after the state was unlocked"]
    pub fn publish(&mut self, version: Version, new: &[Arc<Segment>]) -> Arc<Segments> {
        let next = Arc::new(self.segments.follow(&version, new));
        let old = std::mem::replace(&mut self.segments, next);
        self.catalog = Arc::new(version.catalog.clone());
        self.version = Arc::new(version);
        old
    }
}
