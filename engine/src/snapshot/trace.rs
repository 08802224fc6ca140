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
    /// Rows that name a parent which is not in this trace.
    orphans: Vec<bool>,
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
        let mut tops = Vec::new();
        let mut orphans = vec![false; spans.len()];
        let mut parents = vec![None; spans.len()];
        let mut children = vec![Vec::new(); spans.len()];
        for &row in &by_start {
            let named = spans.span(row).and_then(|span| span.parent_span_id());
            let found = named.and_then(|parent| first_row.get(&parent).copied());
            orphans[row] = named.is_some() && found.is_none();
            match found.filter(|&parent| parent != row) {
                Some(parent) => {
                    parents[row] = Some(parent);
                    children[parent].push(row);
                }
                None => tops.push(row),
            }
        }
        break_cycles(&spans, &by_start, &parents, &mut tops, &mut children);
        Ok(Some(Self { id, spans, tops, children, orphans }))
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
        self.orphans.get(span.row()).copied().unwrap_or(false)
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
fn break_cycles(
    spans: &SpanBatch,
    by_start: &[usize],
    parents: &[Option<usize>],
    tops: &mut Vec<usize>,
    children: &mut [Vec<usize>],
) {
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
        let row = first_of_circle(row, parents, spans.start_times());
        if let Some(parent) = parents[row] {
            children[parent].retain(|&child| child != row);
        }
        tops.push(row);
        pending.push(row);
    }
}

/// The earliest row of the circle that the ancestors of `row` run into.
fn first_of_circle(row: usize, parents: &[Option<usize>], starts: &[i64]) -> usize {
    let above = |row: usize| parents[row].unwrap_or(row);
    // One walker takes two steps while the other takes one: they meet on the circle.
    let (mut slow, mut fast) = (above(row), above(above(row)));
    while slow != fast {
        (slow, fast) = (above(slow), above(above(fast)));
    }
    let mut first = slow;
    let mut at = above(slow);
    while at != slow {
        if (starts[at], at) < (starts[first], first) {
            first = at;
        }
        at = above(at);
    }
    first
}
