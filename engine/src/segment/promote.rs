//! Promoted columns: the values of hot attribute keys, read from the attributes' JSON text.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, StringViewArray,
    StringViewBuilder,
};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::model::batch::SpanBatch;
use crate::model::catalog::{Promoted, PromotedType, Scope};
use crate::model::json::{Value, raw_type, read_raw};
use crate::model::schema::col;

/// Distinct resources whose values are remembered at a time.
const RESOURCES_MAX: usize = 4096;

/// The promoted columns of a row group, and which of them are complete: hold every value of their
/// key, so that a null means that the span does not have the key.
pub struct Columns {
    /// In the order of the promoted keys.
    pub arrays: Vec<ArrayRef>,
    /// The same order.
    pub complete: Vec<bool>,
}

/// Reads the promoted columns of these spans.
pub fn columns(batch: &SpanBatch, promoted: &[Promoted]) -> Columns {
    let mut columns: Vec<Column> =
        promoted.iter().map(|key| Column::new(key.value_type, batch.len())).collect();
    fill(&mut columns, batch.text(col::ATTRIBUTES), &Keys::of(promoted, Scope::Span));
    let resources = Keys::of(promoted, Scope::Resource);
    fill_cached(&mut columns, batch.text(col::RESOURCE_ATTRIBUTES), &resources);
    let complete = columns.iter().map(|column| column.complete).collect();
    Columns { arrays: columns.into_iter().map(Column::finish).collect(), complete }
}

/// Reads each row's object once.
fn fill(columns: &mut [Column], texts: &StringViewArray, keys: &Keys<'_>) {
    if keys.is_empty() {
        return;
    }
    let mut raws = Vec::new();
    for row in 0..texts.len() {
        keys.read(texts.value(row), &mut raws);
        for (column, raw) in keys.positions().zip(&raws) {
            columns[column].push(*raw);
        }
    }
}

/// As `fill`, but a text that is stored once and shared by many rows is read once.
fn fill_cached(columns: &mut [Column], texts: &StringViewArray, keys: &Keys<'_>) {
    if keys.is_empty() {
        return;
    }
    // Equal views are equal text; equal text with other views is only read again.
    let mut seen: HashMap<u128, Vec<Option<&str>>> = HashMap::new();
    for (row, view) in texts.views().iter().enumerate() {
        if seen.len() >= RESOURCES_MAX {
            seen.clear();
        }
        let raws = seen.entry(*view).or_insert_with(|| {
            let mut raws = Vec::new();
            keys.read(texts.value(row), &mut raws);
            raws
        });
        for (column, raw) in keys.positions().zip(raws.iter()) {
            columns[column].push(*raw);
        }
    }
}

/// The promoted keys of one scope, to be found quickly: by length first.
struct Keys<'a> {
    sorted: Vec<(&'a str, usize)>,
}

impl<'a> Keys<'a> {
    fn of(promoted: &'a [Promoted], scope: Scope) -> Self {
        let keys = promoted.iter().enumerate().filter(|(_, key)| key.scope == scope);
        let mut sorted: Vec<_> = keys.map(|(at, key)| (key.key.as_str(), at)).collect();
        sorted.sort_by_key(|(key, _)| (key.len(), *key));
        Self { sorted }
    }

    fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// Positions among all promoted keys, in the order of `read`.
    fn positions(&self) -> impl Iterator<Item = usize> {
        self.sorted.iter().map(|(_, at)| *at)
    }

    fn find(&self, key: &str) -> Option<usize> {
        self.sorted.binary_search_by(|(k, _)| (k.len(), *k).cmp(&(key.len(), key))).ok()
    }

    /// The raw value of each key in an object; none when the text is no such object.
    fn read<'t>(&self, object: &'t str, values: &mut Vec<Option<&'t str>>) {
        values.clear();
        values.resize(self.sorted.len(), None);
        let mut text = serde_json::Deserializer::from_str(object);
        if text.deserialize_map(Read { keys: self, values: &mut *values }).is_err() {
            values.fill(None);
        }
    }
}

struct Read<'k, 't> {
    keys: &'k Keys<'k>,
    values: &'k mut Vec<Option<&'t str>>,
}

impl<'t> Visitor<'t> for Read<'_, 't> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an attribute object")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(found) = map.next_key_seed(Find(self.keys))? {
            match found.and_then(|at| self.values.get_mut(at)) {
                Some(value) => *value = Some(map.next_value::<&'t RawValue>()?.get()),
                None => drop(map.next_value::<serde::de::IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// Reads a key of an object as its position among the wanted keys.
struct Find<'k>(&'k Keys<'k>);

impl<'t> DeserializeSeed<'t> for Find<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'t>>(self, text: D) -> Result<Self::Value, D::Error> {
        text.deserialize_str(self)
    }
}

impl Visitor<'_> for Find<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.find(key))
    }
}

/// One promoted column under construction.
struct Column {
    builder: Builder,
    value_type: PromotedType,
    complete: bool,
}

enum Builder {
    String(StringViewBuilder),
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Double(Float64Builder),
}

impl Column {
    fn new(value_type: PromotedType, rows: usize) -> Self {
        let builder = match value_type {
            PromotedType::String => Builder::String(StringViewBuilder::with_capacity(rows)),
            PromotedType::Bool => Builder::Bool(BooleanBuilder::with_capacity(rows)),
            PromotedType::Int => Builder::Int(Int64Builder::with_capacity(rows)),
            PromotedType::Double => Builder::Double(Float64Builder::with_capacity(rows)),
        };
        Self { builder, value_type, complete: true }
    }

    /// The next row's value, from its raw JSON text. One of another type is left to the JSON.
    fn push(&mut self, raw: Option<&str>) {
        let value = match (&mut self.builder, raw) {
            (Builder::String(builder), Some(raw)) => {
                if let Some(text) = plain_text(raw) {
                    builder.append_value(text);
                    return;
                }
                typed(raw, self.value_type)
            }
            (_, Some(raw)) => typed(raw, self.value_type),
            (_, None) => None,
        };
        self.complete &= raw.is_none() || value.is_some();
        match (&mut self.builder, value) {
            (Builder::String(builder), Some(Value::String(text))) => builder.append_value(text),
            (Builder::String(builder), _) => builder.append_null(),
            (Builder::Bool(builder), Some(Value::Bool(value))) => builder.append_value(value),
            (Builder::Bool(builder), _) => builder.append_null(),
            (Builder::Int(builder), Some(Value::Int(value))) => builder.append_value(value),
            (Builder::Int(builder), _) => builder.append_null(),
            (Builder::Double(builder), Some(Value::Double(value))) => builder.append_value(value),
            (Builder::Double(builder), _) => builder.append_null(),
        }
    }

    fn finish(self) -> ArrayRef {
        match self.builder {
            Builder::String(mut builder) => Arc::new(builder.finish()),
            Builder::Bool(mut builder) => Arc::new(builder.finish()),
            Builder::Int(mut builder) => Arc::new(builder.finish()),
            Builder::Double(mut builder) => Arc::new(builder.finish()),
        }
    }
}

/// The value when it has the column's type.
fn typed(raw: &str, wanted: PromotedType) -> Option<Value> {
    (raw_type(raw) == wanted.value_type()).then(|| read_raw(raw)).flatten()
}

/// The text of a JSON string without escapes.
fn plain_text(raw: &str) -> Option<&str> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    (!inner.as_bytes().contains(&b'\\')).then_some(inner)
}
