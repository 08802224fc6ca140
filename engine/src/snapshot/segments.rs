//! The segments of one version: those that are open, and those that could not be opened, which are
//! never forgotten: a view of this version is not whole.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::fs::{Fs, names};
use crate::manifest::{SegmentEntry, Version};
use crate::segment::{MetadataCache, Missing, Segment};
use crate::sync::Arc;

/// A segment that could not be opened, or a log file that is damaged.
#[derive(Debug, Clone)]
pub struct Unreadable {
    /// Where its file stands, or should.
    pub path: PathBuf,
    /// What the manifest says of it; nothing of a log.
    pub entry: Option<SegmentEntry>,
    /// Why.
    pub error: Error,
}

impl Unreadable {
    /// Spans in it, as far as is known.
    pub fn rows(&self) -> u64 {
        self.entry.as_ref().map_or(0, |entry| entry.rows)
    }

    /// Earliest and latest start time of its spans, where they are known.
    pub fn start_times(&self) -> Option<(i64, i64)> {
        self.entry.as_ref().map(|entry| entry.start_times)
    }

    /// Its spans as left out.
    pub fn missing(&self) -> Missing {
        let times = self.start_times().unwrap_or((i64::MIN, i64::MAX));
        Missing::new(&self.path, 0..self.rows(), times, &self.error)
    }
}

/// The segments of a version, in its order.
#[derive(Debug, Default)]
pub struct Segments {
    /// Those that can be read.
    pub open: Vec<Arc<Segment>>,
    /// Those that could not be opened.
    pub unreadable: Vec<Unreadable>,
}

impl Segments {
    /// Opens the segments of a version, but those that `known` has open.
    ///
    /// # Errors
    /// `Unsupported` when a newer Amida wrote one; what else is wrong makes it unreadable.
    pub fn open(
        fs: &Arc<dyn Fs>,
        store: &Path,
        version: &Version,
        known: &Self,
        cache: &Arc<MetadataCache>,
    ) -> Result<Self> {
        let mut segments = Self::default();
        let known = by_number(&known.open);
        for entry in &version.segments {
            if let Some(open) = known.get(&entry.number) {
                segments.open.push(Arc::clone(open));
                continue;
            }
            let path = names::segment(store, entry.number);
            let opened = Segment::open(fs, &path, entry.number, Some(version.store_id.0), cache);
            match opened.and_then(|segment| fits(segment, entry)) {
                Ok(segment) => segments.open.push(Arc::new(segment)),
                Err(error @ Error::Unsupported { .. }) => return Err(error),
                Err(error) => {
                    let entry = Some(entry.clone());
                    segments.unreadable.push(Unreadable { path, entry, error });
                }
            }
        }
        Ok(segments)
    }

    /// The segments of the version that follows; `new` are those that it has and these are not.
    /// Open segments that it does not have are removed from the disk when the last snapshot lets
    /// go of them.
    pub fn follow(&self, version: &Version, new: &[Arc<Segment>]) -> Self {
        let mut next = Self::default();
        let mut old = by_number(&self.open);
        let new = by_number(new);
        for entry in &version.segments {
            let open = old.remove(&entry.number).or_else(|| new.get(&entry.number).copied());
            next.open.extend(open.cloned());
            let same = |u: &&Unreadable| u.entry.as_ref().is_some_and(|e| e.number == entry.number);
            next.unreadable.extend(self.unreadable.iter().find(same).cloned());
        }
        for obsolete in old.values() {
            obsolete.remove_on_drop();
        }
        next
    }

    /// The same beside damaged logs: nobody knows how many spans these held, nor of which times.
    pub fn beside_damage<'a>(&self, logs: impl Iterator<Item = &'a Error>) -> Self {
        let unreadable = logs.filter_map(|error| {
            let (Error::Corrupt { path, .. } | Error::Io { path, .. }) = error else { return None };
            Some(Unreadable { path: path.clone(), entry: None, error: error.clone() })
        });
        let unreadable = self.unreadable.iter().cloned().chain(unreadable).collect();
        Self { open: self.open.clone(), unreadable }
    }

    /// What cannot be opened, a line each.
    pub fn damage(&self) -> impl Iterator<Item = String> {
        self.unreadable.iter().map(|unreadable| unreadable.error.to_string())
    }
}

fn by_number(segments: &[Arc<Segment>]) -> HashMap<u64, &Arc<Segment>> {
    segments.iter().map(|segment| (segment.number(), segment)).collect()
}

/// A segment that is as the manifest has it.
fn fits(segment: Segment, entry: &SegmentEntry) -> Result<Segment> {
    let found = (segment.rows(), segment.bytes());
    if found == (entry.rows, entry.bytes) {
        return Ok(segment);
    }
    let what = format!(
        "expected {} spans in {} bytes, found {} in {}",
        entry.rows, entry.bytes, found.0, found.1
    );
    Err(Error::corrupt(segment.path(), 0, what))
}
