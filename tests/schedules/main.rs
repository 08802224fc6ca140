//! The real store on shuttle's locks and threads: writers, readers, flush, compaction, faults and
//! close in 20,000 schedules, half of them random, half of few but well-placed preemptions (PCT).
//!
//! In each, whatever the schedule: what was acknowledged is in every later snapshot exactly once,
//! what failed is in none, a snapshot never changes, and after power loss everything that was
//! acknowledged is there.
//!
//! `cargo test --features amida-tests/shuttle --test schedules`: without `-p`, so that no
//! dependency of the ordinary build is built again. `AMIDA_SCHEDULES` is the number of schedules,
//! `AMIDA_SEED` where they begin; the schedule of a failure is printed, and `AMIDA_REPLAY` runs it
//! again.

mod stores;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Instant;

use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Scheduler};
use shuttle::{Config, Runner};

/// Schedules of all tests together.
const SCHEDULES: usize = 20_000;

/// Preemptions that PCT places.
const PCT_DEPTH: usize = 4;

fn number<T: std::str::FromStr>(variable: &str) -> Option<T> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} must be a number, not {text}")))
}

/// Runs a test in its share, in hundredths, of the schedules.
fn schedules(name: &str, share: usize, test: fn()) {
    if let Ok(schedule) = std::env::var("AMIDA_REPLAY") {
        run(ReplayScheduler::new_from_encoded(&schedule), test);
        return;
    }
    let seed: u64 = number("AMIDA_SEED").unwrap_or(1);
    let count = number("AMIDA_SCHEDULES").unwrap_or(SCHEDULES) * share / 100;
    let random = RandomScheduler::new_from_seed(seed, count.div_ceil(2));
    let pct = PctScheduler::new_from_seed(seed, PCT_DEPTH, count / 2);
    let begun = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| run(random, test) + run(pct, test)));
    match result {
        Ok(done) => eprintln!("{name}: {done} schedules, seed {seed}, {:.0?}", begun.elapsed()),
        Err(cause) => {
            eprintln!(
                "{name} failed with seed {seed}; the text of the failing schedule, above, in \
                 AMIDA_REPLAY runs it again: AMIDA_REPLAY=.. cargo test \
                 --features amida-tests/shuttle --test schedules {name}"
            );
            resume_unwind(cause);
        }
    }
}

/// How many schedules were run.
fn run(scheduler: impl Scheduler + 'static, test: fn()) -> usize {
    let mut config = Config::new();
    // Parquet is written on these stacks.
    config.stack_size = 2 << 20;
    Runner::new(scheduler, config).run(test)
}
