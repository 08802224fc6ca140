//! Time: nanoseconds since the Unix epoch, read through a `Clock` so that tests own it.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where the store reads the time of day.
///
/// ```
/// use amida::{Clock, SystemClock};
///
/// let today = SystemClock.now_ns();
/// assert!(today > 1_700_000_000_000_000_000);
/// ```
pub trait Clock: Send + Sync + fmt::Debug {
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    fn now_ns(&self) -> i64;
}

/// The machine's clock.
///
/// ```
/// use std::sync::Arc;
/// use amida::{Options, SystemClock};
///
/// let options = Options::default().clock(Arc::new(SystemClock)); // the default
/// ```
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)] // the one place that reads the machine's clock
    fn now_ns(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        nanoseconds(since)
    }
}

/// A duration in nanoseconds; the longest that there is beyond 292 years.
pub fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// A clock that stands still until it is moved; for tests.
///
/// ```
/// use std::sync::Arc;
/// use amida::{Clock, ManualClock, MemoryFs, Store, days};
///
/// # fn main() -> amida::Result<()> {
/// let clock = Arc::new(ManualClock::at(1_700_000_000_000_000_000));
/// let options = Store::options().fs(Arc::new(MemoryFs::new())).clock(clock.clone());
/// let store = options.open("/traces.amida")?;
/// for _ in 0..8 {
///     clock.advance(days(1)); // a day at a time: a longer jump is not believed at once
///     store.compact()?; // after a week, older segments are beyond the default retention
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows this time.
    pub fn at(now_ns: i64) -> Self {
        Self(AtomicI64::new(now_ns))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(nanoseconds(by), Ordering::SeqCst);
    }

    /// Sets the clock, also back.
    pub fn set(&self, now_ns: i64) {
        self.0.store(now_ns, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ns(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}
