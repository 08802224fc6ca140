//! How the spans of a trace hang together, and what its critical path is.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // tests read real files

use std::collections::BTreeMap;

use amida::{
    InstrumentationScope, Predicate, RequestBuilder, Resource, SpanBuilder, SpanId, SpanKind,
    SpanRef, Store, Trace,
};
use amida_tests::real;
use serde_json::Value;

use crate::allocator::largest;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// A span of a test: id, parent (0 for none), service, kind, start, end.
type Row<'a> = (u64, u64, &'a str, SpanKind, i64, i64);

fn id(number: u64) -> SpanId {
    format!("{number:016x}").parse().unwrap()
}

/// The trace of these spans, named by their places; each in a request of its own, in this order.
fn trace(rows: &[Row<'_>]) -> Trace {
    let store = Store::in_memory();
    for (at, &(span, parent, service, kind, start, end)) in rows.iter().enumerate() {
        let span = SpanBuilder::new(TRACE.parse().unwrap(), id(span), &at.to_string())
            .parent((parent != 0).then(|| id(parent)))
            .kind(kind)
            .start_ns(1_000_000 + start)
            .end_ns(1_000_000 + end);
        let body = RequestBuilder::new(Resource::new(service)).span(span).finish();
        assert_eq!(store.append_otlp(body).unwrap().accepted(), 1);
    }
    store.snapshot().trace(TRACE.parse().unwrap()).unwrap().unwrap()
}

/// Each span with the one it hangs beneath, both by their places.
fn edges(trace: &Trace) -> Vec<(String, Option<String>)> {
    let mut edges: Vec<_> = trace
        .walk()
        .map(|(span, _)| (span.name().to_owned(), trace.parent(span).map(|p| p.name().to_owned())))
        .collect();
    edges.sort();
    edges
}

fn assert_parents(trace: &Trace, want: &[Option<u64>]) {
    let want: Vec<_> = want
        .iter()
        .enumerate()
        .map(|(at, parent)| (at.to_string(), parent.map(|parent| parent.to_string())))
        .collect();
    assert_eq!(edges(trace), want);
}

use SpanKind::{Client, Consumer, Internal, Producer, Server};

#[test]
fn the_server_half_of_a_shared_id_hangs_beneath_the_client_half() {
    // The server's clock is ahead: it is stored as the earlier one.
    let trace = trace(&[
        (1, 0, "web", Server, 0, 100),
        (2, 1, "shop", Server, 5, 70),
        (2, 1, "web", Client, 10, 80),
        (3, 2, "shop", Internal, 20, 30),
        (4, 2, "web", Internal, 12, 13),
        (5, 2, "other", Server, 22, 23),
    ]);
    assert_parents(&trace, &[None, Some(2), Some(0), Some(1), Some(2), Some(1)]);
    assert_eq!(trace.tops().count(), 1);
    let server = trace.spans().find(|span| span.name() == "1").unwrap();
    assert_eq!(trace.starts_before_parent_ns(server), 5);
}

#[test]
fn a_server_half_may_name_no_parent_and_producers_have_consumers() {
    let trace = trace(&[
        (1, 0, "a", Producer, 0, 1),
        (1, 0, "b", Consumer, 50, 60),
        (1, 0, "c", Consumer, 55, 60),
        (7, 9, "a", Client, 3, 9),
        (7, 0, "b", Server, 4, 8),
        (8, 1, "c", Internal, 56, 57),
    ]);
    assert_parents(&trace, &[None, Some(0), Some(0), None, Some(3), Some(2)]);
    let client = trace.spans().find(|span| span.name() == "3").unwrap();
    assert!(trace.is_orphan(client));
}

#[test]
fn spans_of_one_id_that_are_no_halves_stand_for_themselves() {
    // Two servers, and a server that names another parent than the client.
    let trace = trace(&[
        (1, 0, "a", Internal, 0, 100),
        (2, 1, "b", Server, 10, 20),
        (2, 1, "c", Server, 11, 20),
        (3, 2, "c", Internal, 12, 13),
        (4, 1, "a", Client, 30, 40),
        (4, 2, "b", Server, 31, 39),
    ]);
    assert_parents(&trace, &[None, Some(0), Some(0), Some(1), Some(0), Some(1)]);
}

#[test]
fn a_span_that_was_sent_again_stands_once_and_is_counted() {
    let store = Store::in_memory();
    let span = |n: u64, parent: u64, name: &str| {
        SpanBuilder::new(TRACE.parse().unwrap(), id(n), name)
            .parent((parent != 0).then(|| id(parent)))
            .start_ns(10)
            .end_ns(20)
    };
    let body = RequestBuilder::new(Resource::new("a")).span(span(1, 0, "root"));
    let body = body.span(span(2, 1, "child")).finish();
    for _ in 0..3 {
        assert_eq!(store.append_otlp(body.clone()).unwrap().accepted(), 2);
    }
    let other = span(2, 1, "child").attribute("k", 1);
    let body = RequestBuilder::new(Resource::new("a")).span(other).finish();
    assert_eq!(store.append_otlp(body).unwrap().accepted(), 1);
    let trace = store.snapshot().trace(TRACE.parse().unwrap()).unwrap().unwrap();
    assert_eq!(trace.spans().len(), 7);
    let tree: Vec<_> =
        trace.walk().map(|(span, depth)| (span.name(), depth, trace.copies(span))).collect();
    assert_eq!(tree[0], ("root", 0, 3));
    let mut children = tree[1..].to_vec();
    children.sort_unstable();
    assert_eq!(children, [("child", 1, 1), ("child", 1, 3)]);
    assert_eq!(trace.spans().map(|span| trace.copies(span)).sum::<usize>(), 7);
    // The repeats hang nowhere and are no circles.
    let circles = trace.spans().filter(|span| trace.is_own_ancestor(*span)).count();
    assert_eq!(circles, 0);
}

#[test]
fn spans_that_differ_in_anything_are_no_repeats() {
    let span = || SpanBuilder::new(TRACE.parse().unwrap(), id(1), "a").start_ns(10).end_ns(20);
    let (resource, scope) = (|| Resource::new("a"), || InstrumentationScope::new("s"));
    let body = RequestBuilder::new(resource())
        .scope(scope())
        .span(span())
        .span(span().trace_state("k=v"))
        .span(span().flags(1))
        .scope(scope().version("2"))
        .span(span())
        .scope(scope().schema_url("u"))
        .span(span())
        .resource(resource().schema_url("u"))
        .scope(scope())
        .span(span());
    let store = Store::in_memory();
    assert_eq!(store.append_otlp(body.finish()).unwrap().accepted(), 6);
    let trace = store.snapshot().trace(TRACE.parse().unwrap()).unwrap().unwrap();
    assert_eq!(trace.walk().count(), 6);
}

#[test]
fn a_hundred_thousand_spans_of_one_id_are_linked_in_the_end() {
    let mut request = RequestBuilder::new(Resource::new("a"));
    for n in 0..100_000_i64 {
        let kind = if n % 2 == 0 { Client } else { Server };
        let span = SpanBuilder::new(TRACE.parse().unwrap(), id(5), &n.to_string()).kind(kind);
        request = request.span(span.parent(id(5)).start_ns(n + 1).end_ns(n + 2));
    }
    let store = Store::in_memory();
    assert_eq!(store.append_otlp(request.finish()).unwrap().accepted(), 100_000);
    let trace = store.snapshot().trace(TRACE.parse().unwrap()).unwrap().unwrap();
    assert_eq!(trace.walk().count(), 100_000);
    assert_eq!(trace.tops().count(), 50_000);
}

/// What each span contributes, by its place.
fn shares(trace: &Trace) -> Vec<i64> {
    let path = trace.critical_path();
    let mut spans: Vec<SpanRef<'_>> = trace.spans().collect();
    spans.sort_by_key(|span| span.name().parse::<usize>().unwrap());
    spans.iter().map(|span| path.self_ns(*span)).collect()
}

fn internal(rows: &[(u64, u64, i64, i64)]) -> Trace {
    let rows: Vec<Row<'_>> = rows
        .iter()
        .map(|&(id, parent, start, end)| (id, parent, "s", Internal, start, end))
        .collect();
    trace(&rows)
}

#[test]
fn the_critical_path_is_the_chain_of_those_that_ended_last() {
    // Two side by side: the later end counts; then the one before its start.
    let trace =
        internal(&[(1, 0, 0, 100), (2, 1, 5, 30), (3, 1, 40, 90), (4, 1, 40, 80), (5, 3, 50, 60)]);
    assert_eq!(shares(&trace), [5 + 10 + 10, 25, 40, 0, 10]);
    let path = trace.critical_path();
    let on_path: Vec<bool> = trace.walk().map(|(span, _)| path.contains(span)).collect();
    assert_eq!(on_path, [true, true, true, true, false]);
    assert_eq!((path.total_ns(), path.services()), (100, vec![("s", 100)]));
}

#[test]
fn children_beyond_their_parent_count_within_it() {
    // Outlives it, starts before it, lies after it, lies before it.
    let trace = internal(&[
        (1, 0, 100, 200),
        (2, 1, 180, 300),
        (3, 1, 50, 120),
        (4, 1, 250, 260),
        (5, 1, 10, 20),
    ]);
    assert_eq!(shares(&trace), [60, 20, 20, 0, 0]);
    // Of two that end with it, the one that it can have waited for.
    let trace = internal(&[(1, 0, 0, 100), (2, 1, 10, 900), (3, 1, 50, 100)]);
    assert_eq!(shares(&trace), [50, 0, 50]);
}

#[test]
fn a_small_overlap_is_one_after_the_other_and_a_large_one_is_not() {
    let trace = internal(&[(1, 0, 0, 1000), (2, 1, 10, 210), (3, 1, 209, 600)]);
    assert_eq!(shares(&trace), [10 + 400, 199, 391]);
    let trace = internal(&[(1, 0, 0, 1000), (2, 1, 10, 250), (3, 1, 209, 600)]);
    assert_eq!(shares(&trace), [209 + 400, 0, 391]);
}

#[test]
fn the_parts_of_the_critical_path_add_up_to_the_root() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..50 {
        let mut rows = vec![(1, 0, 0, random.i64(0..1000))];
        for n in 2..random.u64(3..60) {
            let start = random.i64(-200..1000);
            // Some end before they start.
            rows.push((n, random.u64(1..n), start, start + random.i64(-20..500)));
        }
        let trace = internal(&rows);
        let shares = shares(&trace);
        let root = rows[0].3;
        assert_eq!(shares.iter().sum::<i64>(), root, "{rows:?}");
        assert_eq!(trace.critical_path().total_ns(), root);
        for (&(_, _, start, end), share) in rows.iter().zip(shares) {
            assert!((0..=(end - start).max(0)).contains(&share), "{rows:?}");
        }
    }
}

