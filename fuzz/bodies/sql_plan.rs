//! SQL text to a plan: any text, and text of words that mean something, is planned or refused; the
//! session answers the next query.

use amida::{MemoryFs, Store};
use amida_sql::{Session, SessionOptions};
use amida_tests::corpus::{self, Corpus};
use fastrand::Rng;
use std::sync::Arc;
use std::time::Duration;

/// What queries are made of; a space stands between two.
const WORDS: &[&str] = &[
    "SELECT",
    "*",
    "FROM",
    "spans",
    "WHERE",
    "GROUP BY",
    "ORDER BY",
    "LIMIT",
    "AND",
    "OR",
    "NOT",
    "(",
    ")",
    ",",
    "=",
    "<",
    ">",
    "<=",
    "<>",
    "+",
    "-",
    "/",
    "||",
    "1",
    "0",
    "10",
    "-1",
    "1.5",
    "1e300",
    "9223372036854775808",
    "'a'",
    "''",
    "'server'",
    "'50ms'",
    "'1h'",
    "'error'",
    "NULL",
    "true",
    "name",
    "service_name",
    "duration",
    "duration_ns",
    "start_time",
    "end_time",
    "kind",
    "status_code",
    "trace_id",
    "span_id",
    "parent_span_id",
    "attributes",
    "resource_attributes",
    "events",
    "links",
    "attributes['http.route']",
    "attributes['http.response.status_code']",
    "resource_attributes['service.name']",
    "attributes[name]",
    "attributes['']",
    "marks",
    "flags",
    "count(*)",
    "count(",
    "sum(",
    "avg(",
    "min(",
    "max(",
    "p50(",
    "p95(",
    "p99(",
    "ratio(",
    "max_by(",
    "min_by(",
    "time_bucket(",
    "attr_int(",
    "attr_text(",
    "attr_any(",
    "coalesce(",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "AS",
    "x",
    "y",
    "t",
    "JOIN",
    "LEFT JOIN",
    "ON",
    "USING",
    "UNION ALL",
    "EXCEPT",
    "WITH",
    "DISTINCT",
    "HAVING",
    "IN",
    "EXISTS",
    "BETWEEN",
    "LIKE",
    "IS",
    "OVER",
    "PARTITION BY",
    "ROWS",
    "UNBOUNDED PRECEDING",
    "INTERVAL '1 day'",
    "now()",
    "CAST(",
    "AS BIGINT)",
    "::text",
    "EXPLAIN",
    "ANALYZE",
    "SHOW TABLES",
    "DESCRIBE",
    "attribute_keys",
    "services",
    "traces",
    ".",
    "\"",
    "[",
    "]",
    "['",
    "']",
    "--",
    "/*",
    ";",
    "$1",
    "\u{e9}",
    "VALUES",
    "desc",
];

/// A store with a few spans, and a session over it.
pub struct Target {
    runtime: tokio::runtime::Runtime,
    session: Session,
}

impl Target {
    /// A session over known spans.
    pub fn new() -> Self {
        let options = Store::options().fs(Arc::new(MemoryFs::new())).disk_floor_bytes(0);
        let store = options.open("/fuzz").expect("an empty store in memory opens");
        let body = corpus::encode(&Corpus::new(3).request(20));
        let _receipt = store.append_otlp(body).expect("a store in memory takes spans");
        store.flush().expect("a store in memory flushes");
        let options = SessionOptions::new()
            .timeout(Duration::from_secs(10))
            .memory_bytes_max(64 << 20)
            .target_partitions(1);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime starts");
        Self { runtime, session: Session::with_options(&store, options) }
    }

    /// A query, mostly of words that mean something.
    pub fn seed(&self, number: u64) -> Vec<u8> {
        let mut random = Rng::with_seed(number);
        let known: &[&str] = &[
            "SELECT service_name, p95(duration) FROM spans GROUP BY 1 ORDER BY 2 DESC LIMIT 3",
            "SELECT name FROM spans WHERE attributes['http.response.status_code'] >= 500",
            "SELECT time_bucket('1m', start_time) AS t, ratio(is_error) FROM spans GROUP BY t",
            "WITH x AS (SELECT * FROM spans WHERE kind = 'server') SELECT count(*) FROM x",
            "SELECT a.name FROM spans a JOIN spans b ON a.span_id = b.parent_span_id",
        ];
        match number % 3 {
            0 => {
                let mut text = known[random.usize(0..known.len())].as_bytes().to_vec();
                let at = random.usize(0..text.len());
                if number > 15 {
                    text[at] = random.u8(32..127);
                }
                [&[0][..], &text].concat()
            }
            // SELECT, some words, FROM spans, more words.
            _ => {
                let mut words = vec![1, 0];
                (0..random.usize(1..6)).for_each(|_| words.push(random.u8(36..)));
                words.extend([2, 3]);
                (0..random.usize(0..8)).for_each(|_| words.push(random.u8(..)));
                words
            }
        }
    }

    /// Plans a text; panics when planning does, or the session is of no use after it.
    pub fn check(&self, data: &[u8]) {
        let Some((mode, rest)) = data.split_first() else { return };
        let text = match mode % 2 {
            0 => String::from_utf8_lossy(rest).into_owned(),
            _ => {
                let words = rest.iter().map(|word| WORDS[usize::from(*word) % WORDS.len()]);
                words.collect::<Vec<_>>().join(" ")
            }
        };
        match self.runtime.block_on(self.session.query(&text)) {
            Ok(rows) => drop(rows),
            Err(error) => {
                let words = error.to_string();
                assert!(!words.is_empty());
                assert!(!words.contains("failed inside DataFusion"), "{text:?}: {words}");
            }
        }
    }
}
