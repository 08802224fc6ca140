//! The six questions of the comparison, over 262,144 spans in segments.
//!
//! `cargo bench -p amida-benches --features sql --bench sql`

#![allow(missing_docs)] // criterion's macros make the entry points

use std::hint::black_box;
use std::time::Duration;

use amida_benches::queries::{QUESTIONS, with_values};
use amida_benches::stores::{bodies, in_segments};
use amida_sql::Session;
use criterion::{Criterion, criterion_group, criterion_main};
use tokio::runtime::Runtime;

const SPANS: usize = 262_144;
const SEGMENTS: usize = 4;

async fn rows(session: &Session, sql: &str) -> amida_sql::Result<usize> {
    Ok(session.query(sql).await?.collect().await?.num_rows())
}

fn sql(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = in_segments(&dir.path().join("store"), &bodies(SPANS), SEGMENTS);
    let (session, runtime) = (Session::new(&store), Runtime::new().expect("a runtime"));
    let mut group = criterion.benchmark_group("sql");
    for (name, sql) in QUESTIONS {
        let sql = with_values(sql, "u-00042", "orders");
        let answer = runtime.block_on(rows(&session, &sql)).expect("an answer");
        assert!(answer > 0, "{name} has no answer");
        group.bench_function(name, |b| {
            b.iter(|| black_box(runtime.block_on(rows(&session, &sql)).expect("an answer")));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).measurement_time(Duration::from_secs(4));
    targets = sql
}
criterion_main!(benches);
