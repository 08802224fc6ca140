//! Full disks, failed writes and failed syncs.

use std::io::ErrorKind;
use std::time::Duration;

use amida::{CrashModel, Durability, Error, Fault, MemoryFs};
use amida_tests::corpus::Corpus;

use crate::common::{DIR, numbers, once, one_span, open, options, spans};

#[test]
fn a_failed_sync_stops_writing_and_reading_goes_on() {
    let fs = MemoryFs::new();
    let store = open(&fs);
    let _ = store.append_otlp(one_span(1)).unwrap();
    fs.fail_after(0, Fault::new(ErrorKind::Other).once().syncs_only());
    let failed = store.append_otlp(one_span(2));
    assert!(matches!(failed, Err(Error::Poisoned { .. })), "{failed:?}");
    // The next sync would succeed, but nobody may trust it.
    for refused in [store.append_otlp(one_span(3)).map(drop), store.flush(), store.sync()] {
        assert!(matches!(refused, Err(Error::Poisoned { .. })), "{refused:?}");
    }
    assert_eq!(numbers(&store.snapshot()), once([1]));
    assert!(matches!(store.close(), Err(Error::Poisoned { .. })));
    let store = open(&fs.crash(CrashModel::LoseUnsynced));
    assert_eq!(numbers(&store.snapshot()), once([1]));
    assert_eq!(store.append_otlp(one_span(3)).unwrap().accepted(), 1);
}

#[test]
fn a_failed_write_is_cut_off_and_later_requests_are_safe() {
    for bytes in [0, 1, 10, 100, 200] {
        let fs = MemoryFs::new();
        let store = open(&fs);
        let _ = store.append_otlp(one_span(1)).unwrap();
        fs.fail_after(0, Fault::new(ErrorKind::Other).once().short_write(bytes));
        let failed = store.append_otlp(one_span(2));
        assert!(matches!(failed, Err(Error::Io { .. })), "{failed:?}");
        assert_eq!(numbers(&store.snapshot()), once([1]));
        let _ = store.append_otlp(one_span(3)).unwrap();
        for model in [CrashModel::LoseUnsynced, CrashModel::KeepAll] {
            let kept = open(&fs.crash(model));
            assert_eq!(numbers(&kept.snapshot()), once([1, 3]), "{bytes} bytes, {model:?}");
            assert!(kept.stats().damage.is_empty(), "{:?}", kept.stats().damage);
        }
    }
}

#[test]
fn on_a_full_disk_appends_are_refused_until_there_is_room() {
    let fs = MemoryFs::new();
    let store = open(&fs);
    let _ = store.append_otlp(spans(1..10)).unwrap();
    fs.limit_bytes(Some(fs.used_bytes() + 2_000));
    let mut corpus = Corpus::new(1);
    let refused = (0..2_000).find_map(|_| store.append_otlp(corpus.body(20)).err()).unwrap();
    assert!(matches!(refused, Error::DiskFull { .. }), "{refused:?}");
    assert!(refused.is_retryable());
    let stored = store.snapshot().span_count();
    for _ in 0..3 {
        let again = store.append_otlp(corpus.body(20));
        assert!(matches!(again, Err(Error::DiskFull { .. })), "{again:?}");
    }
    assert_eq!(store.snapshot().span_count(), stored);

    fs.limit_bytes(None);
    assert_eq!(store.append_otlp(corpus.body(20)).unwrap().accepted(), 20);
    store.flush().unwrap();
    assert_eq!(store.snapshot().span_count(), stored + 20);
    let reopened = open(&fs.crash(CrashModel::LoseUnsynced));
    assert_eq!(reopened.snapshot().span_count(), stored + 20);
    assert!(reopened.stats().damage.is_empty());
}

#[test]
fn below_the_floor_appends_are_refused_and_flushes_go_on() {
    let fs = MemoryFs::new();
    fs.limit_bytes(Some(1 << 30));
    let store = options(&fs).disk_floor_bytes(64 << 20).open(DIR).unwrap();
    let _ = store.append_otlp(spans(1..10)).unwrap();
    fs.limit_bytes(Some(fs.used_bytes() + (63 << 20)));
    match store.append_otlp(one_span(10)) {
        Err(Error::DiskFull { free_bytes, .. }) => assert_eq!(free_bytes, 63 << 20),
        other => panic!("{other:?}"),
    }
    store.flush().unwrap();
    store.compact().unwrap();
    assert_eq!(numbers(&store.snapshot()), once(1..10));
    fs.limit_bytes(Some(1 << 30));
    assert_eq!(store.append_otlp(one_span(10)).unwrap().accepted(), 1);
}

