//! Stub.
use std::path::{Path, PathBuf};
use std::time::Duration;
use bytes::Bytes;
use crate::error::Result;
use crate::options::Options;
use crate::snapshot::Snapshot;
/// stub
#[derive(Debug, Clone)]
pub struct Store;
/// stub
#[derive(Debug, Clone)]
pub struct Receipt;
/// stub
#[derive(Debug)]
pub struct Pending;
/// stub
#[derive(Debug)]
pub struct Reader;
impl Store {
    /// stub
    pub fn options() -> Options { Options::default() }
    /// stub
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> { Options::default().open(path) }
    pub(crate) fn open_with(_path: PathBuf, _o: Options) -> Result<Self> { todo!() }
    /// stub
    pub fn in_memory() -> Self { todo!() }
    /// stub
    pub fn append_otlp(&self, _b: impl Into<Bytes>) -> Result<Receipt> { todo!() }
    /// stub
    pub fn submit_otlp(&self, _b: impl Into<Bytes>) -> Pending { todo!() }
    /// stub
    pub fn snapshot(&self) -> Snapshot { todo!() }
    /// stub
    pub fn flush(&self) -> Result<()> { todo!() }
    /// stub
    pub fn sync(&self) -> Result<()> { todo!() }
    /// stub
    pub fn compact(&self) -> Result<()> { todo!() }
    /// stub
    pub fn stats(&self) -> Stats { todo!() }
    /// stub
    pub fn close(self) -> Result<()> { todo!() }
    /// stub
    pub fn path(&self) -> &Path { todo!() }
}
impl Pending {
    /// stub
    pub fn wait(self) -> Result<Receipt> { todo!() }
}
impl Future for Pending { type Output = Result<Receipt>; fn poll(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> { todo!() } }
impl Receipt {
    /// Number of spans stored.
    pub fn accepted(&self) -> u64 { todo!() }
    /// Number of spans rejected.
    pub fn rejected(&self) -> u64 { todo!() }
    /// (reason word, count), only those > 0.
    pub fn rejections(&self) -> Vec<(&'static str, u64)> { todo!() }
}
impl Reader {
    /// stub
    pub fn open(_path: impl Into<PathBuf>) -> Result<Self> { todo!() }
    /// stub
    pub fn snapshot(&self) -> Snapshot { todo!() }
    /// stub
    pub fn refresh(&self) -> Result<()> { todo!() }
    /// stub
    pub fn stats(&self) -> Stats { todo!() }
    /// stub
    pub fn path(&self) -> &Path { todo!() }
}
/// What the store did and holds.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Spans accepted since the store was made.
    pub accepted: u64,
    /// Spans rejected since the store was made, by reason.
    pub rejected: Vec<(&'static str, u64)>,
    /// Spans dropped by retention since the store was made.
    pub dropped: u64,
    /// Bytes of the write-ahead log.
    pub wal_bytes: u64,
    /// Bytes of requests in memory, not yet in a segment.
    pub memtable_bytes: u64,
    /// Spans in memory, not yet in a segment.
    pub memtable_spans: u64,
    /// Bytes of all segments.
    pub segment_bytes: u64,
    /// Spans in segments.
    pub segment_spans: u64,
    /// Number of segments.
    pub segments: u64,
    /// Bytes of the whole directory: log, segments and manifests.
    pub disk_bytes: u64,
    /// Syncs to disk since the store was opened.
    pub fsyncs: u64,
    /// Time spent in them.
    pub fsync_time: Duration,
    /// Longest of them.
    pub fsync_max: Duration,
    /// Appends that had to wait for room.
    pub stalls: u64,
    /// The last error of the background threads, if any.
    pub last_error: Option<String>,
    /// Damage found when the store was opened: what, and where.
    pub damage: Vec<String>,
}
