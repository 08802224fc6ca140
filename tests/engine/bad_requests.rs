//! Bad inputs that concern a whole request: other signals, nesting, text that is not UTF-8, bytes
//! that are no protobuf, sizes.

use amida::{Error, Marks};
use amida_tests::corpus::{self, START_NS, plain_span};
use amida_tests::mutate::{nested_value, wrap};
use amida_tests::wire::put_varint;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;

use crate::common::{one_span, scratch};
use crate::rows;

/// A LogRecord has its own fields where a Span has ids: 11 is time, 1 is a fixed64 time.
#[test]
fn row_3_a_logs_request_is_refused_or_all_of_it_is_rejected() {
    let body = [wrap(1, b"hello"), vec![0x11], 1_u64.to_le_bytes().to_vec()].concat();
    let with_time = [vec![0x09], (START_NS as u64).to_le_bytes().to_vec(), wrap(5, &body)].concat();
    let without_time = [wrap(5, &wrap(1, b"hello")), wrap(3, b"INFO")].concat();
    let store = scratch();
    // A time where the trace id stands has another wire type: no trace request.
    let refused = store.append_otlp(wrap(1, &wrap(2, &wrap(2, &with_time))));
    assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
    let receipt = store.append_otlp(wrap(1, &wrap(2, &wrap(2, &without_time)))).unwrap();
    assert_eq!((receipt.accepted(), receipt.rejections()), (0, vec![("bad_trace_id", 1)]));
    assert_eq!(store.snapshot().span_count(), 0);
}

#[test]
fn row_11_values_nested_1_000_and_100_000_deep_are_replaced_and_marked() {
    for depth in [1_000, 100_000] {
        let store = scratch();
        assert_eq!(store.append_otlp(nested_value(depth)).unwrap().accepted(), 1);
        let row = rows::of_snapshot(&store.snapshot()).pop().unwrap();
        assert_eq!(row.attributes, format!("{{\"k\":{}null{}}}", "[".repeat(16), "]".repeat(16)));
        assert!(row.marks & Marks::TOO_DEEP.0 != 0);
        assert_eq!(store.append_otlp(one_span(1)).unwrap().accepted(), 1);
        store.flush().unwrap();
    }
}

#[test]
fn row_13_text_that_is_not_utf8_is_repaired_alone() {
    let mut body =
        corpus::body("service", vec![plain_span(9, 3, "bad"), plain_span(9, 4, "good")]).to_vec();
    let at = body.windows(3).position(|w| w == b"bad").unwrap();
    body[at..at + 3].copy_from_slice(&[b'b', 0xc3, 0x28]);
    let store = scratch();
    assert_eq!(store.append_otlp(body).unwrap().accepted(), 2);
    let rows = rows::of_snapshot(&store.snapshot());
    let repaired = rows.iter().find(|row| row.name == "b\u{fffd}(").unwrap();
    assert_eq!(repaired.marks, Marks::REPAIRED_TEXT.0);
    assert!(rows.iter().any(|row| row.name == "good" && row.marks == 0));
}

#[test]
fn row_17_what_is_not_protobuf_is_refused_whole_and_names_the_place() {
    let good = one_span(1);
    let mut claims_4_gib = good.to_vec();
    claims_4_gib.push(0x0a);
    put_varint(&mut claims_4_gib, u64::from(u32::MAX));
    let mut claims_all = good.to_vec();
    claims_all.push(0x0a);
    put_varint(&mut claims_all, u64::MAX);
    let endless = [good.to_vec(), vec![0x08; 1], vec![0xff; 11]].concat();
    let wrong_type = [good.to_vec(), vec![0x08, 1]].concat();
    let wire_type_7 = [good.to_vec(), vec![0x0f]].concat();
    let lone_end = [good.to_vec(), vec![0x0c]].concat();
    for body in [claims_4_gib, claims_all, endless, wrong_type, wire_type_7, lone_end] {
        let store = scratch();
        match store.append_otlp(body) {
            Err(Error::Invalid { what }) => assert!(what.contains("at byte"), "{what}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(store.snapshot().span_count(), 0);
        assert_eq!(store.append_otlp(good.clone()).unwrap().accepted(), 1);
    }
    let unknown = [good.to_vec(), wrap(1_000, b"new"), vec![0x98, 0x3f, 1]].concat();
    assert_eq!(scratch().append_otlp(unknown).unwrap().accepted(), 1);
}

#[test]
fn a_request_larger_than_16_mib_is_refused_and_one_without_spans_stores_nothing() {
    let store = scratch();
    let refused = store.append_otlp(wrap(1_000, &vec![0; 16 << 20]));
    assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
    // Nothing stored and nothing wrong: in protobuf, no bytes at all are an empty request.
    let no_spans = ExportTraceServiceRequest { resource_spans: vec![Default::default()] };
    for nothing in [bytes::Bytes::new(), corpus::encode(&no_spans)] {
        let receipt = store.append_otlp(nothing).unwrap();
        assert_eq!((receipt.accepted(), receipt.rejected()), (0, 0));
    }
    let most = (16 << 20) - one_span(1).len() - 8;
    let largest = [one_span(1).to_vec(), wrap(1_000, &vec![0; most])].concat();
    assert!(largest.len() <= 16 << 20);
    assert_eq!(store.append_otlp(largest).unwrap().accepted(), 1);
}
