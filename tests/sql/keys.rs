//! `attr_any`, the first of several keys that a span has, and `attribute_keys`, the table of keys.

use amida::{MemoryFs, PromotedType};
use amida_sql::Session;
use amida_sql::datafusion::prelude::SessionContext;
use serde_json::json;

use crate::common::{
    Spec, apart, append, ask, ask_sorted, lines, options, overflowed, refusal, span, store,
    trace_hex,
};

fn specs() -> Vec<Spec> {
    vec![
        span("a", 1, 1, 0).with("new", json!(200)).with("word", json!("x")),
        span("a", 1, 2, 0).with("old", json!(404)),
        span("a", 2, 3, 0).with("new", json!(500)).with("old", json!(1)),
        span("a", 2, 4, 0).with("part", json!(2.5)).with("flag", json!(true)),
        span("a", 2, 5, 0).with("mixed", json!("500")).with("old", json!(7)),
        span("a", 2, 6, 0).with("mixed", json!(500)).with("other", json!(null)),
        span("a", 2, 7, 0),
    ]
}

const QUERIES: [(&str, &[&str]); 14] = [
    ("SELECT attr_any('new', 'old') FROM spans", &["-", "-", "-", "200", "404", "500", "7"]),
    ("SELECT count(*) FROM spans WHERE attr_any('new', 'old') >= 404", &["2"]),
    ("SELECT count(*) FROM spans WHERE attr_any('old', 'new') >= 404", &["1"]),
    ("SELECT sum(attr_any('new', 'old')) FROM spans", &["1111"]),
    ("SELECT max(attr_any('new', 'old', 'part')) FROM spans", &["500.0"]),
    ("SELECT count(*) FROM spans WHERE attr_any('flag', 'nothing')", &["1"]),
    ("SELECT count(*) FROM spans WHERE NOT attr_any('flag', 'nothing')", &["0"]),
    ("SELECT attr_any('nothing') FROM spans LIMIT 1", &["-"]),
    // Text and numbers together: a text value hides the number of a later key.
    ("SELECT count(*) FROM spans WHERE attr_any('mixed', 'old') >= 1", &["3"]),
    ("SELECT sum(attr_any('mixed', 'old')) FROM spans", &["905"]),
    ("SELECT count(*) FROM spans WHERE attr_any('mixed', 'word') = '500'", &["2"]),
    // An attribute without a value is no value.
    ("SELECT attr_any('other', 'mixed') FROM spans WHERE attributes['mixed'] = 500", &["500"]),
    (
        "SELECT attr_any('new', 'old') AS v, count(*) FROM spans GROUP BY attr_any('new', 'old') \
         HAVING count(*) > 1",
        &["-|3"],
    ),
    ("FROM spans |> WHERE attr_any('new', 'old') = 404 |> SELECT attributes['old']", &["404"]),
];

#[tokio::test]
async fn the_first_key_that_a_span_has_is_read_hot_flushed_and_promoted() {
    let promoted = [("new", PromotedType::Int), ("old", PromotedType::Int)];
    for promote in [&[][..], &promoted[..]] {
        let fs = MemoryFs::new();
        let store = options(&fs, promote).open("store").expect("opened");
        append(&store, &specs());
        for flushed in [false, true] {
            if flushed {
                store.flush().expect("flushed");
            }
            let session = Session::new(&store);
            for (sql, expected) in QUERIES {
                assert_eq!(ask_sorted(&session, sql).await, expected, "flushed: {flushed}, {sql}");
            }
        }
    }
}

#[tokio::test]
async fn it_reads_promoted_columns_where_it_can() {
    let fs = MemoryFs::new();
    let promoted = [("new", PromotedType::Int), ("old", PromotedType::Int)];
    let store = options(&fs, &promoted).open("store").expect("opened");
    append(&store, &specs());
    store.flush().expect("flushed");
    let session = Session::new(&store);
    let plan = ask(&session, "EXPLAIN SELECT attr_any('new', 'old') FROM spans").await.join("\n");
    let single = "attr_int(span_rows.attributes, Utf8View(\"new\"))";
    assert!(plan.contains(single), "{plan}");
}

