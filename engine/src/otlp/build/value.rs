//! `AttributeValue`: what an attribute can be.

use super::write::Writer;

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
    pub(super) fn write(&self, out: &mut Writer) {
        match self {
            Self::String(text) => any::string(out, text),
            Self::Bool(value) => any::bool(out, *value),
            Self::Int(value) => any::int(out, *value),
            Self::Double(value) => any::double(out, *value),
            Self::Bytes(bytes) => any::bytes(out, bytes),
            Self::Array(values) => any::array(out, |out| {
                for value in values {
                    any::element(out, |out| value.write(out));
                }
            }),
            Self::Map(entries) => any::map(out, |out| {
                for (key, value) in entries {
                    any::key_value(out, 1, key, |out| value.write(out));
                }
            }),
            Self::Empty => {}
        }
    }
}

/// The fields of OTLP's `AnyValue`, `ArrayValue`, `KeyValueList` and `KeyValue`.
pub mod any {
    use super::super::write::Writer;

    pub fn string(out: &mut Writer, text: &str) {
        out.bytes(1, text.as_bytes());
    }

    pub fn bool(out: &mut Writer, value: bool) {
        out.varint(2, u64::from(value));
    }

    pub fn int(out: &mut Writer, value: i64) {
        // Two's complement, as protobuf's int64 is.
        out.varint(3, value as u64);
    }

    pub fn double(out: &mut Writer, value: f64) {
        out.fixed64(4, value.to_bits());
    }

    pub fn array(out: &mut Writer, elements: impl FnOnce(&mut Writer)) {
        out.message(5, elements);
    }

    pub fn element(out: &mut Writer, value: impl FnOnce(&mut Writer)) {
        out.message(1, value);
    }

    pub fn map(out: &mut Writer, entries: impl FnOnce(&mut Writer)) {
        out.message(6, entries);
    }

    pub fn bytes(out: &mut Writer, bytes: &[u8]) {
        out.bytes(7, bytes);
    }

    /// A `KeyValue` in this field.
    pub fn key_value(out: &mut Writer, field: u32, key: &str, value: impl FnOnce(&mut Writer)) {
        out.message(field, |out| {
            out.bytes(1, key.as_bytes());
            out.message(2, value);
        });
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
