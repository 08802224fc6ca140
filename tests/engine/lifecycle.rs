//! Opening and closing, locks, and readers beside the writer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use amida::{Durability, Error, MemoryFs, Predicate, Reader, Store};
use amida_tests::block_on;
use amida_tests::corpus::Corpus;

use crate::common::{DIR, numbers, once, one_span, open, options, scratch, spans, within_a_minute};

fn reader(fs: &MemoryFs) -> Reader {
    options(fs).open_reader(DIR).unwrap()
}

#[test]
fn a_reopened_store_has_everything() {
    let fs = MemoryFs::new();
    let store = open(&fs);
    assert_eq!(store.append_otlp(spans(1..11)).unwrap().accepted(), 10);
    store.flush().unwrap();
    assert_eq!(store.append_otlp(spans(11..21)).unwrap().accepted(), 10);
    assert_eq!(numbers(&store.snapshot()), once(1..21));
    store.close().unwrap();

    let store = options(&fs).must_exist().open(DIR).unwrap();
    assert_eq!(numbers(&store.snapshot()), once(1..21));
    assert_eq!(store.stats().accepted, 20);
    assert!(store.stats().damage.is_empty());
}

#[test]
fn a_store_on_the_real_disk_is_reopened_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("traces.amida");
    for round in 0..3_u64 {
        let store = Store::options().disk_floor_bytes(0).open(&path).unwrap();
        assert_eq!(numbers(&store.snapshot()), once(1..round * 5 + 1));
        let _ = store.append_otlp(spans(round * 5 + 1..round * 5 + 6)).unwrap();
        if round == 1 {
            store.flush().unwrap();
        }
        store.close().unwrap();
    }
    let reader = Reader::open(&path).unwrap();
    assert_eq!(numbers(&reader.snapshot()), once(1..16));
}

#[test]
fn must_exist_makes_no_store_and_no_directory() {
    let fs = MemoryFs::new();
    let refused = options(&fs).must_exist().open(DIR);
    assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
    assert!(!amida::Fs::exists(&fs, DIR.as_ref()).unwrap());
    let refused = options(&fs).open_reader(DIR);
    assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
    assert!(!amida::Fs::exists(&fs, DIR.as_ref()).unwrap());
}

#[test]
fn a_directory_with_other_things_is_not_made_a_store() {
    let fs = MemoryFs::new();
    amida::Fs::create_dir_all(&fs, DIR.as_ref()).unwrap();
    amida::Fs::create(&fs, "/store/holiday.jpg".as_ref()).unwrap();
    let refused = options(&fs).open(DIR);
    assert!(
        matches!(&refused, Err(Error::Invalid { what }) if what.contains("holiday")),
        "{refused:?}"
    );
    assert_eq!(amida::Fs::list(&fs, DIR.as_ref()).unwrap(), ["holiday.jpg"]);
}

#[test]
fn a_second_writer_is_told_that_the_store_is_locked() {
    let fs = MemoryFs::new();
    let store = open(&fs);
    match options(&fs).open(DIR) {
        Err(Error::Locked { pid, path }) => {
            assert_eq!((pid, path.to_str()), (Some(std::process::id()), Some(DIR)));
        }
        other => panic!("{other:?}"),
    }
    let clone = store.clone();
    drop(store);
    assert!(matches!(options(&fs).open(DIR), Err(Error::Locked { .. })));
    drop(clone);
    open(&fs);
}

