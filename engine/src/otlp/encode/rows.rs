//! One row as OTLP's Span: what its text columns hold is read first, then all is written.

use super::attributes::{self, Attributes};
use crate::error::{Error, Result};
use crate::model::batch::SpanRef;
use crate::model::json;
use crate::model::schema::{COLUMN_NAMES, KINDS, STATUSES, col};
use crate::otlp::build::value::any;
use crate::otlp::message::{Field, Message};

/// A row, read.
pub struct Span<'a> {
    row: SpanRef<'a>,
    kind: u32,
    status: u32,
    attributes: Attributes,
    events: Vec<(json::Event, Attributes)>,
    links: Vec<Link>,
}

struct Link {
    trace_id: Vec<u8>,
    span_id: Vec<u8>,
    attributes: Attributes,
    link: json::Link,
}

/// The error for a column that holds what no store writes.
pub fn wrong(row: &SpanRef<'_>, column: usize, why: impl std::fmt::Display) -> Error {
    let column = COLUMN_NAMES.get(column).copied().unwrap_or_default();
    Error::invalid(format!("row {} of the batch: {column}: {why}", row.row()))
}

impl<'a> Span<'a> {
    /// Reads a row.
    pub fn read(row: SpanRef<'a>) -> Result<Self> {
        let attributes = attributes::read(row.attributes());
        Ok(Self {
            row,
            kind: number(&row, col::KIND, row.kind(), &KINDS)?,
            status: number(&row, col::STATUS_CODE, row.status_code(), &STATUSES)?,
            attributes: attributes.map_err(|error| wrong(&row, col::ATTRIBUTES, error))?,
            events: events(&row)?,
            links: links(&row)?,
        })
    }

    /// Writes the fields of a Span.
    pub fn write<M: Message>(&self, out: &mut M) {
        let row = &self.row;
        out.id(Field(1, "traceId"), row.trace_id().as_bytes());
        out.id(Field(2, "spanId"), row.span_id().as_bytes());
        out.text(Field(3, "traceState"), row.trace_state());
        if let Some(parent) = row.parent_span_id() {
            out.id(Field(4, "parentSpanId"), parent.as_bytes());
        }
        out.fixed32(Field(16, "flags"), row.flags());
        out.text(Field(5, "name"), row.name());
        out.number(Field(6, "kind"), self.kind);
        let start = row.start_time_ns();
        // A time that no store holds becomes one that the next store rejects and counts.
        let end = i128::from(start) + i128::from(row.duration_ns());
        out.nanos(Field(7, "startTimeUnixNano"), start.cast_unsigned());
        out.nanos(Field(8, "endTimeUnixNano"), u64::try_from(end).unwrap_or(u64::MAX));
        write_attributes(out, Field(9, "attributes"), &self.attributes);
        let dropped = row.dropped_attributes_count();
        out.number(Field(10, "droppedAttributesCount"), dropped);
        out.list(Field(11, "events"), &self.events, |out, (event, attributes)| {
            out.nanos(Field(1, "timeUnixNano"), event.time.cast_unsigned());
            out.text(Field(2, "name"), &event.name);
            write_attributes(out, Field(3, "attributes"), attributes);
            out.number(Field(4, "droppedAttributesCount"), event.dropped);
        });
        out.number(Field(12, "droppedEventsCount"), row.dropped_events_count());
        out.list(Field(13, "links"), &self.links, |out, link| link.write(out));
        out.number(Field(14, "droppedLinksCount"), row.dropped_links_count());
        if self.status != 0 || !row.status_message().is_empty() {
            out.part(Field(15, "status"), |out| {
                out.text(Field(2, "message"), row.status_message());
                out.number(Field(3, "code"), self.status);
            });
        }
    }
}

impl Link {
    fn write<M: Message>(&self, out: &mut M) {
        out.id(Field(1, "traceId"), &self.trace_id);
        out.id(Field(2, "spanId"), &self.span_id);
        out.text(Field(3, "traceState"), &self.link.trace_state);
        write_attributes(out, Field(4, "attributes"), &self.attributes);
        out.number(Field(5, "droppedAttributesCount"), self.link.dropped);
        out.fixed32(Field(6, "flags"), self.link.flags);
    }
}

/// Writes a list of KeyValue.
pub fn write_attributes<M: Message>(out: &mut M, field: Field, attributes: &Attributes) {
    out.list(field, attributes, |out, (key, value)| {
        any::entry(out, key, |out| value.write(out));
    });
}

/// The number of one of OpenTelemetry's words.
fn number(row: &SpanRef<'_>, column: usize, word: &str, words: &[&str]) -> Result<u32> {
    let place = words.iter().position(|known| *known == word);
    place
        .and_then(|number| u32::try_from(number).ok())
        .ok_or_else(|| wrong(row, column, format_args!("{word:?} is none of {}", words.join(", "))))
}

fn events(row: &SpanRef<'_>) -> Result<Vec<(json::Event, Attributes)>> {
    let Some(text) = row.optional(col::EVENTS).filter(|text| !text.is_empty()) else {
        return Ok(Vec::new());
    };
    let read = || {
        let events: Vec<json::Event> = serde_json::from_str(text)?;
        let with_attributes = events.into_iter().map(|event| {
            let attributes = attributes::read(&event.attributes)?;
            Ok((event, attributes))
        });
        with_attributes.collect::<serde_json::Result<_>>()
    };
    read().map_err(|error| wrong(row, col::EVENTS, error))
}

fn links(row: &SpanRef<'_>) -> Result<Vec<Link>> {
    let Some(text) = row.optional(col::LINKS).filter(|text| !text.is_empty()) else {
        return Ok(Vec::new());
    };
    let links: Vec<json::Link> =
        serde_json::from_str(text).map_err(|error| wrong(row, col::LINKS, error))?;
    let id = |hex: &str| {
        hex::decode(hex)
            .map_err(|_| wrong(row, col::LINKS, format_args!("{hex:?} is no id in hex")))
    };
    let read = links.into_iter().map(|link| {
        let attributes = attributes::read(&link.attributes);
        Ok(Link {
            trace_id: id(&link.trace_id)?,
            span_id: id(&link.span_id)?,
            attributes: attributes.map_err(|error| wrong(row, col::LINKS, error))?,
            link,
        })
    });
    read.collect()
}
