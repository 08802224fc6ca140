//! Promoted columns: the values of hot attribute keys, read from the attributes' JSON text.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, Float64Builder, Int64Builder, StringViewArray,
    StringViewBuilder,
};
use arrow::datatypes::Int64Type;
use memchr::memchr;

use crate::model::batch::SpanBatch;
use crate::model::catalog::{Promoted, PromotedType, Scope};
use crate::model::entries::Entries;
use crate::model::interner::Interner;
use crate::model::json::{Value, raw_type, read_raw, write_string};
use crate::model::schema::col;

/// Distinct resources whose values are remembered at a time.
const RESOURCES_MAX: usize = 4096;
/// Fewer values of a key tell nothing about how often they repeat.
const MEASURES_MIN: usize = 64;
/// Distinct keys that are remembered at a time.
const SEEN_MAX: usize = 4096;

/// The promoted columns of a row group, and which of them are complete: hold every value of their
/// key, so that a null means that the span does not have the key.
pub struct Columns {
    /// In the order of the promoted keys.
    pub arrays: Vec<ArrayRef>,
    /// The same order.
    pub complete: Vec<bool>,
}

/// Reads the promoted columns of spans with these attributes and resource attributes.
pub fn columns(attributes: &ArrayRef, resources: &ArrayRef, promoted: &[Promoted]) -> Columns {
    let rows = attributes.len();
    let mut columns: Vec<Column> =
        promoted.iter().map(|key| Column::new(key.value_type, rows)).collect();
    fill(&mut columns, attributes.as_string_view(), Keys::of(promoted, Scope::Span));
    fill_cached(&mut columns, resources.as_string_view(), Keys::of(promoted, Scope::Resource));
    let complete = columns.iter().map(|column| column.complete).collect();
    let arrays = columns.into_iter().map(|column| column.finish(rows)).collect();
    Columns { arrays, complete }
}

/// Reads the promoted columns of a batch.
pub fn of_batch(batch: &SpanBatch, promoted: &[Promoted]) -> Columns {
    let column = |column| batch.record_batch().column(column);
    columns(column(col::ATTRIBUTES), column(col::RESOURCE_ATTRIBUTES), promoted)
}

/// Those of these keys of integers that measure something: more than a quarter of their values are
/// different ones.
pub fn measures(batch: &SpanBatch, mut keys: Vec<Promoted>) -> Vec<Promoted> {
    let mut arrays = of_batch(batch, &keys).arrays.into_iter();
    keys.retain(|_| {
        let array = arrays.next();
        let values = array.as_ref().and_then(|array| array.as_primitive_opt::<Int64Type>());
        let values: Vec<i64> = values.into_iter().flatten().flatten().collect();
        let different: HashSet<i64> = values.iter().copied().collect();
        values.len() >= MEASURES_MIN && different.len() > values.len() / 4
    });
    keys
}

/// Reads each row's object once.
fn fill(columns: &mut [Column], texts: &StringViewArray, mut keys: Keys) {
    if keys.wanted.is_empty() {
        return;
    }
    let mut found = Vec::new();
    for row in 0..texts.len() {
        keys.read(texts.value(row), &mut found);
        for (at, raw) in &found {
            columns[*at].push(row, raw);
        }
    }
}

/// As `fill`, but a text that is stored once and shared by many rows is read once.
fn fill_cached(columns: &mut [Column], texts: &StringViewArray, mut keys: Keys) {
    if keys.wanted.is_empty() {
        return;
    }
    // Equal views are equal text; equal text with other views is only read again.
    let mut seen: HashMap<u128, Vec<(usize, &str)>> = HashMap::new();
    for (row, view) in texts.views().iter().enumerate() {
        if seen.len() >= RESOURCES_MAX {
            seen.clear();
        }
        let found = seen.entry(*view).or_insert_with(|| {
            let mut found = Vec::new();
            keys.read(texts.value(row), &mut found);
            found
        });
        for (at, raw) in &*found {
            columns[*at].push(row, raw);
        }
    }
}

/// The keys of one scope: the promoted ones, and all others that were seen.
struct Keys {
    /// Promoted keys as they stand in an object, and their positions among all promoted keys.
    wanted: HashMap<Vec<u8>, usize>,
    seen: Interner,
    /// For each number of `seen`, the position of the promoted key.
    positions: Vec<Option<usize>>,
}

impl Keys {
    fn of(promoted: &[Promoted], scope: Scope) -> Self {
        let keys = promoted.iter().enumerate().filter(|(_, key)| key.scope == scope);
        let wanted = keys.map(|(at, key)| {
            let mut json = Vec::new();
            write_string(&mut json, &key.key);
            (json[1..json.len() - 1].to_vec(), at)
        });
        Self { wanted: wanted.collect(), seen: Interner::default(), positions: Vec::new() }
    }

    /// The position of a key among the promoted ones, if it is one.
    fn position(&mut self, key: &str) -> Option<usize> {
        let key = key.as_bytes();
        let number = self.seen.find(key).unwrap_or_else(|| {
            if self.positions.len() >= SEEN_MAX {
                (self.seen, self.positions) = Default::default();
            }
            self.positions.push(self.wanted.get(key).copied());
            self.seen.add(key)
        });
        self.positions.get(number as usize).copied().flatten()
    }

    /// The promoted keys of an object, as positions, and their raw values.
    fn read<'t>(&mut self, object: &'t str, found: &mut Vec<(usize, &'t str)>) {
        found.clear();
        let mut entries = Entries::of(object);
        loop {
            let guess = self.seen.guess();
            let guessed = guess.and_then(|(key, number)| Some((entries.next_if(key)?, number)));
            let (position, raw) = if let Some((raw, number)) = guessed {
                self.seen.take_guess(number);
                (self.positions.get(number as usize).copied().flatten(), raw)
            } else if let Some((key, raw)) = entries.next() {
                (self.position(key), raw)
            } else {
                return;
            };
            found.extend(position.map(|at| (at, raw)));
        }
    }
}

/// One promoted column under construction.
struct Column {
    builder: Builder,
    value_type: PromotedType,
    /// Rows that have a value or a null.
    rows: usize,
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
        Self { builder, value_type, rows: 0, complete: true }
    }

    /// A row's value, from its raw JSON text; rows come in order. One of another type is left to
    /// the JSON.
    fn push(&mut self, row: usize, raw: &str) {
        self.fill_up(row);
        if self.rows > row {
            // The key stood twice, which no writer of ours does.
            self.complete = false;
            return;
        }
        self.rows += 1;
        if let (Builder::String(builder), Some(text)) = (&mut self.builder, plain_text(raw)) {
            builder.append_value(text);
            return;
        }
        let value = typed(raw, self.value_type);
        self.complete &= value.is_some();
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

    /// Nulls up to this row.
    fn fill_up(&mut self, row: usize) {
        let nulls = row.saturating_sub(self.rows);
        match &mut self.builder {
            Builder::String(builder) => (0..nulls).for_each(|_| builder.append_null()),
            Builder::Bool(builder) => builder.append_nulls(nulls),
            Builder::Int(builder) => builder.append_nulls(nulls),
            Builder::Double(builder) => builder.append_nulls(nulls),
        }
        self.rows += nulls;
    }

    fn finish(mut self, rows: usize) -> ArrayRef {
        self.fill_up(rows);
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
    memchr(b'\\', inner.as_bytes()).is_none().then_some(inner)
}
