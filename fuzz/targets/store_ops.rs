//! Fuzzes a store on a disk that fails.
#![no_main]

#[path = "../bodies/store_ops.rs"]
mod body;
mod harness;

/// Bytes that one execution may take.
fn limit(data: &[u8]) -> usize {
    (256 << 20) + data.len()
}

libfuzzer_sys::fuzz_target!(
    init: harness::start(60, body::seed),
    |data: &[u8]| harness::run(limit(data), || body::check(data))
);
