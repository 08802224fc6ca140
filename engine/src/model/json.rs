//! The JSON text in which attributes, events and links stand in a column: complete, and with types
//! kept apart.
//!
//! | OTLP value | JSON |
//! |---|---|
//! | string, bool | string, `true` / `false` |
//! | int | number without `.` and exponent: `1` |
//! | double | number with `.` or exponent: `1.0`, `1e300`, `-0.0` |
//! | NaN, infinities | `{"$double":"NaN"}`, `{"$double":"Infinity"}`, `{"$double":"-Infinity"}` |
//! | bytes | `{"$bytes":"<base64>"}` |
//! | array | array |
//! | key-value list | object; wrapped as `{"$map":{..}}` if its only key starts with `$` |
//! | no value | `null` |
//!
//! Events: `[{"time":<int ns>,"name":"..","attributes":{..},"dropped":<n>}]`, links:
//! `[{"trace_id":"<hex>","span_id":"<hex>","trace_state":"..","flags":<n>,"attributes":{..},
//! "dropped":<n>}]`; what is empty or zero is left out, but for `time`, `name` and the ids.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::de::{Deserializer, SliceRead};
use serde_json::value::RawValue;

pub(crate) use self::write::is_plain_ascii;
pub use self::write::{write_bytes, write_double, write_int, write_string};
use super::entries::Entries;

mod write;

/// A value read from attribute text.
///
/// ```
/// use amida::json::{self, Value};
///
/// assert_eq!(json::get(r#"{"code":503}"#, "code"), Some(Value::Int(503)));
/// assert_eq!(json::get(r#"{"code":503.0}"#, "code"), Some(Value::Double(503.0)));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
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
    /// An array, a key-value list or no value: its JSON text.
    Json(String),
}

/// The type of a value, as the catalog counts it.
///
/// ```
/// use amida::json::{Value, ValueType};
///
/// assert_eq!(Value::Bool(true).value_type(), ValueType::Bool);
/// assert_eq!(ValueType::Double.word(), "double");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ValueType {
    /// Text.
    String,
    /// `true` or `false`.
    Bool,
    /// A 64-bit integer.
    Int,
    /// A double.
    Double,
    /// Bytes, arrays, key-value lists and empty values: read as their JSON text.
    Json,
}

impl ValueType {
    /// All types, by their number in the catalog.
    pub const ALL: [ValueType; 5] =
        [ValueType::String, ValueType::Bool, ValueType::Int, ValueType::Double, ValueType::Json];

    /// The word for this type.
    pub fn word(self) -> &'static str {
        match self {
            ValueType::String => "string",
            ValueType::Bool => "bool",
            ValueType::Int => "int",
            ValueType::Double => "double",
            ValueType::Json => "json",
        }
    }
}

impl Value {
    /// Its type.
    pub fn value_type(&self) -> ValueType {
        match self {
            Value::String(_) => ValueType::String,
            Value::Bool(_) => ValueType::Bool,
            Value::Int(_) => ValueType::Int,
            Value::Double(_) => ValueType::Double,
            Value::Bytes(_) | Value::Json(_) => ValueType::Json,
        }
    }
}

impl fmt::Display for Value {
    /// The value's text: strings as they are, everything else as its JSON spelling without the
    /// `$double` wrapper; bytes as base64.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::String(s) | Value::Json(s) => f.write_str(s),
            Value::Bool(b) => write!(f, "{b}"),
            Value::Int(i) => write!(f, "{i}"),
            Value::Double(d) => f.write_str(&double_text(*d)),
            Value::Bytes(b) => f.write_str(&STANDARD.encode(b)),
        }
    }
}

/// The one spelling of a double as text: shortest digits that read back the same, always with a
/// `.` or an exponent; `NaN`, `Infinity`, `-Infinity`.
pub fn double_text(value: f64) -> String {
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity".into() } else { "-Infinity".into() }
    } else {
        format!("{value:?}")
    }
}

/// The raw JSON text of `key`'s value in an object that this module's writer made; `None` when the
/// key is not there or the text is no object.
pub fn get_raw<'a>(object: &'a str, key: &str) -> Option<&'a str> {
    let mut written = Vec::new();
    let key = if key.bytes().all(write::is_plain) {
        key
    } else {
        write_string(&mut written, key);
        str::from_utf8(written.get(1..written.len() - 1)?).ok()?
    };
    let mut entries = Entries::of(object);
    if let Some((_, raw)) = entries.find(|(k, _)| *k == key) {
        return Some(raw);
    }
    // Not as the writer writes it: with spaces, say.
    if entries.is_whole() { None } else { get_spaced(object, key) }
}

/// As `get_raw`, of any JSON text.
fn get_spaced<'a>(object: &'a str, key: &str) -> Option<&'a str> {
    let entries = read_entries(object)?;
    entries.into_iter().rev().find(|(k, _)| k == key).map(|(_, raw)| raw)
}

