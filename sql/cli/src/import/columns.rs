//! Spans in columns: Parquet and Arrow, as `amida export` and `amida files` give them. They go back
//! to OTLP and through the door that all spans come through.

use std::fs::File;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use amida::schema::{FORMAT_VERSION, KEY_FORMAT_VERSION};
use amida::spans_to_requests;
use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::ipc::reader::StreamReader;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::reader::ChunkReader;

use super::sink::Sink;
use super::source::Source;
use crate::args::InputFormat;
use crate::columns::SpanColumns;

/// Largest Parquet file that is held in memory, where it cannot be read from its end.
const PARQUET_BYTES_MAX: u64 = 256 << 20;

/// Rows that are read at a time.
const BATCH_ROWS: usize = 1024;

/// What an Arrow file begins with; behind it stand zeros, and then an Arrow stream.
const ARROW_MAGIC: &[u8] = b"ARROW1\0\0";

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
    if head == ARROW_MAGIC {
        // Writers fill up to 8 or to 64 bytes.
        while head.iter().all(|byte| *byte == 0) || head == ARROW_MAGIC {
            input.read_exact(&mut head).map_err(unreadable)?;
        }
    }
    let stream = io::BufReader::new(io::Cursor::new(head).chain(input));
    let mut reader = fenced(|| StreamReader::try_new(stream, None))?;
    let schema = reader.schema();
    check_version(schema.metadata().get(KEY_FORMAT_VERSION).map(String::as_str))?;
    let columns = SpanColumns::find(&schema)?;
    store(&columns, || fenced(|| reader.next().transpose()), sink)
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
