//! What opening a store does and what it leaves alone: newer formats, full disks, a lock that
//! somebody holds, networks, and clocks that are wrong.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use amida::{CrashModel, Error, Fault, Fs, ManualClock, MemoryFs, Options, Retention, Store, days};

use crate::common::{DIR, NOW_NS, numbers, once, one_span, spans, within_a_minute};

/// Options for a store that does nothing in the background.
fn options(fs: &MemoryFs) -> Options {
    crate::common::options(fs).single_threaded()
}

fn quiet(fs: &MemoryFs) -> Store {
    options(fs).open(DIR).unwrap()
}

/// Every file below a directory with its bytes.
fn files(fs: &MemoryFs, dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for name in fs.list(dir).unwrap() {
        let path = dir.join(name);
        if fs.list(&path).is_ok() {
            found.extend(files(fs, &path));
        } else {
            found.insert(path.clone(), fs.map(&path).unwrap().to_vec());
        }
    }
    found
}

fn all_files(fs: &MemoryFs) -> BTreeMap<PathBuf, Vec<u8>> {
    files(fs, Path::new(DIR))
}

/// A closed store with a segment and spans that are only in the log.
fn closed_store() -> MemoryFs {
    let fs = MemoryFs::new();
    let store = quiet(&fs);
    let _ = store.append_otlp(spans(1..4)).unwrap();
    store.flush().unwrap();
    let _ = store.append_otlp(spans(4..6)).unwrap();
    store.close().unwrap();
    fs
}

#[test]
fn opening_and_closing_a_store_changes_no_byte_of_it() {
    let fs = closed_store();
    let before = all_files(&fs);
    for _ in 0..2 {
        let store = quiet(&fs);
        assert_eq!(numbers(&store.snapshot()), once(1..6));
        store.close().unwrap();
    }
    assert_eq!(all_files(&fs), before);
}

#[test]
fn the_report_says_what_was_replayed_cut_and_put_aside() {
    let fs = closed_store();
    let store = quiet(&fs);
    let report = store.recovery();
    assert_eq!((report.wal_files, report.records, report.spans), (1, 1, 2));
    assert_eq!((report.tails.len(), report.quarantined.len(), report.damage.len()), (0, 0, 0));

    // A record that was being written, an unfinished file, a segment of another manifest.
    let pending = store.submit_otlp(one_span(6));
    assert_eq!(pending.wait().unwrap().accepted(), 1);
    let fs = fs.crash(CrashModel::KeepAll);
    let wal = Path::new(DIR).join("wal");
    let last = wal.join(fs.list(&wal).unwrap().pop().unwrap());
    let file = fs.open_write(&last).unwrap();
    let used = fs.map(&last).unwrap().iter().rposition(|byte| *byte != 0).unwrap() + 1;
    file.write_all_at(b"AMRC and no more", used.next_multiple_of(8) as u64).unwrap();
    fs.create(&wal.join("0000000000000099.wal.tmp")).unwrap();
    fs.create(&Path::new(DIR).join("segments/0000000000000099.parquet")).unwrap();
    let store = quiet(&fs);
    let report = store.recovery();
    assert_eq!(numbers(&store.snapshot()), once(1..7));
    assert_eq!((report.records, report.spans, report.removed), (2, 3, 1));
    assert_eq!(report.tails.len(), 1);
    assert_eq!(fs.map(&report.tails[0]).unwrap()[..], b"AMRC and no more"[..]);
    let quarantined = Path::new(DIR).join("quarantine/0000000000000099.parquet.0");
    assert_eq!(report.quarantined, [quarantined]);
    assert!(report.damage.is_empty(), "{:?}", report.damage);
}

/// The bytes of a manifest with another format number and a checksum that holds.
fn of_format(manifest: &[u8], format: u32) -> Vec<u8> {
    let mut bytes = manifest.to_vec();
    bytes[8..12].copy_from_slice(&format.to_le_bytes());
    let mut crc = crc32fast::Hasher::new();
    crc.update(&bytes[8..12]);
    crc.update(&bytes[16..]);
    bytes[12..16].copy_from_slice(&crc.finalize().to_le_bytes());
    bytes
}

