//! Fuzzes `append_otlp` against prost.
#![no_main]

#[path = "../bodies/otlp_proto.rs"]
mod body;

thread_local! {
    static TARGET: body::Target = body::Target::new();
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| TARGET.with(|target| target.check(data)));
