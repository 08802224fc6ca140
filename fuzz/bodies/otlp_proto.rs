//! An OTLP request: the engine must take it, refuse it and reject its spans exactly as prost and
//! the rules say, and give the same rows; from the log, and written as OTLP again, too.

use std::collections::BTreeMap;

use amida::decoders::{self, Request};
use amida::{SpanBatch, spans_to_requests};
use amida_tests::corpus;
use amida_tests::mutate::{damage, re_encode};
use amida_tests::oracle::{Judgement, Oracle, Row};
use amida_tests::wild::Wild;
use bytes::Bytes;
use fastrand::Rng;

const NOW_NS: i64 = 1_767_323_105_000_000_000;

/// An input that reaches the decoder: a request in strange but legal bytes, or damaged, or garbage.
pub fn seed(number: u64) -> Vec<u8> {
    let mut random = Rng::with_seed(number);
    if number % 3 == 2 {
        return (0..random.usize(0..60)).map(|_| random.u8(..)).collect();
    }
    let body = corpus::encode(&Wild::new(number).request());
    let body = re_encode(&body, &mut random);
    if number.is_multiple_of(3) { body } else { damage(&body, b"\x0a\x03abc", &mut random) }
}

/// Panics when the engine does not do what the oracle expects.
pub fn check(body: &[u8]) {
    let expected = Oracle { now_ns: NOW_NS, future_max_ns: None }.judge(body);
    let request = decoders::request(Bytes::copy_from_slice(body), NOW_NS);
    let (request, expected, rejected) = match (request, expected) {
        (Err(_), Judgement::Refuse(_)) => return,
        (Ok(request), Judgement::Store { rows, rejected }) => (request, rows, rejected),
        (engine, expected) => panic!("the engine says {engine:?}, expected {expected:?}"),
    };
    let mut found: BTreeMap<&'static str, u64> = BTreeMap::new();
    for (_, reason) in request.rejected() {
        *found.entry(reason.word()).or_default() += 1;
    }
    assert_eq!(found, rejected);
    assert_eq!(request.accepted(), expected.len());
    if !expected.is_empty() {
        let spans = spans(&request);
        assert_eq!(crate::rows::of_batch(&spans), expected);
        // Dearer, and done for some only.
        match body.len() % 8 {
            0 => replayed(&request, &expected),
            1 => written_again(&spans, expected),
            _ => {}
        }
    }
}

fn spans(request: &Request) -> SpanBatch {
    request.spans().expect("a small request fits columns")
}

/// The log gives the same rows, whatever the rules are by then.
fn replayed(request: &Request, expected: &[Row]) {
    let logged = decoders::payload_bytes(NOW_NS, request.rejected(), request.body());
    let replayed = decoders::payload(logged).expect("what was logged is read");
    assert_eq!(replayed.rejected(), request.rejected());
    assert_eq!(crate::rows::of_batch(&spans(&replayed)), expected);
}

/// Spans that are exported are the same spans again, but for their marks.
fn written_again(spans_before: &SpanBatch, mut expected: Vec<Row>) {
    let mut again = Vec::new();
    for body in spans_to_requests(spans_before).expect("rows of a store can be written") {
        let request = decoders::request(body, NOW_NS).expect("what was written is a request");
        assert!(request.rejected().is_empty());
        again.extend(crate::rows::of_batch(&spans(&request)));
    }
    for row in expected.iter_mut().chain(&mut again) {
        row.marks = 0;
    }
    expected.sort();
    again.sort();
    assert_eq!(again, expected);
}
