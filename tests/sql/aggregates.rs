//! `ratio`, `max_by` and `min_by`.

use amida::MemoryFs;
use amida_sql::datafusion::prelude::SessionContext;
use amida_sql::{Session, SessionOptions};
use serde_json::json;

use crate::common::{Spec, apart, append, ask, ask_sorted, lines, refusal, span, store, trace_hex};

/// Six spans: op1 to op3 of `shop`, op4 to op6 of `cart`; op3 and op6 fail, op5 is as slow as op6.
fn specs() -> Vec<Spec> {
    vec![
        span("shop", 1, 1, 0).lasting(5_000_000).with("ok", json!(true)).with("n", json!(4)),
        span("shop", 1, 2, 1).lasting(9_000_000).with("ok", json!(false)).with("code", json!(200)),
        span("shop", 1, 3, 1).lasting(1_000_000).error().with("ok", json!("yes")),
        span("cart", 2, 4, 0).lasting(2_000_000).with("code", json!("none")).with("n", json!(7)),
        span("cart", 2, 5, 4).lasting(8_000_000).with("n", json!(-1)),
        span("cart", 3, 6, 0).lasting(8_000_000).error().with("ok", json!(true)),
    ]
}

fn session() -> Session {
    Session::new(&store(&specs()))
}

#[tokio::test]
async fn ratio_is_the_share_of_rows_for_which_a_condition_holds() {
    let s = session();
    for (expr, expected) in [
        ("ratio(is_error)", "0.3333333333333333"),
        ("ratio(duration > '4ms')", "0.6666666666666666"),
        ("ratio(service_name = 'shop')", "0.5"),
        ("ratio(NULL)", "-"),
        ("ratio(is_error) FILTER (WHERE service_name = 'none')", "-"),
        ("ratio(is_error) FILTER (WHERE span_id LIKE '%3')", "1.0"),
        ("ratio(attributes['n'] > 0)", "0.6666666666666666"),
        ("ratio(attributes['ok'])", "0.6666666666666666"),
        ("ratio(parent_span_id IS NULL)", "0.5"),
    ] {
        assert_eq!(ask(&s, &format!("SELECT {expr} FROM spans")).await, [expected], "{expr}");
    }
    assert_eq!(ask(&s, "SELECT ratio(is_error) FROM spans WHERE name = 'none'").await, ["-"]);
    let sql = "SELECT service_name, ratio(is_error) > 0.3 FROM spans GROUP BY 1 ORDER BY 1";
    assert_eq!(ask(&s, sql).await, ["cart|true", "shop|true"]);
    let sql = "SELECT name, ratio(is_error) OVER (ORDER BY name ROWS BETWEEN 1 PRECEDING AND \
               CURRENT ROW) FROM spans ORDER BY name";
    assert_eq!(
        ask(&s, sql).await,
        ["op1|0.0", "op2|0.0", "op3|0.5", "op4|0.5", "op5|0.0", "op6|0.5"]
    );
    for expr in ["ratio(duration_ns)", "ratio(name)", "ratio(is_error, is_error)"] {
        let words = refusal(&s, &format!("SELECT {expr} FROM spans")).await;
        assert!(words.contains("ratio(is_error)"), "{expr}: {words}");
    }
    let words = crate::common::try_ask(&s, "SELECT ratio(DISTINCT is_error) FROM spans").await;
    assert!(words.expect_err("refused").to_string().contains("DISTINCT"));
}

#[tokio::test]
async fn the_row_with_the_largest_or_smallest_gives_its_value() {
    let s = session();
    for (expr, expected) in [
        ("max_by(name, duration)", "op2"),
        ("min_by(name, duration)", "op3"),
        ("max_by(name, duration_ns) FILTER (WHERE service_name = 'cart')", "op5"),
        ("max_by(duration_ns, name)", "8000000"),
        ("min_by(start_time, start_time)", "2026-01-01T00:00:00.001Z"),
        ("max_by(is_error, start_time)", "true"),
        ("max_by(attributes['n'], duration)", "-"),
        ("max_by(name, attributes['n'])", "op4"),
        ("min_by(name, attributes['n'])", "op5"),
        ("min_by(name, attr_int(attributes, 'code'))", "op2"),
        ("max_by(attributes['code'], duration)", "200"),
        ("max_by(parent_span_id, name) IS NULL", "true"),
        ("arrow_typeof(max_by(attributes['n'], duration))", "Int64"),
        ("max_by(named_struct('n', name, 'd', duration_ms), duration)", "{n: op2, d: 9.0}"),
        ("max_by(make_array(name, kind), duration)", "[op2, SERVER]"),
        ("max_by(name, CAST(NULL AS BIGINT))", "-"),
    ] {
        assert_eq!(ask(&s, &format!("SELECT {expr} FROM spans")).await, [expected], "{expr}");
    }
    let sql = "SELECT service_name, max_by(name, duration), min_by(name, duration) FROM spans \
               GROUP BY 1 ORDER BY 1";
    assert_eq!(ask(&s, sql).await, ["cart|op5|op4", "shop|op2|op3"]);
    let sql = "SELECT name, max_by(name, duration) OVER (ORDER BY name) FROM spans ORDER BY name \
               LIMIT 3";
    assert_eq!(ask(&s, sql).await, ["op1|op1", "op2|op2", "op3|op2"]);
    assert_eq!(ask(&s, "SELECT max_by(name, duration) FROM spans WHERE name = 'x'").await, ["-"]);
    let words = refusal(&s, "SELECT max_by(name, attributes['code']) FROM spans").await;
    assert!(words.contains("attr_int(attributes, 'code')"), "{words}");
    let words = refusal(&s, "SELECT max_by(name) FROM spans").await;
    assert!(words.contains("two arguments"), "{words}");
}

