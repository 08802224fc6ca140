//! Durations: literals with units beside them, what may be calculated, how they print, and that
//! filters on them reach the segments.

use amida::{MemoryFs, Store};
use amida_sql::datafusion::arrow::array::RecordBatch;
use amida_sql::datafusion::prelude::SessionContext;
use amida_sql::{ScalarValue, Session, readable};
use serde_json::json;

use crate::common::{Spec, apart, append, ask, ask_sorted, lines, refusal, span, store, trace_hex};

/// Spans `op1` to `op5` of 1 ms, 250 ms, 0.5 s, 90 s, and minus 5 us.
fn specs() -> Vec<Spec> {
    [1_000_000, 250_000_000, 500_000_000, 90_000_000_000, -5_000]
        .into_iter()
        .zip(1..)
        .map(|(ns, n)| span("shop", n, n, 0).lasting(ns).with("wait", json!(n * 1_000_000)))
        .collect()
}

pub fn session() -> Session {
    Session::new(&store(&specs()))
}

fn shown(batches: &[RecordBatch]) -> Vec<String> {
    let readable: Vec<_> = batches.iter().map(|b| readable(b).expect("readable")).collect();
    lines(&readable)
}

/// The rows of a query, durations as they print.
async fn drawn(session: &Session, sql: &str) -> Vec<String> {
    let rows = session.query(sql).await.unwrap_or_else(|error| panic!("{sql}\n{error}"));
    let table = rows.collect().await.unwrap_or_else(|error| panic!("{sql}\n{error}"));
    shown(table.batches())
}

