//! Carrying out maintenance on an open store: each step writes a file, commits a version, makes it
//! visible, and only then lets go of what it replaced.

use std::cell::Cell;
use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::state::Sealed;
use super::{Inner, lock};
use crate::error::{Error, Result};
use crate::fs::{Fs, names};
use crate::maintenance::plan::{self, CompactionLimits};
use crate::maintenance::{compact, flush};
use crate::manifest::{self, SegmentEntry, Version};
use crate::options::Retention;
use crate::otlp::walk::Reason;
use crate::segment::Segment;
use crate::sync::{Arc, MutexGuard};

/// Bytes of the file that is given up when a manifest finds no room.
const RESERVE_BYTES: u64 = 1 << 20;

/// Proof that no other maintenance runs: versions are made one after the other.
pub type Turn<'a> = MutexGuard<'a, ()>;

impl Inner {
    /// The turn, unless the store is closed: the directory may be another writer's by then.
    pub(super) fn take_turn(&self) -> Result<Turn<'_>> {
        let turn = lock(&self.turn);
        if self.commits.is_closed() { Err(Error::Closed) } else { Ok(turn) }
    }

    /// Flushes all sealed memtables, oldest first.
    pub(super) fn flush_sealed(&self, turn: &Turn<'_>) -> Result<()> {
        loop {
            let next = lock(&self.state).sealed.front().cloned();
            let Some(sealed) = next else { return Ok(()) };
            let flushed = self.flush_one(turn, &sealed);
            if flushed.is_err() && planted!("sealed_dropped_on_failure") {
                lock(&self.state).sealed.pop_front();
            }
            flushed?;
        }
    }

    fn flush_one(&self, _turn: &Turn<'_>, sealed: &Sealed) -> Result<()> {
        let version = lock(&self.state).version.clone();
        let flushed = flush::flush(
            &self.fs,
            &self.path,
            &version,
            &sealed.view,
            &self.options,
            &self.helpers,
        )?;
        let mut next = Version::clone(&version);
        let mut new = Vec::new();
        next.flushed_sequence = next.flushed_sequence.max(sealed.view.facts().last_sequence);
        next.wal_floor = sealed.wal_number + 1;
        next.accepted += sealed.view.facts().rows;
        for (reason, count) in Reason::ALL.iter().zip(sealed.rejected) {
            if count > 0 {
                *next.rejected.entry(reason.word().to_owned()).or_default() += count;
            }
        }
        if let Some(flushed) = flushed {
            next.catalog.merge(&flushed.catalog);
            next.promoted = flushed.promoted;
            next.next_segment += 1;
            new.push(self.open_segment(flushed.entry.number)?);
            tracing::info!(
                target: "amida::maintenance",
                segment = flushed.entry.number,
                spans = flushed.entry.rows,
                bytes = flushed.entry.bytes,
                "flushed"
            );
            next.segments.push(flushed.entry);
        }
        if planted!("log_removed_before_commit") {
            self.remove_logs(sealed);
        }
        self.commit_version(&mut next)?;
        if planted!("published_in_two_steps") {
            drop(lock(&self.state).publish(next.clone(), &new));
            self.remove_logs(sealed);
        }
        let obsolete = lock(&self.state).publish_flushed(next, &new);
        drop(obsolete);
        self.room.notify_all();
        self.remove_logs(sealed);
        Ok(())
    }

    /// Removes the log files that the version does not need any more. One that stays is removed
    /// when the store is opened the next time.
    fn remove_logs(&self, sealed: &Sealed) {
        let dir = names::wal_dir(&self.path);
        let removed = self.fs.list(&dir).and_then(|files| {
            for number in files.iter().filter_map(|name| names::number(name, names::WAL)) {
                if number <= sealed.wal_number {
                    self.fs.remove(&names::wal(&self.path, number))?;
                }
            }
            Ok(())
        });
        if let Err(error) = removed {
            self.counters.failed(&error);
        }
    }

    /// Drops what retention does not keep.
    pub(super) fn retain(&self, _turn: &Turn<'_>) -> Result<()> {
        let version = lock(&self.state).version.clone();
        let reading_ns = self.options.clock.now_ns();
        let now_ns = lock(&self.clock).retention(reading_ns);
        let Some(mut next) = without_expired(&version, &self.options.retention, now_ns) else {
            return Ok(());
        };
        self.commit_version(&mut next)?;
        let before = lock(&self.state).publish(next, &[]);
        let kept = lock(&self.state).segments.clone();
        let gone = |path: &Path| kept.unreadable.iter().all(|unreadable| unreadable.path != path);
        for damaged in before.unreadable.iter().filter(|unreadable| gone(&unreadable.path)) {
            self.remove_unreadable(&damaged.path);
        }
        Ok(())
    }

    /// Removes a dropped segment that nobody has open, since nobody could. One that stays is
    /// removed when the store is opened the next time.
    fn remove_unreadable(&self, path: &Path) {
        match self.fs.remove(path) {
            Ok(()) | Err(Error::Io { kind: std::io::ErrorKind::NotFound, .. }) => {}
            Err(error) => self.counters.failed(&error),
        }
    }

    /// Does the next merge that is due; whether to look for another.
    pub(super) fn compact_next(&self, turn: &Turn<'_>) -> Result<bool> {
        let (version, sound) = self.merge_inputs();
        match plan::due_merges(&version, &self.compaction_limits(), sound).into_iter().next() {
            Some(run) => self.merge_or_set_aside(turn, run, &|_| {}).map(|(merged, damage)| {
                if let Some(damage) = &damage {
                    self.counters.failed(damage);
                }
                merged || damage.is_some()
            }),
            None => Ok(false),
        }
    }

    /// Does all merges that make the store smaller in number of segments; those around a damaged
    /// segment too. `progress` is told how many bytes of segments were read, and of how many.
    ///
    /// # Errors
    /// `Corrupt` or `Io` of a damaged segment, when all else is done.
    pub(super) fn compact_all(&self, turn: &Turn<'_>, progress: &dyn Fn(u64, u64)) -> Result<()> {
        loop {
            let (version, sound) = self.merge_inputs();
            let mut again = false;
            let runs = plan::all_merges(&version, &self.compaction_limits(), sound);
            let inputs = runs.iter().flat_map(|run| &version.segments[run.clone()]);
            let all: u64 = inputs.map(|segment| segment.bytes).sum();
            let done = Cell::new(0);
            let read = |bytes: u64| {
                done.set(done.get() + bytes);
                progress(done.get(), all);
            };
            for run in runs {
                let (_, damage) = self.merge_or_set_aside(turn, run, &read)?;
                again |= damage.is_some();
            }
            if !again {
                break;
            }
        }
        let segments = lock(&self.state).segments.clone();
        match segments.open.iter().find_map(|segment| segment.damage()) {
            Some(damage) => Err(damage.clone()),
            None => segments.unreadable.first().map_or(Ok(()), |u| Err(u.error.clone())),
        }
    }

    /// The version, and which of its segments can be merged as far as is known.
    pub(super) fn merge_inputs(&self) -> (Arc<Version>, impl Fn(&SegmentEntry) -> bool + use<>) {
        let (version, segments) = {
            let state = lock(&self.state);
            (state.version.clone(), state.segments.clone())
        };
        let sound: HashSet<u64> = segments
            .open
            .iter()
            .filter(|segment| segment.damage().is_none())
            .map(|segment| segment.number())
            .collect();
        (version, move |entry: &SegmentEntry| sound.contains(&entry.number))
    }

    /// Merges; whether it was worth it. An input that turns out to be damaged is set aside, so that
    /// it is not read again for ever and its neighbours are merged without it: then its error.
    /// `read` is told the bytes of each input that was read.
    fn merge_or_set_aside(
        &self,
        turn: &Turn<'_>,
        run: Range<usize>,
        read: &dyn Fn(u64),
    ) -> Result<(bool, Option<Error>)> {
        let error = match self.merge(turn, run, read) {
            Ok(merged) => return Ok((merged, None)),
            Err(error) => error,
        };
        let path = match &error {
            Error::Corrupt { path, .. } => path,
            Error::Io { path, kind: std::io::ErrorKind::NotFound, .. } => path,
            // It may work the next time.
            _ => return Err(error),
        };
        let segments = lock(&self.state).segments.clone();
        match segments.open.iter().find(|segment| segment.path() == path) {
            Some(damaged) => {
                damaged.set_damage(error.clone());
                Ok((false, Some(error)))
            }
            None => Err(error),
        }
    }

    pub(super) fn compaction_limits(&self) -> CompactionLimits {
        CompactionLimits::new(self.options.segment_bytes_max, &self.options.retention)
    }

    fn merge(&self, turn: &Turn<'_>, run: Range<usize>, read: &dyn Fn(u64)) -> Result<bool> {
        let (version, open) = {
            let state = lock(&self.state);
            (state.version.clone(), state.segments.clone())
        };
        let entries = version.segments.get(run.clone()).unwrap_or_default();
        let inputs: Vec<Arc<Segment>> = entries
            .iter()
            .filter_map(|entry| open.open.iter().find(|s| s.number() == entry.number).cloned())
            .collect();
        // The plan has only segments that are open.
        if inputs.len() < entries.len() {
            return Ok(false);
        }
        // The number is taken now: between two inputs, what waits is flushed, so that appends do
        // not have to wait for a long merge.
        let number = version.next_segment;
        let mut taken = Version::clone(&version);
        taken.next_segment += 1;
        lock(&self.state).version = Arc::new(taken);
        let mut between = |bytes: u64| {
            read(bytes);
            self.flush_sealed(turn)
        };
        let merged = compact::merge(
            &self.fs,
            &self.path,
            &version,
            entries,
            &inputs,
            &self.helpers,
            &mut between,
        )?;
        let Some(entry) = merged else { return Ok(false) };
        let new = self.open_segment(number)?;
        tracing::info!(
            target: "amida::maintenance",
            inputs = inputs.len(), segment = entry.number, spans = entry.rows,
            bytes = entry.bytes, "compacted"
        );
        // What was flushed meanwhile stands behind the run.
        let mut next = Version::clone(&lock(&self.state).version);
        next.segments.splice(run, [entry]);
        self.commit_version(&mut next)?;
        let obsolete = lock(&self.state).publish(next, &[new]);
        drop(obsolete);
        Ok(true)
    }

    fn open_segment(&self, number: u64) -> Result<Arc<Segment>> {
        let path = names::segment(&self.path, number);
        let id = Some(self.store_id);
        Segment::open(&self.fs, &path, number, id, &self.metadata_cache).map(Arc::new)
    }

    /// Gives the version the next number and commits it. Numbers of a version and a segment that a
    /// failed commit may have put on the disk are not used again.
    fn commit_version(&self, next: &mut Version) -> Result<()> {
        next.number += 1;
        let committed = commit(&*self.fs, &self.path, next);
        if committed.is_err() {
            let mut state = lock(&self.state);
            let mut version = Version::clone(&state.version);
            version.next_segment = version.next_segment.max(next.next_segment);
            version.number = version.number.max(next.number);
            state.version = Arc::new(version);
        }
        committed
    }
}

