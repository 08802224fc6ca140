//! Numbers that are durations: which have a unit, and what is refused beside them.

use crate::common::{ask, refusal, trace_hex};
use crate::durations::session;

#[tokio::test]
async fn a_number_whose_unit_is_not_known_is_not_compared_with_a_duration() {
    let s = session();
    for (number, name) in [
        ("duration_ns / 1e9", "spans.duration_ns / Float64(1000000000)"),
        ("duration_ms * 1000", "spans.duration_ms * Int64(1000)"),
        ("duration_ns % 1000", "spans.duration_ns % Int64(1000)"),
        ("round(duration_ns / 1e6, 1)", "round(spans.duration_ns / Float64(1000000),Int64(1))"),
        ("coalesce(attributes['wait'], duration_ns)", "coalesce(attributes['wait'],"),
        ("duration_ns + attributes['wait']", "spans.duration_ns + attributes['wait']"),
        ("attributes['wait']", "attributes['wait']"),
        ("marks", "spans.marks"),
    ] {
        for condition in [
            format!("{number} > '500ms'"),
            format!("'500ms' < {number}"),
            format!("{number} IN (1, '500ms')"),
            format!("{number} BETWEEN '500ms' AND '2s'"),
        ] {
            let words = refusal(&s, &format!("SELECT name FROM spans WHERE {condition}")).await;
            let expected = format!("'500ms' is a duration, and the unit of {name}");
            assert!(words.starts_with(&expected), "{condition}\n{words}");
        }
    }
    let sql = "SELECT service_name FROM spans GROUP BY 1 HAVING sum(duration_ns) / 1e9 > '1s'";
    assert!(refusal(&s, sql).await.contains("is not known"));
    for case in
        ["CASE WHEN is_error THEN duration_ns ELSE 'none' END", "coalesce(duration_ms, 'x')"]
    {
        let words = refusal(&s, &format!("SELECT {case} FROM spans")).await;
        assert!(words.contains("is not a duration"), "{case}\n{words}");
    }
}

#[tokio::test]
async fn nanoseconds_and_milliseconds_do_not_meet() {
    let s = session();
    for condition in [
        "duration_ms > duration_ns",
        "duration_ms - duration_ns > '500ms'",
        "greatest(duration_ms, duration_ns) > '500ms'",
        "coalesce(duration_ms, duration_ns) > '500ms'",
        "nullif(duration_ms, duration_ns) > '500ms'",
        "CASE WHEN is_error THEN duration_ms ELSE duration_ns END > '500ms'",
        "duration_ms IN (SELECT duration_ns FROM spans)",
        "duration_ms IN (1, duration_ns)",
        "duration_ms BETWEEN 1 AND duration_ns",
        "duration_ms = (SELECT max(duration_ns) FROM spans)",
    ] {
        let words = refusal(&s, &format!("SELECT name FROM spans WHERE {condition}")).await;
        assert!(words.contains(" is in milliseconds, "), "{condition}\n{words}");
        assert!(words.contains(" in nanoseconds: take both in one unit"), "{condition}\n{words}");
    }
    for sql in [
        "SELECT 1 FROM spans a JOIN spans b ON a.duration_ms = b.duration_ns",
        "SELECT duration_ms FROM spans UNION ALL SELECT duration_ns FROM spans",
    ] {
        assert!(refusal(&s, sql).await.contains("take both in one unit"), "{sql}");
    }
}

#[tokio::test]
async fn a_window_function_keeps_what_its_argument_means() {
    let s = session();
    for function in
        ["first_value(C)", "last_value(C)", "nth_value(C, 1)", "lag(C, 0)", "lead(C, 0)"]
    {
        for (column, condition) in [
            ("duration", "> '400ms'"),
            ("duration_ns", "> '400ms'"),
            ("duration_ms", "> '400ms'"),
            ("trace_id", &*format!("= '{}'", trace_hex(4).to_uppercase())),
            ("kind", "= 'span_kind_server'"),
        ] {
            let call = function.replace('C', column);
            let call = format!("{call} OVER (PARTITION BY name ORDER BY start_time)");
            let expected =
                ask(&s, &format!("SELECT count(*) FROM spans WHERE {column} {condition}")).await;
            for sql in [
                format!("SELECT count(*) FROM (SELECT {call} {condition} AS x FROM spans) WHERE x"),
                format!("SELECT count(*) FROM (SELECT {call} AS x FROM spans) WHERE x {condition}"),
            ] {
                assert_eq!(ask(&s, &sql).await, expected, "{sql}");
            }
            let sql = format!("SELECT {call} = 'nothing such' FROM spans");
            assert!(refusal(&s, &sql).await.contains("'nothing such'"), "{sql}");
        }
    }
}

#[tokio::test]
async fn text_beside_other_numbers_is_no_duration() {
    let s = session();
    for (condition, literal) in [
        ("5 > 'abc'", "'abc'"),
        ("count(*) > '1s'", "'1s'"),
        ("row_number() OVER () > '1s'", "'1s'"),
        ("sum(marks) IN (1, '1s')", "'1s'"),
        ("1.5 BETWEEN 'a' AND 3", "'a'"),
        ("CASE count(*) WHEN '1s' THEN 1 END", "'1s'"),
    ] {
        for sql in [
            format!("SELECT {condition} FROM spans"),
            format!("SELECT {condition} FROM spans WHERE false"),
        ] {
            let refused = s.query(&sql).await.expect_err(&sql);
            assert!(refused.to_string().contains(literal), "{sql}\n{refused}");
            let place = refused.place().unwrap_or_else(|| panic!("{sql}: no place"));
            let text: String = sql.chars().skip(place.column - 1).take(place.length).collect();
            assert_eq!(text, literal, "{sql}");
        }
    }
    let refused = crate::common::try_ask(&s, "SELECT 1 FROM spans WHERE marks > '5ms'").await;
    assert!(refused.is_err());
    let sql = format!("SELECT max(trace_id) = '{}' FROM spans", trace_hex(5).to_uppercase());
    assert_eq!(ask(&s, &sql).await, ["true"], "an id keeps its meaning in max");
}
