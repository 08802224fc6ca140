use serde_json::{Value, json};

use super::*;
use crate::import::testing::{Imported, import, import_bytes};

/// A trace with one process, in an answer.
fn answer(spans: &Value) -> String {
    let processes = json!({"p1": {"serviceName": "shop", "tags": [
        {"key": "hostname", "type": "string", "value": "h1"},
        {"key": "pid", "type": "int64", "value": 7}]}});
    json!({"data": [{"traceID": "a1", "spans": spans, "processes": processes}], "total": 0,
           "limit": 0, "offset": 0, "errors": null})
    .to_string()
}

/// A span with these fields beside the usual ones.
fn span(more: &Value) -> Value {
    let mut span = json!({"traceID": "a1", "spanID": "b1", "operationName": "GET /", "flags": 1,
        "references": [], "startTime": 1_700_000_000_000_000_i64, "duration": 25,
        "tags": [], "logs": [], "processID": "p1", "warnings": null});
    let fields = span.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    span
}

/// The span with these fields, imported.
fn one(more: &Value) -> Value {
    import(read, &answer(&json!([span(more)]))).spans.remove(0)
}

fn reference(ref_type: &str, trace: &str, span: &str) -> Value {
    json!({"refType": ref_type, "traceID": trace, "spanID": span})
}

#[test]
fn a_span_keeps_its_ids_times_process_and_flags() {
    let span = one(&json!({}));
    assert_eq!(span["trace"], format!("{:0>32}", "a1"));
    assert_eq!(span["id"], format!("{:0>16}", "b1"));
    assert_eq!((&span["name"], &span["service"]), (&json!("GET /"), &json!("shop")));
    assert_eq!(span["start"], json!(1_700_000_000_000_000_000_i64));
    assert_eq!((&span["duration"], &span["flags"]), (&json!(25_000), &json!(1)));
    assert_eq!((&span["kind"], &span["status"]), (&json!("UNSPECIFIED"), &json!("UNSET")));
    assert_eq!(span["resource"], json!({"service.name": "shop", "hostname": "h1", "pid": 7}));
    assert_eq!((&span["parent"], &span["attributes"]), (&Value::Null, &json!({})));
}

#[test]
fn tags_stay_typed_attributes_and_say_kind_status_and_scope() {
    let tag =
        |key: &str, kind: &str, value: Value| json!({"key": key, "type": kind, "value": value});
    let span = one(&json!({"tags": [
        tag("span.kind", "string", json!("server")),
        tag("error", "bool", json!(true)),
        tag("otel.status_description", "string", json!("no such cart")),
        tag("otel.library.name", "string", json!("lib")),
        tag("http.status_code", "int64", json!("404")),
        tag("ratio", "float64", json!(1)),
        tag("blob", "binary", json!("AQID")),
    ]}));
    assert_eq!((&span["kind"], &span["scope"]), (&json!("SERVER"), &json!("lib")));
    assert_eq!((&span["status"], &span["message"]), (&json!("ERROR"), &json!("no such cart")));
    let expected = json!({"span.kind": "server", "error": true, "otel.library.name": "lib",
        "otel.status_description": "no such cart", "http.status_code": 404, "ratio": 1.0,
        "blob": {"$bytes": "AQID"}});
    assert_eq!(span["attributes"], expected);
}

#[test]
fn only_a_true_error_tag_or_a_status_code_is_an_error() {
    for (key, value, status) in [
        ("error", json!(true), "ERROR"),
        ("error", json!("true"), "ERROR"),
        ("error", json!(false), "UNSET"),
        ("error", json!("ClientSideError"), "UNSET"),
        ("otel.status_code", json!("ERROR"), "ERROR"),
        ("otel.status_code", json!("OK"), "OK"),
        ("otel.status_code", json!("UNSET"), "UNSET"),
    ] {
        let span = one(&json!({"tags": [{"key": key, "value": value}]}));
        assert_eq!(span["status"], status, "{key} {value}");
    }
}

#[test]
fn of_tags_that_repeat_the_last_one_counts_for_the_status_too() {
    let error = |value: bool| json!({"key": "error", "type": "bool", "value": value});
    for (last, status) in [(true, "ERROR"), (false, "UNSET")] {
        let span = one(&json!({"tags": [error(!last), error(last)]}));
        assert_eq!((&span["attributes"]["error"], &span["status"]), (&json!(last), &json!(status)));
    }
}

