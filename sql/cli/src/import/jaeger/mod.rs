//! Jaeger JSON: what its UI downloads and what its query API answers.
//!
//! A document is an answer (`{"data": [trace, ..], "errors": ..}`), a single trace
//! (`{"traceID": .., "spans": [..], "processes": {..}}`) or a list of these. One span at a time is
//! read; its translation waits until the processes of its trace are known, which Jaeger writes
//! behind the spans. So memory is bounded by the largest trace whose processes stand there, of at
//! most 256 MiB, and such a trace that breaks off before its processes is not stored at all.
//!
//! | file | purpose |
//! |---|---|
//! | mod | answers, traces and processes |
//! | span | one span, translated |

use std::collections::HashMap;
use std::fmt;
use std::io::Read;

use amida::Resource;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use self::span::{Span, each_tag};
use super::notes::{Notes, note};
use super::outbox::{Outbox, Stopped};
use super::sink::{NO_SPANS, NOT_AN_OBJECT, Sink};
use super::stream::{self, Gauge, HELD_BYTES_MIN, Limits, visit_scalars};
use super::values;

#[cfg(test)]
mod limits;
mod span;
#[cfg(test)]
mod tests;

/// JSON that is held as such may be so many times its text: `[0,0,..` is 32 bytes for every two.
const JSON_BYTES_PER_TEXT_BYTE: u64 = 16;

/// Hands the spans of the input to the sink.
///
/// # Errors
/// What is wrong and where, in words; what the server answered instead of traces; or what the sink
/// said. What was handed over before stands.
pub fn read(input: &mut dyn Read, sink: &mut dyn Sink) -> Result<(), String> {
    read_within(Limits::default(), input, sink)
}

fn read_within(limits: Limits, input: &mut dyn Read, sink: &mut dyn Sink) -> Result<(), String> {
    let gauge = Gauge::within(limits);
    let mut traces = Traces { outbox: Outbox::new(sink), gauge: gauge.clone(), error: None };
    let ended = stream::documents(input, &gauge, |json| {
        Node { traces: &mut traces, in_list: false }.deserialize(json)
    });
    let answered = traces.error.map_or(Ok(()), |error| {
        Err(format!("this is the answer of a Jaeger server that reports an error: {error}"))
    });
    traces.outbox.finish(ended.and(answered))
}

/// Where traces go.
struct Traces<'a> {
    outbox: Outbox<'a>,
    gauge: Gauge,
    /// The first error that an answer told.
    error: Option<String>,
}

impl Traces<'_> {
    /// Reads a value that is no span and is held as one.
    fn whole<'de, A: MapAccess<'de>>(&self, map: &mut A, trace: &Trace) -> Result<Value, A::Error> {
        self.gauge.allow_span_until(trace.end(&self.gauge));
        map.next_value()
    }
}

