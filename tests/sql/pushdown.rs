//! What a query does not read: seen in EXPLAIN ANALYZE.

use amida::{MemoryFs, PromotedType, Store};
use amida_sql::{Session, SessionOptions};
use serde_json::json;

use crate::common::{Spec, apart, append, ask, span, trace_hex};

/// Four segments of 500 spans with a promoted key, a second's distance between them.
fn flushed() -> Store {
    let promoted = [("route", PromotedType::String), ("size", PromotedType::Int)];
    let store = apart(&MemoryFs::new(), &promoted).open("s").expect("opened");
    for segment in 0..4u64 {
        let specs: Vec<Spec> = (1..=500)
            .map(|n| {
                let id = segment * 1_000 + n;
                span("shop", id / 10, id, 0)
                    .with("route", json!(format!("/r{}", segment * 10 + n % 10)))
                    .with("size", json!(id))
                    .with("noise", json!(noise(id)))
            })
            .collect();
        append(&store, &specs);
        store.flush().expect("flushed");
    }
    store
}

/// Text that does not compress, the same for the same number.
fn noise(number: u64) -> String {
    let mut state = number;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("{:016x}", state ^ (state >> 29))
    };
    (0..12).map(|_| next()).collect()
}

async fn plan(session: &Session, sql: &str) -> String {
    ask(session, &format!("EXPLAIN ANALYZE {sql}")).await.join("\n")
}

/// The sum of a metric over the plan.
fn metric(plan: &str, name: &str) -> u64 {
    let marker = format!("{name}=");
    plan.match_indices(&marker)
        .map(|(at, _)| {
            let text: String = plan[at + marker.len()..]
                .chars()
                .take_while(|c| c.is_ascii_digit() || *c == '.')
                .collect();
            let unit = plan[at + marker.len() + text.len()..].trim_start().chars().next();
            let value: f64 = text.parse().unwrap_or(0.0);
            let factor = match unit {
                Some('K') => 1e3,
                Some('M') => 1e6,
                _ => 1.0,
            };
            (value * factor) as u64
        })
        .sum()
}

#[tokio::test]
async fn a_trace_is_found_through_the_index() {
    let s = Session::new(&flushed());
    let sql = format!("SELECT name FROM spans WHERE trace_id = '{}'", trace_hex(120));
    let plan = plan(&s, &sql).await;
    assert!(plan.contains("segments=1 of 4, rows by trace-ID index=10, hot=no"), "{plan}");
    assert_eq!(metric(&plan, "files_opened"), 1, "{plan}");
    assert_eq!(ask(&s, &sql).await.len(), 10);
    let sql = format!("SELECT name FROM spans WHERE trace_id = '{}'", trace_hex(9_999));
    assert!(!self::plan(&s, &sql).await.contains("ParquetSource"), "nothing is read");
    let sql =
        format!("SELECT count(*) FROM spans WHERE trace_id LIKE '{}%'", &trace_hex(120)[..31]);
    assert!(self::plan(&s, &sql).await.contains("of 4"), "a prefix");
}

#[tokio::test]
async fn views_find_a_trace_through_the_index_too() {
    let s = Session::new(&flushed());
    for table in ["traces", "events", "links"] {
        let sql = format!("SELECT * FROM {table} WHERE trace_id = '{}'", trace_hex(120));
        let plan = plan(&s, &sql).await;
        assert_eq!(plan.matches("segments=1 of 4").count(), 1, "{plan}");
        assert!(!plan.contains("segments=4"), "{plan}");
    }
}

#[tokio::test]
async fn segments_outside_the_time_are_not_opened() {
    let s = Session::new(&flushed());
    let sql = "SELECT count(name) FROM spans WHERE start_time >= '2026-01-01T00:00:03Z'";
    let plan = plan(&s, sql).await;
    assert!(plan.contains("segments=1 of 4"), "{plan}");
    assert_eq!(ask(&s, sql).await, ["500"]);
}

#[tokio::test]
async fn a_promoted_column_is_read_instead_of_the_json_text() {
    let store = flushed();
    let s = Session::new(&store);
    let plain = "SELECT count(*) FROM spans WHERE attributes LIKE '%none%'";
    for promoted in [
        "SELECT count(*) FROM spans WHERE attributes['route'] = '/r13'",
        "SELECT attributes['route'], count(*) FROM spans GROUP BY 1",
        "SELECT sum(attributes['size']) FROM spans WHERE attributes['size'] > 3100",
        "WITH x AS (SELECT attributes AS a FROM spans) SELECT max(a['size']) FROM x",
    ] {
        for hot in [false, true] {
            if hot {
                append(&store, &[span("hot", 77, 77, 0).with("route", json!("/r13"))]);
            }
            let (few, many) = (plan(&s, promoted).await, plan(&s, plain).await);
            let (few_bytes, many_bytes) =
                (metric(&few, "bytes_scanned"), metric(&many, "bytes_scanned"));
            assert!(
                few_bytes * 3 < many_bytes,
                "hot {hot}: {promoted}: {few_bytes} and {many_bytes} bytes\n{few}"
            );
        }
    }
}

