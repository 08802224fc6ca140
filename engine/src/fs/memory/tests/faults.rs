//! Calls that fail, syncs that fail, a full disk.

use super::*;
use crate::fs::File;

#[test]
fn a_fault_hits_the_call_it_was_set_for_once_or_for_good() {
    let (fs, dir) = disk_with_dir();
    let before = fs.calls();
    let file = fs.create(&dir.join("a")).unwrap();
    file.write_all_at(b"abc", 0).unwrap();
    assert_eq!(fs.calls(), before + 2);

    fs.fail_after(1, Fault::new(ErrorKind::Other).once().short_write(2));
    file.write_all_at(b"d", 3).unwrap();
    let error = file.write_all_at(b"efg", 4).unwrap_err();
    assert_eq!(kind_and_path::<()>(Err(error)), (ErrorKind::Other, dir.join("a")));
    assert_eq!(text(&fs, &dir.join("a")), "abcdef");
    assert!(fs.last_fault().unwrap().ends_with("Write /d/a"));
    file.write_all_at(b"g", 6).unwrap();

    fs.fail_after(0, Fault::new(ErrorKind::StorageFull));
    for _ in 0..3 {
        assert_eq!(kind_and_path(file.write_all_at(b"x", 0)).0, ErrorKind::StorageFull);
        assert_eq!(kind_and_path(fs.create(&dir.join("b"))).0, ErrorKind::StorageFull);
    }
    assert_eq!(text(&fs, &dir.join("a")), "abcdefg");
    assert_eq!(fs.list(dir).unwrap(), ["a"]);
    fs.heal();
    file.write_all_at(b"x", 0).unwrap();
}

/// A file with one synced byte, on which a sync of the next two failed.
fn after_a_failed_sync() -> (MemoryFs, PathBuf, Box<dyn File>) {
    let (fs, dir) = disk_with_dir();
    let path = dir.join("a");
    create_durably(&fs, &path, b"a").unwrap();
    let file = fs.open_write(&path).unwrap();
    file.write_all_at(b"bc", 1).unwrap();
    fs.fail_after(0, Fault::os(5).once().syncs_only());
    file.sync_data().unwrap_err();
    (fs, path, file)
}

#[test]
fn what_a_failed_sync_left_is_read_and_never_safe() {
    let (fs, path, file) = after_a_failed_sync();
    assert_eq!(text(&fs, &path), "abc");
    file.sync_data().unwrap();
    file.write_all_at(b"d", 3).unwrap();
    file.sync_data().unwrap();
    assert_eq!(text(&fs, &path), "abcd");
    assert_eq!(text(&fs.crash(CrashModel::LoseUnsynced), &path), "a\0\0d");
    assert_eq!(text(&fs.crash(CrashModel::KeepAll), &path), "abcd");
    let mut seen = [false; 2];
    for seed in 0..20 {
        let after = text(&fs.crash(CrashModel::Random { seed }), &path);
        assert!(after == "abcd" || after == "a\0\0d", "{after:?}");
        seen[usize::from(after == "abcd")] = true;
    }
    assert_eq!(seen, [true; 2]);
    // A cut, or another write at the same place, is a new change.
    file.set_len(1).unwrap();
    file.sync_data().unwrap();
    file.write_all_at(b"BC", 1).unwrap();
    file.sync_data().unwrap();
    for seed in 0..20 {
        assert_eq!(text(&fs.crash(CrashModel::Random { seed }), &path), "aBC");
    }
}

#[test]
fn a_forgotten_cache_shows_what_a_failed_sync_did_not_write() {
    let (fs, path, file) = after_a_failed_sync();
    file.write_all_at(b"d", 3).unwrap();
    fs.open(&path).unwrap().forget_cache().unwrap();
    assert_eq!(text(&fs, &path), "a\0\0d");
    // What was not given up is still dirty.
    assert_eq!(text(&fs.crash(CrashModel::LoseUnsynced), &path), "a");
    file.sync_data().unwrap();
    assert_eq!(text(&fs.crash(CrashModel::LoseUnsynced), &path), "a\0\0d");
}

