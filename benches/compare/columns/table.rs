//! Spans as columns: one row each, attributes as maps of text, events and links as lists.

use std::sync::Arc;

use amida_benches::process::Result;
use arrow::array::{
    ArrayBuilder, ArrayRef, BinaryBuilder, Int64Builder, ListBuilder, MapBuilder, RecordBatch,
    StringBuilder, StructBuilder, TimestampNanosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};

type Map = MapBuilder<StringBuilder, StringBuilder>;

/// Words of the collector's exporter for ClickHouse.
const KINDS: [&str; 6] = ["Unspecified", "Internal", "Server", "Client", "Producer", "Consumer"];
const STATUSES: [&str; 3] = ["Unset", "Ok", "Error"];

/// Columns that are being filled.
pub struct Table {
    trace_id: BinaryBuilder,
    span_id: BinaryBuilder,
    parent_span_id: BinaryBuilder,
    trace_state: StringBuilder,
    name: StringBuilder,
    kind: StringBuilder,
    service_name: StringBuilder,
    scope_name: StringBuilder,
    scope_version: StringBuilder,
    start_time: TimestampNanosecondBuilder,
    duration_ns: Int64Builder,
    status_code: StringBuilder,
    status_message: StringBuilder,
    attributes: Map,
    resource_attributes: Map,
    events: ListBuilder<StructBuilder>,
    links: ListBuilder<StructBuilder>,
}

fn map() -> Map {
    MapBuilder::new(None, StringBuilder::new(), StringBuilder::new())
}

fn map_type() -> DataType {
    let mut map = map();
    arrow::array::Array::data_type(&map.finish()).clone()
}

fn list(fields: Vec<(&str, DataType, Box<dyn ArrayBuilder>)>) -> ListBuilder<StructBuilder> {
    let (mut named, mut builders) = (Vec::new(), Vec::new());
    for (name, data_type, builder) in fields {
        named.push(Field::new(name, data_type, true));
        builders.push(builder);
    }
    ListBuilder::new(StructBuilder::new(Fields::from(named), builders))
}

impl Default for Table {
    fn default() -> Self {
        let text = || Box::new(StringBuilder::new());
        let events = list(vec![
            (
                "time",
                DataType::Timestamp(TimeUnit::Nanosecond, None),
                Box::new(TimestampNanosecondBuilder::new()),
            ),
            ("name", DataType::Utf8, text()),
            ("attributes", map_type(), Box::new(map())),
        ]);
        let links = list(vec![
            ("trace_id", DataType::Binary, Box::new(BinaryBuilder::new())),
            ("span_id", DataType::Binary, Box::new(BinaryBuilder::new())),
            ("trace_state", DataType::Utf8, text()),
            ("attributes", map_type(), Box::new(map())),
        ]);
        Self {
            trace_id: BinaryBuilder::new(),
            span_id: BinaryBuilder::new(),
            parent_span_id: BinaryBuilder::new(),
            trace_state: StringBuilder::new(),
            name: StringBuilder::new(),
            kind: StringBuilder::new(),
            service_name: StringBuilder::new(),
            scope_name: StringBuilder::new(),
            scope_version: StringBuilder::new(),
            start_time: TimestampNanosecondBuilder::new(),
            duration_ns: Int64Builder::new(),
            status_code: StringBuilder::new(),
            status_message: StringBuilder::new(),
            attributes: map(),
            resource_attributes: map(),
            events,
            links,
        }
    }
}

/// The text of an attribute's value.
fn append(map: &mut Map, attributes: &[KeyValue]) {
    for attribute in attributes {
        map.keys().append_value(&attribute.key);
        let value = attribute.value.as_ref().and_then(|value| value.value.as_ref());
        match value {
            Some(Value::StringValue(text)) => map.values().append_value(text),
            Some(Value::IntValue(number)) => map.values().append_value(number.to_string()),
            Some(Value::DoubleValue(number)) => map.values().append_value(number.to_string()),
            Some(Value::BoolValue(yes)) => map.values().append_value(yes.to_string()),
            other => map.values().append_value(format!("{other:?}")),
        }
    }
    // Keys and values are of one length.
    let _ = map.append(true);
}

