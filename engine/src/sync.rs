//! The locks and threads that the store, and the disk in memory, are built on: the standard
//! library's. With the feature `shuttle` they are shuttle's (tests/schedules); in
//! tests/interleavings loom's stand in their place.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
pub use std::sync::{Arc, PoisonError, TryLockError};

use rayon_core::{ThreadPool, ThreadPoolBuilder};

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

/// Threads that a store keeps for what can be done side by side. They start when they are first
/// needed and stay: a thread for each piece of work would take its memory from another arena of
/// the allocator each time, and leave it there.
#[derive(Debug)]
pub struct Helpers {
    threads: usize,
    /// All but the caller; `None` where the system gives no thread.
    pool: OnceLock<Option<ThreadPool>>,
}

impl Helpers {
    /// With the caller, this many threads.
    pub fn new(threads: usize) -> Self {
        // shuttle lets one thread run at a time, and knows none but its own.
        let threads = if cfg!(feature = "shuttle") { 1 } else { threads };
        Self { threads, pool: OnceLock::new() }
    }

    /// Nobody but the caller.
    pub fn none() -> Self {
        Self::new(1)
    }

    fn pool(&self) -> Option<&ThreadPool> {
        let start = || {
            let pool = ThreadPoolBuilder::new().num_threads(self.threads.saturating_sub(1));
            pool.thread_name(|_| "amida-helper".into()).build().ok()
        };
        self.pool.get_or_init(start).as_ref()
    }

    /// Does the work for each item, the caller's thread among the others; the results stand in the
    /// order of the items.
    pub fn each<T, R>(&self, items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R>
    where
        T: Sync,
        R: Send,
    {
        let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(items.len())));
        let some = || {
            let numbers = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
            let items = numbers.map_while(|number| Some((number, items.get(number)?)));
            items.for_each(|(number, item)| {
                let result = work(item);
                lock(&done).push((number, result));
            });
        };
        let threads = self.threads.min(items.len());
        match (threads > 1).then(|| self.pool()).flatten() {
            Some(pool) => pool.in_place_scope(|scope| {
                (1..threads).for_each(|_| scope.spawn(|_| some()));
                some();
            }),
            None => some(),
        }
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_unstable_by_key(|(number, _)| *number);
        done.into_iter().map(|(_, result)| result).collect()
    }
}

/// A lock whose holder panicked is used all the same: what it guards is changed in single steps.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Barrier;

    use super::Helpers;

    #[test]
    fn the_same_thread_helps_each_time_and_results_stand_in_order() {
        let helpers = Helpers::new(2);
        let mut threads = HashSet::new();
        for _ in 0..10 {
            // Each of the two has to take one.
            let both = Barrier::new(2);
            let done = helpers.each(&[10, 20], |item| {
                both.wait();
                (item + 1, std::thread::current().id())
            });
            assert_eq!(done.iter().map(|(result, _)| *result).collect::<Vec<_>>(), [11, 21]);
            threads.extend(done.into_iter().map(|(_, thread)| thread));
        }
        assert_eq!(threads.len(), 2);
        assert!(threads.contains(&std::thread::current().id()));
        let items: Vec<u32> = (0..1_000).collect();
        assert_eq!(helpers.each(&items, |item| *item), items);
        assert_eq!(Helpers::none().each(&items, |item| *item), items);
    }

    #[test]
    fn a_panic_of_a_helper_is_the_callers_and_ends_no_helper() {
        let helpers = Helpers::new(2);
        let both = Barrier::new(2);
        let failed = catch_unwind(AssertUnwindSafe(|| {
            helpers.each(&[1, 2], |item| {
                both.wait();
                assert!(*item == 1, "on purpose");
            })
        }));
        assert!(failed.is_err());
        assert_eq!(helpers.each(&[1, 2], |item| *item), [1, 2]);
    }
}
