//! What people and programs read: tables, formats, numbers with units, and the broken pipe.
//!
//! | file | purpose |
//! |---|---|
//! | table | rows in columns, cut to a width |
//! | formats | query answers as table, CSV, JSON, NDJSON, Parquet |
//! | shown | rows and plans as a table shows them |
//! | zone | the time zone in which times are shown |
//! | sink | where an answer or export goes: standard output, a file, the screen |
//! | screen, pager | an answer on the screen, by a pager where it is longer |
//! | place | a failing query with a line under what is wrong in it |

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::{Serialize, Serializer};

use crate::commands::Failure;

pub mod formats;
pub mod pager;
pub mod place;
pub mod screen;
mod shown;
pub mod sink;
mod table;
pub mod zone;

pub use self::table::{Align, Table};

/// A line, or several, on standard output.
pub fn say(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

/// One JSON value on standard output.
pub fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value);
    say(&text.map_err(|error| Failure::Because(error.to_string()))?)
}

/// A bar on standard error that looks like this, where that is a terminal: else nothing is shown.
pub fn bar(bar: ProgressBar, template: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// A bar for this many bytes; 0 where that is not known yet.
pub fn byte_bar(bytes: u64) -> ProgressBar {
    let template = "{bar:24} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {msg}";
    bar(ProgressBar::new(bytes), template)
}

/// Columns of the terminal; `None` where standard output is none.
pub fn width() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    // A terminal that does not know its size, as in some containers, counts as 100 columns wide.
    let known = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    Some(known.unwrap_or(100).max(40))
}

/// Whether to use colours there: on a terminal, unless `NO_COLOR` is set.
pub fn colours(to: &impl IsTerminal) -> bool {
    to.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A number with separators: `12,345`.
pub fn count(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

/// A number of things: `1 span`, `12,345 spans`.
pub fn things(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", count(number))
}

/// Bytes with a unit: `1.50 MiB`.
pub fn bytes(number: u64) -> String {
    indicatif::BinaryBytes(number).to_string()
}

/// A path in a report. JSON is text: what is no UTF-8 in a path is replaced.
pub fn path<P: AsRef<Path>, S: Serializer>(path: &P, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&path.as_ref().display())
}

/// Reasons with their counts: `3 bad_trace_id, 1 bad_span_id`; `none`.
pub fn reasons<K: AsRef<str>>(reasons: &BTreeMap<K, u64>) -> String {
    if reasons.is_empty() {
        return "none".to_owned();
    }
    let words = reasons.iter().map(|(reason, n)| format!("{} {}", count(*n), reason.as_ref()));
    words.collect::<Vec<_>>().join(", ")
}

/// How many letters a word is away from the one that may be meant; `None` when it is too far: for
/// a word of one or two letters anything is.
pub fn distance(word: &str, meant: &str) -> Option<usize> {
    let far = strsim::damerau_levenshtein(word, meant);
    let letters = word.chars().filter(|c| c.is_alphanumeric()).count();
    (far <= (letters / 3).min(2)).then_some(far)
}

/// Text that cannot do anything to a terminal: control characters are spelled out. What came from
/// spans or files was written by others.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\t' => shown.push_str("\\t"),
            '\r' => shown.push_str("\\r"),
            c if is_command(c) => {
                // Writing to a String cannot fail.
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
            }
            c => shown.push(c),
        }
    }
    shown
}

/// Controls, and what is invisible or reorders the text around it; the waterfall escapes the same.
fn is_command(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_cannot_steer_the_terminal() {
        assert_eq!(
            visible("a\u{1b}[31mb\nc\u{9b}d\u{202e}e"),
            "a\\u{1b}[31mb\\nc\\u{9b}d\\u{202e}e"
        );
        assert_eq!(visible("caf\u{e9} \u{65e5}"), "caf\u{e9} \u{65e5}");
    }

    #[test]
    fn numbers_have_separators_and_units() {
        assert_eq!((count(1_234_567), bytes(1536)), ("1,234,567".into(), "1.50 KiB".into()));
    }
}
