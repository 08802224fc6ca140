//! `RequestBuilder`: OTLP bytes (an `ExportTraceServiceRequest`) for spans that were never OTLP.
//!
//! There is one door into the store, and it takes OTLP. Whoever has spans in another shape builds a
//! request from them; the store then sees what it sees from everybody else.

use std::time::Duration;

use bytes::Bytes;

pub use self::value::AttributeValue;
use self::value::any;
use self::write::Writer;
use crate::model::ids::{SpanId, TraceId};

pub(super) mod value;
pub(super) mod write;

/// Builds one OTLP request.
///
/// ```
/// use std::time::Duration;
/// use amida::{EventBuilder, InstrumentationScope, LinkBuilder};
/// use amida::{RequestBuilder, Resource, SpanBuilder, SpanKind};
///
/// # fn main() -> amida::Result<()> {
/// let trace = "4bf92f3577b34da6a3ce929d0e0e4736".parse()?;
/// let start = 1_700_000_000_000_000_000;
/// let call = SpanBuilder::new(trace, "00f067aa0ba902b7".parse()?, "GET /cart")
///     .kind(SpanKind::Server)
///     .start_ns(start)
///     .duration(Duration::from_micros(4_200))
///     .attribute("http.response.status_code", 503)
///     .event(EventBuilder::new("retry", start + 1_000_000).attribute("attempt", 2))
///     .link(LinkBuilder::new("0af7651916cd43dd8448eb211c80319c".parse()?, "b7ad6b7169203331".parse()?))
///     .error("upstream timed out");
/// let body = RequestBuilder::new(Resource::new("checkout").attribute("host.name", "web-1"))
///     .scope(InstrumentationScope::new("my.tracer").version("1.4"))
///     .span(call)
///     .finish();
/// assert!(!body.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct RequestBuilder {
    /// Finished `ResourceSpans`.
    request: Writer,
    resource: Resource,
    /// Finished `ScopeSpans` of the resource.
    scope_spans: Writer,
    scope: InstrumentationScope,
    /// Spans of the scope.
    spans: Writer,
    span_count: usize,
}

impl RequestBuilder {
    /// A request whose first spans are of this resource.
    pub fn new(resource: Resource) -> Self {
        Self { resource, ..Self::default() }
    }

    /// The spans added from here on are of this resource, and of no scope until one is named.
    pub fn resource(mut self, resource: Resource) -> Self {
        self.set_resource(resource);
        self
    }

    /// The spans added from here on were made by this instrumentation.
    pub fn scope(mut self, scope: InstrumentationScope) -> Self {
        self.set_scope(scope);
        self
    }

    /// Adds a span.
    pub fn span(mut self, span: SpanBuilder) -> Self {
        self.add(span);
        self
    }

    /// Adds these spans.
    pub fn spans(mut self, spans: impl IntoIterator<Item = SpanBuilder>) -> Self {
        spans.into_iter().for_each(|span| self.add(span));
        self
    }

    /// Number of spans so far.
    pub fn span_count(&self) -> usize {
        self.span_count
    }

    /// About how many bytes `finish` would give. The store takes at most 16 MiB in one request.
    pub fn encoded_len(&self) -> usize {
        // Six lengths and tags of groups that are still open.
        let fields = self.resource.fields.len() + self.scope.fields.len();
        let urls = self.resource.schema_url.len() + self.scope.schema_url.len();
        let open = fields + urls + 6 * 6;
        self.request.len() + self.scope_spans.len() + self.spans.len() + open
    }

    /// The bytes. Without any span they are empty, which the store refuses.
    pub fn finish(mut self) -> Bytes {
        self.close_resource();
        Bytes::from(self.request.into_bytes())
    }

    pub(super) fn set_resource(&mut self, resource: Resource) {
        self.close_resource();
        self.resource = resource;
        self.scope = InstrumentationScope::default();
    }

    pub(super) fn set_scope(&mut self, scope: InstrumentationScope) {
        self.close_scope();
        self.scope = scope;
    }

    fn add(&mut self, span: SpanBuilder) {
        self.add_span_fields(&span.into_fields());
    }

    /// Adds a span whose fields are protobuf already.
    pub(super) fn add_span_fields(&mut self, fields: &[u8]) {
        self.spans.bytes(2, fields);
        self.span_count += 1;
    }

