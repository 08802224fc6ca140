//! Stub.
mod trace;
mod waterfall;
use std::sync::Arc;
use crate::error::Result;
use crate::model::{batch::SpanBatch, catalog::Catalog, ids::TraceId, predicate::Predicate};
use crate::segment::Segment;
pub use self::trace::Trace;
pub use self::waterfall::Waterfall;
/// stub
#[derive(Debug, Clone)]
pub struct Snapshot;
/// stub
#[derive(Debug)]
pub struct Scan;
impl Iterator for Scan { type Item = Result<SpanBatch>; fn next(&mut self) -> Option<Self::Item> { todo!() } }
impl Snapshot {
    /// stub
    pub fn trace(&self, _id: TraceId) -> Result<Option<Trace>> { todo!() }
    /// stub
    pub fn traces_with_prefix(&self, _hex: &str, _max: usize) -> Result<Vec<TraceId>> { todo!() }
    /// stub
    pub fn scan(&self, _p: &Predicate) -> Result<Scan> { todo!() }
    /// stub
    pub fn span_count(&self) -> u64 { todo!() }
    /// stub
    pub fn catalog(&self) -> Result<Arc<Catalog>> { todo!() }
    /// stub
    pub fn hot_batches(&self) -> Result<Vec<SpanBatch>> { todo!() }
    /// stub
    pub fn hot_trace(&self, _id: TraceId) -> Result<Vec<SpanBatch>> { todo!() }
    /// stub
    pub fn segments(&self) -> &[Arc<Segment>] { todo!() }
}
