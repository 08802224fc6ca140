//! `Trace`: the spans of one trace and how they hang together.

use std::collections::HashMap;

use crate::error::Result;
use crate::model::batch::{SpanBatch, SpanRef};
use crate::model::ids::{SpanId, TraceId};
use crate::model::schema::col;

/// All spans of one trace that a snapshot holds, and how they hang together.
///
/// A span whose parent is not there is drawn beside the root: it is an orphan. Spans may repeat (a
/// client may send a request twice); each stands once for every time it was stored.
#[derive(Debug, Clone)]
pub struct Trace {
    id: TraceId,
    spans: SpanBatch,
    /// Rows without a parent in this trace, by start time.
    tops: Vec<usize>,
    /// Rows of the children of each row, by start time.
    children: Vec<Vec<usize>>,
}

impl Trace {
    /// The trace of these spans; `None` when there is none.
    ///
    /// # Errors
    /// `Invalid` when the spans do not fit one Arrow batch.
    pub(crate) fn new(id: TraceId, batches: &[SpanBatch]) -> Result<Option<Self>> {
        let spans = SpanBatch::concat(batches)?;
        if spans.is_empty() {
            return Ok(None);
        }
        let mut by_start: Vec<usize> = (0..spans.len()).collect();
        by_start.sort_by_key(|&row| {
            (spans.start_times()[row], spans.ids(col::SPAN_ID).value(row).to_vec())
        });
        // With repeated span ids, children hang under the first.
        let mut first_row: HashMap<SpanId, usize> = HashMap::new();
        for &row in &by_start {
            if let Some(span) = spans.span(row) {
                first_row.entry(span.span_id()).or_insert(row);
            }
        }
        let parent_of = |row: usize| {
            let parent = spans.span(row)?.parent_span_id()?;
            first_row.get(&parent).copied().filter(|&parent_row| parent_row != row)
        };
        let mut tops = Vec::new();
        let mut children = vec![Vec::new(); spans.len()];
        for &row in &by_start {
            match parent_of(row) {
                Some(parent) => children[parent].push(row),
                None => tops.push(row),
            }
        }
        break_cycles(&by_start, &mut tops, &mut children);
        Ok(Some(Self { id, spans, tops, children }))
    }

    /// The trace's id.
    pub fn id(&self) -> TraceId {
        self.id
    }

    /// The earliest span without a parent id; where every span has one, the earliest orphan.
    pub fn root(&self) -> SpanRef<'_> {
        let true_root = self.tops().find(|span| span.parent_span_id().is_none());
        true_root.unwrap_or_else(|| self.span(self.tops.first().copied().unwrap_or(0)))
    }

    /// Spans that have no parent in this trace, by start time: roots and orphans.
    pub fn tops(&self) -> impl Iterator<Item = SpanRef<'_>> {
        self.tops.iter().map(|&row| self.span(row))
    }

    /// The children of a span of this trace, by start time.
    pub fn children(&self, span: SpanRef<'_>) -> impl Iterator<Item = SpanRef<'_>> {
        self.children.get(span.row()).into_iter().flatten().map(|&row| self.span(row))
    }

    /// All spans, in no order that means anything.
    pub fn spans(&self) -> impl ExactSizeIterator<Item = SpanRef<'_>> {
        self.spans.spans()
    }

    /// All spans in columns.
    pub fn batch(&self) -> &SpanBatch {
        &self.spans
    }

    /// Whether a span names a parent that is not in this trace.
    pub fn is_orphan(&self, span: SpanRef<'_>) -> bool {
        span.parent_span_id().is_some() && self.tops.contains(&span.row())
    }

    /// Earliest start and latest end, in nanoseconds since the epoch.
    pub fn times(&self) -> (i64, i64) {
        let start = self.spans().map(|s| s.start_time_ns()).min().unwrap_or(0);
        let end = self.spans().map(|s| s.end_time_ns()).max().unwrap_or(0);
        (start, end.max(start))
    }

    fn span(&self, row: usize) -> SpanRef<'_> {
        // Rows come from this batch, which has at least one.
        self.spans.span(row).expect("a row of this trace")
    }
}

/// Spans that are their own ancestors are reachable from no top: the earliest span of each such
/// circle becomes a top.
fn break_cycles(by_start: &[usize], tops: &mut Vec<usize>, children: &mut [Vec<usize>]) {
    let mut seen = vec![false; children.len()];
    let mut pending = tops.clone();
    let mut candidates = by_start.iter();
    loop {
        while let Some(row) = pending.pop() {
            if !std::mem::replace(&mut seen[row], true) {
                pending.extend(&children[row]);
            }
        }
        let Some(&row) = candidates.find(|&&row| !seen[row]) else { return };
        for siblings in children.iter_mut() {
            siblings.retain(|&child| child != row);
        }
        tops.push(row);
        pending.push(row);
    }
}
