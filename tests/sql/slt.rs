//! The files of `slt/`: the dialect, a topic each, to be read as well as run. A new file in the
//! folder is run without another word.
//!
//! They run on the store that docs/sql.md describes under "The examples", in memory and flushed. A
//! query that begins with `NOTES` gives the notes on what follows instead of its rows.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // reads the folder

use amida::Store;
use amida_sql::{Error, Session};
use sqllogictest::{DBOutput, DefaultColumnType, Runner};

use crate::common::cells;
use crate::docs::example_store;

struct Database(Session);

#[async_trait::async_trait]
impl sqllogictest::AsyncDB for Database {
    type Error = Error;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Error> {
        let rows = match sql.strip_prefix("NOTES ") {
            Some(sql) => {
                let notes = self.0.query(sql).await?.notes().to_vec();
                notes.into_iter().map(|note| vec![note]).collect()
            }
            None => {
                let table = self.0.query(sql).await?.collect().await?;
                let batches = table.batches().iter().map(amida_sql::readable);
                let batches: Vec<_> = batches.map(|b| b.expect("readable columns")).collect();
                cells(&batches, "NULL")
            }
        };
        let columns = rows.first().map_or(0, Vec::len);
        Ok(DBOutput::Rows { types: vec![DefaultColumnType::Any; columns], rows })
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "amida"
    }
}

async fn wrong(store: &Store, file: &std::path::Path) -> Option<String> {
    let mut runner = Runner::new(|| async { Ok(Database(Session::new(store))) });
    runner.run_file_async(file).await.err().map(|error| error.to_string())
}

#[tokio::test]
async fn every_file_of_the_folder_says_what_is_answered() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/sql/slt");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "slt"))
        .collect();
    files.sort();
    assert!(files.len() >= 9, "{files:?}");
    let store = example_store();
    let mut failures = Vec::new();
    for flushed in [false, true] {
        if flushed {
            store.flush().expect("flushed");
        }
        for file in &files {
            failures.extend(
                wrong(&store, file).await.map(|what| format!("flushed: {flushed}\n{what}")),
            );
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
