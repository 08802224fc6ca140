//! The newest spans first: under a sort that keeps a few rows by `start_time DESC`, files are read
//! in pieces.
//!
//! Within a row group the newest rows stand last, and a row group is the least that DataFusion
//! opens. So the newest file's last row group is cut into its last page, some before it, and the
//! rest; the other row groups of the newest files are pieces of their own. Each piece is to
//! DataFusion a file with times of its own. Once the first pieces have filled the sort, their
//! oldest row excludes whole pieces by these times, and pages within a piece by the page index.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use amida::Segment;
use amida::schema::col;
use datafusion::catalog::memory::DataSourceExec;
use datafusion::common::Result;
use datafusion::common::stats::Precision;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetRowSelection;
use datafusion::datasource::physical_plan::{FileGroup, ParquetSource};
use datafusion::parquet::arrow::arrow_reader::RowSelection;
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::parquet::file::page_index::column_index::ColumnIndexMetaData;
use datafusion::physical_plan::ExecutionPlan;

use super::table::known;
use crate::error::engine_error;

/// Pages of the newest piece, and of the one before it.
const NEWEST_PAGES: [usize; 2] = [1, 4];

/// So many of the newest files are cut: to cut one its footer is read, and of many files most are
/// excluded by the times in their headers.
const FILES_MAX: usize = 8;

/// Rows of a segment, and their earliest and latest start time.
struct Piece {
    rows: Range<usize>,
    times: (i64, i64),
}

/// The same scan of segments, newest pieces first; any other plan as it is.
pub(crate) fn newest_in_pieces(node: &Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let as_it_is = || Ok(Arc::clone(node));
    let Some((config, _)) = node
        .downcast_ref::<DataSourceExec>()
        .and_then(|exec| exec.downcast_to_file_source::<ParquetSource>())
    else {
        return as_it_is();
    };
    let mut seen = HashSet::new();
    let mut files = Vec::new();
    for file in config.file_groups.iter().flat_map(FileGroup::iter) {
        // A few rows, chosen by the trace-ID index or around damage, stay together.
        if file.extension::<ParquetRowSelection>().is_some() {
            return as_it_is();
        }
        // DataFusion may have given parts of one file to several partitions.
        if seen.insert(&file.object_meta.location) {
            files.push(file);
        }
    }
    let Some(cut) = cut(files)? else { return as_it_is() };
    let slots = config.file_groups.len();
    let mut groups = vec![Vec::new(); slots];
    for (index, file) in cut.into_iter().enumerate() {
        groups[index % slots].push(file);
    }
    let mut config = config.clone();
    config.file_groups = groups.into_iter().map(FileGroup::new).collect();
    Ok(DataSourceExec::from_data_source(config))
}

/// The pieces of all files, newest first; `None` where something else than segments is read.
fn cut(files: Vec<&PartitionedFile>) -> Result<Option<Vec<PartitionedFile>>> {
    let segment = |file: &PartitionedFile| file.extension::<Arc<Segment>>().cloned();
    let segments: Option<Vec<_>> =
        files.into_iter().map(|file| segment(file).map(|segment| (file, segment))).collect();
    let Some(mut segments) = segments else { return Ok(None) };
    segments.sort_by_key(|(_, segment)| std::cmp::Reverse(segment.start_times().1));
    let mut cut = Vec::with_capacity(segments.len());
    for (index, (file, segment)) in segments.into_iter().enumerate() {
        if index >= FILES_MAX {
            let mut whole = file.clone();
            whole.range = None;
            cut.push((segment.start_times().1, whole));
            continue;
        }
        for piece in pieces(&segment, index == 0)? {
            cut.push((piece.times.1, piece_of(file, &segment, piece)));
        }
    }
    cut.sort_by_key(|(latest, _)| std::cmp::Reverse(*latest));
    Ok(Some(cut.into_iter().map(|(_, file)| file).collect()))
}

/// The row groups of a segment; of the newest segment the last row group in parts.
fn pieces(segment: &Segment, newest: bool) -> Result<Vec<Piece>> {
    let count = usize::try_from(segment.row_groups()).unwrap_or(0);
    let mut pieces = Vec::with_capacity(count + NEWEST_PAGES.len());
    for group in 0..count {
        let (rows, times) = segment.row_group(group).map_err(engine_error)?;
        let row = |row: u64| usize::try_from(row).unwrap_or(usize::MAX);
        pieces.push(Piece { rows: row(rows.start)..row(rows.end), times });
    }
    if newest && let Some(last) = pieces.pop() {
        let metadata = segment.metadata().map_err(engine_error)?;
        match pages(&metadata, count - 1, &last) {
            Some(pages) => pieces.extend(in_parts(&pages)),
            None => pieces.push(last),
        }
    }
    Ok(pieces)
}

/// The pages of `start_time` in a row group; `None` where the page index does not say.
fn pages(metadata: &ParquetMetaData, group: usize, all: &Piece) -> Option<Vec<Piece>> {
    let ColumnIndexMetaData::INT64(times) =
        metadata.column_index()?.get(group)?.get(col::START_TIME)?
    else {
        return None;
    };
    let places = metadata.offset_index()?.get(group)?.get(col::START_TIME)?.page_locations();
    let mut pages = Vec::with_capacity(places.len());
    for (page, place) in places.iter().enumerate() {
        let start = all.rows.start + usize::try_from(place.first_row_index).ok()?;
        let end = match places.get(page + 1) {
            Some(next) => all.rows.start + usize::try_from(next.first_row_index).ok()?,
            None => all.rows.end,
        };
        let times = (*times.min_value(page)?, *times.max_value(page)?);
        pages.push(Piece { rows: start..end, times });
    }
    Some(pages)
}

/// The last page, some before it, and the rest.
fn in_parts(mut pages: &[Piece]) -> Vec<Piece> {
    let mut parts = Vec::new();
    for count in NEWEST_PAGES {
        let (rest, part) = pages.split_at(pages.len().saturating_sub(count));
        parts.extend(together(part));
        pages = rest;
    }
    parts.extend(together(pages));
    parts
}

fn together(pages: &[Piece]) -> Option<Piece> {
    let (first, last) = (pages.first()?, pages.last()?);
    let earliest = pages.iter().map(|page| page.times.0).min()?;
    let latest = pages.iter().map(|page| page.times.1).max()?;
    Some(Piece { rows: first.rows.start..last.rows.end, times: (earliest, latest) })
}

/// A file of which only these rows are read.
fn piece_of(file: &PartitionedFile, segment: &Segment, piece: Piece) -> PartitionedFile {
    let rows = piece.rows.len();
    let total = usize::try_from(segment.rows()).unwrap_or(usize::MAX);
    let selection = RowSelection::from_consecutive_ranges(std::iter::once(piece.rows), total);
    let statistics = known(Precision::Inexact(rows), Some(piece.times));
    let mut part = file
        .clone()
        .with_extension(ParquetRowSelection::new(selection))
        .with_statistics(Arc::new(statistics));
    part.range = None;
    part
}
