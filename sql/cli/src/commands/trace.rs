//! `amida trace`: one trace, found by its id.

use amida::{Marks, Snapshot, SpanRef, Trace, TraceId, Waterfall};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Failure, Outcome, open, rfc3339};
use crate::args::TraceArgs;
use crate::output;

/// Most traces that an ambiguous prefix lists.
const CANDIDATES_MAX: usize = 20;

/// Draws a trace.
pub fn run(args: &TraceArgs) -> Result<Outcome, Failure> {
    let reader = open(&args.dir)?;
    let snapshot = reader.snapshot();
    let Some(trace) = find(&snapshot, args.id.trim())? else {
        return Ok(Outcome::Failed);
    };
    if args.json {
        output::json(&TraceJson::new(&trace))?;
        return Ok(Outcome::Good);
    }
    let width = args.width.map(usize::from).or_else(output::width).unwrap_or(100);
    let colour = output::colours(&std::io::stdout());
    let drawing = Waterfall::new(&trace).width(width).colour(colour).to_string();
    output::say(drawing.trim_end())?;
    Ok(Outcome::Good)
}

/// The trace that the text means; `None` once it was said why there is none.
fn find(snapshot: &Snapshot, text: &str) -> Result<Option<Trace>, Failure> {
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if text.is_empty() || text.len() > 32 || !is_hex {
        return Err(Failure::Because(format!(
            "{text:?} is no trace id: expected up to 32 hex digits"
        )));
    }
    if text.len() == 32 {
        return look(snapshot, text, text.parse()?);
    }
    let mut candidates = snapshot.traces_with_prefix(text, CANDIDATES_MAX + 1)?;
    if text.len() == 16 {
        // A 64-bit id is stored with zeros before it; it is meant before a prefix is.
        let padded: TraceId = format!("{text:0>32}").parse()?;
        if let Some(trace) = snapshot.trace(padded)? {
            candidates.retain(|id| *id != padded);
            if candidates.is_empty() {
                return Ok(Some(trace));
            }
            candidates.insert(0, padded);
        }
    }
    match candidates.as_slice() {
        [] => {
            eprintln!("amida: no trace begins with {text}");
            Ok(None)
        }
        [id] => look(snapshot, text, *id),
        many => {
            let more = if many.len() > CANDIDATES_MAX { "more than " } else { "" };
            let shown = many.len().min(CANDIDATES_MAX);
            eprintln!("amida: {more}{shown} traces begin with {text}:");
            for id in many.iter().take(CANDIDATES_MAX) {
                eprintln!("  {id}");
            }
            Ok(None)
        }
    }
}

fn look(snapshot: &Snapshot, text: &str, id: TraceId) -> Result<Option<Trace>, Failure> {
    let trace = snapshot.trace(id)?;
    if trace.is_none() {
        eprintln!("amida: there is no trace {}", text.to_ascii_lowercase());
    }
    Ok(trace)
}

/// A trace as JSON: spans in the order of the drawing, each with its depth.
#[derive(Debug, Serialize)]
struct TraceJson<'a> {
    trace_id: String,
    start_time: String,
    end_time: String,
    duration_ns: i64,
    span_count: usize,
    error_count: usize,
    services: Vec<&'a str>,
    root_span_id: String,
    spans: Vec<SpanJson<'a>>,
}

#[derive(Debug, Serialize)]
struct SpanJson<'a> {
    span_id: String,
    parent_span_id: Option<String>,
    depth: usize,
    children: Vec<String>,
    is_orphan: bool,
    service_name: &'a str,
    name: &'a str,
    kind: &'a str,
    start_time: String,
    start_time_unix_nano: i64,
    duration_ns: i64,
    status_code: &'a str,
    status_message: &'a str,
    scope_name: &'a str,
    flags: u32,
    marks: Vec<&'static str>,
    attributes: Option<&'a RawValue>,
    resource_attributes: Option<&'a RawValue>,
    scope_attributes: Option<&'a RawValue>,
    events: Vec<EventJson>,
    links: Vec<LinkJson>,
}

