//! The manifest: which segments and log files make up the store. A new version is the one commit
//! point of flush, compaction and retention.
//!
//! One whole version per numbered file, made by the create protocol; the highest number wins. It
//! promises: a version is there whole or not at all, a damaged newest version is an error that
//! names the file and never silently an older state.
//!
//! | part of a file | bytes |
//! |---|---|
//! | magic `AMIDAMAN` | 8 |
//! | format version, little-endian | 4 |
//! | CRC-32 of format version, length and body, little-endian | 4 |
//! | length of the body, little-endian | 8 |
//! | body: `Version` as JSON | length |
//!
//! These 24 bytes and what the checksum covers are the same in every format version: a damaged
//! format version is damage, and never taken for a newer Amida's.

#[cfg(test)]
mod tests;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::codec::{Decoder, crc32};
use crate::error::{Error, Result};
use crate::fs::{Fs, create_durably, names, read_all};
use crate::model::catalog::{Catalog, Promoted};
use crate::segment::SegmentSummary;

/// The first bytes of a manifest file.
const MAGIC: [u8; 8] = *b"AMIDAMAN";
/// The version of the format of all files of a store.
const FORMAT: u32 = 1;
/// Largest manifest that is read.
const BYTES_MAX: u64 = 256 << 20;
/// What helps when the newest version is damaged or missing.
pub const REBUILD: &str = "`amida repair DIR --rebuild-manifest` makes it again from the segments";
/// Versions that are kept: the newest and the one before it, for a look at what changed.
const VERSIONS_KEPT: usize = 2;

/// A segment in a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentEntry {
    /// The number in its file name. Segments stand in order of ingest, not of number.
    pub number: u64,
    /// Spans in it.
    pub rows: u64,
    /// Length of the file.
    pub bytes: u64,
    /// Earliest and latest start time, in nanoseconds.
    pub start_times: (i64, i64),
    /// First and last time of ingest, in nanoseconds: what retention looks at.
    pub ingest_times: (i64, i64),
    /// First and last log record whose spans are in it.
    pub sequences: (u64, u64),
    /// Row groups in it.
    pub row_groups: u32,
    /// The promoted columns it has.
    pub promoted: Vec<Promoted>,
}

impl From<SegmentSummary> for SegmentEntry {
    fn from(summary: SegmentSummary) -> Self {
        Self {
            number: summary.number,
            rows: summary.rows,
            bytes: summary.bytes,
            start_times: (summary.start_min_ns, summary.start_max_ns),
            ingest_times: summary.origin.ingest_times,
            sequences: summary.origin.sequences,
            row_groups: summary.row_groups,
            promoted: summary.promoted,
        }
    }
}

/// One state of the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// Counts up with every version.
    pub number: u64,
    /// Which store this is, as 32 hex digits; log files and segments carry it too.
    pub store_id: StoreId,
    /// The segments, in order of ingest.
    pub segments: Vec<SegmentEntry>,
    /// The number that the next segment gets.
    pub next_segment: u64,
    /// Records up to this sequence are in segments, or were dropped with them.
    pub flushed_sequence: u64,
    /// Log files with a smaller number are not needed any more.
    pub wal_floor: u64,
    /// The attribute keys of all spans that ever went into a segment.
    pub catalog: Catalog,
    /// Keys that new segments have a column for; only ever added to.
    pub promoted: Vec<Promoted>,
    /// Spans that went into segments since the store was made.
    pub accepted: u64,
    /// Rejected spans by reason since the store was made, without those of the log.
    pub rejected: std::collections::BTreeMap<String, u64>,
    /// Spans that retention dropped.
    pub dropped: u64,
}

/// The random name of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreId(pub [u8; 16]);

impl Serialize for StoreId {
    fn serialize<S: serde::Serializer>(
        &self,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(self.0))
    }
}

impl<'de> Deserialize<'de> for StoreId {
    fn deserialize<D: serde::Deserializer<'de>>(de: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(de)?;
        let mut id = [0; 16];
        hex::decode_to_slice(&text, &mut id).map_err(serde::de::Error::custom)?;
        Ok(Self(id))
    }
}

impl Version {
    /// The first version of a new store.
    pub fn first(store_id: [u8; 16]) -> Self {
        Self {
            number: 1,
            store_id: StoreId(store_id),
            segments: Vec::new(),
            next_segment: 1,
            flushed_sequence: 0,
            wal_floor: 1,
            catalog: Catalog::default(),
            promoted: Vec::new(),
            accepted: 0,
            rejected: std::collections::BTreeMap::new(),
            dropped: 0,
        }
    }

    /// Bytes of all segments.
    pub fn segment_bytes(&self) -> u64 {
        self.segments.iter().fold(0, |sum, segment| sum.saturating_add(segment.bytes))
    }

    /// Spans in all segments.
    pub fn segment_rows(&self) -> u64 {
        self.segments.iter().fold(0, |sum, segment| sum.saturating_add(segment.rows))
    }
}

