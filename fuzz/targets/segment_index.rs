//! Fuzzes the trace-ID index and the block table of a segment.
#![no_main]

#[path = "../bodies/segment_index.rs"]
mod body;
mod harness;

/// Bytes that one execution may take.
fn limit(data: &[u8]) -> usize {
    (4 << 20) + 256 * data.len()
}

libfuzzer_sys::fuzz_target!(
    init: harness::start(60, body::seed),
    |data: &[u8]| harness::run(limit(data), || body::check(data))
);
