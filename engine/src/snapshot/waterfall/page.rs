//! The page: where header, labels, durations and bars stand, and the lines as text.

use std::collections::HashMap;
use std::fmt::{self, Formatter};

use super::Waterfall;
use super::axis::{Axis, worthwhile};
use super::layout::{Item, Layout, Line};
use super::text::{
    clip, count, duration, flow, grouped, instant, pad, paint, palette, plain, width_of,
};
use crate::model::batch::SpanRef;
use crate::snapshot::critical::CriticalPath;
use crate::snapshot::trace::Trace;

/// Columns of a duration: `-1.25 ms`, `~1.25 ms`.
const DURATION: usize = 9;
/// Columns of the word that marks an error, with its space.
const MARK: usize = 4;
/// Services that the legend names.
const SERVICES_MAX: usize = 12;
/// Services of the critical path that the footer names.
const SHARES_MAX: usize = 6;

/// Errors.
pub const RED: &str = "31;1";
/// What is beside the point.
pub const DIM: &str = "2";
/// What is odd.
pub const ODD: &str = "33;1";
const BOLD: &str = "1";

/// Where things stand on the page.
pub struct Page<'a> {
    pub(super) trace: &'a Trace,
    pub(super) axis: Axis,
    pub(super) width: usize,
    pub(super) colour: bool,
    pub(super) details: bool,
    path: CriticalPath<'a>,
    colours: HashMap<&'a str, &'static str>,
    label: usize,
    mark: usize,
}

impl<'a> Page<'a> {
    pub fn new(drawing: &Waterfall<'a>, layout: &Layout) -> Self {
        let (trace, width) = (drawing.trace, drawing.width);
        let mark = if trace.spans().any(|span| span.is_error()) { MARK } else { 0 };
        // Names get what they need, up to half of the page; bars get the rest.
        let need = layout.lines.iter().map(|line| {
            let (service, name) = label(trace, line);
            width_of(&line.guide) + width_of(&service) + 2 + width_of(&name)
        });
        let label = need.max().unwrap_or(0).clamp(16, drawing.label_max());
        // The narrowest page leaves 7 columns.
        let bar = width.saturating_sub(label + mark + DURATION + 5);
        let times = trace.spans().map(|span| (span.start_time_ns(), span.end_time_ns()));
        Self {
            trace,
            axis: Axis::new(worthwhile(times.collect()), bar),
            width,
            colour: drawing.colour,
            details: drawing.details,
            path: trace.critical_path(),
            colours: palette(trace.spans().map(|span| span.service_name())),
            label,
            mark,
        }
    }

    /// The trace's id, its time and its numbers; then its services.
    pub fn header(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let trace = self.trace;
        let errors = trace.spans().filter(SpanRef::is_error).count();
        let (start, end) = trace.times();
        writeln!(f, "trace {}", paint(self.colour, BOLD, &trace.id().to_string()))?;
        let red = if errors > 0 { RED } else { "" };
        let mut parts = vec![
            (instant(start), ""),
            (duration(end.saturating_sub(start)), ""),
            (count(trace.spans().len(), "span"), ""),
            (count(self.colours.len(), "service"), ""),
            (count(errors, "error"), red),
        ];
        let orphans = trace.tops().filter(|span| trace.is_orphan(*span)).count();
        let roots = trace.tops().filter(|span| span.parent_span_id().is_none()).count();
        if roots > 1 {
            parts.push((count(roots, "root"), ODD));
        }
        if orphans > 0 {
            parts.push((count(orphans, "orphan"), ODD));
        }
        f.write_str(&flow(&parts, self.width, self.colour))?;
        self.legend(f)
    }

