//! Query answers in the formats of `amida sql`. All but the table are written as batches arrive.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::csv;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::writer::{JsonArray, LineDelimited, Writer as JsonWriter, WriterBuilder};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::Table;
use super::shown::{columns, fill, is_plan, write_plans};
use super::sink::{Pipe, Sink};
use super::zone::Zone;
use crate::args::AnswerFormat;
use crate::commands::Failure;

/// Most rows that a table shows; it is held in memory.
const TABLE_ROWS_MAX: usize = 10_000;

/// What to do where a table has more columns than fit.
const TABLE_HINT: &str = "SELECT some, or use format json";

/// Writes an answer, batch by batch.
pub struct Answer {
    sink: Sink,
    schema: SchemaRef,
    zone: Zone,
    writer: Writer,
    rows: usize,
}

enum Writer {
    Table {
        table: Table,
        pipe: Pipe,
    },
    /// The table of an `EXPLAIN`: plans are text of many lines, and stand one below the other.
    Plan(Pipe),
    Csv(Box<csv::Writer<Pipe>>),
    Json(Box<JsonWriter<Pipe, JsonArray>>),
    Ndjson(Box<JsonWriter<Pipe, LineDelimited>>),
    Parquet(Box<ArrowWriter<Pipe>>),
}

impl Answer {
    /// An answer of this schema, with its times in this zone. Parquet is for programs: its times
    /// stay in UTC.
    pub fn new(
        format: AnswerFormat,
        schema: &Schema,
        sink: Sink,
        zone: &Zone,
    ) -> Result<Self, Failure> {
        let zone = if format == AnswerFormat::Parquet { Zone::utc() } else { zone.clone() };
        let columns = columns(schema);
        let mut rows = RecordBatch::new_empty(Arc::new(schema.clone()));
        if format != AnswerFormat::Parquet {
            // Durations are text, in lists and structs too.
            rows = amida_sql::readable(&rows).map_err(|error| sink.failure(&error))?;
        }
        let schema = Arc::new(plain_schema(&rows.schema(), format, &zone));
        let pipe = sink.open()?;
        let writer = match format {
            AnswerFormat::Table if is_plan(&schema) => Writer::Plan(pipe),
            AnswerFormat::Table => {
                Writer::Table { table: Table::new(columns).hint(TABLE_HINT), pipe }
            }
            AnswerFormat::Csv => {
                let mut writer = csv::WriterBuilder::new().with_header(true).build(pipe);
                // The header stands also over no rows.
                let empty = RecordBatch::new_empty(schema.clone());
                writer.write(&empty).map_err(|error| sink.failure(&error))?;
                Writer::Csv(Box::new(writer))
            }
            AnswerFormat::Json => Writer::Json(Box::new(explicit_nulls().build(pipe))),
            AnswerFormat::Ndjson => Writer::Ndjson(Box::new(explicit_nulls().build(pipe))),
            AnswerFormat::Parquet => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .build();
                let writer = ArrowWriter::try_new(pipe, schema.clone(), Some(properties));
                Writer::Parquet(Box::new(writer.map_err(|error| sink.failure(&error))?))
            }
        };
        Ok(Self { sink, schema, zone, writer, rows: 0 })
    }

    /// Adds rows.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        let batch = match &self.writer {
            Writer::Parquet(_) => Ok(batch.clone()),
            _ => amida_sql::readable(batch),
        };
        let batch = batch.and_then(|batch| plain_batch(&batch, &self.schema, &self.zone));
        let batch = batch.map_err(|error| self.sink.failure(&error))?;
        let already = self.rows;
        self.rows += batch.num_rows();
        let written = match &mut self.writer {
            Writer::Table { table, .. } => {
                fill(table, &batch, TABLE_ROWS_MAX.saturating_sub(already))
            }
            Writer::Plan(pipe) => write_plans(pipe, &batch),
            Writer::Csv(writer) => writer.write(&batch),
            Writer::Json(writer) => writer.write(&batch),
            Writer::Ndjson(writer) => writer.write(&batch),
            Writer::Parquet(writer) => {
                return writer.write(&batch).map_err(|error| self.sink.failure(&error));
            }
        };
        written.map_err(|error| self.sink.failure(&error))
    }

    /// How many rows it has so far.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Ends the answer, and gives its file its name; how many of its rows are shown.
    pub fn finish(self) -> Result<usize, Failure> {
        let sink = self.sink;
        let mut shown = self.rows;
        let flush = |mut pipe: Pipe| pipe.flush().map_err(|error| sink.failure(&error));
        match self.writer {
            Writer::Table { table, mut pipe } => {
                let screen = sink.width(table.height());
                // A wide table is as one that is longer than every screen: for the pager.
                let is_wide = screen.is_some_and(|screen| table.width() > screen);
                let width = if is_wide { sink.width(usize::MAX) } else { screen };
                let written = writeln!(pipe, "{}", table.render(width));
                written.map_err(|error| sink.failure(&error))?;
                flush(pipe)?;
                shown = shown.min(TABLE_ROWS_MAX);
            }
            Writer::Plan(pipe) => flush(pipe)?,
            Writer::Csv(writer) => flush(writer.into_inner())?,
            Writer::Json(mut writer) => {
                writer.finish().map_err(|error| sink.failure(&error))?;
                let mut pipe = writer.into_inner();
                pipe.write_all(b"\n").map_err(|error| sink.failure(&error))?;
                flush(pipe)?;
            }
            Writer::Ndjson(mut writer) => {
                writer.finish().map_err(|error| sink.failure(&error))?;
                flush(writer.into_inner())?;
            }
            Writer::Parquet(mut writer) => {
                writer.finish().map_err(|error| sink.failure(&error))?;
                let flushed = writer.inner_mut().flush();
                flushed.map_err(|error| sink.failure(&error))?;
            }
        }
        sink.complete()?;
        Ok(shown)
    }
}

