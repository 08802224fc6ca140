//! Every file name of a store. Numbers are zero-padded, so that the order of names is the order of
//! numbers.
//!
//! ```text
//! <store>/LOCK
//! <store>/RESERVE
//! <store>/UNFINISHED
//! <store>/manifest/0000000000000001.manifest
//! <store>/wal/0000000000000001.wal
//! <store>/segments/0000000000000001.parquet
//! <store>/quarantine/<original name>.<number>
//! ```

use std::path::{Path, PathBuf};

/// What stands in the directory of a store.
pub const TOP: [&str; 7] =
    ["LOCK", "RESERVE", "UNFINISHED", "manifest", "wal", "segments", "quarantine"];

/// The directory around a path; `.` for a bare name.
pub fn around(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The lock file.
pub fn lock(store: &Path) -> PathBuf {
    store.join("LOCK")
}

/// The folder of manifest versions.
pub fn manifest_dir(store: &Path) -> PathBuf {
    store.join("manifest")
}

/// One manifest version.
pub fn manifest(store: &Path, number: u64) -> PathBuf {
    manifest_dir(store).join(format!("{number:016}.manifest"))
}

/// The folder of write-ahead log files.
pub fn wal_dir(store: &Path) -> PathBuf {
    store.join("wal")
}

/// One write-ahead log file.
pub fn wal(store: &Path, number: u64) -> PathBuf {
    wal_dir(store).join(format!("{number:016}.wal"))
}

/// The folder of segments.
pub fn segment_dir(store: &Path) -> PathBuf {
    store.join("segments")
}

/// One segment.
pub fn segment(store: &Path, number: u64) -> PathBuf {
    segment_dir(store).join(format!("{number:016}.parquet"))
}

/// Where bytes go that could not be verified.
pub fn quarantine_dir(store: &Path) -> PathBuf {
    store.join("quarantine")
}

/// Disk space kept back for a manifest, so that retention can free a full disk.
pub fn reserve(store: &Path) -> PathBuf {
    store.join("RESERVE")
}

/// Says that a checkpoint is being made in this directory, and was not finished while it stands.
pub fn unfinished(store: &Path) -> PathBuf {
    store.join("UNFINISHED")
}

/// The name under which a file is written before it is renamed.
pub fn tmp(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    PathBuf::from(name)
}

/// Whether this is the name of an unfinished file.
pub fn is_tmp(name: &str) -> bool {
    name.ends_with(".tmp")
}

/// The number in a manifest's, log's or segment's file name; `None` for any other name.
pub fn number(name: &str, extension: &str) -> Option<u64> {
    let digits = name.strip_suffix(extension)?.strip_suffix('.')?;
    (digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_digit()))
        .then(|| digits.parse().ok())
        .flatten()
}

/// Extension of manifest files.
pub const MANIFEST: &str = "manifest";
/// Extension of log files.
pub const WAL: &str = "wal";
/// Extension of segment files.
pub const SEGMENT: &str = "parquet";
