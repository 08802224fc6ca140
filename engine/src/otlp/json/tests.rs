//! The quirks of senders, one by one. That whole real files read the same as by other readers is
//! checked in the integration tests.

use super::*;
use crate::model::batch::SpanBatch;
use crate::model::hot::HotRequest;
use crate::otlp::resolve::resolve;
use crate::otlp::walk::{Verdict, walk};

const IDS: &str = r#""traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174""#;

/// A document with one resource, one scope and these spans.
fn document(spans: &str) -> String {
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{spans}]}}]}}]}}"#)
}

/// A document with one span that has these members beside its ids.
fn one(members: &str) -> String {
    document(&format!("{{{IDS},{members}}}"))
}

struct Stored {
    spans: SpanBatch,
    rejected: Vec<&'static str>,
}

/// What the store makes of a text.
fn stored(text: &str) -> Stored {
    let mut requests: Vec<HotRequest> = Vec::new();
    let mut rejected = Vec::new();
    for body in json_to_requests(text.as_bytes()).expect(text) {
        let walked = walk(body, 1, Verdict::Judge { start_max_ns: None }).unwrap();
        rejected.extend(walked.rejected.iter().map(|(_, reason)| reason.word()));
        requests.push(walked.request);
    }
    Stored { spans: resolve(&requests).unwrap().batch, rejected }
}

fn error(text: &str) -> String {
    json_to_requests(text.as_bytes()).expect_err(text).to_string()
}

fn attribute(value: &str) -> String {
    let text = one(&format!(r#""attributes":[{{"key":"k","value":{value}}}]"#));
    stored(&text).spans.span(0).unwrap().attributes().to_owned()
}

#[test]
fn names_may_be_snake_case_or_camel_case() {
    let camel = stored(&one(r#""startTimeUnixNano":"5","endTimeUnixNano":"9","name":"a""#));
    let snake = r#"{"resource_spans":[{"scope_spans":[{"spans":[{
        "trace_id":"5b8efff798038103d269b633813fc60c","span_id":"eee19b7ec3c1b174",
        "start_time_unix_nano":5,"end_time_unix_nano":9,"name":"a"}]}]}]}"#;
    let snake = stored(snake);
    assert_eq!(camel.spans.record_batch(), snake.spans.record_batch());
    assert_eq!(camel.spans.span(0).unwrap().duration_ns(), 4);
}

