//! Batch and simple processors: when spans are stored, flush, shutdown, and who may close what.

use std::future::Future;
use std::pin::pin;
use std::task;

use amida::{CrashModel, Durability, MemoryFs, Store};
use amida_otel::Exporter;
use amida_otel::opentelemetry::trace::{Link, SpanKind, TraceId, TraceState, TracerProvider};
use amida_otel::opentelemetry::{Context, KeyValue};
use amida_otel::opentelemetry_sdk::Resource;
use amida_otel::opentelemetry_sdk::error::OTelSdkError;
use amida_otel::opentelemetry_sdk::trace::{
    BatchSpanProcessor, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample,
    SimpleSpanProcessor, SpanExporter,
};

use amida_tests::block_on;

use crate::common::{
    DIR, end_span, names, on_demand, options, rows, span_data, traced, wait_until,
};

#[test]
fn a_batch_waits_until_the_flush_and_the_rest_until_the_shutdown() {
    let store = Store::in_memory();
    let exporter = Exporter::new(&store);
    let counts = exporter.counts();
    let (provider, tracer) = traced(exporter.batch_with(100, on_demand()));
    end_span(&tracer, "a");
    end_span(&tracer, "b");
    assert_eq!((counts.waiting(), counts.stored(), names(&store)), (2, 0, vec![]));
    provider.force_flush().unwrap();
    assert_eq!((counts.waiting(), counts.stored()), (0, 2));
    assert_eq!(names(&store), ["a", "b"]);
    end_span(&tracer, "c");
    assert_eq!(names(&store), ["a", "b"]);
    provider.shutdown().unwrap();
    assert_eq!(names(&store), ["a", "b", "c"]);
    assert_eq!((counts.stored(), counts.lost(), counts.waiting()), (3, 0, 0));
}

#[test]
fn a_full_batch_is_exported_without_being_told() {
    let store = Store::in_memory();
    let exporter = Exporter::new(&store);
    let counts = exporter.counts();
    let config = on_demand().with_max_export_batch_size(3);
    let (_provider, tracer) = traced(exporter.batch_with(100, config));
    for _ in 0..3 {
        end_span(&tracer, "a");
    }
    wait_until(|| counts.stored() == 3);
    assert_eq!(names(&store).len(), 3);
}

#[test]
fn the_simple_processor_stores_a_span_when_it_ends() {
    let store = Store::in_memory();
    let (provider, tracer) = traced(SimpleSpanProcessor::new(Exporter::new(&store)));
    end_span(&tracer, "a");
    assert_eq!(names(&store), ["a"]);
    provider.shutdown().unwrap();
    assert_eq!(store.append_otlp(amida_request()).unwrap().accepted(), 1);
}

#[test]
fn the_batch_processor_of_the_sdk_does_too() {
    let store = Store::in_memory();
    let exporter = Exporter::new(&store);
    let counts = exporter.counts();
    let config = on_demand().build();
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
    let (provider, tracer) = traced(processor);
    end_span(&tracer, "a");
    assert_eq!(names(&store), [""; 0]);
    provider.shutdown().unwrap();
    assert_eq!(names(&store), ["a"]);
    assert_eq!((counts.stored(), counts.lost(), counts.waiting()), (1, 0, 0));
}

/// `Durability::Os` leaves syncing to the system; whoever flushes wants more.
#[test]
fn a_flush_and_a_shutdown_put_spans_on_stable_storage_whatever_the_durability() {
    let fs = MemoryFs::new();
    let store = options(&fs).durability(Durability::Os).open(DIR).unwrap();
    let after_power_loss = || {
        let kept = options(&fs.crash(CrashModel::LoseUnsynced)).open(DIR).unwrap();
        names(&kept)
    };
    let (provider, tracer) = traced(Exporter::new(&store).batch_with(100, on_demand()));
    end_span(&tracer, "a");
    provider.force_flush().unwrap();
    assert_eq!(after_power_loss(), ["a"]);
    end_span(&tracer, "b");
    provider.shutdown().unwrap();
    assert_eq!(after_power_loss(), ["a", "b"]);

    let (provider, tracer) = traced(SimpleSpanProcessor::new(Exporter::new(&store)));
    end_span(&tracer, "c");
    assert_eq!(after_power_loss(), ["a", "b"]);
    provider.shutdown().unwrap();
    assert_eq!(after_power_loss(), ["a", "b", "c"]);

    let exporter = Exporter::new(&store);
    block_on(exporter.export(vec![span_data(4, "d")])).unwrap();
    assert_eq!(after_power_loss(), ["a", "b", "c"]);
    exporter.force_flush().unwrap();
    assert_eq!(after_power_loss(), ["a", "b", "c", "d"]);
}