/// CRISP's own test cases say what each operation contributes. Where siblings overlap a little
/// (10, 19, 20, 21) it counts the overlap twice; here the parts add up.
#[test]
fn crisp_finds_the_same_critical_paths() {
    let Some(folder) = real::folder() else { return };
    for case in 1..=25 {
        let text = std::fs::read(folder.join(format!("crisp/{case}.json"))).unwrap();
        let file: Value = serde_json::from_slice(&text).unwrap();
        let expected = file["testing"].get(0).unwrap_or(&file["testing"]);
        let expected = expected.get("opTimeExclusive").unwrap_or(expected).as_object();
        let Some(expected) = expected else { continue };
        let trace = from_jaeger(&file["data"][0]);
        let path = trace.critical_path();
        let mut found: BTreeMap<String, i64> = BTreeMap::new();
        for span in trace.spans() {
            let operation = format!("[{}] {}", span.service_name(), span.name());
            *found.entry(operation).or_default() += path.self_ns(span);
        }
        let slack = if [10, 19, 20, 21].contains(&case) { path.total_ns() / 50 } else { 0 };
        for (operation, share) in found {
            let want = expected.get(&operation).and_then(Value::as_i64).unwrap_or(0);
            assert!((want - share).abs() <= slack, "case {case}, {operation}: {want}, not {share}");
        }
    }
}

