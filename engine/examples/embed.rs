//! A service that keeps its own traces: open, append, read, find a trace, scan.
//!
//! `cargo run --example embed`

use std::error::Error;

use amida::{
    Durability, Predicate, RequestBuilder, Resource, Retention, SpanBuilder, SpanId, SpanKind,
    Store, TraceId, days,
};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::temp_dir().join(format!("embed-{}.amida", std::process::id()));
    let store = Store::options()
        .durability(Durability::Sync) // the default: on stable storage when append returns
        .retention(Retention::max_age(days(7)).max_bytes(10 << 30))
        .open(&directory)?;

    // Spans usually arrive as OTLP bytes and go to `append_otlp` as they are. Spans that were never
    // OTLP become OTLP first.
    let trace_id: TraceId = "4bf92f3577b34da6a3ce929d0e0e4736".parse()?;
    let checkout: SpanId = "00f067aa0ba902b7".parse()?;
    let charge: SpanId = "53995c3f42cd8ad8".parse()?;
    let start = 1_700_000_000_000_000_000;
    let body = RequestBuilder::new(Resource::new("shop").attribute("host.name", "web-1"))
        .span(
            SpanBuilder::new(trace_id, checkout, "POST /checkout")
                .kind(SpanKind::Server)
                .start_ns(start)
                .end_ns(start + 48_000_000)
                .attribute("http.response.status_code", 502),
        )
        .span(
            SpanBuilder::new(trace_id, charge, "charge card")
                .parent(checkout)
                .kind(SpanKind::Client)
                .start_ns(start + 5_000_000)
                .end_ns(start + 45_000_000)
                .error("the card service did not answer"),
        )
        .finish();
    let receipt = store.append_otlp(body)?;
    println!("stored {} spans, rejected {}", receipt.accepted(), receipt.rejected());

    // A snapshot sees everything that was acknowledged before it was taken, and never changes.
    let snapshot = store.snapshot();
    if let Some(trace) = snapshot.trace(trace_id)? {
        println!("\n{trace}");
    }
    for batch in snapshot.scan(&Predicate::new().service("shop").errors_only())? {
        for span in batch?.spans() {
            println!("{} failed: {}", span.name(), span.status_message());
        }
    }

    store.flush()?; // to a Parquet segment now; the background does it by size and age
    let stats = store.stats();
    println!("{} spans in {} segments", stats.segment_spans, stats.segments);
    store.close()?; // Drop closes too, but only `close` can return an error
    std::fs::remove_dir_all(&directory)?;
    Ok(())
}
