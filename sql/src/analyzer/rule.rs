//! The walk over a plan: each expression with the schema it stands on, leaves first.

use amida::Catalog;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{
    AggregateFunction, Between, Case, Cast, InList, InSubquery, ScalarFunction, TryCast,
};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};
use datafusion::optimizer::AnalyzerRule;

use super::columns::{check_columns, refuse_mix};
use super::types::{self, Class};
use super::words::Meaning;
use super::{CatalogSource, durations, times, windows, words};
use crate::planner::{extreme_args, is_numeric_aggregate};
use crate::role::Unit;

/// The rule, bound to a catalog.
#[derive(Debug)]
pub(crate) struct SpanRule {
    catalog: CatalogSource,
}

impl SpanRule {
    pub(crate) fn new(catalog: CatalogSource) -> Self {
        Self { catalog }
    }
}

impl AnalyzerRule for SpanRule {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let catalog = self.catalog.get()?;
        plan.transform_up_with_subqueries(|node| analyze_node(&catalog, node)).map(|t| t.data)
    }

    fn name(&self) -> &str {
        "spans"
    }
}

fn analyze_node(catalog: &Catalog, plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let mut schema = merge_schema(&plan.inputs());
    if let LogicalPlan::TableScan(scan) = &plan {
        let table =
            DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?;
        schema.merge(&table);
    }
    check_columns(&plan)?;
    let names = NamePreserver::new(&plan);
    let changed = plan.map_expressions(|expr| {
        let name = names.save(&expr);
        let typed = expr.transform_up(|expr| analyze_expr(catalog, expr, &schema))?;
        // Once its type is settled: key by key, promoted columns can stand in for the JSON text.
        let apart = typed
            .transform_data(|expr| expr.transform_up(|expr| Ok(types::apart(catalog, expr))))?;
        Ok(apart.update_data(|expr| name.restore(expr)))
    })?;
    // Types below may have changed too, even when nothing did here.
    changed.map_data(LogicalPlan::recompute_schema)
}

fn analyze_expr(catalog: &Catalog, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::BinaryExpr(binary) => analyze_binary(catalog, binary, schema),
        Expr::InList(list) => analyze_in_list(catalog, list, schema),
        Expr::Between(between) => analyze_between(catalog, between, schema),
        Expr::Case(case) => analyze_case(catalog, case, schema),
        Expr::InSubquery(query) => analyze_in_subquery(catalog, query, schema),
        Expr::AggregateFunction(function) => analyze_aggregate(catalog, function, schema),
        Expr::WindowFunction(mut function) => {
            let name = function.fun.name();
            for arg in extreme_args(name, &function.params.args) {
                types::refuse_extreme(catalog, name, arg, schema)?;
            }
            let changed = windows::order_by_nanoseconds(&mut function.params, schema)?;
            Ok(mark(changed, Expr::WindowFunction(function)))
        }
        Expr::Like(mut like) => {
            let changed = match Meaning::of(&like.expr, schema) {
                Some(meaning) => words::normalise_like(&meaning, &mut like)?,
                None => false,
            };
            Ok(mark(changed, Expr::Like(like)))
        }
        Expr::Cast(Cast { mut expr, field }) => {
            if times::complete(&mut expr, field.data_type()) {
                return Ok(Transformed::yes(Expr::Cast(Cast { expr, field })));
            }
            Ok(match types::as_cast(catalog, &expr, field.data_type()) {
                Some(typed) => Transformed::yes(typed),
                None => Transformed::no(Expr::Cast(Cast { expr, field })),
            })
        }
        Expr::TryCast(TryCast { expr, field }) => {
            Ok(match types::as_cast(catalog, &expr, field.data_type()) {
                Some(typed) if Class::of_type(field.data_type()).is_typed() => {
                    Transformed::yes(typed)
                }
                _ => Transformed::no(Expr::TryCast(TryCast { expr, field })),
            })
        }
        Expr::Negative(inner) => Ok(match types::as_number(catalog, &inner) {
            Some(typed) => Transformed::yes(Expr::Negative(Box::new(typed))),
            None => Transformed::no(Expr::Negative(inner)),
        }),
        Expr::Not(inner) => Ok(boolean(catalog, inner, Expr::Not)),
        Expr::IsTrue(inner) => Ok(boolean(catalog, inner, Expr::IsTrue)),
        Expr::IsFalse(inner) => Ok(boolean(catalog, inner, Expr::IsFalse)),
        Expr::IsNotTrue(inner) => Ok(boolean(catalog, inner, Expr::IsNotTrue)),
        Expr::IsNotFalse(inner) => Ok(boolean(catalog, inner, Expr::IsNotFalse)),
        Expr::ScalarFunction(mut function) if times::reads_times(&function) => {
            let mut changed = false;
            for arg in &mut function.args {
                changed |= times::complete(arg, &times::TIME);
            }
            Ok(mark(changed, Expr::ScalarFunction(function)))
        }
        Expr::ScalarFunction(function) if UNIFIES.contains(&function.func.name()) => {
            analyze_unifying(catalog, function, schema)
        }
        other => Ok(Transformed::no(other)),
    }
}

