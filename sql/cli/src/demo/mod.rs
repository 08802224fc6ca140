//! `amida demo`: two systems that never were, from their OTLP bytes to answers.
//!
//! Promises: the same seed and end give the same spans; they enter the store at the same door as
//! anyone's; only a directory that the demo made is ever emptied.
//!
//! | file | purpose |
//! |---|---|
//! | dice | seeded randomness |
//! | world | services, instances, telephones, and their resource attributes |
//! | scene | a trace being played: spans that open and close on a clock of their own |
//! | traffic | HTTP, gRPC, databases, caches with their usual attributes |
//! | calls, profile | the calling app |
//! | shop, checkout | the web shop |
//! | director | trace after trace along the window of time |
//! | request, send | OTLP requests, into the store |
//! | place | the directory |
//! | questions, table | the SQL, and how its answers look |

use std::io::{ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};

use amida::{Clock, Snapshot, Store, SystemClock, TraceId, Waterfall};
use amida_sql::Session;
use arrow::array::{Array, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, SecondsFormat};
use indicatif::HumanCount;

mod calls;
mod checkout;
mod dice;
mod director;
mod place;
mod profile;
mod questions;
mod request;
mod scene;
mod send;
mod shop;
mod table;
mod traffic;
mod world;

use self::director::Director;
use self::questions::{Question, questions};
use self::send::{Sent, count, send};

/// Options of `amida demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  amida demo\n  amida demo --spans 1000000 --dir /tmp/big\n  \
    amida demo --end 2026-11-01T12:00:00Z --seed 7 --json")]
pub struct DemoArgs {
    /// Where the demo's store goes; an earlier demo there is replaced.
    #[arg(long, value_name = "DIR", default_value = "./amida-demo")]
    pub dir: PathBuf,
    /// How many spans to make, at least.
    #[arg(long, value_name = "N", default_value_t = 200_000,
          value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    pub spans: u64,
    /// Another seed gives other traces; the same gives the same.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// When the last span ends, in RFC 3339; now by default. The first starts 50 minutes before.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub end: Option<i64>,
    /// Prints one JSON object instead of words.
    #[arg(long)]
    pub json: bool,
}

/// Nanoseconds since the epoch of an instant in RFC 3339.
fn instant(text: &str) -> Result<i64, String> {
    let time = DateTime::parse_from_rfc3339(text)
        .map_err(|error| format!("{error}; expected a time like 2026-11-01T12:00:00Z"))?;
    time.timestamp_nanos_opt()
        .filter(|&ns| ns > director::WINDOW_NS)
        .ok_or_else(|| "must lie between 1970 and 2262".to_owned())
}

/// An answer, as a program reads it.
#[derive(serde::Serialize)]
struct Answer {
    title: &'static str,
    sql: String,
    rows: serde_json::Value,
    /// The first row's.
    #[serde(skip)]
    trace_id: Option<TraceId>,
}

/// All of it, as a program reads it.
#[derive(serde::Serialize)]
struct Report<'a> {
    #[serde(serialize_with = "crate::output::path")]
    dir: &'a Path,
    seed: u64,
    end: String,
    sent: &'a Sent,
    spans_per_second: f64,
    bytes_per_span: f64,
    stored_bytes_per_span: f64,
    answers: &'a [Answer],
    /// A call that did not ring.
    trace_id: Option<String>,
}

/// Makes the demo's store and asks it the demo's questions.
///
/// # Errors
/// Words for the user.
pub fn run(args: &DemoArgs) -> Result<(), String> {
    let end = args.end.unwrap_or_else(|| SystemClock.now_ns());
    place::prepare(&args.dir)?;
    let store = Store::open(&args.dir).map_err(|error| error.to_string())?;
    place::mark(&args.dir)?;
    let voice = Voice { is_silent: args.json };
    voice.say(&format!(
        "A calling app and a web shop: {} spans of the 50 minutes before {}, into {}",
        HumanCount(args.spans),
        rfc3339(end / 1_000_000_000 * 1_000_000_000),
        args.dir.display()
    ))?;
    let sent = send(&store, Director::new(args.seed, end, args.spans), args.spans)?;
    store.flush().map_err(|error| error.to_string())?;
    let stored = store.stats().segment_bytes as f64 / sent.spans.max(1) as f64;
    voice.say(&summary(&sent, stored))?;

    let now = args.end.map_or("now()".to_owned(), |end| format!("TIMESTAMP '{}'", rfc3339(end)));
    let answers = ask_all(&store, &voice, questions(&now))?;
    let trace_id = answers.last().and_then(|answer| answer.trace_id);
    if let Some(id) = trace_id {
        voice.draw(&store.snapshot(), id)?;
    }
    if args.json {
        let report = Report {
            dir: &args.dir,
            seed: args.seed,
            end: rfc3339(end),
            sent: &sent,
            spans_per_second: sent.rate(),
            bytes_per_span: sent.bytes as f64 / sent.spans.max(1) as f64,
            stored_bytes_per_span: stored,
            answers: &answers,
            trace_id: trace_id.map(|id| id.to_string()),
        };
        let text = serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?;
        print(&text)?;
    }
    // Where every call rang, some other trace.
    let shown = answers.iter().rev().find_map(|answer| answer.trace_id);
    voice.say(&next_steps(&args.dir, shown))?;
    store.close().map_err(|error| error.to_string())
}