fn explicit_nulls() -> WriterBuilder {
    WriterBuilder::new().with_explicit_nulls(true)
}

/// The schema that is written: every time is in the zone and says so, as RFC 3339 in text;
/// durations are text with a unit but in Parquet; lists and structs are text in CSV, which has
/// neither.
fn plain_schema(schema: &Schema, format: AnswerFormat, zone: &Zone) -> Schema {
    let fields = schema.fields().iter().map(|field| {
        let data_type = match field.data_type() {
            nested if nested.is_nested() && format == AnswerFormat::Csv => DataType::Utf8,
            DataType::Duration(_) if format != AnswerFormat::Parquet => DataType::Utf8,
            other => zone.shown(other),
        };
        Field::new(field.name(), data_type, true)
    });
    Schema::new(fields.collect::<Vec<_>>())
}

fn plain_batch(
    batch: &RecordBatch,
    schema: &SchemaRef,
    zone: &Zone,
) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
        // By way of UTC: a cast from a time without a zone reads it as one of the zone.
        let utc = as_type(column, &Zone::utc().shown(column.data_type()))?;
        let shown = as_type(&utc, &zone.shown(column.data_type()))?;
        match field.data_type() {
            DataType::Utf8 if shown.data_type().is_nested() => text_of(&shown),
            to => as_type(&shown, to),
        }
    });
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
}

fn as_type(column: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    if column.data_type() == to { Ok(column.clone()) } else { cast(column, to) }
}