/// The directory is free when `close` returns, whatever clones and snapshots are alive.
#[test]
fn close_frees_the_lock_while_clones_and_snapshots_live() {
    let fs = MemoryFs::new();
    let store = open(&fs);
    let (clone, snapshot) = (store.clone(), store.snapshot());
    let _ = store.append_otlp(one_span(1)).unwrap();
    let later = store.snapshot();
    store.close().unwrap();

    let next = open(&fs);
    let _ = next.append_otlp(one_span(2)).unwrap();
    next.compact().unwrap();
    assert_eq!(numbers(&snapshot), once([]));
    assert_eq!(numbers(&later), once([1]));
    assert_eq!(numbers(&clone.snapshot()), once([1]));
    assert_eq!(numbers(&next.snapshot()), once([1, 2]));
    for refused in
        [clone.append_otlp(one_span(3)).map(drop), clone.flush(), clone.sync(), clone.compact()]
    {
        assert!(matches!(refused, Err(Error::Closed)), "{refused:?}");
    }
    // Closing again does nothing, and takes nothing from the next store.
    clone.close().unwrap();
    let _ = next.append_otlp(one_span(3)).unwrap();
}

/// Without `close`, the directory is free when the last clone is dropped.
#[test]
fn dropping_the_last_clone_frees_the_lock_while_a_snapshot_lives() {
    let fs = MemoryFs::new();
    let store = open(&fs);
    let _ = store.append_otlp(one_span(1)).unwrap();
    store.flush().unwrap();
    let snapshot = store.snapshot();
    drop(store);
    let next = open(&fs);
    let _ = next.append_otlp(one_span(2)).unwrap();
    next.compact().unwrap();
    assert_eq!(numbers(&snapshot), once([1]));
}

#[test]
fn appends_that_wait_are_answered_when_the_store_closes() {
    within_a_minute(|| {
        let fs = MemoryFs::new();
        let store = open(&fs);
        let waiting: Vec<_> = (1..50).map(|n| store.submit_otlp(one_span(n))).collect();
        let clone = store.clone();
        store.close().unwrap();
        for pending in waiting {
            assert_eq!(pending.wait().unwrap().accepted(), 1);
        }
        assert!(matches!(clone.submit_otlp(one_span(50)).wait(), Err(Error::Closed)));
        assert!(matches!(block_on(clone.submit_otlp(one_span(50))), Err(Error::Closed)));
        assert_eq!(numbers(&open(&fs).snapshot()), once(1..50));
    });
}

#[test]
fn a_future_that_is_not_waited_for_is_stored_all_the_same() {
    within_a_minute(|| {
        let fs = MemoryFs::new();
        let store = open(&fs);
        drop(store.submit_otlp(one_span(1)));
        let mut polled = Box::pin(store.submit_otlp(one_span(2)));
        let waker = std::task::Waker::noop();
        let _ = polled.as_mut().poll(&mut std::task::Context::from_waker(waker));
        drop(polled);
        assert_eq!(block_on(store.submit_otlp(one_span(3))).unwrap().accepted(), 1);
        store.close().unwrap();
        assert_eq!(numbers(&open(&fs).snapshot()), once(1..4));
    });
}

#[test]
fn futures_are_answered_in_the_order_of_submission() {
    within_a_minute(|| {
        let store = scratch();
        let pending: Vec<_> = (1..200).map(|n| store.submit_otlp(one_span(n))).collect();
        let answers = pending.into_iter().map(|p| block_on(p).unwrap().sequence().unwrap());
        let sequences: Vec<u64> = answers.collect();
        assert!(sequences.is_sorted());
        assert_eq!(numbers(&store.snapshot()), once(1..200));
    });
}

/// A thread that finds the log taken by a flush waits to be called, and a flush called nobody: an
/// append with no other append behind it waited for ever.
#[test]
#[allow(clippy::disallowed_methods)] // the test is about threads
fn a_lone_append_beside_flushes_never_hangs() {
    within_a_minute(|| {
        let store = scratch();
        let stop = Arc::new(AtomicBool::new(false));
        let flusher = {
            let (store, stop) = (store.clone(), stop.clone());
            std::thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    store.flush().unwrap();
                }
            })
        };
        for number in 1..400 {
            assert_eq!(store.append_otlp(one_span(number)).unwrap().accepted(), 1);
        }
        stop.store(true, Ordering::SeqCst);
        flusher.join().unwrap();
        assert_eq!(numbers(&store.snapshot()), once(1..400));
    });
}

