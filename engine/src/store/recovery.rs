//! Opening a directory: the newest version, its segments, and what the log has beyond them.
//!
//! A bad record in the log is damage only if something later says that it was durable: a later
//! record, the file's seal, or a later file, which is begun only when the one before is synced.
//! Otherwise the log ends there, and what follows was never acknowledged. Damage never stops the
//! store from opening and nothing damaged is deleted: it is reported and kept in quarantine.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::clock::StoreClock;
use super::maintain::{commit, give_up_reserve, quarantine, without_expired};
use super::report::RecoveryReport;
use super::state::{Rejected, Sealed};
use super::verify::{is_store, no_store};
use super::{record, ticket};
use crate::error::{Error, Result};
use crate::fs::{File, Fs, copy_range, names};
use crate::manifest::{self, Version};
use crate::memtable::{Decode, Memtable};
use crate::model::hot::HotBatch;
use crate::options::Retention;
use crate::segment::MetadataCache;
use crate::snapshot::Segments;
use crate::wal::{Record, Step, WalReader};

/// What was found.
#[derive(Debug)]
pub struct Recovered {
    /// The newest version.
    pub version: Version,
    /// Its segments.
    pub segments: Segments,
    /// What the log has beyond them, a memtable a log file.
    pub sealed: VecDeque<Sealed>,
    /// The number of the next log file.
    pub next_wal: u64,
    /// The sequence of the next record.
    pub next_sequence: u64,
}

impl Recovered {
    /// The newest time of ingest of all spans; `None` without any.
    pub fn newest_ingest_ns(&self) -> Option<i64> {
        let segments = self.version.segments.iter().map(|segment| segment.ingest_times.1);
        let hot = self.sealed.iter().filter_map(|s| s.view.facts().ingest_times);
        segments.chain(hot.map(|times| times.1)).max()
    }
}

/// Reads a store whose lock is held.
///
/// # Errors
/// `Unsupported`, `Io`; `DiskFull` when there is no room to put the end of a log aside.
pub fn recover(
    fs: &Arc<dyn Fs>,
    store: &Path,
    version: Version,
    decode: Decode,
    cache: &Arc<MetadataCache>,
    report: &mut RecoveryReport,
) -> Result<Recovered> {
    // The last sync of a commit may have failed: what the version replaced is let go only when its
    // name is there for good.
    fs.sync_dir(&names::manifest_dir(store))?;
    tidy(&**fs, store, &version, report)?;
    let segments = Segments::open(fs, store, &version, &Segments::default(), cache)?;
    report.damage.extend(segments.damage());
    let next_sequence = version.flushed_sequence + 1;
    let mut recovered = Recovered {
        next_wal: version.wal_floor,
        version,
        segments,
        sealed: VecDeque::new(),
        next_sequence,
    };
    let files = fs.list(&names::wal_dir(store))?;
    let mut numbers: Vec<u64> =
        files.iter().filter_map(|name| names::number(name, names::WAL)).collect();
    let floor = recovered.version.wal_floor;
    numbers.retain(|number| *number >= floor || planted!("replayed_twice"));
    for (at, number) in numbers.iter().enumerate() {
        let last = at + 1 == numbers.len();
        replay(&**fs, store, &mut recovered, *number, last, decode, report)?;
        recovered.next_wal = number + 1;
    }
    for what in &report.damage {
        tracing::error!(target: "amida::store", what, "damage found");
    }
    Ok(recovered)
}

/// The version to open: the newest there is without what retention does not keep, so that a full
/// disk has room before anything is written; the first of a new store where the directory is empty.
///
/// # Errors
/// `Corrupt` when there is data and no manifest; as `manifest::load`.
pub fn newest(
    fs: &dyn Fs,
    store: &Path,
    retention: &Retention,
    reading_ns: i64,
    report: &mut RecoveryReport,
) -> Result<Version> {
    if let Some(network) = fs.network(store)? {
        let what = format!(
            "{} is on a network file system ({network}): locks and syncs may not be kept there, so \
             two writers or a power failure can damage the store",
            store.display()
        );
        tracing::warn!(target: "amida::store", "{what}");
        report.warnings.push(what);
    }
    let Some(version) = manifest::load(fs, store)? else { return create(fs, store) };
    let newest_ns = version.segments.iter().map(|segment| segment.ingest_times.1).max();
    let now_ns = StoreClock::new(reading_ns, newest_ns).retention(reading_ns);
    let Some(mut next) = without_expired(&version, retention, now_ns) else { return Ok(version) };
    report.expired = (version.segments.len() - next.segments.len()) as u64;
    next.number += 1;
    commit(fs, store, &next)?;
    Ok(next)
}

