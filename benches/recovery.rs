//! Opening a store whose log holds 32 MiB that no segment has: every record is checked and read.
//! `measure reopen` does the same after a real crash, with 96 MiB.
//!
//! `cargo bench -p amida-benches --bench recovery`

#![allow(missing_docs)] // criterion's macros make the entry points

use std::time::Duration;

use amida_benches::stores::{bodies, copy, filled, quiet};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const SPANS: usize = 65_536;

fn recovery(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let left = dir.path().join("left");
    // Closing flushes nothing.
    filled(&left, &bodies(SPANS)).close().expect("an orderly end");
    let mut group = criterion.benchmark_group("recovery");
    group.throughput(Throughput::Elements(SPANS as u64));
    let setup = || {
        let dir = tempfile::tempdir().expect("a temporary directory");
        copy(&left, &dir.path().join("store")).expect("room for a copy");
        dir
    };
    group.bench_function("open", |b| {
        b.iter_batched(
            setup,
            |dir| {
                let store = quiet().open(dir.path().join("store")).expect("the copy");
                assert_eq!(store.recovery().spans, SPANS as u64);
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
    targets = recovery
}
criterion_main!(benches);