#[test]
fn an_export_after_the_shutdown_fails_and_is_counted() {
    let store = Store::in_memory();
    let exporter = Exporter::new(&store);
    exporter.shutdown().unwrap();
    let refused = block_on(exporter.export(vec![span_data(1, "a"), span_data(2, "b")]));
    assert!(matches!(refused, Err(OTelSdkError::AlreadyShutdown)), "{refused:?}");
    assert_eq!((exporter.counts().failed(), exporter.counts().stored()), (2, 0));
    assert_eq!(names(&store), [""; 0]);
}

/// A provider that is dropped and one that is shut down leave the store open for others.
#[test]
fn providers_share_a_store_and_close_it_for_nobody() {
    let store = Store::in_memory();
    let of_service = |name: &'static str| {
        SdkTracerProvider::builder()
            .with_resource(Resource::builder_empty().with_service_name(name).build())
            .with_span_processor(Exporter::new(&store).batch_with(100, on_demand()))
            .build()
    };
    let (shop, payments) = (of_service("shop"), of_service("payments"));
    end_span(&shop.tracer("t"), "a");
    end_span(&payments.tracer("t"), "b");
    shop.shutdown().unwrap();
    drop(shop);
    end_span(&payments.tracer("t"), "c");
    drop(payments);
    let mut found: Vec<_> =
        rows(&store).into_iter().map(|row| (row.service_name, row.name)).collect();
    found.sort();
    let expected = [("payments", "b"), ("payments", "c"), ("shop", "a")];
    assert_eq!(found, expected.map(|(service, name)| (service.to_owned(), name.to_owned())));
    let _ = store.append_otlp(amida_request()).unwrap();
    store.close().unwrap();
}

/// Records every span and samples none: what the SDK calls `RecordOnly`.
#[derive(Debug, Clone)]
struct RecordOnly;

impl ShouldSample for RecordOnly {
    fn should_sample(
        &self,
        _: Option<&Context>,
        _: TraceId,
        _: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        SamplingResult {
            decision: SamplingDecision::RecordOnly,
            attributes: Vec::new(),
            trace_state: TraceState::default(),
        }
    }
}

/// The specification: an exporter gets sampled spans only.
#[test]
fn spans_that_are_recorded_and_not_sampled_are_not_stored() {
    let store = Store::in_memory();
    let exporter = Exporter::new(&store);
    let counts = exporter.counts();
    let provider = SdkTracerProvider::builder()
        .with_sampler(RecordOnly)
        .with_span_processor(exporter.batch())
        .build();
    end_span(&provider.tracer("t"), "a");
    provider.shutdown().unwrap();
    assert_eq!((counts.stored(), counts.lost(), names(&store).len()), (0, 0, 0));
}

/// An async processor may await an export: the thread is free while the disk works.
#[test]
fn an_export_does_not_hold_the_thread_that_awaits_it() {
    let store = Store::in_memory();
    let exporter = Exporter::new(&store);
    let mut export = pin!(exporter.export(vec![span_data(1, "a")]));
    let polled = export.as_mut().poll(&mut task::Context::from_waker(task::Waker::noop()));
    assert!(polled.is_pending(), "{polled:?}");
    block_on(export).unwrap();
    assert_eq!(names(&store), ["a"]);
}

fn amida_request() -> prost::bytes::Bytes {
    let id = "4bf92f3577b34da6a3ce929d0e0e4736".parse().unwrap();
    let span = amida::SpanBuilder::new(id, "00f067aa0ba902b7".parse().unwrap(), "plain");
    amida::RequestBuilder::new(amida::Resource::new("shop")).span(span).finish()
}
