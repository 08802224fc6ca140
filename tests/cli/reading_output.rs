//! `--output` of `sql` and `export`: a file is whole or as it was.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use crate::run::*;

/// A store with traces 1 to 4; trace n has n spans.
fn store(home: &Path) {
    write(home, "in", (1..=4).flat_map(|n| frame(&request(n, n))).collect::<Vec<u8>>());
    assert_eq!(amida(home, &["import", "s", "in"]).code, 0);
}

/// Runs a query whose last row is a division by zero.
fn fail(home: &Path, output: &str) {
    let query = "SELECT 1 / (CAST(span_count AS BIGINT) - 4) AS n FROM traces";
    let ran = amida(home, &["sql", "s", query, "--format", "csv", "-o", output]);
    assert_eq!(ran.code, 1, "{output}");
    assert!(ran.err.to_lowercase().contains("divide by zero"), "{}", ran.err);
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|about| about.is_symlink())
}

fn names(home: &Path) -> Vec<String> {
    let entries = fs::read_dir(home).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_query_that_fails_leaves_the_earlier_file_and_one_that_does_not_replaces_it() {
    let home = home();
    let home = home.path();
    store(home);
    write(home, "a.csv", "earlier");
    symlink("a.csv", home.join("link.csv")).unwrap();
    fs::set_permissions(home.join("a.csv"), PermissionsExt::from_mode(0o600)).unwrap();
    let before = names(home);
    fail(home, "a.csv");
    fail(home, "link.csv");
    fail(home, "new.csv");
    assert_eq!(names(home), before);
    assert_eq!(fs::read(home.join("a.csv")).unwrap(), b"earlier");
    let query = "SELECT count(*) AS n FROM spans";
    let ran = amida(home, &["sql", "s", query, "--format", "csv", "-o", "link.csv"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(fs::read(home.join("a.csv")).unwrap(), b"n\n10\n");
    assert!(is_link(&home.join("link.csv")));
    let mode = fs::metadata(home.join("a.csv")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "the file of one user became everybody's");
    assert_eq!(names(home), before);
}

#[test]
fn a_device_or_pipe_is_written_to_and_stays() {
    let home = home();
    let home = home.path();
    store(home);
    symlink("/dev/null", home.join("null")).unwrap();
    fail(home, "null");
    assert!(is_link(&home.join("null")));
    let made = Command::new("mkfifo").arg(home.join("pipe")).status().unwrap();
    assert!(made.success());
    let is_pipe = || fs::metadata(home.join("pipe")).is_ok_and(|about| about.file_type().is_fifo());
    // A pipe is opened for writing when somebody reads it.
    std::thread::scope(|scope| {
        let read = || scope.spawn(|| fs::read_to_string(home.join("pipe")).unwrap());
        let reading = read();
        fail(home, "pipe");
        reading.join().unwrap();
        assert!(is_pipe());
        let reading = read();
        let ran = amida(
            home,
            &["export", "s", "--trace", &trace_id(1), "-o", "pipe", "--format", "otlp-json"],
        );
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert!(reading.join().unwrap().contains(&trace_id(1)));
    });
    assert!(is_pipe());
}

#[test]
fn files_of_the_user_that_have_the_name_of_an_unfinished_one_are_not_touched() {
    let home = home();
    let home = home.path();
    store(home);
    write(home, "a.jsonl.unfinished", "mine");
    write(home, "precious", "mine");
    symlink("precious", home.join("b.jsonl.unfinished")).unwrap();
    for file in ["a.jsonl", "b.jsonl"] {
        let ran = amida(home, &["export", "s", "-o", file, "--json"]);
        assert_eq!(ran.json()["spans"], 10, "{}", ran.err);
        assert!(fs::metadata(home.join(file)).unwrap().len() > 1000);
    }
    assert_eq!(fs::read(home.join("a.jsonl.unfinished")).unwrap(), b"mine");
    assert_eq!(fs::read(home.join("precious")).unwrap(), b"mine");
}
