//! Which spans are exported: by a query.

use std::time::Duration;

use amida::Snapshot;
use amida::schema::COLUMN_NAMES;
use amida_sql::{Session, SessionOptions};
use futures::StreamExt;

use super::select::Spans;
use crate::columns::SpanColumns;
use crate::commands::{Failure, runtime};

/// An export may take its time.
const TIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The spans that a query selects: its rows, or those that its ids name.
pub fn spans(snapshot: &Snapshot, query: &str) -> Result<Spans, Failure> {
    let session = Session::with_options(snapshot, SessionOptions::new().timeout(TIME_MAX));
    let runtime = runtime()?;
    let mut rows = runtime.block_on(session.query(query))?;
    let schema = rows.schema();
    let has = |name: &str| schema.column_with_name(name).is_some();
    if !COLUMN_NAMES.iter().all(|name| has(name)) {
        if !has("trace_id") {
            return Err(Failure::Because(
                "the query selects no spans: its rows need all columns of spans, or a trace_id, or \
                 a trace_id and a span_id; for instance: FROM spans |> WHERE is_error"
                    .to_owned(),
            ));
        }
        drop(rows);
        rows = runtime.block_on(session.query(&with_ids_of(query, has("span_id"))))?;
    }
    let columns = SpanColumns::find(&rows.schema())?;
    let mut batches = rows.stream();
    Ok(Box::new(std::iter::from_fn(move || {
        let batch = runtime.block_on(batches.next())?;
        let batch = batch.map_err(Failure::from);
        Some(batch.and_then(|batch| Ok(columns.spans(&batch)?)))
    })))
}

/// The spans whose ids the query gives. The ids stand on the side that a join keeps in memory, and
/// the spans on the side that streams.
fn with_ids_of(query: &str, by_span: bool) -> String {
    let query = query.trim_end_matches(|c: char| c.is_whitespace() || c == ';');
    let (ids, same_span) = match by_span {
        true => ("trace_id, span_id", " AND s.span_id = wanted.span_id"),
        false => ("trace_id", ""),
    };
    // On lines of its own: the query may end in a comment.
    format!(
        "SELECT s.* FROM (SELECT DISTINCT {ids} FROM (\n{query}\n) AS selected) AS wanted \
         RIGHT SEMI JOIN spans AS s ON s.trace_id = wanted.trace_id{same_span}"
    )
}
