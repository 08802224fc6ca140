//! A lost manifest that is made again says what the lost one said, wherever that can be known.

use std::path::{Path, PathBuf};

use amida::{CrashModel, Durability, Error, Fault, Fs, MemoryFs, Rebuild, RebuildReport};
use amida_tests::corpus::Corpus;
use amida_tests::oracle::Row;
use serde_json::Value;

use crate::common::{DIR, numbers, once, one_span, open, options, spans};
use crate::rows;

fn folder(fs: &MemoryFs, folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(DIR).join(folder);
    if !fs.exists(&folder).unwrap() {
        return Vec::new();
    }
    fs.list(&folder).unwrap().iter().map(|name| folder.join(name)).collect()
}

/// The body of the newest manifest.
fn manifest(fs: &MemoryFs) -> Value {
    let path = folder(fs, "manifest").pop().unwrap();
    serde_json::from_slice(&fs.map(&path).unwrap()[24..]).unwrap()
}

/// Flips a bit of the newest manifest.
fn damage(fs: &MemoryFs, path: &Path, at: usize) {
    let mut bytes = fs.map(path).unwrap().to_vec();
    bytes[at] ^= 4;
    let file = fs.open_write(path).unwrap();
    file.write_all_at(&bytes, 0).unwrap();
    file.sync_data().unwrap();
}

/// A store with many keys, merged segments, small ones, and a log beyond them.
fn store() -> (MemoryFs, Vec<Row>) {
    let fs = MemoryFs::new();
    let store = options(&fs).single_threaded().open(DIR).unwrap();
    let mut corpus = Corpus::new(11);
    for round in 0..6 {
        let _ = store.append_otlp(corpus.body(60)).unwrap();
        let _ = store.append_otlp(corpus.body(3)).unwrap();
        store.flush().unwrap();
        if round == 3 {
            store.compact().unwrap();
        }
    }
    let _ = store.append_otlp(corpus.body(20)).unwrap();
    let rows = rows::of_snapshot(&store.snapshot());
    (fs.crash(CrashModel::KeepAll), rows)
}

fn lose_manifests(fs: &MemoryFs) {
    for path in folder(fs, "manifest") {
        fs.remove(&path).unwrap();
    }
}

fn rebuild(fs: &MemoryFs) -> RebuildReport {
    Rebuild::plan(DIR, &options(fs)).unwrap().apply().unwrap()
}

/// What cannot be known: which value of a key was the first.
fn without_examples(mut manifest: Value) -> Value {
    manifest["catalog"].as_object_mut().unwrap().remove("examples");
    manifest
}

#[test]
fn it_equals_the_lost_one_and_the_store_goes_on() {
    let (fs, expected) = store();
    let lost = manifest(&fs);
    lose_manifests(&fs);
    let error = options(&fs).open(DIR).unwrap_err();
    assert!(error.to_string().contains("amida repair DIR --rebuild-manifest"), "{error}");
    let report = rebuild(&fs);
    assert_eq!(report.damage, [""; 0]);
    assert_eq!((report.superseded.len(), report.unusable.len()), (0, 0));
    assert_eq!(report.unknown.len(), 2, "{:?}", report.unknown);
    let mut made = manifest(&fs);
    // Versions count on from what is there, and nothing is there.
    assert_eq!(made["number"], 1);
    made["number"] = lost["number"].clone();
    // Of spans that were rejected nothing is left.
    made["rejected"] = lost["rejected"].clone();
    assert_eq!(without_examples(made), without_examples(lost));
    let found = amida::verify(DIR, &options(&fs), |_, _| {}).unwrap();
    assert!(found.is_clean(), "{:#?}", found.problems);
    let store = open(&fs);
    assert!(store.stats().damage.is_empty(), "{:?}", store.stats().damage);
    amida_tests::compare::same_rows(&expected, &rows::of_snapshot(&store.snapshot())).unwrap();
    let spans = store.stats().accepted;
    let _ = store.append_otlp(one_span(1)).unwrap();
    store.compact().unwrap();
    assert_eq!(store.stats().accepted, spans + 1);
    store.close().unwrap();
}

#[test]
fn a_damaged_newest_manifest_is_put_aside_and_the_counts_of_the_older_one_are_used() {
    let (fs, expected) = store();
    let lost = manifest(&fs);
    let path = folder(&fs, "manifest").pop().unwrap();
    for at in [9, 13, 17, 40] {
        let fs = fs.crash(CrashModel::KeepAll);
        damage(&fs, &path, at);
        let error = options(&fs).open(DIR).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
        assert!(error.to_string().contains("--rebuild-manifest"), "{error}");
        let report = rebuild(&fs);
        assert!(report.cause.contains(path.to_str().unwrap()), "{}", report.cause);
        let quarantined = folder(&fs, "quarantine");
        assert_eq!(quarantined.len(), 1, "{quarantined:?}");
        let mut made = manifest(&fs);
        assert_eq!(made["number"], lost["number"].as_u64().unwrap() + 1);
        made["number"] = lost["number"].clone();
        // Those since the older one are lost.
        made["rejected"] = lost["rejected"].clone();
        assert_eq!(without_examples(made), without_examples(lost.clone()));
        let store = open(&fs);
        amida_tests::compare::same_rows(&expected, &rows::of_snapshot(&store.snapshot())).unwrap();
    }
}

