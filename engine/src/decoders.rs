//! The decoders of outside bytes, for fuzzing: each function takes bytes as they may stand on a
//! disk or come from a sender, and gives what the store would read from them; beside it stands what
//! writes such bytes. No part of the public interface: it changes with the formats.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

pub use crate::codec::crc32;
use crate::error::{Error, Result};
pub use crate::fs::BlockTable;
use crate::fs::{File, Fs, Lock};
use crate::manifest;
pub use crate::manifest::{SegmentEntry, Version};
use crate::model::batch::SpanBatch;
use crate::otlp::json;
use crate::otlp::resolve::resolve;
pub use crate::otlp::walk::Rejection;
use crate::otlp::walk::{Verdict, Walked, walk};
use crate::segment::{BODY_OFFSET, HEADER_OFFSET, MetadataCache, Segment};
pub use crate::segment::{Header, IndexBuilder, TraceIndex};
use crate::store::record;
pub use crate::wal::{FileHeader, Record, RecordHeader, RecordKind};
use crate::wal::{Step, WalReader};

/// What the one file is called in errors.
const PATH: &str = "/bytes";

/// A log file as it reads.
#[derive(Debug)]
pub struct Log {
    /// Its header.
    pub header: FileHeader,
    /// Its whole records, in order.
    pub records: Vec<Record>,
    /// Where bytes begin that are no record.
    pub bad: Vec<u64>,
}

/// Reads a log file to its end, across bytes that are no record.
///
/// # Errors
/// Those of `WalReader::open`.
pub fn log(file: Bytes, store_id: &[u8; 16], number: u64) -> Result<Log> {
    let mut reader = WalReader::open(&OneFile(file), Path::new(PATH), store_id, number)?;
    let mut log = Log { header: *reader.header(), records: Vec::new(), bad: Vec::new() };
    loop {
        let at = reader.offset();
        match reader.step()? {
            Step::Record(record) => log.records.push(record),
            Step::End => return Ok(log),
            Step::Bad => {
                log.bad.push(at);
                match reader.resync()? {
                    Some(record) => log.records.push(record),
                    None => return Ok(log),
                }
            }
        }
    }
}

/// The header of a log record that stands at this offset; `None` when it is none of this file.
pub fn record_header(bytes: &[u8], file: &FileHeader, offset: u64) -> Option<RecordHeader> {
    RecordHeader::decode(bytes, file, offset)
}

/// The header of a log file.
///
/// # Errors
/// What is wrong with it.
pub fn file_header(bytes: &[u8]) -> std::result::Result<FileHeader, String> {
    FileHeader::decode(bytes).map_err(|bad| format!("{bad:?}"))
}

/// A request after the first step of decoding.
#[derive(Debug)]
pub struct Request {
    /// When it was ingested.
    pub ingest_ns: i64,
    walked: Walked,
}

impl Request {
    /// Number of accepted spans.
    pub fn accepted(&self) -> usize {
        self.walked.request.spans.len()
    }

    /// The rejected spans: their positions among all, and why.
    pub fn rejected(&self) -> &[Rejection] {
        &self.walked.rejected
    }

    /// The bytes of the request.
    pub fn body(&self) -> &Bytes {
        &self.walked.request.body
    }

    /// The accepted spans in columns: the second step.
    ///
    /// # Errors
    /// `Invalid` when a column does not fit an Arrow array.
    pub fn spans(&self) -> Result<SpanBatch> {
        Ok(resolve([&self.walked.request])?.batch)
    }
}

/// A request as it comes from a sender at this time.
///
/// # Errors
/// `Invalid` when the bytes are no request.
pub fn request(body: Bytes, ingest_ns: i64) -> Result<Request> {
    walk(body, ingest_ns, Verdict::Judge { start_max_ns: None })
        .map(|walked| Request { ingest_ns, walked })
        .map_err(|e| Error::invalid(e.to_string()))
}

/// The payload of a request's log record.
pub fn payload(bytes: Vec<u8>) -> Option<Request> {
    let replayed = record::read(bytes)?;
    Some(Request { ingest_ns: replayed.ingest_ns, walked: replayed.walked })
}

/// The payload that is logged for a request.
pub fn payload_bytes(ingest_ns: i64, rejected: &[Rejection], body: &[u8]) -> Vec<u8> {
    [&record::head(ingest_ns, rejected), body].concat()
}

/// The requests of one OTLP/JSON document.
///
/// # Errors
/// `Invalid`.
pub fn json_document(text: &[u8]) -> Result<Vec<Bytes>> {
    json::one_document(text)
}

/// A manifest file.
///
/// # Errors
/// `Corrupt`, `Unsupported`.
pub fn manifest(bytes: &[u8]) -> Result<Version> {
    manifest::decode(bytes, Path::new(PATH))
}

