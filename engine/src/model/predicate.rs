//! `Predicate`: which spans a scan returns. Plain data; all conditions must hold.

use super::batch::SpanRef;
use super::ids::TraceId;

/// Which spans to return. Without conditions: all.
///
/// ```
/// use amida::Predicate;
///
/// // Failed calls of one service that took half a second or more.
/// let slow = Predicate::new().service("checkout").errors_only().duration_min(500_000_000);
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Predicate {
    pub(crate) start_from_ns: Option<i64>,
    pub(crate) start_before_ns: Option<i64>,
    pub(crate) service: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) trace_id: Option<TraceId>,
    pub(crate) duration_min_ns: Option<i64>,
    pub(crate) errors_only: bool,
}

impl Predicate {
    /// All spans.
    pub fn new() -> Self {
        Self::default()
    }

    /// Spans that start at this time or later, in nanoseconds since the epoch.
    pub fn start_from(mut self, ns: i64) -> Self {
        self.start_from_ns = Some(ns);
        self
    }

    /// Spans that start before this time, in nanoseconds since the epoch.
    pub fn start_before(mut self, ns: i64) -> Self {
        self.start_before_ns = Some(ns);
        self
    }

    /// Spans of one service.
    pub fn service(mut self, name: impl Into<String>) -> Self {
        self.service = Some(name.into());
        self
    }

    /// Spans of one operation.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Spans of one trace.
    pub fn trace(mut self, id: TraceId) -> Self {
        self.trace_id = Some(id);
        self
    }

    /// Spans that took at least this long, in nanoseconds.
    pub fn duration_min(mut self, ns: i64) -> Self {
        self.duration_min_ns = Some(ns);
        self
    }

    /// Spans whose status is `ERROR`.
    pub fn errors_only(mut self) -> Self {
        self.errors_only = true;
        self
    }

    /// Whether a span that starts within `min..=max` can match.
    pub(crate) fn may_match_times(&self, min_ns: i64, max_ns: i64) -> bool {
        self.start_from_ns.is_none_or(|from| max_ns >= from)
            && self.start_before_ns.is_none_or(|before| min_ns < before)
    }

    /// Whether this span matches.
    pub(crate) fn matches(&self, span: &SpanRef<'_>) -> bool {
        let start = span.start_time_ns();
        self.may_match_times(start, start)
            && self.service.as_deref().is_none_or(|s| span.service_name() == s)
            && self.name.as_deref().is_none_or(|n| span.name() == n)
            && self.trace_id.is_none_or(|id| span.trace_id() == id)
            && self.duration_min_ns.is_none_or(|min| span.duration_ns() >= min)
            && (!self.errors_only || span.is_error())
    }
}