fn append_event(list: &mut StructBuilder, event: &Event) {
    if let Some(time) = list.field_builder::<TimestampNanosecondBuilder>(0) {
        time.append_value(event.time_unix_nano as i64);
    }
    if let Some(name) = list.field_builder::<StringBuilder>(1) {
        name.append_value(&event.name);
    }
    if let Some(attributes) = list.field_builder::<Map>(2) {
        append(attributes, &event.attributes);
    }
    list.append(true);
}

fn append_link(list: &mut StructBuilder, link: &Link) {
    for (at, id) in [&link.trace_id, &link.span_id].into_iter().enumerate() {
        if let Some(ids) = list.field_builder::<BinaryBuilder>(at) {
            ids.append_value(id);
        }
    }
    if let Some(state) = list.field_builder::<StringBuilder>(2) {
        state.append_value(&link.trace_state);
    }
    if let Some(attributes) = list.field_builder::<Map>(3) {
        append(attributes, &link.attributes);
    }
    list.append(true);
}

/// `service.name`, as every system reads it.
pub fn service_name(resource: &[KeyValue]) -> &str {
    let found = resource.iter().find(|attribute| attribute.key == "service.name");
    match found.and_then(|attribute| attribute.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(name)) => name,
        _ => "",
    }
}

impl Table {
    /// Rows so far.
    pub fn rows(&self) -> usize {
        self.trace_id.len()
    }

    /// Adds the spans of a request.
    pub fn add(&mut self, request: &ExportTraceServiceRequest) {
        for of in &request.resource_spans {
            let resource = of.resource.as_ref().map_or(&[][..], |r| &r.attributes);
            for of in &of.scope_spans {
                let scope = of.scope.clone().unwrap_or_default();
                for span in &of.spans {
                    self.add_span(resource, &scope, span);
                }
            }
        }
    }

    fn add_span(&mut self, resource: &[KeyValue], scope: &InstrumentationScope, span: &Span) {
        self.trace_id.append_value(&span.trace_id);
        self.span_id.append_value(&span.span_id);
        self.parent_span_id.append_value(&span.parent_span_id);
        self.trace_state.append_value(&span.trace_state);
        self.name.append_value(&span.name);
        self.kind.append_value(KINDS.get(span.kind as usize).unwrap_or(&KINDS[0]));
        self.service_name.append_value(service_name(resource));
        self.scope_name.append_value(&scope.name);
        self.scope_version.append_value(&scope.version);
        self.start_time.append_value(span.start_time_unix_nano as i64);
        let duration = span.end_time_unix_nano as i64 - span.start_time_unix_nano as i64;
        self.duration_ns.append_value(duration);
        let (code, message) = match &span.status {
            Some(status) => (status.code as usize, &status.message[..]),
            None => (0, ""),
        };
        self.status_code.append_value(STATUSES.get(code).unwrap_or(&STATUSES[0]));
        self.status_message.append_value(message);
        append(&mut self.attributes, &span.attributes);
        append(&mut self.resource_attributes, resource);
        for event in &span.events {
            append_event(self.events.values(), event);
        }
        self.events.append(true);
        for link in &span.links {
            append_link(self.links.values(), link);
        }
        self.links.append(true);
    }

    /// The rows so far, and begins again.
    ///
    /// # Errors
    /// None in practice: all columns have one length.
    pub fn finish(&mut self) -> Result<RecordBatch> {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("trace_id", Arc::new(self.trace_id.finish())),
            ("span_id", Arc::new(self.span_id.finish())),
            ("parent_span_id", Arc::new(self.parent_span_id.finish())),
            ("trace_state", Arc::new(self.trace_state.finish())),
            ("name", Arc::new(self.name.finish())),
            ("kind", Arc::new(self.kind.finish())),
            ("service_name", Arc::new(self.service_name.finish())),
            ("scope_name", Arc::new(self.scope_name.finish())),
            ("scope_version", Arc::new(self.scope_version.finish())),
            ("start_time", Arc::new(self.start_time.finish())),
            ("duration_ns", Arc::new(self.duration_ns.finish())),
            ("status_code", Arc::new(self.status_code.finish())),
            ("status_message", Arc::new(self.status_message.finish())),
            ("attributes", Arc::new(self.attributes.finish())),
            ("resource_attributes", Arc::new(self.resource_attributes.finish())),
            ("events", Arc::new(self.events.finish())),
            ("links", Arc::new(self.links.finish())),
        ];
        let columns = columns.into_iter().map(|(name, column)| (name, column, false));
        Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
    }
}
