//! One span of Jaeger JSON as one span of OTLP. Pure: nothing is read or written here.

use amida::{AttributeValue, EventBuilder, LinkBuilder, SpanBuilder, SpanId, SpanKind, TraceId};
use serde_json::{Map, Value};

use super::Process;
use crate::import::ids::{self, Mapped, Read};
use crate::import::notes::Notes;
use crate::import::otel::OtelTags;
use crate::import::outbox::Scope;
use crate::import::sink::{BAD_SPAN_ID, BAD_TRACE_ID, TIME_OUT_OF_RANGE};
use crate::import::values;

/// A translated span, and who made it as far as it says.
#[derive(Debug)]
pub struct Span {
    pub builder: SpanBuilder,
    pub scope: Scope,
    /// The key of its process in the trace.
    pub process_id: Option<String>,
    /// The process that stands in the span itself, as some tools write it.
    pub process: Option<Process>,
}

/// Translates a span; `trace_id` is that of the trace around it, for a span that has none.
///
/// # Errors
/// The reason for which it cannot be a span.
pub fn translate(
    span: &Map<String, Value>,
    trace_id: Option<&Value>,
) -> Result<Span, &'static str> {
    let mut notes = Notes::default();
    let trace = match ids::trace_id(span.get("traceID")) {
        Read::Absent => ids::trace_id(trace_id).id(),
        own => own.id(),
    };
    let trace_id = notes.id("trace_id", trace.ok_or(BAD_TRACE_ID)?);
    let span_id = ids::span_id(span.get("spanID")).id().ok_or(BAD_SPAN_ID)?;
    let span_id = notes.id("span_id", span_id);
    let (start_ns, end_ns) = times(span, &mut notes)?;
    let mut text = |key: &str| {
        values::text(span, key).unwrap_or_else(|()| {
            notes.unreadable(key);
            None
        })
    };
    let name = text("operationName").unwrap_or_default();
    let process_id = text("processID");

    let mut builder = SpanBuilder::new(trace_id, span_id, &name).start_ns(start_ns).end_ns(end_ns);
    builder = relations(builder, span, trace_id, &mut notes);
    let mut tags = Tags { kind: SpanKind::Unspecified, is_error: false, otel: OtelTags::default() };
    let mut attributes = Vec::new();
    each_tag(span.get("tags"), "tags", &mut notes, |key, value| {
        tags.see(key, &value);
        attributes.push((key.to_owned(), value));
    });
    builder = attributes.into_iter().fold(builder, |span, (key, v)| span.attribute(&key, v));
    builder = builder.kind(tags.kind);
    for (index, log) in list(span, "logs", &mut notes).iter().enumerate() {
        if let Some(event) = event(log, index, start_ns, &mut notes) {
            builder = builder.event(event);
        }
    }
    builder = flags(builder, span, &mut notes);
    warnings(span, &mut notes);
    let (builder, scope) = tags.otel.onto(builder, tags.is_error.then_some(""));
    let process = span.get("process").and_then(Process::of);
    Ok(Span { builder: notes.onto(builder), scope, process_id, process })
}

/// Start and end.
fn times(span: &Map<String, Value>, notes: &mut Notes) -> Result<(i64, i64), &'static str> {
    let start = values::micros(span.get("startTime"))?.unwrap_or(0);
    let duration = values::micros(span.get("duration"))?;
    if duration.is_none() {
        notes.keep("duration", "none");
    }
    let end = start.checked_add(duration.unwrap_or(0)).ok_or(TIME_OUT_OF_RANGE)?;
    if start < 0 || end < 0 { Err(TIME_OUT_OF_RANGE) } else { Ok((start, end)) }
}

/// A reference to another span.
struct Reference {
    ref_type: String,
    trace: Option<Mapped<TraceId>>,
    span: Mapped<SpanId>,
}

/// Parent and links: the first CHILD_OF of the same trace is the parent, else the first
/// FOLLOWS_FROM of it, else the deprecated `parentSpanID`. The other references are links.
fn relations(
    mut builder: SpanBuilder,
    span: &Map<String, Value>,
    trace_id: TraceId,
    notes: &mut Notes,
) -> SpanBuilder {
    let mut references = Vec::new();
    for (index, value) in list(span, "references", notes).iter().enumerate() {
        match reference(value) {
            Ok(reference) => references.extend(reference),
            Err(()) => notes.unreadable(format_args!("references[{index}]")),
        }
    }
    let first = |ref_type: &str| {
        references.iter().position(|reference| {
            let same = reference.trace.as_ref().is_none_or(|trace| trace.id == trace_id);
            same && reference.ref_type == ref_type
        })
    };
    if let Some(parent) = first("child_of").or_else(|| first("follows_from")) {
        let parent = references.remove(parent).span;
        builder = builder.parent(notes.id("parent_span_id", parent));
    } else {
        match ids::span_id(span.get("parentSpanID")) {
            Read::Is(parent) => builder = builder.parent(notes.id("parent_span_id", parent)),
            Read::Absent => {}
            Read::Unreadable => notes.unreadable("parentSpanID"),
        }
    }
    for Reference { ref_type, trace, span } in references {
        let mut about = Notes::default();
        let trace = trace.map_or(trace_id, |trace| about.id("trace_id", trace));
        let span = about.id("span_id", span);
        let link = LinkBuilder::new(trace, span).attribute("opentracing.ref_type", ref_type);
        let link = about.entries().into_iter().fold(link, |link, (k, v)| link.attribute(&k, v));
        builder = builder.link(link);
    }
    builder
}

