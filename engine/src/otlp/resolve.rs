//! Step two, once per batch: from the views that step one left to a `SpanBatch`.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, FixedSizeBinaryBuilder, Int64Builder, RecordBatch, StringViewBuilder,
    TimestampNanosecondBuilder, UInt32Builder,
};

use super::attributes::{Attributes, KeyCounts, limits, text};
use super::lists::{write_event, write_link, write_list};
use super::wire::Fields;
use crate::error::{Error, Result};
use crate::model::batch::SpanBatch;
use crate::model::catalog::Scope;
use crate::model::hot::{HotRequest, HotSpan, Pieces, Resolved};
use crate::model::schema::{Marks, UNKNOWN_SERVICE, UTC, kind_word, span_schema, status_word};

/// Resolves all spans of these requests, in order.
///
/// # Errors
/// `Invalid` when the text of one column does not fit an Arrow array (4 GiB).
pub fn resolve<'a>(requests: impl IntoIterator<Item = &'a HotRequest>) -> Result<Resolved> {
    let mut columns = Columns::new();
    for request in requests {
        columns.add(request, &request.spans)?;
    }
    columns.finish()
}

/// Resolves single spans: positions in `HotRequest::spans`.
///
/// # Errors
/// As `resolve`.
pub fn resolve_rows(request: &HotRequest, rows: &[usize]) -> Result<SpanBatch> {
    let mut columns = Columns::new();
    let spans: Vec<HotSpan> =
        rows.iter().filter_map(|row| request.spans.get(*row)).cloned().collect();
    columns.add(request, &spans)?;
    Ok(columns.finish()?.batch)
}

/// A resource as its spans need it.
struct Resource {
    attributes: String,
    service_name: String,
    schema_url: String,
    marks: Marks,
}

/// A scope as its spans need it.
struct InstrumentationScope {
    name: String,
    version: String,
    attributes: String,
    schema_url: String,
    marks: Marks,
}

/// The columns of the span schema while they are filled.
struct Columns {
    trace_id: FixedSizeBinaryBuilder,
    span_id: FixedSizeBinaryBuilder,
    parent_span_id: FixedSizeBinaryBuilder,
    name: StringViewBuilder,
    service_name: StringViewBuilder,
    kind: StringViewBuilder,
    status_code: StringViewBuilder,
    status_message: StringViewBuilder,
    start_time: TimestampNanosecondBuilder,
    duration_ns: Int64Builder,
    attributes: StringViewBuilder,
    events: StringViewBuilder,
    links: StringViewBuilder,
    resource_attributes: StringViewBuilder,
    resource_schema_url: StringViewBuilder,
    scope_name: StringViewBuilder,
    scope_version: StringViewBuilder,
    scope_attributes: StringViewBuilder,
    scope_schema_url: StringViewBuilder,
    trace_state: StringViewBuilder,
    flags: UInt32Builder,
    dropped_attributes: UInt32Builder,
    dropped_events: UInt32Builder,
    dropped_links: UInt32Builder,
    marks: UInt32Builder,
    counts: KeyCounts,
}

/// Text columns whose values repeat keep each value once.
fn repeating() -> StringViewBuilder {
    StringViewBuilder::new().with_deduplicate_strings()
}

fn arrow(e: arrow::error::ArrowError) -> Error {
    Error::invalid(format!("spans do not fit Arrow columns: {e}"))
}

impl Columns {
    fn new() -> Self {
        Self {
            trace_id: FixedSizeBinaryBuilder::new(16),
            span_id: FixedSizeBinaryBuilder::new(8),
            parent_span_id: FixedSizeBinaryBuilder::new(8),
            name: repeating(),
            service_name: repeating(),
            kind: StringViewBuilder::new(),
            status_code: StringViewBuilder::new(),
            status_message: repeating(),
            start_time: TimestampNanosecondBuilder::new().with_timezone(UTC),
            duration_ns: Int64Builder::new(),
            attributes: StringViewBuilder::new(),
            events: StringViewBuilder::new(),
            links: StringViewBuilder::new(),
            resource_attributes: repeating(),
            resource_schema_url: repeating(),
            scope_name: repeating(),
            scope_version: repeating(),
            scope_attributes: repeating(),
            scope_schema_url: repeating(),
            trace_state: repeating(),
            flags: UInt32Builder::new(),
            dropped_attributes: UInt32Builder::new(),
            dropped_events: UInt32Builder::new(),
            dropped_links: UInt32Builder::new(),
            marks: UInt32Builder::new(),
            counts: KeyCounts::default(),
        }
    }

