//! The power fails, or the process dies, at any call that changes the disk: what was acknowledged
//! is there once, a request is there whole or not at all, and nothing is called damage.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;

use amida::{CrashModel, Error, Fault, MemoryFs, Store};

use crate::common::{DIR, numbers, open, options, spans};

/// Spans of each request: request `k` has the numbers `3k + 1` to `3k + 3`.
const SPANS: u64 = 3;

/// What a run of the script saw.
#[derive(Debug, Default)]
struct Run {
    acknowledged: BTreeSet<u64>,
    tried: BTreeSet<u64>,
}

impl Run {
    fn append(&mut self, store: &Store) {
        let request = self.tried.len() as u64;
        self.tried.insert(request);
        let first = request * SPANS + 1;
        if let Ok(receipt) = store.append_otlp(spans(first..first + SPANS)) {
            assert_eq!(receipt.accepted(), SPANS);
            self.acknowledged.insert(request);
        }
    }

    /// Opens, appends, flushes, merges, closes and opens again, whatever fails on the way.
    fn script(fs: &MemoryFs) -> Self {
        let mut run = Self::default();
        // A little room in the log, so that files change often.
        let open = || options(fs).seal_bytes(1_000).open(DIR);
        if let Ok(store) = open() {
            run.append(&store);
            run.append(&store);
            let _ = store.flush();
            run.append(&store);
            let waiting = store.submit_otlp(spans(0..0));
            drop(waiting);
            let _ = store.flush();
            run.append(&store);
            let _ = store.compact();
            run.append(&store);
            let _ = store.close();
        }
        if let Ok(store) = open() {
            run.append(&store);
            let _ = store.flush();
            run.append(&store);
            run.see(&numbers(&store.snapshot()), "while it runs");
        }
        run
    }

    /// Fails unless rows are as they must be.
    fn see(&self, found: &BTreeMap<u64, u64>, when: &str) {
        let mut requests: BTreeMap<u64, u64> = BTreeMap::new();
        for (number, times) in found {
            assert_eq!(*times, 1, "{when}: span {number} is there {times} times");
            *requests.entry((number - 1) / SPANS).or_default() += 1;
        }
        for (request, spans) in &requests {
            assert_eq!(*spans, SPANS, "{when}: half of request {request}");
            assert!(self.tried.contains(request), "{when}: request {request} was never sent");
        }
        for request in &self.acknowledged {
            assert!(requests.contains_key(request), "{when}: request {request} is lost");
        }
    }

    /// Opens what a crash left and looks at it; where asked, the store must work on from there.
    fn check(&self, fs: &MemoryFs, when: &str, works_on: bool) {
        let store = options(fs).open(DIR).unwrap_or_else(|e| panic!("{when}: {e}"));
        let damage = store.stats().damage;
        assert!(damage.is_empty(), "{when}: {damage:?}");
        let found = numbers(&store.snapshot());
        self.see(&found, when);
        if !works_on {
            return;
        }
        assert_eq!(store.append_otlp(spans(1_000..1_001)).unwrap().accepted(), 1);
        store.flush().unwrap_or_else(|e| panic!("{when}: {e}"));
        store.close().unwrap_or_else(|e| panic!("{when}: {e}"));
        let store = options(&fs.crash(CrashModel::LoseUnsynced)).open(DIR).unwrap();
        let mut again = numbers(&store.snapshot());
        assert_eq!(again.remove(&1_000), Some(1), "{when}");
        // What was seen once does not go away.
        assert_eq!(again, found, "{when}");
    }
}

fn models(seed: u64) -> [CrashModel; 7] {
    [
        CrashModel::LoseUnsynced,
        CrashModel::KeepAll,
        CrashModel::Random { seed },
        CrashModel::Random { seed: seed + 10_000 },
        CrashModel::Random { seed: seed + 20_000 },
        CrashModel::Torn { seed, sector: 512 },
        CrashModel::Torn { seed, sector: 4096 },
    ]
}

/// Calls that the script makes when nothing fails.
fn calls_of_the_script() -> u64 {
    let fs = MemoryFs::new();
    let run = Run::script(&fs);
    assert_eq!(run.acknowledged, run.tried);
    assert_eq!(run.tried.len(), 7);
    fs.calls()
}

