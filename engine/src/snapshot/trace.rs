//! `Trace`: the spans of one trace and how they hang together.

use crate::error::Result;
use crate::model::batch::{SpanBatch, SpanRef};
use crate::model::ids::TraceId;
use crate::model::schema::col;

use super::critical::CriticalPath;
use super::ids::Ids;

/// All spans of one trace that a snapshot holds, and how they hang together.
///
/// Nothing is adjusted and nothing is left out: times are as they were recorded, and a span whose
/// parent is not stored is no root but an orphan.
///
/// - **Shared ids.** Where the two halves of a call carry one span id, as Zipkin's do, the `SERVER`
///   half hangs beneath the `CLIENT` half (a `CONSUMER` beneath its `PRODUCER`), provided it names
///   the same parent or none. A span that names a shared id as its parent hangs beneath the half of
///   its own service, the server's before the client's; where neither is, beneath the server's.
/// - **Repeats.** A span that was sent again, equal in everything, stands once in the tree;
///   `copies` says how often it is stored. Different spans of one id each stand for themselves;
///   what names that id as its parent hangs beneath the earliest.
/// - **Circles.** Spans that are their own ancestors are cut open at the earliest, which becomes a
///   top.
///
/// ```
/// use amida::{RequestBuilder, Resource, SpanBuilder, SpanKind, Store};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (id, call) = ("4bf92f3577b34da6a3ce929d0e0e4736".parse()?, "00f067aa0ba902b7".parse()?);
/// let half = |kind, start| SpanBuilder::new(id, call, "GET /cart").kind(kind).start_ns(start);
/// let client = half(SpanKind::Client, 1_000).end_ns(9_000);
/// let server = half(SpanKind::Server, 2_000).end_ns(8_000);
///
/// let store = Store::in_memory();
/// store.append_otlp(RequestBuilder::new(Resource::new("web")).span(client).finish())?;
/// store.append_otlp(RequestBuilder::new(Resource::new("shop")).span(server).finish())?;
///
/// let trace = store.snapshot().trace(id)?.ok_or("the trace was just stored")?;
/// let tree: Vec<_> = trace.walk().map(|(span, depth)| (span.service_name(), depth)).collect();
/// assert_eq!(tree, [("web", 0), ("shop", 1)]);
/// assert_eq!(trace.critical_path().services(), [("shop", 6_000), ("web", 2_000)]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Trace {
    id: TraceId,
    spans: SpanBatch,
    tree: Tree,
}

