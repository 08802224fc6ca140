//! Query answers in the formats of `amida sql`. All but the table are written as batches arrive.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::csv;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::writer::{JsonArray, LineDelimited, Writer as JsonWriter, WriterBuilder};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::{Align, Table};
use crate::args::AnswerFormat;
use crate::commands::Failure;

/// Most rows that a table shows; it is held in memory.
const TABLE_ROWS_MAX: usize = 10_000;

/// Where an answer goes. It remembers whether the other side hung up, because the writers of the
/// formats turn an I/O error into words.
#[derive(Debug, Clone)]
pub struct Sink {
    path: Option<PathBuf>,
    hung_up: Arc<AtomicBool>,
}

impl Sink {
    /// This file, or standard output.
    pub fn new(path: Option<&Path>) -> Self {
        Self { path: path.map(Path::to_owned), hung_up: Arc::default() }
    }

    /// Whether this is a terminal.
    pub fn is_terminal(&self) -> bool {
        self.path.is_none() && io::stdout().is_terminal()
    }

    fn open(&self) -> Result<Pipe, Failure> {
        let inner: Box<dyn Write + Send> = match &self.path {
            None => Box::new(io::stdout()),
            Some(path) => Box::new(
                File::create(path).map_err(|error| format!("{}: {error}", path.display()))?,
            ),
        };
        Ok(Pipe { inner: io::BufWriter::with_capacity(64 << 10, inner), sink: self.clone() })
    }

    /// Takes away a file whose answer was not finished.
    pub fn discard(&self) {
        if let Some(path) = &self.path {
            drop(std::fs::remove_file(path));
        }
    }

    fn failure(&self, words: String) -> Failure {
        if self.hung_up.load(Ordering::Relaxed) {
            return Failure::NobodyReads;
        }
        match &self.path {
            Some(path) => Failure::Because(format!("{}: {words}", path.display())),
            None => Failure::Because(words),
        }
    }

    fn arrow(&self, error: &ArrowError) -> Failure {
        self.failure(error.to_string())
    }

    fn parquet(&self, error: &ParquetError) -> Failure {
        self.failure(error.to_string())
    }
}

/// An open sink.
pub struct Pipe {
    inner: io::BufWriter<Box<dyn Write + Send>>,
    sink: Sink,
}

impl Pipe {
    fn note<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if matches!(&result, Err(error) if error.kind() == io::ErrorKind::BrokenPipe) {
            self.sink.hung_up.store(true, Ordering::Relaxed);
        }
        result
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes);
        self.note(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.inner.flush();
        self.note(flushed)
    }
}

/// Writes an answer, batch by batch.
pub struct Answer {
    sink: Sink,
    schema: SchemaRef,
    writer: Writer,
    rows: usize,
}

enum Writer {
    Table { table: Table, pipe: Pipe },
    Csv(Box<csv::Writer<Pipe>>),
    Json(Box<JsonWriter<Pipe, JsonArray>>),
    Ndjson(Box<JsonWriter<Pipe, LineDelimited>>),
    Parquet(Box<ArrowWriter<Pipe>>),
}

