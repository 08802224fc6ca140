//! Rows in columns. On a terminal the widest columns give way until the lines fit.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::visible;

/// Between columns.
const GAP: usize = 2;

/// A column is not cut below this many columns of the terminal.
const COLUMN_MIN: usize = 8;

/// Where a value stands in its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Rows of text under a header.
#[derive(Debug, Clone)]
pub struct Table {
    names: Vec<String>,
    aligns: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns. Without any name it has no header.
    pub fn new<S: Into<String>>(columns: impl IntoIterator<Item = (S, Align)>) -> Self {
        let (names, aligns) =
            columns.into_iter().map(|(name, align)| (visible(&name.into()), align)).unzip();
        Self { names, aligns, rows: Vec::new() }
    }

    /// Adds a row: a value for each column.
    pub fn row<S: AsRef<str>>(&mut self, values: impl IntoIterator<Item = S>) {
        let values = values.into_iter().map(|value| visible(value.as_ref()));
        self.rows.push(values.take(self.names.len()).collect());
    }

    /// How many lines it has.
    pub fn height(&self) -> usize {
        self.rows.len() + 2 * usize::from(self.has_header())
    }

    /// The table as lines, without a line end at the end; not wider than `width` as far as columns
    /// can be cut.
    pub fn render(&self, width: Option<usize>) -> String {
        let widths = self.widths(width);
        let mut lines = Vec::with_capacity(self.rows.len() + 2);
        if self.has_header() {
            lines.push(self.line(&self.names, &widths));
            let rules: Vec<String> = widths.iter().map(|width| "\u{2500}".repeat(*width)).collect();
            lines.push(rules.join(&" ".repeat(GAP)));
        }
        lines.extend(self.rows.iter().map(|row| self.line(row, &widths)));
        lines.join("\n")
    }

    fn has_header(&self) -> bool {
        self.names.iter().any(|name| !name.is_empty())
    }

    fn line(&self, values: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for ((value, width), align) in values.iter().zip(widths).zip(&self.aligns) {
            if !line.is_empty() {
                line.push_str(&" ".repeat(GAP));
            }
            let value = cut(value, *width);
            let pad = " ".repeat(width.saturating_sub(value.width()));
            match align {
                Align::Left => line.extend([value.as_str(), &pad]),
                Align::Right => line.extend([pad.as_str(), &value]),
            }
        }
        line.truncate(line.trim_end().len());
        line
    }

    /// The width of each column.
    fn widths(&self, width: Option<usize>) -> Vec<usize> {
        let mut widths: Vec<usize> = self.names.iter().map(|name| name.width()).collect();
        for row in &self.rows {
            for (width, value) in widths.iter_mut().zip(row) {
                *width = (*width).max(value.width());
            }
        }
        let gaps = GAP * widths.len().saturating_sub(1);
        if let Some(width) = width {
            fit(&mut widths, width.saturating_sub(gaps));
        }
        widths
    }
}

/// Makes the widest columns narrower until all fit, or are as narrow as columns get.
fn fit(widths: &mut [usize], room: usize) {
    loop {
        let used: usize = widths.iter().sum();
        let widest = widths.iter().copied().max().unwrap_or(0);
        if used <= room || widest <= COLUMN_MIN {
            return;
        }
        // All that are widest come down to the next width at once, or as far as needed.
        let next = widths.iter().copied().filter(|width| *width < widest).max().unwrap_or(0);
        let many = widths.iter().filter(|width| **width == widest).count();
        let step = (widest - next.max(COLUMN_MIN)).min((used - room).div_ceil(many));
        for width in widths.iter_mut().filter(|width| **width == widest) {
            *width -= step;
        }
    }
}

/// The text in at most this many columns, with an ellipsis where it was cut.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 1; // the ellipsis
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        kept.push(c);
    }
    kept.push('\u{2026}');
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new([("name", Align::Left), ("n", Align::Right)]);
        table.row(["short", "1"]);
        table.row(["a name that is quite long", "1000"]);
        table
    }

    #[test]
    fn nothing_is_cut_without_a_width() {
        assert_eq!(
            table().render(None).lines().collect::<Vec<_>>(),
            [
                "name                          n",
                &format!("{}  {}", "\u{2500}".repeat(25), "\u{2500}".repeat(4)),
                "short                         1",
                "a name that is quite long  1000",
            ]
        );
    }

    #[test]
    fn the_widest_column_gives_way() {
        let text = table().render(Some(20));
        assert!(text.lines().all(|line| line.width() <= 20), "{text}");
        assert!(text.contains("a name that i\u{2026}  1000"), "{text}");
    }

    #[test]
    fn wide_characters_count_as_two_columns() {
        let mut table = Table::new([("k", Align::Left)]);
        table.row(["\u{65e5}".repeat(20)]);
        for width in [9, 10, 11] {
            let text = table.render(Some(width));
            assert!(text.lines().all(|line| line.width() <= width), "{text}");
        }
    }

    #[test]
    fn columns_are_not_cut_to_nothing() {
        let mut table = Table::new((0..30).map(|n| (format!("column_number_{n}"), Align::Left)));
        table.row((0..30).map(|_| "v"));
        let text = table.render(Some(40));
        assert!(text.contains("column_\u{2026}  column_"), "{text}");
    }
}
