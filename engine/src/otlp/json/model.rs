//! OTLP's messages: read from JSON, written as protobuf at once, span by span.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Requests;
use super::scalar::{Code, Count, Id, Kind, List, Nanos, Text};
use super::value::Attributes;
use crate::otlp::build::write::Writer;
use crate::otlp::build::{InstrumentationScope, Resource};

/// Reads a document into requests. `false` when it has no `resourceSpans`.
pub fn read_document<'de, D: Deserializer<'de>>(
    de: D,
    requests: &mut Requests,
) -> Result<bool, D::Error> {
    de.deserialize_any(Document { requests, wrapped: false })
}

struct Document<'r> {
    requests: &'r mut Requests,
    wrapped: bool,
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with resourceSpans")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut found = false;
        while let Some(key) = map.next_key::<Text<'de>>()? {
            match key.0.as_ref() {
                "resourceSpans" | "resource_spans" => {
                    map.next_value_seed(Groups(self.requests))?;
                    found = true;
                }
                "result" if !self.wrapped => {
                    let inner = Document { requests: self.requests, wrapped: true };
                    found |= map.next_value_seed(inner)?;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

impl<'de> DeserializeSeed<'de> for Document<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, de: D) -> Result<bool, D::Error> {
        de.deserialize_any(self)
    }
}

/// The list of resource spans: each goes into the requests as soon as it was read.
struct Groups<'r>(&'r mut Requests);

impl<'de> Visitor<'de> for Groups<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of resource spans")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(group) = list.next_element::<Option<ResourceSpans>>()? {
            if let Some(group) = group {
                self.0.add(group);
            }
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Groups<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, de: D) -> Result<(), D::Error> {
        de.deserialize_any(self)
    }
}

/// The spans of one resource, as protobuf.
#[derive(Debug)]
pub struct ResourceSpans {
    pub resource: Resource,
    pub scope_spans: Vec<ScopeSpans>,
}

/// The spans of one scope: the fields of each, as protobuf.
#[derive(Debug)]
pub struct ScopeSpans {
    pub scope: InstrumentationScope,
    pub spans: Vec<Vec<u8>>,
}

impl<'de> Deserialize<'de> for ResourceSpans {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Fields<'a> {
            #[serde(borrow)]
            resource: Option<ResourceFields<'a>>,
            #[serde(default, alias = "scopeSpans", alias = "instrumentationLibrarySpans")]
            scope_spans: List<ScopeSpans>,
            #[serde(borrow, default, alias = "schemaUrl")]
            schema_url: Text<'a>,
        }
        let fields = Fields::deserialize(de)?;
        let mut resource = Resource::default().schema_url(&fields.schema_url.0);
        if let Some(from) = fields.resource {
            from.attributes.write(&mut resource.fields, 1);
            resource.fields.varint_nonzero(2, u64::from(from.dropped_attributes_count.0));
        }
        Ok(Self { resource, scope_spans: fields.scope_spans.0 })
    }
}

impl<'de> Deserialize<'de> for ScopeSpans {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Fields<'a> {
            // Before version 0.15 of the protocol, scopes were called instrumentation libraries.
            #[serde(borrow, alias = "instrumentationLibrary")]
            scope: Option<ScopeFields<'a>>,
            #[serde(default)]
            spans: List<Span>,
            #[serde(borrow, default, alias = "schemaUrl")]
            schema_url: Text<'a>,
        }
        let fields = Fields::deserialize(de)?;
        let mut scope = InstrumentationScope::default().schema_url(&fields.schema_url.0);
        if let Some(from) = fields.scope {
            scope.fields.bytes_nonempty(1, from.name.0.as_bytes());
            scope.fields.bytes_nonempty(2, from.version.0.as_bytes());
            from.attributes.write(&mut scope.fields, 3);
            scope.fields.varint_nonzero(4, u64::from(from.dropped_attributes_count.0));
        }
        Ok(Self { scope, spans: fields.spans.0.into_iter().map(|span| span.0).collect() })
    }
}

#[derive(Deserialize)]
struct ResourceFields<'a> {
    #[serde(borrow, default)]
    attributes: Attributes<'a>,
    #[serde(default, alias = "droppedAttributesCount")]
    dropped_attributes_count: Count,
}

#[derive(Deserialize)]
struct ScopeFields<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow, default)]
    version: Text<'a>,
    #[serde(borrow, default)]
    attributes: Attributes<'a>,
    #[serde(default, alias = "droppedAttributesCount")]
    dropped_attributes_count: Count,
}

