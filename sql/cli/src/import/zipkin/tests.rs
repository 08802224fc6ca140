use serde_json::{Value, json};

use super::*;
use crate::import::testing::{import, import_bytes};

/// A row with these fields beside the usual ones.
fn row(more: &Value) -> Value {
    let mut row = json!({"traceId": "a1", "id": "b1", "name": "get", "kind": "SERVER",
        "timestamp": 1_700_000_000_000_000_i64, "duration": 25,
        "localEndpoint": {"serviceName": "shop"}});
    let fields = row.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    row
}

fn one(more: &Value) -> Value {
    import(read, &json!([row(more)]).to_string()).spans.remove(0)
}

#[test]
fn a_row_keeps_its_ids_times_kind_and_service() {
    let span = one(&json!({"parentId": "C1"}));
    assert_eq!(span["trace"], format!("{:0>32}", "a1"));
    assert_eq!(span["id"], format!("{:0>16}", "b1"));
    assert_eq!(span["parent"], format!("{:0>16}", "c1"));
    assert_eq!((&span["name"], &span["kind"]), (&json!("get"), &json!("SERVER")));
    assert_eq!((&span["service"], &span["status"]), (&json!("shop"), &json!("UNSET")));
    assert_eq!(span["start"], json!(1_700_000_000_000_000_000_i64));
    assert_eq!(span["duration"], json!(25_000));
    assert_eq!(span["resource"], json!({"service.name": "shop"}));
    assert_eq!(span["attributes"], json!({}));
}

#[test]
fn endpoints_are_network_attributes_and_tags_win() {
    let both = json!({"serviceName": "db", "ipv4": "10.0.0.2", "ipv6": "::1", "port": 5432});
    let here = json!({"serviceName": "shop", "ipv6": "fe80::1", "port": 0});
    let ends = json!({"localEndpoint": here, "remoteEndpoint": both});
    let mut expected = json!({"network.local.address": "fe80::1", "peer.service": "db",
        "network.peer.address": "10.0.0.2", "network.peer.port": 5432,
        "amida.source.remote_ipv6": "::1"});
    assert_eq!(one(&ends)["attributes"], expected);

    let mut tagged = ends;
    tagged["tags"] = json!({"peer.service": "orders", "network.peer.address": "10.0.0.2"});
    expected["peer.service"] = json!("orders");
    expected["amida.source.peer.service"] = json!("db");
    assert_eq!(one(&tagged)["attributes"], expected);

    let span = one(&json!({"localEndpoint": {"serviceName": ""}}));
    assert_eq!((&span["service"], &span["resource"]), (&json!("unknown_service"), &json!({})));
}

#[test]
fn an_error_tag_is_an_error_whatever_it_says() {
    for (error, message) in [("", ""), ("timed out", "timed out"), ("false", "false")] {
        let span = one(&json!({"tags": {"error": error, "http.status_code": "500"}}));
        assert_eq!((&span["status"], &span["message"]), (&json!("ERROR"), &json!(message)));
        let expected = json!({"error": error, "http.status_code": "500"});
        assert_eq!(span["attributes"], expected);
    }
    let tags = json!({"otel.status_code": "OK", "otel.scope.name": "lib"});
    let span = one(&json!({"tags": tags}));
    assert_eq!((&span["status"], &span["scope"]), (&json!("OK"), &json!("lib")));
}

#[test]
fn annotations_are_events_and_flags_are_noted() {
    let span =
        one(&json!({"annotations": [{"timestamp": 1_700_000_000_000_003_i64, "value": "ws"}],
        "shared": true, "debug": true, "name": null, "kind": null}));
    let event = json!({"name": "ws", "time": 1_700_000_000_000_003_000_i64, "attributes": {}});
    assert_eq!(span["events"], json!([event]));
    assert_eq!(
        span["attributes"],
        json!({"amida.source.shared": true, "amida.source.debug": true})
    );
    assert_eq!((&span["name"], &span["kind"]), (&json!(""), &json!("UNSPECIFIED")));
}

/// Row `id` below `parent`; `more` may take its time away.
fn timed(id: &str, parent: Option<&str>, more: &Value) -> Value {
    let mut row = row(more);
    row["id"] = json!(id);
    row["parentId"] = json!(parent);
    row
}

