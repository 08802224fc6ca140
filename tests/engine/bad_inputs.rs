//! Bad inputs that concern the directory: the rows 19 to 29 of the table in docs/testing.md that
//! damage, faults, flips and lifecycle do not have.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use amida::{CrashModel, Error, Fault, Fs, ManualClock, MemoryFs, Retention, Store, TraceId};
use amida_tests::corpus;

use crate::allocator::largest;
use crate::common::{DIR, NOW_NS, numbers, once, one_span, open, options, readable, spans};
use crate::tap::Tap;

fn files(fs: &MemoryFs, folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(DIR).join(folder);
    fs.list(&folder).unwrap_or_default().iter().map(|name| folder.join(name)).collect()
}

fn overwrite(fs: &MemoryFs, path: &Path, bytes: &[u8], offset: u64) {
    let file = fs.open_write(path).unwrap();
    file.write_all_at(bytes, offset).unwrap();
    file.sync_data().unwrap();
}

/// A store of three segments with three spans each; one trace in each of them.
fn three_segments() -> MemoryFs {
    let fs = MemoryFs::new();
    let store = open(&fs);
    for segment in 0..3 {
        let span = |n: u64| corpus::plain_span(segment, n, &n.to_string());
        let numbers = segment * 3 + 1..segment * 3 + 4;
        let _ = store.append_otlp(corpus::body("three", numbers.map(span).collect())).unwrap();
        store.flush().unwrap();
    }
    store.close().unwrap();
    fs
}

#[test]
fn row_19_a_request_that_is_sent_three_times_is_stored_three_times() {
    let fs = MemoryFs::new();
    let store = open(&fs);
    for _ in 0..3 {
        assert_eq!(store.append_otlp(spans(1..3)).unwrap().accepted(), 2);
    }
    let thrice = [(1, 3), (2, 3)].into();
    assert_eq!(numbers(&store.snapshot()), thrice);
    store.compact().unwrap();
    assert_eq!((numbers(&store.snapshot()), store.stats().accepted), (thrice, 6));
}

#[test]
fn row_20_the_end_of_a_torn_log_is_kept_in_quarantine() {
    let fs = MemoryFs::new();
    let store = open(&fs);
    let _ = store.append_otlp(one_span(1)).unwrap();
    let path = files(&fs, "wal").pop().unwrap();
    let end = |fs: &MemoryFs| {
        let log = fs.map(&path).unwrap();
        log.iter().rposition(|byte| *byte != 0).unwrap() + 1
    };
    let torn_at = end(&fs).next_multiple_of(8);
    let _ = store.append_otlp(one_span(2)).unwrap();
    let fs = fs.crash(CrashModel::KeepAll);
    // Half of the record never came to the disk.
    let torn_end = end(&fs) - 20;
    fs.open_write(&path).unwrap().set_len(torn_end as u64).unwrap();
    let torn = fs.map(&path).unwrap().slice(torn_at..torn_end);
    let store = open(&fs);
    assert_eq!(numbers(&store.snapshot()), once([1]));
    assert!(store.stats().damage.is_empty());
    let kept = files(&fs, "quarantine");
    assert_eq!(kept.len(), 1, "{kept:?}");
    let kept = fs.map(&kept[0]).unwrap();
    let zeros = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
    assert!(torn.starts_with(&kept) && zeros(&torn[kept.len()..]), "{kept:?} of {torn:?}");
}

#[test]
fn row_23_a_segment_whose_footer_claims_4_gib_is_reported_and_the_others_are_read() {
    let fs = three_segments();
    let path = files(&fs, "segments").remove(1);
    let len = fs.map(&path).unwrap().len() as u64;
    overwrite(&fs, &path, &u32::MAX.to_le_bytes(), len - 8);
    let store = open(&fs);
    let snapshot = store.snapshot();
    let (read, bytes) = largest(|| {
        let whole = |segment: &Arc<amida::Segment>| segment.metadata().map(drop);
        snapshot.segments().iter().map(whole).collect::<Vec<_>>()
    });
    assert!(bytes < 1 << 20, "{bytes} bytes at once");
    assert!(read[0].is_ok() && read[2].is_ok());
    match &read[1] {
        Err(Error::Corrupt { path: named, .. }) => assert_eq!(*named, path),
        other => panic!("{other:?}"),
    }
    assert_eq!(store.append_otlp(one_span(10)).unwrap().accepted(), 1);
}

