//! Types of attributes: pure keys have their type everywhere; mixed keys are text, complete, typed
//! where the place says how, and refused where it cannot be seen.

use amida::{MemoryFs, PromotedType};
use amida_sql::Session;
use serde_json::json;

use crate::common::{Spec, apart, append, ask, ask_sorted, refusal, span, store};

/// `code`: int, string, double, bool, missing. `n`: only ints. `f`: ints and doubles. `s`: text.
/// `ok`: only booleans. `list`: an array.
pub fn specs() -> Vec<Spec> {
    vec![
        span("shop", 1, 1, 0).with("code", json!(500)).with("n", json!(9)).with("f", json!(1)),
        span("shop", 1, 2, 1)
            .with("code", json!("/r0"))
            .with("n", json!(500))
            .with("f", json!(2.5)),
        span("shop", 1, 3, 1)
            .with("code", json!(404))
            .with("s", json!("x"))
            .with("ok", json!(true)),
        span("cart", 2, 4, 0).with("code", json!(99.5)).with("s", json!("12")),
        span("cart", 2, 5, 4).with("code", json!(true)).with("ok", json!(false)),
        span("cart", 2, 6, 4).with("list", json!(["a", 1])).with("n", json!(-3)),
    ]
}

fn session() -> Session {
    Session::new(&store(&specs()))
}

#[tokio::test]
async fn a_pure_key_has_its_type_everywhere() {
    let s = session();
    for sql in [
        "SELECT attributes['n'] FROM spans WHERE attributes['n'] IS NOT NULL ORDER BY 1",
        "SELECT a FROM (SELECT attributes['n'] AS a FROM spans) WHERE a IS NOT NULL ORDER BY a",
        "WITH x AS (SELECT attributes AS b FROM spans) \
         SELECT b['n'] FROM x WHERE b['n'] > -100 ORDER BY b['n']",
        "WITH x AS (SELECT attributes['n'] AS a FROM spans) SELECT a FROM x WHERE a < 1000 \
         ORDER BY a",
        "FROM spans |> WHERE attributes['n'] < 1000 |> SELECT attributes['n'] AS a |> ORDER BY a",
        "SELECT t.attributes['n'] AS a FROM spans AS t WHERE a IS NOT NULL ORDER BY a",
    ] {
        let sql = sql.replace("WHERE a IS NOT NULL ORDER BY a", "ORDER BY a");
        let rows: Vec<String> = ask(&s, &sql).await.into_iter().filter(|r| r != "-").collect();
        assert_eq!(rows, ["-3", "9", "500"], "{sql}");
    }
    assert_eq!(
        ask(&s, "SELECT max(attributes['n']), sum(attributes['n']) FROM spans").await,
        ["500|506"]
    );
    assert_eq!(ask(&s, "SELECT arrow_typeof(attributes['n']) FROM spans LIMIT 1").await, ["Int64"]);
    let sql = "SELECT arrow_typeof(attributes['f']), arrow_typeof(attributes['ok']), \
               arrow_typeof(attributes['s']) FROM spans LIMIT 1";
    assert_eq!(ask(&s, sql).await, ["Float64|Boolean|Utf8View"]);
}

#[tokio::test]
async fn a_pure_key_keeps_its_type_through_unions_coalesce_and_case() {
    let s = session();
    for (sql, expected) in [
        (
            "SELECT count(*) FROM (SELECT attributes['n'] AS a FROM spans UNION ALL \
             SELECT attributes['n'] FROM spans) WHERE a >= 9",
            "4",
        ),
        ("SELECT count(*) FROM spans WHERE coalesce(attributes['n'], 0) >= 9", "2"),
        (
            "SELECT count(*) FROM spans WHERE CASE WHEN name = 'op1' THEN attributes['n'] \
             ELSE 0 END = 9",
            "1",
        ),
        ("SELECT sum(attributes['f']) FROM spans", "3.5"),
        ("SELECT count(*) FROM spans WHERE attributes['ok']", "1"),
        ("SELECT count(*) FROM spans WHERE NOT attributes['ok']", "1"),
        (
            "SELECT count(*) FROM spans WHERE attributes['n'] IN \
             (SELECT max(attributes['n']) FROM spans)",
            "1",
        ),
        ("SELECT count(*) FROM spans WHERE attributes['n'] + 1 = 10", "1"),
        ("SELECT count(*) FROM spans WHERE attributes['s'] = 'x'", "1"),
        ("SELECT count(*) FROM spans WHERE resource_attributes['host.cores'] = 8", "6"),
        ("SELECT count(*) FROM spans WHERE scope_attributes['level'] + 1 > 3", "6"),
        ("SELECT min(attributes['f']) FROM spans", "1.0"),
    ] {
        assert_eq!(ask(&s, sql).await, [expected], "{sql}");
    }
}

