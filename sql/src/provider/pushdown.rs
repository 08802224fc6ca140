//! What the filters of a query leave of the store: which traces, which times. Pure: no I/O.

use std::collections::BTreeSet;

use amida::TraceId;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};

use crate::functions::attr::Attr;
use crate::functions::hex_id::HexId;

/// More traces than this are not looked up one by one.
pub(crate) const TRACES_MAX: usize = 1024;

/// Bounds that every row of the answer keeps; the filters themselves are applied again later.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Bounds {
    /// Only these traces; `None`: any.
    pub(crate) traces: Option<BTreeSet<TraceId>>,
    /// Only traces whose hex begins so.
    pub(crate) trace_prefix: Option<String>,
    /// Earliest start time, inclusive.
    pub(crate) start_from_ns: Option<i64>,
    /// Latest start time, inclusive.
    pub(crate) start_to_ns: Option<i64>,
    /// Filters look at ids or attributes: worth deciding row by row while reading.
    pub(crate) selective: bool,
}

impl Bounds {
    /// The bounds of a conjunction of filters.
    pub(crate) fn of(filters: &[Expr]) -> Self {
        let mut bounds = Self::default();
        for filter in filters {
            bounds.narrow(filter);
            bounds.selective |= looks_into(filter);
        }
        if bounds.traces.as_ref().is_some_and(|traces| traces.len() > TRACES_MAX) {
            bounds.traces = None;
        }
        bounds
    }

    /// Whether a span that starts within `min..=max` can be in the answer.
    pub(crate) fn may_match_times(&self, min_ns: i64, max_ns: i64) -> bool {
        self.start_from_ns.is_none_or(|from| max_ns >= from)
            && self.start_to_ns.is_none_or(|to| min_ns <= to)
    }

    fn narrow(&mut self, filter: &Expr) {
        if let Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) = filter {
            self.narrow(left);
            self.narrow(right);
            return;
        }
        if let Some(traces) = traces_of(filter) {
            self.traces = Some(match self.traces.take() {
                Some(already) => already.intersection(&traces).copied().collect(),
                None => traces,
            });
        }
        if let Some(prefix) = prefix_of(filter) {
            self.trace_prefix = Some(prefix);
        }
        for (op, ns) in times_of(filter) {
            match op {
                Operator::Gt | Operator::GtEq => self.raise(ns),
                Operator::Lt | Operator::LtEq => self.lower(ns),
                Operator::Eq => {
                    self.raise(ns);
                    self.lower(ns);
                }
                _ => {}
            }
        }
    }

    fn raise(&mut self, from_ns: i64) {
        self.start_from_ns = Some(self.start_from_ns.map_or(from_ns, |now| now.max(from_ns)));
    }

    fn lower(&mut self, to_ns: i64) {
        self.start_to_ns = Some(self.start_to_ns.map_or(to_ns, |now| now.min(to_ns)));
    }
}

/// Whether a filter reads attributes or ids.
fn looks_into(filter: &Expr) -> bool {
    let mut found = false;
    let visited = filter.apply(|expr| {
        if let Expr::ScalarFunction(function) = expr {
            let inner: &dyn std::any::Any = function.func.inner().as_ref();
            found |= inner.is::<Attr>() || inner.is::<HexId>();
        }
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    found && visited.is_ok()
}

/// Whether this is the text of `trace_id`.
fn is_trace_id(expr: &Expr) -> bool {
    let Expr::ScalarFunction(function) = expr else { return false };
    let inner: &dyn std::any::Any = function.func.inner().as_ref();
    inner.is::<HexId>()
        && matches!(function.args.as_slice(), [Expr::Column(id)] if id.name == "trace_id")
}

fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    }
}

/// The traces that a filter allows; `None` when it does not say.
fn traces_of(filter: &Expr) -> Option<BTreeSet<TraceId>> {
    // An id that no span can have allows no trace.
    let set = |hex: &str| hex.parse::<TraceId>().ok().into_iter().collect::<BTreeSet<_>>();
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            match (is_trace_id(left), is_trace_id(right)) {
                (true, false) => text(right).map(set),
                (false, true) => text(left).map(set),
                _ => None,
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            let mut either = traces_of(left)?;
            either.extend(traces_of(right)?);
            Some(either)
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            match (traces_of(left), traces_of(right)) {
                (Some(a), Some(b)) => Some(a.intersection(&b).copied().collect()),
                (one, other) => one.or(other),
            }
        }
        Expr::InList(list) if !list.negated && is_trace_id(&list.expr) => {
            let mut all = BTreeSet::new();
            for value in &list.list {
                all.extend(set(text(value)?));
            }
            Some(all)
        }
        _ => None,
    }
}

/// The literal hex before the first wildcard of a LIKE.
fn prefix_of(filter: &Expr) -> Option<String> {
    let Expr::Like(like) = filter else { return None };
    if like.negated || like.case_insensitive || !is_trace_id(&like.expr) {
        return None;
    }
    let prefix = text(&like.pattern)?.split(['%', '_', '\\']).next()?;
    (!prefix.is_empty()).then(|| prefix.to_owned())
}

/// Comparisons of `start_time` with a literal, the column on the left.
fn times_of(filter: &Expr) -> Vec<(Operator, i64)> {
    let is_start = |expr: &Expr| matches!(expr, Expr::Column(c) if c.name == "start_time");
    let ns = |expr: &Expr| match expr {
        Expr::Literal(ScalarValue::TimestampNanosecond(ns, _), _) => *ns,
        _ => None,
    };
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_start(left) => {
            ns(right).map(|ns| (*op, ns)).into_iter().collect()
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_start(right) => {
            ns(left).zip(op.swap()).map(|(ns, op)| (op, ns)).into_iter().collect()
        }
        Expr::Between(Between { expr, negated: false, low, high }) if is_start(expr) => {
            let from = ns(low).map(|ns| (Operator::GtEq, ns));
            let to = ns(high).map(|ns| (Operator::LtEq, ns));
            from.into_iter().chain(to).collect()
        }
        _ => Vec::new(),
    }
}
