//! Reading: one consistent, immutable view of the store, in memory rows and segments together.
//!
//! It promises that a snapshot never changes, that every span that was acknowledged before it was
//! taken is in it exactly once, and that no file it needs is removed while it lives. What is
//! damaged is an error that names the file; only a partial view leaves it out, and then says what.
//!
//! | file | purpose |
//! |---|---|
//! | mod | `Snapshot`, `Scan` |
//! | partial | views that read around damage |
//! | segments | the segments of a version, open or not |
//! | trace | `Trace`: the spans of one trace and how they hang together |
//! | ids | which row a span id means where several have it |
//! | critical | `CriticalPath`: what the duration of the root consists of |
//! | waterfall/ | a trace drawn as text |

mod critical;
mod ids;
mod partial;
mod segments;
mod trace;
mod waterfall;

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;

pub use self::critical::CriticalPath;
pub use self::segments::Segments;
pub use self::trace::Trace;
pub use self::waterfall::Waterfall;
use crate::error::{Error, Result};
use crate::memtable::MemtableView;
use crate::model::batch::SpanBatch;
use crate::model::catalog::Catalog;
use crate::model::ids::TraceId;
use crate::model::predicate::Predicate;
use crate::segment::{LeftOut, Segment, read_trace};
use crate::sync::Helpers;

/// The store as it was at one moment: immutable, cheap to clone, `Send` and `Sync`.
///
/// It holds on to its segments: files that compaction or retention replaced are removed when the
/// last snapshot that has them is dropped.
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
/// use amida::Predicate;
///
/// let snapshot = store.snapshot();
/// assert_eq!(snapshot.span_count(), 1);
/// assert!(snapshot.trace(id)?.is_some());
/// let failed = snapshot.scan(&Predicate::new().errors_only())?;
/// assert_eq!(failed.count(), 0);
/// # Ok(())
/// # }
/// ```
///
/// What is damaged on the disk is an error of whatever needs it, and of nothing else: see
/// `allow_partial` for an answer from the rest.
#[derive(Debug, Clone)]
pub struct Snapshot {
    parts: Arc<Parts>,
    /// Of a partial view: what its reads left out.
    left_out: Option<Arc<LeftOut>>,
}

#[derive(Debug)]
struct Parts {
    segments: Arc<Segments>,
    hot: Vec<MemtableView>,
    flushed_catalog: Arc<Catalog>,
    catalog: OnceLock<Arc<Catalog>>,
}

impl Snapshot {
    /// A view of these segments and memtables, oldest first.
    pub(crate) fn new(
        segments: Arc<Segments>,
        mut hot: Vec<MemtableView>,
        flushed_catalog: Arc<Catalog>,
    ) -> Self {
        hot.retain(|view| view.facts().rows > 0);
        let parts = Parts { segments, hot, flushed_catalog, catalog: OnceLock::new() };
        Self { parts: Arc::new(parts), left_out: None }
    }

    /// The trace with this id, looked up through the trace-ID index; `None` when no span has it.
    ///
    /// # Errors
    /// `Corrupt` or `Io` when a segment that may hold the trace cannot be read: whatever its times
    /// are, if it cannot be opened.
    pub fn trace(&self, id: TraceId) -> Result<Option<Trace>> {
        self.check_unreadable(|_, _| true)?;
        let mut spans = read_trace(self.segments(), id, self.left_out.as_deref())?;
        spans.extend(self.hot_trace(id)?);
        Trace::new(id, &spans)
    }

    /// Ids that begin with these hex digits, of either case, in order; at most `max` of them.
    ///
    /// # Errors
    /// `Invalid` when the prefix is no hex or too long; `Corrupt` or `Io` from a segment.
    pub fn traces_with_prefix(&self, prefix: &str, max: usize) -> Result<Vec<TraceId>> {
        let (low, high) = prefix_bounds(prefix)?;
        self.check_unreadable(|_, _| true)?;
        let mut found = BTreeSet::new();
        for segment in self.segments() {
            found.extend(segment.trace_ids_around(&low, &high, self.left_out.as_deref())?);
            while found.len() > max {
                found.pop_last();
            }
        }
        let within = |id: &TraceId| (low..=high).contains(id.as_bytes());
        found.extend(self.parts.hot.iter().flat_map(MemtableView::trace_ids).filter(within));
        Ok(found.into_iter().take(max).collect())
    }

    /// The spans that match, batch by batch, segments first, then what is still in memory; within a
    /// segment's row group by trace.
    ///
    /// # Errors
    /// `Corrupt` or `Io` when a segment that may hold such spans could not be opened; each batch
    /// may also fail.
    pub fn scan(&self, predicate: &Predicate) -> Result<Scan> {
        self.check_unreadable(|min, max| predicate.may_match_times(min, max))?;
        Ok(Scan {
            snapshot: self.clone(),
            predicate: predicate.clone(),
            next_segment: 0,
            current: None,
            hot_done: false,
        })
    }

    /// Number of spans that are stored, whether or not what holds them can be read.
    pub fn span_count(&self) -> u64 {
        let segments: u64 = self.segments().iter().map(|segment| segment.rows()).sum();
        let unreadable: u64 = self.parts.segments.unreadable.iter().map(|u| u.rows()).sum();
        segments + unreadable + self.parts.hot.iter().map(|view| view.facts().rows).sum::<u64>()
    }

