//! Durations as people write them: `'500ms'`, `'1h30m'`, and as they are printed.

use std::fmt::{self, Write};
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringArray, make_array,
};
use datafusion::arrow::datatypes::{
    DataType, DurationNanosecondType, Field, FieldRef, Schema, TimeUnit,
};
use datafusion::arrow::error::ArrowError;

/// The type of `duration` columns.
pub(crate) const DURATION: DataType = DataType::Duration(TimeUnit::Nanosecond);

/// Units and their nanoseconds, the shortest last; the first word is the one that is printed.
const UNITS: [(&[&str], i128); 8] = [
    (&["w", "week", "weeks"], 604_800_000_000_000),
    (&["d", "day", "days"], 86_400_000_000_000),
    (&["h", "hr", "hrs", "hour", "hours"], 3_600_000_000_000),
    (&["m", "min", "mins", "minute", "minutes"], 60_000_000_000),
    (&["s", "sec", "secs", "second", "seconds"], 1_000_000_000),
    (&["ms", "msec", "msecs", "milli", "millis", "millisecond", "milliseconds"], 1_000_000),
    (
        &[
            "us",
            "\u{b5}s",
            "\u{3bc}s",
            "usec",
            "usecs",
            "micro",
            "micros",
            "microsecond",
            "microseconds",
        ],
        1_000,
    ),
    (&["ns", "nsec", "nsecs", "nano", "nanos", "nanosecond", "nanoseconds"], 1),
];

/// Nanoseconds of a duration such as `500ms`, `1.5 s`, `2 min`, `1h30m` or `-5us`.
///
/// # Errors
/// What is wrong with it and what to write, without the text itself.
pub(crate) fn parse(text: &str) -> Result<i64, String> {
    let trimmed = text.trim();
    let (sign, mut rest) = match trimmed.strip_prefix('-') {
        Some(rest) => (-1, rest.trim_start()),
        None => (1, trimmed.strip_prefix('+').unwrap_or(trimmed).trim_start()),
    };
    if rest.is_empty() {
        return Err("write a number and a unit, as in '500ms'".to_owned());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let (number, after) = split(rest, |c| c.is_ascii_digit() || c == '.');
        let (unit, after) = split(after.trim_start(), char::is_alphabetic);
        if number.is_empty() {
            return Err("write a number and a unit, as in '500ms'".to_owned());
        }
        let scale = unit_ns(number, unit)?;
        total += scaled(number, scale)?;
        rest = after.trim_start();
    }
    i64::try_from(sign * total).map_err(|_| "it is longer than 292 years".to_owned())
}

fn split(text: &str, is_part: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !is_part(c)).unwrap_or(text.len()))
}

fn unit_ns(number: &str, unit: &str) -> Result<i128, String> {
    let word = unit.to_lowercase();
    if word.is_empty() {
        return Err(format!("it has no unit: write '{number}ms' or another of {}", words()));
    }
    let found = UNITS.iter().find(|(names, _)| names.contains(&word.as_str()));
    match found {
        Some((_, ns)) => Ok(*ns),
        None if ["mo", "mon", "month", "months", "y", "yr", "year", "years"]
            .contains(&word.as_str()) =>
        {
            Err("months and years have no fixed length: write days, as in '30d'".to_owned())
        }
        None => Err(format!(
            "'{}' is not a unit: write one of {}, as in '500ms'",
            unit.chars().take(20).collect::<String>(),
            words()
        )),
    }
}

fn words() -> String {
    let words: Vec<&str> =
        UNITS.iter().rev().filter_map(|(names, _)| names.first().copied()).collect();
    words.join(", ")
}

/// Decimal digits times a unit, exactly.
fn scaled(number: &str, scale: i128) -> Result<i128, String> {
    let no_number = || format!("'{number}' is not a number");
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
        return Err(no_number());
    }
    let fraction = fraction.trim_end_matches('0');
    if number.len() > 40 || fraction.len() > 15 {
        return Err("it is finer than a nanosecond, or too long".to_owned());
    }
    let digits = |text: &str| match text {
        "" => Ok(0),
        text => text.parse::<i128>().map_err(|_| no_number()),
    };
    let whole = digits(whole)?.checked_mul(scale).filter(|ns| *ns <= i128::from(u64::MAX));
    let whole = whole.ok_or("it is longer than 292 years")?;
    let parts = 10i128.pow(u32::try_from(fraction.len()).unwrap_or(0));
    let small = digits(fraction)? * scale;
    if small % parts != 0 {
        return Err("it is finer than a nanosecond".to_owned());
    }
    Ok(whole + small / parts)
}

/// A duration as text that `parse` reads back exactly: `80ms`, `1.5s`, `2m3.5s`, `1d2h`.
pub(crate) fn text(ns: i64) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut out, ns);
    out
}

fn write(out: &mut impl Write, ns: i64) -> fmt::Result {
    let mut rest = i128::from(ns).abs();
    if ns < 0 {
        out.write_char('-')?;
    }
    for (names, scale) in UNITS.iter().filter(|(_, scale)| *scale >= 60_000_000_000).skip(1) {
        if rest >= *scale {
            write!(out, "{}{}", rest / scale, names.first().unwrap_or(&""))?;
            rest %= scale;
            if rest == 0 {
                return Ok(());
            }
        }
    }
    let long = i128::from(ns).abs() >= 60_000_000_000;
    let small = UNITS.iter().skip(4).find(|(_, scale)| long || rest >= *scale);
    let (unit, scale) = small.map_or(("s", 1_000_000_000), |(names, scale)| {
        (names.first().copied().unwrap_or("s"), *scale)
    });
    write!(out, "{}", rest / scale)?;
    let below = rest % scale;
    if below > 0 {
        let width = scale.ilog10() as usize;
        let digits = format!("{below:0width$}");
        write!(out, ".{}", digits.trim_end_matches('0'))?;
    }
    out.write_str(unit)
}

