//! The layout of a segment file and its header. All numbers are little-endian.
//!
//! | header field | bytes | meaning |
//! |---|---|---|
//! | magic | 8 | `AMIDASEG` |
//! | format_version | u32 | `FORMAT_VERSION` |
//! | row_groups | u32 | number of row groups, at least 1 |
//! | store_id | 16 | the store that wrote the file |
//! | number | u64 | the segment's number, as in its name |
//! | rows | u64 | number of spans |
//! | start_min_ns, start_max_ns | i64, i64 | earliest and latest start time |
//! | index_offset | u64 | where the row groups end and the trace-ID index begins |
//! | table_offset | u64 | where the index ends and the block table begins |
//! | footer_offset | u64 | where the block table ends and the Parquet footer begins |
//! | file_bytes | u64 | length of the file |
//! | index_crc, table_crc, footer_crc | u32 each | CRC-32 of those three parts, each as a whole |
//! | reserved | 12 | zero |
//! | header_crc | u32 | CRC-32 of the 120 bytes before it |

use std::ops::Range;
use std::path::Path;

use crate::error::{Error, Result};
pub use crate::model::schema::{FORMAT_VERSION, KEY_FORMAT_VERSION};

/// What a Parquet file begins and ends with.
pub const PARQUET_MAGIC: &[u8; 4] = b"PAR1";
/// What the header begins with.
pub const MAGIC: &[u8; 8] = b"AMIDASEG";
/// Where the header begins: after Parquet's magic.
pub const HEADER_OFFSET: usize = 4;
/// Length of the header with its checksum.
pub const HEADER_BYTES: usize = 124;
/// Where the first row group begins.
pub const BODY_OFFSET: u64 = (HEADER_OFFSET + HEADER_BYTES) as u64;
/// Most spans of a segment: row numbers in the index are 32 bits.
pub const ROWS_MAX: u64 = u32::MAX as u64;

/// Key in the Parquet footer: the promoted keys as a JSON array, in the order of their columns.
pub const KEY_PROMOTED: &str = "amida.promoted";
/// Key in the Parquet footer: per row group the names of the promoted columns that are complete in
/// it, as a JSON array of arrays.
pub const KEY_COMPLETE: &str = "amida.complete";

/// Key in the Parquet footer: first and last log record whose spans are in the file, as a JSON
/// array.
pub const KEY_SEQUENCES: &str = "amida.sequences";
/// Key in the Parquet footer: first and last time of ingest, in nanoseconds, as a JSON array.
pub const KEY_INGEST_TIMES: &str = "amida.ingest_times";

/// Where the spans of a segment come from. With it the manifest can be made again from the segments
/// alone: a file whose records another, newer one has, too, was replaced by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// First and last log record whose spans are in it.
    pub sequences: (u64, u64),
    /// First and last time of ingest, in nanoseconds.
    pub ingest_times: (i64, i64),
}

const CRC_BYTES: usize = 4;
const RESERVED_BYTES: usize = 12;

/// The header of a segment file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    /// Number of row groups.
    pub row_groups: u32,
    /// The store that wrote the file.
    pub store_id: [u8; 16],
    /// The segment's number.
    pub number: u64,
    /// Number of spans.
    pub rows: u64,
    /// Earliest start time.
    pub start_min_ns: i64,
    /// Latest start time.
    pub start_max_ns: i64,
    /// Where the trace-ID index begins.
    pub index_offset: u64,
    /// Where the block table begins.
    pub table_offset: u64,
    /// Where the Parquet footer begins.
    pub footer_offset: u64,
    /// Length of the file.
    pub file_bytes: u64,
    /// CRC-32 of the trace-ID index.
    pub index_crc: u32,
    /// CRC-32 of the block table.
    pub table_crc: u32,
    /// CRC-32 of the Parquet footer.
    pub footer_crc: u32,
}

impl Header {
    /// The row groups.
    pub fn body(&self) -> Range<u64> {
        BODY_OFFSET..self.index_offset
    }

    /// The trace-ID index.
    pub fn index(&self) -> Range<u64> {
        self.index_offset..self.table_offset
    }

    /// The block table.
    pub fn table(&self) -> Range<u64> {
        self.table_offset..self.footer_offset
    }

    /// The Parquet footer.
    pub fn footer(&self) -> Range<u64> {
        self.footer_offset..self.file_bytes
    }

