//! Segments: immutable files of spans. Each is a plain Parquet file, which any Parquet reader
//! opens, and carries what Parquet lacks: a checksum over every byte, and an index from trace ids
//! to rows.
//!
//! It promises that a segment appears whole or not at all, that damage is an error and never a
//! different row, and that a trace is found without reading the rest of the file.
//!
//! ```text
//! PAR1 | header | row groups | trace-ID index | block table | Parquet footer
//! 0      4        128          checksums of these three stand in the header
//! ```
//!
//! Row groups are covered by a CRC-32 per 4 KiB, counted from byte 128: the block table. In the
//! Parquet footer stand the page index, Parquet's metadata, its length and `PAR1`.
//!
//! | file | purpose |
//! |---|---|
//! | format | the header, and every constant of the layout |
//! | index | the trace-ID index |
//! | columns | the columns and their encodings |
//! | constant | columns with one value in whole row groups |
//! | ids | the trace ids of all rows |
//! | promote | promoted columns out of attribute text |
//! | row_group | one row group, encoded by several threads |
//! | sink | an unfinished file, with checksums taken as bytes pass |
//! | writer | `SegmentWriter`: encode row groups, or copy them |
//! | source | Parquet's view of a file, through checked reads |
//! | footer | the parsed footer, `MetadataCache` |
//! | outline | what stays of a footer; the part of it that a row group needs |
//! | schemas | what footers with one schema share |
//! | thrift | what is looked at in a footer before it is parsed |
//! | reader | `Segment` |
//! | rows | rows as span batches |
//! | lookup | a trace by its id, among many segments |
//! | pages | pages of row groups, decompressed |
//! | examine | everything in a file, read from the disk |
//! | partial | reading around damage: `Missing` |

mod columns;
mod constant;
mod examine;
mod footer;
mod format;
mod ids;
mod index;
mod lookup;
mod outline;
mod pages;
mod partial;
mod promote;
mod reader;
mod row_group;
mod rows;
mod schemas;
mod sink;
mod source;
mod thrift;
mod writer;

#[cfg(test)]
mod documented;
#[cfg(test)]
mod tests;

pub use self::examine::{Description, Visitor, describe, examine};
pub use self::footer::MetadataCache;
pub use self::format::{BODY_OFFSET, HEADER_OFFSET, Header, Origin};
pub use self::index::{IndexBuilder, TraceIndex};
pub(crate) use self::lookup::read_trace;
pub use self::partial::{LeftOut, Missing};
pub use self::promote::measures;
pub use self::reader::Segment;
pub use self::writer::{SegmentSummary, SegmentWriter};
