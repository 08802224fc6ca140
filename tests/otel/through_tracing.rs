//! Spans and events of `tracing` arrive in the store.

use amida::{Store, json};
use amida_otel::Exporter;
use amida_otel::opentelemetry::trace::TracerProvider;
use amida_otel::opentelemetry_sdk::trace::SimpleSpanProcessor;
use tracing_subscriber::prelude::*;

use crate::common::{names, rows, traced};

#[test]
fn a_trace_of_tracing_is_stored_with_its_fields_events_and_parents() {
    let store = Store::in_memory();
    let (provider, _) = traced(SimpleSpanProcessor::new(Exporter::new(&store)));
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("shop"));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let span = tracing::info_span!(
            "checkout",
            otel.name = "POST /checkout",
            otel.kind = "server",
            http.response.status_code = tracing::field::Empty
        );
        span.in_scope(|| {
            tracing::info_span!("charge card", amount = 12.5).in_scope(|| {
                tracing::error!(retries = 2, "card refused");
            });
            span.record("http.response.status_code", 502);
        });
    });
    provider.shutdown().unwrap();

    assert_eq!(names(&store), ["POST /checkout", "charge card"]);
    let trace_id = rows(&store)[0].trace_id.parse().unwrap();
    let trace = store.snapshot().trace(trace_id).unwrap().unwrap();
    let root = trace.root();
    assert_eq!((root.name(), root.kind(), root.scope_name()), ("POST /checkout", "SERVER", "shop"));
    assert_eq!(root.attribute("http.response.status_code"), Some(json::Value::Int(502)));
    let child = trace.children(root).next().unwrap();
    assert_eq!((child.name(), child.is_error()), ("charge card", true));
    assert_eq!(child.attribute("amount"), Some(json::Value::Double(12.5)));
    let events = child.events();
    assert_eq!((events.len(), events[0].name.as_str()), (1, "card refused"));
    assert_eq!(json::get(&events[0].attributes, "retries"), Some(json::Value::Int(2)));
}
