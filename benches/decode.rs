//! A request from bytes to columns, in the two steps that the store takes: at the door, where every
//! byte is checked, and when columns are needed. Beside it prost, which the store does not use.
//!
//! `cargo bench -p amida-benches --bench decode`

#![allow(missing_docs)] // criterion's macros make the entry points

use std::hint::black_box;
use std::time::Duration;

use amida::decoders;
use amida_benches::corpus::{REQUEST_SPANS, START_NS};
use amida_benches::stores::bodies;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

fn decode(criterion: &mut Criterion) {
    let bodies = bodies(64 * REQUEST_SPANS);
    let walk = |at: usize| {
        let body = bodies[at % bodies.len()].clone();
        decoders::request(body, START_NS as i64).expect("a good request")
    };
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(REQUEST_SPANS as u64));
    let mut at = 0;
    let mut next = || {
        at += 1;
        at
    };
    group.bench_function("door", |b| b.iter(|| black_box(walk(next()))));
    let walked: Vec<_> = (0..bodies.len()).map(walk).collect();
    group.bench_function("columns", |b| {
        b.iter(|| walked[next() % walked.len()].spans().expect("columns"));
    });
    group.bench_function("prost", |b| {
        b.iter(|| {
            let body = bodies[next() % bodies.len()].clone();
            ExportTraceServiceRequest::decode(body).expect("a good request")
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_secs(1));
    targets = decode
}
criterion_main!(benches);
