//! The one error type of the store. Each variant says what the caller must do.

use std::path::PathBuf;

/// Shorthand for results of the store.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong in the store.
///
/// ```
/// use amida::{Error, Store};
///
/// let store = Store::in_memory();
/// match store.append_otlp("no protobuf") {
///     Ok(receipt) => println!("{} spans stored", receipt.accepted()),
///     Err(error) if error.is_retryable() => println!("send it again later: {error}"),
///     Err(Error::Invalid { what }) => println!("never send it again: {what}"),
///     Err(error) => println!("{error}"),
/// }
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused a file operation. Look at the path and the cause; a write that
    /// failed this way was not acknowledged.
    #[error("{path}: {cause}", path = path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The kind of failure, for a program.
        kind: std::io::ErrorKind,
        /// The operating system's words.
        cause: String,
    },
    /// Bytes on disk are not what was written. Nothing was deleted; restore the file from a copy,
    /// or go on without what it held.
    #[error("{path} is damaged at byte {offset}: {what}", path = path.display())]
    Corrupt {
        /// The damaged file.
        path: PathBuf,
        /// Where the damage was found, in bytes from the start of the file.
        offset: u64,
        /// What was expected and what was found.
        what: String,
    },
    /// The directory was written by a newer Amida or needs a feature that is not here. Nothing was
    /// touched; use the version that is named.
    #[error("{path}: {what}", path = path.display())]
    Unsupported {
        /// The file that says so.
        path: PathBuf,
        /// What is not supported.
        what: String,
    },
    /// Another store is open for writing on this directory. Use a `Reader`, or close the other.
    #[error("{path} is open for writing{}", holder(*pid), path = path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
        /// The process that holds the lock, where it could be told.
        pid: Option<u32>,
    },
    /// The store cannot keep up (see `Options::wal_bytes_max` and `Options::queue_bytes_max`).
    /// Nothing of this request was stored; send it again later.
    #[error("the store is busy: {what}; try again")]
    Busy {
        /// Which limit was reached.
        what: &'static str,
    },
    /// The disk is full, or fuller than `Options::disk_floor_bytes` allows. Reading and retention
    /// go on; send the request again once there is room.
    #[error(
        "{path}: the disk is full, or too full to write to ({free_bytes} bytes free; the option \
         disk_floor_bytes says how much is left alone)",
        path = path.display()
    )]
    DiskFull {
        /// The directory.
        path: PathBuf,
        /// Free bytes when the write was refused.
        free_bytes: u64,
    },
    /// The input is not valid. Sending it again will fail again.
    #[error("{what}")]
    Invalid {
        /// What is wrong, and where.
        what: String,
    },
    /// A sync to disk failed earlier, so nothing more can be promised. Readers go on; close the
    /// store and open it again to write.
    #[error("the store stopped writing after a failed sync: {cause}")]
    Poisoned {
        /// The first failure.
        cause: String,
    },
    /// The store was closed. Open it again.
    #[error("the store is closed")]
    Closed,
}

fn holder(pid: Option<u32>) -> String {
    match pid {
        Some(pid) => format!(" by process {pid}"),
        None => String::new(),
    }
}

impl Error {
    /// An `Invalid` error with these words.
    pub fn invalid(what: impl Into<String>) -> Self {
        Error::Invalid { what: what.into() }
    }

    /// An `Io` error of this path.
    pub fn io(path: impl Into<PathBuf>, cause: &std::io::Error) -> Self {
        Error::Io { path: path.into(), kind: cause.kind(), cause: cause.to_string() }
    }

    /// A `Corrupt` error at this place.
    pub fn corrupt(path: impl Into<PathBuf>, offset: u64, what: impl Into<String>) -> Self {
        Error::Corrupt { path: path.into(), offset, what: what.into() }
    }

    /// Whether the disk is full, or this user's share of it.
    pub fn is_full_disk(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        match self {
            Error::Io { kind, .. } => matches!(kind, StorageFull | QuotaExceeded),
            Error::DiskFull { .. } => true,
            _ => false,
        }
    }

    /// Whether the same call may succeed later without anything being repaired.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Error::Busy { .. } | Error::DiskFull { .. })
    }
}
