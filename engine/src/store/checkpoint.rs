//! Checkpoints: a consistent copy of a store that is a store itself, made while writing goes on.
//!
//! Segments and sealed log files never change, so the copy shares them by hard links; the file that
//! the log is written to is never shared. The manifest is written last: what is not finished is no
//! store. When a checkpoint is returned, it survives power loss.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use super::reader::TRIES;
use super::recovery::durable_beyond;
use super::{Reader, Store, lock, record};
use crate::error::{Error, Result};
use crate::fs::{Fs, copy_range, create_durably, names};
use crate::manifest::{self, Version};
use crate::wal::{Step, WalReader};

/// What a checkpoint holds, and how it was made.
///
/// ```
/// # fn main() -> amida::Result<()> {
/// # let store = amida::Store::in_memory();
/// let checkpoint = store.checkpoint("monday.amida")?;
/// println!("{} spans, {} files linked", checkpoint.spans, checkpoint.linked);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checkpoint {
    /// Spans in it.
    pub spans: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// Files that it shares with the store by hard links: they take no room until the store lets go
    /// of them.
    pub linked: u64,
    /// Files that were copied.
    pub copied: u64,
    /// Bytes of those.
    pub copied_bytes: u64,
}

impl Store {
    /// Makes a copy of the store at `to`, which must not exist or be empty, while writing goes on:
    /// a store of its own with everything that was acknowledged before the call. Files are linked,
    /// or copied where links are not possible. When it returns, the copy survives power loss; after
    /// an error there is no store at `to`.
    ///
    /// ```no_run
    /// # fn main() -> amida::Result<()> {
    /// # let store = amida::Store::open("traces.amida")?;
    /// let checkpoint = store.checkpoint("/backup/traces-monday.amida")?;
    /// println!("{} spans in {} bytes", checkpoint.spans, checkpoint.bytes);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `Invalid` when something stands at `to`, or it lies within the store; `Closed`, `Poisoned`,
    /// `Io`.
    pub fn checkpoint(&self, to: impl AsRef<Path>) -> Result<Checkpoint> {
        let inner = &self.0.inner;
        let mut target = Target::begin(&*inner.fs, &inner.path, to.as_ref())?;
        inner.with_open_log(|log| inner.seal(log))?;
        let mut spans = 0;
        let (version, held) = {
            // Nothing is flushed meanwhile, so the log files stay.
            let _turn = inner.take_turn()?;
            let (version, segments, sealed) = {
                let state = lock(&inner.state);
                (state.version.clone(), state.segments.clone(), state.sealed.clone())
            };
            // After a failed write a memtable has several files.
            let last = sealed.back().map_or(0, |newest| newest.wal_number);
            for number in log_files(target.fs, &inner.path, version.wal_floor)? {
                let from = names::wal(&inner.path, number);
                let to = names::wal(target.path, number);
                // Opening the copy may cut what cannot be read off a damaged file.
                let damaged = sealed.iter().any(|s| s.damaged && s.wal_number == number);
                match number {
                    newer if newer > last => {}
                    _ if damaged => target.copy(&from, &to)?,
                    _ => target.link(&from, &to)?,
                }
            }
            spans += sealed.iter().map(|s| s.view.facts().rows).sum::<u64>();
            (version, segments)
        };
        // Whoever holds a segment keeps its file.
        for entry in &version.segments {
            target.segment(entry.number)?;
        }
        drop(held);
        spans += version.segment_rows();
        target.finish(&version, spans)
    }
}

