//! Reading around damage: before a plan runs over a partial view, its scans leave out the row
//! groups whose columns cannot be read. It is done on the finished plan, because only that says
//! which columns of a file are read: an attribute may come from its promoted column.

use std::ops::Range;
use std::sync::Arc;

use amida::{Segment, Snapshot};
use datafusion::catalog::memory::DataSourceExec;
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetRowSelection;
use datafusion::datasource::physical_plan::{FileGroup, FileSource, ParquetSource};
use datafusion::parquet::arrow::arrow_reader::RowSelection;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr_adapter::PhysicalExprAdapterFactory;
use datafusion::physical_plan::ExecutionPlan;

use super::adapter::{SegmentAdapterFactory, file_schema};
use super::pushdown::Bounds;
use super::table::base_schema;
use crate::error::engine_error;

/// The same plan, which leaves out what cannot be read where the view is partial.
pub(crate) fn around_damage(
    plan: Arc<dyn ExecutionPlan>,
    snapshot: &Snapshot,
) -> Result<Arc<dyn ExecutionPlan>> {
    if !snapshot.is_partial() {
        return Ok(plan);
    }
    let around = plan.transform_up(|node| {
        let Some((config, source)) = node
            .downcast_ref::<DataSourceExec>()
            .and_then(|exec| exec.downcast_to_file_source::<ParquetSource>())
        else {
            return Ok(Transformed::no(node));
        };
        let projected = source.projection().into_iter().flat_map(|exprs| exprs.expr_iter());
        let read: Vec<_> = projected.chain(source.filter()).collect();
        let mut config = config.clone();
        for group in &mut config.file_groups {
            let files = std::mem::take(group).into_inner().into_iter();
            let sound = files.map(|file| around_file(file, &read, snapshot));
            *group = FileGroup::new(sound.collect::<Result<_>>()?);
        }
        Ok(Transformed::yes(DataSourceExec::from_data_source(config) as _))
    })?;
    Ok(around.data)
}

/// The same file, without the row groups in which a column that these expressions read is damaged.
fn around_file(
    file: PartitionedFile,
    read: &[Arc<dyn PhysicalExpr>],
    snapshot: &Snapshot,
) -> Result<PartitionedFile> {
    let (Some(segment), Some(bounds)) =
        (file.extension::<Arc<Segment>>().cloned(), file.extension::<Arc<Bounds>>().cloned())
    else {
        return Ok(file);
    };
    let selection = file.extension::<ParquetRowSelection>().map(|s| s.selection().clone());
    let selected = selection.as_ref().map(ranges);
    let mut wanted = Vec::new();
    for group in 0..usize::try_from(segment.row_groups()).unwrap_or(0) {
        let (rows, (min, max)) = segment.row_group(group).map_err(engine_error)?;
        let meets = |part: &Range<u64>| part.start < rows.end && rows.start < part.end;
        let is_selected = selected.as_ref().is_none_or(|parts| parts.iter().any(meets));
        // What cannot match is not read, and so not missed.
        if is_selected && bounds.may_match_times(min, max) {
            wanted.push((group, rows));
        }
    }
    let columns = columns(&segment, read)?;
    let asked = wanted.iter().map(|(group, _)| *group).collect();
    let sound = snapshot
        .sound_row_groups(&segment, asked, &columns, selected.as_deref())
        .map_err(engine_error)?;
    if sound.len() == wanted.len() {
        return Ok(file);
    }
    let row = |row: u64| usize::try_from(row).unwrap_or(usize::MAX);
    let kept = wanted.into_iter().filter(|(group, _)| sound.contains(group));
    let kept = kept.map(|(_, rows)| row(rows.start)..row(rows.end));
    let mut kept = RowSelection::from_consecutive_ranges(kept, row(segment.rows()));
    if let Some(selection) = &selection {
        kept = kept.intersection(selection);
    }
    let statistics = file.statistics.clone();
    let file = file.with_extension(ParquetRowSelection::new(kept));
    Ok(match statistics {
        Some(known) => file.with_statistics(Arc::new(Arc::unwrap_or_clone(known).to_inexact())),
        None => file,
    })
}

/// The rows of a selection.
fn ranges(selection: &RowSelection) -> Vec<Range<u64>> {
    let mut at = 0;
    let parts = selection.iter().map(|part| {
        let start = at;
        at += part.row_count as u64;
        (part.skip, start..at)
    });
    parts.filter(|(skip, _)| !skip).map(|(_, rows)| rows).collect()
}

/// The places, in this segment's file, of the columns that the expressions read.
fn columns(segment: &Segment, read: &[Arc<dyn PhysicalExpr>]) -> Result<Vec<usize>> {
    let schema = file_schema(segment, base_schema())?;
    let adapter = SegmentAdapterFactory.create(base_schema().clone(), Arc::clone(&schema))?;
    let mut columns = Vec::new();
    for expr in read {
        let in_file = adapter.rewrite(Arc::clone(expr))?;
        let names = collect_columns(&in_file);
        columns.extend(names.iter().filter_map(|column| schema.index_of(column.name()).ok()));
    }
    columns.sort_unstable();
    columns.dedup();
    Ok(columns)
}
