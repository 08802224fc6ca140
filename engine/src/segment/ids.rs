//! The `trace_id` column, read for itself: to build an index again, and to find ids by their
//! beginning.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};

use super::index::{IndexBuilder, TraceIndex};
use super::outline::Layout;
use super::partial::LeftOut;
use super::reader::Segment;
use super::rows::Rows;
use super::source::Source;
use crate::error::{Error, Result};
use crate::fs::Blob;
use crate::model::ids::TraceId;
use crate::model::schema::col;

/// Builds the trace-ID index from the ids.
pub fn build_index(blob: &Arc<Blob>, layout: &Layout) -> Result<TraceIndex> {
    let mut builder = IndexBuilder::new();
    for group in 0..layout.metadata.num_row_groups() {
        let source = Source::map(blob);
        let mut rows = Rows::new(source, layout, vec![group], None, &[col::TRACE_ID])?;
        while let Some(columns) = rows.next_columns() {
            for_ids(&columns?, |id| builder.push(id));
        }
        builder.end_row_group();
    }
    TraceIndex::decode(builder.encode().into())
        .ok_or_else(|| Error::corrupt(blob.path(), 0, "no trace-ID index can be built"))
}

/// The ids from `low` to `high`, without doubles, in order.
pub fn trace_ids(
    segment: &Segment,
    layout: &Layout,
    low: &[u8; 16],
    high: &[u8; 16],
    left_out: Option<&LeftOut>,
) -> Result<Vec<TraceId>> {
    let groups = (0..layout.metadata.num_row_groups()).collect();
    let groups = segment.sound(groups, &[col::TRACE_ID], None, left_out)?;
    let mut found = Vec::new();
    let mut last = None;
    let mut rows = Rows::new(segment.source(), layout, groups, None, &[col::TRACE_ID])?;
    while let Some(columns) = rows.next_columns() {
        for_ids(&columns?, |id| {
            if last != Some(*id) && (low..=high).contains(&id) {
                found.extend(TraceId::from_bytes(id));
            }
            last = Some(*id);
        });
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Hands out the trace ids in columns of ids.
pub fn for_ids(columns: &[ArrayRef], mut each: impl FnMut(&[u8; 16])) {
    for id in columns.iter().filter_map(|c| c.as_fixed_size_binary_opt()) {
        id.iter().flatten().filter_map(|id| id.try_into().ok()).for_each(&mut each);
    }
}