/// A reference; `None` when it refers to nothing: its ids are zero or not there.
fn reference(value: &Value) -> Result<Option<Reference>, ()> {
    let object = value.as_object().ok_or(())?;
    let ref_type = values::text(object, "refType")?;
    let ref_type =
        ref_type.map_or("child_of".to_owned(), |word| word.to_ascii_lowercase().replace('-', "_"));
    let trace = match ids::trace_id(object.get("traceID")) {
        Read::Is(trace) => Some(trace),
        Read::Absent => None,
        Read::Unreadable => return Err(()),
    };
    match ids::span_id(object.get("spanID")) {
        Read::Is(span) => Ok(Some(Reference { ref_type, trace, span })),
        Read::Absent if trace.is_none() => Ok(None),
        _ => Err(()),
    }
}

/// What tags say beside being attributes.
struct Tags {
    kind: SpanKind,
    is_error: bool,
    otel: OtelTags,
}

impl Tags {
    fn see(&mut self, key: &str, value: &AttributeValue) {
        match (key, value) {
            ("span.kind", AttributeValue::String(word)) => self.kind = kind(word),
            // As Jaeger's UI has it: other text is not an error. Of tags that repeat the last one
            // is kept, so it decides.
            ("error", AttributeValue::Bool(error)) => self.is_error = *error,
            ("error", AttributeValue::String(text)) => {
                self.is_error = text.eq_ignore_ascii_case("true");
            }
            _ => self.otel.see(key, value),
        }
    }
}

/// The kind of this word, of either case.
pub fn kind(word: &str) -> SpanKind {
    match word.to_ascii_lowercase().as_str() {
        "internal" => SpanKind::Internal,
        "server" => SpanKind::Server,
        "client" => SpanKind::Client,
        "producer" => SpanKind::Producer,
        "consumer" => SpanKind::Consumer,
        _ => SpanKind::Unspecified,
    }
}

/// An event from a log: its name is the field `event`, else `message`. All fields stay attributes.
fn event(log: &Value, index: usize, start_ns: i64, notes: &mut Notes) -> Option<EventBuilder> {
    let place = format!("logs[{index}]");
    let Some(log) = log.as_object() else {
        notes.unreadable(place);
        return None;
    };
    let time = values::micros(log.get("timestamp")).ok().flatten().filter(|ns| *ns >= 0);
    if time.is_none() {
        notes.unreadable(format_args!("{place}.timestamp"));
    }
    let mut fields = Vec::new();
    each_tag(log.get("fields"), &format!("{place}.fields"), notes, |key, value| {
        fields.push((key.to_owned(), value));
    });
    let named = |key: &str| {
        fields.iter().find_map(|(name, value)| match value {
            AttributeValue::String(text) if name == key => Some(text.clone()),
            _ => None,
        })
    };
    let name = named("event").or_else(|| named("message")).unwrap_or_default();
    let event = EventBuilder::new(&name, time.unwrap_or(start_ns));
    Some(fields.into_iter().fold(event, |event, (key, value)| event.attribute(&key, value)))
}

/// The first bit says that the trace was sampled, for W3C too; the others are kept as they are.
fn flags(builder: SpanBuilder, span: &Map<String, Value>, notes: &mut Notes) -> SpanBuilder {
    match span.get("flags") {
        None | Some(Value::Null) => builder,
        Some(value) => match value.as_u64() {
            Some(flags) => {
                if flags > 1 {
                    notes.keep("flags", values::natural(value));
                }
                builder.flags((flags & 1) as u32)
            }
            None => {
                notes.unreadable("flags");
                builder
            }
        },
    }
}

fn warnings(span: &Map<String, Value>, notes: &mut Notes) {
    match span.get("warnings") {
        None | Some(Value::Null) => {}
        Some(Value::Array(list)) if list.is_empty() => {}
        Some(warnings) => notes.keep("warnings", values::natural(warnings)),
    }
}

/// The list under this key; empty when there is none.
fn list<'v>(span: &'v Map<String, Value>, key: &str, notes: &mut Notes) -> &'v [Value] {
    match span.get(key) {
        None | Some(Value::Null) => &[],
        Some(Value::Array(list)) => list,
        Some(_) => {
            notes.unreadable(key);
            &[]
        }
    }
}

/// Where a tag has its value: in Jaeger's own JSON, or in that of its protobuf.
const VALUES: [&str; 6] = ["value", "vStr", "vBool", "vInt64", "vFloat64", "vBinary"];

/// Calls `each` for the tags of a span or process, or the fields of a log: a list of
/// `{"key": .., "type": .., "value": ..}`, or an object as some tools write it.
pub fn each_tag(
    tags: Option<&Value>,
    place: &str,
    notes: &mut Notes,
    mut each: impl FnMut(&str, AttributeValue),
) {
    match tags {
        None | Some(Value::Null) => {}
        Some(Value::Array(list)) => {
            for (index, tag) in list.iter().enumerate() {
                match tag.get("key").and_then(Value::as_str) {
                    Some(key) => {
                        let kind = tag.get("type").or_else(|| tag.get("vType"));
                        let kind = kind.and_then(Value::as_str).map(str::to_ascii_lowercase);
                        let value = VALUES.iter().find_map(|name| tag.get(*name));
                        if value.is_none() {
                            notes.unreadable(format_args!("{place}[{index}].value"));
                        }
                        each(key, values::typed(kind.as_deref(), value.unwrap_or(&Value::Null)));
                    }
                    None => notes.unreadable(format_args!("{place}[{index}]")),
                }
            }
        }
        Some(Value::Object(entries)) => {
            entries.iter().for_each(|(key, value)| each(key, values::natural(value)));
        }
        Some(_) => notes.unreadable(place),
    }
}
