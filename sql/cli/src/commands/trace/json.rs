//! A trace as JSON. Fields are only added; docs/trace.md describes them.

use amida::{CriticalPath, Marks, SpanId, SpanRef, Trace};
use serde::Serialize;
use serde_json::value::RawValue;

use super::rfc3339;

/// A trace as JSON: spans in the order of the drawing, each with its depth.
#[derive(Debug, Serialize)]
pub struct TraceJson<'a> {
    trace_id: String,
    start_time: String,
    end_time: String,
    duration_ns: i64,
    span_count: usize,
    error_count: usize,
    services: Vec<&'a str>,
    root_span_id: String,
    root_count: usize,
    orphan_count: usize,
    critical_path: CriticalPathJson<'a>,
    spans: Vec<SpanJson<'a>>,
}

#[derive(Debug, Serialize)]
struct CriticalPathJson<'a> {
    total_ns: i64,
    services: Vec<ShareJson<'a>>,
}

#[derive(Debug, Serialize)]
struct ShareJson<'a> {
    service_name: &'a str,
    critical_ns: i64,
}

#[derive(Debug, Serialize)]
struct SpanJson<'a> {
    span_id: String,
    parent_span_id: Option<String>,
    depth: usize,
    children: Vec<String>,
    is_orphan: bool,
    is_own_ancestor: bool,
    copies: usize,
    starts_before_parent_ns: i64,
    ends_after_parent_ns: i64,
    on_critical_path: bool,
    critical_ns: i64,
    service_name: &'a str,
    name: &'a str,
    kind: &'a str,
    start_time: String,
    start_time_unix_nano: i64,
    duration_ns: i64,
    status_code: &'a str,
    status_message: &'a str,
    scope_name: &'a str,
    flags: u32,
    marks: Vec<&'static str>,
    attributes: Option<&'a RawValue>,
    resource_attributes: Option<&'a RawValue>,
    scope_attributes: Option<&'a RawValue>,
    events: Vec<EventJson>,
    links: Vec<LinkJson>,
}

#[derive(Debug, Serialize)]
struct EventJson {
    time: String,
    time_unix_nano: i64,
    name: String,
    attributes: Option<Box<RawValue>>,
}

#[derive(Debug, Serialize)]
struct LinkJson {
    trace_id: String,
    span_id: String,
    trace_state: String,
    flags: u32,
    attributes: Option<Box<RawValue>>,
}

impl<'a> TraceJson<'a> {
    /// The whole trace, or of its spans only those with this id.
    pub fn new(trace: &'a Trace, only: Option<SpanId>) -> Self {
        let path = trace.critical_path();
        let wanted = |span: &SpanRef<'_>| only.is_none_or(|id| span.span_id() == id);
        let spans = trace.walk().filter(|(span, _)| wanted(span));
        let spans = spans.map(|(span, depth)| span_json(trace, &path, span, depth)).collect();
        let services_on_path = path.services().into_iter();
        let (start, end) = trace.times();
        let mut services: Vec<&str> = trace.spans().map(|span| span.service_name()).collect();
        services.sort_unstable();
        services.dedup();
        Self {
            trace_id: trace.id().to_string(),
            start_time: rfc3339(start),
            end_time: rfc3339(end),
            duration_ns: end.saturating_sub(start),
            span_count: trace.spans().len(),
            error_count: trace.spans().filter(SpanRef::is_error).count(),
            services,
            root_span_id: trace.root().span_id().to_string(),
            root_count: trace.tops().filter(|span| span.parent_span_id().is_none()).count(),
            orphan_count: trace.tops().filter(|span| trace.is_orphan(*span)).count(),
            critical_path: CriticalPathJson {
                total_ns: path.total_ns(),
                services: services_on_path
                    .map(|(service_name, critical_ns)| ShareJson { service_name, critical_ns })
                    .collect(),
            },
            spans,
        }
    }
}

fn span_json<'a>(
    trace: &Trace,
    path: &CriticalPath<'_>,
    span: SpanRef<'a>,
    depth: usize,
) -> SpanJson<'a> {
    SpanJson {
        span_id: span.span_id().to_string(),
        parent_span_id: span.parent_span_id().map(|id| id.to_string()),
        depth,
        children: trace.children(span).map(|child| child.span_id().to_string()).collect(),
        is_orphan: trace.is_orphan(span),
        is_own_ancestor: trace.is_own_ancestor(span),
        copies: trace.copies(span),
        starts_before_parent_ns: trace.starts_before_parent_ns(span),
        ends_after_parent_ns: trace.ends_after_parent_ns(span),
        on_critical_path: path.contains(span),
        critical_ns: path.self_ns(span),
        service_name: span.service_name(),
        name: span.name(),
        kind: span.kind(),
        start_time: rfc3339(span.start_time_ns()),
        start_time_unix_nano: span.start_time_ns(),
        duration_ns: span.duration_ns(),
        status_code: span.status_code(),
        status_message: span.status_message(),
        scope_name: span.scope_name(),
        flags: span.flags(),
        marks: words(span.marks()),
        attributes: raw(span.attributes()),
        resource_attributes: raw(span.resource_attributes()),
        scope_attributes: raw(span.scope_attributes()),
        events: span.events().into_iter().map(EventJson::from).collect(),
        links: span.links().into_iter().map(LinkJson::from).collect(),
    }
}

/// The names of the bits that are set.
pub fn words(marks: Marks) -> Vec<&'static str> {
    let bits = Marks::NAMES.iter().enumerate();
    bits.filter(|(bit, _)| marks.contains(Marks(1 << bit))).map(|(_, name)| *name).collect()
}

/// Stored JSON text as it is; `None` only for text that a damaged file would hold.
fn raw(text: &str) -> Option<&RawValue> {
    serde_json::from_str(text).ok()
}

impl From<amida::json::Event> for EventJson {
    fn from(event: amida::json::Event) -> Self {
        Self {
            time: rfc3339(event.time),
            time_unix_nano: event.time,
            name: event.name,
            attributes: RawValue::from_string(event.attributes).ok(),
        }
    }
}

impl From<amida::json::Link> for LinkJson {
    fn from(link: amida::json::Link) -> Self {
        Self {
            trace_id: link.trace_id,
            span_id: link.span_id,
            trace_state: link.trace_state,
            flags: link.flags,
            attributes: RawValue::from_string(link.attributes).ok(),
        }
    }
}