fn create(fs: &dyn Fs, store: &Path) -> Result<Version> {
    if is_store(fs, store)? || fs.exists(&names::unfinished(store))? {
        return Err(no_store(fs, store));
    }
    for dir in [names::segment_dir(store), names::wal_dir(store), names::manifest_dir(store)] {
        fs.create_dir_all(&dir)?;
    }
    // An earlier try may have made the directories and failed to sync them.
    fs.sync_dir(store)?;
    fs.sync_dir(names::around(store))?;
    let mut store_id = [0; 16];
    getrandom::fill(&mut store_id)
        .map_err(|e| Error::invalid(format!("the system gives no random numbers: {e}")))?;
    let version = Version::first(store_id);
    manifest::commit(fs, store, &version)?;
    Ok(version)
}

/// Removes unfinished files and such that the version has replaced; puts aside segments that it
/// does not know.
fn tidy(fs: &dyn Fs, store: &Path, version: &Version, report: &mut RecoveryReport) -> Result<()> {
    let dirs = [names::manifest_dir(store), names::wal_dir(store), names::segment_dir(store)];
    for dir in dirs {
        fs.create_dir_all(&dir)?;
        for name in fs.list(&dir)? {
            let path = dir.join(&name);
            let old_wal = names::number(&name, names::WAL)
                .is_some_and(|n| n < version.wal_floor && !planted!("replayed_twice"));
            let segment = names::number(&name, names::SEGMENT)
                .filter(|n| version.segments.iter().all(|entry| entry.number != *n));
            if names::is_tmp(&name) || old_wal || segment.is_some_and(|n| n < version.next_segment)
            {
                fs.remove(&path)?;
                report.removed += 1;
            } else if segment.is_some() {
                // Its rows are in the log or in other segments, unless the manifest is not the one
                // that belongs here.
                report.quarantined.push(quarantine(fs, store, &path)?);
            }
        }
    }
    Ok(())
}

/// Reads one log file into a memtable.
fn replay(
    fs: &dyn Fs,
    store: &Path,
    recovered: &mut Recovered,
    number: u64,
    last: bool,
    decode: Decode,
    report: &mut RecoveryReport,
) -> Result<()> {
    let path = names::wal(store, number);
    report.wal_files += 1;
    if last {
        // A failed sync ends all writing, so it was the newest file's: the system's cache may hold
        // what never reached the disk.
        fs.open(&path)?.forget_cache()?;
    }
    let mut reader = match WalReader::open(fs, &path, &recovered.version.store_id.0, number) {
        Ok(reader) => reader,
        Err(error @ Error::Corrupt { .. }) => {
            report.damage.push(error.to_string());
            report.quarantined.push(quarantine(fs, store, &path)?);
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let first = reader.header().first_sequence;
    if first > recovered.next_sequence {
        report.damage.push(missing(&path, 0, recovered.next_sequence, first));
    }
    let damage_before = report.damage.len();
    let mut file = FileReplay {
        next_sequence: first,
        flushed_sequence: recovered.version.flushed_sequence,
        memtable: Memtable::new(decode),
        rejected: Rejected::default(),
        report,
    };
    file.run(fs, store, &mut reader, last)?;
    if !planted!("sequences_reused") {
        recovered.next_sequence = recovered.next_sequence.max(file.next_sequence);
    }
    let damaged = file.report.damage.len() > damage_before;
    if damaged {
        // From now on the log may be removed like any other.
        file.report.quarantined.extend(keep_damaged(fs, store, &path)?);
    }
    if file.memtable.facts().rows > 0 || damaged {
        // The next file will say that all of this is durable: it must be so before.
        fs.open_write(&path)?.sync_data()?;
        let view = file.memtable.view();
        let rejected = file.rejected;
        recovered.sealed.push_back(Sealed { view, wal_number: number, rejected, damaged });
        return Ok(());
    }
    // Everything in it is in segments, or it is empty.
    report.removed += 1;
    fs.remove(&path)
}

/// Gives a damaged log a second name in quarantine, or a copy where there are no links; `None` when
/// it has one already.
fn keep_damaged(fs: &dyn Fs, store: &Path, path: &Path) -> Result<Option<PathBuf>> {
    let dir = names::quarantine_dir(store);
    fs.create_dir_all(&dir)?;
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("wal");
    let kept = dir.join(format!("{name}.damaged"));
    if fs.exists(&kept)? {
        return Ok(None);
    }
    match fs.hard_link(path, &kept) {
        Ok(()) => fs.sync_dir(&dir)?,
        Err(_) => copy_durably(fs, &*fs.open(path)?, 0, &kept)?,
    }
    Ok(Some(kept))
}

/// Makes a file with what stands in another from an offset on, without the zeros at its end.
fn copy_durably(fs: &dyn Fs, from: &dyn File, start: u64, to: &Path) -> Result<()> {
    let tmp = names::tmp(to);
    if fs.exists(&tmp)? {
        fs.remove(&tmp)?;
    }
    let file = fs.create(&tmp)?;
    let used = copy_range(from, start..u64::MAX, &*file)?;
    file.set_len(used)?;
    file.sync_data()?;
    fs.rename(&tmp, to)?;
    fs.sync_dir(names::around(to))
}

fn missing(path: &Path, offset: u64, from: u64, to: u64) -> String {
    format!("{} at byte {offset}: the records {from} to {} are missing", path.display(), to - 1)
}

/// The replay of one log file.
struct FileReplay<'a> {
    next_sequence: u64,
    flushed_sequence: u64,
    memtable: Memtable,
    rejected: Rejected,
    report: &'a mut RecoveryReport,
}

impl FileReplay<'_> {
    fn run(&mut self, fs: &dyn Fs, store: &Path, reader: &mut WalReader, last: bool) -> Result<()> {
        loop {
            let at = reader.offset();
            match reader.step()? {
                Step::Record(record) => self.take(reader.path(), record),
                Step::End => return Ok(()),
                Step::Bad if !last || durable_beyond(reader, self.next_sequence)? => {
                    reader.seek(at);
                    if !self.skip_damage(reader, at)? {
                        return Ok(());
                    }
                }
                Step::Bad => {
                    self.report.tails.push(cut(fs, store, reader, at)?);
                    return Ok(());
                }
            }
        }
    }

    /// Goes on behind damaged bytes; `false` when no record follows.
    fn skip_damage(&mut self, reader: &mut WalReader, at: u64) -> Result<bool> {
        let (path, expected) = (reader.path().display().to_string(), self.next_sequence);
        let found = reader.resync()?;
        let until = match &found {
            None => "on",
            Some(record) if record.is_seal() => "to the end of the file",
            // The gap in the sequences says which ones.
            Some(_) => "",
        };
        if !until.is_empty() {
            let what =
                format!("{path} at byte {at}: the records from {expected} {until} are damaged");
            self.report.damage.push(what);
        }
        let Some(record) = found else { return Ok(false) };
        self.take(reader.path(), record);
        Ok(true)
    }

    /// Takes a whole record, unless it is in a segment already.
    fn take(&mut self, path: &Path, record: Record) {
        if record.is_seal() {
            // Its sequence is the one after the last record, which may be damaged.
            self.next_sequence = self.next_sequence.max(record.header.sequence);
            return;
        }
        let sequence = record.header.sequence;
        if sequence > self.next_sequence {
            self.report.damage.push(missing(path, record.offset, self.next_sequence, sequence));
        }
        self.next_sequence = sequence + 1;
        if sequence <= self.flushed_sequence && !planted!("replayed_twice") {
            self.report.records_skipped += 1;
            return;
        }
        let Some(replayed) = record::read(record.payload) else {
            let at = record.offset;
            let what = "the record is whole but holds no request";
            self.report.damage.push(format!("{} at byte {at}: {what}", path.display()));
            return;
        };
        for (count, more) in self.rejected.iter_mut().zip(ticket::count(&replayed.walked.rejected))
        {
            *count += more;
        }
        self.report.records += 1;
        self.report.spans += replayed.walked.request.spans.len() as u64;
        let ingest = (replayed.ingest_ns, replayed.ingest_ns);
        self.memtable.insert(HotBatch::new(vec![replayed.walked.request]), sequence, ingest);
    }
}