    fn close_scope(&mut self) {
        if self.spans.is_empty() {
            return;
        }
        let InstrumentationScope { fields: scope, schema_url } = &self.scope;
        let spans = &self.spans;
        self.scope_spans.message(2, |out| {
            out.bytes_nonempty(1, scope.as_slice());
            out.append(spans);
            out.bytes_nonempty(3, schema_url.as_bytes());
        });
        self.spans.clear();
    }

    fn close_resource(&mut self) {
        self.close_scope();
        if self.scope_spans.is_empty() {
            return;
        }
        let Resource { fields: resource, schema_url } = &self.resource;
        let scope_spans = &self.scope_spans;
        self.request.message(1, |out| {
            out.bytes_nonempty(1, resource.as_slice());
            out.append(scope_spans);
            out.bytes_nonempty(3, schema_url.as_bytes());
        });
        self.scope_spans.clear();
    }
}

/// Who made the spans: a service and where it runs.
#[derive(Debug, Clone, Default)]
pub struct Resource {
    pub(super) fields: Writer,
    pub(super) schema_url: String,
}

impl Resource {
    /// A resource with this `service.name`.
    pub fn new(service_name: &str) -> Self {
        Self::default().attribute("service.name", service_name)
    }

    /// Adds an attribute, such as `host.name` or `service.version`.
    pub fn attribute(mut self, key: &str, value: impl Into<AttributeValue>) -> Self {
        any::key_value(&mut self.fields, 1, key, |out| value.into().write(out));
        self
    }

    /// Which version of the semantic conventions the attributes follow.
    pub fn schema_url(mut self, url: &str) -> Self {
        self.schema_url = url.to_owned();
        self
    }
}

/// The instrumentation that made the spans.
#[derive(Debug, Clone, Default)]
pub struct InstrumentationScope {
    pub(super) fields: Writer,
    pub(super) schema_url: String,
}

impl InstrumentationScope {
    /// A scope of this name: a library, usually.
    pub fn new(name: &str) -> Self {
        let mut scope = Self::default();
        scope.fields.bytes_nonempty(1, name.as_bytes());
        scope
    }

    /// Its version.
    pub fn version(mut self, version: &str) -> Self {
        self.fields.bytes_nonempty(2, version.as_bytes());
        self
    }

    /// Adds an attribute.
    pub fn attribute(mut self, key: &str, value: impl Into<AttributeValue>) -> Self {
        any::key_value(&mut self.fields, 3, key, |out| value.into().write(out));
        self
    }

    /// Which version of the semantic conventions the attributes follow.
    pub fn schema_url(mut self, url: &str) -> Self {
        self.schema_url = url.to_owned();
        self
    }
}

/// What a span did in a request between services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SpanKind {
    /// Not said.
    Unspecified = 0,
    /// Work inside a service.
    #[default]
    Internal = 1,
    /// Answers a request of another service.
    Server = 2,
    /// Asks another service and waits.
    Client = 3,
    /// Puts a message into a queue.
    Producer = 4,
    /// Takes a message from a queue.
    Consumer = 5,
}

#[derive(Debug, Clone, Copy)]
enum End {
    At(i64),
    After(Duration),
}

/// Builds one span. Unless said otherwise it is a root, `SpanKind::Internal`, with status unset,
/// and takes no time.
#[derive(Debug, Clone)]
pub struct SpanBuilder {
    fields: Writer,
    kind: SpanKind,
    start_ns: i64,
    end: End,
}

impl SpanBuilder {
    /// A span of this trace. `name` is the operation, such as `GET /cart/{id}`.
    pub fn new(trace_id: TraceId, span_id: SpanId, name: &str) -> Self {
        let mut fields = Writer::default();
        fields.bytes(1, trace_id.as_bytes());
        fields.bytes(2, span_id.as_bytes());
        fields.bytes_nonempty(5, name.as_bytes());
        Self { fields, kind: SpanKind::default(), start_ns: 0, end: End::After(Duration::ZERO) }
    }

    /// The span that this one is part of; without one it is a root. Takes an `Option` as well.
    pub fn parent(mut self, parent: impl Into<Option<SpanId>>) -> Self {
        if let Some(parent) = parent.into() {
            self.fields.bytes(4, parent.as_bytes());
        }
        self
    }

