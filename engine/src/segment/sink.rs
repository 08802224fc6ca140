//! Where a segment's bytes go: an unfinished file, with the checksums taken as they pass.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::fs::{BlockTable, File};

use super::format::BODY_OFFSET;

/// Bytes gathered for one write to the disk.
const BUFFER_BYTES: usize = 256 << 10;

/// Writes to a file from its start on and takes the checksums: of the body by blocks, of the footer
/// as a whole.
#[derive(Debug)]
pub struct Sink {
    file: Box<dyn File>,
    path: PathBuf,
    buffer: Vec<u8>,
    /// Bytes taken, those in the buffer included.
    taken: u64,
    blocks: BlockTable,
    footer: Option<crc32fast::Hasher>,
    in_body: bool,
    /// The first error of the disk; Parquet's errors keep only its words.
    failed: Option<Error>,
}

impl Sink {
    /// A sink that writes to this new file.
    pub fn new(file: Box<dyn File>, path: &Path) -> Self {
        Self {
            file,
            path: path.to_owned(),
            buffer: Vec::with_capacity(BUFFER_BYTES),
            taken: 0,
            blocks: BlockTable::new(),
            footer: None,
            in_body: true,
            failed: None,
        }
    }

    /// Bytes taken so far.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Ends the body: its table.
    pub fn end_body(&mut self) -> BlockTable {
        self.in_body = false;
        let mut table = std::mem::take(&mut self.blocks);
        table.finish();
        table
    }

    /// What follows is the footer.
    pub fn begin_footer(&mut self) {
        self.footer = Some(crc32fast::Hasher::new());
    }

    /// The checksum of what came since `begin_footer`.
    pub fn end_footer(&mut self) -> u32 {
        self.footer.take().unwrap_or_default().finalize()
    }

    /// Writes what is left in the buffer, then the header where it belongs, and syncs.
    pub fn finish(&mut self, header: &[u8], header_offset: u64) -> Result<()> {
        self.write_buffer()?;
        self.file.write_all_at(header, header_offset)?;
        self.file.sync_data()
    }

    /// The first error of the disk, if there was one.
    pub fn failed(&self) -> Option<Error> {
        self.failed.clone()
    }

    /// The store's error behind one of Parquet's.
    pub fn error(&mut self, error: &impl std::fmt::Display) -> Error {
        self.failed().unwrap_or_else(|| {
            Error::invalid(format!("{}: cannot write the segment: {error}", self.path.display()))
        })
    }

    fn write_buffer(&mut self) -> Result<()> {
        let offset = self.taken - self.buffer.len() as u64;
        self.file.write_all_at(&self.buffer, offset)?;
        self.buffer.clear();
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        if self.in_body {
            let header = usize::try_from(BODY_OFFSET.saturating_sub(self.taken)).unwrap_or(0);
            self.blocks.update(bytes.get(header..).unwrap_or_default());
        }
        if let Some(footer) = &mut self.footer {
            footer.update(bytes);
        }
        self.buffer.extend_from_slice(bytes);
        self.taken += bytes.len() as u64;
        if self.buffer.len() >= BUFFER_BYTES { self.write_buffer() } else { Ok(()) }
    }
}

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.failed.is_some() {
            return Err(io::Error::other("an earlier write failed"));
        }
        self.take(bytes).map(|()| bytes.len()).map_err(|error| {
            let words = error.to_string();
            self.failed = Some(error);
            io::Error::other(words)
        })
    }

    /// Does nothing: `finish` writes what is left.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
