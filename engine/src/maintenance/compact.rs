//! Neighbouring segments to one. Row groups are copied as they are; only tiny ones, or such with
//! other promoted columns, are encoded again.

use std::path::Path;
use std::sync::Arc;

use super::flush::{ROW_GROUP_ROWS, row_groups};
use super::plan::ROW_GROUP_ROWS_MIN;
use crate::error::Result;
use crate::fs::{Fs, names};
use crate::manifest::{SegmentEntry, Version};
use crate::model::batch::SpanBatch;
use crate::model::predicate::Predicate;
use crate::segment::{Origin, Segment, SegmentWriter};
use crate::sync::Helpers;

/// Most rows that are encoded again in one merge: more of them are worth copying only.
const ENCODED_ROWS_MAX: u64 = 512 << 10;

/// How segments are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Their row groups are copied.
    Copy,
    /// Their rows are sorted and encoded again.
    Encode,
}

/// The way to merge these segments; `None` when it is not worth it.
fn way(inputs: &[SegmentEntry]) -> Option<Way> {
    let rows: u64 = inputs.iter().map(|s| s.rows).sum();
    let groups: u64 = inputs.iter().map(|s| u64::from(s.row_groups)).sum();
    let same = inputs.windows(2).all(|pair| pair[0].promoted == pair[1].promoted);
    let tiny = rows < groups * ROW_GROUP_ROWS_MIN;
    match (same, tiny) {
        (_, true) | (false, false) if rows <= ENCODED_ROWS_MAX => Some(Way::Encode),
        (true, _) => Some(Way::Copy),
        _ => None,
    }
}

/// Where the spans of all these segments come from.
fn origin(entries: &[SegmentEntry]) -> Origin {
    let first = |times: fn(&SegmentEntry) -> i64| entries.iter().map(times).min().unwrap_or(0);
    let last = |times: fn(&SegmentEntry) -> i64| entries.iter().map(times).max().unwrap_or(0);
    Origin {
        sequences: (
            entries.iter().map(|s| s.sequences.0).min().unwrap_or(0),
            entries.iter().map(|s| s.sequences.1).max().unwrap_or(0),
        ),
        ingest_times: (first(|s| s.ingest_times.0), last(|s| s.ingest_times.1)),
    }
}

/// Writes the version's next segment from these neighbours, given in order of ingest; `None` when
/// merging them is not worth it. What is encoded again is encoded by these threads.
/// `between` is told the bytes of each input that was read, and may end the merge.
///
/// # Errors
/// `Corrupt` when an input is damaged: then nothing changes. `Io` when the disk refuses.
pub fn merge(
    fs: &Arc<dyn Fs>,
    store: &Path,
    version: &Version,
    entries: &[SegmentEntry],
    inputs: &[Arc<Segment>],
    helpers: &Helpers,
    between: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<Option<SegmentEntry>> {
    let Some(way) = way(entries) else { return Ok(None) };
    let number = version.next_segment;
    let path = names::segment(store, number);
    let promoted = match (way, entries.first()) {
        (Way::Copy, Some(first)) => &first.promoted,
        _ => &version.promoted,
    };
    let origin = origin(entries);
    let id = version.store_id.0;
    let mut writer = SegmentWriter::create(fs, &path, number, id, promoted, origin)?;
    let lost = usize::from(planted!("compaction_loses_input"));
    let inputs = inputs.get(lost..).unwrap_or_default();
    match way {
        Way::Copy => {
            for input in inputs {
                writer.append_row_groups(input)?;
                between(input.bytes())?;
            }
        }
        Way::Encode => {
            let mut gathered = Gathered::default();
            for input in inputs {
                for batch in input.clone().scan(&Predicate::new())? {
                    encode(&mut writer, &gathered.add(batch?, ROW_GROUP_ROWS), helpers)?;
                }
                between(input.bytes())?;
            }
            encode(&mut writer, &gathered.batches, helpers)?;
        }
    }
    Ok(Some(writer.finish()?.into()))
}

/// Batches until they are a row group: no more of them are in memory.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) batches: Vec<SpanBatch>,
    rows: usize,
}

impl Gathered {
    /// Adds a batch, and gives those before it where it would be too much with them.
    pub(super) fn add(&mut self, batch: SpanBatch, rows_max: usize) -> Vec<SpanBatch> {
        let full = if self.rows + batch.len() > rows_max {
            self.rows = 0;
            std::mem::take(&mut self.batches)
        } else {
            Vec::new()
        };
        self.rows += batch.len();
        self.batches.push(batch);
        full
    }
}

/// Sorts rows and encodes them.
fn encode(writer: &mut SegmentWriter, batches: &[SpanBatch], helpers: &Helpers) -> Result<()> {
    for group in row_groups(batches) {
        writer.write_row_group(&group, helpers)?;
    }
    Ok(())
}
