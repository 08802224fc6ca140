//! `amida sql`: one statement, its answer as a stream; or the prompt.

use std::io::{IsTerminal, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use amida_sql::{Session, SessionOptions};
use futures::StreamExt;

use super::{Failure, Outcome, open, runtime};
use crate::args::{AnswerFormat, SqlArgs};
use crate::output;
use crate::output::formats::Answer;
use crate::output::place::pointed;
use crate::output::sink::Sink;
use crate::output::zone::Zone;
use crate::prompt;

/// Longest query text, from a file or standard input.
const QUERY_BYTES_MAX: u64 = 1 << 20;

/// Runs a statement and writes its answer.
pub fn run(args: &SqlArgs) -> Result<Outcome, Failure> {
    let sink = Sink::new(args.output.as_deref());
    let format = match args.format {
        Some(format) => format,
        None if args.json => AnswerFormat::Json,
        None => AnswerFormat::Table,
    };
    if format == AnswerFormat::Parquet && sink.is_terminal() {
        return Err(Failure::Because(
            "Parquet is no text: give --output FILE, or send it to a file or program".to_owned(),
        ));
    }
    let reader = open(&args.dir)?;
    let options = SessionOptions::new()
        .timeout(Duration::from_secs(args.timeout))
        .memory_bytes_max(usize::try_from(args.memory << 20).unwrap_or(usize::MAX))
        .allow_partial(args.partial.allow_partial);
    if is_for_people(args) {
        return prompt::run(args, format, reader, options);
    }
    let query = query(args)?;
    let started = Instant::now();
    let session = Session::with_options(&reader.snapshot(), options);
    let answer = answer(&session, &query, format, &args.tz, &sink);
    let Answered { rows, shown, outcome } = runtime()?.block_on(answer)?;
    if shown < rows {
        let (rows, shown) = (output::count(rows as u64), output::count(shown as u64));
        eprintln!("the first {shown} of {rows} rows; --format csv gives all");
    }
    if std::io::stderr().is_terminal() {
        let rows = output::things(rows as u64, "row");
        eprintln!("{rows} in {:.3} s", started.elapsed().as_secs_f64());
    }
    Ok(outcome)
}

/// Whether there is nothing to run yet, and somebody who can say what.
fn is_for_people(args: &SqlArgs) -> bool {
    args.query.is_none()
        && args.file.is_none()
        && args.output.is_none()
        && std::io::stdin().is_terminal()
        && std::io::stdout().is_terminal()
}

/// How a query went.
struct Answered {
    /// Rows that there are.
    rows: usize,
    /// Rows that are shown.
    shown: usize,
    outcome: Outcome,
}

async fn answer(
    session: &Session,
    query: &str,
    format: AnswerFormat,
    zone: &Zone,
    sink: &Sink,
) -> Result<Answered, Failure> {
    let rows = session.query(query).await.map_err(|error| match error.place() {
        Some(_) => Failure::Drawn(pointed(query, &error)),
        None => error.into(),
    })?;
    // Beside the answer, whatever its format: programs read standard output.
    for note in rows.notes() {
        eprintln!("note: {}", output::visible(note));
    }
    let outcome = match rows.missing() {
        [] => Outcome::Good,
        _ => Outcome::NotAll,
    };
    let mut answer = Answer::new(format, &rows.schema(), sink.clone(), zone)?;
    let mut batches = rows.stream();
    while let Some(batch) = batches.next().await {
        answer.write(&batch?)?;
    }
    Ok(Answered { rows: answer.rows(), shown: answer.finish()?, outcome })
}

/// The text of the query: given, in a file, or on standard input.
fn query(args: &SqlArgs) -> Result<String, Failure> {
    let text = match (&args.query, &args.file) {
        (Some(query), _) if query != "-" => query.clone(),
        (_, Some(file)) if file.as_path() != Path::new("-") => {
            let named = |error: std::io::Error| format!("{}: {error}", file.display());
            let input = std::fs::File::open(file).map_err(named)?;
            read(input).map_err(named)?
        }
        (query, file) => {
            let stdin = std::io::stdin();
            if stdin.is_terminal() && query.is_none() && file.is_none() {
                return Err(Failure::Because(
                    "there is no query; for instance: amida sql DIR \"FROM services\"".to_owned(),
                ));
            }
            read(stdin.lock()).map_err(|error| format!("standard input: {error}"))?
        }
    };
    if text.trim().is_empty() {
        return Err(Failure::Because("the query is empty".to_owned()));
    }
    Ok(text)
}

fn read(input: impl Read) -> std::io::Result<String> {
    let mut text = String::new();
    input.take(QUERY_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}
