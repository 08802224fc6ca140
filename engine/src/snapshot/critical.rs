//! `CriticalPath`: the spans that the duration of a trace's root consists of.

use std::collections::HashMap;

use super::trace::Trace;
use crate::model::batch::SpanRef;

/// The chain of spans that made the root of a trace take as long as it did.
///
/// It is found backwards from the end of the root. Where a child ended last, the time up to there
/// is the span's own; the time of the child is the child's to explain, in the same way; and from
/// the child's start on the next one is the child that had ended by then. So every moment of the
/// root belongs to exactly one span, and the parts add up to its duration. This is the rule of
/// Uber's CRISP and of Jaeger:
///
/// - a child that outlives its parent counts up to the parent's end, one that starts before it from
///   the parent's start; what lies outside altogether does not count;
/// - two children that overlap by no more than a hundredth of their parent and a tenth of the
///   earlier one count as one after the other: clocks are no better than that;
/// - of children that end at the same moment, one that its parent can have waited for comes first,
///   then the longer one.
///
/// Spans beneath other roots and orphans are not part of it.
///
/// ```
/// use amida::{RequestBuilder, Resource, SpanBuilder, SpanId, Store, TraceId};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let id: TraceId = "4bf92f3577b34da6a3ce929d0e0e4736".parse()?;
/// let root: SpanId = "00f067aa0ba902b7".parse()?;
/// let (cart, stock) = ("0000000000000001".parse()?, "0000000000000002".parse()?);
/// let span = |at, name, start, end| SpanBuilder::new(id, at, name).start_ns(start).end_ns(end);
/// let request = RequestBuilder::new(Resource::new("shop"))
///     .span(span(root, "GET /cart", 1_000, 9_000))
///     .span(span(cart, "read cart", 2_000, 8_000).parent(root))
///     .span(span(stock, "read stock", 2_000, 5_000).parent(root));
/// let store = Store::in_memory();
/// store.append_otlp(request.finish())?;
/// let trace = store.snapshot().trace(id)?.ok_or("the trace was just stored")?;
///
/// let path = trace.critical_path();
/// let own: Vec<_> = trace.walk().map(|(span, _)| (span.name(), path.self_ns(span))).collect();
/// assert_eq!(own, [("GET /cart", 2_000), ("read cart", 6_000), ("read stock", 0)]);
/// assert_eq!(path.total_ns(), trace.root().duration_ns());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct CriticalPath<'a> {
    trace: &'a Trace,
    /// The parts, by row, and by time within each.
    parts: Vec<Part>,
    /// Rows that are on the path, though perhaps with nothing of their own.
    rows: Vec<bool>,
}

/// Time that one span spent itself on the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    pub row: usize,
    pub start: i64,
    pub end: i64,
}

impl Part {
    fn length(&self) -> i64 {
        self.end.saturating_sub(self.start)
    }

    /// The same, where it may be more than an `i64` holds.
    fn time(&self) -> i128 {
        i128::from(self.end) - i128::from(self.start)
    }
}

impl<'a> CriticalPath<'a> {
    pub(super) fn of(trace: &'a Trace) -> Self {
        let root = trace.root();
        let mut path = Self { trace, parts: Vec::new(), rows: vec![false; trace.spans().len()] };
        let mut open = vec![Part {
            row: root.row(),
            start: root.start_time_ns(),
            end: root.end_time_ns().max(root.start_time_ns()),
        }];
        while let Some(window) = open.pop() {
            path.rows[window.row] = true;
            path.explain(window, &mut open);
        }
        path.parts.sort_unstable();
        path
    }

    /// Splits the time of one span into its own and that of its children, which are left open.
    fn explain(&mut self, window: Part, open: &mut Vec<Part>) {
        let mut children: Vec<(i64, i64, Part)> = Vec::new();
        for &row in self.trace.child_rows(window.row) {
            let span = self.trace.span(row);
            let end = span.end_time_ns().min(window.end);
            let start = span.start_time_ns().max(window.start);
            if start < end {
                children.push((end, span.end_time_ns(), Part { row, start, end }));
            }
        }
        children.sort_unstable_by(|a, b| {
            b.0.cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.start.cmp(&b.2.start))
        });
        let mut cursor = window.end;
        for (_, _, child) in children {
            let overlap = i128::from(child.end) - i128::from(cursor);
            let is_concurrent = overlap * 100 > window.time() || overlap * 10 > child.time();
            if child.start >= cursor || (overlap > 0 && is_concurrent) {
                continue;
            }
            let end = child.end.min(cursor);
            self.own(Part { row: window.row, start: end, end: cursor });
            open.push(Part { end, ..child });
            cursor = child.start;
        }
        self.own(Part { row: window.row, start: window.start, end: cursor });
    }

    fn own(&mut self, part: Part) {
        if part.start < part.end {
            self.parts.push(part);
        }
    }

    /// Whether a span of the trace is on the path, if only through its children.
    pub fn contains(&self, span: SpanRef<'_>) -> bool {
        self.rows.get(span.row()).copied().unwrap_or(false)
    }

    /// Nanoseconds that a span contributes itself, without its children.
    pub fn self_ns(&self, span: SpanRef<'_>) -> i64 {
        self.parts_of(span.row()).iter().map(Part::length).fold(0, i64::saturating_add)
    }

    /// Nanoseconds of the whole path: the duration of the root, or 0 where that is negative.
    pub fn total_ns(&self) -> i64 {
        self.parts.iter().map(Part::length).fold(0, i64::saturating_add)
    }

    /// What each service contributes, the largest part first.
    pub fn services(&self) -> Vec<(&'a str, i64)> {
        let mut sums: HashMap<&str, i64> = HashMap::new();
        for part in &self.parts {
            let sum = sums.entry(self.trace.span(part.row).service_name()).or_default();
            *sum = sum.saturating_add(part.length());
        }
        let mut services: Vec<_> = sums.into_iter().collect();
        services.sort_unstable_by_key(|&(service, sum)| (std::cmp::Reverse(sum), service));
        services
    }

    /// The parts that one row contributes.
    pub(super) fn parts_of(&self, row: usize) -> &[Part] {
        let first = self.parts.partition_point(|part| part.row < row);
        let past = self.parts.partition_point(|part| part.row <= row);
        self.parts.get(first..past).unwrap_or_default()
    }
}
