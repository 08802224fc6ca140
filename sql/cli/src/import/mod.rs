//! `amida import`: files of spans into a store.
//!
//! Promises: a bad file does not stop the others; nothing is reported as accepted before it is on
//! disk; memory is bounded, however large a file is; nothing is skipped in silence.
//!
//! | file | purpose |
//! |---|---|
//! | source | the files behind the paths, decompressed |
//! | sniff, kind | formats by their first bytes, those of JSON by their first keys |
//! | otlp, protobuf | OTLP to requests that the store takes; those too large are cut |
//! | jaeger/, zipkin/ | Jaeger JSON and Zipkin JSON to OTLP |
//! | stream | JSON documents, read piece by piece |
//! | ids, values, otel, notes | what both have in common: ids, types, known tags, marks |
//! | outbox | translated spans, grouped into requests |
//! | sink | where all readers put what they read |
//! | columns | Parquet and Arrow to OTLP |
//! | report | what became of each file |
//! | testing, mutated | text through an importer, for tests; damaged files |

use std::io::Read;
use std::time::{Duration, Instant};

use amida::{Durability, Error, Receipt, Retention, Store};
use bytes::Bytes;
use indicatif::ProgressBar;

use self::report::{FileReport, Report};
use self::sink::Sink;
use self::source::Source;
use crate::args::{ImportArgs, InputFormat};
use crate::commands::{Failure, Outcome};
use crate::output;

mod columns;
mod ids;
mod jaeger;
mod kind;
#[cfg(test)]
mod mutated;
mod notes;
mod otel;
mod otlp;
mod outbox;
mod protobuf;
mod report;
mod sink;
mod sniff;
mod source;
mod stream;
#[cfg(test)]
mod testing;
mod values;
mod zipkin;

/// How long a busy store is waited for before a file is given up.
const BUSY_MAX: Duration = Duration::from_secs(60);

/// Imports files.
pub fn run(args: &ImportArgs) -> Result<Outcome, Failure> {
    let started = Instant::now();
    let sources = source::sources(&args.paths, &args.dir);
    if sources.is_empty() {
        return Err(Failure::Because("there are no files in the folders given".to_owned()));
    }
    // Requests are acknowledged before they are on disk, which is much faster; it is safe here as
    // nothing is reported before the sync below, and whoever runs an import can run it again. The
    // owner of the store says how long spans are kept, not an import.
    let store = Store::options()
        .durability(Durability::Os)
        .retention(Retention::forever())
        .open(&args.dir)?;
    let progress = output::byte_bar(sources.iter().map(|source| source.bytes).sum());
    let mut files = Vec::with_capacity(sources.len());
    let mut spans = 0;
    for source in &sources {
        let file = import(&store, source, args.format, &progress, spans);
        spans += file.accepted;
        if let Some(error) = &file.error {
            progress.suspend(|| tell(source, error));
        }
        files.push(file);
    }
    progress.finish_and_clear();
    store.sync()?;
    store.flush()?;
    store.close()?;
    let report = Report::new(&args.dir, files, started.elapsed());
    if args.json {
        output::json(&report)?;
    } else {
        output::say(&report.text(output::width()))?;
    }
    Ok(report.outcome())
}

/// Says on standard error at once what is wrong with a file.
fn tell(source: &Source, error: &str) {
    eprintln!("amida: {}: {}", output::visible(&source.name()), output::visible(error));
}

/// Imports one file.
fn import(
    store: &Store,
    source: &Source,
    format: Option<InputFormat>,
    progress: &ProgressBar,
    spans_before: u64,
) -> FileReport {
    let mut report = FileReport::new(source);
    if source.error.is_some() {
        return report;
    }
    let position = progress.position();
    let (input, head) = match source.open(progress) {
        Ok(opened) => opened,
        Err(error) => return report.failed(format!("cannot be read: {error}")),
    };
    let format = match format.map_or_else(|| sniff::format(&head), Ok) {
        Ok(format) => format,
        Err(why) => return report.failed(why),
    };
    report.format = Some(format.word());
    let mut door = Door { store, report, progress, spans_before };
    let ended = match columns::parquet_file(source, format) {
        Some(file) => {
            let ended = columns::parquet(file, &mut door);
            // It was read past the bar, but for its beginning.
            progress.set_position(position + source.bytes);
            ended
        }
        None => read(input, format, &mut door),
    };
    match ended {
        Ok(()) => door.report,
        Err(why) => door.report.failed(why),
    }
}

/// Hands all spans of an input to the sink.
fn read(mut input: impl Read, format: InputFormat, sink: &mut dyn Sink) -> Result<(), String> {
    match format {
        InputFormat::OtlpJson => otlp::json(input, sink),
        InputFormat::OtlpProto => otlp::request(input, sink),
        InputFormat::OtlpProtoFramed => otlp::framed(input, sink),
        InputFormat::JaegerJson => jaeger::read(&mut input, sink),
        InputFormat::ZipkinJson => zipkin::read(&mut input, sink),
        InputFormat::Parquet => columns::parquet_stream(input, sink),
        InputFormat::Arrow => columns::arrow(input, sink),
    }
}

/// The way into the store for the spans of one file.
struct Door<'a> {
    store: &'a Store,
    report: FileReport,
    progress: &'a ProgressBar,
    spans_before: u64,
}

impl Sink for Door<'_> {
    fn append(&mut self, request: Vec<u8>) -> Result<(), String> {
        let receipt = append_to(self.store, request).map_err(|error| error.to_string())?;
        self.report.add(&receipt);
        let spans = self.spans_before + self.report.accepted;
        let rate = (spans as f64 / self.progress.elapsed().as_secs_f64().max(0.001)) as u64;
        let (spans, rate) = (output::count(spans), output::count(rate));
        self.progress.set_message(format!("{spans} spans, {rate}/s"));
        Ok(())
    }

    fn reject(&mut self, reason: &'static str) {
        self.report.reject(reason);
    }
}

/// Appends, and waits while the store is busy.
fn append_to(store: &Store, request: Vec<u8>) -> Result<Receipt, Error> {
    let started = Instant::now();
    let request = Bytes::from(request);
    loop {
        match store.append_otlp(request.clone()) {
            Err(Error::Busy { .. }) if started.elapsed() < BUSY_MAX => {
                std::thread::sleep(Duration::from_millis(20));
            }
            other => return other,
        }
    }
}
