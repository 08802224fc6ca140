//! Windows that are ordered by a duration: DataFusion has no frames of values of that type, so the
//! nanoseconds stand in for it, which sort the same.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::WindowFunctionParams;
use datafusion::logical_expr::{Cast, Expr, WindowFrameBound, WindowFrameUnits};

use super::durations::is_duration;
use crate::durations::parse;
use crate::error::plan_error;

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
    let frame = &mut window.window_frame;
    if changed && frame.units == WindowFrameUnits::Range && window.order_by.len() == 1 {
        for bound in [&mut frame.start_bound, &mut frame.end_bound] {
            bound_ns(bound)?;
        }
    }
    Ok(changed)
}

fn bound_ns(bound: &mut WindowFrameBound) -> Result<()> {
    let (WindowFrameBound::Preceding(value) | WindowFrameBound::Following(value)) = bound else {
        return Ok(());
    };
    // The text of a number or of an INTERVAL, null where it is unbounded.
    let Some(Some(text)) = value.try_as_str() else { return Ok(()) };
    let ns = parse(text).map_err(|why| {
        let shown: String = text.chars().take(80).collect();
        plan_error(format!(
            "{shown} does not bound a RANGE of durations: {why}; write INTERVAL '500ms' PRECEDING"
        ))
    })?;
    *value = ScalarValue::Int64(Some(ns));
    Ok(())
}
