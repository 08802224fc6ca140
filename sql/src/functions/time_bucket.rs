//! `time_bucket('1 minute', t)`: the start of the span of time that a time falls into, in UTC.
//!
//! It is DataFusion's `date_bin` with widths as people write them, and weeks that begin on Monday.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, IntervalMonthDayNano, TimeUnit};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::functions::datetime::date_bin;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use crate::analyzer::durations::interval_ns;
use crate::durations::parse;

const WEEK_NS: i64 = 604_800_000_000_000;

/// Monday, 1970-01-05.
const MONDAY_NS: i64 = 345_600_000_000_000;

static TIME: LazyLock<DataType> =
    LazyLock::new(|| DataType::Timestamp(TimeUnit::Nanosecond, Some(amida::schema::UTC.into())));

/// The function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct TimeBucket {
    signature: Signature,
}

impl TimeBucket {
    /// The function as DataFusion takes it.
    pub(crate) fn udf() -> Arc<ScalarUDF> {
        let signature = Signature::user_defined(Volatility::Immutable);
        Arc::new(ScalarUDF::from(Self { signature }))
    }
}

/// The width as an interval, and the origin that goes with it.
fn width(value: &ScalarValue) -> Result<(ScalarValue, i64)> {
    let (months, ns) = match value {
        ScalarValue::IntervalMonthDayNano(Some(i))
            if i.months != 0 && i.days == 0 && i.nanoseconds == 0 =>
        {
            (i.months, 0)
        }
        ScalarValue::IntervalYearMonth(Some(months)) => (*months, 0),
        other => (0, fixed_ns(other)?),
    };
    if months < 0 || ns < 0 || (months == 0 && ns == 0) {
        return plan_err!("time_bucket takes a width above zero, as in '1 minute'");
    }
    let origin = if months == 0 && ns % WEEK_NS == 0 { MONDAY_NS } else { 0 };
    let interval = IntervalMonthDayNano::new(months, 0, ns);
    Ok((ScalarValue::IntervalMonthDayNano(Some(interval)), origin))
}

/// The nanoseconds of a width that is no number of months.
fn fixed_ns(value: &ScalarValue) -> Result<i64> {
    if let Some(text) = value.try_as_str() {
        let Some(text) = text else { return plan_err!("time_bucket takes a width, not NULL") };
        let shown: String = text.chars().take(80).collect();
        return match parse(text) {
            Ok(ns) => Ok(ns),
            Err(why) if why.contains("months") => plan_err!(
                "'{shown}' is not a width of time_bucket: write months and years as INTERVAL '1 \
                 month'"
            ),
            Err(why) => plan_err!("'{shown}' is not a width of time_bucket: {why}"),
        };
    }
    match interval_ns(value) {
        Ok(Some(ns)) => Ok(ns),
        Ok(None) => plan_err!("time_bucket takes a width first, as in time_bucket('1 minute', t)"),
        Err(_) => plan_err!("time_bucket takes months alone, or days and what is shorter"),
    }
}

impl ScalarUDFImpl for TimeBucket {
    fn name(&self) -> &str {
        "time_bucket"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [width, times @ ..] = arg_types else {
            return plan_err!("time_bucket takes a width and a time: time_bucket('1 minute', t)");
        };
        if !matches!(times.len(), 1 | 2) {
            return plan_err!("time_bucket takes a width and a time: time_bucket('1 minute', t)");
        }
        let width = match width {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Interval(_) => {
                width.clone()
            }
            // A parameter that is not bound yet.
            DataType::Null => DataType::Utf8View,
            other => {
                return plan_err!("time_bucket takes a width such as '1 minute', not {other}");
            }
        };
        for time in times {
            if !matches!(
                time,
                DataType::Timestamp(..)
                    | DataType::Date32
                    | DataType::Date64
                    | DataType::Utf8
                    | DataType::LargeUtf8
                    | DataType::Utf8View
                    | DataType::Null
            ) {
                return plan_err!("time_bucket takes a time such as start_time, not {time}");
            }
        }
        Ok([width].into_iter().chain(times.iter().map(|_| TIME.clone())).collect())
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(TIME.clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        if let Some(Some(literal)) = args.scalar_arguments.first() {
            width(literal)?;
        }
        Ok(Arc::new(Field::new(self.name(), TIME.clone(), true)))
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(ColumnarValue::Scalar(written)) = args.args.first() else {
            return plan_err!("time_bucket takes one width for all rows, as in '1 minute'");
        };
        let (interval, origin_ns) = width(written)?;
        let origin =
            ScalarValue::TimestampNanosecond(Some(origin_ns), Some(amida::schema::UTC.into()));
        if let Some(place) = args.args.first_mut() {
            *place = ColumnarValue::Scalar(interval.clone());
        }
        if let Some(place) = args.arg_fields.first_mut() {
            *place = Arc::new(Field::new("width", interval.data_type(), false));
        }
        if args.args.len() == 2 {
            args.arg_fields.push(Arc::new(Field::new("origin", TIME.clone(), false)));
            args.args.push(ColumnarValue::Scalar(origin));
        }
        date_bin().invoke_with_args(args)
    }

    fn output_ordering(&self, input: &[ExprProperties]) -> Result<SortProperties> {
        // As late as its time, unless the origin differs from row to row.
        Ok(match input {
            [_, time] => time.sort_properties,
            _ => SortProperties::Unordered,
        })
    }
}
