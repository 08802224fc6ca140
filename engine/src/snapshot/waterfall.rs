//! `Waterfall`: one trace drawn for a terminal. A header, then a line per span (its place in the
//! tree, its duration, its bar on the common time axis), under it its error and its events.
//!
//! Work is linear in spans, however deep or strange the tree is; what a span says is escaped, so
//! that no byte of it reaches the terminal as a command.

use std::collections::HashSet;
use std::fmt::{self, Formatter, Write as _};

use super::trace::Trace;
use crate::model::batch::SpanRef;
use crate::model::json;

#[cfg(test)]
mod tests;
mod text;

use self::text::{Axis, clip, duration, instant, pad, paint, palette, plain, width_of};

/// Columns of a drawing that was not told how wide the terminal is.
const WIDTH: usize = 100;
/// Narrower than this, names and bars would have no room.
const WIDTH_MIN: usize = 50;
/// Wider than this, eyes lose the line.
const WIDTH_MAX: usize = 400;
/// Events drawn under one span.
const EVENTS_MAX: usize = 6;
/// Columns of a duration: `-1.25 ms`.
const DURATION: usize = 9;
/// Columns of the word that marks an error, with its space.
const MARK: usize = 4;

const RED: &str = "31;1";
const DIM: &str = "2";
const BOLD: &str = "1";

/// A drawing of one trace: made with `Waterfall::new`, printed with `{}`.
///
/// `Display` of a `Trace` is this drawing, plain and 100 columns wide. Errors are marked with the
/// word `ERR`, whether there is colour or not; a span whose parent is not in the trace says so.
#[derive(Debug, Clone, Copy)]
pub struct Waterfall<'a> {
    trace: &'a Trace,
    width: usize,
    colour: bool,
}

impl<'a> Waterfall<'a> {
    /// A plain drawing, 100 columns wide.
    pub fn new(trace: &'a Trace) -> Self {
        Self { trace, width: WIDTH, colour: false }
    }

    /// Sets the width in columns; from 50 to 400, values beyond count as these.
    pub fn width(mut self, columns: usize) -> Self {
        self.width = columns.clamp(WIDTH_MIN, WIDTH_MAX);
        self
    }

    /// Columns that names may take with the guides before them.
    fn label_max(&self) -> usize {
        self.width / 2
    }

    /// Says whether to use the terminal's colours; no by default.
    pub fn colour(mut self, colour: bool) -> Self {
        self.colour = colour;
        self
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Waterfall::new(self).fmt(f)
    }
}

impl fmt::Display for Waterfall<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let lines = lines_of(self.trace, self.label_max() / 4);
        let page = Page::new(self, &lines);
        page.header(f, self.trace)?;
        page.axis(f)?;
        lines.iter().try_for_each(|line| page.line(f, line))
    }
}

/// A span and its place in the tree.
struct Line<'a> {
    span: SpanRef<'a>,
    /// What stands before the name: the branches of the tree.
    guide: String,
    /// What stands before the lines under the span.
    below: String,
    /// What is odd about its place.
    note: &'static str,
}

impl Line<'_> {
    fn label_width(&self) -> usize {
        let span = &self.span;
        let names = width_of(span.service_name()) + 2 + width_of(span.name());
        width_of(&self.guide) + names + self.note.len()
    }
}

/// The spans in drawing order: parents before children, by start time. Spans below `levels_max` are
/// not indented further; they carry the number of their level.
fn lines_of(trace: &Trace, levels_max: usize) -> Vec<Line<'_>> {
    let mut lines = Vec::with_capacity(trace.spans().len());
    // Spans to draw, the next one last: (span, level, whether it is the last of its siblings).
    let mut pending: Vec<(SpanRef<'_>, usize, bool)> = trace.tops().map(|s| (s, 0, true)).collect();
    pending.reverse();
    // For each level above, whether a sibling follows below.
    let mut open: Vec<bool> = Vec::new();
    while let Some((span, level, is_last)) = pending.pop() {
        open.truncate(level);
        open.push(!is_last);
        let mut children: Vec<_> =
            trace.children(span).map(|child| (child, level + 1, false)).collect();
        if let Some(last) = children.last_mut() {
            last.2 = true;
        }
        let (guide, below) = guides(&open, level, levels_max, !children.is_empty());
        lines.push(Line { span, guide, below, note: note(trace, span, level) });
        pending.extend(children.into_iter().rev());
    }
    lines
}