#[test]
fn a_whole_manifest_is_not_rebuilt_and_nothing_is_touched() {
    let (fs, _) = store();
    let calls = fs.calls();
    let error = Rebuild::plan(DIR, &options(&fs)).unwrap_err();
    assert!(matches!(&error, Error::Invalid { what } if what.contains("is whole")), "{error}");
    let empty = MemoryFs::new();
    let error = Rebuild::plan(DIR, &options(&empty)).unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error}");
    // But for the lock.
    assert!(fs.calls() - calls <= 1, "{}", fs.calls() - calls);
    let store = open(&fs);
    let error = Rebuild::plan(DIR, &options(&fs)).unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error}");
    drop(store);
}

/// A crash between a merge and its commit, or before its inputs are removed, leaves both.
#[test]
fn inputs_that_a_merge_left_behind_are_superseded() {
    let fs = MemoryFs::new();
    let store = options(&fs).single_threaded().open(DIR).unwrap();
    for number in 1..5 {
        let _ = store.append_otlp(one_span(number)).unwrap();
        store.flush().unwrap();
    }
    // A snapshot keeps the inputs on the disk.
    let held = store.snapshot();
    store.compact().unwrap();
    let _ = store.append_otlp(spans(5..8)).unwrap();
    let lost = manifest(&fs);
    let crashed = fs.crash(CrashModel::KeepAll);
    drop(held);
    assert_eq!(folder(&crashed, "segments").len(), 5);
    lose_manifests(&crashed);
    let damaged_merge = crashed.crash(CrashModel::KeepAll);
    let report = rebuild(&crashed);
    assert_eq!(report.superseded.len(), 4, "{report:?}");
    assert_eq!(folder(&crashed, "quarantine").len(), 4);
    assert_eq!(manifest(&crashed)["segments"], lost["segments"]);
    assert_eq!(manifest(&crashed)["next_segment"], lost["next_segment"]);
    assert_eq!(numbers(&open(&crashed).snapshot()), once(1..8));
    // Where the merged file has a rotten row, the whole inputs are better.
    let merged = folder(&damaged_merge, "segments").pop().unwrap();
    damage(&damaged_merge, &merged, 700);
    let report = rebuild(&damaged_merge);
    assert_eq!(report.unusable, [merged]);
    assert_eq!(report.segments, 4);
    assert_eq!(numbers(&open(&damaged_merge).snapshot()), once(1..8));
}

#[test]
fn a_segment_that_cannot_be_read_is_put_aside_and_named() {
    let (fs, _) = store();
    let segments = folder(&fs, "segments");
    let spans = options(&fs).open_reader(DIR).unwrap().snapshot().span_count();
    for (at, stays) in [(20, false), (700, true)] {
        let fs = fs.crash(CrashModel::KeepAll);
        lose_manifests(&fs);
        damage(&fs, &segments[0], at);
        let report = rebuild(&fs);
        assert!(!report.damage.is_empty() && report.damage[0].contains("parquet"), "{report:?}");
        assert_eq!(report.unusable.is_empty(), stays);
        assert_eq!(folder(&fs, "segments").len(), segments.len() - usize::from(!stays));
        let found = options(&fs).open_reader(DIR).unwrap().snapshot().span_count();
        assert_eq!(found == spans, stays, "{found} of {spans}");
    }
}

#[test]
fn records_that_retention_dropped_are_not_missing_afterwards() {
    let fs = MemoryFs::new();
    let open = || options(&fs).durability(Durability::Os);
    let store = open().open(DIR).unwrap();
    for number in 1..5 {
        let _ = store.append_otlp(one_span(number)).unwrap();
        store.flush().unwrap();
    }
    let _ = store.append_otlp(one_span(5)).unwrap();
    store.close().unwrap();
    for path in folder(&fs, "segments") {
        fs.remove(&path).unwrap();
    }
    lose_manifests(&fs);
    let report = rebuild(&fs);
    assert!(report.unknown.iter().any(|what| what.contains("the records 1 to 4")), "{report:?}");
    let store = open().open(DIR).unwrap();
    assert_eq!(numbers(&store.snapshot()), once([5]));
    assert!(store.stats().damage.is_empty(), "{:?}", store.stats().damage);
    let receipt = store.append_otlp(one_span(6)).unwrap();
    assert_eq!(receipt.sequence(), Some(6));
}

/// Whatever call fails, the rebuild can be done again, and nothing is lost.
#[test]
fn a_rebuild_that_fails_at_any_call_can_be_done_again() {
    let (fs, expected) = store();
    let path = folder(&fs, "manifest").pop().unwrap();
    damage(&fs, &path, 50);
    let mut failed = 0;
    for call in 0.. {
        let fs = fs.crash(CrashModel::KeepAll);
        fs.fail_after(call, Fault::new(std::io::ErrorKind::Other));
        let done = Rebuild::plan(DIR, &options(&fs)).and_then(Rebuild::apply);
        for model in [CrashModel::LoseUnsynced, CrashModel::KeepAll, CrashModel::NamesFirst] {
            let fs = fs.crash(model);
            // Never an older state: it opens when the new manifest is there, or not at all.
            if options(&fs).open_reader(DIR).is_err() {
                rebuild(&fs);
            }
            let store = open(&fs);
            let found = rows::of_snapshot(&store.snapshot());
            amida_tests::compare::same_rows(&expected, &found)
                .unwrap_or_else(|error| panic!("call {call}, {model:?}: {error}"));
        }
        if done.is_ok() {
            break;
        }
        failed += 1;
    }
    assert!(failed > 5, "{failed}");
}
