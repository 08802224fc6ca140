//! Tests with small limits: what is held, and what of it is too much.

use super::*;
use crate::import::testing::{Imported, import_bytes};

const LIMITS: Limits = Limits { span: 4 << 10, piece: 64 << 10 };

fn import_small(text: &str) -> Imported {
    import_bytes(|input, sink| read_within(LIMITS, input, sink), text.as_bytes())
}

/// Spans whose text together is much longer than a trace may be.
fn spans() -> String {
    let fill = "v".repeat(1000);
    let span = |n| format!(r#"{{"traceID":"a1","spanID":"{n}","processID":"p","fill":"{fill}"}}"#);
    let spans: Vec<_> = (1..=200).map(span).collect();
    format!(r#""spans":[{}]"#, spans.join(","))
}

const PROCESSES: &str = r#""processes":{"p":{"serviceName":"s"}}"#;

#[test]
fn only_a_trace_that_has_to_be_held_is_limited() {
    let spans = spans();
    assert!(spans.len() as u64 > 3 * LIMITS.piece);
    for text in [
        format!(r#"{{{PROCESSES},{spans}}}"#),
        format!(r#"{{"data":[{{"traceID":"a1",{PROCESSES},{spans}}}],"errors":null}}"#),
    ] {
        let found = import_small(&text);
        assert_eq!((found.accepted, found.ended), (200, Ok(())));
    }
    let found = import_small(&format!(r#"{{"traceID":"a1",{spans},{PROCESSES}}}"#));
    let error = found.ended.unwrap_err();
    assert!(error.contains("a trace more than"), "{error}");
}

#[test]
fn traces_one_after_the_other_are_limited_one_by_one() {
    let fill = "v".repeat(3000);
    let trace = |n| {
        let span = format!(r#"{{"spanID":"1","processID":"p","fill":"{fill}"}}"#);
        let spans = vec![span; 15].join(",");
        format!(r#"{{"traceID":"{n}","spans":[{spans}],{PROCESSES}}}"#)
    };
    let traces: Vec<_> = (1..=10).map(trace).collect();
    let found = import_small(&format!(r#"{{"data":[{}]}}"#, traces.join(",")));
    assert_eq!((found.accepted, found.ended), (150, Ok(())));
}

#[test]
fn what_is_read_whole_is_as_long_as_a_span_at_most() {
    let list = format!("[{}0]", "0,".repeat(6 << 10));
    for key in ["traceID", "processes", "errors"] {
        let found = import_small(&format!(r#"{{"{key}":{list},"spans":[]}}"#));
        let error = found.ended.expect_err(key);
        assert!(error.contains("a span has more than"), "{key}: {error}");
    }
    // What nobody keeps may be longer.
    assert_eq!(import_small(&format!(r#"{{"other":{list},"spans":[]}}"#)).ended, Ok(()));
}

#[test]
fn many_short_spans_that_wait_are_too_much_before_their_text_is() {
    let trace = |spans: usize, id: &str, fill: usize| {
        let span = format!(r#"{{"spanID":"1","fill":"{}"}}"#, "v".repeat(fill));
        let spans = vec![span; spans].join(",");
        format!(r#"{{{id}"spans":[{spans}],"traceID":"a1",{PROCESSES}}}"#)
    };
    // Spans that do not know their trace wait as JSON, which is larger.
    for (id, fill, fit) in [(r#""traceID":"a1","#, 0, 120), ("", 0, 120), ("", 200, 17)] {
        let found = import_small(&trace(fit, id, fill));
        assert_eq!((found.accepted, found.ended), (fit as u64, Ok(())), "{id} {fill}");
        let error = import_small(&trace(fit + 20, id, fill)).ended.expect_err(id);
        assert!(error.contains("a trace more than"), "{error}");
    }
}
