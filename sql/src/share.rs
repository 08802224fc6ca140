//! Percentiles of the same values share one histogram: `p50(x), p95(x), p99(x)` count each value
//! once, not three times.
//!
//! Such calls of an aggregation become one call that answers with a struct, and a projection above
//! takes it apart, under the names that the calls had.

use std::any::Any;
use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, Result};
use datafusion::functions::core::expr_fn::get_field;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, Projection};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use crate::functions::percentile::Percentile;

/// The rule; it comes after those that make equal arguments equal.
#[derive(Debug)]
pub(crate) struct SharePercentiles;

impl OptimizerRule for SharePercentiles {
    fn name(&self) -> &str {
        "share_percentiles"
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
        let LogicalPlan::Aggregate(aggregate) = &plan else { return Ok(Transformed::no(plan)) };
        match shared(aggregate)? {
            Some(shared) => Ok(Transformed::yes(shared)),
            None => Ok(Transformed::no(plan)),
        }
    }
}

/// Calls over the same values.
struct Share<'a> {
    value: &'a Expr,
    filter: Option<&'a Expr>,
    /// The places of the calls in the aggregation, and their ranks.
    calls: Vec<(usize, u32)>,
}

fn shared(aggregate: &Aggregate) -> Result<Option<LogicalPlan>> {
    // Grouping sets add a column of their own.
    if aggregate.group_expr.iter().any(|expr| matches!(expr, Expr::GroupingSet(_))) {
        return Ok(None);
    }
    let mut shares: Vec<Share<'_>> = Vec::new();
    for (place, expr) in aggregate.aggr_expr.iter().enumerate() {
        let Some((value, filter, rank)) = percentile(expr) else { continue };
        match shares.iter_mut().find(|share| share.value == value && share.filter == filter) {
            Some(share) => share.calls.push((place, rank)),
            None => shares.push(Share { value, filter, calls: vec![(place, rank)] }),
        }
    }
    shares.retain(|share| share.calls.len() > 1);
    if shares.is_empty() {
        return Ok(None);
    }
    rewritten(aggregate, &shares).map(Some)
}

/// The value, the filter and the rank of a call without anything else about it.
fn percentile(expr: &Expr) -> Option<(&Expr, Option<&Expr>, u32)> {
    let Expr::AggregateFunction(AggregateFunction { func, params }) = expr else { return None };
    let inner: &dyn Any = func.inner().as_ref();
    let rank = inner.downcast_ref::<Percentile>()?.rank(&params.args)?;
    let plain = !params.distinct && params.order_by.is_empty() && params.null_treatment.is_none();
    let value = params.args.first().filter(|value| plain && !value.is_volatile())?;
    let filter = params.filter.as_deref();
    // What is random is drawn for each call.
    filter.is_none_or(|filter| !filter.is_volatile()).then_some((value, filter, rank))
}

fn rewritten(aggregate: &Aggregate, shares: &[Share<'_>]) -> Result<LogicalPlan> {
    // For each call that is left, its place in the old aggregation; shared ones come last.
    let is_shared = |place: &usize| shares.iter().any(|s| s.calls.iter().any(|c| c.0 == *place));
    let kept: Vec<usize> = (0..aggregate.aggr_expr.len()).filter(|p| !is_shared(p)).collect();
    let mut calls: Vec<Expr> = kept.iter().map(|p| aggregate.aggr_expr[*p].clone()).collect();
    for Share { value, filter, calls: asked } in shares {
        let ranks = asked.iter().map(|(_, rank)| *rank).collect();
        calls.push(Expr::AggregateFunction(AggregateFunction::new_udf(
            Arc::new(Percentile::several(ranks)),
            vec![(*value).clone()],
            false,
            filter.map(|filter| Box::new(filter.clone())),
            Vec::new(),
            None,
        )));
    }
    let groups = aggregate.group_expr.clone();
    let inner = Aggregate::try_new(Arc::clone(&aggregate.input), groups, calls)?;
    let column = |at: usize| Expr::Column(Column::from(inner.schema.qualified_field(at)));
    let grouped = aggregate.group_expr.len();
    let mut columns: Vec<Expr> = (0..grouped).map(column).collect();
    for place in 0..aggregate.aggr_expr.len() {
        if let Some(at) = kept.iter().position(|kept| *kept == place) {
            columns.push(column(grouped + at));
            continue;
        }
        let answers = shares.iter().enumerate().find_map(|(share, Share { calls, .. })| {
            calls.iter().position(|call| call.0 == place).map(|answer| (share, answer))
        });
        if let Some((share, answer)) = answers {
            let answers = column(grouped + kept.len() + share);
            let (_, field) = aggregate.schema.qualified_field(grouped + place);
            columns.push(get_field(answers, answer.to_string()).alias(field.name()));
        }
    }
    let inner = Arc::new(LogicalPlan::Aggregate(inner));
    Projection::try_new(columns, inner).map(LogicalPlan::Projection)
}
