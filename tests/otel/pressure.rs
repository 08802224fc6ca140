//! Busy, full, closed, broken: what is not stored is counted, and said.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use amida::{Fault, ManualClock, MemoryFs, Store};
use amida_otel::opentelemetry::KeyValue;
use amida_otel::opentelemetry::trace::{Span, Tracer};
use amida_otel::opentelemetry_sdk::trace::{
    SimpleSpanProcessor, SpanData, SpanExporter, SpanProcessor,
};
use amida_otel::{Counts, Exporter};

use amida_tests::block_on;

use crate::common::{
    DIR, Gate, end_span, names, on_demand, options, span_data, traced, wait_until,
};

const BATCH_THREAD: &str = "OpenTelemetry.Traces.BatchProcessor";

/// stored, rejected, refused, failed, dropped, waiting
fn all(counts: &Counts) -> [u64; 6] {
    [
        counts.stored(),
        counts.rejected(),
        counts.refused(),
        counts.failed(),
        counts.dropped(),
        counts.waiting(),
    ]
}

/// A store whose log has room for one request until maintenance, which the gate can hold, flushes.
fn small_log(gate: &Arc<Gate>) -> Store {
    let options = options(&MemoryFs::new()).clock(gate.clone());
    options.wal_bytes_max(0).stall_max(Duration::ZERO).open(DIR).unwrap()
}

#[test]
fn a_queue_that_is_full_drops_and_counts() {
    let gate = Gate::of(BATCH_THREAD);
    let store = options(&MemoryFs::new()).clock(gate.clone()).open(DIR).unwrap();
    gate.close();
    let exporter = Exporter::new(&store);
    let counts = exporter.counts();
    let config = on_demand().with_max_export_batch_size(2);
    let (provider, tracer) = traced(exporter.batch_with(4, config));
    for _ in 0..7 {
        end_span(&tracer, "a");
    }
    assert_eq!(all(&counts), [0, 0, 0, 0, 3, 4]);
    gate.open();
    provider.force_flush().unwrap();
    assert_eq!(all(&counts), [4, 0, 0, 0, 3, 0]);
    end_span(&tracer, "b");
    provider.shutdown().unwrap();
    assert_eq!(all(&counts), [5, 0, 0, 0, 3, 0]);
    assert_eq!(names(&store), ["a", "a", "a", "a", "b"]);
    assert_eq!(counts.to_string(), "5 stored, 3 lost (3 dropped), 0 waiting");
}

#[test]
fn a_store_that_stays_busy_refuses_and_the_spans_are_counted() {
    let gate = Gate::of("amida-maintain");
    let store = small_log(&gate);
    gate.close();
    let exporter = Exporter::new(&store).retry_max(Duration::ZERO);
    let counts = exporter.counts();
    block_on(exporter.export(vec![span_data(1, "a")])).unwrap();
    let refused = block_on(exporter.export(vec![span_data(2, "b"), span_data(3, "c")]));
    let words = refused.unwrap_err().to_string();
    assert!(words.contains("2 of 2 spans were not stored: the store is busy"), "{words}");
    assert_eq!(all(&counts), [1, 0, 2, 0, 0, 0]);
    assert!(counts.last_error().unwrap().contains("busy"), "{counts}");
    gate.open();
}

#[test]
#[allow(clippy::disallowed_methods)] // tests may start threads
fn a_store_that_is_busy_for_a_while_gets_the_spans_all_the_same() {
    let gate = Gate::of("amida-maintain");
    let store = small_log(&gate);
    gate.close();
    let exporter = Exporter::new(&store).retry_max(Duration::from_secs(3_600));
    let counts = exporter.counts();
    block_on(exporter.export(vec![span_data(1, "a")])).unwrap();
    let export = std::thread::spawn(move || block_on(exporter.export(vec![span_data(2, "b")])));
    wait_until(|| store.stats().stalls >= 3);
    gate.open();
    export.join().unwrap().unwrap();
    assert_eq!(all(&counts), [2, 0, 0, 0, 0, 0]);
    assert_eq!(names(&store), ["a", "b"]);
}

