//! Fuzzes manifest files.
#![no_main]

#[path = "../bodies/manifest.rs"]
mod body;
mod harness;

/// Bytes that one execution may take.
fn limit(data: &[u8]) -> usize {
    (1 << 20) + 64 * data.len()
}

thread_local! {
    static TARGET: body::Target = body::Target::new();
}

libfuzzer_sys::fuzz_target!(
    init: TARGET.with(|target| harness::start(60, |number| target.seed(number))),
    |data: &[u8]| TARGET.with(|target| harness::run(limit(data), || target.check(data)))
);
