//! `amida`: put traces into a store, ask SQL of them, draw one.
//!
//! | file | purpose |
//! |---|---|
//! | args | the command line |
//! | commands/ | one file per reading command |
//! | import/ | files of spans into a store |
//! | export/ | spans of a store into files |
//! | columns | spans from the columns of a file or an answer |
//! | demo/ | two systems that never were, from their spans to answers |
//! | prompt/ | `amida sql` without a query, on a terminal |
//! | output/ | tables, formats, numbers for people, the broken pipe |

use std::process::ExitCode;

use clap::Parser;

mod args;
mod columns;
mod commands;
mod demo;
mod export;
mod import;
mod output;
mod prompt;

use self::args::{Args, Command};
use self::commands::{Failure, Outcome};

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Nobody reads, nobody misses it.
            drop(error.print());
            // clap would exit with 2, which here says that it is done without some of it.
            return if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    log();
    match run(args.command) {
        Ok(Outcome::Good) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::FAILURE,
        Ok(Outcome::NotAll) => ExitCode::from(2),
        Err(Failure::NobodyReads) => ExitCode::SUCCESS,
        Err(Failure::Because(why)) => {
            eprintln!("amida: {}", output::visible(&why));
            ExitCode::FAILURE
        }
        Err(Failure::Drawn(lines)) => {
            eprintln!("amida: {lines}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<Outcome, Failure> {
    match command {
        Command::Import(args) => import::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Sql(args) => commands::sql::run(&args),
        Command::Trace(args) => commands::trace::run(&args),
        Command::Compact(args) => commands::compact::run(&args),
        Command::Verify(args) => commands::verify::run(&args),
        Command::Checkpoint(args) => commands::checkpoint::run(&args),
        Command::Repair(args) => commands::repair::run(&args),
        Command::Info(args) => commands::info::run(&args),
        Command::Files(args) => commands::files::run(&args),
        Command::Demo(args) => demo::run(&args).map(|()| Outcome::Good).map_err(Failure::Because),
    }
}

/// The engine's log on standard error: warnings, or what `AMIDA_LOG` says.
fn log() {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_env("AMIDA_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // Without colours: the crate is built without them, and panics when asked for them.
        .with_ansi(false)
        .init();
}
