//! A [`SpanExporter`](opentelemetry_sdk::trace::SpanExporter) for `opentelemetry_sdk`: a service
//! keeps its own spans in an Amida store in its own process, with no collector and no network.
//!
//! Spans of `opentelemetry` arrive, and those of `tracing` through `tracing-opentelemetry`:
//!
//! ```
//! use amida::Store;
//! use amida_otel::Exporter;
//! use amida_otel::opentelemetry::trace::TracerProvider;
//! use amida_otel::opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
//! use tracing_subscriber::prelude::*;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = Store::in_memory(); // Store::open("traces.amida")? for a directory
//! let provider = SdkTracerProvider::builder()
//!     .with_resource(Resource::builder().with_service_name("checkout").build())
//!     .with_span_processor(Exporter::new(&store).batch())
//!     .build();
//! tracing_subscriber::registry()
//!     .with(tracing_opentelemetry::layer().with_tracer(provider.tracer("checkout")))
//!     .init();
//!
//! tracing::info_span!("POST /checkout").in_scope(|| tracing::info!("three items"));
//!
//! provider.shutdown()?; // first: the spans that still wait go to the store
//! assert_eq!(store.snapshot().span_count(), 1);
//! store.close()?; // then
//! # Ok(())
//! # }
//! ```
//!
//! # Versions
//!
//! OpenTelemetry's crates change together and their types do not mix across versions. Use those
//! that are re-exported here, or the same minor version:
//!
//! | amida-otel | opentelemetry, opentelemetry_sdk | tracing-opentelemetry | Rust |
//! |---|---|---|---|
//! | 0.1 | 0.33 | 0.34 | 1.95 |
//!
//! # Which processor
//!
//! | processor | a span is stored | when spans come faster than the disk takes them |
//! |---|---|---|
//! | [`Exporter::batch`] | within 5 s, or 512 spans, on a thread of its own | drops, and counts |
//! | `with_batch_exporter(exporter)` | the same | drops, and tells the SDK's log |
//! | `with_simple_exporter(exporter)` | when it ends, while its thread waits | the thread waits |
//!
//! [`Exporter::batch`] is the SDK's batch processor with a count of what it drops. The simple
//! processor makes every end of a span wait for the disk: for tests and tools, not for services.
//!
//! # What is promised
//!
//! - Every span that an export got is counted once, in [`Counts`]: as stored, or as rejected,
//!   refused or failed, with an error that the SDK logs, and a warning (target `amida::otel`).
//!   Spans that [`Exporter::batch`] got are counted in any case; see [`BatchProcessor`].
//! - A stored span has all that the SDK had of it: resource and scope with their schema URLs,
//!   events, links, status, trace state, flags (also whether the parent was remote), and counts
//!   of what the SDK dropped.
//! - The exporter's work is not traced. Writing happens on the store's threads, where no span is
//!   current, so that nothing that they log becomes an event of an application's span; what runs on
//!   the exporting thread has telemetry suppressed. (An `amida::Fs` of your own must not make spans
//!   for the provider that writes through it.)
//! - No async runtime is needed, and none is blocked but for [`Exporter::retry_max`].
//!
//! `docs/embedding.md` in the repository says how to size, measure, test and end a service with it.

mod batch;
mod counts;
mod exporter;
mod request;

pub use batch::BatchProcessor;
pub use counts::Counts;
pub use exporter::Exporter;
pub use opentelemetry;
pub use opentelemetry_sdk;

/// The code of docs/embedding.md runs with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/embedding.md")]
struct Embedding;