/// Whether a later record, or the seal, says that the record with this sequence was durable.
pub fn durable_beyond(reader: &mut WalReader, sequence: u64) -> Result<bool> {
    if planted!("tail_taken_for_damage") {
        return Ok(true);
    }
    while let Some(record) = reader.resync()? {
        if planted!("middle_taken_for_tail") {
            break;
        }
        if record.is_seal() || record.header.durable_sequence >= sequence {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Ends the log at this place. What stands behind it was never acknowledged; it is kept aside, then
/// cut off, so that the numbers of its records can be used again. Returns where it was put.
fn cut(fs: &dyn Fs, store: &Path, reader: &WalReader, at: u64) -> Result<PathBuf> {
    let dir = names::quarantine_dir(store);
    fs.create_dir_all(&dir)?;
    let name = reader.path().file_name().and_then(|n| n.to_str()).unwrap_or("wal");
    // Numbers of empty logs are used again: the salt says which file it was.
    let salt = reader.header().salt;
    let kept = dir.join(format!("{name}.{salt:016x}.tail-{at}"));
    let from = fs.open(reader.path())?;
    let start = if planted!("tail_deleted") { u64::MAX >> 1 } else { at };
    match copy_durably(fs, &*from, start, &kept) {
        Err(error) if error.is_full_disk() && give_up_reserve(fs, store)? => {
            copy_durably(fs, &*from, start, &kept)?;
        }
        copied => copied?,
    }
    tracing::warn!(
        target: "amida::store", file = %reader.path().display(), at,
        "the log ended in an unfinished record, which was never acknowledged"
    );
    let file = fs.open_write(reader.path())?;
    file.set_len(at)?;
    file.sync_data()?;
    Ok(kept)
}
