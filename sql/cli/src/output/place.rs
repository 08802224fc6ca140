//! A failing query with a line under what is wrong in it.

use amida_sql::{Error, Place};
use unicode_width::UnicodeWidthStr;

use super::visible;

/// Columns that a terminal has where it does not say.
const WIDTH: usize = 100;
/// What stands for cut text.
const CUT: &str = "..";

/// The message of an error; where its place is known, the line of the query below it, with carets
/// under the place:
///
/// ```text
/// no column is named 'nmae'; did you mean 'name'?
///   |
/// 1 | SELECT nmae FROM spans
///   |        ^^^^
/// ```
///
/// Control characters are made visible, long lines cut around the place. No line break at the end.
pub fn pointed(sql: &str, error: &Error) -> String {
    let words = visible(&error.to_string());
    let known = terminal_size::terminal_size_of(std::io::stderr());
    let width = known.map_or(WIDTH, |(width, _)| usize::from(width.0));
    let drawn = error.place().and_then(|place| drawn(sql, place, width));
    drawn.map_or(words.clone(), |drawn| format!("{words}\n{drawn}"))
}

/// The line of the place and the carets under it; `None` where the text has no such line.
fn drawn(sql: &str, place: Place, width: usize) -> Option<String> {
    let line = sql.split('\n').nth(place.line.checked_sub(1)?)?;
    let line = line.strip_suffix('\r').unwrap_or(line);
    let start = place.column.checked_sub(1)?;
    let cells: Vec<String> = line.chars().map(cell).collect();
    // The place may be one behind the end of the line.
    if start > cells.len() {
        return None;
    }
    let end = start.saturating_add(place.length).min(cells.len()).max(start);
    let number = place.line.to_string();
    let margin = number.len() + " | ".len();
    let room = width.saturating_sub(margin).max(2 * CUT.len() + 1);
    let shown = window(&cells, start, end, room);
    let before = if shown.start > 0 { CUT } else { "" };
    let after = if shown.end < cells.len() { CUT } else { "" };
    let text = cells.get(shown.clone())?.concat();
    let indent = before.width() + columns(cells.get(shown.start..start)?);
    let carets = columns(cells.get(start..end.min(shown.end))?).max(1);
    let blank = " ".repeat(number.len());
    Some(format!(
        "{blank} |\n{number} | {before}{text}{after}\n{blank} | {}{}",
        " ".repeat(indent),
        "^".repeat(carets)
    ))
}

/// The part of a line that fits: the place, and as much before as behind it.
fn window(cells: &[String], start: usize, end: usize, room: usize) -> std::ops::Range<usize> {
    if columns(cells) <= room {
        return 0..cells.len();
    }
    let room = room - 2 * CUT.len();
    let (mut first, mut last, mut used) = (start, start, 0);
    let width = |index: usize| cells.get(index).map_or(0, |cell| cell.width());
    // The place first, then its surroundings from near to far.
    while last < end && used + width(last) <= room {
        used += width(last);
        last += 1;
    }
    loop {
        let mut grown = false;
        if first > 0 && used + width(first - 1) <= room {
            first -= 1;
            used += width(first);
            grown = true;
        }
        if last < cells.len() && last >= end && used + width(last) <= room {
            used += width(last);
            last += 1;
            grown = true;
        }
        if !grown {
            return first..last;
        }
    }
}

/// A character as it is shown: a tab as one space, control characters spelled out.
fn cell(c: char) -> String {
    match c {
        '\t' => " ".to_owned(),
        c => visible(c.encode_utf8(&mut [0; 4])),
    }
}

fn columns(cells: &[String]) -> usize {
    cells.iter().map(|cell| cell.width()).sum()
}

#[cfg(test)]
mod tests {
    use amida_sql::Session;

    use super::{drawn, pointed};

    /// The error of a query on a store without spans, drawn as it is on a terminal of some width.
    fn shown(sql: &str, width: usize) -> String {
        let session = Session::new(&amida::Store::in_memory());
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let error = runtime.block_on(session.query(sql)).expect_err("a mistake");
        let place = error.place().unwrap_or_else(|| panic!("{error} has no place"));
        drawn(sql, place, width).expect("a drawing")
    }

    #[test]
    fn carets_stand_under_the_place() {
        assert_eq!(
            shown("SELECT count(*)\nFROM spans\nWHERE nmae = 'a'", 80),
            "  |\n3 | WHERE nmae = 'a'\n  |       ^^^^"
        );
    }

    #[test]
    fn the_end_of_a_query_can_be_the_place() {
        assert_eq!(
            shown("SELECT name FROM", 80),
            "  |\n1 | SELECT name FROM\n  |                 ^"
        );
    }

    #[test]
    fn wide_characters_tabs_and_line_ends_of_windows_do_not_move_the_carets() {
        assert_eq!(
            shown("SELECT '\u{65e5}\u{672c}',\tnmae FROM spans\r\nLIMIT 1", 80),
            "  |\n1 | SELECT '\u{65e5}\u{672c}', nmae FROM spans\n  |                ^^^^"
        );
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let long = "1, ".repeat(50);
        let shown = shown(&format!("SELECT {long} nmae, {long} 1 FROM spans"), 40);
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines.iter().all(|line| line.len() <= 40), "{shown}");
        assert!(lines[1].starts_with("1 | ..") && lines[1].ends_with(".."), "{shown}");
        let caret = lines[2].find('^').expect("a caret");
        assert_eq!(&lines[1][caret..caret + 4], "nmae", "{shown}");
    }

    #[test]
    fn nothing_in_a_query_can_steer_the_terminal() {
        let shown = shown("SELECT '\u{1b}[31m\u{202e}', nmae FROM spans", 80);
        assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown}");
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[1].find("nmae"), lines[2].find('^'), "{shown}");
    }

    #[test]
    fn an_error_without_a_place_is_its_words() {
        let session = Session::new(&amida::Store::in_memory());
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let error = runtime.block_on(session.query("")).expect_err("nothing to do");
        assert_eq!(pointed("", &error), "the query is empty");
    }
}
