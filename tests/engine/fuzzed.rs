//! The bodies of the fuzz targets, run on seeds: the same code as fuzz/ uses.

#[path = "../../fuzz/bodies/otlp_proto.rs"]
mod otlp_proto;

use amida_tests::corpus;
use amida_tests::mutate::{damage, re_encode};
use amida_tests::wild::Wild;
use fastrand::Rng;

#[test]
fn otlp_proto_on_seeds() {
    let state = otlp_proto::Target::new();
    for seed in 0..2_000 {
        let mut random = Rng::with_seed(seed);
        let body = corpus::encode(&Wild::new(seed).request());
        let body = re_encode(&body, &mut random);
        state.check(&damage(&body, b"\x0a\x03abc", &mut random));
        let garbage: Vec<u8> = (0..random.usize(0..60)).map(|_| random.u8(..)).collect();
        state.check(&garbage);
    }
}
