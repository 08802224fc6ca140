//! The few places where the text must be read differently before DataFusion plans it.
//!
//! - `FROM spans |> ..` selects nothing as it is parsed; it means everything.
//! - A subscript of an attribute that stands alone as a condition, or behind NOT or minus, gets the
//!   comparison or the product that says the same: DataFusion asks its planners about operators
//!   with two sides only, and the type of a key with several types is decided there.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, PipeOperator, Query, SelectFlavor, SelectItem, SetExpr, UnaryOperator,
    Value, VisitMut, VisitorMut,
};

/// The statement as it is meant.
pub(crate) fn rewrite(statement: &mut Statement) {
    match statement {
        Statement::Statement(inner) => {
            let _ = inner.visit(&mut Meaning);
        }
        Statement::Explain(explain) => rewrite(&mut explain.statement),
        _ => {}
    }
}

struct Meaning;

impl VisitorMut for Meaning {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        rewrite_body(&mut query.body);
        for pipe in &mut query.pipe_operators {
            if let PipeOperator::Where { expr } = pipe {
                rewrite_condition(expr);
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
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
        _ => false,
    }
}