#[tokio::test]
async fn a_mixed_key_is_complete_text() {
    let s = session();
    let sql = "SELECT attributes['code'] FROM spans ORDER BY span_id";
    assert_eq!(ask(&s, sql).await, ["500", "/r0", "404", "99.5", "true", "-"]);
    let sql = "SELECT count(attributes['code']), count(DISTINCT attributes['code']) FROM spans";
    assert_eq!(ask(&s, sql).await, ["5|5"]);
    let sql = "SELECT name FROM spans WHERE attributes['code'] LIKE '/r%'";
    assert_eq!(ask(&s, sql).await, ["op2"]);
    let sql = "SELECT name FROM spans WHERE attributes['code'] = '404'";
    assert_eq!(ask(&s, sql).await, ["op3"]);
    let sql = "SELECT attributes['list'] FROM spans WHERE attributes['list'] IS NOT NULL";
    assert_eq!(ask(&s, sql).await, ["[\"a\",1]"]);
}

#[tokio::test]
async fn a_mixed_key_beside_a_number_or_boolean_reads_the_values_of_that_type() {
    let s = session();
    for (condition, expected) in [
        ("attributes['code'] >= 404", vec!["op1", "op3"]),
        ("attributes['code'] < 404", vec!["op4"]),
        ("404 <= attributes['code']", vec!["op1", "op3"]),
        ("attributes['code'] = 500", vec!["op1"]),
        ("attributes['code'] <> 500", vec!["op3", "op4"]),
        ("attributes['code'] IN (404, 500)", vec!["op1", "op3"]),
        ("attributes['code'] NOT IN (404, 500)", vec!["op4"]),
        ("attributes['code'] IN (404, 99.5)", vec!["op3", "op4"]),
        ("attributes['code'] BETWEEN 90 AND 450", vec!["op3", "op4"]),
        ("attributes['code'] = true", vec!["op5"]),
        ("attributes['code'] AND true", vec!["op5"]),
        ("attributes['code']", vec!["op5"]),
        ("NOT attributes['code']", vec![]),
        ("NOT (attributes['code'] AND true)", vec![]),
        ("attributes['code'] IS TRUE", vec!["op5"]),
        ("attributes['code'] + 1 = 501", vec!["op1"]),
        ("attributes['code'] * 2 > 900", vec!["op1"]),
        ("-attributes['code'] < -400", vec!["op1", "op3"]),
        ("CAST(attributes['code'] AS BIGINT) = 404", vec!["op3"]),
        ("attributes['code']::double > 99", vec!["op1", "op3", "op4"]),
        ("CASE attributes['code'] WHEN 404 THEN true ELSE false END", vec!["op3"]),
        ("attributes['code'] IN (SELECT attributes['n'] FROM spans)", vec!["op1"]),
        ("attributes['code'] = attributes['n'] + 491", vec!["op1"]),
    ] {
        let sql = format!("SELECT name FROM spans WHERE {condition}");
        assert_eq!(ask_sorted(&s, &sql).await, expected, "{condition}");
    }
    for (aggregate, expected) in [
        ("sum(attributes['code'])", "1003.5"),
        ("avg(attributes['code'])", "334.5"),
        ("bool_or(attributes['code'])", "true"),
        ("max(CAST(attributes['code'] AS DOUBLE))", "500.0"),
        ("approx_percentile_cont(0.5) WITHIN GROUP (ORDER BY attributes['code'])", "404.0"),
    ] {
        let sql = format!("SELECT {aggregate} FROM spans");
        assert_eq!(ask(&s, &sql).await, [expected], "{aggregate}");
    }
    let sql = "SELECT sum(attributes['code']) OVER (ORDER BY span_id) FROM spans ORDER BY span_id";
    assert_eq!(ask(&s, sql).await.last().map(String::as_str), Some("1003.5"));
}

