//! A real disk that is full: a small tmpfs in a name space of its own, filled to many levels. What
//! was acknowledged stays, reading goes on, and writing goes on once there is room.
//!
//! The test runs itself again inside; where neither user name spaces are allowed nor mounting, it
//! says that it was skipped. `AMIDA_FULL_LEVELS` asks for more levels.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // a real disk

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use amida::{Error, ManualClock, Options, Predicate, Retention, Store, days};
use amida_tests::corpus;
use fastrand::Rng;

use crate::common::{NOW_NS, number_from};

/// Size of the disk.
const DISK_BYTES: u64 = 16 << 20;
/// Most room that a level begins with: merging what fills it takes as much again, and a log 4 MiB.
const ROOM_BYTES_MAX: u64 = 5 << 20;
/// Requests that are tried at most before the disk must be full.
const REQUESTS_MAX: usize = 2_000;

fn settings(level: u64, clock: &Arc<ManualClock>) -> Options {
    Store::options()
        .clock(clock.clone())
        .retention(Retention::max_age(days(1)))
        // With and without a reserve for manifests.
        .disk_floor_bytes(level % 2)
        .seal_bytes(200_000 << (level % 4))
}

/// Requests that fill a disk with few spans.
struct Bulk(Rng);

impl Bulk {
    fn body(&mut self) -> bytes::Bytes {
        let span = |_| {
            let mut span = corpus::plain_span(1, self.0.u64(1..1 << 50), "bulk");
            let text: String = (0..10_000).map(|_| self.0.alphanumeric()).collect();
            span.attributes.push(corpus::text("bulk", text));
            span
        };
        corpus::body("bulk", (0..4).map(span).collect())
    }
}

/// Runs one of the tests below again where a disk of its own is mounted at `home`, with these words
/// of a shell before it; `None` when that is not allowed here.
fn inside(home: &Path, test: &str, before: &str) -> Option<Output> {
    let mount = format!("mount -t tmpfs -o size={DISK_BYTES} tmpfs \"$AMIDA_FULL_HOME\"");
    for name_space in ["-Urm", "-m"] {
        let shell = |words: &str| {
            let mut command = Command::new("unshare");
            command.args([name_space, "sh", "-c", words]);
            command.env("AMIDA_FULL_HOME", home);
            command
        };
        if !shell(&mount).output().is_ok_and(|output| output.status.success()) {
            continue;
        }
        let exe = std::env::current_exe().unwrap();
        let mut command = shell(&format!("{mount} && {before} exec \"$0\" \"$@\""));
        command.arg(exe).args(["--exact", test, "--nocapture"]);
        return Some(command.output().unwrap());
    }
    println!("SKIPPED: neither user name spaces nor mounting are allowed here");
    None
}

fn succeeded(output: Option<Output>, said: &str) {
    let Some(output) = output else { return };
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains(said), "{}:\n{text}", output.status);
    println!("{}", text.lines().find(|line| line.contains(said)).unwrap_or_default());
}

#[test]
fn on_a_real_full_disk_nothing_is_lost_and_writing_goes_on_when_there_is_room() {
    let home = tempfile::tempdir().unwrap();
    let test = "full_disk::the_levels_of_a_small_disk";
    succeeded(inside(home.path(), test, ""), "levels of a full disk");
}

/// Not a test of its own: what the test above runs where a small disk is mounted.
#[test]
fn the_levels_of_a_small_disk() {
    let Some(home) = std::env::var_os("AMIDA_FULL_HOME") else { return };
    let levels = number_from("AMIDA_FULL_LEVELS", 64);
    let mut refused = 0;
    for level in 0..levels {
        let room = (64 << 10) + (level * 7 % levels) * ROOM_BYTES_MAX / levels;
        refused += fill(Path::new(&home), level, room);
    }
    println!("{levels} levels of a full disk, {refused} requests refused");
}

