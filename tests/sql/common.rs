//! Small stores with known spans, and queries as lines of text.

use std::sync::Arc;

use amida::{MemoryFs, Options, PromotedType, Store};
use amida_sql::datafusion::arrow::array::RecordBatch;
use amida_sql::datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use amida_sql::{Error, Session};
use serde_json::{Value, json};

/// 2026-01-01T00:00:00Z in nanoseconds.
pub const EPOCH_NS: i64 = 1_767_225_600_000_000_000;

/// A span to be stored.
#[derive(Debug, Clone)]
pub struct Spec {
    service: String,
    span: Value,
}

/// Hex of a trace's number.
pub fn trace_hex(trace: u64) -> String {
    format!("{:032x}", 0xab00_0000_0000_0000_0000_0000_0000_0000_u128 + u128::from(trace))
}

/// Hex of a span's number.
pub fn span_hex(span: u64) -> String {
    format!("{:016x}", 0xcd00_0000_0000_0000_u64 + span)
}

/// A span of one millisecond that starts as many milliseconds after the epoch as its number; parent
/// 0 is none.
pub fn span(service: &str, trace: u64, span: u64, parent: u64) -> Spec {
    let start = EPOCH_NS + i64::try_from(span).expect("small") * 1_000_000;
    let parent = if parent == 0 { String::new() } else { span_hex(parent) };
    Spec {
        service: service.to_owned(),
        span: json!({
            "traceId": trace_hex(trace), "spanId": span_hex(span), "parentSpanId": parent,
            "name": format!("op{span}"), "kind": 2, "attributes": [], "status": {},
            "startTimeUnixNano": start.to_string(),
            "endTimeUnixNano": (start + 1_000_000).to_string(),
        }),
    }
}

impl Spec {
    /// Adds a span attribute.
    pub fn with(mut self, key: &str, value: Value) -> Self {
        let attribute = json!({"key": key, "value": any_value(&value)});
        self.span["attributes"].as_array_mut().expect("a list").push(attribute);
        self
    }

    /// Sets a field of OTLP's span.
    pub fn set(mut self, field: &str, value: Value) -> Self {
        self.span[field] = value;
        self
    }

    /// Sets the status to ERROR.
    pub fn error(self) -> Self {
        self.set("status", json!({"code": 2, "message": "failed"}))
    }

    /// Sets the duration in nanoseconds.
    pub fn lasting(self, ns: i64) -> Self {
        let start = self.span["startTimeUnixNano"].as_str().expect("text").to_owned();
        let start: i64 = start.parse().expect("a number");
        self.set("endTimeUnixNano", json!((start + ns).to_string()))
    }
}

/// OTLP's AnyValue of a JSON value.
pub fn any_value(value: &Value) -> Value {
    match value {
        Value::String(text) => json!({"stringValue": text}),
        Value::Bool(value) => json!({"boolValue": value}),
        Value::Number(number) if number.is_i64() => json!({"intValue": number.to_string()}),
        Value::Number(number) => json!({"doubleValue": number}),
        Value::Array(values) => {
            let values: Vec<Value> = values.iter().map(any_value).collect();
            json!({"arrayValue": {"values": values}})
        }
        _ => json!({}),
    }
}

/// One request with these spans.
pub fn body(specs: &[Spec]) -> Vec<u8> {
    let resources: Vec<Value> = specs
        .iter()
        .map(|spec| {
            json!({
                "resource": {"attributes": [
                    {"key": "service.name", "value": {"stringValue": spec.service}},
                    {"key": "host.cores", "value": {"intValue": "8"}},
                ]},
                "scopeSpans": [{
                    "scope": {"name": "tests", "attributes": [
                        {"key": "level", "value": {"intValue": "3"}}]},
                    "spans": [spec.span],
                }],
            })
        })
        .collect();
    let text = json!({"resourceSpans": resources}).to_string();
    let requests = amida::json_to_requests(text.as_bytes()).expect("OTLP/JSON");
    let [request] = requests.as_slice() else { panic!("one request") };
    request.to_vec()
}

/// Options on a disk in memory, with keys promoted.
pub fn options(fs: &MemoryFs, promote: &[(&str, PromotedType)]) -> Options {
    let promote = promote.iter().map(|(key, kind)| ((*key).to_owned(), *kind));
    Store::options().fs(Arc::new(fs.clone())).disk_floor_bytes(0).promote(promote)
}

/// The same options, where segments are never merged.
pub fn apart(fs: &MemoryFs, promote: &[(&str, PromotedType)]) -> Options {
    options(fs, promote).segment_bytes_max(1)
}

/// A store in memory that holds these spans, unflushed.
pub fn store(specs: &[Spec]) -> Store {
    let store = Store::in_memory();
    append(&store, specs);
    store
}

/// Stores spans; all are accepted.
pub fn append(store: &Store, specs: &[Spec]) {
    if !specs.is_empty() {
        let receipt = store.append_otlp(body(specs)).expect("accepted");
        assert_eq!((receipt.accepted(), receipt.rejected()), (specs.len() as u64, 0));
    }
}

/// A store with 5,000 keys of spans, which is more than a scope lists.
pub fn overflowed() -> Store {
    let store = Store::in_memory();
    for part in 0..20 {
        let mut wide = span("web", 1, part + 1, 0);
        for key in 0..250 {
            wide = wide.with(&format!("key.{part}.{key}"), json!(1));
        }
        append(&store, &[wide]);
    }
    store
}

/// The rows of an answer, a line each, columns separated by `|`, null as `-`.
pub fn lines(batches: &[RecordBatch]) -> Vec<String> {
    cells(batches, "-").into_iter().map(|row| row.join("|")).collect()
}

/// The values of an answer as text.
pub fn cells(batches: &[RecordBatch], null: &str) -> Vec<Vec<String>> {
    let format = FormatOptions::default().with_null(null);
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<ArrayFormatter<'_>> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &format).expect("printable"))
            .collect();
        for row in 0..batch.num_rows() {
            rows.push(columns.iter().map(|c| c.value(row).to_string()).collect());
        }
    }
    rows
}

/// The rows of a query.
pub async fn ask(session: &Session, sql: &str) -> Vec<String> {
    match try_ask(session, sql).await {
        Ok(lines) => lines,
        Err(error) => panic!("{sql}\n{error:?}"),
    }
}

/// The rows of a query, or why there are none.
pub async fn try_ask(session: &Session, sql: &str) -> Result<Vec<String>, Error> {
    let table = session.query(sql).await?.collect().await?;
    Ok(lines(table.batches()))
}

/// The rows of a query, sorted.
pub async fn ask_sorted(session: &Session, sql: &str) -> Vec<String> {
    let mut lines = ask(session, sql).await;
    lines.sort();
    lines
}

/// The words of a planning error.
pub async fn refusal(session: &Session, sql: &str) -> String {
    match try_ask(session, sql).await {
        Err(Error::Plan(error)) => {
            assert!(!error.words().contains('\n'), "one line: {error}");
            error.to_string()
        }
        Err(other) => panic!("{sql}\nnot a planning error: {other:?}"),
        Ok(lines) => panic!("{sql}\nwas answered: {lines:?}"),
    }
}
