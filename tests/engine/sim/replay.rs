//! A log that has what is in segments already: no span appears twice.

use std::path::{Path, PathBuf};

use amida::{Fs, MemoryFs};

use crate::common::{DIR, numbers, once, options, spans};

fn read(fs: &MemoryFs, path: &Path) -> Vec<u8> {
    let file = fs.open(path).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(&mut bytes, 0).unwrap();
    bytes
}

fn write(fs: &MemoryFs, path: &Path, bytes: &[u8]) {
    let file = fs.open_write(path).or_else(|_| fs.create(path)).unwrap();
    file.set_len(0).unwrap();
    file.write_all_at(bytes, 0).unwrap();
}

/// CRC-32 as docs/format.md has it, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
        })
    };
    !bytes.iter().fold(!0, step)
}

/// The newest manifest, as one would be that knows the segments but not which logs they are from.
fn forget_the_floor(fs: &MemoryFs) {
    let dir = Path::new(DIR).join("manifest");
    let path = dir.join(fs.list(&dir).unwrap().last().unwrap());
    let bytes = read(fs, &path);
    let (head, body) = bytes.split_at(24);
    let mut version: serde_json::Value = serde_json::from_slice(body).unwrap();
    assert!(version["wal_floor"].as_u64() > Some(1));
    version["wal_floor"] = 1.into();
    let body = serde_json::to_vec(&version).unwrap();
    // Magic, format, checksum, length, body: the checksum is over all but the magic and itself.
    let (magic, format, len) = (&head[..8], &head[8..12], (body.len() as u64).to_le_bytes());
    let covered = [format, &len[..], &body[..]].concat();
    let crc = crc32(&covered).to_le_bytes();
    let bytes = [magic, format, &crc[..], &covered[4..]].concat();
    write(fs, &path, &bytes);
}

#[test]
fn records_that_are_in_segments_are_not_replayed_again() {
    let fs = MemoryFs::new();
    let open = || options(&fs).single_threaded().open(DIR).unwrap();
    let store = open();
    let _ = store.append_otlp(spans(1..4)).unwrap();
    let _ = store.append_otlp(spans(4..6)).unwrap();
    let log: PathBuf = Path::new(DIR).join("wal/0000000000000001.wal");
    let records = read(&fs, &log);
    store.flush().unwrap();
    assert!(!fs.exists(&log).unwrap());
    let _ = store.append_otlp(spans(6..8)).unwrap();
    store.close().unwrap();

    // As from a copy that was taken while the store was written, or beside a rebuilt manifest.
    write(&fs, &log, &records);
    forget_the_floor(&fs);
    let store = open();
    assert_eq!(numbers(&store.snapshot()), once(1..8));
    let found = store.recovery();
    assert_eq!((found.records_skipped, found.records), (2, 1));
    assert!(found.damage.is_empty(), "{:?}", found.damage);
    store.compact().unwrap();
    assert_eq!(numbers(&store.snapshot()), once(1..8));
}