    fn add(&mut self, request: &HotRequest, spans: &[HotSpan]) -> Result<()> {
        let mut resource_rows: HashMap<u32, u64> = HashMap::new();
        let mut scope_rows: HashMap<u32, u64> = HashMap::new();
        for span in spans {
            *resource_rows.entry(span.resource).or_default() += 1;
            *scope_rows.entry(span.scope).or_default() += 1;
        }
        let mut resources: HashMap<u32, Resource> = HashMap::new();
        let mut scopes: HashMap<u32, InstrumentationScope> = HashMap::new();
        for span in spans {
            let resource = resources.entry(span.resource).or_insert_with(|| {
                let rows = resource_rows.get(&span.resource).copied().unwrap_or(0);
                let pieces = request.resources.get(span.resource as usize);
                read_resource(request, pieces, &mut self.counts, rows)
            });
            let scope = scopes.entry(span.scope).or_insert_with(|| {
                let rows = scope_rows.get(&span.scope).copied().unwrap_or(0);
                let pieces = request.scopes.get(span.scope as usize);
                read_scope(request, pieces, &mut self.counts, rows)
            });
            self.add_span(request, span, resource, scope)?;
        }
        Ok(())
    }

    fn add_span(
        &mut self,
        request: &HotRequest,
        span: &HotSpan,
        resource: &Resource,
        scope: &InstrumentationScope,
    ) -> Result<()> {
        let mut marks = span.marks;
        marks.add(resource.marks);
        marks.add(scope.marks);
        self.trace_id.append_value(span.trace_id).map_err(arrow)?;
        self.span_id.append_value(span.span_id).map_err(arrow)?;
        match span.parent_span_id {
            Some(parent) => self.parent_span_id.append_value(parent).map_err(arrow)?,
            None => self.parent_span_id.append_null(),
        }
        self.kind.append_value(kind_word(span.kind));
        self.status_code.append_value(status_word(span.status));
        self.start_time.append_value(span.start_ns);
        self.duration_ns.append_value(span.duration_ns);
        self.service_name.append_value(&resource.service_name);
        self.resource_attributes.append_value(&resource.attributes);
        self.resource_schema_url.append_option(some(&resource.schema_url));
        self.scope_name.append_option(some(&scope.name));
        self.scope_version.append_option(some(&scope.version));
        self.scope_attributes.append_value(&scope.attributes);
        self.scope_schema_url.append_option(some(&scope.schema_url));
        let message = slice(request, &span.message);
        self.add_message(message, &mut marks)?;
        self.marks.append_value(marks.0);
        Ok(())
    }

    /// What only the Span message itself says.
    fn add_message(&mut self, message: &[u8], marks: &mut Marks) -> Result<()> {
        let mut read = SpanFields::read(message, marks);
        let value_max = limits::VALUE_BYTES_MAX;
        self.name.try_append_value(text(read.name, value_max, marks)).map_err(arrow)?;
        self.trace_state.append_option(some(&text(read.trace_state, value_max, marks)));
        self.status_message.append_option(some(&text(read.status_message, value_max, marks)));
        let mut out = String::with_capacity(512);
        read.attributes.write(&mut out, &mut self.counts, Scope::Span, 1, marks);
        self.attributes.try_append_value(&out).map_err(arrow)?;
        out.clear();
        write_list(&mut out, &read.events, |out, message| {
            write_event(out, message, &mut self.counts, marks);
        });
        self.events.append_option(some(&out));
        out.clear();
        write_list(&mut out, &read.links, |out, message| {
            write_link(out, message, &mut self.counts, marks);
        });
        self.links.append_option(some(&out));
        read.dropped[0] = read.dropped[0].saturating_add(read.attributes.dropped);
        self.flags.append_value(read.flags);
        self.dropped_attributes.append_value(read.dropped[0]);
        self.dropped_events.append_value(read.dropped[1]);
        self.dropped_links.append_value(read.dropped[2]);
        Ok(())
    }

    fn finish(mut self) -> Result<Resolved> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.trace_id.finish()),
            Arc::new(self.span_id.finish()),
            Arc::new(self.parent_span_id.finish()),
            Arc::new(self.name.finish()),
            Arc::new(self.service_name.finish()),
            Arc::new(self.kind.finish()),
            Arc::new(self.status_code.finish()),
            Arc::new(self.status_message.finish()),
            Arc::new(self.start_time.finish()),
            Arc::new(self.duration_ns.finish()),
            Arc::new(self.attributes.finish()),
            Arc::new(self.events.finish()),
            Arc::new(self.links.finish()),
            Arc::new(self.resource_attributes.finish()),
            Arc::new(self.resource_schema_url.finish()),
            Arc::new(self.scope_name.finish()),
            Arc::new(self.scope_version.finish()),
            Arc::new(self.scope_attributes.finish()),
            Arc::new(self.scope_schema_url.finish()),
            Arc::new(self.trace_state.finish()),
            Arc::new(self.flags.finish()),
            Arc::new(self.dropped_attributes.finish()),
            Arc::new(self.dropped_events.finish()),
            Arc::new(self.dropped_links.finish()),
            Arc::new(self.marks.finish()),
        ];
        let batch = RecordBatch::try_new(span_schema().clone(), columns).map_err(arrow)?;
        Ok(Resolved { batch: SpanBatch::try_new(batch)?, catalog: self.counts.into_catalog() })
    }
}

