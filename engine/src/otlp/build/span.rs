//! One span, with its events and links.

use std::time::Duration;

use super::value::{AttributeValue, any};
use super::write::Writer;
use crate::model::ids::{SpanId, TraceId};

/// What a span did in a request between services.
///
/// ```
/// use amida::{SpanBuilder, SpanKind};
///
/// # fn main() -> amida::Result<()> {
/// let trace = "4bf92f3577b34da6a3ce929d0e0e4736".parse()?;
/// let span = "00f067aa0ba902b7".parse()?;
/// let call = SpanBuilder::new(trace, span, "SELECT").kind(SpanKind::Client);
/// # Ok(())
/// # }
/// ```
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
///
/// ```
/// use std::time::Duration;
/// use amida::SpanBuilder;
///
/// # fn main() -> amida::Result<()> {
/// let trace = "4bf92f3577b34da6a3ce929d0e0e4736".parse()?;
/// let span = SpanBuilder::new(trace, "53995c3f42cd8ad8".parse()?, "SELECT carts")
///     .parent("00f067aa0ba902b7".parse::<amida::SpanId>()?)
///     .start_ns(1_700_000_000_000_000_000)
///     .duration(Duration::from_millis(3))
///     .attribute("db.system.name", "postgresql");
/// # Ok(())
/// # }
/// ```
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
    pub(super) fn into_fields(mut self) -> Vec<u8> {
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
///
/// ```
/// use amida::EventBuilder;
///
/// let retry = EventBuilder::new("retry", 1_700_000_000_001_000_000).attribute("attempt", 2);
/// ```
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
///
/// ```
/// use amida::LinkBuilder;
///
/// # fn main() -> amida::Result<()> {
/// let trace = "0af7651916cd43dd8448eb211c80319c".parse()?;
/// let link = LinkBuilder::new(trace, "b7ad6b7169203331".parse()?).attribute("why", "batch");
/// # Ok(())
/// # }
/// ```
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
