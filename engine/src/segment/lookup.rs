//! A trace by its id: in one segment, and among many.

use std::ops::Range;
use std::sync::Arc;

use super::index::which_have;
use super::partial::{LeftOut, is_damage};
use super::reader::Segment;
use super::rows;
use crate::error::Result;
use crate::model::batch::SpanBatch;
use crate::model::ids::TraceId;

/// The spans of one trace in all of these segments, in their order; with a list around what is
/// damaged.
///
/// # Errors
/// `Corrupt` when what holds them is damaged; with a list nothing that is damaged.
pub(crate) fn read_trace(
    segments: &[Arc<Segment>],
    id: TraceId,
    left_out: Option<&LeftOut>,
) -> Result<Vec<SpanBatch>> {
    let indexes = segments.iter().map(|segment| segment.index()).collect::<Result<Vec<_>>>();
    let may_have = match indexes {
        Ok(indexes) => which_have(&indexes, id),
        // Which one it is, and what is to be done, is seen when it is read.
        Err(_) => vec![true; segments.len()],
    };
    let mut spans = Vec::new();
    for (segment, _) in segments.iter().zip(may_have).filter(|(_, may_have)| *may_have) {
        spans.extend(segment.read_trace_around(id, left_out)?);
    }
    Ok(spans)
}

impl Segment {
    /// Ranges of rows that may hold the trace, in order, by the trace-ID index. Another trace may
    /// be among them: compare the ids.
    ///
    /// # Errors
    /// `Corrupt` when the index is damaged and the ids are, too.
    pub fn trace_rows(&self, id: TraceId) -> Result<Vec<Range<u64>>> {
        self.index().map(|index| index.candidates(id))
    }

    /// The spans of one trace.
    ///
    /// # Errors
    /// `Corrupt` when what holds them is damaged.
    pub fn read_trace(&self, id: TraceId) -> Result<Vec<SpanBatch>> {
        self.read_trace_around(id, None)
    }

    /// The same, with a list around what is damaged.
    ///
    /// # Errors
    /// As `read_trace`; with a list nothing that is damaged.
    pub(crate) fn read_trace_around(
        &self,
        id: TraceId,
        left_out: Option<&LeftOut>,
    ) -> Result<Vec<SpanBatch>> {
        let candidates = match self.candidates(id, left_out) {
            Ok(candidates) => candidates,
            Err(error) => return self.leave_out(error, left_out).map(|()| Vec::new()),
        };
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        if let Err(error) = self.outline() {
            return self.leave_out(error, left_out).map(|()| Vec::new());
        }
        let candidates = rows::around(self, candidates, left_out)?;
        rows::only_trace(self.read_rows(&candidates)?, id)
    }

    /// As `trace_rows`. With a list, all rows where neither index nor ids can be read: which row
    /// groups are sound is seen when they are read.
    pub(super) fn candidates(
        &self,
        id: TraceId,
        left_out: Option<&LeftOut>,
    ) -> Result<Vec<Range<u64>>> {
        match self.trace_rows(id) {
            Err(error) if left_out.is_some() && is_damage(&error) => {
                Ok(std::iter::once(0..self.rows()).collect())
            }
            candidates => candidates,
        }
    }
}
