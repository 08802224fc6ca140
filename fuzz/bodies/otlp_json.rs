//! OTLP/JSON: what is taken is JSON and gives requests that prost takes, whose spans written as
//! JSON are the same spans again; a stream gives what its documents do, in whatever pieces it
//! comes.

use std::io::Read;

use amida::{JsonRequests, SpanBatch, decoders, json_to_requests, spans_to_json};
use amida_tests::corpus::{self, Corpus};
use amida_tests::input::random_bytes;
use amida_tests::mutate::damage;
use amida_tests::oracle::{Row, prost_accepts};
use amida_tests::wild::Wild;
use bytes::Bytes;
use fastrand::Rng;
use serde_json::value::RawValue;

const NOW_NS: i64 = 1_767_323_105_000_000_000;

/// A span with a field of each kind.
const SPAN: &str = r#"{"resourceSpans":[{"resource":{"attributes":[
{"key":"service.name","value":{"stringValue":"s"}}]},"scopeSpans":[{"scope":{"name":"n",
"version":"1"},"spans":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"7uGbfsPBsXQ=",
"parent_span_id":"","name":"a\u00e9\ud83d\ude00","kind":"SPAN_KIND_SERVER","attributes":[
{"key":"k","value":{"intValue":"-3"}},{"key":"d","value":{"doubleValue":"NaN"}},
{"key":"l","value":{"arrayValue":{"values":[{"boolValue":true},{"bytesValue":"AQI="},
{"kvlistValue":{"values":[{"key":"x","value":{"doubleValue":1e3}}]}}]}}}],
"startTimeUnixNano":"5","endTimeUnixNano":9,"status":{"code":2,"message":"m"},"flags":257,
"events":[{"timeUnixNano":"7","name":"e","droppedAttributesCount":1}],
"links":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"}]}]}]}]}"#;

/// An input that reaches the decoder.
pub fn seed(number: u64) -> Vec<u8> {
    let mut random = Rng::with_seed(number);
    let document = match number % 4 {
        0 => SPAN.as_bytes().to_vec(),
        1 => document(&corpus::encode(&Wild::new(number).request())),
        2 => document(&corpus::encode(&Corpus::new(number).request(2))),
        _ => random_bytes(&mut random, 60),
    };
    let document = match number {
        0..4 => document,
        _ => damage(&document, br#"{"stringValue":[null],"x":"\u0000"}"#, &mut random),
    };
    // The first byte chooses how it is read: mostly as one document.
    [&[number as u8 % 32][..], &document].concat()
}

fn document(body: &[u8]) -> Vec<u8> {
    let request = decoders::request(Bytes::copy_from_slice(body), NOW_NS).expect("a request");
    let spans = request.spans().expect("a small request fits columns");
    spans_to_json(&spans).expect("rows can be written").join("\n").into_bytes()
}

/// Panics when the engine does not do what it must.
pub fn check(data: &[u8]) {
    let Some((mode, text)) = data.split_first() else { return };
    if mode % 32 == 31 {
        stream(text, usize::from(mode / 32) + 1);
    } else if let Ok(requests) = decoders::json_document(text) {
        let lossy = String::from_utf8_lossy(text);
        let json: Result<&RawValue, _> = serde_json::from_str(&lossy);
        assert!(json.is_ok(), "what is no JSON was taken");
        // Dearer than all the rest, and done for some only.
        let written_again = text.len().is_multiple_of(4);
        requests.into_iter().for_each(|body| again(body, written_again));
    }
}

/// A request that JSON gave.
fn again(body: Bytes, written_again: bool) {
    assert!(prost_accepts(&body), "prost refuses the request");
    let request = decoders::request(body, NOW_NS).expect("JSON gives requests");
    if request.accepted() == 0 || !written_again {
        return;
    }
    let spans = request.spans().expect("a small request fits columns");
    let mut rows = Vec::new();
    for text in spans_to_json(&spans).expect("rows of a store can be written") {
        for body in decoders::json_document(text.as_bytes()).expect("what was written is read") {
            let request = decoders::request(body, NOW_NS).expect("JSON gives requests");
            assert!(request.rejected().is_empty());
            rows.extend(without_marks(&request.spans().expect("a small request")));
        }
    }
    rows.sort();
    let mut expected = without_marks(&spans);
    expected.sort();
    assert_eq!(rows, expected);
}

fn without_marks(spans: &SpanBatch) -> Vec<Row> {
    let rows = crate::rows::of_batch(spans).into_iter();
    rows.map(|row| Row { marks: 0, ..row }).collect()
}

/// Documents after each other, read whole and in pieces.
fn stream(text: &[u8], piece: usize) {
    let whole: Vec<_> = JsonRequests::new(text).collect();
    let pieces: Vec<_> = JsonRequests::new(Pieces(text, piece)).collect();
    assert_eq!(format!("{whole:?}"), format!("{pieces:?}"));
    let flat: Result<Vec<Vec<Bytes>>, _> = whole.into_iter().collect();
    match (json_to_requests(text), flat) {
        (Ok(all), Ok(flat)) => assert_eq!(all, flat.concat()),
        (Err(one), Err(other)) => assert_eq!(one.to_string(), other.to_string()),
        (one, other) => panic!("{one:?}, but {other:?}"),
    }
}

/// A reader that gives few bytes at a time.
struct Pieces<'a>(&'a [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = self.1.min(buffer.len());
        self.0.read(&mut buffer[..len])
    }
}
