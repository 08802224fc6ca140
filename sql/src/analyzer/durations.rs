//! Literals that stand beside a duration, and what may be calculated with durations.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, ExprSchemable, Operator};

use super::types::Class;
use crate::durations::parse;
use crate::error::{about, plan_error, quoted_start};
use crate::functions::measure::{As, Measure};
use crate::role::{Role, Unit};

/// How an expression measures time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Span {
    /// A value of the type itself.
    Duration,
    /// A BIGINT of nanoseconds.
    Nanoseconds,
    /// A DOUBLE in this unit.
    Double(Unit),
}

impl Span {
    fn of(expr: &Expr, schema: &DFSchema) -> Option<Self> {
        let data_type = expr.get_type(schema).ok()?;
        if matches!(data_type, DataType::Duration(_)) {
            return Some(Span::Duration);
        }
        match (unit_of(expr, schema).filter(|_| data_type.is_numeric())?, data_type) {
            (Unit::Nanoseconds, DataType::Int64) => Some(Span::Nanoseconds),
            (unit, _) => Some(Span::Double(unit)),
        }
    }

    fn literal(self, ns: i64) -> ScalarValue {
        match self {
            Span::Duration => ScalarValue::DurationNanosecond(Some(ns)),
            Span::Nanoseconds => ScalarValue::Int64(Some(ns)),
            Span::Double(Unit::Nanoseconds) => ScalarValue::Float64(Some(ns as f64)),
            Span::Double(Unit::Milliseconds) => ScalarValue::Float64(Some(ns as f64 / 1e6)),
        }
    }
}

/// The unit of a number that is a duration; looks through what keeps it. Fields are asked for at
/// the leaves only: each asks for those below it.
fn unit_of(expr: &Expr, schema: &DFSchema) -> Option<Unit> {
    match expr {
        Expr::Alias(alias) => unit_of(&alias.expr, schema),
        Expr::Negative(inner) => unit_of(inner, schema),
        Expr::Cast(cast) => unit_of(&cast.expr, schema),
        Expr::TryCast(cast) => unit_of(&cast.expr, schema),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (left, right) = (unit_of(left, schema), unit_of(right, schema));
            match (op, left, right) {
                (Operator::Plus | Operator::Minus, _, _) => left.or(right),
                (Operator::Multiply, one, None) | (Operator::Multiply, None, one) => one,
                (Operator::Divide | Operator::Modulo, one, None) => one,
                _ => None,
            }
        }
        Expr::Case(case) => case
            .when_then_expr
            .iter()
            .map(|(_, then)| then)
            .chain(&case.else_expr)
            .find_map(|branch| unit_of(branch, schema)),
        Expr::ScalarFunction(function) if KEEPS_UNIT.contains(&function.func.name()) => {
            function.args.iter().find_map(|arg| unit_of(arg, schema))
        }
        other => match Role::of(&other.to_field(schema).ok()?.1) {
            Some(Role::Duration(unit)) => Some(unit),
            _ => None,
        },
    }
}

const KEEPS_UNIT: [&str; 10] =
    ["abs", "ceil", "coalesce", "floor", "greatest", "least", "nullif", "nvl", "round", "trunc"];

/// What a duration is compared with, when it is a text or interval literal: the same as its type.
///
/// # Errors
/// A planning error that names the literal, when it is no duration; one for a bare number beside
/// the type `duration`, which has no unit.
pub(crate) fn normalise(duration: &Expr, other: &mut Expr, schema: &DFSchema) -> Result<bool> {
    let Some(span) = Span::of(duration, schema) else { return Ok(false) };
    if let Some(ns) = literal_ns(other, schema)? {
        let literal = Expr::Literal(span.literal(ns), None);
        return Ok(replace(other, literal));
    }
    let beside = Class::of(other, schema);
    if span == Span::Duration && matches!(beside, Class::Int | Class::Float) {
        let name = duration.schema_name();
        return Err(plan_error(format!(
            "{name} is a duration and stands beside a number, which has no unit: write it with \
             one, as in '500ms', or compare duration_ns"
        )));
    }
    Ok(false)
}

/// Puts a literal where another stood, under its aliases.
fn replace(place: &mut Expr, literal: Expr) -> bool {
    match place {
        Expr::Alias(alias) => replace(&mut alias.expr, literal),
        place if *place == literal => false,
        place => {
            *place = literal;
            true
        }
    }
}

