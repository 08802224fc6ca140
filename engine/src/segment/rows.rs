//! Rows of a segment as span batches: by ranges of rows, or by what a predicate does not exclude.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, RowSelection};
use parquet::arrow::{ProjectionMask, parquet_to_arrow_field_levels};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;

use super::constant::Constant;
use super::outline::Layout;
use super::pages::Groups;
use super::partial::LeftOut;
use super::reader::Segment;
use super::source::Source;
use crate::error::{Error, Result};
use crate::model::batch::SpanBatch;
use crate::model::ids::TraceId;
use crate::model::predicate::Predicate;
use crate::model::schema::{COLUMN_NAMES, col, span_schema};

/// Most rows of a batch.
const BATCH_ROWS: usize = 1024;

/// Reads rows of a segment batch by batch.
pub struct Rows {
    source: Source,
    reader: ParquetRecordBatchReader,
    /// Which columns are not read, by their place among those that were asked for, in order.
    constants: Vec<(usize, Constant)>,
    failed: bool,
}

impl Rows {
    /// Reads these row groups, and of them the selected rows if a selection is given. Columns with
    /// one value in all of them are not read.
    pub fn new(
        source: Source,
        layout: &Layout,
        groups: Vec<usize>,
        selection: Option<RowSelection>,
        columns: &[usize],
    ) -> Result<Self> {
        let mut constants = Vec::new();
        let mut read = Vec::new();
        for (place, column) in columns.iter().enumerate() {
            match Constant::of(layout, &groups, *column) {
                Some(constant) => constants.push((place, constant)),
                None => read.push(*column),
            }
        }
        let rows = Self::reading(source, layout, groups, selection, &read)?;
        Ok(Self { constants, ..rows })
    }

    /// As `new`, and reads all of these columns.
    pub fn reading(
        source: Source,
        layout: &Layout,
        groups: Vec<usize>,
        selection: Option<RowSelection>,
        columns: &[usize],
    ) -> Result<Self> {
        // Arrays are made for a whole batch: a small one, for few rows.
        let rows = selection.as_ref().map_or(BATCH_ROWS, RowSelection::row_count);
        let schema = layout.metadata.file_metadata().schema_descr();
        let mask = ProjectionMask::roots(schema, columns.iter().copied());
        let groups = Groups { source: source.clone(), metadata: layout.metadata.clone(), groups };
        let reader = source.fenced(|| {
            let levels = parquet_to_arrow_field_levels(schema, mask, Some(layout.schema.fields()))?;
            ParquetRecordBatchReader::try_new_with_row_groups(
                &levels,
                &groups,
                rows.clamp(1, BATCH_ROWS),
                selection,
            )
        })?;
        Ok(Self { source, reader, constants: Vec::new(), failed: false })
    }

    /// The columns that were asked for, of the next rows.
    pub fn next_columns(&mut self) -> Option<Result<Vec<ArrayRef>>> {
        if self.failed {
            return None;
        }
        let next = self.source.fenced(|| self.reader.next().transpose()).transpose();
        self.failed = matches!(next, Some(Err(_)));
        Some(next?.map(|batch| {
            let rows = batch.num_rows();
            let mut columns = batch.columns().to_vec();
            for (place, constant) in &self.constants {
                columns.insert((*place).min(columns.len()), constant.array(rows));
            }
            columns
        }))
    }
}

const SPAN_COLUMNS: Range<usize> = 0..COLUMN_NAMES.len();

impl Iterator for Rows {
    type Item = Result<SpanBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let columns = self.next_columns()?;
        Some(columns.and_then(|columns| {
            // The file's own fields may carry metadata; the span schema has none.
            let spans = RecordBatch::try_new(span_schema().clone(), columns);
            self.source.fenced(|| spans).and_then(SpanBatch::try_new)
        }))
    }
}

impl Segment {
    /// The spans that a predicate does not exclude by what is known of whole row groups; or those
    /// of its trace. Rows are not compared: the caller does that.
    ///
    /// # Errors
    /// `Corrupt` when the footer is damaged; each batch may also fail.
    pub fn scan(
        self: Arc<Self>,
        predicate: &Predicate,
    ) -> Result<impl Iterator<Item = Result<SpanBatch>> + Send + use<>> {
        self.scan_around(predicate, None)
    }

    /// The same, with a list around what is damaged.
    ///
    /// # Errors
    /// As `scan`; with a list nothing that is damaged.
    pub(crate) fn scan_around(
        self: Arc<Self>,
        predicate: &Predicate,
        left_out: Option<&LeftOut>,
    ) -> Result<impl Iterator<Item = Result<SpanBatch>> + Send + use<>> {
        let candidates = predicate.trace_id.map(|id| self.candidates(id, left_out)).transpose()?;
        let mut scan =
            SegmentScan { segment: self.clone(), rows: None, parts: Vec::new().into_iter() };
        if candidates.as_ref().is_some_and(Vec::is_empty) {
            return Ok(scan);
        }
        let outline = match self.outline() {
            Ok(outline) => outline,
            Err(error) => return self.leave_out(error, left_out).map(|()| scan),
        };
        if let Some(candidates) = candidates {
            let candidates = around(&self, candidates, left_out)?;
            scan.parts = outline.by_row_group(&candidates)?.into_iter();
            return Ok(scan);
        }
        let footer = match self.footer() {
            Ok(footer) => footer,
            Err(error) => return self.leave_out(error, left_out).map(|()| scan),
        };
        let columns: Vec<usize> = SPAN_COLUMNS.collect();
        let groups = footer.layout.metadata.row_groups().iter().enumerate();
        let groups = groups.filter(|(_, group)| may_match(group, predicate));
        let groups = groups.map(|(at, _)| at).collect();
        let groups = self.sound(groups, &columns, None, left_out)?;
        scan.rows = Some(Rows::new(self.source(), &footer.layout, groups, None, &columns)?);
        Ok(scan)
    }