#[test]
fn a_full_disk_refuses_and_later_spans_are_stored_once_there_is_room() {
    let fs = MemoryFs::new();
    fs.limit_bytes(Some(1 << 30));
    let store = options(&fs).disk_floor_bytes(64 << 20).open(DIR).unwrap();
    let exporter = Exporter::new(&store).retry_max(Duration::from_secs(3_600));
    let counts = exporter.counts();
    let (_provider, tracer) = traced(SimpleSpanProcessor::new(exporter));
    fs.limit_bytes(Some(fs.used_bytes() + (63 << 20)));
    end_span(&tracer, "a");
    assert_eq!(all(&counts), [0, 0, 1, 0, 0, 0]);
    assert!(counts.last_error().unwrap().contains("disk is full"), "{:?}", counts.last_error());
    fs.limit_bytes(None);
    end_span(&tracer, "b");
    assert_eq!(all(&counts), [1, 0, 1, 0, 0, 0]);
}

/// The wrong order: the store is closed before the provider is shut down.
#[test]
fn spans_that_wait_for_a_closed_store_are_counted_and_the_shutdown_says_so() {
    let store = Store::in_memory();
    let exporter = Exporter::new(&store);
    let counts = exporter.counts();
    let (provider, tracer) = traced(exporter.batch_with(100, on_demand()));
    end_span(&tracer, "a");
    provider.force_flush().unwrap();
    end_span(&tracer, "b");
    end_span(&tracer, "c");
    store.clone().close().unwrap();
    let words = provider.shutdown().unwrap_err().to_string();
    let told = "2 spans were not stored: the store is closed; shut the tracer provider down before";
    assert!(words.contains(told), "{words}");
    assert_eq!(all(&counts), [1, 0, 0, 2, 0, 0]);
    assert_eq!(names(&store), ["a"]);
}

/// Where nothing waits, nothing is lost by the wrong order.
#[test]
fn a_shutdown_after_the_close_is_good_when_nothing_waited() {
    let store = Store::in_memory();
    let (provider, tracer) = traced(Exporter::new(&store).batch_with(100, on_demand()));
    end_span(&tracer, "a");
    provider.force_flush().unwrap();
    store.close().unwrap();
    provider.force_flush().unwrap();
    provider.shutdown().unwrap();
}

#[test]
fn a_disk_that_failed_fails_the_spans() {
    let fs = MemoryFs::new();
    let store = options(&fs).open(DIR).unwrap();
    let exporter = Exporter::new(&store);
    let counts = exporter.counts();
    let (provider, tracer) = traced(exporter.batch_with(100, on_demand()));
    // The first span begins the log file, whose own sync is another.
    end_span(&tracer, "first");
    provider.force_flush().unwrap();
    end_span(&tracer, "a");
    fs.fail_after(0, Fault::new(ErrorKind::Other).once().syncs_only());
    assert!(provider.force_flush().unwrap_err().to_string().contains("failed sync"));
    end_span(&tracer, "b");
    assert!(provider.shutdown().unwrap_err().to_string().contains("failed sync"));
    assert_eq!(all(&counts), [1, 0, 0, 2, 0, 0]);
}

#[test]
fn spans_that_the_store_rejects_are_counted_and_the_others_stored() {
    let start_ns = 1_767_225_600_000_000_000;
    let clock = Arc::new(ManualClock::at(start_ns));
    let options = options(&MemoryFs::new()).clock(clock).future_max(Duration::from_secs(1));
    let store = options.open(DIR).unwrap();
    let exporter = Exporter::new(&store);
    let start = std::time::UNIX_EPOCH + Duration::from_nanos(start_ns as u64);
    let starting = |id, after: u64| SpanData {
        start_time: start + Duration::from_secs(after),
        ..span_data(id, "span")
    };
    let batch = vec![starting(1, 0), starting(2, 60), starting(3, 1)];
    let words = block_on(exporter.export(batch)).unwrap_err().to_string();
    let told = "1 of 3 spans were not stored: rejected: too_far_in_future 1";
    assert!(words.contains(told), "{words}");
    assert_eq!(all(&exporter.counts()), [2, 1, 0, 0, 0, 0]);
}