/// Start in microseconds after the usual one, and where it is from.
fn start(span: &Value) -> (i64, Option<&str>) {
    let start = (span["start"].as_i64().unwrap() - 1_700_000_000_000_000_000) / 1000;
    (start, span["attributes"]["amida.source.timestamp"].as_str())
}

#[test]
fn a_row_without_a_time_takes_it_from_annotations_its_parent_or_its_trace() {
    let at = |micros: i64| json!(1_700_000_000_000_000_i64 + micros);
    let none = json!({"timestamp": null});
    let said = json!({"timestamp": 0, "annotations": [
        {"timestamp": at(90), "value": "b"}, {"timestamp": at(70), "value": "a"}]});
    let text = json!([
        timed("9", Some("8"), &none), // two steps below one that has a time
        timed("8", Some("7"), &none),
        timed("7", Some("6"), &json!({"timestamp": at(50)})),
        timed("6", None, &json!({"timestamp": at(40)})),
        timed("5", Some("6"), &said),
        timed("4", Some("5"), &none),  // below one that has annotations
        timed("3", Some("ff"), &none), // below one that is not there
        timed("2", Some("1"), &none),  // a circle
        timed("1", Some("2"), &none),
    ]);
    let found = import(read, &text.to_string());
    for (id, expected) in [
        ("9", (50, Some("parent"))),
        ("8", (50, Some("parent"))),
        ("7", (50, None)),
        ("5", (70, Some("annotation"))),
        ("4", (70, Some("parent"))),
        ("3", (40, Some("trace"))),
        ("2", (40, Some("trace"))),
        ("1", (40, Some("trace"))),
    ] {
        assert_eq!(start(found.span(id)), expected, "{id}");
    }
    assert_eq!(found.span("9")["duration"], json!(25_000));
}

#[test]
fn an_annotation_without_a_time_has_that_of_its_span_wherever_that_is_from() {
    let untimed = json!([{"value": "a"}, {"timestamp": 0, "value": "b"}]);
    let text = json!([
        timed("1", None, &json!({"annotations": untimed})),
        timed("2", Some("1"), &json!({"timestamp": null, "annotations": untimed})),
    ]);
    let found = import(read, &text.to_string());
    for id in ["1", "2"] {
        let span = found.span(id);
        assert_eq!(span["events"].as_array().unwrap().len(), 2);
        for event in span["events"].as_array().unwrap() {
            assert_eq!(event["time"], span["start"], "{id}");
        }
    }
}

#[test]
fn the_server_half_of_a_shared_span_takes_the_time_of_the_client_half() {
    let client = json!({"timestamp": 1_700_000_000_000_060_i64, "kind": "CLIENT"});
    let text = json!([
        timed("1", None, &json!({})),
        timed("2", Some("1"), &client),
        timed("2", Some("1"), &json!({"timestamp": null, "shared": true})),
    ]);
    let found = import(read, &text.to_string());
    let server = found.spans.iter().find(|s| s["attributes"]["amida.source.shared"] == true);
    assert_eq!(start(server.unwrap()), (60, Some("parent")));
}

#[test]
fn a_trace_without_any_time_is_stored_and_marked() {
    let span = one(&json!({"timestamp": null, "duration": null}));
    assert_eq!((&span["start"], &span["duration"]), (&json!(0), &json!(0)));
    let expected = json!({"amida.source.timestamp": "none", "amida.source.duration": "none"});
    assert_eq!(span["attributes"], expected);
}

#[test]
fn a_deep_chain_without_times_takes_that_of_its_top() {
    let rows = (1..5_000_u32).map(
        |n| json!({"traceId": "1", "id": format!("{n:x}"), "parentId": format!("{:x}", n + 1)}),
    );
    let rows: Vec<Value> = rows.chain([row(&json!({"traceId": "1", "id": "1388"}))]).collect();
    let found = import(read, &Value::Array(rows).to_string());
    assert_eq!(found.accepted, 5_000);
    assert!(found.spans.iter().all(|span| start(span).0 == 0));
}

#[test]
fn lists_of_traces_lines_and_empty_lists_are_read() {
    let (a, b) = (row(&json!({"id": "1"})), row(&json!({"id": "2"})));
    for text in [
        json!([a, b]).to_string(),
        json!([[a], [], [b]]).to_string(),
        format!("{a}\n{b}\n"),
        format!("\u{feff}[{a}]\n\n[{b}]"),
    ] {
        assert_eq!(import(read, &text).accepted, 2, "{text}");
    }
    for text in ["[]", "[[],[]]", " null "] {
        assert_eq!(import(read, text).accepted, 0, "{text}");
    }
}

