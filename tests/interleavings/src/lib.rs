//! Every interleaving, up to a number of preemptions, of what the store does with locks: loom runs
//! the engine's own files here, with its locks in the place of the standard library's.
//!
//! | file | what is true in every interleaving |
//! |---|---|
//! | group_commit | every request that was taken is committed, in order, and answered once |
//! | poison | after a failed sync nothing is acknowledged, and everybody is told |
//! | publish | a snapshot has each row once and keeps its files |
//!
//! `cargo test --manifest-path tests/interleavings/Cargo.toml --target-dir target/interleavings`.
//! `AMIDA_LOOM_PREEMPTIONS=4` looks at more of them (3 by default); a failure says how to see its
//! steps.
//!
//! Mistakes that were made on purpose, each found: an answer before the sync; a wait that looks,
//! unlocks and then sleeps; a call without its flag or without notifying; no hand-over after
//! `with_log` or `try_with_log`, or to the oldest request only; `closed` looked at outside the
//! queue's lock; a close that commits nothing; the newest request first; a dropped or polled
//! `Pending` that wakes no committer; a waker that is not woken, or set too late; an answer, a
//! signal without its notification or flag; poison not looked at, or before the log is held;
//! publish or snapshot in two steps; files removed at once, never, or under the lock. Not found,
//! as loom switches threads before an operation and never after an unlock: a hand-over while the
//! log is still locked.
#![cfg(test)]

mod group_commit;
mod poison;
mod publish;
mod stand_ins;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

// What the engine's files name.
use stand_ins::{error, fs, manifest, memtable, model, otlp, segment, snapshot};

/// As the engine's `sync`, with loom's locks.
mod sync {
    pub use std::sync::{PoisonError, TryLockError};

    pub use loom::sync::{Arc, Condvar, Mutex, MutexGuard};

    pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The engine's own files.
#[allow(dead_code)] // what these tests do not use
#[path = "../../../engine/src/store"]
mod store {
    pub mod group;
    pub mod signal;
    pub mod state;
}

#[allow(dead_code)] // what these tests do not use
#[path = "../../../engine/src/snapshot/segments.rs"]
mod segments;

/// Runs a test in every interleaving; a lock or a wait that never ends fails it, too.
fn every_interleaving(name: &str, test: impl Fn() + Send + Sync + 'static) {
    let asked = std::env::var("AMIDA_LOOM_PREEMPTIONS").ok();
    let preemptions = asked.map_or(3, |n| n.parse().expect("AMIDA_LOOM_PREEMPTIONS is a number"));
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.max_branches = 10_000;
    let count = std::sync::Arc::new(AtomicU64::new(0));
    let counted = count.clone();
    let run = move || {
        counted.fetch_add(1, Ordering::Relaxed);
        test();
    };
    let result = catch_unwind(AssertUnwindSafe(|| model.check(run)));
    let count = count.load(Ordering::Relaxed);
    eprintln!("{name}: {count} interleavings with at most {preemptions} preemptions");
    if let Err(cause) = result {
        eprintln!(
            "the last of them failed. The order is fixed, so the same command fails there again; \
             with LOOM_LOG=trace LOOM_LOCATION=1 it prints every step:\n  AMIDA_LOOM_PREEMPTIONS=\
             {preemptions} cargo test --manifest-path tests/interleavings/Cargo.toml {name}"
        );
        resume_unwind(cause);
    }
}
