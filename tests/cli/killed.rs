//! An import that is killed in the middle.

use std::io::Write;
use std::process::{Command, Stdio};

use super::run::{amida, frame, home, request, span_count, write};

#[test]
fn a_killed_import_leaves_whole_requests_and_the_next_import_goes_on() {
    let home = home();
    let mut child = Command::new(env!("CARGO_BIN_EXE_amida"))
        .current_dir(home.path())
        .args(["import", "s.amida", "-", "--format", "otlp-proto-framed"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    for trace in 1..=2_000 {
        input.write_all(&frame(&request(trace, 50))).unwrap();
    }
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
    let made = home.path().join("s.amida/manifest").exists();
    let left = if made { span_count(home.path(), "s.amida") } else { 0 };
    assert!(left <= 100_000 && left.is_multiple_of(50), "{left}");
    write(home.path(), "more", frame(&request(5_000, 3)));
    let again = amida(home.path(), &["import", "s.amida", "more"]);
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(span_count(home.path(), "s.amida"), left + 3);
}
