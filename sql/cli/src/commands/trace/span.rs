//! Everything about one span, in lines that are never cut.

use std::fmt::Write as _;

use amida::json::{entries, read_raw};
use amida::{CriticalPath, SpanId, SpanRef, Trace};

use super::json::words;
use super::rfc3339;
use crate::output::visible;

/// All that is stored of the spans with this id: one, or the halves of a call.
pub fn text(trace: &Trace, id: SpanId) -> String {
    let spans = trace.walk().filter(|(span, _)| span.span_id() == id);
    let path = trace.critical_path();
    let texts: Vec<String> = spans.map(|(span, _)| one(trace, &path, span)).collect();
    texts.join("\n\n")
}

fn one(trace: &Trace, path: &CriticalPath, span: SpanRef<'_>) -> String {
    let mut out = String::new();
    let mut line = |key: &str, value: &str| {
        if !value.is_empty() {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{key:<12} {value}");
        }
    };
    let (start, end) = (span.start_time_ns(), span.end_time_ns());
    line("span", &span.span_id().to_string());
    line("trace", &trace.id().to_string());
    line("parent", &parent(trace, span));
    line("service", &visible(span.service_name()));
    line("name", &visible(span.name()));
    line("kind", span.kind());
    line("start", &rfc3339(start));
    line("end", &rfc3339(end));
    line("duration", &amount(span.duration_ns()));
    if path.contains(span) {
        line("critical", &format!("{} of the trace's critical path", amount(path.self_ns(span))));
    }
    let after = |ns: i64| if ns > 0 { amount(ns) } else { String::new() };
    line("starts early", &with(after(trace.starts_before_parent_ns(span)), "before its parent"));
    line("ends late", &with(after(trace.ends_after_parent_ns(span)), "after its parent"));
    if trace.copies(span) > 1 {
        line("stored", &format!("{} times", trace.copies(span)));
    }
    let status = format!("{} {}", span.status_code(), visible(span.status_message()));
    line("status", status.trim_end());
    line("scope", &visible(span.scope_name()));
    line("marks", &words(span.marks()).join(", "));
    for (title, object) in [
        ("attributes", span.attributes()),
        ("resource", span.resource_attributes()),
        ("scope attributes", span.scope_attributes()),
    ] {
        object_lines(&mut out, title, object, "  ");
    }
    let events = span.events();
    if !events.is_empty() {
        out.push_str("events\n");
    }
    for event in events {
        let after = amount(event.time.saturating_sub(start));
        let name = visible(&event.name);
        let _ = writeln!(out, "  {}  {name}  ({after} after the start)", rfc3339(event.time));
        object_lines(&mut out, "", &event.attributes, "    ");
    }
    let links = span.links();
    if !links.is_empty() {
        out.push_str("links\n");
    }
    for link in links {
        let (trace, span) = (visible(&link.trace_id), visible(&link.span_id));
        let _ = writeln!(out, "  trace {trace} span {span}");
        object_lines(&mut out, "", &link.attributes, "    ");
    }
    out.truncate(out.trim_end().len());
    out
}

fn parent(trace: &Trace, span: SpanRef<'_>) -> String {
    match (trace.parent(span), span.parent_span_id()) {
        (Some(parent), _) => {
            let (service, name) = (visible(parent.service_name()), visible(parent.name()));
            format!("{}  {service}  {name}", parent.span_id())
        }
        (None, Some(id)) if trace.is_orphan(span) => format!("{id}, which is not stored"),
        (None, Some(id)) => format!("{id}, which hangs beneath this span: a circle"),
        (None, None) => "none: a root".to_owned(),
    }
}

fn object_lines(out: &mut String, title: &str, object: &str, indent: &str) {
    let entries = entries(object);
    if !title.is_empty() && !entries.is_empty() {
        let _ = writeln!(out, "{title}");
    }
    for (key, raw) in entries {
        let value = read_raw(raw).map(|value| value.to_string()).unwrap_or_default();
        let _ = writeln!(out, "{indent}{} = {}", visible(&key), visible(&value));
    }
}

fn with(amount: String, words: &str) -> String {
    if amount.is_empty() { amount } else { format!("{amount} {words}") }
}

/// Nanoseconds in milliseconds, exactly: `1.5 ms`.
fn amount(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let (ms, rest) = (ns.unsigned_abs() / 1_000_000, ns.unsigned_abs() % 1_000_000);
    let rest = format!(".{rest:06}");
    format!("{sign}{ms}{} ms", rest.trim_end_matches('0').trim_end_matches('.'))
}
