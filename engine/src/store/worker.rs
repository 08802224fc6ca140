//! The two background threads of an open store: the committer, for requests that no thread blocks
//! on and for syncs at intervals, and maintenance; and their work in a store without threads.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::commit::Log;
use super::{Inner, lock};
use crate::error::{Error, Result};
use crate::options::Durability;

/// Retention is looked at this often, and a failed step is tried again.
const ROUND: Duration = Duration::from_secs(60);
/// A failed step is not tried again sooner.
const RETRY: Duration = Duration::from_secs(1);

/// A request to a thread, and its end.
#[derive(Debug, Default)]
pub struct Signal {
    state: Mutex<SignalState>,
    changed: Condvar,
}

#[derive(Debug, Default, Clone, Copy)]
struct SignalState {
    wanted: bool,
    stop: bool,
}

impl Signal {
    /// There is work.
    pub fn wake(&self) {
        lock(&self.state).wanted = true;
        self.changed.notify_all();
    }

    /// The thread shall end.
    pub fn stop(&self) {
        lock(&self.state).stop = true;
        self.changed.notify_all();
    }

    /// Whether there is work, which the caller takes on.
    fn take(&self) -> bool {
        std::mem::take(&mut lock(&self.state).wanted)
    }

    /// Waits for work, at most this long; `false` when the thread shall end.
    fn wait(&self, longest: Option<Duration>) -> bool {
        let until = longest.map(|longest| Instant::now() + longest);
        let mut state = lock(&self.state);
        while !state.wanted && !state.stop {
            state = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => break,
                Some(left) => {
                    let waited = self.changed.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
        state.wanted = false;
        !state.stop
    }
}

/// Starts both threads.
///
/// # Errors
/// `Io` when the system gives no thread.
#[allow(clippy::disallowed_methods)] // the one place that starts threads
pub fn start(inner: &Arc<Inner>) -> Result<Vec<JoinHandle<()>>> {
    let spawn = |name: &str, run: fn(&Inner)| {
        let inner = inner.clone();
        std::thread::Builder::new()
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
    while inner.committer.wait(interval) {
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
    if let Durability::Interval(interval) = inner.options.durability {
        sync_older_than(inner, interval);
    }
    if (inner.maintainer.take() || inner.seal_is_due())
        && let Err(error) = round(inner)
    {
        inner.counters.failed(&error);
    }
}

fn maintain(inner: &Inner) {
    let mut pause = Duration::ZERO;
    while inner.maintainer.wait(Some(pause)) {
        pause = match round(inner) {
            Ok(()) => inner.options.seal_age.min(ROUND),
            Err(error) => {
                inner.counters.failed(&error);
                RETRY
            }
        };
    }
}

/// One round of everything that is due. Retention first: it is what frees a full disk.
fn round(inner: &Inner) -> Result<()> {
    let turn = lock(&inner.turn);
    inner.retain(&turn)?;
    inner.flush_sealed(&turn)?;
    // Whoever holds the log may be waiting for a flush: then the next round seals.
    if inner.seal_is_due()
        && let Some(sealed) = inner.try_with_log(|log| inner.seal(log))
    {
        sealed?;
        inner.flush_sealed(&turn)?;
    }
    while inner.compact_next(&turn)? {}
    inner.take_reserve();
    Ok(())
}

impl Inner {
    fn seal_is_due(&self) -> bool {
        let since = lock(&self.state).active_since;
        since.is_some_and(|since| since.elapsed() >= self.options.seal_age)
    }
}