#[test]
fn a_store_of_a_newer_format_is_refused_and_not_touched() {
    let fs = closed_store();
    let dir = Path::new(DIR).join("manifest");
    let newest = dir.join(fs.list(&dir).unwrap().pop().unwrap());
    let newer = of_format(&fs.map(&newest).unwrap(), 7);
    fs.open_write(&newest).unwrap().write_all_at(&newer, 0).unwrap();
    let before = (all_files(&fs), fs.calls());
    for opened in [
        options(&fs).open(DIR).map(drop),
        options(&fs).must_exist().open(DIR).map(drop),
        options(&fs).open_reader(DIR).map(drop),
    ] {
        let Err(Error::Unsupported { path, what }) = opened else { panic!("{opened:?}") };
        assert_eq!(path, newest);
        assert!(what.contains("format 7") && what.contains("format 1"), "{what}");
    }
    assert_eq!((all_files(&fs), fs.calls()), before);
}

#[test]
fn a_log_file_of_a_newer_format_is_refused_and_not_cut() {
    let fs = closed_store();
    let dir = Path::new(DIR).join("wal");
    let path = dir.join(fs.list(&dir).unwrap().pop().unwrap());
    let mut bytes = fs.map(&path).unwrap().to_vec();
    bytes[8..12].copy_from_slice(&2_u32.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..56]);
    bytes[56..60].copy_from_slice(&crc.to_le_bytes());
    fs.open_write(&path).unwrap().write_all_at(&bytes, 0).unwrap();
    let before = all_files(&fs);
    let opened = options(&fs).open(DIR);
    assert!(matches!(opened, Err(Error::Unsupported { .. })), "{opened:?}");
    assert_eq!(all_files(&fs), before);
}

#[test]
fn a_writer_that_waits_for_the_lock_gets_it_when_the_other_closes() {
    within_a_minute(|| {
        let fs = MemoryFs::new();
        let old = quiet(&fs);
        let refused = options(&fs).wait_for_lock(Duration::from_millis(50)).open(DIR);
        let pid = std::process::id();
        assert!(matches!(refused, Err(Error::Locked { pid: Some(p), .. }) if p == pid));
        std::thread::scope(|scope| {
            let calls = fs.calls();
            #[allow(clippy::disallowed_methods)] // the other process of a rolling deployment
            let new = scope.spawn(|| {
                let options = options(&fs).wait_for_lock(Duration::from_secs(3600));
                let store = options.open(DIR).unwrap();
                numbers(&store.snapshot())
            });
            // It has asked for the lock, twice at least, and goes on asking.
            while fs.calls() < calls + 2 {
                std::thread::yield_now();
            }
            let _ = old.append_otlp(one_span(1)).unwrap();
            old.close().unwrap();
            assert_eq!(new.join().unwrap(), once([1]));
        });
    });
}

#[test]
fn a_network_file_system_is_a_warning_that_names_the_risk() {
    let fs = MemoryFs::new();
    fs.pretend_network(Some("NFS"));
    let store = quiet(&fs);
    let warnings = &store.recovery().warnings;
    assert!(warnings[0].contains("NFS") && warnings[0].contains(DIR), "{warnings:?}");
    assert_eq!(store.append_otlp(one_span(1)).unwrap().accepted(), 1);
    fs.pretend_network(None);
    store.close().unwrap();
    assert!(quiet(&fs).recovery().warnings.is_empty());
}

/// A store of several segments on a disk that has no byte left, the clock at `now_ns`.
fn on_a_full_disk(retention: Retention, now_ns: i64) -> (MemoryFs, Options) {
    let fs = MemoryFs::new();
    let store = quiet(&fs);
    for number in 1..6 {
        let _ = store.append_otlp(one_span(number)).unwrap();
        store.flush().unwrap();
    }
    let _ = store.append_otlp(one_span(6)).unwrap();
    store.close().unwrap();
    fs.limit_bytes(Some(fs.used_bytes()));
    let clock = Arc::new(ManualClock::at(now_ns));
    let options = options(&fs).clock(clock).retention(retention);
    (fs, options)
}

