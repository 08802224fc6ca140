//! A process that writes is killed: at a random moment, and at each of its calls of the disk. What
//! it had acknowledged to somebody else is there, and of what it had not finished all or nothing.
//!
//! The child is this test binary again, told by an environment variable to write. It says every
//! acknowledgement on a pipe; what the pipe has is what the world knows.
//!
//! `AMIDA_KILLED_SEED` chooses the moments, `AMIDA_KILLED_ROUNDS` how many there are of each kind.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // real processes and threads

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use amida::{Options, Reader, RealFs, Store};
use fastrand::Rng;

use crate::common::{number_from, numbers, spans};
use crate::tap::Tap;

/// Threads of the child that append.
const THREADS: u64 = 2;
/// Spans of a request.
const SPANS: u64 = 3;
/// Requests of a thread have numbers from here on, times the thread.
const THREAD_STEP: u64 = 1 << 32;
/// Most requests of a thread in one life.
const REQUESTS_MAX: u64 = 400;

const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;

fn settings() -> Options {
    // A little room, so that logs and segments change often.
    Store::options().disk_floor_bytes(0).seal_bytes(6_000)
}

fn request(number: u64) -> bytes::Bytes {
    spans(number * SPANS + 1..number * SPANS + 1 + SPANS)
}

/// Not a test of its own: the child of the tests below, which writes until it is killed.
#[test]
fn the_child_that_is_killed() {
    let Some(path) = std::env::var_os("AMIDA_KILLED_STORE") else { return };
    let from: Vec<u64> =
        (0..THREADS).map(|thread| number_from(&format!("AMIDA_KILLED_FROM_{thread}"), 0)).collect();
    let last_call = number_from("AMIDA_KILLED_AT_CALL", u64::MAX);
    let calls = AtomicU64::new(0);
    let disk = Tap::new(Arc::new(RealFs), move |_, _| {
        if calls.fetch_add(1, Ordering::SeqCst) == last_call {
            std::process::abort(); // no destructor runs, no buffer is written
        }
        Ok(())
    });
    let store = settings().fs(Arc::new(disk)).open(path).unwrap();
    std::thread::scope(|scope| {
        for (thread, from) in (0..).zip(from) {
            let store = &store;
            scope.spawn(move || {
                for number in (from..from + REQUESTS_MAX).map(|n| thread * THREAD_STEP + n) {
                    assert_eq!(store.append_otlp(request(number)).unwrap().accepted(), SPANS);
                    // One write: the pipe has the line whole or not at all.
                    std::io::stdout().write_all(format!("ack {number}\n").as_bytes()).unwrap();
                    if thread == 0 && number % 32 == 31 {
                        store.compact().unwrap();
                    }
                }
            });
        }
    });
    store.close().unwrap();
}

/// The store and what must be in it.
struct Witness {
    home: tempfile::TempDir,
    there: BTreeSet<u64>,
    /// The number of the next request of each thread.
    next: [u64; THREADS as usize],
}

