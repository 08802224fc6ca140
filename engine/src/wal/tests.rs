use std::path::Path;

use super::format::{FILE_HEADER_BYTES, RECORD_HEADER_BYTES};
use super::{FileHeader, RecordKind, Step, WalReader, WalWriter};
use crate::codec::documented::assert_documented;
use crate::fs::{Fs, MemoryFs, names};

const STORE: &str = "store";
const ID: [u8; 16] = [7; 16];

fn written(payloads: &[&[u8]]) -> (std::sync::Arc<MemoryFs>, WalWriter) {
    let fs = std::sync::Arc::new(MemoryFs::new());
    fs.create_dir_all(&names::wal_dir(Path::new(STORE))).unwrap();
    let header = FileHeader { store_id: ID, number: 3, salt: 99, first_sequence: 10 };
    let mut writer = WalWriter::create(&*fs, Path::new(STORE), header).unwrap();
    for payload in payloads {
        let mut group = writer.group(0);
        writer.add(&mut group, RecordKind::Request, &[payload]).unwrap();
        writer.write(&group).unwrap();
        writer.sync().unwrap();
    }
    (fs, writer)
}

fn reader(fs: &MemoryFs) -> WalReader {
    WalReader::open(fs, &names::wal(Path::new(STORE), 3), &ID, 3).unwrap()
}

fn payloads(reader: &mut WalReader) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while let Step::Record(record) = reader.step().unwrap() {
        all.push(record.payload);
    }
    all
}

#[test]
fn records_come_back_in_order_and_zeros_end_the_log() {
    let (fs, _writer) = written(&[b"one", b"two two", b"three"]);
    let mut reader = reader(&fs);
    assert_eq!(payloads(&mut reader), [&b"one"[..], b"two two", b"three"]);
    assert!(matches!(reader.step().unwrap(), Step::End));
}

#[test]
fn a_seal_takes_no_sequence_and_no_unused_space() {
    let (fs, mut writer) = written(&[b"one"]);
    writer.write_seal().unwrap();
    writer.sync().unwrap();
    assert_eq!(writer.next_sequence(), 11);
    let mut reader = reader(&fs);
    assert!(matches!(reader.step().unwrap(), Step::Record(r) if r.header.sequence == 10));
    assert!(matches!(reader.step().unwrap(), Step::Record(r) if r.is_seal()));
    let len = fs.open(&names::wal(Path::new(STORE), 3)).unwrap().len().unwrap();
    assert_eq!(len, reader.offset());
}

#[test]
fn a_record_torn_at_any_byte_is_no_record_and_the_ones_before_it_stay() {
    let (fs, writer) = written(&[b"first record", b"second record"]);
    let path = names::wal(Path::new(STORE), 3);
    let second = FILE_HEADER_BYTES as u64 + RECORD_HEADER_BYTES as u64 + 16;
    let last_byte = second + RECORD_HEADER_BYTES as u64 + 13;
    assert!(last_byte <= writer.len());
    for cut in second..last_byte {
        fs.open_write(&path).unwrap().set_len(cut).unwrap();
        let mut reader = reader(&fs);
        assert_eq!(payloads(&mut reader).len(), 1, "cut at {cut}");
        // The file grows back as zeros for the next round, as unused space would.
        fs.open_write(&path).unwrap().set_len(writer.len()).unwrap();
    }
}

#[test]
fn every_flipped_byte_is_noticed_and_later_records_are_found_again() {
    let (fs, _writer) = written(&[b"first record", b"second record", b"third"]);
    let path = names::wal(Path::new(STORE), 3);
    let first = FILE_HEADER_BYTES as u64;
    for at in first..first + RECORD_HEADER_BYTES as u64 + 12 {
        let file = fs.open_write(&path).unwrap();
        let mut byte = [0];
        file.read_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
        let mut reader = reader(&fs);
        assert!(matches!(reader.step().unwrap(), Step::Bad), "byte {at}");
        let found = reader.resync().unwrap().expect("the second record");
        assert_eq!((found.payload.as_slice(), found.header.sequence), (&b"second record"[..], 11));
        assert_eq!(payloads(&mut reader), [b"third"]);
        file.write_all_at(&byte, at).unwrap();
    }
}

#[test]
fn a_record_is_not_valid_in_another_place_or_file() {
    let (fs, mut writer) = written(&[b"first record"]);
    let path = names::wal(Path::new(STORE), 3);
    let record_bytes = RECORD_HEADER_BYTES + 16;
    let mut copy = vec![0; record_bytes];
    let file = fs.open_write(&path).unwrap();
    file.read_at(&mut copy, FILE_HEADER_BYTES as u64).unwrap();
    file.write_all_at(&copy, writer.len()).unwrap();
    let mut reader = reader(&fs);
    assert_eq!(payloads(&mut reader).len(), 1);
    assert!(matches!(reader.step().unwrap(), Step::Bad));
    assert!(reader.resync().unwrap().is_none());
    writer.cut_back().unwrap();
    let error = WalReader::open(&*fs, &path, &[8; 16], 3).unwrap_err();
    assert!(error.to_string().contains("another store"), "{error}");
}

#[test]
fn a_damaged_file_header_is_an_error_that_names_the_file() {
    let (fs, _writer) = written(&[b"x"]);
    let path = names::wal(Path::new(STORE), 3);
    for at in 0..60 {
        let file = fs.open_write(&path).unwrap();
        let mut byte = [0];
        file.read_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 1], at).unwrap();
        let error = WalReader::open(&*fs, &path, &ID, 3).unwrap_err();
        assert!(error.to_string().contains("0000000000000003.wal"), "byte {at}: {error}");
        file.write_all_at(&byte, at).unwrap();
    }
}

#[test]
fn the_documented_bytes_of_a_log_file_are_the_ones_that_are_written() {
    let header = FileHeader {
        store_id: [0x11; 16],
        number: 7,
        salt: 0x0123_4567_89ab_cdef,
        first_sequence: 42,
    };
    assert_documented("WAL_FILE_HEADER", &header.encode());
    let fs = std::sync::Arc::new(MemoryFs::new());
    fs.create_dir_all(&names::wal_dir(Path::new(STORE))).unwrap();
    let writer = WalWriter::create(&*fs, Path::new(STORE), header).unwrap();
    let mut group = writer.group(0);
    writer.add(&mut group, RecordKind::Seal, &[&41_u64.to_le_bytes()]).unwrap();
    assert_documented("WAL_SEAL_RECORD", group.bytes.as_ref());
}