#[test]
fn row_24_a_manifest_under_the_name_of_another_or_unfinished_is_not_taken() {
    let fs = three_segments();
    let manifests = files(&fs, "manifest");
    let [older, newest] = &manifests[..] else { panic!("{manifests:?}") };
    // The older one in the place of the newest.
    let copy = fs.crash(CrashModel::KeepAll);
    copy.rename(older, newest).unwrap();
    let refused = options(&copy).open(DIR);
    match refused {
        Err(Error::Corrupt { path, what, .. }) => {
            assert!(path == *newest && what.contains("it holds version"), "{what}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(files(&copy, "segments").len(), 3, "nothing is touched");
    // Half of the next one, which was never renamed.
    let copy = fs.crash(CrashModel::KeepAll);
    let half = fs.map(newest).unwrap();
    let tmp = newest.with_file_name("0000000000000099.manifest.tmp");
    copy.create(&tmp).unwrap().write_all_at(&half[..half.len() / 2], 0).unwrap();
    let store = open(&copy);
    assert_eq!(numbers(&store.snapshot()), once(1..10));
    assert!(store.stats().damage.is_empty() && !copy.exists(&tmp).unwrap());
}

/// Without its newest manifest a store may be older than its files: those are put aside.
#[test]
fn row_24_segments_that_the_manifest_does_not_know_are_kept_in_quarantine() {
    let fs = three_segments();
    let newest = files(&fs, "manifest").pop().unwrap();
    let segment = files(&fs, "segments").pop().unwrap();
    let bytes = fs.map(&segment).unwrap();
    fs.remove(&newest).unwrap();
    let store = open(&fs);
    assert_eq!(numbers(&store.snapshot()), once(1..7));
    let kept = files(&fs, "quarantine");
    let same = kept.iter().any(|path| fs.map(path).unwrap() == bytes);
    assert!(same, "the third segment is not in {kept:?}");
}

#[test]
fn row_25_the_index_of_another_segment_is_not_believed() {
    let fs = three_segments();
    let segments = files(&fs, "segments");
    let bytes: Vec<_> = segments.iter().map(|path| fs.map(path).unwrap()).collect();
    let index = |segment: &[u8]| {
        let at = |at: usize| u64::from_le_bytes(segment[at..at + 8].try_into().unwrap()) as usize;
        at(68)..at(76)
    };
    let (first, second) = (index(&bytes[0]), index(&bytes[1]));
    assert_eq!(first.len(), second.len());
    overwrite(&fs, &segments[0], &bytes[1][second.clone()], first.start as u64);
    let store = open(&fs);
    let snapshot = store.snapshot();
    for trace in 0..3 {
        let id = TraceId::from_bytes(&corpus::trace_id(trace)).unwrap();
        let found = snapshot.trace(id).unwrap().unwrap();
        assert_eq!(found.spans().len(), 3, "trace {trace}");
    }
    let damaged = snapshot.segments()[0].verify();
    assert!(matches!(damaged, Err(Error::Corrupt { .. })), "{damaged:?}");
}

#[test]
fn row_25_a_segment_in_the_place_of_another_is_reported() {
    let fs = three_segments();
    let segments = files(&fs, "segments");
    fs.rename(&segments[0], &segments[1]).unwrap();
    let store = open(&fs);
    assert_eq!(readable(&store.snapshot()), once(7..10));
    let damage = store.stats().damage;
    assert_eq!(damage.len(), 2, "{damage:?}");
    assert!(damage[1].contains("expected segment 2, found 1"), "{damage:?}");
}

#[test]
fn row_26_a_compaction_on_a_full_disk_changes_nothing_and_succeeds_later() {
    let calls = {
        let fs = three_segments();
        let store = open(&fs);
        let before = fs.calls();
        store.compact().unwrap();
        fs.calls() - before
    };
    assert!(calls > 10, "{calls}");
    for call in 0..calls {
        let fs = three_segments();
        let store = open(&fs);
        fs.fail_after(call, Fault::new(ErrorKind::StorageFull).short_write(100));
        let _ = store.compact();
        assert_eq!(numbers(&store.snapshot()), once(1..10), "call {call} of {calls}");
        fs.heal();
        assert_eq!(numbers(&open(&fs.crash(CrashModel::LoseUnsynced)).snapshot()), once(1..10));
        store.compact().unwrap();
        assert_eq!(store.append_otlp(one_span(10)).unwrap().accepted(), 1);
        assert_eq!(numbers(&store.snapshot()), once(1..11), "call {call} of {calls}");
    }
}

#[test]
fn row_26_retention_finds_room_for_its_manifest_on_a_full_disk() {
    let fs = MemoryFs::new();
    let clock = Arc::new(ManualClock::at(NOW_NS));
    let settings = || {
        let options = options(&fs).clock(clock.clone()).disk_floor_bytes(1);
        options.retention(Retention::max_age(Duration::from_secs(3_600)))
    };
    let store = settings().open(DIR).unwrap();
    for number in 1..4 {
        let _ = store.append_otlp(one_span(number)).unwrap();
        store.flush().unwrap();
    }
    store.close().unwrap();
    let store = settings().open(DIR).unwrap();
    fs.limit_bytes(Some(fs.used_bytes()));
    clock.advance(Duration::from_secs(7_200));
    store.compact().unwrap();
    assert_eq!((numbers(&store.snapshot()), store.stats().dropped), (once([]), 3));
    assert_eq!(files(&fs, "segments"), [] as [PathBuf; 0]);
}

#[test]
fn row_28_a_directory_that_may_not_be_written_is_read_and_not_opened_for_writing() {
    let fs = three_segments();
    let reading = [
        "open",
        "map",
        "list",
        "exists",
        "free_bytes",
        "network",
        "read_at",
        "len",
        "forget_cache",
    ];
    let tap = Tap::new(Arc::new(fs.clone()), move |call, path| match reading.contains(&call) {
        true => Ok(()),
        false => Err(Error::io(path, &ErrorKind::PermissionDenied.into())),
    });
    let refused = options(&fs).fs(Arc::new(tap.clone())).open(DIR);
    match refused {
        Err(Error::Io { kind, .. }) => assert_eq!(kind, ErrorKind::PermissionDenied),
        other => panic!("{other:?}"),
    }
    let reader = options(&fs).fs(Arc::new(tap)).open_reader(DIR).unwrap();
    assert_eq!(numbers(&reader.snapshot()), once(1..10));
}

/// What cannot be read today may be readable tomorrow.
#[test]
fn row_28_a_file_without_permission_is_reported_and_not_put_aside() {
    let fs = three_segments();
    let segment = files(&fs, "segments").remove(1);
    let forbidden = segment.clone();
    let tap = Tap::new(Arc::new(fs.clone()), move |_, path| match path == forbidden {
        false => Ok(()),
        true => Err(Error::io(path, &ErrorKind::PermissionDenied.into())),
    });
    let store = options(&fs).fs(Arc::new(tap)).open(DIR).unwrap();
    assert_eq!(readable(&store.snapshot()), once((1..4).chain(7..10)));
    let damage = store.stats().damage;
    assert!(damage.len() == 1 && damage[0].contains(segment.to_str().unwrap()), "{damage:?}");
    store.close().unwrap();
    assert_eq!(files(&fs, "quarantine"), [] as [PathBuf; 0]);
    assert_eq!(numbers(&open(&fs).snapshot()), once(1..10));
}

/// On the real disk such a file is mapped: that a read of it is a SIGBUS is documented.
#[test]
fn row_29_a_segment_that_somebody_cuts_or_unlinks_is_named_and_the_others_are_read() {
    let fs = three_segments();
    let store = open(&fs);
    let snapshot = store.snapshot();
    let segments = files(&fs, "segments");
    fs.open_write(&segments[0]).unwrap().set_len(1_000).unwrap();
    fs.remove(&segments[1]).unwrap();
    for (segment, path) in snapshot.segments().iter().zip(&segments) {
        let named = match segment.verify() {
            Err(Error::Corrupt { path, .. } | Error::Io { path, .. }) => Some(path),
            Ok(()) => None,
            Err(other) => panic!("{other}"),
        };
        assert_eq!(named.as_ref(), (*path != segments[2]).then_some(path));
    }
    assert_eq!(store.append_otlp(one_span(10)).unwrap().accepted(), 1);
    store.close().unwrap();
    let store = open(&fs);
    assert_eq!(readable(&store.snapshot()), once(7..11));
    let damage = store.stats().damage;
    assert!(damage.len() == 2 && damage[0].contains(segments[0].to_str().unwrap()), "{damage:?}");
}

mod on_the_real_disk {
    //! Row 28.
    #![allow(clippy::disallowed_methods, clippy::disallowed_types)] // the real disk

    use super::*;

    #[test]
    fn row_28_a_second_writer_is_refused_with_the_pid_of_the_first() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("traces.amida");
        let store = Store::options().disk_floor_bytes(0).open(&path).unwrap();
        match Store::options().disk_floor_bytes(0).open(&path) {
            Err(Error::Locked { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
            other => panic!("{other:?}"),
        }
        assert_eq!(store.append_otlp(one_span(1)).unwrap().accepted(), 1);
    }

    #[test]
    fn row_28_a_lock_that_is_a_symbolic_link_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("traces.amida");
        std::fs::create_dir(&path).unwrap();
        let precious = home.path().join("precious");
        std::fs::write(&precious, "kept").unwrap();
        std::os::unix::fs::symlink(&precious, path.join("LOCK")).unwrap();
        let refused = Store::open(&path);
        assert!(matches!(refused, Err(Error::Io { .. })), "{refused:?}");
        assert_eq!(std::fs::read_to_string(&precious).unwrap(), "kept");
    }
}
