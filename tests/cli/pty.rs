//! A terminal with a program in it: keys go in, the screen comes out. Made by `script`, where there
//! is one.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use unicode_width::UnicodeWidthChar;

/// Longest wait for what must come; a test that waits so long has failed.
const WAIT: Duration = Duration::from_secs(120);

pub const CTRL_C: &str = "\u{3}";
const CTRL_D: &str = "\u{4}";
pub const UP: &str = "\u{1b}[A";

/// The terminal. What was waited for is behind, and is not found again.
pub struct Terminal {
    child: Child,
    keys: Option<ChildStdin>,
    seen: Arc<(Mutex<Seen>, Condvar)>,
    mark: usize,
}

#[derive(Default)]
struct Seen {
    bytes: Vec<u8>,
    over: bool,
}

impl Terminal {
    /// `amida` with these arguments on a terminal of 24 lines and 80 columns; `None` where none can
    /// be made. Its history and home are in `home`.
    pub fn open(home: &Path, args: &str, vars: &[(&str, &str)]) -> Option<Self> {
        let amida = env!("CARGO_BIN_EXE_amida");
        let line = format!("stty rows 24 cols 80; exec '{amida}' {args}");
        let child = Command::new("script")
            .args(["-qefc", &line, "/dev/null"])
            .current_dir(home)
            .env_remove("AMIDA_LOG")
            .env_remove("PAGER")
            .env_remove("LESS")
            .env("AMIDA_PAGER", "")
            .env("AMIDA_HISTORY", home.join("history"))
            .env("HOME", home)
            .env("TERM", "xterm")
            .envs(vars.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut child) = child else {
            eprintln!("SKIPPED: there is no program `script` to make a terminal");
            return None;
        };
        let mut output = child.stdout.take().unwrap();
        let seen = Arc::new((Mutex::new(Seen::default()), Condvar::new()));
        let all = seen.clone();
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            loop {
                let read = output.read(&mut chunk).unwrap_or(0);
                let mut seen = all.0.lock().unwrap();
                seen.bytes.extend_from_slice(&chunk[..read]);
                seen.over |= read == 0;
                all.1.notify_all();
                if read == 0 {
                    return;
                }
            }
        });
        let keys = child.stdin.take();
        Some(Self { child, keys, seen, mark: 0 })
    }

    /// As `open`, with the first prompt there.
    pub fn prompt(home: &Path, args: &str, vars: &[(&str, &str)]) -> Option<Self> {
        let mut terminal = Self::open(home, args, vars)?;
        terminal.wait_for("amida> ");
        Some(terminal)
    }

    /// Presses keys.
    pub fn press(&mut self, keys: impl AsRef<[u8]>) {
        let stdin = self.keys.as_mut().unwrap();
        stdin.write_all(keys.as_ref()).unwrap();
        stdin.flush().unwrap();
    }

    /// Types a line, waits for this in the answer, and for the next prompt.
    pub fn ask(&mut self, line: &str, answer: &str) {
        self.press(line);
        self.press("\r");
        self.wait_for(answer);
        self.wait_for("amida> ");
    }

    /// Waits until the program writes this.
    pub fn wait_for(&mut self, text: &str) {
        let (lock, news) = &*self.seen;
        let find = |seen: &Seen| {
            let rest = &seen.bytes[self.mark..];
            rest.windows(text.len()).position(|window| window == text.as_bytes())
        };
        let guard = lock.lock().unwrap();
        let waiting = |seen: &mut Seen| find(seen).is_none() && !seen.over;
        let (seen, _) = news.wait_timeout_while(guard, WAIT, waiting).unwrap();
        let Some(at) = find(&seen) else {
            let all = String::from_utf8_lossy(&seen.bytes).into_owned();
            drop(seen);
            panic!("{text:?} did not come: {all}\nas it looks:\n{}", Picture::of(&all));
        };
        self.mark += at + text.len();
    }

    /// Everything that was written until now, with what steers the terminal.
    pub fn written(&self) -> String {
        String::from_utf8_lossy(&self.seen.0.lock().unwrap().bytes).into_owned()
    }

    /// What is on the terminal, and has left it at the top.
    pub fn picture(&self) -> String {
        Picture::of(&self.written())
    }

    /// Leaves the program; what was on the terminal at the end.
    pub fn leave(mut self) -> String {
        self.press(CTRL_D);
        let (lock, news) = &*self.seen;
        let guard = lock.lock().unwrap();
        let (seen, late) = news.wait_timeout_while(guard, WAIT, |seen| !seen.over).unwrap();
        assert!(!late.timed_out(), "it does not end: {}", String::from_utf8_lossy(&seen.bytes));
        drop(seen);
        let status = self.child.wait().unwrap();
        let picture = self.picture();
        assert!(status.success(), "{status}: {picture}");
        picture
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        drop(self.keys.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A terminal without a lower end, with the few things that the line editor asks of one.
#[derive(Default)]
struct Picture {
    lines: Vec<Vec<char>>,
    line: usize,
    column: usize,
}

impl Picture {
    fn of(written: &str) -> String {
        let mut picture = Self::default();
        let mut rest = written.chars();
        while let Some(c) = rest.next() {
            match c {
                '\u{1b}' => picture.escape(&mut rest),
                '\r' => picture.column = 0,
                '\n' => picture.line += 1,
                '\u{8}' => picture.column = picture.column.saturating_sub(1),
                c if c.is_control() => {}
                c => picture.put(c),
            }
        }
        let lines = picture.lines.iter().map(|line| {
            let line: String = line.iter().filter(|c| **c != '\0').collect();
            format!("{}\n", line.trim_end())
        });
        lines.collect()
    }

    fn put(&mut self, c: char) {
        let width = c.width().unwrap_or(0);
        if width == 0 {
            return;
        }
        let line = self.current();
        let column = line.1;
        let line = line.0;
        line.resize(line.len().max(column + width), ' ');
        line[column] = c;
        // The other half of a wide character.
        line[column + 1..column + width].fill('\0');
        self.column += width;
    }

    fn current(&mut self) -> (&mut Vec<char>, usize) {
        self.lines.resize(self.lines.len().max(self.line + 1), Vec::new());
        (&mut self.lines[self.line], self.column)
    }

    fn escape(&mut self, rest: &mut std::str::Chars<'_>) {
        assert_eq!(rest.next(), Some('['), "only CSI is known here");
        let mut number = String::new();
        let last = loop {
            match rest.next().unwrap() {
                c @ ('@'..='~') => break c,
                c => number.push(c),
            }
        };
        let count = number.parse().unwrap_or(1);
        match last {
            'A' => self.line = self.line.saturating_sub(count),
            'B' => self.line += count,
            'C' => self.column += count,
            'D' => self.column = self.column.saturating_sub(count),
            'K' => {
                let (line, column) = self.current();
                line.truncate(column);
            }
            // Modes: pasting in brackets, drawing at once.
            'h' | 'l' => {}
            other => panic!("ESC [ {number} {other} is not known here"),
        }
    }
}
