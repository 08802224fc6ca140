//! OTLP/JSON to OTLP protobuf.
//!
//! Promises: a document is taken whole or refused whole; an id is never another one than was meant
//! (text that is no id becomes bytes of a wrong length, so that the store rejects and counts just
//! that span); what is not an OTLP trace document is refused with a word on what it looks like;
//! memory is bounded by the largest document, whatever the length of the input.
//!
//! Taken are: objects with `resourceSpans`, also wrapped in `{"result": ..}` as gRPC gateways do,
//! one or many after each other, on lines (JSON Lines) or not. Names in lowerCamelCase or
//! snake_case. Ids as hex of either case, or base64 where the length says so (24 and 12
//! characters). 64-bit integers as text or numbers, enums as numbers or words. Unknown fields are
//! ignored, `null` is the same as absent.
//!
//! | file | purpose |
//! |---|---|
//! | documents | finds the documents in a stream |
//! | model, value | the messages, from JSON to protobuf |
//! | scalar | ids, numbers, enums, base64 in all their spellings |
//! | looks | what a document is that is not OTLP |

use std::io::Read;

use bytes::Bytes;

use self::documents::{Documents, Position};
use super::build::RequestBuilder;
use crate::error::{Error, Result};

mod documents;
mod looks;
mod model;
mod scalar;
mod value;

/// A request is closed when the next span would make it larger; the store takes 16 MiB.
const REQUEST_BYTES: usize = 4 << 20;

/// Largest document; it is held in memory.
const DOCUMENT_BYTES_MAX: usize = 256 << 20;

/// OTLP requests from OTLP/JSON text: one document or many.
///
/// A document gives as many requests as it takes to keep each at a few MiB, none when it has no
/// spans.
///
/// ```
/// let text = br#"{"resourceSpans":[{"resource":{},"scopeSpans":[{"spans":[{"name":"boil",
///     "traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"}]}]}]}"#;
/// let requests = amida::json_to_requests(text)?;
/// assert_eq!(requests.len(), 1);
/// let receipt = amida::Store::in_memory().append_otlp(requests[0].clone())?;
/// assert_eq!(receipt.accepted(), 1);
/// # Ok::<(), amida::Error>(())
/// ```
///
/// # Errors
/// `Invalid` with line and column when the text is not JSON or a field has a value of a wrong type;
/// when a document is not an OTLP trace document; when there is no document.
pub fn json_to_requests(text: &[u8]) -> Result<Vec<Bytes>> {
    let mut requests = Vec::new();
    for document in JsonRequests::new(text) {
        requests.extend(document?);
    }
    Ok(requests)
}

/// OTLP requests from a stream of OTLP/JSON: an iterator that gives the requests of one document
/// after the other, with memory bounded by the largest document (at most 256 MiB).
///
/// A document that is none of OTLP traces is an error, and the next one follows: a file of a
/// Collector may hold other signals too. After bytes that cannot be read further, or that begin no
/// document, it ends. What was given before an error stands.
///
/// ```
/// use amida::{JsonRequests, Store};
///
/// # fn main() -> amida::Result<()> {
/// let lines = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{
///     "traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"}]}]}]}"#;
/// let store = Store::in_memory();
/// for requests in JsonRequests::new(lines.as_bytes()) {
///     for request in requests? {
///         assert_eq!(store.append_otlp(request)?.accepted(), 1);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct JsonRequests<R> {
    documents: Documents<R>,
    ended: bool,
}

impl<R: Read> JsonRequests<R> {
    /// Reads from here. The reader needs no buffer of its own.
    pub fn new(reader: R) -> Self {
        Self { documents: Documents::new(reader, DOCUMENT_BYTES_MAX), ended: false }
    }
}

impl<R: Read> Iterator for JsonRequests<R> {
    type Item = Result<Vec<Bytes>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let requests = match self.documents.next() {
            Ok(Some((text, position))) => convert(text, position),
            Ok(None) => {
                self.ended = true;
                return None;
            }
            Err(error) => {
                self.ended = true;
                Err(error)
            }
        };
        Some(requests)
    }
}

/// The requests of one document, which is all of the text.
///
/// # Errors
/// As `json_to_requests`.
pub fn one_document(text: &[u8]) -> Result<Vec<Bytes>> {
    convert(text, Position::START)
}

/// The requests of one document.
fn convert(text: &[u8], position: Position) -> Result<Vec<Bytes>> {
    let mut requests = Requests::default();
    let mut json = serde_json::Deserializer::from_slice(text);
    let found = model::read_document(&mut json, &mut requests)
        .and_then(|found| json.end().map(|()| found))
        .map_err(|error| wrong(&error, position))?;
    if !found {
        return Err(Error::invalid(format!("{}: {}", position, looks::refusal(text))));
    }
    Ok(requests.finish())
}

/// The parser's words with the position in the whole input.
fn wrong(error: &serde_json::Error, start: Position) -> Error {
    let words = error.to_string();
    let what = words.split(" at line ").next().unwrap_or(&words);
    let what = if what.contains("recursion limit") {
        "nested too deeply (more than 127 levels)"
    } else {
        what
    };
    Error::invalid(format!("{}: {what}", start.plus(error.line(), error.column())))
}

/// Requests that are being filled, span after span.
#[derive(Debug, Default)]
struct Requests {
    done: Vec<Bytes>,
    current: RequestBuilder,
}

impl Requests {
    /// Adds all spans of one resource.
    fn add(&mut self, group: model::ResourceSpans) {
        self.current.set_resource(group.resource.clone());
        for scope_spans in group.scope_spans {
            self.current.set_scope(scope_spans.scope.clone());
            for span in &scope_spans.spans {
                if self.current.span_count() > 0
                    && self.current.encoded_len() + span.len() > REQUEST_BYTES
                {
                    self.close();
                    self.current.set_resource(group.resource.clone());
                    self.current.set_scope(scope_spans.scope.clone());
                }
                self.current.add_span_fields(span);
            }
        }
    }

    fn close(&mut self) {
        let full = std::mem::take(&mut self.current);
        if full.span_count() > 0 {
            self.done.push(full.finish());
        }
    }

    fn finish(mut self) -> Vec<Bytes> {
        self.close();
        self.done
    }
}

#[cfg(test)]
mod tests;
