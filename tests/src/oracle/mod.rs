//! The oracle: which spans of a request a store must accept, and as which rows. It decodes with
//! prost and writes attribute text by itself; it shares no code with the engine.
//!
//! | file | holds |
//! |---|---|
//! | messages | OTLP's messages for prost, with text as bytes: prost refuses what is not UTF-8 |
//! | text | attributes, events and links as the text of their columns |

mod messages;
mod text;

use std::collections::BTreeMap;

use prost::Message;

use self::messages::{Request, Resource, Scope, Span, Status};
use self::text::Writer;
use crate::wire;

/// A body may have this many bytes.
pub const BODY_BYTES_MAX: usize = 16 << 20;
/// A day.
const DAY_NS: i64 = 24 * 60 * 60 * 1_000_000_000;

/// Bits of `marks`, by their documented positions.
pub mod marks {
    /// The span ends before it starts.
    pub const NEGATIVE_DURATION: u32 = 1;
    /// The parent id has a wrong length.
    pub const BAD_PARENT: u32 = 1 << 1;
    /// Text was repaired.
    pub const REPAIRED_TEXT: u32 = 1 << 2;
    /// Something was cut or dropped for a limit.
    pub const TRUNCATED: u32 = 1 << 3;
    /// A key stood twice.
    pub const DUPLICATE_KEYS: u32 = 1 << 4;
    /// A value was nested too deeply.
    pub const TOO_DEEP: u32 = 1 << 5;
    /// A zero time, or a start more than a day ahead, or an event after 2262.
    pub const STRANGE_TIME: u32 = 1 << 6;
    /// The resource has no service name.
    pub const NO_SERVICE: u32 = 1 << 7;
}

/// A span in a store's terms. Text that is absent is empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
#[allow(missing_docs)] // the columns of the span schema, by their names
pub struct Row {
    pub trace_id: String,
    pub span_id: String,
    pub parent_span_id: String,
    pub name: String,
    pub service_name: String,
    pub kind: String,
    pub status_code: String,
    pub status_message: String,
    pub start_time: i64,
    pub duration_ns: i64,
    pub attributes: String,
    pub events: String,
    pub links: String,
    pub resource_attributes: String,
    pub resource_schema_url: String,
    pub scope_name: String,
    pub scope_version: String,
    pub scope_attributes: String,
    pub scope_schema_url: String,
    pub trace_state: String,
    pub flags: u32,
    pub dropped_attributes_count: u32,
    pub dropped_events_count: u32,
    pub dropped_links_count: u32,
    pub marks: u32,
}

/// What a store must do with a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Judgement {
    /// Refuse it as a whole.
    Refuse(String),
    /// Store these rows, and reject spans for these reasons.
    Store {
        /// Accepted spans in the order of the request.
        rows: Vec<Row>,
        /// Rejected spans by reason.
        rejected: BTreeMap<&'static str, u64>,
    },
}

/// The rules at one time.
#[derive(Debug, Clone, Copy)]
pub struct Oracle {
    /// The time of ingest in nanoseconds since the epoch.
    pub now_ns: i64,
    /// How far in the future a span may start, if that is limited.
    pub future_max_ns: Option<i64>,
}

impl Oracle {
    /// What a store must do with this body.
    pub fn judge(&self, body: &[u8]) -> Judgement {
        if body.len() > BODY_BYTES_MAX {
            return Judgement::Refuse(format!("{} bytes", body.len()));
        }
        // Values below the depth limit are not looked at, so what stands there cannot be wrong.
        let decoded = Request::decode(body).or_else(|_| Request::decode(&*wire::prune(body)));
        match decoded {
            Ok(request) => self.rows(&request),
            Err(e) => Judgement::Refuse(e.to_string()),
        }
    }

    fn rows(&self, request: &Request) -> Judgement {
        let mut rows = Vec::new();
        let mut rejected = BTreeMap::new();
        for resource_spans in &request.resource_spans {
            let resource = ResourceRow::new(
                &resource_spans.resource.clone().unwrap_or_default(),
                &resource_spans.schema_url,
            );
            for scope_spans in &resource_spans.scope_spans {
                let scope = scope_spans.scope.clone().unwrap_or_default();
                let scope = ScopeRow::new(&scope, &scope_spans.schema_url);
                for span in &scope_spans.spans {
                    match self.reason_against(span) {
                        Some(reason) => *rejected.entry(reason).or_default() += 1,
                        None => rows.push(self.row(&resource, &scope, span)),
                    }
                }
            }
        }
        Judgement::Store { rows, rejected }
    }

