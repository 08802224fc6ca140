//! Every ```sql example of docs/sql.md runs on a small store that has what the examples name, and
//! is answered with what the ```text block behind it says. What can be called is in it.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // reads the docs

use amida::Store;
use amida_sql::Session;
use amida_sql::datafusion::prelude::SessionContext;
use serde_json::json;

use crate::common::{EPOCH_NS, append, ask, refusal, span, span_hex, trace_hex};

/// The store that docs/sql.md describes under "The examples".
pub fn example_store() -> Store {
    let store = Store::in_memory();
    let retry = json!([{"timeUnixNano": (EPOCH_NS + 3_000_000).to_string(), "name": "retry",
        "attributes": [{"key": "attempt", "value": {"intValue": "2"}}]}]);
    let link = json!([{"traceId": trace_hex(1), "spanId": span_hex(1),
        "attributes": [{"key": "why", "value": {"stringValue": "batch"}}]}]);
    append(
        &store,
        &[
            span("web", 1, 1, 0)
                .set("name", json!("GET /cart"))
                .lasting(120_000_000)
                .with("http.route", json!("/cart"))
                .with("http.response.status_code", json!(500)),
            span("shop", 1, 2, 1)
                .set("name", json!("load cart"))
                .lasting(90_000_000)
                .with("cart.items", json!(3))
                .with("code", json!(500))
                .with("http.status_code", json!(503)),
            span("db", 1, 3, 2)
                .set("name", json!("SELECT"))
                .set("kind", json!(3))
                .error()
                .lasting(80_000_000)
                .set("events", retry)
                .with("code", json!("timeout")),
            span("web", 2, 4, 0)
                .set("name", json!("GET /"))
                .lasting(8_000_000)
                .with("http.route", json!("/"))
                .with("http.response.status_code", json!(200)),
            span("mail", 3, 5, 0)
                .set("name", json!("send"))
                .set("kind", json!(5))
                .lasting(20_000_000)
                .set("links", link)
                .with("code", json!(250)),
        ],
    );
    store
}

struct Example {
    line: usize,
    sql: String,
    /// What the next block says, unless there is none before the next example.
    answer: Option<String>,
}

fn examples(markdown: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut block: Option<(&str, usize, Vec<&str>)> = None;
    for (number, line) in markdown.lines().enumerate() {
        match &mut block {
            None => {
                if let Some(language) = line.strip_prefix("```") {
                    block = Some((language, number + 1, Vec::new()));
                }
            }
            Some((language, start, text)) if line == "```" => {
                match *language {
                    "sql" => {
                        examples.push(Example { line: *start, sql: text.join("\n"), answer: None });
                    }
                    "text" => {
                        if let Some(example) = examples.last_mut() {
                            example.answer.get_or_insert(text.join("\n"));
                        }
                    }
                    _ => {}
                }
                block = None;
            }
            Some((_, _, text)) => text.push(line),
        }
    }
    examples
}

async fn answer(session: &Session, sql: &str) -> String {
    let table = match session.query(sql).await {
        Ok(rows) => rows.collect().await,
        Err(error) => Err(error),
    };
    match table {
        Ok(table) => table.to_string(),
        Err(error) => format!("error: {error}"),
    }
}

#[tokio::test]
async fn every_example_gives_the_answer_that_is_printed() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/sql.md");
    let markdown = std::fs::read_to_string(path).expect("docs/sql.md");
    let store = example_store();
    let examples = examples(&markdown);
    assert!(examples.len() >= 25, "{} examples", examples.len());
    let mut wrong = Vec::new();
    for flushed in [false, true] {
        if flushed {
            store.flush().expect("flushed");
        }
        let session = Session::new(&store);
        for example in &examples {
            let found = answer(&session, &example.sql).await;
            match &example.answer {
                Some(expected) if *expected != found => wrong.push(format!(
                    "docs/sql.md:{}\n{}\nprints\n{expected}\nis answered\n{found}",
                    example.line, example.sql
                )),
                None if found.starts_with("error: ") => {
                    wrong.push(format!("docs/sql.md:{}\n{}\n{found}", example.line, example.sql));
                }
                _ => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[tokio::test]
async fn only_functions_that_are_documented_are_listed() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/sql.md");
    let docs = std::fs::read_to_string(path).expect("docs/sql.md");
    let defaults = SessionContext::new().state();
    let of_datafusion = |name: &str| {
        defaults.scalar_functions().contains_key(name)
            || defaults.higher_order_functions().contains_key(name)
            || defaults.aggregate_functions().contains_key(name)
            || defaults.window_functions().contains_key(name)
    };
    let session = Session::new(&Store::in_memory());
    let listed = ask(&session, "SELECT DISTINCT routine_name FROM information_schema.routines");
    let listed = listed.await;
    assert!(listed.len() > 200, "{listed:?}");
    assert!(listed.iter().any(|name| name == "p95"), "{listed:?}");
    let own: Vec<&String> = listed.iter().filter(|name| !of_datafusion(name)).collect();
    let is_documented =
        |name: &str| docs.contains(&format!("`{name}`")) || docs.contains(&format!("{name}("));
    let unknown: Vec<_> = own.iter().filter(|name| !is_documented(name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    for name in ["as_duration", "as_nanoseconds", "as_milliseconds", "hex_id", "span_events"] {
        let words = refusal(&session, &format!("SELECT {name}(1)")).await;
        assert!(words.starts_with(&format!("no function is named '{name}'")), "{words}");
    }
}
