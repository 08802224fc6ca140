//! Checkpoints: what was acknowledged before is in the copy, the copy is a store of its own, and a
//! failed one leaves nothing behind.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use amida::{CrashModel, Durability, Error, Fault, Fs, MemoryFs, Rebuild, Retention};
use amida_tests::corpus::Corpus;

use crate::common::{DIR, numbers, once, one_span, open, options, spans};

const COPY: &str = "/copies/monday";

fn verified(fs: &MemoryFs, dir: &str) {
    let found = amida::verify(dir, &options(fs), |_, _| {}).unwrap();
    assert!(found.is_clean(), "{dir}: {:#?}", found.problems);
}

/// Every file under a directory with its bytes, but for the lock.
fn content(fs: &MemoryFs, dir: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for folder in ["manifest", "segments", "wal", "quarantine"] {
        let folder = Path::new(dir).join(folder);
        if !fs.exists(&folder).unwrap() {
            continue;
        }
        for name in fs.list(&folder).unwrap() {
            let path = folder.join(name);
            let bytes = fs.map(&path).unwrap().to_vec();
            all.push((path, bytes));
        }
    }
    all
}

/// A store with segments and spans that are in the log only.
fn source(fs: &MemoryFs) -> amida::Store {
    // Alone: faults hit the calls of the checkpoint.
    let store = options(fs).single_threaded().open(DIR).unwrap();
    for round in 0..3 {
        let _ = store.append_otlp(spans(round * 10 + 1..round * 10 + 11)).unwrap();
        store.flush().unwrap();
    }
    let _ = store.append_otlp(one_span(31)).unwrap();
    store
}

#[test]
fn the_copy_of_a_store_and_of_a_reader_is_a_store_and_both_go_on_alone() {
    for by_reader in [false, true] {
        let fs = MemoryFs::new();
        let store = source(&fs);
        let made = if by_reader {
            options(&fs).open_reader(DIR).unwrap().checkpoint(COPY).unwrap()
        } else {
            store.checkpoint(COPY).unwrap()
        };
        assert_eq!(made.spans, 31);
        // A reader copies the log: a writer may go on with the file.
        let copied = u64::from(by_reader);
        assert_eq!((made.linked, made.copied), (4 - copied, copied), "{made:?}");
        let bytes: usize = content(&fs, COPY).iter().map(|(_, bytes)| bytes.len()).sum();
        assert_eq!(made.bytes, bytes as u64);
        // It survives the loss of everything that was not synced.
        let fs = fs.crash(CrashModel::LoseUnsynced);
        verified(&fs, COPY);
        let copy = options(&fs).open(COPY).unwrap();
        assert_eq!(numbers(&copy.snapshot()), once(1..32));
        assert!(copy.stats().damage.is_empty(), "{:?}", copy.stats().damage);
        // What happens to one of the two does not touch the other.
        let before = content(&fs, DIR);
        let _ = copy.append_otlp(one_span(32)).unwrap();
        copy.flush().unwrap();
        copy.compact().unwrap();
        copy.close().unwrap();
        assert_eq!(content(&fs, DIR), before);
        let before = content(&fs, COPY);
        let original = open(&fs);
        let _ = original.append_otlp(one_span(99)).unwrap();
        original.compact().unwrap();
        original.close().unwrap();
        assert_eq!(content(&fs, COPY), before);
        let found = |dir: &str| numbers(&options(&fs).open_reader(dir).unwrap().snapshot());
        assert_eq!(found(COPY), once(1..33));
        assert_eq!(found(DIR).get(&99), Some(&1));
        verified(&fs, COPY);
        verified(&fs, DIR);
        drop(store);
    }
}

#[test]
fn retention_and_compaction_of_the_store_leave_the_copy_whole() {
    let fs = MemoryFs::new();
    let store = source(&fs);
    let _ = store.checkpoint(COPY).unwrap();
    store.close().unwrap();
    // Everything but the newest segment goes.
    let limits = Retention::forever().max_bytes(1);
    let store = options(&fs).retention(limits).open(DIR).unwrap();
    store.compact().unwrap();
    assert!(store.stats().dropped > 0);
    store.close().unwrap();
    verified(&fs, COPY);
    let copy = options(&fs).open_reader(COPY).unwrap();
    assert_eq!(numbers(&copy.snapshot()), once(1..32));
}

