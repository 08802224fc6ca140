//! Writing a segment: row groups one after the other, encoded here or copied from other segments,
//! then index, block table and footer. The file appears under its name when it is whole and on
//! stable storage.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowRowGroupWriterFactory, ArrowWriterOptions};
use parquet::bloom_filter::Sbbf;
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::writer::SerializedFileWriter;

use super::columns::{file_schema, properties};
use super::format::{
    FORMAT_VERSION, HEADER_BYTES, HEADER_OFFSET, Header, KEY_COMPLETE, KEY_FORMAT_VERSION,
    KEY_INGEST_TIMES, KEY_PROMOTED, KEY_SEQUENCES, Origin, ROWS_MAX,
};
use super::ids::for_ids;
use super::index::IndexBuilder;
use super::reader::Segment;
use super::row_group;
use super::sink::Sink;
use super::source::Source;
use crate::error::{Error, Result};
use crate::fs::{Fs, names};
use crate::model::catalog::Promoted;
use crate::model::ordered::Ordered;
use crate::model::schema::col;
use crate::sync::Helpers;

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentSummary {
    /// The segment's number.
    pub number: u64,
    /// Number of spans.
    pub rows: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Earliest start time.
    pub start_min_ns: i64,
    /// Latest start time.
    pub start_max_ns: i64,
    /// Number of row groups.
    pub row_groups: u32,
    /// The promoted keys of the file.
    pub promoted: Vec<Promoted>,
    /// Where its spans come from.
    pub origin: Origin,
}

/// Writes one segment. Dropped before `finish`, it leaves nothing behind.
pub struct SegmentWriter {
    fs: Arc<dyn Fs>,
    path: PathBuf,
    tmp: PathBuf,
    writer: SerializedFileWriter<Sink>,
    factory: ArrowRowGroupWriterFactory,
    schema: SchemaRef,
    promoted: Vec<Promoted>,
    origin: Origin,
    complete: Vec<Vec<String>>,
    index: IndexBuilder,
    header: Header,
    /// A row group was begun and not ended: the file cannot become whole any more.
    broken: bool,
    renamed: bool,
}

impl SegmentWriter {
    /// Begins the segment with this number; `path` is its final name.
    ///
    /// # Errors
    /// `Io`; `Invalid` when the promoted keys do not make columns.
    pub fn create(
        fs: &Arc<dyn Fs>,
        path: &Path,
        number: u64,
        store_id: [u8; 16],
        promoted: &[Promoted],
        origin: Origin,
    ) -> Result<Self> {
        let schema = file_schema(promoted)?;
        let tmp = names::tmp(path);
        if fs.exists(&tmp)? {
            fs.remove(&tmp)?;
        }
        let sink = Sink::new(fs.create(&tmp)?, &tmp);
        let unfinished = |error: &dyn std::fmt::Display| {
            // Best effort: opening the store removes what is left.
            let _ = fs.remove(&tmp);
            Error::invalid(format!("{}: cannot begin the segment: {error}", tmp.display()))
        };
        let options = ArrowWriterOptions::new().with_properties(properties(promoted));
        let (mut writer, factory) =
            ArrowWriter::try_new_with_options(sink, schema.clone(), options)
                .and_then(ArrowWriter::into_serialized_writer)
                .map_err(|e| unfinished(&e))?;
        writer.write_all(&[0; HEADER_BYTES]).map_err(|e| unfinished(&e))?;
        Ok(Self {
            fs: fs.clone(),
            path: path.to_owned(),
            tmp,
            writer,
            factory,
            schema,
            promoted: promoted.to_vec(),
            origin,
            complete: Vec::new(),
            index: IndexBuilder::new(),
            header: Header {
                store_id,
                number,
                start_min_ns: i64::MAX,
                start_max_ns: i64::MIN,
                ..Header::default()
            },
            broken: false,
            renamed: false,
        })
    }

