//! Stub
#![allow(missing_docs, dead_code)]
mod codec;
mod error;
mod fs;
mod manifest;
mod memtable;
mod model;
mod options;
mod otlp;
mod segment;
mod snapshot;
mod store;
mod wal;
pub use error::{Error, Result};
pub use fs::{CrashModel, Fault, Fs, MemoryFs, RealFs};
pub use model::batch::{SpanBatch, SpanRef};
pub use model::catalog::{Catalog, Promoted, PromotedType, Scope, SqlType, TypeCounts};
pub use model::ids::{SpanId, TraceId};
pub use model::predicate::Predicate;
pub use model::schema::{Marks, span_schema};
pub use model::time::{Clock, ManualClock, SystemClock};
pub use model::{json, schema};
pub use options::{Durability, Options, Retention, days};
pub use segment::Segment;
pub use snapshot::{Scan, Snapshot, Trace, Waterfall};
pub use store::{Pending, Reader, Receipt, Stats, Store};
