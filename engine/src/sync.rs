//! The locks and threads that the store, and the disk in memory, are built on: the standard
//! library's. With the feature `shuttle` they are shuttle's (tests/schedules); in
//! tests/interleavings loom's stand in their place.

use std::sync::atomic::{AtomicUsize, Ordering};
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

/// Does the work for each item, on this many threads at once, the caller's among them; the results
/// stand in the order of the items.
pub fn on_threads<T, R>(threads: usize, items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R>
where
    T: Sync,
    R: Send,
{
    // shuttle lets one thread run at a time, and knows none but its own.
    let threads = if cfg!(feature = "shuttle") { 1 } else { threads };
    let next = AtomicUsize::new(0);
    let some = || {
        let numbers = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
        let items = numbers.map_while(|number| Some((number, items.get(number)?)));
        items.map(|(number, item)| (number, work(item))).collect::<Vec<_>>()
    };
    let mut done = std::thread::scope(|scope| {
        let more = 1..threads.min(items.len());
        let helper = || std::thread::Builder::new().name("amida-helper".into());
        // Where the system gives no thread, this one does all.
        let helpers: Vec<_> = more.map_while(|_| helper().spawn_scoped(scope, some).ok()).collect();
        let mut done = some();
        for helper in helpers {
            match helper.join() {
                Ok(more) => done.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_unstable_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}

/// A lock whose holder panicked is used all the same: what it guards is changed in single steps.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
