//! Spans from columns that somebody else put together: a file, or the answer of a query.
//!
//! Columns are found by name. Ids are bytes or hex text, text is any of Arrow's, times are in any
//! unit, counts are integers of any width. A column that may be null, or is a count, may be
//! missing; columns that the span schema does not have are passed over.

use std::sync::Arc;

use amida::schema::{COLUMN_NAMES, col};
use amida::{SpanBatch, span_schema};
use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeBinaryBuilder, RecordBatch, StringViewArray, UInt32Array,
    new_null_array,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Schema};

/// Where the columns of the span schema stand.
#[derive(Debug)]
pub struct SpanColumns {
    places: Vec<Option<usize>>,
}

impl SpanColumns {
    /// Finds the columns.
    ///
    /// # Errors
    /// Names the column that is missing or has a type that is none for it.
    pub fn find(schema: &Schema) -> Result<Self, String> {
        let mut places = Vec::with_capacity(COLUMN_NAMES.len());
        for (column, wanted) in span_schema().fields().iter().enumerate() {
            let place = schema.column_with_name(wanted.name());
            match place {
                Some((_, found)) if !fits(column, found.data_type()) => {
                    return Err(format!(
                        "column {} is {}, expected {}",
                        wanted.name(),
                        found.data_type(),
                        expected(column)
                    ));
                }
                None if !wanted.is_nullable() && !is_count(column) => {
                    return Err(format!(
                        "there is no column {}: these are no spans as Amida exports them",
                        wanted.name()
                    ));
                }
                found => places.push(found.map(|(place, _)| place)),
            }
        }
        Ok(Self { places })
    }

    /// The spans of a batch of that schema.
    ///
    /// # Errors
    /// Names the column and what is wrong in it.
    pub fn spans(&self, batch: &RecordBatch) -> Result<SpanBatch, String> {
        let mut columns = Vec::with_capacity(self.places.len());
        for (column, place) in self.places.iter().enumerate() {
            let wanted = span_schema().field(column);
            let found = match place {
                Some(place) => convert(column, batch.column(*place))
                    .map_err(|why| format!("column {}: {why}", wanted.name()))?,
                None if is_count(column) => {
                    Arc::new(UInt32Array::from(vec![0; batch.num_rows()])) as ArrayRef
                }
                None => new_null_array(wanted.data_type(), batch.num_rows()),
            };
            if !wanted.is_nullable() && found.null_count() > 0 {
                return Err(format!("column {}: a value is null", wanted.name()));
            }
            columns.push(found);
        }
        RecordBatch::try_new(span_schema().clone(), columns)
            .map_err(|error| error.to_string())
            .and_then(|batch| SpanBatch::try_new(batch).map_err(|error| error.to_string()))
    }
}

/// Flags, dropped counts and marks are zero where nobody counted.
fn is_count(column: usize) -> bool {
    (col::FLAGS..=col::MARKS).contains(&column)
}