/// Four threads append; whatever was acknowledged before a checkpoint began is in it.
#[test]
#[allow(clippy::disallowed_methods)] // tests may start threads
fn what_was_acknowledged_before_is_in_it_while_four_threads_append() {
    const EACH: u64 = 400;
    let fs = MemoryFs::new();
    let store = options(&fs).durability(Durability::Os).open(DIR).unwrap();
    let acked: Vec<AtomicU64> = (0..4).map(|_| AtomicU64::new(0)).collect();
    let mut copies = 0;
    std::thread::scope(|scope| {
        let appenders: Vec<_> = (0..4_u64)
            .map(|thread| {
                let (store, acked) = (store.clone(), &acked[thread as usize]);
                scope.spawn(move || {
                    for number in 0..EACH {
                        let _ = store.append_otlp(one_span(thread * EACH + number + 1)).unwrap();
                        acked.store(number + 1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        while copies < 4 || appenders.iter().any(|appender| !appender.is_finished()) {
            if copies % 3 == 1 {
                store.flush().unwrap();
            }
            let before: Vec<u64> = acked.iter().map(|n| n.load(Ordering::SeqCst)).collect();
            let to = format!("/copies/{copies}");
            let made = if copies % 2 == 0 {
                store.checkpoint(&to)
            } else {
                options(&fs).open_reader(DIR).unwrap().checkpoint(&to)
            };
            let made = made.unwrap();
            verified(&fs, &to);
            let copy = options(&fs).open(&to).unwrap();
            let found = numbers(&copy.snapshot());
            assert_eq!(found.values().sum::<u64>(), made.spans);
            for (thread, before) in before.iter().enumerate() {
                let first = thread as u64 * EACH + 1;
                let there = (first..first + EACH).take_while(|n| found.get(n) == Some(&1)).count();
                assert!(there as u64 >= *before, "copy {copies}: {there} of {before}");
            }
            assert!(found.values().all(|count| *count == 1));
            copy.close().unwrap();
            copies += 1;
        }
    });
    store.close().unwrap();
    assert_eq!(numbers(&open(&fs).snapshot()), once(1..4 * EACH + 1));
}

#[test]
fn a_target_that_is_taken_or_within_the_store_is_refused_and_left_alone() {
    let fs = MemoryFs::new();
    let store = source(&fs);
    fs.create_dir_all(Path::new(COPY)).unwrap();
    let _ = store.checkpoint(COPY).unwrap(); // an empty directory is fine
    let before = content(&fs, COPY);
    let reader = options(&fs).open_reader(DIR).unwrap();
    for to in [COPY, DIR, "/store/segments/x", "/store/../store/x"] {
        for error in [store.checkpoint(to).unwrap_err(), reader.checkpoint(to).unwrap_err()] {
            assert!(matches!(error, Error::Invalid { .. }), "{to}: {error}");
        }
    }
    assert_eq!(content(&fs, COPY), before);
    assert_eq!(fs.list(&Path::new(DIR).join("segments")).unwrap().len(), 3);
    verified(&fs, DIR);
}

/// A checkpoint that fails at any call leaves its source as it was, no store and no file; the next
/// one succeeds.
#[test]
fn a_checkpoint_that_fails_at_any_call_leaves_nothing_behind() {
    for by_reader in [false, true] {
        let mut failed = 0;
        let calls = {
            let fs = MemoryFs::new();
            let store = source(&fs);
            let reader = options(&fs).open_reader(DIR).unwrap();
            let before = fs.calls_of_any_kind();
            let made = if by_reader { reader.checkpoint(COPY) } else { store.checkpoint(COPY) };
            made.unwrap();
            fs.calls_of_any_kind() - before
        };
        for call in 0..calls {
            let fs = MemoryFs::new();
            let store = source(&fs);
            let reader = options(&fs).open_reader(DIR).unwrap();
            fs.fail_after(call, Fault::new(std::io::ErrorKind::Other).any_call().once());
            let made = if by_reader { reader.checkpoint(COPY) } else { store.checkpoint(COPY) };
            fs.heal();
            // A seal that fails is no failure.
            if made.is_ok() {
                verified(&fs, COPY);
                continue;
            }
            failed += 1;
            assert_eq!(content(&fs, COPY), [], "by_reader {by_reader}, call {call}");
            for crashed in [CrashModel::LoseUnsynced, CrashModel::KeepAll] {
                let fs = fs.crash(crashed);
                let left = options(&fs).open_reader(COPY);
                assert!(left.is_err(), "by_reader {by_reader}, call {call}: half a store");
                assert_eq!(numbers(&open(&fs).snapshot()), once(1..32), "call {call}");
            }
            reader.checkpoint(COPY).unwrap();
            verified(&fs, COPY);
        }
        assert!(failed > 30, "by_reader {by_reader}: {failed} calls");
    }
}

/// At whatever call the machine stops, there is no store or a whole one.
#[test]
fn a_crash_at_any_call_leaves_no_store_or_a_whole_one() {
    let mut whole = 0;
    for call in 0.. {
        let fs = MemoryFs::new();
        let store = source(&fs);
        fs.fail_after(call, Fault::new(std::io::ErrorKind::Other));
        let made = store.checkpoint(COPY);
        for seed in 0..6 {
            let models = [
                CrashModel::LoseUnsynced,
                CrashModel::KeepAll,
                CrashModel::Random { seed },
                CrashModel::NamesFirst,
            ];
            for model in models {
                let fs = fs.crash(model);
                if let Ok(reader) = options(&fs).open_reader(COPY) {
                    whole += 1;
                    assert_eq!(numbers(&reader.snapshot()), once(1..32), "call {call} {model:?}");
                    verified(&fs, COPY);
                } else {
                    assert!(made.is_err(), "call {call} {model:?}: it was returned");
                    // Half a copy must not become a store by a new manifest; one that lacks nothing
                    // else may.
                    if let Ok(plan) = Rebuild::plan(COPY, &options(&fs)) {
                        plan.apply().unwrap();
                        let reader = options(&fs).open_reader(COPY).unwrap();
                        assert_eq!(numbers(&reader.snapshot()), once(1..32), "{call} {model:?}");
                    }
                }
            }
        }
        if made.is_ok() {
            break;
        }
    }
    assert!(whole > 20, "{whole} whole copies");
}

#[test]
fn where_links_are_refused_everything_is_copied() {
    let mut copied = 0;
    for call in 0..40 {
        let fs = MemoryFs::new();
        let store = source(&fs);
        let refused = Fault::new(std::io::ErrorKind::CrossesDevices).once();
        fs.fail_after(call, refused);
        let Ok(made) = store.checkpoint(COPY) else { continue };
        if made.linked == 0 {
            assert_eq!((made.copied, made.spans), (4, 31));
            assert!(made.copied_bytes > 0 && made.copied_bytes < made.bytes);
            copied += 1;
        }
        let fs = fs.crash(CrashModel::LoseUnsynced);
        verified(&fs, COPY);
        assert_eq!(numbers(&options(&fs).open(COPY).unwrap().snapshot()), once(1..32));
    }
    assert!(copied > 0, "no call was a link");
}

#[test]
fn a_segment_that_is_missing_is_an_error_that_names_it() {
    let fs = MemoryFs::new();
    let store = source(&fs);
    let reader = options(&fs).open_reader(DIR).unwrap();
    let gone = Path::new(DIR).join("segments/0000000000000002.parquet");
    fs.remove(&gone).unwrap();
    for error in [store.checkpoint(COPY).unwrap_err(), reader.checkpoint(COPY).unwrap_err()] {
        assert!(error.to_string().contains(gone.to_str().unwrap()), "{error}");
    }
    assert_eq!(content(&fs, COPY), []);
}

#[test]
fn a_large_store_is_copied_span_for_span() {
    let fs = MemoryFs::new();
    let store = options(&fs).durability(Durability::Os).open(DIR).unwrap();
    let mut corpus = Corpus::new(7);
    for _ in 0..8 {
        let _ = store.append_otlp(corpus.body(200)).unwrap();
        store.flush().unwrap();
    }
    let _ = store.append_otlp(corpus.body(200)).unwrap();
    store.checkpoint(COPY).unwrap();
    let copy = options(&fs).open_reader(COPY).unwrap();
    let rows = |snapshot: &amida::Snapshot| crate::rows::of_snapshot(snapshot);
    amida_tests::compare::same_rows(&rows(&store.snapshot()), &rows(&copy.snapshot())).unwrap();
}
