//! Simulation: small stores live through scripted days on a disk in memory that crashes, fails and
//! fills up at any call. What holds after each of these days is in `ledger`.
//!
//! | file | purpose |
//! |---|---|
//! | script | what happens on a day: twelve scripts and more |
//! | run | a store that lives through a script |
//! | ledger | what was asked of the store, what it answered, and so what must be there |
//! | crashes | the power fails at any call, also while the store recovers |
//! | faults | any call fails with any error, once or for a while |
//! | replay | a log that has what is in segments already |
//! | model | random operations against a plain map and a naive filter |
//!
//! AMIDA_SIM_SEED is the seed (0); AMIDA_SIM_STATES that many times the cases, with further seeds
//! and random scripts (1); AMIDA_SIM_SECONDS goes on with further seeds until the time is over;
//! AMIDA_SIM_SCRIPT takes only scripts with this in their name, to look into one that fails.

mod crashes;
mod faults;
mod ledger;
mod model;
mod replay;
mod run;
mod script;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Cases that may fail before a test gives up.
const FAILURES_SHOWN: usize = 8;

fn from_env(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is no number: {value}")))
}

/// The seed of the first round.
fn first_seed() -> u64 {
    from_env("AMIDA_SIM_SEED").unwrap_or(0)
}

/// Runs rounds with different seeds, as many as the environment asks for; says what was checked
/// and fails when the first round alone checked less than it must.
fn rounds(what: &str, at_least: u64, round: impl Fn(u64) -> u64) {
    let begun = Instant::now();
    let seed = first_seed();
    let times = from_env("AMIDA_SIM_STATES").unwrap_or(1).max(1);
    let longer = from_env("AMIDA_SIM_SECONDS").map_or(Duration::ZERO, Duration::from_secs);
    let mut checked = round(seed);
    let all = std::env::var("AMIDA_SIM_SCRIPT").is_err();
    assert!(!all || checked >= at_least, "{checked} {what}, at least {at_least} are promised");
    let mut done = 1;
    while done < times || begun.elapsed() < longer {
        checked += round(seed + done);
        done += 1;
    }
    eprintln!("{checked} {what}, {done} rounds from seed {seed} on, {:.1?}", begun.elapsed());
}

/// Works through cases on all cores; the sum of what each gave. Goes on after a failure, so that
/// the first few are seen.
fn spread<T: Sync>(cases: &[T], work: impl Fn(&T) -> u64 + Sync) -> u64 {
    let (next, sum, failed) = (AtomicUsize::new(0), AtomicU64::new(0), AtomicUsize::new(0));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while failed.load(Ordering::Relaxed) < FAILURES_SHOWN
                    && let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    match catch_unwind(AssertUnwindSafe(|| work(case))) {
                        Ok(checked) => sum.fetch_add(checked, Ordering::Relaxed),
                        Err(_) => failed.fetch_add(1, Ordering::Relaxed) as u64,
                    };
                }
            });
        }
    });
    let failed = failed.into_inner();
    assert!(failed == 0, "{failed} cases failed: see above, {FAILURES_SHOWN} are shown at most");
    sum.into_inner()
}
