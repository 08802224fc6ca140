//! Real traces: what an independent reader found in each OTLP file must be found in the store,
//! before and after flush, reopening and compaction.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // tests read real files

use amida::MemoryFs;
use amida_tests::compare::same_rows;
use amida_tests::corpus;
use amida_tests::known::check;
use amida_tests::otlp_json;
use amida_tests::real::{self, DataSet};
use bytes::Bytes;

use crate::common::{DIR, open, options};
use crate::rows;

/// The requests of a data set as OTLP bytes.
pub fn requests(set: &DataSet) -> Vec<Bytes> {
    let files = set.files.iter().map(|path| std::fs::read(path).unwrap());
    files.flat_map(|file| otlp_json::requests(&file)).map(|r| corpus::encode(&r)).collect()
}

#[test]
fn real_traces_are_what_an_independent_reader_found() {
    let Some(folder) = real::folder() else { return };
    let sets = real::data_sets(&folder, "otlp_json");
    assert!(sets.len() >= 12, "{} data sets", sets.len());
    for set in sets {
        let fs = MemoryFs::new();
        let store = open(&fs);
        for request in requests(&set) {
            let receipt = store.append_otlp(request).unwrap();
            assert_eq!(receipt.rejected(), 0, "{}", set.name);
        }
        let hot = rows::of_snapshot(&store.snapshot());
        check(&set, &store.snapshot(), "before flush");
        store.flush().unwrap();
        check(&set, &store.snapshot(), "after flush");
        store.close().unwrap();

        let store = options(&fs).must_exist().open(DIR).unwrap();
        check(&set, &store.snapshot(), "after reopening");
        store.compact().unwrap();
        check(&set, &store.snapshot(), "after compaction");
        same_rows(&hot, &rows::of_snapshot(&store.snapshot())).unwrap();
        store.close().unwrap();
    }
}

/// Each request in a segment of its own, then all of them merged.
#[test]
fn real_traces_in_many_segments_are_the_same_after_they_are_merged() {
    let Some(folder) = real::folder() else { return };
    let fs = MemoryFs::new();
    let store = open(&fs);
    let (mut spans, mut segments) = (0, 0);
    for set in real::data_sets(&folder, "otlp_json").iter().filter(|set| set.files.len() == 1) {
        for request in requests(set) {
            spans += store.append_otlp(request).unwrap().accepted();
            store.flush().unwrap();
            segments += 1;
        }
    }
    // Some were merged in the background already.
    assert!(store.stats().segments >= 1 && segments > 10);
    let before = rows::of_snapshot(&store.snapshot());
    assert_eq!(before.len() as u64, spans);
    store.compact().unwrap();
    assert_eq!(store.stats().segments, 1);
    same_rows(&before, &rows::of_snapshot(&store.snapshot())).unwrap();
    store.close().unwrap();
    same_rows(&before, &rows::of_snapshot(&open(&fs).snapshot())).unwrap();
}
