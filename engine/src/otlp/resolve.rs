//! Step two, once per batch: from the views that step one left to a `SpanBatch`.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, FixedSizeBinaryBuilder, Int64Builder, RecordBatch, StringViewBuilder,
    TimestampNanosecondBuilder, UInt32Builder,
};

use super::attributes::Attributes;
use super::groups::{Groups, slice};
use super::keys::{Keys, ScopeKeys};
use super::lists::{write_event, write_link, write_list};
use super::text::{limits, text};
use super::wire::Fields;
use crate::error::{Error, Result};
use crate::model::batch::SpanBatch;
use crate::model::catalog::Scope;
use crate::model::hot::{HotRequest, HotSpan, Resolved};
use crate::model::schema::{Marks, UTC, kind_word, span_schema, status_word};

/// Resolves all spans of these requests, in order.
///
/// # Errors
/// `Invalid` when the text of one column does not fit an Arrow array (4 GiB).
pub fn resolve<'a>(requests: impl IntoIterator<Item = &'a HotRequest>) -> Result<Resolved> {
    let requests: Vec<&HotRequest> = requests.into_iter().collect();
    let rows = requests.iter().map(|request| request.spans.len()).sum();
    let mut columns = Columns::new(rows, Keys::default());
    for request in requests {
        columns.add(request, &request.spans)?;
    }
    columns.finish()
}

/// Resolves single spans: positions in `HotRequest::spans`.
///
/// # Errors
/// As `resolve`.
pub fn resolve_rows(requests: &[(&HotRequest, Vec<usize>)]) -> Result<SpanBatch> {
    let rows = requests.iter().map(|(_, rows)| rows.len()).sum();
    let mut columns = Columns::new(rows, Keys::uncounted());
    for (request, rows) in requests {
        let spans: Vec<HotSpan> =
            rows.iter().filter_map(|row| request.spans.get(*row)).cloned().collect();
        columns.add(request, &spans)?;
    }
    Ok(columns.finish()?.batch)
}

/// The columns of the span schema while they are filled.
struct Columns {
    trace_id: FixedSizeBinaryBuilder,
    span_id: FixedSizeBinaryBuilder,
    parent_span_id: FixedSizeBinaryBuilder,
    name: StringViewBuilder,
    kind: StringViewBuilder,
    status_code: StringViewBuilder,
    status_message: StringViewBuilder,
    start_time: TimestampNanosecondBuilder,
    duration_ns: Int64Builder,
    attributes: StringViewBuilder,
    events: StringViewBuilder,
    links: StringViewBuilder,
    trace_state: StringViewBuilder,
    flags: UInt32Builder,
    dropped_attributes: UInt32Builder,
    dropped_events: UInt32Builder,
    dropped_links: UInt32Builder,
    marks: UInt32Builder,
    resources: Groups,
    scopes: Groups,
    keys: Keys,
    /// Where texts are written before they are appended.
    scratch: Vec<u8>,
}

/// Text columns whose values repeat keep each value once.
fn repeating(rows: usize) -> StringViewBuilder {
    StringViewBuilder::with_capacity(rows).with_deduplicate_strings()
}

fn arrow(e: arrow::error::ArrowError) -> Error {
    Error::invalid(format!("spans do not fit Arrow columns: {e}"))
}

impl Columns {
    /// Columns of so many rows.
    fn new(rows: usize, keys: Keys) -> Self {
        Self {
            trace_id: FixedSizeBinaryBuilder::with_capacity(rows, 16),
            span_id: FixedSizeBinaryBuilder::with_capacity(rows, 8),
            parent_span_id: FixedSizeBinaryBuilder::with_capacity(rows, 8),
            name: repeating(rows),
            kind: StringViewBuilder::with_capacity(rows),
            status_code: StringViewBuilder::with_capacity(rows),
            status_message: repeating(rows),
            start_time: TimestampNanosecondBuilder::with_capacity(rows).with_timezone(UTC),
            duration_ns: Int64Builder::with_capacity(rows),
            attributes: StringViewBuilder::with_capacity(rows),
            events: StringViewBuilder::with_capacity(rows),
            links: StringViewBuilder::with_capacity(rows),
            trace_state: repeating(rows),
            flags: UInt32Builder::with_capacity(rows),
            dropped_attributes: UInt32Builder::with_capacity(rows),
            dropped_events: UInt32Builder::with_capacity(rows),
            dropped_links: UInt32Builder::with_capacity(rows),
            marks: UInt32Builder::with_capacity(rows),
            resources: Groups::resources(),
            scopes: Groups::scopes(),
            keys,
            scratch: Vec::new(),
        }
    }

