//! What the SQL text means where DataFusion asks: subscripts of attribute columns, and attributes
//! of several types beside numbers.
//!
//! The rest is done on the finished plan by `analyzer`; here stands what would not become a plan.

use amida::Catalog;
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue, Span};
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::planner::{
    ExprPlanner, PlannerResult, RawAggregateExpr, RawBinaryExpr, RawFieldAccessExpr, RawWindowExpr,
};
use datafusion::logical_expr::{
    Expr, ExprSchemable, GetFieldAccess, Operator, SortExpr, WindowFunctionDefinition,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use crate::analyzer::{CatalogSource, durations, types};
use crate::error::{about, at, plan_error, quoted};
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

    /// The keys of a subscript: one, or a list of them. `None` where they are no literals.
    fn keys(&self, access: &GetFieldAccess) -> Option<Vec<ScalarValue>> {
        let literal = |expr: &Expr| match self.resolve(expr.clone()) {
            Expr::Literal(value, _) => Some(value),
            _ => None,
        };
        match access {
            GetFieldAccess::NamedStructField { name } => Some(vec![name.clone()]),
            GetFieldAccess::ListIndex { key } => match key.as_ref() {
                Expr::ScalarFunction(list) if list.func.name() == "make_array" => {
                    list.args.iter().map(literal).collect()
                }
                key => literal(key).map(|key| vec![key]),
            },
            GetFieldAccess::ListRange { .. } => None,
        }
    }
}

/// Most keys of one `attr_any`.
const KEYS_MAX: usize = 32;

/// Where the text names the column of an expression.
fn span(expr: &Expr) -> Option<Span> {
    expr.spans().and_then(|spans| spans.first())
}

/// `attr_any` without a column reads `attributes`, which must be there, and once.
fn wrong_attr_any(
    object: &Expr,
    keys: Option<&[ScalarValue]>,
    schema: &DFSchema,
) -> Option<DataFusionError> {
    let Expr::Column(column) = object else { return None };
    let keys = keys.filter(|keys| keys.len() > 1)?;
    if column.relation.is_some() || column.name != "attributes" {
        return None;
    }
    let keys: Vec<String> = keys.iter().map(|key| quoted(&key.to_string())).collect();
    let keys = keys.join(", ");
    let there = schema.qualified_fields_with_unqualified_name("attributes");
    let words = match there.as_slice() {
        [_] => return None,
        [] => format!(
            "attr_any reads attributes, and there is no such column here; name the column to \
             read, as in attr_any(resource_attributes, {keys})"
        ),
        [(first, _), ..] => {
            let table = first.map_or_else(|| "spans".to_owned(), |table| table.table().to_owned());
            format!(
                "attr_any reads attributes, and more than one table here has them; name the \
                 column to read, as in attr_any({table}.attributes, {keys})"
            )
        }
    };
    Some(at(plan_error(words), span(object)))
}

impl ExprPlanner for AttributePlanner {
    fn plan_field_access(
        &self,
        access: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let keys = self.keys(&access.field_access);
        if let Some(count) = keys.as_ref().map(Vec::len).filter(|count| *count > KEYS_MAX) {
            let words = format!("attr_any takes at most {KEYS_MAX} keys, these are {count}");
            return Err(about(plan_error(words), "attr_any"));
        }
        if let Some(wrong) = wrong_attr_any(&access.expr, keys.as_deref(), schema) {
            return Err(wrong);
        }
        let field = access.expr.to_field(schema).map_err(|error| at(error, span(&access.expr)))?.1;
        let Some(Role::Attributes(scope)) = Role::of(&field) else {
            return Ok(PlannerResult::Original(access));
        };
        let keys: Option<Vec<&str>> = keys
            .as_ref()
            .filter(|keys| !keys.is_empty())
            .and_then(|keys| keys.iter().map(|key| key.try_as_str().flatten()).collect());
        let Some(keys) = keys else {
            let name = field.name();
            let (key, span) = match &access.field_access {
                // What stands in double quotes, or in none, is a column.
                GetFieldAccess::ListIndex { key } => match key.as_ref() {
                    Expr::Column(column) if schema.has_column(column) => {
                        (column.name.clone(), column.spans.first())
                    }
                    Expr::Column(column) => (column.flat_name(), column.spans.first()),
                    _ => ("http.route".to_owned(), None),
                },
                _ => ("http.route".to_owned(), None),
            };
            let key = quoted(&key);
            let words =
                format!("an attribute is read by its key in single quotes, as in {name}[{key}]");
            return Err(at(plan_error(words), span));
        };
        let (sql_type, _) = types::seen_as(self.catalog.get()?.as_ref(), scope, &keys);
        let read = Read::of(sql_type);
        Ok(PlannerResult::Planned(Attr::subscript(access.expr, scope, &keys, read)))
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
