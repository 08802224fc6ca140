//! Real traces: what an independent reader found in each OTLP file must be found in the store,
//! before and after flush, reopening and compaction.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // tests read real files

use std::collections::{BTreeMap, BTreeSet};

use amida::{MemoryFs, Predicate, Snapshot, json};
use amida_tests::compare::same_rows;
use amida_tests::corpus;
use amida_tests::otlp_json;
use amida_tests::real::{self, DataSet, SpanLine, spans_digest, trace_counts_digest};
use bytes::Bytes;
use serde_json::Value;

use crate::common::{DIR, open, options};
use crate::rows;

/// The requests of a data set as OTLP bytes.
pub fn requests(set: &DataSet) -> Vec<Bytes> {
    let files = set.files.iter().map(|path| std::fs::read(path).unwrap());
    files.flat_map(|file| otlp_json::requests(&file)).map(|r| corpus::encode(&r)).collect()
}

fn lines(snapshot: &Snapshot) -> Vec<SpanLine> {
    let mut lines = Vec::new();
    for batch in snapshot.scan(&Predicate::new()).unwrap() {
        for span in batch.unwrap().spans() {
            lines.push(SpanLine {
                trace_id: span.trace_id().to_string(),
                span_id: span.span_id().to_string(),
                parent_span_id: span.parent_span_id().map(|p| p.to_string()).unwrap_or_default(),
                start_ns: span.start_time_ns(),
                end_ns: span.end_time_ns(),
                name: span.name().to_owned(),
            });
        }
    }
    lines
}

/// Counts that are made span by span.
#[derive(Default)]
struct Counts {
    services: BTreeMap<String, u64>,
    operations: BTreeMap<(String, String), u64>,
    kinds: BTreeMap<String, u64>,
    errors: u64,
    events: u64,
    links: u64,
    attributes: u64,
    keys: BTreeSet<String>,
    durations: Vec<i64>,
    scopes: BTreeSet<String>,
}

fn count(snapshot: &Snapshot) -> Counts {
    let mut counts = Counts::default();
    for batch in snapshot.scan(&Predicate::new()).unwrap() {
        for span in batch.unwrap().spans() {
            let (service, name) = (span.service_name().to_owned(), span.name().to_owned());
            *counts.services.entry(service.clone()).or_default() += 1;
            *counts.operations.entry((service, name)).or_default() += 1;
            *counts.kinds.entry(span.kind().to_lowercase()).or_default() += 1;
            counts.errors += u64::from(span.is_error());
            counts.events += span.events().len() as u64;
            counts.links += span.links().len() as u64;
            let entries = json::entries(span.attributes());
            counts.attributes += entries.len() as u64;
            counts.keys.extend(entries.into_iter().map(|(key, _)| key));
            counts.durations.push(span.duration_ns());
            counts.scopes.insert(span.scope_name().to_owned());
        }
    }
    counts.durations.sort_unstable();
    counts
}

/// Holds a snapshot against what is known.
fn check(set: &DataSet, snapshot: &Snapshot, when: &str) {
    let about = format!("{} {when}", set.name);
    let lines = lines(snapshot);
    assert_eq!(lines.len() as u64, set.number("spans"), "{about}");
    assert_eq!(snapshot.span_count(), set.number("spans"), "{about}");
    assert_eq!(spans_digest(&lines), set.text("sha256_spans"), "{about}");
    assert_eq!(trace_counts_digest(&lines), set.text("sha256_trace_counts"), "{about}");
    let roots = lines.iter().filter(|line| line.parent_span_id.is_empty()).count();
    assert_eq!(roots as u64, set.number("root_spans"), "{about}");

    let counts = count(snapshot);
    assert_eq!(counts.services, set.counts("spans_per_service"), "{about}");
    assert_eq!(counts.errors, set.number("error_spans"), "{about}");
    assert_eq!(counts.events, set.number("events"), "{about}");
    assert_eq!(counts.links, set.number("links"), "{about}");
    assert_eq!(counts.attributes, set.number("span_attributes"), "{about}");
    assert_eq!(counts.keys.len() as u64, set.number("distinct_span_attribute_keys"), "{about}");
    assert_eq!(counts.operations.len() as u64, set.number("distinct_operations"), "{about}");
    assert_eq!(counts.kinds, set.counts("span_kinds"), "{about}");
    assert_eq!(counts.durations.last().copied().unwrap() as u64, set.number("max_duration_ns"));
    let sum: i64 = counts.durations.iter().sum();
    assert_eq!(sum as u64, set.number("sum_duration_ns"), "{about}");
    for (word, rank) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)] {
        let nearest = (counts.durations.len() as f64 * rank).ceil() as usize;
        let expected = set.expected["duration_nearest_rank_ns"][word].as_i64().unwrap();
        assert_eq!(counts.durations[nearest.max(1) - 1], expected, "{about} {word}");
    }
    probes(set, snapshot, &about);
    traces(set, snapshot, &lines, &about);
}

