//! Where in the text of a query an error stands: the right place, or none.

use amida_sql::{Error, Place, Session};
use serde_json::json;

use crate::common::{Spec, span, store};

fn specs() -> Vec<Spec> {
    vec![
        span("web", 1, 1, 0).with("code", json!(500)).with("http.route", json!("/")),
        span("web", 1, 2, 1).with("code", json!("timeout")),
    ]
}

async fn place(session: &Session, sql: &str) -> (Option<Place>, String) {
    match session.query(sql).await {
        Err(error @ Error::Plan(_)) => (error.place(), error.to_string()),
        Err(other) => panic!("{sql}\nnot a planning error: {other:?}"),
        Ok(_) => panic!("{sql}\nwas planned"),
    }
}

/// The text at a place.
fn text_at(sql: &str, place: Place) -> String {
    let line = sql.split('\n').nth(place.line - 1).expect("a line of the text");
    line.chars().skip(place.column - 1).take(place.length).collect()
}

#[tokio::test]
async fn errors_point_at_the_token() {
    let session = Session::new(&store(&specs()));
    for (sql, wrong) in [
        // Unknown columns, also where the same word is elsewhere something else.
        ("SELECT nmae FROM spans", "nmae"),
        ("SELECT name, nmae FROM spans", "nmae"),
        ("SELECT 'nmae', nmae FROM spans", "nmae"),
        ("SELECT count(*)\nFROM spans\nWHERE servce_name = 'web'", "servce_name"),
        ("SELECT s.nmae FROM spans s", "s.nmae"),
        ("SELECT \"Nmae\" FROM spans", "\"Nmae\""),
        ("SELECT name FROM spans ORDER BY timestamp", "timestamp"),
        ("SELECT count(*) FROM spans GROUP BY service", "service"),
        ("SELECT http.route FROM spans", "http.route"),
        ("SELECT attributes.http.route FROM spans", "attributes.http.route"),
        ("SELECT name FROM spans WHERE service_name = \"web\"", "\"web\""),
        ("SELECT \u{65e5}, name FROM spans", "\u{65e5}"),
        ("/* a\ncomment */ SELECT\tnmae FROM spans -- nmae", "nmae"),
        ("FROM spans\n|> WHERE nmae = 'a'", "nmae"),
        ("SELECT attributs['a'] FROM spans", "attributs"),
        // Tables and functions.
        ("SELECT * FROM span", "span"),
        ("SELECT * FROM spans WHERE trace_id IN (SELECT trace_id FROM trace)", "trace"),
        ("SELECT conut(*) FROM spans", "conut"),
        ("SELECT row_number() FROM spans", "row_number"),
        // Literals.
        ("SELECT * FROM spans WHERE trace_id = 'xyz'", "'xyz'"),
        ("SELECT * FROM spans WHERE span_id IN ('cd00000000000001', 'nope')", "'nope'"),
        ("SELECT * FROM spans WHERE trace_id LIKE 'web%'", "'web%'"),
        ("SELECT * FROM spans WHERE kind = 'sever'", "'sever'"),
        ("SELECT * FROM spans WHERE status_code = 'bad'", "'bad'"),
        ("SELECT * FROM spans WHERE duration_ms > '100 apples'", "'100 apples'"),
        ("SELECT * FROM spans WHERE start_time > 'yesterday'", "'yesterday'"),
        ("SELECT name, count(*) FROM spans GROUP BY kind", "name"),
        ("SELECT nmae, knid FROM spans", "nmae"),
        // Keys.
        ("SELECT attributes[http.route] FROM spans", "http.route"),
        ("SELECT attributes[\"code\"] FROM spans", "\"code\""),
        ("SELECT max(attributes['code']) FROM spans", "'code'"),
        (
            "WITH x AS (SELECT attributes['code'] AS c FROM spans) SELECT * FROM x WHERE c > 300",
            "c",
        ),
        ("SELECT name FROM spans WHERE name > 5", "name"),
        (
            "SELECT attr_any('a', 'b') FROM spans a JOIN spans b ON a.span_id = b.span_id",
            "attr_any",
        ),
        ("SELECT attr_any('a', 'b') FROM services", "attr_any"),
        // What cannot be read.
        ("SELECT count(*) FORM spans WHERE", "spans"),
        ("SELEC 1", "SELEC"),
        ("SELECT name,, kind FROM spans", ","),
        ("SELECT name\nFROM spans\nWHERE = 1", "="),
        ("SELECT name FROM spans LIMIT 'a", "'"),
        ("DELETE FROM spans", "DELETE"),
        ("EXPLAIN COPY spans TO 'x'", "COPY"),
    ] {
        let (place, words) = place(&session, sql).await;
        let place = place.unwrap_or_else(|| panic!("{sql}\n{words}\nhas no place"));
        assert_eq!(text_at(sql, place), wrong, "{sql}\n{words}\n{place:?}");
    }
}

#[tokio::test]
async fn a_query_that_ends_too_early_is_wrong_behind_its_end() {
    let session = Session::new(&store(&specs()));
    let (found, words) = place(&session, "SELECT name\nFROM  ").await;
    let found = found.expect("a place");
    assert_eq!((found.line, found.column, found.length), (2, 5, 1), "{words}");
}

#[tokio::test]
async fn of_several_equal_words_the_one_that_is_wrong_is_named_or_none() {
    let session = Session::new(&store(&specs()));
    // DataFusion says which of two.
    let (found, _) = place(&session, "SELECT a.nmae, a.name AS nmae FROM spans a").await;
    assert_eq!(found.map(|place| place.column), Some(8));
    for sql in [
        // Each literal is as wrong as the other; which one was met first is not said.
        "SELECT * FROM spans WHERE trace_id = 'xyz' OR trace_id = 'xyz'",
        // One literal is wrong, the same text beside it is not.
        "SELECT * FROM spans WHERE name = 'xyz' AND trace_id = 'xyz'",
        "SELECT max(attributes['code']), attributes['code'] FROM spans GROUP BY 2",
    ] {
        assert_eq!(place(&session, sql).await.0, None, "{sql}");
    }
}

#[tokio::test]
async fn what_is_no_matter_of_the_text_has_no_place() {
    let session = Session::new(&store(&specs()));
    assert_eq!(place(&session, "").await.0, None);
    let sql = "SELECT * FROM spans WHERE trace_id = $1";
    let error = session.query_with(sql, ["xyz"]).await.expect_err("no id");
    assert_eq!((error.place(), error.to_string().contains("'xyz'")), (None, true), "{error}");
}