#[tokio::test]
async fn a_mixed_key_behind_a_name_is_refused_beside_a_number_and_the_getter_is_named() {
    let s = session();
    for sql in [
        "SELECT a FROM (SELECT attributes['code'] AS a FROM spans) WHERE a >= 404",
        "WITH x AS (SELECT attributes['code'] AS a FROM spans) SELECT a FROM x WHERE a + 1 > 4",
        "WITH x AS (SELECT attributes['code'] AS a FROM spans) SELECT a FROM x WHERE a IN (1, 2)",
        "WITH x AS (SELECT attributes['code'] AS a FROM spans) SELECT a FROM x \
         WHERE a BETWEEN 1 AND 2",
        "SELECT name FROM spans WHERE coalesce(attributes['code'], '0') > 5",
        "SELECT name FROM spans WHERE coalesce(attributes['code'], 0) > 5",
        "SELECT name FROM spans WHERE CASE WHEN is_error THEN attributes['code'] END = 5",
        "SELECT name FROM spans WHERE CASE WHEN is_error THEN 0 ELSE attributes['code'] END > 5",
        "WITH x AS (SELECT CASE WHEN is_error THEN 0 ELSE attributes['code'] END AS c \
         FROM spans) SELECT c FROM x WHERE c > 5",
        "FROM spans |> SELECT attributes['code'] AS a |> WHERE a > 5",
        "SELECT a FROM (SELECT attributes['code'] AS a FROM spans UNION ALL \
         SELECT attributes['code'] FROM spans) WHERE a = 5",
        "SELECT c FROM (SELECT 5 AS c UNION ALL SELECT attributes['code'] FROM spans) WHERE c > 5",
        "SELECT max(attributes['code']) FROM spans",
        "SELECT max(attributes['code']) OVER (ORDER BY span_id) FROM spans",
        "SELECT attributes['code'] FROM spans INTERSECT SELECT 5",
        "SELECT name FROM spans WHERE duration_ns IN (SELECT attributes['code'] FROM spans)",
        "SELECT min(a) FROM (SELECT attributes['code'] AS a FROM spans)",
        "SELECT sum(a) FROM (SELECT attributes['code'] AS a FROM spans)",
        "SELECT greatest(attributes['code'], 5) FROM spans",
        "SELECT x.name FROM spans x JOIN spans y ON x.duration_ns = y.attributes['s']",
        "SELECT name FROM spans WHERE (SELECT max(attributes['s']) FROM spans) > 5",
        "SELECT name FROM spans WHERE service_name > 5",
        "SELECT name FROM spans WHERE attributes['s'] = 12",
    ] {
        let words = refusal(&s, sql).await;
        let helps = ["attr_int", "attr_float", "CAST"].iter().any(|word| words.contains(word));
        assert!(helps, "{sql}\n{words}");
    }
    let sql = "SELECT a FROM (SELECT attributes['code'] AS a FROM spans) WHERE a >= 404";
    let words = refusal(&s, sql).await;
    assert!(words.contains("attr_float(attributes, 'code')"), "{words}");
    assert!(words.contains("2 int"), "{words}");
}

#[tokio::test]
async fn getters_read_the_values_of_their_type_and_null_for_others() {
    let s = session();
    let sql = "SELECT attr_int(attributes, 'code'), attr_float(attributes, 'code'), \
               attr_bool(attributes, 'code'), attr_text(attributes, 'code') \
               FROM spans ORDER BY span_id";
    assert_eq!(
        ask(&s, sql).await,
        [
            "500|500.0|-|500",
            "-|-|-|/r0",
            "404|404.0|-|404",
            "-|99.5|-|99.5",
            "-|-|true|true",
            "-|-|-|-",
        ]
    );
    let sql = "WITH x AS (SELECT attr_int(attributes, 'code') AS a FROM spans) \
               SELECT count(*) FROM x WHERE a >= 404";
    assert_eq!(ask(&s, sql).await, ["2"]);
    let sql = "SELECT max(attr_text(attributes, 'code')) FROM spans";
    assert_eq!(ask(&s, sql).await, ["true"]);
}

#[tokio::test]
async fn a_key_that_no_span_has_is_null_and_never_refused() {
    let s = session();
    for sql in [
        "SELECT count(*) FROM spans WHERE attributes['none'] > 5",
        "SELECT count(*) FROM spans WHERE attributes['none'] = 'x'",
        "SELECT count(*) FROM spans WHERE attributes['none'] IS NOT NULL",
        "SELECT count(*) FROM (SELECT attributes['none'] AS a FROM spans) WHERE a > 5",
        "SELECT count(*) FROM spans WHERE coalesce(attributes['none'], 0) > 5",
        "SELECT count(*) FROM spans WHERE attributes['none']",
        "SELECT count(sum) FROM (SELECT sum(attributes['none']) AS sum FROM spans)",
        "SELECT count(attributes['none'] + 1) FROM spans",
    ] {
        assert_eq!(ask(&s, sql).await, ["0"], "{sql}");
    }
}

