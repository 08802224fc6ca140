//! `AttributeValue`: what an attribute can be.

use crate::otlp::message::Message;

/// The value of an attribute. Made from Rust's own values by `into()`.
///
/// ```
/// use amida::AttributeValue;
///
/// assert_eq!(AttributeValue::from(200), AttributeValue::Int(200));
/// assert_eq!(AttributeValue::from("GET"), AttributeValue::String("GET".into()));
/// assert_eq!(
///     AttributeValue::from(vec!["a", "b"]),
///     AttributeValue::Array(vec!["a".into(), "b".into()])
/// );
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum AttributeValue {
    /// Text.
    String(String),
    /// `true` or `false`.
    Bool(bool),
    /// A 64-bit integer.
    Int(i64),
    /// A double, NaN and infinities included.
    Double(f64),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Values in order.
    Array(Vec<AttributeValue>),
    /// Keys with values, in order.
    Map(Vec<(String, AttributeValue)>),
    /// No value.
    Empty,
}

impl AttributeValue {
    /// Writes the fields of an `AnyValue`.
    pub(in crate::otlp) fn write<M: Message>(&self, out: &mut M) {
        match self {
            Self::String(text) => any::string(out, text),
            Self::Bool(value) => any::bool(out, *value),
            Self::Int(value) => any::int(out, *value),
            Self::Double(value) => any::double(out, *value),
            Self::Bytes(bytes) => any::bytes(out, bytes),
            Self::Array(values) => any::array(out, values, |out, value| value.write(out)),
            Self::Map(entries) => any::map(out, entries, |out, (key, value)| {
                any::entry(out, key, |out| value.write(out));
            }),
            Self::Empty => {}
        }
    }
}

/// The fields of OTLP's `AnyValue`, `ArrayValue`, `KeyValueList` and `KeyValue`.
pub mod any {
    use super::super::write::Writer;
    use crate::otlp::message::{Field, Message, Scalar};

    pub fn string(out: &mut impl Message, text: &str) {
        out.scalar(Field(1, "stringValue"), Scalar::Text(text));
    }

    pub fn bool(out: &mut impl Message, value: bool) {
        out.scalar(Field(2, "boolValue"), Scalar::Bool(value));
    }

    pub fn int(out: &mut impl Message, value: i64) {
        out.scalar(Field(3, "intValue"), Scalar::Int(value));
    }

    pub fn double(out: &mut impl Message, value: f64) {
        out.scalar(Field(4, "doubleValue"), Scalar::Double(value));
    }

    /// Values in order; `write` writes the fields of each.
    pub fn array<M: Message, T>(
        out: &mut M,
        values: impl IntoIterator<Item = T>,
        write: impl FnMut(&mut M, T),
    ) {
        out.part(Field(5, "arrayValue"), |out| out.list(Field(1, "values"), values, write));
    }

    /// Keys with values; `write` writes an `entry` for each.
    pub fn map<M: Message, T>(
        out: &mut M,
        entries: impl IntoIterator<Item = T>,
        write: impl FnMut(&mut M, T),
    ) {
        out.part(Field(6, "kvlistValue"), |out| out.list(Field(1, "values"), entries, write));
    }

    pub fn bytes(out: &mut impl Message, bytes: &[u8]) {
        out.scalar(Field(7, "bytesValue"), Scalar::Bytes(bytes));
    }

    /// The fields of a `KeyValue`.
    pub fn entry<M: Message>(out: &mut M, key: &str, value: impl FnOnce(&mut M)) {
        out.scalar(Field(1, "key"), Scalar::Text(key));
        out.part(Field(2, "value"), value);
    }

    /// A `KeyValue` in this field.
    pub fn key_value(out: &mut Writer, field: u32, key: &str, value: impl FnOnce(&mut Writer)) {
        out.message(field, |out| entry(out, key, value));
    }
}

impl From<&str> for AttributeValue {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for AttributeValue {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<bool> for AttributeValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for AttributeValue {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<i32> for AttributeValue {
    fn from(value: i32) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<u32> for AttributeValue {
    fn from(value: u32) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<u16> for AttributeValue {
    fn from(value: u16) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<f64> for AttributeValue {
    fn from(value: f64) -> Self {
        Self::Double(value)
    }
}

impl From<&[u8]> for AttributeValue {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl<T: Into<AttributeValue>> From<Vec<T>> for AttributeValue {
    fn from(values: Vec<T>) -> Self {
        Self::Array(values.into_iter().map(Into::into).collect())
    }
}
