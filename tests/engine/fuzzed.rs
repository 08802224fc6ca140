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

use amida_tests::mutate::damage;
use fastrand::Rng;

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
