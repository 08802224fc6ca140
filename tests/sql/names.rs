//! Unknown names: one line that offers what was meant, and only what would be valid there.

use amida_sql::Session;
use serde_json::json;

use crate::common::{Spec, refusal, span, store};

fn specs() -> Vec<Spec> {
    vec![
        span("web", 1, 1, 0)
            .with("http.response.status_code", json!(200))
            .with("http.route", json!("/"))
            .with("user_id", json!("u1")),
        span("db", 1, 2, 1).with("db.query.text", json!("SELECT 1")),
    ]
}

/// Holds what is said of each query against what it should say.
pub async fn check(cases: &[(&str, &str)]) {
    let session = Session::new(&store(&specs()));
    let mut wrong = Vec::new();
    for (sql, expected) in cases {
        let found = refusal(&session, sql).await;
        if found != *expected {
            wrong.push(format!("{sql}\n  expected {expected}\n  found    {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_mistyped_column_is_answered_with_the_near_ones_of_its_table() {
    check(&[
        ("SELECT nmae FROM spans", "no column is named 'nmae'; did you mean 'name'?"),
        (
            "SELECT 1 FROM spans WHERE servicename = 'web'",
            "no column is named 'servicename'; did you mean 'service_name'?",
        ),
        (
            "SELECT count(*) FROM spans GROUP BY kinds",
            "no column is named 'kinds'; did you mean 'kind'?",
        ),
        (
            "SELECT p9_ms FROM services",
            "no column is named 'p9_ms'; did you mean 'p95_ms' or 'p99_ms'?",
        ),
        ("SELECT s.nmae FROM spans s", "'s' has no column 'nmae'; did you mean 'name'?"),
        (
            "SELECT spans.nmae FROM spans ORDER BY 1",
            "'spans' has no column 'nmae'; did you mean 'name'?",
        ),
        ("SELECT sp.name FROM spans s", "no table here is named 'sp'; did you mean 's'?"),
        (
            "SELECT chlid.name FROM spans child",
            "no table here is named 'chlid'; did you mean 'child'?",
        ),
        ("FROM spans |> WHERE nmae = 'a'", "no column is named 'nmae'; did you mean 'name'?"),
        (
            "SELECT * FROM spans a JOIN spans b ON a.trace_id = b.traceid",
            "'b' has no column 'traceid'; did you mean 'trace_id'?",
        ),
    ])
    .await;
}

#[tokio::test]
async fn nothing_silly_is_offered() {
    check(&[
        ("SELECT x FROM spans", "no column is named 'x'; DESCRIBE lists the columns of a table"),
        (
            "SELECT customer FROM spans",
            "no column is named 'customer'; DESCRIBE lists the columns of a \
             table",
        ),
        (
            "SELECT customer FROM service_edges",
            "no column is named 'customer'; there are caller, callee, calls, errors, p50_ms, \
             p95_ms and p99_ms",
        ),
        // `kind` is a column of spans, not of traces.
        (
            "SELECT kinds FROM traces",
            "no column is named 'kinds'; there are trace_id, root_service, root_operation, \
             start_time, end_time, duration, duration_ns, duration_ms, span_count, error_count \
             and services",
        ),
        ("SELECT frobnicate(1)", "no function is named 'frobnicate'; SHOW FUNCTIONS lists them"),
        ("SELECT nothing FROM (SELECT 1 AS a)", "no column is named 'nothing'; there is a"),
    ])
    .await;
}

#[tokio::test]
async fn names_of_other_stores_get_their_name_here() {
    let session = Session::new(&store(&specs()));
    for (name, table, meant) in [
        ("service", "spans", "service_name"),
        ("service", "traces", "root_service"),
        ("serviceName", "spans", "service_name"),
        ("timestamp", "spans", "start_time"),
        ("time", "spans", "start_time"),
        ("ts", "spans", "start_time"),
        ("ts", "events", "time"),
        ("status", "spans", "status_code"),
        ("traceId", "spans", "trace_id"),
        ("traceid", "spans", "trace_id"),
        ("spanId", "spans", "span_id"),
        ("span_name", "spans", "name"),
        ("operation_name", "spans", "name"),
        ("name", "traces", "root_operation"),
        ("parent_id", "spans", "parent_span_id"),
        ("parentSpanId", "spans", "parent_span_id"),
        ("span_kind", "spans", "kind"),
        ("error", "spans", "is_error"),
        ("startTimeUnixNano", "spans", "start_time"),
        ("service.name", "spans", "service_name"),
        ("tags", "spans", "attributes"),
    ] {
        let words = refusal(&session, &format!("SELECT {name} FROM {table}")).await;
        assert!(
            words.ends_with(&format!("; did you mean '{meant}'?")),
            "{name} of {table}: {words}"
        );
    }
}

#[tokio::test]
async fn an_attribute_written_as_a_column_gets_its_subscript() {
    let session = Session::new(&store(&specs()));
    for (written, subscript) in [
        ("http.route", "attributes['http.route']"),
        ("s.http.route", "attributes['http.route']"),
        ("http.response.status_code", "attributes['http.response.status_code']"),
        // Only the newer name is stored, and the other way round.
        ("http.status_code", "attributes['http.response.status_code']"),
        ("host.cores", "resource_attributes['host.cores']"),
        ("resource.host.cores", "resource_attributes['host.cores']"),
        ("span.http.route", "attributes['http.route']"),
        ("user_id", "attributes['user_id']"),
        ("db.query.text", "attributes['db.query.text']"),
    ] {
        for sql in [
            format!("SELECT {written} FROM spans s"),
            format!("SELECT name FROM spans s WHERE {written} = 'x'"),
        ] {
            let words = refusal(&session, &sql).await;
            assert!(
                words.ends_with(&format!("; an attribute is read as {subscript}")),
                "{sql}: {words}"
            );
        }
    }
    check(&[
        (
            "SELECT attributes.http.route FROM spans",
            "an attribute is read by its key in single quotes: attributes['http.route']",
        ),
        (
            "SELECT name FROM spans s WHERE s.resource_attributes.host.cores = 8",
            "an attribute is read by its key in single quotes: resource_attributes['host.cores']",
        ),
        ("SELECT a.b.c.d.e.f FROM spans", "no column is named 'a.b.c.d.e.f'"),
        (
            "SELECT foo.bar FROM spans",
            "no column is named 'foo.bar'; an attribute is read by its key, as in \
             attributes['http.route']: the table attribute_keys has those that are stored",
        ),
        (
            "SELECT http.route FROM services",
            "no column is named 'http.route'; there are service_name, spans, errors, \
             first_seen, last_seen, p50_ms, p95_ms and p99_ms",
        ),
        (
            "SELECT attributes[http.route] FROM spans",
            "an attribute is read by its key in single quotes, as in attributes['http.route']",
        ),
        (
            "SELECT attributes[\"http.route\"] FROM spans",
            "an attribute is read by its key in single quotes, as in attributes['http.route']",
        ),
    ])
    .await;
}

#[tokio::test]
async fn text_in_double_quotes_is_told_from_names() {
    check(&[
        (
            "SELECT * FROM spans WHERE service_name = \"web\"",
            "no column is named \"web\"; double quotes are for names, text stands in single \
             quotes: 'web'",
        ),
        (
            "SELECT \"Service_Name\" FROM spans",
            "no column is named \"Service_Name\"; did you mean 'service_name'?",
        ),
    ])
    .await;
}

#[tokio::test]
async fn an_alias_that_is_not_known_yet_is_explained() {
    let session = Session::new(&store(&specs()));
    let words = refusal(&session, "SELECT duration_ns AS d FROM spans WHERE d > 5").await;
    assert!(
        words.starts_with("no column is named 'd'; the alias of that name is not known"),
        "{words}"
    );
}

#[tokio::test]
async fn an_unknown_table_is_answered_with_the_tables_there_are() {
    check(&[
        ("SELECT * FROM span", "no table is named 'span'; did you mean 'spans'?"),
        ("FROM serivces", "no table is named 'serivces'; did you mean 'services'?"),
        ("FROM service", "no table is named 'service'; did you mean 'services'?"),
        ("FROM dependencies", "no table is named 'dependencies'; did you mean 'service_edges'?"),
        ("FROM other.spans", "no table is named 'other.spans'; did you mean 'spans'?"),
        (
            "WITH requests AS (SELECT 1 AS a) SELECT * FROM request",
            "no table is named 'request'; did you mean 'requests'?",
        ),
        (
            "FROM frobs",
            "no table is named 'frobs'; there are attribute_keys, events, links, operations, \
             service_edges, services, spans and traces",
        ),
        ("SELECT * FROM spams s JOIN traces", "no table is named 'spams'; did you mean 'spans'?"),
        ("SELECT * FROM read_csv('x')", "no table function is named 'read_csv'"),
        (
            "SELECT * FROM generate_series(1, 2)",
            "generate_series is left out: two numbers in it could keep a machine busy",
        ),
    ])
    .await;
}

#[tokio::test]
async fn an_unknown_function_is_answered_with_what_to_write() {
    check(&[
        ("SELECT conut(*) FROM spans", "no function is named 'conut'; did you mean 'count'?"),
        (
            "SELECT atr_int(attributes, 'a') FROM spans",
            "no function is named 'atr_int'; did you mean 'attr_int'?",
        ),
        (
            "SELECT attr_ayn('a', 'b') FROM spans",
            "no function is named 'attr_ayn'; did you mean 'attr_any'?",
        ),
        ("SELECT len(name) FROM spans", "no function is named 'len'; write length"),
        (
            "SELECT countIf(is_error) FROM spans",
            "no function is named 'countif'; write count(*) FILTER (WHERE ..)",
        ),
        (
            "SELECT row_number() FROM spans",
            "'row_number' is a window function: write row_number(..) OVER (PARTITION BY .. \
             ORDER BY ..)",
        ),
        (
            "SELECT row_numbr() OVER (ORDER BY name) FROM spans",
            "no function is named 'row_numbr'; did you mean 'row_number'?",
        ),
        (
            "SELECT attr_any() FROM spans",
            "attr_any takes keys and no clause: attr_any('key', 'other key')",
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_column_beside_an_aggregate_has_to_be_grouped() {
    check(&[(
        "SELECT name, count(*) FROM spans GROUP BY kind",
        "spans.name differs from row to row of a group: write it in GROUP BY too, or an aggregate \
         such as max(spans.name)",
    )])
    .await;
}

#[tokio::test]
async fn a_column_of_two_tables_needs_its_table() {
    check(&[(
        "SELECT name FROM spans a JOIN spans b ON a.span_id = b.parent_span_id",
        "'name' is a column of more than one table here; write its table before it, as in t.name",
    )])
    .await;
}

#[tokio::test]
async fn a_key_with_a_quote_is_offered_as_sql_that_can_be_read() {
    let mixed = |n, value| span("web", 1, n, 0).with("it's", value);
    let session = Session::new(&store(&[mixed(1, json!(1)), mixed(2, json!("x"))]));
    for (sql, words) in [
        (
            "SELECT attributes.\"it's\" FROM spans",
            "an attribute is read by its key in single quotes: attributes['it''s']",
        ),
        (
            "SELECT attributes[\"it's\"] FROM spans",
            "an attribute is read by its key in single quotes, as in attributes['it''s']",
        ),
        (
            "SELECT name FROM spans WHERE name = \"isn't\"",
            "no column is named \"isn't\"; double quotes are for names, text stands in single \
             quotes: 'isn''t'",
        ),
        (
            "SELECT s.\"it's\" FROM (SELECT attributes FROM spans) s",
            "'s' has no column 'it's'; an attribute is read as attributes['it''s']",
        ),
        (
            "SELECT attr_any('it''s', 'k') FROM traces",
            "attr_any reads attributes, and there is no such column here; name the column to read, \
             as in attr_any(resource_attributes, 'it''s', 'k')",
        ),
        (
            "SELECT max(attributes['it''s']) FROM spans",
            "max of text: attributes['it''s'] has 1 string and 1 int values; read \
             attr_int(attributes, 'it''s') or attr_text(attributes, 'it''s') instead",
        ),
        (
            "SELECT \"a\nb\" FROM traces",
            "no column is named \"a b\"; double quotes are for names, text stands in single \
             quotes: E'a\\nb'",
        ),
        (
            "SELECT name FROM spans WHERE duration > 'fast\nrun'",
            "E'fast\\nrun' is not a duration: write a number and a unit, as in '500ms'",
        ),
    ] {
        assert_eq!(refusal(&session, sql).await, words, "{sql}");
    }
    let all = "SELECT attributes['it''s'] FROM spans";
    let table = session.query(all).await.expect("planned").collect().await.expect("rows");
    assert!(table.to_string().contains("| attributes['it''s'] |"), "{table}");
}

#[tokio::test]
async fn a_stored_key_in_double_quotes_and_an_alias_without_as() {
    let alias = "; the alias of that name is not known here: repeat its expression, or name it in \
                 a subquery or behind |> EXTEND";
    check(&[
        (
            "SELECT \"http.route\" FROM spans",
            "no column is named \"http.route\"; an attribute is read as attributes['http.route']",
        ),
        (
            "SELECT attributes[name] FROM spans",
            "an attribute is read by its key in single quotes, as in attributes['name']",
        ),
        ("SELECT name x FROM spans WHERE x = 'a'", &format!("no column is named 'x'{alias}")),
        (
            "SELECT upper(name) u, kind FROM spans WHERE u = 'A'",
            &format!("no column is named 'u'{alias}"),
        ),
        (
            "SELECT x, name FROM services",
            "no column is named 'x'; there are service_name, spans, errors, first_seen, last_seen, \
             p50_ms, p95_ms and p99_ms",
        ),
    ])
    .await;
}
