//! OTLP/JSON: row 18 of the bad inputs, and the converter against another reader.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // tests read real files

use amida::{Error, json_to_requests};
use amida_tests::compare::same_rows;
use amida_tests::oracle::{Judgement, Oracle, Row};
use amida_tests::{corpus, otlp_json, real};

use crate::common::{NOW_NS, one_span, scratch};
use crate::rows;

const IDS: &str = r#""traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174""#;

/// A document with one span of these fields.
fn document(fields: &str) -> String {
    let span = format!(r#"{{"name":"n","startTimeUnixNano":"5","endTimeUnixNano":"9",{fields}}}"#);
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}"#)
}

/// What a store holds after this document, and how many spans were rejected; or what is wrong.
fn stored(text: &[u8]) -> Result<(Vec<Row>, u64), Error> {
    let store = scratch();
    let mut rejected = 0;
    for request in json_to_requests(text)? {
        rejected += store.append_otlp(request)?.rejected();
    }
    // Whatever it was, the next good request is taken.
    let rows = rows::of_snapshot(&store.snapshot());
    assert_eq!(store.append_otlp(one_span(1)).unwrap().accepted(), 1);
    Ok((rows, rejected))
}

#[test]
fn row_18_ids_are_read_in_hex_of_either_case_and_in_base64_or_reject_the_span() {
    let expected = ("5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174");
    for ids in [
        IDS.to_owned(),
        IDS.to_uppercase().replace("TRACEID", "traceId").replace("SPANID", "spanId"),
        r#""traceId":"W47/95gDgQPSabYzgT/GDA==","spanId":"7uGbfsPBsXQ=""#.to_owned(),
    ] {
        let (rows, rejected) = stored(document(&ids).as_bytes()).unwrap();
        assert_eq!((rows[0].trace_id.as_str(), rows[0].span_id.as_str()), expected, "{ids}");
        assert_eq!(rejected, 0);
    }
    for trace in [
        "5b8efff798038103d269b633813fc60",
        "5b8efff798038103d269b633813fc60cc",
        "5b8efff798038103",
        "zz8efff798038103d269b633813fc60c",
        "00000000000000000000000000000000",
        "",
    ] {
        let ids = format!(r#""traceId":"{trace}","spanId":"eee19b7ec3c1b174""#);
        match stored(document(&ids).as_bytes()) {
            Ok((rows, rejected)) => assert_eq!((rows.len(), rejected), (0, 1), "{trace}"),
            Err(error) => assert!(matches!(error, Error::Invalid { .. }), "{trace}: {error}"),
        }
    }
}

#[test]
fn row_18_numbers_that_json_does_not_have_are_refused_and_those_it_spells_are_read() {
    let value = |value: &str| {
        document(&format!(r#"{IDS},"attributes":[{{"key":"k","value":{{{value}}}}}]"#))
    };
    for (text, expected) in [
        (r#""doubleValue":"NaN""#, r#"{"k":{"$double":"NaN"}}"#),
        (r#""doubleValue":"-Infinity""#, r#"{"k":{"$double":"-Infinity"}}"#),
        (r#""doubleValue":1"#, r#"{"k":1.0}"#),
        (r#""doubleValue":1e300"#, r#"{"k":1e300}"#),
        (r#""intValue":"-9223372036854775808""#, r#"{"k":-9223372036854775808}"#),
        (r#""intValue":9007199254740993"#, r#"{"k":9007199254740993}"#),
        (r#""bytesValue":"AQI=""#, r#"{"k":{"$bytes":"AQI="}}"#),
    ] {
        let (rows, _) = stored(value(text).as_bytes()).unwrap();
        assert_eq!(rows[0].attributes, expected, "{text}");
    }
    for text in [
        r#""doubleValue":NaN"#,
        r#""intValue":"9223372036854775808""#,
        r#""intValue":"twelve""#,
        r#""boolValue":"yes""#,
    ] {
        let refused = stored(value(text).as_bytes());
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{text}: {refused:?}");
    }
    // Too large for a double: refused or infinite, never another number.
    match stored(value(r#""doubleValue":1e400"#).as_bytes()) {
        Ok((rows, _)) => assert_eq!(rows[0].attributes, r#"{"k":{"$double":"Infinity"}}"#),
        Err(error) => assert!(matches!(error, Error::Invalid { .. }), "{error}"),
    }
}

#[test]
fn row_18_a_byte_order_mark_and_repeated_keys_never_give_a_wrong_id() {
    let with_mark = format!("\u{feff}{}", document(IDS));
    match stored(with_mark.as_bytes()) {
        Ok((rows, _)) => assert_eq!(rows[0].span_id, "eee19b7ec3c1b174"),
        Err(error) => assert!(matches!(error, Error::Invalid { .. }), "{error}"),
    }
    let twice = document(&format!(r#"{IDS},"spanId":"00f067aa0ba902b7""#));
    match stored(twice.as_bytes()) {
        Ok((rows, _)) => assert_eq!(rows[0].span_id, "00f067aa0ba902b7"),
        Err(error) => assert!(matches!(error, Error::Invalid { .. }), "{error}"),
    }
}

#[test]
fn row_11_json_nested_very_deeply_is_refused_or_replaced() {
    for depth in [100, 1_000, 100_000] {
        let open = r#"{"arrayValue":{"values":["#.repeat(depth);
        let close = "]}}".repeat(depth);
        let value = format!(r#"{open}{{"stringValue":"x"}}{close}"#);
        let text = document(&format!(r#"{IDS},"attributes":[{{"key":"k","value":{value}}}]"#));
        match stored(text.as_bytes()) {
            Ok((rows, _)) => assert!(rows[0].marks & amida::Marks::TOO_DEEP.0 != 0),
            Err(error) => assert!(matches!(error, Error::Invalid { .. }), "{depth}: {error}"),
        }
    }
}

#[test]
fn documents_cut_anywhere_and_other_documents_are_refused() {
    let text = document(IDS);
    for cut in 0..text.len() {
        let refused = json_to_requests(&text.as_bytes()[..cut]);
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{cut}: {refused:?}");
    }
    for other in ["{}", "[]", "1", r#"{"resourceLogs":[]}"#, r#"[{"traceId":"1"}]"#, "<html>"] {
        let refused = json_to_requests(other.as_bytes());
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{other}: {refused:?}");
    }
}

#[test]
fn real_files_are_converted_as_another_reader_does() {
    let Some(folder) = real::folder() else { return };
    let oracle = Oracle { now_ns: NOW_NS, future_max_ns: None };
    let rows = |body: &[u8]| match oracle.judge(body) {
        Judgement::Store { rows, rejected } if rejected.is_empty() => rows,
        other => panic!("{other:?}"),
    };
    for set in real::data_sets(&folder, "otlp_json") {
        for path in &set.files {
            let file = std::fs::read(path).unwrap();
            let theirs = otlp_json::requests(&file);
            let expected: Vec<Row> = theirs.iter().flat_map(|r| rows(&corpus::encode(r))).collect();
            let found: Vec<Row> =
                json_to_requests(&file).unwrap().iter().flat_map(|body| rows(body)).collect();
            same_rows(&expected, &found).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        }
    }
    for format in ["go_stdouttrace", "jaeger_json", "zipkin_json"] {
        for set in real::data_sets(&folder, format) {
            let path = &set.files[0];
            let refused = json_to_requests(&std::fs::read(path).unwrap());
            let refused = matches!(refused, Err(Error::Invalid { .. }));
            assert!(refused, "{} is no OTLP", path.display());
        }
    }
}
