//! The attribute keys of the spans that are resolved together: each is read, escaped and looked up
//! once, and its values are counted for the catalog.

use std::collections::HashMap;

use super::text::{limits, text};
use crate::model::catalog::{Catalog, Scope, TypeCounts};
use crate::model::examples::Examples;
use crate::model::interner::Interner;
use crate::model::json::{self, ValueType};
use crate::model::schema::Marks;

/// A key's number among the keys of its scope.
pub type KeyNumber = u32;

/// The keys of all scopes.
#[derive(Debug, Default)]
pub struct Keys([ScopeKeys; Scope::ALL.len()]);

impl Keys {
    /// Keys whose values are not counted.
    pub fn uncounted() -> Self {
        let mut keys = Self::default();
        keys.0.iter_mut().for_each(|keys| keys.uncounted = true);
        keys
    }

    /// The keys of one scope.
    pub fn of(&mut self, scope: Scope) -> &mut ScopeKeys {
        &mut self.0[scope as usize]
    }

    /// Everything that was counted. Keys are added by name, so that the same spans give the same
    /// catalog even where it overflows.
    pub fn into_catalog(self) -> Catalog {
        let mut catalog = Catalog::default();
        for (scope, keys) in Scope::ALL.into_iter().zip(self.0) {
            let mut keys = keys.keys;
            keys.retain(|key| key.counts.total() > 0);
            keys.sort_by(|a, b| a.text.cmp(&b.text));
            for key in keys {
                catalog.add(scope, &key.text, &key.counts);
                catalog.add_examples(scope, &key.text, &key.examples);
            }
        }
        catalog
    }
}

/// The keys of one scope.
#[derive(Debug, Default)]
pub struct ScopeKeys {
    keys: Vec<Key>,
    /// Numbers of keys by their text.
    numbers: Interner,
    /// Keys that had to be repaired or cut, as they were sent: their number, and what was done.
    mended: HashMap<Box<[u8]>, (KeyNumber, Marks)>,
    /// The attribute list that is read now.
    list: u64,
    /// Nobody wants the catalog.
    uncounted: bool,
}

#[derive(Debug)]
struct Key {
    text: String,
    /// `"key":` as it stands in an object.
    json: Vec<u8>,
    /// The last list that it was in.
    list: u64,
    counts: TypeCounts,
    examples: Examples,
}

impl ScopeKeys {
    /// Begins an attribute list: no key is in it yet.
    pub fn begin_list(&mut self) {
        self.list += 1;
    }

    /// The number of a key as it was sent, repaired and cut where it must be.
    pub fn number(&mut self, sent: &[u8], marks: &mut Marks) -> KeyNumber {
        if let Some(number) = self.numbers.find(sent) {
            return number;
        }
        if let Some((number, mended)) = self.mended.get(sent) {
            marks.add(*mended);
            return *number;
        }
        let mut mended = Marks::default();
        let key = text(sent, limits::KEY_BYTES_MAX, &mut mended);
        let known = if *key.as_bytes() == *sent { None } else { self.numbers.find(key.as_bytes()) };
        let number = known.unwrap_or_else(|| self.add(&key));
        if mended != Marks::default() {
            self.mended.insert(sent.into(), (number, mended));
            marks.add(mended);
        }
        number
    }

    fn add(&mut self, text: &str) -> KeyNumber {
        let mut json = Vec::with_capacity(text.len() + 3);
        json::write_string(&mut json, text);
        json.push(b':');
        self.keys.push(Key {
            text: text.to_owned(),
            json,
            list: 0,
            counts: TypeCounts::default(),
            examples: Examples::default(),
        });
        self.numbers.add(text.as_bytes())
    }

    /// Whether the key is in the list that was begun last.
    pub fn is_listed(&self, number: KeyNumber) -> bool {
        self.keys.get(number as usize).is_some_and(|key| key.list == self.list)
    }

    /// Puts the key in the list that was begun last.
    pub fn put_in_list(&mut self, number: KeyNumber) {
        if let Some(key) = self.keys.get_mut(number as usize) {
            key.list = self.list;
        }
    }

    /// The key as it stands in an object: `"key":`.
    pub fn json(&self, number: KeyNumber) -> &[u8] {
        self.keys.get(number as usize).map_or(&[], |key| &key.json)
    }

    /// The key.
    pub fn text(&self, number: KeyNumber) -> &str {
        self.keys.get(number as usize).map_or("", |key| &key.text)
    }

    /// Counts values of a type; `raw` is one of them, as JSON text.
    pub fn count(&mut self, number: KeyNumber, value_type: ValueType, raw: &[u8], count: u64) {
        if self.uncounted {
            return;
        }
        let Some(key) = self.keys.get_mut(number as usize) else { return };
        key.counts.add(value_type, count);
        if key.examples.wants(value_type)
            && let Some(value) = str::from_utf8(raw).ok().and_then(json::read_raw)
        {
            key.examples.add(value_type, &value.to_string());
        }
    }

    /// Counts more values of a type that was counted before.
    pub fn count_more(&mut self, number: KeyNumber, value_type: ValueType, count: u64) {
        if self.uncounted {
            return;
        }
        if let Some(key) = self.keys.get_mut(number as usize) {
            key.counts.add(value_type, count);
        }
    }
}
