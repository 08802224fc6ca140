//! Reading around damage: which row groups can be read, and a list of what was left out.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, SecondsFormat};
use parquet::file::page_index::offset_index::OffsetIndexMetaData;

use super::reader::Segment;
use crate::error::{Error, Result};

/// Spans that an answer leaves out because what holds them is damaged: rows of one segment file.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use amida::{Predicate, Store};
/// # let store = Store::in_memory();
/// let view = store.snapshot().allow_partial();
/// let spans: usize = view.scan(&Predicate::new())?.flatten().map(|batch| batch.len()).sum();
/// for missing in view.missing() {
///     println!("{} spans of {} are left out", missing.spans(), missing.path.display());
/// }
/// # assert_eq!((spans, view.missing().len()), (0, 0));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Missing {
    /// The damaged file.
    pub path: PathBuf,
    /// The rows of the file, counted from 0; none where it is a log, of which nobody knows.
    pub rows: Range<u64>,
    /// Earliest and latest start time of those spans, in nanoseconds since the epoch; all times
    /// where it is a log.
    pub start_times: (i64, i64),
    /// What is damaged.
    pub what: String,
}

impl Missing {
    pub(crate) fn new(
        path: &Path,
        rows: Range<u64>,
        start_times: (i64, i64),
        error: &Error,
    ) -> Self {
        let what = match error {
            Error::Corrupt { offset, what, .. } => format!("damaged at byte {offset}: {what}"),
            Error::Io { cause, .. } => cause.clone(),
            other => other.to_string(),
        };
        Self { path: path.to_owned(), rows, start_times, what }
    }

    /// How many spans they are.
    pub fn spans(&self) -> u64 {
        self.rows.end.saturating_sub(self.rows.start)
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time =
            |ns| DateTime::from_timestamp_nanos(ns).to_rfc3339_opts(SecondsFormat::AutoSi, true);
        let (from, to) = self.start_times;
        let Range { start, end } = &self.rows;
        if start == end {
            return write!(f, "left out what {} held: {}", self.path.display(), self.what);
        }
        write!(
            f,
            "left out rows {start}..{end} of {}, spans that start from {} to {}: {}",
            self.path.display(),
            time(from),
            time(to),
            self.what
        )
    }
}

/// Whether an error says that a file cannot be read, rather than that it must not be.
pub(crate) fn is_damage(error: &Error) -> bool {
    matches!(error, Error::Corrupt { .. } | Error::Io { .. })
}

/// What a partial view left out, each range once, in the order of files and rows.
#[derive(Debug, Default)]
pub struct LeftOut(Mutex<Vec<Missing>>);

impl LeftOut {
    /// Adds rows, unless they are in the list already.
    pub fn add(&self, missing: Missing) {
        let covers = |a: &Missing, b: &Missing| {
            a.path == b.path && a.rows.start <= b.rows.start && b.rows.end <= a.rows.end
        };
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if list.iter().any(|known| covers(known, &missing)) {
            return;
        }
        list.retain(|known| !covers(&missing, known));
        let key = |m: &Missing| (m.path.clone(), m.rows.start);
        let at = list.partition_point(|known| key(known) < key(&missing));
        list.insert(at, missing);
    }

    /// The list as it is now.
    pub fn list(&self) -> Vec<Missing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Segment {
    /// Checks what is read of a row group for these columns, given by their places in the file, and
    /// these rows of the file, `None` for all: against checksums. What held is remembered.
    ///
    /// # Errors
    /// `Corrupt` when something is not what was written, or the footer is damaged.
    fn check_row_group(
        &self,
        group: usize,
        columns: &[usize],
        rows: Option<&[Range<u64>]>,
    ) -> Result<()> {
        let metadata = &self.layout(group)?.metadata;
        let Some(chunks) = metadata.row_groups().first().map(|group| group.columns()) else {
            return Ok(());
        };
        let (in_file, _) = self.row_group(group)?;
        for column in columns {
            let Some(chunk) = chunks.get(*column) else { continue };
            let (start, length) = chunk.byte_range();
            let index = metadata.offset_index().and_then(|index| index.first()?.get(*column));
            let (Some(rows), Some(index)) = (rows, index) else {
                self.read(start..start.saturating_add(length))?;
                continue;
            };
            for page in pages(index, start, &in_file, rows) {
                self.read(page)?;
            }
        }
        Ok(())
    }

    /// Those of the row groups whose columns can be read, in these rows. With a list, each is
    /// checked, and what is damaged is put on the list instead; without one nothing is checked.
    ///
    /// # Errors
    /// `Corrupt` when the footer is damaged.
    pub(crate) fn sound(
        &self,
        mut groups: Vec<usize>,
        columns: &[usize],
        rows: Option<&[Range<u64>]>,
        left_out: Option<&LeftOut>,
    ) -> Result<Vec<usize>> {
        let Some(left_out) = left_out else { return Ok(groups) };
        let mut damaged = Vec::new();
        for group in &groups {
            match self.check_row_group(*group, columns, rows) {
                Ok(()) => {}
                Err(error) if is_damage(&error) => damaged.push((*group, error)),
                Err(error) => return Err(error),
            }
        }
        for (group, error) in damaged {
            let (rows, times) = self.row_group(group)?;
            left_out.add(Missing::new(self.path(), rows, times, &error));
            groups.retain(|sound| *sound != group);
        }
        Ok(groups)
    }

    /// The rows of a row group, and their earliest and latest start time.
    ///
    /// # Errors
    /// `Corrupt` when the footer is damaged.
    pub fn row_group(&self, group: usize) -> Result<(Range<u64>, (i64, i64))> {
        let outline = self.outline()?;
        let Some(group) = outline.row_groups.get(group) else {
            let what = format!("the segment has no row group {group}");
            return Err(Error::invalid(what));
        };
        Ok((group.rows.clone(), group.times.unwrap_or(self.start_times())))
    }

    /// Puts the whole segment on the list; without one, or where it is no damage, the error stays.
    ///
    /// # Errors
    /// The one given.
    pub(crate) fn leave_out(&self, error: Error, left_out: Option<&LeftOut>) -> Result<()> {
        match left_out {
            Some(left_out) if is_damage(&error) => {
                let rows = 0..self.rows();
                left_out.add(Missing::new(self.path(), rows, self.start_times(), &error));
                Ok(())
            }
            _ => Err(error),
        }
    }
}

/// Where the pages of a column chunk stand that hold some of the rows, with the dictionary. The
/// chunk starts at `start`, and its row group has the rows `in_file`.
fn pages(
    index: &OffsetIndexMetaData,
    start: u64,
    in_file: &Range<u64>,
    rows: &[Range<u64>],
) -> Vec<Range<u64>> {
    let pages = index.page_locations();
    let number = |n: i64| u64::try_from(n).unwrap_or(0);
    let first_row = |page: usize| {
        pages.get(page).map_or(in_file.end, |page| in_file.start + number(page.first_row_index))
    };
    let mut found = Vec::new();
    if let Some(first) = pages.first().filter(|first| number(first.offset) > start) {
        found.push(start..number(first.offset));
    }
    for (at, page) in pages.iter().enumerate() {
        let (from, to) = (first_row(at), first_row(at + 1));
        if rows.iter().any(|rows| rows.start < to && from < rows.end) {
            let offset = number(page.offset);
            let length = u64::try_from(page.compressed_page_size).unwrap_or(0);
            found.push(offset..offset.saturating_add(length));
        }
    }
    found
}
