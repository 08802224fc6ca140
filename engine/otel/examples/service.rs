//! A service that keeps its own traces; README.md shows this program. `cargo run --example service`

use amida::{Predicate, Store};
use amida_otel::Exporter;
use amida_otel::opentelemetry::trace::TracerProvider;
use amida_otel::opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing::{error, info, info_span};
use tracing_subscriber::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // 1. Where the traces are kept.
    let store = Store::open("traces.amida")?;
    // 2. Whose they are, and that they go there.
    let provider = SdkTracerProvider::builder()
        .with_resource(Resource::builder().with_service_name("checkout").build())
        .with_span_processor(Exporter::new(&store).batch())
        .build();
    // 3. Every span of `tracing` is one of them.
    let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("checkout"));
    tracing_subscriber::registry().with(spans).init();

    for amount in [12, 250] {
        check_out(amount); // the service does its work
    }

    provider.shutdown()?; // first: what still waits is stored
    for batch in store.snapshot().scan(&Predicate::new().errors_only())? {
        for span in batch?.spans() {
            let trace = store.snapshot().trace(span.trace_id())?;
            println!("{}", trace.ok_or("its own trace is there")?); // the waterfall
        }
    }
    store.close()?; // then
    Ok(())
}

fn check_out(amount: i64) {
    let _checkout = info_span!("POST /checkout", otel.kind = "server").entered();
    info!("the cart has 3 items");
    let _charge = info_span!("charge card", amount, otel.kind = "client").entered();
    if amount > 100 {
        error!("the card was refused");
    }
}