impl Answer {
    /// An answer of this schema.
    pub fn new(format: AnswerFormat, schema: &Schema, sink: Sink) -> Result<Self, Failure> {
        let schema = Arc::new(plain_schema(schema, format));
        let pipe = sink.open()?;
        let writer = match format {
            AnswerFormat::Table => Writer::Table { table: Table::new(columns(&schema)), pipe },
            AnswerFormat::Csv => {
                let mut writer = csv::WriterBuilder::new()
                    .with_header(true)
                    .with_timestamp_tz_format(RFC_3339.to_owned())
                    .build(pipe);
                // The header stands also over no rows.
                let empty = RecordBatch::new_empty(schema.clone());
                writer.write(&empty).map_err(|error| sink.arrow(&error))?;
                Writer::Csv(Box::new(writer))
            }
            AnswerFormat::Json => Writer::Json(Box::new(explicit_nulls().build(pipe))),
            AnswerFormat::Ndjson => Writer::Ndjson(Box::new(explicit_nulls().build(pipe))),
            AnswerFormat::Parquet => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .build();
                let writer = ArrowWriter::try_new(pipe, schema.clone(), Some(properties));
                Writer::Parquet(Box::new(writer.map_err(|error| sink.parquet(&error))?))
            }
        };
        Ok(Self { sink, schema, writer, rows: 0 })
    }

    /// Adds rows.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        let batch = plain_batch(batch, &self.schema).map_err(|error| self.sink.arrow(&error))?;
        let already = self.rows;
        self.rows += batch.num_rows();
        let written = match &mut self.writer {
            Writer::Table { table, .. } => {
                fill(table, &batch, TABLE_ROWS_MAX.saturating_sub(already))
            }
            Writer::Csv(writer) => writer.write(&batch),
            Writer::Json(writer) => writer.write(&batch),
            Writer::Ndjson(writer) => writer.write(&batch),
            Writer::Parquet(writer) => {
                return writer.write(&batch).map_err(|error| self.sink.parquet(&error));
            }
        };
        written.map_err(|error| self.sink.arrow(&error))
    }

    /// Ends the answer; the number of its rows.
    pub fn finish(self) -> Result<usize, Failure> {
        let sink = self.sink;
        let flush = |mut pipe: Pipe| pipe.flush().map_err(|error| sink.failure(error.to_string()));
        match self.writer {
            Writer::Table { table, mut pipe } => {
                let width = if sink.is_terminal() { super::width() } else { None };
                let written = writeln!(pipe, "{}", table.render(width));
                written.map_err(|error| sink.failure(error.to_string()))?;
                flush(pipe)?;
                if self.rows > TABLE_ROWS_MAX {
                    eprintln!(
                        "the first {} of {} rows; --format csv gives all",
                        super::count(TABLE_ROWS_MAX as u64),
                        super::count(self.rows as u64)
                    );
                }
            }
            Writer::Csv(writer) => flush(writer.into_inner())?,
            Writer::Json(mut writer) => {
                writer.finish().map_err(|error| sink.arrow(&error))?;
                let mut pipe = writer.into_inner();
                pipe.write_all(b"\n").map_err(|error| sink.failure(error.to_string()))?;
                flush(pipe)?;
            }
            Writer::Ndjson(mut writer) => {
                writer.finish().map_err(|error| sink.arrow(&error))?;
                flush(writer.into_inner())?;
            }
            Writer::Parquet(mut writer) => {
                writer.finish().map_err(|error| sink.parquet(&error))?;
                let flushed = writer.inner_mut().flush();
                flushed.map_err(|error| sink.failure(error.to_string()))?;
            }
        }
        Ok(self.rows)
    }
}

fn explicit_nulls() -> WriterBuilder {
    WriterBuilder::new().with_explicit_nulls(true)
}

/// Every time is UTC.
const RFC_3339: &str = "%Y-%m-%dT%H:%M:%S%.fZ";

const UTC: &str = "UTC";

/// The schema that is written: times are in UTC and say so; lists and structs are text in CSV,
/// which has neither.
fn plain_schema(schema: &Schema, format: AnswerFormat) -> Schema {
    let fields = schema.fields().iter().map(|field| {
        let data_type = match field.data_type() {
            DataType::Timestamp(unit, _) => DataType::Timestamp(*unit, Some(UTC.into())),
            nested if nested.is_nested() && format == AnswerFormat::Csv => DataType::Utf8,
            other => other.clone(),
        };
        Field::new(field.name(), data_type, true)
    });
    Schema::new(fields.collect::<Vec<_>>())
}

fn plain_batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
        match (column.data_type(), field.data_type()) {
            (from, to) if from == to => Ok(column.clone()),
            (nested, DataType::Utf8) if nested.is_nested() => text_of(column),
            (_, to) => cast(column, to),
        }
    });
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
}

fn text_of(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let options = FormatOptions::new();
    let formatter = ArrayFormatter::try_new(column, &options)?;
    let texts = (0..column.len()).map(|row| {
        (!column.is_null(row)).then(|| formatter.value(row).try_to_string()).transpose()
    });
    Ok(Arc::new(texts.collect::<Result<StringArray, _>>()?))
}

fn columns(schema: &Schema) -> Vec<(String, Align)> {
    let align = |field: &Field| {
        if field.data_type().is_numeric() { Align::Right } else { Align::Left }
    };
    schema.fields().iter().map(|field| (field.name().clone(), align(field))).collect()
}

