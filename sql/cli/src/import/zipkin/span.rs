//! One row of Zipkin JSON as one span of OTLP, but for the start that it may lack. Pure: nothing
//! is read or written here.

use amida::{AttributeValue, EventBuilder, SpanBuilder, SpanId, SpanKind, TraceId};
use serde_json::{Map, Value};

use crate::import::ids::{self, Read};
use crate::import::notes::{Notes, note};
use crate::import::otel::OtelTags;
use crate::import::outbox::Scope;
use crate::import::sink::{BAD_SPAN_ID, BAD_TRACE_ID, TIME_OUT_OF_RANGE, ZIPKIN_V1};
use crate::import::values;

/// A translated row.
#[derive(Debug)]
pub struct Row {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub parent: Option<SpanId>,
    /// Whether it is the server's half of a span that the client's row has too.
    pub is_shared: bool,
    /// `None` when neither the row nor an annotation has a time.
    pub start: Option<i64>,
    /// What the local endpoint calls itself.
    pub service: Option<String>,
    duration_ns: i64,
    /// Annotations, some without a time.
    events: Vec<(Option<i64>, String)>,
    builder: SpanBuilder,
    scope: Scope,
}

impl Row {
    /// Sets the start from elsewhere.
    pub fn started(mut self, start_ns: i64, source: &str) -> Self {
        self.builder = note(self.builder, "timestamp", source);
        self.start = Some(start_ns);
        self
    }

    /// The span.
    pub fn finish(self) -> (SpanBuilder, Scope) {
        let start = self.start.unwrap_or(0);
        // `translate` checked it against a start of its own; a start from elsewhere is a time too,
        // and what does not fit the store marks or rejects.
        let end = start.saturating_add(self.duration_ns);
        let mut builder = self.builder.start_ns(start).end_ns(end);
        for (time, text) in self.events {
            // A time that is not known is that of the span.
            builder = builder.event(EventBuilder::new(&text, time.unwrap_or(start)));
        }
        (builder, self.scope)
    }
}

/// Translates a row.
///
/// # Errors
/// The reason for which it cannot be a span.
pub fn translate(row: &Map<String, Value>) -> Result<Row, &'static str> {
    if is_v1(row) {
        return Err(ZIPKIN_V1);
    }
    let mut notes = Notes::default();
    if row.contains_key("binaryAnnotations") {
        notes.unreadable("binaryAnnotations");
    }
    let trace_id = ids::trace_id(row.get("traceId")).id().ok_or(BAD_TRACE_ID)?;
    let trace_id = notes.id("trace_id", trace_id);
    let span_id = ids::span_id(row.get("id")).id().ok_or(BAD_SPAN_ID)?;
    let span_id = notes.id("span_id", span_id);
    let parent = match ids::span_id(row.get("parentId")) {
        Read::Is(parent) => Some(notes.id("parent_span_id", parent)),
        Read::Absent => None,
        Read::Unreadable => {
            notes.unreadable("parentId");
            None
        }
    };
    let events = annotations(row, &mut notes);
    let (start, duration_ns) = times(row, &events, &mut notes)?;
    let name = values::text(row, "name").unwrap_or_else(|()| {
        notes.unreadable("name");
        None
    });
    let builder = SpanBuilder::new(trace_id, span_id, &name.unwrap_or_default())
        .parent(parent)
        .kind(kind(row, &mut notes));
    let tags = tags(row, &mut notes);
    let (builder, service) = endpoints(builder, row, &tags, &mut notes);
    let is_shared = is_true(row, "shared", &mut notes);
    is_true(row, "debug", &mut notes);

    let (mut builder, mut otel, mut error) = (builder, OtelTags::default(), None);
    for (key, value) in tags {
        otel.see(&key, &value);
        if key == "error" {
            error = Some(match &value {
                AttributeValue::String(text) => text.clone(),
                _ => String::new(),
            });
        }
        builder = builder.attribute(&key, value);
    }
    let (builder, scope) = otel.onto(builder, error.as_deref());
    let builder = notes.onto(builder);
    Ok(Row {
        trace_id,
        span_id,
        parent,
        is_shared,
        start,
        service,
        duration_ns,
        events,
        builder,
        scope,
    })
}

/// Adds who took part; gives the service that made the span.
fn endpoints(
    mut builder: SpanBuilder,
    row: &Map<String, Value>,
    tags: &[(String, AttributeValue)],
    notes: &mut Notes,
) -> (SpanBuilder, Option<String>) {
    let local = Endpoint::of(row, "localEndpoint", notes);
    let remote = Endpoint::of(row, "remoteEndpoint", notes);
    let named = [("peer.service", remote.service.clone().map(AttributeValue::from))];
    let here = local.attributes(["network.local.address", "network.local.port"], "local_ipv6");
    let there = remote.attributes(["network.peer.address", "network.peer.port"], "remote_ipv6");
    for (key, value) in named.into_iter().chain(here.attributes).chain(there.attributes) {
        let Some(value) = value else { continue };
        // A tag of this name is what the program said itself.
        match tags.iter().find(|(tag, _)| tag == key) {
            Some((_, tag)) if *tag == value => {}
            Some(_) => notes.keep(key, value),
            None => builder = builder.attribute(key, value),
        }
    }
    for (key, value) in [here.second, there.second].into_iter().flatten() {
        notes.keep(key, value);
    }
    (builder, local.service)
}

/// Whether it is of Zipkin's first format, which says in other places who did what: read as the
/// second, that would be lost.
fn is_v1(row: &Map<String, Value>) -> bool {
    let second = ["kind", "localEndpoint", "remoteEndpoint", "tags"];
    let annotations = row.get("annotations").and_then(Value::as_array).into_iter().flatten();
    !second.iter().any(|key| row.contains_key(*key))
        && (row.contains_key("binaryAnnotations")
            || annotations.into_iter().any(|annotation| annotation.get("endpoint").is_some()))
}

