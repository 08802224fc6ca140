//! Stub.
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use bytes::Bytes;
use parquet::file::metadata::ParquetMetaData;
use crate::error::Result;
use crate::model::catalog::Promoted;
use crate::model::ids::TraceId;
/// stub
#[derive(Debug)]
pub struct Segment;
impl Segment {
    /// stub
    pub fn number(&self) -> u64 { todo!() }
    /// stub
    pub fn path(&self) -> &Path { todo!() }
    /// stub
    pub fn rows(&self) -> u64 { todo!() }
    /// stub
    pub fn bytes(&self) -> u64 { todo!() }
    /// stub
    pub fn start_times(&self) -> (i64, i64) { todo!() }
    /// stub
    pub fn read(&self, _range: Range<u64>) -> Result<Bytes> { todo!() }
    /// stub
    pub fn metadata(&self) -> Result<Arc<ParquetMetaData>> { todo!() }
    /// stub
    pub fn complete_columns(&self) -> Result<Arc<[Promoted]>> { todo!() }
    /// stub
    pub fn trace_rows(&self, _id: TraceId) -> Result<Vec<Range<u64>>> { todo!() }
}
