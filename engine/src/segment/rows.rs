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
use super::footer::Footer;
use super::pages::Groups;
use super::partial::LeftOut;
use super::reader::Segment;
use super::source::Source;
use crate::error::{Error, Result};
use crate::fs::Blob;
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
        footer: &Footer,
        groups: Vec<usize>,
        selection: Option<RowSelection>,
        columns: &[usize],
    ) -> Result<Self> {
        let mut constants = Vec::new();
        let mut read = Vec::new();
        for (place, column) in columns.iter().enumerate() {
            match Constant::of(footer, &groups, *column) {
                Some(constant) => constants.push((place, constant)),
                None => read.push(*column),
            }
        }
        let rows = Self::reading(source, footer, groups, selection, &read)?;
        Ok(Self { constants, ..rows })
    }

    /// As `new`, and reads all of these columns.
    pub fn reading(
        source: Source,
        footer: &Footer,
        groups: Vec<usize>,
        selection: Option<RowSelection>,
        columns: &[usize],
    ) -> Result<Self> {
        // Arrays are made for a whole batch: a small one, for few rows.
        let rows = selection.as_ref().map_or(BATCH_ROWS, RowSelection::row_count);
        let schema = footer.metadata.file_metadata().schema_descr();
        let mask = ProjectionMask::roots(schema, columns.iter().copied());
        let groups = Groups { source: source.clone(), metadata: footer.metadata.clone(), groups };
        let reader = source.fenced(|| {
            let levels = parquet_to_arrow_field_levels(schema, mask, Some(footer.schema.fields()))?;
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
        if candidates.as_ref().is_some_and(Vec::is_empty) {
            return Ok(SegmentScan { rows: None, _segment: self });
        }
        let footer = match self.footer() {
            Ok(footer) => footer,
            Err(error) => {
                self.leave_out(error, left_out)?;
                return Ok(SegmentScan { rows: None, _segment: self });
            }
        };
        let columns: Vec<usize> = SPAN_COLUMNS.collect();
        let rows = if let Some(candidates) = candidates {
            let candidates = around(&self, &footer, candidates, left_out)?;
            let (groups, selection) = select(&footer, &candidates)?;
            Rows::new(self.source(), &footer, groups, Some(selection), &columns)?
        } else {
            let groups = footer.metadata.row_groups().iter().enumerate();
            let groups = groups.filter(|(_, group)| may_match(group, predicate));
            let groups = groups.map(|(at, _)| at).collect();
            let groups = self.sound(groups, &columns, None, left_out)?;
            Rows::new(self.source(), &footer, groups, None, &columns)?
        };
        Ok(SegmentScan { rows: Some(rows), _segment: self })
    }
}

/// The batches of a scan. It holds on to its segment, so that the file stays.
struct SegmentScan {
    rows: Option<Rows>,
    _segment: Arc<Segment>,
}

impl Iterator for SegmentScan {
    type Item = Result<SpanBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rows.as_mut()?.next()
    }
}

/// Those of the rows that lie in row groups which can be read; what is damaged is put on the list.
pub fn around(
    segment: &Segment,
    footer: &Footer,
    ranges: Vec<Range<u64>>,
    left_out: Option<&LeftOut>,
) -> Result<Vec<Range<u64>>> {
    if left_out.is_none() {
        return Ok(ranges);
    }
    let columns: Vec<usize> = SPAN_COLUMNS.collect();
    let (groups, _) = select(footer, &ranges)?;
    let mut kept = Vec::new();
    for group in segment.sound(groups, &columns, Some(&ranges), left_out)? {
        let (rows, _) = segment.row_group(group)?;
        let within = |range: &Range<u64>| range.start.max(rows.start)..range.end.min(rows.end);
        kept.extend(ranges.iter().map(within).filter(|range| range.start < range.end));
    }
    Ok(kept)
}

/// Reads ranges of rows.
pub fn read(blob: &Arc<Blob>, footer: &Footer, ranges: &[Range<u64>]) -> Result<Vec<SpanBatch>> {
    let (groups, selection) = select(footer, ranges)?;
    if groups.is_empty() {
        return Ok(Vec::new());
    }
    let columns: Vec<usize> = SPAN_COLUMNS.collect();
    Rows::new(Source::map(blob), footer, groups, Some(selection), &columns)?.collect()
}

/// The row groups that hold these rows, and the selection of the rows within those row groups.
fn select(footer: &Footer, ranges: &[Range<u64>]) -> Result<(Vec<usize>, RowSelection)> {
    let ordered = ranges.windows(2).all(|pair| match pair {
        [a, b] => a.end <= b.start,
        _ => true,
    });
    if !ordered || ranges.iter().any(|range| range.start > range.end) {
        return Err(Error::invalid("ranges of rows are out of order"));
    }
    let mut groups = Vec::new();
    let mut selected = Vec::new();
    // Rows before this group, in the file and in the groups that are read.
    let (mut before, mut before_read) = (0u64, 0u64);
    for (at, group) in footer.metadata.row_groups().iter().enumerate() {
        let rows = u64::try_from(group.num_rows()).unwrap_or(0);
        let parts = ranges.iter().filter_map(|range| {
            let start = range.start.max(before);
            let end = range.end.min(before + rows);
            (start < end).then(|| start - before + before_read..end - before + before_read)
        });
        let len = selected.len();
        selected.extend(parts.map(|part| {
            usize::try_from(part.start).unwrap_or(usize::MAX)
                ..usize::try_from(part.end).unwrap_or(usize::MAX)
        }));
        if selected.len() > len {
            groups.push(at);
            before_read += rows;
        }
        before += rows;
    }
    if ranges.last().is_some_and(|range| range.end > before) {
        return Err(Error::invalid(format!("the segment has {before} rows; asked for {ranges:?}")));
    }
    let total = usize::try_from(before_read).unwrap_or(usize::MAX);
    Ok((groups, RowSelection::from_consecutive_ranges(selected.into_iter(), total)))
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
