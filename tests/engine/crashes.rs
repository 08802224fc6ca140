//! The power fails while many threads append: what was acknowledged is there, once. What one thread
//! can tell is in `sim`.

use std::collections::BTreeSet;
use std::io::ErrorKind;

use amida::{CrashModel, Error, Fault, MemoryFs};

use crate::common::{numbers, open, spans};

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
        let models = [
            CrashModel::LoseUnsynced,
            CrashModel::KeepAll,
            CrashModel::Random { seed },
            CrashModel::Torn { seed, sector: 512 },
            CrashModel::LengthsFirst { seed },
            CrashModel::NamesFirst,
        ];
        for model in models {
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
