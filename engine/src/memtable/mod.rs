//! The memtable: what was committed and is in no segment yet, in order of commit.
//!
//! It never decodes: what resolves hot batches is handed down (`Decode`). It promises that a view
//! is immutable and cheap, and that each span is resolved once for all views that see it in a full
//! chunk; only the last, open chunk is resolved again by the next view.

#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};

use crate::error::Result;
use crate::model::batch::SpanBatch;
use crate::model::catalog::Catalog;
use crate::model::hot::{HotBatch, HotRequest, Resolved};
use crate::model::ids::TraceId;
use crate::sync::Helpers;

/// Spans after which a chunk is closed: large enough for Arrow to be quick, small enough that
/// resolving an open chunk again costs a few milliseconds.
const CHUNK_ROWS: usize = 4096;

/// The second step of decoding, handed down by the store.
#[derive(Debug, Clone, Copy)]
pub struct Decode {
    /// Resolves all spans of these batches.
    pub all: fn(&[Arc<HotBatch>]) -> Result<Resolved>,
    /// Resolves the spans at these positions of some requests.
    pub rows: fn(&[SomeSpans<'_>]) -> Result<SpanBatch>,
}

/// A request, and the positions of some of its spans.
pub type SomeSpans<'a> = (&'a HotRequest, Vec<usize>);

/// Batches that are resolved together.
#[derive(Debug)]
struct Chunk {
    batches: Vec<Arc<HotBatch>>,
    rows: usize,
    resolved: OnceLock<Resolved>,
    /// Where each span is, sorted by `short_id`; made when a full chunk is first asked for a trace.
    places: OnceLock<Vec<(u64, Place)>>,
}

/// A span of a chunk: the number of its request in the chunk, and its position there.
type Place = (u32, u32);

/// Half of a trace id: enough to find nearly only its spans.
fn short_id(id: &[u8; 16]) -> u64 {
    let [.., a, b, c, d, e, f, g, h] = *id;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

impl Chunk {
    fn new(batches: Vec<Arc<HotBatch>>, rows: usize) -> Self {
        Self { batches, rows, resolved: OnceLock::new(), places: OnceLock::new() }
    }

    fn requests(&self) -> impl Iterator<Item = &HotRequest> {
        self.batches.iter().flat_map(|batch| &batch.requests)
    }

    fn places(&self) -> impl Iterator<Item = (u64, Place)> {
        self.requests().zip(0..).flat_map(|(request, number)| {
            let spans = request.spans.iter().zip(0..);
            spans.map(move |(span, position)| (short_id(&span.trace_id), (number, position)))
        })
    }

    /// Adds the requests that have spans of a trace, with the positions of these.
    fn find<'a>(&'a self, id: TraceId, found: &mut Vec<SomeSpans<'a>>) {
        let wanted = short_id(id.as_bytes());
        let places: Vec<Place> = if self.rows < CHUNK_ROWS {
            let all = self.places();
            all.filter(|(short, _)| *short == wanted).map(|(_, place)| place).collect()
        } else {
            let sorted = self.places.get_or_init(|| {
                let mut all: Vec<_> = self.places().collect();
                all.sort_unstable();
                all
            });
            let from = sorted.partition_point(|(short, _)| *short < wanted);
            let same = sorted.iter().skip(from).take_while(|(short, _)| *short == wanted);
            same.map(|(_, place)| *place).collect()
        };
        let mut requests = self.requests().zip(0..);
        let mut places = places.into_iter().peekable();
        while let Some((number, _)) = places.peek().copied() {
            let Some((request, _)) = requests.find(|(_, at)| *at == number) else { return };
            let rows = std::iter::from_fn(|| places.next_if(|place| place.0 == number));
            let rows = rows.map(|(_, position)| position as usize);
            let is_its = |row: &usize| {
                request.spans.get(*row).is_some_and(|span| span.trace_id == *id.as_bytes())
            };
            let rows: Vec<usize> = rows.filter(is_its).collect();
            if !rows.is_empty() {
                found.push((request, rows));
            }
        }
    }

    fn resolve(&self, decode: Decode) -> Result<&Resolved> {
        if let Some(resolved) = self.resolved.get() {
            return Ok(resolved);
        }
        // Two queries may both do the work; the first one's result is kept.
        let resolved = (decode.all)(&self.batches)?;
        Ok(self.resolved.get_or_init(|| resolved))
    }
}

/// Collects committed batches.
#[derive(Debug)]
pub struct Memtable {
    decode: Decode,
    full: Arc<Vec<Arc<Chunk>>>,
    /// Batches of the open chunk; `view` is the open chunk as a view saw it.
    open: Vec<Arc<HotBatch>>,
    open_rows: usize,
    view: Option<MemtableView>,
    facts: Facts,
}

/// What is known of a memtable without looking into it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts {
    /// Number of spans.
    pub rows: u64,
    /// Bytes of requests, a span counting 400 at least.
    pub bytes: u64,
    /// Earliest and latest start time, in nanoseconds.
    pub start_times: Option<(i64, i64)>,
    /// First and last time of ingest, in nanoseconds.
    pub ingest_times: Option<(i64, i64)>,
    /// Sequence of the oldest record; 0 where there is none.
    pub first_sequence: u64,
    /// Sequence of the newest record.
    pub last_sequence: u64,
}