/// A trace, an answer, or a list of these.
struct Node<'t, 'a> {
    traces: &'t mut Traces<'a>,
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
        f.write_str("traces of Jaeger")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let traces = self.traces;
        while list.next_element_seed(Node { traces: &mut *traces, in_list: true })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let traces = self.traces;
        let mut trace = Trace { started: traces.gauge.read(), ..Trace::default() };
        loop {
            traces.gauge.allow_until(trace.end(&traces.gauge));
            let Some(key) = map.next_key::<String>()? else { break };
            match key.as_str() {
                "traceID" => trace.id = Some(traces.whole(&mut map, &trace)?),
                "processes" => {
                    trace.processes = Some(processes(&traces.whole(&mut map, &trace)?));
                }
                "spans" => {
                    trace.is_known = true;
                    map.next_value_seed(Spans { traces: &mut *traces, trace: &mut trace })?;
                }
                "data" => {
                    trace.is_known = true;
                    map.next_value_seed(Node { traces: &mut *traces, in_list: false })?;
                    // What was around it does not count as one trace.
                    trace.started = traces.gauge.read();
                }
                "errors" => {
                    trace.is_known = true;
                    let error = error_of(&traces.whole(&mut map, &trace)?);
                    traces.error = traces.error.take().or(error);
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        trace.close(traces).map_err(A::Error::custom)
    }

    /// `"data": null`: an answer without traces.
    fn visit_unit<E>(self) -> Result<(), E> {
        if self.in_list {
            self.traces.outbox.reject(NOT_AN_OBJECT);
        }
        Ok(())
    }

    visit_scalars!(self, { self.traces.outbox.reject(NOT_AN_OBJECT) });
}

/// What is known of a trace that is being read.
#[derive(Default)]
struct Trace {
    /// The byte at which the part of it that is held started.
    started: u64,
    /// What the spans that wait take in memory beyond the bytes of their text.
    beyond_text: u64,
    id: Option<Value>,
    processes: Option<HashMap<String, Process>>,
    /// Spans whose processes are not known yet, each with the bytes of its text.
    held: Vec<(Span, u64)>,
    /// Spans that do not say of which trace they are, while the trace did not either.
    nameless: Vec<(Map<String, Value>, u64)>,
    /// Whether it is a trace or an answer at all.
    is_known: bool,
}

impl Trace {
    /// The byte at which it is too large to be held.
    fn end(&self, gauge: &Gauge) -> u64 {
        (self.started + gauge.limits().piece).saturating_sub(self.beyond_text)
    }

    /// Takes a span.
    fn span(&mut self, traces: &mut Traces<'_>, span: Value, bytes: u64) -> Result<(), Stopped> {
        let Value::Object(span) = span else {
            traces.outbox.reject(NOT_AN_OBJECT);
            return Ok(());
        };
        if self.id.is_none() && span.get("traceID").is_none_or(Value::is_null) {
            let held = (bytes * JSON_BYTES_PER_TEXT_BYTE).max(HELD_BYTES_MIN);
            self.beyond_text += held - bytes;
            self.nameless.push((span, bytes));
            return Ok(());
        }
        match (span::translate(&span, self.id.as_ref()), &self.processes) {
            (Ok(span), Some(processes)) => send(traces, processes, span, bytes)?,
            (Ok(span), None) => {
                self.beyond_text += HELD_BYTES_MIN.saturating_sub(bytes);
                self.held.push((span, bytes));
            }
            (Err(reason), _) => traces.outbox.reject(reason),
        }
        Ok(())
    }

    /// Sends what waited.
    fn close(mut self, traces: &mut Traces<'_>) -> Result<(), Stopped> {
        if !self.is_known {
            traces.outbox.reject(NO_SPANS);
        }
        let processes = self.processes.take().unwrap_or_default();
        for (span, bytes) in self.held {
            send(traces, &processes, span, bytes)?;
        }
        for (span, bytes) in self.nameless {
            match span::translate(&span, self.id.as_ref()) {
                Ok(span) => send(traces, &processes, span, bytes)?,
                Err(reason) => traces.outbox.reject(reason),
            }
        }
        Ok(())
    }
}

/// The spans of a trace.
struct Spans<'t, 'a> {
    traces: &'t mut Traces<'a>,
    trace: &'t mut Trace,
}

impl<'de> DeserializeSeed<'de> for Spans<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, de: D) -> Result<(), D::Error> {
        de.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Spans<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of spans")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { traces, trace } = self;
        loop {
            let start = traces.gauge.read();
            traces.gauge.allow_span_until(trace.end(&traces.gauge));
            let Some(span) = list.next_element()? else { return Ok(()) };
            let bytes = traces.gauge.read() - start;
            trace.span(traces, span, bytes).map_err(A::Error::custom)?;
            if trace.held.is_empty() && trace.nameless.is_empty() {
                // Nothing waits: the trace needs no memory.
                trace.started = traces.gauge.read();
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        self.traces.outbox.reject(NO_SPANS);
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    visit_scalars!(self, { self.traces.outbox.reject(NO_SPANS) });
}

/// Who made spans, translated.
#[derive(Debug, Default)]
struct Process {
    /// What tells it apart from others: short, as it is looked up for every span.
    key: String,
    resource: Resource,
}

impl Process {
    /// The process of this JSON; `None` when it is no object.
    fn of(value: &Value) -> Option<Self> {
        let object = value.as_object()?;
        let mut notes = Notes::default();
        let service = values::text(object, "serviceName").unwrap_or_else(|()| {
            notes.unreadable("serviceName");
            None
        });
        let service = service.filter(|name| !name.is_empty());
        let mut resource = service.as_deref().map_or_else(Resource::default, Resource::new);
        each_tag(object.get("tags"), "tags", &mut notes, |key, value| {
            // The name that Jaeger shows is the one that counts.
            if !(key == "service.name" && service.is_some()) {
                resource = std::mem::take(&mut resource).attribute(key, value);
            }
        });
        for (key, value) in notes.entries() {
            resource = resource.attribute(&key, value);
        }
        Some(Self { key: hex::encode(Sha256::digest(value.to_string())), resource })
    }
}

fn processes(value: &Value) -> HashMap<String, Process> {
    let entries = value.as_object().into_iter().flatten();
    entries.filter_map(|(id, value)| Some((id.clone(), Process::of(value)?))).collect()
}

/// Sends a span of the process that it names, or that stands in it.
fn send(
    traces: &mut Traces<'_>,
    processes: &HashMap<String, Process>,
    span: Span,
    bytes: u64,
) -> Result<(), Stopped> {
    let Span { mut builder, scope, process_id, process } = span;
    let named = process_id.as_ref().and_then(|id| processes.get(id));
    let nobody = Process::default();
    let found = named.or(process.as_ref());
    if let (None, Some(id)) = (found, process_id) {
        builder = note(builder, "process_id", id);
    }
    let process = found.unwrap_or(&nobody);
    traces.outbox.add((&process.key, || process.resource.clone()), scope, builder, bytes)
}

/// What the `errors` of an answer say.
fn error_of(errors: &Value) -> Option<String> {
    let error = match errors {
        Value::Array(list) => list.first()?,
        Value::Null => return None,
        other => other,
    };
    let words = match (error["msg"].as_str(), &error["code"]) {
        (Some(message), Value::Null) => message.to_owned(),
        (Some(message), code) => format!("{message} (code {code})"),
        (None, _) => error.to_string(),
    };
    Some(words.chars().take(300).collect())
}
