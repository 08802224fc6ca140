//! Views that read around damage, and what a query engine asks of a view before it reads segments.

use std::ops::Range;
use std::sync::Arc;

use super::Snapshot;
use crate::error::Result;
use crate::segment::{Missing, Segment};

impl Snapshot {
    /// The same view for reading around damage: what cannot be read is left out instead of being
    /// an error, and `missing` says what. A row group is left out whole when a column that is asked
    /// for is damaged in it, a segment when its header or footer is, or the file is gone.
    ///
    /// The list begins empty, and is shared by clones of this view.
    pub fn allow_partial(&self) -> Self {
        Self { parts: self.parts.clone(), left_out: Some(Arc::default()) }
    }

    /// The same view, in which damage is an error.
    pub fn deny_partial(&self) -> Self {
        Self { parts: self.parts.clone(), left_out: None }
    }

    /// Whether this is a view of `allow_partial`.
    pub fn is_partial(&self) -> bool {
        self.left_out.is_some()
    }

    /// What reads of this partial view left out until now, each range of rows once. Otherwise
    /// empty: nothing is left out.
    pub fn missing(&self) -> Vec<Missing> {
        self.left_out.as_ref().map(|list| list.list()).unwrap_or_default()
    }

    /// For query engines, before they read `segments`: looks at the segments that cannot be
    /// opened and so are not among them. The first that `wanted` picks by its earliest and latest
    /// start time is an error; in a partial view all that it picks are left out.
    ///
    /// # Errors
    /// `Corrupt` or `Io`, naming the file.
    pub fn check_unreadable(&self, wanted: impl Fn(i64, i64) -> bool) -> Result<()> {
        for unreadable in &self.parts.segments.unreadable {
            if !unreadable.start_times().is_none_or(|(min, max)| wanted(min, max)) {
                continue;
            }
            match &self.left_out {
                Some(left_out) => left_out.add(unreadable.missing()),
                None => return Err(unreadable.error.clone()),
            }
        }
        Ok(())
    }

    /// For query engines: those of the segment's row groups in which these columns, by their places
    /// in the file, can be read for these rows of the file, `None` for all. Only a partial view
    /// looks, and leaves out the others.
    ///
    /// # Errors
    /// `Corrupt` or `Io` when the footer cannot be read.
    pub fn sound_row_groups(
        &self,
        segment: &Segment,
        groups: Vec<usize>,
        columns: &[usize],
        rows: Option<&[Range<u64>]>,
    ) -> Result<Vec<usize>> {
        segment.sound(groups, columns, rows, self.left_out.as_deref())
    }

    /// For query engines: whether the footer of a segment is sound; in a partial view a segment
    /// whose footer is not is left out.
    ///
    /// # Errors
    /// `Corrupt` or `Io`, but of a partial view.
    pub fn check_footer(&self, segment: &Segment) -> Result<bool> {
        match segment.check_footer() {
            Ok(()) => Ok(true),
            Err(error) => {
                segment.leave_out(error, self.left_out.as_deref())?;
                Ok(false)
            }
        }
    }
}
