//! What was meant where a query names something that is not there, and where in its text.
//!
//! DataFusion's words for unknown names are exchanged for one line that says what is there: names
//! that differ in few letters, or what a name of other trace stores is called here. Only what
//! would be valid in that place is offered.
//!
//! | file | holds |
//! |---|---|
//! | columns | columns, and attribute keys written as if they were columns |
//! | functions | functions |
//! | tables | tables |
//! | near | which names are near to another |

mod columns;
mod functions;
pub(crate) mod near;
mod tables;

use amida::Catalog;
use datafusion::common::{DataFusionError, SchemaError};
use datafusion::execution::SessionState;

use crate::error::{Error, quoted};
use crate::place::{Place, Tokens};

/// What a statement could name.
pub(crate) struct Known<'a> {
    pub(crate) state: &'a SessionState,
    pub(crate) catalog: &'a Catalog,
    pub(crate) tokens: &'a Tokens,
    /// What it defines behind WITH.
    pub(crate) own_tables: &'a [String],
}

impl Known<'_> {
    /// The error in words that say what to write, at its place where that is certain.
    pub(crate) fn explain(&self, error: &DataFusionError) -> Error {
        match self.explained(error) {
            // Names that DataFusion gives on its way.
            Error::Plan(error) if error.words().contains("__datafusion_") => Error::plan(
                "DataFusion cannot plan this query over attributes; read them in a subquery, as \
                 in (SELECT attributes['key'] AS k FROM spans), and compare there",
            ),
            other => other,
        }
    }

    fn explained(&self, error: &DataFusionError) -> Error {
        let place = place(error, self.tokens);
        let explained = match error.find_root() {
            DataFusionError::SchemaError(error, _) => match error.as_ref() {
                SchemaError::FieldNotFound { field, valid_fields } => {
                    let relation = field.relation.as_ref().map(|relation| relation.table());
                    let place = place.or_else(|| self.tokens.column(relation, &field.name));
                    return Error::plan_at(self.column(field, valid_fields, place), place);
                }
                SchemaError::AmbiguousReference { field } if field.relation.is_none() => {
                    let place = place.or_else(|| self.tokens.column(None, &field.name));
                    return Error::plan_at(
                        format!(
                            "'{0}' is a column of more than one table here; write its table \
                             before it, as in t.{0}",
                            field.name
                        ),
                        place,
                    );
                }
                _ => None,
            },
            DataFusionError::Plan(words) => self.table(words).or_else(|| self.function(words)),
            DataFusionError::NotImplemented(words) => self.long(words),
            _ => None,
        };
        match (explained, Error::planning(error)) {
            (Some(words), _) => Error::plan_at(words, place),
            (None, Error::Plan(error)) => {
                self.dotted_attribute(error.words()).unwrap_or_else(|| {
                    let place = place.or_else(|| self.literal(error.words()));
                    Error::plan_at(with_getter(error.words()), place)
                })
            }
            (None, other) => other,
        }
    }

    /// The text that cannot be the value that its place asks for.
    fn literal(&self, words: &str) -> Option<Place> {
        let (_, rest) = words.split_once("Cannot cast string '")?;
        self.tokens.only(&format!("'{}'", rest.split_once("' to value of ")?.0))
    }

    /// A key behind a dot: DataFusion looks for a field in the JSON text.
    fn dotted_attribute(&self, words: &str) -> Option<Error> {
        if !words.starts_with("Cannot access field at argument") {
            return None;
        }
        let (column, key, place) = self.tokens.dotted_attribute()?;
        Some(Error::plan_at(
            format!("an attribute is read by its key in single quotes: {column}[{}]", quoted(&key)),
            place,
        ))
    }
}

/// A statement that cannot be read, at the place that the parser names.
pub(crate) fn syntax_error(error: &DataFusionError, tokens: &Tokens) -> Error {
    let Error::Plan(plain) = Error::planning(error) else { return Error::planning(error) };
    let words = plain.words();
    let named = words.rsplit_once(" at Line: ").and_then(|(_, numbers)| {
        let (line, column) = numbers.split_once(", Column: ")?;
        Some(datafusion::common::Location {
            line: line.parse().ok()?,
            column: column.parse().ok()?,
        })
    });
    let place = match named {
        Some(start) => tokens.at(start, None),
        // The parser knows no place for the end of the text.
        None if words.ends_with("found: EOF") => tokens.end(),
        None => None,
    };
    Error::plan_at(words.replace("found: EOF", "found: the end of the query"), place)
}

/// Where the text shows what is wrong: at a span that DataFusion kept, or at the one token that
/// the error is about.
fn place(error: &DataFusionError, tokens: &Tokens) -> Option<Place> {
    let diagnostic = error.iter().next().unwrap_or(error).diagnostic()?;
    match diagnostic.span {
        Some(span) => tokens.at(span.start, Some(span.end)),
        None => tokens.only(&diagnostic.message),
    }
}

/// What to write where a function of DataFusion's was given a duration.
fn without_durations(words: &str) -> Option<String> {
    let refused = ["match any signature", "but received Duration(", "coercion from Duration("];
    if !words.contains("Duration(ns)") || !refused.iter().any(|part| words.contains(part)) {
        return None;
    }
    let (_, rest) = words.split_once("call to '").or_else(|| words.split_once("Function '"))?;
    let (name, _) = rest.split_once('\'')?;
    let instead = match name {
        "median" | "approx_median" => "p50(duration)".to_owned(),
        name if name.contains("percentile") => "percentile(duration, 0.95)".to_owned(),
        name => format!("{name}(duration_ns)"),
    };
    Some(format!("{name} does not take a duration; write {instead}"))
}

/// DataFusion's words, with what to write instead where they do not say.
fn with_getter(words: &str) -> String {
    let getter = "an attribute of several types is read with attr_int(attributes, 'key'), \
                  attr_float, attr_bool or attr_text";
    if words.contains(" must appear in the GROUP BY clause")
        && let Some((_, rest)) = words.split_once("column \"")
        && let Some((column, _)) = rest.split_once("\" must appear")
    {
        return format!(
            "{column} differs from row to row of a group: write it in GROUP BY too, or an \
             aggregate such as max({column})"
        );
    }
    if let Some(words) = without_durations(words) {
        return words;
    }
    if words.contains("logical expression ScalarSubquery") {
        return "a subquery compares columns, not expressions, with the row outside; calculate them \
                in a subquery of FROM, as in (SELECT upper(name) AS k FROM spans)"
            .to_owned();
    }
    // A function that takes no text names every signature that it has instead.
    let function = words.split_once("Function '").and_then(|(_, rest)| rest.split_once('\''));
    match function {
        Some((name, rest)) if rest.contains("match any signature") && words.contains("Utf8") => {
            format!("{name} does not take text; {getter}")
        }
        _ if words.contains("non-boolean predicate") => format!("{words}; {getter}"),
        _ if words.contains("Utf8View") && words.contains("oerc") => format!("{words}; {getter}"),
        _ => words.to_owned(),
    }
}
