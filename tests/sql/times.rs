//! `time_bucket`, and literals of times: UTC unless they name a zone.

use amida_sql::Session;

use crate::common::{ask, refusal, span, store};

/// One span at 2026-01-01T00:00:00.001Z, one at .002Z.
fn session() -> Session {
    Session::new(&store(&[span("shop", 1, 1, 0), span("shop", 1, 2, 1)]))
}

#[tokio::test]
async fn a_time_falls_into_the_bucket_that_begins_before_it() {
    let s = session();
    let time = "timestamp '2026-02-18 13:47:59.123456789'"; // a Wednesday
    for (width, expected) in [
        ("'1 minute'", "2026-02-18T13:47:00Z"),
        ("'1 min'", "2026-02-18T13:47:00Z"),
        ("'5m'", "2026-02-18T13:45:00Z"),
        ("'1 h'", "2026-02-18T13:00:00Z"),
        ("'6h'", "2026-02-18T12:00:00Z"),
        ("'1 day'", "2026-02-18T00:00:00Z"),
        ("'1 week'", "2026-02-16T00:00:00Z"),
        ("'7d'", "2026-02-16T00:00:00Z"),
        ("'500ms'", "2026-02-18T13:47:59Z"),
        ("'100 us'", "2026-02-18T13:47:59.123400Z"),
        ("'1 ns'", "2026-02-18T13:47:59.123456789Z"),
        ("interval '15 minutes'", "2026-02-18T13:45:00Z"),
        ("interval '1 week'", "2026-02-16T00:00:00Z"),
        ("interval '1 month'", "2026-02-01T00:00:00Z"),
        ("interval '3 months'", "2026-01-01T00:00:00Z"),
        ("interval '1 year'", "2026-01-01T00:00:00Z"),
    ] {
        let sql = format!("SELECT time_bucket({width}, {time})");
        assert_eq!(ask(&s, &sql).await, [expected], "{width}");
    }
    for (args, expected) in [
        ("'1 minute', timestamp '1969-12-31 23:59:30'", "1969-12-31T23:59:00Z"),
        ("'1 week', timestamp '1970-01-01 00:00:00'", "1969-12-29T00:00:00Z"),
        ("'1 day', timestamp '1969-12-31 23:59:30'", "1969-12-31T00:00:00Z"),
        ("interval '1 month', timestamp '1969-11-15 00:00:00'", "1969-11-01T00:00:00Z"),
        ("'1 hour', date '2026-02-18'", "2026-02-18T00:00:00Z"),
        ("'1 hour', '2026-02-18T13:47:59+09:00'", "2026-02-18T04:00:00Z"),
        (
            "'1 hour', timestamp '2026-02-18 13:47:59', timestamp '2026-01-01 00:20:00'",
            "2026-02-18T13:20:00Z",
        ),
        ("'1 week', timestamp '2026-02-18 13:47:59', '2026-02-15'", "2026-02-15T00:00:00Z"),
        ("'1 minute', NULL", "-"),
    ] {
        assert_eq!(ask(&s, &format!("SELECT time_bucket({args})")).await, [expected], "{args}");
    }
}

#[tokio::test]
async fn buckets_group_order_filter_and_are_folded() {
    let s = session();
    for (sql, expected) in [
        (
            "SELECT time_bucket('1ms', start_time) AS t, count(*) FROM spans GROUP BY t ORDER BY t",
            &["2026-01-01T00:00:00.001Z|1", "2026-01-01T00:00:00.002Z|1"][..],
        ),
        (
            "SELECT time_bucket('1 minute', start_time), count(*) FROM spans \
             GROUP BY time_bucket('1 minute', start_time)",
            &["2026-01-01T00:00:00Z|2"],
        ),
        (
            "SELECT count(*) FROM spans WHERE time_bucket('1 day', start_time) = '2026-01-01'",
            &["2"],
        ),
        (
            "SELECT arrow_typeof(time_bucket('1 day', start_time)) FROM spans LIMIT 1",
            &["Timestamp(ns, \"UTC\")"],
        ),
        (
            "FROM spans |> AGGREGATE count(*) AS n GROUP BY time_bucket('1h', start_time) AS t \
             |> ORDER BY t",
            &["2026-01-01T00:00:00Z|2"],
        ),
    ] {
        assert_eq!(ask(&s, sql).await, expected, "{sql}");
    }
    let sql = "EXPLAIN SELECT name FROM spans \
               WHERE start_time >= time_bucket('1 day', timestamp '2026-01-05 10:00:00')";
    let plan = ask(&s, sql).await.join("\n");
    assert!(!plan.contains("time_bucket") && plan.contains("1767571200000000000"), "{plan}");
    let rows = s.query_with("SELECT time_bucket($1, max(start_time)) FROM spans", ["1 day"]).await;
    let table = rows.expect("planned").collect().await.expect("rows");
    assert_eq!(crate::common::lines(table.batches()), ["2026-01-01T00:00:00Z"]);
}