#[tokio::test]
async fn it_has_the_type_of_all_its_keys() {
    let session = Session::new(&store(&specs()));
    for (keys, expected) in [
        ("'new', 'old'", "Int64"),
        ("'new', 'part'", "Float64"),
        ("'flag', 'nothing'", "Boolean"),
        ("'new', 'word'", "Utf8View"),
        ("'nothing', 'nobody'", "Utf8View"),
        ("resource_attributes, 'host.cpus', 'host.cores'", "Int64"),
    ] {
        let sql = format!("SELECT DISTINCT arrow_typeof(attr_any({keys})) FROM spans");
        assert_eq!(ask(&session, &sql).await, [expected], "{sql}");
    }
    let sql =
        "WITH x AS (SELECT attr_any('new', 'word') AS v FROM spans) SELECT * FROM x WHERE v > 3";
    assert_eq!(
        refusal(&session, sql).await,
        "x.v is text and stands beside a number: attr_any(attributes, 'new', 'word') has 2 int and \
         1 string values; read coalesce(attr_int(attributes, 'new'), attr_int(attributes, 'word')) \
         instead"
    );
}

#[tokio::test]
async fn its_column_may_be_named_and_must_be_where_there_are_several() {
    let session = Session::new(&store(&specs()));
    let sql = format!(
        "SELECT attr_any(b.attributes, 'new', 'old') FROM spans a JOIN spans b \
         ON a.trace_id = b.trace_id AND a.span_id < b.span_id WHERE a.trace_id = '{}'",
        trace_hex(1)
    );
    assert_eq!(ask(&session, &sql).await, ["404"]);
    let bound = session.query_with("SELECT max(attr_any($1, $2)) FROM spans", ["new", "old"]).await;
    let table = bound.expect("planned").collect().await.expect("rows");
    assert_eq!(lines(table.batches()), ["500"]);
    for (sql, words) in [
        (
            "SELECT attr_any('new', 'old') FROM spans a JOIN spans b ON a.span_id = b.span_id",
            "attr_any reads attributes, and more than one table here has them; name the column to \
             read, as in attr_any(a.attributes, 'new', 'old')",
        ),
        (
            "SELECT attr_any('new', 'old') FROM traces",
            "attr_any reads attributes, and there is no such column here; name the column to read, \
             as in attr_any(resource_attributes, 'new', 'old')",
        ),
        (
            "SELECT attr_any(attributes) FROM spans",
            "an attribute is read by its key in single quotes, as in attributes['http.route']",
        ),
        (
            "SELECT attr_any('new', name) FROM spans",
            "an attribute is read by its key in single quotes, as in attributes['http.route']",
        ),
    ] {
        assert_eq!(refusal(&session, sql).await, words, "{sql}");
    }
}

#[tokio::test]
async fn a_clause_that_it_has_not_is_refused_not_dropped() {
    let session = Session::new(&store(&specs()));
    for call in [
        "attr_any('new', 'old') FILTER (WHERE is_error)",
        "attr_any(DISTINCT 'new', 'old')",
        "attr_any('new', 'old' ORDER BY name)",
        "attr_any('new', 'old') IGNORE NULLS",
        "attr_any('new', 'old') WITHIN GROUP (ORDER BY name)",
        "attr_any('new', 'old') OVER ()",
    ] {
        let words = refusal(&session, &format!("SELECT {call} FROM spans")).await;
        assert!(words.starts_with("attr_any takes keys and no clause"), "{call}: {words}");
    }
}

#[tokio::test]
async fn it_takes_so_many_keys_and_no_more() {
    let store = store(&specs());
    let session = Session::new(&store);
    let keys = |count: usize| {
        let keys: Vec<String> = (1..count).map(|n| format!("'k{n}'")).collect();
        keys.join(", ") + ", 'new'"
    };
    let most = format!("SELECT max(attr_any({})) FROM spans", keys(32));
    assert_eq!(ask(&session, &most).await, ["500"]);
    let more = format!("SELECT attr_any({}) FROM spans", keys(33));
    assert_eq!(refusal(&session, &more).await, "attr_any takes at most 32 keys, these are 33");
    let context = SessionContext::new();
    amida_sql::register(&context, &store).expect("registered");
    let more = format!("SELECT attributes[[{}]] FROM spans", keys(33));
    let refused = context.sql(&more).await.expect_err("33 keys").to_string();
    assert!(refused.contains("at most 32 keys"), "{refused}");
}

