//! Eight segments become one: row groups are copied, not encoded again.
//!
//! `cargo bench -p amida-benches --bench compact`

#![allow(missing_docs)] // criterion's macros make the entry points

use std::time::Duration;

use amida::{Retention, Store};
use amida_benches::stores::{bodies, copy, in_segments};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const SEGMENTS: usize = 8;
/// Of each segment: those with fewer than 16,384 are encoded again.
const SPANS: usize = 32_768;

fn compact(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let apart = dir.path().join("apart");
    let store = in_segments(&apart, &bodies(SEGMENTS * SPANS), SEGMENTS);
    assert_eq!(store.stats().segments, SEGMENTS as u64);
    store.close().expect("an orderly end");
    let mut group = criterion.benchmark_group("compact");
    group.throughput(Throughput::Elements((SEGMENTS * SPANS) as u64));
    let setup = || {
        let dir = tempfile::tempdir().expect("a temporary directory");
        copy(&apart, &dir.path().join("store")).expect("room for a copy");
        // Without threads nothing is merged before it is asked for.
        let options = Store::options().retention(Retention::forever()).single_threaded();
        (options.open(dir.path().join("store")).expect("the copy"), dir)
    };
    group.bench_function("segments", |b| {
        b.iter_batched(
            setup,
            |(store, dir)| {
                store.compact().expect("a compaction");
                assert_eq!(store.stats().segments, 1);
                (store, dir)
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_secs(1));
    targets = compact
}
criterion_main!(benches);
