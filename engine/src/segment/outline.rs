//! What stays of a footer for as long as its segment is open: little, but enough to find the part
//! that says where the columns of one row group are.
//!
//! A footer grows with the row groups of its segment: that of four hundred takes 20 ms to parse and
//! 22 MB, more than the cache holds. So what every use needs is kept apart, and who reads a few
//! rows (`Segment::read_trace`, `read_rows`) parses the part of their row group only, which takes
//! the same time in every segment. The first use of a segment parses all of it.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader};
use parquet::file::statistics::Statistics;

use super::footer::{metadata_bytes, with_page_index};
use super::format::{Header, Origin};
use super::schemas::Shared;
use super::source::Source;
use super::thrift::Places;
use crate::error::{Error, Result};
use crate::model::catalog::Promoted;
use crate::model::schema::col;

/// What a footer says of the whole file, and where it says what of each row group.
#[derive(Debug)]
pub struct Outline {
    /// The columns of the file: those of a span, then the promoted ones; and the promoted keys.
    pub shared: Arc<Shared>,
    /// The promoted keys whose column is complete in all row groups.
    pub complete_in_all: Arc<[Promoted]>,
    /// Where its spans come from.
    pub origin: Origin,
    /// In order.
    pub row_groups: Vec<RowGroup>,
    places: Places,
}

/// The rows of a row group, and their earliest and latest start time where it is known.
#[derive(Debug, Clone)]
pub struct RowGroup {
    pub rows: Range<u64>,
    pub times: Option<(i64, i64)>,
}

/// Where the columns of some row groups are: what reading their rows takes.
#[derive(Debug)]
pub struct Layout {
    /// Parquet's metadata of these row groups, with the page index.
    pub metadata: Arc<ParquetMetaData>,
    /// The columns of the file.
    pub schema: SchemaRef,
    /// In memory, without what other footers share.
    pub bytes: u64,
}

impl Layout {
    /// Of metadata whose schema is shared.
    pub fn of(metadata: ParquetMetaData, shared: &Shared) -> Self {
        let bytes = (metadata.memory_size() as u64).saturating_sub(shared.bytes);
        Self { metadata: Arc::new(metadata), schema: shared.arrow.clone(), bytes }
    }
}

impl Outline {
    /// Of a footer that was looked over.
    pub fn of(
        metadata: &ParquetMetaData,
        shared: Arc<Shared>,
        complete_in_all: Arc<[Promoted]>,
        origin: Origin,
        places: Places,
    ) -> Self {
        let mut end = 0;
        let row_groups = metadata.row_groups().iter().map(|group| {
            let start = end;
            end += u64::try_from(group.num_rows()).unwrap_or(0);
            let times = match group.columns().get(col::START_TIME).and_then(|c| c.statistics()) {
                Some(Statistics::Int64(times)) => {
                    times.min_opt().copied().zip(times.max_opt().copied())
                }
                _ => None,
            };
            RowGroup { rows: start..end, times }
        });
        let row_groups = row_groups.collect();
        Self { shared, complete_in_all, origin, row_groups, places }
    }

    /// Where its parts stand in Parquet's metadata.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// The layout of one row group, in which it is the only one.
    ///
    /// # Errors
    /// `Corrupt` when the footer is damaged; `Invalid` when there is no such row group.
    pub fn layout(&self, source: &Source, header: &Header, group: usize) -> Result<Layout> {
        source.check(header.footer())?;
        let corrupt = |what: String| Error::corrupt(source.path(), header.footer_offset, what);
        let bytes = metadata_bytes(source, corrupt)?;
        let rows = self.row_groups.get(group).map(|group| group.rows.end - group.rows.start);
        let rows = rows.ok_or_else(|| Error::invalid(format!("there is no row group {group}")))?;
        let part = file_metadata_of(&bytes, &self.places, group, rows);
        let part = part.ok_or_else(|| corrupt(format!("the footer lacks row group {group}")))?;
        let options = ParquetMetaDataOptions::new().with_schema(self.shared.parquet.clone());
        let metadata = source.fenced(|| {
            ParquetMetaDataReader::decode_metadata_with_options(&part, Some(&options))
        })?;
        let metadata = with_page_index(source, metadata)?;
        match metadata.row_groups() {
            [only] if u64::try_from(only.num_rows()) == Ok(rows) => {}
            _ => return Err(corrupt(format!("row group {group} is not of {rows} rows"))),
        }
        Ok(Layout::of(metadata, &self.shared))
    }

    /// Ranges of rows of the file, cut by row groups: each that has some, and their ranges in it.
    ///
    /// # Errors
    /// `Invalid` when they are not in order, overlap or go past the last row.
    pub fn by_row_group(&self, ranges: &[Range<u64>]) -> Result<Vec<(usize, Vec<Range<u64>>)>> {
        let ordered = ranges.windows(2).all(|pair| match pair {
            [a, b] => a.end <= b.start,
            _ => true,
        });
        if !ordered || ranges.iter().any(|range| range.start > range.end) {
            return Err(Error::invalid("ranges of rows are out of order"));
        }
        let rows = self.row_groups.last().map_or(0, |group| group.rows.end);
        if ranges.last().is_some_and(|range| range.end > rows) {
            let what = format!("the segment has {rows} rows; asked for {ranges:?}");
            return Err(Error::invalid(what));
        }
        let mut cut: Vec<(usize, Vec<Range<u64>>)> = Vec::new();
        for range in ranges {
            let first = self.row_groups.partition_point(|group| group.rows.end <= range.start);
            for (at, group) in self.row_groups.iter().enumerate().skip(first) {
                let (start, end) =
                    (range.start.max(group.rows.start), range.end.min(group.rows.end));
                if group.rows.start >= range.end {
                    break;
                }
                if start >= end {
                    continue;
                }
                let part = start - group.rows.start..end - group.rows.start;
                match cut.last_mut().filter(|(last, _)| *last == at) {
                    Some((_, parts)) => parts.push(part),
                    None => cut.push((at, vec![part])),
                }
            }
        }
        Ok(cut)
    }
}

/// Parquet's `FileMetaData` of one row group of so many rows, in Thrift's compact protocol. Schema
/// and row group are parts of that of the file. `None` when there is no such row group.
fn file_metadata_of(file: &[u8], places: &Places, group: usize, rows: u64) -> Option<Vec<u8>> {
    let schema = file.get(places.schema.clone())?;
    let group = file.get(places.row_groups.get(group)?.clone())?;
    let mut out = Vec::with_capacity(schema.len() + group.len() + 32);
    // Each field begins with one more than the last field's number, and its type; a list with its
    // length, here in the long form, and the type of its values.
    out.extend([0x15, 2, 0x19, 0xfc]);
    put_varint(&mut out, places.elements as u64);
    out.extend(schema);
    out.push(0x16);
    put_varint(&mut out, rows << 1);
    out.extend([0x19, 0x1c]);
    out.extend(group);
    out.push(0);
    Some(out)
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
