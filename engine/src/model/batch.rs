//! `SpanBatch`: an Arrow record batch that is proven to have the span schema, and `SpanRef`, which
//! reads one row of it.

use arrow::array::{
    Array, AsArray, FixedSizeBinaryArray, Int64Array, RecordBatch, StringViewArray, UInt32Array,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{Int64Type, TimestampNanosecondType, UInt32Type};

use super::ids::{SpanId, TraceId};
use super::json;
use super::schema::{Marks, col, span_schema};
use crate::error::{Error, Result};

/// Spans in columns: a `RecordBatch` with exactly the span schema (see `schema`).
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use amida::{RequestBuilder, Resource, SpanBuilder, Store};
/// # let store = Store::in_memory();
/// # let id = "4bf92f3577b34da6a3ce929d0e0e4736".parse()?;
/// # let span = SpanBuilder::new(id, "00f067aa0ba902b7".parse()?, "GET /cart")
/// #     .attribute("http.response.status_code", 503);
/// # let body = RequestBuilder::new(Resource::new("checkout")).span(span).finish();
/// # let _receipt = store.append_otlp(body)?;
/// use amida::{Predicate, SpanBatch};
///
/// for batch in store.snapshot().scan(&Predicate::new())? {
///     let batch: SpanBatch = batch?;
///     println!("{} spans, {:?}", batch.len(), batch.record_batch().schema());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct SpanBatch(RecordBatch);

impl SpanBatch {
    /// Takes a record batch that has the span schema.
    ///
    /// # Errors
    /// `Invalid` when the schema is another one.
    pub fn try_new(batch: RecordBatch) -> Result<Self> {
        let schema = batch.schema();
        for (want, have) in span_schema().fields().iter().zip(schema.fields()) {
            if want.name() != have.name() || want.data_type() != have.data_type() {
                return Err(Error::invalid(format!(
                    "not a span batch: expected column {} {}, found {} {}",
                    want.name(),
                    want.data_type(),
                    have.name(),
                    have.data_type()
                )));
            }
        }
        if schema.fields().len() != span_schema().fields().len() {
            return Err(Error::invalid(format!(
                "not a span batch: expected {} columns, found {}",
                span_schema().fields().len(),
                schema.fields().len()
            )));
        }
        Ok(Self(batch))
    }

    /// A batch without rows.
    pub fn empty() -> Self {
        Self(RecordBatch::new_empty(span_schema().clone()))
    }

    /// One batch with the rows of all, in order.
    ///
    /// # Errors
    /// `Invalid` when Arrow cannot hold that many bytes in one array.
    pub fn concat(batches: &[SpanBatch]) -> Result<Self> {
        let parts = batches.iter().map(|b| &b.0);
        concat_batches(span_schema(), parts)
            .map(Self)
            .map_err(|e| Error::invalid(format!("spans do not fit one batch: {e}")))
    }

    /// Rows `offset..offset + len`, without copying.
    pub fn slice(&self, offset: usize, len: usize) -> Self {
        Self(self.0.slice(offset, len))
    }

    /// The Arrow batch.
    pub fn record_batch(&self) -> &RecordBatch {
        &self.0
    }

    /// The Arrow batch, owned.
    pub fn into_record_batch(self) -> RecordBatch {
        self.0
    }

    /// Number of spans.
    pub fn len(&self) -> usize {
        self.0.num_rows()
    }

    /// Whether there is no span.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The spans, row by row.
    pub fn spans(&self) -> impl ExactSizeIterator<Item = SpanRef<'_>> {
        (0..self.len()).map(|row| SpanRef { batch: self, row })
    }

    /// One row; `None` past the end.
    pub fn span(&self, row: usize) -> Option<SpanRef<'_>> {
        (row < self.len()).then_some(SpanRef { batch: self, row })
    }

    /// Start times in nanoseconds since the epoch, a value a row.
    pub fn start_times(&self) -> &[i64] {
        self.0.column(col::START_TIME).as_primitive::<TimestampNanosecondType>().values()
    }

    /// A text column by its position in the schema.
    pub(crate) fn text(&self, column: usize) -> &StringViewArray {
        self.0.column(column).as_string_view()
    }

    /// An id column by its position in the schema.
    pub(crate) fn ids(&self, column: usize) -> &FixedSizeBinaryArray {
        self.0.column(column).as_fixed_size_binary()
    }

    /// A column of counts by its position in the schema.
    pub(crate) fn counts(&self, column: usize) -> &UInt32Array {
        self.0.column(column).as_primitive::<UInt32Type>()
    }

    fn durations(&self) -> &Int64Array {
        self.0.column(col::DURATION_NS).as_primitive::<Int64Type>()
    }
}

/// One span: a row of a `SpanBatch`.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use amida::{RequestBuilder, Resource, SpanBuilder, Store};
/// # let store = Store::in_memory();
/// # let id = "4bf92f3577b34da6a3ce929d0e0e4736".parse()?;
/// # let span = SpanBuilder::new(id, "00f067aa0ba902b7".parse()?, "GET /cart")
/// #     .attribute("http.response.status_code", 503);
/// # let body = RequestBuilder::new(Resource::new("checkout")).span(span).finish();
/// # let _receipt = store.append_otlp(body)?;
/// use amida::json::Value;
///
/// let trace = store.snapshot().trace(id)?.ok_or("it was just stored")?;
/// let span = trace.root();
/// assert_eq!((span.service_name(), span.name()), ("checkout", "GET /cart"));
/// assert_eq!(span.attribute("http.response.status_code"), Some(Value::Int(503)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy)]
pub struct SpanRef<'a> {
    batch: &'a SpanBatch,
    row: usize,
}

