//! `SpanScanExec`: hot rows and segments as one leaf of a plan.
//!
//! It hands everything down to both, projections with attributes included, so that the segments
//! can answer them from promoted columns. Filters are handed down too, but never taken over: what
//! asked for them applies them again, so that an answer never depends on what a file could skip.

use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::{CardinalityEffect, ReplaceChildrenOptions};
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::projection::{ProjectionExec, all_columns, make_with_child};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, SendableRecordBatchStream,
};

/// One scan of the base table.
#[derive(Debug)]
pub(crate) struct SpanScanExec {
    /// The only input, or the union of both.
    inner: Arc<dyn ExecutionPlan>,
    inputs: Vec<Arc<dyn ExecutionPlan>>,
    reads: Reads,
}

/// What a scan reads of the segments, known when it is planned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reads {
    /// Segments that are read.
    pub(crate) segments: usize,
    /// All segments.
    pub(crate) of: usize,
    /// Rows that the trace-ID indexes left, where they were asked.
    pub(crate) by_index: Option<usize>,
}

impl SpanScanExec {
    /// A scan of one or two inputs.
    pub(crate) fn new(inputs: Vec<Arc<dyn ExecutionPlan>>, reads: Reads) -> Result<Self> {
        let inner = match inputs.as_slice() {
            [only] => Arc::clone(only),
            _ => UnionExec::try_new(inputs.clone())?,
        };
        Ok(Self { inner, inputs, reads })
    }

    fn over(&self, inputs: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(inputs, self.reads)?))
    }
}

impl DisplayAs for SpanScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reads { segments, of, by_index } = self.reads;
        write!(f, "SpanScanExec: segments={segments} of {of}")?;
        if let Some(rows) = by_index {
            write!(f, ", rows by trace-ID index={rows}")?;
        }
        let hot = self.inputs.len() > usize::from(segments > 0);
        write!(f, ", hot={}", if hot { "yes" } else { "no" })
    }
}

impl ExecutionPlan for SpanScanExec {
    fn name(&self) -> &'static str {
        "SpanScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.inner.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        match self.inputs.as_slice() {
            [_] => vec![true],
            _ => self.inner.maintains_input_order(),
        }
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false; self.inputs.len()]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.inputs.iter().collect()
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.over(children)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.over(children)
    }

    fn repartitioned(
        &self,
        target_partitions: usize,
        config: &ConfigOptions,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        // A few rows are not worth opening a file for each partition.
        if self.reads.by_index.is_some() {
            return Ok(None);
        }
        let mut changed = false;
        let mut inputs = Vec::with_capacity(self.inputs.len());
        for input in &self.inputs {
            let split = input.repartitioned(target_partitions, config)?;
            changed |= split.is_some();
            inputs.push(split.unwrap_or_else(|| Arc::clone(input)));
        }
        if changed { self.over(inputs).map(Some) } else { Ok(None) }
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        self.inner.execute(partition, context)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        match self.inputs.len() {
            1 => None,
            _ => self.inner.metrics(),
        }
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        match self.inputs.len() {
            1 => vec![ChildStats::At(partition)],
            _ => self.inner.child_stats_requests(partition),
        }
    }

    fn statistics_from_inputs(
        &self,
        input_stats: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        match input_stats {
            [only] => Ok(Arc::clone(only)),
            _ => self.inner.statistics_from_inputs(input_stats, args),
        }
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        match self.inputs.len() {
            1 => CardinalityEffect::Equal,
            _ => self.inner.cardinality_effect(),
        }
    }

    fn try_swapping_with_projection(
        &self,
        projection: &ProjectionExec,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let narrows = projection.expr().len() < projection.input().schema().fields().len();
        if !narrows && all_columns(projection.expr()) {
            return Ok(None);
        }
        let inputs = self.inputs.iter().map(|input| make_with_child(projection, input));
        self.over(inputs.collect::<Result<Vec<_>>>()?).map(Some)
    }

    fn gather_filters_for_pushdown(
        &self,
        _phase: FilterPushdownPhase,
        parent_filters: Vec<Arc<dyn PhysicalExpr>>,
        _config: &ConfigOptions,
    ) -> Result<FilterDescription> {
        FilterDescription::from_children(parent_filters, &self.children())
    }

    fn handle_child_pushdown_result(
        &self,
        _phase: FilterPushdownPhase,
        result: ChildPushdownResult,
        _config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        Ok(FilterPushdownPropagation::all_unsupported(result))
    }
}