#[test]
fn a_directory_whose_sync_failed_is_as_unsynced_as_before() {
    let (fs, dir) = disk_with_dir();
    fs.create(&dir.join("a")).unwrap();
    fs.fail_after(0, Fault::os(5).once());
    fs.sync_dir(dir).unwrap_err();
    assert!(fs.crash(CrashModel::LoseUnsynced).list(dir).unwrap().is_empty());
    fs.sync_dir(dir).unwrap();
    assert_eq!(fs.crash(CrashModel::LoseUnsynced).list(dir).unwrap(), ["a"]);
}

#[test]
fn a_fault_has_the_kind_and_words_of_the_system() {
    let kinds = [(28, ErrorKind::StorageFull), (122, ErrorKind::QuotaExceeded)];
    for (raw, kind) in kinds.into_iter().chain([(4, ErrorKind::Interrupted)]) {
        let (fs, dir) = disk_with_dir();
        fs.fail_after(0, Fault::os(raw));
        let error = fs.create(&dir.join("a")).unwrap_err();
        assert_eq!(error.is_full_disk(), kind != ErrorKind::Interrupted);
        assert_eq!(kind_and_path::<()>(Err(error)).0, kind);
    }
    for (raw, words) in [(5, "Input/output error"), (24, "Too many open files")] {
        let (fs, dir) = disk_with_dir();
        fs.fail_after(0, Fault::os(raw));
        let error = fs.create(&dir.join("a")).unwrap_err();
        assert!(!error.is_full_disk());
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn a_call_that_only_reads_fails_when_the_fault_is_about_any_call() {
    let (fs, dir) = disk_with_dir();
    let path = dir.join("a");
    create_durably(&fs, &path, b"bytes").unwrap();
    let file = fs.open(&path).unwrap();
    let (changing, all) = (fs.calls(), fs.calls_of_any_kind());
    let reads: [(&str, &dyn Fn() -> crate::error::Result<()>); 9] = [
        ("Open", &|| fs.open(&path).map(drop)),
        ("Open", &|| fs.open_write(&path).map(drop)),
        ("Map", &|| fs.map(&path).map(drop)),
        ("Read", &|| file.read_at(&mut [0; 4], 0).map(drop)),
        ("Len", &|| file.len().map(drop)),
        ("List", &|| fs.list(dir).map(drop)),
        ("Exists", &|| fs.exists(&path).map(drop)),
        ("FreeBytes", &|| fs.free_bytes(dir).map(drop)),
        ("Network", &|| fs.network(dir).map(drop)),
    ];
    for (name, read) in reads {
        fs.fail_after(0, Fault::os(24).once());
        read().unwrap();
        assert_eq!(fs.last_fault(), None, "{name}");
        fs.fail_after(1, Fault::os(24).once().any_call());
        read().unwrap();
        read().unwrap_err();
        read().unwrap();
        assert!(fs.last_fault().unwrap().contains(name), "{:?}", fs.last_fault());
    }
    assert_eq!(fs.calls(), changing);
    assert_eq!(fs.calls_of_any_kind(), all + 9 * 4);
}

#[test]
fn a_full_disk_takes_what_fits_and_has_room_again_after_a_removal() {
    let (fs, dir) = disk_with_dir();
    fs.limit_bytes(Some(100));
    create_durably(&fs, &dir.join("a"), &[1; 60]).unwrap();
    assert_eq!(fs.free_bytes(dir).unwrap(), 40);
    let file = fs.create(&dir.join("b")).unwrap();
    assert_eq!(kind_and_path(file.write_all_at(&[2; 50], 0)).0, ErrorKind::StorageFull);
    assert_eq!((file.len().unwrap(), fs.free_bytes(dir).unwrap()), (40, 0));
    assert_eq!(kind_and_path(file.allocate(50)).0, ErrorKind::StorageFull);
    file.write_all_at(&[3; 40], 0).unwrap();
    fs.remove(&dir.join("a")).unwrap();
    file.write_all_at(&[2; 50], 0).unwrap();
    assert_eq!(fs.used_bytes(), 50);
}
