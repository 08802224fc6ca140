//! Durations out of nanoseconds, marked as such: the columns `duration`, `duration_ns` and
//! `duration_ms`.
//!
//! A comparison of one of them with a literal becomes the comparison of the nanoseconds beneath, so
//! that statistics exclude what cannot match.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, DurationNanosecondArray, Float64Array};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err};
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use crate::durations::DURATION;
use crate::role::{Role, Unit};

/// What the nanoseconds are given as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum As {
    Duration,
    Nanoseconds,
    Milliseconds,
}

/// The functions `as_duration`, `as_nanoseconds` and `as_milliseconds` of a BIGINT.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Measure {
    given: As,
    signature: Signature,
}

impl Measure {
    /// The function as DataFusion takes it.
    pub(crate) fn udf(given: As) -> Arc<ScalarUDF> {
        let signature = Signature::exact(vec![DataType::Int64], Volatility::Immutable);
        Arc::new(ScalarUDF::from(Self { given, signature }))
    }

    /// All three.
    pub(crate) fn all() -> [Arc<ScalarUDF>; 3] {
        [As::Duration, As::Nanoseconds, As::Milliseconds].map(Self::udf)
    }

    /// The fewest nanoseconds that are given as this or more, and as more.
    fn bounds(&self, literal: &ScalarValue) -> Option<(i64, i64)> {
        match literal {
            ScalarValue::DurationNanosecond(Some(ns)) | ScalarValue::Int64(Some(ns)) => {
                Some((*ns, ns.checked_add(1)?))
            }
            ScalarValue::Float64(Some(ms)) => {
                let from = first(|ns| milliseconds(ns) >= *ms)?;
                let above = first(|ns| milliseconds(ns) > *ms)?;
                Some((from, above))
            }
            _ => None,
        }
    }
}

fn milliseconds(ns: i64) -> f64 {
    ns as f64 / 1e6
}

/// The smallest number for which a condition holds that holds for all above, too.
fn first(holds: impl Fn(i64) -> bool) -> Option<i64> {
    let (mut low, mut high) = (i64::MIN, i64::MAX);
    if holds(low) || !holds(high) {
        return None;
    }
    while i128::from(high) - i128::from(low) > 1 {
        let middle = low.midpoint(high);
        if holds(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(high)
}

impl ScalarUDFImpl for Measure {
    fn name(&self) -> &str {
        match self.given {
            As::Duration => "as_duration",
            As::Nanoseconds => "as_nanoseconds",
            As::Milliseconds => "as_milliseconds",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(match self.given {
            As::Duration => DURATION,
            As::Nanoseconds => DataType::Int64,
            As::Milliseconds => DataType::Float64,
        })
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        let field = Field::new(self.name(), self.return_type(&[])?, nullable);
        Ok(Arc::new(match self.given {
            As::Duration => field,
            As::Nanoseconds => Role::Duration(Unit::Nanoseconds).mark(field),
            As::Milliseconds => Role::Duration(Unit::Milliseconds).mark(field),
        }))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(value) = args.args.into_iter().next() else {
            return exec_err!("{} takes one number", self.name());
        };
        let is_scalar = matches!(value, ColumnarValue::Scalar(_));
        let values = value.into_array(args.number_rows)?;
        let Some(ns) = values.as_primitive_opt::<Int64Type>() else {
            return exec_err!("{} takes a BIGINT", self.name());
        };
        let given: ArrayRef = match self.given {
            As::Duration => {
                Arc::new(DurationNanosecondArray::new(ns.values().clone(), ns.nulls().cloned()))
            }
            As::Nanoseconds => Arc::clone(&values),
            As::Milliseconds => {
                let given: Float64Array = ns.unary(milliseconds);
                Arc::new(given)
            }
        };
        if is_scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&given, 0)?));
        }
        Ok(ColumnarValue::Array(given))
    }

    fn preimage(
        &self,
        args: &[Expr],
        lit_expr: &Expr,
        _info: &SimplifyContext,
    ) -> Result<PreimageResult> {
        let ([ns], Expr::Literal(literal, _)) = (args, lit_expr) else {
            return Ok(PreimageResult::None);
        };
        let Some((from, above)) = self.bounds(literal) else { return Ok(PreimageResult::None) };
        let bound = |ns: i64| ScalarValue::Int64(Some(ns));
        let interval = Interval::try_new(bound(from), bound(above))
            .map_err(|error| exec_datafusion_err!("no range of nanoseconds: {error}"))?;
        Ok(PreimageResult::Range { expr: ns.clone(), interval: Box::new(interval) })
    }
}