/// Functions that make their arguments one type.
const UNIFIES: [&str; 6] = ["coalesce", "nvl", "nvl2", "nullif", "greatest", "least"];

fn analyze_unifying(
    catalog: &Catalog,
    mut function: ScalarFunction,
    schema: &DFSchema,
) -> Result<Transformed<Expr>> {
    let place = function.args.iter().map(|arg| Class::of(arg, schema)).find(Class::is_typed);
    let mut changed = match (function.func.name(), function.args.as_mut_slice()) {
        ("nullif", [value, other]) => {
            durations::one_unit([&*value, &*other], schema)?;
            normalise(value, other, schema)? | normalise(other, value, schema)?
        }
        ("nvl2", [_, values @ ..]) | (_, values) => {
            normalise_among(&mut values.iter_mut().collect::<Vec<_>>(), schema)?
        }
    };
    if let Some(place) = place {
        for arg in &mut function.args {
            if let Some(typed) = types::unify(catalog, arg, &place, schema)? {
                *arg = typed;
                changed = true;
            }
        }
    }
    Ok(mark(changed, Expr::ScalarFunction(function)))
}

fn mark(changed: bool, expr: Expr) -> Transformed<Expr> {
    if changed { Transformed::yes(expr) } else { Transformed::no(expr) }
}

fn boolean(
    catalog: &Catalog,
    inner: Box<Expr>,
    wrap: impl Fn(Box<Expr>) -> Expr,
) -> Transformed<Expr> {
    match types::as_bool(catalog, &inner) {
        Some(typed) => Transformed::yes(wrap(Box::new(typed))),
        None => Transformed::no(wrap(inner)),
    }
}

/// Normalises `other` beside `column`, when that is an id, a word, a duration or a time.
fn normalise(column: &Expr, other: &mut Expr, schema: &DFSchema) -> Result<bool> {
    match Meaning::of(column, schema) {
        Some(meaning) => words::normalise(&meaning, other),
        None => Ok(durations::normalise(column, other, schema)?
            || times::normalise(column, other, schema)?),
    }
}

/// Normalises the literals among values of which one is given: as what the others mean. An id or a
/// word may have other text in its place, a duration not.
fn normalise_among(values: &mut [&mut Expr], schema: &DFSchema) -> Result<bool> {
    durations::one_unit(values.iter().map(|value| &**value), schema)?;
    let mut changed = false;
    if let Some(meaning) = Meaning::of_one(values.iter().map(|value| &**value), schema) {
        for value in values.iter_mut() {
            changed |= words::normalise(&meaning, value)?;
        }
    }
    let measured = values.iter().find(|value| durations::is_measured(value, schema));
    if let Some(measured) = measured.map(|value| Expr::clone(value)) {
        for value in values.iter_mut() {
            changed |= durations::normalise(&measured, value, schema)?;
        }
    }
    Ok(changed)
}

/// Whether an operator compares its sides.
fn compares(op: Operator) -> bool {
    use Operator as Op;
    matches!(
        op,
        Op::Eq
            | Op::NotEq
            | Op::Lt
            | Op::LtEq
            | Op::Gt
            | Op::GtEq
            | Op::IsDistinctFrom
            | Op::IsNotDistinctFrom
    )
}

fn analyze_binary(
    catalog: &Catalog,
    mut binary: BinaryExpr,
    schema: &DFSchema,
) -> Result<Transformed<Expr>> {
    let mut changed = false;
    if compares(binary.op) || matches!(binary.op, Operator::Plus | Operator::Minus) {
        durations::one_unit([binary.left.as_ref(), binary.right.as_ref()], schema)?;
    }
    if compares(binary.op) {
        changed |= normalise(&binary.left, &mut binary.right, schema)?;
        changed |= normalise(&binary.right, &mut binary.left, schema)?;
    }
    let is_typed_place = compares(binary.op) || binary.op.is_numerical_operators();
    if is_typed_place
        && let Some((left, right)) =
            types::adapt_pair(catalog, &binary.left, &binary.right, schema)?
    {
        binary = BinaryExpr::new(Box::new(left), binary.op, Box::new(right));
        changed = true;
    }
    if matches!(binary.op, Operator::And | Operator::Or) {
        for side in [&mut binary.left, &mut binary.right] {
            if let Some(typed) = types::as_bool(catalog, side) {
                **side = typed;
                changed = true;
            }
        }
    }
    Ok(mark(changed, Expr::BinaryExpr(binary)))
}

