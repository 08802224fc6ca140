//! The few places where the text must be read differently before DataFusion plans it.
//!
//! - `FROM spans |> ..` selects nothing as it is parsed; it means everything.
//! - A subscript of an attribute that stands alone as a condition, or behind NOT or minus, gets the
//!   comparison or the product that says the same: DataFusion asks its planners about operators
//!   with two sides only, and the type of a key with several types is decided there.
//! - `attr_any('a', 'b')` is a subscript with several keys, `attributes[['a', 'b']]`: planners are
//!   asked about subscripts, not about functions.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, Array, BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, Ident, PipeOperator, Query, SelectFlavor, SelectItem, SetExpr, Subscript,
    UnaryOperator, Value, VisitMut, VisitorMut,
};

/// The statement as it is meant. Gives the names of the tables that it defines behind WITH.
pub(crate) fn rewrite(statement: &mut Statement) -> Vec<String> {
    match statement {
        Statement::Statement(inner) => {
            let mut meaning = Meaning { own_tables: Vec::new() };
            let _ = inner.visit(&mut meaning);
            meaning.own_tables
        }
        Statement::Explain(explain) => rewrite(&mut explain.statement),
        _ => Vec::new(),
    }
}

struct Meaning {
    own_tables: Vec<String>,
}

impl VisitorMut for Meaning {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let with = query.with.iter().flat_map(|with| &with.cte_tables);
        self.own_tables.extend(with.map(|table| table.alias.name.value.clone()));
        rewrite_body(&mut query.body);
        for pipe in &mut query.pipe_operators {
            if let PipeOperator::Where { expr } = pipe {
                rewrite_condition(expr);
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(subscript) = attr_any(expr) {
            *expr = subscript;
            return ControlFlow::Continue(());
        }
        let Expr::UnaryOp { op, expr: inner } = expr else { return ControlFlow::Continue(()) };
        if is_subscript(inner) {
            let (operator, value) = match op {
                UnaryOperator::Not => (BinaryOperator::Eq, Value::Boolean(false)),
                UnaryOperator::Minus => {
                    (BinaryOperator::Multiply, Value::Number("-1".to_owned(), false))
                }
                _ => return ControlFlow::Continue(()),
            };
            *expr = Expr::Nested(Box::new(binary(inner, operator, value)));
        }
        ControlFlow::Continue(())
    }
}

fn rewrite_body(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => {
            if matches!(select.flavor, SelectFlavor::FromFirstNoSelect) {
                select.flavor = SelectFlavor::Standard;
                select.projection = vec![SelectItem::Wildcard(Default::default())];
            }
            for condition in select.selection.iter_mut().chain(&mut select.having) {
                rewrite_condition(condition);
            }
        }
        SetExpr::SetOperation { left, right, .. } => {
            rewrite_body(left);
            rewrite_body(right);
        }
        _ => {}
    }
}

/// `WHERE attributes['k']` as `WHERE attributes['k'] = true`.
fn rewrite_condition(condition: &mut Expr) {
    if is_subscript(condition) {
        *condition = binary(condition, BinaryOperator::Eq, Value::Boolean(true));
    }
}

fn binary(left: &Expr, op: BinaryOperator, right: Value) -> Expr {
    let right = Expr::Value(right.into());
    Expr::BinaryOp { left: Box::new(left.clone()), op, right: Box::new(right) }
}

fn is_subscript(expr: &Expr) -> bool {
    match expr {
        Expr::CompoundFieldAccess { .. } => true,
        Expr::Nested(inner) => is_subscript(inner),
        other => attr_any(other).is_some(),
    }
}

/// `attr_any('a', 'b')` as `attributes[['a', 'b']]`, and `attr_any(column, 'a', 'b')` likewise.
/// `None` for anything else: a call without keys, or with a clause, which a subscript has not.
fn attr_any(expr: &Expr) -> Option<Expr> {
    let Expr::Function(Function {
        name,
        uses_odbc_syntax: _,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(list),
        filter: None,
        null_treatment: None,
        over: None,
        within_group,
    }) = expr
    else {
        return None;
    };
    if !within_group.is_empty() || list.duplicate_treatment.is_some() || !list.clauses.is_empty() {
        return None;
    }
    let [name] = name.0.as_slice() else { return None };
    let name = name.as_ident().filter(|name| name.value.eq_ignore_ascii_case("attr_any"))?;
    let mut args = list
        .args
        .iter()
        .map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
            _ => None,
        })
        .collect::<Option<Vec<Expr>>>()?;
    let root = match args.first()? {
        Expr::Value(_) => {
            // Where it is not found, the error stands at the call.
            let mut column = Ident::new("attributes");
            column.span = name.span;
            Expr::Identifier(column)
        }
        _ => args.remove(0),
    };
    let keys = Expr::Array(Array { elem: args, named: false });
    let access_chain = vec![AccessExpr::Subscript(Subscript::Index { index: keys })];
    Some(Expr::CompoundFieldAccess { root: Box::new(root), access_chain })
}
