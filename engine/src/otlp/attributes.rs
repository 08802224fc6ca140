//! KeyValue and AnyValue messages to attribute text (`model::json`).

use std::borrow::Cow;

use super::keys::{KeyNumber, ScopeKeys};
use super::text::{limits, text, write_text};
use super::wire::{ANY_VALUE_DEPTH_MAX, Fields, Value, usual_key_value, usual_scalar};
use crate::model::json::{self, ValueType};
use crate::model::schema::Marks;

/// More than most lists have.
const ATTRIBUTES: usize = 32;

/// Collects the KeyValue messages of one attribute list and writes them as a JSON object.
#[derive(Debug)]
pub struct Attributes<'a> {
    entries: Vec<(KeyNumber, Cow<'a, [u8]>)>,
    /// Attributes beyond the limit.
    pub dropped: u32,
}

impl<'a> Attributes<'a> {
    /// Begins a list of attributes with keys of this scope.
    pub fn begin(keys: &mut ScopeKeys) -> Self {
        keys.begin_list();
        Self { entries: Vec::with_capacity(ATTRIBUTES), dropped: 0 }
    }

    /// Takes one KeyValue message; of a key that stands twice, the last value counts.
    pub fn push(&mut self, message: &'a [u8], keys: &mut ScopeKeys, marks: &mut Marks) {
        let (key, value) = key_value(message);
        let key = keys.number(key, marks);
        if keys.is_listed(key) {
            if let Some((_, earlier)) = self.entries.iter_mut().find(|(k, _)| *k == key) {
                *earlier = value;
            }
            marks.add(Marks::DUPLICATE_KEYS);
        } else if self.entries.len() < limits::ATTRIBUTES_MAX {
            keys.put_in_list(key);
            self.entries.push((key, value));
        } else {
            self.dropped += 1;
            marks.add(Marks::TRUNCATED);
        }
    }

    /// Appends the JSON object, and tells each key's type and value.
    pub fn write(
        &self,
        out: &mut Vec<u8>,
        keys: &mut ScopeKeys,
        marks: &mut Marks,
        mut each: impl FnMut(&mut ScopeKeys, KeyNumber, ValueType, &[u8]),
    ) {
        out.push(b'{');
        for (index, (key, value)) in self.entries.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(keys.json(*key));
            let start = out.len();
            let value_type = write_any(out, value, 1, marks);
            each(keys, *key, value_type, out.get(start..).unwrap_or_default());
        }
        out.push(b'}');
    }

    /// As `write`, and counts each key once.
    pub fn write_counted(&self, out: &mut Vec<u8>, keys: &mut ScopeKeys, marks: &mut Marks) {
        self.write(out, keys, marks, |keys, key, value_type, raw| {
            keys.count(key, value_type, raw, 1);
        });
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The string value of a key, where it is one.
    pub fn string(&self, key: &str, keys: &ScopeKeys) -> Option<&[u8]> {
        let (_, value) = self.entries.iter().find(|(k, _)| keys.text(*k) == key)?;
        match any_value(value) {
            // A borrowed slice of `value`, which outlives this call.
            Any::String(bytes) => Some(bytes),
            _ => None,
        }
    }
}

/// Key and value of a KeyValue message; a value in pieces is merged by joining them.
fn key_value(message: &[u8]) -> (&[u8], Cow<'_, [u8]>) {
    if let Some((key, value)) = usual_key_value(message) {
        return (key, Cow::Borrowed(value));
    }
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
    if let Some((field, value)) = usual_scalar(message) {
        return any_field(Any::None, field, value);
    }
    let mut any = Any::None;
    let mut fields = Fields::new(message, 0);
    while let Ok(Some((field, value))) = fields.next() {
        any = any_field(any, field, value);
    }
    any
}

/// An AnyValue's content after one field more.
#[inline(always)]
fn any_field<'a>(earlier: Any<'a>, field: u32, value: Value<'a>) -> Any<'a> {
    match field {
        1 => Any::String(value.bytes()),
        2 => Any::Bool(value.varint() != 0),
        3 => Any::Int(value.varint().cast_signed()),
        4 => Any::Double(f64::from_bits(value.fixed64())),
        5 => {
            let mut whole = if let Any::Array(earlier) = earlier { Some(earlier) } else { None };
            join(&mut whole, value.bytes());
            Any::Array(whole.unwrap_or_default())
        }
        6 => {
            let mut whole = if let Any::Map(earlier) = earlier { Some(earlier) } else { None };
            join(&mut whole, value.bytes());
            Any::Map(whole.unwrap_or_default())
        }
        7 => Any::Bytes(value.bytes()),
        // An index into a string table that only profiles have: no value here.
        8 => Any::None,
        _ => earlier,
    }
}

/// Appends an AnyValue; `depth` is 1 for the value of an attribute.
fn write_any(out: &mut Vec<u8>, message: &[u8], depth: usize, marks: &mut Marks) -> ValueType {
    if depth > ANY_VALUE_DEPTH_MAX {
        marks.add(Marks::TOO_DEEP);
        out.extend_from_slice(b"null");
        return ValueType::Json;
    }
    match any_value(message) {
        Any::None => out.extend_from_slice(b"null"),
        Any::String(bytes) => {
            write_text(out, bytes, limits::VALUE_BYTES_MAX, marks);
            return ValueType::String;
        }
        Any::Bool(value) => {
            out.extend_from_slice(if value { &b"true"[..] } else { b"false" });
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

fn write_array(out: &mut Vec<u8>, message: &[u8], depth: usize, marks: &mut Marks) {
    out.push(b'[');
    let mut fields = Fields::new(message, 0);
    let mut first = true;
    while let Ok(Some((field, value))) = fields.next() {
        if field == 1 {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            write_any(out, value.bytes(), depth + 1, marks);
        }
    }
    out.push(b']');
}

fn write_map(out: &mut Vec<u8>, message: &[u8], depth: usize, marks: &mut Marks) {
    let mut entries: Vec<(Cow<'_, str>, Cow<'_, [u8]>)> = Vec::new();
    let mut fields = Fields::new(message, 0);
    while let Ok(Some((field, value))) = fields.next() {
        if field != 1 {
            continue;
        }
        let (key, value) = key_value(value.bytes());
        let key = text(key, limits::KEY_BYTES_MAX, marks);
        if let Some((_, earlier)) = entries.iter_mut().find(|(k, _)| *k == key) {
            *earlier = value;
            marks.add(Marks::DUPLICATE_KEYS);
        } else if entries.len() < limits::ATTRIBUTES_MAX {
            entries.push((key, value));
        } else {
            marks.add(Marks::TRUNCATED);
        }
    }
    // `{"$bytes":..}` and the like are spellings of other values; a map that looks so is wrapped.
    let wrapped = matches!(entries.as_slice(), [(key, _)] if key.starts_with('$'));
    out.extend_from_slice(if wrapped { &b"{\"$map\":{"[..] } else { b"{" });
    for (index, (key, value)) in entries.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        json::write_string(out, key);
        out.push(b':');
        write_any(out, value, depth + 1, marks);
    }
    out.extend_from_slice(if wrapped { &b"}}"[..] } else { b"}" });
}
