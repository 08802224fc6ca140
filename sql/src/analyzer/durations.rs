//! Literals that stand beside a duration, and what may be calculated with durations.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, ExprSchemable, Operator};

use super::types::Class;
use super::words::{GIVES_ONE, literal_mut};
use crate::durations::parse;
use crate::error::{about, plan_error, quoted_start};
use crate::functions::measure::{As, Measure};
use crate::role::Unit;

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

/// The unit of a number that is a duration; looks through what keeps it. What is multiplied or
/// divided may be in any unit. Fields are asked for at the leaves only: each asks for those below
/// it.
pub(crate) fn unit_of(expr: &Expr, schema: &DFSchema) -> Option<Unit> {
    match expr {
        Expr::Alias(alias) => unit_of(&alias.expr, schema),
        Expr::Negative(inner) => unit_of(inner, schema),
        Expr::Cast(cast) => unit_of(&cast.expr, schema),
        Expr::TryCast(cast) => unit_of(&cast.expr, schema),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Plus | Operator::Minus, right }) => {
            common_unit([left.as_ref(), right.as_ref()], schema)
        }
        Expr::BinaryExpr(_) => None,
        Expr::Case(case) => {
            let thens = case.when_then_expr.iter().map(|(_, then)| then);
            common_unit(thens.chain(&case.else_expr).map(|branch| branch.as_ref()), schema)
        }
        Expr::ScalarFunction(function) if KEEPS_UNIT.contains(&function.func.name()) => {
            function.args.first().and_then(|arg| unit_of(arg, schema))
        }
        Expr::ScalarFunction(function) if GIVES_ONE.contains(&function.func.name()) => {
            common_unit(&function.args, schema)
        }
        other => Unit::of(&other.to_field(schema).ok()?.1),
    }
}

/// Functions whose answer is in the unit of their first argument.
const KEEPS_UNIT: [&str; 6] = ["abs", "ceil", "floor", "nullif", "round", "trunc"];

/// The one unit of all these; a literal is in any.
fn common_unit<'a>(exprs: impl IntoIterator<Item = &'a Expr>, schema: &DFSchema) -> Option<Unit> {
    let mut found = None;
    for expr in exprs.into_iter().filter(|expr| !matches!(expr, Expr::Literal(..))) {
        let unit = unit_of(expr, schema)?;
        if found.is_some_and(|found| found != unit) {
            return None;
        }
        found = Some(unit);
    }
    found
}

/// Refuses nanoseconds beside milliseconds.
///
/// # Errors
/// A planning error that names both.
pub(crate) fn one_unit<'a>(
    exprs: impl IntoIterator<Item = &'a Expr>,
    schema: &DFSchema,
) -> Result<()> {
    let mut first: Option<(Unit, &Expr)> = None;
    for expr in exprs {
        let Some(unit) = unit_of(expr, schema) else { continue };
        let (unit_before, before) = *first.get_or_insert((unit, expr));
        refuse_units(Some(unit_before), Some(unit), || (before.to_string(), expr.to_string()))?;
    }
    Ok(())
}

/// Refuses two different units.
pub(crate) fn refuse_units(
    a: Option<Unit>,
    b: Option<Unit>,
    names: impl Fn() -> (String, String),
) -> Result<()> {
    match (a, b) {
        (Some(a), Some(b)) if a != b => {
            let (name_a, name_b) = names();
            let (a, b) = (a.word(), b.word());
            Err(plan_error(format!(
                "{name_a} is in {a}, {name_b} in {b}: take both in one unit, or duration"
            )))
        }
        _ => Ok(()),
    }
}

/// What a duration is compared with, when it is a text or interval literal: the same as its type.
///
/// # Errors
/// A planning error that names the literal, when it is no duration, or when it is one and stands
/// beside a number whose unit is not known; one for a bare number beside the type `duration`,
/// which has no unit.
pub(crate) fn normalise(duration: &Expr, other: &mut Expr, schema: &DFSchema) -> Result<bool> {
    let Some(span) = Span::of(duration, schema) else {
        let is_number = matches!(Class::of(duration, schema), Class::Int | Class::Float);
        return match literal_mut(other).filter(|text| is_number && parse(text).is_ok()) {
            Some(text) => {
                let (shown, name) = (quoted_start(text), duration.schema_name());
                let words = format!(
                    "{shown} is a duration, and the unit of {name} is not known: compare duration \
                     with {shown}, or the number with a number"
                );
                Err(about(plan_error(words), format!("'{text}'")))
            }
            None => Ok(false),
        };
    };
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

/// Whether an expression is a duration, of the type or as a number with a unit.
pub(crate) fn is_measured(expr: &Expr, schema: &DFSchema) -> bool {
    Span::of(expr, schema).is_some()
}

/// Whether an expression is of the type `duration`.
pub(crate) fn is_duration(expr: &Expr, schema: &DFSchema) -> bool {
    Span::of(expr, schema) == Some(Span::Duration)
}