/// Values of attributes, each with the number of spans that have it; a window of time; thresholds.
fn probes(set: &DataSet, snapshot: &Snapshot, about: &str) {
    let spans_with = |matches: &dyn Fn(&amida::SpanRef<'_>) -> bool, predicate: &Predicate| {
        let batches = snapshot.scan(predicate).unwrap();
        batches.map(|b| b.unwrap().spans().filter(|s| matches(s)).count() as u64).sum::<u64>()
    };
    for probe in set.expected["attribute_probes"].as_array().unwrap() {
        let (key, value) = (probe["key"].as_str().unwrap(), &probe["value"]);
        let found = spans_with(
            &|span| match (span.attribute(key), value) {
                (Some(json::Value::String(s)), Value::String(v)) => s == *v,
                (Some(json::Value::Int(i)), Value::Number(v)) => Some(i) == v.as_i64(),
                (Some(json::Value::Int(i)), Value::String(v)) => i.to_string() == *v,
                (Some(json::Value::Double(d)), Value::Number(v)) => Some(d) == v.as_f64(),
                (Some(json::Value::Bool(b)), Value::Bool(v)) => b == *v,
                _ => false,
            },
            &Predicate::new(),
        );
        assert_eq!(Some(found), probe["matching_spans"].as_u64(), "{about}: {probe}");
    }
    let all = |_: &amida::SpanRef<'_>| true;
    let window = &set.expected["start_window_probe"];
    let (from, to) = (&window["from_inclusive"], &window["to_exclusive"]);
    let window_of = |from: &Value, to: &Value| {
        Predicate::new().start_from(from.as_i64().unwrap()).start_before(to.as_i64().unwrap())
    };
    assert_eq!(Some(spans_with(&all, &window_of(from, to))), window["spans"].as_u64(), "{about}");
    for (key, ns) in [("spans_at_least_1ms", 1_000_000), ("spans_at_least_100ms", 100_000_000)] {
        let found = spans_with(&all, &Predicate::new().duration_min(ns));
        assert_eq!(found, set.number(key), "{about} {key}");
    }
    let errors = spans_with(&all, &Predicate::new().errors_only());
    assert_eq!(errors, set.number("error_spans"), "{about}");
    for (service, spans) in set.counts("spans_per_service") {
        assert_eq!(spans_with(&all, &Predicate::new().service(service)), spans, "{about}");
    }
}

/// Every trace is found by its id with all its spans.
fn traces(set: &DataSet, snapshot: &Snapshot, lines: &[SpanLine], about: &str) {
    let mut by_trace: BTreeMap<&str, u64> = BTreeMap::new();
    for line in lines {
        *by_trace.entry(&line.trace_id).or_default() += 1;
    }
    assert_eq!(by_trace.len() as u64, set.number("traces"), "{about}");
    for (id, spans) in by_trace {
        let trace = snapshot.trace(id.parse().unwrap()).unwrap().expect("a trace that is there");
        assert_eq!(trace.spans().count() as u64, spans, "{about} {id}");
    }
    let missing = "ffffffffffffffffffffffffffffffff".parse().unwrap();
    assert!(snapshot.trace(missing).unwrap().is_none());
}

#[test]
fn real_traces_are_what_an_independent_reader_found() {
    let Some(folder) = real::folder() else { return };
    let sets = real::data_sets(&folder, "otlp_json");
    assert!(sets.len() >= 12, "{} data sets", sets.len());
    for set in sets {
        let fs = MemoryFs::new();
        let store = open(&fs);
        for request in requests(&set) {
            let receipt = store.append_otlp(request).unwrap();
            assert_eq!(receipt.rejected(), 0, "{}", set.name);
        }
        let hot = rows::of_snapshot(&store.snapshot());
        check(&set, &store.snapshot(), "before flush");
        store.flush().unwrap();
        check(&set, &store.snapshot(), "after flush");
        store.close().unwrap();

        let store = options(&fs).must_exist().open(DIR).unwrap();
        check(&set, &store.snapshot(), "after reopening");
        store.compact().unwrap();
        check(&set, &store.snapshot(), "after compaction");
        same_rows(&hot, &rows::of_snapshot(&store.snapshot())).unwrap();
        store.close().unwrap();
    }
}

/// Each request in a segment of its own, then all of them merged.
#[test]
fn real_traces_in_many_segments_are_the_same_after_they_are_merged() {
    let Some(folder) = real::folder() else { return };
    let fs = MemoryFs::new();
    let store = open(&fs);
    let (mut spans, mut segments) = (0, 0);
    for set in real::data_sets(&folder, "otlp_json").iter().filter(|set| set.files.len() == 1) {
        for request in requests(set) {
            spans += store.append_otlp(request).unwrap().accepted();
            store.flush().unwrap();
            segments += 1;
        }
    }
    // Some were merged in the background already.
    assert!(store.stats().segments >= 1 && segments > 10);
    let before = rows::of_snapshot(&store.snapshot());
    assert_eq!(before.len() as u64, spans);
    store.compact().unwrap();
    assert_eq!(store.stats().segments, 1);
    same_rows(&before, &rows::of_snapshot(&store.snapshot())).unwrap();
    store.close().unwrap();
    same_rows(&before, &rows::of_snapshot(&open(&fs).snapshot())).unwrap();
}
