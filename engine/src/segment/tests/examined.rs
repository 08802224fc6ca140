//! A whole file is examined: what is sound is clean, and what checksums cannot tell is found.

use super::*;
use crate::segment::format::{BODY_OFFSET, HEADER_OFFSET, Header};
use crate::segment::{Description, Visitor, describe, examine};

#[derive(Default)]
struct Seen {
    damage: Vec<(u64, String)>,
    rows: u64,
    done: Vec<u64>,
}

impl Visitor for Seen {
    fn damage(&mut self, offset: u64, what: String) {
        self.damage.push((offset, what));
    }

    fn done(&mut self, bytes: u64) {
        self.done.push(bytes);
    }

    fn rows(&mut self, rows: &SpanBatch) {
        self.rows += rows.len() as u64;
    }
}

fn examined(disk: &Disk) -> (Option<Description>, Seen) {
    let mut seen = Seen::default();
    let description = examine(&*disk.fs, &disk.path(1), &mut seen).unwrap();
    (description, seen)
}

/// What is wrong with the first segment.
pub fn damage_of(disk: &Disk) -> Vec<(u64, String)> {
    examined(disk).1.damage
}

#[test]
fn a_sound_file_is_clean_and_says_what_was_written() {
    let disk = Disk::new();
    let segment = disk.write(1, &groups(SEED + 9, &[200, 3000]), &promoted());
    let (description, seen) = examined(&disk);
    assert_eq!(seen.damage, []);
    assert_eq!(seen.rows, segment.rows());
    assert!(seen.done.is_sorted());
    assert_eq!(seen.done.last(), Some(&segment.bytes()));
    let description = description.unwrap();
    assert_eq!(description, describe(&*disk.fs, &disk.path(1)).unwrap());
    assert_eq!((description.store_id, description.summary.origin), (STORE, ORIGIN));
    assert_eq!(description.summary.promoted, promoted());
    // As are row groups that were copied.
    let mut writer =
        SegmentWriter::create(&disk.fs, &disk.path(2), 2, STORE, &promoted(), ORIGIN).unwrap();
    writer.append_row_groups(&segment).unwrap();
    writer.finish().unwrap();
    let mut seen = Seen::default();
    examine(&*disk.fs, &disk.path(2), &mut seen).unwrap();
    assert_eq!(seen.damage, []);
}

#[test]
fn every_flipped_bit_is_found_and_what_can_be_read_is() {
    let disk = Disk::new();
    let segment = disk.write(1, &groups(SEED, &[3, 2]), &promoted()[..2]);
    let bytes = disk.bytes(1);
    let header = Header::decode(&disk.path(1), &bytes).unwrap();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        disk.put(1, &damaged);
        let (description, seen) = examined(&disk);
        assert!(!seen.damage.is_empty(), "byte {at}");
        let at = at as u64;
        let described = header.body().contains(&at) || header.index().contains(&at);
        assert_eq!(description.is_some(), described, "byte {at}");
        if header.index().contains(&at) {
            assert_eq!(seen.rows, segment.rows(), "byte {at}");
        }
    }
}

/// Damaged blocks next to each other are one problem, others are others.
#[test]
fn damaged_blocks_are_told_by_their_first_byte() {
    let disk = Disk::new();
    disk.write(1, &groups(SEED + 2, &[4000]), &[]);
    let mut bytes = disk.bytes(1);
    for block in [1, 2, 3, 7] {
        bytes[usize::try_from(BODY_OFFSET).unwrap() + block * 4096 + 5] ^= 1;
    }
    disk.put(1, &bytes);
    let (_, seen) = examined(&disk);
    let at: Vec<u64> = seen.damage.iter().map(|(offset, _)| *offset).collect();
    assert_eq!(at, [BODY_OFFSET + 4096, BODY_OFFSET + 7 * 4096], "{:?}", seen.damage);
    assert!(seen.damage[0].1.contains("12288 bytes"), "{:?}", seen.damage);
}

/// Whoever wrote these bytes took their checksums, too.
#[test]
fn what_checksums_cannot_tell_is_found() {
    let disk = Disk::new();
    disk.write(1, &groups(SEED + 3, &[50]), &promoted()[..2]);
    let bytes = disk.bytes(1);
    let header = Header::decode(&disk.path(1), &bytes).unwrap();
    let with = |change: &dyn Fn(&mut Header, &mut Vec<u8>)| {
        let (mut header, mut bytes) = (header.clone(), bytes.clone());
        change(&mut header, &mut bytes);
        let encoded = header.encode();
        bytes[HEADER_OFFSET..HEADER_OFFSET + encoded.len()].copy_from_slice(&encoded);
        disk.put(1, &bytes);
        examined(&disk).1.damage
    };
    assert_eq!(with(&|_, _| {}), []);
    let found = with(&|header, _| header.start_max_ns += 1);
    assert!(found.len() == 1 && found[0].1.contains("start times"), "{found:?}");
    let found = with(&|header, _| header.rows += 1);
    assert!(!found.is_empty(), "{found:?}");
    let found = with(&|header, bytes| {
        let index = header.index();
        let range = usize::try_from(index.start).unwrap()..usize::try_from(index.end).unwrap();
        let last = range.end - 1;
        bytes[last] ^= 1;
        header.index_crc = crc32fast::hash(&bytes[range]);
    });
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].0, found[0].1.contains("trace-ID index")), (header.index_offset, true));
}
