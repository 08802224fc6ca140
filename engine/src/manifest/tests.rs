use std::path::Path;

use super::{SegmentEntry, Version, commit, encode, load};
use crate::error::Error;
use crate::fs::{CrashModel, Fs, MemoryFs, names};
use crate::model::catalog::{Promoted, PromotedType, Scope, TypeCounts};
use crate::model::json::ValueType;

const STORE: &str = "store";

fn version(number: u64) -> Version {
    let mut version = Version { number, ..Version::first([9; 16]) };
    let promoted =
        Promoted { scope: Scope::Span, key: "http.route".into(), value_type: PromotedType::String };
    version.segments.push(SegmentEntry {
        number: 4,
        rows: 10,
        bytes: 1000,
        start_times: (i64::MIN, i64::MAX),
        ingest_times: (1, 2),
        sequences: (3, u64::MAX),
        row_groups: 1,
        promoted: vec![promoted.clone()],
    });
    version.promoted.push(promoted);
    let mut counts = TypeCounts::default();
    counts.add(ValueType::Int, u64::MAX);
    version.catalog.add(Scope::Event, "k\"\u{1F600}", &counts);
    version
}

fn disk() -> std::sync::Arc<MemoryFs> {
    let fs = std::sync::Arc::new(MemoryFs::new());
    fs.create_dir_all(&names::manifest_dir(Path::new(STORE))).unwrap();
    fs
}

#[test]
fn the_newest_version_comes_back_whole_and_two_are_kept() {
    let fs = disk();
    assert_eq!(load(&*fs, Path::new(STORE)).unwrap(), None);
    for number in 1..=4 {
        commit(&*fs, Path::new(STORE), &version(number)).unwrap();
    }
    assert_eq!(load(&*fs, Path::new(STORE)).unwrap(), Some(version(4)));
    assert_eq!(fs.list(&names::manifest_dir(Path::new(STORE))).unwrap().len(), 2);
}

#[test]
fn a_committed_version_survives_the_loss_of_everything_unsynced() {
    let fs = disk();
    commit(&*fs, Path::new(STORE), &version(1)).unwrap();
    let after = fs.crash(CrashModel::LoseUnsynced);
    assert_eq!(load(&after, Path::new(STORE)).unwrap(), Some(version(1)));
}

#[test]
fn every_flipped_byte_of_the_newest_version_is_an_error_and_no_older_one_is_used() {
    let fs = disk();
    commit(&*fs, Path::new(STORE), &version(1)).unwrap();
    commit(&*fs, Path::new(STORE), &version(2)).unwrap();
    let path = names::manifest(Path::new(STORE), 2);
    let file = fs.open_write(&path).unwrap();
    for at in 0..file.len().unwrap() {
        let mut byte = [0];
        file.read_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 4], at).unwrap();
        let error = load(&*fs, Path::new(STORE)).unwrap_err();
        let named = matches!(&error, Error::Corrupt { path: p, .. } if *p == path);
        assert!(named, "byte {at}: {error}");
        file.write_all_at(&byte, at).unwrap();
    }
    for len in 0..file.len().unwrap() {
        let bytes = super::read_all(&*fs, &path, u64::MAX).unwrap();
        file.set_len(len).unwrap();
        assert!(load(&*fs, Path::new(STORE)).is_err(), "cut at {len}");
        file.write_all_at(&bytes, 0).unwrap();
    }
}

#[test]
fn a_newer_format_is_said_to_be_newer_and_a_damaged_format_number_is_damage() {
    let newer = super::framed(2, b"what a newer Amida writes");
    let error = super::decode(&newer, Path::new("m")).unwrap_err();
    assert!(matches!(&error, Error::Unsupported { .. }), "{error}");
    assert!(error.to_string().contains("format 2"), "{error}");
    let mut damaged = super::encode(&version(1)).unwrap();
    damaged[8] ^= 3;
    let error = super::decode(&damaged, Path::new("m")).unwrap_err();
    assert!(matches!(&error, Error::Corrupt { offset: 8, .. }), "{error}");
}

#[test]
fn the_documented_bytes_of_a_manifest_are_the_ones_that_are_written() {
    let bytes = super::encode(&Version::first([0x11; 16])).unwrap();
    crate::codec::documented::assert_documented("MANIFEST_FIRST", &bytes);
}

/// Found by fuzzing: whole checksums over any numbers made sums overflow, and a build for tests
/// panic.
#[test]
fn sums_of_a_version_stop_at_the_largest_number() {
    let mut version = version(1);
    version.segments[0].bytes = u64::MAX;
    version.segments[0].rows = u64::MAX;
    version.segments.push(version.segments[0].clone());
    let mut read = super::decode(&encode(&version).unwrap(), Path::new(STORE)).unwrap();
    assert_eq!((read.segment_bytes(), read.segment_rows()), (u64::MAX, u64::MAX));
    read.catalog.merge(&version.catalog);
    let counts = read.catalog.counts(Scope::Event, "k\"\u{1F600}");
    assert_eq!(counts.seen(), [(ValueType::Int, u64::MAX)]);
    assert_eq!(counts.total(), u64::MAX);
}
