//! The newest spans first: under a sort that keeps a few rows by `start_time DESC`, files are read
//! in pieces.
//!
//! Within a row group the newest rows stand last, and a row group is the least that DataFusion
//! opens. So the newest file's last row group is cut into its last page, some before it, and the
//! rest; its other row groups are pieces of one, two, four of them and so on. Each piece is to
//! DataFusion a file with times of its own. Once the first pieces have filled the sort, their
//! oldest row excludes whole pieces and files by these times, and row groups and pages within a
//! piece by theirs. To find that out takes DataFusion a tenth of a millisecond a file: hence not
//! every row group is a piece.

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

/// Row groups of the largest pieces, unless `PIECES` of these do not hold the file.
const PIECE_ROW_GROUPS: usize = 8;
/// About as many pieces has a file of many row groups.
const PIECES: usize = 16;

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
    let mut files = Vec::new();
    for file in config.file_groups.iter().flat_map(FileGroup::iter) {
        match file.extension::<Arc<Segment>>() {
            // A few rows, chosen by the trace-ID index or around damage, stay together.
            Some(segment) if file.extension::<ParquetRowSelection>().is_none() => {
                files.push((segment.start_times().1, segment, file));
            }
            _ => return as_it_is(),
        }
    }
    let Some((_, segment, newest)) = files.iter().max_by_key(|(latest, ..)| *latest) else {
        return as_it_is();
    };
    let pieces = pieces(segment)?.into_iter();
    let mut cut: Vec<_> =
        pieces.map(|piece| (piece.times.1, piece_of(newest, segment, piece))).collect();
    // DataFusion may have given parts of the newest file to several partitions: all are replaced.
    let others = files.iter().filter(|(_, other, _)| !Arc::ptr_eq(other, segment));
    cut.extend(others.map(|(latest, _, file)| (*latest, (*file).clone())));
    cut.sort_by_key(|(latest, _)| std::cmp::Reverse(*latest));
    let slots = config.file_groups.len();
    let mut groups = vec![Vec::new(); slots];
    for (index, (_, file)) in cut.into_iter().enumerate() {
        groups[index % slots].push(file);
    }
    let mut config = config.clone();
    config.file_groups = groups.into_iter().map(FileGroup::new).collect();
    Ok(DataSourceExec::from_data_source(config))
}

/// The row groups of a segment, the last of them in parts.
fn pieces(segment: &Segment) -> Result<Vec<Piece>> {
    let count = usize::try_from(segment.row_groups()).unwrap_or(0);
    let mut pieces = Vec::with_capacity(count + NEWEST_PAGES.len());
    for group in 0..count {
        let (rows, times) = segment.row_group(group).map_err(engine_error)?;
        let row = |row: u64| usize::try_from(row).unwrap_or(usize::MAX);
        pieces.push(Piece { rows: row(rows.start)..row(rows.end), times });
    }
    if let Some(last) = pieces.pop() {
        pieces = in_larger_ones(&pieces);
        let metadata = segment.metadata().map_err(engine_error)?;
        match pages(&metadata, count - 1, &last) {
            Some(pages) => pieces.extend(in_parts(&pages)),
            None => pieces.push(last),
        }
    }
    Ok(pieces)
}

/// Row groups, which come in order of time, as pieces: the last one for itself, twice as many in
/// the piece before it, and so on.
fn in_larger_ones(mut row_groups: &[Piece]) -> Vec<Piece> {
    let most = PIECE_ROW_GROUPS.max(row_groups.len() / PIECES);
    let mut pieces = Vec::new();
    let mut count = 1;
    while !row_groups.is_empty() {
        let (rest, piece) = row_groups.split_at(row_groups.len().saturating_sub(count));
        pieces.extend(together(piece));
        row_groups = rest;
        count = (2 * count).min(most);
    }
    pieces
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

#[cfg(test)]
mod tests {
    use super::{Piece, in_larger_ones};

    /// Pieces of that many row groups of ten rows each.
    fn sizes(row_groups: usize) -> Vec<usize> {
        let row_groups: Vec<Piece> = (0..row_groups)
            .map(|n| Piece { rows: 10 * n..10 * (n + 1), times: (n as i64, n as i64) })
            .collect();
        let pieces = in_larger_ones(&row_groups);
        let mut end = 10 * row_groups.len();
        for piece in &pieces {
            assert_eq!(piece.rows.end, end);
            end = piece.rows.start;
            let (from, to) = (piece.rows.start as i64 / 10, piece.rows.end as i64 / 10);
            assert_eq!(piece.times, (from, to - 1));
        }
        assert_eq!(end, 0);
        pieces.iter().map(|piece| piece.rows.len() / 10).collect()
    }

    #[test]
    fn older_row_groups_make_larger_pieces() {
        assert_eq!(sizes(0), [0; 0]);
        assert_eq!(sizes(1), [1]);
        assert_eq!(sizes(58), [1, 2, 4, 8, 8, 8, 8, 8, 8, 3]);
        let many = sizes(1_600);
        assert_eq!((many[6], many[7], many.len()), (64, 100, 22));
    }
}
