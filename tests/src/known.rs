//! A store against what an independent reader found in a data set.

use std::collections::{BTreeMap, BTreeSet};

use amida::{Predicate, Snapshot, json};
use serde_json::Value;

use crate::real::{DataSet, SpanLine, spans_digest, trace_counts_digest};

/// The spans of a store, and the same with ids as they were written in the file.
fn lines(set: &DataSet, snapshot: &Snapshot) -> (Vec<SpanLine>, Vec<SpanLine>) {
    let written = Widths::of(set);
    let (mut stored, mut original) = (Vec::new(), Vec::new());
    for batch in snapshot.scan(&Predicate::new()).expect("a scan") {
        for span in batch.expect("a batch").spans() {
            let line = SpanLine {
                trace_id: span.trace_id().to_string(),
                span_id: span.span_id().to_string(),
                parent_span_id: span.parent_span_id().map(|p| p.to_string()).unwrap_or_default(),
                start_ns: span.start_time_ns(),
                end_ns: span.end_time_ns(),
                name: name(set, span.name()),
            };
            let text = |id: &str, key: &str, width: usize| match span.attribute(key) {
                Some(json::Value::String(text)) => text.to_lowercase(),
                _ => id[id.len().saturating_sub(width)..].to_owned(),
            };
            original.push(SpanLine {
                trace_id: text(&line.trace_id, "amida.source.trace_id", written.trace),
                span_id: text(&line.span_id, "amida.source.span_id", written.span),
                parent_span_id: text(
                    &line.parent_span_id,
                    "amida.source.parent_span_id",
                    written.span,
                ),
                ..line.clone()
            });
            stored.push(line);
        }
    }
    (stored, original)
}

/// How many digits the ids of a data set have.
struct Widths {
    trace: usize,
    span: usize,
}

impl Widths {
    /// Digests are over ids as they were written: those of full length, or of one digit.
    fn of(set: &DataSet) -> Self {
        let trace = set.expected["largest_trace"]["trace_id"].as_str().expect("an id").len();
        Self { trace, span: if trace < 16 { trace } else { 16 } }
    }
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
    resource_keys: BTreeSet<String>,
    durations: Vec<i64>,
    scopes: BTreeSet<String>,
}

fn count(set: &DataSet, snapshot: &Snapshot) -> Counts {
    let mut counts = Counts::default();
    for batch in snapshot.scan(&Predicate::new()).expect("readable") {
        for span in batch.expect("readable").spans() {
            let (service, name) = (span.service_name().to_owned(), span.name().to_owned());
            *counts.services.entry(service.clone()).or_default() += 1;
            *counts.operations.entry((service, name)).or_default() += 1;
            *counts.kinds.entry(span.kind().to_lowercase()).or_default() += 1;
            counts.errors += u64::from(span.is_error());
            counts.events += span.events().len() as u64;
            counts.links += span.links().len() as u64;
            let entries = json::entries(span.attributes());
            let keys = entries.into_iter().map(|(key, _)| key).filter(|key| !is_added(set, key));
            for key in keys {
                counts.attributes += 1;
                counts.keys.insert(key);
            }
            let resource = json::entries(span.resource_attributes());
            counts.resource_keys.extend(resource.into_iter().map(|(key, _)| key));
            counts.durations.push(span.duration_ns());
            counts.scopes.insert(span.scope_name().to_owned());
        }
    }
    counts.durations.sort_unstable();
    counts
}

/// Whether an importer adds an attribute of this name; no file of such a format here has its own.
fn is_added(set: &DataSet, key: &str) -> bool {
    let added = ["amida.source.", "network.local.", "network.peer.", "peer.service"];
    set.expected["format"] != "otlp_json" && added.iter().any(|start| key.starts_with(start))
}

/// OTLP's word for what the reader calls a span without a service.
fn service_name(name: String) -> String {
    if name == "None" { "unknown_service".to_owned() } else { name }
}

/// The reader's word for a span without a name, where the format has such.
fn name(set: &DataSet, name: &str) -> String {
    let is_none = name.is_empty() && set.expected["format"] == "zipkin_json";
    if is_none { "None".to_owned() } else { name.to_owned() }
}

