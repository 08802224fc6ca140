use std::time::Duration;

use super::*;
use crate::model::ids::{SpanId, TraceId};
use crate::otlp::wire::{Fields, Value};

/// The length-delimited fields of this number in a message.
fn children(message: &[u8], number: u32) -> Vec<&[u8]> {
    let mut found = Vec::new();
    let mut fields = Fields::new(message, 0);
    while let Some((field, value)) = fields.next().unwrap() {
        if field == number {
            found.push(value.bytes());
        }
    }
    found
}

fn span(name: &str) -> SpanBuilder {
    let trace = TraceId::from_bytes(&[1; 16]).unwrap();
    SpanBuilder::new(trace, SpanId::from_bytes(&[2; 8]).unwrap(), name)
}

fn number(message: &[u8], number: u32) -> Option<u64> {
    let mut fields = Fields::new(message, 0);
    while let Some((field, value)) = fields.next().unwrap() {
        if field == number {
            return Some(match value {
                Value::Fixed64(value) => value,
                other => other.varint(),
            });
        }
    }
    None
}

#[test]
fn groups_stand_in_the_order_they_were_named_and_empty_ones_are_left_out() {
    let body = RequestBuilder::new(Resource::new("empty"))
        .resource(Resource::new("a"))
        .scope(InstrumentationScope::new("unused"))
        .scope(InstrumentationScope::new("one"))
        .spans([span("a1"), span("a2")])
        .scope(InstrumentationScope::new("two"))
        .span(span("a3"))
        .resource(Resource::new("b"))
        .span(span("b1"))
        .finish();
    let groups = children(&body, 1);
    let shape: Vec<Vec<usize>> = groups
        .iter()
        .map(|g| children(g, 2).iter().map(|s| children(s, 2).len()).collect())
        .collect();
    assert_eq!(shape, [vec![2, 1], vec![1]]);
    let last = children(groups[1], 2)[0];
    assert!(children(last, 1).is_empty(), "a new resource starts without a scope");
    assert_eq!(children(children(last, 2)[0], 5), [b"b1"]);
}

#[test]
fn a_request_without_spans_is_empty() {
    let builder = RequestBuilder::new(Resource::new("a")).scope(InstrumentationScope::new("s"));
    assert_eq!(builder.span_count(), 0);
    assert!(builder.finish().is_empty());
}

#[test]
fn the_estimate_is_never_smaller_than_the_request() {
    let mut builder = RequestBuilder::new(Resource::new("a").attribute("k", "v"));
    for round in 0..300 {
        builder = builder.scope(InstrumentationScope::new("s")).span(span(&"n".repeat(round)));
        let estimate = builder.encoded_len();
        let exact = builder.clone().finish().len();
        // Each scope that was closed wrote its own length, so only the open one is estimated.
        assert!(estimate >= exact && estimate < exact + 64, "{estimate} {exact}");
    }
}

#[test]
fn a_duration_counts_from_the_start_in_either_order() {
    let took = Duration::from_nanos(5);
    for built in [span("x").start_ns(10).duration(took), span("x").duration(took).start_ns(10)] {
        let fields = built.into_fields();
        assert_eq!((number(&fields, 7), number(&fields, 8)), (Some(10), Some(15)));
    }
}

#[test]
fn values_keep_their_types() {
    let value = AttributeValue::Map(vec![
        ("s".into(), "t".into()),
        ("b".into(), true.into()),
        ("i".into(), (-1).into()),
        ("d".into(), 0.5.into()),
        ("y".into(), AttributeValue::from(&[0u8, 255][..])),
        ("a".into(), AttributeValue::Array(vec![1.into(), AttributeValue::Empty])),
    ]);
    let resource = Resource::default().attribute("m", value);
    let body = RequestBuilder::new(resource).span(span("x")).finish();
    let walked = crate::otlp::walk::walk(
        body.clone(),
        1,
        crate::otlp::walk::Verdict::Judge { start_max_ns: None },
    );
    assert!(walked.is_ok());
    let key_value = children(children(children(&body, 1)[0], 1)[0], 1)[0];
    let map = children(children(key_value, 2)[0], 6)[0];
    let fields: Vec<u32> = children(map, 1)
        .iter()
        .map(|entry| {
            let value = children(entry, 2)[0];
            Fields::new(value, 0).next().unwrap().unwrap().0
        })
        .collect();
    assert_eq!(fields, [1, 2, 3, 4, 7, 5]);
}
