//! Opening a directory: the newest version, its segments, and what the log has beyond them.
//!
//! A bad record in the log is damage only if something later says that it was durable: a later
//! record, the file's seal, or a later file, which is begun only when the one before is synced.
//! Otherwise the log ends there, and what follows was never acknowledged. Damage never stops the
//! store from opening and nothing damaged is deleted: it is reported and kept in quarantine.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use super::maintain::quarantine;
use super::state::{Rejected, Sealed};
use super::{record, ticket};
use crate::error::{Error, Result};
use crate::fs::{Fs, create_durably, names};
use crate::manifest::{self, Version};
use crate::memtable::{Decode, Memtable};
use crate::model::hot::HotBatch;
use crate::segment::{MetadataCache, Segment};
use crate::wal::{Record, Step, WalReader};

/// What was found.
#[derive(Debug)]
pub struct Recovered {
    /// The newest version.
    pub version: Version,
    /// Its segments that can be read.
    pub segments: Vec<Arc<Segment>>,
    /// What the log has beyond them, a memtable a log file.
    pub sealed: VecDeque<Sealed>,
    /// What is damaged, and where.
    pub damage: Vec<String>,
    /// The number of the next log file.
    pub next_wal: u64,
    /// The sequence of the next record.
    pub next_sequence: u64,
}

/// Reads a store whose lock is held.
///
/// # Errors
/// `Corrupt` when the newest manifest is damaged or missing beside data, `Unsupported`, `Io`.
pub fn recover(
    fs: &Arc<dyn Fs>,
    store: &Path,
    version: Version,
    decode: Decode,
    cache: &Arc<MetadataCache>,
) -> Result<Recovered> {
    let mut damage = Vec::new();
    tidy(&**fs, store, &version)?;
    let segments = open_segments(fs, store, &version, cache, &mut damage)?;
    let next_sequence = version.flushed_sequence + 1;
    let mut recovered = Recovered {
        next_wal: version.wal_floor,
        version,
        segments,
        sealed: VecDeque::new(),
        damage,
        next_sequence,
    };
    let files = fs.list(&names::wal_dir(store))?;
    let mut numbers: Vec<u64> =
        files.iter().filter_map(|name| names::number(name, names::WAL)).collect();
    numbers.retain(|number| *number >= recovered.version.wal_floor);
    for (at, number) in numbers.iter().enumerate() {
        let last = at + 1 == numbers.len();
        replay(&**fs, store, &mut recovered, *number, last, decode)?;
        recovered.next_wal = number + 1;
    }
    for what in &recovered.damage {
        tracing::error!(target: "amida::store", what, "damage found");
    }
    Ok(recovered)
}

/// The newest version of a store, or the first of a new one where the directory is empty.
///
/// # Errors
/// `Corrupt` when there is data and no manifest, `Invalid` when the directory holds other things;
/// as `manifest::load`.
pub fn load_or_create(fs: &dyn Fs, store: &Path, store_id: [u8; 16]) -> Result<Version> {
    if let Some(version) = manifest::load(fs, store)? {
        return Ok(version);
    }
    for dir in [names::segment_dir(store), names::wal_dir(store)] {
        if fs.exists(&dir)? && !fs.list(&dir)?.is_empty() {
            let what = "there is data but no manifest that says what it is";
            return Err(Error::corrupt(names::manifest_dir(store), 0, what));
        }
        fs.create_dir_all(&dir)?;
    }
    fs.create_dir_all(&names::manifest_dir(store))?;
    // An earlier try may have made the directories and failed to sync them.
    fs.sync_dir(store)?;
    fs.sync_dir(names::around(store))?;
    let version = Version::first(store_id);
    manifest::commit(fs, store, &version)?;
    Ok(version)
}

/// Removes unfinished files and such that the version has replaced; puts aside segments that it
/// does not know.
fn tidy(fs: &dyn Fs, store: &Path, version: &Version) -> Result<()> {
    let dirs = [names::manifest_dir(store), names::wal_dir(store), names::segment_dir(store)];
    for dir in dirs {
        fs.create_dir_all(&dir)?;
        for name in fs.list(&dir)? {
            let path = dir.join(&name);
            let old_wal = names::number(&name, names::WAL).is_some_and(|n| n < version.wal_floor);
            let segment = names::number(&name, names::SEGMENT)
                .filter(|n| version.segments.iter().all(|entry| entry.number != *n));
            if names::is_tmp(&name) || old_wal || segment.is_some_and(|n| n < version.next_segment)
            {
                fs.remove(&path)?;
            } else if segment.is_some() {
                // Its rows are in the log or in other segments, unless the manifest is not the one
                // that belongs here.
                quarantine(fs, store, &path)?;
            }
        }
    }
    Ok(())
}

/// Opens the version's segments; one that cannot be read is damage, not a reason to stop.
///
/// # Errors
/// `Unsupported` when a newer Amida wrote one.
pub fn open_segments(
    fs: &Arc<dyn Fs>,
    store: &Path,
    version: &Version,
    cache: &Arc<MetadataCache>,
    damage: &mut Vec<String>,
) -> Result<Vec<Arc<Segment>>> {
    let mut segments = Vec::new();
    for entry in &version.segments {
        let path = names::segment(store, entry.number);
        match Segment::open(fs, &path, entry.number, Some(version.store_id.0), cache) {
            Ok(segment) if segment.bytes() == entry.bytes && segment.rows() == entry.rows => {
                segments.push(Arc::new(segment));
            }
            Ok(segment) => damage.push(format!(
                "{}: expected {} spans in {} bytes, found {} in {}",
                path.display(),
                entry.rows,
                entry.bytes,
                segment.rows(),
                segment.bytes()
            )),
            Err(error @ Error::Unsupported { .. }) => return Err(error),
            Err(error) => damage.push(error.to_string()),
        }
    }
    Ok(segments)
}

