//! Stores, spans and clocks for the tests of the exporter.

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use amida::{Clock, MemoryFs, Options, Retention, Store, SystemClock};
use amida_otel::opentelemetry::InstrumentationScope;
use amida_otel::opentelemetry::trace::{
    Span, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState, Tracer,
    TracerProvider,
};
use amida_otel::opentelemetry_sdk::trace::{
    BatchConfigBuilder, SdkTracer, SdkTracerProvider, SpanData, SpanEvents, SpanLinks,
    SpanProcessor,
};
use amida_tests::oracle::Row;

use crate::rows;

/// The store's directory on a disk in memory.
pub const DIR: &str = "/store";

/// Options for a store on this disk.
pub fn options(fs: &MemoryFs) -> Options {
    Store::options().fs(Arc::new(fs.clone())).disk_floor_bytes(0).retention(Retention::forever())
}

/// A provider with this processor, and a tracer of it.
pub fn traced(processor: impl SpanProcessor + 'static) -> (SdkTracerProvider, SdkTracer) {
    let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
    let tracer = provider.tracer("test");
    (provider, tracer)
}

/// A batch configuration that exports when it is told to, and not before.
pub fn on_demand() -> BatchConfigBuilder {
    BatchConfigBuilder::default()
        .with_scheduled_delay(Duration::from_secs(24 * 60 * 60))
        .with_max_export_batch_size(1_000_000)
}

/// A span that starts and ends.
pub fn end_span(tracer: &SdkTracer, name: &'static str) {
    tracer.start(name).end();
}

/// Names of the spans that a store holds, sorted.
pub fn names(store: &Store) -> Vec<String> {
    let mut names: Vec<String> = rows(store).into_iter().map(|row| row.name).collect();
    names.sort();
    names
}

/// All rows of a store.
pub fn rows(store: &Store) -> Vec<Row> {
    rows::of_snapshot(&store.snapshot())
}

/// A span as the SDK gives it to an exporter, of trace 1 and with this id.
pub fn span_data(id: u64, name: &'static str) -> SpanData {
    let now = amida_otel::opentelemetry::time::now();
    SpanData {
        span_context: SpanContext::new(
            TraceId::from(1),
            SpanId::from(id),
            TraceFlags::SAMPLED,
            false,
            TraceState::default(),
        ),
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: name.into(),
        start_time: now,
        end_time: now + Duration::from_millis(5),
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder("test").build(),
    }
}

/// A clock that holds the thread of this name until it is let go. It stands for a disk that takes
/// its time: whoever asks for the time of ingest or of retention waits.
#[derive(Debug)]
pub struct Gate {
    thread: &'static str,
    held: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    /// A gate that is open.
    pub fn of(thread: &'static str) -> Arc<Self> {
        Arc::new(Self { thread, held: Mutex::new(false), changed: Condvar::new() })
    }

    /// Holds the thread from now on.
    pub fn close(&self) {
        *self.held.lock().unwrap() = true;
    }

    /// Lets it go.
    pub fn open(&self) {
        *self.held.lock().unwrap() = false;
        self.changed.notify_all();
    }
}

impl Clock for Gate {
    fn now_ns(&self) -> i64 {
        if std::thread::current().name() == Some(self.thread) {
            let held = self.held.lock().unwrap();
            drop(self.changed.wait_while(held, |held| *held).unwrap());
        }
        SystemClock.now_ns()
    }
}

/// Waits for what another thread does; fails when it has not come about after a minute.
pub fn wait_until(come_about: impl Fn() -> bool) {
    let begun = Instant::now();
    while !come_about() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not come about");
        std::thread::yield_now();
    }
}
