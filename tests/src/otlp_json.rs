//! A reader of OTLP/JSON of its own, to hold the engine's against: by opentelemetry-proto's
//! docs/specification.md, for well-formed files only.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use serde_json::Value;

/// The requests of a file: one document, wrapped in "result" or not, or one a line.
///
/// # Panics
/// When it is none of these.
pub fn requests(file: &[u8]) -> Vec<ExportTraceServiceRequest> {
    let documents = serde_json::Deserializer::from_slice(file).into_iter::<Value>();
    documents
        .map(|document| {
            let document = document.expect("JSON");
            let inner = document.get("result").unwrap_or(&document);
            assert!(inner.get("resourceSpans").is_some(), "no OTLP/JSON");
            ExportTraceServiceRequest {
                resource_spans: list(inner, "resourceSpans", resource_spans),
            }
        })
        .collect()
}

fn list<T>(object: &Value, key: &str, read: impl Fn(&Value) -> T) -> Vec<T> {
    object.get(key).and_then(Value::as_array).into_iter().flatten().map(read).collect()
}

fn text(object: &Value, key: &str) -> String {
    object.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// 64-bit numbers come as text or as numbers.
fn number<T: std::str::FromStr + Default>(object: &Value, key: &str) -> T {
    let text = match object.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => return T::default(),
    };
    text.parse().unwrap_or_else(|_| panic!("{key}: {text}"))
}

fn word(object: &Value, key: &str, words: &[&str]) -> i32 {
    match object.get(key).and_then(Value::as_str) {
        Some(text) => words.iter().position(|w| *w == text).expect("a known word") as i32,
        None => number(object, key),
    }
}

fn hex(object: &Value, key: &str) -> Vec<u8> {
    let text = text(object, key);
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hex");
    (0..text.len()).step_by(2).map(digit).collect()
}

fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut held, mut out) = (0_u32, 0, Vec::new());
    for c in text.trim_end_matches('=').chars() {
        bits = bits << 6 | ALPHABET.find(c).expect("base64") as u32;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    out
}

fn any(value: &Value) -> AnyValue {
    let entry = value.as_object().and_then(|object| object.iter().next());
    let Some((kind, inner)) = entry else { return AnyValue::default() };
    let value = match kind.as_str() {
        "stringValue" => Any::StringValue(text(value, kind)),
        "boolValue" => Any::BoolValue(inner.as_bool().expect("a bool")),
        "intValue" => Any::IntValue(number(value, kind)),
        "doubleValue" => Any::DoubleValue(number(value, kind)),
        "bytesValue" => Any::BytesValue(base64(&text(value, kind))),
        "arrayValue" => Any::ArrayValue(ArrayValue { values: list(inner, "values", any) }),
        "kvlistValue" => {
            Any::KvlistValue(KeyValueList { values: list(inner, "values", key_value) })
        }
        other => panic!("no such value: {other}"),
    };
    AnyValue { value: Some(value) }
}

fn key_value(pair: &Value) -> KeyValue {
    KeyValue { key: text(pair, "key"), value: pair.get("value").map(any), ..KeyValue::default() }
}

fn attributes(object: &Value) -> Vec<KeyValue> {
    list(object, "attributes", key_value)
}

fn resource_spans(object: &Value) -> ResourceSpans {
    ResourceSpans {
        resource: object
            .get("resource")
            .map(|r| Resource { attributes: attributes(r), ..Resource::default() }),
        scope_spans: list(object, "scopeSpans", scope_spans),
        schema_url: text(object, "schemaUrl"),
    }
}

fn scope_spans(object: &Value) -> ScopeSpans {
    ScopeSpans {
        scope: object.get("scope").map(|scope| InstrumentationScope {
            name: text(scope, "name"),
            version: text(scope, "version"),
            attributes: attributes(scope),
            dropped_attributes_count: number(scope, "droppedAttributesCount"),
        }),
        spans: list(object, "spans", span),
        schema_url: text(object, "schemaUrl"),
    }
}

fn span(object: &Value) -> Span {
    const KINDS: [&str; 6] = [
        "SPAN_KIND_UNSPECIFIED",
        "SPAN_KIND_INTERNAL",
        "SPAN_KIND_SERVER",
        "SPAN_KIND_CLIENT",
        "SPAN_KIND_PRODUCER",
        "SPAN_KIND_CONSUMER",
    ];
    const CODES: [&str; 3] = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];
    Span {
        trace_id: hex(object, "traceId"),
        span_id: hex(object, "spanId"),
        trace_state: text(object, "traceState"),
        parent_span_id: hex(object, "parentSpanId"),
        flags: number(object, "flags"),
        name: text(object, "name"),
        kind: word(object, "kind", &KINDS),
        start_time_unix_nano: number(object, "startTimeUnixNano"),
        end_time_unix_nano: number(object, "endTimeUnixNano"),
        attributes: attributes(object),
        dropped_attributes_count: number(object, "droppedAttributesCount"),
        events: list(object, "events", |event| Event {
            time_unix_nano: number(event, "timeUnixNano"),
            name: text(event, "name"),
            attributes: attributes(event),
            dropped_attributes_count: number(event, "droppedAttributesCount"),
        }),
        dropped_events_count: number(object, "droppedEventsCount"),
        links: list(object, "links", |link| Link {
            trace_id: hex(link, "traceId"),
            span_id: hex(link, "spanId"),
            trace_state: text(link, "traceState"),
            attributes: attributes(link),
            dropped_attributes_count: number(link, "droppedAttributesCount"),
            flags: number(link, "flags"),
        }),
        dropped_links_count: number(object, "droppedLinksCount"),
        status: object.get("status").map(|status| Status {
            message: text(status, "message"),
            code: word(status, "code", &CODES),
        }),
    }
}
