//! `amida trace`: one trace, found by its id.
//!
//! It promises that a script gets the same whatever the terminal is: plain text where standard
//! output is none, and JSON whose fields are described in docs/trace.md.
//!
//! | file | purpose |
//! |---|---|
//! | mod | the command; finding the trace and the span that are meant |
//! | json | the trace as one JSON object |
//! | span | everything about one span |

use std::ffi::OsStr;

use amida::{Snapshot, SpanId, Trace, TraceId, Waterfall};

use super::{Failure, Outcome, open, rfc3339, tell_missing, unreadable, view};
use crate::args::{Colour, TraceArgs};
use crate::output;

mod json;
mod span;

use self::json::TraceJson;

/// Most traces that an ambiguous prefix lists.
const CANDIDATES_MAX: usize = 20;

/// Draws a trace.
pub fn run(args: &TraceArgs) -> Result<Outcome, Failure> {
    let reader = open(&args.dir)?;
    let snapshot = view(&reader, &args.partial);
    let found = find(&snapshot, &args.id)?;
    let outcome = tell_missing(&snapshot.missing());
    let Some(trace) = found else {
        return Ok(Outcome::Failed);
    };
    let mut wanted = None;
    if let Some(text) = &args.span {
        let Some(id) = find_span(&trace, text)? else {
            return Ok(Outcome::Failed);
        };
        wanted = Some(id);
    }
    match wanted {
        _ if args.json => output::json(&TraceJson::new(&trace, wanted))?,
        Some(id) => output::say(&span::text(&trace, id))?,
        None => draw(args, &trace)?,
    }
    Ok(outcome)
}

fn draw(args: &TraceArgs, trace: &Trace) -> Result<(), Failure> {
    let width = args.width.map(usize::from).or_else(output::width).unwrap_or(100);
    let drawing = Waterfall::new(trace)
        .width(width)
        .colour(wants_colour(args.color))
        .all(args.all)
        .details(args.details);
    output::say(drawing.to_string().trim_end())?;
    if !args.all && drawing.hidden_spans() > 0 {
        output::say("--all draws every span, --json has them as data")?;
    }
    Ok(())
}

/// What the command line says, else what the environment does: `NO_COLOR` before `CLICOLOR_FORCE`,
/// as <https://no-color.org> and <https://bixense.com/clicolors> have them.
fn wants_colour(colour: Colour) -> bool {
    let says = |name: &str, off: &str| {
        let value = std::env::var_os(name);
        value.is_some_and(|value| !value.is_empty() && value != OsStr::new(off))
    };
    match colour {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto if says("NO_COLOR", "") => false,
        Colour::Auto => says("CLICOLOR_FORCE", "0") || output::colours(&std::io::stdout()),
    }
}

/// An id without the dots of one that was cut, as a copied one may be.
fn without_dots(text: &str) -> &str {
    text.trim().trim_end_matches(['\u{2026}', '.'])
}

/// The id of the span that the text means; `None` once it was said why there is none.
fn find_span(trace: &Trace, text: &str) -> Result<Option<SpanId>, Failure> {
    let digits = without_dots(text);
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if digits.is_empty() || digits.len() > 16 || !is_hex {
        return Err(Failure::Because(format!(
            "{text:?} is no span id: expected up to 16 hex digits"
        )));
    }
    let prefix = digits.to_ascii_lowercase();
    let ids = trace.spans().map(|span| span.span_id());
    let mut found: Vec<SpanId> = ids.filter(|id| id.to_string().starts_with(&prefix)).collect();
    found.sort_unstable();
    found.dedup();
    match found.as_slice() {
        [] => eprintln!("amida: no span of trace {} begins with {prefix}", trace.id()),
        [id] => return Ok(Some(*id)),
        many => {
            eprintln!("amida: {} spans begin with {prefix}:", many.len());
            for id in many.iter().take(CANDIDATES_MAX) {
                eprintln!("  {id}");
            }
        }
    }
    Ok(None)
}

/// The trace that the text means; `None` once it was said why there is none.
fn find(snapshot: &Snapshot, text: &str) -> Result<Option<Trace>, Failure> {
    let Some(id) = find_id(snapshot, text)? else { return Ok(None) };
    let trace = snapshot.trace(id).map_err(unreadable)?;
    if trace.is_none() {
        eprintln!("amida: there is no trace {id}");
    }
    Ok(trace)
}

/// The id that the text means; `None` once it was said why it means none. Whether a whole id is
/// stored is not asked.
pub fn find_id(snapshot: &Snapshot, text: &str) -> Result<Option<TraceId>, Failure> {
    let digits = without_dots(text);
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if digits.is_empty() || digits.len() > 32 || !is_hex {
        return Err(Failure::Because(format!(
            "{text:?} is no trace id: expected up to 32 hex digits"
        )));
    }
    let text = digits;
    if text.len() == 32 {
        return Ok(Some(text.parse()?));
    }
    let found = snapshot.traces_with_prefix(text, CANDIDATES_MAX + 1);
    let mut candidates = found.map_err(unreadable)?;
    if text.len() == 16 {
        // A 64-bit id is stored with zeros before it; it is meant before a prefix is.
        let padded: TraceId = format!("{text:0>32}").parse()?;
        if snapshot.trace(padded).map_err(unreadable)?.is_some() {
            candidates.retain(|id| *id != padded);
            if candidates.is_empty() {
                return Ok(Some(padded));
            }
            candidates.insert(0, padded);
        }
    }
    match candidates.as_slice() {
        [] => {
            eprintln!("amida: no trace begins with {text}");
            Ok(None)
        }
        [id] => Ok(Some(*id)),
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
