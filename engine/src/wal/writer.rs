//! Writes log files: groups of records at known offsets.

use std::ops::Range;
use std::path::Path;

use super::format::{
    ALIGNMENT, FILE_HEADER_BYTES, FileHeader, PAYLOAD_BYTES_MAX, RECORD_HEADER_BYTES, RecordHeader,
    RecordKind,
};
use crate::codec::crc32;
use crate::error::{Error, Result};
use crate::fs::{Buffer, File, Fs, create_durably, names};

/// The disk takes new space in steps of this size, so that a sync does not have to write the file's
/// length each time, and a full disk is noticed before a record is half written.
const ALLOCATE_BYTES: u64 = 4 << 20;

/// Writes one log file. Mechanism only: when to sync and when to rotate is the store's policy.
#[derive(Debug)]
pub struct WalWriter {
    file: Box<dyn File>,
    header: FileHeader,
    /// End of the last whole record.
    end: u64,
    allocated: u64,
    next_sequence: u64,
    durable_sequence: u64,
}

/// Records in the form they have on disk, not written yet.
#[derive(Debug)]
pub struct Group {
    /// The bytes to write at the end of the log.
    pub bytes: Buffer,
    /// Where each record's payload stands in `bytes`.
    pub payloads: Vec<Range<usize>>,
    /// Where `bytes` begins in the file.
    at: u64,
    sequences: u64,
}

impl WalWriter {
    /// Makes a log file, whole or not at all. Everything before `header.first_sequence` is on
    /// stable storage or will never be acknowledged.
    pub fn create(fs: &dyn Fs, store: &Path, header: FileHeader) -> Result<Self> {
        let path = names::wal(store, header.number);
        create_durably(fs, &path, &header.encode())?;
        Ok(Self {
            file: fs.open_write(&path)?,
            header,
            end: FILE_HEADER_BYTES as u64,
            allocated: FILE_HEADER_BYTES as u64,
            next_sequence: header.first_sequence,
            durable_sequence: header.first_sequence.saturating_sub(1),
        })
    }

    /// The number in the file's name.
    pub fn number(&self) -> u64 {
        self.header.number
    }

    /// Bytes of whole records and the file header.
    #[cfg(test)]
    pub fn len(&self) -> u64 {
        self.end
    }

    /// The sequence that the next record gets.
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// Starts a group: nothing is written until `write`.
    pub fn group(&self, capacity: usize) -> Group {
        Group {
            bytes: Buffer::with_capacity(capacity),
            payloads: Vec::new(),
            at: self.end,
            sequences: 0,
        }
    }

    /// Adds a record whose payload is these pieces, one after the other.
    ///
    /// # Errors
    /// `Invalid` when the payload is empty or too large.
    pub fn add(&self, group: &mut Group, kind: RecordKind, pieces: &[&[u8]]) -> Result<()> {
        let len: usize = pieces.iter().map(|piece| piece.len()).sum();
        let payload_bytes = u32::try_from(len)
            .ok()
            .filter(|len| (1..=PAYLOAD_BYTES_MAX).contains(len))
            .ok_or_else(|| Error::invalid(format!("a log record cannot hold {len} bytes")))?;
        let header = RecordHeader {
            kind,
            payload_bytes,
            payload_crc: crc32(pieces),
            sequence: self.next_sequence + group.sequences,
            durable_sequence: if planted!("durable_claims_itself") {
                self.next_sequence + group.sequences
            } else {
                self.durable_sequence
            },
        };
        let offset = group.at + group.bytes.len() as u64;
        group.bytes.extend(&header.encode(&self.header, offset));
        let start = group.bytes.len();
        for piece in pieces {
            group.bytes.extend(piece);
        }
        group.payloads.push(start..group.bytes.len());
        let end = group.bytes.len();
        let padding = end.next_multiple_of(ALIGNMENT as usize) - end;
        group.bytes.extend(&[0; ALIGNMENT as usize][..padding]);
        group.sequences += 1;
        Ok(())
    }

    /// Writes a group at the end of the log. After an error the log must be cut (`cut_back`) before
    /// anything else is done with it: half a record may stand there.
    pub fn write(&mut self, group: &Group) -> Result<()> {
        let end = group.at + group.bytes.len() as u64;
        if end > self.allocated {
            let step = end.next_multiple_of(ALLOCATE_BYTES);
            self.file.allocate(step)?;
            self.allocated = step;
        }
        self.file.write_all_at(group.bytes.as_ref(), group.at)?;
        self.end = end;
        self.next_sequence += group.sequences;
        Ok(())
    }

    /// Returns once all written records are on stable storage.
    pub fn sync(&mut self) -> Result<()> {
        if planted!("sync_retried") && self.file.sync_data().is_err() {
            tracing::warn!(target: "amida::wal", "a sync failed; trying again");
        }
        self.file.sync_data()?;
        self.durable_sequence = self.next_sequence.saturating_sub(1);
        Ok(())
    }

    /// Cuts what a failed write left behind the last whole record, and makes the cut durable.
    pub fn cut_back(&mut self) -> Result<()> {
        if planted!("half_record_stays") {
            return Ok(());
        }
        self.file.set_len(self.end)?;
        self.allocated = self.end;
        self.sync()
    }

    /// Ends the file: a seal record, and no unused space behind it. Not synced yet.
    pub fn write_seal(&mut self) -> Result<()> {
        let mut group = self.group(RECORD_HEADER_BYTES + 8);
        let last = self.next_sequence.saturating_sub(1);
        self.add(&mut group, RecordKind::Seal, &[&last.to_le_bytes()])?;
        // The seal has a place in the file but none in the order of requests.
        group.sequences = 0;
        self.write(&group)?;
        self.file.set_len(self.end)?;
        self.allocated = self.end;
        Ok(())
    }
}
