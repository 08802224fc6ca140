//! Notes: what is said of keys that no span has, or that are stored under two names.

use amida::Store;
use amida_sql::Session;
use serde_json::json;

use crate::common::{Spec, ask, overflowed, span, store};

fn specs() -> Vec<Spec> {
    let event = json!([{"timeUnixNano": "1", "name": "e",
        "attributes": [{"key": "exception.type", "value": {"stringValue": "E"}}]}]);
    vec![
        span("web", 1, 1, 0)
            .with("http.response.status_code", json!(200))
            .with("http.route", json!("/"))
            .set("events", event),
        span("web", 1, 2, 0).with("http.status_code", json!(404)).with("db.statement", json!("S")),
    ]
}

async fn notes(session: &Session, sql: &str) -> Vec<String> {
    match session.query(sql).await {
        Ok(rows) => rows.notes().to_vec(),
        Err(error) => panic!("{sql}\n{error}"),
    }
}

#[tokio::test]
async fn a_key_of_another_scope_is_found_there() {
    let session = Session::new(&store(&specs()));
    for (sql, note) in [
        (
            "SELECT attributes['host.cores'] FROM spans",
            "no span has attributes['host.cores']; resource_attributes['host.cores'] has 2 values",
        ),
        (
            "SELECT count(*) FROM spans WHERE resource_attributes['http.route'] = '/'",
            "no span has resource_attributes['http.route']; attributes['http.route'] has 1 value",
        ),
        (
            "SELECT attributes['exception.type'] FROM spans",
            "no span has attributes['exception.type']; attributes['exception.type'] of events has \
             1 value",
        ),
        (
            "SELECT attributes['http.route'] FROM events",
            "no event has attributes['http.route']; attributes['http.route'] of spans has 1 value",
        ),
        (
            "SELECT attr_int(attributes, 'host.cores') FROM spans",
            "no span has attributes['host.cores']; resource_attributes['host.cores'] has 2 values",
        ),
    ] {
        assert_eq!(notes(&session, sql).await, [note], "{sql}");
    }
}

#[tokio::test]
async fn a_renamed_key_is_found_under_its_other_name_in_both_directions() {
    let session = Session::new(&store(&specs()));
    assert_eq!(
        notes(&session, "SELECT attributes['db.query.text'] FROM spans").await,
        ["no span has attributes['db.query.text']; attributes['db.statement'], its old name, has \
          1 value: attr_any('db.query.text', 'db.statement') reads both"]
    );
    let newer = store(&[span("web", 1, 1, 0).with("db.query.text", json!("S"))]);
    assert_eq!(
        notes(&Session::new(&newer), "SELECT attributes['db.statement'] FROM spans").await,
        ["no span has attributes['db.statement']; attributes['db.query.text'], its new name, has \
          1 value: attr_any('db.query.text', 'db.statement') reads both"]
    );
}

#[tokio::test]
async fn half_of_a_renamed_key_is_named_unless_both_names_are_read() {
    let session = Session::new(&store(&specs()));
    assert_eq!(
        notes(&session, "SELECT count(*) FROM spans WHERE attributes['http.status_code'] > 1")
            .await,
        ["attributes['http.status_code'] has 1 value, and \
             attributes['http.response.status_code'], its new name, has 1 more: \
             attr_any('http.response.status_code', 'http.status_code') \
          reads both"]
    );
    for sql in [
        "SELECT attr_any('http.response.status_code', 'http.status_code') FROM spans",
        "SELECT coalesce(attributes['http.status_code'], attributes['http.response.status_code']) \
         FROM spans",
    ] {
        assert_eq!(notes(&session, sql).await, [""; 0], "{sql}");
    }
}

#[tokio::test]
async fn a_mistyped_key_is_answered_with_near_ones_and_an_unknown_one_with_nothing_more() {
    let session = Session::new(&store(&specs()));
    for (sql, note) in [
        (
            "SELECT attributes['http.ruote'] FROM spans",
            "no span has attributes['http.ruote']; did you mean attributes['http.route']?",
        ),
        ("SELECT attributes['user.id'] FROM spans", "no span has attributes['user.id']"),
        ("SELECT attributes['it''s'] FROM spans", "no span has attributes['it''s']"),
        (
            "SELECT attr_any('user.id', 'enduser.id') FROM spans",
            "no span has attributes['user.id'] or attributes['enduser.id']",
        ),
    ] {
        assert_eq!(notes(&session, sql).await, [note], "{sql}");
    }
}

