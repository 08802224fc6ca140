//! Ids are lower-case hex text in every context; what they are compared with is checked. Likewise
//! the words of kind and status_code.

use amida_sql::{ScalarValue, Session};
use serde_json::json;

use crate::common::{ask, ask_sorted, refusal, span, span_hex, store, trace_hex};

fn session() -> Session {
    Session::new(&store(&[
        span("shop", 1, 1, 0),
        span("shop", 1, 2, 1).set("kind", json!(3)),
        span("cart", 2, 3, 0).error().set("kind", json!(1)),
    ]))
}

#[tokio::test]
async fn ids_are_hex_text_in_every_context() {
    let s = session();
    let id = trace_hex(2);
    for (expr, expected) in [
        ("trace_id", id.clone()),
        ("trace_id || '!'", format!("{id}!")),
        ("CAST(trace_id AS VARCHAR)", id.clone()),
        ("upper(trace_id)", id.to_uppercase()),
        ("substr(trace_id, 1, 2)", "ab".to_owned()),
        ("length(span_id)", "16".to_owned()),
        ("coalesce(parent_span_id, 'root')", "root".to_owned()),
        ("concat(trace_id, '/', span_id)", format!("{id}/{}", span_hex(3))),
        ("CASE WHEN is_error THEN trace_id ELSE 'none' END", id.clone()),
        ("arrow_typeof(trace_id)", "Utf8View".to_owned()),
    ] {
        let sql = format!("SELECT {expr} FROM spans WHERE name = 'op3'");
        assert_eq!(ask(&s, &sql).await, [expected], "{expr}");
    }
    let sql = "SELECT trace_id FROM spans UNION SELECT 'x' ORDER BY 1";
    assert_eq!(ask(&s, sql).await, [trace_hex(1), trace_hex(2), "x".to_owned()]);
    let sql = "SELECT min(trace_id), max(span_id) FROM spans";
    assert_eq!(ask(&s, sql).await, [format!("{}|{}", trace_hex(1), span_hex(3))]);
}

#[tokio::test]
async fn ids_compare_with_hex_of_either_case() {
    let s = session();
    let (one, upper) = (trace_hex(1), trace_hex(1).to_uppercase());
    for condition in [
        format!("trace_id = '{one}'"),
        format!("trace_id = '{upper}'"),
        format!("'{upper}' = trace_id"),
        format!("trace_id IN ('{upper}')"),
        format!("trace_id IN ('{upper}', '{}', '{}', '{}')", trace_hex(7), trace_hex(8), one),
        format!("trace_id BETWEEN '{upper}' AND '{one}'"),
        format!("trace_id LIKE '{}%'", &upper[..31].to_owned()) + " AND trace_id LIKE '%1'",
        format!("trace_id ILIKE '{upper}'"),
        format!("trace_id <> '{}'", trace_hex(2).to_uppercase()),
        format!("trace_id < '{}'", trace_hex(2)),
        "trace_id IN (SELECT trace_id FROM spans WHERE name = 'op1')".to_owned(),
        format!("trace_id IS NOT DISTINCT FROM '{upper}'"),
        format!("NOT (trace_id = '{}')", trace_hex(2)),
        format!("trace_id = '{upper}' OR span_id = '{}'", span_hex(1).to_uppercase()),
    ] {
        let sql = format!("SELECT name FROM spans WHERE {condition}");
        assert_eq!(ask_sorted(&s, &sql).await, ["op1", "op2"], "{condition}");
    }
    let sql = format!(
        "WITH x AS (SELECT trace_id AS t, name FROM spans) SELECT name FROM x WHERE t = '{upper}'"
    );
    assert_eq!(ask_sorted(&s, &sql).await, ["op1", "op2"]);
    let sql = format!(
        "SELECT c.name, p.name FROM spans c JOIN spans p ON c.trace_id = p.trace_id \
         AND c.parent_span_id = p.span_id WHERE p.span_id = '{}'",
        span_hex(1).to_uppercase()
    );
    assert_eq!(ask(&s, &sql).await, ["op2|op1"]);
    let rows = s
        .query_with("SELECT count(*) FROM spans WHERE trace_id = $1", [upper.as_str()])
        .await
        .expect("planned");
    assert_eq!(crate::common::lines(rows.collect().await.expect("rows").batches()), ["2"]);
}

