//! Reads log files record by record, by bounded reads; never maps them.

use std::path::{Path, PathBuf};

use super::format::{
    ALIGNMENT, BadHeader, FILE_HEADER_BYTES, FileHeader, RECORD_HEADER_BYTES, RECORD_MAGIC,
    RecordHeader, RecordKind, padded,
};
use crate::codec::crc32;
use crate::error::{Error, Result};
use crate::fs::{File, Fs};

/// A log's unused space is megabytes of zeros: they are compared at once.
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

/// Reads the records of one log file in order.
#[derive(Debug)]
pub struct WalReader {
    file: Box<dyn File>,
    path: PathBuf,
    header: FileHeader,
    offset: u64,
}

/// A whole record.
#[derive(Debug)]
pub struct Record {
    /// Its header.
    pub header: RecordHeader,
    /// Its payload, checked.
    pub payload: Vec<u8>,
    /// Where it begins in the file.
    pub offset: u64,
}

/// What stands at the reader's place.
#[derive(Debug)]
pub enum Step {
    /// A whole record; the reader moved behind it.
    Record(Record),
    /// Nothing but zeros, or the end of the file.
    End,
    /// Bytes that are no whole record. The reader did not move.
    Bad,
}

impl WalReader {
    /// Opens a log file of this store.
    ///
    /// # Errors
    /// `Corrupt` when the file header is damaged or of another store or file, `Unsupported` when a
    /// newer version wrote it.
    pub fn open(fs: &dyn Fs, path: &Path, store_id: &[u8; 16], number: u64) -> Result<Self> {
        let file = fs.open(path)?;
        let header = read_header(&*file, path)?;
        if header.store_id != *store_id || header.number != number {
            return Err(Error::corrupt(path, 16, "the log belongs to another store or place"));
        }
        Ok(Self { file, path: path.to_owned(), header, offset: FILE_HEADER_BYTES as u64 })
    }

    /// The file header.
    pub fn header(&self) -> &FileHeader {
        &self.header
    }

    /// Length of the file now, in bytes.
    pub fn len(&self) -> Result<u64> {
        self.file.len()
    }

    /// Where the next record begins.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Goes back to a place where a record began.
    pub fn seek(&mut self, offset: u64) {
        self.offset = offset;
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads what stands at the reader's place.
    pub fn step(&mut self) -> Result<Step> {
        match self.record_at(self.offset)? {
            Some(record) => {
                self.offset += RECORD_HEADER_BYTES as u64 + padded(record.header.payload_bytes);
                Ok(Step::Record(record))
            }
            None if self.zeros_from(self.offset)? => Ok(Step::End),
            None => Ok(Step::Bad),
        }
    }

    /// Looks behind bad bytes for the next whole record; moves there and returns it.
    pub fn resync(&mut self) -> Result<Option<Record>> {
        const WINDOW: usize = ZEROS.len();
        let mut at = self.offset + ALIGNMENT;
        let mut window = vec![0; WINDOW + RECORD_HEADER_BYTES];
        loop {
            let read = self.file.read_at(&mut window, at)?;
            let window_bytes = window.get(..read).unwrap_or_default();
            let unused = window_bytes.starts_with(&ZEROS);
            let starts = 0..if unused { 0 } else { read.min(WINDOW) };
            for start in starts.step_by(ALIGNMENT as usize) {
                let candidate = window_bytes.get(start..).unwrap_or_default();
                if !candidate.starts_with(&RECORD_MAGIC) {
                    continue;
                }
                if let Some(record) = self.record_at(at + start as u64)? {
                    self.offset = record.offset
                        + RECORD_HEADER_BYTES as u64
                        + padded(record.header.payload_bytes);
                    return Ok(Some(record));
                }
            }
            if read <= WINDOW {
                return Ok(None);
            }
            at += WINDOW as u64;
        }
    }

    fn record_at(&self, offset: u64) -> Result<Option<Record>> {
        let mut bytes = [0; RECORD_HEADER_BYTES];
        if self.file.read_at(&mut bytes, offset)? < RECORD_HEADER_BYTES {
            return Ok(None);
        }
        let Some(header) = RecordHeader::decode(&bytes, &self.header, offset) else {
            return Ok(None);
        };
        let at = offset + RECORD_HEADER_BYTES as u64;
        let len = u64::from(header.payload_bytes);
        if at.saturating_add(len) > self.file.len()? {
            return Ok(None);
        }
        let mut payload = vec![0; header.payload_bytes as usize];
        let read = self.file.read_at(&mut payload, at)?;
        let fits = planted!("payload_unchecked") || crc32(&[&payload]) == header.payload_crc;
        let whole = read == payload.len() && fits;
        Ok(whole.then_some(Record { header, payload, offset }))
    }

    fn zeros_from(&self, mut offset: u64) -> Result<bool> {
        let mut buffer = vec![0; ZEROS.len()];
        loop {
            let read = self.file.read_at(&mut buffer, offset)?;
            if buffer.get(..read) != ZEROS.get(..read) {
                return Ok(false);
            }
            if read < buffer.len() {
                return Ok(true);
            }
            offset += read as u64;
        }
    }
}

/// The header of a log file, of whatever store.
///
/// # Errors
/// As `WalReader::open`.
pub fn read_header(file: &dyn File, path: &Path) -> Result<FileHeader> {
    let mut bytes = [0; FILE_HEADER_BYTES];
    let read = file.read_at(&mut bytes, 0)?;
    FileHeader::decode(bytes.get(..read).unwrap_or_default()).map_err(|bad| match bad {
        BadHeader::Damaged(what) => Error::corrupt(path, 0, what),
        BadHeader::Version(version) => Error::Unsupported {
            path: path.to_owned(),
            what: format!("log format {version}; this is a version that reads 1"),
        },
    })
}

impl Record {
    /// Whether this record ends its file.
    pub fn is_seal(&self) -> bool {
        self.header.kind == RecordKind::Seal
    }
}
