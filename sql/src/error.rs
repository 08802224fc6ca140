//! The one error type of this crate: one readable line each.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::error::ArrowError;
use datafusion::common::{DataFusionError, Diagnostic, Span};
use datafusion::parquet::errors::ParquetError;

use crate::place::Place;

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong with a query.
///
/// ```no_run
/// # async fn example(session: amida_sql::Session) {
/// if let Err(error) = session.query("SELECT nmae FROM spans").await {
///     eprintln!("{error}"); // no column is named 'nmae'; did you mean 'name'?
///     assert_eq!(error.place().map(|place| place.column), Some(8));
/// }
/// # }
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The query is not valid, or is not allowed. Nothing ran; change the query.
    #[error("{0}")]
    Plan(PlanError),
    /// The query failed while it ran, on a value that it met. Change the query.
    #[error("{0}")]
    Execution(String),
    /// The query needed more than `SessionOptions` allows, or was cancelled. Narrow it, or raise
    /// the limit named.
    #[error("{0}")]
    Limit(String),
    /// The store could not be read: a damaged file is named. Restore it, or ask for an answer from
    /// the rest with `SessionOptions::allow_partial`.
    #[error("{0}{hint}", hint = partial_hint(.0))]
    Engine(#[from] amida::Error),
}

/// What to do about files that cannot be read.
fn partial_hint(error: &amida::Error) -> &'static str {
    match error {
        amida::Error::Corrupt { .. } | amida::Error::Io { .. } => {
            "; allow_partial answers from what can be read"
        }
        _ => "",
    }
}

/// Why a query cannot be planned, and where in its text that shows. `Display` gives the words.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let store = amida::Store::in_memory();
/// let failed = amida_sql::Session::new(&store).query("SELECT 1 FROM span").await;
/// let Err(amida_sql::Error::Plan(error)) = failed else { panic!("there is no such table") };
/// println!("{}: {:?}", error.words(), error.place());
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanError {
    words: String,
    place: Option<Place>,
}

impl PlanError {
    /// What is wrong, in one line.
    pub fn words(&self) -> &str {
        &self.words
    }