fn from_jaeger(data: &Value) -> Trace {
    let store = Store::in_memory();
    let spans = data["spans"].as_array().unwrap();
    let number = |span: &Value| {
        let at = spans.iter().position(|other| other["spanID"] == span["spanID"]).unwrap();
        id(at as u64 + 1)
    };
    for span in spans {
        let parent = span["references"].get(0).map(&number);
        let service = &data["processes"][span["processID"].as_str().unwrap()]["serviceName"];
        let start = 1 + span["startTime"].as_i64().unwrap();
        let span = SpanBuilder::new(
            TRACE.parse().unwrap(),
            number(span),
            span["operationName"].as_str().unwrap(),
        )
        .parent(parent)
        .start_ns(start)
        .end_ns(start + span["duration"].as_i64().unwrap());
        let resource = Resource::new(service.as_str().unwrap());
        let body = RequestBuilder::new(resource).span(span).finish();
        assert_eq!(store.append_otlp(body).unwrap().accepted(), 1);
    }
    store.snapshot().trace(TRACE.parse().unwrap()).unwrap().unwrap()
}

#[test]
fn a_small_trace_in_memory_is_looked_up_with_little_memory() {
    let store = Store::in_memory();
    let span = SpanBuilder::new(TRACE.parse().unwrap(), id(1), "GET /cart")
        .attribute("http.response.status_code", 503);
    let body = RequestBuilder::new(Resource::new("checkout")).span(span).finish();
    let _receipt = store.append_otlp(body).unwrap();
    let (found, bytes) = largest(|| store.snapshot().trace(TRACE.parse().unwrap()).unwrap());
    assert!(found.is_some());
    assert!(bytes <= 32 << 10, "a piece of {bytes} bytes for one span");
}

#[test]
fn a_segment_has_traces_whole_and_in_the_order_in_which_they_begin() {
    let store = Store::in_memory();
    // Trace and start; ids are in another order than begins, and traces overlap.
    for (trace, start) in [(1, 30), (3, 20), (2, 40), (1, 10), (2, 5), (3, 50)] {
        let trace = format!("{trace:032x}").parse().unwrap();
        let span = SpanBuilder::new(trace, id(1), "span").start_ns(start).end_ns(start);
        let body = RequestBuilder::new(Resource::new("service")).span(span).finish();
        assert_eq!(store.append_otlp(body).unwrap().accepted(), 1);
    }
    store.flush().unwrap();
    let mut found = Vec::new();
    for batch in store.snapshot().scan(&Predicate::new()).unwrap() {
        let batch = batch.unwrap();
        found.extend(batch.spans().map(|s| (s.trace_id().as_bytes()[15], s.start_time_ns())));
    }
    assert_eq!(found, [(2, 5), (2, 40), (1, 10), (1, 30), (3, 20), (3, 50)]);
}