#[test]
fn a_store_on_a_full_disk_opens_is_read_and_closes() {
    let (fs, options) = on_a_full_disk(Retention::forever(), NOW_NS);
    let store = options.open(DIR).unwrap();
    assert_eq!(numbers(&store.snapshot()), once(1..7));
    let refused = store.append_otlp(one_span(7));
    assert!(matches!(refused, Err(Error::DiskFull { .. })), "{refused:?}");
    fs.limit_bytes(None);
    assert_eq!(store.append_otlp(one_span(8)).unwrap().accepted(), 1);
    let used = fs.used_bytes();
    fs.limit_bytes(Some(used));
    store.close().unwrap();
    let store = quiet(&fs.crash(CrashModel::LoseUnsynced));
    assert_eq!(numbers(&store.snapshot()), once([1, 2, 3, 4, 5, 6, 8]));
}

#[test]
fn retention_runs_before_the_first_write_and_frees_a_full_disk() {
    // A manifest needs room, which a reserve gives.
    let later = NOW_NS + 20 * 3600 * 1_000_000_000;
    let age = Duration::from_secs(10 * 3600);
    let (fs, options) = on_a_full_disk(Retention::max_age(age), later);
    fs.limit_bytes(Some(fs.used_bytes() + 10_000));
    let store = options.open(DIR).unwrap();
    assert!(store.recovery().expired > 0);
    // What is in the log only is not dropped by whole segments.
    assert_eq!(numbers(&store.snapshot()), once([6]));
    assert_eq!(fs.list(&Path::new(DIR).join("segments")).unwrap(), Vec::<String>::new());
    fs.limit_bytes(None);
    assert_eq!(store.append_otlp(one_span(7)).unwrap().accepted(), 1);
}

/// The times of ingest of the segments that the newest manifest names, in its order.
fn ingest_times(fs: &MemoryFs) -> Vec<(i64, i64)> {
    let dir = Path::new(DIR).join("manifest");
    let bytes = fs.map(&dir.join(fs.list(&dir).unwrap().pop().unwrap())).unwrap();
    let version: serde_json::Value = serde_json::from_slice(&bytes[24..]).unwrap();
    let times = |segment: &serde_json::Value| {
        let at = |index: usize| segment["ingest_times"][index].as_i64().unwrap();
        (at(0), at(1))
    };
    version["segments"].as_array().unwrap().iter().map(times).collect()
}

