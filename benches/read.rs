//! Reading: a trace by its id from segments and from memory, and a full scan.
//!
//! `cargo bench -p amida-benches --bench read`

use std::hint::black_box;
use std::time::Duration;

use amida::{Durability, Predicate, Store, TraceId};
use amida_benches::corpus::Corpus;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const SEED: u64 = 11;
const SPANS: usize = 200_000;

/// A store with 200,000 spans of about 490 bytes, all in memory.
fn store(directory: &std::path::Path) -> Store {
    let store = Store::options()
        .durability(Durability::Os)
        .seal_bytes(1 << 30)
        .wal_bytes_max(1 << 40)
        .seal_age(Duration::from_secs(3600))
        .open(directory)
        .expect("an empty directory");
    for body in Corpus::new(SEED, SPANS) {
        let receipt = store.append_otlp(body).expect("a good request");
        assert_eq!(receipt.rejected(), 0);
    }
    store
}

fn read(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = store(&directory.path().join("bench.amida"));
    let ids = store.snapshot().traces_with_prefix("", 100_000).expect("trace ids");
    let mut group = criterion.benchmark_group("trace");
    group.throughput(Throughput::Elements(1));
    let lookup = |snapshot: &amida::Snapshot, at: &mut usize| {
        *at = (*at + 7919) % ids.len();
        let id: TraceId = ids[*at];
        black_box(snapshot.trace(id).expect("a readable store").expect("a known trace"));
    };
    let (snapshot, mut at) = (store.snapshot(), 0);
    group.bench_function("memory", |b| b.iter(|| lookup(&snapshot, &mut at)));
    store.flush().expect("a flush");
    let (snapshot, mut at) = (store.snapshot(), 0);
    group.bench_function("segment", |b| b.iter(|| lookup(&snapshot, &mut at)));
    group.finish();
    let mut group = criterion.benchmark_group("scan");
    group.throughput(Throughput::Elements(snapshot.span_count()));
    group.sample_size(10);
    group.bench_function("segment", |b| {
        b.iter(|| {
            let scan = snapshot.scan(&Predicate::new()).expect("a scan");
            scan.map(|batch| batch.expect("a readable segment").len()).sum::<usize>()
        });
    });
    group.finish();
}

criterion_group!(benches, read);
criterion_main!(benches);
