//! The prompt of `amida sql DIR` on a terminal.
//!
//! It promises that nothing but leaving it ends it: a wrong statement, Ctrl-C, a pager that dies, a
//! store that cannot be read for a while are told, and the next prompt comes. Each statement sees
//! what was appended before it. What it reads of others cannot steer the terminal.
//!
//! | file | purpose |
//! |---|---|
//! | mod | the loop: read, run, say what became of it |
//! | input | where text comes from: the line editor, plain lines, lines typed ahead |
//! | history | the file of what was typed |
//! | text | text cut into statements and commands |
//! | command | the commands that begin with a dot |
//! | ask | one statement until its rows are shown, or Ctrl-C |
//! | interrupt | Ctrl-C |
//! | complete, named, words | what Tab offers |
//! | names | tables, columns and functions, asked of the session |

use std::io::Write;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use amida::Reader;
use amida_sql::{Session, SessionOptions};
use clap::ValueEnum;
use tokio::runtime::Runtime;

use crate::args::{AnswerFormat, SqlArgs};
use crate::commands::{Failure, Outcome, runtime};
use crate::output::pager::Pager;
use crate::output::place::pointed;
use crate::output::screen::Screen;
use crate::output::{self, say, visible};

mod ask;
mod command;
mod complete;
mod history;
mod input;
mod interrupt;
mod named;
mod names;
mod text;
mod words;

use self::ask::{Asked, End, Look, ask};
use self::command::Command;
use self::input::{Input, Typed};
use self::interrupt::Interrupts;
use self::names::Names;
use self::text::What;

const TABLES: &str = "SELECT table_name AS name FROM information_schema.tables \
    WHERE table_schema = 'public' ORDER BY name";

const SCHEMA: &str = "SELECT table_name, column_name, data_type, is_nullable \
    FROM information_schema.columns WHERE table_schema = 'public' \
    ORDER BY table_name, ordinal_position";

/// Runs the prompt until it is left.
pub fn run(
    args: &SqlArgs,
    format: AnswerFormat,
    reader: Reader,
    options: SessionOptions,
) -> Result<Outcome, Failure> {
    let queries = runtime()?;
    let here = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let interrupts = Interrupts::listen();
    let session = Session::with_options(&reader, options);
    let names = Arc::new(OnceLock::new());
    let (asks, tell) = (session.clone(), names.clone());
    // Until they are there, completion does without; a store that cannot be read says so at the
    // first statement.
    queries.spawn(async move { Names::of(&asks).await.map(|names| tell.set(names)) });
    let mut input = Input::new(reader.clone(), names.clone())?;
    let mut prompt = Prompt {
        queries,
        here,
        session,
        names,
        interrupts,
        look: Look { format, zone: args.tz.clone() },
        timing: true,
        pager: if args.no_pager { None } else { find_pager() },
        reader,
    };
    say(&prompt.greeting())?;
    loop {
        // Those of a pager, or of what was done before they came.
        prompt.interrupts.forget();
        let goes_on = match input.read(&mut prompt.interrupts)? {
            Typed::Text(text) => prompt.take(&text, &mut input)?,
            Typed::Nothing => true,
            Typed::End => false,
        };
        if !goes_on {
            // A query that was cancelled may still be busy with its batch.
            prompt.queries.shutdown_background();
            return Ok(Outcome::Good);
        }
    }
}

/// The pager, or none and a word about it.
fn find_pager() -> Option<Pager> {
    Pager::find().unwrap_or_else(|why| {
        tell(&format!("warning: no pager: {why}"));
        None
    })
}

struct Prompt {
    /// The threads that queries run in.
    queries: Runtime,
    /// This thread, which shows what they find.
    here: Runtime,
    reader: Reader,
    session: Session,
    names: Arc<OnceLock<Names>>,
    interrupts: Interrupts,
    look: Look,
    timing: bool,
    pager: Option<Pager>,
}

impl Prompt {
    fn greeting(&self) -> String {
        let dir = self.reader.path().display().to_string();
        let spans = output::things(self.reader.snapshot().span_count(), "span");
        format!(
            "{}: {spans}. A statement ends with ;  .help shows help, Ctrl-D leaves.",
            visible(&dir)
        )
    }