fn with_payload(id: u64, bytes: usize) -> SpanData {
    let payload = KeyValue::new("payload", "x".repeat(bytes));
    SpanData { attributes: vec![payload], ..span_data(id, "span") }
}

#[test]
fn a_batch_larger_than_a_request_is_split() {
    let store = Store::in_memory();
    let exporter = Exporter::new(&store);
    let mut batch: Vec<SpanData> = (1..=40).map(|id| with_payload(id, 1 << 20)).collect();
    // Whatever is halved, scopes or spans, each span keeps its scope.
    for (index, span) in batch.iter_mut().enumerate().skip(30) {
        let name = if index % 2 == 0 { "even" } else { "odd" };
        span.instrumentation_scope =
            amida_otel::opentelemetry::InstrumentationScope::builder(name).build();
    }
    block_on(exporter.export(batch)).unwrap();
    assert_eq!(all(&exporter.counts()), [40, 0, 0, 0, 0, 0]);
    let mut found: Vec<_> =
        crate::common::rows(&store).into_iter().map(|row| (row.span_id, row.scope_name)).collect();
    found.sort();
    let scope = |id: u64| match id {
        31.. if id % 2 == 1 => "even",
        31.. => "odd",
        _ => "test",
    };
    let expected: Vec<_> =
        (1..=40).map(|id| (format!("{id:016x}"), scope(id).to_owned())).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_span_larger_than_a_request_fails_alone() {
    let store = Store::in_memory();
    let exporter = Exporter::new(&store);
    let batch = vec![with_payload(1, 10), with_payload(2, 17 << 20), with_payload(3, 10)];
    let words = block_on(exporter.export(batch)).unwrap_err().to_string();
    assert!(words.contains("1 of 3 spans were not stored: a request may have"), "{words}");
    assert_eq!(all(&exporter.counts()), [2, 0, 0, 1, 0, 0]);
}

/// A request may have 16 MiB to the byte: neither is one that fits split, nor one refused that
/// was not.
#[test]
fn the_limit_of_a_request_is_the_stores() {
    let store = Store::in_memory();
    let exporter = Exporter::new(&store);
    let counts = exporter.counts();
    let fits = |bytes: usize| {
        let stored = counts.stored();
        let _ = block_on(exporter.export(vec![with_payload(1, bytes)]));
        counts.stored() > stored
    };
    let (mut low, mut high) = ((16 << 20) - 1_000, 16 << 20);
    while low + 1 < high {
        let middle = usize::midpoint(low, high);
        if fits(middle) { low = middle } else { high = middle }
    }
    // Two spans that are a little too large together are split.
    let half = low / 2 + 100;
    block_on(exporter.export(vec![with_payload(1, half), with_payload(2, half)])).unwrap();
    let refused = block_on(exporter.export(vec![with_payload(1, high)]));
    assert!(refused.unwrap_err().to_string().contains("may have at most 16777216"), "{low}");
}

/// A span that ends while the processor is shut down may come too late for the last export.
#[test]
fn a_span_that_comes_after_the_last_export_is_counted_as_dropped() {
    let exporter = Exporter::new(&Store::in_memory());
    let counts = exporter.counts();
    let processor = exporter.batch();
    processor.on_end(span_data(1, "a"));
    processor.shutdown().unwrap();
    processor.on_end(span_data(2, "b"));
    assert_eq!(all(&counts), [1, 0, 0, 0, 1, 0]);
}

/// Spans that end after the provider's shutdown are none for the SDK, however they were started.
#[test]
fn spans_that_end_after_the_shutdown_are_nobodys() {
    let store = Store::in_memory();
    let exporter = Exporter::new(&store);
    let counts = exporter.counts();
    let (provider, tracer) = traced(exporter.batch());
    let mut late = tracer.start("late");
    provider.shutdown().unwrap();
    late.end();
    assert_eq!(all(&counts), [0; 6]);
}
