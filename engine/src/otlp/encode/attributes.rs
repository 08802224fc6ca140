//! Attribute text (`model::json`) back to values: what `otlp::attributes` wrote, the other way.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::otlp::build::AttributeValue;

/// Keys with values, in order.
pub type Attributes = Vec<(String, AttributeValue)>;

/// The attributes of an object of attribute text.
pub fn read(text: &str) -> serde_json::Result<Attributes> {
    if text == "{}" {
        return Ok(Vec::new());
    }
    // The object itself is no value: a key of it that begins with `$` is a key.
    match serde_json::from_str(text)? {
        Raw(AttributeValue::Map(entries)) => read_entries(entries),
        _ => Err(serde_json::Error::custom("not an object")),
    }
}

fn read_entries(entries: Attributes) -> serde_json::Result<Attributes> {
    entries.into_iter().map(|(key, value)| Ok((key, meaning(value)?))).collect()
}

/// What a value means: an object with one key that begins with `$` spells another value.
fn meaning(value: AttributeValue) -> serde_json::Result<AttributeValue> {
    use AttributeValue::{Array, Bytes, Double, Map, String};
    let mut entries = match value {
        Array(values) => {
            return values.into_iter().map(meaning).collect::<Result<_, _>>().map(Array);
        }
        Map(entries) => entries,
        scalar => return Ok(scalar),
    };
    if let [(key, inner)] = entries.as_mut_slice() {
        match (key.as_str(), inner) {
            ("$double", String(word)) => {
                return match word.as_str() {
                    "NaN" => Ok(Double(f64::NAN)),
                    "Infinity" => Ok(Double(f64::INFINITY)),
                    "-Infinity" => Ok(Double(f64::NEG_INFINITY)),
                    _ => Err(serde_json::Error::custom("$double that is no double")),
                };
            }
            ("$bytes", String(text)) => {
                let bytes = STANDARD.decode(text.as_bytes());
                return bytes
                    .map(Bytes)
                    .map_err(|_| serde_json::Error::custom("$bytes that is no base64"));
            }
            ("$map", Map(inner)) => return read_entries(std::mem::take(inner)).map(Map),
            _ => {}
        }
    }
    read_entries(entries).map(Map)
}

/// JSON as it stands; what objects mean is found out when they are whole.
struct Raw(AttributeValue);

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Raw;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("attribute text")
            }

            fn visit_unit<E>(self) -> Result<Raw, E> {
                Ok(Raw(AttributeValue::Empty))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
                Ok(Raw(AttributeValue::Bool(value)))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
                Ok(Raw(AttributeValue::Int(value)))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Raw, E> {
                let int = i64::try_from(value).map_err(|_| E::custom("an integer of 65 bits"))?;
                Ok(Raw(AttributeValue::Int(int)))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
                Ok(Raw(AttributeValue::Double(value)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
                Ok(Raw(AttributeValue::String(text.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Raw, A::Error> {
                let mut values = Vec::new();
                while let Some(Raw(value)) = list.next_element()? {
                    values.push(value);
                }
                Ok(Raw(AttributeValue::Array(values)))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
                let mut entries = Vec::new();
                while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                    let Raw(value) = map.next_value()?;
                    entries.push((key.into_owned(), value));
                }
                Ok(Raw(AttributeValue::Map(entries)))
            }
        }
        de.deserialize_any(Any)
    }
}
