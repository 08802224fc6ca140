//! Spans in columns: Parquet and Arrow, as `amida export` and `amida files` give them. They go back
//! to OTLP and through the door that all spans come through.

use std::fs::File;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use amida::schema::{FORMAT_VERSION, KEY_FORMAT_VERSION};
use amida::spans_to_requests;
use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::buffer::Buffer;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::root_as_message;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::reader::ChunkReader;

use super::sink::Sink;
use super::source::Source;
use crate::args::InputFormat;
use crate::columns::SpanColumns;

/// Largest Parquet file that is held in memory, where it cannot be read from its end.
const PARQUET_BYTES_MAX: u64 = 256 << 20;

/// Largest message of an Arrow stream, which is held in memory: a batch of rows, or a dictionary.
const MESSAGE_BYTES_MAX: u64 = 256 << 20;

/// Rows that are read at a time.
const BATCH_ROWS: usize = 1024;

/// What an Arrow file begins with; behind it stand zeros, and then an Arrow stream.
const ARROW_MAGIC: &[u8] = b"ARROW1\0\0";

const CUT_SHORT: &str = "damaged, or cut short: it ends within a message";

/// The file itself, where it is a Parquet file that lies on a disk uncompressed.
pub fn parquet_file(source: &Source, format: InputFormat) -> Option<File> {
    if format != InputFormat::Parquet || source.is_stdin() {
        return None;
    }
    let mut file = File::open(&source.path).ok()?;
    let mut magic = [0; 4];
    let is_file = file.metadata().is_ok_and(|about| about.is_file());
    (is_file && file.read_exact(&mut magic).is_ok() && &magic == b"PAR1").then_some(file)
}

/// Reads a Parquet file that comes as a stream.
pub fn parquet_stream(input: impl Read, sink: &mut dyn Sink) -> Result<(), String> {
    let mut bytes = Vec::new();
    let read = input.take(PARQUET_BYTES_MAX + 1).read_to_end(&mut bytes);
    if read.map_err(unreadable)? as u64 > PARQUET_BYTES_MAX {
        return Err(format!(
            "a Parquet file is read from its end, and a stream of more than {} MiB is not kept; \
             save it as an uncompressed file and name that",
            PARQUET_BYTES_MAX >> 20
        ));
    }
    parquet(bytes::Bytes::from(bytes), sink)
}

/// Reads a Parquet file.
pub fn parquet(input: impl ChunkReader + 'static, sink: &mut dyn Sink) -> Result<(), String> {
    let (version, mut reader) = fenced(|| {
        let builder = ParquetRecordBatchReaderBuilder::try_new(input)?;
        let entries = builder.metadata().file_metadata().key_value_metadata();
        let version = entries.into_iter().flatten().find(|entry| entry.key == KEY_FORMAT_VERSION);
        let version = version.and_then(|entry| entry.value.clone());
        Ok::<_, parquet::errors::ParquetError>((
            version,
            builder.with_batch_size(BATCH_ROWS).build()?,
        ))
    })?;
    check_version(version.as_deref())?;
    let columns = SpanColumns::find(&reader.schema())?;
    store(&columns, || fenced(|| reader.next().transpose()), sink)
}

/// Reads an Arrow file or stream. A file is a stream with a list of its parts behind it.
pub fn arrow(mut input: impl Read, sink: &mut dyn Sink) -> Result<(), String> {
    let mut head = vec![0; ARROW_MAGIC.len()];
    input.read_exact(&mut head).map_err(unreadable)?;
    let is_file = head == ARROW_MAGIC;
    if is_file {
        // Writers fill up to 8 or to 64 bytes.
        while head.iter().all(|byte| *byte == 0) || head == ARROW_MAGIC {
            input.read_exact(&mut head).map_err(unreadable)?;
        }
    }
    let input = io::BufReader::new(io::Cursor::new(head).chain(input));
    let mut messages = Messages { input, is_file, is_over: false };
    let mut decoder = StreamDecoder::new();
    let mut left = Buffer::from(Vec::<u8>::new());
    let mut next = || loop {
        if left.is_empty() {
            match messages.next()? {
                Some(message) => left = Buffer::from(message),
                None => return Ok::<_, String>((decoder.schema(), None)),
            }
        }
        if let Some(batch) = fenced(|| decoder.decode(&mut left))? {
            return Ok((decoder.schema(), Some(batch)));
        }
    };
    let (schema, mut first) = next()?;
    let schema = schema.ok_or("damaged, or cut short: there is no schema")?;
    check_version(schema.metadata().get(KEY_FORMAT_VERSION).map(String::as_str))?;
    let columns = SpanColumns::find(&schema)?;
    store(&columns, || first.take().map_or_else(|| Ok(next()?.1), |batch| Ok(Some(batch))), sink)
}

