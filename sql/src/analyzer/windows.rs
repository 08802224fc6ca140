//! Windows that are ordered by a duration: DataFusion has no frames of values of that type, so the
//! nanoseconds stand in for it, which sort the same.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::WindowFunctionParams;
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, WindowFrameBound, WindowFrameUnits};

use super::durations::is_duration;
use crate::durations::parse;
use crate::error::plan_error;
use crate::role::{Role, Unit};

/// Puts nanoseconds where a window is ordered by a duration, and into the bounds of its frame.
///
/// # Errors
/// A planning error for a bound that is no duration.
pub(crate) fn order_by_nanoseconds(
    window: &mut WindowFunctionParams,
    schema: &DFSchema,
) -> Result<bool> {
    let mut changed = false;
    for sort in &mut window.order_by {
        if is_duration(&sort.expr, schema) {
            let duration = std::mem::take(&mut sort.expr);
            sort.expr = Expr::Cast(Cast::new(Box::new(duration), DataType::Int64));
            changed = true;
        }
    }
    let [sort] = window.order_by.as_slice() else { return Ok(changed) };
    let frame = &mut window.window_frame;
    let is_measured = changed || is_nanoseconds(&sort.expr, schema);
    // The column of nanoseconds is a number, too.
    let may_be_number = !changed;
    if is_measured && frame.units == WindowFrameUnits::Range {
        for bound in [&mut frame.start_bound, &mut frame.end_bound] {
            changed |= bound_ns(bound, may_be_number)?;
        }
    }
    Ok(changed)
}

/// Whether an expression is a BIGINT of nanoseconds.
fn is_nanoseconds(expr: &Expr, schema: &DFSchema) -> bool {
    expr.to_field(schema).is_ok_and(|(_, field)| {
        *field.data_type() == DataType::Int64
            && matches!(Role::of(&field), Some(Role::Duration(Unit::Nanoseconds)))
    })
}

fn bound_ns(bound: &mut WindowFrameBound, may_be_number: bool) -> Result<bool> {
    let (WindowFrameBound::Preceding(value) | WindowFrameBound::Following(value)) = bound else {
        return Ok(false);
    };
    // The text of a number or of an INTERVAL, null where it is unbounded.
    let Some(Some(text)) = value.try_as_str() else { return Ok(false) };
    if may_be_number && text.parse::<i64>().is_ok() {
        return Ok(false);
    }
    let ns = parse(text).map_err(|why| {
        let shown: String = text.chars().take(80).collect();
        plan_error(format!(
            "{shown} does not bound a RANGE of durations: {why}; write INTERVAL '500ms' PRECEDING"
        ))
    })?;
    *value = ScalarValue::Int64(Some(ns));
    Ok(true)
}
