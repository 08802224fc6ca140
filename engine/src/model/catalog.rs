//! The catalog: which attribute keys were seen in each scope, with which types, how often and with
//! which value for instance, and which keys have a promoted column. It decides the type that a key
//! has in SQL.

use std::collections::BTreeMap;

use super::examples::Examples;
use super::json::ValueType;

/// Where an attribute stands.
///
/// ```
/// use amida::Scope;
///
/// let words: Vec<&str> = Scope::ALL.iter().map(|scope| scope.word()).collect();
/// assert_eq!(words, ["span", "resource", "scope", "event", "link"]);
/// ```
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
///
/// ```
/// use amida::json::ValueType;
/// use amida::{SqlType, TypeCounts};
///
/// let mut counts = TypeCounts::default();
/// counts.add(ValueType::Int, 3);
/// counts.add(ValueType::String, 1);
/// assert_eq!(counts.seen(), [(ValueType::Int, 3), (ValueType::String, 1)]);
/// assert_eq!((counts.total(), counts.sql_type()), (4, SqlType::Mixed));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct TypeCounts(pub [u64; 5]);

/// The type a key has in SQL.
///
/// ```
/// use amida::json::ValueType;
/// use amida::{SqlType, TypeCounts};
///
/// let mut counts = TypeCounts::default();
/// assert_eq!(counts.sql_type(), SqlType::Unknown);
/// counts.add(ValueType::Int, 1);
/// assert_eq!(counts.sql_type(), SqlType::One(ValueType::Int));
/// counts.add(ValueType::Double, 1); // integers and doubles together are doubles
/// assert_eq!(counts.sql_type(), SqlType::One(ValueType::Double));
/// ```
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
        let counted = &mut self.0[value_type as usize];
        *counted = counted.saturating_add(count);
    }

    /// Adds all counts of another.
    pub fn merge(&mut self, other: &TypeCounts) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine = mine.saturating_add(theirs);
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
        self.0.iter().fold(0, |total, count| total.saturating_add(*count))
    }
}

/// A key whose values stand a second time in a flat, typed column of the segments.
///
/// ```
/// use amida::{Promoted, PromotedType, Scope};
///
/// let key = "http.route".to_owned();
/// let promoted = Promoted { scope: Scope::Span, key, value_type: PromotedType::String };
/// assert_eq!(promoted.column_name(), "attr.http.route");
/// ```
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
///
/// ```
/// use amida::{Options, PromotedType};
///
/// let keys = [("user.id".to_owned(), PromotedType::String)];
/// let options = Options::default().promote(keys); // a column of its own from the first flush on
/// ```
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

