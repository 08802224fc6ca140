//! KeyValue and AnyValue messages to attribute text (`model::json`), and what was seen on the way.

use std::borrow::Cow;
use std::collections::HashMap;

use super::wire::{ANY_VALUE_DEPTH_MAX, Fields};
use crate::model::catalog::{Catalog, Scope, TypeCounts};
use crate::model::examples::Examples;
use crate::model::json::{self, ValueType};
use crate::model::schema::Marks;

/// Limits of format version 1 on what one span may hold. They belong to the format because a
/// request is read again from the log: it must give the same rows then.
pub mod limits {
    /// Attributes per span, event, link, resource or scope; more are dropped and counted.
    pub const ATTRIBUTES_MAX: usize = 256;
    /// Events per span; more are dropped and counted.
    pub const EVENTS_MAX: usize = 256;
    /// Links per span; more are dropped and counted.
    pub const LINKS_MAX: usize = 256;
    /// Bytes of a text or bytes value, a name or a status message; longer ones are cut.
    pub const VALUE_BYTES_MAX: usize = 64 << 10;
    /// Bytes of an attribute key; longer ones are cut.
    pub const KEY_BYTES_MAX: usize = 1 << 10;
}

/// Text that may not be UTF-8 and may be too long: repaired and cut, with the marks for it.
pub fn text<'a>(bytes: &'a [u8], bytes_max: usize, marks: &mut Marks) -> Cow<'a, str> {
    let mut text = String::from_utf8_lossy(bytes);
    if let Cow::Owned(_) = text {
        marks.add(Marks::REPAIRED_TEXT);
    }
    if text.len() > bytes_max {
        marks.add(Marks::TRUNCATED);
        let cut = text.floor_char_boundary(bytes_max);
        match &mut text {
            Cow::Borrowed(borrowed) => *borrowed = &borrowed[..cut],
            Cow::Owned(owned) => owned.truncate(cut),
        }
    }
    text
}

/// Counts keys and types while attributes are written, and keeps a value of each.
#[derive(Debug, Default)]
pub struct KeyCounts(HashMap<Scope, HashMap<String, (TypeCounts, Examples)>>);

impl KeyCounts {
    /// Counts values of this JSON text.
    fn add(&mut self, scope: Scope, key: &str, (value_type, raw): (ValueType, &str), count: u64) {
        let keys = self.0.entry(scope).or_default();
        if !keys.contains_key(key) {
            keys.insert(key.to_owned(), Default::default());
        }
        let Some((counts, examples)) = keys.get_mut(key) else { return };
        counts.add(value_type, count);
        if examples.wants(value_type)
            && let Some(value) = json::read_raw(raw)
        {
            examples.add(value_type, &value.to_string());
        }
    }

    /// Everything that was counted. Keys are added by name, so that the same spans give the same
    /// catalog even where it overflows.
    pub fn into_catalog(self) -> Catalog {
        let mut catalog = Catalog::default();
        for (scope, keys) in self.0 {
            let mut keys: Vec<_> = keys.into_iter().collect();
            keys.sort_by(|a, b| a.0.cmp(&b.0));
            for (key, (counts, examples)) in keys {
                catalog.add(scope, &key, &counts);
                catalog.add_examples(scope, &key, &examples);
            }
        }
        catalog
    }
}

/// Collects the KeyValue messages of one attribute list and writes them as a JSON object.
#[derive(Debug, Default)]
pub struct Attributes<'a> {
    entries: Vec<(Cow<'a, str>, Cow<'a, [u8]>)>,
    /// Attributes beyond the limit.
    pub dropped: u32,
}

impl<'a> Attributes<'a> {
    /// Takes one KeyValue message; of a key that stands twice, the last value counts.
    pub fn push(&mut self, message: &'a [u8], marks: &mut Marks) {
        let (key, value) = key_value(message);
        let key = text(key, limits::KEY_BYTES_MAX, marks);
        if let Some((_, earlier)) = self.entries.iter_mut().find(|(k, _)| *k == key) {
            *earlier = value;
            marks.add(Marks::DUPLICATE_KEYS);
        } else if self.entries.len() < limits::ATTRIBUTES_MAX {
            self.entries.push((key, value));
        } else {
            self.dropped += 1;
            marks.add(Marks::TRUNCATED);
        }
    }

    /// Appends the JSON object and counts each key `count` times.
    pub fn write(
        &self,
        out: &mut String,
        counts: &mut KeyCounts,
        scope: Scope,
        count: u64,
        marks: &mut Marks,
    ) {
        out.push('{');
        for (index, (key, value)) in self.entries.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            json::write_string(out, key);
            out.push(':');
            let start = out.len();
            let value_type = write_any(out, value, 1, marks);
            counts.add(scope, key, (value_type, &out[start..]), count);
        }
        out.push('}');
    }

    /// The string value of a key, where it is one.
    pub fn string(&self, key: &str) -> Option<&[u8]> {
        let (_, value) = self.entries.iter().find(|(k, _)| k == key)?;
        match any_value(value) {
            // A borrowed slice of `value`, which outlives this call.
            Any::String(bytes) => Some(bytes),
            _ => None,
        }
    }
}

