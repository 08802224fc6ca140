//! The tables and views of docs/sql.md.

use amida_sql::Session;
use serde_json::json;

use crate::common::{EPOCH_NS, Spec, ask, ask_sorted, span, span_hex, store, trace_hex};

/// Trace 1: web -> shop -> db (error), shop -> mail twice. Trace 2: no root; 4 hangs under 3, whose
/// parent is not stored, and starts before it.
fn specs() -> Vec<Spec> {
    vec![
        span("web", 1, 1, 0).lasting(50_000_000),
        span("shop", 1, 2, 1).lasting(40_000_000),
        span("db", 1, 3, 2).error().lasting(10_000_000),
        span("shop", 1, 4, 2),
        span("mail", 1, 5, 4),
        span("mail", 1, 6, 4),
        span("late", 2, 9, 77).set("name", json!("orphan")),
        span("early", 2, 8, 9).set("name", json!("child")),
    ]
}

fn session() -> Session {
    Session::new(&store(&specs()))
}

#[tokio::test]
async fn spans_have_derived_columns() {
    let s = session();
    let sql = "SELECT duration_ns, duration_ms, is_error, \
               CAST(end_time AS BIGINT) - CAST(start_time AS BIGINT) \
               FROM spans WHERE name IN ('op2', 'op3') ORDER BY span_id";
    assert_eq!(ask(&s, sql).await, ["40000000|40.0|false|40000000", "10000000|10.0|true|10000000"]);
    let sql = "SELECT arrow_typeof(duration_ms), arrow_typeof(is_error), arrow_typeof(end_time) \
               FROM spans LIMIT 1";
    assert_eq!(ask(&s, sql).await, ["Float64|Boolean|Timestamp(ns, \"UTC\")"]);
    let sql = "SELECT start_time FROM spans WHERE name = 'op1'";
    assert_eq!(ask(&s, sql).await, ["2026-01-01T00:00:00.001Z"]);
}

#[tokio::test]
async fn traces_know_their_root_and_what_is_in_them() {
    let s = session();
    let sql = "SELECT trace_id, root_service, root_operation, duration_ns, span_count, \
               error_count, services FROM traces ORDER BY trace_id";
    assert_eq!(
        ask(&s, sql).await,
        [
            format!("{}|web|op1|50000000|6|1|[db, mail, shop, web]", trace_hex(1)),
            format!("{}|late|orphan|2000000|2|0|[early, late]", trace_hex(2)),
        ]
    );
    let sql = format!("SELECT root_service FROM traces WHERE trace_id = '{}'", trace_hex(2));
    assert_eq!(ask(&s, &sql).await, ["late"]);
    let sql = "SELECT count(*) FROM traces WHERE start_time < '2026-01-01T00:00:00.005Z'";
    assert_eq!(ask(&s, sql).await, ["1"]);
    let sql = "SELECT root_service FROM traces WHERE array_has(services, 'db')";
    assert_eq!(ask(&s, sql).await, ["web"]);
}

#[tokio::test]
async fn a_trace_with_several_roots_has_the_earliest() {
    let s = Session::new(&store(&[span("b", 1, 2, 0), span("a", 1, 1, 0)]));
    assert_eq!(ask(&s, "SELECT root_service, span_count FROM traces").await, ["a|2"]);
}

#[tokio::test]
async fn a_trace_without_a_root_has_its_earliest_orphan_and_circles_have_one_too() {
    let s = Session::new(&store(&[
        span("late", 1, 5, 77),
        span("early", 1, 3, 88),
        span("child", 1, 2, 5),
        span("circle", 2, 10, 11),
        span("circle", 2, 11, 10),
        span("self", 3, 12, 12),
    ]));
    let sql = "SELECT root_service, root_operation FROM traces ORDER BY trace_id";
    assert_eq!(ask(&s, sql).await, ["early|op3", "circle|op10", "self|op12"]);
}

#[tokio::test]
async fn edges_are_spans_whose_parent_is_in_another_service() {
    let s = session();
    let sql = "SELECT caller, callee, calls, errors FROM service_edges";
    assert_eq!(
        ask_sorted(&s, sql).await,
        ["late|early|1|0", "shop|db|1|1", "shop|mail|2|0", "web|shop|1|0"]
    );
    let sql = "SELECT p50_ms, p95_ms, p99_ms FROM service_edges WHERE callee = 'db'";
    assert_eq!(ask(&s, sql).await, ["10.0|10.0|10.0"]);
}

