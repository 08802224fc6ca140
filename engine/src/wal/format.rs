//! The bytes of a log file, shared by writer and reader. docs/format.md draws them.

use crate::codec::{Decoder, crc32};

/// The first bytes of a log file.
pub const MAGIC: [u8; 8] = *b"AMIDAWAL";
/// The version of the format.
pub const VERSION: u32 = 1;
/// Length of the file header.
pub const FILE_HEADER_BYTES: usize = 64;
/// The first bytes of a record.
pub const RECORD_MAGIC: [u8; 4] = *b"AMRC";
/// Length of a record's header.
pub const RECORD_HEADER_BYTES: usize = 40;
/// Records begin at multiples of this.
pub const ALIGNMENT: u64 = 8;
/// Largest payload: the largest request and the verdicts on its spans.
pub const PAYLOAD_BYTES_MAX: u32 = 64 << 20;

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum RecordKind {
    /// A request.
    Request = 1,
    /// The log file is complete: it was closed in order.
    Seal = 2,
}

/// The header of a log file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileHeader {
    /// Which store the file belongs to.
    pub store_id: [u8; 16],
    /// The number in the file's name.
    pub number: u64,
    /// Random; no record of another file or an earlier life of these disk blocks fits.
    pub salt: u64,
    /// The sequence of the first record.
    pub first_sequence: u64,
}

/// Why a header is not usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadHeader {
    /// Not what was written.
    Damaged(&'static str),
    /// Written by a newer version.
    Version(u32),
}

impl FileHeader {
    /// magic 8, version 4, zero 4, store id 16, number 8, salt 8, first sequence 8, crc 4, zero 4.
    pub fn encode(&self) -> [u8; FILE_HEADER_BYTES] {
        let mut bytes = [0; FILE_HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.store_id);
        bytes[32..40].copy_from_slice(&self.number.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.salt.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.first_sequence.to_le_bytes());
        let crc = crc32(&[&bytes[..56]]);
        bytes[56..60].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a header.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadHeader> {
        const SHORT: BadHeader = BadHeader::Damaged("the file header is not complete");
        let mut decoder = Decoder(bytes);
        if decoder.array().ok_or(SHORT)? != MAGIC {
            return Err(BadHeader::Damaged("no log file: the first bytes are not AMIDAWAL"));
        }
        let version = decoder.u32().ok_or(SHORT)?;
        let covered = bytes.get(..56).ok_or(SHORT)?;
        let crc = bytes.get(56..60).ok_or(SHORT)?;
        if crc != crc32(&[covered]).to_le_bytes() {
            return Err(BadHeader::Damaged("the file header does not match its checksum"));
        }
        if version != VERSION {
            return Err(BadHeader::Version(version));
        }
        decoder.u32().ok_or(SHORT)?;
        Ok(Self {
            store_id: decoder.array().ok_or(SHORT)?,
            number: decoder.u64().ok_or(SHORT)?,
            salt: decoder.u64().ok_or(SHORT)?,
            first_sequence: decoder.u64().ok_or(SHORT)?,
        })
    }
}

/// The header of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordHeader {
    /// What the payload is.
    pub kind: RecordKind,
    /// Bytes of the payload, without padding; never 0.
    pub payload_bytes: u32,
    /// CRC-32 of the payload.
    pub payload_crc: u32,
    /// The record's position in the log, across files, without gaps.
    pub sequence: u64,
    /// All records up to this sequence were on stable storage when this one was written.
    pub durable_sequence: u64,
}

impl RecordHeader {
    /// magic 4, payload length 4, kind 1, zero 3, payload crc 4, sequence 8, durable sequence 8,
    /// header crc 4, zero 4. The header's crc also covers the file's salt and number and the
    /// record's offset, so that a record is valid in its own place only.
    pub fn encode(&self, file: &FileHeader, offset: u64) -> [u8; RECORD_HEADER_BYTES] {
        let mut bytes = [0; RECORD_HEADER_BYTES];
        bytes[..4].copy_from_slice(&RECORD_MAGIC);
        bytes[4..8].copy_from_slice(&self.payload_bytes.to_le_bytes());
        bytes[8] = self.kind as u8;
        bytes[12..16].copy_from_slice(&self.payload_crc.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.durable_sequence.to_le_bytes());
        let crc = header_crc(file, offset, &bytes[..32]);
        bytes[32..36].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a header; `None` when it is not one that was written at this place.
    pub fn decode(bytes: &[u8], file: &FileHeader, offset: u64) -> Option<Self> {
        let covered = bytes.get(..32)?;
        if !covered.starts_with(&RECORD_MAGIC)
            || bytes.get(32..36)? != header_crc(file, offset, covered).to_le_bytes()
            || bytes.get(36..40)? != [0; 4]
        {
            return None;
        }
        let mut decoder = Decoder(covered.get(4..)?);
        let payload_bytes = decoder.u32()?;
        let kind = match decoder.array()? {
            [1, 0, 0, 0] => RecordKind::Request,
            [2, 0, 0, 0] => RecordKind::Seal,
            _ => return None,
        };
        let least = if planted!("zero_length_legal") { 0 } else { 1 };
        (least..=PAYLOAD_BYTES_MAX).contains(&payload_bytes).then_some(Self {
            kind,
            payload_bytes,
            payload_crc: decoder.u32()?,
            sequence: decoder.u64()?,
            durable_sequence: decoder.u64()?,
        })
    }
}

fn header_crc(file: &FileHeader, offset: u64, covered: &[u8]) -> u32 {
    let salt = if planted!("salt_unchecked") { 0 } else { file.salt };
    let offset = if planted!("offset_unchecked") { 0 } else { offset };
    let covered = if planted!("length_unchecked") { &covered[8..] } else { covered };
    crc32(&[&salt.to_le_bytes(), &file.number.to_le_bytes(), &offset.to_le_bytes(), covered])
}

/// Bytes that a payload of this length takes with its padding.
pub fn padded(payload_bytes: u32) -> u64 {
    u64::from(payload_bytes).next_multiple_of(ALIGNMENT)
}
