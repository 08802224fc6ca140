//! Any call fails, those that only read among them, with any error, once or for a while. Then the
//! disk works again, the store goes on, and at last the power fails.

use amida::{CrashModel, Fault};

use super::ledger::View;
use super::run::Run;
use super::script::{self, Script};
use super::{rounds, spread};

const ERRORS: [(&str, i32, usize); 6] = [
    ("EIO", 5, 0),
    ("ENOSPC", 28, 0),
    ("EDQUOT", 122, 0),
    ("EINTR", 4, 0),
    ("EMFILE", 24, 0),
    ("ENOSPC after some bytes", 28, 30),
];

/// Operations that a lasting fault spoils.
const SPOILT: usize = 3;

struct Case<'a> {
    script: &'a Script,
    call: u64,
    error: usize,
    once: bool,
    seed: u64,
}

/// Calls of any kind when the script runs undisturbed.
fn calls(script: &Script) -> u64 {
    let mut run = Run::new(script, format!("{}, undisturbed", script.name));
    let before = run.fs.calls_of_any_kind();
    run.play(0);
    run.fs.calls_of_any_kind() - before
}

fn live_through(case: &Case<'_>) -> u64 {
    let Case { script, call, error, once, seed } = *case;
    let (name, raw, bytes) = ERRORS[error];
    let times = if once { "once" } else { "for a while" };
    let mut run = Run::new(script, format!("{}, call {call} fails {times}, {name}", script.name));
    let fault = Fault::os(raw).any_call().short_write(bytes);
    run.fs.fail_after(call, if once { fault.once() } else { fault });
    run.faulty = true;
    run.play(SPOILT);
    run.about = format!("{} ({:?})", run.about, run.fs.last_fault());
    run.goes_on_when_healed(once);
    let seed = seed * 100_000 + call;
    let model = match (call as usize + error) % 4 {
        0 => CrashModel::LoseUnsynced,
        1 => CrashModel::Random { seed },
        2 => CrashModel::Torn { seed, sector: 512 },
        _ => CrashModel::NamesFirst,
    };
    run.after_crash(model, &format!(", {model:?}")).check(View::PowerLost, false);
    1
}

#[test]
fn any_call_may_fail_and_the_store_goes_on_and_loses_nothing() {
    rounds("failed calls", 50_000, |seed| {
        let mut scripts = script::scripts(4);
        if seed != super::first_seed() {
            scripts.extend((0..2).map(|n| script::random(seed * 2 + n)));
        }
        let mut cases = Vec::new();
        for script in &scripts {
            for call in 0..calls(script) {
                for error in 0..ERRORS.len() {
                    let case = |once| Case { script, call, error, once, seed };
                    cases.extend([case(true), case(false)]);
                }
            }
        }
        spread(&cases, live_through)
    });
}