fn is_id(column: usize) -> bool {
    column <= col::PARENT_SPAN_ID
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

fn fits(column: usize, data_type: &DataType) -> bool {
    use DataType::{Binary, BinaryView, FixedSizeBinary, LargeBinary, Timestamp};
    match column {
        _ if is_id(column) => {
            let is_bytes = matches!(data_type, Binary | LargeBinary | BinaryView);
            is_bytes || *data_type == FixedSizeBinary(id_bytes(column)) || is_text(data_type)
        }
        col::START_TIME => matches!(data_type, Timestamp(..)),
        col::DURATION_NS => data_type.is_integer(),
        _ if is_count(column) => data_type.is_integer(),
        _ => is_text(data_type),
    }
}

fn expected(column: usize) -> String {
    match column {
        _ if is_id(column) => format!("{} bytes, or hex text", id_bytes(column)),
        col::START_TIME => "a timestamp".to_owned(),
        col::DURATION_NS => "an integer".to_owned(),
        _ if is_count(column) => "an integer".to_owned(),
        _ => "text".to_owned(),
    }
}

fn id_bytes(column: usize) -> i32 {
    if column == col::TRACE_ID { 16 } else { 8 }
}

/// The column in the type of the span schema.
fn convert(column: usize, found: &ArrayRef) -> Result<ArrayRef, String> {
    let wanted = span_schema().field(column).data_type();
    if found.data_type() == wanted {
        return Ok(Arc::clone(found));
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let cast = |to| cast_with_options(found, to, &strict).map_err(|error| error.to_string());
    match column {
        _ if is_id(column) && is_text(found.data_type()) => {
            ids(cast(&DataType::Utf8View)?.as_string_view(), id_bytes(column))
        }
        _ if is_id(column) => {
            let bytes = cast(&DataType::BinaryView)?;
            let mut ids = FixedSizeBinaryBuilder::new(id_bytes(column));
            for id in bytes.as_binary_view() {
                match id {
                    Some(id) => ids.append_value(id).map_err(|error| error.to_string())?,
                    None => ids.append_null(),
                }
            }
            Ok(Arc::new(ids.finish()))
        }
        _ => cast(wanted),
    }
}

/// Ids in hex; empty text is no id.
fn ids(texts: &StringViewArray, bytes: i32) -> Result<ArrayRef, String> {
    let mut ids = FixedSizeBinaryBuilder::new(bytes);
    for text in texts {
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            ids.append_null();
            continue;
        };
        let no_id = || format!("{text:?} is no id: expected {} hex digits", 2 * bytes);
        let id = hex::decode(text).map_err(|_| no_id())?;
        ids.append_value(id).map_err(|_| no_id())?;
    }
    Ok(Arc::new(ids.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use amida::{RequestBuilder, Resource, SpanBuilder, Store};
    use arrow::datatypes::{Field, TimeUnit};

    fn spans() -> SpanBatch {
        let store = Store::in_memory();
        let id = "4bf92f3577b34da6a3ce929d0e0e4736".parse().unwrap();
        let root = "00f067aa0ba902b7".parse().unwrap();
        let spans = [
            SpanBuilder::new(id, root, "a").start_ns(5_000),
            SpanBuilder::new(id, "00f067aa0ba902b8".parse().unwrap(), "b").parent(root),
        ];
        let body = RequestBuilder::new(Resource::new("shop")).spans(spans).finish();
        assert_eq!(store.append_otlp(body).unwrap().accepted(), 2);
        store.snapshot().hot_batches().unwrap().remove(0)
    }

    /// The batch with some columns replaced, or taken away.
    fn with(
        batch: &SpanBatch,
        change: impl Fn(&str, &ArrayRef) -> Option<ArrayRef>,
    ) -> RecordBatch {
        let (mut fields, mut columns) = (Vec::new(), Vec::new());
        for (name, column) in COLUMN_NAMES.iter().zip(batch.record_batch().columns()) {
            if let Some(column) = change(name, column) {
                fields.push(Field::new(*name, column.data_type().clone(), true));
                columns.push(column);
            }
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
    }

    fn read(batch: &RecordBatch) -> Result<SpanBatch, String> {
        SpanColumns::find(&batch.schema())?.spans(batch)
    }

    fn cast_to(column: &ArrayRef, to: &DataType) -> ArrayRef {
        arrow::compute::cast(column, to).unwrap()
    }

    fn hex_of(column: &ArrayRef) -> ArrayRef {
        let text = |id: &[u8]| id.iter().map(|byte| format!("{byte:02X}")).collect::<String>();
        let ids = column.as_fixed_size_binary().iter().map(|id| id.map(text));
        Arc::new(ids.collect::<arrow::array::StringArray>())
    }

    #[test]
    fn columns_of_other_types_are_the_same_spans() {
        let batch = spans();
        let other = with(&batch, |name, column| {
            Some(match name {
                "trace_id" | "parent_span_id" => hex_of(column),
                "span_id" => cast_to(column, &DataType::Binary),
                "start_time" => cast_to(column, &DataType::Timestamp(TimeUnit::Microsecond, None)),
                "flags" => cast_to(column, &DataType::Int64),
                "name" => cast_to(column, &DataType::Utf8),
                "kind" => {
                    let keys = Box::new(DataType::Int32);
                    cast_to(column, &DataType::Dictionary(keys, Box::new(DataType::Utf8)))
                }
                _ => column.clone(),
            })
        });
        assert_eq!(read(&other).unwrap().record_batch(), batch.record_batch());
    }

    #[test]
    fn columns_that_may_be_missing_are_null_or_zero_and_strange_ones_are_passed_over() {
        let batch = spans();
        let missing = ["events", "links", "trace_state", "flags", "marks", "status_message"];
        let some = with(&batch, |name, column| (!missing.contains(&name)).then(|| column.clone()));
        let read = read(&some).unwrap();
        assert_eq!(read.span(0).unwrap().flags(), 0);
        assert_eq!(read.span(1).unwrap().name(), "b");
        let more = batch.record_batch().columns().iter().cloned().map(Some);
        let mut columns: Vec<(String, ArrayRef)> = Vec::new();
        for (name, column) in COLUMN_NAMES.iter().zip(more).rev() {
            columns.push(((*name).to_owned(), column.unwrap()));
            columns.push((format!("attr.{name}"), columns[0].1.clone()));
        }
        let more = RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().map(|(name, column)| (name, column, true)),
        );
        assert_eq!(
            super::tests::read(&more.unwrap()).unwrap().record_batch(),
            batch.record_batch()
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_column() {
        let batch = spans();
        let replaced = |which: &'static str, by: ArrayRef| {
            read(&with(&batch, |name, column| {
                Some(if name == which { by.clone() } else { column.clone() })
            }))
            .unwrap_err()
        };
        let texts = |texts: [Option<&str>; 2]| Arc::new(StringViewArray::from(texts.to_vec()));
        let numbers = Arc::new(arrow::array::Int64Array::from(vec![-1, 1]));
        for (error, words) in [
            (replaced("name", numbers.clone()), "column name is Int64, expected text"),
            (replaced("trace_id", numbers.clone()), "trace_id is Int64, expected 16 bytes"),
            (replaced("flags", numbers.clone()), "column flags: "),
            (replaced("start_time", numbers), "start_time is Int64, expected a timestamp"),
            (replaced("name", texts([Some("a"), None])), "column name: a value is null"),
            (replaced("span_id", texts([Some("xy"), None])), "span_id: \"xy\" is no id"),
            (replaced("span_id", texts([Some("abcd"), None])), "span_id: \"abcd\" is no id"),
        ] {
            assert!(error.contains(words), "{error}");
        }
        let nameless = with(&batch, |name, column| (name != "name").then(|| column.clone()));
        assert!(read(&nameless).unwrap_err().contains("there is no column name"));
    }
}
