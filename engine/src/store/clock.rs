//! The store's own time: never backwards, and not forwards for retention because a clock was set
//! wrong for a moment. What a client sends has no part in it.

use std::time::Duration;

use crate::model::time::nanoseconds;

/// Two readings of the clock that are further apart than this are a jump, not the passing of time:
/// the store reads its clock at every append and at least once a minute.
const JUMP: Duration = Duration::from_secs(24 * 60 * 60);
/// A jump is believed when the clock still shows it this much later.
const CONFIRMED_AFTER: Duration = Duration::from_secs(10 * 60);

/// What the store made of the readings of its clock. All times are nanoseconds since the epoch.
#[derive(Debug)]
pub struct StoreClock {
    /// The newest time of ingest that was given to a request.
    ingest_ns: i64,
    /// The time that retention goes by.
    retention_ns: i64,
    /// When a jump forward was first seen that is not believed yet.
    doubted_ns: Option<i64>,
}

impl StoreClock {
    /// The clock of a store that is opened now and holds requests up to this time of ingest. A
    /// store that was closed for more than a day looks like a jump, and waits like for one.
    pub fn new(reading_ns: i64, newest_ingest_ns: Option<i64>) -> Self {
        let newest_ns = newest_ingest_ns.unwrap_or(reading_ns);
        let mut clock = Self {
            ingest_ns: newest_ingest_ns.unwrap_or(i64::MIN),
            retention_ns: newest_ns.min(reading_ns),
            doubted_ns: None,
        };
        clock.retention(reading_ns);
        clock
    }

    /// The time of ingest of a request that comes now: the reading, but never before an earlier
    /// request's.
    pub fn ingest(&mut self, reading_ns: i64) -> i64 {
        self.ingest_ns = self.ingest_ns.max(reading_ns);
        if planted!("ingest_time_goes_back") {
            self.ingest_ns = reading_ns;
        }
        self.retention(reading_ns);
        self.ingest_ns
    }

    /// The time that decides what is too old: never backwards; a jump forward of more than a day
    /// counts once the clock shows it ten minutes later as well.
    pub fn retention(&mut self, reading_ns: i64) -> i64 {
        let ahead = |from: i64| reading_ns.saturating_sub(from);
        if ahead(self.retention_ns) <= nanoseconds(JUMP) {
            // The clock went back after a jump, or there was none.
            self.doubted_ns = None;
            self.retention_ns = self.retention_ns.max(reading_ns);
            return self.retention_ns;
        }
        match self.doubted_ns {
            Some(first) if (0..=nanoseconds(JUMP)).contains(&ahead(first)) => {
                if ahead(first) >= nanoseconds(CONFIRMED_AFTER) {
                    self.doubted_ns = None;
                    self.retention_ns = reading_ns;
                }
            }
            _ => {
                tracing::warn!(
                    target: "amida::store",
                    ahead_seconds = ahead(self.retention_ns) / 1_000_000_000,
                    "the clock is more than a day ahead of what the store saw last; retention by \
                     age waits until it has shown that for ten minutes"
                );
                self.doubted_ns = Some(reading_ns);
            }
        }
        self.retention_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;
    const DAY: i64 = 86_400 * SECOND;

    #[test]
    fn ingest_never_goes_backwards_even_across_a_restart() {
        let mut clock = StoreClock::new(100, Some(500));
        assert_eq!([clock.ingest(90), clock.ingest(600), clock.ingest(550)], [500, 600, 600]);
    }

    #[test]
    fn retention_follows_the_clock_but_never_back() {
        let mut clock = StoreClock::new(0, None);
        assert_eq!(clock.retention(DAY / 2), DAY / 2);
        assert_eq!(clock.retention(DAY / 4), DAY / 2);
        assert_eq!(clock.retention(DAY), DAY);
    }

    #[test]
    fn a_jump_that_is_taken_back_leaves_no_trace_in_retention() {
        let mut clock = StoreClock::new(0, None);
        assert_eq!(clock.ingest(365 * DAY), 365 * DAY);
        assert_eq!(clock.retention(365 * DAY + 60 * SECOND), 0);
        assert_eq!(clock.retention(120 * SECOND), 120 * SECOND);
        // The next jump is doubted anew.
        assert_eq!(clock.retention(365 * DAY + 700 * SECOND), 120 * SECOND);
    }

    #[test]
    fn a_jump_that_stays_for_ten_minutes_is_believed() {
        let mut clock = StoreClock::new(0, None);
        assert_eq!(clock.retention(3 * DAY), 0);
        assert_eq!(clock.retention(3 * DAY + 599 * SECOND), 0);
        assert_eq!(clock.retention(3 * DAY + 600 * SECOND), 3 * DAY + 600 * SECOND);
        // A second jump on top of a doubted one begins the ten minutes again.
        assert_eq!(clock.retention(9 * DAY), 3 * DAY + 600 * SECOND);
        assert_eq!(clock.retention(99 * DAY), 3 * DAY + 600 * SECOND);
        assert_eq!(clock.retention(99 * DAY + 600 * SECOND), 99 * DAY + 600 * SECOND);
    }

    #[test]
    fn a_clock_that_is_far_ahead_when_the_store_is_opened_is_doubted_too() {
        let mut clock = StoreClock::new(400 * DAY, Some(0));
        assert_eq!(clock.retention(400 * DAY), 0);
        assert_eq!(clock.retention(400 * DAY + 600 * SECOND), 400 * DAY + 600 * SECOND);
        assert_eq!(StoreClock::new(DAY, Some(0)).retention(DAY), DAY);
        assert_eq!(StoreClock::new(400 * DAY, None).retention(400 * DAY), 400 * DAY);
        assert_eq!(StoreClock::new(5, Some(9)).retention(6), 6);
    }
}
