//! The locks and threads that the store, and the disk in memory, are built on: the standard
//! library's. In tests/interleavings loom's stand in their place.

pub use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};

/// Threads.
pub mod thread {
    pub use std::thread::{Builder, JoinHandle};
}

/// A lock whose holder panicked is used all the same: what it guards is changed in single steps.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
