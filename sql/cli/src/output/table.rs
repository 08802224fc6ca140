//! Rows in columns. On a terminal no line is wider than it: long text is cut, then columns are left
//! out, and named below the table.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::visible;

/// Between columns.
const GAP: usize = 2;

/// Text and names of columns are not cut below this many columns of the terminal.
const TEXT_MIN: usize = 12;

/// Lengths of ids: from a span id to a UUID.
const ID_LENGTHS: std::ops::RangeInclusive<usize> = 16..=36;

/// Where a value stands in its column, and whether it may be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Text. It may be cut, but for a column of ids.
    Left,
    /// Times, and what else is of no use when it is cut.
    Whole,
    /// Numbers and durations. They are not cut either.
    Right,
}

/// Rows of text under a header.
#[derive(Debug, Clone)]
pub struct Table {
    names: Vec<String>,
    aligns: Vec<Align>,
    rows: Vec<Vec<String>>,
    hint: &'static str,
}

/// A column that is shown.
struct Shown {
    at: usize,
    width: usize,
}

impl Table {
    /// A table with these columns. Without any name it has no header.
    pub fn new<S: Into<String>>(columns: impl IntoIterator<Item = (S, Align)>) -> Self {
        let (names, aligns) =
            columns.into_iter().map(|(name, align)| (visible(&name.into()), align)).unzip();
        Self { names, aligns, rows: Vec::new(), hint: "" }
    }

