//! Fuzzes OTLP/JSON.
#![no_main]

#[path = "../bodies/otlp_json.rs"]
mod body;
mod harness;
#[allow(dead_code)] // half of it is for snapshots
#[path = "../../tests/engine/rows.rs"]
mod rows;

/// Bytes that one execution may take.
fn limit(data: &[u8]) -> usize {
    (4 << 20) + 256 * data.len()
}

libfuzzer_sys::fuzz_target!(
    init: harness::start(60, body::seed),
    |data: &[u8]| harness::run(limit(data), || body::check(data))
);
