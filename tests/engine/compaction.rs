//! Compaction: what it tells, and what goes on beside it.

use std::cell::RefCell;

use amida::MemoryFs;

use crate::common::{DIR, numbers, one_span, open, options};

#[test]
fn compaction_says_how_far_it_is_and_what_is_left_to_merge() {
    let fs = MemoryFs::new();
    // Of such segments the writer merges none.
    let options = options(&fs).segment_bytes_max(1).single_threaded();
    let store = options.clone().open(DIR).unwrap();
    for number in 1..6 {
        let _ = store.append_otlp(one_span(number)).unwrap();
        store.flush().unwrap();
    }
    let stats = store.stats();
    assert_eq!((stats.segments, stats.segments_to_merge), (5, 0));
    let reader = options.clone().open_reader(DIR).unwrap();
    assert_eq!(reader.stats().segments_to_merge, 5);
    store.close().unwrap();

    let store = options.segment_bytes_max(1 << 30).open(DIR).unwrap();
    let told = RefCell::new(Vec::new());
    store.compact_with(|done, all| told.borrow_mut().push((done, all))).unwrap();
    let told = told.into_inner();
    assert_eq!(told.len(), 5, "{told:?}");
    assert!(told.is_sorted() && told.iter().all(|(done, all)| done <= all), "{told:?}");
    assert_eq!(told[4], (stats.segment_bytes, stats.segment_bytes));
    assert_eq!((store.stats().segments, store.stats().segments_to_merge), (1, 0));
}

#[test]
fn what_is_appended_during_a_compaction_is_flushed_in_between() {
    let fs = MemoryFs::new();
    let store = options(&fs).segment_bytes_max(1).open(DIR).unwrap();
    for number in 1..6 {
        let _ = store.append_otlp(one_span(number)).unwrap();
        store.flush().unwrap();
    }
    store.close().unwrap();
    let store = options(&fs).seal_bytes(1).open(DIR).unwrap();
    let (writer, seen) = (store.clone(), RefCell::new(Vec::new()));
    store
        .compact_with(|_, _| {
            let stats = writer.stats();
            seen.borrow_mut().push((stats.segments, stats.memtable_spans));
            let number = 10 + seen.borrow().len() as u64;
            let _ = writer.append_otlp(one_span(number)).unwrap();
        })
        .unwrap();
    let expected: Vec<_> = (5..10).map(|segments| (segments, 0)).collect();
    assert_eq!(seen.into_inner(), expected);
    assert!(numbers(&store.snapshot()).into_keys().eq((1..6).chain(11..16)));
    store.close().unwrap();
    assert!(numbers(&open(&fs).snapshot()).into_keys().eq((1..6).chain(11..16)));
}
