//! Stored spans back to OTLP: protobuf requests, or OTLP/JSON as the Collector writes it.
//!
//! Promises: whoever stores the result gets the same rows in every column but `marks`, whose
//! reasons (a cut value, a repeated key, a bad parent id) are no longer there to be seen; a request
//! has at most 4 MiB and a JSON document at most 1 MiB, unless a single span is larger; text that
//! no store wrote is refused with row and column.
//!
//! | file | purpose |
//! |---|---|
//! | attributes | attribute text to values |
//! | rows | a row to the fields of OTLP's messages |
//! | groups | rows by resource and scope, and how all of them are written |
//! | text | JSON as a message that is being written |

use std::ops::Range;

use bytes::Bytes;

use self::groups::Groups;
use self::text::JsonText;
use super::build::write::Writer;
use super::message::Message;
use crate::error::Result;
use crate::model::batch::{SpanBatch, SpanRef};
use crate::model::schema::col;

mod attributes;
mod groups;
mod rows;
mod text;

/// OTLP requests (`ExportTraceServiceRequest` in protobuf) with these spans, grouped by resource
/// and scope. Appending them to a store gives the same rows, `marks` excepted.
///
/// A request has at most 4 MiB unless a single span is larger. No spans give no request.
///
/// ```
/// use amida::{Predicate, RequestBuilder, Resource, SpanBuilder, Store, spans_to_requests};
///
/// let (from, to) = (Store::in_memory(), Store::in_memory());
/// let id = "4bf92f3577b34da6a3ce929d0e0e4736".parse()?;
/// let span = SpanBuilder::new(id, "00f067aa0ba902b7".parse()?, "GET /cart").start_ns(5);
/// from.append_otlp(RequestBuilder::new(Resource::new("shop")).span(span).finish())?;
/// for batch in from.snapshot().scan(&Predicate::new())? {
///     for request in spans_to_requests(&batch?)? {
///         to.append_otlp(request)?;
///     }
/// }
/// assert!(to.snapshot().trace(id)?.is_some());
/// # Ok::<(), amida::Error>(())
/// ```
///
/// # Errors
/// `Invalid` with row and column when a column holds what no store writes: attributes that are not
/// the documented text, a kind that is none.
pub fn spans_to_requests(spans: &SpanBatch) -> Result<Vec<Bytes>> {
    let requests = encode::<Writer>(spans)?;
    Ok(requests.into_iter().map(|request| Bytes::from(request.into_bytes())).collect())
}

/// OTLP/JSON documents with these spans, each on one line without its line feed: what
/// `json_to_requests` reads, and what the OpenTelemetry Collector's file exporter writes.
///
/// A document has at most 1 MiB unless a single span is larger. No spans give no document.
///
/// ```
/// use amida::{RequestBuilder, Resource, SpanBuilder, Store, spans_to_json};
///
/// let store = Store::in_memory();
/// let id = "4bf92f3577b34da6a3ce929d0e0e4736".parse()?;
/// let span = SpanBuilder::new(id, "00f067aa0ba902b7".parse()?, "GET /cart").start_ns(5);
/// store.append_otlp(RequestBuilder::new(Resource::new("shop")).span(span).finish())?;
/// let spans = store.snapshot().hot_batches()?;
/// let lines = spans_to_json(&spans[0])?;
/// assert!(lines[0].starts_with(r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"#));
/// # Ok::<(), amida::Error>(())
/// ```
///
/// # Errors
/// As `spans_to_requests`.
pub fn spans_to_json(spans: &SpanBatch) -> Result<Vec<String>> {
    encode::<JsonText>(spans)?.into_iter().map(JsonText::into_string).collect()
}

fn encode<M: Message>(spans: &SpanBatch) -> Result<Vec<M>> {
    let mut done = Vec::new();
    let mut start = 0;
    let mut bytes = 0;
    for span in spans.spans() {
        let more = text_bytes(&span);
        // What is written is mostly one to three times as long as its columns.
        if bytes > 0 && bytes + more > M::BYTES_MAX / 4 {
            encode_rows(spans, start..span.row(), &mut done)?;
            (start, bytes) = (span.row(), 0);
        }
        bytes += more;
    }
    if start < spans.len() {
        encode_rows(spans, start..spans.len(), &mut done)?;
    }
    Ok(done)
}

/// These rows as one message; as several where one would be too large.
fn encode_rows<M: Message>(spans: &SpanBatch, rows: Range<usize>, done: &mut Vec<M>) -> Result<()> {
    let message: M = Groups::of(spans, rows.clone())?.write();
    if message.len() > M::BYTES_MAX && rows.len() > 1 {
        drop(message);
        let middle = rows.start + rows.len() / 2;
        encode_rows(spans, rows.start..middle, done)?;
        return encode_rows(spans, middle..rows.end, done);
    }
    done.push(message);
    Ok(())
}

/// Bytes of a row's columns.
fn text_bytes(span: &SpanRef<'_>) -> usize {
    let long = [col::ATTRIBUTES, col::EVENTS, col::LINKS, col::STATUS_MESSAGE, col::TRACE_STATE];
    let long = long.into_iter().filter_map(|column| span.optional(column)).map(str::len);
    // Ids, times and counts.
    128 + span.name().len() + long.sum::<usize>()
}

#[cfg(test)]
mod tests;
