//! What the SQL text means where DataFusion asks: subscripts of attribute columns, and attributes
//! of several types beside numbers.
//!
//! The rest is done on the finished plan by `analyzer`; here stands what would not become a plan.

use amida::Catalog;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::planner::{
    ExprPlanner, PlannerResult, RawAggregateExpr, RawBinaryExpr, RawFieldAccessExpr, RawWindowExpr,
};
use datafusion::logical_expr::{
    Expr, ExprSchemable, GetFieldAccess, Operator, SortExpr, WindowFunctionDefinition,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use crate::analyzer::{CatalogSource, durations, types};
use crate::error::plan_error;
use crate::functions::attr::{Attr, Read};
use crate::functions::percentile;
use crate::role::Role;

/// The planner of one query, or of a context that the user brought.
#[derive(Debug)]
pub(crate) struct AttributePlanner {
    catalog: CatalogSource,
    /// Values of `$1`, `$2`, ...
    params: Vec<ScalarValue>,
}

impl AttributePlanner {
    pub(crate) fn new(catalog: CatalogSource, params: Vec<ScalarValue>) -> Self {
        Self { catalog, params }
    }

    /// The value of a parameter, so that it counts like a literal.
    fn resolve(&self, expr: Expr) -> Expr {
        match &expr {
            Expr::Placeholder(Placeholder { id, .. }) => {
                let number = id.strip_prefix('$').and_then(|n| n.parse::<usize>().ok());
                match number.and_then(|n| self.params.get(n.checked_sub(1)?)) {
                    Some(value) => Expr::Literal(value.clone(), None),
                    None => expr,
                }
            }
            _ => expr,
        }
    }
}

impl ExprPlanner for AttributePlanner {
    fn plan_field_access(
        &self,
        access: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let field = access.expr.to_field(schema)?.1;
        let Some(Role::Attributes(scope)) = Role::of(&field) else {
            return Ok(PlannerResult::Original(access));
        };
        let key = match &access.field_access {
            GetFieldAccess::NamedStructField { name } => Some(name.clone()),
            GetFieldAccess::ListIndex { key } => match self.resolve(key.as_ref().clone()) {
                Expr::Literal(value, _) => Some(value),
                _ => None,
            },
            GetFieldAccess::ListRange { .. } => None,
        };
        let Some(key) = key.as_ref().and_then(|key| key.try_as_str().flatten()) else {
            let name = field.name();
            return Err(plan_error(format!(
                "an attribute is read by its key in quotes, as in {name}['http.route']"
            )));
        };
        let read = Read::of(self.catalog.get()?.sql_type(scope, key));
        Ok(PlannerResult::Planned(Attr::subscript(access.expr, scope, key, read)))
    }

    fn plan_binary_op(
        &self,
        binary: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, left, right } = binary;
        let (mut left, mut right) = (self.resolve(left), self.resolve(right));
        let place = Place::of(&op);
        if let Some(planned) = plan_durations(place, &op, &mut left, &mut right, schema)? {
            return Ok(PlannerResult::Planned(planned));
        }
        if place != Place::Any {
            let catalog = self.catalog.get()?;
            match place {
                Place::Comparison | Place::Arithmetic => {
                    if let Some(pair) = types::adapt_pair(&catalog, &left, &right, schema)? {
                        (left, right) = pair;
                    } else if place == Place::Arithmetic {
                        left = types::as_number(&catalog, &left).unwrap_or(left);
                        right = types::as_number(&catalog, &right).unwrap_or(right);
                    }
                }
                Place::Logic => {
                    left = types::as_bool(&catalog, &left).unwrap_or(left);
                    right = types::as_bool(&catalog, &right).unwrap_or(right);
                }
                Place::Any => {}
            }
        }
        Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }))
    }

    fn plan_aggregate(&self, mut raw: RawAggregateExpr) -> Result<PlannerResult<RawAggregateExpr>> {
        let catalog = self.catalog.get()?;
        raw.args = raw.args.into_iter().map(|arg| self.resolve(arg)).collect();
        percentile::check(raw.func.name(), &raw.args, raw.distinct)?;
        adapt_aggregate(&catalog, raw.func.name(), &mut raw.args, &mut raw.order_by);
        Ok(PlannerResult::Original(raw))
    }

    fn plan_window(&self, mut raw: RawWindowExpr) -> Result<PlannerResult<RawWindowExpr>> {
        if let WindowFunctionDefinition::AggregateUDF(function) = &raw.func_def {
            let catalog = self.catalog.get()?;
            raw.args = raw.args.into_iter().map(|arg| self.resolve(arg)).collect();
            percentile::check(function.name(), &raw.args, raw.distinct)?;
            adapt_aggregate(&catalog, function.name(), &mut raw.args, &mut []);
        }
        Ok(PlannerResult::Original(raw))
    }
}

