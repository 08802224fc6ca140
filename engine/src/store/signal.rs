//! How a thread is told that there is work, or that it shall end.

use std::time::{Duration, Instant};

use crate::sync::{Condvar, Mutex, PoisonError, lock};

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
    pub fn take(&self) -> bool {
        std::mem::take(&mut lock(&self.state).wanted)
    }

    /// Waits for work, at most this long; `false` when the thread shall end.
    pub fn wait(&self, longest: Option<Duration>) -> bool {
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