    /// The services with their colours and numbers of spans, the largest first.
    fn legend(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        for span in self.trace.spans() {
            *numbers.entry(span.service_name()).or_default() += 1;
        }
        let mut services: Vec<_> = numbers.into_iter().collect();
        services.sort_unstable_by_key(|&(name, spans)| (std::cmp::Reverse(spans), name));
        let mut parts: Vec<(String, &str)> = Vec::new();
        for &(name, spans) in services.iter().take(SERVICES_MAX) {
            let text = format!("{} {}", clip(&plain(name), self.width / 2), grouped(spans));
            parts.push((text, self.colour_of(name)));
        }
        if services.len() > SERVICES_MAX {
            parts.push((format!("and {} more", grouped(services.len() - SERVICES_MAX)), DIM));
        }
        f.write_str(&flow(&parts, self.width, self.colour))
    }

    /// Two lines: the times, and the axis under them; before them what lies outside of it.
    pub fn axis(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (first, last) = self.axis.times();
        let outside = |span: &SpanRef<'_>| {
            span.end_time_ns().max(span.start_time_ns()) < first || span.start_time_ns() > last
        };
        let outside = self.trace.spans().filter(outside).count();
        if outside > 0 {
            let text = [
                format!("! far from the others and not on the axis: {}", count(outside, "span")),
                format!("(it begins at {})", instant(first)),
            ];
            f.write_str(&flow(&text.map(|text| (text, ODD)), self.width, self.colour))?;
        }
        let before = " ".repeat(self.label + self.mark + DURATION + 4);
        writeln!(f, "{before}{}", paint(self.colour, DIM, self.axis.labels().trim_end()))?;
        writeln!(f, "{before}{}", paint(self.colour, DIM, &self.axis.ruler()))
    }

    /// A line and what stands under it.
    pub fn line(&self, f: &mut Formatter<'_>, line: &Line) -> fmt::Result {
        match &line.item {
            Item::Span(row) => {
                let span = self.trace.span(*row);
                self.row(f, line, &duration(span.duration_ns()), &[*row])?;
                self.notes(f, line, span)
            }
            Item::Run(rows) => {
                let mut durations: Vec<i64> =
                    rows.iter().map(|&row| self.trace.span(row).duration_ns()).collect();
                durations.sort_unstable();
                let median = durations[durations.len() / 2];
                self.row(f, line, &format!("~{}", duration(median)), rows)?;
                self.run_notes(f, line, rows, &durations)
            }
            Item::Missing(parent, rows) => {
                let spans = count(rows.len(), "span");
                let text = format!("! parent {parent} is not stored: {spans}");
                self.under(f, &line.guide, &text, ODD)
            }
            Item::More(spans, errors) => {
                let mut text = format!("… {} more", count(*spans, "span"));
                if *errors > 0 {
                    text += &format!(", {}", count(*errors, "error"));
                }
                self.under(f, &line.guide, &text, if *errors > 0 { RED } else { DIM })
            }
        }
    }

    /// The line of one span, or of a run of equal ones.
    fn row(&self, f: &mut Formatter<'_>, line: &Line, time: &str, rows: &[usize]) -> fmt::Result {
        let mut bar = self.axis.bar();
        let (mut is_error, mut is_critical) = (false, false);
        for &row in rows {
            let span = self.trace.span(row);
            is_error |= span.is_error();
            is_critical |= self.path.contains(span);
            bar.span(span.start_time_ns(), span.end_time_ns());
            for part in self.path.parts_of(row) {
                bar.critical(part.start, part.end);
            }
        }
        let service = rows.first().map_or("", |&row| self.trace.span(row).service_name());
        let colour = self.colour_of(service);
        self.label(f, line, colour, is_critical)?;
        if self.mark > 0 {
            let mark = if is_error { "ERR" } else { "" };
            write!(f, "{}{}", paint(self.colour, RED, mark), pad(MARK - mark.len()))?;
        }
        let sign = if is_critical { paint(self.colour, BOLD, "•") } else { " ".to_owned() };
        let bar = bar.draw();
        let end = if bar.is_empty() { "" } else { " " };
        let (blank, bar) = bar.split_at(bar.len() - bar.trim_start().len());
        let bar = paint(self.colour, if is_error { RED } else { colour }, bar);
        let text = format!("{time:>DURATION$} {sign}{end}{blank}{bar}");
        writeln!(f, "{}", text.trim_end())
    }

    fn label(
        &self,
        f: &mut Formatter<'_>,
        line: &Line,
        colour: &str,
        is_critical: bool,
    ) -> fmt::Result {
        let (service, name) = label(self.trace, line);
        // Deep guides leave at least a little of the name.
        let guide = clip(&line.guide, self.label - 4);
        let room = self.label - width_of(&guide);
        // The service gives way to the name, but for half of the room.
        let least = (room / 2).max(room.saturating_sub(width_of(&name) + 2));
        let service = clip(&service, least);
        let name = clip(&name, room.saturating_sub(width_of(&service) + 2));
        let gap = if name.is_empty() { "" } else { "  " };
        let used = width_of(&service) + gap.len() + width_of(&name);
        let bold = if is_critical { BOLD } else { "" };
        write!(
            f,
            "{}{}{gap}{}{} ",
            paint(self.colour, DIM, &guide),
            paint(self.colour, colour, &service),
            paint(self.colour && is_critical, bold, &name),
            pad(room.saturating_sub(used)),
        )
    }

    /// What the critical path consists of, and what was not drawn.
    pub fn footer(&self, f: &mut Formatter<'_>, hidden: usize) -> fmt::Result {
        let total = self.path.total_ns();
        if total > 0 {
            let head = format!("• critical path {}:", duration(total));
            let mut parts = vec![(head, BOLD)];
            let services = self.path.services();
            for &(name, own) in services.iter().take(SHARES_MAX) {
                let text = clip(&plain(name), self.width / 2);
                let text = format!("{text} {}", percent(own, total));
                parts.push((text, self.colour_of(name)));
            }
            let rest: i64 = services.iter().skip(SHARES_MAX).map(|(_, own)| own).sum();
            if rest > 0 {
                parts.push((format!("others {}", percent(rest, total)), ""));
            }
            f.write_str(&flow(&parts, self.width, self.colour))?;
        }
        if hidden > 0 {
            let are = if hidden == 1 { "is" } else { "are" };
            let text = format!("{} {are} not drawn one by one", count(hidden, "span"));
            f.write_str(&flow(&[(text, DIM)], self.width, self.colour))?;
        }
        Ok(())
    }

    fn colour_of(&self, service: &str) -> &'static str {
        self.colours.get(service).copied().unwrap_or("")
    }

    /// A line under a span, or in place of one.
    pub(super) fn under(
        &self,
        f: &mut Formatter<'_>,
        guide: &str,
        text: &str,
        colour: &str,
    ) -> fmt::Result {
        let guide = clip(guide, self.width / 2);
        let text = clip(text, self.width - width_of(&guide));
        writeln!(f, "{}{}", paint(self.colour, DIM, &guide), paint(self.colour, colour, &text))
    }
}

/// The service and the name of a line, escaped; a run has its number before.
fn label(trace: &Trace, line: &Line) -> (String, String) {
    let (before, row) = match &line.item {
        Item::Span(row) => (String::new(), *row),
        Item::Run(rows) => {
            (format!("{} × ", grouped(rows.len())), rows.first().copied().unwrap_or(0))
        }
        // These have the whole line for themselves.
        Item::Missing(..) | Item::More(..) => return (String::new(), String::new()),
    };
    let span = trace.span(row);
    (before + &plain(span.service_name()), plain(span.name()).into_owned())
}

/// `45 %`, `<1 %`.
fn percent(part: i64, total: i64) -> String {
    match (i128::from(part) * 200 / i128::from(total) + 1) / 2 {
        0 => "<1 %".to_owned(),
        percent => format!("{percent} %"),
    }
}
