//! Sessions: parameters, one snapshot a statement, errors in one line, a context of one's own.

use amida::{Reader, Store};
use amida_sql::datafusion::prelude::SessionContext;
use amida_sql::{Error, ScalarValue, Session};
use futures_of_rows::count_batches;
use serde_json::json;

use crate::attributes::specs;
use crate::common::{append, ask, lines, refusal, span, store, trace_hex};

mod futures_of_rows {
    use amida_sql::Rows;
    use amida_sql::datafusion::common::instant::Instant;

    /// Reads a stream to its end; rows and whether it took any time at all.
    pub async fn count_batches(rows: Rows) -> usize {
        let started = Instant::now();
        let table = rows.collect().await.expect("rows");
        assert!(started.elapsed().as_nanos() > 0);
        table.num_rows()
    }
}

async fn with(session: &Session, sql: &str, params: Vec<ScalarValue>) -> Vec<String> {
    let rows = session.query_with(sql, params).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    lines(rows.collect().await.expect("rows").batches())
}

#[tokio::test]
async fn parameters_are_bound() {
    let s = Session::new(&store(&specs()));
    let int = |value: i64| ScalarValue::from(value);
    let text = |value: &str| ScalarValue::from(value);
    for (sql, params, expected) in [
        ("SELECT count(*) FROM spans WHERE attributes['code'] >= $1", vec![int(404)], "2"),
        ("SELECT count(*) FROM spans WHERE attributes[$1] >= $2", vec![text("n"), int(9)], "2"),
        ("SELECT count(*) FROM spans WHERE attributes['s'] = $1", vec![text("x")], "1"),
        (
            "SELECT count(*) FROM spans WHERE service_name IN ($1, $2)",
            vec![text("shop"), text("none")],
            "3",
        ),
        ("SELECT count(*) FROM spans WHERE attributes['code'] IN ($1)", vec![int(500)], "1"),
        (
            "SELECT count(*) FROM spans WHERE attributes['code'] BETWEEN $1 AND $2",
            vec![int(1), int(450)],
            "2",
        ),
        ("SELECT count(*) FROM spans WHERE is_error = $1", vec![ScalarValue::from(false)], "6"),
        ("SELECT name FROM spans ORDER BY span_id LIMIT $1", vec![int(1)], "op1"),
        (
            "SELECT count(*) FROM spans WHERE start_time >= $1",
            vec![text("2026-01-01T00:00:00.005Z")],
            "2",
        ),
        ("SELECT $1", vec![text("it's; DROP TABLE spans")], "it's; DROP TABLE spans"),
    ] {
        assert_eq!(with(&s, sql, params).await, [expected], "{sql}");
    }
    for (sql, params) in
        [("SELECT $1", vec![]), ("SELECT $2", vec![int(1)]), ("SELECT 1", vec![int(1)])]
    {
        let refused = s.query_with(sql, params).await;
        assert!(matches!(refused, Err(Error::Plan(_))), "{sql}");
    }
}

#[tokio::test]
async fn one_statement_sees_one_snapshot_and_the_next_sees_what_came() {
    let store = store(&[span("a", 1, 1, 0)]);
    let s = Session::new(&store);
    let started = s.query("SELECT name FROM spans").await.expect("planned");
    append(&store, &[span("a", 1, 2, 0)]);
    assert_eq!(count_batches(started).await, 1);
    assert_eq!(ask(&s, "SELECT count(*) FROM spans").await, ["2"]);
    let fixed = Session::new(&store.snapshot());
    append(&store, &[span("a", 1, 3, 0)]);
    assert_eq!(ask(&fixed, "SELECT count(*) FROM spans").await, ["2"]);
}

#[tokio::test]
async fn rows_outlive_the_files_they_come_from() {
    let store = store(&[span("a", 1, 1, 0), span("a", 1, 2, 0)]);
    store.flush().expect("flushed");
    let s = Session::new(&store);
    let started = s.query("SELECT name FROM spans").await.expect("planned");
    append(&store, &[span("a", 1, 3, 0)]);
    store.flush().expect("flushed");
    store.compact().expect("compacted");
    assert_eq!(count_batches(started).await, 2);
}

#[tokio::test]
async fn a_reader_beside_the_writer_answers_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("traces");
    let store = Store::options().disk_floor_bytes(0).open(&path).expect("opened");
    append(&store, &specs());
    let reader = Reader::open(&path).expect("read");
    let s = Session::new(&reader);
    assert_eq!(ask(&s, "SELECT count(*) FROM spans").await, ["6"]);
    assert_eq!(ask(&s, "SELECT sum(attributes['n']) FROM spans").await, ["506"]);
    store.flush().expect("flushed");
    append(&store, &[span("new", 9, 9, 0)]);
    reader.refresh().expect("refreshed");
    assert_eq!(ask(&s, "SELECT count(*) FROM spans").await, ["7"]);
}

