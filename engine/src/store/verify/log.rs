//! The write-ahead log: every record of every file, and that none is missing.

use std::path::Path;

use super::Run;
use crate::error::{Error, Result};
use crate::fs::names;
use crate::store::record;
use crate::store::recovery::durable_beyond;
use crate::wal::{Record, Step, WalReader, read_header};

impl Run<'_> {
    pub(super) fn log(&mut self) -> Result<()> {
        let files = super::list(self.fs, &names::wal_dir(self.store))?;
        let mut numbers: Vec<u64> =
            files.iter().filter_map(|name| names::number(name, names::WAL)).collect();
        let floor = self.version.as_ref().map_or(0, |version| version.wal_floor);
        for old in numbers.iter().filter(|number| **number < floor) {
            let what = "all of it is in segments; opening the store removes it";
            self.note(&names::wal(self.store, *old), what);
        }
        numbers.retain(|number| *number >= floor);
        let flushed = self.version.as_ref().map(|version| version.flushed_sequence);
        let mut look = Look { next: flushed.map(|flushed| flushed + 1), begun: false };
        for (at, number) in numbers.iter().enumerate() {
            let path = names::wal(self.store, *number);
            let last = at + 1 == numbers.len();
            match self.log_file(&path, *number, last, &mut look) {
                Ok(()) => {}
                Err(error @ Error::Unsupported { .. }) => return Err(error),
                Err(error) => {
                    self.found.error(&path, &error);
                    // What the file held is not known.
                    look.next = None;
                }
            }
            self.found.log_files += 1;
            let bytes = self.len(&path).unwrap_or(0);
            self.end_of_file(bytes);
        }
        Ok(())
    }

    fn log_file(&mut self, path: &Path, number: u64, last: bool, look: &mut Look) -> Result<()> {
        let store_id = match &self.version {
            Some(version) => version.store_id.0,
            None => read_header(&*self.fs.open(path)?, path)?.store_id,
        };
        let mut reader = WalReader::open(self.fs, path, &store_id, number)?;
        let first = reader.header().first_sequence;
        match look.next {
            Some(next) if first > next => {
                let what = format!("the records {next} to {} are missing", first - 1);
                self.found.problem(path, 48, what);
            }
            // The first file may hold records that are in segments already.
            Some(next) if first < next && look.begun => {
                let what = format!("it begins with record {first}, {next} is expected");
                self.found.problem(path, 48, what);
            }
            _ => {}
        }
        (look.next, look.begun) = (Some(first), true);
        let mut sealed = false;
        loop {
            let at = reader.offset();
            let found = match reader.step()? {
                Step::Record(record) => record,
                Step::End => return Ok(()),
                Step::Bad => {
                    let next = look.next.unwrap_or(first);
                    let damaged = !last || durable_beyond(&mut reader, next)?;
                    reader.seek(at);
                    if !damaged {
                        self.torn(&reader)?;
                        return Ok(());
                    }
                    let what = format!("the bytes from here on are no record; {next} is expected");
                    self.found.problem(path, at, what);
                    match reader.resync()? {
                        Some(record) => record,
                        None => return Ok(()),
                    }
                }
            };
            let offset = found.offset;
            if sealed {
                self.found.problem(path, offset, "a record stands behind the end of the file");
            }
            if found.is_seal() {
                sealed = true;
                self.seal(path, &found, look);
            } else {
                self.record(path, found, look);
            }
            self.within(reader.offset());
        }
    }

    /// The log ends in bytes that were never acknowledged.
    fn torn(&mut self, reader: &WalReader) -> Result<()> {
        let bytes = self.len(reader.path())?.saturating_sub(reader.offset());
        let what = format!(
            "the log ends at byte {} in an unfinished record, in the {bytes} bytes that follow: it \
             was never acknowledged, or a writer is at it",
            reader.offset()
        );
        self.note(reader.path(), &what);
        Ok(())
    }

    fn seal(&mut self, path: &Path, found: &Record, look: &Look) {
        let last = look.next.unwrap_or(0).saturating_sub(1);
        if found.payload != last.to_le_bytes() {
            let what = format!("the end of the file names another last record than {last}");
            self.found.problem(path, found.offset, what);
        }
    }

    fn record(&mut self, path: &Path, found: Record, look: &mut Look) {
        let (offset, sequence) = (found.offset, found.header.sequence);
        if let Some(next) = look.next.filter(|next| *next != sequence) {
            let what = format!("record {sequence} stands where {next} is expected");
            self.found.problem(path, offset, what);
        }
        look.next = Some(sequence.saturating_add(1));
        if found.header.durable_sequence >= sequence {
            let durable = found.header.durable_sequence;
            let what = format!("record {sequence} says that {durable} was durable before it");
            self.found.problem(path, offset, what);
        }
        self.found.records += 1;
        let flushed = self.version.as_ref().map_or(0, |version| version.flushed_sequence);
        match record::read(found.payload) {
            Some(replayed) if sequence > flushed => {
                self.found.log_spans += replayed.walked.request.spans.len() as u64;
            }
            Some(_) => {}
            None => self.found.problem(path, offset, "the record is whole but holds no request"),
        }
    }
}

/// Where the log is.
struct Look {
    /// The sequence that the next record must have, where it is known.
    next: Option<u64>,
    /// A file was read.
    begun: bool,
}
