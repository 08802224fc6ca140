//! Text through an importer into a store, for tests.

use std::collections::BTreeMap;
use std::io::Read;

use amida::{Predicate, SpanRef, Store};
use serde_json::{Value, json};

use super::sink::Sink;

/// An importer.
pub type Importer = fn(&mut dyn Read, &mut dyn Sink) -> Result<(), String>;

/// What became of a text.
pub struct Imported {
    pub spans: Vec<Value>,
    pub accepted: u64,
    /// Rejected rows by reason, those of the store with them.
    pub rejected: BTreeMap<&'static str, u64>,
    pub ended: Result<(), String>,
    /// Requests that were made.
    pub requests: usize,
}

impl Imported {
    /// The only span with this id.
    pub fn span(&self, id: &str) -> &Value {
        let id = format!("{id:0>16}");
        let mut found = self.spans.iter().filter(|span| span["id"] == id);
        let span = found.next().unwrap_or_else(|| panic!("no span {id}: {:#?}", self.spans));
        assert!(found.next().is_none(), "several spans {id}");
        span
    }
}

/// Imports a text that must be read to its end and accepted whole.
pub fn import(read: Importer, text: &str) -> Imported {
    let imported = import_bytes(read, text.as_bytes());
    assert_eq!(imported.ended, Ok(()), "{text}");
    assert!(imported.rejected.is_empty(), "{:?}: {text}", imported.rejected);
    imported
}

/// Imports bytes of which anything may be wrong.
pub fn import_bytes(read: Importer, bytes: &[u8]) -> Imported {
    let store = Store::in_memory();
    let (door, ended) = feed(&store, read, bytes);
    let Door { accepted, rejected, requests, .. } = door;
    let mut spans = Vec::new();
    for batch in store.snapshot().scan(&Predicate::new()).unwrap() {
        spans.extend(batch.unwrap().spans().map(|span| facts(&span)));
    }
    assert_eq!(spans.len() as u64, accepted);
    Imported { spans, accepted, rejected, ended, requests }
}

/// Imports bytes into this store; how that went, and how it ended.
pub fn feed<'a>(
    store: &'a Store,
    read: Importer,
    mut bytes: &[u8],
) -> (Door<'a>, Result<(), String>) {
    let mut door = Door { store, accepted: 0, rejected: BTreeMap::new(), requests: 0 };
    let ended = read(&mut bytes, &mut door);
    (door, ended)
}

/// The way into a store, with counts.
pub struct Door<'a> {
    store: &'a Store,
    accepted: u64,
    rejected: BTreeMap<&'static str, u64>,
    requests: usize,
}

impl Door<'_> {
    /// Rows accepted, and rows in all.
    pub fn rows(&self) -> (u64, u64) {
        (self.accepted, self.accepted + self.rejected.values().sum::<u64>())
    }
}

impl Sink for Door<'_> {
    fn append(&mut self, request: Vec<u8>) -> Result<(), String> {
        self.requests += 1;
        let receipt = self.store.append_otlp(request).map_err(|error| error.to_string())?;
        self.accepted += receipt.accepted();
        for (reason, spans) in receipt.rejections() {
            *self.rejected.entry(reason).or_default() += spans;
        }
        Ok(())
    }

    fn reject(&mut self, reason: &'static str) {
        *self.rejected.entry(reason).or_default() += 1;
    }
}

fn facts(span: &SpanRef<'_>) -> Value {
    let object = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let events = span.events().into_iter().map(|event| {
        json!({"name": event.name, "time": event.time, "attributes": object(&event.attributes)})
    });
    let links = span.links().into_iter().map(|link| {
        json!({"trace": link.trace_id, "span": link.span_id,
               "attributes": object(&link.attributes)})
    });
    json!({
        "trace": span.trace_id().to_string(),
        "id": span.span_id().to_string(),
        "parent": span.parent_span_id().map(|id| id.to_string()),
        "name": span.name(),
        "kind": span.kind(),
        "status": span.status_code(),
        "message": span.status_message(),
        "start": span.start_time_ns(),
        "duration": span.duration_ns(),
        "service": span.service_name(),
        "scope": span.scope_name(),
        "flags": span.flags(),
        "attributes": object(span.attributes()),
        "resource": object(span.resource_attributes()),
        "events": events.collect::<Vec<_>>(),
        "links": links.collect::<Vec<_>>(),
    })
}