/// The keys of an object that this module's writer made, with the raw text of their values.
pub fn entries(object: &str) -> Vec<(String, &str)> {
    read_entries(object).unwrap_or_default()
}

fn read_entries(object: &str) -> Option<Vec<(String, &str)>> {
    struct All;
    impl<'de> serde::de::Visitor<'de> for All {
        type Value = Vec<(String, &'de str)>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an attribute object")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(
            self,
            mut map: A,
        ) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some(key) = map.next_key::<Key<'de>>()? {
                all.push((key.0.into_owned(), map.next_value::<&'de RawValue>()?.get()));
            }
            Ok(all)
        }
    }
    let mut de = Deserializer::new(SliceRead::new(object.as_bytes()));
    serde::Deserializer::deserialize_map(&mut de, All).ok()
}

struct Key<'a>(Cow<'a, str>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> serde::de::Visitor<'de> for Text {
            type Value = Cow<'de, str>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }
        de.deserialize_str(Text).map(Key)
    }
}

/// The type of a value from its raw JSON text; looks at its first bytes only.
pub fn raw_type(raw: &str) -> ValueType {
    match raw.as_bytes().first() {
        Some(b'"') => ValueType::String,
        Some(b't' | b'f') => ValueType::Bool,
        Some(b'-' | b'0'..=b'9') => {
            if raw.bytes().any(|b| matches!(b, b'.' | b'e' | b'E')) {
                ValueType::Double
            } else {
                ValueType::Int
            }
        }
        Some(b'{') if raw.starts_with("{\"$double\":") => ValueType::Double,
        _ => ValueType::Json,
    }
}

/// The value of raw JSON text.
pub fn read_raw(raw: &str) -> Option<Value> {
    Some(match raw_type(raw) {
        ValueType::String => Value::String(serde_json::from_str(raw).ok()?),
        ValueType::Bool => Value::Bool(raw == "true"),
        ValueType::Int => Value::Int(raw.parse().ok()?),
        ValueType::Double => Value::Double(match raw.strip_prefix("{\"$double\":\"") {
            Some(word) if word.starts_with("NaN") => f64::NAN,
            Some(word) if word.starts_with('-') => f64::NEG_INFINITY,
            Some(_) => f64::INFINITY,
            None => raw.parse().ok()?,
        }),
        ValueType::Json => match raw.strip_prefix("{\"$bytes\":\"") {
            Some(rest) => Value::Bytes(STANDARD.decode(rest.strip_suffix("\"}")?).ok()?),
            None => Value::Json(raw.to_owned()),
        },
    })
}

/// The value of `key` in an object that this module's writer made.
pub fn get(object: &str, key: &str) -> Option<Value> {
    get_raw(object, key).and_then(read_raw)
}

/// One event of a span.
///
/// ```
/// use amida::json;
///
/// let events = json::read_events(r#"[{"time":5,"name":"retry","attributes":{"attempt":2}}]"#);
/// assert_eq!((events[0].time, events[0].name.as_str()), (5, "retry"));
/// assert_eq!(json::get(&events[0].attributes, "attempt"), Some(json::Value::Int(2)));
/// ```
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
pub struct Event {
    /// Nanoseconds since the epoch.
    pub time: i64,
    /// What happened.
    pub name: String,
    /// Attributes as a JSON object.
    #[serde(default = "empty_object", deserialize_with = "raw_text")]
    pub attributes: String,
    /// How many attributes the sender or the store dropped.
    #[serde(default)]
    pub dropped: u32,
}

/// One link of a span to another span.
///
/// ```
/// use amida::json;
///
/// let text = r#"[{"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7"}]"#;
/// let links = json::read_links(text);
/// assert_eq!((links[0].span_id.as_str(), links[0].flags), ("00f067aa0ba902b7", 0));
/// ```
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
pub struct Link {
    /// Hex of the other trace id, as it was sent.
    pub trace_id: String,
    /// Hex of the other span id, as it was sent.
    pub span_id: String,
    /// W3C trace state; empty when there is none.
    #[serde(default)]
    pub trace_state: String,
    /// W3C trace flags.
    #[serde(default)]
    pub flags: u32,
    /// Attributes as a JSON object.
    #[serde(default = "empty_object", deserialize_with = "raw_text")]
    pub attributes: String,
    /// How many attributes the sender or the store dropped.
    #[serde(default)]
    pub dropped: u32,
}

fn empty_object() -> String {
    "{}".to_owned()
}

fn raw_text<'de, D: serde::Deserializer<'de>>(de: D) -> Result<String, D::Error> {
    let raw: Box<RawValue> = serde::Deserialize::deserialize(de)?;
    Ok(raw.get().to_owned())
}

/// The events in the text of an `events` column; none when the text is not such an array.
pub fn read_events(text: &str) -> Vec<Event> {
    serde_json::from_str(text).unwrap_or_default()
}

/// The links in the text of a `links` column; none when the text is not such an array.
pub fn read_links(text: &str) -> Vec<Link> {
    serde_json::from_str(text).unwrap_or_default()
}