#[test]
fn tags_in_the_json_of_jaegers_protobuf_are_read_and_those_without_a_value_are_named() {
    let span = one(&json!({"tags": [
        {"key": "code", "vType": "INT64", "vInt64": "500"},
        {"key": "ok", "vType": "BOOL", "vBool": true},
        {"key": "text", "vType": "STRING", "vStr": "a"},
        {"key": "none", "type": "string"},
    ]}));
    let expected = json!({"code": 500, "ok": true, "text": "a", "none": null,
        "amida.source.unreadable": ["tags[3].value"]});
    assert_eq!(span["attributes"], expected);
}

#[test]
fn the_first_child_of_the_same_trace_is_the_parent_and_the_rest_are_links() {
    let references = json!([
        reference("FOLLOWS_FROM", "a1", "c1"),
        reference("CHILD_OF", "ff", "c2"),
        reference("CHILD_OF", "00A1", "c3"),
        reference("CHILD_OF", "a1", "c4")
    ]);
    let span = one(&json!({"references": references, "parentSpanID": "c9"}));
    assert_eq!(span["parent"], format!("{:0>16}", "c3"));
    let links: Vec<(String, &Value)> = span["links"]
        .as_array()
        .unwrap()
        .iter()
        .map(|link| {
            let (trace, span) = (link["trace"].as_str().unwrap(), link["span"].as_str().unwrap());
            (format!("{} {}", &trace[30..], &span[14..]), &link["attributes"])
        })
        .collect();
    let (follows, child) = (
        json!({"opentracing.ref_type": "follows_from"}),
        json!({"opentracing.ref_type": "child_of"}),
    );
    let expected = [
        ("a1 c1".to_owned(), &follows),
        ("ff c2".to_owned(), &child),
        ("a1 c4".to_owned(), &child),
    ];
    assert_eq!(links, expected);

    let follows = json!([reference("CHILD_OF", "ff", "c2"), reference("FOLLOWS_FROM", "a1", "c1")]);
    assert_eq!(one(&json!({"references": follows}))["parent"], format!("{:0>16}", "c1"));
    let other = json!({"references": [reference("CHILD_OF", "ff", "c2")], "parentSpanID": "c9"});
    assert_eq!(one(&other)["parent"], format!("{:0>16}", "c9"));
}

#[test]
fn a_reference_to_zeros_is_no_parent_and_no_link() {
    let zeros = reference("CHILD_OF", &"0".repeat(32), &"0".repeat(16));
    let span = one(&json!({"references": [zeros], "parentSpanID": "0"}));
    assert_eq!((&span["parent"], &span["links"]), (&Value::Null, &json!([])));
    assert_eq!(span["attributes"], json!({}));
}

#[test]
fn logs_are_events_with_all_their_fields() {
    let field = |key: &str, value: Value| json!({"key": key, "value": value});
    let span = one(&json!({"logs": [
        {"timestamp": 1_700_000_000_000_001_i64, "fields": [field("message", json!("later")),
            field("event", json!("retry")), field("attempt", json!(2))]},
        {"timestamp": 1_700_000_000_000_002_i64, "fields": [field("message", json!("said"))]},
        {"timestamp": 1_700_000_000_000_003_i64, "fields": null},
        {"timestamp": "soon", "fields": []},
        7,
    ]}));
    let events = span["events"].as_array().unwrap();
    let names: Vec<&Value> = events.iter().map(|event| &event["name"]).collect();
    assert_eq!(names, [&json!("retry"), &json!("said"), &json!(""), &json!("")]);
    let expected = json!({"message": "later", "event": "retry", "attempt": 2});
    assert_eq!(events[0]["attributes"], expected);
    assert_eq!(events[0]["time"], json!(1_700_000_000_000_001_000_i64));
    assert_eq!(events[3]["time"], span["start"]);
    let unreadable = &span["attributes"]["amida.source.unreadable"];
    assert_eq!(unreadable, &json!(["logs[3].timestamp", "logs[4]"]));
}