#[tokio::test]
async fn a_bad_id_is_a_planning_error_that_names_it() {
    let s = session();
    let short = &trace_hex(1)[..31];
    for (condition, bad) in [
        ("trace_id = 'xyz'".to_owned(), "xyz"),
        (format!("trace_id = '{short}'"), short),
        (format!("trace_id <> '{short}'"), short),
        ("trace_id IN ('xyz')".to_owned(), "xyz"),
        (format!("trace_id IN ('{}', 'xyz')", trace_hex(1)), "xyz"),
        ("trace_id BETWEEN 'a' AND 'b'".to_owned(), "a"),
        ("trace_id LIKE 'xy%'".to_owned(), "xy%"),
        ("span_id = 'ab'".to_owned(), "ab"),
        ("parent_span_id = ''".to_owned(), ""),
        ("CASE trace_id WHEN 'xyz' THEN true END".to_owned(), "xyz"),
    ] {
        let words = refusal(&s, &format!("SELECT name FROM spans WHERE {condition}")).await;
        assert!(words.contains(&format!("'{bad}'")) && words.contains("hex digits"), "{words}");
    }
    let words = refusal(
        &s,
        "WITH x AS (SELECT trace_id AS t FROM spans) SELECT t FROM x \
                             WHERE t = 'xyz'",
    )
    .await;
    assert_eq!(words, "'xyz' is not a trace id: expected 32 hex digits");
    let bound = s.query_with("SELECT 1 FROM spans WHERE trace_id = $1", ["xyz"]).await;
    assert!(bound.is_err_and(|e| e.to_string().contains("'xyz' is not a trace id")));
    let words = refusal(&s, "SELECT 1 FROM spans WHERE trace_id = 5").await;
    assert!(words.contains("hex text"), "{words}");
}

#[tokio::test]
async fn words_are_compared_whatever_their_case_and_prefix() {
    let s = session();
    for (condition, expected) in [
        ("kind = 'SERVER'", vec!["op1"]),
        ("kind = 'server'", vec!["op1"]),
        ("kind = 'SPAN_KIND_SERVER'", vec!["op1"]),
        ("kind IN ('client', 'span_kind_internal')", vec!["op2", "op3"]),
        ("kind <> 'Server'", vec!["op2", "op3"]),
        ("status_code = 'error'", vec!["op3"]),
        ("status_code = 'STATUS_CODE_ERROR'", vec!["op3"]),
        ("status_code <> 'Error'", vec!["op1", "op2"]),
        ("is_error", vec!["op3"]),
    ] {
        let sql = format!("SELECT name FROM spans WHERE {condition}");
        assert_eq!(ask_sorted(&s, &sql).await, expected, "{condition}");
    }
    let words = refusal(&s, "SELECT 1 FROM spans WHERE kind = 'SREVER'").await;
    assert!(words.contains("did you mean 'SERVER'") && words.contains("CONSUMER"), "{words}");
    let words = refusal(&s, "SELECT 1 FROM spans WHERE status_code IN ('failed')").await;
    assert!(words.contains("UNSET, OK, ERROR"), "{words}");
    let words = refusal(&s, "SELECT 1 FROM spans WHERE kind = 2").await;
    assert!(words.contains("'SERVER'"), "{words}");
    let rows = s
        .query_with(
            "SELECT count(*) FROM spans WHERE kind = $1 AND duration_ns > $2",
            [ScalarValue::from("server"), ScalarValue::from(5i64)],
        )
        .await
        .expect("planned");
    assert_eq!(crate::common::lines(rows.collect().await.expect("rows").batches()), ["1"]);
}

#[tokio::test]
async fn a_word_or_an_id_keeps_its_meaning_where_it_is_passed_on() {
    let session = Session::new(&store(&[span("a", 1, 1, 0), span("a", 1, 2, 1).error()]));
    let hex = span_hex(1).to_uppercase();
    for (condition, count) in [
        ("coalesce(kind, 'x') = 'server'", "2"),
        ("coalesce(kind, 'x') = 'x'", "0"),
        ("nvl(kind, 'internal') = 'SPAN_KIND_SERVER'", "2"),
        ("CASE WHEN true THEN kind ELSE 'INTERNAL' END = 'server'", "2"),
        ("CASE WHEN false THEN kind ELSE 'internal' END = 'INTERNAL'", "2"),
        ("nullif(kind, 'server') IS NULL", "2"),
        ("CAST(kind AS VARCHAR) = 'server'", "2"),
        ("kind LIKE 'serv%'", "2"),
        ("kind NOT LIKE 'serv%'", "0"),
        ("status_code LIKE 'err%'", "1"),
        ("coalesce(status_code, 'none') IN ('error', 'none')", "1"),
        (&*format!("coalesce(parent_span_id, span_id) = '{hex}'"), "2"),
        (&*format!("coalesce(parent_span_id, 'root') IN ('{hex}', 'root')"), "2"),
        ("coalesce(parent_span_id, 'root') = 'root'", "1"),
        ("coalesce(name, kind) = 'op1'", "1"),
        ("CASE WHEN is_error THEN name ELSE kind END = 'SERVER'", "1"),
    ] {
        let sql = format!("SELECT count(*) FROM spans WHERE {condition}");
        assert_eq!(ask(&session, &sql).await, [count], "{condition}");
    }
    for condition in [
        "coalesce(parent_span_id, span_id) = 'xyz'",
        "coalesce(kind, 'x') = 'sever'",
        "nullif(kind, 'sever') IS NULL",
        "coalesce(parent_span_id, 'root') = 'rot'",
    ] {
        let words = refusal(&session, &format!("SELECT name FROM spans WHERE {condition}")).await;
        assert!(words.contains(" is not a "), "{condition}\n{words}");
    }
}