#[test]
fn ids_are_hex_of_either_case_or_base64_by_length() {
    for (trace, span) in [
        ("5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"),
        ("5B8EFFF798038103D269B633813FC60C", "EEE19B7EC3C1B174"),
        ("W47/95gDgQPSabYzgT/GDA==", "7uGbfsPBsXQ="),
        ("W47_95gDgQPSabYzgT_GDA==", "7uGbfsPBsXQ="),
    ] {
        let text = document(&format!(r#"{{"traceId":"{trace}","spanId":"{span}"}}"#));
        let stored = stored(&text);
        let read = stored.spans.span(0).expect(trace);
        assert_eq!(read.trace_id().to_string(), "5b8efff798038103d269b633813fc60c");
        assert_eq!(read.span_id().to_string(), "eee19b7ec3c1b174");
    }
}

#[test]
fn text_that_is_no_id_costs_that_span_only_and_never_becomes_an_id() {
    let good = format!("{{{IDS}}}");
    for trace in [
        "",
        "not hexadecimal!",                 // as many bytes as an id
        "5b8efff798038103",                 // 64 bits
        "5b8efff798038103d269b633",         // as long as base64
        "5b8efff798038103d269b633813fc60g", // as long as hex
        "00000000000000000000000000000000",
        "5b8efff798038103d269b633813fc60c00",
    ] {
        let bad = format!(r#"{{"traceId":"{trace}","spanId":"eee19b7ec3c1b174"}}"#);
        let stored = stored(&document(&format!("{bad},{good}")));
        assert_eq!(
            (stored.spans.len(), &stored.rejected[..]),
            (1, &["bad_trace_id"][..]),
            "{trace}"
        );
    }
    for span in ["", "8 bytes!", "eee19b7ec3c1b1", "eee19b7ec3c1", "AAAAAAAAAAA=", "zz"] {
        let bad = format!(r#"{{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"{span}"}}"#);
        let stored = stored(&document(&format!("{good},{bad}")));
        assert_eq!((stored.spans.len(), &stored.rejected[..]), (1, &["bad_span_id"][..]), "{span}");
    }
}

#[test]
fn a_parent_that_is_no_id_is_marked_and_an_empty_or_zero_one_is_none() {
    use crate::model::schema::Marks;
    for (parent, marked) in
        [("8 bytes!", true), ("", false), ("0000000000000000", false), ("AAAAAAAAAAA=", false)]
    {
        let stored = stored(&one(&format!(r#""parentSpanId":"{parent}""#)));
        let span = stored.spans.span(0).unwrap();
        assert_eq!(span.parent_span_id(), None, "{parent}");
        assert_eq!(span.marks().contains(Marks::BAD_PARENT), marked, "{parent}");
    }
}

#[test]
fn whole_numbers_come_as_text_or_number() {
    for (value, read) in [
        (r#"{"intValue":"-7"}"#, r#"{"k":-7}"#),
        (r#"{"intValue":-7}"#, r#"{"k":-7}"#),
        (r#"{"intValue":7.0}"#, r#"{"k":7}"#),
        (r#"{"intValue":"1e3"}"#, r#"{"k":1000}"#),
        (r#"{"intValue":"9223372036854775807"}"#, r#"{"k":9223372036854775807}"#),
        (r#"{"intValue":-9223372036854775808}"#, r#"{"k":-9223372036854775808}"#),
    ] {
        assert_eq!(attribute(value), read, "{value}");
    }
    assert!(
        error(&one(r#""attributes":[{"key":"k","value":{"intValue":"x"}}]"#)).contains("integer")
    );
    let wide = one(r#""attributes":[{"key":"k","value":{"intValue":"9223372036854775808"}}]"#);
    assert!(error(&wide).contains("64-bit integer"));
}

#[test]
fn times_that_do_not_fit_cost_that_span_only() {
    for time in ["-1", "\"-1\"", "18446744073709551615", "\"99999999999999999999999\"", "9.5e18"] {
        let stored = stored(&one(&format!(r#""startTimeUnixNano":{time}"#)));
        assert_eq!(stored.rejected, ["time_out_of_range"], "{time}");
    }
    assert!(error(&one(r#""startTimeUnixNano":"2024-01-12T10:00:00Z""#)).contains("nanoseconds"));
}

#[test]
fn doubles_keep_their_type_and_may_be_words() {
    for (value, read) in [
        (r#"{"doubleValue":1}"#, r#"{"k":1.0}"#),
        (r#"{"doubleValue":"2.5"}"#, r#"{"k":2.5}"#),
        (r#"{"doubleValue":-0.0}"#, r#"{"k":-0.0}"#),
        (r#"{"doubleValue":"NaN"}"#, r#"{"k":{"$double":"NaN"}}"#),
        (r#"{"doubleValue":"Infinity"}"#, r#"{"k":{"$double":"Infinity"}}"#),
        (r#"{"doubleValue":"-Infinity"}"#, r#"{"k":{"$double":"-Infinity"}}"#),
    ] {
        assert_eq!(attribute(value), read, "{value}");
    }
}

#[test]
fn values_of_every_type_arrive() {
    for (value, read) in [
        (r#"{"stringValue":"a\n\u00e9"}"#, "{\"k\":\"a\\n\u{e9}\"}"),
        (r#"{"stringValue":""}"#, r#"{"k":""}"#),
        (r#"{"boolValue":false}"#, r#"{"k":false}"#),
        (r#"{"bytesValue":"AP+A"}"#, r#"{"k":{"$bytes":"AP+A"}}"#),
        (r#"{"bytesValue":"AP-A"}"#, r#"{"k":{"$bytes":"AP+A"}}"#),
        (r#"{"bytesValue":"AA"}"#, r#"{"k":{"$bytes":"AA=="}}"#),
        (r#"{"arrayValue":{"values":[{"intValue":1},null,{}]}}"#, r#"{"k":[1,null,null]}"#),
        (r#"{"arrayValue":{}}"#, r#"{"k":[]}"#),
        (
            r#"{"kvlistValue":{"values":[{"key":"a","value":{"boolValue":true}}]}}"#,
            r#"{"k":{"a":true}}"#,
        ),
        ("{}", r#"{"k":null}"#),
        ("null", r#"{"k":null}"#),
        (r#"{"stringValue":null,"futureValue":[{}]}"#, r#"{"k":null}"#),
        (r#"{"string_value":"s"}"#, r#"{"k":"s"}"#),
    ] {
        assert_eq!(attribute(value), read, "{value}");
    }
}

#[test]
fn enums_are_numbers_or_words() {
    for kind in ["3", "\"3\"", "\"SPAN_KIND_CLIENT\"", "\"CLIENT\"", "3.0"] {
        let stored = stored(&one(&format!(r#""kind":{kind}"#)));
        assert_eq!(stored.spans.span(0).unwrap().kind(), "CLIENT", "{kind}");
    }
    for code in ["2", "\"STATUS_CODE_ERROR\"", "\"Error\""] {
        let stored = stored(&one(&format!(r#""status":{{"code":{code},"message":"m"}}"#)));
        let span = stored.spans.span(0).unwrap();
        assert_eq!((span.status_code(), span.status_message()), ("ERROR", "m"), "{code}");
    }
    let unknown = stored(&one(r#""kind":"SPAN_KIND_NEW","status":{"code":-1}"#));
    let span = unknown.spans.span(0).unwrap();
    assert_eq!((span.kind(), span.status_code()), ("UNSPECIFIED", "UNSET"));
}

#[test]
fn null_is_absent_and_unknown_fields_are_ignored() {
    let text = r#"{"extra":{"deep":[1,{"x":null}]},"resourceSpans":[null,{"resource":null,
        "schemaUrl":null,"scopeSpans":[null,{"scope":null,"spans":[{"traceId":
        "5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","parentSpanId":null,
        "traceState":null,"flags":null,"name":null,"kind":null,"startTimeUnixNano":null,
        "endTimeUnixNano":null,"attributes":null,"events":null,"links":[null],"status":null,
        "droppedLinksCount":null,"deprecatedTags":[1,2]}]}]},{"scopeSpans":null}]}"#;
    let stored = stored(text);
    assert_eq!(stored.spans.len(), 1);
    assert_eq!(stored.spans.span(0).unwrap().attributes(), "{}");
}

#[test]
fn scopes_under_their_old_name_are_read() {
    let text = r#"{"resourceSpans":[{"instrumentationLibrarySpans":[{
        "instrumentationLibrary":{"name":"old"},"spans":[{"traceId":
        "5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"}]}]}]}"#;
    assert_eq!(stored(text).spans.span(0).unwrap().scope_name(), "old");
}

#[test]
fn documents_follow_each_other_with_or_without_lines() {
    let first = one(r#""name":"a""#);
    let second = one(r#""name":"b}\"{""#);
    for text in [
        format!("{first}\n{second}\n"),
        format!("{first}{second}"),
        format!("\u{feff}{first}\r\n\r\n  {second}  "),
        format!("{{\"result\":{first}}}\n{{\"result\": {second}}}"),
    ] {
        let requests = json_to_requests(text.as_bytes()).unwrap();
        assert_eq!(requests.len(), 2, "{text}");
    }
}

/// Gives a few bytes at a time.
struct Drip<'a>(&'a [u8], usize);
impl Read for Drip<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.1.min(self.0.len()).min(buf.len());
        buf[..n].copy_from_slice(&self.0[..n]);
        self.0 = &self.0[n..];
        Ok(n)
    }
}

#[test]
fn documents_are_found_across_every_cut_of_the_reader() {
    let text = format!("\u{feff} {}\n{}", one(r#""name":"a\"}\\""#), one(r#""name":"b""#));
    let whole = json_to_requests(text.as_bytes()).unwrap();
    for step in [1, 2, 3, 7, 64] {
        let dripped: Result<Vec<_>> = JsonRequests::new(Drip(text.as_bytes(), step)).collect();
        assert_eq!(dripped.unwrap().concat(), whole, "{step}");
    }
}

#[test]
fn what_came_before_a_bad_document_stands_and_the_error_says_where() {
    let text =
        format!("{}\n\n  {{\"resourceSpans\":[{{\"scopeSpans\":7}}]}}\n", one(r#""name":"a""#));
    let mut requests = JsonRequests::new(text.as_bytes());
    assert_eq!(requests.next().unwrap().unwrap().len(), 1);
    let error = requests.next().unwrap().unwrap_err().to_string();
    assert!(error.starts_with("line 3 column "), "{error}");
    assert!(error.contains("expected a list"), "{error}");
    assert!(requests.next().is_none());
}

#[test]
fn an_unfinished_document_is_an_error_at_its_end() {
    let text = one(r#""name":"a""#);
    let error = error(&text[..text.len() - 3]);
    assert!(error.contains("EOF"), "{error}");
    assert!(self::error(&format!("{text}x")).contains("expected a JSON object, found 'x'"));
    assert!(self::error("  \n").contains("the input is empty"));
    assert!(self::error("{]").starts_with("line 1 column"));
}

#[test]
fn what_is_not_otlp_is_named() {
    for (text, name) in [
        (r#"{"data":[{"traceID":"a","spans":[],"processes":{}}],"total":0}"#, "Jaeger JSON"),
        (r#"{"data":[{"spans":[],"traceID":"a"}]}"#, "Jaeger JSON"),
        (r#"[{"traceId":"a","id":"b","timestamp":1}]"#, "Zipkin JSON"),
        (r#"[{"Name":"x","SpanContext":{"TraceID":"a"}}]"#, "stdouttrace"),
        (r#"{"Name":"x","SpanContext":{}}{"Name":"y"}"#, "stdouttrace"),
        (r#"{"resourceLogs":[]}"#, "OTLP logs"),
        (r#"{"resourceMetrics":[]}"#, "OTLP metrics"),
        (r#"{"batches":[]}"#, "Tempo"),
        ("{}", "an empty object"),
        ("[]", "an empty list"),
        (r#"{"result":{"a":1}}"#, "\"result\""),
        (r#"{"a":1,"b":2}"#, r#"with "a", "b""#),
        ("7", "expected a JSON object"),
    ] {
        let error = error(text);
        assert!(error.contains(name) && error.contains("line 1 column 1"), "{text}: {error}");
    }
}

#[test]
fn a_document_without_spans_is_no_request() {
    for text in [r#"{"resourceSpans":[]}"#, r#"{"resourceSpans":null}"#, &document("")] {
        assert_eq!(json_to_requests(text.as_bytes()).unwrap().len(), 0, "{text}");
    }
}

#[test]
fn nesting_is_bounded() {
    let deep = |depth: usize| {
        let open = r#"{"arrayValue":{"values":["#.repeat(depth);
        one(&format!(r#""attributes":[{{"key":"k","value":{open}{{}}{}}}]"#, "]}}".repeat(depth)))
    };
    assert_eq!(json_to_requests(deep(30).as_bytes()).unwrap().len(), 1);
    assert!(error(&deep(10_000)).contains("nested too deeply"));
    // What is ignored takes no stack, however deep it is.
    let ignored =
        format!(r#"{{"x":{}{},"resourceSpans":[]}}"#, "[".repeat(9_999), "]".repeat(9_999));
    assert_eq!(json_to_requests(ignored.as_bytes()).unwrap().len(), 0);
    assert!(error(&ignored[..9_000]).contains("EOF"));
}

#[test]
fn a_large_document_becomes_several_requests_with_their_resource_and_scope() {
    let name = "n".repeat(1 << 16);
    let span = format!(r#"{{{IDS},"name":"{name}"}}"#);
    let spans = vec![span; 200].join(",");
    let text = format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name",
        "value":{{"stringValue":"big"}}}}]}},"scopeSpans":[{{"scope":{{"name":"s"}},
        "spans":[{spans}]}}]}}]}}"#
    );
    let requests = json_to_requests(text.as_bytes()).unwrap();
    assert_eq!(requests.len(), 4);
    assert!(requests.iter().all(|request| request.len() <= REQUEST_BYTES));
    let stored = stored(&text);
    assert_eq!(stored.spans.len(), 200);
    assert!(stored.spans.spans().all(|s| s.service_name() == "big" && s.scope_name() == "s"));
}

#[test]
fn a_document_beyond_the_limit_is_refused_without_holding_it() {
    let text = format!("{{\"a\":\"{}", "x".repeat(3 << 20));
    let mut documents = Documents::new(std::io::Cursor::new(text.into_bytes()), 1 << 20);
    let error = documents.next().unwrap_err().to_string();
    assert!(error.contains("more than 1 MiB"), "{error}");
    // Exactly: a byte more is too many, also where the end is in sight.
    let text = format!("{{\"a\":\"{}\"}}", "x".repeat(3 << 20));
    for (bytes_max, taken) in [(text.len(), true), (text.len() - 1, false)] {
        let mut documents = Documents::new(text.as_bytes(), bytes_max);
        assert_eq!(documents.next().is_ok(), taken, "{bytes_max}");
    }
}

#[test]
fn no_bytes_make_it_panic() {
    let text = one(r#""name":"a\"","attributes":[{"key":"k","value":{"doubleValue":1.5}}]"#);
    for cut in 0..text.len() {
        drop(json_to_requests(&text.as_bytes()[..cut]));
        for byte in [0, b'"', b'{', b']', b'\\', b'9', 0xff] {
            let mut bytes = text.clone().into_bytes();
            bytes[cut] = byte;
            drop(json_to_requests(&bytes));
        }
    }
}

#[test]
fn schema_urls_and_dropped_counts_arrive() {
    use crate::model::schema::col;
    let text = format!(
        r#"{{"resourceSpans":[{{"schemaUrl":"r","scopeSpans":[{{"schema_url":"s",
        "spans":[{{{IDS},"droppedEventsCount":3,"flags":257}}]}}]}}]}}"#
    );
    let stored = stored(&text);
    assert_eq!(stored.spans.text(col::RESOURCE_SCHEMA_URL).value(0), "r");
    assert_eq!(stored.spans.text(col::SCOPE_SCHEMA_URL).value(0), "s");
    assert_eq!(stored.spans.span(0).unwrap().flags(), 257);
}

/// Found by fuzzing: a second mark was an error or white space by where the buffer happened to end.
#[test]
fn byte_order_marks_are_white_space_in_whatever_pieces_the_input_comes() {
    let text = format!("\u{feff}\u{feff}\n\u{feff} {}\n\u{feff}\u{feff}", one(r#""name":"n""#));
    for piece in [1, 2, 3, 5, 1_000] {
        let found: Result<Vec<_>> = JsonRequests::new(Drip(text.as_bytes(), piece)).collect();
        assert_eq!(found.unwrap(), [json_to_requests(text.as_bytes()).unwrap()], "{piece}");
    }
}