/// The newest version of the store; `None` where there is no manifest.
///
/// # Errors
/// `Corrupt` when the newest version is damaged, `Unsupported` when a newer Amida wrote it.
pub fn load(fs: &dyn Fs, store: &Path) -> Result<Option<Version>> {
    let Some(number) = numbers(fs, store)?.pop() else { return Ok(None) };
    match read(fs, store, number) {
        Err(_) if planted!("damaged_manifest_skipped") && number > 1 => {
            read(fs, store, number - 1).map(Some)
        }
        Err(Error::Corrupt { path, offset, what }) => {
            Err(Error::corrupt(path, offset, format!("{what}; {REBUILD}")))
        }
        other => other.map(Some),
    }
}

/// The version with this number.
///
/// # Errors
/// As `load`.
pub fn read(fs: &dyn Fs, store: &Path, number: u64) -> Result<Version> {
    let path = names::manifest(store, number);
    let version = decode(&read_all(fs, &path, BYTES_MAX)?, &path)?;
    if version.number != number && !planted!("manifest_number_unchecked") {
        let what = format!("it holds version {}, not {number}", version.number);
        return Err(Error::corrupt(path, 24, what));
    }
    Ok(version)
}

/// The number of the newest version; `None` where there is no manifest.
///
/// # Errors
/// `Io`.
pub fn newest_number(fs: &dyn Fs, store: &Path) -> Result<Option<u64>> {
    Ok(numbers(fs, store)?.pop())
}

/// Makes this version the store's state: when it returns, the version is on stable storage.
///
/// # Errors
/// `Io`; then the store's state is the one before, or, where only the last sync failed, either.
pub fn commit(fs: &dyn Fs, store: &Path, version: &Version) -> Result<()> {
    write(fs, store, version)?;
    // The version is safe: what goes wrong from here on does no harm.
    let numbers = numbers(fs, store).unwrap_or_default();
    for old in numbers.iter().rev().skip(VERSIONS_KEPT) {
        // An old version that stays does no harm; the next commit tries again.
        if let Err(error) = fs.remove(&names::manifest(store, *old)) {
            tracing::warn!(target: "amida::manifest", %error, "cannot remove an old manifest");
        }
    }
    Ok(())
}

/// As `commit`, and leaves all earlier versions as they are.
///
/// # Errors
/// As `commit`.
pub fn write(fs: &dyn Fs, store: &Path, version: &Version) -> Result<()> {
    create_durably(fs, &names::manifest(store, version.number), &encode(version)?)
}

/// The numbers of all versions that are kept, in order.
///
/// # Errors
/// `Io`.
pub fn numbers(fs: &dyn Fs, store: &Path) -> Result<Vec<u64>> {
    let dir = names::manifest_dir(store);
    if !fs.exists(&dir)? {
        return Ok(Vec::new());
    }
    let mut numbers: Vec<u64> =
        fs.list(&dir)?.iter().filter_map(|name| names::number(name, names::MANIFEST)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// The file of a version.
///
/// # Errors
/// `Invalid` when it cannot be written as JSON.
pub fn encode(version: &Version) -> Result<Vec<u8>> {
    let body = serde_json::to_vec(version)
        .map_err(|e| Error::invalid(format!("a manifest cannot be written as JSON: {e}")))?;
    Ok(framed(FORMAT, &body))
}

/// A file with this body.
pub fn framed(format: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(24 + body.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&format.to_le_bytes());
    bytes.extend_from_slice(&checksum(format, body).to_le_bytes());
    bytes.extend_from_slice(&(body.len() as u64).to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// Over everything but the magic and itself.
fn checksum(format: u32, body: &[u8]) -> u32 {
    crc32(&[&format.to_le_bytes(), &(body.len() as u64).to_le_bytes(), body])
}

/// The version in a file.
pub fn decode(bytes: &[u8], path: &Path) -> Result<Version> {
    let short = || Error::corrupt(path, bytes.len() as u64, "the file ends too early");
    let mut decoder = Decoder(bytes);
    if decoder.array().ok_or_else(short)? != MAGIC {
        return Err(Error::corrupt(path, 0, "no manifest: the first bytes are not AMIDAMAN"));
    }
    let format = decoder.u32().ok_or_else(short)?;
    let crc = decoder.u32().ok_or_else(short)?;
    let len = decoder.u64().ok_or_else(short)?;
    let body = decoder.0;
    if len != body.len() as u64 {
        let what = format!("expected {len} bytes after the header, found {}", body.len());
        return Err(Error::corrupt(path, 16, what));
    }
    let found = checksum(format, body);
    if found != crc && !planted!("manifest_unchecked") {
        let what = format!("expected checksum {crc:08x}, found {found:08x}");
        return Err(Error::corrupt(path, 8, what));
    }
    if format != FORMAT {
        let what = format!("the store has format {format}; this version reads format {FORMAT}");
        return Err(Error::Unsupported { path: path.to_owned(), what });
    }
    serde_json::from_slice(body).map_err(|e| Error::corrupt(path, 24, e.to_string()))
}