#[test]
#[allow(clippy::disallowed_methods)] // the test is about threads
fn appends_beside_flushes_syncs_and_readers_never_hang() {
    within_a_minute(|| {
        let fs = MemoryFs::new();
        let store = open(&fs);
        let stop = Arc::new(AtomicBool::new(false));
        let beside: Vec<_> = (0..2)
            .map(|kind| {
                let (store, stop) = (store.clone(), stop.clone());
                std::thread::spawn(move || {
                    while !stop.load(Ordering::SeqCst) {
                        if kind == 0 {
                            store.flush().unwrap()
                        } else {
                            store.sync().unwrap()
                        }
                        assert!(store.snapshot().scan(&Predicate::new()).is_ok());
                    }
                })
            })
            .collect();
        let appenders: Vec<_> = (0..4_u64)
            .map(|thread| {
                let store = store.clone();
                std::thread::spawn(move || {
                    for n in 0..50 {
                        let number = 1 + thread * 50 + n;
                        let pending = store.submit_otlp(one_span(number));
                        let answer = if n % 2 == 0 { pending.wait() } else { block_on(pending) };
                        assert_eq!(answer.unwrap().accepted(), 1);
                        // Looking costs more than appending while there are many segments.
                        if n % 10 == 0 {
                            let seen = numbers(&store.snapshot());
                            assert_eq!(seen.get(&number), Some(&1), "acknowledged, not visible");
                        }
                    }
                })
            })
            .collect();
        for thread in appenders {
            thread.join().unwrap();
        }
        stop.store(true, Ordering::SeqCst);
        for thread in beside {
            thread.join().unwrap();
        }
        assert_eq!(numbers(&store.snapshot()), once(1..201));
        store.compact().unwrap();
        assert_eq!(numbers(&store.snapshot()), once(1..201));
        store.close().unwrap();
        assert_eq!(numbers(&open(&fs).snapshot()), once(1..201));
    });
}

#[test]
fn a_reader_beside_the_writer_sees_rows_at_once_and_after_every_step() {
    let fs = MemoryFs::new();
    let store = open(&fs);
    let watching = reader(&fs);
    assert_eq!(numbers(&watching.snapshot()), once([]));
    let steps: [fn(&Store); 4] = [
        |_| {},
        |store| store.flush().unwrap(),
        |store| store.compact().unwrap(),
        |store| store.sync().unwrap(),
    ];
    let mut there = 1;
    for step in steps.iter().chain(&steps) {
        let earlier = watching.snapshot();
        let _ = store.append_otlp(spans(there..there + 3)).unwrap();
        there += 3;
        step(&store);
        let _ = store.append_otlp(one_span(there)).unwrap();
        there += 1;
        assert_eq!(numbers(&reader(&fs).snapshot()), once(1..there), "a new reader");
        assert_eq!(numbers(&earlier), once(1..there - 4), "an old snapshot");
        watching.refresh().unwrap();
        assert_eq!(numbers(&watching.snapshot()), once(1..there), "a refreshed reader");
    }
    store.close().unwrap();
    watching.refresh().unwrap();
    assert_eq!(numbers(&watching.snapshot()), once(1..there));
    assert!(watching.stats().damage.is_empty());
}

#[test]
fn a_reader_writes_nothing_and_takes_no_lock() {
    let fs = MemoryFs::new();
    let store = open(&fs);
    let _ = store.append_otlp(spans(1..5)).unwrap();
    store.close().unwrap();
    let calls = fs.calls();
    let reader = reader(&fs);
    reader.refresh().unwrap();
    assert_eq!(numbers(&reader.snapshot()), once(1..5));
    assert_eq!(fs.calls(), calls);
    open(&fs);
}

