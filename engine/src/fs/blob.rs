//! Stub.
use std::ops::Range;
use std::path::Path;
use bytes::Bytes;
use crate::error::Result;
/// Bytes a block.
pub const BLOCK_BYTES: usize = 4096;
/// stub
#[derive(Debug)]
pub struct Blob;
/// stub
#[derive(Debug)]
pub struct BlockTable;
impl Blob {
    /// stub
    pub fn read(&self, _range: Range<u64>) -> Result<Bytes> { todo!() }
    /// stub
    pub fn path(&self) -> &Path { todo!() }
}
