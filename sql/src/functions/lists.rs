//! The events and links of a span as lists, for the tables `events` and `links`.

use std::sync::Arc;

use amida::{Scope, json};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, ListArray, StringViewBuilder, StructArray,
    TimestampNanosecondBuilder, UInt32Builder,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::role::Role;

/// Which list is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// The `events` column.
    Events,
    /// The `links` column.
    Links,
}

/// The function: JSON text to a list of structs.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct ReadList {
    kind: Kind,
    signature: Signature,
}

impl ReadList {
    /// The function as DataFusion takes it.
    pub(crate) fn udf(kind: Kind) -> Arc<ScalarUDF> {
        let signature = Signature::exact(vec![DataType::Utf8View], Volatility::Immutable);
        Arc::new(ScalarUDF::from(Self { kind, signature }))
    }
}

/// The columns of one element.
fn fields(kind: Kind) -> Fields {
    let text = |name: &str| Field::new(name, DataType::Utf8View, false);
    let count = |name: &str| Field::new(name, DataType::UInt32, false);
    match kind {
        Kind::Events => Fields::from(vec![
            Field::new(
                "time",
                DataType::Timestamp(TimeUnit::Nanosecond, Some(amida::schema::UTC.into())),
                false,
            ),
            text("name"),
            Role::Attributes(Scope::Event).mark(text("attributes")),
            count("dropped_attributes_count"),
        ]),
        Kind::Links => Fields::from(vec![
            Role::TraceId.mark(text("linked_trace_id")),
            Role::SpanId.mark(text("linked_span_id")),
            text("trace_state"),
            count("flags"),
            Role::Attributes(Scope::Link).mark(text("attributes")),
            count("dropped_attributes_count"),
        ]),
    }
}

fn item(kind: Kind) -> Field {
    Field::new("item", DataType::Struct(fields(kind)), true)
}

impl ScalarUDFImpl for ReadList {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Events => "span_events",
            Kind::Links => "span_links",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(Arc::new(item(self.kind))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let Some(texts) = args.args.into_iter().next() else {
            return exec_err!("{} takes one column", self.name());
        };
        let texts = texts.into_array(rows)?;
        let texts = texts.as_string_view();
        let texts = (0..rows).map(|row| (!texts.is_null(row)).then(|| texts.value(row)));
        let (lengths, columns) = match self.kind {
            Kind::Events => read_events(texts),
            Kind::Links => read_links(texts),
        };
        let nulls: Option<NullBuffer> = None;
        let values = StructArray::try_new(fields(self.kind), columns, nulls.clone())?;
        let offsets = OffsetBuffer::from_lengths(lengths);
        let list = ListArray::try_new(Arc::new(item(self.kind)), offsets, Arc::new(values), nulls)?;
        Ok(ColumnarValue::Array(Arc::new(list)))
    }
}

type Lists = (Vec<usize>, Vec<ArrayRef>);

fn read_events<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> Lists {
    let mut lengths = Vec::new();
    let mut time = TimestampNanosecondBuilder::new().with_timezone(amida::schema::UTC);
    let mut name = StringViewBuilder::new();
    let mut attributes = StringViewBuilder::new();
    let mut dropped = UInt32Builder::new();
    for text in texts {
        let events = text.map(json::read_events).unwrap_or_default();
        lengths.push(events.len());
        for event in events {
            time.append_value(event.time);
            name.append_value(event.name);
            attributes.append_value(event.attributes);
            dropped.append_value(event.dropped);
        }
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(time.finish()),
        Arc::new(name.finish()),
        Arc::new(attributes.finish()),
        Arc::new(dropped.finish()),
    ];
    (lengths, columns)
}

fn read_links<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> Lists {
    let mut lengths = Vec::new();
    let mut trace_id = StringViewBuilder::new();
    let mut span_id = StringViewBuilder::new();
    let mut trace_state = StringViewBuilder::new();
    let mut flags = UInt32Builder::new();
    let mut attributes = StringViewBuilder::new();
    let mut dropped = UInt32Builder::new();
    for text in texts {
        let links = text.map(json::read_links).unwrap_or_default();
        lengths.push(links.len());
        for link in links {
            trace_id.append_value(link.trace_id);
            span_id.append_value(link.span_id);
            trace_state.append_value(link.trace_state);
            flags.append_value(link.flags);
            attributes.append_value(link.attributes);
            dropped.append_value(link.dropped);
        }
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(trace_id.finish()),
        Arc::new(span_id.finish()),
        Arc::new(trace_state.finish()),
        Arc::new(flags.finish()),
        Arc::new(attributes.finish()),
        Arc::new(dropped.finish()),
    ];
    (lengths, columns)
}
