//! Amida: an embedded columnar store for OpenTelemetry traces.
//!
//! A service links it, hands it OTLP requests and asks for spans: no collector, no cluster. What
//! was acknowledged is on disk and visible at once; it is compacted into Parquet files that any
//! engine reads; a trace is found by its id through an index. SQL is in the crate `amida-sql`.
//!
//! ```
//! use amida::{Predicate, RequestBuilder, Resource, SpanBuilder, Store};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = Store::in_memory(); // Store::open("traces.amida")? for a directory
//! let id = "4bf92f3577b34da6a3ce929d0e0e4736".parse()?;
//! let span = SpanBuilder::new(id, "00f067aa0ba902b7".parse()?, "GET /cart")
//!     .start_ns(1_700_000_000_000_000_000)
//!     .end_ns(1_700_000_000_004_200_000)
//!     .attribute("http.response.status_code", 200);
//! let body = RequestBuilder::new(Resource::new("checkout")).span(span).finish();
//!
//! let receipt = store.append_otlp(body)?; // on disk and visible when it returns
//! assert_eq!((receipt.accepted(), receipt.rejected()), (1, 0));
//!
//! let snapshot = store.snapshot();
//! let trace = snapshot.trace(id)?.ok_or("the trace was just stored")?;
//! println!("{trace}"); // the waterfall
//! for batch in snapshot.scan(&Predicate::new().service("checkout"))? {
//!     for span in batch?.spans() {
//!         println!("{} {} ns", span.name(), span.duration_ns());
//!     }
//! }
//! store.close()?;
//! # Ok(())
//! # }
//! ```
//!
//! | to | use |
//! |---|---|
//! | store spans | [`Store`], [`Options`], [`Durability`], [`Retention`], [`RequestBuilder`] |
//! | know what became of them | [`Receipt`], [`Pending`], [`Stats`], [`Error`] |
//! | read | [`Snapshot`], [`Predicate`], [`SpanBatch`], [`SpanRef`], [`Trace`], [`Waterfall`] |
//! | read around damage | [`Snapshot::allow_partial`], [`Missing`] |
//! | pass spans on | [`spans_to_requests`], [`spans_to_json`] |
//! | read beside a writer | [`Reader`] |
//! | back up | [`Store::checkpoint`], [`Reader::checkpoint`], [`Checkpoint`] |
//! | check and repair | [`verify`], [`Verification`], [`Problem`], [`Rebuild`], [`RebuildReport`] |
//! | build a query engine on it | [`Segment`], [`Catalog`], [`schema`], [`json`] |
//! | test | [`Store::in_memory`], [`MemoryFs`], [`ManualClock`] |
//!
//! The engine starts two threads of its own, needs no async runtime, and logs through `tracing`
//! (targets `amida::*`); log lines never carry span content.

#[macro_use]
mod planted;

mod codec;
#[doc(hidden)]
pub mod decoders;
mod error;
mod fs;
mod maintenance;
mod manifest;
mod memtable;
mod model;
mod options;
mod otlp;
mod segment;
mod snapshot;
mod store;
mod sync;
mod wal;

pub use error::{Error, Result};
pub use fs::{CrashModel, Fault, File, Fs, Lock, MemoryFs, RealFs};
pub use model::batch::{SpanBatch, SpanRef};
pub use model::catalog::{Catalog, Promoted, PromotedType, Scope, SqlType, TypeCounts};
pub use model::examples::Examples;
pub use model::ids::{SpanId, TraceId};
pub use model::predicate::Predicate;
pub use model::schema::{Marks, span_schema};
pub use model::time::{Clock, ManualClock, SystemClock};
pub use model::{json, schema};
pub use options::{Durability, Options, REQUEST_BYTES_MAX, Retention, days};
pub use otlp::build::{
    AttributeValue, EventBuilder, InstrumentationScope, LinkBuilder, RequestBuilder, Resource,
    SpanBuilder, SpanKind,
};
pub use otlp::encode::{spans_to_json, spans_to_requests};
pub use otlp::json::{JsonRequests, json_to_requests};
pub use segment::{Missing, Segment};
pub use snapshot::{CriticalPath, Scan, Snapshot, Trace, Waterfall};
pub use store::{
    Checkpoint, Pending, Problem, Reader, Rebuild, RebuildReport, Receipt, RecoveryReport, Stats,
    Store, Verification, verify,
};
