//! `RequestBuilder`: OTLP bytes (an `ExportTraceServiceRequest`) for spans that were never OTLP.
//!
//! There is one door into the store, and it takes OTLP. Whoever has spans in another shape builds a
//! request from them; the store then sees what it sees from everybody else.
//!
//! | file | purpose |
//! |---|---|
//! | span | `SpanBuilder` and what it is made of |
//! | value | `AttributeValue` |
//! | write | protobuf's wire types |

use bytes::Bytes;

pub use self::span::{EventBuilder, LinkBuilder, SpanBuilder, SpanKind};
pub use self::value::AttributeValue;
use self::value::any;
use self::write::Writer;

mod span;
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
/// let other = "0af7651916cd43dd8448eb211c80319c".parse()?;
/// let call = SpanBuilder::new(trace, "00f067aa0ba902b7".parse()?, "GET /cart")
///     .kind(SpanKind::Server)
///     .start_ns(start)
///     .duration(Duration::from_micros(4_200))
///     .attribute("http.response.status_code", 503)
///     .event(EventBuilder::new("retry", start + 1_000_000).attribute("attempt", 2))
///     .link(LinkBuilder::new(other, "b7ad6b7169203331".parse()?))
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
///
/// ```
/// use amida::Resource;
///
/// let resource = Resource::new("checkout")
///     .attribute("service.version", "1.4.2")
///     .attribute("host.name", "web-1");
/// ```
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
///
/// ```
/// use amida::InstrumentationScope;
///
/// let scope = InstrumentationScope::new("my.tracer").version("1.4").attribute("short", true);
/// ```
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

#[cfg(test)]
#[path = "build/tests.rs"]
mod tests;
