//! What is refused, and that limits hold: nothing but reading, and never the end of the process.

use std::time::{Duration, Instant};

use amida_sql::{Error, Session, SessionOptions};

use crate::common::{Spec, ask, refusal, span, store, try_ask};

fn session() -> Session {
    let specs: Vec<Spec> = (1..=50).map(|n| span("shop", n / 5, n, 0)).collect();
    Session::new(&store(&specs))
}

const REFUSED: &[&str] = &[
    "COPY spans TO '/tmp/amida-guard-test.csv'",
    "COPY (SELECT 1) TO '/tmp/amida-guard-test' STORED AS PARQUET",
    "EXPLAIN COPY spans TO '/tmp/amida-guard-test.csv'",
    "EXPLAIN ANALYZE COPY spans TO '/tmp/amida-guard-test.csv'",
    "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
    "CREATE UNBOUNDED EXTERNAL TABLE t (a INT) STORED AS CSV LOCATION '/etc/passwd'",
    "CREATE TABLE t (a INT)",
    "CREATE TABLE t AS SELECT * FROM spans",
    "CREATE TEMP TABLE t AS SELECT 1",
    "CREATE OR REPLACE TABLE spans AS SELECT 1",
    "CREATE VIEW v AS SELECT * FROM spans",
    "CREATE OR REPLACE VIEW spans AS SELECT 1 AS a",
    "CREATE SCHEMA s",
    "CREATE DATABASE d",
    "CREATE INDEX i ON spans (name)",
    "CREATE FUNCTION f(INT) RETURNS INT RETURN $1",
    "DROP TABLE spans",
    "DROP VIEW spans",
    "DROP SCHEMA public CASCADE",
    "DROP FUNCTION attr_int",
    "ALTER TABLE spans ADD COLUMN a INT",
    "INSERT INTO spans SELECT * FROM spans",
    "INSERT OVERWRITE spans SELECT * FROM spans",
    "EXPLAIN INSERT INTO spans SELECT * FROM spans",
    "UPDATE spans SET name = 'x'",
    "DELETE FROM spans",
    "TRUNCATE TABLE spans",
    "MERGE INTO spans USING spans s ON true WHEN MATCHED THEN DELETE",
    "SET datafusion.execution.batch_size = 1",
    "SET datafusion.catalog.location = '/etc'",
    "RESET datafusion.execution.batch_size",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "DEALLOCATE p",
    "BEGIN",
    "BEGIN TRANSACTION",
    "COMMIT",
    "ROLLBACK",
    "GRANT ALL ON spans TO x",
    "ANALYZE TABLE spans",
    "LOAD DATA INPATH '/etc/passwd' INTO TABLE spans",
    "ATTACH DATABASE '/etc/passwd' AS x",
    "USE other",
    "KILL 1",
    "VACUUM",
    "CALL f()",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE spans",
    "SELECT * INTO t FROM spans",
    "WITH x AS (DELETE FROM spans RETURNING 1) SELECT * FROM x",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM 'file:///etc/passwd'",
    "SELECT * FROM '/etc/passwd.csv'",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM parquet_metadata('/tmp/x.parquet')",
    "SELECT * FROM generate_series(1, 10)",
    "SELECT * FROM range(1, 10)",
    "SELECT generate_series(1, 1000000000000)",
    "SELECT range(1, 1000000000000)",
    "",
    "   ;",
    "-- nothing",
];

#[tokio::test]
async fn statements_that_do_more_than_read_are_refused() {
    let s = session();
    for sql in REFUSED {
        refusal(&s, sql).await;
    }
    assert!(!std::path::Path::new("/tmp/amida-guard-test.csv").exists());
    assert_eq!(ask(&s, "SELECT count(*) FROM spans").await, ["50"]);
}