impl Witness {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        Self { home, there: BTreeSet::new(), next: [0; THREADS as usize] }
    }

    /// Lets a child write: until it ends by itself at a call, or until so many acknowledgements
    /// came and `spins` turns of a loop went by. The signal that ended it, if one did.
    fn live_once(&mut self, at_call: Option<u64>, acks: usize, spins: u64) -> Option<i32> {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "killed::the_child_that_is_killed", "--nocapture"])
            .env("AMIDA_KILLED_STORE", self.home.path().join("traces.amida"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        for (thread, next) in self.next.iter().enumerate() {
            command.env(format!("AMIDA_KILLED_FROM_{thread}"), next.to_string());
        }
        if let Some(call) = at_call {
            command.env("AMIDA_KILLED_AT_CALL", call.to_string());
        }
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged = Vec::new();
        while at_call.is_none() && acknowledged.len() < acks {
            match lines.next() {
                Some(line) => acknowledged.extend(acknowledgement(&line.unwrap())),
                None => break,
            }
        }
        if at_call.is_none() {
            (0..spins).for_each(|_| std::hint::spin_loop());
            child.kill().unwrap();
        }
        acknowledged.extend(lines.filter_map(|line| acknowledgement(&line.unwrap())));
        let status = child.wait().unwrap();
        assert!(status.success() || status.signal().is_some(), "the child failed: {status}");
        self.look(&acknowledged);
        status.signal()
    }

    /// Opens what the child left.
    fn look(&mut self, acknowledged: &[u64]) {
        let path = self.home.path().join("traces.amida");
        if let Ok(reader) = Reader::open(&path) {
            self.compare(&path, "a reader", numbers(&reader.snapshot()), acknowledged);
        }
        let store = settings().open(&path).unwrap();
        let damage = store.stats().damage;
        assert!(damage.is_empty(), "{damage:?}");
        let found = numbers(&store.snapshot());
        self.there = self.compare(&path, "the store", found, acknowledged);
        for (thread, next) in (0..).zip(&mut self.next) {
            let of_thread = |n: &&u64| **n / THREAD_STEP == thread;
            // One more may have been on its way.
            let known = acknowledged.iter().filter(of_thread).max();
            *next = known.map_or(*next, |n| n % THREAD_STEP + 1) + 1;
        }
        store.close().unwrap();
    }

    /// The requests that are there: whole, once, all that were acknowledged, at most one more of
    /// each thread.
    fn compare(
        &self,
        path: &Path,
        who: &str,
        found: std::collections::BTreeMap<u64, u64>,
        acknowledged: &[u64],
    ) -> BTreeSet<u64> {
        let who = format!("{who} of {}", path.display());
        let mut requests = std::collections::BTreeMap::<u64, u64>::new();
        for (number, times) in found {
            assert_eq!(times, 1, "{who}: span {number} is there {times} times");
            *requests.entry((number - 1) / SPANS).or_default() += 1;
        }
        assert!(requests.values().all(|spans| *spans == SPANS), "{who}: half a request");
        let requests: BTreeSet<u64> = requests.into_keys().collect();
        for number in self.there.iter().chain(acknowledged) {
            assert!(requests.contains(number), "{who}: request {number} is lost");
        }
        let more = requests.iter().filter(|n| !self.there.contains(n) && !acknowledged.contains(n));
        for number in more {
            let thread = number / THREAD_STEP;
            let of_thread = acknowledged.iter().filter(|n| **n / THREAD_STEP == thread);
            let expected =
                of_thread.max().map_or(self.next[thread as usize], |n| n % THREAD_STEP + 1);
            assert_eq!(number % THREAD_STEP, expected, "{who}: request {number} was never sent");
        }
        requests
    }
}

fn acknowledgement(line: &str) -> Option<u64> {
    // The harness may have begun the line.
    line.rsplit_once("ack ")?.1.parse().ok()
}

#[test]
fn what_a_killed_process_acknowledged_is_there() {
    let seed = number_from("AMIDA_KILLED_SEED", 1);
    let rounds = number_from("AMIDA_KILLED_ROUNDS", 300);
    let mut random = Rng::with_seed(seed);
    let (mut killed, mut acknowledged) = (0, 0);
    let mut witness = Witness::new();
    for round in 0.. {
        if killed == rounds {
            break;
        }
        assert!(round < 2 * rounds, "seed {seed}: only {killed} of {round} children were killed");
        if round % 25 == 0 {
            acknowledged += witness.there.len();
            witness = Witness::new();
        }
        let acks = random.usize(0..60);
        let most = 1 << random.u32(1..22);
        let spins = random.u64(0..most);
        println!("seed {seed}, round {round}: {acks} acknowledgements, {spins} spins");
        killed += u64::from(witness.live_once(None, acks, spins) == Some(SIGKILL));
    }
    acknowledged += witness.there.len();
    println!("seed {seed}: {killed} killed, {acknowledged} requests kept");
    assert!(acknowledged as u64 > rounds * 5, "{acknowledged} requests in {killed} lives");
}

#[test]
fn what_a_process_acknowledged_before_it_died_at_its_nth_call_is_there() {
    let rounds = number_from("AMIDA_KILLED_ROUNDS", 240);
    let mut witness = Witness::new();
    let mut died = 0;
    for call in 0..rounds {
        if call % 12 == 0 {
            witness = Witness::new();
        }
        println!("call {call}");
        died += u64::from(witness.live_once(Some(call), 0, 0) == Some(SIGABRT));
    }
    assert_eq!(died, rounds, "children that died at a call");
}
