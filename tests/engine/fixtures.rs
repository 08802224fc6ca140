//! Stores that earlier versions wrote are read for ever. tests/fixtures/v1 was written by the test
//! below; expected are the rows that the oracle gives for the requests beside it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use amida::{ManualClock, Options, Reader, Retention, Store};
use amida_tests::compare::same_rows;
use amida_tests::corpus::Corpus;
use amida_tests::oracle::{Judgement, Oracle, Row};

use crate::common::NOW_NS;
use crate::rows;

/// Requests of the fixture; after some of them something else happens.
const REQUESTS: u64 = 8;

fn v1() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/v1")
}

fn options() -> Options {
    Store::options()
        .clock(Arc::new(ManualClock::at(NOW_NS)))
        .retention(Retention::forever())
        .disk_floor_bytes(0)
        .single_threaded()
}

/// Every file below a directory with its bytes, but LOCK.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.file_name().unwrap() != "LOCK" {
            found.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    for (path, bytes) in files(from) {
        let to = to.join(path.strip_prefix(from).unwrap());
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::write(to, bytes).unwrap();
    }
}

/// What a store with the requests of this folder must hold.
fn expected(dir: &Path) -> Vec<Row> {
    let mut rows = Vec::new();
    for number in 0..REQUESTS {
        let body = std::fs::read(dir.join(format!("requests/{number}.pb"))).unwrap();
        match (Oracle { now_ns: NOW_NS, future_max_ns: None }).judge(&body) {
            Judgement::Store { rows: more, .. } => rows.extend(more),
            other => panic!("request {number}: {other:?}"),
        }
    }
    rows
}

/// Segments that were flushed and such that were merged, a log that was sealed, and one whose
/// process ended without a word.
fn write(dir: &Path) {
    let path = dir.join("store");
    let mut corpus = Corpus::new(1);
    let mut store = options().open(&path).unwrap();
    std::fs::create_dir_all(dir.join("requests")).unwrap();
    for number in 0..REQUESTS {
        let body = corpus.body(12);
        std::fs::write(dir.join(format!("requests/{number}.pb")), &body).unwrap();
        let _ = store.append_otlp(body).unwrap();
        match number {
            0..=3 => store.flush().unwrap(),
            4 => store.compact().unwrap(),
            5 => {
                store.close().unwrap();
                store = options().open(&path).unwrap();
            }
            _ => {}
        }
    }
    let left = dir.join("left");
    copy(&path, &left);
    drop(store);
    std::fs::remove_dir_all(&path).unwrap();
    copy(&left, &path);
    std::fs::remove_dir_all(&left).unwrap();
    // Most of the space that a log takes ahead: zeros, and zeros end a log.
    for (log, mut bytes) in files(&path.join("wal")) {
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        bytes.truncate(used.next_multiple_of(4096));
        std::fs::write(log, bytes).unwrap();
    }
}

/// Reads, verifies, opens, and goes on with the store in this folder.
fn check(dir: &Path) {
    let expected = expected(dir);
    let reader = Reader::open(dir.join("store")).unwrap();
    same_rows(&expected, &rows::of_snapshot(&reader.snapshot())).unwrap();
    let verified = amida::verify(dir.join("store"), &Options::default(), |_, _| {}).unwrap();
    assert!(verified.problems.is_empty(), "{:?}", verified.problems);

    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("store");
    copy(&dir.join("store"), &path);
    let before = files(&path);
    let store = options().open(&path).unwrap();
    same_rows(&expected, &rows::of_snapshot(&store.snapshot())).unwrap();
    let snapshot = store.snapshot();
    for batch in snapshot.scan(&amida::Predicate::new()).unwrap() {
        for span in batch.unwrap().spans() {
            assert!(snapshot.trace(span.trace_id()).unwrap().is_some());
        }
    }
    store.close().unwrap();
    assert_eq!(files(&path), before, "opening a store changes nothing in it");

    let store = options().open(&path).unwrap();
    let more = Corpus::new(2).body(20);
    let _ = store.append_otlp(more.clone()).unwrap();
    store.compact().unwrap();
    store.close().unwrap();
    let mut all = expected;
    match (Oracle { now_ns: NOW_NS, future_max_ns: None }).judge(&more) {
        Judgement::Store { rows, .. } => all.extend(rows),
        other => panic!("{other:?}"),
    }
    let store = options().open(&path).unwrap();
    same_rows(&all, &rows::of_snapshot(&store.snapshot())).unwrap();
    assert!(store.recovery().damage.is_empty(), "{:?}", store.recovery());
}

#[test]
fn a_store_of_version_1_is_read_verified_and_gone_on_with() {
    check(&v1());
}

/// `AMIDA_WRITE_FIXTURE=DIR` keeps what is written: so tests/fixtures/v1 was made.
#[test]
fn what_this_version_writes_is_read_the_same_way() {
    let scratch = tempfile::tempdir().unwrap();
    let asked = std::env::var_os("AMIDA_WRITE_FIXTURE").map(PathBuf::from);
    let dir = asked.unwrap_or_else(|| scratch.path().to_owned());
    write(&dir);
    check(&dir);
}