/// The same columns, durations as text such as `1.5s`, in lists, structs and maps too: for tables,
/// CSV and JSON. `'1.5s'` beside a duration in a query means the same again.
///
/// ```
/// use std::sync::Arc;
/// use amida_sql::datafusion::arrow::array::{ArrayRef, DurationNanosecondArray, RecordBatch};
///
/// let took: ArrayRef = Arc::new(DurationNanosecondArray::from(vec![1_500_000_000]));
/// let batch = RecordBatch::try_from_iter([("took", took)])?;
/// let shown = amida_sql::readable(&batch)?;
/// assert_eq!(shown.schema().field(0).data_type().to_string(), "Utf8");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// None in practice: Arrow's words if the columns do not fit their schema.
pub fn readable(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().map(readable_column).collect::<Result<_, _>>()?;
    let schema = batch.schema();
    let fields: Vec<FieldRef> = schema.fields().iter().map(readable_field).collect();
    let schema = Schema::new_with_metadata(fields, schema.metadata().clone());
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(schema), columns, &options)
}

fn readable_column(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    if let Some(durations) = column.as_primitive_opt::<DurationNanosecondType>() {
        let texts = durations.iter().map(|ns| ns.map(text));
        return Ok(Arc::new(texts.collect::<StringArray>()));
    }
    let data_type = readable_type(column.data_type());
    if data_type == *column.data_type() {
        return Ok(Arc::clone(column));
    }
    let data = column.to_data();
    let children = data.child_data().iter().map(|child| {
        readable_column(&make_array(child.clone())).map(|readable| readable.to_data())
    });
    let children = children.collect::<Result<_, _>>()?;
    let readable = data.into_builder().data_type(data_type).child_data(children).build()?;
    Ok(make_array(readable))
}

/// The type that a `readable` column has: durations are text, in lists, structs and maps too.
fn readable_type(data_type: &DataType) -> DataType {
    match data_type {
        t if *t == DURATION => DataType::Utf8,
        DataType::List(item) => DataType::List(readable_field(item)),
        DataType::LargeList(item) => DataType::LargeList(readable_field(item)),
        DataType::FixedSizeList(item, length) => {
            DataType::FixedSizeList(readable_field(item), *length)
        }
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(readable_field).collect()),
        DataType::Map(entries, sorted) => DataType::Map(readable_field(entries), *sorted),
        other => other.clone(),
    }
}

fn readable_field(field: &FieldRef) -> FieldRef {
    let data_type = readable_type(field.data_type());
    Arc::new(Field::clone(field).with_data_type(data_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, ns) in [
            ("500ms", 500_000_000),
            (" 1.5s ", 1_500_000_000),
            ("2 min", 120_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1h 30 min 5s", 5_405_000_000_000),
            ("100us", 100_000),
            ("100\u{b5}s", 100_000),
            ("100 \u{3bc}s", 100_000),
            ("750 ns", 750),
            ("-5ms", -5_000_000),
            ("+5MS", 5_000_000),
            (".5s", 500_000_000),
            ("0s", 0),
            ("1d", 86_400_000_000_000),
            ("2 weeks", 1_209_600_000_000_000),
            ("9223372036854775807ns", i64::MAX),
            ("-9223372036854775808ns", i64::MIN),
        ] {
            assert_eq!(parse(text), Ok(ns), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_what_to_write() {
        for (text, part) in [
            ("500", "'500ms'"),
            ("", "'500ms'"),
            ("fast", "'500ms'"),
            ("5 parsecs", "'parsecs' is not a unit"),
            ("2 months", "no fixed length"),
            ("1y", "no fixed length"),
            ("0.5ns", "finer"),
            ("1.2.3s", "not a number"),
            (".s", "not a number"),
            ("5ms3", "no unit"),
            ("300 years", "no fixed length"),
            ("9223372036854775808ns", "292 years"),
            ("99999999999999999999999999999999999w", "292 years"),
            ("1-2ms", "'1ms'"),
        ] {
            let words = parse(text).expect_err(text);
            assert!(words.contains(part), "{text}: {words}");
        }
    }

    #[test]
    fn what_is_printed_is_read_back() {
        for (ns, expected) in [
            (0, "0s"),
            (7, "7ns"),
            (1_500, "1.5us"),
            (80_000_000, "80ms"),
            (-1_500_000_000, "-1.5s"),
            (60_000_000_000, "1m"),
            (123_500_000_000, "2m3.5s"),
            (3_600_000_000_001, "1h0.000000001s"),
            (93_600_000_000_000, "1d2h"),
        ] {
            assert_eq!(text(ns), expected);
        }
        let mut ns = 1i64;
        while let Some(next) = ns.checked_mul(7) {
            for value in [ns, -ns, ns + 1_000, i64::MAX - ns, i64::MIN + ns] {
                assert_eq!(parse(&text(value)), Ok(value), "{}", text(value));
            }
            ns = next;
        }
    }
}