    /// Encodes these spans as the next row group; spans of one trace follow one another. No spans
    /// make no row group. Columns are encoded by these threads at once. Memory is bounded by
    /// the promoted columns, one other column for each thread, and the row group encoded.
    ///
    /// # Errors
    /// `Io`, `DiskFull`; `Invalid` when the segment would have too many spans.
    pub fn write_row_group(&mut self, rows: &Ordered<'_>, helpers: &Helpers) -> Result<()> {
        let times = rows.start_times().map(|time| (time, time));
        let Some((min, max)) = times.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else {
            return Ok(());
        };
        self.count(rows.len() as u64, 1, min, max)?;
        self.broken = true;
        for_ids(&[rows.column(col::TRACE_ID)?], |id| self.index.push(id));
        self.index.end_row_group();
        let encoded = self.encode(rows, helpers);
        let complete = encoded.map_err(|e| self.writer.inner_mut().error(&e))?;
        self.complete.push(complete);
        self.broken = false;
        Ok(())
    }

    /// Encodes and writes a row group: the promoted columns that are complete in it.
    fn encode(&mut self, rows: &Ordered<'_>, helpers: &Helpers) -> ParquetResult<Vec<String>> {
        let number = self.writer.flushed_row_groups().len();
        let writers = self.factory.create_column_writers(number)?;
        let encoded = row_group::encode(rows, &self.promoted, &self.schema, writers, helpers)?;
        let mut group = self.writer.next_row_group()?;
        for column in encoded.columns {
            column.append_to_row_group(&mut group)?;
        }
        group.close()?;
        Ok(encoded.complete)
    }

    /// Copies all row groups of another segment as they are, each block checked while it is read
    /// from the disk.
    ///
    /// # Errors
    /// `Corrupt` when the other is damaged; `Invalid` when it has other promoted columns; `Io`.
    pub fn append_row_groups(&mut self, from: &Segment) -> Result<()> {
        let footer = from.footer()?;
        if *footer.outline.shared.promoted != *self.promoted {
            return Err(Error::invalid(format!(
                "{}: its promoted columns are not those of {}",
                from.path().display(),
                self.path.display()
            )));
        }
        let (min, max) = from.start_times();
        let groups = u32::try_from(footer.complete.len()).unwrap_or(u32::MAX);
        self.count(from.rows(), groups, min, max)?;
        self.broken = true;
        let rows = u32::try_from(from.rows()).unwrap_or(u32::MAX);
        self.index.append(from.index()?, rows);
        self.complete.extend(footer.complete.iter().cloned());
        let source = Source::disk(from.blob(), self.fs.open(from.path())?);
        let copied = source.fenced(|| {
            (0..footer.layout.metadata.num_row_groups())
                .try_for_each(|group| self.copy(&source, &footer.layout.metadata, group))
        });
        // What failed first: this disk, or else the other file.
        copied.map_err(|e| self.writer.inner_mut().failed().unwrap_or(e))?;
        self.broken = false;
        Ok(())
    }

    fn copy(
        &mut self,
        source: &Source,
        metadata: &ParquetMetaData,
        group: usize,
    ) -> ParquetResult<()> {
        let from = metadata.row_group(group);
        let column_index = metadata.column_index().and_then(|index| index.get(group));
        let offset_index = metadata.offset_index().and_then(|index| index.get(group));
        let mut to = self.writer.next_row_group()?;
        for (at, column) in from.columns().iter().enumerate() {
            let column_index = column_index.and_then(|index| index.get(at)).cloned();
            let close = ColumnCloseResult {
                bytes_written: u64::try_from(column.compressed_size())?,
                rows_written: u64::try_from(from.num_rows())?,
                metadata: column.clone(),
                bloom_filter: Sbbf::read_from_column_chunk(column, source)?,
                column_index: column_index.filter(|i| !matches!(i, ColumnIndexMetaData::NONE)),
                offset_index: offset_index.and_then(|index| index.get(at)).cloned(),
            };
            to.append_column(source, close)?;
        }
        to.close()?;
        Ok(())
    }

