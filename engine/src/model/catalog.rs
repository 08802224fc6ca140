//! The catalog: which attribute keys were seen in each scope, with which types and how often, and
//! which keys have a promoted column. It decides the type that a key has in SQL.

use std::collections::BTreeMap;

use super::json::ValueType;

/// Where an attribute stands.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// `attributes` of spans.
    Span,
    /// `resource_attributes`.
    Resource,
    /// `scope_attributes`.
    Scope,
    /// `attributes` of events.
    Event,
    /// `attributes` of links.
    Link,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Scope; 5] =
        [Scope::Span, Scope::Resource, Scope::Scope, Scope::Event, Scope::Link];

    /// The word for this scope.
    pub fn word(self) -> &'static str {
        match self {
            Scope::Span => "span",
            Scope::Resource => "resource",
            Scope::Scope => "scope",
            Scope::Event => "event",
            Scope::Link => "link",
        }
    }
}

/// How often each type was seen for one key, by `ValueType::ALL`'s order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct TypeCounts(pub [u64; 5]);

/// The type a key has in SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqlType {
    /// Never seen: text, and null in every row.
    Unknown,
    /// Every value has this type (integers and doubles together are `Double`; `Json` is text).
    One(ValueType),
    /// Values of several types: text, complete.
    Mixed,
}

impl TypeCounts {
    /// Counts `count` values of a type.
    pub fn add(&mut self, value_type: ValueType, count: u64) {
        self.0[value_type as usize] += count;
    }

    /// Adds all counts of another.
    pub fn merge(&mut self, other: &TypeCounts) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    /// The counts that are not zero, largest first.
    pub fn seen(&self) -> Vec<(ValueType, u64)> {
        let mut seen: Vec<_> =
            ValueType::ALL.into_iter().zip(self.0).filter(|(_, n)| *n > 0).collect();
        seen.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        seen
    }

    /// The type of the key in SQL.
    pub fn sql_type(&self) -> SqlType {
        use ValueType::{Double, Int};
        match self.seen().as_slice() {
            [] => SqlType::Unknown,
            [(only, _)] => SqlType::One(*only),
            [(Int, _), (Double, _)] | [(Double, _), (Int, _)] => SqlType::One(Double),
            _ => SqlType::Mixed,
        }
    }

    /// Number of values.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// A key whose values stand a second time in a flat, typed column of the segments.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Promoted {
    /// `Span` or `Resource`.
    pub scope: Scope,
    /// The attribute key.
    pub key: String,
    /// The one type of the column; never `Json`.
    pub value_type: PromotedType,
}

/// The type of a promoted column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromotedType {
    /// Utf8View.
    String,
    /// Boolean.
    Bool,
    /// Int64.
    Int,
    /// Float64.
    Double,
}

impl PromotedType {
    /// The column type for a value type; `None` for JSON, which is never promoted.
    pub fn of(value_type: ValueType) -> Option<Self> {
        match value_type {
            ValueType::String => Some(Self::String),
            ValueType::Bool => Some(Self::Bool),
            ValueType::Int => Some(Self::Int),
            ValueType::Double => Some(Self::Double),
            ValueType::Json => None,
        }
    }

    /// The value type that the column holds.
    pub fn value_type(self) -> ValueType {
        match self {
            Self::String => ValueType::String,
            Self::Bool => ValueType::Bool,
            Self::Int => ValueType::Int,
            Self::Double => ValueType::Double,
        }
    }
}

impl Promoted {
    /// The column's name in the segment: `attr.<key>` or `resource.<key>`.
    pub fn column_name(&self) -> String {
        let prefix = if self.scope == Scope::Resource { "resource" } else { "attr" };
        format!("{prefix}.{}", self.key)
    }
}

/// Keys with their type counts, per scope, bounded.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Catalog {
    keys: BTreeMap<Scope, BTreeMap<String, TypeCounts>>,
    /// Values whose key was not taken up because the scope was full.
    overflow: BTreeMap<Scope, u64>,
}

impl Catalog {
    /// Most keys a scope may have; values of further keys are counted as overflow and their keys
    /// are text in SQL.
    pub const KEYS_MAX: usize = 4096;

    /// Counts values of one key.
    pub fn add(&mut self, scope: Scope, key: &str, counts: &TypeCounts) {
        let keys = self.keys.entry(scope).or_default();
        if let Some(mine) = keys.get_mut(key) {
            mine.merge(counts);
        } else if keys.len() < Self::KEYS_MAX {
            keys.insert(key.to_owned(), *counts);
        } else {
            *self.overflow.entry(scope).or_default() += counts.total();
        }
    }

    /// Adds everything of another catalog.
    pub fn merge(&mut self, other: &Catalog) {
        for (scope, keys) in &other.keys {
            for (key, counts) in keys {
                self.add(*scope, key, counts);
            }
        }
        for (scope, count) in &other.overflow {
            *self.overflow.entry(*scope).or_default() += count;
        }
    }

    /// The counts of one key; zero when it was never seen.
    pub fn counts(&self, scope: Scope, key: &str) -> TypeCounts {
        self.keys.get(&scope).and_then(|keys| keys.get(key)).copied().unwrap_or_default()
    }

    /// The type of a key in SQL. In a scope that overflowed, an unlisted key is `Mixed`: its values
    /// are complete as text and nothing is known of their types.
    pub fn sql_type(&self, scope: Scope, key: &str) -> SqlType {
        match self.counts(scope, key).sql_type() {
            SqlType::Unknown if self.overflow.contains_key(&scope) => SqlType::Mixed,
            known => known,
        }
    }

    /// All keys of a scope with their counts, by key.
    pub fn keys(&self, scope: Scope) -> impl Iterator<Item = (&str, &TypeCounts)> {
        self.keys.get(&scope).into_iter().flatten().map(|(k, c)| (k.as_str(), c))
    }
}
