use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringViewArray};

use super::*;
use crate::model::hot::HotRequest;
use crate::otlp::build::{
    AttributeValue, EventBuilder, LinkBuilder, RequestBuilder, Resource, SpanBuilder,
};
use crate::otlp::json::json_to_requests;
use crate::otlp::resolve::resolve;
use crate::otlp::walk::{Verdict, walk};

fn stored(requests: &[Bytes]) -> SpanBatch {
    let judge = Verdict::Judge { start_max_ns: None };
    let walked: Vec<HotRequest> = requests
        .iter()
        .map(|body| {
            let walked = walk(body.clone(), 1, judge).unwrap();
            assert!(walked.rejected.is_empty());
            walked.request
        })
        .collect();
    resolve(&walked).unwrap().batch
}

fn span(number: u64) -> SpanBuilder {
    let id = format!("{number:016x}").parse().unwrap();
    SpanBuilder::new("4bf92f3577b34da6a3ce929d0e0e4736".parse().unwrap(), id, "n")
        .start_ns(5)
        .end_ns(3)
}

/// A batch with one column of another text in every row.
fn with(batch: &SpanBatch, column: usize, text: &str) -> SpanBatch {
    let mut columns = batch.record_batch().columns().to_vec();
    let texts: ArrayRef = Arc::new(StringViewArray::from(vec![text; batch.len()]));
    columns[column] = texts;
    let batch = RecordBatch::try_new(batch.record_batch().schema(), columns).unwrap();
    SpanBatch::try_new(batch).unwrap()
}

#[test]
fn every_type_of_value_comes_back_and_keys_that_look_like_spellings_too() {
    let map = |entries: &[(&str, AttributeValue)]| {
        let entries = entries.iter().map(|(key, value)| ((*key).to_owned(), value.clone()));
        AttributeValue::Map(entries.collect())
    };
    let bytes = AttributeValue::Bytes(vec![0, 255, 7]);
    let values = [
        "text \" \\ \n \u{1b}".into(),
        AttributeValue::Int(i64::MIN),
        1.0.into(),
        AttributeValue::Double(-0.0),
        AttributeValue::Double(1e300),
        AttributeValue::Double(f64::NAN),
        AttributeValue::Double(f64::NEG_INFINITY),
        true.into(),
        bytes.clone(),
        AttributeValue::Empty,
        AttributeValue::Array(vec![AttributeValue::Empty, bytes.clone(), map(&[])]),
        map(&[("$bytes", "AA==".into())]),
        map(&[("$bytes", bytes.clone())]),
        map(&[("$map", map(&[("$double", 1.into())]))]),
        map(&[("$map", map(&[("$double", "NaN".into())])), ("k", 1.into())]),
        map(&[("$other", AttributeValue::Double(f64::INFINITY))]),
    ];
    let mut one = span(1).attribute("$double", "NaN");
    for (at, value) in values.iter().enumerate() {
        one = one.attribute(&format!("k{at}"), value.clone());
    }
    let all = AttributeValue::Array(values.to_vec());
    let link = LinkBuilder::new("ff".repeat(16).parse().unwrap(), "ab".repeat(8).parse().unwrap());
    let one = one
        .event(EventBuilder::new("e", i64::MAX).attribute("all", all.clone()))
        .link(link.attribute("all", all))
        .error("why");
    let body = RequestBuilder::new(Resource::default()).span(one).finish();
    let rows = stored(&[body]);
    let again = stored(&spans_to_requests(&rows).unwrap());
    assert_eq!(rows.record_batch(), again.record_batch());
    let lines = spans_to_json(&rows).unwrap();
    assert!(lines.iter().all(|line| !line.contains('\n')));
    let again = stored(&json_to_requests(lines[0].as_bytes()).unwrap());
    assert_eq!(rows.record_batch(), again.record_batch());
}

#[test]
fn spans_of_one_resource_and_scope_stand_together() {
    let mut request = RequestBuilder::new(Resource::new("a"));
    for number in 1..=6 {
        let service = if number % 2 == 0 { "a" } else { "b" };
        request = request.resource(Resource::new(service)).span(span(number));
    }
    let rows = stored(&[request.finish()]);
    let lines = spans_to_json(&rows).unwrap();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].matches("\"resource\":").count(), 2);
    assert_eq!(lines[0].matches("\"spanId\":").count(), 6);
}

#[test]
fn requests_are_bounded_and_a_giant_span_stands_alone() {
    let text = "x".repeat(60_000);
    // Negative integers take 13 bytes in protobuf, 18 in JSON and 3 in attribute text.
    let many = vec![-1_i64; 10_000];
    let mut request = RequestBuilder::new(Resource::new("a"));
    for number in 1..=60 {
        let mut one = span(number).attribute("many", many.clone());
        if number == 10 {
            for n in 0..80 {
                one = one.attribute(&n.to_string(), text.as_str());
            }
        }
        request = request.span(one);
    }
    let rows = stored(&[request.finish()]);
    let requests = spans_to_requests(&rows).unwrap();
    let large: Vec<usize> = requests.iter().map(Bytes::len).filter(|len| *len > 4 << 20).collect();
    assert_eq!(large.len(), 1, "{large:?}");
    assert_eq!(stored(&requests).record_batch(), rows.record_batch());
    let lines = spans_to_json(&rows).unwrap();
    assert_eq!(lines.iter().filter(|line| line.len() > 1 << 20).count(), 1);
}

#[test]
fn columns_that_no_store_wrote_are_refused_by_name() {
    let rows = stored(&[RequestBuilder::new(Resource::new("a")).span(span(1)).finish()]);
    for (column, text, words) in [
        (col::ATTRIBUTES, "", "attributes: EOF"),
        (col::ATTRIBUTES, "[1]", "attributes: not an object"),
        (col::ATTRIBUTES, r#"{"k":18446744073709551615}"#, "attributes: an integer"),
        (col::ATTRIBUTES, r#"{"k":{"$bytes":"*"}}"#, "attributes: $bytes"),
        (col::ATTRIBUTES, r#"{"k":{"$double":"one"}}"#, "attributes: $double"),
        (col::EVENTS, "{}", "events: "),
        (col::LINKS, r#"[{"trace_id":"xy","span_id":""}]"#, "links: \"xy\" is no id"),
        (col::RESOURCE_ATTRIBUTES, "null", "resource_attributes: "),
        (col::KIND, "server", "kind: \"server\" is none of UNSPECIFIED, "),
        (col::STATUS_CODE, "", "status_code: \"\" is none of"),
    ] {
        let error = spans_to_requests(&with(&rows, column, text)).unwrap_err().to_string();
        assert!(error.contains("row 0 ") && error.contains(words), "{text}: {error}");
    }
    let deep = format!("{{\"k\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    assert!(spans_to_requests(&with(&rows, col::ATTRIBUTES, &deep)).is_err());
}

#[test]
fn a_service_that_only_its_column_names_is_kept() {
    let rows = stored(&[RequestBuilder::new(Resource::default()).span(span(1)).finish()]);
    let named = with(&rows, col::SERVICE_NAME, "shop");
    let again = stored(&spans_to_requests(&named).unwrap());
    assert_eq!(again.span(0).unwrap().service_name(), "shop");
}
