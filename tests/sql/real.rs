//! Real traces: SQL must find in each OTLP data set what an independent reader found, before
//! flush, after flush, after reopening and after compaction.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // tests read real files

use std::collections::BTreeMap;

use amida::{MemoryFs, Store};
use amida_sql::{ScalarValue, Session};
use amida_tests::real::{self, DataSet, SpanLine, spans_digest, trace_counts_digest};
use serde_json::Value;

use crate::common::{ask, lines, options};

/// One value of an answer with one row.
async fn one(session: &Session, sql: &str) -> String {
    let rows = ask(session, sql).await;
    let [only] = rows.as_slice() else { panic!("{sql}: {rows:?}") };
    only.clone()
}

async fn number(session: &Session, sql: &str) -> u64 {
    one(session, sql).await.parse().unwrap_or_else(|_| panic!("no number: {sql}"))
}

/// Names with counts: `name|count` rows, or `a|b|count` as `a -> b`.
async fn counts(session: &Session, sql: &str) -> BTreeMap<String, u64> {
    let split = |row: &String| {
        let (name, count) = row.rsplit_once('|').expect("two columns");
        (name.replace('|', " -> "), count.parse().expect("a count"))
    };
    ask(session, sql).await.iter().map(split).collect()
}

/// OTLP's word for what the reader calls a span without a service.
fn service_name(name: &str) -> String {
    if name == "None" { "unknown_service".to_owned() } else { name.to_owned() }
}

async fn check(session: &Session, set: &DataSet) {
    check_counts(session, set).await;
    check_times(session, set).await;
    check_edges(session, set).await;
    check_attributes(session, set).await;
    check_digests(session, set).await;
}

async fn check_counts(session: &Session, set: &DataSet) {
    for (key, sql) in [
        ("spans", "SELECT count(*) FROM spans"),
        ("traces", "SELECT count(*) FROM traces"),
        ("traces", "SELECT count(DISTINCT trace_id) FROM spans"),
        (
            "distinct_span_ids",
            "SELECT count(*) FROM (SELECT DISTINCT trace_id, span_id FROM spans)",
        ),
        ("root_spans", "SELECT count(*) FROM spans WHERE parent_span_id IS NULL"),
        (
            "orphan_spans",
            "SELECT count(*) FROM spans c WHERE c.parent_span_id IS NOT NULL AND NOT EXISTS \
             (SELECT 1 FROM spans p WHERE p.trace_id = c.trace_id \
             AND p.span_id = c.parent_span_id)",
        ),
        ("error_spans", "SELECT count(*) FROM spans WHERE is_error"),
        ("error_spans", "SELECT coalesce(sum(error_count), 0) FROM traces"),
        ("events", "SELECT count(*) FROM events"),
        ("links", "SELECT count(*) FROM links"),
        ("negative_durations", "SELECT count(*) FROM spans WHERE duration_ns < 0"),
        ("zero_durations", "SELECT count(*) FROM spans WHERE duration_ns = 0"),
        ("spans_at_least_1ms", "SELECT count(*) FROM spans WHERE duration_ms >= 1"),
        ("spans_at_least_100ms", "SELECT count(*) FROM spans WHERE duration_ms >= 100"),
        (
            "traces_with_several_roots",
            "SELECT count(*) FROM (SELECT trace_id FROM spans WHERE parent_span_id IS NULL \
             GROUP BY trace_id HAVING count(*) > 1)",
        ),
        (
            "distinct_operations",
            "SELECT count(*) FROM (SELECT DISTINCT service_name, name FROM operations)",
        ),
    ] {
        assert_eq!(number(session, sql).await, set.number(key), "{key} of {}", set.name);
    }
    let expected: BTreeMap<String, u64> = set
        .counts("spans_per_service")
        .into_iter()
        .map(|(name, count)| (service_name(&name), count))
        .collect();
    let sql = "SELECT service_name, count(*) FROM spans GROUP BY 1";
    assert_eq!(counts(session, sql).await, expected, "services of {}", set.name);
    let sql = "SELECT service_name, spans FROM services";
    assert_eq!(counts(session, sql).await, expected, "services of {}", set.name);
    let kinds = counts(session, "SELECT lower(kind), count(*) FROM spans GROUP BY 1").await;
    assert_eq!(kinds, set.counts("span_kinds"), "kinds of {}", set.name);
}