/// The disk that stopped at this call.
fn stopped_at(call: u64, fault: Fault) -> (MemoryFs, Run) {
    let fs = MemoryFs::new();
    fs.fail_after(call, fault);
    let run = Run::script(&fs);
    (fs, run)
}

#[test]
fn acknowledged_requests_survive_a_crash_at_every_call() {
    let calls = calls_of_the_script();
    assert!(calls > 60, "{calls}");
    for call in 0..calls {
        let (fs, run) = stopped_at(call, Fault::new(ErrorKind::Other));
        for (at, model) in models(call).into_iter().enumerate() {
            let when = format!("call {call} of {calls} ({:?}), {model:?}", fs.last_fault());
            run.check(&fs.crash(model), &when, call % 7 == at as u64);
        }
    }
}

#[test]
fn acknowledged_requests_survive_a_crash_in_the_middle_of_every_write() {
    let calls = calls_of_the_script();
    for call in 0..calls {
        let fault = Fault::new(ErrorKind::Other).short_write(1 + call as usize * 7 % 61);
        let (fs, run) = stopped_at(call, fault);
        for model in [CrashModel::KeepAll, CrashModel::Random { seed: call }] {
            let when = format!("call {call} of {calls} ({:?}), {model:?}", fs.last_fault());
            run.check(&fs.crash(model), &when, call % 5 == 0);
        }
    }
}

#[test]
fn acknowledged_requests_survive_a_crash_at_every_call_of_the_recovery() {
    let calls = calls_of_the_script();
    let mut states = 0;
    for call in (0..calls).step_by(5) {
        let (fs, run) = stopped_at(call, Fault::new(ErrorKind::Other));
        for model in [CrashModel::LoseUnsynced, CrashModel::Torn { seed: call, sector: 512 }] {
            let crashed = fs.crash(model);
            for second in 0..200 {
                let fs = crashed.crash(CrashModel::KeepAll);
                fs.fail_after(second, Fault::new(ErrorKind::Other));
                let opened = options(&fs).open(DIR);
                let whole = opened.is_ok() && fs.last_fault().is_none();
                drop(opened);
                for model in [CrashModel::LoseUnsynced, CrashModel::Random { seed: second }] {
                    let when = format!("call {call}, then call {second}, {model:?}");
                    run.check(&fs.crash(model), &when, second % 10 == 0);
                    states += 1;
                }
                if whole {
                    break;
                }
            }
        }
    }
    assert!(states > 300, "{states}");
}

/// A call fails once and the process lives on: nothing that is acknowledged later is lost either.
#[test]
fn one_failed_call_loses_nothing_that_is_acknowledged() {
    let calls = calls_of_the_script();
    for call in 0..calls {
        for fault in [
            Fault::new(ErrorKind::Other).once(),
            Fault::new(ErrorKind::StorageFull).once().short_write(20),
            Fault::new(ErrorKind::Other).once().syncs_only(),
        ] {
            let (fs, run) = stopped_at(call, fault);
            let when = format!("call {call} of {calls} fails ({:?})", fs.last_fault());
            for model in [CrashModel::LoseUnsynced, CrashModel::KeepAll] {
                run.check(&fs.crash(model), &format!("{when}, {model:?}"), call % 3 == 0);
            }
        }
    }
}

#[test]
fn a_crash_while_many_threads_append_loses_no_acknowledged_request() {
    for seed in 0..20 {
        let fs = MemoryFs::new();
        let store = open(&fs);
        fs.fail_after(30 + seed * 7, Fault::new(ErrorKind::Other));
        let acknowledged: BTreeSet<u64> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4_u64)
                .map(|thread| {
                    let store = &store;
                    #[allow(clippy::disallowed_methods)] // the test is about threads
                    scope.spawn(move || {
                        let mine = (0..40).map(|n| thread * 100 + n + 1);
                        mine.filter(|n| store.append_otlp(spans(*n..n + 1)).is_ok())
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        for model in models(seed) {
            let found = numbers(&open(&fs.crash(model)).snapshot());
            assert!(found.values().all(|times| *times == 1));
            for number in &acknowledged {
                assert!(found.contains_key(number), "seed {seed}, {model:?}: {number} is lost");
            }
        }
        let left = store.append_otlp(spans(900..901));
        assert!(!matches!(left, Ok(_) | Err(Error::Invalid { .. })), "{left:?}");
    }
}
