//! One span in is one span stored: neither the exporter nor the store traces its own work, nor do
//! their log lines become events of an application's spans.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex};

use amida::{Clock, Fault, MemoryFs, Store, SystemClock};
use amida_otel::opentelemetry::Context;
use amida_otel::opentelemetry::trace::TracerProvider;
use amida_otel::opentelemetry_sdk::trace::{
    BatchSpanProcessor, SdkTracerProvider, SimpleSpanProcessor, SpanExporter,
};
use amida_otel::{Counts, Exporter};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer;
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;

use amida_tests::block_on;

use crate::common::{DIR, on_demand, options, rows, span_data};

/// How often each message of `amida::*` was logged.
#[derive(Debug, Clone, Default)]
struct Heard(Arc<Mutex<BTreeMap<String, u64>>>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Heard {
    fn on_event(&self, event: &Event<'_>, _: layer::Context<'_, S>) {
        struct Message(String);
        impl Visit for Message {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                if field.name() == "message" {
                    self.0 = format!("{value:?}");
                }
            }
        }
        if event.metadata().target().starts_with("amida") {
            let mut message = Message(String::new());
            event.record(&mut message);
            *self.0.lock().unwrap().entry(message.0).or_default() += 1;
        }
    }
}

/// A store that flushes after every request, its disk, and what becomes of its spans.
struct Kept {
    fs: MemoryFs,
    store: Store,
    exporter: Option<Exporter>,
    counts: Counts,
}

impl Kept {
    fn new() -> Self {
        let fs = MemoryFs::new();
        let store = options(&fs).seal_bytes(1).open(DIR).unwrap();
        let exporter = Exporter::new(&store);
        let counts = exporter.counts();
        Self { fs, store, exporter: Some(exporter), counts }
    }

    fn exporter(&mut self) -> Exporter {
        self.exporter.take().unwrap()
    }

    /// How many spans there are of each name, and how many events they have.
    fn spans(&self) -> BTreeMap<String, (u64, usize)> {
        let mut found: BTreeMap<String, (u64, usize)> = BTreeMap::new();
        for row in rows(&self.store) {
            let of_name = found.entry(row.name).or_default();
            of_name.0 += 1;
            of_name.1 += row.events.matches("\"time\":").count();
        }
        found
    }
}

/// A provider with all three processors, installed for every thread of the process, the store's
/// included, without a filter. Spans nest, since it is to the span around the one that ends that a
/// log line of an export would be added.
#[test]
fn one_span_in_is_one_span_stored_with_every_processor() {
    const ROUNDS: u64 = 20;
    let (mut batch, mut sdk_batch, mut simple) = (Kept::new(), Kept::new(), Kept::new());
    let config = on_demand().with_max_export_batch_size(3).build();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(
            batch.exporter().batch_with(1_000, on_demand().with_max_export_batch_size(3)),
        )
        .with_span_processor(
            BatchSpanProcessor::builder(sdk_batch.exporter()).with_batch_config(config).build(),
        )
        .with_span_processor(SimpleSpanProcessor::new(simple.exporter()))
        .build();
    let heard = Heard::default();
    tracing_subscriber::registry()
        .with(heard.clone())
        .with(tracing_opentelemetry::layer().with_tracer(provider.tracer("test")))
        .init();

    for _ in 0..ROUNDS {
        tracing::info_span!("outer").in_scope(|| {
            tracing::info_span!("inner").in_scope(|| tracing::info!("said"));
            // An append fails while the application is inside a span.
            simple.fs.fail_after(0, Fault::new(ErrorKind::Other).once());
            tracing::info_span!("unlucky").in_scope(|| ());
        });
    }
    provider.shutdown().unwrap();
    for kept in [&batch, &sdk_batch, &simple] {
        kept.store.compact().unwrap();
    }

    let expected = |names: &[(&str, usize)]| -> BTreeMap<String, (u64, usize)> {
        let rounds = ROUNDS as usize;
        names.iter().map(|(name, events)| ((*name).to_owned(), (ROUNDS, events * rounds))).collect()
    };
    let all = expected(&[("inner", 1), ("outer", 0), ("unlucky", 0)]);
    assert_eq!((batch.spans(), batch.counts.stored()), (all.clone(), ROUNDS * 3));
    assert_eq!((sdk_batch.spans(), sdk_batch.counts.stored()), (all, ROUNDS * 3));
    assert_eq!(simple.counts.stored() + simple.counts.failed(), ROUNDS * 3, "{}", simple.counts);
    let spans = simple.spans();
    assert_eq!((spans["inner"], spans["outer"].1), ((ROUNDS, ROUNDS as usize), 0), "{spans:?}");
    let heard = heard.0.lock().unwrap();
    for message in ["flushed", "compacted", "an append failed", "spans are not stored"] {
        assert!(heard.contains_key(message), "nobody logged {message:?}: {heard:?}");
    }
}

/// A clock of the application's, which would make spans if it were let.
#[derive(Debug, Default)]
struct TracedClock(Mutex<Vec<bool>>);

impl Clock for TracedClock {
    fn now_ns(&self) -> i64 {
        if !std::thread::current().name().is_some_and(|name| name.starts_with("amida-")) {
            self.0.lock().unwrap().push(Context::is_current_telemetry_suppressed());
        }
        SystemClock.now_ns()
    }
}

#[test]
fn what_runs_on_the_exporting_thread_has_telemetry_suppressed() {
    let clock = Arc::new(TracedClock::default());
    let store = options(&MemoryFs::new()).clock(clock.clone()).open(DIR).unwrap();
    clock.0.lock().unwrap().clear();
    block_on(Exporter::new(&store).export(vec![span_data(1, "a")])).unwrap();
    assert_eq!(*clock.0.lock().unwrap(), [true]);
    assert!(!Context::is_current_telemetry_suppressed());
}
