//! Text of fixed width: escaping, clipping, wrapping, colours, times and durations.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, SecondsFormat};
use unicode_width::UnicodeWidthChar;

const US: i64 = 1_000;
const MS: i64 = 1_000_000;
/// A second in nanoseconds.
pub const S: i64 = 1_000_000_000;
/// A minute.
pub const MIN: i64 = 60 * S;
/// An hour.
pub const HOUR: i64 = 60 * MIN;
/// A day.
pub const DAY: i64 = 24 * HOUR;

/// Most marks drawn over one letter.
const COMBINED_MAX: usize = 4;

/// The text as it may be drawn: everything that would move the cursor, change the direction of
/// writing, be read as a command by a terminal or be invisible is written as an escape (`\n`,
/// `\u{1b}`). Joined emoji are drawn side by side, as terminals differ on how wide the joined one
/// is; of letters with a pile of marks only the first few marks stay.
pub fn plain(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    let (mut after_wide, mut combined) = (false, 0);
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        match c {
            _ if is_command(c) => out.extend(c.escape_default()),
            '\u{1f3fb}'..='\u{1f3ff}' if after_wide => continue,
            '\u{200d}' if after_wide => continue,
            '\u{fe0e}' | '\u{fe0f}' => continue,
            _ if wide == 0 && combined == COMBINED_MAX => continue,
            _ => out.push(c),
        }
        combined = if wide == 0 { combined + 1 } else { 0 };
        after_wide = wide == 2;
    }
    Cow::Owned(out)
}

/// Controls, and what is invisible: soft hyphens, marks and overrides of direction, zero-width
/// spaces, interlinear annotations, tags.
fn is_command(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Columns that the text takes once it is escaped.
pub fn width_of(text: &str) -> usize {
    plain(text).chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// The text in at most `columns` columns; what is cut ends in an ellipsis.
pub fn clip(text: &str, columns: usize) -> String {
    let mut kept = 0;
    let mut used = 0;
    for (at, c) in text.char_indices() {
        let wide = c.width().unwrap_or(0);
        if used + wide > columns {
            let mut cut = text[..kept].to_owned();
            if columns > 0 {
                cut.push('…');
            }
            return cut;
        }
        used += wide;
        // Where an ellipsis still fits behind.
        if used < columns {
            kept = at + c.len_utf8();
        }
    }
    text.to_owned()
}

/// This many blanks.
pub fn pad(columns: usize) -> String {
    " ".repeat(columns)
}

/// The text in a colour, or as it is.
pub fn paint(colour: bool, code: &str, text: &str) -> String {
    if colour && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

/// Colours of services; never red, which is for errors.
const COLOURS: [&str; 12] =
    ["36", "32", "34", "35", "33", "96", "92", "94", "95", "93", "38;5;208", "38;5;141"];

/// A colour for each service: the same in every trace, but where two services of one trace would
/// have the same one and another is free.
pub fn palette<'a>(services: impl IntoIterator<Item = &'a str>) -> HashMap<&'a str, &'static str> {
    let names: BTreeSet<&str> = services.into_iter().collect();
    let mut taken = [false; COLOURS.len()];
    let mut colours = HashMap::new();
    for name in names {
        let hash = name.bytes().fold(0usize, |h, b| h.wrapping_mul(31).wrapping_add(b.into()));
        let wanted = hash % COLOURS.len();
        let mut slots = (wanted..COLOURS.len()).chain(0..wanted);
        let slot = slots.find(|&slot| !taken[slot]).unwrap_or(wanted);
        taken[slot] = true;
        colours.insert(name, COLOURS[slot]);
    }
    colours
}

/// Parts one after the other, two blanks between them, in as few lines of this width as possible.
/// A part is its text and how it is painted.
pub fn flow(parts: &[(String, &str)], width: usize, colour: bool) -> String {
    let (mut out, mut used) = (String::new(), 0);
    for (text, code) in parts {
        let text = clip(text, width);
        let wide = width_of(&text);
        if used > 0 && used + 2 + wide > width {
            out.push('\n');
            used = 0;
        } else if used > 0 {
            out.push_str("  ");
            used += 2;
        }
        out.push_str(&paint(colour && !code.is_empty(), code, &text));
        used += wide;
    }
    out.push('\n');
    out
}

/// `1 span`, `12,345 spans`.
pub fn count(number: usize, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// A number with its thousands apart.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// An instant as RFC 3339 in UTC, with as many digits as it needs.
pub fn instant(ns: i64) -> String {
    DateTime::from_timestamp_nanos(ns).to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// A duration in three digits and the unit that suits: `999 ns`, `1.25 ms`, `42 s`; from a minute
/// on `2m05s`, `3h20m`, `12.5 d`.
pub fn duration(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let size = ns.unsigned_abs();
    for (unit, word) in [(1, "ns"), (US, "us"), (MS, "ms"), (S, "s")] {
        let unit = unit.unsigned_abs();
        // Rounding to three digits must not make a thousand of one unit, nor 60 seconds.
        let limit = if word == "s" { unit * 60 - unit / 20 } else { unit * 1000 - unit / 2 };
        if size < limit {
            return format!("{sign}{} {word}", three_digits(size, unit));
        }
    }
    let seconds = size / S.unsigned_abs() + u64::from(size % S.unsigned_abs() >= 500_000_000);
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    if hours < 1 {
        format!("{sign}{minutes}m{:02}s", seconds % 60)
    } else if hours < 48 {
        format!("{sign}{hours}h{:02}m", minutes % 60)
    } else {
        format!("{sign}{} d", three_digits(size, DAY.unsigned_abs()))
    }
}

fn three_digits(size: u64, unit: u64) -> String {
    // 53 bits hold three digits with room to spare.
    let value = size as f64 / unit as f64;
    match value {
        _ if size.is_multiple_of(unit) => format!("{value:.0}"),
        v if v < 9.995 => format!("{v:.2}"),
        v if v < 99.95 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    }
}
