//! What a column means, beyond its type: written into the field's metadata, so that it goes with
//! the column through aliases, CTEs, subqueries and joins.

use std::collections::HashMap;

use amida::Scope;
use datafusion::arrow::datatypes::Field;

/// The metadata key.
pub(crate) const ROLE_KEY: &str = "amida.role";

/// The unit of a number that is a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Unit {
    Nanoseconds,
    Milliseconds,
}

impl Unit {
    /// The unit of a column of numbers.
    pub(crate) fn of(field: &Field) -> Option<Self> {
        match Role::of(field) {
            Some(Role::Duration(unit)) => Some(unit),
            _ => None,
        }
    }

    /// Its name.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Unit::Nanoseconds => "nanoseconds",
            Unit::Milliseconds => "milliseconds",
        }
    }
}

/// What a column, or the result of one of our functions, means.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// A trace id as hex text.
    TraceId,
    /// A span id as hex text.
    SpanId,
    /// A word of OpenTelemetry's span kinds.
    Kind,
    /// A word of OpenTelemetry's status codes.
    StatusCode,
    /// A JSON object of attributes.
    Attributes(Scope),
    /// A number that is a duration in this unit.
    Duration(Unit),
    /// The text of one attribute, as the subscript `attributes['key']` reads it; or of the first
    /// that is there of several, as `attr_any` does.
    Value(Scope, Vec<String>),
}

impl Role {
    /// The role in a field's metadata.
    pub(crate) fn of(field: &Field) -> Option<Self> {
        let word = field.metadata().get(ROLE_KEY)?;
        let mut parts = word.splitn(3, ':');
        Some(match (parts.next()?, parts.next(), parts.next()) {
            ("trace_id", None, None) => Role::TraceId,
            ("span_id", None, None) => Role::SpanId,
            ("kind", None, None) => Role::Kind,
            ("status_code", None, None) => Role::StatusCode,
            ("duration_ns", None, None) => Role::Duration(Unit::Nanoseconds),
            ("duration_ms", None, None) => Role::Duration(Unit::Milliseconds),
            ("attributes", Some(scope), None) => Role::Attributes(scope_of(scope)?),
            ("value", Some(scope), Some(keys)) => {
                Role::Value(scope_of(scope)?, serde_json::from_str(keys).ok()?)
            }
            _ => return None,
        })
    }

    /// A field with the role of another, if that has one.
    pub(crate) fn keep(from: &Field, field: Field) -> Field {
        match from.metadata().get(ROLE_KEY) {
            Some(word) => field.with_metadata(HashMap::from([(ROLE_KEY.to_owned(), word.clone())])),
            None => field,
        }
    }

    /// The same field with this role.
    pub(crate) fn mark(&self, field: Field) -> Field {
        let word = match self {
            Role::TraceId => "trace_id".to_owned(),
            Role::SpanId => "span_id".to_owned(),
            Role::Kind => "kind".to_owned(),
            Role::StatusCode => "status_code".to_owned(),
            Role::Duration(Unit::Nanoseconds) => "duration_ns".to_owned(),
            Role::Duration(Unit::Milliseconds) => "duration_ms".to_owned(),
            Role::Attributes(scope) => format!("attributes:{}", scope.word()),
            Role::Value(scope, keys) => {
                format!("value:{}:{}", scope.word(), serde_json::json!(keys))
            }
        };
        let metadata = HashMap::from([(ROLE_KEY.to_owned(), word)]);
        field.with_metadata(metadata)
    }
}

fn scope_of(word: &str) -> Option<Scope> {
    Scope::ALL.into_iter().find(|scope| scope.word() == word)
}