/// Nanoseconds of a text or interval literal; `None` for anything else.
fn literal_ns(expr: &Expr, schema: &DFSchema) -> Result<Option<i64>> {
    match expr {
        Expr::Alias(alias) => literal_ns(&alias.expr, schema),
        Expr::Literal(value, _) => match value {
            ScalarValue::Utf8(Some(text))
            | ScalarValue::Utf8View(Some(text))
            | ScalarValue::LargeUtf8(Some(text)) => parse(text).map(Some).map_err(|why| {
                let error = plan_error(format!("{} is not a duration: {why}", quoted_start(text)));
                about(error, format!("'{text}'"))
            }),
            _ => interval_ns(value),
        },
        other => match other.get_type(schema) {
            Ok(DataType::Interval(_)) => Err(plan_error(format!(
                "{other} stands beside a duration: write INTERVAL '500 ms' or '500ms' there"
            ))),
            _ => Ok(None),
        },
    }
}

/// Nanoseconds of an interval, a day being 24 hours; `None` for what is none.
///
/// # Errors
/// A planning error when it has months, or is too long.
pub(crate) fn interval_ns(value: &ScalarValue) -> Result<Option<i64>> {
    const DAY_NS: i128 = 86_400_000_000_000;
    let (months, days, ns) = match value {
        ScalarValue::IntervalMonthDayNano(Some(i)) => (i.months, i.days, i128::from(i.nanoseconds)),
        ScalarValue::IntervalDayTime(Some(i)) => {
            (0, i.days, i128::from(i.milliseconds) * 1_000_000)
        }
        ScalarValue::IntervalYearMonth(Some(months)) => (*months, 0, 0),
        _ => return Ok(None),
    };
    if months != 0 {
        return Err(plan_error(
            "an INTERVAL with months or years is not a duration, it has no fixed length: write \
             days, as in INTERVAL '30 days'",
        ));
    }
    let total = i128::from(days) * DAY_NS + ns;
    let total = i64::try_from(total);
    total.map(Some).map_err(|_| plan_error("the INTERVAL is longer than 292 years"))
}

/// Both sides of arithmetic with durations: literals as durations, and `*` and `/` with numbers and
/// other durations. `Ok(Some(..))` is the whole expression in place of the operator.
///
/// # Errors
/// As `normalise`.
pub(crate) fn arithmetic(
    op: Operator,
    left: &mut Expr,
    right: &mut Expr,
    schema: &DFSchema,
) -> Result<Option<Expr>> {
    if matches!(op, Operator::Plus | Operator::Minus | Operator::Divide) {
        literal_beside(left, right, schema)?;
        if op != Operator::Divide {
            literal_beside(right, left, schema)?;
        }
    }
    if !matches!(op, Operator::Multiply | Operator::Divide) {
        return Ok(None);
    }
    let is_number = |expr: &Expr| matches!(Class::of(expr, schema), Class::Int | Class::Float);
    let ns = |expr: &Expr| cast(expr.clone(), DataType::Int64);
    let ratio = |expr: &Expr| cast(ns(expr), DataType::Float64);
    let calculated = |left: Expr, right: Expr| {
        let number = Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)));
        Measure::udf(As::Duration).call(vec![cast(number, DataType::Int64)])
    };
    Ok(match (is_duration(left, schema), is_duration(right, schema)) {
        (true, true) if op == Operator::Divide => Some(Expr::BinaryExpr(BinaryExpr::new(
            Box::new(ratio(left)),
            op,
            Box::new(ratio(right)),
        ))),
        (true, false) if is_number(right) => Some(calculated(ns(left), right.clone())),
        (false, true) if op == Operator::Multiply && is_number(left) => {
            Some(calculated(left.clone(), ns(right)))
        }
        _ => None,
    })
}

fn literal_beside(duration: &Expr, other: &mut Expr, schema: &DFSchema) -> Result<()> {
    if matches!(other, Expr::Literal(..))
        && let Some(span) = Span::of(duration, schema)
        && let Some(ns) = literal_ns(other, schema)?
    {
        *other = Expr::Literal(span.literal(ns), None);
    }
    Ok(())
}

fn cast(expr: Expr, to: DataType) -> Expr {
    Expr::Cast(Cast::new(Box::new(expr), to))
}

/// Whether an expression is of the type `duration`.
pub(crate) fn is_duration(expr: &Expr, schema: &DFSchema) -> bool {
    Span::of(expr, schema) == Some(Span::Duration)
}
