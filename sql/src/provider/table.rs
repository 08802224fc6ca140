//! `SpanTable`: the base table over whatever gives snapshots.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use amida::schema::{COLUMN_NAMES, col};
use amida::{Scope, Segment, Snapshot, SpanBatch, TraceId, span_schema};
use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::memory::{DataSourceExec, MemorySourceConfig};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Result, ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetRowSelection;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfigBuilder, FileSource, ParquetSource,
};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::parquet::arrow::arrow_reader::RowSelection;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalSortExpr};
use datafusion::physical_plan::{ExecutionPlan, SortOrderPushdownResult};

use super::adapter::{SegmentAdapterFactory, file_schema};
use super::pushdown::{Bounds, TRACES_MAX};
use super::reader::SegmentReaderFactory;
use super::scan::{Reads, SpanScanExec};
use super::{BoundSnapshot, STORE_URL};
use crate::error::engine_error;
use crate::role::{Role, Unit};
use crate::source::Source;

/// The span schema, its columns marked with what they mean.
static BASE_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let marked = span_schema().fields().iter().enumerate().map(|(index, field)| {
        let field: Field = field.as_ref().clone();
        match index {
            col::KIND => Role::Kind.mark(field),
            col::STATUS_CODE => Role::StatusCode.mark(field),
            col::DURATION_NS => Role::Duration(Unit::Nanoseconds).mark(field),
            col::ATTRIBUTES => Role::Attributes(Scope::Span).mark(field),
            col::RESOURCE_ATTRIBUTES => Role::Attributes(Scope::Resource).mark(field),
            col::SCOPE_ATTRIBUTES => Role::Attributes(Scope::Scope).mark(field),
            _ => field,
        }
    });
    Arc::new(Schema::new(marked.collect::<Vec<_>>()))
});

/// The schema of the base table.
pub(crate) fn base_schema() -> &'static SchemaRef {
    &BASE_SCHEMA
}

/// One row per span, ids as bytes.
#[derive(Debug)]
pub(crate) struct SpanTable {
    source: Arc<dyn Source>,
}

impl SpanTable {
    pub(crate) fn new(source: Arc<dyn Source>) -> Self {
        Self { source }
    }
}

#[async_trait]
impl TableProvider for SpanTable {
    fn schema(&self) -> SchemaRef {
        base_schema().clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let snapshot = match state.config().get_extension::<BoundSnapshot>() {
            Some(bound) => bound.0.clone(),
            None => self.source.snapshot().map_err(engine_error)?,
        };
        let bounds = resolve_prefix(&snapshot, Bounds::of(filters))?;
        let scan = Scan {
            snapshot: &snapshot,
            bounds: &bounds,
            projection,
            reads_attributes: reads_attributes(projection, filters),
            // A limit below a filter would cut too early.
            limit: limit.filter(|_| filters.is_empty()),
            partitions: state.config().target_partitions(),
        };
        let in_time = |min, max| bounds.may_match_times(min, max);
        snapshot.check_unreadable(in_time).map_err(engine_error)?;
        let total = snapshot.segments().len();
        let hot = scan.hot()?;
        let (segments, reads) = scan.segments(total)?;
        let inputs: Vec<_> = segments.into_iter().chain(hot).collect();
        match inputs.is_empty() {
            true => scan.memory(Vec::new()),
            false => Ok(Arc::new(SpanScanExec::new(inputs, reads)?)),
        }
    }
}

/// The traces behind a prefix, when they are few. Damage is no matter of this look, which is at all
/// times: the scan meets it, if it is in the way.
fn resolve_prefix(snapshot: &Snapshot, mut bounds: Bounds) -> Result<Bounds> {
    if let (None, Some(prefix)) = (&bounds.traces, &bounds.trace_prefix)
        && prefix.len() <= 2 * TraceId::LEN
    {
        let found = match snapshot.deny_partial().traces_with_prefix(prefix, TRACES_MAX + 1) {
            Ok(found) => found,
            Err(amida::Error::Corrupt { .. } | amida::Error::Io { .. }) => return Ok(bounds),
            Err(error) => return Err(engine_error(error)),
        };
        if found.len() <= TRACES_MAX {
            bounds.traces = Some(found.into_iter().collect());
        }
    }
    Ok(bounds)
}