/// Queries with a clause that nothing would come of, how its name begins, and the word shown.
const LEFT_OUT: &[(&str, &str, &str)] = &[
    ("SELECT count(*) FROM spans TABLESAMPLE BERNOULLI (1)", "TABLESAMPLE", "TABLESAMPLE"),
    ("SELECT count(*) FROM spans s TABLESAMPLE SYSTEM (10 PERCENT)", "TABLESAMPLE", "TABLESAMPLE"),
    ("SELECT count(*) FROM (SELECT 1) AS s TABLESAMPLE (1 ROWS)", "TABLESAMPLE", "TABLESAMPLE"),
    ("SELECT count(*) FROM spans SAMPLE 10", "SAMPLE", "SAMPLE"),
    ("SELECT count(*) FROM spans PREWHERE is_error", "PREWHERE", "PREWHERE"),
    ("EXPLAIN SELECT count(*) FROM spans PREWHERE is_error", "PREWHERE", "PREWHERE"),
    ("SELECT 1 WHERE 1 IN (SELECT 1 FROM spans prewhere is_error)", "PREWHERE", "prewhere"),
    ("WITH x AS (SELECT 1 FROM spans PREWHERE is_error) SELECT 1", "PREWHERE", "PREWHERE"),
    (
        "SELECT name FROM spans START WITH parent_span_id IS NULL \
         CONNECT BY PRIOR span_id = parent_span_id",
        "CONNECT BY",
        "CONNECT",
    ),
    ("SELECT name, count(*) FROM spans GROUP BY name WITH ROLLUP", "WITH ROLLUP", "WITH"),
    ("SELECT name, count(*) FROM spans GROUP BY name WITH CUBE", "WITH CUBE", "WITH"),
    ("SELECT name, count(*) FROM spans GROUP BY name WITH TOTALS", "WITH TOTALS", "WITH"),
    ("SELECT name, count(*) FROM spans GROUP BY ALL WITH TOTALS", "WITH TOTALS", "WITH"),
    ("SELECT count(*) FROM spans PARTITION (p0)", "PARTITION", "PARTITION"),
    ("SELECT count(*) FROM spans WITH (nolock)", "a hint", "WITH"),
    ("SELECT count(*) FROM spans WITH ORDINALITY", "WITH ORDINALITY", "WITH"),
    ("SELECT name FROM spans FOR UPDATE", "FOR UPDATE", "FOR"),
    ("SELECT name FROM spans FOR SHARE", "FOR SHARE", "FOR"),
    ("SELECT name FROM spans SETTINGS max_threads = 1", "SETTINGS", "SETTINGS"),
    ("SELECT name FROM spans FORMAT JSONCompact", "FORMAT", "FORMAT"),
    ("SELECT * ILIKE '%id' FROM spans", "ILIKE", "ILIKE"),
    ("SELECT upper(name) FILTER (WHERE is_error) FROM spans", "FILTER", "FILTER"),
    ("SELECT upper(DISTINCT name) FROM spans", "DISTINCT", "DISTINCT"),
    ("SELECT Upper(name) OVER () FROM spans", "OVER", "OVER"),
    ("SELECT count(*) FROM (SELECT 'a') AS t (a INT)", "a type", ""),
    ("SELECT count(5)(name) FROM spans", "a second list of arguments", ""),
    ("SELECT count(*) FROM spans a GLOBAL JOIN spans b USING (span_id)", "GLOBAL", "GLOBAL"),
];

#[tokio::test]
async fn clauses_that_would_be_left_out_are_refused_by_name_at_their_place() {
    let s = session();
    for (sql, name, shown) in LEFT_OUT {
        let Err(error) = s.query(sql).await else { panic!("{sql}\nwas planned") };
        let words = error.to_string();
        assert!(words.starts_with(name) && words.contains(" is not supported"), "{sql}\n{words}");
        let at = error.place().map(|place| &sql[place.column - 1..][..place.length]);
        assert_eq!(at.unwrap_or(""), *shown, "{sql}\n{words}");
    }
}

#[tokio::test]
async fn the_statements_that_read_are_allowed() {
    let s = session();
    for sql in [
        "SELECT 1",
        "VALUES (1), (2)",
        "WITH x AS (SELECT 1 AS a) SELECT a FROM x",
        "EXPLAIN SELECT * FROM spans",
        "EXPLAIN ANALYZE SELECT count(*) FROM spans WHERE attributes['a'] = 'b'",
        "EXPLAIN VERBOSE SELECT * FROM traces",
        "SHOW TABLES",
        "SHOW COLUMNS FROM spans",
        "SHOW ALL",
        "SHOW datafusion.execution.batch_size",
        "SHOW FUNCTIONS",
        "DESCRIBE spans",
        "DESCRIBE SELECT name FROM spans",
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'",
        "SELECT 1;",
        "(SELECT 1)",
        "FROM spans",
        "FROM spans |> LIMIT 1",
    ] {
        assert!(!ask(&s, sql).await.is_empty(), "{sql}");
    }
    let tables = ask(
        &s,
        "SELECT table_name FROM information_schema.tables \
                          WHERE table_schema = 'public' ORDER BY 1",
    )
    .await;
    assert_eq!(
        tables,
        [
            "attribute_keys",
            "events",
            "links",
            "operations",
            "service_edges",
            "services",
            "spans",
            "traces"
        ]
    );
}

#[tokio::test]
async fn large_and_deep_queries_are_refused_not_the_end_of_the_process() {
    let s = session();
    let ors = vec!["name = 'a'"; 20_000].join(" OR ");
    let long_or = vec!["name='a'"; 2_000].join(" OR ");
    let sum = vec!["1"; 3_000].join("+");
    let casts = format!("1{}", "::int".repeat(5_000));
    let union = vec!["SELECT 1"; 2_000].join(" UNION ALL ");
    let joins = format!("SELECT 1 FROM spans{}", ", spans".repeat(2_000));
    for (what, sql) in [
        ("bytes", format!("SELECT '{}'", "x".repeat(10 << 20))),
        ("a long OR", format!("SELECT name FROM spans WHERE {ors}")),
        ("a shorter OR", format!("SELECT name FROM spans WHERE {long_or}")),
        ("a sum", format!("SELECT {sum}")),
        ("parentheses", format!("SELECT {}1{}", "(".repeat(3_000), ")".repeat(3_000))),
        ("casts", format!("SELECT {casts}")),
        ("unions", union),
        ("nots", format!("SELECT {} true", "NOT ".repeat(4_000))),
        ("minus", format!("SELECT {} 1", "- ".repeat(4_000))),
        ("subqueries", format!("{}SELECT 1{}", "SELECT * FROM (".repeat(200), ")".repeat(200))),
        ("subscripts", format!("SELECT attributes{} FROM spans", "['a']".repeat(2_000))),
        ("calls", format!("SELECT {}1{}", "abs(".repeat(1_000), ")".repeat(1_000))),
        ("cross join", joins),
        (
            "recursion",
            "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) \
                       SELECT count(*) FROM t"
                .to_owned(),
        ),
    ] {
        let refused = try_ask(&s, &sql).await;
        assert!(matches!(refused, Err(Error::Plan(_) | Error::Limit(_))), "{what}: {refused:?}");
    }
}