fn note(trace: &Trace, span: SpanRef<'_>, level: usize) -> &'static str {
    if level > 0 || span.parent_span_id().is_none() {
        ""
    } else if trace.is_orphan(span) {
        " (parent missing)"
    } else {
        " (its own ancestor)"
    }
}

/// What stands before a span's name and before the lines under it.
fn guides(open: &[bool], level: usize, levels_max: usize, has_children: bool) -> (String, String) {
    let mut before = String::new();
    // A root has no guide of its own, so that it stands at the edge.
    let above = level.saturating_sub(1).min(levels_max);
    for &is_open in open.iter().skip(1).take(above) {
        before.push_str(if is_open { "│ " } else { "  " });
    }
    let mut below = before.clone();
    if level > 0 {
        let is_open = open.last().copied().unwrap_or(false);
        before.push_str(if is_open { "├ " } else { "└ " });
        below.push_str(if is_open { "│ " } else { "  " });
    }
    if level > levels_max {
        // Writing to a String cannot fail.
        let _ = write!(before, "{level}: ");
    }
    below.push_str(if has_children { "│ " } else { "  " });
    (before, below)
}

/// Where things stand on the page.
struct Page {
    axis: Axis,
    label: usize,
    mark: usize,
    width: usize,
    colour: bool,
}

impl Page {
    fn new(drawing: &Waterfall<'_>, lines: &[Line<'_>]) -> Self {
        let width = drawing.width;
        let mark = if lines.iter().any(|line| line.span.is_error()) { MARK } else { 0 };
        // Names get what they need, up to half of the page; bars get the rest.
        let need = lines.iter().map(Line::label_width).max().unwrap_or(0);
        let label = need.clamp(16, drawing.label_max());
        let bar = width.saturating_sub(label + mark + DURATION + 4).max(8);
        Self {
            axis: Axis::new(drawing.trace.times(), bar),
            label,
            mark,
            width,
            colour: drawing.colour,
        }
    }

    fn header(&self, f: &mut Formatter<'_>, trace: &Trace) -> fmt::Result {
        let services: HashSet<&str> = trace.spans().map(|s| s.service_name()).collect();
        let errors = trace.spans().filter(SpanRef::is_error).count();
        let (start, end) = trace.times();
        let errors = count(errors, "error");
        writeln!(f, "trace {}", paint(self.colour, BOLD, &trace.id().to_string()))?;
        let when = format!("{}  {}", instant(start), duration(end.saturating_sub(start)));
        let counts = format!(
            "{}  {}  ",
            count(trace.spans().len(), "span"),
            count(services.len(), "service"),
        );
        let one_line = when.len() + 2 + counts.len() + errors.len() <= self.width;
        let gap = if one_line { "  " } else { "\n" };
        let colour = self.colour && !errors.starts_with("0 ");
        writeln!(f, "{when}{gap}{counts}{}", paint(colour, RED, &errors))
    }

    /// Two lines: the times, and the axis under them.
    fn axis(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let before = " ".repeat(self.label + self.mark + DURATION + 3);
        writeln!(f, "{before}{}", paint(self.colour, DIM, self.axis.times().trim_end()))?;
        writeln!(f, "{before}{}", paint(self.colour, DIM, &self.axis.ruler()))
    }

    fn line(&self, f: &mut Formatter<'_>, line: &Line<'_>) -> fmt::Result {
        let span = &line.span;
        let colour = if span.is_error() { RED } else { palette(span.service_name()) };
        self.label(f, line, colour)?;
        if self.mark > 0 {
            let mark = if span.is_error() { "ERR" } else { "" };
            write!(f, "{}{}", paint(self.colour, RED, mark), pad(MARK - mark.len()))?;
        }
        write!(f, "{:>DURATION$}  ", duration(span.duration_ns()))?;
        let bar = self.axis.bar(span.start_time_ns(), span.end_time_ns());
        let (blank, bar) = bar.split_at(bar.len() - bar.trim_start().len());
        writeln!(f, "{blank}{}", paint(self.colour, colour, bar))?;
        self.below(f, line)
    }

    fn label(&self, f: &mut Formatter<'_>, line: &Line<'_>, colour: &str) -> fmt::Result {
        let room = self.label.saturating_sub(width_of(&line.guide) + line.note.len());
        let service = clip(&plain(line.span.service_name()), room);
        let left = room.saturating_sub(width_of(&service) + 2);
        let name = if left == 0 { String::new() } else { clip(&plain(line.span.name()), left) };
        let gap = if name.is_empty() { "" } else { "  " };
        let used = width_of(&line.guide) + width_of(&service) + gap.len() + width_of(&name);
        let rest = pad(self.label.saturating_sub(used + line.note.len()));
        let guide = paint(self.colour, DIM, &line.guide);
        let service = paint(self.colour, colour, &service);
        write!(f, "{guide}{service}{gap}{name}{}{rest} ", line.note)
    }

    /// The error's words and the events.
    fn below(&self, f: &mut Formatter<'_>, line: &Line<'_>) -> fmt::Result {
        let span = &line.span;
        if span.is_error() && !span.status_message().is_empty() {
            let text = format!("ERR {}", plain(span.status_message()));
            self.under(f, line, &text, RED)?;
        }
        let events = span.events();
        for event in events.iter().take(EVENTS_MAX) {
            self.under(f, line, &self.event(event), DIM)?;
        }
        match events.len().saturating_sub(EVENTS_MAX) {
            0 => Ok(()),
            more => self.under(f, line, &format!("· {more} more events"), DIM),
        }
    }

    fn event(&self, event: &json::Event) -> String {
        let after = duration(event.time.saturating_sub(self.axis.start()));
        let sign = if after.starts_with('-') { "" } else { "+" };
        let mut text = format!("· {sign}{after} {}", plain(&event.name));
        for (key, raw) in json::entries(&event.attributes) {
            let value = json::read_raw(raw).map(|v| v.to_string()).unwrap_or_default();
            // Later keys would be cut away anyhow.
            if width_of(&text) > self.width {
                break;
            }
            // A value may be long; what cannot be seen is not escaped either.
            let seen: String = value.chars().take(self.width).collect();
            let _ = write!(text, " {}={}", plain(&key), plain(&seen));
        }
        text
    }

    fn under(
        &self,
        f: &mut Formatter<'_>,
        line: &Line<'_>,
        text: &str,
        colour: &str,
    ) -> fmt::Result {
        let guide = paint(self.colour, DIM, &line.below);
        let text = clip(text, self.width.saturating_sub(width_of(&line.below)));
        writeln!(f, "{guide}{}", paint(self.colour, colour, &text))
    }
}

/// `1 span`, `2 spans`.
fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