/// The messages of an Arrow stream, one at a time, the mark of its end with them. Arrow's own
/// reader believes the lengths that they say; here memory grows with the bytes that are there.
struct Messages<R> {
    input: R,
    /// A file has the mark; a stream may just end.
    is_file: bool,
    is_over: bool,
}

/// What every message begins with.
const MARK: [u8; 4] = [0xff; 4];

/// A message of no length: the end.
const END: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

impl<R: Read> Messages<R> {
    /// The next one: mark and length, description, body.
    fn next(&mut self) -> Result<Option<Vec<u8>>, String> {
        if self.is_over {
            return Ok(None);
        }
        let mut message = self.take(4, Vec::new())?;
        if message.is_empty() && !self.is_file {
            message.extend(END);
        } else if message == MARK {
            message = self.whole(4, message)?;
        }
        let start = message.len();
        let length = match message.last_chunk() {
            // Before Arrow 0.15 there was no mark.
            Some(length) => u32::from_le_bytes(*length),
            _ => return Err(CUT_SHORT.to_owned()),
        };
        if length == 0 {
            self.is_over = true;
            return Ok(Some(message));
        }
        let message = self.whole(u64::from(length), message)?;
        let body = fenced(|| root_as_message(&message[start..]).map(|about| about.bodyLength()))?;
        let body = u64::try_from(body).map_err(|_| "damaged: a length is negative".to_owned())?;
        self.whole(body, message).map(Some)
    }

    /// The message with so many more bytes.
    fn whole(&mut self, bytes: u64, message: Vec<u8>) -> Result<Vec<u8>, String> {
        if bytes > MESSAGE_BYTES_MAX {
            return Err(format!(
                "damaged, or a message of more than {} MiB; write it in smaller batches",
                MESSAGE_BYTES_MAX >> 20
            ));
        }
        let end = message.len() as u64 + bytes;
        let message = self.take(bytes, message)?;
        if (message.len() as u64) < end { Err(CUT_SHORT.to_owned()) } else { Ok(message) }
    }

    /// The message with so many more bytes, or fewer where the input ends.
    fn take(&mut self, bytes: u64, mut message: Vec<u8>) -> Result<Vec<u8>, String> {
        self.input.by_ref().take(bytes).read_to_end(&mut message).map_err(unreadable)?;
        Ok(message)
    }
}

fn store(
    columns: &SpanColumns,
    mut next: impl FnMut() -> Result<Option<RecordBatch>, String>,
    sink: &mut dyn Sink,
) -> Result<(), String> {
    while let Some(batch) = next()? {
        // Arrow's batches may be as large as their writer liked.
        for start in (0..batch.num_rows()).step_by(BATCH_ROWS) {
            let part = batch.slice(start, BATCH_ROWS.min(batch.num_rows() - start));
            let spans = columns.spans(&part)?;
            for request in spans_to_requests(&spans).map_err(|error| error.to_string())? {
                sink.append(request.into())?;
            }
        }
    }
    Ok(())
}

/// A file may say in which version of the span schema it is.
fn check_version(version: Option<&str>) -> Result<(), String> {
    match version {
        Some(version) if version != FORMAT_VERSION.to_string() => Err(format!(
            "written in format {version}; this version of amida reads {FORMAT_VERSION}"
        )),
        _ => Ok(()),
    }
}

/// The readers of Arrow and Parquet may panic on bytes that are no such file.
fn fenced<T, E: std::fmt::Display>(step: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(step)) {
        Ok(result) => result.map_err(|error| format!("damaged, or cut short: {error}")),
        Err(_) => Err("damaged: its reader gave up".to_owned()),
    }
}

fn unreadable(error: io::Error) -> String {
    format!("cannot be read: {error}")
}