/// Adapts `expr` to the first place among `others` that is a number or boolean, and `others` to
/// it. Returns whether something changed.
fn adapt_all(
    catalog: &Catalog,
    expr: &mut Expr,
    others: &mut [&mut Expr],
    schema: &DFSchema,
) -> Result<bool> {
    let mut changed = false;
    for other in others.iter_mut() {
        durations::one_unit([&*expr, &**other], schema)?;
        changed |= normalise(expr, other, schema)?;
        if let Some((left, right)) = types::adapt_pair(catalog, expr, other, schema)? {
            *expr = left;
            **other = right;
            changed = true;
        }
    }
    Ok(changed)
}

fn analyze_in_list(
    catalog: &Catalog,
    mut list: InList,
    schema: &DFSchema,
) -> Result<Transformed<Expr>> {
    let mut others: Vec<&mut Expr> = list.list.iter_mut().collect();
    // With 1 and 2.5 in the list, the key is read as what holds both.
    others.sort_by_key(|other| Class::of(other, schema) != Class::Float);
    let changed = adapt_all(catalog, &mut list.expr, &mut others, schema)?;
    Ok(mark(changed, Expr::InList(list)))
}

fn analyze_between(
    catalog: &Catalog,
    mut between: Between,
    schema: &DFSchema,
) -> Result<Transformed<Expr>> {
    let mut others = [between.low.as_mut(), between.high.as_mut()];
    others.sort_by_key(|other| Class::of(other, schema) != Class::Float);
    let changed = adapt_all(catalog, &mut between.expr, &mut others, schema)?;
    Ok(mark(changed, Expr::Between(between)))
}

fn analyze_case(catalog: &Catalog, mut case: Case, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let mut changed = false;
    if let Some(base) = &mut case.expr {
        let mut whens: Vec<&mut Expr> =
            case.when_then_expr.iter_mut().map(|(when, _)| when.as_mut()).collect();
        changed |= adapt_all(catalog, base, &mut whens, schema)?;
    } else {
        for (when, _) in &mut case.when_then_expr {
            if let Some(typed) = types::as_bool(catalog, when) {
                **when = typed;
                changed = true;
            }
        }
    }
    let thens = case.when_then_expr.iter_mut().map(|(_, then)| then.as_mut());
    let mut branches: Vec<&mut Expr> = thens.chain(case.else_expr.as_deref_mut()).collect();
    changed |= normalise_among(&mut branches, schema)?;
    // DataFusion would make such a CASE text later, unseen by what compares it: make it text here.
    let branches = || case.when_then_expr.iter().map(|(_, then)| then).chain(&case.else_expr);
    let classes: Vec<Class> = branches().map(|branch| Class::of(branch, schema)).collect();
    let has_text = classes.iter().any(|c| matches!(c, Class::Text | Class::TextLiteral));
    if has_text && classes.iter().any(Class::is_typed) {
        let thens = case.when_then_expr.iter_mut().map(|(_, then)| then);
        for (branch, class) in thens.chain(&mut case.else_expr).zip(&classes) {
            if class.is_typed() {
                let text = Cast::new(branch.clone(), DataType::Utf8View);
                **branch = Expr::Cast(text);
            }
        }
        changed = true;
    }
    Ok(mark(changed, Expr::Case(case)))
}

fn analyze_in_subquery(
    catalog: &Catalog,
    mut query: InSubquery,
    schema: &DFSchema,
) -> Result<Transformed<Expr>> {
    let Some(column) = query.subquery.subquery.schema().fields().first().cloned() else {
        return Ok(Transformed::no(Expr::InSubquery(query)));
    };
    durations::refuse_units(durations::unit_of(&query.expr, schema), Unit::of(&column), || {
        (query.expr.to_string(), column.name().clone())
    })?;
    let place = Class::of_type(column.data_type());
    if let Some(typed) = types::adapt(catalog, &query.expr, &place, schema)? {
        *query.expr = typed;
        return Ok(Transformed::yes(Expr::InSubquery(query)));
    }
    refuse_mix(&Class::of(&query.expr, schema), &place, || {
        format!("{} is looked up in a subquery's {}", query.expr, column.name())
    })?;
    Ok(Transformed::no(Expr::InSubquery(query)))
}

fn analyze_aggregate(
    catalog: &Catalog,
    mut function: AggregateFunction,
    schema: &DFSchema,
) -> Result<Transformed<Expr>> {
    let name = function.func.name();
    let mut changed = false;
    for arg in extreme_args(name, &function.params.args) {
        types::refuse_extreme(catalog, name, arg, schema)?;
    }
    if is_numeric_aggregate(name) {
        for arg in &mut function.params.args {
            if let Some(typed) = types::as_number(catalog, arg) {
                *arg = typed;
                changed = true;
            }
        }
    }
    Ok(mark(changed, Expr::AggregateFunction(function)))
}