/// Holds a snapshot against what is known.
///
/// # Panics
/// When they differ.
pub fn check(set: &DataSet, snapshot: &Snapshot, when: &str) {
    let about = format!("{} {when}", set.name);
    let (lines, written) = lines(set, snapshot);
    assert_eq!(lines.len() as u64, set.number("spans"), "{about}");
    assert_eq!(snapshot.span_count(), set.number("spans"), "{about}");
    assert_eq!(spans_digest(&written), set.text("sha256_spans"), "{about}");
    assert_eq!(trace_counts_digest(&written), set.text("sha256_trace_counts"), "{about}");
    if let Some(padded) = set.expected["sha256_spans_padded"].as_str() {
        assert_eq!(spans_digest(&lines), padded, "{about}");
    }
    let ids: BTreeSet<_> = lines.iter().map(|line| (&line.trace_id, &line.span_id)).collect();
    assert_eq!(ids.len() as u64, set.number("distinct_span_ids"), "{about}");
    let orphans = lines.iter().filter(|line| {
        !line.parent_span_id.is_empty() && !ids.contains(&(&line.trace_id, &line.parent_span_id))
    });
    assert_eq!(orphans.count() as u64, set.number("orphan_spans"), "{about}");
    let start = lines.iter().map(|line| line.start_ns).min();
    assert_eq!(start, set.expected["min_start_unix_nano"].as_i64(), "{about}");
    let end = lines.iter().map(|line| line.end_ns).max();
    assert_eq!(end, set.expected["max_end_unix_nano"].as_i64(), "{about}");
    let roots = lines.iter().filter(|line| line.parent_span_id.is_empty()).count();
    assert_eq!(roots as u64, set.number("root_spans"), "{about}");

    let counts = count(set, snapshot);
    let services: BTreeMap<String, u64> = set
        .counts("spans_per_service")
        .into_iter()
        .map(|(name, spans)| (service_name(name), spans))
        .collect();
    assert_eq!(counts.services, services, "{about}");
    assert_eq!(counts.errors, set.number("error_spans"), "{about}");
    assert_eq!(counts.events, set.number("events"), "{about}");
    assert_eq!(counts.links, set.number("links"), "{about}");
    assert_eq!(counts.attributes, set.number("span_attributes"), "{about}");
    assert_eq!(counts.keys.len() as u64, set.number("distinct_span_attribute_keys"), "{about}");
    let zeros = counts.durations.iter().filter(|duration| **duration == 0).count();
    assert_eq!(zeros as u64, set.number("zero_durations"), "{about}");
    if set.expected["format"] != "otlp_json" {
        // Elsewhere the name of the service is no attribute.
        let keys = counts.resource_keys.iter().filter(|key| *key != "service.name").count();
        assert_eq!(keys as u64, set.number("distinct_resource_attribute_keys"), "{about}");
    }
    assert_eq!(counts.operations.len() as u64, set.number("distinct_operations"), "{about}");
    assert_eq!(counts.kinds, set.counts("span_kinds"), "{about}");
    assert_eq!(
        counts.durations.last().copied().expect("readable") as u64,
        set.number("max_duration_ns")
    );
    let sum: i64 = counts.durations.iter().sum();
    assert_eq!(sum as u64, set.number("sum_duration_ns"), "{about}");
    for (word, rank) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)] {
        let nearest = (counts.durations.len() as f64 * rank).ceil() as usize;
        let expected = set.expected["duration_nearest_rank_ns"][word].as_i64().expect("readable");
        assert_eq!(counts.durations[nearest.max(1) - 1], expected, "{about} {word}");
    }
    probes(set, snapshot, &about);
    traces(set, snapshot, &lines, &about);
}

/// Values of attributes, each with the number of spans that have it; a window of time; thresholds.
fn probes(set: &DataSet, snapshot: &Snapshot, about: &str) {
    let spans_with = |matches: &dyn Fn(&amida::SpanRef<'_>) -> bool, predicate: &Predicate| {
        let batches = snapshot.scan(predicate).expect("readable");
        batches
            .map(|b| b.expect("readable").spans().filter(|s| matches(s)).count() as u64)
            .sum::<u64>()
    };
    for probe in set.expected["attribute_probes"].as_array().expect("readable") {
        let (key, value) = (probe["key"].as_str().expect("readable"), &probe["value"]);
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
        Predicate::new()
            .start_from(from.as_i64().expect("readable"))
            .start_before(to.as_i64().expect("readable"))
    };
    assert_eq!(Some(spans_with(&all, &window_of(from, to))), window["spans"].as_u64(), "{about}");
    for (key, ns) in [("spans_at_least_1ms", 1_000_000), ("spans_at_least_100ms", 100_000_000)] {
        let found = spans_with(&all, &Predicate::new().duration_min(ns));
        assert_eq!(found, set.number(key), "{about} {key}");
    }
    let errors = spans_with(&all, &Predicate::new().errors_only());
    assert_eq!(errors, set.number("error_spans"), "{about}");
    for (service, spans) in set.counts("spans_per_service") {
        let predicate = Predicate::new().service(service_name(service));
        assert_eq!(spans_with(&all, &predicate), spans, "{about}");
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
        let trace = snapshot
            .trace(id.parse().expect("readable"))
            .expect("readable")
            .expect("a trace that is there");
        assert_eq!(trace.spans().count() as u64, spans, "{about} {id}");
    }
    let missing = "ffffffffffffffffffffffffffffffff".parse().expect("readable");
    assert!(snapshot.trace(missing).expect("readable").is_none());
}