#[tokio::test]
async fn the_slowest_trace_keeps_being_an_id() {
    let s = session();
    let id = trace_hex(1);
    assert_eq!(ask(&s, "SELECT max_by(trace_id, duration_ns) FROM spans").await, [id.as_str()]);
    let sql = format!(
        "SELECT service_name FROM spans GROUP BY 1 HAVING max_by(trace_id, duration) = '{}'",
        id.to_uppercase()
    );
    assert_eq!(ask(&s, &sql).await, ["shop"]);
    let sql = "SELECT 1 FROM spans GROUP BY name HAVING max_by(trace_id, duration) = 'xyz'";
    assert!(refusal(&s, sql).await.contains("'xyz' is not a trace id"));
    let sql = "SELECT name FROM spans WHERE trace_id = \
               (SELECT max_by(trace_id, duration) FROM spans) ORDER BY name";
    assert_eq!(ask(&s, sql).await, ["op1", "op2", "op3"]);
    let sql = "SELECT service_name FROM spans GROUP BY 1 HAVING max_by(duration, name) > '5ms'";
    assert_eq!(ask(&s, sql).await, ["cart"]);
}

/// 5,000 spans in five segments; names and durations repeat, so that there are ties.
fn many() -> amida::Store {
    let store = apart(&MemoryFs::new(), &[]).open("s").expect("opened");
    for part in 0..5u64 {
        let specs: Vec<Spec> = (1..=1_000)
            .map(|n| {
                let id = part * 1_000 + n;
                let ns = i64::try_from(id * 7 % 10 * 1_000_000).expect("small");
                let spec = span(&format!("s{}", id % 13), id / 3, id, 0).lasting(ns);
                if id % 5 == 0 { spec.error() } else { spec }
            })
            .collect();
        append(&store, &specs);
        if part < 4 {
            store.flush().expect("flushed");
        }
    }
    store
}

#[tokio::test]
async fn partitions_spilling_and_ties_change_nothing() {
    let store = many();
    let one = Session::with_options(&store, SessionOptions::default().target_partitions(1));
    let tight = SessionOptions::default().target_partitions(4).memory_bytes_max(4 << 20);
    let four = Session::with_options(&store, tight);
    for sql in [
        "SELECT max_by(name, duration), min_by(span_id, duration), ratio(is_error) FROM spans",
        "SELECT service_name, max_by(name, duration), ratio(is_error) FROM spans GROUP BY 1",
        "SELECT trace_id, max_by(name, duration), min_by(attributes, duration), ratio(is_error) \
         FROM spans GROUP BY 1",
    ] {
        assert_eq!(ask_sorted(&one, sql).await, ask_sorted(&four, sql).await, "{sql}");
    }
    // Of the rows with the same duration the one with the smallest value.
    let sql = "SELECT max_by(span_id, duration) = \
               (SELECT min(span_id) FROM spans WHERE duration = (SELECT max(duration) FROM spans)) \
               FROM spans";
    assert_eq!(ask(&four, sql).await, ["true"]);
    let sql = "SELECT ratio(is_error) FROM spans";
    assert_eq!(ask(&four, sql).await, ["0.2"]);
}

#[tokio::test]
async fn all_functions_work_in_a_context_of_ones_own() {
    let store = store(&specs());
    store.flush().expect("flushed");
    let context = SessionContext::new();
    amida_sql::register(&context, &store).expect("registered");
    for (sql, expected) in [
        ("SELECT ratio(is_error), max_by(name, duration) FROM spans", "0.3333333333333333|op2"),
        ("SELECT p95(duration_ns), p50(attributes['n']) FROM spans", "9000000|4"),
        ("SELECT count(*) FROM spans WHERE duration > '4ms'", "4"),
        ("SELECT count(*) FROM spans WHERE duration_ns > interval '4 ms'", "4"),
        ("SELECT count(*) FROM (SELECT time_bucket('1 minute', start_time) FROM spans)", "6"),
        ("SELECT max(duration_ns) > '8ms' FROM spans", "true"),
    ] {
        let frame = context.sql(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        let batches = frame.collect().await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        assert_eq!(lines(&batches), [expected], "{sql}");
    }
}

#[tokio::test]
async fn what_a_function_says_of_its_arguments_is_said_plainly() {
    let session = Session::new(&store(&[span("web", 1, 1, 0)]));
    for (call, words) in [
        ("max_by(name)", "max_by takes two arguments, as in max_by(trace_id, duration)"),
        (
            "p50(name)",
            "p50 takes numbers or durations, not text; write CAST(.. AS DOUBLE) where every text \
             is a number, and attr_float(attributes, 'key') where an attribute has several types",
        ),
        (
            "attr_int(attributes)",
            "attr_int takes an attribute column and a key: attr_int(attributes, 'key')",
        ),
        ("time_bucket(1)", "time_bucket takes a width and a time: time_bucket('1 minute', t)"),
    ] {
        assert_eq!(refusal(&session, &format!("SELECT {call} FROM spans")).await, words);
    }
}
