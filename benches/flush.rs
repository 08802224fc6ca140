//! A full memtable becomes a segment: decoding to columns, sorting, encoding, the trace-ID index.
//!
//! `cargo bench -p amida-benches --bench flush`

#![allow(missing_docs)] // criterion's macros make the entry points

use std::time::Duration;

use amida_benches::stores::{bodies, filled};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

/// About as many as are flushed at once by default: 16 MiB.
const SPANS: usize = 32_768;

fn flush(criterion: &mut Criterion) {
    let bodies = bodies(SPANS);
    let mut group = criterion.benchmark_group("flush");
    group.throughput(Throughput::Elements(SPANS as u64));
    let setup = || {
        let dir = tempfile::tempdir().expect("a temporary directory");
        (filled(&dir.path().join("store"), &bodies), dir)
    };
    group.bench_function("memtable", |b| {
        b.iter_batched(
            setup,
            |(store, dir)| {
                store.flush().expect("a flush");
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
    targets = flush
}
criterion_main!(benches);