#[tokio::test]
async fn errors_are_one_readable_line() {
    let s = Session::new(&store(&specs()));
    for (sql, part) in [
        ("SELECT nam FROM spans", "nam"),
        ("SELECT service FROM spans", "service_name"),
        ("SELECT * FROM span", "span"),
        ("SELECT fooo(1)", "fooo"),
        ("SELECT count(*) FORM spans", "spans"),
        ("SELEC 1", "SELEC"),
        ("SELECT 'a", "literal"),
        ("SELECT name FROM spans GROUP BY service_name", "name"),
        ("SELECT attributes[5] FROM spans", "['http.route']"),
        ("SELECT abs(name) FROM spans", "abs"),
        ("SELECT a FROM (SELECT attributes['code'] AS a FROM spans) WHERE a", "attr_"),
    ] {
        let words = refusal(&s, sql).await;
        assert!(words.contains(part), "{sql}\n{words}");
        assert!(words.len() < 1_200, "{words}");
    }
    let failed = s
        .query("SELECT CAST(name AS BIGINT) FROM spans")
        .await
        .expect("planned")
        .collect()
        .await
        .expect_err("op1 is no number");
    assert!(matches!(&failed, Error::Execution(words) if words.contains("TRY_CAST")), "{failed:?}");
}

/// A bit on disk flips under a store that is open: the answer is right or an error of the engine.
#[tokio::test]
#[allow(clippy::disallowed_methods, clippy::disallowed_types)] // damages a real file
async fn damage_is_an_error_of_the_engine_never_another_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("traces");
    let open = || Store::options().disk_floor_bytes(0).open(&path).expect("opened");
    let store = open();
    append(&store, &specs());
    store.flush().expect("flushed");
    let sql = "SELECT span_id, name, attributes, duration_ns FROM spans ORDER BY span_id";
    let expected = ask(&Session::new(&store), sql).await;
    store.close().expect("closed");
    let entry = std::fs::read_dir(path.join("segments")).expect("segments").next();
    let file = entry.expect("one segment").expect("an entry").path();
    let whole = std::fs::read(&file).expect("readable");
    let mut found = 0;
    for part in 1..16 {
        let mut bytes = whole.clone();
        bytes[whole.len() * part / 16] ^= 0x10;
        std::fs::write(&file, &bytes).expect("written");
        let reader = Reader::open(&path).expect("opened");
        if reader.stats().segments == 0 || !reader.stats().damage.is_empty() {
            continue;
        }
        match crate::common::try_ask(&Session::new(&reader), sql).await {
            Ok(rows) => assert_eq!(rows, expected, "part {part}"),
            Err(Error::Engine(amida::Error::Corrupt { .. })) => found += 1,
            Err(other) => panic!("part {part}: {other:?}"),
        }
    }
    assert!(found >= 3, "{found} of 15 were met");
}

#[tokio::test]
async fn a_table_is_drawn() {
    let s = Session::new(&store(&specs()));
    let sql = "SELECT service_name, count(*) AS n FROM spans GROUP BY 1 ORDER BY 1";
    let table = s.query(sql).await.expect("planned").collect().await.expect("rows");
    let drawn = "\
+--------------+---+
| service_name | n |
+--------------+---+
| cart         | 3 |
| shop         | 3 |
+--------------+---+";
    assert_eq!(table.to_string(), drawn);
    assert_eq!(table.num_rows(), 2);
}

#[tokio::test]
async fn answers_carry_no_marks_of_ours() {
    let s = Session::new(&store(&specs()));
    let sql = "SELECT * FROM spans";
    let table = s.query(sql).await.expect("planned").collect().await.expect("rows");
    for field in table.schema().fields() {
        assert!(field.metadata().is_empty(), "{field}");
    }
    assert!(table.batches().iter().all(|batch| batch.schema() == table.schema()));
}

#[tokio::test]
async fn the_tables_join_others_in_a_context_of_ones_own() {
    let store = store(&specs());
    store.flush().expect("flushed");
    append(&store, &[span("extra", 5, 50, 0).with("code", json!(7))]);
    let context = SessionContext::new();
    amida_sql::register(&context, &store).expect("registered");
    let sql = format!(
        "SELECT o.owner, count(*), sum(s.attributes['code']) FROM spans s JOIN \
         (VALUES ('shop', 'ann'), ('extra', 'bob')) AS o(service, owner) \
         ON s.service_name = o.service WHERE s.trace_id <> '{}' GROUP BY 1 ORDER BY 1",
        trace_hex(2).to_uppercase()
    );
    let batches = context.sql(&sql).await.expect("planned").collect().await.expect("rows");
    assert_eq!(lines(&batches), ["ann|3|904.0", "bob|1|7.0"]);
    let refused = context.sql("SELECT name FROM spans WHERE trace_id = 'xyz'").await;
    let refused = refused.expect("parsed").collect().await.expect_err("no id");
    assert!(refused.to_string().contains("'xyz' is not a trace id"), "{refused}");
}

/// It would take days.
#[tokio::test]
async fn a_query_ends_when_it_is_cancelled() {
    let session = Session::new(&store(&specs()));
    let tables: Vec<String> = (0..20).map(|n| format!("spans s{n}")).collect();
    let names: Vec<String> = (0..20).map(|n| format!("s{n}.name")).collect();
    let (tables, names) = (tables.join(", "), names.join(" || "));
    let sql = format!("SELECT count(*) FROM {tables} WHERE {names} = 'x'");
    let rows = session.query(&sql).await.expect("rows");
    let canceller = rows.canceller();
    std::thread::spawn(move || canceller.cancel());
    let error = rows.collect().await.expect_err("it was cancelled");
    assert!(matches!(&error, Error::Limit(why) if why.contains("cancelled")), "{error}");
}