/// The manifest file of a version.
///
/// # Errors
/// `Invalid` when it cannot be written as JSON.
pub fn manifest_bytes(version: &Version) -> Result<Vec<u8>> {
    manifest::encode(version)
}

/// A manifest file with this format number and body, whatever they are.
pub fn manifest_around(format: u32, body: &[u8]) -> Vec<u8> {
    manifest::framed(format, body)
}

/// A trace-ID index; `None` when the bytes are none.
pub fn trace_index(bytes: Bytes) -> Option<TraceIndex> {
    TraceIndex::decode(bytes)
}

/// A segment file; everything in it is read through the segment.
///
/// # Errors
/// Those of `Segment::open`.
pub fn segment(file: Bytes, number: u64) -> Result<Arc<Segment>> {
    let fs: Arc<dyn Fs> = Arc::new(OneFile(file));
    let cache = Arc::new(MetadataCache::new(1 << 20));
    Segment::open(&fs, Path::new(PATH), number, None, &cache).map(Arc::new)
}

/// The header of a segment file.
///
/// # Errors
/// `Corrupt`, `Unsupported`.
pub fn segment_header(file: &[u8]) -> Result<Header> {
    Header::decode(Path::new(PATH), file)
}

/// Puts this header into a segment file and makes all checksums those of the bytes that are there,
/// as far as the header's parts lie within the file.
pub fn seal_segment(file: &mut [u8], mut header: Header) {
    let range = |from: u64, to: u64| {
        usize::try_from(from).unwrap_or(usize::MAX)..usize::try_from(to).unwrap_or(usize::MAX)
    };
    let mut table = BlockTable::new();
    table.update(file.get(range(BODY_OFFSET, header.index_offset)).unwrap_or_default());
    table.finish();
    let table = table.encode();
    if let Some(stored) = file.get_mut(range(header.table_offset, header.footer_offset))
        && stored.len() == table.len()
    {
        stored.copy_from_slice(&table);
    }
    let crc = |from, to| crc32(&[file.get(range(from, to)).unwrap_or_default()]);
    header.index_crc = crc(header.index_offset, header.table_offset);
    header.table_crc = crc(header.table_offset, header.footer_offset);
    header.footer_crc = crc(header.footer_offset, header.file_bytes);
    let bytes = header.encode();
    if let Some(place) = file.get_mut(HEADER_OFFSET..HEADER_OFFSET + bytes.len()) {
        place.copy_from_slice(&bytes);
    }
}

/// A disk with one file, which is only read.
#[derive(Debug, Clone)]
struct OneFile(Bytes);

fn only_read<T>() -> Result<T> {
    Err(Error::invalid("these bytes are only read"))
}

impl Fs for OneFile {
    fn create_dir_all(&self, _: &Path) -> Result<()> {
        only_read()
    }

    fn create(&self, _: &Path) -> Result<Box<dyn File>> {
        only_read()
    }

    fn open(&self, _: &Path) -> Result<Box<dyn File>> {
        Ok(Box::new(self.clone()))
    }

    fn open_write(&self, _: &Path) -> Result<Box<dyn File>> {
        only_read()
    }

    fn map(&self, _: &Path) -> Result<Bytes> {
        Ok(self.0.clone())
    }

    fn rename(&self, _: &Path, _: &Path) -> Result<()> {
        only_read()
    }

    fn hard_link(&self, _: &Path, _: &Path) -> Result<()> {
        only_read()
    }

    fn remove(&self, _: &Path) -> Result<()> {
        only_read()
    }

    fn sync_dir(&self, _: &Path) -> Result<()> {
        only_read()
    }

    fn list(&self, _: &Path) -> Result<Vec<String>> {
        only_read()
    }

    fn exists(&self, _: &Path) -> Result<bool> {
        only_read()
    }

    fn free_bytes(&self, _: &Path) -> Result<u64> {
        only_read()
    }

    fn network(&self, _: &Path) -> Result<Option<&'static str>> {
        Ok(None)
    }

    fn lock(&self, _: &Path) -> Result<Box<dyn Lock>> {
        only_read()
    }
}

impl File for OneFile {
    fn write_all_at(&self, _: &[u8], _: u64) -> Result<()> {
        only_read()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = self.0.get(offset..).unwrap_or_default();
        let read = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..read), rest.get(..read)) {
            to.copy_from_slice(from);
        }
        Ok(read)
    }

    fn len(&self) -> Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn set_len(&self, _: u64) -> Result<()> {
        only_read()
    }

    fn allocate(&self, _: u64) -> Result<()> {
        only_read()
    }

    fn sync_data(&self) -> Result<()> {
        only_read()
    }

    fn forget_cache(&self) -> Result<()> {
        Ok(())
    }
}
