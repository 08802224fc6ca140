//! Which segment files make up the store: a merge covers the records of all its inputs, and crashes
//! leave both.

use std::path::Path;

use super::{Count, File, Plan};
use crate::error::Result;
use crate::segment;

impl Plan<'_> {
    /// The files that make up the store, in order of ingest: of files with the same records the
    /// newest, unless it is damaged and those that it replaced are there, whole and complete.
    pub(super) fn choose(&mut self, files: Vec<File>) -> Result<Vec<File>> {
        let (kept, mut replaced) = newest(files);
        let mut chosen = Vec::new();
        for file in kept {
            let inputs = replaced.extract_if(.., |old| old.lies_in(&file)).collect();
            let (older, oldest) = newest(inputs);
            if self.is_better(&older, &file)? {
                self.unusable(file.path, "damaged; the segments that it replaced are whole");
                chosen.extend(older);
            } else {
                self.report.superseded.extend(older.into_iter().map(|old| old.path));
                chosen.push(file);
            }
            self.report.superseded.extend(oldest.into_iter().map(|old| old.path));
        }
        chosen.sort_by_key(File::sequences);
        Ok(chosen)
    }

    fn is_better(&self, older: &[File], file: &File) -> Result<bool> {
        let rows: u64 = older.iter().map(|old| old.description.summary.rows).sum();
        if older.is_empty() || rows != file.description.summary.rows || self.is_whole(&file.path)? {
            return Ok(false);
        }
        for old in older {
            if !self.is_whole(&old.path)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn is_whole(&self, path: &Path) -> Result<bool> {
        let mut count = Count::new(path);
        segment::examine(self.fs, path, &mut count)?;
        Ok(count.damage.is_empty())
    }
}

/// The newest files, and those whose records one of them has.
fn newest(mut files: Vec<File>) -> (Vec<File>, Vec<File>) {
    files.sort_by_key(|file| std::cmp::Reverse(file.number()));
    let (mut kept, mut replaced) = (Vec::<File>::new(), Vec::new());
    for file in files {
        if kept.iter().any(|newer| file.lies_in(newer)) {
            replaced.push(file);
        } else {
            kept.push(file);
        }
    }
    (kept, replaced)
}
