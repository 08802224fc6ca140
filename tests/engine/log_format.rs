//! The log as docs/format.md draws it, read here by other code than the engine's: what each
//! checksum covers, what a record claims, and which records are none.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use amida::{Clock, CrashModel, Fs, MemoryFs, Store};
use bytes::Bytes;

use crate::common::{DIR, NOW_NS, numbers, once, one_span, open, options};

/// A record as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    offset: usize,
    kind: u8,
    payload: Vec<u8>,
    sequence: u64,
    durable: u64,
}

/// CRC-32 (IEEE), bit by bit.
fn crc32(pieces: &[&[u8]]) -> u32 {
    let mut crc = u32::MAX;
    for byte in pieces.iter().copied().flatten() {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// The checksum of a record's header: salt and number of the file, the record's place, and the
/// header's first 32 bytes.
fn header_crc(file: &[u8], offset: usize, header: &[u8]) -> u32 {
    crc32(&[&file[40..48], &file[32..40], &(offset as u64).to_le_bytes(), &header[..32]])
}

/// The records of a log file; each must be as it is documented.
fn records(file: &[u8]) -> Vec<Record> {
    assert_eq!(&file[..8], b"AMIDAWAL");
    assert_eq!(u32_at(file, 56), crc32(&[&file[..56]]), "the file header's checksum");
    let mut found = Vec::new();
    let mut offset = 64;
    while offset + 40 <= file.len() && file[offset..offset + 4] == *b"AMRC" {
        let header = &file[offset..offset + 40];
        let length = u32_at(header, 4) as usize;
        let payload = file[offset + 40..offset + 40 + length].to_vec();
        assert_eq!(u32_at(header, 32), header_crc(file, offset, header), "at {offset}: header");
        assert_eq!(u32_at(header, 12), crc32(&[&payload]), "at {offset}: payload");
        let (kind, sequence, durable) = (header[8], u64_at(header, 16), u64_at(header, 24));
        found.push(Record { offset, kind, payload, sequence, durable });
        offset += 40 + length.next_multiple_of(8);
    }
    assert!(file[offset..].iter().all(|byte| *byte == 0), "nothing follows but zeros");
    found
}

fn newest_log(fs: &MemoryFs) -> (PathBuf, Bytes) {
    let folder = Path::new(DIR).join("wal");
    let path = folder.join(fs.list(&folder).unwrap().last().unwrap());
    let bytes = fs.map(&path).unwrap();
    (path, bytes)
}

fn append_all(store: &Store, numbers: std::ops::Range<u64>) {
    let pending: Vec<_> = numbers.map(|n| store.submit_otlp(one_span(n))).collect();
    for one in pending {
        assert_eq!(one.wait().unwrap().accepted(), 1);
    }
}

#[test]
fn a_log_is_what_its_documentation_says_and_claims_only_what_was_synced() {
    let fs = MemoryFs::new();
    let store = open(&fs);
    append_all(&store, 1..20);
    append_all(&store, 20..30);
    let (path, _) = newest_log(&fs);
    store.close().unwrap();
    let log = fs.map(&path).unwrap();
    let found = records(&log);
    let (seal, requests) = found.split_last().unwrap();
    assert_eq!((requests.len(), seal.kind), (29, 2));
    for (record, sequence) in requests.iter().zip(1..) {
        assert_eq!((record.kind, record.sequence), (1, sequence));
        assert!(record.durable < sequence, "{record:?} claims to be durable itself");
    }
    // By then the first ones had been acknowledged.
    assert!(requests[28].durable >= 1 && requests[0].durable == 0);
    assert_eq!((seal.sequence, seal.payload.as_slice()), (30, &29_u64.to_le_bytes()[..]));
}

/// A clock that is an hour earlier at each look.
#[derive(Debug)]
struct Backwards(AtomicI64);

impl Clock for Backwards {
    fn now_ns(&self) -> i64 {
        self.0.fetch_sub(3_600_000_000_000, Ordering::SeqCst)
    }
}

#[test]
fn the_time_of_ingest_never_goes_back_not_even_when_a_store_is_opened_again() {
    let fs = MemoryFs::new();
    let clock = Arc::new(Backwards(AtomicI64::new(NOW_NS)));
    let mut times = Vec::new();
    for round in 0..2 {
        let store = options(&fs).clock(clock.clone()).open(DIR).unwrap();
        for number in 0..3 {
            let _ = store.append_otlp(one_span(1 + round * 3 + number)).unwrap();
        }
        let (_, log) = newest_log(&fs);
        // The payload begins with it.
        times.extend(records(&log).iter().map(|record| u64_at(&record.payload, 0)));
        store.close().unwrap();
    }
    assert_eq!(times.len(), 6);
    assert!(times.is_sorted(), "{times:?}");
}

/// CRC-32 of no bytes is 0: a length of zero would make a record of any twelve zeros.
#[test]
fn a_record_of_no_bytes_is_none_although_its_checksums_hold() {
    let fs = MemoryFs::new();
    let store = open(&fs);
    append_all(&store, 1..3);
    let (path, log) = newest_log(&fs);
    let fs = fs.crash(CrashModel::KeepAll);
    let last = records(&log).pop().unwrap();
    let offset = last.offset + 40 + last.payload.len().next_multiple_of(8);
    let mut header = [0; 40];
    header[..4].copy_from_slice(b"AMRC");
    header[8] = 1;
    header[16..24].copy_from_slice(&(last.sequence + 1).to_le_bytes());
    header[24..32].copy_from_slice(&last.sequence.to_le_bytes());
    let crc = header_crc(&log, offset, &header);
    header[32..36].copy_from_slice(&crc.to_le_bytes());
    fs.open_write(&path).unwrap().write_all_at(&header, offset as u64).unwrap();
    let store = open(&fs);
    assert_eq!(numbers(&store.snapshot()), once(1..3));
    assert!(store.stats().damage.is_empty(), "{:?}", store.stats().damage);
}