#[test]
#[allow(clippy::disallowed_methods)] // the test is about threads
fn a_reader_never_sees_half_a_request_or_a_row_twice() {
    within_a_minute(|| {
        let fs = MemoryFs::new();
        let store = options(&fs).seal_bytes(2_000).open(DIR).unwrap();
        let writer = std::thread::spawn(move || {
            for n in 0..150 {
                let _ = store.append_otlp(spans(n * 5 + 1..n * 5 + 6)).unwrap();
                if n % 40 == 39 {
                    store.compact().unwrap();
                }
            }
            store
        });
        let mut seen = 0;
        let reader = reader(&fs);
        while seen < 750 {
            match reader.refresh() {
                Err(Error::Busy { .. }) => continue,
                other => other.unwrap(),
            }
            let found = numbers(&reader.snapshot());
            assert_eq!(found, once(1..found.len() as u64 + 1));
            assert_eq!(found.len() % 5, 0);
            assert!(found.len() >= seen, "{} rows after {seen}", found.len());
            seen = found.len();
            if writer.is_finished() && seen < 750 {
                reader.refresh().unwrap();
                assert_eq!(numbers(&reader.snapshot()).len(), 750);
            }
        }
        writer.join().unwrap().close().unwrap();
    });
}

#[test]
fn a_store_in_memory_is_a_store() {
    let store = Store::in_memory();
    let spans = store.append_otlp(Corpus::new(1).body(300)).unwrap().accepted();
    store.flush().unwrap();
    let more = store.append_otlp(Corpus::new(2).body(300)).unwrap().accepted();
    assert_eq!(store.snapshot().span_count(), spans + more);
    let stats = store.stats();
    assert_eq!((stats.segment_spans, stats.memtable_spans), (spans, more));
    assert!(stats.fsyncs > 0 && stats.wal_bytes > 0 && stats.disk_bytes > 0);
    store.close().unwrap();
}

#[test]
fn spans_dropped_by_retention_are_counted_and_snapshots_keep_theirs() {
    let fs = MemoryFs::new();
    let clock = Arc::new(amida::ManualClock::at(crate::common::NOW_NS));
    let retention = amida::Retention::max_age(amida::days(1));
    let store = options(&fs).clock(clock.clone()).retention(retention).open(DIR).unwrap();
    let _ = store.append_otlp(spans(1..4)).unwrap();
    store.flush().unwrap();
    let before = store.snapshot();
    for _ in 0..2 {
        // A day at a time: the store does not believe a jump.
        clock.advance(amida::days(1));
        store.compact().unwrap();
    }
    clock.advance(Duration::from_secs(1));
    let _ = store.append_otlp(spans(4..6)).unwrap();
    store.compact().unwrap();
    assert_eq!(numbers(&store.snapshot()), once(4..6));
    assert_eq!(store.stats().dropped, 3);
    assert_eq!(numbers(&before), once(1..4));
    drop(before);
    store.close().unwrap();
    let store = options(&fs).durability(Durability::Os).open(DIR).unwrap();
    assert_eq!(numbers(&store.snapshot()), once(4..6));
    assert_eq!((store.stats().dropped, store.stats().accepted), (3, 5));
}

/// A compaction into one segment made the next drop remove everything.
#[test]
fn retention_by_bytes_keeps_most_of_what_it_may_keep() {
    const KEPT: u64 = 1 << 20;
    let fs = MemoryFs::new();
    let retention = amida::Retention::forever().max_bytes(KEPT);
    let store = options(&fs).durability(Durability::Os).retention(retention).open(DIR).unwrap();
    let mut corpus = Corpus::new(9);
    let mut least = u64::MAX;
    for _ in 0..60 {
        let _ = store.append_otlp(corpus.body(400)).unwrap();
        store.compact().unwrap();
        let stats = store.stats();
        assert!(stats.segment_bytes <= KEPT + KEPT / 8, "{}", stats.segment_bytes);
        if stats.dropped > 0 {
            least = least.min(stats.segment_bytes);
        }
    }
    assert!(least < u64::MAX, "nothing was dropped: the test does not reach the limit");
    assert!(least >= KEPT / 8 * 6, "{least} of {KEPT} bytes were left");
}