    fn reason_against(&self, span: &Span) -> Option<&'static str> {
        let (start, end) = (span.start, span.end);
        if span.trace_id.len() != 16 || span.trace_id.iter().all(|b| *b == 0) {
            Some("bad_trace_id")
        } else if span.span_id.len() != 8 || span.span_id.iter().all(|b| *b == 0) {
            Some("bad_span_id")
        } else if start > i64::MAX as u64 || end > i64::MAX as u64 {
            Some("time_out_of_range")
        } else if self.future_max_ns.is_some_and(|max| start as i64 > self.now_ns + max) {
            Some("too_far_in_future")
        } else {
            None
        }
    }

    fn row(&self, resource: &ResourceRow, scope: &ScopeRow, span: &Span) -> Row {
        let mut w = Writer { marks: resource.marks | scope.marks };
        let (start, end) = (span.start as i64, span.end as i64);
        let parent_is_bad = !matches!(span.parent.len(), 0 | 8);
        let root = parent_is_bad || span.parent.iter().all(|b| *b == 0);
        w.mark_if(parent_is_bad, marks::BAD_PARENT);
        w.mark_if(end < start, marks::NEGATIVE_DURATION);
        w.mark_if(start == 0 || end == 0, marks::STRANGE_TIME);
        w.mark_if(start > self.now_ns.saturating_add(DAY_NS), marks::STRANGE_TIME);
        let status: Status = span.status.clone().unwrap_or_default();
        let (attributes, dropped) = w.object(&span.attributes);
        let (events, events_over) = w.events(&span.events);
        let (links, links_over) = w.links(&span.links);
        let kinds = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];
        Row {
            trace_id: text::hex(&span.trace_id),
            span_id: text::hex(&span.span_id),
            parent_span_id: if root { String::new() } else { text::hex(&span.parent) },
            name: w.text(&span.name),
            service_name: resource.service.clone(),
            kind: word(&kinds, span.kind),
            status_code: word(&["UNSET", "OK", "ERROR"], status.code),
            status_message: w.text(&status.message),
            start_time: start,
            duration_ns: end - start,
            attributes,
            events,
            links,
            resource_attributes: resource.attributes.clone(),
            resource_schema_url: resource.schema_url.clone(),
            scope_name: scope.name.clone(),
            scope_version: scope.version.clone(),
            scope_attributes: scope.attributes.clone(),
            scope_schema_url: scope.schema_url.clone(),
            trace_state: w.text(&span.trace_state),
            flags: span.flags,
            dropped_attributes_count: span.dropped_attributes.saturating_add(dropped),
            dropped_events_count: span.dropped_events.saturating_add(events_over),
            dropped_links_count: span.dropped_links.saturating_add(links_over),
            marks: w.marks,
        }
    }
}

fn word(words: &[&str], number: i32) -> String {
    let known = usize::try_from(number).ok().and_then(|n| words.get(n));
    (*known.unwrap_or(&words[0])).to_owned()
}

struct ResourceRow {
    attributes: String,
    service: String,
    schema_url: String,
    marks: u32,
}

impl ResourceRow {
    fn new(resource: &Resource, schema_url: &[u8]) -> Self {
        let mut w = Writer::default();
        let (attributes, _) = w.object(&resource.attributes);
        let service = w.service_name(&resource.attributes);
        w.mark_if(service.is_none(), marks::NO_SERVICE);
        let service = service.unwrap_or_else(|| "unknown_service".to_owned());
        let schema_url = w.text(schema_url);
        Self { attributes, service, schema_url, marks: w.marks }
    }
}

struct ScopeRow {
    name: String,
    version: String,
    attributes: String,
    schema_url: String,
    marks: u32,
}

impl ScopeRow {
    fn new(scope: &Scope, schema_url: &[u8]) -> Self {
        let mut w = Writer::default();
        let (attributes, _) = w.object(&scope.attributes);
        let (name, version) = (w.text(&scope.name), w.text(&scope.version));
        let schema_url = w.text(schema_url);
        Self { name, version, attributes, schema_url, marks: w.marks }
    }
}

/// Whether opentelemetry-proto, with prost's own checks of UTF-8, takes these bytes.
pub fn prost_accepts(body: &[u8]) -> bool {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    ExportTraceServiceRequest::decode(body).is_ok()
}
