//! The one base table: a row per span, ids as bytes, hot rows and segments together; and the table
//! of attribute keys.
//!
//! | file | holds |
//! |---|---|
//! | table | `SpanTable`: the table and its scan over one snapshot |
//! | pushdown | which traces and times the filters of a query leave |
//! | scan | `SpanScanExec`: hot rows beside segments in a plan |
//! | reader | Parquet bytes through the engine, checked |
//! | keys | `KeyTable`: the catalog of attribute keys |
//! | partial | scans around damaged row groups |
//! | pieces | scans in pieces, the newest first |
//! | adapter | per file: promoted columns for attributes, bytes for hex ids |

mod adapter;
mod keys;
mod partial;
mod pieces;
mod pushdown;
mod reader;
mod scan;
mod table;

use amida::Snapshot;

pub(crate) use self::keys::KeyTable;
pub(crate) use self::partial::around_damage;
pub(crate) use self::pieces::newest_in_pieces;
pub(crate) use self::scan::SpanScanExec;
pub(crate) use self::table::SpanTable;

/// The snapshot that one statement sees, wherever it names a table.
#[derive(Debug)]
pub(crate) struct BoundSnapshot(pub(crate) Snapshot);

/// The address of the store that DataFusion asks for; the bytes come through `reader`.
pub(crate) const STORE_URL: &str = "amida://segments";