/// Keys with their type counts and examples, per scope, bounded.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use amida::{RequestBuilder, Resource, SpanBuilder, Store};
/// # let store = Store::in_memory();
/// # let id = "4bf92f3577b34da6a3ce929d0e0e4736".parse()?;
/// # let span = SpanBuilder::new(id, "00f067aa0ba902b7".parse()?, "GET /cart")
/// #     .attribute("http.response.status_code", 503);
/// # let body = RequestBuilder::new(Resource::new("checkout")).span(span).finish();
/// # let _receipt = store.append_otlp(body)?;
/// use amida::json::ValueType;
/// use amida::{Scope, SqlType};
///
/// let catalog = store.snapshot().catalog()?;
/// let found = catalog.sql_type(Scope::Span, "http.response.status_code");
/// assert_eq!(found, SqlType::One(ValueType::Int));
/// for (key, counts) in catalog.keys(Scope::Span) {
///     println!("{key}: {} values", counts.total());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Catalog {
    keys: BTreeMap<Scope, BTreeMap<String, TypeCounts>>,
    /// Values whose key was not taken up because the scope was full.
    overflow: BTreeMap<Scope, u64>,
    /// Of keys that were taken up; missing in stores from before there were examples.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    examples: BTreeMap<Scope, BTreeMap<String, Examples>>,
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
            let overflow = self.overflow.entry(scope).or_default();
            *overflow = overflow.saturating_add(counts.total());
        }
    }

    /// Adds examples of one key, where there are none of their types. Does nothing for a key that
    /// was not taken up.
    pub fn add_examples(&mut self, scope: Scope, key: &str, examples: &Examples) {
        if !self.keys.get(&scope).is_some_and(|keys| keys.contains_key(key)) {
            return;
        }
        let known = self.examples.entry(scope).or_default();
        match known.get_mut(key) {
            Some(mine) => mine.merge(examples),
            None => {
                known.insert(key.to_owned(), examples.clone());
            }
        }
    }

    /// Adds everything of another catalog; of examples, its own stand first.
    pub fn merge(&mut self, other: &Catalog) {
        for (scope, keys) in &other.keys {
            for (key, counts) in keys {
                self.add(*scope, key, counts);
            }
        }
        for (scope, count) in &other.overflow {
            let overflow = self.overflow.entry(*scope).or_default();
            *overflow = overflow.saturating_add(*count);
        }
        for (scope, keys) in &other.examples {
            for (key, examples) in keys {
                self.add_examples(*scope, key, examples);
            }
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

    /// A value of a key as text: the first of this type that was seen, cut at
    /// `Examples::BYTES_MAX` bytes.
    pub fn example(&self, scope: Scope, key: &str, value_type: ValueType) -> Option<&str> {
        self.examples.get(&scope)?.get(key)?.get(value_type)
    }

    /// How many values of a scope have a key that is not listed because the scope was full.
    pub fn overflow(&self, scope: Scope) -> u64 {
        self.overflow.get(&scope).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::{Catalog, Examples, Scope, TypeCounts};
    use crate::model::json::ValueType;

    fn with(scope: Scope, key: &str, examples: &[(ValueType, &str)]) -> Catalog {
        let (mut counts, mut kept) = (TypeCounts::default(), Examples::default());
        for (value_type, text) in examples {
            counts.add(*value_type, 1);
            kept.add(*value_type, text);
        }
        let mut catalog = Catalog::default();
        catalog.add(scope, key, &counts);
        catalog.add_examples(scope, key, &kept);
        catalog
    }

    #[test]
    fn the_first_value_of_each_type_is_the_example_and_stays_it_when_catalogs_merge() {
        use ValueType::{Int, String};
        let mut first = with(Scope::Span, "k", &[(String, "a"), (String, "b")]);
        first.merge(&with(Scope::Span, "k", &[(String, "c"), (Int, "1")]));
        first.merge(&with(Scope::Span, "k", &[(Int, "2")]));
        let of = |value_type| first.example(Scope::Span, "k", value_type);
        assert_eq!((of(String), of(Int), of(ValueType::Bool)), (Some("a"), Some("1"), None));
        assert_eq!(first.example(Scope::Link, "k", String), None);
    }

    #[test]
    fn long_examples_are_cut_between_characters_and_say_so() {
        let catalog = with(Scope::Span, "k", &[(ValueType::String, &"\u{e9}".repeat(40))]);
        let example = catalog.example(Scope::Span, "k", ValueType::String).unwrap();
        assert_eq!(example, format!("{}...", "\u{e9}".repeat(30)));
        let whole = "x".repeat(Examples::BYTES_MAX);
        let catalog = with(Scope::Span, "k", &[(ValueType::String, &whole)]);
        assert_eq!(catalog.example(Scope::Span, "k", ValueType::String), Some(&*whole));
    }

    #[test]
    fn a_full_scope_keeps_no_examples_of_keys_that_it_does_not_list() {
        let mut catalog = Catalog::default();
        for key in 0..=Catalog::KEYS_MAX {
            let one = with(Scope::Span, &format!("key.{key:05}"), &[(ValueType::Int, "1")]);
            catalog.merge(&one);
        }
        assert_eq!(catalog.overflow(Scope::Span), 1);
        assert_eq!(catalog.example(Scope::Span, "key.04095", ValueType::Int), Some("1"));
        assert_eq!(catalog.example(Scope::Span, "key.04096", ValueType::Int), None);
        assert_eq!(catalog.examples[&Scope::Span].len(), Catalog::KEYS_MAX);
    }

    #[test]
    fn catalogs_come_back_from_json_and_older_ones_have_no_examples() {
        let catalog = with(Scope::Event, "k", &[(ValueType::Double, "1.5")]);
        let text = serde_json::to_string(&catalog).unwrap();
        assert_eq!(serde_json::from_str::<Catalog>(&text).unwrap(), catalog);
        let before = r#"{"keys":{"event":{"k":[0,0,0,1,0]}},"overflow":{}}"#;
        let before: Catalog = serde_json::from_str(before).unwrap();
        assert_eq!(before.counts(Scope::Event, "k").total(), 1);
        assert_eq!(before.example(Scope::Event, "k", ValueType::Double), None);
    }
}