/// Key and value of a KeyValue message; a value in pieces is merged by joining them.
fn key_value(message: &[u8]) -> (&[u8], Cow<'_, [u8]>) {
    let mut key: &[u8] = &[];
    let mut value: Option<Cow<'_, [u8]>> = None;
    let mut fields = Fields::new(message, 0);
    while let Ok(Some((field, part))) = fields.next() {
        match field {
            1 => key = part.bytes(),
            2 => join(&mut value, part.bytes()),
            _ => {}
        }
    }
    (key, value.unwrap_or_default())
}

/// Messages that come in pieces merge when the pieces are read one after the other.
fn join<'a>(whole: &mut Option<Cow<'a, [u8]>>, piece: &'a [u8]) {
    match whole {
        Some(earlier) => earlier.to_mut().extend_from_slice(piece),
        None => *whole = Some(Cow::Borrowed(piece)),
    }
}

/// An AnyValue's content.
enum Any<'a> {
    None,
    String(&'a [u8]),
    Bool(bool),
    Int(i64),
    Double(f64),
    Array(Cow<'a, [u8]>),
    Map(Cow<'a, [u8]>),
    Bytes(&'a [u8]),
}

/// The content of an AnyValue message: the last field counts, lists of the same kind merge.
fn any_value(message: &[u8]) -> Any<'_> {
    let mut any = Any::None;
    let mut fields = Fields::new(message, 0);
    while let Ok(Some((field, value))) = fields.next() {
        any = match field {
            1 => Any::String(value.bytes()),
            2 => Any::Bool(value.varint() != 0),
            3 => Any::Int(value.varint().cast_signed()),
            4 => Any::Double(f64::from_bits(value.fixed64())),
            5 => {
                let mut whole = if let Any::Array(earlier) = any { Some(earlier) } else { None };
                join(&mut whole, value.bytes());
                Any::Array(whole.unwrap_or_default())
            }
            6 => {
                let mut whole = if let Any::Map(earlier) = any { Some(earlier) } else { None };
                join(&mut whole, value.bytes());
                Any::Map(whole.unwrap_or_default())
            }
            7 => Any::Bytes(value.bytes()),
            // An index into a string table that only profiles have: no value here.
            8 => Any::None,
            _ => any,
        };
    }
    any
}

/// Appends an AnyValue; `depth` is 1 for the value of an attribute.
fn write_any(out: &mut String, message: &[u8], depth: usize, marks: &mut Marks) -> ValueType {
    if depth > ANY_VALUE_DEPTH_MAX {
        marks.add(Marks::TOO_DEEP);
        out.push_str("null");
        return ValueType::Json;
    }
    match any_value(message) {
        Any::None => out.push_str("null"),
        Any::String(bytes) => {
            json::write_string(out, &text(bytes, limits::VALUE_BYTES_MAX, marks));
            return ValueType::String;
        }
        Any::Bool(value) => {
            out.push_str(if value { "true" } else { "false" });
            return ValueType::Bool;
        }
        Any::Int(value) => {
            json::write_int(out, value);
            return ValueType::Int;
        }
        Any::Double(value) => {
            json::write_double(out, value);
            return ValueType::Double;
        }
        Any::Array(values) => write_array(out, &values, depth, marks),
        Any::Map(entries) => write_map(out, &entries, depth, marks),
        Any::Bytes(bytes) => {
            let cut = bytes.len().min(limits::VALUE_BYTES_MAX);
            if cut < bytes.len() {
                marks.add(Marks::TRUNCATED);
            }
            json::write_bytes(out, &bytes[..cut]);
        }
    }
    ValueType::Json
}

fn write_array(out: &mut String, message: &[u8], depth: usize, marks: &mut Marks) {
    out.push('[');
    let mut fields = Fields::new(message, 0);
    let mut first = true;
    while let Ok(Some((field, value))) = fields.next() {
        if field == 1 {
            if !std::mem::take(&mut first) {
                out.push(',');
            }
            write_any(out, value.bytes(), depth + 1, marks);
        }
    }
    out.push(']');
}

fn write_map(out: &mut String, message: &[u8], depth: usize, marks: &mut Marks) {
    let mut entries = Attributes::default();
    let mut fields = Fields::new(message, 0);
    while let Ok(Some((field, value))) = fields.next() {
        if field == 1 {
            entries.push(value.bytes(), marks);
        }
    }
    // `{"$bytes":..}` and the like are spellings of other values; a map that looks so is wrapped.
    let wrapped = matches!(entries.entries.as_slice(), [(key, _)] if key.starts_with('$'));
    out.push_str(if wrapped { "{\"$map\":{" } else { "{" });
    for (index, (key, value)) in entries.entries.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        json::write_string(out, key);
        out.push(':');
        write_any(out, value, depth + 1, marks);
    }
    out.push_str(if wrapped { "}}" } else { "}" });
}
