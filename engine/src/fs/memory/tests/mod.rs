//! What the disk in memory promises, and that the real one does the same where both can be asked.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{CrashModel, Fault, MemoryFs};
use crate::error::Error;
use crate::fs::{Fs, RealFs, create_durably, read_all};

mod crash;
mod faults;

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
        assert_eq!(kind_and_path(fs.free_bytes(&x)), missing);
        assert_eq!(kind_and_path(fs.network(&x)), missing);
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

#[test]
fn a_hard_link_is_a_second_name_of_the_same_bytes() {
    on_both(|fs, dir| {
        let (a, b) = (dir.join("a"), dir.join("b"));
        create_durably(fs, &a, b"bytes").unwrap();
        fs.hard_link(&a, &b).unwrap();
        assert_eq!(fs.list(dir).unwrap(), ["a", "b"]);
        assert_eq!(kind_and_path(fs.hard_link(&a, &b)), (ErrorKind::AlreadyExists, b.clone()));
        let missing = (ErrorKind::NotFound, dir.join("x"));
        assert_eq!(kind_and_path(fs.hard_link(&dir.join("x"), &dir.join("y"))), missing);
        fs.open_write(&a).unwrap().write_all_at(b"B", 0).unwrap();
        assert_eq!(text(fs, &b), "Bytes");
        fs.remove(&a).unwrap();
        assert_eq!(text(fs, &b), "Bytes");
        fs.create(&a).unwrap();
        assert_eq!(text(fs, &b), "Bytes");
    });
}

#[test]
fn a_file_whose_cache_is_forgotten_is_read_as_before() {
    on_both(|fs, dir| {
        let file = fs.create(&dir.join("a")).unwrap();
        file.write_all_at(b"synced", 0).unwrap();
        file.sync_data().unwrap();
        file.write_all_at(b"dirty", 6).unwrap();
        file.forget_cache().unwrap();
        fs.open(&dir.join("a")).unwrap().forget_cache().unwrap();
        assert_eq!(text(fs, &dir.join("a")), "synceddirty");
    });
}

#[test]
fn a_local_disk_is_no_network_and_one_in_memory_can_pretend_to_be_one() {
    on_both(|fs, dir| assert_eq!(fs.network(dir).unwrap(), None));
    let (fs, dir) = disk_with_dir();
    fs.pretend_network(Some("NFS"));
    assert_eq!(fs.network(dir).unwrap(), Some("NFS"));
    assert_eq!(fs.crash(CrashModel::KeepAll).network(dir).unwrap(), Some("NFS"));
}

fn disk_with_dir() -> (MemoryFs, &'static Path) {
    let fs = MemoryFs::new();
    fs.create_dir_all(Path::new("/d")).unwrap();
    (fs, Path::new("/d"))
}