    /// Ranges of rows of one row group: only its part of the footer is read.
    fn part(&self, group: usize, ranges: &[Range<u64>]) -> Result<Rows> {
        let row = |row: u64| usize::try_from(row).unwrap_or(usize::MAX);
        let layout = self.layout(group)?;
        let rows = layout.metadata.file_metadata().num_rows();
        let ranges = ranges.iter().map(|range| row(range.start)..row(range.end));
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        let ranges = RowSelection::from_consecutive_ranges(ranges, rows);
        let columns: Vec<usize> = SPAN_COLUMNS.collect();
        Rows::new(self.source(), &layout, vec![0], Some(ranges), &columns)
    }

    /// The spans in these ranges of rows, in order; ranges are sorted and do not overlap.
    ///
    /// # Errors
    /// `Corrupt` when what holds them is damaged; `Invalid` when the ranges are not as said or go
    /// past the last row.
    pub fn read_rows(&self, ranges: &[Range<u64>]) -> Result<Vec<SpanBatch>> {
        let mut batches = Vec::new();
        for (group, ranges) in self.outline()?.by_row_group(ranges)? {
            for batch in self.part(group, &ranges)? {
                batches.push(batch?);
            }
        }
        Ok(batches)
    }
}

/// The batches of a scan. It holds on to its segment, so that the file stays. An error ends it.
struct SegmentScan {
    segment: Arc<Segment>,
    /// What is read now.
    rows: Option<Rows>,
    /// Row groups that follow, and which of their rows.
    parts: std::vec::IntoIter<(usize, Vec<Range<u64>>)>,
}

impl Iterator for SegmentScan {
    type Item = Result<SpanBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let next = self.rows.as_mut().and_then(Iterator::next);
            if matches!(next, Some(Err(_))) {
                (self.rows, self.parts) = (None, Vec::new().into_iter());
            }
            if next.is_some() {
                return next;
            }
            let (group, ranges) = self.parts.next()?;
            match self.segment.part(group, &ranges) {
                Ok(rows) => self.rows = Some(rows),
                Err(error) => {
                    self.parts = Vec::new().into_iter();
                    return Some(Err(error));
                }
            }
        }
    }
}

/// Those of the rows that lie in row groups which can be read; what is damaged is put on the list.
pub fn around(
    segment: &Segment,
    ranges: Vec<Range<u64>>,
    left_out: Option<&LeftOut>,
) -> Result<Vec<Range<u64>>> {
    if left_out.is_none() {
        return Ok(ranges);
    }
    let columns: Vec<usize> = SPAN_COLUMNS.collect();
    let groups = segment.outline()?.by_row_group(&ranges)?;
    let groups = groups.into_iter().map(|(group, _)| group).collect();
    let mut kept = Vec::new();
    for group in segment.sound(groups, &columns, Some(&ranges), left_out)? {
        let (rows, _) = segment.row_group(group)?;
        let within = |range: &Range<u64>| range.start.max(rows.start)..range.end.min(rows.end);
        kept.extend(ranges.iter().map(within).filter(|range| range.start < range.end));
    }
    Ok(kept)
}

/// Keeps the rows of one trace: two traces may share a fingerprint.
pub fn only_trace(batches: Vec<SpanBatch>, id: TraceId) -> Result<Vec<SpanBatch>> {
    let mut kept = Vec::new();
    for batch in batches {
        let ids = batch.ids(col::TRACE_ID);
        let same: BooleanArray = ids.iter().map(|i| Some(i == Some(id.as_bytes()))).collect();
        if same.true_count() == batch.len() {
            kept.push(compact(batch)?);
        } else if same.true_count() > 0 {
            let rows = filter_record_batch(batch.record_batch(), &same)
                .map_err(|e| Error::invalid(format!("cannot filter spans: {e}")))?;
            kept.push(compact(SpanBatch::try_new(rows)?)?);
        }
    }
    Ok(kept)
}

/// Copies the texts of a few rows out of the pages and dictionaries they came from, which would
/// stay in memory as long as the rows do.
fn compact(batch: SpanBatch) -> Result<SpanBatch> {
    let columns = batch.record_batch().columns().iter().map(|column| -> ArrayRef {
        match column.as_string_view_opt() {
            Some(texts) => Arc::new(texts.gc()),
            None => column.clone(),
        }
    });
    RecordBatch::try_new(span_schema().clone(), columns.collect())
        .map_err(|e| Error::invalid(format!("cannot copy spans: {e}")))
        .and_then(SpanBatch::try_new)
}

/// Whether a row group can hold a span that matches, by its statistics.
fn may_match(group: &RowGroupMetaData, predicate: &Predicate) -> bool {
    let statistics = |column: usize| group.columns().get(column).and_then(|c| c.statistics());
    let times = match statistics(col::START_TIME) {
        Some(Statistics::Int64(times)) => times.min_opt().zip(times.max_opt()),
        _ => None,
    };
    // Cut minima and maxima are still bounds.
    let holds = |column: usize, wanted: &Option<String>| match (statistics(column), wanted) {
        (Some(Statistics::ByteArray(texts)), Some(wanted)) => {
            let wanted = wanted.as_bytes();
            texts.min_opt().is_none_or(|min| min.data() <= wanted)
                && texts.max_opt().is_none_or(|max| wanted <= max.data())
        }
        _ => true,
    };
    times.is_none_or(|(min, max)| predicate.may_match_times(*min, *max))
        && holds(col::SERVICE_NAME, &predicate.service)
        && holds(col::NAME, &predicate.name)
}
