//! Join keys that are calculated from attributes.
//!
//! DataFusion moves the reading of an attribute below a join and lower still, into the table's
//! alias. The column that it becomes has the alias before its name there, but not in the join's
//! key, and a key such as `upper(..)` of it is looked for under the shorter name when the join is
//! made. So keys get the names that their side has.

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::expr_rewriter::normalize_col;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// The rule; it comes after those that move expressions.
#[derive(Debug)]
pub(crate) struct NameJoinKeys;

impl OptimizerRule for NameJoinKeys {
    fn name(&self) -> &str {
        "name_join_keys"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Join(mut join) = plan else { return Ok(Transformed::no(plan)) };
        let mut changed = false;
        for (left, right) in &mut join.on {
            changed |= name(left, &join.left)? | name(right, &join.right)?;
        }
        let plan = LogicalPlan::Join(join);
        Ok(if changed { Transformed::yes(plan) } else { Transformed::no(plan) })
    }
}

fn name(key: &mut Expr, side: &LogicalPlan) -> Result<bool> {
    let named = normalize_col(key.clone(), side)?;
    let changed = named != *key;
    *key = named;
    Ok(changed)
}
