//! Everything that a span, its resource and its scope have is stored.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use amida::Store;
use amida_otel::Exporter;
use amida_otel::opentelemetry::trace::{
    Event, Link, Span, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId,
    TraceState, Tracer, TracerProvider,
};
use amida_otel::opentelemetry::{Array, Context, InstrumentationScope, KeyValue, Value};
use amida_otel::opentelemetry_sdk::trace::{SdkTracerProvider, SpanExporter};
use amida_otel::opentelemetry_sdk::{Resource, trace::SdkTracer};
use amida_tests::compare::same_rows;
use amida_tests::oracle::Row;

use amida_tests::block_on;

use crate::common::{end_span, rows, span_data, traced};

const START_NS: u64 = 1_767_225_600_123_456_789;

fn at(ns: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(ns)
}

fn remote(trace: u128, span: u64, state: &str) -> SpanContext {
    let (trace, span) = (TraceId::from(trace), SpanId::from(span));
    SpanContext::new(trace, span, TraceFlags::SAMPLED, true, state.parse::<TraceState>().unwrap())
}

/// A value of every type that the API has.
fn every_type() -> Vec<KeyValue> {
    vec![
        KeyValue::new("text", "a \"b\" \u{e9}\n"),
        KeyValue::new("int", i64::MIN),
        KeyValue::new("double", 1.0),
        KeyValue::new("nan", f64::NAN),
        KeyValue::new("bool", true),
        KeyValue::new("texts", Value::Array(Array::String(vec!["a".into(), "".into()]))),
        KeyValue::new("ints", Value::Array(Array::I64(vec![1, -2]))),
        KeyValue::new("doubles", Value::Array(Array::F64(vec![0.5]))),
        KeyValue::new("bools", Value::Array(Array::Bool(vec![]))),
    ]
}

/// And how the store spells them.
const EVERY_TYPE: &str = r#"{"text":"a \"b\" é\n","int":-9223372036854775808,"double":1.0,"#;
const EVERY_TYPE_END: &str = concat!(
    r#""nan":{"$double":"NaN"},"bool":true,"texts":["a",""],"#,
    r#""ints":[1,-2],"doubles":[0.5],"bools":[]}"#
);

fn provider(store: &Store) -> SdkTracerProvider {
    let resource = Resource::builder_empty()
        .with_schema_url(
            [KeyValue::new("service.name", "shop")],
            "https://opentelemetry.io/schemas/1.30.0",
        )
        .build();
    SdkTracerProvider::builder()
        .with_resource(resource)
        .with_max_attributes_per_span(9)
        .with_max_events_per_span(2)
        .with_max_links_per_span(1)
        .with_max_attributes_per_event(1)
        .with_max_attributes_per_link(1)
        .with_span_processor(Exporter::new(store).batch())
        .build()
}

fn scope() -> InstrumentationScope {
    InstrumentationScope::builder("shop.http")
        .with_version("2.1")
        .with_schema_url("https://opentelemetry.io/schemas/1.29.0")
        .with_attributes([KeyValue::new("team", "cart")])
        .build()
}

/// Ends a span that has everything, more of some than the limits allow; its id.
fn end_full_span(tracer: &SdkTracer) -> SpanId {
    let parent = Context::new().with_remote_span_context(remote(0xabc, 0xdef, "a=1,b=2"));
    let two = || vec![KeyValue::new("attempt", 2), KeyValue::new("too.many", 1)];
    let links =
        vec![Link::new(remote(7, 8, "c=3"), two(), 3), Link::new(remote(9, 10, ""), Vec::new(), 0)];
    let mut attributes = every_type();
    attributes.push(KeyValue::new("too.many", 1));
    let mut span = tracer
        .span_builder("POST /checkout")
        .with_kind(SpanKind::Server)
        .with_start_time(at(START_NS))
        .with_attributes(attributes)
        .with_links(links)
        .start_with_context(tracer, &parent);
    span.add_event_with_timestamp("retry", at(START_NS + 1_000), two());
    span.add_event_with_timestamp("done", at(START_NS + 2_000), Vec::new());
    span.add_event_with_timestamp("too many", at(START_NS + 3_000), Vec::new());
    span.set_status(Status::error("card refused"));
    span.end_with_timestamp(at(START_NS + 48_000_000));
    span.span_context().span_id()
}

#[test]
fn a_span_that_has_everything_is_stored_with_everything() {
    let store = Store::in_memory();
    let provider = provider(&store);
    let id = end_full_span(&provider.tracer_with_scope(scope()));
    provider.shutdown().unwrap();

    let (start, trace) = (i64::try_from(START_NS).unwrap(), format!("{:032x}", 0xabc));
    let events = format!(
        "[{{\"time\":{},\"name\":\"retry\",\"attributes\":{{\"attempt\":2}},\"dropped\":1}},\
         {{\"time\":{},\"name\":\"done\"}}]",
        start + 1_000,
        start + 2_000
    );
    let links = format!(
        "[{{\"trace_id\":\"{:032x}\",\"span_id\":\"{:016x}\",\"trace_state\":\"c=3\",\
         \"flags\":769,\"attributes\":{{\"attempt\":2}},\"dropped\":1}}]",
        7, 8
    );
    let expected = Row {
        trace_id: trace,
        span_id: id.to_string(),
        parent_span_id: format!("{:016x}", 0xdef),
        name: "POST /checkout".to_owned(),
        service_name: "shop".to_owned(),
        kind: "SERVER".to_owned(),
        status_code: "ERROR".to_owned(),
        status_message: "card refused".to_owned(),
        start_time: start,
        duration_ns: 48_000_000,
        attributes: format!("{EVERY_TYPE}{EVERY_TYPE_END}"),
        events,
        links,
        resource_attributes: r#"{"service.name":"shop"}"#.to_owned(),
        resource_schema_url: "https://opentelemetry.io/schemas/1.30.0".to_owned(),
        scope_name: "shop.http".to_owned(),
        scope_version: "2.1".to_owned(),
        scope_attributes: r#"{"team":"cart"}"#.to_owned(),
        scope_schema_url: "https://opentelemetry.io/schemas/1.29.0".to_owned(),
        trace_state: "a=1,b=2".to_owned(),
        flags: 0x301,
        dropped_attributes_count: 1,
        dropped_events_count: 1,
        dropped_links_count: 1,
        marks: 0,
    };
    same_rows(&[expected], &rows(&store)).unwrap();
}

