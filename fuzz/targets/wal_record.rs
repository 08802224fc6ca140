//! Fuzzes log files and their records.
#![no_main]

#[path = "../bodies/wal_record.rs"]
mod body;
mod harness;

/// Bytes that one execution may take.
fn limit(data: &[u8]) -> usize {
    (1 << 20) + 64 * data.len()
}

libfuzzer_sys::fuzz_target!(
    init: harness::start(100, body::seed),
    |data: &[u8]| harness::run(limit(data), || body::check(data))
);
