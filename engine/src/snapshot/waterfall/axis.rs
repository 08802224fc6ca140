//! The time axis of a drawing: which part of time it shows, its ticks, and the bars on it.

use std::fmt::Write as _;

use super::text::{DAY, HOUR, MIN, S, clip, duration, pad, width_of};

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

    /// Where the axis begins and ends, in nanoseconds since the epoch.
    pub fn times(&self) -> (i64, i64) {
        (self.start, self.start.saturating_add(self.total))
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
    pub fn labels(&self) -> String {
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

    /// An empty row of cells on this axis.
    pub fn bar(&self) -> Bar<'_> {
        let cells = vec![Cell::default(); self.columns];
        Bar { axis: self, cells, before: None, after: None }
    }
}

/// The cells of one line: where spans are, and where they are on the critical path.
pub struct Bar<'a> {
    axis: &'a Axis,
    cells: Vec<Cell>,
    /// How long before the axis the last of the spans before it ends, and likewise after it.
    before: Option<i64>,
    after: Option<i64>,
}

#[derive(Clone, Copy, Default)]
struct Cell {
    is_touched: bool,
    /// Parts of the cell's width.
    covered: f64,
    critical: f64,
}

impl Bar<'_> {
    /// Adds a span.
    pub fn span(&mut self, start: i64, end: i64) {
        let end = end.max(start);
        let (first, last) = self.axis.times();
        if end < first {
            let gap = first.saturating_sub(end);
            self.before = Some(self.before.map_or(gap, |known| known.min(gap)));
        } else if start > last {
            let gap = start.saturating_sub(last);
            self.after = Some(self.after.map_or(gap, |known| known.min(gap)));
        } else {
            self.cover(start, end, |cell, part| {
                cell.is_touched = true;
                cell.covered += part;
            });
        }
    }

    /// Adds time on the critical path.
    pub fn critical(&mut self, start: i64, end: i64) {
        self.cover(start, end, |cell, part| cell.critical += part);
    }

    fn cover(&mut self, start: i64, end: i64, add: impl Fn(&mut Cell, f64)) {
        let (from, to) = (self.axis.place(start), self.axis.place(end));
        let first = (from as usize).min(self.cells.len().saturating_sub(1));
        let past = (to.ceil() as usize).max(first + 1);
        for (at, cell) in self.cells.iter_mut().enumerate().take(past).skip(first) {
            let part = to.min(at as f64 + 1.0) - from.max(at as f64);
            add(cell, part.max(0.0));
        }
    }

    /// The cells: full where at least half of what is there is critical, else shaded; thin where a
    /// span is far shorter than a cell. What lies outside of the axis is told in words.
    pub fn draw(&self) -> String {
        let drawn = |cell: &Cell| match cell {
            cell if !cell.is_touched => ' ',
            cell if cell.covered < 0.3 => '▏',
            cell if cell.critical * 2.0 >= cell.covered => '█',
            _ => '░',
        };
        // An end that reaches only a little into a cell is no bar of its own.
        let mut cells: Vec<char> = self.cells.iter().map(drawn).collect();
        let is_solid = |cell: Option<&char>| matches!(cell, Some('█' | '░'));
        for at in 0..cells.len() {
            let before = at.checked_sub(1).and_then(|before| cells.get(before)).copied();
            let is_end = is_solid(before.as_ref()) || is_solid(cells.get(at + 1));
            if cells[at] == '▏' && (is_end || before == Some('▏')) {
                cells[at] = ' ';
            }
        }
        let cells = cells.into_iter().collect::<String>().trim_end().to_owned();
        let words = match (self.before, self.after) {
            _ if !cells.is_empty() => return cells,
            (Some(gap), None) => format!("\u{2190} {} before", duration(gap)),
            (None, Some(gap)) => format!("{} after →", duration(gap)),
            (Some(_), Some(_)) => "\u{2190} before and after →".to_owned(),
            (None, None) => String::new(),
        };
        let words = clip(&words, self.cells.len());
        let blank = if self.before.is_none() { self.cells.len() - width_of(&words) } else { 0 };
        pad(blank) + &words
    }
}

/// The part of time that is worth an axis: where most spans are. What lies apart by more than an
/// hour, and by more than ten times that part, is left out.
pub fn worthwhile(mut times: Vec<(i64, i64)>) -> (i64, i64) {
    times.sort_unstable();
    // Start, end and number of spans of each stretch without a long gap.
    let mut stretches: Vec<(i64, i64, usize)> = Vec::new();
    for (start, end) in times {
        let end = end.max(start);
        match stretches.last_mut() {
            Some(last) if start.saturating_sub(last.1) <= HOUR => {
                last.1 = last.1.max(end);
                last.2 += 1;
            }
            _ => stretches.push((start, end, 1)),
        }
    }
    let most = stretches.iter().map(|stretch| stretch.2).max().unwrap_or(0);
    let at = stretches.iter().position(|stretch| stretch.2 == most).unwrap_or(0);
    let Some(&(mut start, mut end, _)) = stretches.get(at) else { return (0, 0) };
    let near = |gap: i64, (start, end): (i64, i64)| gap / 10 <= end.saturating_sub(start);
    let (mut before, mut after) = (stretches[..at].iter().rev(), stretches[at + 1..].iter());
    while let Some(&(from, to, _)) = before.next()
        && near(start.saturating_sub(to), (start, end))
    {
        start = from;
    }
    while let Some(&(from, to, _)) = after.next()
        && near(from.saturating_sub(end), (start, end))
    {
        end = to;
    }
    (start, end)
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
