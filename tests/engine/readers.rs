//! Readers beside what happens to the directory.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // these tests move directories

use amida::{Error, Reader, Store};

use crate::common::{numbers, once, spans};

/// The stores' manifests have the same number: a reader that looked only at that went on with the
/// old spans.
#[test]
fn a_reader_says_that_another_store_stands_in_the_place_of_its_own() {
    let home = tempfile::tempdir().unwrap();
    let (one, other) = (home.path().join("one.amida"), home.path().join("other.amida"));
    for (path, numbers) in [(&one, 1..4), (&other, 7..9)] {
        let store = Store::options().disk_floor_bytes(0).open(path).unwrap();
        let _ = store.append_otlp(spans(numbers)).unwrap();
        store.close().unwrap();
    }
    let reader = Reader::open(&one).unwrap();
    std::fs::rename(&one, home.path().join("gone")).unwrap();
    let refused = reader.refresh();
    assert!(matches!(&refused, Err(Error::Invalid { .. })), "{refused:?}");
    std::fs::rename(&other, &one).unwrap();
    let refused = reader.refresh();
    assert!(
        matches!(&refused, Err(Error::Invalid { what }) if what.contains("another store")),
        "{refused:?}"
    );
    assert_eq!(numbers(&reader.snapshot()), once(1..4), "the earlier view stays");
    assert_eq!(numbers(&Reader::open(&one).unwrap().snapshot()), once(7..9));
}
