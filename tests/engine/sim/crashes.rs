//! The power fails at any call that changes the disk, also while the store recovers from that.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicU64, Ordering};

use amida::{CrashModel, Fault};

use super::ledger::{Fate, View};
use super::run::Run;
use super::script::{self, Script};
use super::{rounds, spread};
use crate::common::DIR;

/// What the power may leave of what was not synced.
fn models(seed: u64) -> [CrashModel; 7] {
    [
        CrashModel::LoseUnsynced,
        CrashModel::KeepAll,
        CrashModel::Random { seed },
        CrashModel::Torn { seed, sector: 512 },
        CrashModel::Torn { seed, sector: 4096 },
        CrashModel::LengthsFirst { seed },
        CrashModel::NamesFirst,
    ]
}

/// With all kept it is a crash of the process only, which loses nothing with any durability.
fn view(model: CrashModel) -> View {
    if model == CrashModel::KeepAll { View::Reopened } else { View::PowerLost }
}

/// Calls that change the disk when the script runs undisturbed.
fn calls(script: &Script) -> u64 {
    let mut run = Run::new(script, format!("{}, undisturbed", script.name));
    let before = run.fs.calls();
    run.play(0);
    run.look();
    run.close();
    let refused = run.ledger.count(Fate::Absent) > 0;
    let may_refuse = script.ops.contains(&script::Op::Free)
        || script.torn
        || script.age_max.is_some()
        || script.bytes_max.is_some();
    assert!(refused == may_refuse || script.name.starts_with("random"), "{}", script.name);
    run.fs.calls() - before
}

/// Each call of each script; random ones from the second round on.
fn cases(seed: u64, mut scripts: Vec<Script>, step: usize) -> Vec<(Script, u64, u64)> {
    if seed != super::first_seed() {
        scripts.extend((0..4).map(|n| script::random(seed * 4 + n)));
    }
    let mut cases = Vec::new();
    for script in scripts {
        let each = (0..calls(&script)).step_by(step);
        cases.extend(each.map(|call| (script.clone(), call, seed)));
    }
    cases
}

/// The day that ended at this call, as if the power failed before it, or, for a write, after some
/// of its bytes.
fn ended_at(script: &Script, call: u64, bytes: usize) -> Run<'_> {
    let mut run = Run::new(script, format!("{}, call {call}", script.name));
    run.faulty = true;
    run.fs.fail_after(call, Fault::new(ErrorKind::Other).short_write(bytes));
    run.play(0);
    run.about = format!("{} ({:?})", run.about, run.fs.last_fault());
    run
}

/// Crashes at this call, with each of the models.
fn crash_at(script: &Script, call: u64, seed: u64, models: &[CrashModel]) -> u64 {
    let mut states = 0;
    let run = ended_at(script, call, 0);
    for (at, model) in models.iter().copied().enumerate() {
        let mut after = run.after_crash(model, &format!(", {model:?}"));
        after.check(view(model), call % 7 == at as u64);
        states += 1;
    }
    if run.fs.last_fault().is_some_and(|fault| fault.contains(": Write ")) {
        let bytes = 1 + (seed + call) as usize * 7 % 61;
        let run = ended_at(script, call, bytes);
        run.after_crash(CrashModel::KeepAll, &format!(", {bytes} bytes of it"))
            .check(View::Reopened, false);
        states += 1;
    }
    states
}

#[test]
fn what_was_acknowledged_survives_a_crash_at_every_call() {
    rounds("crash states", 25_000, |seed| {
        let cases = cases(seed, script::scripts(5), 1);
        spread(&cases, |(script, call, seed)| {
            crash_at(script, *call, *seed, &models(seed * 100_000 + call))
        })
    });
}

/// As many spans as it takes for that, so not with every model at every call.
#[test]
fn what_was_acknowledged_survives_a_crash_while_row_groups_are_copied() {
    rounds("crash states with large segments", 20, |seed| {
        let cases = cases(seed, vec![script::copies()], 3);
        spread(&cases, |(script, call, seed)| {
            let model = models(seed * 100_000 + call)[*call as usize % 7];
            crash_at(script, *call, *seed, &[model])
        })
    });
}

/// Opens the store and writes what it recovered to segments, as far as the disk lets it.
fn recover(run: &Run<'_>) {
    if let Ok(store) = run.options().open(DIR) {
        let _ = store.flush();
    }
}

/// A disk of its own with the same content.
fn copy<'a>(run: &Run<'a>, about: &str) -> Run<'a> {
    run.after_crash(CrashModel::KeepAll, about)
}

/// The recovery of this disk that ended at this call.
fn recovery_ended_at<'a>(crashed: &Run<'a>, call: u64) -> Run<'a> {
    let mut run = copy(crashed, &format!(", recovery call {call}"));
    run.fs.fail_after(call, Fault::new(ErrorKind::Other));
    recover(&run);
    run.about = format!("{} ({:?})", run.about, run.fs.last_fault());
    run
}

fn recovery_calls(crashed: &Run<'_>) -> u64 {
    let whole = copy(crashed, "");
    recover(&whole);
    whole.fs.calls()
}

/// Crashes at a call, then at every call of the recovery from that, and now and then at a call of
/// the recovery from that.
fn crash_twice(script: &Script, call: u64, seed: u64) -> (u64, u64) {
    let (mut twice, mut thrice) = (0, 0);
    let first = models(seed * 100_000 + call)[call as usize % 7];
    let ended = ended_at(script, call, 0);
    let crashed = ended.after_crash(first, &format!(", {first:?}"));
    for second in 0..recovery_calls(&crashed) {
        let seed = seed * 100_000 + call * 1_000 + second;
        let model = models(seed)[(call + second) as usize % 7];
        let again = recovery_ended_at(&crashed, second);
        let again = again.after_crash(model, &format!(", {model:?}"));
        copy(&again, "").check(View::PowerLost, second % 11 == 0);
        twice += 1;
        if seed.is_multiple_of(5) {
            let third = recovery_calls(&again);
            let run = recovery_ended_at(&again, seed / 5 % third.max(1));
            let model = models(seed)[seed as usize % 7];
            run.after_crash(model, &format!(", {model:?}")).check(View::PowerLost, false);
            thrice += 1;
        }
    }
    (twice, thrice)
}

#[test]
fn what_was_acknowledged_survives_a_crash_at_every_call_of_the_recovery() {
    let thrice_in_all = AtomicU64::new(0);
    rounds("crash states of recoveries", 10_000, |seed| {
        let cases = cases(seed, script::scripts(2), 2);
        spread(&cases, |(script, call, seed)| {
            let (twice, thrice) = crash_twice(script, *call, *seed);
            thrice_in_all.fetch_add(thrice, Ordering::Relaxed);
            twice
        })
    });
    eprintln!("{} of them crashed once more in the next recovery", thrice_in_all.into_inner());
}