fn text_of(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let options = FormatOptions::new();
    let formatter = ArrayFormatter::try_new(column, &options)?;
    let texts = (0..column.len()).map(|row| {
        (!column.is_null(row)).then(|| formatter.value(row).try_to_string()).transpose()
    });
    Ok(Arc::new(texts.collect::<Result<StringArray, _>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{DurationNanosecondArray, TimestampNanosecondArray};

    const TEXT_FORMATS: [AnswerFormat; 4] =
        [AnswerFormat::Table, AnswerFormat::Csv, AnswerFormat::Json, AnswerFormat::Ndjson];

    fn batch() -> RecordBatch {
        let times: ArrayRef =
            Arc::new(TimestampNanosecondArray::from(vec![Some(1_500_000_000), None]));
        let names: ArrayRef = Arc::new(StringArray::from(vec!["a,\"b\"", "x\u{1b}[1m"]));
        RecordBatch::try_from_iter_with_nullable([("t", times, true), ("name", names, false)])
            .unwrap()
    }

    /// What is written to a file in this format.
    fn written(format: AnswerFormat, batches: &[RecordBatch]) -> Vec<u8> {
        written_in(format, batches, &Zone::utc())
    }

    fn written_in(format: AnswerFormat, batches: &[RecordBatch], zone: &Zone) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("answer");
        let mut answer =
            Answer::new(format, &batch().schema(), Sink::new(Some(&path)), zone).unwrap();
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
        for format in TEXT_FORMATS {
            let text = text(format, &[batch()]);
            assert!(text.contains("1970-01-01T00:00:01.500Z"), "{format:?}: {text}");
        }
    }

    #[test]
    fn times_are_in_the_zone_that_is_asked_for_in_every_text_format() {
        for (name, shown) in [
            ("Asia/Tokyo", "1970-01-01T09:00:01.500+09:00"),
            ("-03:30", "1969-12-31T20:30:01.500-03:30"),
        ] {
            let zone = Zone::parse(name).unwrap();
            for format in TEXT_FORMATS {
                let text = String::from_utf8(written_in(format, &[batch()], &zone)).unwrap();
                assert!(text.contains(shown), "{format:?}: {text}");
            }
            let utc = written(AnswerFormat::Parquet, &[batch()]);
            assert_eq!(written_in(AnswerFormat::Parquet, &[batch()], &zone), utc);
        }
    }

    /// Lists of times without a zone, too, are instants.
    #[test]
    fn times_in_lists_are_in_the_zone() {
        let times = TimestampNanosecondArray::from(vec![0]);
        let field = Arc::new(Field::new("item", times.data_type().clone(), true));
        let list = arrow::array::ListArray::new(
            field,
            arrow::buffer::OffsetBuffer::from_lengths([1]),
            Arc::new(times),
            None,
        );
        let batch = RecordBatch::try_from_iter([("l", Arc::new(list) as ArrayRef)]).unwrap();
        let zone = Zone::parse("Asia/Tokyo").unwrap();
        for format in TEXT_FORMATS {
            let schema = Arc::new(plain_schema(&batch.schema(), format, &zone));
            let plain = plain_batch(&batch, &schema, &zone).unwrap();
            let text = text_of(plain.column(0)).unwrap();
            let formatter = ArrayFormatter::try_new(&text, &FormatOptions::new()).unwrap();
            let text = formatter.value(0).to_string();
            assert!(text.contains("1970-01-01T09:00:00+09:00"), "{format:?}: {text}");
        }
    }

    #[test]
    fn durations_have_a_unit_in_every_text_format() {
        let took: ArrayRef = Arc::new(DurationNanosecondArray::from(vec![1_500_000_000, -7]));
        let batch = RecordBatch::try_from_iter([("took", took)]).unwrap();
        for format in TEXT_FORMATS {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("answer");
            let (sink, zone) = (Sink::new(Some(&path)), Zone::utc());
            let mut answer = Answer::new(format, &batch.schema(), sink, &zone).unwrap();
            answer.write(&batch).unwrap();
            answer.finish().unwrap();
            let text = std::fs::read_to_string(path).unwrap();
            assert!(text.contains("1.5s") && text.contains("-7ns"), "{format:?}: {text}");
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
    fn plans_keep_their_lines_in_a_table() {
        let text = |texts: [&str; 2]| Arc::new(StringArray::from(texts.to_vec())) as ArrayRef;
        let kinds = text(["logical_plan", "physical_plan"]);
        let plans = text(["Filter: a = \u{1b}\n  TableScan", "Exec\n"]);
        let batch = RecordBatch::try_from_iter([("plan_type", kinds), ("plan", plans)]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("answer");
        let sink = Sink::new(Some(&path));
        let format = AnswerFormat::Table;
        let mut answer = Answer::new(format, &batch.schema(), sink, &Zone::utc()).unwrap();
        answer.write(&batch).unwrap();
        assert_eq!(answer.finish().unwrap(), 2);
        assert_eq!(
            std::fs::read_to_string(path).unwrap(),
            "logical_plan\n  Filter: a = \\u{1b}\n    TableScan\nphysical_plan\n  Exec\n"
        );
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
        let reader = SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap();
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
        let utc = Zone::utc();
        let schema = Arc::new(plain_schema(&batch.schema(), AnswerFormat::Csv, &utc));
        let plain = plain_batch(&batch, &schema, &utc).unwrap();
        assert_eq!(plain.column(0).data_type(), &DataType::Utf8);
        assert!(plain.column(0).is_null(1));
    }
}
