//! The one error type of this crate: one readable line each.

use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::error::ArrowError;
use datafusion::common::DataFusionError;
use datafusion::parquet::errors::ParquetError;

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong with a query.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The query is not valid, or is not allowed. Nothing ran; change the query.
    #[error("{0}")]
    Plan(String),
    /// The query failed while it ran, on a value that it met. Change the query.
    #[error("{0}")]
    Execution(String),
    /// The query needed more than `SessionOptions` allows, or was cancelled. Narrow it, or raise the
    /// limit named.
    #[error("{0}")]
    Limit(String),
    /// The store could not be read.
    #[error(transparent)]
    Engine(#[from] amida::Error),
}

impl Error {
    /// A planning error with these words.
    pub(crate) fn plan(what: impl Into<String>) -> Self {
        Error::Plan(what.into())
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
            Cause::Other(words) => Error::Plan(words),
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

/// Carries an engine's error through DataFusion.
pub(crate) fn engine_error(error: amida::Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// A planning error in DataFusion's type.
pub(crate) fn plan_error(what: impl Into<String>) -> DataFusionError {
    DataFusionError::Plan(what.into())
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
        ArrowError::ComputeError(words) | ArrowError::InvalidArgumentError(words) => words.clone(),
        other => other.to_string(),
    }
}

/// The first line that says something, without control characters.
fn one_line(words: &str) -> String {
    let line = words.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("");
    let line = line.strip_prefix("Error during planning: ").unwrap_or(line);
    let line = line.strip_prefix("Execution error: ").unwrap_or(line);
    line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