#[tokio::test]
async fn attributes_of_events_and_links_are_typed_too() {
    let event = |n: i64| {
        json!([{"timeUnixNano": "1767225600000000000", "name": "retry", "attributes": [
            {"key": "attempt", "value": {"intValue": n.to_string()}}]}])
    };
    let link = json!([{"traceId": crate::common::trace_hex(9), "spanId": crate::common::span_hex(9),
        "attributes": [{"key": "why", "value": {"stringValue": "batch"}}]}]);
    let s = Session::new(&store(&[
        span("a", 1, 1, 0).set("events", event(2)),
        span("a", 1, 2, 1).set("events", event(10)).set("links", link),
    ]));
    let sql = "SELECT max(attributes['attempt']) FROM events WHERE attributes['attempt'] > 1";
    assert_eq!(ask(&s, sql).await, ["10"]);
    let sql = "WITH e AS (SELECT attributes AS a FROM events) SELECT a['attempt'] + 1 FROM e \
               ORDER BY 1";
    assert_eq!(ask(&s, sql).await, ["3", "11"]);
    let sql = "SELECT attributes['why'], linked_trace_id FROM links";
    assert_eq!(ask(&s, sql).await, [format!("batch|{}", crate::common::trace_hex(9))]);
}

#[tokio::test]
async fn the_name_of_a_column_is_what_was_written() {
    let s = session();
    let sql = "SELECT attributes['n'], attr_int(attributes, 'n'), attributes['code'] FROM spans";
    let rows = s.query(sql).await.expect("planned");
    let names: Vec<String> =
        rows.schema().fields().iter().map(|f| f.name().replace("spans.", "")).collect();
    assert_eq!(names, ["attributes['n']", "attr_int(attributes,'n')", "attributes['code']"]);
}

#[tokio::test]
async fn joins_on_expressions_over_attributes() {
    let promoted = [("o1", PromotedType::String)];
    for flushed in [false, true] {
        let store = apart(&MemoryFs::new(), &promoted).open("s").expect("opened");
        append(
            &store,
            &[
                span("shop", 1, 1, 0).with("o1", json!("a")).with("n", json!(1)),
                span("shop", 1, 2, 0).with("o1", json!("A")).with("n", json!(2)),
                span("shop", 1, 3, 0).with("o2", json!("a")),
            ],
        );
        if flushed {
            store.flush().expect("flushed");
        }
        let s = Session::new(&store);
        let pairs = "SELECT a.name || b.name FROM spans a JOIN spans b ON";
        for (sql, expected) in [
            (
                format!("{pairs} upper(a.attributes['o1']) = upper(b.attributes['o1'])"),
                vec!["op1op1", "op1op2", "op2op1", "op2op2"],
            ),
            (format!("{pairs} a.attributes['n'] + 1 = b.attributes['n']"), vec!["op1op2"]),
            (
                format!(
                    "{pairs} upper(a.attributes['o1']) = upper(b.attributes['o1']) \
                         AND a.attributes['n'] < b.attributes['n']"
                ),
                vec!["op1op2"],
            ),
            (
                format!(
                    "{pairs} attr_any(a.attributes, 'o1', 'o2') \
                         = attr_any(b.attributes, 'o1', 'o2')"
                ),
                vec!["op1op1", "op1op3", "op2op2", "op3op1", "op3op3"],
            ),
            (
                "SELECT a.name FROM spans a LEFT JOIN spans b \
                 ON lower(a.attributes['o1']) = lower(b.attributes['o2'])"
                    .to_owned(),
                vec!["op1", "op2", "op3"],
            ),
            (
                "SELECT name FROM spans a WHERE EXISTS (SELECT 1 FROM spans b \
                 WHERE upper(b.attributes['o2']) = upper(a.attributes['o1']))"
                    .to_owned(),
                vec!["op1", "op2"],
            ),
            (
                "SELECT name FROM spans WHERE upper(attributes['o1']) NOT IN \
                 (SELECT upper(attributes['o2']) FROM spans WHERE attributes['o2'] IS NOT NULL)"
                    .to_owned(),
                vec![],
            ),
        ] {
            assert_eq!(ask_sorted(&s, &sql).await, expected, "{sql}");
        }
    }
}

#[tokio::test]
async fn what_a_subquery_cannot_compare_is_said_without_names_of_the_planner() {
    let s = Session::new(&store(&specs()));
    for inner in ["upper(b.attributes['s'])", "b.attributes['s']", "upper(b.name)"] {
        for outer in ["upper(a.attributes['s'])", "upper(a.name)"] {
            let sql = format!(
                "SELECT (SELECT count(*) FROM spans b WHERE {inner} = {outer}) FROM spans a"
            );
            let words = refusal(&s, &sql).await;
            assert!(words.contains("AS k FROM spans)"), "{sql}\n{words}");
            assert!(!words.contains("__datafusion"), "{sql}\n{words}");
        }
    }
}
