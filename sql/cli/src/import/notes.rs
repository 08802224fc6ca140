//! What an importer has to say about a span beside what the span says: attributes
//! `amida.source.*`.

use std::fmt::Display;

use amida::{AttributeValue, SpanBuilder};

use super::ids::Mapped;

/// What all these keys begin with.
const PREFIX: &str = "amida.source.";

/// Most places that are named as unreadable.
const UNREADABLE_MAX: usize = 32;

/// Notes on one span.
#[derive(Debug, Default)]
pub struct Notes {
    kept: Vec<(String, AttributeValue)>,
    unreadable: Vec<String>,
}

impl Notes {
    /// Notes a value.
    pub fn keep(&mut self, key: &str, value: impl Into<AttributeValue>) {
        self.kept.push((format!("{PREFIX}{key}"), value.into()));
    }

    /// Takes an id, and notes its text where its digits do not tell.
    pub fn id<T>(&mut self, key: &str, mapped: Mapped<T>) -> T {
        if let Some(original) = mapped.original {
            self.keep(key, original);
        }
        mapped.id
    }

    /// Notes that what stands there could not be read, and is not kept.
    pub fn unreadable(&mut self, place: impl Display) {
        if self.unreadable.len() < UNREADABLE_MAX {
            self.unreadable.push(place.to_string());
        }
    }

    /// The notes as attributes.
    pub fn entries(mut self) -> Vec<(String, AttributeValue)> {
        if !self.unreadable.is_empty() {
            let places = std::mem::take(&mut self.unreadable);
            self.keep("unreadable", places);
        }
        self.kept
    }

    /// Adds the notes to a span.
    pub fn onto(self, span: SpanBuilder) -> SpanBuilder {
        self.entries().into_iter().fold(span, |span, (key, value)| span.attribute(&key, value))
    }
}

/// Adds a note to a span that is otherwise complete.
pub fn note(span: SpanBuilder, key: &str, value: impl Into<AttributeValue>) -> SpanBuilder {
    span.attribute(&format!("{PREFIX}{key}"), value)
}