/// A span's fields, as protobuf.
struct Span(Vec<u8>);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        SpanFields::deserialize(de).map(|fields| Self(fields.encode()))
    }
}

#[derive(Deserialize)]
struct SpanFields<'a> {
    #[serde(default, alias = "traceId")]
    trace_id: Id<16>,
    #[serde(default, alias = "spanId")]
    span_id: Id<8>,
    #[serde(default, alias = "parentSpanId")]
    parent_span_id: Id<8>,
    #[serde(borrow, default, alias = "traceState")]
    trace_state: Text<'a>,
    #[serde(default)]
    flags: Count,
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(default)]
    kind: Kind,
    #[serde(default, alias = "startTimeUnixNano")]
    start_time_unix_nano: Nanos,
    #[serde(default, alias = "endTimeUnixNano")]
    end_time_unix_nano: Nanos,
    #[serde(borrow, default)]
    attributes: Attributes<'a>,
    #[serde(default, alias = "droppedAttributesCount")]
    dropped_attributes_count: Count,
    #[serde(borrow, default)]
    events: List<EventFields<'a>>,
    #[serde(default, alias = "droppedEventsCount")]
    dropped_events_count: Count,
    #[serde(borrow, default)]
    links: List<LinkFields<'a>>,
    #[serde(default, alias = "droppedLinksCount")]
    dropped_links_count: Count,
    #[serde(borrow)]
    status: Option<StatusFields<'a>>,
}

impl SpanFields<'_> {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.bytes_nonempty(1, &self.trace_id.0);
        out.bytes_nonempty(2, &self.span_id.0);
        out.bytes_nonempty(3, self.trace_state.0.as_bytes());
        out.bytes_nonempty(4, &self.parent_span_id.0);
        out.bytes_nonempty(5, self.name.0.as_bytes());
        out.varint_nonzero(6, self.kind.0);
        out.fixed64(7, self.start_time_unix_nano.0);
        out.fixed64(8, self.end_time_unix_nano.0);
        self.attributes.write(&mut out, 9);
        out.varint_nonzero(10, u64::from(self.dropped_attributes_count.0));
        for event in &self.events.0 {
            out.message(11, |out| event.write(out));
        }
        out.varint_nonzero(12, u64::from(self.dropped_events_count.0));
        for link in &self.links.0 {
            out.message(13, |out| link.write(out));
        }
        out.varint_nonzero(14, u64::from(self.dropped_links_count.0));
        if let Some(status) = &self.status {
            out.message(15, |out| {
                out.bytes_nonempty(2, status.message.0.as_bytes());
                out.varint_nonzero(3, status.code.0);
            });
        }
        out.fixed32_nonzero(16, self.flags.0);
        out.into_bytes()
    }
}

#[derive(Deserialize)]
struct EventFields<'a> {
    #[serde(default, alias = "timeUnixNano")]
    time_unix_nano: Nanos,
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow, default)]
    attributes: Attributes<'a>,
    #[serde(default, alias = "droppedAttributesCount")]
    dropped_attributes_count: Count,
}

impl EventFields<'_> {
    fn write(&self, out: &mut Writer) {
        out.fixed64(1, self.time_unix_nano.0);
        out.bytes_nonempty(2, self.name.0.as_bytes());
        self.attributes.write(out, 3);
        out.varint_nonzero(4, u64::from(self.dropped_attributes_count.0));
    }
}

#[derive(Deserialize)]
struct LinkFields<'a> {
    #[serde(default, alias = "traceId")]
    trace_id: Id<16>,
    #[serde(default, alias = "spanId")]
    span_id: Id<8>,
    #[serde(borrow, default, alias = "traceState")]
    trace_state: Text<'a>,
    #[serde(borrow, default)]
    attributes: Attributes<'a>,
    #[serde(default, alias = "droppedAttributesCount")]
    dropped_attributes_count: Count,
    #[serde(default)]
    flags: Count,
}

impl LinkFields<'_> {
    fn write(&self, out: &mut Writer) {
        out.bytes_nonempty(1, &self.trace_id.0);
        out.bytes_nonempty(2, &self.span_id.0);
        out.bytes_nonempty(3, self.trace_state.0.as_bytes());
        self.attributes.write(out, 4);
        out.varint_nonzero(5, u64::from(self.dropped_attributes_count.0));
        out.fixed32_nonzero(6, self.flags.0);
    }
}

#[derive(Deserialize)]
struct StatusFields<'a> {
    #[serde(borrow, default)]
    message: Text<'a>,
    #[serde(default)]
    code: Code,
}