/// Adds at most this many rows to a table.
fn fill(table: &mut Table, batch: &RecordBatch, rows_max: usize) -> Result<(), ArrowError> {
    let options = FormatOptions::new().with_null("NULL").with_timestamp_tz_format(Some(RFC_3339));
    let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    for row in 0..batch.num_rows().min(rows_max) {
        let cells = columns.iter().map(|column| column.value(row).try_to_string());
        table.row(cells.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::TimestampNanosecondArray;

    fn batch() -> RecordBatch {
        let times: ArrayRef =
            Arc::new(TimestampNanosecondArray::from(vec![Some(1_500_000_000), None]));
        let names: ArrayRef = Arc::new(StringArray::from(vec!["a,\"b\"", "x\u{1b}[1m"]));
        RecordBatch::try_from_iter_with_nullable([("t", times, true), ("name", names, false)])
            .unwrap()
    }

    /// What is written to a file in this format.
    fn written(format: AnswerFormat, batches: &[RecordBatch]) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("answer");
        let mut answer = Answer::new(format, &batch().schema(), Sink::new(Some(&path))).unwrap();
        for batch in batches {
            answer.write(batch).unwrap();
        }
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(answer.finish().unwrap(), rows);
        std::fs::read(path).unwrap()
    }

    fn text(format: AnswerFormat, batches: &[RecordBatch]) -> String {
        String::from_utf8(written(format, batches)).unwrap()
    }

    #[test]
    fn times_are_rfc_3339_in_utc_in_every_text_format() {
        for format in
            [AnswerFormat::Table, AnswerFormat::Csv, AnswerFormat::Json, AnswerFormat::Ndjson]
        {
            let text = text(format, &[batch()]);
            assert!(text.contains("1970-01-01T00:00:01.500Z"), "{format:?}: {text}");
        }
    }

    #[test]
    fn csv_quotes_and_has_a_header_over_no_rows() {
        let csv = text(AnswerFormat::Csv, &[batch()]);
        assert_eq!(csv, "t,name\n1970-01-01T00:00:01.500Z,\"a,\"\"b\"\"\"\n,x\u{1b}[1m\n");
        assert_eq!(text(AnswerFormat::Csv, &[]), "t,name\n");
    }

    #[test]
    fn no_rows_are_an_empty_list() {
        assert_eq!(text(AnswerFormat::Json, &[]).trim(), "[]");
        assert_eq!(text(AnswerFormat::Ndjson, &[]), "");
    }

    #[test]
    fn a_table_spells_out_control_characters_and_nulls() {
        let table = text(AnswerFormat::Table, &[batch()]);
        assert!(table.contains("NULL") && table.contains("x\\u{1b}[1m"), "{table}");
    }

    #[test]
    fn json_has_nulls_and_reads_back() {
        let rows: serde_json::Value =
            serde_json::from_slice(&written(AnswerFormat::Json, &[batch(), batch()])).unwrap();
        assert_eq!(rows.as_array().unwrap().len(), 4);
        assert!(rows[1]["t"].is_null());
        assert_eq!(text(AnswerFormat::Ndjson, &[batch(), batch()]).lines().count(), 4);
    }

    #[test]
    fn parquet_reads_back() {
        use parquet::file::reader::{FileReader, SerializedFileReader};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("answer.parquet");
        std::fs::write(&path, written(AnswerFormat::Parquet, &[batch()])).unwrap();
        let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
        assert_eq!(reader.metadata().file_metadata().num_rows(), 2);
    }

    #[test]
    fn lists_are_text_in_csv() {
        use arrow::array::ListArray;
        use arrow::datatypes::Int32Type;
        let list: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(vec![
            Some(vec![Some(1), Some(2)]),
            None,
        ]));
        let batch = RecordBatch::try_from_iter([("l", list)]).unwrap();
        let schema = Arc::new(plain_schema(&batch.schema(), AnswerFormat::Csv));
        let plain = plain_batch(&batch, &schema).unwrap();
        assert_eq!(plain.column(0).data_type(), &DataType::Utf8);
        assert!(plain.column(0).is_null(1));
    }
}