#[test]
fn ids_that_are_not_hex_are_kept_as_attributes() {
    let span = one(&json!({"traceID": "req-42", "spanID": "S1",
        "references": [reference("CHILD_OF", "req-42", "S0"), reference("CHILD_OF", "other",
            "S9")]}));
    assert_eq!(span["trace"], "d9af7ba3f26c190f252871ee60cf66e5");
    let expected = json!({"amida.source.trace_id": "req-42", "amida.source.span_id": "S1",
        "amida.source.parent_span_id": "S0"});
    assert_eq!(span["attributes"], expected);
    let expected = json!({"opentracing.ref_type": "child_of", "amida.source.trace_id": "other",
        "amida.source.span_id": "S9"});
    assert_eq!(span["links"][0]["attributes"], expected);
}

#[test]
fn warnings_debug_flags_and_a_missing_duration_are_noted() {
    let span = one(&json!({"warnings": ["clock skew"], "flags": 3, "duration": null}));
    let expected = json!({"amida.source.warnings": ["clock skew"], "amida.source.flags": 3,
        "amida.source.duration": "none"});
    assert_eq!((&span["attributes"], &span["flags"]), (&expected, &json!(1)));
    assert_eq!(span["duration"], json!(0));
}

#[test]
fn a_process_that_is_not_there_is_named_and_one_inside_the_span_is_used() {
    let span = one(&json!({"processID": "p9"}));
    assert_eq!((&span["service"], &span["resource"]), (&json!("unknown_service"), &json!({})));
    assert_eq!(span["attributes"], json!({"amida.source.process_id": "p9"}));
    let span = one(&json!({"processID": "p9", "process": {"serviceName": "cart", "tags": "x"}}));
    assert_eq!((&span["service"], &span["attributes"]), (&json!("cart"), &json!({})));
    assert_eq!(span["resource"]["amida.source.unreadable"], json!(["tags"]));
}

#[test]
fn fields_of_wrong_types_are_named_and_the_span_is_stored() {
    let span = one(&json!({"operationName": [1], "references": 7, "tags": "x", "logs": true,
        "flags": "?", "warnings": "late", "processID": {}, "parentSpanID": []}));
    let mut places = span["attributes"]["amida.source.unreadable"].as_array().unwrap().clone();
    places.sort_by_key(ToString::to_string);
    let expected = json!([
        "flags",
        "logs",
        "operationName",
        "parentSpanID",
        "processID",
        "references",
        "tags"
    ]);
    assert_eq!(Value::Array(places), expected);
    assert_eq!(span["attributes"]["amida.source.warnings"], "late");
}

#[test]
fn rows_that_cannot_be_spans_are_counted_and_the_rest_is_stored() {
    let text = answer(&json!([
        span(&json!({})),
        7,
        null,
        "x",
        [],
        span(&json!({"spanID": "0"})),
        span(&json!({"spanID": null})),
        span(&json!({"spanID": {}})),
        span(&json!({"traceID": true})),
        span(&json!({"startTime": "soon"})),
        span(&json!({"duration": [1]})),
        span(&json!({"startTime": -5})),
        span(&json!({"startTime": u64::MAX})),
        span(&json!({"duration": i64::MAX})),
    ]));
    let found = import_bytes(read, text.as_bytes());
    let expected = [
        ("bad_span_id", 3),
        ("bad_time", 2),
        ("bad_trace_id", 1),
        ("not_an_object", 4),
        ("time_out_of_range", 3),
    ];
    assert_eq!(found.rejected, expected.into());
    assert_eq!((found.accepted, found.ended), (1, Ok(())));
}

#[test]
fn a_start_of_zero_and_a_negative_duration_are_stored() {
    let found = import(
        read,
        &answer(&json!([
            span(&json!({"startTime": 0})),
            span(&json!({"spanID": "b2", "duration": -10})),
        ])),
    );
    assert_eq!(found.span("b1")["start"], json!(0));
    assert_eq!(found.span("b2")["duration"], json!(-10_000));
}

/// Names of spans, in order.
fn names(found: &Imported) -> Vec<&str> {
    let mut names: Vec<&str> = found.spans.iter().filter_map(|s| s["name"].as_str()).collect();
    names.sort_unstable();
    names
}