fn rfc3339(ns: i64) -> String {
    DateTime::from_timestamp_nanos(ns).to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn summary(sent: &Sent, stored: f64) -> String {
    format!(
        "{} spans in {} traces and {} requests, each on disk before it was acknowledged:\n\
         {:.1} s, {} spans/s; {:.0} bytes a span as OTLP, {stored:.0} as Parquet\n",
        HumanCount(sent.spans),
        HumanCount(sent.traces),
        HumanCount(sent.requests),
        sent.seconds,
        count(sent.rate()),
        sent.bytes as f64 / sent.spans.max(1) as f64,
    )
}

/// Asks the questions one after the other; the last is for the trace to draw.
fn ask_all(store: &Store, voice: &Voice, questions: Vec<Question>) -> Result<Vec<Answer>, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let session = Session::new(store);
    let mut answers = Vec::new();
    for (number, Question { title, sql }) in questions.into_iter().enumerate() {
        let title_line = bold(&format!("{}. {title}", number + 1));
        voice.say(&format!("{title_line}\n\n{}\n", indented(&sql)))?;
        let batches = runtime
            .block_on(async { session.query(&sql).await?.collect().await })
            .map_err(|error| format!("{title}: {error}"))?;
        let batches = batches.into_batches();
        voice.show(&batches)?;
        let rows = table::json(&batches)?;
        answers.push(Answer { title, sql, rows, trace_id: first_trace(&batches) });
    }
    Ok(answers)
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {}", line.trim_end())).collect::<Vec<_>>().join("\n")
}

/// `trace_id` of the first row.
fn first_trace(batches: &[RecordBatch]) -> Option<TraceId> {
    let batch = batches.iter().find(|batch| batch.num_rows() > 0)?;
    let column = batch.column_by_name("trace_id").filter(|column| column.is_valid(0))?;
    let options = FormatOptions::new();
    let text = ArrayFormatter::try_new(column, &options).ok()?.value(0).to_string();
    text.parse().ok()
}

/// What to try next, with the name by which this program was called.
fn next_steps(dir: &Path, trace_id: Option<TraceId>) -> String {
    let program = std::env::args().next().unwrap_or_else(|| "amida".to_owned());
    let dir = dir.display();
    let trace = trace_id.map_or("ID".to_owned(), |id| id.to_string());
    format!(
        "The data stays in {dir}. Try next:\n\n  \
         {program} trace {dir} {trace}\n  \
         {program} sql {dir} \"FROM operations |> ORDER BY p99_ms DESC |> LIMIT 10\"\n  \
         {program} info {dir}"
    )
}

/// Whether to use the terminal's colours: on a terminal, unless `NO_COLOR` is set.
fn colours() -> bool {
    let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stdout().is_terminal() && !is_plain
}

fn bold(text: &str) -> String {
    if colours() { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
}

/// A line on standard output. Where nobody reads any more, nothing is said.
fn print(words: &str) -> Result<(), String> {
    match writeln!(std::io::stdout(), "{words}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(format!("standard output: {error}"))
        }
        _ => Ok(()),
    }
}

/// The demo's words on standard output; silent where a program listens.
struct Voice {
    is_silent: bool,
}

impl Voice {
    fn say(&self, words: &str) -> Result<(), String> {
        if self.is_silent { Ok(()) } else { print(words) }
    }

    fn width() -> usize {
        let size = terminal_size::terminal_size();
        size.map_or(100, |(width, _)| usize::from(width.0).clamp(60, 140))
    }

    fn show(&self, batches: &[RecordBatch]) -> Result<(), String> {
        if !self.is_silent {
            let width = u16::try_from(Self::width()).unwrap_or(100);
            print(&format!("{}\n", indented(&table::table(batches, width - 4)?)))?;
        }
        Ok(())
    }

    fn draw(&self, snapshot: &Snapshot, id: TraceId) -> Result<(), String> {
        let trace = snapshot.trace(id).map_err(|error| error.to_string())?;
        if let Some(trace) = trace {
            let drawing = Waterfall::new(&trace).width(Self::width()).colour(colours());
            self.say(&drawing.to_string())?;
        }
        Ok(())
    }
}