    /// Runs all that was typed, one after the other; whether the prompt goes on.
    fn take(&mut self, text: &str, input: &mut Input) -> Result<bool, Failure> {
        let pieces = text::pieces(text);
        for piece in &pieces {
            input.remember(text[piece.at.clone()].trim_end());
        }
        for (at, piece) in pieces.iter().enumerate() {
            let goes_on = match piece.what {
                What::Command => match command::parse(piece.text) {
                    Ok(Command::Quit) => return Ok(false),
                    Ok(command) => self.obey(command)?,
                    Err(why) => {
                        tell(&format!("error: {why}"));
                        true
                    }
                },
                What::Statement | What::Unfinished => self.ask(piece.text),
            };
            let left = pieces.len() - at - 1;
            if !goes_on && left > 0 {
                tell(&format!("{} not run", output::things(left as u64, "statement")));
                break;
            }
        }
        Ok(true)
    }

    /// Whether to go on with what was typed behind it.
    fn obey(&mut self, command: Command) -> Result<bool, Failure> {
        let on_off = |on| if on { "on" } else { "off" };
        match command {
            Command::Tables => return Ok(self.ask(TABLES)),
            Command::Schema(None) => return Ok(self.ask(SCHEMA)),
            Command::Schema(Some(table)) => return Ok(self.describe(&table)),
            Command::Timing(Some(on)) => self.timing = on,
            Command::Timing(None) => say(&format!("timing {}", on_off(self.timing)))?,
            Command::Pager(Some(on)) => self.pager = if on { find_pager() } else { None },
            Command::Pager(None) => say(&format!("pager {}", on_off(self.pager.is_some())))?,
            Command::Format(Some(format)) => self.look.format = format,
            Command::Format(None) => {
                let value = self.look.format.to_possible_value();
                say(&format!("format {}", value.as_ref().map_or("", |value| value.get_name())))?;
            }
            Command::Tz(Some(zone)) => self.look.zone = zone,
            Command::Tz(None) => say(&format!("tz {}", self.look.zone.name()))?,
            Command::Help => say(&command::help())?,
            Command::Quit => {}
        }
        Ok(true)
    }

    fn describe(&mut self, table: &str) -> bool {
        let bare = table.trim_matches('"').to_lowercase();
        if self.names.get().is_none() {
            match self.queries.block_on(Names::of(&self.session)) {
                Ok(names) => drop(self.names.set(names)),
                Err(error) => {
                    show_error("", &error);
                    return true;
                }
            }
        }
        let tables = self.names.get().map_or(&[][..], |names| &names.tables);
        let mut names = tables.iter().map(|table| table.name.as_str());
        if names.clone().any(|name| name == bare) {
            return self.ask(&format!("DESCRIBE {bare}"));
        }
        let hint = match command::near(&bare, &mut names) {
            Some(near) => format!("; did you mean {near}?"),
            None => "; .tables lists them".to_owned(),
        };
        tell(&format!("error: there is no table {}{hint}", visible(&bare)));
        true
    }

    /// Runs a statement; whether to go on with what was typed behind it.
    fn ask(&mut self, sql: &str) -> bool {
        if let Err(error) = self.reader.refresh() {
            let words = format!("what was appended lately is not seen: {error}");
            tell(&format!("warning: {}", visible(&words)));
        }
        let is_table = self.look.format == AnswerFormat::Table;
        let screen = Screen::new(self.pager.clone(), is_table);
        let whom = (&self.session, self.queries.handle());
        // One of the pager before may be told of only now.
        self.interrupts.forget();
        let asked = ask(whom, sql, &self.look, screen, &mut self.interrupts);
        let asked = self.here.block_on(asked);
        for note in &asked.notes {
            tell(&format!("note: {}", visible(note)));
        }
        match &asked.end {
            End::Failed(error) => show_error(sql, error),
            End::NotShown(words) => tell(&format!("error: {}", visible(words))),
            End::Cancelled => tell(&format!("cancelled after {}", seconds(asked.took, 1))),
            End::Left => tell("stopped: the pager was left"),
            End::Done => self.count(&asked),
        }
        !matches!(asked.end, End::Cancelled)
    }

    fn count(&self, asked: &Asked) {
        let rows = output::things(asked.rows as u64, "row");
        if asked.shown < asked.rows {
            let shown = output::count(asked.shown as u64);
            tell(&format!("the first {shown} of {rows}; .format csv shows all"));
        }
        if self.timing {
            tell(&format!("{rows} in {}", seconds(asked.took, 3)));
        }
    }
}

/// A line on standard error. Where nobody can see it nobody misses it.
fn tell(line: &str) {
    drop(writeln!(std::io::stderr(), "{line}"));
}

/// Says what is wrong with a statement.
fn show_error(sql: &str, error: &amida_sql::Error) {
    tell(&format!("error: {}", pointed(sql, error)));
}

fn seconds(time: Duration, digits: usize) -> String {
    format!("{:.digits$} s", time.as_secs_f64())
}