    /// The header as it stands in the file at `HEADER_OFFSET`.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend(MAGIC);
        out.extend(FORMAT_VERSION.to_le_bytes());
        out.extend(self.row_groups.to_le_bytes());
        out.extend(self.store_id);
        out.extend(self.number.to_le_bytes());
        out.extend(self.rows.to_le_bytes());
        out.extend(self.start_min_ns.to_le_bytes());
        out.extend(self.start_max_ns.to_le_bytes());
        for offset in [self.index_offset, self.table_offset, self.footer_offset, self.file_bytes] {
            out.extend(offset.to_le_bytes());
        }
        for crc in [self.index_crc, self.table_crc, self.footer_crc] {
            out.extend(crc.to_le_bytes());
        }
        out.extend([0; RESERVED_BYTES]);
        out.extend(crc32fast::hash(&out).to_le_bytes());
        debug_assert_eq!(out.len(), HEADER_BYTES);
        out
    }

    /// Reads and checks the header of a file with these bytes.
    ///
    /// # Errors
    /// `Corrupt` when the bytes are not a whole segment; `Unsupported` when a newer version wrote
    /// them.
    pub fn decode(path: &Path, file: &[u8]) -> Result<Self> {
        Self::decode_begin(path, file, file.len() as u64)
    }

    /// As `decode`, from the first bytes of a file that has so many.
    ///
    /// # Errors
    /// As `decode`.
    pub fn decode_begin(path: &Path, file: &[u8], file_bytes: u64) -> Result<Self> {
        let corrupt = |offset: usize, what: String| Error::corrupt(path, offset as u64, what);
        if file.get(..HEADER_OFFSET) != Some(PARQUET_MAGIC.as_slice()) {
            return Err(corrupt(0, "the file does not begin with PAR1".into()));
        }
        let header = file
            .get(HEADER_OFFSET..HEADER_OFFSET + HEADER_BYTES)
            .ok_or_else(|| corrupt(0, format!("only {} bytes: no whole header", file.len())))?;
        let (fields, crc) = header.split_at(HEADER_BYTES - CRC_BYTES);
        let mut crc = Fields(crc);
        let (expected, found) = (crc.u32(), crc32fast::hash(fields));
        if expected != found {
            let what = format!("header: expected crc {expected:08x}, found {found:08x}");
            return Err(corrupt(HEADER_OFFSET, what));
        }
        let mut fields = Fields(fields);
        if &fields.take::<8>() != MAGIC {
            return Err(corrupt(HEADER_OFFSET, "the header does not begin with AMIDASEG".into()));
        }
        let version = fields.u32();
        if version != FORMAT_VERSION {
            let what = format!("segment format {version}; this version reads {FORMAT_VERSION}");
            return Err(Error::Unsupported { path: path.to_owned(), what });
        }
        let header = fields.header();
        header.check(file_bytes).map_err(|what| corrupt(HEADER_OFFSET, what))?;
        Ok(header)
    }

    /// What must hold between the fields.
    fn check(&self, file_bytes: u64) -> std::result::Result<(), String> {
        if self.file_bytes != file_bytes {
            return Err(format!("expected {} bytes, found {file_bytes}", self.file_bytes));
        }
        let offsets =
            [BODY_OFFSET, self.index_offset, self.table_offset, self.footer_offset, file_bytes];
        if !offsets.is_sorted() {
            return Err(format!("the parts are out of order: {offsets:?}"));
        }
        if self.rows == 0 || self.rows > ROWS_MAX || self.row_groups == 0 {
            return Err(format!("{} rows in {} row groups", self.rows, self.row_groups));
        }
        if self.start_min_ns > self.start_max_ns {
            return Err(format!("start times {}..={}", self.start_min_ns, self.start_max_ns));
        }
        Ok(())
    }
}

/// Reads fields one after the other; past the end they are zero, and the caller has checked the
/// length.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        match self.0.split_first_chunk::<N>() {
            Some((field, rest)) => {
                self.0 = rest;
                *field
            }
            None => [0; N],
        }
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    fn i64(&mut self) -> i64 {
        i64::from_le_bytes(self.take())
    }

    /// The fields after the version; in the order in which they are written.
    fn header(&mut self) -> Header {
        Header {
            row_groups: self.u32(),
            store_id: self.take(),
            number: self.u64(),
            rows: self.u64(),
            start_min_ns: self.i64(),
            start_max_ns: self.i64(),
            index_offset: self.u64(),
            table_offset: self.u64(),
            footer_offset: self.u64(),
            file_bytes: self.u64(),
            index_crc: self.u32(),
            table_crc: self.u32(),
            footer_crc: self.u32(),
        }
    }
}