/// The version without the segments that retention does not keep; `None` when it keeps all.
pub fn without_expired(version: &Version, retention: &Retention, now_ns: i64) -> Option<Version> {
    let count = plan::expired(version, retention, now_ns);
    if count == 0 {
        return None;
    }
    let mut next = version.clone();
    let spans: u64 = next.segments.drain(..count).map(|segment| segment.rows).sum();
    next.dropped += spans;
    tracing::info!(target: "amida::maintenance", segments = count, spans, "retention drops");
    Some(next)
}

/// Commits a version; on a full disk, with the space that is kept back for it.
pub fn commit(fs: &dyn Fs, store: &Path, version: &Version) -> Result<()> {
    match manifest::commit(fs, store, version) {
        Err(error) if error.is_full_disk() && give_up_reserve(fs, store)? => {
            manifest::commit(fs, store, version)
        }
        committed => committed,
    }
}

/// Frees the disk space that is kept back; whether there was any.
pub fn give_up_reserve(fs: &dyn Fs, store: &Path) -> Result<bool> {
    let reserve = names::reserve(store);
    let taken = fs.exists(&reserve)? && !planted!("reserve_kept");
    if taken {
        fs.remove(&reserve)?;
    }
    Ok(taken)
}

/// Takes the disk space that a manifest may need on a full disk, where it is not taken yet and the
/// disk has more than `floor` bytes to spare.
pub fn take_reserve(fs: &dyn Fs, store: &Path, floor: u64) {
    let path = names::reserve(store);
    let taken = || -> Result<()> {
        let there = fs.exists(&path)?;
        if there && fs.open(&path)?.len()? >= RESERVE_BYTES {
            return Ok(());
        }
        if fs.free_bytes(store)? <= floor + RESERVE_BYTES {
            return Ok(());
        }
        let file = if there { fs.open_write(&path)? } else { fs.create(&path)? };
        // Written, since not every file system can take space ahead.
        file.write_all_at(&vec![0; usize::try_from(RESERVE_BYTES).unwrap_or(0)], 0)
    };
    if let Err(error) = taken() {
        tracing::warn!(target: "amida::store", %error, "no disk space can be kept in reserve");
    }
}

/// Moves a file that could not be verified out of the way, under its name and a number.
///
/// # Errors
/// `Io`; the file is where it was, or in quarantine.
pub fn quarantine(fs: &dyn Fs, store: &Path, path: &Path) -> Result<PathBuf> {
    let dir = names::quarantine_dir(store);
    fs.create_dir_all(&dir)?;
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("unnamed");
    let mut number = 0;
    let to = loop {
        let to = dir.join(format!("{name}.{number}"));
        if !fs.exists(&to)? {
            break to;
        }
        number += 1;
    };
    tracing::error!(target: "amida::store", from = %path.display(), to = %to.display(),
        "moved to quarantine");
    fs.rename(path, &to)?;
    fs.sync_dir(&dir)?;
    fs.sync_dir(path.parent().unwrap_or(store))?;
    Ok(to)
}
