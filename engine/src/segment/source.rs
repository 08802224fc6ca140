//! Parquet's view of a segment: every byte comes through `Blob`, so damage is found before anything
//! is parsed.

use std::io::{self, Read};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::reader::{ChunkReader, Length};

use crate::error::{Error, Result};
use crate::fs::{BLOCK_BYTES, Blob, File};

/// How a source reads.
#[derive(Debug)]
enum Way {
    /// Slices of the map; each block is checked once.
    Map,
    /// Reads of the disk; each block is checked again.
    Disk(Box<dyn File>),
}

#[derive(Debug)]
struct Inner {
    blob: Arc<Blob>,
    way: Way,
    /// The first error: Parquet's iterator keeps only the words of what it is given.
    failed: Mutex<Option<Error>>,
}

/// A segment as Parquet reads it.
#[derive(Debug, Clone)]
pub struct Source(Arc<Inner>);

impl Source {
    /// Reads through the map.
    pub fn map(blob: &Arc<Blob>) -> Self {
        Self(Arc::new(Inner { blob: blob.clone(), way: Way::Map, failed: Mutex::default() }))
    }

    /// Reads the disk, which is this open file.
    pub fn disk(blob: &Arc<Blob>, file: Box<dyn File>) -> Self {
        Self(Arc::new(Inner { blob: blob.clone(), way: Way::Disk(file), failed: Mutex::default() }))
    }

    /// Runs a step of Parquet's decoder. Its errors become the store's; should it panic on bytes
    /// whose checksums hold, that is an error too.
    pub fn fenced<T, E: std::fmt::Display>(
        &self,
        step: impl FnOnce() -> std::result::Result<T, E>,
    ) -> Result<T> {
        match catch_unwind(AssertUnwindSafe(step)) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.error(&error)),
            Err(_) => Err(self.error(&"the Parquet decoder panicked")),
        }
    }

    fn error(&self, error: &impl std::fmt::Display) -> Error {
        let first = self.0.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        first.unwrap_or_else(|| {
            Error::corrupt(self.0.blob.path(), 0, format!("cannot be decoded: {error}"))
        })
    }

    /// Where the file stands.
    pub fn path(&self) -> &Path {
        self.0.blob.path()
    }

    /// Checks the bytes of a range before any of them is parsed.
    pub fn check(&self, range: Range<u64>) -> Result<()> {
        self.read(range).map(drop)
    }

    /// The bytes of a range, checked.
    pub fn read(&self, range: Range<u64>) -> Result<Bytes> {
        match &self.0.way {
            Way::Map => self.0.blob.read(range),
            Way::Disk(file) => self.0.blob.read_from_disk(file.as_ref(), range),
        }
        .inspect_err(|error| {
            let mut failed = self.0.failed.lock().unwrap_or_else(PoisonError::into_inner);
            failed.get_or_insert_with(|| error.clone());
        })
    }
}

impl Length for Source {
    fn len(&self) -> u64 {
        self.0.blob.len()
    }
}

impl ChunkReader for Source {
    type T = SourceRead;

    fn get_read(&self, start: u64) -> ParquetResult<SourceRead> {
        Ok(SourceRead { source: self.clone(), at: start, chunk: Bytes::new() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let end = start.saturating_add(length as u64);
        self.read(start..end).map_err(|error| ParquetError::External(Box::new(error)))
    }
}

/// Reads on from a place, a few blocks at a time.
#[derive(Debug)]
pub struct SourceRead {
    source: Source,
    at: u64,
    chunk: Bytes,
}

impl SourceRead {
    /// The next chunk ends where a block does, or where the covered bytes do.
    fn next_chunk(&mut self) -> Result<()> {
        let end = self.source.0.blob.covered_until(self.at);
        let bytes = match self.source.0.way {
            Way::Map => BLOCK_BYTES,
            Way::Disk(_) => 64 * BLOCK_BYTES,
        };
        let to = end.min(self.at.saturating_add(bytes as u64));
        self.chunk = self.source.read(self.at..to)?;
        self.at = to;
        Ok(())
    }
}

impl Read for SourceRead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.chunk.is_empty() {
            self.next_chunk().map_err(io::Error::other)?;
        }
        let len = buffer.len().min(self.chunk.len());
        let (Some(to), Some(from)) = (buffer.get_mut(..len), self.chunk.get(..len)) else {
            return Ok(0);
        };
        to.copy_from_slice(from);
        self.chunk.advance(len);
        Ok(len)
    }
}