impl Reader {
    /// Makes a copy of the store at `to`, which must not exist or be empty, beside the process that
    /// writes it or with no writer at all: a store of its own with everything that was acknowledged
    /// before the call. Segments are linked, or copied where links are not possible; the log is
    /// copied up to its last whole record. When it returns, the copy survives power loss; after an
    /// error there is no store at `to`.
    ///
    /// ```no_run
    /// # fn main() -> amida::Result<()> {
    /// let reader = amida::Reader::open("traces.amida")?; // a service may write to it
    /// let checkpoint = reader.checkpoint("/backup/traces-monday.amida")?;
    /// println!("{} spans in {} bytes", checkpoint.spans, checkpoint.bytes);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `Invalid` when something stands at `to`, or it lies within the store, or the store is gone;
    /// `Busy` when the writer commits so fast that no look is consistent; `Corrupt`, `Io`.
    pub fn checkpoint(&self, to: impl AsRef<Path>) -> Result<Checkpoint> {
        let (fs, store) = (self.fs(), self.path());
        let mut target = Target::begin(fs, store, to.as_ref())?;
        for _ in 0..TRIES {
            let Some(version) = manifest::load(fs, store)? else {
                return Err(super::no_store(fs, store));
            };
            let tried = target.follow(&version);
            if manifest::newest_number(fs, store)? == Some(version.number) {
                let spans = tried?;
                return target.finish(&version, version.segment_rows() + spans);
            }
            // A newer version may have let go of files while they were linked.
            match tried {
                Err(Error::Io { kind: ErrorKind::NotFound, .. }) | Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::Busy { what: "the writer commits faster than its directory can be copied" })
    }
}

/// A checkpoint in the making. Dropped before `finish`, it removes the files that it made; its
/// empty folders stay, and the next try takes them.
struct Target<'a> {
    fs: &'a dyn Fs,
    store: &'a Path,
    path: &'a Path,
    /// What was made, with its bytes and whether it is a link.
    made: BTreeMap<PathBuf, (u64, bool)>,
    /// Links were refused: everything is copied.
    no_links: bool,
    finished: bool,
}

impl<'a> Target<'a> {
    fn begin(fs: &'a dyn Fs, store: &'a Path, path: &'a Path) -> Result<Self> {
        let shown = path.display();
        if plain(&fs.resolve(path)?).starts_with(plain(&fs.resolve(store)?)) {
            let store = store.display();
            return Err(Error::invalid(format!(
                "a checkpoint cannot lie within its own store: {shown} is in {store}"
            )));
        }
        let folders = [names::manifest_dir(path), names::wal_dir(path), names::segment_dir(path)];
        if fs.exists(path)? {
            for name in fs.list(path)? {
                let inside = path.join(&name);
                let mark = names::unfinished(path);
                if inside == mark || inside == names::tmp(&mark) {
                    continue;
                }
                if !folders.contains(&inside) || !fs.list(&inside)?.is_empty() {
                    return Err(Error::invalid(format!(
                        "{shown} is not empty ({name}): give a new or empty directory"
                    )));
                }
            }
        }
        fs.create_dir_all(path)?;
        for folder in &folders {
            fs.create_dir_all(folder)?;
        }
        // Half a checkpoint must not pass for a store that lost its manifest.
        create_durably(fs, &names::unfinished(path), b"a checkpoint that is not finished\n")?;
        let made = BTreeMap::new();
        Ok(Self { fs, store, path, made, no_links: false, finished: false })
    }

    /// Takes a segment, unless it is there.
    fn segment(&mut self, number: u64) -> Result<()> {
        let to = names::segment(self.path, number);
        if self.made.contains_key(&to) {
            return Ok(());
        }
        self.link(&names::segment(self.store, number), &to)
    }

    /// Brings segments and log to what this version is; returns the spans of the log that are in no
    /// segment.
    fn follow(&mut self, version: &Version) -> Result<u64> {
        for entry in &version.segments {
            self.segment(entry.number)?;
        }
        let wanted = |path: &Path| {
            version.segments.iter().any(|s| names::segment(self.path, s.number) == *path)
        };
        let gone: Vec<PathBuf> = self.made.keys().filter(|path| !wanted(path)).cloned().collect();
        for path in gone {
            self.fs.remove(&path)?;
            self.made.remove(&path);
        }
        let numbers = log_files(self.fs, self.store, version.wal_floor)?;
        let mut spans = 0;
        for (at, number) in numbers.iter().enumerate() {
            spans += self.log(version, *number, at + 1 == numbers.len())?;
        }
        Ok(spans)
    }

    /// Copies a log file up to its last whole record; one that is damaged, whole.
    fn log(&mut self, version: &Version, number: u64, last: bool) -> Result<u64> {
        let (from, to) = (names::wal(self.store, number), names::wal(self.path, number));
        let opened = WalReader::open(self.fs, &from, &version.store_id.0, number);
        let mut reader = match opened {
            Ok(reader) => reader,
            // Opening the copy reports it, as opening the store would.
            Err(Error::Corrupt { .. }) => return self.copy(&from, &to).map(|()| 0),
            Err(error) => return Err(error),
        };
        let mut spans = 0;
        let mut next = reader.header().first_sequence;
        loop {
            let at = reader.offset();
            match reader.step()? {
                Step::Record(found) if found.is_seal() => {}
                Step::Record(found) => {
                    next = found.header.sequence + 1;
                    if next > version.flushed_sequence + 1 {
                        let replayed = record::read(found.payload);
                        spans += replayed.map_or(0, |r| r.walked.request.spans.len() as u64);
                    }
                }
                Step::Bad if !last || durable_beyond(&mut reader, next)? => {
                    self.copy(&from, &to)?;
                    return Ok(spans);
                }
                Step::Bad | Step::End => {
                    self.copy_bytes(&from, &to, at)?;
                    return Ok(spans);
                }
            }
        }
    }

