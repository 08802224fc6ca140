//! What stands under a line: what is odd about a span, why it failed, its events, and where they
//! are asked for its attributes and links.

use std::fmt::{self, Formatter, Write as _};

use super::layout::Line;
use super::page::{DIM, ODD, Page, RED};
use super::text::{count, duration, plain, width_of};
use crate::model::batch::SpanRef;
use crate::model::json;

/// Events drawn under one failed span.
const EVENTS_MAX: usize = 3;
/// Events, and links, drawn under one span where everything is asked for.
const DETAILS_MAX: usize = 100;

impl Page<'_> {
    /// Everything under the line of a span.
    pub(super) fn notes(
        &self,
        f: &mut Formatter<'_>,
        line: &Line,
        span: SpanRef<'_>,
    ) -> fmt::Result {
        for text in self.oddities(span) {
            self.under(f, &line.below, &format!("! {text}"), ODD)?;
        }
        if span.is_error() && !span.status_message().is_empty() {
            let text = format!("ERR {}", plain(span.status_message()));
            self.under(f, &line.below, &text, RED)?;
        }
        if self.details {
            for (key, raw) in json::entries(span.attributes()) {
                let text = format!("{} = {}", plain(&key), self.value(raw));
                self.under(f, &line.below, &text, "")?;
            }
        }
        self.events(f, line, span)?;
        if self.details {
            let links = span.links();
            for link in links.iter().take(DETAILS_MAX) {
                let text =
                    format!("→ trace {} span {}", plain(&link.trace_id), plain(&link.span_id));
                self.under(f, &line.below, &text, DIM)?;
            }
            self.uncounted(f, line, links.len().saturating_sub(DETAILS_MAX), "link")?;
        }
        Ok(())
    }

    /// What is odd about the place and the times of a span.
    fn oddities(&self, span: SpanRef<'_>) -> Vec<String> {
        let mut odd = Vec::new();
        let trace = self.trace;
        if trace.is_own_ancestor(span) {
            odd.push("its own ancestor: the circle is cut open here".to_owned());
        }
        match trace.copies(span) {
            0 | 1 => {}
            2 => odd.push("stored twice".to_owned()),
            times => odd.push(format!("stored {times} times")),
        }
        if span.duration_ns() < 0 {
            odd.push("ends before it starts".to_owned());
        }
        if let Some(parent) = trace.parent(span) {
            let elsewhere = parent.service_name() != span.service_name();
            let early = trace.starts_before_parent_ns(span);
            if early > 0 {
                let why = if elsewhere { ": clock skew?" } else { "" };
                odd.push(format!("starts {} before its parent{why}", duration(early)));
            }
            let late = trace.ends_after_parent_ns(span);
            if late > 0 && parent.kind() == "CLIENT" && span.kind() == "SERVER" {
                // A client that gave up looks the same.
                let why = if early > 0 { "clock skew?" } else { "clock skew, or it gave up?" };
                odd.push(format!("ends {} after its client: {why}", duration(late)));
            }
        }
        odd
    }

    /// All events where details are asked for; else those of failed spans, and exceptions.
    fn events(&self, f: &mut Formatter<'_>, line: &Line, span: SpanRef<'_>) -> fmt::Result {
        let mut events = span.events();
        if !self.details && !span.is_error() {
            events.retain(|event| event.name == "exception");
        }
        let most = if self.details { DETAILS_MAX } else { EVENTS_MAX };
        for event in events.iter().take(most) {
            self.under(f, &line.below, &self.event(event, span), DIM)?;
        }
        self.uncounted(f, line, events.len().saturating_sub(most), "event")
    }

    fn uncounted(
        &self,
        f: &mut Formatter<'_>,
        line: &Line,
        more: usize,
        noun: &str,
    ) -> fmt::Result {
        if more == 0 {
            return Ok(());
        }
        self.under(f, &line.below, &format!("… {}", count(more, noun)), DIM)
    }

    /// When, after the start of its span, and what: `+80 ms exception IoError: disk full`.
    fn event(&self, event: &json::Event, span: SpanRef<'_>) -> String {
        let after = duration(event.time.saturating_sub(span.start_time_ns()));
        let sign = if after.starts_with('-') { "" } else { "+" };
        let mut text = format!("· {sign}{after} {}", plain(&event.name));
        if event.name == "exception" {
            let get = |key| json::get(&event.attributes, key).map(|value| value.to_string());
            let kind = get("exception.type").unwrap_or_default();
            let message = get("exception.message").unwrap_or_default();
            let colon = if kind.is_empty() || message.is_empty() { "" } else { ": " };
            let _ = write!(text, " {}{colon}{}", self.seen(&kind), self.seen(&message));
        }
        for (key, raw) in json::entries(&event.attributes) {
            let told = ["exception.type", "exception.message", "exception.stacktrace"];
            if event.name == "exception" && told.contains(&key.as_ref()) {
                continue;
            }
            // Later keys would be cut away anyhow.
            if width_of(&text) > self.width {
                break;
            }
            let _ = write!(text, " {}={}", plain(&key), self.value(raw));
        }
        text
    }

    fn value(&self, raw: &str) -> String {
        self.seen(&json::read_raw(raw).map(|value| value.to_string()).unwrap_or_default())
    }

    /// A text may be long; what cannot be seen is not escaped either.
    fn seen(&self, text: &str) -> String {
        plain(&text.chars().take(self.width).collect::<String>()).into_owned()
    }

    /// The numbers of a run.
    pub(super) fn run_notes(
        &self,
        f: &mut Formatter<'_>,
        line: &Line,
        rows: &[usize],
        sorted: &[i64],
    ) -> fmt::Result {
        let at = |place: usize| duration(sorted.get(place).copied().unwrap_or(0));
        let last = sorted.len().saturating_sub(1);
        let mut text =
            format!("{} / {} / {} min / median / max", at(0), at(sorted.len() / 2), at(last));
        let errors = rows.iter().filter(|&&row| self.trace.span(row).is_error()).count();
        if errors > 0 {
            let _ = write!(text, ", {}", count(errors, "error"));
        }
        self.under(f, &line.below, &text, if errors > 0 { RED } else { DIM })
    }
}
