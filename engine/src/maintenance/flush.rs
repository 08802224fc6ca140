//! Memtable to segment.

use std::path::Path;
use std::sync::Arc;

use arrow::array::UInt32Array;
use arrow::compute::take_record_batch;

use super::plan;
use crate::error::{Error, Result};
use crate::fs::{Fs, names};
use crate::manifest::{SegmentEntry, Version};
use crate::memtable::MemtableView;
use crate::model::batch::SpanBatch;
use crate::model::catalog::{Catalog, Promoted};
use crate::model::schema::col;
use crate::options::Options;
use crate::segment::{Origin, SegmentWriter};

/// Rows of a row group.
pub const ROW_GROUP_ROWS: usize = 128 << 10;

/// A segment that was written and is in no version yet.
#[derive(Debug)]
pub struct Flushed {
    /// The segment.
    pub entry: SegmentEntry,
    /// The keys of its spans.
    pub catalog: Catalog,
    /// The promoted keys from now on.
    pub promoted: Vec<Promoted>,
}

/// Writes the spans of a memtable as the version's next segment; `None` when there are none.
///
/// # Errors
/// `Io` when the disk refuses; nothing is left but a temporary file.
pub fn flush(
    fs: &Arc<dyn Fs>,
    store: &Path,
    version: &Version,
    view: &MemtableView,
    options: &Options,
) -> Result<Option<Flushed>> {
    let Some(ingest_times) = view.facts().ingest_times.filter(|_| view.facts().rows > 0) else {
        return Ok(None);
    };
    let catalog = view.catalog()?;
    let mut all = version.catalog.clone();
    all.merge(&catalog);
    let rows = version.accepted + view.facts().rows;
    let promoted = plan::promote(version, &options.promoted, &all, rows, options.promoted_max);
    let number = version.next_segment;
    let path = names::segment(store, number);
    let facts = view.facts();
    let origin = Origin { sequences: (facts.first_sequence, facts.last_sequence), ingest_times };
    let id = version.store_id.0;
    let mut writer = SegmentWriter::create(fs, &path, number, id, &promoted, origin)?;
    for group in row_groups(&view.batches()?)? {
        writer.write_row_group(&group)?;
    }
    let entry = writer.finish()?.into();
    Ok(Some(Flushed { entry, catalog, promoted }))
}

/// Sorts spans by start time, cuts them into row groups, and sorts each by trace and start time: a
/// trace is one range of rows, or a few, and time can still be pruned.
///
/// # Errors
/// `Invalid` when the spans do not fit Arrow arrays.
pub fn row_groups(batches: &[SpanBatch]) -> Result<Vec<SpanBatch>> {
    let spans = SpanBatch::concat(batches)?;
    let starts = spans.start_times();
    let ids = spans.ids(col::TRACE_ID);
    let rows = u32::try_from(spans.len())
        .map_err(|_| Error::invalid("more than 4 billion spans in one segment"))?;
    let mut order: Vec<u32> = (0..rows).collect();
    order.sort_by_key(|row| starts[*row as usize]);
    let mut groups = Vec::new();
    for cut in order.chunks_mut(ROW_GROUP_ROWS) {
        cut.sort_by(|a, b| {
            let (a, b) = (*a as usize, *b as usize);
            ids.value(a).cmp(ids.value(b)).then_with(|| starts[a].cmp(&starts[b]))
        });
        let rows = UInt32Array::from_iter_values(cut.iter().copied());
        let group = take_record_batch(spans.record_batch(), &rows)
            .map_err(|e| Error::invalid(format!("cannot sort spans: {e}")))?;
        groups.push(SpanBatch::try_new(group)?);
    }
    Ok(groups)
}
