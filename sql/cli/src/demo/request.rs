//! Plays as one OTLP request: spans by resource, as a collector would send them.

use std::collections::BTreeMap;

use amida::{
    AttributeValue, EventBuilder, InstrumentationScope, LinkBuilder, RequestBuilder, Resource,
    SpanBuilder, SpanId, SpanKind, TraceId,
};

use super::scene::{Draft, Kind, Place, Play, Value};
use super::world::World;

/// A request with all spans of the plays.
pub fn request(world: &World, plays: &[Play]) -> RequestBuilder {
    let mut by_instance: BTreeMap<usize, Vec<SpanBuilder>> = BTreeMap::new();
    for play in plays {
        for draft in &play.spans {
            let spans = by_instance.entry(draft.instance).or_default();
            spans.extend(span(play.trace_id, draft));
        }
    }
    let mut request = RequestBuilder::default();
    for (instance, spans) in by_instance {
        let Some(instance) = world.instances.get(instance) else { continue };
        let service = Resource::new(instance.service().name());
        let resource = instance
            .resource
            .iter()
            .filter(|(key, _)| *key != "service.name")
            .fold(service, |resource, (key, value)| resource.attribute(key, attribute(value)));
        let scope = InstrumentationScope::new(instance.scope()).version("1.42.0");
        request = request.resource(resource).scope(scope).spans(spans);
    }
    request
}

/// `None` for an id of zeros, which the play never draws.
fn span(trace_id: u128, draft: &Draft) -> Option<SpanBuilder> {
    let kind = match draft.kind {
        Kind::Internal => SpanKind::Internal,
        Kind::Server => SpanKind::Server,
        Kind::Client => SpanKind::Client,
        Kind::Producer => SpanKind::Producer,
        Kind::Consumer => SpanKind::Consumer,
    };
    let (trace_id, span_id) = ids(Place { trace_id, span_id: draft.span_id })?;
    let mut span = SpanBuilder::new(trace_id, span_id, &draft.name)
        .parent(SpanId::from_bytes(&draft.parent.to_be_bytes()))
        .kind(kind)
        .start_ns(draft.start)
        .end_ns(draft.end);
    for (key, value) in &draft.attributes {
        span = span.attribute(key, attribute(value));
    }
    for (time, name, attributes) in &draft.events {
        let event = EventBuilder::new(name, *time);
        let event = attributes.iter().fold(event, |e, (key, v)| e.attribute(key, attribute(v)));
        span = span.event(event);
    }
    for link in &draft.links {
        let (trace_id, span_id) = ids(*link)?;
        span = span.link(LinkBuilder::new(trace_id, span_id));
    }
    Some(match &draft.error {
        Some(words) => span.error(words),
        None => span,
    })
}

fn ids(place: Place) -> Option<(TraceId, SpanId)> {
    let trace_id = TraceId::from_bytes(&place.trace_id.to_be_bytes())?;
    Some((trace_id, SpanId::from_bytes(&place.span_id.to_be_bytes())?))
}

fn attribute(value: &Value) -> AttributeValue {
    match value {
        Value::Text(text) => AttributeValue::String(text.to_string()),
        Value::Int(number) => AttributeValue::Int(*number),
        Value::Double(number) => AttributeValue::Double(*number),
        Value::Bool(truth) => AttributeValue::Bool(*truth),
        Value::Texts(texts) => AttributeValue::Array(texts.iter().map(|&t| t.into()).collect()),
    }
}
