use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{CrashModel, Fault, MemoryFs};
use crate::error::Error;
use crate::fs::{Fs, RealFs, create_durably, read_all};

/// A directory of the real disk that goes away with the test.
struct TempDir(PathBuf);

impl TempDir {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let dir = std::env::temp_dir().join(format!("amida-fs-{}-{number}", std::process::id()));
        RealFs.create_dir_all(&dir).unwrap();
        Self(dir)
    }
}

impl Drop for TempDir {
    #[allow(clippy::disallowed_methods)] // tidying up after a test of the real disk
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs the same test on the real disk and on the one in memory.
fn on_both(test: impl Fn(&dyn Fs, &Path)) {
    let real = TempDir::new();
    test(&RealFs, &real.0);
    let memory = MemoryFs::new();
    memory.create_dir_all(Path::new("/some/where")).unwrap();
    test(&memory, Path::new("/some/where"));
}

fn kind_and_path<T: std::fmt::Debug>(result: crate::error::Result<T>) -> (ErrorKind, PathBuf) {
    match result.unwrap_err() {
        Error::Io { path, kind, .. } => (kind, path),
        other => panic!("not an Io error: {other}"),
    }
}

fn text(fs: &dyn Fs, path: &Path) -> String {
    String::from_utf8(read_all(fs, path, 1 << 20).unwrap()).unwrap()
}

#[test]
fn written_bytes_are_read_back_at_any_offset() {
    on_both(|fs, dir| {
        let path = dir.join("a");
        let file = fs.create(&path).unwrap();
        file.write_all_at(b"hello world", 0).unwrap();
        file.write_all_at(b"W", 6).unwrap();
        file.write_all_at(b"!", 13).unwrap();
        assert_eq!(file.len().unwrap(), 14);
        let mut buffer = [9; 5];
        assert_eq!(file.read_at(&mut buffer, 11).unwrap(), 3);
        assert_eq!(buffer, [0, 0, b'!', 9, 9]);
        assert_eq!(file.read_at(&mut buffer, 99).unwrap(), 0);
        assert_eq!(text(fs, &path), "hello World\0\0!");
        assert_eq!(&fs.map(&path).unwrap()[..], b"hello World\0\0!");
        file.write_all_at(b"", 99).unwrap();
        assert_eq!(file.len().unwrap(), 14);
    });
}

#[test]
fn lengths_are_cut_extended_and_allocated() {
    on_both(|fs, dir| {
        let file = fs.create(&dir.join("a")).unwrap();
        file.write_all_at(b"abcdef", 0).unwrap();
        file.set_len(3).unwrap();
        file.set_len(5).unwrap();
        assert_eq!(text(fs, &dir.join("a")), "abc\0\0");
        file.allocate(2).unwrap();
        assert_eq!(file.len().unwrap(), 5);
        file.allocate(9).unwrap();
        assert_eq!(file.len().unwrap(), 9);
        assert!(fs.map(&dir.join("a")).unwrap().starts_with(b"abc\0\0"));
        file.set_len(0).unwrap();
        assert!(fs.map(&dir.join("a")).unwrap().is_empty());
    });
}

#[test]
fn names_are_listed_sorted_and_missing_or_existing_names_are_errors_of_their_kind() {
    on_both(|fs, dir| {
        for name in ["b", "c", "a"] {
            fs.create(&dir.join(name)).unwrap();
        }
        fs.create_dir_all(&dir.join("d/e")).unwrap();
        fs.create_dir_all(&dir.join("d/e")).unwrap();
        assert_eq!(fs.list(dir).unwrap(), ["a", "b", "c", "d"]);
        assert_eq!(fs.list(&dir.join("d")).unwrap(), ["e"]);
        assert!(fs.exists(&dir.join("d")).unwrap() && fs.exists(&dir.join("a")).unwrap());
        assert!(!fs.exists(&dir.join("x")).unwrap());

        let taken = (ErrorKind::AlreadyExists, dir.join("a"));
        assert_eq!(kind_and_path(fs.create(&dir.join("a"))), taken);
        let x = dir.join("x");
        let missing = (ErrorKind::NotFound, x.clone());
        assert_eq!(kind_and_path(fs.open(&x)), missing);
        assert_eq!(kind_and_path(fs.open_write(&x)), missing);
        assert_eq!(kind_and_path(fs.map(&x)), missing);
        assert_eq!(kind_and_path(fs.remove(&x)), missing);
        assert_eq!(kind_and_path(fs.rename(&x, &dir.join("y"))), missing);
        assert_eq!(kind_and_path(fs.list(&x)), missing);
        assert_eq!(kind_and_path(fs.sync_dir(&x)), missing);
        let deep = x.join("deep");
        assert_eq!(kind_and_path(fs.create(&deep)), (ErrorKind::NotFound, deep.clone()));
        assert_eq!(kind_and_path(fs.remove(&dir.join("d"))).0, ErrorKind::IsADirectory);
        assert!(fs.free_bytes(dir).unwrap() > 0);
    });
}

#[test]
fn a_rename_replaces_and_open_files_and_maps_live_on() {
    on_both(|fs, dir| {
        let (a, b) = (dir.join("a"), dir.join("b"));
        create_durably(fs, &a, b"old").unwrap();
        create_durably(fs, &b, b"new").unwrap();
        let old = fs.open(&a).unwrap();
        let map = fs.map(&a).unwrap();
        fs.rename(&b, &a).unwrap();
        assert_eq!(fs.list(dir).unwrap(), ["a"]);
        assert_eq!(text(fs, &a), "new");
        fs.remove(&a).unwrap();
        let mut buffer = [0; 3];
        assert_eq!(old.read_at(&mut buffer, 0).unwrap(), 3);
        assert_eq!((&buffer, &map[..]), (b"old", &b"old"[..]));
        assert!(fs.list(dir).unwrap().is_empty());
        fs.create_dir_all(&dir.join("q")).unwrap();
        create_durably(fs, &a, b"moved").unwrap();
        fs.rename(&a, &dir.join("q/a.1")).unwrap();
        assert_eq!(text(fs, &dir.join("q/a.1")), "moved");
    });
}

#[test]
fn a_file_opened_for_reading_is_not_written() {
    on_both(|fs, dir| {
        create_durably(fs, &dir.join("a"), b"kept").unwrap();
        let file = fs.open(&dir.join("a")).unwrap();
        file.write_all_at(b"lost", 0).unwrap_err();
        file.set_len(1).unwrap_err();
        assert_eq!(text(fs, &dir.join("a")), "kept");
        let file = fs.open_write(&dir.join("a")).unwrap();
        file.write_all_at(b"K", 0).unwrap();
        assert_eq!(text(fs, &dir.join("a")), "Kept");
    });
}

#[test]
fn a_lock_has_one_holder_until_it_is_dropped() {
    on_both(|fs, dir| {
        let path = dir.join("LOCK");
        let held = fs.lock(&path).unwrap();
        match fs.lock(&path).unwrap_err() {
            Error::Locked { path, pid } => {
                assert_eq!((path.as_path(), pid), (dir, Some(std::process::id())));
            }
            other => panic!("not Locked: {other}"),
        }
        drop(held);
        drop(fs.lock(&path).unwrap());
        assert!(fs.exists(&path).unwrap());
    });
}

fn disk_with_dir() -> (MemoryFs, &'static Path) {
    let fs = MemoryFs::new();
    fs.create_dir_all(Path::new("/d")).unwrap();
    (fs, Path::new("/d"))
}

fn every_model() -> Vec<CrashModel> {
    let mut models = vec![CrashModel::LoseUnsynced, CrashModel::KeepAll];
    for seed in 0..40 {
        models.push(CrashModel::Random { seed });
        models.push(CrashModel::Torn { seed, sector: 512 });
        models.push(CrashModel::Torn { seed, sector: 4096 });
    }
    models
}

#[test]
fn what_was_synced_survives_every_crash() {
    let (fs, dir) = disk_with_dir();
    let path = dir.join("a");
    create_durably(&fs, &path, &[7; 10_000]).unwrap();
    fs.open_write(&path).unwrap().write_all_at(&[8; 10_000], 10_000).unwrap();
    for model in every_model() {
        let after = fs.crash(model);
        let bytes = read_all(&after, &path, 1 << 20).unwrap();
        assert!(bytes.starts_with(&[7; 10_000]), "{model:?}");
        assert!(bytes[10_000..].iter().all(|b| matches!(b, 0 | 8)), "{model:?}");
        assert_eq!(after.list(dir).unwrap(), ["a"], "{model:?}");
    }
    assert_eq!(fs.crash(CrashModel::LoseUnsynced).used_bytes(), 10_000);
    assert_eq!(fs.crash(CrashModel::KeepAll).used_bytes(), 20_000);
}

#[test]
fn a_synced_file_without_a_synced_name_may_be_gone() {
    let (fs, dir) = disk_with_dir();
    let file = fs.create(&dir.join("a")).unwrap();
    file.write_all_at(b"bytes", 0).unwrap();
    file.sync_data().unwrap();
    assert!(fs.crash(CrashModel::LoseUnsynced).list(dir).unwrap().is_empty());
    assert_eq!(fs.crash(CrashModel::KeepAll).list(dir).unwrap(), ["a"]);
    fs.sync_dir(dir).unwrap();
    assert_eq!(fs.crash(CrashModel::LoseUnsynced).list(dir).unwrap(), ["a"]);
}

#[test]
fn a_name_without_its_bytes_is_possible_when_the_rename_came_before_the_sync() {
    let (fs, dir) = disk_with_dir();
    let file = fs.create(&dir.join("a.tmp")).unwrap();
    file.write_all_at(b"bytes", 0).unwrap();
    fs.rename(&dir.join("a.tmp"), &dir.join("a")).unwrap();
    fs.sync_dir(dir).unwrap();
    let after = fs.crash(CrashModel::LoseUnsynced);
    assert_eq!(after.list(dir).unwrap(), ["a"]);
    assert_eq!(text(&after, &dir.join("a")), "");
}

#[test]
fn a_rename_between_directories_never_loses_the_file() {
    for sync in [None, Some("/d"), Some("/q"), Some("both")] {
        let (fs, dir) = disk_with_dir();
        fs.create_dir_all(Path::new("/q")).unwrap();
        create_durably(&fs, &dir.join("a"), b"a").unwrap();
        fs.rename(&dir.join("a"), Path::new("/q/a")).unwrap();
        for path in ["/d", "/q"] {
            if sync == Some(path) || sync == Some("both") {
                fs.sync_dir(Path::new(path)).unwrap();
            }
        }
        for model in every_model() {
            let after = fs.crash(model);
            let here = after.exists(&dir.join("a")).unwrap();
            let there = after.exists(Path::new("/q/a")).unwrap();
            assert!(here || there, "{sync:?} {model:?}");
            assert!(sync != Some("both") || (!here && there), "{model:?}");
        }
    }
}

#[test]
fn a_crash_may_leave_any_subset_of_unsynced_writes_and_sectors() {
    let (fs, dir) = disk_with_dir();
    let path = dir.join("a");
    create_durably(&fs, &path, &[0; 4096]).unwrap();
    let file = fs.open_write(&path).unwrap();
    file.write_all_at(&[1; 1024], 0).unwrap();
    file.write_all_at(&[2; 1024], 2048).unwrap();
    let (mut subsets, mut torn) = ([false; 4], false);
    for model in every_model() {
        let bytes = read_all(&fs.crash(model), &path, 1 << 20).unwrap();
        match model {
            CrashModel::Random { .. } => {
                let (first, second) = (bytes[0] == 1, bytes[2048] == 2);
                subsets[usize::from(first) + 2 * usize::from(second)] = true;
                assert_eq!(bytes[0], bytes[1023]);
            }
            CrashModel::Torn { sector: 512, .. } => torn |= bytes[0] != bytes[512],
            _ => {}
        }
    }
    assert_eq!(subsets, [true; 4]);
    assert!(torn);
}

#[test]
fn a_crash_with_the_same_seed_leaves_the_same_disk_and_free_locks() {
    let (fs, dir) = disk_with_dir();
    let _held = fs.lock(&dir.join("LOCK")).unwrap();
    let file = fs.create(&dir.join("a")).unwrap();
    for at in 0..100 {
        file.write_all_at(&[at; 100], u64::from(at) * 50).unwrap();
    }
    fs.sync_dir(dir).unwrap();
    for seed in 0..10 {
        let model = CrashModel::Torn { seed, sector: 512 };
        let (one, two) = (fs.crash(model), fs.crash(model));
        assert_eq!(text(&one, &dir.join("a")), text(&two, &dir.join("a")));
        drop(one.lock(&dir.join("LOCK")).unwrap());
    }
    assert!(matches!(fs.lock(&dir.join("LOCK")), Err(Error::Locked { .. })));
}

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

#[test]
fn a_failed_sync_makes_nothing_safe() {
    let (fs, dir) = disk_with_dir();
    create_durably(&fs, &dir.join("a"), b"").unwrap();
    let file = fs.open_write(&dir.join("a")).unwrap();
    fs.fail_after(0, Fault::new(ErrorKind::Other).once().syncs_only());
    file.write_all_at(b"abc", 0).unwrap();
    file.sync_data().unwrap_err();
    assert_eq!(text(&fs.crash(CrashModel::LoseUnsynced), &dir.join("a")), "");
    file.sync_data().unwrap();
    assert_eq!(text(&fs.crash(CrashModel::LoseUnsynced), &dir.join("a")), "abc");
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