    fn add(&mut self, request: &HotRequest, spans: &[HotSpan]) -> Result<()> {
        let Self { resources, scopes, keys, .. } = self;
        let of = spans.iter().map(|span| span.resource);
        let keys_of = keys.of(Scope::Resource);
        let resource_numbers = resources.numbers(request, &request.resources, of, keys_of);
        let of = spans.iter().map(|span| span.scope);
        let keys_of = keys.of(Scope::Scope);
        let scope_numbers = scopes.numbers(request, &request.scopes, of, keys_of);
        for span in spans {
            let number = |numbers: &[u32], at: u32| numbers.get(at as usize).copied().unwrap_or(0);
            let mut marks = span.marks;
            marks.add(self.resources.add_span(number(&resource_numbers, span.resource)));
            marks.add(self.scopes.add_span(number(&scope_numbers, span.scope)));
            self.add_span(request, span, marks)?;
        }
        Ok(())
    }

    fn add_span(&mut self, request: &HotRequest, span: &HotSpan, mut marks: Marks) -> Result<()> {
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
        self.add_message(slice(request, &span.message), &mut marks)?;
        self.marks.append_value(marks.0);
        Ok(())
    }

    /// What only the Span message itself says.
    fn add_message(&mut self, message: &[u8], marks: &mut Marks) -> Result<()> {
        let keys = self.keys.of(Scope::Span);
        let mut read = SpanFields::read(message, keys, marks);
        let value_max = limits::VALUE_BYTES_MAX;
        self.name.try_append_value(text(read.name, value_max, marks)).map_err(arrow)?;
        self.trace_state.append_option(some(&text(read.trace_state, value_max, marks)));
        self.status_message.append_option(some(&text(read.status_message, value_max, marks)));
        let out = &mut self.scratch;
        out.clear();
        read.attributes.write_counted(out, keys, marks);
        self.attributes.try_append_value(written(out)?).map_err(arrow)?;
        out.clear();
        let keys = self.keys.of(Scope::Event);
        write_list(out, &read.events, |out, message| write_event(out, message, keys, marks));
        self.events.append_option(some(written(out)?));
        out.clear();
        let keys = self.keys.of(Scope::Link);
        write_list(out, &read.links, |out, message| write_link(out, message, keys, marks));
        self.links.append_option(some(written(out)?));
        read.dropped[0] = read.dropped[0].saturating_add(read.attributes.dropped);
        self.flags.append_value(read.flags);
        self.dropped_attributes.append_value(read.dropped[0]);
        self.dropped_events.append_value(read.dropped[1]);
        self.dropped_links.append_value(read.dropped[2]);
        Ok(())
    }

    fn finish(mut self) -> Result<Resolved> {
        let resources = |column| self.resources.column(column).map_err(arrow);
        let scopes = |column| self.scopes.column(column).map_err(arrow);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.trace_id.finish()),
            Arc::new(self.span_id.finish()),
            Arc::new(self.parent_span_id.finish()),
            Arc::new(self.name.finish()),
            resources(0)?,
            Arc::new(self.kind.finish()),
            Arc::new(self.status_code.finish()),
            Arc::new(self.status_message.finish()),
            Arc::new(self.start_time.finish()),
            Arc::new(self.duration_ns.finish()),
            Arc::new(self.attributes.finish()),
            Arc::new(self.events.finish()),
            Arc::new(self.links.finish()),
            resources(1)?,
            resources(2)?,
            scopes(0)?,
            scopes(1)?,
            scopes(2)?,
            scopes(3)?,
            Arc::new(self.trace_state.finish()),
            Arc::new(self.flags.finish()),
            Arc::new(self.dropped_attributes.finish()),
            Arc::new(self.dropped_events.finish()),
            Arc::new(self.dropped_links.finish()),
            Arc::new(self.marks.finish()),
        ];
        let batch = RecordBatch::try_new(span_schema().clone(), columns).map_err(arrow)?;
        Ok(Resolved { batch: SpanBatch::try_new(batch)?, catalog: self.keys.into_catalog() })
    }
}

/// The parts of a Span message that step one left alone.
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
    fn read(message: &'a [u8], keys: &mut ScopeKeys, marks: &mut Marks) -> Self {
        let mut read = Self {
            name: &[],
            trace_state: &[],
            status_message: &[],
            attributes: Attributes::begin(keys),
            events: Vec::new(),
            links: Vec::new(),
            flags: 0,
            dropped: [0; 3],
        };
        let (mut events_over, mut links_over) = (0_u32, 0_u32);
        let mut fields = Fields::new(message, 0);
        while let Ok(Some((field, value))) = fields.next() {
            match field {
                3 => read.trace_state = value.bytes(),
                5 => read.name = value.bytes(),
                9 => read.attributes.push(value.bytes(), keys, marks),
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

/// The text that was written here.
fn written(out: &[u8]) -> Result<&str> {
    str::from_utf8(out)
        .map_err(|e| Error::invalid(format!("text that is no UTF-8 was written: {e}")))
}

/// Empty text is absent text, as protobuf has it.
fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