const KEYS: &str = "SELECT scope, key, type, count, example FROM attribute_keys \
                    WHERE scope = 'span' ORDER BY key, type";

#[tokio::test]
async fn keys_are_listed_the_same_hot_flushed_merged_and_reopened() {
    let fs = MemoryFs::new();
    let store = apart(&fs, &[]).open("store").expect("opened");
    append(&store, &[span("a", 1, 1, 0).with("k", json!("first")).with("n", json!(1.0))]);
    append(&store, &[span("a", 1, 2, 0).with("k", json!(7)).with("long", json!("x".repeat(100)))]);
    let expected = [
        "span|k|int|1|7".to_owned(),
        "span|k|string|2|first".to_owned(),
        format!("span|long|string|1|{}...", "x".repeat(61)),
        "span|n|double|1|1.0".to_owned(),
    ];
    append(&store, &[span("a", 1, 3, 0).with("k", json!("second"))]);
    let session = Session::new(&store);
    assert_eq!(ask(&session, KEYS).await, expected, "hot");
    store.flush().expect("flushed");
    assert_eq!(ask(&session, KEYS).await, expected, "flushed");
    append(&store, &[span("a", 1, 4, 0).with("k", json!("third"))]);
    let half_hot = ask(
        &session,
        "SELECT count, example FROM attribute_keys WHERE key = 'k' AND type = 'string'",
    );
    assert_eq!(half_hot.await, ["3|first"], "flushed and hot");
    store.flush().expect("flushed");
    store.compact().expect("compacted");
    drop(session);
    store.close().expect("closed");
    let reopened = apart(&fs, &[]).open("store").expect("opened");
    let sql = "SELECT count, example FROM attribute_keys WHERE key = 'k' AND type = 'string'";
    assert_eq!(ask(&Session::new(&reopened), sql).await, ["3|first"], "reopened");
}

#[tokio::test]
async fn one_statement_sees_the_keys_of_its_snapshot() {
    let store = store(&[span("a", 1, 1, 0).with("k", json!(1))]);
    let fixed = Session::new(&store.snapshot());
    append(&store, &[span("a", 1, 2, 0).with("later", json!(1))]);
    assert_eq!(ask(&fixed, "SELECT key FROM attribute_keys WHERE scope = 'span'").await, ["k"]);
    let now = Session::new(&store);
    let sql = "SELECT key FROM attribute_keys WHERE scope = 'span'";
    assert_eq!(ask(&now, sql).await, ["k", "later"]);
}

#[tokio::test]
async fn every_scope_and_every_type_is_listed() {
    let event = json!([{"timeUnixNano": "1", "name": "e",
        "attributes": [{"key": "e", "value": {"boolValue": true}}]}]);
    let spec = span("a", 1, 1, 0).with("list", json!([1, "b"])).set("events", event);
    let session = Session::new(&store(&[spec]));
    let sql = "SELECT scope, key, type, example FROM attribute_keys ORDER BY 1, 2";
    assert_eq!(
        ask(&session, sql).await,
        [
            "event|e|bool|true",
            "resource|host.cores|int|8",
            "resource|service.name|string|a",
            "scope|level|int|3",
            "span|list|json|[1,\"b\"]",
        ]
    );
}

#[tokio::test]
async fn what_a_full_scope_does_not_list_is_counted_in_a_row_without_a_key() {
    let session = Session::new(&overflowed());
    let sql = "SELECT scope, count, type, example FROM attribute_keys WHERE key IS NULL";
    assert_eq!(ask(&session, sql).await, ["span|904|-|-"]);
    let listed = "SELECT count(*) FROM attribute_keys WHERE scope = 'span' AND key IS NOT NULL";
    assert_eq!(ask(&session, listed).await, ["4096"]);
}

#[tokio::test]
async fn a_context_of_ones_own_has_the_table_and_the_list_of_keys() {
    let store = store(&specs());
    let context = SessionContext::new();
    amida_sql::register(&context, &store).expect("registered");
    let of = async |sql: &str| {
        lines(&context.sql(sql).await.expect("planned").collect().await.expect("rows"))
    };
    assert_eq!(of("SELECT count FROM attribute_keys WHERE key = 'new'").await, ["2"]);
    assert_eq!(of("SELECT max(attributes[['new', 'old']]) FROM spans").await, ["500"]);
}