#[tokio::test]
async fn counting_reads_nothing() {
    let store = flushed();
    append(&store, &[span("hot", 77, 77, 0)]);
    let s = Session::new(&store);
    let sql = "SELECT count(*) FROM spans";
    assert_eq!(ask(&s, sql).await, ["2001"]);
    let plan = plan(&s, sql).await;
    assert!(!plan.contains("ParquetSource") || metric(&plan, "bytes_scanned") == 0, "{plan}");
}

/// 300 spans whose keys are promoted by themselves, or are not.
fn by_itself() -> Store {
    let store = Store::options().fs(std::sync::Arc::new(MemoryFs::new())).disk_floor_bytes(0);
    let store = store.open("s").expect("opened");
    let specs: Vec<Spec> = (1..=300)
        .map(|n| {
            span("shop", n / 10, n, 0)
                .with("status", json!(200 + n % 5))
                .with("bytes", json!(n))
                .with("seconds", json!(0.5))
                .with("user", json!(format!("u{n}")))
        })
        .collect();
    append(&store, &specs);
    store.flush().expect("flushed");
    store
}

#[tokio::test]
async fn keys_that_tell_something_apart_are_promoted_and_measurements_are_not() {
    let store = by_itself();
    let snapshot = store.snapshot();
    let promoted = snapshot.segments()[0].promoted().expect("a footer");
    let mut names: Vec<String> = promoted.iter().map(|key| key.column_name()).collect();
    names.sort();
    assert_eq!(names, ["attr.status", "attr.user"]);
    let s = Session::new(&store);
    let sql = "SELECT sum(attributes['bytes']), sum(attributes['seconds']) FROM spans";
    assert_eq!(ask(&s, sql).await, ["45150|150.0"]);
}

#[tokio::test]
async fn a_key_of_resources_is_read_once_for_many_spans_and_is_theirs() {
    let store = Store::options().fs(std::sync::Arc::new(MemoryFs::new())).disk_floor_bytes(0);
    let store = store.open("s").expect("opened");
    for hot in [false, true] {
        let specs: Vec<Spec> = (1..=300)
            .map(|n| span(&format!("service-of-a-long-name-{}", n % 7), n, n, 0))
            .collect();
        append(&store, &specs);
        if !hot {
            store.flush().expect("flushed");
        }
        let s = Session::new(&store);
        let sql = "SELECT count(*), count(resource_attributes['service.name']) FROM spans
                   WHERE resource_attributes['service.name'] = service_name";
        let all = if hot { "600|600" } else { "300|300" };
        assert_eq!(ask(&s, sql).await, [all]);
        let sql = "SELECT count(DISTINCT resource_attributes['service.name']) FROM spans";
        assert_eq!(ask(&s, sql).await, ["7"]);
    }
}

#[tokio::test]
async fn the_newest_row_groups_come_first() {
    let s = Session::new(&flushed());
    let sql = "SELECT name FROM spans ORDER BY start_time DESC LIMIT 10";
    let plan = plan(&s, sql).await;
    assert!(plan.contains("reverse_row_groups=true"), "{plan}");
}

#[tokio::test]
async fn the_last_spans_of_a_service_are_found_without_reading_older_segments() {
    let store = apart(&MemoryFs::new(), &[]).open("s").expect("opened");
    for segment in 0..6u64 {
        let specs: Vec<Spec> = (1..=1_500)
            .map(|n| {
                span(["shop", "rare"][usize::from(n % 10 == 0)], segment, segment * 10_000 + n, 0)
            })
            .collect();
        append(&store, &specs);
        store.flush().expect("flushed");
    }
    let s = Session::with_options(&store, SessionOptions::new().target_partitions(1));
    let sql =
        "SELECT name FROM spans WHERE service_name = 'shop' ORDER BY start_time DESC LIMIT 10";
    let newest = (51_491..=51_499).rev().chain([51_489]).map(|n| format!("op{n}"));
    assert_eq!(ask(&s, sql).await, newest.collect::<Vec<_>>());
    let found = plan(&s, sql).await;
    assert!(found.contains("files_ranges_pruned_statistics=6 total \u{2192} 1 matched"), "{found}");
    // Whoever needs all rows gets them in few batches: 8,100 of them in one.
    let sql = "SELECT name, count(*) FROM spans WHERE service_name = 'shop' \
               GROUP BY name ORDER BY 2 DESC, name LIMIT 10";
    let counted = plan(&s, sql).await;
    let filter = counted.lines().find(|line| line.contains("FilterExec")).expect("a filter");
    assert!(
        filter.contains("output_rows=8.10 K") && filter.contains("output_batches=1,"),
        "{filter}"
    );
}