#[test]
fn rows_that_cannot_be_spans_are_counted_and_the_rest_is_stored() {
    let text = json!([
        row(&json!({})),
        7,
        null,
        "x",
        true,
        1.5,
        -1,
        row(&json!({"id": ""})),
        row(&json!({"id": []})),
        row(&json!({"traceId": "000"})),
        {},
        row(&json!({"timestamp": {}})),
        row(&json!({"duration": "long"})),
        row(&json!({"timestamp": -1})),
        row(&json!({"timestamp": 1e300})),
        {"traceId": "1", "id": "1", "timestamp": 5, "binaryAnnotations": []},
        {"traceId": "1", "id": "1", "annotations": [{"timestamp": 1, "endpoint": {}}]},
    ]);
    let found = import_bytes(read, text.to_string().as_bytes());
    let expected = [
        ("bad_span_id", 2),
        ("bad_time", 2),
        ("bad_trace_id", 2),
        ("not_an_object", 6),
        ("time_out_of_range", 2),
        ("zipkin_v1", 2),
    ];
    assert_eq!(found.rejected, expected.into());
    assert_eq!((found.accepted, found.ended), (1, Ok(())));
}

#[test]
fn fields_of_wrong_types_are_named_and_the_row_is_stored() {
    let span = one(&json!({"name": {}, "parentId": [], "binaryAnnotations": [],
        "kind": "ROBOT", "tags": [], "shared": 1,
        "annotations": [7, {"timestamp": "x", "value": "v"}], "localEndpoint": "x",
        "remoteEndpoint": {"port": "http", "ipv4": []}}));
    let attributes = &span["attributes"];
    let mut places = attributes["amida.source.unreadable"].as_array().unwrap().clone();
    places.sort_by_key(ToString::to_string);
    let expected = json!([
        "annotations[0]",
        "annotations[1].timestamp",
        "binaryAnnotations",
        "localEndpoint",
        "name",
        "parentId",
        "remoteEndpoint.ipv4",
        "remoteEndpoint.port",
        "shared",
        "tags"
    ]);
    assert_eq!(
        (&Value::Array(places), &attributes["amida.source.kind"]),
        (&expected, &json!("ROBOT"))
    );
    assert_eq!(span["events"][0]["time"], span["start"]);
    let span = one(&json!({"tags": {"n": 5, "b": true, "o": {"a": [1.5]}}}));
    assert_eq!(span["attributes"], json!({"n": 5, "b": true, "o": {"a": [1.5]}}));
}

#[test]
fn a_text_that_breaks_off_gives_the_rows_before() {
    let waits = row(&json!({"id": "2", "timestamp": null}));
    let text = json!([row(&json!({"id": "1"})), waits, row(&json!({"id": "3"}))]).to_string();
    let found = import_bytes(read, &text.as_bytes()[..text.len() - 10]);
    assert_eq!((found.accepted, found.rejected.len()), (2, 0));
    assert!(found.ended.unwrap_err().contains("EOF"));
    assert_eq!(start(found.spans.iter().find(|s| s["id"] == "0000000000000002").unwrap()).0, 0);
}

#[test]
fn what_is_too_long_for_memory_is_refused_before_it_is_there() {
    let start = br#"[{"traceId":"1","id":"1","name":""#;
    let mut endless = Read::chain(&start[..], std::io::repeat(b'x'));
    let mut taken = crate::import::sink::Taken::default();
    let error = read(&mut endless, &mut taken).unwrap_err();
    assert!(error.contains("a span has more than 16 MiB"), "{error}");
}

#[test]
fn when_the_store_takes_no_more_its_words_are_the_error() {
    struct Full(usize);
    impl Sink for Full {
        fn append(&mut self, _: Vec<u8>) -> Result<(), String> {
            self.0 += 1;
            Err("the disk is full".to_owned())
        }
        fn reject(&mut self, _: &'static str) {}
    }
    let long = row(&json!({"tags": {"k": "v".repeat(1000)}}));
    let waits = row(&json!({"timestamp": null}));
    let text = format!("[{waits},{}{long}]", format!("{long},").repeat(3000));
    let mut full = Full(0);
    let ended = read(&mut text.as_bytes(), &mut full);
    assert_eq!((ended, full.0), (Err("the disk is full".to_owned()), 1));
}
