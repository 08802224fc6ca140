//! `Blob`: checked reads of a sealed file. Every byte that is handed out was checked against a
//! CRC-32 at least once in this process; what no checksum covers is not handed out at all.
//!
//! A file is covered by areas: either blocks of 4 KiB, counted from where the area starts and each
//! with its own checksum (`BlockTable`), or one checksum for a whole area.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::File;
use crate::error::{Error, Result};

/// Bytes a block.
pub const BLOCK_BYTES: usize = 4096;

const BLOCK: u64 = BLOCK_BYTES as u64;

/// Most bytes that one read of the disk takes while a file is verified.
const READ_BYTES: usize = 256 * BLOCK_BYTES;

/// The CRC-32 of each block of a run of bytes; the last block may be shorter.
///
/// Encoded, little-endian: the number of bytes covered (u64), then one u32 a block.
#[derive(Debug, Default)]
pub struct BlockTable {
    crcs: Vec<u32>,
    covered: u64,
    open: crc32fast::Hasher,
}

impl BlockTable {
    /// A table of no bytes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let filled = usize::try_from(self.covered % BLOCK).unwrap_or(0);
            let (now, rest) = bytes.split_at(bytes.len().min(BLOCK_BYTES - filled));
            self.open.update(now);
            self.covered += now.len() as u64;
            if self.covered.is_multiple_of(BLOCK) {
                self.crcs.push(std::mem::take(&mut self.open).finalize());
            }
            bytes = rest;
        }
    }

    /// Ends the last block.
    pub fn finish(&mut self) {
        if self.crcs.len() as u64 * BLOCK < self.covered {
            self.crcs.push(std::mem::take(&mut self.open).finalize());
        }
    }

    /// Number of bytes covered.
    pub fn covered(&self) -> u64 {
        self.covered
    }

    /// The table as bytes; call `finish` first.
    pub fn encode(&self) -> Vec<u8> {
        let crcs = self.crcs.iter().flat_map(|crc| crc.to_le_bytes());
        self.covered.to_le_bytes().into_iter().chain(crcs).collect()
    }

    /// The table in these bytes; `None` when they are none.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (covered, crcs) = bytes.split_first_chunk::<8>()?;
        let covered = u64::from_le_bytes(*covered);
        let (crcs, rest) = crcs.as_chunks::<4>();
        let whole = rest.is_empty() && crcs.len() as u64 == covered.div_ceil(BLOCK);
        let crcs = crcs.iter().map(|crc| u32::from_le_bytes(*crc)).collect();
        whole.then(|| Self { crcs, covered, open: crc32fast::Hasher::new() })
    }
}

/// A part of the file whose checksums are known.
#[derive(Debug)]
struct Area {
    range: Range<u64>,
    block_bytes: u64,
    crcs: Vec<u32>,
    /// One bit a block: its checksum was compared and held.
    checked: Vec<AtomicU64>,
}

impl Area {
    fn new(range: Range<u64>, block_bytes: u64, crcs: Vec<u32>) -> Self {
        let checked = (0..crcs.len().div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        Self { range, block_bytes: block_bytes.max(1), crcs, checked }
    }

    /// The blocks that hold a part of the area, and where each stands in the file.
    fn blocks(&self, part: &Range<u64>) -> impl Iterator<Item = (usize, Range<u64>)> {
        let first = (part.start - self.range.start) / self.block_bytes;
        let end = (part.end - self.range.start).div_ceil(self.block_bytes);
        let (start, block_bytes, area_end) = (self.range.start, self.block_bytes, self.range.end);
        (first..end).map(move |block| {
            let from = start + block * block_bytes;
            (usize::try_from(block).unwrap_or(usize::MAX), from..area_end.min(from + block_bytes))
        })
    }

    fn bit(&self, block: usize) -> Option<(&AtomicU64, u64)> {
        Some((self.checked.get(block / 64)?, 1 << (block % 64)))
    }

    fn is_checked(&self, block: usize) -> bool {
        self.bit(block).is_some_and(|(word, bit)| word.load(Ordering::Relaxed) & bit != 0)
    }

    fn set_checked(&self, block: usize) {
        if let Some((word, bit)) = self.bit(block) {
            // Relaxed: the bytes never change, so the bit orders nothing.
            word.fetch_or(bit, Ordering::Relaxed);
        }
    }
}

/// A sealed file in memory (mapped where the disk can) whose bytes are checked when they are first
/// read.
#[derive(Debug)]
pub struct Blob {
    path: PathBuf,
    bytes: Bytes,
    areas: Vec<Area>,
}

impl Blob {
    /// The file at `path` with these bytes (see `Fs::map`); nothing is covered, so nothing can be
    /// read yet.
    pub fn new(path: &Path, bytes: Bytes) -> Self {
        Self { path: path.to_owned(), bytes, areas: Vec::new() }
    }

    /// Covers the bytes from `start` on with a table of block checksums.
    ///
    /// # Errors
    /// `Corrupt` when the table covers more than the file has, or bytes that are covered already.
    pub fn cover_blocks(self, start: u64, table: BlockTable) -> Result<Self> {
        let end = start.saturating_add(table.covered);
        self.cover(Area::new(start..end, BLOCK, table.crcs))
    }

    /// Covers a range with one checksum.
    ///
    /// # Errors
    /// As `cover_blocks`.
    pub fn cover_whole(self, range: Range<u64>, crc: u32) -> Result<Self> {
        let bytes = range.end.saturating_sub(range.start);
        self.cover(Area::new(range, bytes, vec![crc]))
    }

