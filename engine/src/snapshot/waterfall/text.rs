//! Text of fixed width: clipping, escaping, durations, and the time axis with its bars.

use std::borrow::Cow;
use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat};
use unicode_width::UnicodeWidthChar;

const US: i64 = 1_000;
const MS: i64 = 1_000_000;
const S: i64 = 1_000_000_000;
const MIN: i64 = 60 * S;
const HOUR: i64 = 60 * MIN;
const DAY: i64 = 24 * HOUR;

/// The text with everything that would move the cursor, change the direction of writing or be
/// read as a command by a terminal written as an escape: `\n`, `\u{1b}`.
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_command) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_command(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

fn is_command(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
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

/// A colour that stays with a service; never red, which is for errors.
pub fn palette(service: &str) -> &'static str {
    const COLOURS: [&str; 8] = ["36", "32", "34", "35", "33", "96", "92", "94"];
    let hash = service.bytes().fold(0usize, |h, b| h.wrapping_mul(31).wrapping_add(b.into()));
    COLOURS[hash % COLOURS.len()]
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

/// The common time axis of a drawing.
pub struct Axis {
    start: i64,
    total: i64,
    columns: usize,
}

impl Axis {
    /// An axis from the first to the second instant, this many columns wide.
    pub fn new((start, end): (i64, i64), columns: usize) -> Self {
        Self { start, total: end.saturating_sub(start).max(0), columns }
    }

    /// Where the axis begins, in nanoseconds since the epoch.
    pub fn start(&self) -> i64 {
        self.start
    }

    /// The column of an instant, from 0 to the number of columns.
    fn place(&self, ns: i64) -> f64 {
        if self.total == 0 {
            return 0.0;
        }
        let part = ns.saturating_sub(self.start) as f64 / self.total as f64;
        part.clamp(0.0, 1.0) * self.columns as f64
    }

    /// The columns of the ticks, with their times since the start.
    fn ticks(&self) -> Vec<(usize, i64)> {
        let step = step(self.total, (self.columns / 9).max(1));
        let mut ticks = Vec::new();
        let mut at = 0i64;
        while at <= self.total && ticks.len() <= self.columns {
            ticks.push((self.place(self.start.saturating_add(at)) as usize, at));
            match at.checked_add(step) {
                Some(next) => at = next,
                None => break,
            }
        }
        ticks
    }

    /// The times of the ticks, each above its tick.
    pub fn times(&self) -> String {
        let mut line = String::new();
        for (column, at) in self.ticks() {
            let text = if at == 0 { "0".to_owned() } else { duration(at) };
            let used = line.len();
            // A time that would not fit is left out; its tick stands all the same.
            if column < used || column + text.len() > self.columns + 1 {
                continue;
            }
            let _ = write!(line, "{}{text} ", pad(column - used));
        }
        line
    }

    /// The line with the ticks.
    pub fn ruler(&self) -> String {
        let mut line = vec!['─'; self.columns];
        for (column, _) in self.ticks() {
            if let Some(cell) = line.get_mut(column) {
                *cell = '┬';
            }
        }
        if let Some(first) = line.first_mut() {
            *first = '├';
        }
        line.push('┤');
        line.into_iter().collect()
    }

    /// Blanks, then the bar from one instant to another; at least one cell.
    pub fn bar(&self, start: i64, end: i64) -> String {
        let (from, to) = (self.place(start), self.place(end.max(start)));
        let first = (from as usize).min(self.columns.saturating_sub(1));
        let past = (to.ceil() as usize).clamp(first + 1, self.columns.max(first + 1));
        // What is far shorter than a cell is drawn as a thin one.
        if to - from < 0.3 {
            return pad(first) + "▏";
        }
        pad(first) + &"█".repeat(past - first)
    }
}

/// A round step that cuts `total` into at most about `ticks` parts.
fn step(total: i64, ticks: usize) -> i64 {
    const ROUND: [i64; 13] = [
        30 * S,
        MIN,
        2 * MIN,
        5 * MIN,
        10 * MIN,
        20 * MIN,
        30 * MIN,
        HOUR,
        2 * HOUR,
        3 * HOUR,
        6 * HOUR,
        12 * HOUR,
        DAY,
    ];
    let least = total / i64::try_from(ticks).unwrap_or(i64::MAX).max(1);
    if least > 20 * S
        && let Some(round) = ROUND.into_iter().find(|&step| step >= least)
    {
        return round;
    }
    // Below half a minute and above a day: 1, 2 or 5 times a power of ten.
    let (unit, mut power) = if least > DAY { (DAY, 1) } else { (1, 1i64) };
    loop {
        for factor in [1, 2, 5] {
            let candidate = power.saturating_mul(factor).saturating_mul(unit);
            if candidate >= least {
                return candidate.max(1);
            }
        }
        power = power.saturating_mul(10);
    }
}
