//! The exporter under load.

use std::time::Duration;

use amida::{MemoryFs, Store};
use amida_otel::opentelemetry::KeyValue;
use amida_otel::opentelemetry::trace::{Span, Tracer};
use amida_otel::opentelemetry_sdk::trace::{BatchConfigBuilder, SdkTracer};
use amida_otel::{BatchProcessor, Counts, Exporter};

use crate::common::{DIR, options, traced};

const THREADS: u64 = 4;
const SPANS: u64 = 100_000;

fn work(tracer: &SdkTracer) {
    for number in 0..SPANS {
        let mut span = tracer.start("work");
        span.set_attribute(KeyValue::new("number", number as i64));
        span.end();
    }
}

/// Four threads end spans as fast as they can; the provider is shut down.
fn run(store: &Store, processor: impl FnOnce(Exporter) -> BatchProcessor) -> Counts {
    let exporter = Exporter::new(store);
    let counts = exporter.counts();
    let (provider, tracer) = traced(processor(exporter));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| work(&tracer));
        }
    });
    provider.shutdown_with_timeout(Duration::from_secs(600)).unwrap();
    counts
}

/// With the queue as it comes, which is small: what is not stored is counted.
#[test]
fn of_400_000_spans_of_four_threads_all_are_stored_or_counted_as_dropped() {
    let store = options(&MemoryFs::new()).open(DIR).unwrap();
    let counts = run(&store, Exporter::batch);
    println!("{counts}");
    assert_eq!(counts.stored() + counts.dropped(), THREADS * SPANS, "{counts}");
    assert_eq!(counts.lost(), counts.dropped(), "{counts}");
    assert_eq!(counts.waiting(), 0, "{counts}");
    assert_eq!(store.snapshot().span_count(), counts.stored());
    assert_eq!(store.stats().accepted, counts.stored());
}

/// With a queue and a log that are large enough: all are stored.
#[test]
fn of_400_000_spans_of_four_threads_a_queue_with_room_loses_none() {
    let options = options(&MemoryFs::new()).seal_bytes(1 << 30).wal_bytes_max(1 << 30);
    let store = options.open(DIR).unwrap();
    let config = BatchConfigBuilder::default().with_max_export_batch_size(8_192);
    let counts = run(&store, |exporter| exporter.batch_with((THREADS * SPANS) as usize, config));
    println!("{counts}");
    assert_eq!((counts.stored(), counts.lost()), (THREADS * SPANS, 0), "{counts}");
    assert_eq!(store.snapshot().span_count(), THREADS * SPANS);
}