#[test]
fn a_flush_that_fails_loses_nothing_and_succeeds_later() {
    let fs = MemoryFs::new();
    let mut store = open(&fs);
    let _ = store.append_otlp(spans(1..10)).unwrap();
    let calls = fs.calls();
    store.flush().unwrap();
    let of_a_flush = fs.calls() - calls;
    let mut there = 10;
    for call in 0..of_a_flush {
        let _ = store.append_otlp(one_span(there)).unwrap();
        there += 1;
        fs.fail_after(call, Fault::new(ErrorKind::StorageFull).once());
        let failed = store.flush();
        fs.heal();
        if matches!(failed, Err(Error::Poisoned { .. })) {
            // The log could not be synced: only a store that is opened again may go on.
            drop(store.close());
            store = open(&fs);
        }
        assert_eq!(numbers(&store.snapshot()), once(1..there), "call {call} of {of_a_flush}");
        store.flush().unwrap();
        assert_eq!(numbers(&store.snapshot()), once(1..there), "call {call} of {of_a_flush}");
    }
    store.close().unwrap();
    assert_eq!(numbers(&open(&fs).snapshot()), once(1..there));
}

#[test]
fn a_log_that_is_full_makes_appends_wait_for_a_flush() {
    let fs = MemoryFs::new();
    // Long enough for a flush on any machine.
    let wait = Duration::from_secs(300);
    let store = options(&fs).wal_bytes_max(20_000).stall_max(wait).open(DIR).unwrap();
    let mut corpus = Corpus::new(2);
    let mut stored = 0;
    for _ in 0..30 {
        stored += store.append_otlp(corpus.body(20)).unwrap().accepted();
    }
    assert!(store.stats().stalls > 0);
    assert_eq!(store.snapshot().span_count(), stored);
}

#[test]
fn a_log_that_stays_full_refuses_appends_as_busy_until_it_is_flushed() {
    let fs = MemoryFs::new();
    let options = options(&fs).wal_bytes_max(20_000).stall_max(Duration::ZERO);
    let store = options.open(DIR).unwrap();
    let mut corpus = Corpus::new(2);
    let mut stored = 0;
    // As nobody waits, requests come faster than flushes end.
    let refused = (0..10_000).find_map(|_| match store.append_otlp(corpus.body(20)) {
        Ok(receipt) => {
            stored += receipt.accepted();
            None
        }
        Err(error) => Some(error),
    });
    assert!(matches!(refused, Some(Error::Busy { .. })), "{refused:?}");
    store.flush().unwrap();
    stored += store.append_otlp(corpus.body(20)).unwrap().accepted();
    assert_eq!(store.snapshot().span_count(), stored);
}

#[test]
fn a_queue_that_is_full_refuses_requests_as_busy() {
    let fs = MemoryFs::new();
    let store = options(&fs).queue_bytes_max(1_000).durability(Durability::Os).open(DIR).unwrap();
    let mut corpus = Corpus::new(3);
    let (mut stored, mut busy) = (0, 0);
    for _ in 0..50 {
        let pending: Vec<_> = (0..20).map(|_| store.submit_otlp(corpus.body(5))).collect();
        for answer in pending.into_iter().map(amida::Pending::wait) {
            match answer {
                Ok(receipt) => stored += receipt.accepted(),
                Err(Error::Busy { .. }) => busy += 1,
                Err(other) => panic!("{other}"),
            }
        }
    }
    assert!(busy > 0);
    assert_eq!(store.snapshot().span_count(), stored);
}

#[test]
fn weaker_durability_survives_the_process_and_sync_makes_it_survive_power_loss() {
    for durability in [Durability::Os, Durability::Interval(Duration::from_secs(3_600))] {
        let fs = MemoryFs::new();
        let store = options(&fs).durability(durability).open(DIR).unwrap();
        let _ = store.append_otlp(spans(1..4)).unwrap();
        let killed = open(&fs.crash(CrashModel::KeepAll));
        assert_eq!(numbers(&killed.snapshot()), once(1..4));
        store.sync().unwrap();
        let _ = store.append_otlp(spans(4..6)).unwrap();
        let unplugged = numbers(&open(&fs.crash(CrashModel::LoseUnsynced)).snapshot());
        assert_eq!(unplugged, once(1..4), "{durability:?}");
    }
}

#[test]
fn an_interval_syncs_by_itself() {
    let fs = MemoryFs::new();
    let interval = Durability::Interval(Duration::from_millis(5));
    let store = options(&fs).durability(interval).open(DIR).unwrap();
    crate::common::within_a_minute(move || {
        let _ = store.append_otlp(spans(1..4)).unwrap();
        let synced = || numbers(&open(&fs.crash(CrashModel::LoseUnsynced)).snapshot()).len() == 3;
        while !synced() {
            std::thread::yield_now();
        }
    });
}
