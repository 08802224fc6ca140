//! The commands that read a store, and `compact`, `checkpoint` and `repair`. Each gives an outcome
//! or a reason for people.

use std::io;
use std::path::Path;

use amida::{Missing, Reader, Snapshot};

use crate::args::PartialArgs;
use crate::output;

pub mod checkpoint;
pub mod compact;
pub mod files;
pub mod info;
pub mod repair;
pub mod sql;
pub mod trace;
pub mod verify;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All is well.
    Good,
    /// It said what is wrong.
    Failed,
    /// It is done, but without some of it: input that was rejected, or rows that are damaged.
    NotAll,
}

/// Why a command could not go on.
#[derive(Debug)]
pub enum Failure {
    /// Words for the user.
    Because(String),
    /// Lines for the user, drawn: what others wrote is made visible in them.
    Drawn(String),
    /// Standard output was closed: whoever read it has enough.
    NobodyReads,
}

impl From<amida::Error> for Failure {
    fn from(error: amida::Error) -> Self {
        Self::Because(error.to_string())
    }
}

impl From<amida_sql::Error> for Failure {
    fn from(error: amida_sql::Error) -> Self {
        // The option of the library, as the command line spells it.
        Self::Because(error.to_string().replace("; allow_partial ", "; --allow-partial "))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::NobodyReads
        } else {
            Self::Because(error.to_string())
        }
    }
}

impl From<String> for Failure {
    fn from(words: String) -> Self {
        Self::Because(words)
    }
}

/// What was told of an outcome that stands whether somebody reads to the end or not.
pub fn told(said: Result<(), Failure>) -> Result<(), Failure> {
    match said {
        Err(Failure::NobodyReads) => Ok(()),
        other => other,
    }
}

/// Opens a store for reading, beside a writer or not.
pub fn open(dir: &Path) -> Result<Reader, Failure> {
    must_be_directory(dir)?;
    Ok(Reader::open(dir)?)
}

/// Says what is wrong with a path that is no directory.
pub fn must_be_directory(dir: &Path) -> Result<(), Failure> {
    if !dir.exists() {
        return Err(Failure::Because(format!("{}: there is no such directory", dir.display())));
    }
    if !dir.is_dir() {
        let why = "this is no store: a store is a directory";
        return Err(Failure::Because(format!("{}: {why}", dir.display())));
    }
    Ok(())
}

/// What the reader sees, to be read around damage if that was asked for.
pub fn view(reader: &Reader, args: &PartialArgs) -> Snapshot {
    let snapshot = reader.snapshot();
    if args.allow_partial { snapshot.allow_partial() } else { snapshot }
}

/// Most damaged parts that are listed one by one.
const MISSING_SHOWN: usize = 20;

/// Says what an answer leaves out; whether it is whole.
pub fn tell_missing(missing: &[Missing]) -> Outcome {
    for missing in missing.iter().take(MISSING_SHOWN) {
        eprintln!("note: {}", output::visible(&missing.to_string()));
    }
    if missing.len() > MISSING_SHOWN {
        let more = output::things((missing.len() - MISSING_SHOWN) as u64, "damaged part");
        eprintln!("note: left out rows of {more} more");
    }
    if missing.is_empty() { Outcome::Good } else { Outcome::NotAll }
}

/// A failure to read what is stored: where it is damage, with what can be done.
pub fn unreadable(error: amida::Error) -> Failure {
    Failure::from(amida_sql::Error::from(error))
}

/// A runtime for queries.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| Failure::Because(format!("no threads for queries: {error}")))
}

/// Nanoseconds since the epoch as RFC 3339.
pub fn rfc3339(ns: i64) -> String {
    use chrono::{DateTime, SecondsFormat};
    DateTime::from_timestamp_nanos(ns).to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
