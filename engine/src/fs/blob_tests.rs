use super::*;
use crate::fs::{Fs, MemoryFs};

/// A blob of 10,000 bytes: not covered | 9,000 by blocks | 900 as a whole.
fn blob(damaged: Option<usize>) -> (Blob, Box<dyn File>) {
    let mut bytes: Vec<u8> = (0..10_000u32).map(|n| (n % 251) as u8).collect();
    let mut table = BlockTable::new();
    // In pieces that do not end where blocks do.
    bytes[100..9100].chunks(1500).for_each(|piece| table.update(piece));
    table.finish();
    let table = BlockTable::decode(&table.encode()).unwrap();
    let whole = crc32fast::hash(&bytes[9100..]);
    if let Some(at) = damaged {
        bytes[at] ^= 1;
    }
    let fs = MemoryFs::new();
    let path = Path::new("/sealed");
    fs.create(path).unwrap().write_all_at(&bytes, 0).unwrap();
    let blob = Blob::new(path, fs.map(path).unwrap()).cover_whole(9100..10_000, whole);
    let blob = blob.and_then(|blob| blob.cover_blocks(100, table)).unwrap();
    (blob, fs.open(path).unwrap())
}

#[test]
fn covered_bytes_are_read_without_copying() {
    let (blob, file) = blob(None);
    for range in [100..101, 100..9100, 4000..4300, 9000..9200, 9100..10_000, 500..500] {
        let read = blob.read(range.clone()).unwrap();
        let expected: Vec<u8> = range.clone().map(|n| (n % 251) as u8).collect();
        assert_eq!(read, expected);
        assert_eq!(blob.read_from_disk(file.as_ref(), range).unwrap(), expected);
    }
    blob.verify(file.as_ref()).unwrap();
}

#[test]
fn what_is_not_covered_is_not_read() {
    let (blob, file) = blob(None);
    let past = [0..1, 99..101, 9000..10_001, 10_001..10_002, u64::MAX - 1..u64::MAX];
    for range in past.into_iter().chain([Range { start: 5, end: 3 }]) {
        for read in [blob.read(range.clone()), blob.read_from_disk(file.as_ref(), range)] {
            assert!(matches!(read, Err(Error::Corrupt { .. })));
        }
    }
    let again = Blob::new(Path::new("/sealed"), Bytes::from_static(&[0; 8]));
    assert!(again.cover_whole(4..9, 0).is_err());
    let again = Blob::new(Path::new("/sealed"), Bytes::from_static(&[0; 8]));
    assert!(again.cover_whole(0..5, 0).and_then(|b| b.cover_whole(4..8, 0)).is_err());
}

#[test]
fn damage_is_an_error_each_time_and_only_in_its_block() {
    for (at, block) in [(100, 100..4196), (4196, 4196..8292), (9099, 8292..9100)] {
        let (blob, file) = blob(Some(at));
        for _ in 0..2 {
            let error = blob.read(block.end - 1..block.end).unwrap_err();
            let Error::Corrupt { offset, what, .. } = error else { panic!("{error}") };
            assert_eq!(offset, block.start);
            assert!(what.starts_with("expected crc ") && what.contains("found"), "{what}");
        }
        let covered: [Range<u64>; 4] = [100..4196, 4196..8292, 8292..9100, 9100..10_000];
        for other in covered.into_iter().filter(|other| *other != block) {
            blob.read(other).unwrap();
        }
        assert!(blob.read(100..10_000).is_err());
        assert!(blob.verify(file.as_ref()).is_err());
    }
    let (blob, file) = blob(Some(9999));
    assert!(blob.read(9100..9101).is_err() && blob.verify(file.as_ref()).is_err());
}

#[test]
fn a_table_is_only_read_whole() {
    let mut table = BlockTable::new();
    table.update(&[1; 5000]);
    table.finish();
    let bytes = table.encode();
    assert_eq!((table.covered(), bytes.len()), (5000, 8 + 2 * 4));
    for len in 0..bytes.len() {
        assert!(BlockTable::decode(&bytes[..len]).is_none());
    }
    assert!(BlockTable::decode(&[&bytes[..], &[0; 4]].concat()).is_none());
}