    /// Takes the facts of more rows into the header.
    fn count(&mut self, rows: u64, groups: u32, min_ns: i64, max_ns: i64) -> Result<()> {
        let rows = self.header.rows.saturating_add(rows);
        if rows > ROWS_MAX {
            let what = format!("{}: a segment holds at most {ROWS_MAX} spans", self.path.display());
            return Err(Error::invalid(what));
        }
        self.header.rows = rows;
        self.header.row_groups = self.header.row_groups.saturating_add(groups);
        self.header.start_min_ns = self.header.start_min_ns.min(min_ns);
        self.header.start_max_ns = self.header.start_max_ns.max(max_ns);
        Ok(())
    }

    /// Ends the segment; it is on stable storage under its name when this returns.
    ///
    /// # Errors
    /// `Io`, `DiskFull`; `Invalid` when no span was written.
    pub fn finish(mut self) -> Result<SegmentSummary> {
        if self.header.rows == 0 || self.broken {
            let what = if self.broken { "an earlier write failed" } else { "it has no span" };
            let path = self.path.display();
            return Err(Error::invalid(format!("{path}: cannot finish the segment: {what}")));
        }
        let ended = self.write_end();
        ended.map_err(|e| self.writer.inner_mut().error(&e))?;
        let header = self.header.encode();
        self.writer.inner_mut().finish(&header, HEADER_OFFSET as u64)?;
        self.fs.rename(&self.tmp, &self.path)?;
        self.renamed = true;
        self.fs.sync_dir(match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        })?;
        Ok(SegmentSummary {
            number: self.header.number,
            rows: self.header.rows,
            bytes: self.header.file_bytes,
            start_min_ns: self.header.start_min_ns,
            start_max_ns: self.header.start_max_ns,
            row_groups: self.header.row_groups,
            promoted: std::mem::take(&mut self.promoted),
            origin: self.origin,
        })
    }

    /// Index, block table, footer; their places and checksums go into the header.
    fn write_end(&mut self) -> ParquetResult<()> {
        self.writer.flush()?;
        let table = self.writer.inner_mut().end_body().encode();
        let index = std::mem::take(&mut self.index).encode();
        self.header.index_offset = self.writer.inner().taken();
        self.header.table_offset = self.header.index_offset + index.len() as u64;
        self.header.footer_offset = self.header.table_offset + table.len() as u64;
        self.header.index_crc = crc32fast::hash(&index);
        self.header.table_crc = crc32fast::hash(&table);
        self.writer.write_all(&index)?;
        self.writer.write_all(&table)?;
        self.writer.flush()?;
        self.writer.inner_mut().begin_footer();
        let json = |value: serde_json::Result<String>| {
            value.map_err(|e| ParquetError::External(Box::new(e)))
        };
        let promoted = json(serde_json::to_string(&self.promoted))?;
        let complete = json(serde_json::to_string(&self.complete))?;
        let sequences = json(serde_json::to_string(&self.origin.sequences))?;
        let ingest_times = json(serde_json::to_string(&self.origin.ingest_times))?;
        for (key, value) in [
            (KEY_FORMAT_VERSION, FORMAT_VERSION.to_string()),
            (KEY_PROMOTED, promoted),
            (KEY_COMPLETE, complete),
            (KEY_SEQUENCES, sequences),
            (KEY_INGEST_TIMES, ingest_times),
        ] {
            self.writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
        }
        self.writer.finish()?;
        self.header.footer_crc = self.writer.inner_mut().end_footer();
        self.header.file_bytes = self.writer.inner().taken();
        Ok(())
    }
}

impl Drop for SegmentWriter {
    fn drop(&mut self) {
        if !self.renamed
            && let Err(error) = self.fs.remove(&self.tmp)
        {
            tracing::warn!(target: "amida::segment", %error, "an unfinished segment stays");
        }
    }
}