    /// This table, with what to do to see the columns that did not fit.
    pub fn hint(self, hint: &'static str) -> Self {
        Self { hint, ..self }
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

    /// How wide it is when nothing is cut.
    pub fn width(&self) -> usize {
        let columns = self.shown(None);
        let gaps = GAP * columns.len().saturating_sub(1);
        gaps + columns.iter().map(|column| column.width).sum::<usize>()
    }

    /// The table as lines, without a line end at the end; none is wider than `width`. The last one
    /// names the columns that did not fit.
    pub fn render(&self, width: Option<usize>) -> String {
        let shown = self.shown(width);
        let mut lines = Vec::with_capacity(self.rows.len() + 3);
        if self.has_header() {
            lines.push(self.line(&self.names, &shown));
            let rules: Vec<String> =
                shown.iter().map(|column| "\u{2500}".repeat(column.width)).collect();
            lines.push(rules.join(&" ".repeat(GAP)));
        }
        lines.extend(self.rows.iter().map(|row| self.line(row, &shown)));
        if let Some(width) = width
            && shown.len() < self.names.len()
        {
            lines.push(self.left_out(&shown, width));
        }
        lines.join("\n")
    }

    fn has_header(&self) -> bool {
        self.names.iter().any(|name| !name.is_empty())
    }

    fn line(&self, values: &[String], shown: &[Shown]) -> String {
        let mut line = String::new();
        for Shown { at, width } in shown {
            if !line.is_empty() {
                line.push_str(&" ".repeat(GAP));
            }
            let value = cut(values.get(*at).map_or("", String::as_str), *width);
            let pad = " ".repeat(width.saturating_sub(value.width()));
            match self.aligns[*at] {
                Align::Left | Align::Whole => line.extend([value.as_str(), &pad]),
                Align::Right => line.extend([pad.as_str(), &value]),
            }
        }
        line.truncate(line.trim_end().len());
        line
    }

    /// The columns that are not shown: as many names as fit on a line, and what to do.
    fn left_out(&self, shown: &[Shown], width: usize) -> String {
        let is_shown = |at: usize| shown.iter().any(|column| column.at == at);
        let names = self.names.iter().enumerate();
        let names: Vec<&str> =
            names.filter(|(at, _)| !is_shown(*at)).map(|(_, name)| name.as_str()).collect();
        let hint = if self.hint.is_empty() { String::new() } else { format!("; {}", self.hint) };
        let plural = if names.len() == 1 { "" } else { "s" };
        let line = |many: usize| {
            let dots = if many < names.len() { ", .." } else { "" };
            let list = names[..many].join(", ");
            format!("{} more column{plural}: {list}{dots}{hint}", names.len())
        };
        let fits = (1..=names.len()).rev().map(line).find(|line| line.width() <= width);
        fits.unwrap_or_else(|| cut(&format!("{} more column{plural}{hint}", names.len()), width))
    }

    /// The columns that fit, in their order.
    fn shown(&self, width: Option<usize>) -> Vec<Shown> {
        let mut wanted: Vec<usize> = self.names.iter().map(|name| name.width()).collect();
        let mut least: Vec<usize> = wanted.iter().map(|width| TEXT_MIN.min(*width)).collect();
        let whole: Vec<bool> = (0..wanted.len()).map(|at| self.is_whole(at)).collect();
        for (at, value) in self.rows.iter().flat_map(|row| row.iter().enumerate()) {
            let width = value.width();
            wanted[at] = wanted[at].max(width);
            let is_cut = !whole[at] && self.aligns[at] == Align::Left;
            least[at] = least[at].max(if is_cut { TEXT_MIN.min(width) } else { width });
        }
        let Some(width) = width else {
            let all = wanted.into_iter().enumerate();
            return all.map(|(at, width)| Shown { at, width }).collect();
        };
        let mut shown = choose(&least, &whole, width);
        let gaps = GAP * shown.len().saturating_sub(1);
        let used: usize = shown.iter().map(|column| column.width).sum();
        // What is left goes to the narrowest of those that are cut.
        for _ in 0..width.saturating_sub(gaps + used) {
            let cut = shown.iter_mut().filter(|column| column.width < wanted[column.at]);
            let Some(narrowest) = cut.min_by_key(|column| column.width) else { break };
            narrowest.width += 1;
        }
        shown
    }

    /// Whether a column is of text that is of no use when it is cut.
    fn is_whole(&self, at: usize) -> bool {
        let is_id = |value: &str| {
            value.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
                && ID_LENGTHS.contains(&value.len())
        };
        match self.aligns[at] {
            Align::Whole => true,
            Align::Right => false,
            Align::Left => {
                let values = self.rows.iter().filter_map(|row| row.get(at).map(String::as_str));
                let mut values = values.filter(|value| !["", "NULL"].contains(value));
                values.next().is_some_and(is_id) && values.all(is_id)
            }
        }
    }
}

/// The columns that fit in their least widths: all, else one after the other as long as there is
/// room. Ids and times behind the first column get half of the line: beside them there is to be
/// something to read.
fn choose(least: &[usize], whole: &[bool], width: usize) -> Vec<Shown> {
    let all = least.iter().sum::<usize>() + GAP * least.len().saturating_sub(1);
    let (mut shown, mut used, mut ids) = (Vec::new(), 0, 0);
    for (at, (least, whole)) in least.iter().zip(whole).enumerate() {
        let gap = if shown.is_empty() { 0 } else { GAP };
        let is_first = shown.is_empty();
        let with_ids = ids + if *whole { *least } else { 0 };
        let has_room = used + gap + least <= width && (!*whole || with_ids <= width / 2);
        if all <= width || is_first || has_room {
            let column = Shown { at, width: (*least).min(width) };
            used += gap + column.width;
            ids = with_ids;
            shown.push(column);
        }
    }
    shown
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

    /// As `FROM spans` is: ids, text, numbers and times, more than fit.
    fn spans() -> Table {
        let columns = [
            ("trace_id", Align::Left),
            ("parent_span_id", Align::Left),
            ("name", Align::Left),
            ("start_time", Align::Whole),
            ("duration_ns", Align::Right),
            ("attributes", Align::Left),
            ("dropped_attributes_count", Align::Right),
        ];
        let mut table = Table::new(columns).hint("SELECT some");
        for parent in ["NULL", "00f067aa0ba902b7"] {
            let attributes = JSON.repeat(9);
            table.row([ID, parent, "GET /a/long/path", TIME, "1234567890123", &attributes, "0"]);
        }
        table
    }

    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const TIME: &str = "2026-11-24T23:42:24.123456789Z";
    const JSON: &str = "{\"http.method\": \"GET\"}";

    #[test]
    fn no_line_is_wider_than_the_terminal_and_no_row_takes_two() {
        for width in 20..300 {
            let text = spans().render(Some(width));
            assert!(text.lines().all(|line| line.width() <= width), "{width}: {text}");
            let left_out = usize::from(text.contains(" more column"));
            assert_eq!(text.lines().count(), 4 + left_out, "{width}: {text}");
        }
    }

    #[test]
    fn ids_numbers_and_times_are_whole_or_not_there() {
        let whole = [ID, "00f067aa0ba902b7", "1234567890123", TIME];
        for width in 40..300 {
            let text = spans().render(Some(width));
            let row = text.lines().nth(3).unwrap();
            let words = row.split_whitespace();
            let cut = words.filter_map(|word| word.strip_suffix('\u{2026}'));
            for kept in cut.filter(|kept| !kept.is_empty()) {
                assert!(!whole.iter().any(|whole| whole.starts_with(kept)), "{width}: {text}");
            }
        }
    }

    #[test]
    fn columns_that_do_not_fit_are_named_below() {
        let text = spans().render(Some(80));
        assert!(text.contains("GET /a/long"), "{text}");
        let last = text.lines().last().unwrap();
        assert_eq!(last, "3 more columns: parent_span_id, start_time, ..; SELECT some");
        assert!(spans().render(Some(40)).ends_with("\n6 more columns; SELECT some"));
        assert!(!spans().render(None).contains("more column"));
        assert!(!spans().render(Some(150)).contains("more column"));
    }
}