    /// Earliest and latest start time of the same spans, in nanoseconds since the epoch; `None`
    /// without spans.
    pub fn start_times(&self) -> Option<(i64, i64)> {
        let segments = self.segments().iter().filter(|s| s.rows() > 0).map(|s| s.start_times());
        let unreadable = self.parts.segments.unreadable.iter().filter_map(|u| u.start_times());
        let segments = segments.chain(unreadable);
        let hot = self.parts.hot.iter().filter_map(|view| view.facts().start_times);
        segments.chain(hot).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// The attribute keys of all spans with their types. The first call for a snapshot resolves the
    /// spans in memory.
    ///
    /// # Errors
    /// `Invalid` when spans in memory do not fit Arrow arrays.
    pub fn catalog(&self) -> Result<Arc<Catalog>> {
        if let Some(catalog) = self.parts.catalog.get() {
            return Ok(catalog.clone());
        }
        let catalog = if self.parts.hot.is_empty() {
            self.parts.flushed_catalog.clone()
        } else {
            let mut catalog = Catalog::clone(&self.parts.flushed_catalog);
            for view in &self.parts.hot {
                catalog.merge(&view.catalog()?);
            }
            Arc::new(catalog)
        };
        Ok(self.parts.catalog.get_or_init(|| catalog).clone())
    }

    /// The spans that are in no segment yet.
    ///
    /// # Errors
    /// `Invalid` when they do not fit Arrow arrays.
    pub fn hot_batches(&self) -> Result<Vec<SpanBatch>> {
        let mut batches = Vec::new();
        for view in &self.parts.hot {
            batches.extend(view.batches(&Helpers::none())?);
        }
        Ok(batches)
    }

    /// The spans of one trace that are in no segment yet.
    ///
    /// # Errors
    /// As `hot_batches`.
    pub fn hot_trace(&self, id: TraceId) -> Result<Vec<SpanBatch>> {
        let mut batches = Vec::new();
        for view in &self.parts.hot {
            batches.extend(view.trace(id)?);
        }
        Ok(batches)
    }

    /// Earliest and latest start time of the spans that are in no segment yet; `None` without any.
    pub fn hot_start_times(&self) -> Option<(i64, i64)> {
        let times = self.parts.hot.iter().filter_map(|view| view.facts().start_times);
        times.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// The segments that could be opened, in order of ingest.
    pub fn segments(&self) -> &[Arc<Segment>] {
        &self.parts.segments.open
    }
}

/// The smallest and largest id that begin with these hex digits.
fn prefix_bounds(prefix: &str) -> Result<([u8; 16], [u8; 16])> {
    let valid = prefix.len() <= 32 && prefix.bytes().all(|b| b.is_ascii_hexdigit());
    if !valid {
        return Err(Error::invalid(format!(
            "{prefix:?} is not the beginning of a trace id: expected up to 32 hex digits"
        )));
    }
    let bound = |digit: &str| {
        let text = format!("{prefix}{}", digit.repeat(32 - prefix.len()));
        let mut bytes = [0; 16];
        hex::decode_to_slice(&text, &mut bytes)
            .map(|()| bytes)
            .map_err(|e| Error::invalid(format!("{prefix:?} is no hex: {e}")))
    };
    Ok((bound("0")?, bound("f")?))
}

/// The batches of a scan. It reads as it goes and keeps its snapshot alive.
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
/// use amida::Predicate;
///
/// let mut spans = 0;
/// for batch in store.snapshot().scan(&Predicate::new().service("checkout"))? {
///     spans += batch?.len();
/// }
/// assert_eq!(spans, 1);
/// # Ok(())
/// # }
/// ```
pub struct Scan {
    snapshot: Snapshot,
    predicate: Predicate,
    next_segment: usize,
    current: Option<Batches>,
    hot_done: bool,
}

type Batches = Box<dyn Iterator<Item = Result<SpanBatch>> + Send>;

impl Scan {
    /// The batches of the next source: a segment, or at last the memtables.
    fn next_source(&mut self) -> Option<Result<Batches>> {
        while let Some(segment) = self.snapshot.segments().get(self.next_segment) {
            self.next_segment += 1;
            let (min, max) = segment.start_times();
            if self.predicate.may_match_times(min, max) {
                let left_out = self.snapshot.left_out.as_deref();
                let batches = segment.clone().scan_around(&self.predicate, left_out);
                return Some(batches.map(|batches| Box::new(batches) as Batches));
            }
        }
        if std::mem::replace(&mut self.hot_done, true) {
            return None;
        }
        let batches = match self.predicate.trace_id {
            Some(id) => self.snapshot.hot_trace(id),
            None => self.snapshot.hot_batches(),
        };
        Some(batches.map(|batches| Box::new(batches.into_iter().map(Ok)) as Batches))
    }
}

impl Iterator for Scan {
    type Item = Result<SpanBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(current) = &mut self.current else {
                match self.next_source()? {
                    Ok(batches) => self.current = Some(batches),
                    Err(error) => return Some(Err(error)),
                }
                continue;
            };
            let Some(batch) = current.next() else {
                self.current = None;
                continue;
            };
            match batch.and_then(|batch| matching(batch, &self.predicate)) {
                Ok(batch) if batch.is_empty() => {}
                found => return Some(found),
            }
        }
    }
}

/// The rows of a batch that match.
fn matching(batch: SpanBatch, predicate: &Predicate) -> Result<SpanBatch> {
    let keep: BooleanArray = batch.spans().map(|span| Some(predicate.matches(&span))).collect();
    if keep.true_count() == batch.len() {
        return Ok(batch);
    }
    filter_record_batch(batch.record_batch(), &keep)
        .map_err(|e| Error::invalid(format!("cannot filter spans: {e}")))
        .and_then(SpanBatch::try_new)
}