#[test]
fn documents_come_in_every_wrapping() {
    let trace = |id: &str| {
        let span = span(&json!({"traceID": id, "operationName": id}));
        json!({"traceID": id, "spans": [span], "processes": {"p1": {"serviceName": "s"}}})
    };
    let (a, b) = (trace("a1"), trace("b2"));
    for text in [
        json!({"_comment": {"data": 1}, "data": [a, b], "errors": []}).to_string(),
        json!([a, b]).to_string(),
        json!([[a], [[b]]]).to_string(),
        json!([{"data": a}, {"data": [b]}]).to_string(),
        format!("\u{feff}{a}\n{b}\n"),
        format!("{a}{}", json!({"data": [b]})),
    ] {
        let found = import(read, &text);
        assert_eq!(names(&found), ["a1", "b2"], "{text}");
        assert!(found.spans.iter().all(|span| span["service"] == "s"), "{text}");
    }
    for text in
        [r#"{"data":[]}"#, r#"{"data":null,"errors":null}"#, r#"{"traceID":"1","spans":[]}"#]
    {
        assert_eq!(import(read, text).accepted, 0, "{text}");
    }
}

#[test]
fn the_order_of_spans_id_and_processes_does_not_matter() {
    let span = r#"{"spanID":"1","operationName":"n","processID":"p"}"#;
    let parts = [
        r#""traceID":"a1""#.to_owned(),
        format!(r#""spans":[{span}]"#),
        r#""processes":{"p":{"serviceName":"s"}}"#.to_owned(),
    ];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let text = format!("{{{}}}", order.map(|at| parts[at].as_str()).join(","));
        let found = import(read, &text);
        assert_eq!(found.span("1")["service"], "s", "{text}");
        assert_eq!(found.span("1")["trace"], format!("{:0>32}", "a1"), "{text}");
    }
}

#[test]
fn answers_that_are_no_traces_are_errors_or_counted() {
    let text = r#"{"data":null,"total":0,"errors":[{"code":404,"msg":"trace not found"}]}"#;
    let error = import_bytes(read, text.as_bytes()).ended.unwrap_err();
    assert!(error.ends_with("reports an error: trace not found (code 404)"), "{error}");
    // Services, dependencies, spans that are no list, and nothing at all.
    for (text, reason, rows) in [
        (r#"{"data":["a","b"],"total":2}"#, "not_an_object", 2),
        (r#"{"data":[{"parent":"a","child":"b","callCount":3}]}"#, "no_spans", 1),
        (r#"{"traceID":"1","spans":{"a":1}}"#, "no_spans", 1),
        (r#"{"traceID":"1","spans":7}"#, "no_spans", 1),
        ("[null, {}]", "not_an_object", 1),
    ] {
        let found = import_bytes(read, text.as_bytes());
        assert_eq!((found.rejected.get(reason), found.ended), (Some(&rows), Ok(())), "{text}");
    }
}

#[test]
fn a_text_that_breaks_off_gives_the_whole_traces_before() {
    // In Jaeger's order: the processes are last.
    let trace = |id: &str| {
        let span = span(&json!({"traceID": id, "operationName": id}));
        let processes = json!({"p1": {"serviceName": "s"}});
        format!(r#"{{"traceID":"{id}","spans":[{span}],"processes":{processes}}}"#)
    };
    let text = format!(r#"{{"data":[{},{}]}}"#, trace("a1"), trace("b2"));
    let cut = &text[..text.rfind("processes").unwrap() + 20];
    let found = import_bytes(read, cut.as_bytes());
    assert_eq!(names(&found), ["a1"]);
    let error = found.ended.unwrap_err();
    assert!(error.starts_with("line 1 column ") && error.contains("EOF"), "{error}");
    for (text, words) in [
        ("", "the input is empty"),
        ("{\"data\":[\n{\"spans\":[NaN]}]}", "line 2 column 11: expected value"),
        (&"[".repeat(1000), "nested too deeply"),
    ] {
        let error = import_bytes(read, text.as_bytes()).ended.unwrap_err();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn many_traces_become_few_requests() {
    let trace = answer(&json!([span(&json!({}))]));
    let many = format!("{trace}\n").repeat(500);
    assert_eq!((import(read, &many).accepted, import(read, &many).requests), (500, 1));
    let tag = json!({"key": "k", "value": "v".repeat(1000)});
    let long = answer(&json!([span(&json!({"tags": [tag]}))]));
    let found = import(read, &format!("{long}\n").repeat(3000));
    assert_eq!((found.accepted, found.requests > 2 && found.requests < 6), (3000, true));
}
