//! How many spans a second one thread appends: requests of 512 spans of about 490 bytes through
//! `append_otlp`, without syncs, on the real disk and on the one in memory.

#![allow(missing_docs)] // criterion's macros make the entry points

use std::sync::Arc;
use std::time::{Duration, Instant};

use amida::{Durability, MemoryFs, Options, Retention, Store};
use amida_benches::corpus::REQUEST_SPANS;
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Requests that are appended in turn; more than fit a processor's caches.
const BODIES: usize = 64;
/// A store is replaced after this many bytes, so that the disk does not fill.
const STORE_BYTES_MAX: usize = 128 << 20;

fn options() -> Options {
    Store::options().durability(Durability::Os).retention(Retention::forever()).disk_floor_bytes(0)
}

/// Time of `rounds` appends of these bodies in turn; making and closing stores is not counted.
fn append(rounds: u64, bodies: &[Bytes], open: &dyn Fn() -> (Store, Box<dyn Guard>)) -> Duration {
    let (mut spent, mut written) = (Duration::ZERO, 0);
    let mut store = open();
    for body in bodies.iter().cycle().take(rounds as usize) {
        if written > STORE_BYTES_MAX {
            drop(store);
            store = open();
            written = 0;
        }
        written += body.len();
        let body = body.clone();
        let begun = Instant::now();
        let receipt = store.0.append_otlp(body);
        spent += begun.elapsed();
        assert!(receipt.is_ok(), "{receipt:?}");
    }
    spent
}

/// What must live as long as a store and go away with it.
trait Guard {}
impl Guard for tempfile::TempDir {}
impl Guard for () {}

fn ingest(criterion: &mut Criterion) {
    let bodies = amida_benches::stores::bodies(BODIES * REQUEST_SPANS);
    let on_disk = || -> (Store, Box<dyn Guard>) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        (options().open(dir.path().join("store")).expect("a new store"), Box::new(dir))
    };
    let in_memory = || -> (Store, Box<dyn Guard>) {
        let options = options().fs(Arc::new(MemoryFs::new()));
        (options.open("store").expect("a new store"), Box::new(()))
    };
    let mut group = criterion.benchmark_group("ingest");
    group.throughput(Throughput::Elements(REQUEST_SPANS as u64));
    group.bench_function("disk", |b| b.iter_custom(|n| append(n, &bodies, &on_disk)));
    group.bench_function("memory", |b| b.iter_custom(|n| append(n, &bodies, &in_memory)));
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_secs(1));
    targets = ingest
}
criterion_main!(benches);
