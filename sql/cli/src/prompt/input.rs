//! Where text comes from: the line editor, or plain lines where the terminal is too simple for it.

use std::io::{self, BufRead, Write};
use std::sync::{Arc, OnceLock};

use amida::{Catalog, Reader};
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context, Editor, Helper};
use tokio::runtime::{Builder, Runtime};
use tokio::task::spawn_blocking;

use super::complete::complete;
use super::history::{ENTRIES_MAX, HistoryFile};
use super::interrupt::Interrupts;
use super::names::Names;
use super::tell;
use super::text::is_complete;
use crate::commands::Failure;

const PROMPT: &str = "amida> ";

/// Before the further lines of a statement, where there is no editor.
const PROMPT_MORE: &str = "  ...> ";

/// Terminals on which the cursor cannot be moved.
const SIMPLE: [&str; 3] = ["dumb", "cons25", "emacs"];

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub enum Typed {
    /// Statements and commands that ended.
    Text(String),
    /// Ctrl-C: what was typed does not count.
    Nothing,
    /// Ctrl-D, or there is no terminal any more.
    End,
}

/// Reads statements and commands.
pub struct Input {
    editor: Option<Box<Editor<Line, FileHistory>>>,
    history: Option<HistoryFile>,
    /// Where plain lines and Ctrl-C are waited for at once.
    waits: Runtime,
}

impl Input {
    /// Reads from the terminal; completion knows what the store of this reader has, and the names
    /// as soon as they are there.
    pub fn new(reader: Reader, names: Arc<OnceLock<Names>>) -> Result<Self, Failure> {
        let waits = Builder::new_current_thread().build()?;
        let term = std::env::var("TERM").unwrap_or_default();
        if SIMPLE.iter().any(|simple| term.eq_ignore_ascii_case(simple)) {
            return Ok(Self { editor: None, history: None, waits });
        }
        let config = Config::builder()
            .max_history_size(ENTRIES_MAX)
            .map_err(|error| because(&error))?
            .completion_type(CompletionType::List)
            .build();
        let mut editor = Editor::with_config(config).map_err(|error| because(&error))?;
        editor.set_helper(Some(Line { reader, names }));
        let history = HistoryFile::open(editor.history_mut());
        let (editor, history) = (Some(Box::new(editor)), Some(history));
        Ok(Self { editor, history, waits })
    }

    /// Waits for the next statements or commands. The interrupts that come meanwhile are taken.
    ///
    /// # Errors
    /// The terminal's.
    pub fn read(&mut self, interrupts: &mut Interrupts) -> Result<Typed, Failure> {
        match self.try_read(interrupts) {
            Ok(typed) => Ok(typed),
            Err(ReadlineError::Interrupted) => Ok(Typed::Nothing),
            Err(ReadlineError::Eof) => Ok(Typed::End),
            Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
                tell("error: what was typed is not UTF-8");
                Ok(Typed::Nothing)
            }
            Err(error) => Err(because(&error)),
        }
    }

    fn try_read(&mut self, interrupts: &mut Interrupts) -> rustyline::Result<Typed> {
        let Some(editor) = &mut self.editor else {
            let mut out = io::stdout();
            let typed = plain(|| next_line(&mut io::stdin().lock()), &mut out, interrupts);
            return Ok(self.waits.block_on(typed)?);
        };
        // The editor reads all that is there and forgets what stands behind the line it gives:
        // whole lines that were typed while a query ran are taken from the terminal before.
        let ahead = typed_ahead(&mut io::stdin().lock())?;
        if !ahead.is_empty() && is_complete(&ahead) {
            show(&mut io::stdout(), &format!("{PROMPT}{ahead}"))?;
            return Ok(Typed::Text(ahead));
        }
        editor.readline_with_initial(PROMPT, (&ahead, "")).map(Typed::Text)
    }

    /// Keeps a statement or command.
    pub fn remember(&mut self, entry: &str) {
        if let (Some(editor), Some(file)) = (&mut self.editor, &mut self.history) {
            file.add(editor.history_mut(), entry);
        }
    }
}

fn because(error: &ReadlineError) -> Failure {
    Failure::Because(format!("the terminal: {error}"))
}

/// Lines until a statement ends. A terminal drops its line at Ctrl-C by itself; those before it
/// are dropped here, and the line that is waited for is the first of what comes next.
async fn plain(
    line: impl Fn() -> io::Result<String> + Clone + Send + 'static,
    out: &mut impl Write,
    interrupts: &mut Interrupts,
) -> io::Result<Typed> {
    let mut text = String::new();
    show(out, PROMPT)?;
    loop {
        let mut reading = spawn_blocking(line.clone());
        let read = loop {
            tokio::select! {
                biased;
                () = interrupts.next() => {
                    text.clear();
                    show(out, &format!("\n{PROMPT}"))?;
                }
                read = &mut reading => break read.map_err(io::Error::other)??,
            }
        };
        if read.is_empty() {
            return Ok(Typed::End);
        }
        text.push_str(&read);
        if is_complete(&text) {
            return Ok(Typed::Text(text));
        }
        show(out, PROMPT_MORE)?;
    }
}

/// The next line with its end; empty where there is none.
fn next_line(lines: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    lines.read_line(&mut line)?;
    Ok(line)
}

fn show(out: &mut impl Write, text: &str) -> io::Result<()> {
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// The lines that wait in the terminal, up to the end of a statement.
fn typed_ahead(lines: &mut impl BufRead) -> io::Result<String> {
    let mut text = String::new();
    while line_waits() && lines.read_line(&mut text)? > 0 && !is_complete(&text) {}
    Ok(text)
}

/// Whether a whole line can be read without waiting.
#[cfg(unix)]
fn line_waits() -> bool {
    // A terminal that edits lines itself counts only those that ended.
    rustix::io::ioctl_fionread(io::stdin()).is_ok_and(|bytes| bytes > 0)
}

#[cfg(not(unix))]
fn line_waits() -> bool {
    false
}

/// What the editor asks about the text in it.
struct Line {
    reader: Reader,
    names: Arc<OnceLock<Names>>,
}

impl Helper for Line {}

impl Hinter for Line {
    type Hint = String;
}

impl Highlighter for Line {}

impl Validator for Line {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(if is_complete(context.input()) {
            ValidationResult::Valid(None)
        } else {
            ValidationResult::Incomplete
        })
    }
}

impl Completer for Line {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        // Keys that cannot be read now are not offered.
        let catalog =
            self.reader.snapshot().catalog().unwrap_or_else(|_| Arc::new(Catalog::default()));
        let none = Names::default();
        let (start, found) = complete(line, pos, self.names.get().unwrap_or(&none), &catalog);
        let pair = |found: super::complete::Candidate| Pair {
            display: found.shown,
            replacement: found.text,
        };
        Ok((start, found.into_iter().map(pair).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    fn read(lines: &'static str) -> Typed {
        let lines = Arc::new(Mutex::new(lines.as_bytes()));
        let line = move || next_line(&mut *lines.lock().unwrap());
        let (mut out, mut interrupts) = (Vec::new(), Interrupts::none());
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(plain(line, &mut out, &mut interrupts)).unwrap()
    }

    #[test]
    fn plain_lines_are_read_until_the_statement_ends() {
        let text = |text: &str| Typed::Text(text.to_owned());
        assert_eq!(read("SELECT\n1;\nSELECT 2;\n"), text("SELECT\n1;\n"));
        assert_eq!(read(".tables\n"), text(".tables\n"));
        assert_eq!(read("SELECT\n"), Typed::End);
    }
}