#[derive(Debug, Serialize)]
struct EventJson {
    time: String,
    time_unix_nano: i64,
    name: String,
    attributes: Option<Box<RawValue>>,
}

#[derive(Debug, Serialize)]
struct LinkJson {
    trace_id: String,
    span_id: String,
    trace_state: String,
    flags: u32,
    attributes: Option<Box<RawValue>>,
}

impl<'a> TraceJson<'a> {
    fn new(trace: &'a Trace) -> Self {
        let (start, end) = trace.times();
        let mut services: Vec<&str> = trace.spans().map(|span| span.service_name()).collect();
        services.sort_unstable();
        services.dedup();
        Self {
            trace_id: trace.id().to_string(),
            start_time: rfc3339(start),
            end_time: rfc3339(end),
            duration_ns: end.saturating_sub(start),
            span_count: trace.spans().len(),
            error_count: trace.spans().filter(SpanRef::is_error).count(),
            services,
            root_span_id: trace.root().span_id().to_string(),
            spans: in_order(trace),
        }
    }
}

/// The spans, each before its children; without recursion, as traces may be deep.
fn in_order(trace: &Trace) -> Vec<SpanJson<'_>> {
    let mut spans = Vec::new();
    let mut open: Vec<(SpanRef<'_>, usize)> = trace.tops().map(|span| (span, 0)).collect();
    open.reverse();
    while let Some((span, depth)) = open.pop() {
        let children: Vec<SpanRef<'_>> = trace.children(span).collect();
        let ids = children.iter().map(|child| child.span_id().to_string()).collect();
        spans.push(span_json(trace, span, depth, ids));
        open.extend(children.into_iter().rev().map(|child| (child, depth + 1)));
    }
    spans
}

fn span_json<'a>(
    trace: &Trace,
    span: SpanRef<'a>,
    depth: usize,
    children: Vec<String>,
) -> SpanJson<'a> {
    SpanJson {
        span_id: span.span_id().to_string(),
        parent_span_id: span.parent_span_id().map(|id| id.to_string()),
        depth,
        children,
        is_orphan: trace.is_orphan(span),
        service_name: span.service_name(),
        name: span.name(),
        kind: span.kind(),
        start_time: rfc3339(span.start_time_ns()),
        start_time_unix_nano: span.start_time_ns(),
        duration_ns: span.duration_ns(),
        status_code: span.status_code(),
        status_message: span.status_message(),
        scope_name: span.scope_name(),
        flags: span.flags(),
        marks: words(span.marks()),
        attributes: raw(span.attributes()),
        resource_attributes: raw(span.resource_attributes()),
        scope_attributes: raw(span.scope_attributes()),
        events: span.events().into_iter().map(EventJson::from).collect(),
        links: span.links().into_iter().map(LinkJson::from).collect(),
    }
}

fn words(marks: Marks) -> Vec<&'static str> {
    let bits = Marks::NAMES.iter().enumerate();
    bits.filter(|(bit, _)| marks.contains(Marks(1 << bit))).map(|(_, name)| *name).collect()
}

/// Stored JSON text as it is; `None` only for text that a damaged file would hold.
fn raw(text: &str) -> Option<&RawValue> {
    serde_json::from_str(text).ok()
}

impl From<amida::json::Event> for EventJson {
    fn from(event: amida::json::Event) -> Self {
        Self {
            time: rfc3339(event.time),
            time_unix_nano: event.time,
            name: event.name,
            attributes: RawValue::from_string(event.attributes).ok(),
        }
    }
}

impl From<amida::json::Link> for LinkJson {
    fn from(link: amida::json::Link) -> Self {
        Self {
            trace_id: link.trace_id,
            span_id: link.span_id,
            trace_state: link.trace_state,
            flags: link.flags,
            attributes: RawValue::from_string(link.attributes).ok(),
        }
    }
}