    /// Shares a file that will never change.
    fn link(&mut self, from: &Path, to: &Path) -> Result<()> {
        use ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
        if self.no_links {
            return self.copy(from, to);
        }
        match self.fs.hard_link(from, to) {
            Ok(()) => {
                self.made.insert(to.to_owned(), (0, true));
                let bytes = self.fs.open(to)?.len()?;
                self.made.insert(to.to_owned(), (bytes, true));
                Ok(())
            }
            Err(Error::Io { kind: TooManyLinks, .. }) => self.copy(from, to),
            // Another file system, or one without links, or a user who may only read.
            Err(Error::Io { kind: CrossesDevices | PermissionDenied | Unsupported, .. }) => {
                self.no_links = true;
                self.copy(from, to)
            }
            Err(error) => Err(error),
        }
    }

    fn copy(&mut self, from: &Path, to: &Path) -> Result<()> {
        let bytes = self.fs.open(from)?.len()?;
        self.copy_bytes(from, to, bytes)
    }

    /// Copies the first bytes of a file; they are on stable storage when it returns.
    fn copy_bytes(&mut self, from: &Path, to: &Path, bytes: u64) -> Result<()> {
        let copy = self.fs.create(to)?;
        self.made.insert(to.to_owned(), (bytes, false));
        let source = self.fs.open(from)?;
        copy_range(&*source, 0..bytes, &*copy)?;
        if source.len()? < bytes {
            return Err(Error::corrupt(from, bytes, "the file was cut while it was copied"));
        }
        copy.set_len(bytes)?;
        copy.sync_data()
    }

    /// Makes it a store.
    fn finish(mut self, version: &Version, spans: u64) -> Result<Checkpoint> {
        for dir in [
            &names::wal_dir(self.path),
            &names::segment_dir(self.path),
            self.path,
            names::around(self.path),
        ] {
            self.fs.sync_dir(dir)?;
        }
        // All is there but the manifest.
        self.fs.remove(&names::unfinished(self.path))?;
        self.fs.sync_dir(self.path)?;
        let mut checkpoint = Checkpoint { spans, ..Checkpoint::default() };
        for (bytes, linked) in self.made.values() {
            checkpoint.bytes += bytes;
            if *linked {
                checkpoint.linked += 1;
            } else {
                checkpoint.copied += 1;
                checkpoint.copied_bytes += bytes;
            }
        }
        let path = names::manifest(self.path, version.number);
        let bytes = manifest::encode(version)?;
        checkpoint.bytes += bytes.len() as u64;
        if let Err(error) = create_durably(self.fs, &path, &bytes) {
            // First of all it must be no store; either of the two may be there. Unless that is
            // certain the other files stay: rather a whole store than half of one.
            for made in [&path, &names::tmp(&path)] {
                let _ = self.fs.remove(made);
            }
            self.finished = self.fs.sync_dir(&names::manifest_dir(self.path)).is_err();
            return Err(error);
        }
        self.finished = true;
        tracing::info!(
            target: "amida::store",
            to = %self.path.display(), spans, bytes = checkpoint.bytes,
            linked = checkpoint.linked, copied = checkpoint.copied, "checkpoint"
        );
        Ok(checkpoint)
    }
}

impl Drop for Target<'_> {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        for path in self.made.keys() {
            if let Err(error) = self.fs.remove(path) {
                tracing::warn!(target: "amida::store", %error, "a part of a checkpoint stays");
                return;
            }
        }
        // It may be gone already, when all but the manifest was there.
        let _ = self.fs.remove(&names::unfinished(self.path));
    }
}

/// The numbers of the log files from this one on, in order.
fn log_files(fs: &dyn Fs, store: &Path, floor: u64) -> Result<Vec<u64>> {
    let files = fs.list(&names::wal_dir(store))?;
    let numbers = files.iter().filter_map(|name| names::number(name, names::WAL));
    Ok(numbers.filter(|number| *number >= floor).collect())
}

/// A path without `.` and `..`, absolute where the working directory is known.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}