/// Reads one log file into a memtable.
fn replay(
    fs: &dyn Fs,
    store: &Path,
    recovered: &mut Recovered,
    number: u64,
    last: bool,
    decode: Decode,
) -> Result<()> {
    let path = names::wal(store, number);
    let mut reader = match WalReader::open(fs, &path, &recovered.version.store_id.0, number) {
        Ok(reader) => reader,
        Err(error @ Error::Corrupt { .. }) => {
            recovered.damage.push(error.to_string());
            return quarantine(fs, store, &path);
        }
        Err(error) => return Err(error),
    };
    let first = reader.header().first_sequence;
    if first > recovered.next_sequence {
        recovered.damage.push(missing(&path, 0, recovered.next_sequence, first));
    }
    let mut file = FileReplay {
        next_sequence: first,
        flushed_sequence: recovered.version.flushed_sequence,
        memtable: Memtable::new(decode),
        rejected: Rejected::default(),
        damage: Vec::new(),
    };
    file.run(fs, store, &mut reader, last)?;
    recovered.next_sequence = recovered.next_sequence.max(file.next_sequence);
    let damaged = !file.damage.is_empty();
    recovered.damage.extend(file.damage);
    if file.memtable.facts().rows > 0 || damaged {
        // The next file will say that all of this is durable: it must be so before.
        fs.open_write(&path)?.sync_data()?;
        let view = file.memtable.view();
        let rejected = file.rejected;
        recovered.sealed.push_back(Sealed { view, wal_number: number, rejected, damaged });
        return Ok(());
    }
    // Everything in it is in segments, or it is empty.
    fs.remove(&path)
}

fn missing(path: &Path, offset: u64, from: u64, to: u64) -> String {
    format!("{} at byte {offset}: the records {from} to {} are missing", path.display(), to - 1)
}

/// The replay of one log file.
struct FileReplay {
    next_sequence: u64,
    flushed_sequence: u64,
    memtable: Memtable,
    rejected: Rejected,
    damage: Vec<String>,
}

impl FileReplay {
    fn run(&mut self, fs: &dyn Fs, store: &Path, reader: &mut WalReader, last: bool) -> Result<()> {
        loop {
            let at = reader.offset();
            match reader.step()? {
                Step::Record(record) => self.take(reader.path(), record),
                Step::End => return Ok(()),
                Step::Bad if !last || durable_beyond(reader, self.next_sequence)? => {
                    reader.seek(at);
                    let expected = self.next_sequence;
                    let Some(record) = reader.resync()? else {
                        self.damage.push(format!(
                            "{} at byte {at}: the records from {expected} on are damaged",
                            reader.path().display()
                        ));
                        return Ok(());
                    };
                    if record.is_seal() {
                        self.damage.push(format!(
                            "{} at byte {at}: the records from {expected} to the end of the file \
                             are damaged",
                            reader.path().display()
                        ));
                    }
                    self.take(reader.path(), record);
                }
                Step::Bad => return cut(fs, store, reader, at),
            }
        }
    }

    /// Takes a whole record, unless it is in a segment already.
    fn take(&mut self, path: &Path, record: Record) {
        if record.is_seal() {
            return;
        }
        let sequence = record.header.sequence;
        if sequence > self.next_sequence {
            self.damage.push(missing(path, record.offset, self.next_sequence, sequence));
        }
        self.next_sequence = sequence + 1;
        if sequence <= self.flushed_sequence {
            return;
        }
        let Some(replayed) = record::read(record.payload) else {
            let at = record.offset;
            let what = "the record is whole but holds no request";
            self.damage.push(format!("{} at byte {at}: {what}", path.display()));
            return;
        };
        for (count, more) in self.rejected.iter_mut().zip(ticket::count(&replayed.walked.rejected))
        {
            *count += more;
        }
        let ingest = (replayed.ingest_ns, replayed.ingest_ns);
        self.memtable.insert(HotBatch::new(vec![replayed.walked.request]), sequence, ingest);
    }
}

/// Whether a later record, or the seal, says that the record with this sequence was durable.
fn durable_beyond(reader: &mut WalReader, sequence: u64) -> Result<bool> {
    while let Some(record) = reader.resync()? {
        if record.is_seal() || record.header.durable_sequence >= sequence {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Ends the log at this place. What stands behind it was never acknowledged; it is kept aside, then
/// cut off, so that the numbers of its records can be used again.
fn cut(fs: &dyn Fs, store: &Path, reader: &mut WalReader, at: u64) -> Result<()> {
    reader.seek(at);
    let rest = reader.rest()?;
    let dir = names::quarantine_dir(store);
    fs.create_dir_all(&dir)?;
    let name = reader.path().file_name().and_then(|n| n.to_str()).unwrap_or("wal");
    let kept = dir.join(format!("{name}.tail-{at}"));
    if !fs.exists(&kept)? {
        create_durably(fs, &kept, &rest)?;
    }
    tracing::warn!(
        target: "amida::store",
        file = %reader.path().display(), at, bytes = rest.len(),
        "the log ended in an unfinished record, which was never acknowledged"
    );
    let file = fs.open_write(reader.path())?;
    file.set_len(at)?;
    file.sync_data()
}