#[tokio::test]
async fn a_width_that_cannot_be_is_refused() {
    let s = session();
    for (args, part) in [
        ("'0s', start_time", "above zero"),
        ("'-5m', start_time", "above zero"),
        ("interval '0 s', start_time", "above zero"),
        ("interval '-1 month', start_time", "above zero"),
        ("'5', start_time", "'5ms'"),
        ("'fast', start_time", "'fast' is not a width"),
        ("'1 month', start_time", "INTERVAL '1 month'"),
        ("interval '1 month 2 days', start_time", "months alone"),
        ("5, start_time", "such as '1 minute'"),
        ("'1 minute', 5", "start_time"),
        ("'1 minute', name", "cannot"),
        ("'1 minute'", "a width and a time"),
        ("name, start_time", "one width"),
    ] {
        let sql = format!("SELECT time_bucket({args}) FROM spans");
        let error = crate::common::try_ask(&s, &sql).await.expect_err(args).to_string();
        let is_cast = part == "cannot";
        assert!(is_cast || error.contains(part), "{args}\n{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

/// Conditions that hold for the span at 2026-01-01T00:00:00.002Z, but not for the one before.
#[tokio::test]
async fn a_time_without_a_zone_is_utc_and_one_with_a_zone_is_honoured() {
    let s = session();
    for literal in [
        "'2026-01-01T00:00:00.002Z'",
        "'2026-01-01 00:00:00.002'",
        "'2026-01-01T00:00:00.002'",
        "'2026-01-01T09:00:00.002+09:00'",
        "'2025-12-31 19:00:00.002 -05:00'",
        "timestamp '2026-01-01 00:00:00.002'",
        "timestamp '2026-01-01 00:00' + interval '2 ms'",
        "timestamp '2026-01-01T09:00:00.002+09:00'",
        "to_timestamp('2026-01-01 00:00:00.002')",
        "to_timestamp('2026-01-01T09:00:00.002+09:00')",
        "to_timestamp_millis(1767225600002)",
        "CAST('2026-01-01 00:00:00.002' AS TIMESTAMP)",
        "timestamp '2026-01-01 01:00:00.002' - interval '1 hour'",
    ] {
        let sql = format!("SELECT name FROM spans WHERE start_time >= {literal}");
        assert_eq!(ask(&s, &sql).await, ["op2"], "{literal}");
        let sql = format!("SELECT name FROM spans WHERE start_time = {literal}");
        assert_eq!(ask(&s, &sql).await, ["op2"], "{literal}");
    }
    for (condition, expected) in [
        ("start_time >= '2026-01-01'", 2),
        ("start_time >= '2026-01-01 00:00'", 2),
        ("start_time < '2026-01-01T00:00'", 0),
        ("start_time < '2026-01-01 00:01'", 2),
        ("start_time >= '2026-01-01T09:00+09:00'", 2),
        ("start_time >= '2026-01-01T09:01+09:00'", 0),
        ("start_time >= date '2026-01-01'", 2),
        ("start_time < date '2026-01-01'", 0),
        ("start_time BETWEEN '2026-01-01' AND '2026-01-02'", 2),
        ("start_time > now() - interval '1 hour'", 0),
        ("start_time < now()", 2),
        ("start_time < now() - '1 hour'::interval", 2),
        ("start_time::date = date '2026-01-01'", 2),
        ("end_time <= '2026-01-01 00:00:00.002'", 1),
    ] {
        let sql = format!("SELECT count(*) FROM spans WHERE {condition}");
        assert_eq!(ask(&s, &sql).await, [expected.to_string()], "{condition}");
    }
    let words = refusal(&s, "SELECT 1 FROM spans WHERE start_time >= 'yesterday'").await;
    assert!(words.contains("'yesterday' is not a time") && words.contains("12:00'"), "{words}");
    for condition in ["start_time IN ('2026-01-01', 'x')", "time BETWEEN '2026-01-01' AND ''"] {
        let sql = format!("SELECT 1 FROM spans CROSS JOIN events WHERE {condition}");
        assert!(refusal(&s, &sql).await.contains("is not a time"), "{condition}");
    }
}

/// The answers do not depend on the zone of the machine: another process of this test, with TZ
/// set, comes to the same.
#[test]
#[allow(clippy::disallowed_methods, clippy::disallowed_types)] // starts a process
fn the_zone_of_the_machine_changes_nothing() {
    let program = std::env::current_exe().expect("this program");
    for zone in ["Asia/Tokyo", "America/New_York"] {
        let ran = std::process::Command::new(&program)
            .args([
                "--exact",
                "times::a_time_without_a_zone_is_utc_and_one_with_a_zone_is_honoured",
            ])
            .env("TZ", zone)
            .output()
            .expect("started");
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success() && said.contains("1 passed"), "{zone}\n{said}");
    }
}

#[tokio::test]
async fn functions_read_texts_without_seconds() {
    let s = session();
    for (sql, expected) in [
        ("SELECT to_timestamp('2026-01-03 12:00')", "2026-01-03T12:00:00"),
        ("SELECT date_trunc('hour', '2026-01-03 12:30')", "2026-01-03T12:00:00"),
        (
            "SELECT time_bucket('1h', start_time, '2026-01-01 00:30') FROM spans LIMIT 1",
            "2025-12-31T23:30:00Z",
        ),
        ("SELECT time_bucket('1h', '2026-01-03 12:30')", "2026-01-03T12:00:00Z"),
        ("SELECT to_timestamp('2026-01-03 12:05', '%Y-%m-%d %H:%M')", "2026-01-03T12:05:00"),
    ] {
        assert_eq!(ask(&s, sql).await, [expected], "{sql}");
    }
}
