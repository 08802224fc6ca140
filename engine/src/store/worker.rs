//! The two background threads of an open store: the committer, for requests that no thread blocks
//! on and for syncs at intervals, and maintenance; and their work in a store without threads.

use std::time::Duration;

use super::commit::Log;
use super::maintain::Turn;
use super::{Inner, lock};
use crate::error::{Error, Result};
use crate::options::Durability;
use crate::sync::Arc;
use crate::sync::thread::{Builder, JoinHandle};

/// Retention is looked at this often, and a failed step is tried again.
const ROUND: Duration = Duration::from_secs(60);
/// A failed step is not tried again sooner.
const RETRY: Duration = Duration::from_secs(1);

/// Starts both threads.
///
/// # Errors
/// `Io` when the system gives no thread.
#[allow(clippy::disallowed_methods)] // the one place that starts threads
pub fn start(inner: &Arc<Inner>) -> Result<Vec<JoinHandle<()>>> {
    let spawn = |name: &str, run: fn(&Inner)| {
        let inner = inner.clone();
        Builder::new()
            .name(name.to_owned())
            .spawn(move || run(&inner))
            .map_err(|e| Error::io(name, &e))
    };
    Ok(vec![spawn("amida-commit", commit)?, spawn("amida-maintain", maintain)?])
}

fn commit(inner: &Inner) {
    let interval = match inner.options.durability {
        Durability::Interval(interval) => Some(interval),
        Durability::Sync | Durability::Os => None,
    };
    while inner.commits.committer.wait(interval) {
        inner.commit_all();
        if interval.is_some() {
            sync_older_than(inner, Duration::ZERO);
        }
    }
}

/// Syncs the log when something in it has waited for that longer than this.
fn sync_older_than(inner: &Inner, age: Duration) {
    let old = |log: &Log| log.dirty_since.is_some_and(|since| since.elapsed() >= age);
    let synced = inner.with_log(|log| if old(log) { inner.sync_log(log) } else { Ok(()) });
    if let Err(error) = synced {
        inner.counters.failed(&error);
    }
}

/// What the threads would do, done by the calling thread: in a store without threads, after an
/// append. The caller holds no lock.
pub fn work_here(inner: &Inner) {
    inner.commit_all();
    if let Durability::Interval(interval) = inner.options.durability {
        sync_older_than(inner, interval);
    }
    if (inner.maintainer.take() || inner.seal_is_due())
        && let Ok(turn) = inner.take_turn()
        && let Err(error) = round(inner, &turn)
    {
        inner.counters.failed(&error);
    }
}

fn maintain(inner: &Inner) {
    let mut pause = Duration::ZERO;
    while inner.maintainer.wait(Some(pause)) {
        pause = match round(inner, &lock(&inner.turn)) {
            Ok(()) => inner.options.seal_age.min(ROUND),
            Err(error) => {
                inner.counters.failed(&error);
                RETRY
            }
        };
    }
}

/// One round of everything that is due. Retention first: it is what frees a full disk.
fn round(inner: &Inner, turn: &Turn<'_>) -> Result<()> {
    inner.retain(turn)?;
    inner.flush_sealed(turn)?;
    // Whoever holds the log may be waiting for a flush: then the next round seals.
    if inner.seal_is_due()
        && let Some(sealed) = inner.try_with_log(|log| inner.seal(log))
    {
        sealed?;
        inner.flush_sealed(turn)?;
    }
    while inner.compact_next(turn)? {}
    inner.take_reserve();
    Ok(())
}

impl Inner {
    fn seal_is_due(&self) -> bool {
        let since = lock(&self.state).active_since;
        since.is_some_and(|since| since.elapsed() >= self.options.seal_age)
    }
}
