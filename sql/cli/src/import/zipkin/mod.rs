//! Zipkin v2 JSON: a list of spans, as reporters send them and as files are kept, or a list of
//! traces, as the query API answers. Rows stay rows: the halves of a span that client and server
//! share are two rows with one id.
//!
//! One row at a time is read and sent. Only a row without a time of its own waits, because another
//! row may know it: until the end of the input, or until so many rows were seen or wait that it is
//! settled with what is known by then.
//!
//! | file | purpose |
//! |---|---|
//! | mod | lists, traces and rows |
//! | span | one row, translated |
//! | times | starts of rows that have none |

use std::fmt;
use std::io::Read;

use amida::Resource;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use self::span::Row;
use self::times::Times;
use super::outbox::{Outbox, Stopped};
use super::sink::{NOT_AN_OBJECT, Sink};
use super::stream::{self, Gauge, visit_scalars};

mod span;
#[cfg(test)]
mod tests;
mod times;

/// Hands the rows of the input to the sink.
///
/// # Errors
/// What is wrong and where, in words, or what the sink said. What was handed over before stands.
pub fn read(input: &mut dyn Read, sink: &mut dyn Sink) -> Result<(), String> {
    let gauge = Gauge::default();
    let mut rows =
        Rows { outbox: Outbox::new(sink), gauge: gauge.clone(), times: Times::default() };
    let ended = stream::documents(input, &gauge, |json| {
        Node { rows: &mut rows, in_list: false }.deserialize(json)
    });
    // Rows before an error are rows; when the sink stopped, the outbox knows.
    drop(rows.settle());
    rows.outbox.finish(ended)
}

/// Where rows go.
struct Rows<'a> {
    outbox: Outbox<'a>,
    gauge: Gauge,
    times: Times,
}

impl Rows<'_> {
    fn row(&mut self, row: &Map<String, Value>, bytes: u64) -> Result<(), Stopped> {
        match span::translate(row) {
            Ok(row) => {
                self.times.see(&row);
                if row.start.is_some() {
                    self.send(row, bytes)?;
                } else {
                    self.times.hold(row, bytes);
                }
            }
            Err(reason) => self.outbox.reject(reason),
        }
        if self.times.is_full() { self.settle() } else { Ok(()) }
    }

    /// Sends what waited.
    fn settle(&mut self) -> Result<(), Stopped> {
        for (row, bytes) in self.times.settle() {
            self.send(row, bytes)?;
        }
        Ok(())
    }

    fn send(&mut self, row: Row, bytes: u64) -> Result<(), Stopped> {
        let service = row.service.clone();
        let (span, scope) = row.finish();
        let Some(service) = service else {
            return self.outbox.add(("", Resource::default), scope, span, bytes);
        };
        self.outbox.add((&service, || Resource::new(&service)), scope, span, bytes)
    }
}

/// A row, or a list of rows or of lists.
struct Node<'r, 'a> {
    rows: &'r mut Rows<'a>,
    in_list: bool,
}

impl<'de> DeserializeSeed<'de> for Node<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, de: D) -> Result<(), D::Error> {
        de.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("spans of Zipkin")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let rows = self.rows;
        loop {
            rows.gauge.allow_span();
            let node = Node { rows: &mut *rows, in_list: true };
            if list.next_element_seed(node)?.is_none() {
                return Ok(());
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let start = self.rows.gauge.read();
        self.rows.gauge.allow_span();
        let row = Map::deserialize(MapAccessDeserializer::new(map))?;
        let bytes = self.rows.gauge.read() - start;
        self.rows.row(&row, bytes).map_err(A::Error::custom)
    }

    /// A list that is `null` is an empty one.
    fn visit_unit<E>(self) -> Result<(), E> {
        if self.in_list {
            self.rows.outbox.reject(NOT_AN_OBJECT);
        }
        Ok(())
    }

    visit_scalars!(self, { self.rows.outbox.reject(NOT_AN_OBJECT) });
}
