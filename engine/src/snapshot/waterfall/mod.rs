//! `Waterfall`: one trace drawn for a terminal. A header, then a line per span (its place in the
//! tree, its duration, its bar on the common time axis), under it what is odd about it and why it
//! failed; at last what the critical path consists of. docs/trace.md says how to read it.
//!
//! It promises that no line is wider than asked, that no byte of what a span says reaches the
//! terminal as a command, that times are drawn as they were recorded, and that the work is linear
//! in the spans (but for sorting), however deep or strange the tree is.
//!
//! | file | purpose |
//! |---|---|
//! | mod | `Waterfall` |
//! | layout | a trace as lines of a tree: runs folded, the rest counted |
//! | page | the lines as text: header, labels, notes, footer |
//! | notes | what stands under a span: its oddities, its error, its events |
//! | axis | the time axis and the bars on it |
//! | text | escaping, clipping, colours, durations |

use std::fmt::{self, Formatter};

use super::trace::Trace;

mod axis;
mod layout;
#[cfg(test)]
mod layout_tests;
mod notes;
mod page;
#[cfg(test)]
mod tests;
mod text;

use self::layout::{Layout, lay_out};
use self::page::Page;

/// Columns of a drawing that was not told how wide the terminal is.
const WIDTH: usize = 100;
/// Narrower than this, names and bars would have no room.
const WIDTH_MIN: usize = 50;
/// Wider than this, eyes lose the line.
const WIDTH_MAX: usize = 400;
/// Lines of spans in a drawing that does not have to show all.
const LINES_MAX: usize = 500;

/// A drawing of one trace: made with `Waterfall::new`, printed with `{}`.
///
/// `Display` of a `Trace` is this drawing, plain and 100 columns wide. Errors are marked with the
/// word `ERR` and the critical path with a dot, whether there is colour or not. Long runs of equal
/// siblings are folded into one line, and beyond 500 lines the deepest spans are counted instead of
/// drawn; `all` shows every span.
///
/// ```
/// use amida::{RequestBuilder, Resource, SpanBuilder, Store, Waterfall};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (id, root) = ("4bf92f3577b34da6a3ce929d0e0e4736".parse()?, "00f067aa0ba902b7".parse()?);
/// let mut request = RequestBuilder::new(Resource::new("shop"))
///     .span(SpanBuilder::new(id, root, "GET /cart").start_ns(1_000).end_ns(90_000));
/// for n in 0..20_u64 {
///     let span = SpanBuilder::new(id, format!("{:016x}", n + 1).parse()?, "SELECT item")
///         .parent(root)
///         .start_ns(2_000 + 4_000 * n as i64)
///         .end_ns(5_000 + 4_000 * n as i64);
///     request = request.span(span);
/// }
/// let store = Store::in_memory();
/// store.append_otlp(request.finish())?;
/// let trace = store.snapshot().trace(id)?.ok_or("the trace was just stored")?;
///
/// let drawing = Waterfall::new(&trace).width(80);
/// assert!(drawing.to_string().contains("20 × shop  SELECT item"));
/// assert_eq!(drawing.hidden_spans(), 19); // the slowest stands under the line of the run
/// assert_eq!(drawing.all(true).hidden_spans(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Waterfall<'a> {
    trace: &'a Trace,
    width: usize,
    colour: bool,
    all: bool,
    details: bool,
}

impl<'a> Waterfall<'a> {
    /// A plain drawing, 100 columns wide.
    pub fn new(trace: &'a Trace) -> Self {
        Self { trace, width: WIDTH, colour: false, all: false, details: false }
    }

    /// Sets the width in columns; from 50 to 400, values beyond count as these.
    pub fn width(mut self, columns: usize) -> Self {
        self.width = columns.clamp(WIDTH_MIN, WIDTH_MAX);
        self
    }

    /// Says whether to use the terminal's colours; no by default.
    pub fn colour(mut self, colour: bool) -> Self {
        self.colour = colour;
        self
    }

    /// Says whether to draw every span on a line of its own, however many there are; no by default.
    pub fn all(mut self, all: bool) -> Self {
        self.all = all;
        self
    }

    /// Says whether to write attributes, events and links under each span; no by default: then only
    /// failed spans have their events, and others their exceptions.
    pub fn details(mut self, details: bool) -> Self {
        self.details = details;
        self
    }

    /// How many spans have no line of their own in this drawing.
    pub fn hidden_spans(&self) -> usize {
        self.layout().hidden
    }

    fn layout(&self) -> Layout {
        let lines_max = (!self.all).then_some(LINES_MAX);
        lay_out(self.trace, lines_max, self.label_max() / 5)
    }

    /// Columns that names may take with the guides before them.
    fn label_max(&self) -> usize {
        self.width / 2
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Waterfall::new(self).fmt(f)
    }
}

impl fmt::Display for Waterfall<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let layout = self.layout();
        let page = Page::new(self, &layout);
        page.header(f)?;
        page.axis(f)?;
        layout.lines.iter().try_for_each(|line| page.line(f, line))?;
        page.footer(f, layout.hidden)
    }
}
