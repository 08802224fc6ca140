//! Spans in the formats of export, batch by batch.

use std::io::Write;
use std::sync::Arc;

use amida::schema::{FORMAT_VERSION, KEY_FORMAT_VERSION};
use amida::{SpanBatch, span_schema, spans_to_json, spans_to_requests};
use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::FileWriter;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use super::args::ExportFormat;
use super::compress::Compressed;
use crate::commands::Failure;
use crate::output::sink::Sink;

/// A row group of Parquet is closed at so many rows, or when it takes so much memory.
const ROW_GROUP_ROWS: usize = 131_072;
const ROW_GROUP_BYTES: usize = 64 << 20;

/// Writes one export.
pub struct Writer {
    format: Format,
    schema: SchemaRef,
    spans: u64,
}

enum Format {
    Json(Compressed),
    Proto(Compressed),
    Framed(Compressed),
    Parquet(Box<ArrowWriter<Compressed>>),
    Arrow(Box<FileWriter<Compressed>>),
}

impl Writer {
    /// Begins to write to this pipe, which belongs to that sink.
    pub fn new(format: ExportFormat, pipe: Compressed, sink: &Sink) -> Result<Self, Failure> {
        let version = (KEY_FORMAT_VERSION.to_owned(), FORMAT_VERSION.to_string());
        let fields = span_schema().fields().clone();
        let schema = Schema::new_with_metadata(fields, [version.clone()].into_iter().collect());
        let schema = Arc::new(schema);
        let format = match format {
            ExportFormat::OtlpJson => Format::Json(pipe),
            ExportFormat::OtlpProto => Format::Proto(pipe),
            ExportFormat::OtlpProtoFramed => Format::Framed(pipe),
            ExportFormat::Parquet => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
                    .set_key_value_metadata(Some(vec![KeyValue::new(version.0, version.1)]))
                    .build();
                let writer = ArrowWriter::try_new(pipe, schema.clone(), Some(properties));
                Format::Parquet(Box::new(writer.map_err(|error| sink.failure(&error))?))
            }
            ExportFormat::Arrow => {
                let writer = FileWriter::try_new(pipe, &schema);
                Format::Arrow(Box::new(writer.map_err(|error| sink.failure(&error))?))
            }
        };
        Ok(Self { format, schema, spans: 0 })
    }

    /// Writes spans.
    pub fn write(&mut self, spans: &SpanBatch, sink: &Sink) -> Result<(), Failure> {
        self.spans += spans.len() as u64;
        let failure = |error: &dyn std::fmt::Display| sink.failure(error);
        match &mut self.format {
            Format::Json(pipe) => {
                for line in spans_to_json(spans)? {
                    let written = pipe.write_all(line.as_bytes());
                    written.and_then(|()| pipe.write_all(b"\n")).map_err(|e| failure(&e))?;
                }
            }
            Format::Proto(pipe) => {
                // Requests one after the other are one request: that is how protobuf merges.
                for request in spans_to_requests(spans)? {
                    pipe.write_all(&request).map_err(|error| failure(&error))?;
                }
            }
            Format::Framed(pipe) => {
                for request in spans_to_requests(spans)? {
                    frame(pipe, &request).map_err(|error| failure(&error))?;
                }
            }
            Format::Parquet(writer) => {
                let batch = plain(spans, &self.schema).map_err(|error| failure(&error))?;
                writer.write(&batch).map_err(|error| failure(&error))?;
                if writer.in_progress_size() >= ROW_GROUP_BYTES {
                    writer.flush().map_err(|error| failure(&error))?;
                }
            }
            Format::Arrow(writer) => {
                let batch = plain(spans, &self.schema).map_err(|error| failure(&error))?;
                writer.write(&batch).map_err(|error| failure(&error))?;
            }
        }
        Ok(())
    }

    /// Ends the export; the number of its spans. Without any it is still a file of its format.
    pub fn finish(self, sink: &Sink) -> Result<u64, Failure> {
        let is_empty = self.spans == 0;
        let pipe = match self.format {
            Format::Json(mut pipe) => {
                let empty: &[u8] = if is_empty { b"{\"resourceSpans\":[]}\n" } else { b"" };
                pipe.write_all(empty).map_err(|error| sink.failure(&error))?;
                pipe
            }
            Format::Framed(mut pipe) => {
                let empty: &[u8] = if is_empty { &[0; 4] } else { &[] };
                pipe.write_all(empty).map_err(|error| sink.failure(&error))?;
                pipe
            }
            Format::Proto(pipe) => pipe,
            Format::Parquet(writer) => writer.into_inner().map_err(|error| sink.failure(&error))?,
            Format::Arrow(writer) => writer.into_inner().map_err(|error| sink.failure(&error))?,
        };
        pipe.finish().map_err(|error| sink.failure(&error))?;
        Ok(self.spans)
    }
}

/// A message behind its length.
fn frame(pipe: &mut Compressed, message: &[u8]) -> std::io::Result<()> {
    let length = u32::try_from(message.len()).map_err(std::io::Error::other)?;
    pipe.write_all(&length.to_be_bytes())?;
    pipe.write_all(message)
}

/// The rows with the schema of the file, without the text of rows that are not theirs: views of
/// text share buffers with the batches that they were cut from.
fn plain(spans: &SpanBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns =
        spans.record_batch().columns().iter().map(|column| match column.as_string_view_opt() {
            Some(text) => Arc::new(text.gc()) as ArrayRef,
            None => Arc::clone(column),
        });
    RecordBatch::try_new(schema.clone(), columns.collect())
}