#[tokio::test]
async fn a_repeated_parent_counts_once() {
    let parent = span("web", 1, 1, 0);
    let s = Session::new(&store(&[parent.clone(), parent, span("db", 1, 2, 1)]));
    assert_eq!(ask(&s, "SELECT calls FROM service_edges").await, ["1"]);
}

#[tokio::test]
async fn services_and_operations_are_summed_up() {
    let s = session();
    let sql = "SELECT service_name, spans, errors, p50_ms FROM services WHERE spans > 1";
    assert_eq!(ask_sorted(&s, sql).await, ["mail|2|0|1.0", "shop|2|0|1.0"]);
    let sql = "SELECT service_name, name, kind, spans, errors FROM operations WHERE errors > 0";
    assert_eq!(ask(&s, sql).await, ["db|op3|SERVER|1|1"]);
}

#[tokio::test]
async fn events_and_links_are_rows() {
    let events = json!([
        {"timeUnixNano": (EPOCH_NS + 5).to_string(), "name": "retry", "attributes": [
            {"key": "attempt", "value": {"intValue": "2"}}], "droppedAttributesCount": 3},
        {"timeUnixNano": (EPOCH_NS + 6).to_string(), "name": "exception", "attributes": []},
    ]);
    let links = json!([{"traceId": trace_hex(7), "spanId": span_hex(7), "traceState": "a=b",
        "attributes": [{"key": "why", "value": {"stringValue": "batch"}}]}]);
    let s = Session::new(&store(&[
        span("shop", 1, 1, 0).set("events", events),
        span("shop", 1, 2, 0).set("links", links),
        span("shop", 1, 3, 0),
    ]));
    let sql = "SELECT trace_id, span_id, service_name, span_name, time, name, attributes, \
               dropped_attributes_count FROM events ORDER BY time";
    assert_eq!(
        ask(&s, sql).await,
        [
            format!(
                "{}|{}|shop|op1|2026-01-01T00:00:00.000000005Z|retry|{{\"attempt\":2}}|3",
                trace_hex(1),
                span_hex(1)
            ),
            format!(
                "{}|{}|shop|op1|2026-01-01T00:00:00.000000006Z|exception|{{}}|0",
                trace_hex(1),
                span_hex(1)
            ),
        ]
    );
    let sql = "SELECT span_id, linked_trace_id, linked_span_id, trace_state, attributes FROM links";
    assert_eq!(
        ask(&s, sql).await,
        [format!("{}|{}|{}|a=b|{{\"why\":\"batch\"}}", span_hex(2), trace_hex(7), span_hex(7))]
    );
    let sql = format!(
        "SELECT count(*) FROM links WHERE linked_trace_id = '{}'",
        trace_hex(7).to_uppercase()
    );
    assert_eq!(ask(&s, &sql).await, ["1"]);
    let sql = format!("SELECT count(*) FROM events WHERE trace_id = '{}'", trace_hex(1));
    assert_eq!(ask(&s, &sql).await, ["2"]);
}

#[tokio::test]
async fn an_empty_store_answers_with_no_rows() {
    let s = Session::new(&amida::Store::in_memory());
    for table in ["spans", "events", "links", "traces", "services", "operations", "service_edges"] {
        assert!(ask(&s, &format!("SELECT * FROM {table}")).await.is_empty(), "{table}");
        assert_eq!(ask(&s, &format!("SELECT count(*) FROM {table}")).await, ["0"], "{table}");
    }
    assert_eq!(ask(&s, "SELECT min(start_time) FROM spans").await, ["-"]);
}

#[tokio::test]
async fn pipes_work_from_either_beginning() {
    let s = session();
    for sql in [
        "FROM spans |> WHERE service_name = 'mail' |> SELECT name |> ORDER BY name",
        "SELECT * FROM spans |> WHERE service_name = 'mail' |> SELECT name |> ORDER BY name",
        "FROM spans |> AS s |> WHERE s.service_name = 'mail' |> EXTEND upper(name) AS big \
         |> SELECT lower(big) AS name |> ORDER BY name",
        "SELECT name FROM (FROM spans |> WHERE service_name = 'mail') ORDER BY name",
        "WITH m AS (FROM spans |> WHERE service_name = 'mail') SELECT name FROM m ORDER BY name",
    ] {
        assert_eq!(ask(&s, sql).await, ["op5", "op6"], "{sql}");
    }
    let sql = "FROM spans |> AGGREGATE count(*) AS n GROUP BY service_name \
               |> WHERE n > 1 |> ORDER BY service_name |> LIMIT 1";
    assert_eq!(ask(&s, sql).await, ["mail|2"]);
}