impl<'a> SpanRef<'a> {
    /// The trace this span belongs to.
    pub fn trace_id(&self) -> TraceId {
        // A stored id was checked at the door; zero would only be read from a damaged file.
        TraceId::from_bytes(self.batch.ids(col::TRACE_ID).value(self.row)).unwrap_or(NO_TRACE)
    }

    /// The span's own id.
    pub fn span_id(&self) -> SpanId {
        SpanId::from_bytes(self.batch.ids(col::SPAN_ID).value(self.row)).unwrap_or(NO_SPAN)
    }

    /// The parent's id; `None` for a root.
    pub fn parent_span_id(&self) -> Option<SpanId> {
        let ids = self.batch.ids(col::PARENT_SPAN_ID);
        if ids.is_null(self.row) { None } else { SpanId::from_bytes(ids.value(self.row)) }
    }

    /// What the span did: the operation.
    pub fn name(&self) -> &'a str {
        self.required(col::NAME)
    }

    /// `service.name` of the resource, or `unknown_service`.
    pub fn service_name(&self) -> &'a str {
        self.required(col::SERVICE_NAME)
    }

    /// `SERVER`, `CLIENT`, ...
    pub fn kind(&self) -> &'a str {
        self.required(col::KIND)
    }

    /// `UNSET`, `OK` or `ERROR`.
    pub fn status_code(&self) -> &'a str {
        self.required(col::STATUS_CODE)
    }

    /// The words beside the status; empty when there are none.
    pub fn status_message(&self) -> &'a str {
        self.optional(col::STATUS_MESSAGE).unwrap_or("")
    }

    /// Whether the status is `ERROR`.
    pub fn is_error(&self) -> bool {
        self.status_code() == "ERROR"
    }

    /// Nanoseconds since the epoch.
    pub fn start_time_ns(&self) -> i64 {
        self.batch.start_times().get(self.row).copied().unwrap_or(0)
    }

    /// End minus start in nanoseconds; may be negative.
    pub fn duration_ns(&self) -> i64 {
        self.batch.durations().value(self.row)
    }

    /// Nanoseconds since the epoch: start plus duration.
    pub fn end_time_ns(&self) -> i64 {
        self.start_time_ns().saturating_add(self.duration_ns())
    }

    /// The span's attributes as a JSON object (see `json`).
    pub fn attributes(&self) -> &'a str {
        self.required(col::ATTRIBUTES)
    }

    /// The resource's attributes as a JSON object.
    pub fn resource_attributes(&self) -> &'a str {
        self.required(col::RESOURCE_ATTRIBUTES)
    }

    /// The instrumentation scope's attributes as a JSON object.
    pub fn scope_attributes(&self) -> &'a str {
        self.required(col::SCOPE_ATTRIBUTES)
    }

    /// The value of one span attribute, typed; `None` when the span does not have it.
    pub fn attribute(&self, key: &str) -> Option<json::Value> {
        json::get(self.attributes(), key)
    }

    /// The span's events, in order of arrival.
    pub fn events(&self) -> Vec<json::Event> {
        self.optional(col::EVENTS).map(json::read_events).unwrap_or_default()
    }

    /// The span's links, in order of arrival.
    pub fn links(&self) -> Vec<json::Link> {
        self.optional(col::LINKS).map(json::read_links).unwrap_or_default()
    }

    /// Name of the instrumentation scope; empty when there is none.
    pub fn scope_name(&self) -> &'a str {
        self.optional(col::SCOPE_NAME).unwrap_or("")
    }

    /// Version of the instrumentation scope; empty when there is none.
    pub fn scope_version(&self) -> &'a str {
        self.optional(col::SCOPE_VERSION).unwrap_or("")
    }

    /// The schema URL of the scope; empty when there is none.
    pub fn scope_schema_url(&self) -> &'a str {
        self.optional(col::SCOPE_SCHEMA_URL).unwrap_or("")
    }

    /// The schema URL of the resource; empty when there is none.
    pub fn resource_schema_url(&self) -> &'a str {
        self.optional(col::RESOURCE_SCHEMA_URL).unwrap_or("")
    }

    /// W3C trace state; empty when there is none.
    pub fn trace_state(&self) -> &'a str {
        self.optional(col::TRACE_STATE).unwrap_or("")
    }

    /// How many attributes the sender or the store dropped.
    pub fn dropped_attributes_count(&self) -> u32 {
        self.batch.counts(col::DROPPED_ATTRIBUTES_COUNT).value(self.row)
    }

    /// How many events the sender or the store dropped.
    pub fn dropped_events_count(&self) -> u32 {
        self.batch.counts(col::DROPPED_EVENTS_COUNT).value(self.row)
    }

    /// How many links the sender or the store dropped.
    pub fn dropped_links_count(&self) -> u32 {
        self.batch.counts(col::DROPPED_LINKS_COUNT).value(self.row)
    }

    /// W3C trace flags and OpenTelemetry's bits above them.
    pub fn flags(&self) -> u32 {
        self.batch.counts(col::FLAGS).value(self.row)
    }

    /// What the store noticed about this span.
    pub fn marks(&self) -> Marks {
        Marks(self.batch.counts(col::MARKS).value(self.row))
    }

    /// The row's position in its batch.
    pub fn row(&self) -> usize {
        self.row
    }

    /// The text of a column that is never null.
    fn required(&self, column: usize) -> &'a str {
        self.batch.text(column).value(self.row)
    }

    /// The text of a column, where it is not null.
    pub(crate) fn optional(&self, column: usize) -> Option<&'a str> {
        let text = self.batch.text(column);
        (!text.is_null(self.row)).then(|| text.value(self.row))
    }
}

const NO_TRACE: TraceId = TraceId::INVALID;
const NO_SPAN: SpanId = SpanId::INVALID;
