//! Values of JSON as attributes, times and words.

use amida::AttributeValue;
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use super::sink::{BAD_TIME, TIME_OUT_OF_RANGE};

/// The store keeps values nested this deep; what is deeper becomes JSON text.
const DEPTH_MAX: usize = 16;

/// Integers beyond are not exact in a double.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A value as the attribute that JSON itself says it is.
pub fn natural(value: &Value) -> AttributeValue {
    natural_at(value, 1)
}

fn natural_at(value: &Value, depth: usize) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Empty,
        Value::Bool(value) => AttributeValue::Bool(*value),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(int), _) => AttributeValue::Int(int),
            (None, Some(double)) if number.is_f64() => AttributeValue::Double(double),
            // A whole number beyond 63 bits: as text it stays exact.
            _ => AttributeValue::String(number.to_string()),
        },
        Value::String(text) => AttributeValue::String(text.clone()),
        Value::Array(values) if depth < DEPTH_MAX => {
            AttributeValue::Array(values.iter().map(|v| natural_at(v, depth + 1)).collect())
        }
        Value::Object(entries) if depth < DEPTH_MAX => {
            let entry =
                |(key, value): (&String, &Value)| (key.clone(), natural_at(value, depth + 1));
            AttributeValue::Map(entries.iter().map(entry).collect())
        }
        Value::Array(_) | Value::Object(_) => AttributeValue::String(value.to_string()),
    }
}

/// A value of which Jaeger says the type; a value that is not of it stays what it is.
pub fn typed(kind: Option<&str>, value: &Value) -> AttributeValue {
    let read = match (kind.unwrap_or_default(), value) {
        ("string", Value::Bool(_) | Value::Number(_)) => {
            Some(AttributeValue::String(value.to_string()))
        }
        ("bool", Value::String(text)) => match text.to_ascii_lowercase().as_str() {
            "true" => Some(AttributeValue::Bool(true)),
            "false" => Some(AttributeValue::Bool(false)),
            _ => None,
        },
        // Beyond 53 bits Jaeger writes integers as text, for JavaScript.
        ("int64", Value::String(text)) => text.trim().parse().ok().map(AttributeValue::Int),
        ("int64", Value::Number(number)) if number.is_f64() => {
            let whole = number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() <= EXACT_MAX);
            whole.map(|number| AttributeValue::Int(number as i64))
        }
        ("float64", Value::Number(number)) => number.as_f64().map(AttributeValue::Double),
        ("float64", Value::String(text)) => text.trim().parse().ok().map(AttributeValue::Double),
        ("binary", Value::String(text)) => BASE64.decode(text).ok().map(AttributeValue::Bytes),
        _ => None,
    };
    read.unwrap_or_else(|| natural(value))
}

/// Microseconds, as a number or as text, in nanoseconds; `None` when there are none.
///
/// # Errors
/// The reason for which a row with such a time is rejected.
pub fn micros(value: Option<&Value>) -> Result<Option<i64>, &'static str> {
    let ns = |micros: i128, fraction: i128| {
        let ns = micros.checked_mul(1_000).and_then(|ns| ns.checked_add(fraction));
        ns.and_then(|ns| i64::try_from(ns).ok()).map(Some).ok_or(TIME_OUT_OF_RANGE)
    };
    let exact = |micros| ns(micros, 0);
    // In two parts: a double that is a time of today has no room for three digits more.
    let double = |micros: f64| ns(micros as i128, (micros.fract() * 1_000.0).round() as i128);
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(micros), ..) => exact(i128::from(micros)),
            (_, Some(micros), _) => exact(i128::from(micros)),
            (_, _, Some(micros)) => double(micros),
            _ => Err(BAD_TIME),
        },
        Some(Value::String(text)) => match text.trim() {
            "" => Ok(None),
            text => match (text.parse::<i128>(), text.parse::<f64>()) {
                (Ok(micros), _) => exact(micros),
                (_, Ok(micros)) if !micros.is_nan() => double(micros),
                _ => Err(BAD_TIME),
            },
        },
        Some(_) => Err(BAD_TIME),
    }
}

/// The text under this key: numbers as their digits. `Ok(None)` when there is none.
///
/// # Errors
/// When a value stands there that is no text.
pub fn text(object: &Map<String, Value>, key: &str) -> Result<Option<String>, ()> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_tag_has_the_type_it_says_and_a_wrong_value_stays_what_it_is() {
        use AttributeValue::{Bool, Bytes, Double, Int};
        let string = |text: &str| AttributeValue::String(text.to_owned());
        for (kind, value, expected) in [
            ("string", json!("x"), string("x")),
            ("string", json!(5), string("5")),
            ("bool", json!(true), Bool(true)),
            ("bool", json!("False"), Bool(false)),
            ("bool", json!("maybe"), string("maybe")),
            ("int64", json!(-7), Int(-7)),
            ("int64", json!("9007199254740993"), Int(9_007_199_254_740_993)),
            ("int64", json!(3.0), Int(3)),
            ("int64", json!(3.5), Double(3.5)),
            ("int64", json!(u64::MAX), string("18446744073709551615")),
            ("int64", json!("99999999999999999999"), string("99999999999999999999")),
            ("float64", json!(1), Double(1.0)),
            ("float64", json!("1.5"), Double(1.5)),
            ("float64", json!("Infinity"), Double(f64::INFINITY)),
            ("binary", json!("AQID"), Bytes(vec![1, 2, 3])),
            ("binary", json!("AQ"), Bytes(vec![1])),
            ("binary", json!("?"), string("?")),
            ("other", json!(1), Int(1)),
            ("string", json!(null), AttributeValue::Empty),
        ] {
            assert_eq!(typed(Some(kind), &value), expected, "{kind} {value}");
        }
        assert_eq!(
            typed(None, &json!([1, "a"])),
            AttributeValue::Array(vec![1.into(), "a".into()])
        );
    }

    #[test]
    fn values_deeper_than_the_store_keeps_are_text() {
        let mut value = json!(1);
        for _ in 0..40 {
            value = json!([value]);
        }
        let mut found = natural(&value);
        let mut depth = 1;
        while let AttributeValue::Array(mut values) = found {
            found = values.remove(0);
            depth += 1;
        }
        let left = format!("{}1{}", "[".repeat(25), "]".repeat(25));
        assert_eq!((depth, found), (16, AttributeValue::String(left)));
    }

    #[test]
    fn microseconds_are_read_in_all_their_spellings() {
        for (value, expected) in [
            (json!(1_705_071_459_717_700_u64), Ok(Some(1_705_071_459_717_700_000))),
            (json!("1705071459717700"), Ok(Some(1_705_071_459_717_700_000))),
            (json!(1_705_071_459_717_700.5), Ok(Some(1_705_071_459_717_700_500))),
            (json!("12.5"), Ok(Some(12_500))),
            (json!(-3), Ok(Some(-3_000))),
            (json!(null), Ok(None)),
            (json!(""), Ok(None)),
            (json!(u64::MAX), Err(TIME_OUT_OF_RANGE)),
            (json!(1e300), Err(TIME_OUT_OF_RANGE)),
            (json!("-inf"), Err(TIME_OUT_OF_RANGE)),
            (json!("NaN"), Err(BAD_TIME)),
            (json!("yesterday"), Err(BAD_TIME)),
            (json!([1]), Err(BAD_TIME)),
        ] {
            assert_eq!(micros(Some(&value)), expected, "{value}");
        }
        assert_eq!(micros(None), Ok(None));
    }
}