/// Start and duration. Without a time of its own a row started at its first annotation.
fn times(
    row: &Map<String, Value>,
    events: &[(Option<i64>, String)],
    notes: &mut Notes,
) -> Result<(Option<i64>, i64), &'static str> {
    // A zero says that the time is not known, in all of Zipkin's formats.
    let own = values::micros(row.get("timestamp"))?.filter(|ns| *ns != 0);
    let duration = values::micros(row.get("duration"))?;
    if duration.is_none() {
        notes.keep("duration", "none");
    }
    let duration = duration.unwrap_or(0);
    let first = || events.iter().filter_map(|(time, _)| *time).min();
    let start = own.or_else(|| {
        let first = first()?;
        notes.keep("timestamp", "annotation");
        Some(first)
    });
    let end = start.unwrap_or(0).checked_add(duration).ok_or(TIME_OUT_OF_RANGE)?;
    let is_before = start.is_some() && end < 0;
    if start.is_some_and(|start| start < 0) || is_before {
        return Err(TIME_OUT_OF_RANGE);
    }
    Ok((start, duration))
}

/// The annotations with their times.
fn annotations(row: &Map<String, Value>, notes: &mut Notes) -> Vec<(Option<i64>, String)> {
    let list = match row.get("annotations") {
        None | Some(Value::Null) => return Vec::new(),
        Some(Value::Array(list)) => list,
        Some(_) => {
            notes.unreadable("annotations");
            return Vec::new();
        }
    };
    let mut events = Vec::with_capacity(list.len());
    for (index, annotation) in list.iter().enumerate() {
        let object = annotation.as_object();
        let text = object.map(|object| values::text(object, "value"));
        let Some(Ok(text)) = text else {
            notes.unreadable(format_args!("annotations[{index}]"));
            continue;
        };
        // A zero says that the time is not known, as for the row.
        let time = values::micros(annotation.get("timestamp")).ok().flatten();
        let time = time.filter(|ns| *ns > 0);
        if time.is_none() {
            notes.unreadable(format_args!("annotations[{index}].timestamp"));
        }
        events.push((time, text.unwrap_or_default()));
    }
    events
}

fn kind(row: &Map<String, Value>, notes: &mut Notes) -> SpanKind {
    let word = match row.get("kind") {
        None | Some(Value::Null) => return SpanKind::Unspecified,
        Some(value) => value.as_str().unwrap_or_default(),
    };
    match word.to_ascii_uppercase().as_str() {
        "CLIENT" => SpanKind::Client,
        "SERVER" => SpanKind::Server,
        "PRODUCER" => SpanKind::Producer,
        "CONSUMER" => SpanKind::Consumer,
        "INTERNAL" => SpanKind::Internal,
        "" => SpanKind::Unspecified,
        _ => {
            notes.keep("kind", word);
            SpanKind::Unspecified
        }
    }
}

/// The tags: text as Zipkin wants it, anything else as JSON has it.
fn tags(row: &Map<String, Value>, notes: &mut Notes) -> Vec<(String, AttributeValue)> {
    match row.get("tags") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Object(tags)) => {
            tags.iter().map(|(key, value)| (key.clone(), values::natural(value))).collect()
        }
        Some(_) => {
            notes.unreadable("tags");
            Vec::new()
        }
    }
}

/// Whether the flag is set, which is noted.
fn is_true(row: &Map<String, Value>, key: &str, notes: &mut Notes) -> bool {
    match row.get(key) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Bool(true)) => {
            notes.keep(key, true);
            true
        }
        Some(_) => {
            notes.unreadable(key);
            false
        }
    }
}

/// One side of the span.
#[derive(Default)]
struct Endpoint {
    service: Option<String>,
    ipv4: Option<String>,
    ipv6: Option<String>,
    port: Option<i64>,
}

/// An endpoint as attributes.
struct Network {
    attributes: [(&'static str, Option<AttributeValue>); 2],
    /// The note on the second address of an endpoint that has two.
    second: Option<(&'static str, String)>,
}

impl Endpoint {
    fn of(row: &Map<String, Value>, key: &str, notes: &mut Notes) -> Self {
        let endpoint = match row.get(key) {
            None | Some(Value::Null) => return Self::default(),
            Some(Value::Object(endpoint)) => endpoint,
            Some(_) => {
                notes.unreadable(key);
                return Self::default();
            }
        };
        let mut text = |field: &str| {
            let text = values::text(endpoint, field).unwrap_or_else(|()| {
                notes.unreadable(format_args!("{key}.{field}"));
                None
            });
            text.filter(|text| !text.is_empty())
        };
        let (service, ipv4, ipv6) = (text("serviceName"), text("ipv4"), text("ipv6"));
        let port = text("port").and_then(|digits| match digits.parse::<i64>() {
            Ok(port) => Some(port).filter(|port| *port != 0),
            Err(_) => {
                notes.unreadable(format_args!("{key}.port"));
                None
            }
        });
        Self { service, ipv4, ipv6, port }
    }

    /// Under these keys; a second address is noted under that.
    fn attributes(&self, [address, port]: [&'static str; 2], second: &'static str) -> Network {
        let one = self.ipv4.as_ref().or(self.ipv6.as_ref());
        let two = self.ipv4.as_ref().and(self.ipv6.as_ref());
        Network {
            attributes: [
                (address, one.map(|text| text.as_str().into())),
                (port, self.port.map(Into::into)),
            ],
            second: two.map(|ipv6| (second, ipv6.clone())),
        }
    }
}
