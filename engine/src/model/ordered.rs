//! Rows of several batches in an order of their own, gathered column by column: sorting a memtable
//! takes the memory of one column more, not that of all of them.

use arrow::array::{Array, ArrayRef};
use arrow::compute::interleave;

use super::batch::SpanBatch;
use crate::error::{Error, Result};

/// Rows of batches, in order.
#[derive(Debug)]
pub struct Ordered<'a> {
    batches: &'a [SpanBatch],
    /// Batch and row.
    rows: Vec<(usize, usize)>,
}

impl<'a> Ordered<'a> {
    /// These rows, each as the number of its batch and its row there.
    pub fn new(batches: &'a [SpanBatch], rows: Vec<(usize, usize)>) -> Self {
        Self { batches, rows }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// A column by its position in the schema.
    ///
    /// # Errors
    /// `Invalid` when its texts do not fit one Arrow array.
    pub fn column(&self, column: usize) -> Result<ArrayRef> {
        let parts: Vec<&dyn Array> =
            self.batches.iter().map(|batch| &**batch.record_batch().column(column)).collect();
        interleave(&parts, &self.rows)
            .map_err(|e| Error::invalid(format!("cannot put spans in order: {e}")))
    }

    /// The start times in nanoseconds, in order.
    pub fn start_times(&self) -> impl Iterator<Item = i64> {
        self.rows.iter().map(|(at, row)| self.batches[*at].start_times()[*row])
    }
}