impl Memtable {
    /// An empty memtable.
    pub fn new(decode: Decode) -> Self {
        Self {
            decode,
            full: Arc::default(),
            open: Vec::new(),
            open_rows: 0,
            view: None,
            facts: Facts::default(),
        }
    }

    /// Adds a batch whose requests have consecutive sequences up to this one, and these first and
    /// last times of ingest.
    pub fn insert(&mut self, batch: HotBatch, last_sequence: u64, ingest: (i64, i64)) {
        let facts = &mut self.facts;
        facts.rows += batch.rows as u64;
        facts.bytes += batch.bytes as u64;
        facts.start_times = widen(facts.start_times, batch.times);
        facts.ingest_times = widen(facts.ingest_times, Some(ingest));
        let records = batch.requests.len() as u64;
        let first = last_sequence.saturating_sub(records.saturating_sub(1));
        if facts.first_sequence == 0 || first < facts.first_sequence {
            facts.first_sequence = first;
        }
        facts.last_sequence = facts.last_sequence.max(last_sequence);
        self.view = None;
        self.open_rows += batch.rows;
        self.open.push(Arc::new(batch));
        if self.open_rows >= CHUNK_ROWS {
            let batches = std::mem::take(&mut self.open);
            let rows = std::mem::take(&mut self.open_rows);
            Arc::make_mut(&mut self.full).push(Arc::new(Chunk::new(batches, rows)));
        }
    }

    /// What is known of it.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Everything that was added so far.
    pub fn view(&mut self) -> MemtableView {
        let view = self.view.get_or_insert_with(|| {
            let open = Chunk::new(self.open.clone(), self.open_rows);
            MemtableView {
                decode: self.decode,
                full: self.full.clone(),
                open: Arc::new(open),
                facts: self.facts,
            }
        });
        view.clone()
    }
}

fn widen(range: Option<(i64, i64)>, by: Option<(i64, i64)>) -> Option<(i64, i64)> {
    match (range, by) {
        (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
        (one, other) => one.or(other),
    }
}

/// A memtable as it was at one moment.
#[derive(Debug, Clone)]
pub struct MemtableView {
    decode: Decode,
    full: Arc<Vec<Arc<Chunk>>>,
    open: Arc<Chunk>,
    facts: Facts,
}

impl MemtableView {
    /// What is known of it.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    fn chunks(&self) -> impl Iterator<Item = &Arc<Chunk>> {
        self.full.iter().chain(std::iter::once(&self.open)).filter(|chunk| chunk.rows > 0)
    }

    /// All spans, in order of commit; what is not resolved yet is, by these threads.
    ///
    /// # Errors
    /// `Invalid` when a column does not fit an Arrow array.
    pub fn batches(&self, helpers: &Helpers) -> Result<Vec<SpanBatch>> {
        let chunks: Vec<_> = self.chunks().collect();
        let resolve = |chunk: &&Arc<Chunk>| Ok(chunk.resolve(self.decode)?.batch.clone());
        helpers.each(&chunks, resolve).into_iter().collect()
    }

    /// The attribute keys of all spans.
    ///
    /// # Errors
    /// As `batches`.
    pub fn catalog(&self) -> Result<Catalog> {
        let mut catalog = Catalog::default();
        for chunk in self.chunks() {
            catalog.merge(&chunk.resolve(self.decode)?.catalog);
        }
        Ok(catalog)
    }

    /// The spans of one trace, in order of commit; only these are resolved.
    ///
    /// # Errors
    /// As `batches`.
    pub fn trace(&self, id: TraceId) -> Result<Option<SpanBatch>> {
        let mut found = Vec::new();
        self.chunks().for_each(|chunk| chunk.find(id, &mut found));
        if found.is_empty() { Ok(None) } else { (self.decode.rows)(&found).map(Some) }
    }

    /// The ids of all spans' traces, with repetitions.
    pub fn trace_ids(&self) -> impl Iterator<Item = TraceId> {
        self.requests()
            .flat_map(|request| &request.spans)
            .filter_map(|span| TraceId::from_bytes(&span.trace_id))
    }

    fn requests(&self) -> impl Iterator<Item = &HotRequest> {
        self.chunks().flat_map(|chunk| chunk.requests())
    }
}
