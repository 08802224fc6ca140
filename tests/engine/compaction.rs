//! Compaction: what it tells, and what goes on beside it.

use std::cell::RefCell;

use amida::{CrashModel, Fault, MemoryFs};

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

/// Three segments: too few for the background to merge, so that only `compact` does.
fn three_segments(fs: &MemoryFs) {
    let store = options(fs).open(DIR).unwrap();
    for number in 1..4 {
        let _ = store.append_otlp(one_span(number)).unwrap();
        store.flush().unwrap();
    }
    store.close().unwrap();
}

#[test]
fn what_is_appended_during_a_compaction_is_flushed_in_between() {
    let fs = MemoryFs::new();
    three_segments(&fs);
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
    assert_eq!(seen.into_inner(), [(3, 0), (4, 0), (5, 0)]);
    assert!(numbers(&store.snapshot()).into_keys().eq((1..4).chain(11..14)));
    store.close().unwrap();
    assert!(numbers(&open(&fs).snapshot()).into_keys().eq((1..4).chain(11..14)));
}

#[test]
fn a_compaction_with_flushes_in_between_may_fail_at_any_call_and_loses_nothing() {
    for call in 0.. {
        let fs = MemoryFs::new();
        three_segments(&fs);
        let store = options(&fs).seal_bytes(1).open(DIR).unwrap();
        let (writer, acknowledged) = (store.clone(), RefCell::new(Vec::from([1, 2, 3])));
        let compacted = store.compact_with(|_, _| {
            let number = 8 + acknowledged.borrow().len() as u64;
            if writer.append_otlp(one_span(number)).is_ok() {
                acknowledged.borrow_mut().push(number);
            }
            if number == 11 {
                fs.fail_after(call, Fault::os(5).any_call());
            }
        });
        let failed = fs.last_fault();
        for model in [CrashModel::LoseUnsynced, CrashModel::KeepAll, CrashModel::NamesFirst] {
            let after = fs.crash(model);
            let about = format!("call {call}, {failed:?}, {model:?}");
            let reopened = open(&after);
            assert!(reopened.recovery().damage.is_empty(), "{about}");
            let found = numbers(&reopened.snapshot());
            assert!(found.values().all(|times| *times == 1), "{about}: {found:?}");
            let acknowledged = acknowledged.borrow();
            assert!(acknowledged.iter().all(|n| found.contains_key(n)), "{about}: {found:?}");
            reopened.close().unwrap();
            let checked = amida::verify(DIR, &options(&after), |_, _| {}).unwrap();
            assert!(checked.problems.is_empty(), "{about}: {:?}", checked.problems);
        }
        if failed.is_none() {
            compacted.unwrap();
            assert!(call > 30, "{call}");
            return;
        }
    }
}