#[test]
fn times_of_ingest_never_go_backwards_even_when_the_clock_does() {
    let fs = MemoryFs::new();
    let clock = Arc::new(ManualClock::at(NOW_NS));
    let six_hours = 6 * 3600 * 1_000_000_000;
    for (number, now) in [NOW_NS, NOW_NS - six_hours, NOW_NS - 2 * six_hours].iter().enumerate() {
        clock.set(*now);
        let store = options(&fs).clock(clock.clone()).open(DIR).unwrap();
        let _ = store.append_otlp(one_span(2 * number as u64 + 1)).unwrap();
        store.flush().unwrap();
        clock.set(*now - six_hours);
        let _ = store.append_otlp(one_span(2 * number as u64 + 2)).unwrap();
        store.flush().unwrap();
        store.close().unwrap();
    }
    let times = ingest_times(&fs);
    assert!(times.iter().all(|(first, last)| first <= last));
    assert!(times.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{times:?}");
}

#[test]
fn a_clock_that_jumps_a_year_and_back_deletes_nothing() {
    let fs = MemoryFs::new();
    let clock = Arc::new(ManualClock::at(NOW_NS));
    let open = || {
        let options = options(&fs).clock(clock.clone()).retention(Retention::max_age(days(7)));
        options.open(DIR).unwrap()
    };
    let store = open();
    let _ = store.append_otlp(one_span(1)).unwrap();
    store.flush().unwrap();
    store.close().unwrap();
    // A machine that boots with a wrong clock, and one whose clock jumps while the store is open.
    clock.set(NOW_NS + 365 * 86_400 * 1_000_000_000);
    let store = open();
    store.compact().unwrap();
    assert_eq!(numbers(&store.snapshot()), once([1]));
    store.close().unwrap();
    clock.set(NOW_NS);
    let store = open();
    clock.advance(days(365));
    let _ = store.append_otlp(one_span(2)).unwrap();
    store.compact().unwrap();
    assert_eq!(numbers(&store.snapshot()), once(1..3));
    clock.set(NOW_NS + 60_000_000_000);
    store.compact().unwrap();
    store.close().unwrap();
    let store = open();
    assert_eq!(numbers(&store.snapshot()), once(1..3));
}

/// What clients say of time keeps and deletes nothing.
#[test]
fn spans_that_claim_to_be_ancient_are_kept() {
    let fs = MemoryFs::new();
    // Spans of the corpus start in 2026; for this store, that is twenty years ago.
    let clock = Arc::new(ManualClock::at(NOW_NS + 20 * 365 * 86_400 * 1_000_000_000));
    let retention = Retention::max_age(days(7));
    let store = options(&fs).clock(clock.clone()).retention(retention).open(DIR).unwrap();
    let _ = store.append_otlp(spans(1..4)).unwrap();
    store.compact().unwrap();
    assert_eq!(numbers(&store.snapshot()), once(1..4));
    for _ in 0..8 {
        clock.advance(days(1));
        store.compact().unwrap();
    }
    assert_eq!(numbers(&store.snapshot()), once([]));
}

/// After a failed sync the system may show bytes that are not on the disk; a store that is opened
/// again in the same boot must not build on them.
#[test]
fn after_a_failed_sync_a_reopened_store_builds_only_on_what_the_disk_has() {
    let fs = MemoryFs::new();
    let store = quiet(&fs);
    let _ = store.append_otlp(one_span(1)).unwrap();
    fs.fail_after(0, Fault::new(ErrorKind::Other).once().syncs_only());
    let failed = store.append_otlp(one_span(2));
    assert!(matches!(failed, Err(Error::Poisoned { .. })), "{failed:?}");
    drop(store);
    let store = quiet(&fs);
    let _ = store.append_otlp(one_span(3)).unwrap();
    let found = numbers(&store.snapshot());
    let after = quiet(&fs.crash(CrashModel::LoseUnsynced));
    assert_eq!(numbers(&after.snapshot()), found, "{:?}", after.recovery());
    assert!(after.recovery().damage.is_empty(), "{:?}", after.recovery());
    assert_eq!(found, once([1, 3]));
}

#[test]
fn a_single_threaded_store_does_its_work_at_the_end_of_an_append() {
    let fs = MemoryFs::new();
    let opened = || options(&fs).seal_bytes(2_000).wal_bytes_max(10_000);
    let store = opened().open(DIR).unwrap();
    for number in 1..200 {
        let _ = store.append_otlp(one_span(number)).unwrap();
        assert!(store.stats().memtable_bytes < 4_000);
    }
    let pending = store.submit_otlp(one_span(200));
    drop(pending);
    assert_eq!(numbers(&store.snapshot()), once(1..201));
    assert!(amida_tests::block_on(store.submit_otlp(one_span(201))).is_ok());
    let stats = store.stats();
    assert!((1..20).contains(&stats.segments), "{}", stats.segments);
    assert_eq!(stats.segment_spans + stats.memtable_spans, 201);
    assert!(stats.last_error.is_none(), "{:?}", stats.last_error);

    // The same calls, in the same order, each time.
    let calls = |_| {
        let fs = MemoryFs::new();
        let options = options(&fs).seal_bytes(2_000);
        let store: Store = options.open(DIR).unwrap();
        for number in 1..50 {
            let _ = store.append_otlp(one_span(number)).unwrap();
        }
        store.close().unwrap();
        fs.calls_of_any_kind()
    };
    let counts: Vec<u64> = (0..3).map(calls).collect();
    assert!(counts.windows(2).all(|pair| pair[0] == pair[1]), "{counts:?}");
}

/// Found by running the tests beside much else: whoever starts a program has, until that program
/// runs, a copy of all its open files in the new process, and the writer's lock with them.
#[test]
#[allow(unsafe_code)] // what runs in the new process before the program
fn a_store_that_was_closed_is_free_while_the_process_starts_another() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("traces.amida");
    let store = Store::options().disk_floor_bytes(0).open(&path).unwrap();
    let (mut here, there) = UnixStream::pair().unwrap();
    let started = std::thread::spawn(move || {
        let mut command = Command::new("true");
        let wait = move || (&there).write_all(b".").and_then(|()| (&there).read_exact(&mut [0]));
        // SAFETY: it writes to a socket and reads from it, and nothing else.
        unsafe { command.pre_exec(wait) };
        command.status().unwrap()
    });
    here.read_exact(&mut [0]).unwrap();
    let closed = store.close();
    let opened = Store::options().disk_floor_bytes(0).open(&path);
    here.write_all(b".").unwrap();
    assert!(started.join().unwrap().success());
    closed.unwrap();
    opened.unwrap().close().unwrap();
}