/// The parts of a Span message that step one left alone.
#[derive(Default)]
struct SpanFields<'a> {
    name: &'a [u8],
    trace_state: &'a [u8],
    status_message: &'a [u8],
    attributes: Attributes<'a>,
    events: Vec<&'a [u8]>,
    links: Vec<&'a [u8]>,
    flags: u32,
    /// Counts of dropped attributes, events and links: the sender's, and ours added.
    dropped: [u32; 3],
}

impl<'a> SpanFields<'a> {
    fn read(message: &'a [u8], marks: &mut Marks) -> Self {
        let mut read = Self::default();
        let (mut events_over, mut links_over) = (0_u32, 0_u32);
        let mut fields = Fields::new(message, 0);
        while let Ok(Some((field, value))) = fields.next() {
            match field {
                3 => read.trace_state = value.bytes(),
                5 => read.name = value.bytes(),
                9 => read.attributes.push(value.bytes(), marks),
                10 => read.dropped[0] = value.varint() as u32,
                11 if read.events.len() < limits::EVENTS_MAX => read.events.push(value.bytes()),
                11 => events_over += 1,
                12 => read.dropped[1] = value.varint() as u32,
                13 if read.links.len() < limits::LINKS_MAX => read.links.push(value.bytes()),
                13 => links_over += 1,
                14 => read.dropped[2] = value.varint() as u32,
                15 => {
                    let mut status = Fields::new(value.bytes(), 0);
                    while let Ok(Some((field, value))) = status.next() {
                        if field == 2 {
                            read.status_message = value.bytes();
                        }
                    }
                }
                16 => read.flags = value.fixed32(),
                _ => {}
            }
        }
        if events_over + links_over > 0 {
            marks.add(Marks::TRUNCATED);
        }
        read.dropped[1] = read.dropped[1].saturating_add(events_over);
        read.dropped[2] = read.dropped[2].saturating_add(links_over);
        read
    }
}

/// Empty text is absent text, as protobuf has it.
fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn slice<'a>(request: &'a HotRequest, range: &std::ops::Range<u32>) -> &'a [u8] {
    request.body.get(range.start as usize..range.end as usize).unwrap_or_default()
}

fn read_resource(
    request: &HotRequest,
    pieces: Option<&Pieces>,
    counts: &mut KeyCounts,
    rows: u64,
) -> Resource {
    let mut marks = Marks::default();
    let mut attributes = Attributes::default();
    let pieces = pieces.cloned().unwrap_or_default();
    for piece in &pieces.message {
        let mut fields = Fields::new(slice(request, piece), 0);
        while let Ok(Some((field, value))) = fields.next() {
            if field == 1 {
                attributes.push(value.bytes(), &mut marks);
            }
        }
    }
    let mut out = String::new();
    attributes.write(&mut out, counts, Scope::Resource, rows, &mut marks);
    let named = attributes.string("service.name").filter(|name| !name.is_empty());
    let service_name = match named {
        Some(name) => text(name, limits::VALUE_BYTES_MAX, &mut marks).into_owned(),
        None => {
            marks.add(Marks::NO_SERVICE);
            UNKNOWN_SERVICE.to_owned()
        }
    };
    let schema_url = schema_url(request, &pieces, &mut marks);
    Resource { attributes: out, service_name, schema_url, marks }
}

fn read_scope(
    request: &HotRequest,
    pieces: Option<&Pieces>,
    counts: &mut KeyCounts,
    rows: u64,
) -> InstrumentationScope {
    let mut marks = Marks::default();
    let mut attributes = Attributes::default();
    let pieces = pieces.cloned().unwrap_or_default();
    let (mut name, mut version): (&[u8], &[u8]) = (&[], &[]);
    for piece in &pieces.message {
        let mut fields = Fields::new(slice(request, piece), 0);
        while let Ok(Some((field, value))) = fields.next() {
            match field {
                1 => name = value.bytes(),
                2 => version = value.bytes(),
                3 => attributes.push(value.bytes(), &mut marks),
                _ => {}
            }
        }
    }
    let mut out = String::new();
    attributes.write(&mut out, counts, Scope::Scope, rows, &mut marks);
    InstrumentationScope {
        name: text(name, limits::VALUE_BYTES_MAX, &mut marks).into_owned(),
        version: text(version, limits::VALUE_BYTES_MAX, &mut marks).into_owned(),
        attributes: out,
        schema_url: schema_url(request, &pieces, &mut marks),
        marks,
    }
}

fn schema_url(request: &HotRequest, pieces: &Pieces, marks: &mut Marks) -> String {
    text(slice(request, &pieces.schema_url), limits::VALUE_BYTES_MAX, marks).into_owned()
}
