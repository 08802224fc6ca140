//! Fuzzes segment files, opened and read.
#![no_main]

#[path = "../bodies/segment.rs"]
mod body;
mod harness;
#[allow(dead_code)] // half of it is for snapshots
#[path = "../../tests/engine/rows.rs"]
mod rows;

/// Bytes that one execution may take.
fn limit(data: &[u8]) -> usize {
    (16 << 20) + 64 * data.len()
}

thread_local! {
    static TARGET: body::Target = body::Target::new();
}

libfuzzer_sys::fuzz_target!(
    init: TARGET.with(|target| harness::start(100, |number| target.seed(number))),
    |data: &[u8]| TARGET.with(|target| harness::run(limit(data), || target.check(data)))
);