#[tokio::test]
async fn many_unknown_keys_get_so_many_notes_and_a_long_one_is_near_to_nothing() {
    let long = "k".repeat(200);
    let session = Session::new(&store(&[span("web", 1, 1, 0).with(&long, json!(1))]));
    let columns: Vec<String> = (0..300).map(|n| format!("attributes['key{n}']")).collect();
    let found = notes(&session, &format!("SELECT {} FROM spans", columns.join(", "))).await;
    assert_eq!(found.len(), 20);
    let nearly = format!("{long}k");
    assert_eq!(
        notes(&session, &format!("SELECT attributes['{nearly}'] FROM spans")).await,
        [format!("no span has attributes['{nearly}']")]
    );
}

#[tokio::test]
async fn the_sql_that_a_note_offers_reads_the_key_whatever_is_in_it() {
    for key in ["it's there", "back\\slash'd", "two\nlines", "a\ttab\\", "\u{1b}[31mred", "\u{85}x"]
    {
        let session = Session::new(&store(&[span("web", 1, 1, 0).with(key, json!(7))]));
        let nearly = format!("{key}s").replace('\'', "''");
        let found = notes(&session, &format!("SELECT attributes['{nearly}'] FROM spans")).await;
        let [note] = found.as_slice() else { panic!("{key:?}: {found:?}") };
        assert!(!note.contains(char::is_control), "{note:?}");
        let (missing, meant) = note.split_once("; did you mean ").expect("a near key");
        let meant = meant.strip_suffix('?').expect("a question");
        assert_eq!(ask(&session, &format!("SELECT {meant} FROM spans")).await, ["7"], "{note}");
        let missing = missing.strip_prefix("no span has ").expect("a key");
        assert_eq!(notes(&session, &format!("SELECT {missing} FROM spans")).await, found);
    }
}

#[tokio::test]
async fn every_place_of_a_query_is_looked_at_and_each_note_stands_once() {
    let session = Session::new(&store(&specs()));
    for sql in [
        "SELECT name FROM spans WHERE attributes['a'] = 1 ORDER BY attributes['a']",
        "WITH x AS (SELECT attributes['a'] AS a FROM spans) SELECT count(*) FROM x",
        "SELECT name FROM spans WHERE trace_id IN \
         (SELECT trace_id FROM spans WHERE attributes['a'] = 'b')",
        "SELECT count(*) FROM spans GROUP BY attributes['a'] HAVING max(attributes['a']) = 'x'",
        "SELECT * FROM spans p JOIN spans c ON c.attributes['a'] = p.name",
        "EXPLAIN SELECT attributes['a'] FROM spans",
        "FROM spans |> WHERE attributes['a'] = 'x' |> AGGREGATE count(*)",
        "SELECT 1 FROM spans UNION ALL SELECT attr_int(attributes, 'a') FROM spans",
    ] {
        assert_eq!(notes(&session, sql).await, ["no span has attributes['a']"], "{sql}");
    }
    let bound = session.query_with("SELECT attributes[$1] FROM spans", ["a"]).await;
    assert_eq!(bound.expect("planned").notes(), ["no span has attributes['a']"]);
}

#[tokio::test]
async fn a_store_without_spans_and_a_query_without_keys_have_no_notes() {
    let empty = Session::new(&Store::in_memory());
    assert_eq!(notes(&empty, "SELECT attributes['a'] FROM spans").await, [""; 0]);
    let session = Session::new(&store(&specs()));
    assert_eq!(notes(&session, "SELECT name FROM spans").await, [""; 0]);
    assert_eq!(notes(&session, "SELECT attributes['http.route'] FROM spans").await, [""; 0]);
}

#[tokio::test]
async fn a_scope_that_overflowed_says_nothing_of_keys_that_it_does_not_list() {
    let session = Session::new(&overflowed());
    assert_eq!(notes(&session, "SELECT attributes['nobody'] FROM spans").await, [""; 0]);
}