/// Lets the newest row groups of a file be read first. DataFusion asks for that itself only where
/// nothing stands between the sort and the scan.
fn newest_first(source: ParquetSource) -> Result<Arc<dyn FileSource>> {
    let options = SortOptions { descending: true, nulls_first: false };
    let expr = Arc::new(Column::new("start_time", col::START_TIME));
    let order = [PhysicalSortExpr { expr, options }];
    let known = EquivalenceProperties::new(base_schema().clone());
    Ok(match source.try_pushdown_sort(&order, &known)? {
        SortOrderPushdownResult::Exact { inner } | SortOrderPushdownResult::Inexact { inner } => {
            inner
        }
        SortOrderPushdownResult::Unsupported => Arc::new(source),
    })
}

fn reads_attributes(projection: Option<&Vec<usize>>, filters: &[Expr]) -> bool {
    let promotable = [col::ATTRIBUTES, col::RESOURCE_ATTRIBUTES];
    let projected = projection.is_none_or(|p| p.iter().any(|c| promotable.contains(c)));
    let filtered = filters.iter().any(|filter| {
        let columns = filter.column_refs();
        columns.iter().any(|c| promotable.iter().any(|p| COLUMN_NAMES.get(*p) == Some(&&*c.name)))
    });
    projected || filtered
}

/// One scan while it is planned.
struct Scan<'a> {
    snapshot: &'a Snapshot,
    bounds: &'a Bounds,
    projection: Option<&'a Vec<usize>>,
    reads_attributes: bool,
    limit: Option<usize>,
    partitions: usize,
}

