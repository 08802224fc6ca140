//! What opening a store found and did.

use std::path::PathBuf;

/// What opening a store found and did: what was replayed, cut, put aside, and what is damaged.
///
/// ```
/// use amida::Store;
///
/// let store = Store::in_memory();
/// let report = store.recovery();
/// assert_eq!((report.spans, report.damage.len()), (0, 0));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// Log files that were read.
    pub wal_files: u64,
    /// Log records whose spans are in memory again.
    pub records: u64,
    /// Spans of these records.
    pub spans: u64,
    /// Log records that were in segments already.
    pub records_skipped: u64,
    /// Files with the bytes behind the last whole record of a log, which was never acknowledged;
    /// they were cut off there and put here.
    pub tails: Vec<PathBuf>,
    /// Files that could not be verified, where they are now.
    pub quarantined: Vec<PathBuf>,
    /// Files that a crash left unfinished or not yet removed, and that were removed.
    pub removed: u64,
    /// Segments that retention dropped before anything was written.
    pub expired: u64,
    /// What is damaged, and where.
    pub damage: Vec<String>,
    /// What works but may cost something one day.
    pub warnings: Vec<String>,
}