/// What an operator wants on its sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Comparison,
    Arithmetic,
    Logic,
    Any,
}

impl Place {
    fn of(op: &BinaryOperator) -> Self {
        use BinaryOperator as Op;
        match op {
            Op::Eq | Op::NotEq | Op::Lt | Op::LtEq | Op::Gt | Op::GtEq | Op::Spaceship => {
                Place::Comparison
            }
            Op::Plus | Op::Minus | Op::Multiply | Op::Divide | Op::Modulo => Place::Arithmetic,
            Op::BitwiseAnd | Op::BitwiseOr | Op::BitwiseXor => Place::Arithmetic,
            Op::And | Op::Or => Place::Logic,
            _ => Place::Any,
        }
    }
}

fn adapt_aggregate(catalog: &Catalog, name: &str, args: &mut [Expr], order_by: &mut [SortExpr]) {
    let adapt = if is_numeric_aggregate(name) {
        types::as_number
    } else if matches!(name, "bool_and" | "bool_or" | "ratio") {
        types::as_bool
    } else {
        return;
    };
    // The percentile functions name their column in WITHIN GROUP (ORDER BY ..).
    for arg in args.iter_mut().chain(order_by.iter_mut().map(|sort| &mut sort.expr)) {
        if let Some(typed) = adapt(catalog, arg) {
            *arg = typed;
        }
    }
}

/// Aggregate functions that calculate with numbers.
pub(crate) fn is_numeric_aggregate(name: &str) -> bool {
    const PREFIXES: [&str; 7] = ["var", "stddev", "covar", "corr", "regr_", "bit_", "approx_per"];
    matches!(name, "sum" | "avg" | "mean" | "median" | "approx_median" | "percentile_cont")
        || percentile::is_percentile(name)
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The arguments by whose order an aggregate function picks.
pub(crate) fn extreme_args<'a>(name: &str, args: &'a [Expr]) -> &'a [Expr] {
    match name {
        "min" | "max" => args,
        "min_by" | "max_by" => args.get(1..).unwrap_or_default(),
        _ => &[],
    }
}

/// Durations where DataFusion asks for types before the analyzer sees the plan.
fn plan_durations(
    place: Place,
    op: &BinaryOperator,
    left: &mut Expr,
    right: &mut Expr,
    schema: &DFSchema,
) -> Result<Option<Expr>> {
    if place == Place::Comparison {
        if durations::is_duration(left, schema) {
            durations::normalise(left, right, schema)?;
        } else if durations::is_duration(right, schema) {
            durations::normalise(right, left, schema)?;
        }
        return Ok(None);
    }
    let operator = match op {
        BinaryOperator::Plus => Operator::Plus,
        BinaryOperator::Minus => Operator::Minus,
        BinaryOperator::Multiply => Operator::Multiply,
        BinaryOperator::Divide => Operator::Divide,
        _ => return Ok(None),
    };
    durations::arithmetic(operator, left, right, schema)
}
