//! Single promises that no other file here asks for.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use amida::{CrashModel, Durability, Fault, Fs, MemoryFs, Store};

use crate::common::{DIR, numbers, once, one_span, open, options, spans, within_a_minute};
use crate::tap::Tap;

#[test]
fn a_file_that_a_snapshot_holds_is_removed_when_the_snapshot_is_dropped() {
    let fs = MemoryFs::new();
    let store = open(&fs);
    for number in 1..4 {
        let _ = store.append_otlp(one_span(number)).unwrap();
        store.flush().unwrap();
    }
    let snapshot = store.snapshot();
    let paths: Vec<_> = snapshot.segments().iter().map(|s| s.path().to_owned()).collect();
    store.compact().unwrap();
    for segment in snapshot.segments() {
        segment.verify().unwrap();
    }
    assert_eq!(numbers(&snapshot), once(1..4));
    drop(snapshot);
    for path in paths {
        assert!(!fs.exists(&path).unwrap(), "{} is left", path.display());
    }
    assert_eq!(numbers(&store.snapshot()), once(1..4));
}

/// A flush makes the segment visible and takes the memtable away in one step: whenever somebody
/// looks, each span is there once.
#[test]
fn at_every_call_of_the_disk_a_snapshot_has_every_span_once() {
    // A look would wait for ever while the state is locked for a call of the disk.
    within_a_minute(look_at_every_call);
}

fn look_at_every_call() {
    let disk = MemoryFs::new();
    let (looks, expected) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let store: Arc<OnceLock<Store>> = Arc::default();
    let tap = {
        let (looks, expected, store) = (looks.clone(), expected.clone(), store.clone());
        Tap::new(Arc::new(disk.clone()), move |call, path| {
            let acknowledged = expected.load(Ordering::SeqCst);
            if let Some(store) = store.get().filter(|_| acknowledged > 0) {
                let spans = store.snapshot().span_count();
                assert_eq!(spans, acknowledged, "at {call} {}", path.display());
                looks.fetch_add(1, Ordering::SeqCst);
            }
            Ok(())
        })
    };
    // In this thread, where a look that fails ends the test.
    let settings = options(&disk).fs(Arc::new(tap)).single_threaded();
    store.set(settings.open(DIR).unwrap()).unwrap();
    let store = store.get().unwrap();
    for round in 0..4 {
        // While a request is on its way nobody knows how many spans there are.
        expected.store(0, Ordering::SeqCst);
        let _ = store.append_otlp(spans(round * 3 + 1..round * 3 + 4)).unwrap();
        expected.store(round * 3 + 3, Ordering::SeqCst);
        store.flush().unwrap();
        store.compact().unwrap();
    }
    expected.store(0, Ordering::SeqCst);
    assert!(looks.load(Ordering::SeqCst) > 50, "{looks:?} looks");
    assert_eq!(numbers(&store.snapshot()), once(1..13));
}

#[test]
fn sequences_are_never_given_twice() {
    let fs = MemoryFs::new();
    let mut last = 0;
    for round in 0..6 {
        let store = open(&fs);
        for number in 0..3 {
            let receipt = store.append_otlp(one_span(round * 3 + number + 1)).unwrap();
            let sequence = receipt.sequence().unwrap();
            assert!(sequence > last, "{sequence} after {last}");
            last = sequence;
        }
        if round % 2 == 1 {
            store.flush().unwrap();
        }
        store.close().unwrap();
    }
    assert_eq!(numbers(&open(&fs).snapshot()), once(1..19));
}

/// The operating system shows a later page of a write before an earlier one: whoever reads beside
/// the writer must come back for the record and not go past it.
#[test]
fn a_reader_waits_for_a_record_that_is_being_written() {
    let fs = MemoryFs::new();
    // No record says that another one was synced: that would be damage.
    let store = options(&fs).durability(Durability::Os).open(DIR).unwrap();
    let folder = Path::new(DIR).join("wal");
    let end = |fs: &MemoryFs, path: &Path| {
        let log = fs.map(path).unwrap();
        (log.iter().rposition(|byte| *byte != 0).unwrap() + 1).next_multiple_of(8)
    };
    let mut ends = Vec::new();
    let mut path = folder.clone();
    for number in 1..4 {
        let _ = store.append_otlp(one_span(number)).unwrap();
        path = folder.join(fs.list(&folder).unwrap().last().unwrap());
        ends.push(end(&fs, &path));
    }
    let fs = fs.crash(CrashModel::KeepAll);
    let whole = fs.map(&path).unwrap();
    let file = fs.open_write(&path).unwrap();
    let (from, to) = (ends[0] + 48, ends[1] - 16);
    file.write_all_at(&vec![0; to - from], from as u64).unwrap();
    let reader = options(&fs).open_reader(DIR).unwrap();
    assert_eq!(numbers(&reader.snapshot()), once([1]));
    file.write_all_at(&whole[from..to], from as u64).unwrap();
    reader.refresh().unwrap();
    assert_eq!(numbers(&reader.snapshot()), once(1..4));
}

/// A reader, and a copy that is made beside the writer, know a version by its number.
#[test]
fn a_version_that_may_be_on_the_disk_does_not_share_its_number_with_another() {
    let folder = Path::new(DIR).join("manifest");
    let manifests = |fs: &MemoryFs| -> Vec<(String, Vec<u8>)> {
        let names = fs.list(&folder).unwrap().into_iter().filter(|n| n.ends_with(".manifest"));
        names.map(|name| (name.clone(), fs.map(&folder.join(&name)).unwrap().to_vec())).collect()
    };
    let mut failed_behind_the_rename = 0;
    for call in 0..60 {
        let fs = MemoryFs::new();
        let store = options(&fs).single_threaded().open(DIR).unwrap();
        let _ = store.append_otlp(one_span(1)).unwrap();
        let before = manifests(&fs);
        fs.fail_after(call, Fault::new(std::io::ErrorKind::Other).once());
        let flushed = store.flush();
        fs.heal();
        let seen = manifests(&fs);
        failed_behind_the_rename += u32::from(flushed.is_err() && seen.len() > before.len());
        // Another version than the one that failed.
        let _ = store.append_otlp(one_span(2));
        let _ = store.flush();
        for (name, bytes) in manifests(&fs) {
            let earlier = seen.iter().find(|(other, _)| *other == name);
            assert!(earlier.is_none_or(|(_, earlier)| *earlier == bytes), "call {call}: {name}");
        }
    }
    assert!(failed_behind_the_rename > 0);
}
