//! Columns that meet by position or as keys: those of joins, unions and subqueries.

use datafusion::common::Result;
use datafusion::logical_expr::LogicalPlan;

use super::durations;
use super::types::Class;
use crate::error::plan_error;
use crate::role::Unit;

/// Joins and unions compare or stack columns by position: text beside numbers is refused.
pub(super) fn check_columns(plan: &LogicalPlan) -> Result<()> {
    match plan {
        LogicalPlan::Join(join) => {
            for (left, right) in &join.on {
                let left_class = Class::of(left, join.left.schema());
                let right_class = Class::of(right, join.right.schema());
                refuse_mix(&left_class, &right_class, || format!("{left} and {right} are joined"))?;
                durations::refuse_units(
                    durations::unit_of(left, join.left.schema()),
                    durations::unit_of(right, join.right.schema()),
                    || (left.to_string(), right.to_string()),
                )?;
            }
        }
        LogicalPlan::Union(union) => {
            let Some(first) = union.inputs.first() else { return Ok(()) };
            for other in union.inputs.iter().skip(1) {
                for (a, b) in first.schema().fields().iter().zip(other.schema().fields()) {
                    let (class_a, class_b) =
                        (Class::of_type(a.data_type()), Class::of_type(b.data_type()));
                    refuse_mix(&class_a, &class_b, || {
                        format!("column {} of a UNION mixes types", a.name())
                    })?;
                    durations::refuse_units(Unit::of(a), Unit::of(b), || {
                        (a.name().clone(), format!("{} of the same column", b.name()))
                    })?;
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// Refuses text beside a number or a boolean.
pub(super) fn refuse_mix(a: &Class, b: &Class, what: impl Fn() -> String) -> Result<()> {
    let mixed = (*a == Class::Text && b.is_typed()) || (a.is_typed() && *b == Class::Text);
    if mixed {
        return Err(plan_error(format!(
            "{}: one is text, the other a number or boolean; cast one of them, or read an \
             attribute with attr_int, attr_float, attr_bool or attr_text",
            what()
        )));
    }
    Ok(())
}