/// One level: so much room is left when the store is opened the second time.
fn fill(home: &Path, level: u64, room: u64) -> u64 {
    let (path, ballast) = (home.join("traces.amida"), home.join("ballast"));
    let clock = Arc::new(ManualClock::at(NOW_NS));
    let mut bulk = Bulk(Rng::with_seed(level));
    let store = settings(level, &clock).open(&path).unwrap();
    let mut there = store.append_otlp(bulk.body()).unwrap().accepted();
    store.flush().unwrap();
    let when = format!("level {level}, {room} bytes of room");
    fill_up(&ballast, home, room);

    let mut refused = 0;
    for _ in 0..REQUESTS_MAX {
        match store.append_otlp(bulk.body()) {
            Ok(receipt) => there += receipt.accepted(),
            Err(error) => {
                assert!(matches!(error, Error::DiskFull { .. }), "{when}: {error}");
                assert!(error.is_retryable());
                refused += 1;
            }
        }
        if refused == 3 {
            break;
        }
    }
    assert_eq!(refused, 3, "{when}: the disk did not become full");
    count(&store, there, &when);
    // As far as there is room; it must not matter.
    for step in [store.flush(), store.compact(), store.sync()] {
        let fine = match &step {
            Err(Error::Poisoned { .. } | Error::Corrupt { .. } | Error::Closed) => false,
            Ok(()) | Err(_) => true,
        };
        assert!(fine, "{when}: {step:?}");
    }
    count(&store, there, &when);
    let store = if level.is_multiple_of(3) {
        drop(store.close());
        let store = settings(level, &clock).open(&path).unwrap_or_else(|e| panic!("{when}: {e}"));
        count(&store, there, &when);
        store
    } else {
        store
    };

    std::fs::remove_file(&ballast).unwrap();
    // Without a restart.
    there += store.append_otlp(bulk.body()).unwrap_or_else(|e| panic!("{when}: {e}")).accepted();
    store.flush().unwrap_or_else(|e| panic!("{when}: {e}"));
    store.compact().unwrap_or_else(|e| panic!("{when}: {e}"));
    count(&store, there, &when);
    store.close().unwrap_or_else(|e| panic!("{when}: {e}"));
    let store = settings(level, &clock).open(&path).unwrap();
    count(&store, there, &when);
    assert!(store.stats().damage.is_empty(), "{when}: {:?}", store.stats().damage);
    store.close().unwrap();
    if level % 2 == 1 {
        retention_makes_room(home, level, &clock, &when);
    }
    std::fs::remove_dir_all(&path).unwrap();
    refused
}

/// The disk is full and what is in the store is too old: retention makes room.
fn retention_makes_room(home: &Path, level: u64, clock: &Arc<ManualClock>, when: &str) {
    let (path, ballast) = (home.join("traces.amida"), home.join("ballast"));
    fill_up(&ballast, home, 0);
    clock.advance(days(3));
    let store = settings(level, clock).open(&path).unwrap_or_else(|e| panic!("{when}: {e}"));
    // A clock that is days ahead is believed after ten minutes.
    clock.advance(std::time::Duration::from_secs(600));
    if let Err(error) = store.compact() {
        panic!("{when}: retention on a full disk: {error}");
    }
    count(&store, 0, when);
    store.close().unwrap_or_else(|e| panic!("{when}: {e}"));
    std::fs::remove_file(&ballast).unwrap();
}

/// Takes all of the disk but this much.
fn fill_up(ballast: &Path, home: &Path, room: u64) {
    use std::io::Write;
    let used: u64 = {
        let output = Command::new("df").args(["-B1", "--output=avail"]).arg(home).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().last().unwrap().trim().parse().unwrap()
    };
    let mut file = std::fs::File::create(ballast).unwrap();
    let bytes = vec![0x5a; usize::try_from(used.saturating_sub(room)).unwrap()];
    file.write_all(&bytes).unwrap();
}

fn count(store: &Store, expected: u64, when: &str) {
    let snapshot = store.snapshot();
    let batches = snapshot.scan(&Predicate::new()).unwrap();
    let rows: usize =
        batches.map(|batch| batch.unwrap_or_else(|e| panic!("{when}: {e}")).len()).sum();
    assert_eq!(rows as u64, expected, "{when}: spans");
}

/// The same for a process that may not make large files: the error is the disk's, and nothing that
/// was acknowledged is lost.
#[test]
fn where_files_may_not_grow_appends_fail_and_nothing_is_lost() {
    let home = tempfile::tempdir().unwrap();
    let exe = std::env::current_exe().unwrap();
    let words = "trap '' XFSZ; ulimit -f 10000; exec \"$0\" \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", words]).arg(exe);
    command.args(["--exact", "full_disk::files_that_may_not_grow", "--nocapture"]);
    let output = command.env("AMIDA_LIMITED_HOME", home.path()).output().unwrap();
    succeeded(Some(output), "spans below the limit");
    let store = Store::open(home.path().join("traces.amida")).unwrap();
    let kept = std::fs::read_to_string(home.path().join("acknowledged")).unwrap();
    count(&store, kept.parse().unwrap(), "after the limit");
    assert!(store.stats().damage.is_empty(), "{:?}", store.stats().damage);
}

/// Not a test of its own: what the test above runs under a limit.
#[test]
fn files_that_may_not_grow() {
    let Some(home) = std::env::var_os("AMIDA_LIMITED_HOME") else { return };
    let home = Path::new(&home);
    let store = Store::options().disk_floor_bytes(0).open(home.join("traces.amida")).unwrap();
    let mut bulk = Bulk(Rng::with_seed(1));
    let mut there = 0;
    let mut failed = 0;
    while failed < 3 {
        match store.append_otlp(bulk.body()) {
            Ok(receipt) => there += receipt.accepted(),
            Err(Error::Io { .. } | Error::DiskFull { .. }) => failed += 1,
            Err(other) => panic!("{other}"),
        }
    }
    count(&store, there, "under the limit");
    std::fs::write(home.join("acknowledged"), there.to_string()).unwrap();
    assert!(there > 0);
    println!("{there} spans below the limit");
    drop(store.close());
}
