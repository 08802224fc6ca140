//! One answer on the terminal. What fits is printed; what is longer goes to the pager.
//!
//! Text is held back until it is over or does not fit any more: only then it is known which.
//! Characters that could steer the terminal are spelled out, whatever the format.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use unicode_width::UnicodeWidthStr;

use super::pager::{Pager, Paging};
use super::visible;

/// Lines of the screen that the answer leaves to what stands around it: its count, the prompt.
const LINES_LEFT: usize = 2;

/// Widest line of a table in a pager that scrolls sideways; it bounds what a table takes in memory.
const PAGED_COLUMNS_MAX: usize = 2_000;

/// Where one answer appears. Clones are the same screen.
#[derive(Debug, Clone)]
pub struct Screen(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    size: Size,
    pager: Option<Pager>,
    /// Its lines are those of a table, which a pager is to cut and scroll, and not to wrap.
    is_table: bool,
    place: Place,
    /// Bytes of a character whose end has not come yet.
    part: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Size {
    columns: usize,
    lines: usize,
}

#[derive(Debug)]
enum Place {
    Held { text: String, lines: usize, column: usize },
    Printed,
    Paged(Paging),
}

impl Screen {
    /// A screen of the terminal's size, for a table or not; without a pager all is printed as it
    /// comes.
    pub fn new(pager: Option<Pager>, is_table: bool) -> Self {
        let size = terminal_size::terminal_size();
        let size = size.map(|(columns, lines)| (usize::from(columns.0), usize::from(lines.0)));
        // A terminal that does not know its size, as in some containers, counts as 100 by 40.
        let (columns, lines) = size.filter(|(c, l)| *c > 0 && *l > 0).unwrap_or((100, 40));
        Self::of(Size { columns: columns.max(40), lines }, pager, is_table)
    }

    fn of(size: Size, pager: Option<Pager>, is_table: bool) -> Self {
        let place = match pager {
            Some(_) => Place::Held { text: String::new(), lines: 0, column: 0 },
            None => Place::Printed,
        };
        Self(Arc::new(Mutex::new(State { size, pager, is_table, place, part: Vec::new() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The columns to which this many lines are to be cut.
    pub fn width(&self, lines: usize) -> usize {
        let state = self.state();
        match &state.pager {
            Some(pager) if lines > state.size.room() && pager.scrolls_sideways() => {
                PAGED_COLUMNS_MAX
            }
            _ => state.size.columns,
        }
    }

    /// Whether there was a pager that was left already.
    pub fn is_left(&self) -> bool {
        match &mut self.state().place {
            Place::Paged(paging) => paging.is_over(),
            Place::Held { .. } | Place::Printed => false,
        }
    }

    /// Ends the answer: prints what is held back, or waits until the pager is left.
    ///
    /// # Errors
    /// The terminal's.
    pub fn finish(self) -> io::Result<()> {
        match std::mem::replace(&mut self.state().place, Place::Printed) {
            Place::Held { text, .. } => print(&text),
            Place::Printed => Ok(()),
            Place::Paged(paging) => paging.wait(),
        }
    }
}

impl Size {
    fn room(self) -> usize {
        self.lines.saturating_sub(LINES_LEFT)
    }
}

impl State {
    fn show(&mut self, shown: &str) -> io::Result<()> {
        let (columns, room) = (self.size.columns, self.size.room());
        let scrolls = self.is_table && self.pager.as_ref().is_some_and(Pager::scrolls_sideways);
        let mut is_wide = false;
        match &mut self.place {
            Place::Printed => return print(shown),
            Place::Paged(paging) => return paging.write(shown),
            Place::Held { text, lines, column } => {
                text.push_str(shown);
                for piece in shown.split_inclusive('\n') {
                    *column += piece.trim_end_matches('\n').width();
                    is_wide |= scrolls && *column > columns;
                    if piece.ends_with('\n') {
                        *lines += 1 + column.saturating_sub(1) / columns;
                        *column = 0;
                    }
                }
                // What is on a line that has not ended counts as well.
                if *lines + column.div_ceil(columns) <= room && !is_wide {
                    return Ok(());
                }
            }
        }
        let held = match std::mem::replace(&mut self.place, Place::Printed) {
            Place::Held { text, .. } => text,
            Place::Printed | Place::Paged(_) => String::new(),
        };
        match self.pager.as_ref().map(|pager| pager.start(is_wide)) {
            Some(Ok(mut paging)) => {
                let written = paging.write(&held);
                self.place = Place::Paged(paging);
                written
            }
            // Without a shell it is printed.
            Some(Err(_)) | None => print(&held),
        }
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.state();
        let mut part = std::mem::take(&mut state.part);
        part.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&part) {
            // The end of the character is still to come.
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => part.len(),
        };
        state.part = part.split_off(whole);
        let mut shown = String::with_capacity(part.len());
        for line in String::from_utf8_lossy(&part).split_inclusive('\n') {
            shown.push_str(&visible(line.trim_end_matches('\n')));
            if line.ends_with('\n') {
                shown.push('\n');
            }
        }
        state.show(&shown)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { columns: 10, lines: 5 };

    fn held(chunks: &[&[u8]]) -> Option<(String, usize)> {
        // A pager that cannot be mistaken for one that shows the text.
        let mut screen = Screen::of(SIZE, Some(Pager::test("cat > /dev/null")), false);
        for chunk in chunks {
            screen.write_all(chunk).unwrap();
        }
        let shown = match &screen.state().place {
            Place::Held { text, lines, .. } => Some((text.clone(), *lines)),
            Place::Printed | Place::Paged(_) => None,
        };
        if shown.is_none() {
            screen.finish().unwrap();
        }
        shown
    }

    #[test]
    fn what_fits_is_held_and_what_does_not_is_paged() {
        assert_eq!(held(&[b"a\nb\nc\n"]), Some(("a\nb\nc\n".to_owned(), 3)));
        assert_eq!(held(&[b"a\nb\nc\nd\n"]), None);
        assert_eq!(held(&[b"12345678901\n\n"]).map(|(_, lines)| lines), Some(3));
        assert_eq!(held(&[b"1234567890123456789012345678901"]), None);
    }

    #[test]
    fn a_character_in_two_writes_is_one() {
        let text = "\u{65e5}".as_bytes();
        assert_eq!(held(&[&text[..1], &text[1..], b"\n"]), Some(("\u{65e5}\n".to_owned(), 1)));
    }

    #[test]
    fn nothing_steers_the_terminal() {
        let (text, _) = held(&[b"\x1b[2J\n\xff\n"]).unwrap();
        assert_eq!(text, "\\u{1b}[2J\n\u{fffd}\n");
    }

    #[test]
    fn only_a_pager_that_scrolls_sideways_gets_wide_lines() {
        let less = Screen::of(SIZE, Some(Pager::test("less")), true);
        assert_eq!((less.width(3), less.width(4)), (10, PAGED_COLUMNS_MAX));
        assert_eq!(Screen::of(SIZE, Some(Pager::test("more")), true).width(4), 10);
        assert_eq!(Screen::of(SIZE, None, true).width(4), 10);
    }
}
