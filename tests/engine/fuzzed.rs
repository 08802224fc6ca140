//! The bodies of the fuzz targets, run on seeds: the same code as fuzz/ uses. And the inputs that
//! the fuzzer found a bug with, each as a test of its own.

#[path = "../../fuzz/bodies/manifest.rs"]
mod manifest;
#[path = "../../fuzz/bodies/otlp_json.rs"]
mod otlp_json;
#[path = "../../fuzz/bodies/otlp_proto.rs"]
mod otlp_proto;
#[path = "../../fuzz/bodies/segment.rs"]
mod segment;
#[path = "../../fuzz/bodies/segment_index.rs"]
mod segment_index;
#[path = "../../fuzz/bodies/store_ops.rs"]
mod store_ops;
#[path = "../../fuzz/bodies/wal_record.rs"]
mod wal_record;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use std::io::ErrorKind;

use amida::{CrashModel, Fault, MemoryFs};
use amida_tests::mutate::damage;
use fastrand::Rng;

use crate::common::{DIR, numbers, one_span, options};

/// Runs a body on this many seeds and, of each, on three that are damaged.
fn on_seeds(seeds: u64, seed: impl Fn(u64) -> Vec<u8>, check: impl Fn(&[u8])) {
    for number in 0..seeds {
        let mut random = Rng::with_seed(number);
        let first = seed(number);
        let other = seed(number + 7);
        let damaged = (0..3).map(|_| damage(&first, &other, &mut random)).collect::<Vec<_>>();
        for input in std::iter::once(&first).chain(&damaged) {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(input))) {
                eprintln!("SEED={number} INPUT={}", input.escape_ascii());
                resume_unwind(panic);
            }
        }
    }
}

#[test]
fn wal_record_on_seeds() {
    on_seeds(2_000, wal_record::seed, wal_record::check);
}

#[test]
fn manifest_on_seeds() {
    let target = manifest::Target::new();
    on_seeds(2_000, |number| target.seed(number), |input| target.check(input));
}

#[test]
fn segment_index_on_seeds() {
    on_seeds(2_000, segment_index::seed, segment_index::check);
}

#[test]
fn segment_on_seeds() {
    let target = segment::Target::new();
    on_seeds(1_000, |number| target.seed(number), |input| target.check(input));
}

#[test]
fn otlp_proto_on_seeds() {
    on_seeds(2_000, otlp_proto::seed, otlp_proto::check);
}

#[test]
fn otlp_json_on_seeds() {
    on_seeds(2_000, otlp_json::seed, otlp_json::check);
}

#[test]
fn store_ops_on_seeds() {
    on_seeds(500, store_ops::seed, store_ops::check);
}

/// Found by store_ops: the last sync of a manifest failed, the store was opened again on the
/// version whose name was not safe yet, removed the log that this version had replaced, and the
/// power failed: back was the version before, and what stood in the log was gone.
#[test]
fn what_a_version_replaced_stays_until_its_name_is_safe() {
    let mut failed = 0;
    for call in 0..100 {
        let fs = MemoryFs::new();
        let store = options(&fs).single_threaded().open(DIR).unwrap();
        let mut acknowledged = vec![1, 9];
        assert_eq!(store.append_otlp(one_span(1)).unwrap().accepted(), 1);
        fs.fail_after(call, Fault::new(ErrorKind::Other).once());
        if store.append_otlp(one_span(2)).is_ok() {
            acknowledged.push(2);
        }
        failed += u64::from(store.flush().is_err());
        drop(store);
        fs.heal();
        let store = options(&fs).single_threaded().open(DIR).unwrap();
        assert_eq!(store.append_otlp(one_span(9)).unwrap().accepted(), 1);
        let fs = fs.crash(CrashModel::LoseUnsynced);
        let store = options(&fs).single_threaded().open(DIR).unwrap();
        let found = numbers(&store.snapshot());
        for number in acknowledged {
            assert_eq!(found.get(&number), Some(&1), "call {call}: span {number}");
        }
        assert_eq!(store.stats().damage, [""; 0], "call {call}");
    }
    assert!(failed > 5, "{failed} flushes failed");
}
