//! Columns that have one value in whole row groups: most spans are not linked to others, have no
//! schema URL, drop nothing. Their statistics say so; nothing of them is read.

use std::iter::repeat_n;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringViewArray, UInt32Array};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;

use super::outline::Layout;
use crate::model::schema::col;

/// Text columns that are mostly constant.
pub const TEXTS: [usize; 8] = [
    col::STATUS_MESSAGE,
    col::LINKS,
    col::RESOURCE_SCHEMA_URL,
    col::SCOPE_NAME,
    col::SCOPE_VERSION,
    col::SCOPE_ATTRIBUTES,
    col::SCOPE_SCHEMA_URL,
    col::TRACE_STATE,
];
/// Columns of counts that are mostly constant.
pub const COUNTS: [usize; 5] = [
    col::FLAGS,
    col::DROPPED_ATTRIBUTES_COUNT,
    col::DROPPED_EVENTS_COUNT,
    col::DROPPED_LINKS_COUNT,
    col::MARKS,
];

/// What all rows have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Constant {
    /// Nothing, or this text.
    Text(Option<String>),
    /// This number.
    Count(u32),
}

impl Constant {
    /// What all rows of these row groups have in a column; `None` when they differ, or when the
    /// statistics do not say.
    pub fn of(layout: &Layout, groups: &[usize], column: usize) -> Option<Self> {
        let metadata = &layout.metadata;
        let mut all =
            groups.iter().map(|group| in_group(metadata.row_groups().get(*group)?, column));
        let first = all.next()??;
        all.all(|other| other.as_ref() == Some(&first)).then_some(first)
    }

    /// The column of so many rows.
    pub fn array(&self, rows: usize) -> ArrayRef {
        match self {
            Constant::Text(text) => {
                Arc::new(StringViewArray::from_iter(repeat_n(text.as_deref(), rows)))
            }
            Constant::Count(count) => Arc::new(UInt32Array::from_value(*count, rows)),
        }
    }
}

fn in_group(group: &RowGroupMetaData, column: usize) -> Option<Constant> {
    let statistics = group.columns().get(column)?.statistics()?;
    let nulls = statistics.null_count_opt()?;
    let no_cut = statistics.min_is_exact() && statistics.max_is_exact();
    match statistics {
        Statistics::ByteArray(texts) if TEXTS.contains(&column) => {
            if i64::try_from(nulls).ok()? == group.num_rows() {
                return Some(Constant::Text(None));
            }
            let (min, max) = texts.min_opt().zip(texts.max_opt())?;
            let same = nulls == 0 && no_cut && min == max;
            let text = std::str::from_utf8(min.data()).ok()?;
            same.then(|| Constant::Text(Some(text.to_owned())))
        }
        Statistics::Int32(counts) if COUNTS.contains(&column) => {
            let (min, max) = counts.min_opt().zip(counts.max_opt())?;
            (nulls == 0 && no_cut && min == max).then(|| Constant::Count(min.cast_unsigned()))
        }
        _ => None,
    }
}