impl Scan<'_> {
    /// The rows that are in memory; `None` when none can match.
    fn hot(&self) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let batches = match &self.bounds.traces {
            Some(traces) => {
                let mut batches = Vec::new();
                for id in traces {
                    batches.extend(self.snapshot.hot_trace(*id).map_err(engine_error)?);
                }
                batches
            }
            None => self.snapshot.hot_batches().map_err(engine_error)?,
        };
        let batches: Vec<SpanBatch> =
            batches.into_iter().filter(|batch| self.may_match(batch)).collect();
        if batches.is_empty() { Ok(None) } else { self.memory(batches).map(Some) }
    }

    fn may_match(&self, batch: &SpanBatch) -> bool {
        let starts = batch.start_times();
        match (starts.iter().min(), starts.iter().max()) {
            (Some(min), Some(max)) => self.bounds.may_match_times(*min, *max),
            _ => false,
        }
    }

    fn memory(&self, batches: Vec<SpanBatch>) -> Result<Arc<dyn ExecutionPlan>> {
        let marked = batches.into_iter().map(|batch| {
            let columns = batch.record_batch().columns().to_vec();
            Ok(RecordBatch::try_new(base_schema().clone(), columns)?)
        });
        let batches = marked.collect::<Result<Vec<_>>>()?;
        let source = MemorySourceConfig::try_new(
            &[batches],
            base_schema().clone(),
            self.projection.cloned(),
        )?
        .with_limit(self.limit)
        .with_show_sizes(false);
        Ok(DataSourceExec::from_data_source(source))
    }

    /// The segments that can match, newest first, and what is read of `of` segments.
    fn segments(&self, of: usize) -> Result<(Option<Arc<dyn ExecutionPlan>>, Reads)> {
        let mut files = Vec::new();
        let mut rows = 0;
        let mut by_index = self.bounds.traces.as_ref().map(|_| 0);
        for segment in self.snapshot.segments() {
            let (min, max) = segment.start_times();
            let in_time = self.bounds.may_match_times(min, max);
            if !in_time || !self.snapshot.check_footer(segment).map_err(engine_error)? {
                continue;
            }
            let selected = self.selected_rows(segment)?;
            if selected.as_ref().is_some_and(Vec::is_empty) {
                continue;
            }
            by_index = by_index.zip(selected.as_ref()).map(|(rows, ranges)| {
                rows + ranges.iter().map(ExactSizeIterator::len).sum::<usize>()
            });
            rows += segment.rows();
            files.push((max, self.file(segment, selected)?));
        }
        let count = files.len();
        let reads = Reads { segments: count, of, by_index };
        if files.is_empty() {
            return Ok((None, reads));
        }
        // Newest first, as their row groups: `ORDER BY start_time DESC LIMIT n` then skips the rest
        // by statistics.
        files.sort_by_key(|(max, _)| std::cmp::Reverse(*max));
        let mut groups = vec![Vec::new(); self.partitions.clamp(1, count)];
        let slots = groups.len();
        for (index, (_, file)) in files.into_iter().enumerate() {
            if let Some(group) = groups.get_mut(index % slots) {
                group.push(file);
            }
        }
        let source = ParquetSource::new(base_schema().clone())
            .with_parquet_file_reader_factory(Arc::new(SegmentReaderFactory))
            .with_pushdown_filters(self.bounds.selective)
            .with_reorder_filters(true)
            .with_bloom_filter_on_read(false);
        let config =
            FileScanConfigBuilder::new(ObjectStoreUrl::parse(STORE_URL)?, newest_first(source)?)
                .with_file_groups(groups.into_iter().map(FileGroup::new).collect())
                .with_statistics(self.statistics(rows, None))
                .with_projection_indices(self.projection.cloned())?
                .with_limit(self.limit)
                .with_expr_adapter(Some(Arc::new(SegmentAdapterFactory)))
                .build();
        Ok((Some(DataSourceExec::from_data_source(config)), reads))
    }

    /// The rows of a segment that the trace-ID index leaves; `None`: it was not asked.
    fn selected_rows(&self, segment: &Segment) -> Result<Option<Vec<Range<usize>>>> {
        let Some(traces) = &self.bounds.traces else { return Ok(None) };
        let mut ranges = Vec::new();
        for id in traces {
            let rows = match segment.trace_rows(*id) {
                Ok(rows) => rows,
                // Neither index nor ids can be read: which row groups are sound is seen later.
                Err(_) if self.snapshot.is_partial() => return Ok(None),
                Err(error) => return Err(engine_error(error)),
            };
            for rows in rows {
                if let (Ok(start), Ok(end)) = (rows.start.try_into(), rows.end.try_into()) {
                    ranges.push(Range::<usize> { start, end });
                }
            }
        }
        ranges.sort_by_key(|range| range.start);
        // Fingerprints may collide: ranges of two ids can be the same rows.
        let mut merged: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match merged.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        Ok(Some(merged))
    }

    fn file(
        &self,
        segment: &Arc<Segment>,
        selected: Option<Vec<Range<usize>>>,
    ) -> Result<PartitionedFile> {
        let name = format!("{:016}.parquet", segment.number());
        let mut file =
            PartitionedFile::new(name, segment.bytes()).with_extension(Arc::clone(segment));
        if self.snapshot.is_partial() {
            file = file.with_extension(Arc::new(self.bounds.clone()));
        }
        if self.reads_attributes {
            file = file.with_arrow_schema(file_schema(segment, base_schema())?);
        }
        if let Some(selected) = selected {
            let total = usize::try_from(segment.rows()).unwrap_or(usize::MAX);
            let selection = RowSelection::from_consecutive_ranges(selected.into_iter(), total);
            file = file.with_extension(ParquetRowSelection::new(selection));
        }
        let statistics = self.statistics(segment.rows(), Some(segment.start_times()));
        Ok(file.with_statistics(Arc::new(statistics)))
    }

    /// What is known without reading: rows, and the range of start times. Exact unless the index
    /// left out rows.
    fn statistics(&self, rows: u64, starts: Option<(i64, i64)>) -> Statistics {
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        match self.bounds.traces {
            None => known(Precision::Exact(rows), starts),
            Some(_) => known(Precision::Inexact(rows), starts).to_inexact(),
        }
    }
}

/// Statistics of so many rows, with this range of start times.
pub(super) fn known(rows: Precision<usize>, starts: Option<(i64, i64)>) -> Statistics {
    let mut statistics = Statistics::new_unknown(base_schema());
    statistics.num_rows = rows;
    if let (Some((min, max)), Some(column)) =
        (starts, statistics.column_statistics.get_mut(col::START_TIME))
    {
        let time = |ns| ScalarValue::TimestampNanosecond(Some(ns), Some(amida::schema::UTC.into()));
        *column = ColumnStatistics::new_unknown()
            .with_null_count(Precision::Exact(0))
            .with_min_value(Precision::Exact(time(min)))
            .with_max_value(Precision::Exact(time(max)));
    }
    statistics
}
