//! Spans on their way to the store: grouped by who made them, until they make a request.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use amida::{InstrumentationScope, RequestBuilder, Resource, SpanBuilder};

use super::otlp;
use super::sink::Sink;

/// Spans are sent when they come from about as many bytes of text.
const TEXT_BYTES: u64 = 1 << 20;

/// The name and version of an instrumentation; empty when nobody said.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope {
    pub name: String,
    pub version: String,
}

/// The sink refused; what it said is kept in the outbox.
#[derive(Debug)]
pub struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the store takes no more")
    }
}

#[derive(Debug)]
struct Group {
    resource: Resource,
    scopes: BTreeMap<Scope, Vec<SpanBuilder>>,
}

/// Collects spans, and hands them on as requests.
pub struct Outbox<'a> {
    sink: &'a mut dyn Sink,
    groups: Vec<Group>,
    /// Places in `groups` by what tells resources apart.
    places: HashMap<String, usize>,
    text_bytes: u64,
    stopped: Option<String>,
}

impl<'a> Outbox<'a> {
    pub fn new(sink: &'a mut dyn Sink) -> Self {
        Self { sink, groups: Vec::new(), places: HashMap::new(), text_bytes: 0, stopped: None }
    }

    /// Counts a row that cannot be a span.
    pub fn reject(&mut self, reason: &'static str) {
        self.sink.reject(reason);
    }

    /// Takes a span that was this many bytes of text. Spans with the same `key` are of one
    /// resource.
    pub fn add(
        &mut self,
        (key, resource): (&str, impl FnOnce() -> Resource),
        scope: Scope,
        span: SpanBuilder,
        text_bytes: u64,
    ) -> Result<(), Stopped> {
        let place = match self.places.get(key) {
            Some(place) => *place,
            None => {
                self.groups.push(Group { resource: resource(), scopes: BTreeMap::new() });
                self.places.insert(key.to_owned(), self.groups.len() - 1);
                self.groups.len() - 1
            }
        };
        self.groups[place].scopes.entry(scope).or_default().push(span);
        self.text_bytes += text_bytes;
        if self.text_bytes >= TEXT_BYTES { self.send() } else { Ok(()) }
    }

    /// Hands on what is there.
    pub fn send(&mut self) -> Result<(), Stopped> {
        if self.stopped.is_some() {
            return Err(Stopped);
        }
        let mut request = RequestBuilder::default();
        for group in self.groups.drain(..) {
            request = request.resource(group.resource);
            for (scope, spans) in group.scopes {
                let made = InstrumentationScope::new(&scope.name).version(&scope.version);
                request = request.scope(made).spans(spans);
            }
        }
        self.places.clear();
        self.text_bytes = 0;
        if request.span_count() == 0 {
            return Ok(());
        }
        otlp::request(&request.finish()[..], self.sink).map_err(|why| {
            self.stopped = Some(why);
            Stopped
        })
    }

    /// Hands on the rest. How reading ended, unless the sink ended it.
    pub fn finish(mut self, ended: Result<(), String>) -> Result<(), String> {
        match self.send() {
            Ok(()) => ended,
            Err(Stopped) => Err(self.stopped.unwrap_or_default()),
        }
    }
}
