//! One row group, encoded in memory: its columns by several threads.

use std::sync::OnceLock;

use arrow::array::ArrayRef;
use arrow::datatypes::Schema;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, compute_leaves};
use parquet::errors::{ParquetError, Result as ParquetResult};

use super::promote;
use crate::error::Result;
use crate::model::catalog::Promoted;
use crate::model::ordered::Ordered;
use crate::model::schema::{COLUMN_NAMES, col};
use crate::sync::{Helpers, Mutex, lock};

/// A row group that can be written.
pub struct RowGroup {
    /// In the order of the file's columns.
    pub columns: Vec<ArrowColumnChunk>,
    /// Names of the promoted columns that are complete.
    pub complete: Vec<String>,
}

/// Encodes these rows by these writers, one a column of the file's schema.
pub fn encode(
    rows: &Ordered<'_>,
    promoted: &[Promoted],
    schema: &Schema,
    writers: Vec<ArrowColumnWriter>,
    helpers: &Helpers,
) -> ParquetResult<RowGroup> {
    let source = Source { rows, promoted, read: OnceLock::new() };
    let jobs = writers.into_iter().map(|writer| Mutex::new(Some(writer)));
    let mut jobs: Vec<_> = jobs.zip(schema.fields()).enumerate().collect();
    // The longest job begins first. The promoted columns stay last: who begins one may have to wait
    // until another thread has read them all.
    jobs.swap(0, col::ATTRIBUTES);
    let mut columns = helpers.each(&jobs, |(column, (writer, field))| {
        let array = source.column(*column).map_err(|e| ParquetError::External(Box::new(e)))?;
        let writer = lock(writer).take();
        let mut writer = writer.ok_or_else(|| ParquetError::General("encoded twice".into()))?;
        for leaf in compute_leaves(field, &array)? {
            writer.write(&leaf)?;
        }
        writer.close()
    });
    columns.swap(0, col::ATTRIBUTES);
    let columns = columns.into_iter().collect::<ParquetResult<_>>()?;
    Ok(RowGroup { columns, complete: source.complete() })
}

/// The columns of a row group before they are encoded.
struct Source<'a> {
    rows: &'a Ordered<'a>,
    promoted: &'a [Promoted],
    /// The promoted columns, read when the first of them is encoded.
    read: OnceLock<Result<promote::Columns>>,
}

impl Source<'_> {
    fn column(&self, column: usize) -> Result<ArrayRef> {
        let Some(at) = column.checked_sub(COLUMN_NAMES.len()) else {
            return self.rows.column(column);
        };
        let promoted = self.read.get_or_init(|| {
            let attributes = self.rows.column(col::ATTRIBUTES)?;
            let resources = self.rows.column(col::RESOURCE_ATTRIBUTES)?;
            Ok(promote::columns(&attributes, &resources, self.promoted))
        });
        promoted.as_ref().map(|columns| columns.arrays[at].clone()).map_err(Clone::clone)
    }

    fn complete(self) -> Vec<String> {
        let Some(Ok(columns)) = self.read.into_inner() else { return Vec::new() };
        let complete = self.promoted.iter().zip(columns.complete).filter(|(_, complete)| *complete);
        complete.map(|(key, _)| key.column_name()).collect()
    }
}
