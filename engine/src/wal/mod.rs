//! The write-ahead log: records in numbered files, appended in groups, each record checked before
//! its length is trusted.
//!
//! `wal/` does not know what a span is. It promises: what `sync` returned for is read back by
//! `WalReader`, whole and in order; half a record is never taken for a record; a record is valid in
//! its own place of its own file only.
//!
//! | file | purpose |
//! |---|---|
//! | format | the bytes of a file header and a record |
//! | writer | `WalWriter`: groups of records at the end of one file |
//! | reader | `WalReader`: records in order, and what stands where no record is |
//!
//! ```text
//! <store>/wal/0000000000000007.wal = file header, record*, [seal], zeros (unused space)
//! ```

mod format;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use self::format::{FileHeader, RecordHeader, RecordKind};
pub use self::reader::{Record, Step, WalReader, read_header};
pub use self::writer::{Group, WalWriter};
