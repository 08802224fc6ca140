//! The first rows early: a filter gathers thousands of rows before it hands them on. A sort that
//! keeps the newest 100 spans of a service would have read most of a store by then, though the
//! first row group tells it that all older ones are of no use.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_plan::execution_plan::{
    ChildrenPropertiesMode, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

/// Fewest rows that a filter gathers: batches of fewer cost more than they save.
const ROWS_MIN: usize = 1024;

/// What gathers fewer rows gives the same rows.
const SAME: ReplaceChildrenOptions = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep);

/// The same plan, in which a filter below a sort that keeps a few rows gathers not many more than
/// these.
pub(crate) fn hand_on_early(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let early = plan.transform_down(|node| {
        let kept = node.downcast_ref::<SortExec>().and_then(SortExec::fetch);
        match (kept, node.children().as_slice()) {
            (Some(kept), [input]) => {
                let input = gather_at_most(Arc::clone(input), kept.max(ROWS_MIN))?;
                Ok(Transformed::yes(node.replace_children(vec![input], SAME)?))
            }
            _ => Ok(Transformed::no(node)),
        }
    })?;
    Ok(early.data)
}

/// Filters whose rows come to the sort as they are found: below an aggregation none do.
fn gather_at_most(node: Arc<dyn ExecutionPlan>, rows: usize) -> Result<Arc<dyn ExecutionPlan>> {
    let [input] = node.children()[..] else { return Ok(node) };
    if node.pipeline_behavior() != EmissionType::Incremental {
        return Ok(node);
    }
    let input = gather_at_most(Arc::clone(input), rows)?;
    let node = node.replace_children(vec![input], SAME)?;
    Ok(match node.downcast_ref::<FilterExec>() {
        Some(filter) if filter.batch_size() > rows => Arc::new(filter.with_batch_size(rows)?),
        _ => node,
    })
}
