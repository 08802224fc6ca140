//! The locks and threads that the store, and the disk in memory, are built on: the standard
//! library's. With the feature `shuttle` they are shuttle's (tests/schedules); in
//! tests/interleavings loom's stand in their place.

pub use std::sync::{Arc, PoisonError, TryLockError};

#[cfg(feature = "shuttle")]
pub use shuttle::sync::{Condvar, Mutex, MutexGuard};
#[cfg(not(feature = "shuttle"))]
pub use std::sync::{Condvar, Mutex, MutexGuard};

/// Threads.
pub mod thread {
    #[cfg(feature = "shuttle")]
    pub use shuttle::thread::{Builder, JoinHandle};
    #[cfg(not(feature = "shuttle"))]
    pub use std::thread::{Builder, JoinHandle};
}

/// A lock whose holder panicked is used all the same: what it guards is changed in single steps.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
