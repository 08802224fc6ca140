//! `amida verify`, `checkpoint` and `repair`, as an operator uses them.

use std::fs;
use std::path::{Path, PathBuf};

use amida::Store;

use crate::run::{Ran, amida, home, request, span_count, write};

/// A store with two segments and spans that are in the log only.
fn store(home: &Path) {
    let store = Store::open(home.join("t.amida")).unwrap();
    for trace in 0..2 {
        let _ = store.append_otlp(request(trace, 5)).unwrap();
        store.flush().unwrap();
    }
    let _ = store.append_otlp(request(2, 5)).unwrap();
    store.close().unwrap();
}

fn newest(home: &Path, folder: &str) -> PathBuf {
    let files = fs::read_dir(home.join("t.amida").join(folder)).unwrap();
    files.map(|file| file.unwrap().path()).max().unwrap()
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn failed(ran: &Ran, words: &str) {
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains(words), "{words}: {ran:?}");
}

#[test]
fn a_sound_store_verifies_and_a_damaged_one_names_file_and_byte() {
    let home = home();
    store(home.path());
    let ran = amida(home.path(), &["verify", "t.amida"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    for words in ["segments    2: 10 spans", "1 record, 5 spans that are in no segment", "clean"] {
        assert!(ran.out.contains(words), "{words}: {ran:?}");
    }
    let report = amida(home.path(), &["verify", "t.amida", "--json"]).json();
    assert_eq!(report["clean"], true);
    assert_eq!((&report["spans"], &report["log_spans"]), (&10.into(), &5.into()));
    let segment = newest(home.path(), "segments");
    flip(&segment, 300);
    let ran = amida(home.path(), &["verify", "t.amida"]);
    let name = segment.file_name().unwrap().to_str().unwrap();
    failed(&ran, &format!("t.amida/segments/{name} at byte 128: "));
    assert!(ran.out.contains("damaged: 1 problem"), "{ran:?}");
    let ran = amida(home.path(), &["verify", "t.amida", "--json"]);
    let problem = &ran.json()["problems"][0];
    assert_eq!((ran.code, &problem["offset"]), (1, &128.into()));
    assert!(problem["path"].as_str().unwrap().ends_with(name));
}

#[test]
fn verify_works_on_a_directory_that_is_only_readable_and_beside_a_writer() {
    use std::os::unix::fs::PermissionsExt;
    let home = home();
    store(home.path());
    let folders = ["t.amida", "t.amida/manifest", "t.amida/segments", "t.amida/wal"];
    let allow = |mode: u32| {
        for folder in folders {
            let path = home.path().join(folder);
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    allow(0o500);
    let ran = amida(home.path(), &["verify", "t.amida"]);
    allow(0o700);
    assert_eq!(ran.code, 0, "{ran:?}");
    let writer = Store::open(home.path().join("t.amida")).unwrap();
    let _ = writer.append_otlp(request(3, 5)).unwrap();
    assert_eq!(amida(home.path(), &["verify", "t.amida"]).code, 0);
    failed(&amida(home.path(), &["repair", "t.amida"]), "is open for writing");
}

#[test]
fn a_checkpoint_beside_a_writer_is_a_store_and_never_goes_over_one() {
    let home = home();
    store(home.path());
    let writer = Store::open(home.path().join("t.amida")).unwrap();
    let _ = writer.append_otlp(request(3, 5)).unwrap();
    let ran = amida(home.path(), &["checkpoint", "t.amida", "copy", "--json"]);
    let report = ran.json();
    // The writer may have flushed what was in the log.
    assert_eq!(report["spans"], 20, "{ran:?}");
    assert!(report["linked"].as_u64().unwrap() >= 2, "{ran:?}");
    assert_eq!(span_count(home.path(), "copy"), 20);
    assert_eq!(amida(home.path(), &["verify", "copy"]).code, 0);
    let again = amida(home.path(), &["checkpoint", "t.amida", "copy"]);
    failed(&again, "copy is not empty");
    failed(&amida(home.path(), &["checkpoint", "t.amida", "t.amida/x"]), "within its own store");
    // Also when a link leads there.
    std::os::unix::fs::symlink("t.amida", home.path().join("link")).unwrap();
    failed(&amida(home.path(), &["checkpoint", "t.amida", "link/x"]), "within its own store");
    assert!(!home.path().join("t.amida/x").exists());
    let ran = amida(home.path(), &["checkpoint", "t.amida", "other"]);
    assert!(ran.out.starts_with("other: 20 spans, "), "{ran:?}");
    assert!(ran.out.contains(" files linked, "), "{ran:?}");
    // Another store is never one of the files of this one.
    write(home.path(), "full/file", "x");
    failed(&amida(home.path(), &["checkpoint", "t.amida", "full"]), "full is not empty (file)");
}

#[test]
fn a_lost_manifest_is_named_planned_and_rebuilt() {
    let home = home();
    store(home.path());
    let whole = amida(home.path(), &["repair", "t.amida", "--rebuild-manifest"]);
    failed(&whole, "there is nothing to rebuild");
    flip(&newest(home.path(), "manifest"), 60);
    let hint = "amida repair DIR --rebuild-manifest";
    failed(&amida(home.path(), &["info", "t.amida"]), hint);
    failed(&amida(home.path(), &["verify", "t.amida"]), hint);
    let planned = amida(home.path(), &["repair", "t.amida"]);
    assert_eq!(planned.code, 1, "{planned:?}");
    assert!(planned.out.contains("can be made from 2 segments with 10 spans"), "{planned:?}");
    assert!(planned.out.contains("nothing was changed"), "{planned:?}");
    failed(&amida(home.path(), &["info", "t.amida"]), hint);
    let done = amida(home.path(), &["repair", "t.amida", "--rebuild-manifest", "--json"]);
    assert_eq!((done.code, &done.json()["spans"]), (0, &10.into()), "{done:?}");
    assert_eq!(span_count(home.path(), "t.amida"), 15);
    assert_eq!(amida(home.path(), &["verify", "t.amida"]).code, 0);
    // All manifests gone is the same.
    fs::remove_dir_all(home.path().join("t.amida/manifest")).unwrap();
    failed(&amida(home.path(), &["info", "t.amida"]), hint);
    assert_eq!(amida(home.path(), &["repair", "t.amida", "--rebuild-manifest"]).code, 0);
    assert_eq!(span_count(home.path(), "t.amida"), 15);
}

#[test]
fn what_is_no_store_is_said() {
    let home = home();
    write(home.path(), "file", "x");
    fs::create_dir(home.path().join("empty")).unwrap();
    for command in ["verify", "repair"] {
        failed(&amida(home.path(), &[command, "missing"]), "there is no such directory");
        failed(&amida(home.path(), &[command, "file"]), "this is no store");
        failed(&amida(home.path(), &[command, "empty"]), "holds no Amida store");
    }
    failed(&amida(home.path(), &["checkpoint", "empty", "to"]), "holds no Amida store");
    assert_eq!(fs::read_dir(home.path().join("empty")).unwrap().count(), 0);
    assert!(!home.path().join("to").exists());
}

/// Whoever looks only at the first line, or at nothing, still gets the exit code.
#[test]
fn the_exit_code_of_a_damaged_store_does_not_depend_on_who_reads() {
    let home = home();
    store(home.path());
    flip(&newest(home.path(), "segments"), 1_000);
    for args in [vec!["verify", "t.amida"], vec!["verify", "t.amida", "--json"]] {
        for _ in 0..5 {
            let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_amida"))
                .args(&args)
                .current_dir(home.path())
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::null())
                .spawn()
                .unwrap();
            drop(child.stdout.take());
            assert_eq!(child.wait().unwrap().code(), Some(1), "{args:?}");
        }
    }
}