async fn check_times(session: &Session, set: &DataSet) {
    for (key, sql) in [
        ("min_start_unix_nano", "SELECT CAST(min(start_time) AS BIGINT) FROM spans"),
        ("max_end_unix_nano", "SELECT CAST(max(end_time) AS BIGINT) FROM spans"),
        ("max_end_unix_nano", "SELECT CAST(max(end_time) AS BIGINT) FROM traces"),
        ("max_duration_ns", "SELECT max(duration_ns) FROM spans"),
        ("sum_duration_ns", "SELECT sum(duration_ns) FROM spans"),
    ] {
        assert_eq!(number(session, sql).await, set.number(key), "{key} of {}", set.name);
    }
    // Nearest rank: the value at place ceil(p * n) of n in order.
    let spans = set.number("spans");
    for (word, percent) in [("p50", 50), ("p90", 90), ("p99", 99)] {
        let rank = (spans * percent).div_ceil(100);
        let sql = format!(
            "SELECT duration_ns FROM spans ORDER BY duration_ns LIMIT 1 OFFSET {}",
            rank - 1
        );
        let expected = set.expected["duration_nearest_rank_ns"][word].as_u64().expect("a rank");
        assert_eq!(number(session, &sql).await, expected, "{word} of {}", set.name);
    }
    let probe = &set.expected["start_window_probe"];
    let (from, to) = (probe["from_inclusive"].as_i64(), probe["to_exclusive"].as_i64());
    if let (Some(from), Some(to)) = (from, to) {
        let time = |ns| ScalarValue::TimestampNanosecond(Some(ns), Some("UTC".into()));
        let sql = "SELECT count(*) FROM spans WHERE start_time >= $1 AND start_time < $2";
        let rows = session.query_with(sql, [time(from), time(to)]).await.expect("planned");
        let found = lines(rows.collect().await.expect("rows").batches());
        assert_eq!(found, [probe["spans"].to_string()], "window of {}", set.name);
    }
}

async fn check_edges(session: &Session, set: &DataSet) {
    let sql = "SELECT caller, callee, calls FROM service_edges";
    let expected: BTreeMap<String, u64> = set.counts("service_edges");
    assert_eq!(counts(session, sql).await, expected, "edges of {}", set.name);
    let largest = &set.expected["largest_trace"];
    let sql = "SELECT max(span_count) FROM traces";
    assert_eq!(one(session, sql).await, largest["spans"].to_string(), "{}", set.name);
    let id = largest["trace_id"].as_str().expect("an id");
    let sql = format!("SELECT span_count FROM traces WHERE trace_id = '{id:0>32}'");
    assert_eq!(one(session, &sql).await, largest["spans"].to_string(), "{}", set.name);
}

async fn check_attributes(session: &Session, set: &DataSet) {
    for probe in set.expected["attribute_probes"].as_array().expect("probes") {
        let key = probe["key"].as_str().expect("a key");
        let params = match &probe["value"] {
            Value::String(text) => ScalarValue::from(text.as_str()),
            Value::Bool(value) => ScalarValue::from(*value),
            Value::Number(n) if n.is_i64() => ScalarValue::from(n.as_i64().expect("an integer")),
            Value::Number(n) => ScalarValue::from(n.as_f64().expect("a number")),
            other => panic!("{other}"),
        };
        let sql = "SELECT count(*) FROM spans WHERE attributes[$1] = $2";
        let rows = session.query_with(sql, [ScalarValue::from(key), params]).await;
        let rows = rows.unwrap_or_else(|e| panic!("{key} of {}: {e}", set.name));
        let found = lines(rows.collect().await.expect("rows").batches());
        assert_eq!(found, [probe["matching_spans"].to_string()], "{key} of {}", set.name);
    }
}

async fn check_digests(session: &Session, set: &DataSet) {
    let sql = "SELECT trace_id, span_id, coalesce(parent_span_id, '') AS parent, \
               CAST(start_time AS BIGINT) AS s, CAST(end_time AS BIGINT) AS e, name FROM spans";
    let spans: Vec<SpanLine> = ask(session, sql)
        .await
        .iter()
        .map(|row| {
            let mut cells = row.splitn(6, '|');
            let mut next = || cells.next().expect("six columns").to_owned();
            SpanLine {
                trace_id: next(),
                span_id: next(),
                parent_span_id: next(),
                start_ns: next().parse().expect("a time"),
                end_ns: next().parse().expect("a time"),
                name: next(),
            }
        })
        .collect();
    let padded = set.expected.get("sha256_spans_padded").and_then(Value::as_str);
    assert_eq!(spans_digest(&spans), padded.unwrap_or(set.text("sha256_spans")), "{}", set.name);
    if padded.is_none_or(|padded| padded == set.text("sha256_spans")) {
        let expected = set.text("sha256_trace_counts");
        assert_eq!(trace_counts_digest(&spans), expected, "{}", set.name);
    }
}

#[tokio::test]
async fn real_traces_give_the_known_answers() {
    let Some(folder) = real::folder() else { return };
    let sets = real::data_sets(&folder, "otlp_json");
    assert!(!sets.is_empty());
    for set in &sets {
        let fs = MemoryFs::new();
        let open = || -> Store { options(&fs, &[]).open("s").expect("opened") };
        let store = open();
        for path in &set.files {
            let file = std::fs::read(path).expect("readable");
            for request in amida::json_to_requests(&file).expect("OTLP/JSON") {
                let receipt = store.append_otlp(request).expect("stored");
                assert_eq!(receipt.rejected(), 0, "{}", path.display());
            }
            // A file a segment, but for the last one.
            if Some(path) != set.files.last() {
                store.flush().expect("flushed");
            }
        }
        check(&Session::new(&store), set).await;
        store.flush().expect("flushed");
        check(&Session::new(&store), set).await;
        store.close().expect("closed");
        let store = open();
        check(&Session::new(&store), set).await;
        store.compact().expect("compacted");
        check(&Session::new(&store), set).await;
    }
}
