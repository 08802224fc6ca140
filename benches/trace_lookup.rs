//! A trace of 20 to 40 spans by its id: from memory, from one segment and from a hundred; and for
//! comparison a scan of everything.
//!
//! `cargo bench -p amida-benches --bench trace_lookup`

#![allow(missing_docs)] // criterion's macros make the entry points

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use amida::{Predicate, Store};
use amida_benches::stores::{bodies, filled, in_segments, traces};
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const SPANS: usize = 65_536;
const TRACES: usize = 200;

type Make = fn(&Path, &[Bytes]) -> Store;

fn trace_lookup(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let bodies = bodies(SPANS);
    let stores: [(&str, Make); 3] = [
        ("memory", |path, bodies| filled(path, bodies)),
        ("segment", |path, bodies| in_segments(path, bodies, 1)),
        ("segments_100", |path, bodies| in_segments(path, bodies, 100)),
    ];
    for (name, make) in stores {
        let store = make(&dir.path().join(name), &bodies);
        let snapshot = store.snapshot();
        let ids = traces(&snapshot, TRACES).expect("traces of 20 to 40 spans");
        let mut at = 0;
        let mut group = criterion.benchmark_group("trace_lookup");
        group.throughput(Throughput::Elements(1));
        group.bench_function(name, |b| {
            b.iter(|| {
                at += 1;
                let trace = snapshot.trace(ids[at % ids.len()]).expect("a readable store");
                black_box(trace.expect("a known trace"))
            });
        });
        group.finish();
        if name == "segment" {
            scan(criterion, &store);
        }
    }
}

fn scan(criterion: &mut Criterion, store: &Store) {
    let snapshot = store.snapshot();
    let mut group = criterion.benchmark_group("scan");
    group.throughput(Throughput::Elements(snapshot.span_count()));
    group.bench_function("segment", |b| {
        b.iter(|| {
            let scan = snapshot.scan(&Predicate::new()).expect("a scan");
            scan.map(|batch| batch.expect("a readable segment").len()).sum::<usize>()
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_secs(1));
    targets = trace_lookup
}
criterion_main!(benches);