    /// Where, when that is known for certain.
    pub fn place(&self) -> Option<Place> {
        self.place
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl Error {
    /// Where in the text of the query it shows what is wrong; `None` where that is not known for
    /// certain, or is no matter of the text.
    pub fn place(&self) -> Option<Place> {
        match self {
            Error::Plan(error) => error.place(),
            _ => None,
        }
    }

    /// A planning error with these words.
    pub(crate) fn plan(what: impl Into<String>) -> Self {
        Self::plan_at(what, None)
    }

    /// A planning error with these words, at this place.
    pub(crate) fn plan_at(what: impl Into<String>, place: Option<Place>) -> Self {
        Error::Plan(PlanError { words: without_control(&what.into()), place })
    }

    /// The error of a query that ran out of time.
    pub(crate) fn timeout(limit: Duration) -> Self {
        Error::Limit(format!("the query did not end within {limit:?} (the session's timeout)"))
    }

    /// What failed while a query was planned.
    pub(crate) fn planning(error: &DataFusionError) -> Self {
        match cause(error) {
            Cause::Engine(engine) => Error::Engine(engine),
            Cause::Limit(words) => Error::Limit(words),
            Cause::Other(words) => Error::plan(words),
        }
    }

    /// What failed while a query ran.
    pub(crate) fn execution(error: &DataFusionError) -> Self {
        match cause(error) {
            Cause::Engine(engine) => Error::Engine(engine),
            Cause::Limit(words) => Error::Limit(words),
            Cause::Other(words) => Error::Execution(words),
        }
    }
}

/// A text as a literal of SQL, in one line.
pub(crate) fn quoted(text: &str) -> String {
    if !text.contains(char::is_control) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    let mut literal = "E'".to_owned();
    for c in text.chars() {
        match c {
            '\'' | '\\' => literal.extend(['\\', c]),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            // There is none beyond U+009F.
            c if c.is_control() => literal.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => literal.push(c),
        }
    }
    literal + "'"
}

/// The same of the first 80 characters: for a literal that is wrong.
pub(crate) fn quoted_start(text: &str) -> String {
    quoted(&text.chars().take(80).collect::<String>())
}

/// Carries an engine's error through DataFusion.
pub(crate) fn engine_error(error: amida::Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// A planning error in DataFusion's type.
pub(crate) fn plan_error(what: impl Into<String>) -> DataFusionError {
    DataFusionError::Plan(what.into())
}

/// The same error about a token of the query, spelled as here: a diagnostic without a span whose
/// message is the token. The place is found where the text is known, if the token stands once.
pub(crate) fn about(error: DataFusionError, token: impl Into<String>) -> DataFusionError {
    error.with_diagnostic(Diagnostic::new_error(token, None))
}

/// The same error at a span of the query's text.
pub(crate) fn at(error: DataFusionError, span: Option<Span>) -> DataFusionError {
    match span {
        Some(_) => error.with_diagnostic(Diagnostic::new_error("", span)),
        None => error,
    }
}

enum Cause {
    Engine(amida::Error),
    Limit(String),
    Other(String),
}

fn cause(error: &DataFusionError) -> Cause {
    if let Some(engine) = buried::<amida::Error>(error) {
        return Cause::Engine(engine);
    }
    if let Some(Error::Limit(words)) = buried::<Error>(error) {
        return Cause::Limit(words);
    }
    match error.find_root() {
        DataFusionError::ResourcesExhausted(words) => Cause::Limit(format!(
            "the query needs more memory than the session allows: {}",
            one_line(words)
        )),
        DataFusionError::Plan(words)
        | DataFusionError::Configuration(words)
        | DataFusionError::Execution(words) => Cause::Other(one_line(words)),
        DataFusionError::NotImplemented(words) => {
            Cause::Other(format!("not supported: {}", one_line(words)))
        }
        DataFusionError::SchemaError(error, _) => Cause::Other(one_line(&error.to_string())),
        DataFusionError::SQL(error, _) => {
            let words = one_line(&error.to_string());
            let words = words.strip_prefix("sql parser error: ").unwrap_or(&words);
            Cause::Other(format!("cannot read the SQL: {words}"))
        }
        DataFusionError::ArrowError(error, _) => other(&arrow_words(error)),
        unknown => other(&unknown.strip_backtrace()),
    }
}

fn other(words: &str) -> Cause {
    if let Some((_, shown)) = words.split_once("Error evaluating filter predicate: ")
        && let Some(words) = filter_words(shown)
    {
        return Cause::Other(one_line(&words));
    }
    let words = one_line(words);
    if words.contains("disk space during the spilling process") {
        return Cause::Limit(
            "the query needs more memory and temporary files than the session \
                             allows"
                .to_owned(),
        );
    }
    Cause::Other(words)
}

/// An error of this type somewhere below, through every wrapper of the stack.
fn buried<T: std::error::Error + Clone + 'static>(error: &DataFusionError) -> Option<T> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = next {
        if let Some(found) = current.downcast_ref::<T>() {
            return Some(found.clone());
        }
        next = match current.downcast_ref::<DataFusionError>() {
            Some(DataFusionError::External(inner)) => Some(inner.as_ref()),
            Some(DataFusionError::Shared(inner)) => return buried(Arc::as_ref(inner)),
            Some(DataFusionError::ParquetError(inner)) => parquet_inner(inner),
            Some(DataFusionError::ArrowError(inner, _)) => arrow_inner(inner),
            _ => current
                .downcast_ref::<ParquetError>()
                .and_then(parquet_inner)
                .or_else(|| current.downcast_ref::<ArrowError>().and_then(arrow_inner))
                .or_else(|| current.source()),
        };
    }
    None
}

/// What a function of ours says of its arguments.
fn coercion_words(line: &str) -> Option<&str> {
    let (_, words) = line.split_once(" user-defined coercion failed with: ")?;
    let words = words.strip_prefix("Error during planning: ").unwrap_or(words);
    Some(words.split(". No function matches the given name").next().unwrap_or(words))
}

fn parquet_inner(error: &ParquetError) -> Option<&(dyn std::error::Error + 'static)> {
    match error {
        ParquetError::External(inner) => Some(inner.as_ref()),
        _ => None,
    }
}

fn arrow_inner(error: &ArrowError) -> Option<&(dyn std::error::Error + 'static)> {
    match error {
        ArrowError::ExternalError(inner) => Some(inner.as_ref()),
        _ => None,
    }
}

fn arrow_words(error: &ArrowError) -> String {
    match error {
        ArrowError::CastError(words) => format!(
            "{words}; use TRY_CAST for null instead of an error, or a getter such as \
             attr_int(attributes, 'key')"
        ),
        ArrowError::ComputeError(words)
        | ArrowError::InvalidArgumentError(words)
        | ArrowError::ParseError(words) => words.clone(),
        other => other.to_string(),
    }
}

/// What a scan's filter failed on. Parquet's reader keeps the text that is made for debugging only,
/// as in `ArrowError(CastError("Cannot cast .."), None)`.
fn filter_words(shown: &str) -> Option<String> {
    if shown.contains("DivideByZero") {
        return Some(arrow_words(&ArrowError::DivideByZero));
    }
    let (kind, rest) = shown.split_once("(\"")?;
    let (mut end, mut escaped) = (None, false);
    for (at, c) in rest.char_indices() {
        match c {
            '"' if !escaped => {
                end = Some(at);
                break;
            }
            _ => escaped = c == '\\' && !escaped,
        }
    }
    let words = rest.get(..end?)?.replace("\\\"", "\"").replace("\\\\", "\\");
    Some(if kind.ends_with("CastError") {
        arrow_words(&ArrowError::CastError(words))
    } else {
        words
    })
}

/// The first line that says something, without control characters.
fn one_line(words: &str) -> String {
    let line = words.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("");
    let line = line.strip_prefix("Error during planning: ").unwrap_or(line);
    let line = line.strip_prefix("Execution error: ").unwrap_or(line);
    without_control(coercion_words(line).unwrap_or(line))
}

fn without_control(words: &str) -> String {
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