    fn cover(mut self, area: Area) -> Result<Self> {
        let Range { start, end } = area.range;
        let overlaps = self.areas.iter().any(|a| a.range.start < end && start < a.range.end);
        if start > end || end > self.len() || overlaps {
            return Err(self.corrupt(start, format!("the checksums of {start}..{end} do not fit")));
        }
        if start < end {
            self.areas.push(area);
            self.areas.sort_by_key(|a| a.range.start);
        }
        Ok(self)
    }

    /// Where the file stands.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the file.
    pub fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Whether the file has no bytes.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Where the bytes end that follow this offset and are covered by one area; the offset itself
    /// when it is not covered.
    pub fn covered_until(&self, offset: u64) -> u64 {
        self.areas
            .iter()
            .find(|area| area.range.contains(&offset))
            .map_or(offset, |area| area.range.end)
    }

    /// The bytes of a range, without copying. Each block that the range touches is checked once;
    /// blocks that held are remembered.
    ///
    /// # Errors
    /// `Corrupt` when a block is not what was written, or the range has bytes that no checksum
    /// covers (past the end, for example).
    pub fn read(&self, range: Range<u64>) -> Result<Bytes> {
        for (area, part) in self.parts(&range)? {
            for (block, at) in area.blocks(&part) {
                if planted!("block_unchecked") {
                    continue;
                }
                if !area.is_checked(block) {
                    if planted!("block_remembered_unchecked") {
                        area.set_checked(block);
                    }
                    self.check(area, block, at.start, self.slice(&at))?;
                    area.set_checked(block);
                }
            }
        }
        let start = usize::try_from(range.start).unwrap_or(usize::MAX);
        let end = usize::try_from(range.end).unwrap_or(usize::MAX);
        // `parts` has shown that the range lies within areas, which lie within the file.
        Ok(self.bytes.slice(start..end))
    }

    /// The bytes of a range, read from the disk and not through the map, so that an unreadable
    /// sector is an error here and not a signal. All blocks are checked.
    ///
    /// # Errors
    /// As `read`; `Io`.
    pub fn read_from_disk(&self, file: &dyn File, range: Range<u64>) -> Result<Bytes> {
        let mut out = Vec::new();
        for (area, part) in self.parts(&range)? {
            for (block, at) in area.blocks(&part) {
                let mut buffer = vec![0; usize::try_from(at.end - at.start).unwrap_or(0)];
                let read = file.read_at(&mut buffer, at.start)?;
                self.check(area, block, at.start, buffer.get(..read).unwrap_or_default())?;
                let from = usize::try_from(part.start.saturating_sub(at.start)).unwrap_or(0);
                let to = usize::try_from(part.end.min(at.end) - at.start).unwrap_or(0);
                out.extend_from_slice(buffer.get(from..to).unwrap_or_default());
            }
        }
        Ok(Bytes::from(out))
    }

    /// Reads all areas from the disk and checks every block.
    ///
    /// # Errors
    /// `Corrupt`, `Io`.
    pub fn verify(&self, file: &dyn File) -> Result<()> {
        for area in &self.areas {
            if area.block_bytes == BLOCK {
                let mut at = area.range.start;
                while at < area.range.end {
                    let end = area.range.end.min(at + READ_BYTES as u64);
                    self.read_from_disk(file, at..end)?;
                    at = end;
                }
            } else if !planted!("verify_skips_index") {
                self.verify_whole(file, area)?;
            }
        }
        Ok(())
    }

    fn verify_whole(&self, file: &dyn File, area: &Area) -> Result<()> {
        let mut crc = crc32fast::Hasher::new();
        let mut buffer = vec![0; READ_BYTES];
        let mut at = area.range.start;
        while at < area.range.end {
            let want = usize::try_from(area.range.end - at).unwrap_or(usize::MAX).min(READ_BYTES);
            let read = file.read_at(buffer.get_mut(..want).unwrap_or_default(), at)?;
            crc.update(buffer.get(..read).unwrap_or_default());
            if read < want {
                break;
            }
            at += want as u64;
        }
        self.compare(area, 0, area.range.start, crc.finalize())
    }

    /// The areas that a range touches with the part in each; an error when a byte is not covered.
    fn parts(&self, range: &Range<u64>) -> Result<Vec<(&Area, Range<u64>)>> {
        let mut parts = Vec::new();
        let mut at = range.start;
        for area in &self.areas {
            if at < range.end && area.range.contains(&at) {
                let end = range.end.min(area.range.end);
                parts.push((area, at..end));
                at = end;
            }
        }
        if at == range.end && range.end <= self.len() {
            return Ok(parts);
        }
        let Range { start, end } = range;
        let len = self.len();
        Err(self.corrupt(at, format!("no checksum covers all of {start}..{end} ({len} bytes)")))
    }

    fn slice(&self, range: &Range<u64>) -> &[u8] {
        let start = usize::try_from(range.start).unwrap_or(usize::MAX);
        let end = usize::try_from(range.end).unwrap_or(usize::MAX);
        self.bytes.get(start..end).unwrap_or_default()
    }

    fn check(&self, area: &Area, block: usize, offset: u64, bytes: &[u8]) -> Result<()> {
        self.compare(area, block, offset, crc32fast::hash(bytes))
    }

    fn compare(&self, area: &Area, block: usize, offset: u64, found: u32) -> Result<()> {
        match area.crcs.get(block) {
            Some(expected) if *expected == found => Ok(()),
            Some(expected) => {
                Err(self.corrupt(offset, format!("expected crc {expected:08x}, found {found:08x}")))
            }
            None => Err(self.corrupt(offset, "no checksum covers this block")),
        }
    }

    fn corrupt(&self, offset: u64, what: impl Into<String>) -> Error {
        Error::corrupt(&self.path, offset, what)
    }
}

#[cfg(test)]
#[path = "blob_tests.rs"]
mod tests;
