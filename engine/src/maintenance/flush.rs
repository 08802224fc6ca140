//! Memtable to segment.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::plan;
use crate::error::Result;
use crate::fs::{Fs, names};
use crate::manifest::{SegmentEntry, Version};
use crate::memtable::MemtableView;
use crate::model::batch::SpanBatch;
use crate::model::catalog::{Catalog, Promoted, PromotedType};
use crate::model::ordered::Ordered;
use crate::model::schema::col;
use crate::options::Options;
use crate::segment::{Origin, SegmentWriter, measures};
use crate::sync::Helpers;

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
    helpers: &Helpers,
) -> Result<Option<Flushed>> {
    let Some(ingest_times) = view.facts().ingest_times.filter(|_| view.facts().rows > 0) else {
        return Ok(None);
    };
    let batches = view.batches(helpers)?;
    let catalog = view.catalog()?;
    let mut all = version.catalog.clone();
    all.merge(&catalog);
    let rows = version.accepted + view.facts().rows;
    let promoted = promote(version, options, &batches, plan::worth_a_column(&all, rows));
    let number = version.next_segment;
    let path = names::segment(store, number);
    let facts = view.facts();
    let origin = Origin { sequences: (facts.first_sequence, facts.last_sequence), ingest_times };
    let id = version.store_id.0;
    let mut writer = SegmentWriter::create(fs, &path, number, id, &promoted, origin)?;
    for group in row_groups(&batches) {
        writer.write_row_group(&group, helpers)?;
    }
    let entry = writer.finish()?.into();
    Ok(Some(Flushed { entry, catalog, promoted }))
}

/// The promoted keys from now on: of those that are worth it, without what measures something.
fn promote(
    version: &Version,
    options: &Options,
    batches: &[SpanBatch],
    mut worth: Vec<Promoted>,
) -> Vec<Promoted> {
    let new = |key: &Promoted| !version.promoted.contains(key);
    let full = version.promoted.len() >= options.promoted_max;
    if let Some(sample) = batches.iter().max_by_key(|batch| batch.len()).filter(|_| !full) {
        let is_int = |key: &&Promoted| key.value_type == PromotedType::Int && new(key);
        let measures = measures(sample, worth.iter().filter(is_int).cloned().collect());
        worth.retain(|key| !measures.contains(key));
    }
    plan::promote(version, &options.promoted, worth, options.promoted_max)
}

/// Sorts spans by start time, cuts them into row groups, and sorts each of these by the time when a
/// trace begins in it, then by trace and start time: a trace is one range of rows, or a few, and
/// not only row groups but pages, too, hold spans of one time.
pub fn row_groups(batches: &[SpanBatch]) -> Vec<Ordered<'_>> {
    let mut order: Vec<(i64, (usize, usize))> = Vec::new();
    for (at, batch) in batches.iter().enumerate() {
        order.extend(batch.start_times().iter().zip(0..).map(|(start, row)| (*start, (at, row))));
    }
    order.sort_unstable();
    order.chunks(ROW_GROUP_ROWS).map(|cut| by_trace(batches, cut)).collect()
}

/// Sorts rows, which come in order of time.
fn by_trace<'a>(batches: &'a [SpanBatch], rows: &[(i64, (usize, usize))]) -> Ordered<'a> {
    let ids: Vec<_> = batches.iter().map(|batch| batch.ids(col::TRACE_ID)).collect();
    let id = |(at, row): (usize, usize)| {
        u128::from_be_bytes(ids[at].value(row).try_into().unwrap_or_default())
    };
    let mut begins: HashMap<u128, i64> = HashMap::new();
    let mut keyed = Vec::with_capacity(rows.len());
    for (start, place) in rows {
        let id = id(*place);
        // What comes first is the begin.
        keyed.push((*begins.entry(id).or_insert(*start), id, *start, *place));
    }
    keyed.sort_unstable();
    Ordered::new(batches, keyed.into_iter().map(|(.., place)| place).collect())
}