/// OTLP: bit 8 says that bit 9 is known, bit 9 that the parent was in another process.
#[test]
fn flags_tell_a_remote_parent_from_a_local_one() {
    let store = Store::in_memory();
    let (provider, tracer) = traced(Exporter::new(&store).batch());
    let cx = Context::new().with_remote_span_context(remote(1, 2, ""));
    let from_afar = tracer.start_with_context("from afar", &cx);
    let cx = Context::new().with_span(from_afar);
    tracer.start_with_context("inside", &cx).end();
    cx.span().end();
    end_span(&tracer, "root");
    provider.shutdown().unwrap();
    let mut found: Vec<(String, u32)> =
        rows(&store).into_iter().map(|row| (row.name, row.flags)).collect();
    found.sort();
    let expected = [("from afar", 0x301), ("inside", 0x101), ("root", 0x101)];
    assert_eq!(found, expected.map(|(name, flags)| (name.to_owned(), flags)));
}

#[test]
fn kinds_and_statuses_are_those_that_were_set() {
    let store = Store::in_memory();
    let exporter = Exporter::new(&store);
    let kinds = [
        (SpanKind::Internal, "INTERNAL"),
        (SpanKind::Server, "SERVER"),
        (SpanKind::Client, "CLIENT"),
        (SpanKind::Producer, "PRODUCER"),
        (SpanKind::Consumer, "CONSUMER"),
    ];
    let statuses = [(Status::Unset, "UNSET"), (Status::Ok, "OK"), (Status::error(""), "ERROR")];
    let (mut batch, mut expected) = (Vec::new(), Vec::new());
    for (kind, kind_word) in kinds {
        for (status, status_word) in statuses.clone() {
            let id = batch.len() as u64 + 1;
            let span_kind = kind.clone();
            batch.push(amida_otel::opentelemetry_sdk::trace::SpanData {
                span_kind,
                status,
                ..span_data(id, "span")
            });
            expected.push((format!("{id:016x}"), kind_word.to_owned(), status_word.to_owned()));
        }
    }
    block_on(exporter.export(batch)).unwrap();
    let mut found: Vec<_> =
        rows(&store).into_iter().map(|row| (row.span_id, row.kind, row.status_code)).collect();
    found.sort();
    assert_eq!(found, expected);
}

#[test]
fn spans_of_several_scopes_keep_theirs() {
    let store = Store::in_memory();
    let (provider, _) = traced(Exporter::new(&store).batch());
    let scopes = [
        InstrumentationScope::builder("http").build(),
        InstrumentationScope::builder("http").with_version("1").build(),
        InstrumentationScope::builder("http").with_version("1").with_schema_url("u").build(),
        InstrumentationScope::builder("http")
            .with_version("1")
            .with_attributes([KeyValue::new("a", 1)])
            .build(),
    ];
    for _ in 0..2 {
        for scope in &scopes {
            end_span(&provider.tracer_with_scope(scope.clone()), "span");
        }
    }
    provider.shutdown().unwrap();
    let mut found: Vec<_> = rows(&store)
        .into_iter()
        .map(|row| (row.scope_version, row.scope_schema_url, row.scope_attributes))
        .collect();
    found.sort();
    let one = [("", "", "{}"), ("1", "", "{\"a\":1}"), ("1", "", "{}"), ("1", "u", "{}")];
    let expected: Vec<_> = one
        .iter()
        .flat_map(|(version, url, attributes)| {
            let row = ((*version).to_owned(), (*url).to_owned(), (*attributes).to_owned());
            [row.clone(), row]
        })
        .collect();
    assert_eq!(found, expected);
}

/// What only `SpanData` can say, since the API does not let a program set it.
#[test]
fn counts_of_what_the_sdk_dropped_are_kept() {
    let store = Store::in_memory();
    let mut span = span_data(1, "span");
    span.dropped_attributes_count = 3;
    span.events.events = vec![Event::new("e", at(START_NS), Vec::new(), 6)];
    span.events.dropped_count = 4;
    span.links.links = vec![Link::new(remote(1, 2, ""), Vec::new(), 7)];
    span.links.dropped_count = 5;
    block_on(Exporter::new(&store).export(vec![span])).unwrap();
    let row = rows(&store).remove(0);
    let counts = (row.dropped_attributes_count, row.dropped_events_count, row.dropped_links_count);
    assert_eq!(counts, (3, 4, 5));
    assert!(row.events.contains(r#""dropped":6"#), "{}", row.events);
    assert!(row.links.contains(r#""dropped":7"#), "{}", row.links);
}
