//! `amida export`: spans of a store into a file that other tools read, and that import reads back.
//!
//! Promises: importing what was exported gives the same spans, `marks` excepted; memory is bounded,
//! however large the store is; a file has its name only when it is complete; the export sees the
//! store as it was when it began.
//!
//! | file | purpose |
//! |---|---|
//! | args | the command line |
//! | times | times of the command line |
//! | select, query | which spans |
//! | format | format and compression by the name of the file |
//! | write | spans in each format |
//! | compress | what is written, compressed |

use std::path::Path;
use std::time::{Duration, Instant};

use amida::Snapshot;
use indicatif::{ProgressBar, ProgressDrawTarget};
use serde::{Serialize, Serializer};

use self::args::ExportFormat;
use self::compress::Compressed;
use self::select::Joined;
use self::write::Writer;
use crate::commands::{Failure, Outcome, open, tell_missing, view};
use crate::output;
use crate::output::sink::Sink;

mod args;
mod compress;
mod format;
mod query;
mod select;
mod times;
mod write;

pub use self::args::ExportArgs;

/// Exports spans.
pub fn run(args: &ExportArgs) -> Result<Outcome, Failure> {
    let started = Instant::now();
    let (format, compression) = format::choose(args.format, args.output.as_deref())?;
    let sink = Sink::new(args.output.as_deref());
    if format != ExportFormat::OtlpJson && sink.is_terminal() {
        return Err(Failure::Because(format!(
            "{} is no text: give --output FILE, or send it to a file or program",
            format.word()
        )));
    }
    let reader = open(&args.dir)?;
    let snapshot = view(&reader, &args.partial);
    let Some(spans) = select::spans(&snapshot, args)? else {
        tell_missing(&snapshot.missing());
        return Ok(Outcome::Failed);
    };
    let progress = progress(&snapshot, args, &sink);
    let pipe = Compressed::new(sink.open()?, compression).map_err(|error| sink.failure(&error))?;
    let mut writer = Writer::new(format, pipe, &sink)?;
    for batch in Joined::new(spans) {
        let batch = batch?;
        writer.write(&batch, &sink)?;
        progress.inc(batch.len() as u64);
        progress.set_message(output::bytes(sink.bytes()));
    }
    let spans = writer.finish(&sink)?;
    sink.complete()?;
    progress.finish_and_clear();
    let summary = Summary {
        file: args.output.as_deref(),
        format: format.word(),
        spans,
        bytes: sink.bytes(),
        seconds: started.elapsed().as_secs_f64(),
    };
    if args.json {
        output::json(&summary)?;
    } else {
        eprintln!("{}", output::visible(&summary.text()));
    }
    Ok(tell_missing(&snapshot.missing()))
}

fn shown<S: Serializer>(file: &Option<&Path>, to: S) -> Result<S::Ok, S::Error> {
    match file {
        Some(file) => output::path(file, to),
        None => to.serialize_none(),
    }
}

/// What was written.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    #[serde(serialize_with = "shown")]
    file: Option<&'a Path>,
    format: &'static str,
    spans: u64,
    bytes: u64,
    seconds: f64,
}

impl Summary<'_> {
    fn text(&self) -> String {
        let rate = self.spans as f64 / self.seconds.max(0.001);
        let file = self.file.map(|file| format!(" into {}", file.display()));
        format!(
            "{} ({}) as {}{} in {:.1} s ({} spans/s)",
            output::things(self.spans, "span"),
            output::bytes(self.bytes),
            self.format,
            file.unwrap_or_default(),
            self.seconds,
            output::count(rate as u64)
        )
    }
}

/// On a terminal that does not get the spans themselves.
fn progress(snapshot: &Snapshot, args: &ExportArgs, sink: &Sink) -> ProgressBar {
    let is_everything = args.query.is_none()
        && args.trace.is_empty()
        && args.service.is_none()
        && args.from.or(args.to).is_none();
    let progress = if is_everything {
        let template = "{bar:24} {human_pos}/{human_len} spans {msg}";
        output::bar(ProgressBar::new(snapshot.span_count()), template)
    } else {
        output::bar(ProgressBar::new_spinner(), "{spinner} {human_pos} spans {msg}")
    };
    if sink.is_terminal() {
        progress.set_draw_target(ProgressDrawTarget::hidden());
    }
    progress.enable_steady_tick(Duration::from_millis(200));
    progress
}