/// How the rows of a batch hang together.
#[derive(Debug, Clone)]
struct Tree {
    /// Rows without a parent in this trace, by start time.
    tops: Vec<usize>,
    /// Rows of the children of each row, by start time.
    children: Vec<Vec<usize>>,
    /// The row each row hangs beneath.
    parents: Vec<Option<usize>>,
    /// Rows that name a parent which is not in this trace.
    orphans: Vec<bool>,
    /// How often each row's span is stored; 0 for a repeat of another row.
    copies: Vec<usize>,
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
        let tree = Tree::of(&spans);
        Ok(Some(Self { id, spans, tree }))
    }

    /// The trace's id.
    pub fn id(&self) -> TraceId {
        self.id
    }

    /// The earliest span without a parent id; where every span has one, the earliest orphan.
    pub fn root(&self) -> SpanRef<'_> {
        let true_root = self.tops().find(|span| span.parent_span_id().is_none());
        true_root.unwrap_or_else(|| self.span(self.tree.tops.first().copied().unwrap_or(0)))
    }

    /// Spans that hang beneath no other, by start time: roots, orphans, and the earliest span of
    /// each circle.
    pub fn tops(&self) -> impl Iterator<Item = SpanRef<'_>> {
        self.tree.tops.iter().map(|&row| self.span(row))
    }

    /// The span that this one hangs beneath.
    pub fn parent(&self, span: SpanRef<'_>) -> Option<SpanRef<'_>> {
        let parent = self.tree.parents.get(span.row()).copied().flatten()?;
        Some(self.span(parent))
    }

    /// The children of a span of this trace, by start time.
    pub fn children(&self, span: SpanRef<'_>) -> impl Iterator<Item = SpanRef<'_>> {
        self.child_rows(span.row()).iter().map(|&row| self.span(row))
    }

    /// Every span of the tree with its depth, parents before their children, siblings by start
    /// time. Repeats are left out.
    pub fn walk(&self) -> impl Iterator<Item = (SpanRef<'_>, usize)> {
        let mut open: Vec<(usize, usize)> =
            self.tree.tops.iter().rev().map(|&row| (row, 0)).collect();
        std::iter::from_fn(move || {
            let (row, depth) = open.pop()?;
            open.extend(self.child_rows(row).iter().rev().map(|&child| (child, depth + 1)));
            Some((self.span(row), depth))
        })
    }

    /// All spans, repeats too, in no order that means anything.
    pub fn spans(&self) -> impl ExactSizeIterator<Item = SpanRef<'_>> {
        self.spans.spans()
    }

    /// All spans in columns.
    pub fn batch(&self) -> &SpanBatch {
        &self.spans
    }

    /// Whether a span names a parent that is not in this trace.
    pub fn is_orphan(&self, span: SpanRef<'_>) -> bool {
        self.tree.orphans.get(span.row()).copied().unwrap_or(false)
    }

    /// Whether a span is the top of a circle: it names one of its descendants, or itself, as its
    /// parent.
    pub fn is_own_ancestor(&self, span: SpanRef<'_>) -> bool {
        span.parent_span_id().is_some()
            && !self.is_orphan(span)
            && self.copies(span) > 0
            && self.parent(span).is_none()
    }

    /// How often a span is stored, equal in everything; 0 for the repeats themselves, which hang
    /// nowhere.
    pub fn copies(&self, span: SpanRef<'_>) -> usize {
        self.tree.copies.get(span.row()).copied().unwrap_or(0)
    }

    /// How many nanoseconds a span starts before the span that it hangs beneath: 0 unless clocks
    /// differ or the times are wrong.
    pub fn starts_before_parent_ns(&self, span: SpanRef<'_>) -> i64 {
        self.parent(span)
            .map_or(0, |parent| parent.start_time_ns().saturating_sub(span.start_time_ns()).max(0))
    }

    /// How many nanoseconds a span goes on after the span that it hangs beneath has ended: common
    /// where nobody waits for it, strange where a client does.
    pub fn ends_after_parent_ns(&self, span: SpanRef<'_>) -> i64 {
        self.parent(span)
            .map_or(0, |parent| span.end_time_ns().saturating_sub(parent.end_time_ns()).max(0))
    }

    /// What the duration of the root consists of: see `CriticalPath`.
    pub fn critical_path(&self) -> CriticalPath<'_> {
        CriticalPath::of(self)
    }

    /// Earliest start and latest end, in nanoseconds since the epoch.
    pub fn times(&self) -> (i64, i64) {
        let start = self.spans().map(|s| s.start_time_ns()).min().unwrap_or(0);
        let end = self.spans().map(|s| s.end_time_ns()).max().unwrap_or(0);
        (start, end.max(start))
    }

    pub(super) fn top_rows(&self) -> &[usize] {
        &self.tree.tops
    }

    pub(super) fn child_rows(&self, row: usize) -> &[usize] {
        self.tree.children.get(row).map_or(&[], Vec::as_slice)
    }

    pub(super) fn span(&self, row: usize) -> SpanRef<'_> {
        // Rows come from this batch, which has at least one.
        self.spans.span(row).expect("a row of this trace")
    }
}

impl Tree {
    fn of(spans: &SpanBatch) -> Self {
        let mut by_start: Vec<usize> = (0..spans.len()).collect();
        let (starts, span_ids) = (spans.start_times(), spans.ids(col::SPAN_ID));
        by_start.sort_by(|&a, &b| {
            starts[a].cmp(&starts[b]).then_with(|| span_ids.value(a).cmp(span_ids.value(b)))
        });
        let (ids, copies) = Ids::of(spans, &by_start);
        by_start.retain(|&row| copies[row] > 0);
        let mut tree = Self {
            tops: Vec::new(),
            children: vec![Vec::new(); spans.len()],
            parents: vec![None; spans.len()],
            orphans: vec![false; spans.len()],
            copies,
        };
        for &row in &by_start {
            let Some(span) = spans.span(row) else { continue };
            let above = ids.above(span);
            tree.orphans[row] = above.is_none() && span.parent_span_id().is_some();
            match above.filter(|&parent| parent != row) {
                Some(parent) => {
                    tree.parents[row] = Some(parent);
                    tree.children[parent].push(row);
                }
                None => tree.tops.push(row),
            }
        }
        tree.break_circles(starts, &by_start);
        tree
    }

    /// Spans that are their own ancestors are reachable from no top: the earliest span of each such
    /// circle becomes a top.
    fn break_circles(&mut self, starts: &[i64], by_start: &[usize]) {
        let mut seen = vec![false; self.children.len()];
        let mut pending = self.tops.clone();
        let mut candidates = by_start.iter();
        loop {
            while let Some(row) = pending.pop() {
                if !std::mem::replace(&mut seen[row], true) {
                    pending.extend(&self.children[row]);
                }
            }
            let Some(&row) = candidates.find(|&&row| !seen[row]) else { break };
            let row = first_of_circle(row, &self.parents, starts);
            if let Some(parent) = self.parents[row].take() {
                self.children[parent].retain(|&child| child != row);
            }
            self.tops.push(row);
            pending.push(row);
        }
        self.tops.sort_by_key(|&row| starts[row]);
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