/// Conditions, and the spans that meet them.
fn conditions() -> Vec<(&'static str, &'static [&'static str])> {
    vec![
        ("duration > '250ms'", &["op3", "op4"]),
        ("duration >= '250 ms'", &["op2", "op3", "op4"]),
        ("'250ms' < duration", &["op3", "op4"]),
        ("duration = '0.5s'", &["op3"]),
        ("duration <> '1m30s'", &["op1", "op2", "op3", "op5"]),
        ("duration IN ('1ms', '1.5min')", &["op1", "op4"]),
        ("duration NOT IN ('1ms', '1.5min')", &["op2", "op3", "op5"]),
        ("duration BETWEEN '1ms' AND '250ms'", &["op1", "op2"]),
        ("duration BETWEEN interval '1 ms' AND '0.25s'", &["op1", "op2"]),
        ("duration NOT BETWEEN '1ms' AND '250ms'", &["op3", "op4", "op5"]),
        ("duration > interval '250 ms'", &["op3", "op4"]),
        ("interval '1 minute' <= duration", &["op4"]),
        ("duration < '0s'", &["op5"]),
        ("duration = '-5us'", &["op5"]),
        ("duration = '-5 \u{b5}s'", &["op5"]),
        ("duration = '-5\u{3bc}s'", &["op5"]),
        ("duration IS DISTINCT FROM '1ms'", &["op2", "op3", "op4", "op5"]),
        ("duration_ns > '250ms'", &["op3", "op4"]),
        ("duration_ns > interval '250 ms'", &["op3", "op4"]),
        ("duration_ns IN ('1ms', '1.5min')", &["op1", "op4"]),
        ("duration_ns BETWEEN '1ms' AND interval '250 ms'", &["op1", "op2"]),
        ("duration_ns > 250000000", &["op3", "op4"]),
        ("duration_ms > '250ms'", &["op3", "op4"]),
        ("duration_ms >= 250", &["op2", "op3", "op4"]),
        ("duration_ms = '-5us'", &["op5"]),
        ("duration_ms BETWEEN '1000000ns' AND '250ms'", &["op1", "op2"]),
        ("duration_ms > interval '1 minute'", &["op4"]),
        ("duration_ns + duration_ns > '600ms'", &["op3", "op4"]),
        ("round(duration_ms, 1) > '400ms'", &["op3", "op4"]),
        ("CASE WHEN is_error THEN '0s' ELSE duration_ns END > '400ms'", &["op3", "op4"]),
        ("CASE WHEN name = 'op4' THEN duration_ms ELSE '2s' END < '2s'", &[]),
        (
            "CASE WHEN name = 'op4' THEN duration ELSE '2s' END = '2s'",
            &["op1", "op2", "op3", "op5"],
        ),
        ("CASE WHEN name = 'op4' THEN '2s' ELSE duration END = '2s'", &["op4"]),
        ("coalesce(duration_ns, '0s') > '400ms'", &["op3", "op4"]),
        ("greatest(duration_ms, '10s') > '10s'", &["op4"]),
        ("least(duration_ns, '1ms') < '1ms'", &["op5"]),
        ("nullif(duration_ns, '1ms') IS NULL", &["op1"]),
        ("nvl(duration_ms, '0s') = '500ms'", &["op3"]),
        ("-duration_ns >= '5us'", &["op5"]),
        ("abs(duration_ns) = '5us'", &["op5"]),
        ("duration_ns - '100ms' > '250ms'", &["op3", "op4"]),
        ("duration / 2 > '200ms'", &["op3", "op4"]),
        ("duration * 1.5 > '700ms'", &["op3", "op4"]),
        ("2 * duration = '2ms'", &["op1"]),
        ("duration + '1s' > '1.4s'", &["op3", "op4"]),
        ("duration - interval '1 second' > interval '1 minute'", &["op4"]),
        ("duration / interval '1 second' > 60", &["op4"]),
        ("end_time - start_time > '250ms'", &["op3", "op4"]),
        ("CASE duration WHEN '1ms' THEN true ELSE false END", &["op1"]),
        ("NOT (duration > '250ms')", &["op1", "op2", "op5"]),
    ]
}

#[tokio::test]
async fn a_literal_beside_a_duration_has_a_unit() {
    let flushed = store(&specs());
    flushed.flush().expect("flushed");
    for s in [session(), Session::new(&flushed)] {
        for (condition, expected) in conditions() {
            let sql = format!("SELECT name FROM spans WHERE {condition}");
            assert_eq!(ask_sorted(&s, &sql).await, expected, "{condition}");
        }
    }
}

#[tokio::test]
async fn the_unit_is_read_behind_aliases_ctes_joins_aggregates_and_views() {
    let s = session();
    for (sql, expected) in [
        (
            "WITH x AS (SELECT duration_ns AS d FROM spans) SELECT count(*) FROM x WHERE d > '1s'",
            "1",
        ),
        (
            "WITH x AS (SELECT duration_ms AS d FROM spans) SELECT count(*) FROM x WHERE d > '1s'",
            "1",
        ),
        ("WITH x AS (SELECT duration AS d FROM spans) SELECT count(*) FROM x WHERE d > '1s'", "1"),
        (
            "SELECT count(*) FROM spans a JOIN spans b ON a.trace_id = b.trace_id \
             AND a.duration_ns > '1s'",
            "1",
        ),
        ("SELECT count(*) FROM traces WHERE duration > '400ms'", "2"),
        ("SELECT count(*) FROM traces WHERE duration_ns > '400ms'", "2"),
        ("SELECT count(*) FROM traces WHERE duration_ms > '400ms'", "2"),
        ("SELECT count(*) FROM services WHERE p99_ms > '89s' AND p50_ms = '250ms'", "1"),
        ("SELECT count(*) FROM operations WHERE p95_ms > '1m'", "1"),
        ("SELECT service_name FROM spans GROUP BY 1 HAVING max(duration_ns) > '1m'", "shop"),
        ("SELECT service_name FROM spans GROUP BY 1 HAVING avg(duration_ns) > '1s'", "shop"),
        ("SELECT service_name FROM spans GROUP BY 1 HAVING p95(duration_ns) > '1m'", "shop"),
        ("SELECT service_name FROM spans GROUP BY 1 HAVING min(duration) < '0s'", "shop"),
        (
            "FROM spans |> AGGREGATE sum(duration_ms) AS total GROUP BY service_name \
             |> WHERE total > '90s' |> SELECT service_name",
            "shop",
        ),
        ("FROM spans |> WHERE duration > '1s' |> SELECT name", "op4"),
        ("SELECT name FROM spans WHERE duration = (SELECT max(duration) FROM spans)", "op4"),
    ] {
        assert_eq!(ask(&s, sql).await, [expected], "{sql}");
    }
}

#[tokio::test]
async fn a_bound_duration_is_read_like_a_literal() {
    let s = session();
    let context = SessionContext::new();
    amida_sql::register(&context, &store(&specs())).expect("registered");
    let text = |value: &str| ScalarValue::from(value);
    for (condition, params) in [
        ("duration > $1", vec![text("400ms")]),
        ("duration_ns > $1", vec![text("400ms")]),
        ("duration_ms > $1", vec![text("400ms")]),
        ("duration BETWEEN $1 AND $2", vec![text("400ms"), text("2m")]),
        ("duration_ns IN ($1, $2)", vec![text("500ms"), text("90s")]),
        ("duration_ns > $1", vec![ScalarValue::from(400_000_000i64)]),
    ] {
        let sql = format!("SELECT name FROM spans WHERE {condition} ORDER BY name");
        let rows = s.query_with(&sql, params.clone()).await;
        let rows = rows.unwrap_or_else(|error| panic!("{condition}: {error}"));
        let table = rows.collect().await.expect("rows");
        assert_eq!(lines(table.batches()), ["op3", "op4"], "{condition}");
        let frame = context.sql(&sql).await.expect("parsed");
        let frame = frame.with_param_values(params).expect("bound");
        let batches = frame.collect().await.unwrap_or_else(|e| panic!("{condition}: {e}"));
        assert_eq!(lines(&batches), ["op3", "op4"], "{condition}");
    }
    let sql = "SELECT 1 FROM spans WHERE duration > $1";
    let refused = s.query_with(sql, ["400"]).await.expect_err("no unit");
    assert!(refused.to_string().contains("'400ms'"), "{refused}");
}

#[tokio::test]
async fn what_is_no_duration_is_refused_with_what_to_write() {
    let s = session();
    for column in ["duration", "duration_ns", "duration_ms"] {
        for (literal, part) in [
            ("'500'", "write '500ms'"),
            ("'fast'", "as in '500ms'"),
            ("''", "as in '500ms'"),
            ("'5 parsecs'", "'parsecs' is not a unit"),
            ("'2 months'", "write days, as in '30d'"),
            ("interval '1 month'", "INTERVAL '30 days'"),
            ("interval '2 years'", "INTERVAL '30 days'"),
            ("'400 years'", "write days"),
            ("'20000 weeks'", "292 years"),
        ] {
            let sql = format!("SELECT name FROM spans WHERE {column} > {literal}");
            let words = refusal(&s, &sql).await;
            assert!(words.contains(part), "{sql}\n{words}");
            let sql = format!("SELECT name FROM spans WHERE {column} IN ('1ms', {literal})");
            assert!(refusal(&s, &sql).await.contains(part), "{sql}");
            let sql = format!("SELECT name FROM spans WHERE {column} BETWEEN '1ms' AND {literal}");
            assert!(refusal(&s, &sql).await.contains(part), "{sql}");
        }
    }
    for condition in ["duration > 500", "duration BETWEEN 1 AND 2", "duration IN (5.5)"] {
        let words = refusal(&s, &format!("SELECT name FROM spans WHERE {condition}")).await;
        assert!(words.contains("'500ms'") && words.contains("duration_ns"), "{words}");
    }
    let words =
        refusal(&s, "SELECT name FROM spans WHERE duration > interval '1 s' + interval '1 s'")
            .await;
    assert!(words.contains("write INTERVAL '500 ms'"), "{words}");
}

#[tokio::test]
async fn durations_are_calculated_with_and_print_with_a_unit() {
    let s = session();
    for (expr, expected) in [
        ("max(duration)", "1m30s"),
        ("min(duration)", "-5us"),
        ("sum(duration)", "1m30.750995s"),
        ("avg(duration)", "18.150199s"),
        ("p50(duration)", "250ms"),
        ("max(duration) / 2", "45s"),
        ("max(duration) * 2", "3m"),
        ("max(duration) - '30s'", "1m"),
        ("max(duration) / max(duration_ns)", "1ns"),
        ("max(duration) / interval '1 minute'", "1.5"),
        ("CAST(max(duration) AS BIGINT)", "90000000000"),
        ("extract(second FROM max(duration))", "90"),
        ("date_part('epoch', max(duration))", "90.0"),
        ("arrow_typeof(max(duration))", "Duration(ns)"),
        ("count(DISTINCT duration)", "5"),
        ("max_by(name, duration)", "op4"),
    ] {
        let sql = format!("SELECT {expr} FROM spans");
        assert_eq!(drawn(&s, &sql).await, [expected], "{expr}");
    }
    let sql = "SELECT name, duration FROM spans ORDER BY duration DESC LIMIT 3";
    assert_eq!(drawn(&s, sql).await, ["op4|1m30s", "op3|500ms", "op2|250ms"]);
    let sql = "SELECT duration, count(*) FROM spans GROUP BY 1 ORDER BY 1 LIMIT 2";
    assert_eq!(drawn(&s, sql).await, ["-5us|1", "1ms|1"]);
    let sql = "SELECT max(start_time + duration) = max(end_time) FROM spans";
    assert_eq!(drawn(&s, sql).await, ["true"]);
    let table = s.query("SELECT duration FROM spans WHERE name = 'op2'").await.expect("planned");
    let table = table.collect().await.expect("rows").to_string();
    assert!(table.contains("| 250ms    |"), "{table}");
}

#[tokio::test]
async fn durations_in_lists_structs_and_maps_print_with_a_unit_too() {
    let s = session();
    for (expr, expected) in [
        ("array_agg(duration ORDER BY duration)", "[-5us, 1ms, 250ms, 500ms, 1m30s]"),
        ("struct(max(duration) AS d, count(*) AS n)", "{d: 1m30s, n: 5}"),
        ("[struct(min(duration) AS d)]", "[{d: -5us}]"),
        ("[[max(duration)], NULL]", "[[1m30s], -]"),
        ("map(['a'], [max(duration)])", "{a: 1m30s}"),
        ("arrow_cast([max(duration)], 'LargeList(Duration(ns))')", "[1m30s]"),
        ("arrow_cast([max(duration)], 'FixedSizeList(1, Duration(ns))')", "[1m30s]"),
        ("[max(marks)]", "[1]"),
    ] {
        let sql = format!("SELECT {expr} FROM spans");
        assert_eq!(drawn(&s, &sql).await, [expected], "{expr}");
    }
    let sql = "SELECT trace_id, [duration] FROM spans ORDER BY start_time LIMIT 2 OFFSET 1";
    let rows = drawn(&s, sql).await;
    assert_eq!(rows, [format!("{}|[250ms]", trace_hex(2)), format!("{}|[500ms]", trace_hex(3))]);
    let table = s.query(sql).await.expect("planned").collect().await.expect("rows");
    let sliced: Vec<RecordBatch> = table.batches().iter().map(|b| b.slice(1, 1)).collect();
    assert_eq!(shown(&sliced), [format!("{}|[500ms]", trace_hex(3))]);
}

/// Four segments, each ten times slower than the one before.
fn apart_by_duration() -> Store {
    let store = apart(&MemoryFs::new(), &[]).open("s").expect("opened");
    for (segment, ns) in [1_000_000, 10_000_000, 100_000_000, 1_000_000_000].into_iter().enumerate()
    {
        let first = segment as u64 * 1_000 + 1;
        let specs: Vec<Spec> =
            (first..first + 200).map(|n| span("shop", n, n, 0).lasting(ns)).collect();
        append(&store, &specs);
        store.flush().expect("flushed");
    }
    store
}

#[tokio::test]
async fn filters_on_durations_are_integers_in_the_scan_and_leave_out_segments() {
    let s = Session::new(&apart_by_duration());
    for (condition, predicate) in [
        ("duration > '500ms'", "duration_ns@9 >= 500000001"),
        ("duration >= interval '500 ms'", "duration_ns@9 >= 500000000"),
        ("duration_ns > '500ms'", "duration_ns@9 > 500000000"),
        ("duration_ms > '500ms'", "duration_ns@9 >= 500000001"),
        ("duration BETWEEN '500ms' AND '2s'", "duration_ns@9 < 2000000001"),
        ("duration_ms BETWEEN '500ms' AND '2s'", "duration_ns@9 < 2000000001"),
        ("duration_ns BETWEEN '500ms' AND '2s'", "duration_ns@9 <= 2000000000"),
        ("duration > '500ms' AND duration <= interval '2 s'", "duration_ns@9 < 2000000001"),
        ("duration IN ('1s')", "duration_ns@9 >= 1000000000"),
    ] {
        let sql = format!("SELECT count(name) FROM spans WHERE {condition}");
        assert_eq!(ask(&s, &sql).await, ["200"], "{condition}");
        let plan = ask(&s, &format!("EXPLAIN ANALYZE {sql}")).await.join("\n");
        let scan = plan.lines().find(|line| line.contains("DataSourceExec")).unwrap_or("");
        let scan = scan.split("metrics").next().unwrap_or(scan);
        assert!(scan.contains(predicate), "{condition}\n{plan}");
        assert!(!scan.contains("as_"), "{condition}\n{plan}");
        assert!(plan.contains("4 total \u{2192} 1 matched"), "{condition}\n{plan}");
    }
}

#[tokio::test]
async fn milliseconds_with_a_fraction_are_compared_exactly_as_they_print() {
    let specs: Vec<Spec> = (1..=50)
        .map(|n| {
            let ns = i64::try_from(n * n * 333_333 + n).expect("small");
            span("shop", n, n, 0).lasting(if n % 7 == 0 { -ns } else { ns })
        })
        .collect();
    let store = store(&specs);
    let s = Session::new(&store);
    let values = ask(&s, "SELECT duration_ms, duration_ns FROM spans ORDER BY name").await;
    store.flush().expect("flushed");
    let s = Session::new(&store);
    for value in values {
        let (ms, ns) = value.split_once('|').expect("two columns");
        for op in ["=", "<", "<=", ">", ">=", "<>"] {
            let sql = format!(
                "SELECT count(*) FILTER (WHERE duration_ms {op} {ms}), \
                 count(*) FILTER (WHERE duration_ns {op} {ns}) FROM spans"
            );
            let both = ask(&s, &sql).await.concat();
            let (by_ms, by_ns) = both.split_once('|').expect("two columns");
            assert_eq!(by_ms, by_ns, "{op} {ms}");
            let sql = format!("SELECT count(*) FROM spans WHERE duration_ms {op} {ms}");
            assert_eq!(ask(&s, &sql).await, [by_ns], "{op} {ms}");
        }
    }
}

#[tokio::test]
async fn a_duration_without_quotes_is_refused_at_its_place() {
    let s = Session::new(&store(&[span("shop", 1, 1, 0)]));
    for (sql, written) in [
        ("SELECT duration_ns > 500ms FROM spans", "500ms"),
        ("SELECT name FROM spans WHERE duration > 1h30m AND true", "1h30m"),
        ("SELECT 1.5s", "1.5s"),
        ("SELECT name FROM spans WHERE duration_ms > 2S", "2S"),
    ] {
        let Err(error) = s.query(sql).await else { panic!("{sql}\nwas planned") };
        assert!(error.to_string().ends_with(&format!("write '{written}'")), "{sql}\n{error}");
        let place = error.place().expect("a place");
        assert_eq!(&sql[place.column - 1..][..place.length], written, "{sql}");
    }
    // A number and an alias.
    assert_eq!(ask(&s, "SELECT 500 ms, 1e3 s, 2\"h\", 7x").await, ["500|1000.0|2|7"]);
}

#[tokio::test]
async fn windows_are_ordered_by_durations() {
    let specs: Vec<Spec> =
        [3, 1, 2, 2, 9].iter().zip(1..).map(|(ns, n)| span("shop", 1, n, 0).lasting(*ns)).collect();
    let s = Session::new(&store(&specs));
    for (window, expected) in [
        ("row_number() OVER (ORDER BY duration, name)", ["4", "1", "2", "3", "5"]),
        ("rank() OVER (ORDER BY duration DESC)", ["2", "5", "3", "3", "1"]),
        ("lag(duration_ns) OVER (ORDER BY duration, name)", ["2", "-", "1", "2", "3"]),
        ("sum(duration_ns) OVER (ORDER BY duration)", ["8", "1", "5", "5", "17"]),
        ("max(duration_ns) OVER (ORDER BY -duration_ns, duration)", ["9"; 5]),
        (
            "count(*) OVER (ORDER BY duration RANGE BETWEEN INTERVAL '1ns' PRECEDING \
             AND INTERVAL '1 nanosecond' FOLLOWING)",
            ["3", "3", "4", "4", "1"],
        ),
        (
            "count(*) OVER (ORDER BY duration DESC RANGE BETWEEN UNBOUNDED PRECEDING \
             AND INTERVAL '1ns' FOLLOWING)",
            ["4", "5", "5", "5", "1"],
        ),
        (
            "count(*) OVER (ORDER BY duration_ns RANGE BETWEEN INTERVAL '1ns' PRECEDING \
             AND 1 FOLLOWING)",
            ["3", "3", "4", "4", "1"],
        ),
        ("count(*) OVER (ORDER BY duration ROWS 1 PRECEDING)", ["2", "1", "2", "2", "2"]),
    ] {
        let rows = ask(&s, &format!("SELECT {window} FROM spans ORDER BY name")).await;
        assert_eq!(rows, expected, "{window}");
    }
    let sql = "SELECT name, row_number() OVER w FROM spans WINDOW w AS (ORDER BY duration, name) \
               QUALIFY row_number() OVER (ORDER BY duration, name) = 1";
    assert_eq!(ask(&s, sql).await, ["op2|1"]);
    let sql = "SELECT count(*) OVER (ORDER BY duration RANGE 5 PRECEDING) FROM spans";
    let words = refusal(&s, sql).await;
    assert!(words.starts_with("5 does not bound a RANGE of durations"), "{words}");
}