    /// Its kind.
    pub fn kind(mut self, kind: SpanKind) -> Self {
        self.kind = kind;
        self
    }

    /// When it started, in nanoseconds since 1970-01-01T00:00:00Z. The store rejects a span with a
    /// time before that.
    pub fn start_ns(mut self, ns: i64) -> Self {
        self.start_ns = ns;
        self
    }

    /// When it ended, in nanoseconds since 1970-01-01T00:00:00Z.
    pub fn end_ns(mut self, ns: i64) -> Self {
        self.end = End::At(ns);
        self
    }

    /// How long it took: sets the end from the start, in whichever order they are given.
    pub fn duration(mut self, duration: Duration) -> Self {
        self.end = End::After(duration);
        self
    }

    /// Adds an attribute.
    pub fn attribute(mut self, key: &str, value: impl Into<AttributeValue>) -> Self {
        any::key_value(&mut self.fields, 9, key, |out| value.into().write(out));
        self
    }

    /// Adds something that happened during the span.
    pub fn event(mut self, event: EventBuilder) -> Self {
        self.fields.bytes(11, event.fields.as_slice());
        self
    }

    /// Adds a reference to a span that is not the parent, often of another trace.
    pub fn link(mut self, link: LinkBuilder) -> Self {
        self.fields.bytes(13, link.fields.as_slice());
        self
    }

    /// It failed, and why.
    pub fn error(mut self, message: &str) -> Self {
        self.status(2, message);
        self
    }

    /// Somebody said explicitly that it went well.
    pub fn ok(mut self) -> Self {
        self.status(1, "");
        self
    }

    /// W3C trace state.
    pub fn trace_state(mut self, trace_state: &str) -> Self {
        self.fields.bytes_nonempty(3, trace_state.as_bytes());
        self
    }

    /// W3C trace flags, and OpenTelemetry's bits above them.
    pub fn flags(mut self, flags: u32) -> Self {
        self.fields.fixed32_nonzero(16, flags);
        self
    }

    fn status(&mut self, code: u64, message: &str) {
        self.fields.message(15, |out| {
            out.bytes_nonempty(2, message.as_bytes());
            out.varint(3, code);
        });
    }

    /// The span's fields as protobuf.
    fn into_fields(mut self) -> Vec<u8> {
        let end_ns = match self.end {
            End::At(ns) => ns,
            End::After(duration) => {
                let duration = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
                self.start_ns.saturating_add(duration)
            }
        };
        // OTLP's times are unsigned; a time before 1970 becomes one past i64, which the store
        // rejects and counts.
        self.fields.varint_nonzero(6, self.kind as u64);
        self.fields.fixed64(7, self.start_ns as u64);
        self.fields.fixed64(8, end_ns as u64);
        self.fields.into_bytes()
    }
}

/// Builds an event of a span.
#[derive(Debug, Clone)]
pub struct EventBuilder {
    fields: Writer,
}

impl EventBuilder {
    /// What happened, and when in nanoseconds since 1970-01-01T00:00:00Z.
    pub fn new(name: &str, time_ns: i64) -> Self {
        let mut fields = Writer::default();
        fields.fixed64(1, time_ns as u64);
        fields.bytes_nonempty(2, name.as_bytes());
        Self { fields }
    }

    /// Adds an attribute.
    pub fn attribute(mut self, key: &str, value: impl Into<AttributeValue>) -> Self {
        any::key_value(&mut self.fields, 3, key, |out| value.into().write(out));
        self
    }
}

/// Builds a link of a span to another span.
#[derive(Debug, Clone)]
pub struct LinkBuilder {
    fields: Writer,
}

impl LinkBuilder {
    /// A link to this span of that trace.
    pub fn new(trace_id: TraceId, span_id: SpanId) -> Self {
        let mut fields = Writer::default();
        fields.bytes(1, trace_id.as_bytes());
        fields.bytes(2, span_id.as_bytes());
        Self { fields }
    }

    /// Adds an attribute.
    pub fn attribute(mut self, key: &str, value: impl Into<AttributeValue>) -> Self {
        any::key_value(&mut self.fields, 4, key, |out| value.into().write(out));
        self
    }
}

#[cfg(test)]
#[path = "build/tests.rs"]
mod tests;
