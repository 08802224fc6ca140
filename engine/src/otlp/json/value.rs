//! Attributes: `KeyValue` and `AnyValue`.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::scalar::{Base64, Double, Int, List, Text};
use crate::otlp::build::value::any;
use crate::otlp::build::write::Writer;

/// A list of `KeyValue`.
#[derive(Default, Deserialize)]
pub struct Attributes<'a>(#[serde(borrow)] List<KeyValue<'a>>);

impl Attributes<'_> {
    pub fn write(&self, out: &mut Writer, field: u32) {
        for entry in &self.0.0 {
            any::key_value(out, field, &entry.key.0, |out| entry.value.write(out));
        }
    }
}

#[derive(Deserialize)]
struct KeyValue<'a> {
    #[serde(borrow, default)]
    key: Text<'a>,
    #[serde(borrow, default)]
    value: AnyValue<'a>,
}

/// A value. With several of its fields set, the last counts, as in protobuf.
#[derive(Default)]
enum AnyValue<'a> {
    #[default]
    Empty,
    String(Text<'a>),
    Bool(bool),
    Int(Int),
    Double(Double),
    Bytes(Base64),
    Array(Vec<AnyValue<'a>>),
    Map(Attributes<'a>),
}

impl AnyValue<'_> {
    fn write(&self, out: &mut Writer) {
        match self {
            Self::Empty => {}
            Self::String(text) => any::string(out, &text.0),
            Self::Bool(value) => any::bool(out, *value),
            Self::Int(value) => any::int(out, value.0),
            Self::Double(value) => any::double(out, value.0),
            Self::Bytes(bytes) => any::bytes(out, &bytes.0),
            Self::Array(values) => any::array(out, values, |out, value| value.write(out)),
            Self::Map(entries) => any::map(out, &entries.0.0, |out, entry| {
                any::entry(out, &entry.key.0, |out| entry.value.write(out));
            }),
        }
    }
}

/// `ArrayValue`, where an element that is `null` is a value that is empty, not one less.
#[derive(Default, Deserialize)]
struct ArrayFields<'a> {
    #[serde(borrow, default)]
    values: Option<Vec<AnyValue<'a>>>,
}

#[derive(Default, Deserialize)]
struct MapFields<'a> {
    #[serde(borrow, default)]
    values: Attributes<'a>,
}

impl<'de: 'a, 'a> Deserialize<'de> for AnyValue<'a> {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = AnyValue<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object like {\"stringValue\": \"..\"}")
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(AnyValue::Empty)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut value = AnyValue::Empty;
                while let Some(key) = map.next_key::<Text<'de>>()? {
                    if let Some(next) = read_member(&key.0, &mut map)? {
                        value = next;
                    }
                }
                Ok(value)
            }
        }
        de.deserialize_any(Any)
    }
}

/// The value under this name; `None` when the name is unknown or the value is `null`.
fn read_member<'de, A: MapAccess<'de>>(
    name: &str,
    map: &mut A,
) -> Result<Option<AnyValue<'de>>, A::Error> {
    Ok(match name {
        "stringValue" | "string_value" => {
            map.next_value::<Option<Text<'de>>>()?.map(AnyValue::String)
        }
        "boolValue" | "bool_value" => map.next_value::<Option<bool>>()?.map(AnyValue::Bool),
        "intValue" | "int_value" => map.next_value::<Option<Int>>()?.map(AnyValue::Int),
        "doubleValue" | "double_value" => map.next_value::<Option<Double>>()?.map(AnyValue::Double),
        "bytesValue" | "bytes_value" => map.next_value::<Option<Base64>>()?.map(AnyValue::Bytes),
        "arrayValue" | "array_value" => map
            .next_value::<Option<ArrayFields<'de>>>()?
            .map(|array| AnyValue::Array(array.values.unwrap_or_default())),
        "kvlistValue" | "kvlist_value" => {
            map.next_value::<Option<MapFields<'de>>>()?.map(|map| AnyValue::Map(map.values))
        }
        _ => {
            map.next_value::<IgnoredAny>()?;
            None
        }
    })
}
