//! The first rows early, for sorts that keep a few.
//!
//! A filter gathers thousands of rows before it hands them on. A sort that keeps the newest 100
//! spans of a service would have read most of a store by then, though the first rows tell it that
//! all older ones are of no use. So filters below such sorts gather fewer, and where it is the
//! newest that are kept, segments are read in pieces.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::execution_plan::{
    ChildrenPropertiesMode, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

use crate::provider::{SpanScanExec, newest_in_pieces};

/// Fewest rows that a filter gathers: batches of fewer cost more than they save.
const ROWS_MIN: usize = 1024;
/// The same where rows come newest first: the first few exclude nearly all others.
const NEWEST_ROWS_MIN: usize = 128;

/// What gathers fewer rows gives the same rows.
const SAME: ReplaceChildrenOptions = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep);

/// The same plan, in which a filter below a sort that keeps a few rows gathers not many more than
/// these.
pub(crate) fn hand_on_early(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let early = plan.transform_down(|node| {
        let kept = node.downcast_ref::<SortExec>().and_then(SortExec::fetch);
        match (kept, node.children().as_slice()) {
            (Some(kept), [input]) => {
                let newest = node.downcast_ref::<SortExec>().is_some_and(keeps_newest);
                let rows = kept.max(if newest { NEWEST_ROWS_MIN } else { ROWS_MIN });
                let input = gather_at_most(Arc::clone(input), rows, newest)?;
                Ok(Transformed::yes(node.replace_children(vec![input], SAME)?))
            }
            _ => Ok(Transformed::no(node)),
        }
    })?;
    Ok(early.data)
}

/// Whether a sort keeps the latest `start_time`.
fn keeps_newest(sort: &SortExec) -> bool {
    let first = sort.expr().first();
    let column = first.expr.downcast_ref::<Column>();
    first.options.descending && column.is_some_and(|column| column.name() == "start_time")
}

/// Filters whose rows come to the sort as they are found: below an aggregation none do.
fn gather_at_most(
    node: Arc<dyn ExecutionPlan>,
    rows: usize,
    newest: bool,
) -> Result<Arc<dyn ExecutionPlan>> {
    if newest && node.downcast_ref::<SpanScanExec>().is_some() {
        let inputs = node.children().into_iter().map(newest_in_pieces);
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        return Arc::clone(&node).replace_children(inputs, SAME);
    }
    let [input] = node.children()[..] else { return Ok(node) };
    if node.pipeline_behavior() != EmissionType::Incremental {
        return Ok(node);
    }
    let input = gather_at_most(Arc::clone(input), rows, newest)?;
    let node = node.replace_children(vec![input], SAME)?;
    Ok(match node.downcast_ref::<FilterExec>() {
        Some(filter) if filter.batch_size() > rows => Arc::new(filter.with_batch_size(rows)?),
        _ => node,
    })
}
