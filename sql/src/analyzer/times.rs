//! Text literals that stand beside a time: UTC unless they name a zone.

use datafusion::arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Expr, ExprSchemable};

use super::words::literal_mut;
use crate::error::{about, plan_error, quoted_start};

/// What a time is compared with, when it is a text literal: that time.
///
/// # Errors
/// A planning error that names the literal, when it is no time.
pub(crate) fn normalise(time: &Expr, other: &mut Expr, schema: &DFSchema) -> Result<bool> {
    if literal_mut(other).is_none() {
        return Ok(false);
    }
    let Ok(DataType::Timestamp(TimeUnit::Nanosecond, zone)) = time.get_type(schema) else {
        return Ok(false);
    };
    if zone.as_ref().is_some_and(|zone| !matches!(zone.as_ref(), "UTC" | "+00:00")) {
        return Ok(false);
    }
    if let Expr::Alias(alias) = other {
        return normalise(time, &mut alias.expr, schema);
    }
    let Some(text) = literal_mut(other) else { return Ok(false) };
    let ns = string_to_timestamp_nanos(&with_seconds(text)).map_err(|_| {
        let error = plan_error(format!(
            "{} is not a time from 1678 to 2262: write it as '2026-01-01', '2026-01-01 12:00' or \
             '2026-01-01T12:00:00.5+09:00'",
            quoted_start(text)
        ));
        about(error, format!("'{text}'"))
    })?;
    *other = Expr::Literal(ScalarValue::TimestampNanosecond(Some(ns), zone), None);
    Ok(true)
}

/// The type that functions of times read texts as.
pub(crate) const TIME: DataType = DataType::Timestamp(TimeUnit::Nanosecond, None);

/// Whether a function reads texts as times.
pub(crate) fn reads_times(function: &ScalarFunction) -> bool {
    match function.func.name() {
        "time_bucket" | "date_bin" | "date_trunc" | "date_part" => true,
        // What follows the text is a format of its own.
        name => name.starts_with("to_timestamp") && function.args.len() == 1,
    }
}

/// The text inside `timestamp '..'`, casts and functions, as DataFusion reads it.
pub(crate) fn complete(expr: &mut Expr, to: &DataType) -> bool {
    let (Some(text), DataType::Timestamp(..)) = (literal_mut(expr), to) else { return false };
    let complete = with_seconds(text);
    let changed = *text != complete;
    *text = complete;
    changed
}

/// `2026-01-01 12:00` with its seconds, which Arrow wants; other text as it is.
fn with_seconds(text: &str) -> String {
    let text = text.trim();
    let is_minute = text.bytes().take(16).enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        10 => matches!(byte, b'T' | b't' | b' '),
        13 => byte == b':',
        _ => byte.is_ascii_digit(),
    });
    match (text.len() >= 16 && is_minute).then(|| text.split_at(16)) {
        Some((minute, rest)) if !rest.starts_with(':') => format!("{minute}:00{rest}"),
        _ => text.to_owned(),
    }
}