#[tokio::test]
async fn queries_just_within_the_limits_run() {
    let s = session();
    let ors: Vec<String> = (0..160).map(|n| format!("name='n{n}'")).collect();
    assert_eq!(
        ask(&s, &format!("SELECT count(*) FROM spans WHERE {}", ors.join(" OR "))).await,
        ["0"]
    );
    let sum = vec!["duration_ns"; 400].join("+");
    assert_eq!(ask(&s, &format!("SELECT max({sum}) FROM spans")).await, ["400000000"]);
    let list: Vec<String> = (0..3_000).map(|n| format!("'n{n}'")).collect();
    let sql = format!("SELECT count(*) FROM spans WHERE name IN ({})", list.join(","));
    assert_eq!(ask(&s, &sql).await, ["0"]);
    let casts = format!("1{}", "::int::bigint".repeat(200));
    assert_eq!(ask(&s, &format!("SELECT {casts}")).await, ["1"]);
    let union = vec!["SELECT 1 AS a"; 100].join(" UNION ALL ");
    assert_eq!(ask(&s, &format!("SELECT count(*) FROM ({union})")).await, ["100"]);
}

#[tokio::test]
async fn long_values_are_refused_before_they_are_made() {
    let s = session();
    for sql in [
        "SELECT repeat('x', 1000000000)",
        "SELECT repeat(name, 1000000000) FROM spans",
        "SELECT lpad('x', 1000000000)",
        "SELECT rpad('x', 1000000000, 'y')",
        "SELECT array_repeat(1, 1000000000)",
        "SELECT array_resize([1], 1000000000, 2)",
        "SELECT repeat(name, CAST(duration_ns AS BIGINT)) FROM spans",
    ] {
        assert!(try_ask(&s, sql).await.is_err(), "{sql}");
    }
    assert_eq!(ask(&s, "SELECT repeat('#', 5), lpad('7', 3, '0')").await, ["#####|007"]);
}

#[tokio::test]
async fn a_query_that_runs_too_long_is_ended() {
    let specs: Vec<Spec> = (1..=2_000).map(|n| span("shop", n / 5, n, 0)).collect();
    let store = store(&specs);
    let options = SessionOptions::new().timeout(Duration::from_millis(300));
    let s = Session::with_options(&store, options);
    let started = Instant::now();
    let sql = "SELECT count(*) FROM spans a, spans b, spans c, spans d \
               WHERE a.name || b.name || c.name || d.name = 'x'";
    let ended = try_ask(&s, sql).await;
    assert!(matches!(ended, Err(Error::Limit(_))), "{ended:?}");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(ask(&s, "SELECT count(*) FROM spans").await, ["2000"]);
}

#[tokio::test]
async fn a_query_that_needs_too_much_memory_is_ended() {
    let specs: Vec<Spec> = (1..=2_000).map(|n| span("shop", n / 5, n, 0)).collect();
    let store = store(&specs);
    let options = SessionOptions::new().memory_bytes_max(1 << 20).spill_bytes_max(1 << 20);
    let s = Session::with_options(&store, options);
    let sql = "SELECT array_agg(a.name || b.name) FROM spans a, spans b";
    let ended = try_ask(&s, sql).await;
    assert!(matches!(ended, Err(Error::Limit(_))), "{ended:?}");
    assert_eq!(ask(&s, "SELECT count(*) FROM spans").await, ["2000"]);
}

#[tokio::test]
async fn clauses_of_aggregates_and_joins_are_no_such() {
    let s = session();
    for sql in [
        "SELECT count(DISTINCT name) FILTER (WHERE NOT is_error) FROM spans",
        "SELECT array_agg(name ORDER BY name) FROM spans",
        "SELECT first_value(name) IGNORE NULLS OVER (ORDER BY start_time) FROM spans LIMIT 1",
        "SELECT name, count(*) FROM spans GROUP BY ROLLUP (name)",
        "SELECT name, kind, count(*) FROM spans GROUP BY GROUPING SETS ((name), (kind))",
        "SELECT * EXCLUDE (name) FROM spans",
        "SELECT count(*) FROM (VALUES (1)) AS t (a)",
        "SELECT current_date FROM spans",
    ] {
        assert!(!ask(&s, sql).await.is_empty(), "{sql}");
    }
}
