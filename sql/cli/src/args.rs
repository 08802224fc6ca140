//! The command line.

mod upkeep;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

pub use self::upkeep::{CheckpointArgs, CompactArgs, RepairArgs, VerifyArgs};
use crate::demo::DemoArgs;
use crate::export::ExportArgs;
use crate::output::zone::Zone;

/// An embedded columnar store for OpenTelemetry traces: import, query and read them.
#[derive(Debug, Parser)]
#[command(
    name = "amida",
    version,
    after_help = "Exit codes: 0 good; 1 failed, or not found, or the command line is wrong; \
        2 done, but without some of it: input that was rejected, rows that are damaged.\n\
        Environment: NO_COLOR switches colours off; AMIDA_LOG=debug (or amida::store=trace, ..) \
        shows the engine's log.\n\n\
        Start with:\n  amida demo\n  amida import traces.amida spans.json\n  \
        amida sql traces.amida \"FROM services\""
)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the traces of two systems, store them, and ask questions of them
    Demo(DemoArgs),
    /// Put files of spans into a store: OTLP, Jaeger, Zipkin, Parquet, Arrow
    Import(ImportArgs),
    /// Write spans to a file for other tools, or for another store
    Export(ExportArgs),
    /// Ask SQL of a store
    Sql(SqlArgs),
    /// Draw one trace as a waterfall
    Trace(TraceArgs),
    /// Say what a store holds
    Info(InfoArgs),
    /// List the segment files, for other Parquet readers
    Files(FilesArgs),
    /// Flush what is in the log and merge small segments
    Compact(CompactArgs),
    /// Check every checksum and count of a store
    Verify(VerifyArgs),
    /// Make a consistent copy of a store, also while it is written
    Checkpoint(CheckpointArgs),
    /// Make the lost manifest of a store again from its segments
    Repair(RepairArgs),
}

/// Options of `amida import`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Formats, found by content:
  otlp-json          one document, many after each other, or JSON Lines as the OpenTelemetry
                     Collector's file exporter writes; also wrapped in {\"result\": ..}
  otlp-proto         one ExportTraceServiceRequest in protobuf
  otlp-proto-framed  many, each behind its length in 4 bytes, big-endian, as the Collector's file
                     exporter writes
  jaeger-json        what Jaeger's UI downloads and its query API answers
  zipkin-json        Zipkin v2: a list of spans, or of traces as its query API answers
  parquet, arrow     rows as amida export writes them, and the segment files of amida files
Each also compressed by gzip or zstd. Folders are read with all folders in them.

The store is made if it is not there. A bad file does not stop the others; a span that repeats is
stored each time. Nothing is reported as accepted before it is on disk. Import never drops old
spans: retention is the business of the service that owns the store.

Jaeger and Zipkin spans become OTLP. Ids shorter than OTLP's get zeros before them; ids that are
not hex are hashed, and kept in attributes['amida.source.trace_id'] and so on; so is what else an
importer has to say. docs/importing.md has all of it.

Exit codes: 0 all accepted; 2 some spans or files were rejected; 1 nothing could be imported.

Examples:
  amida import traces.amida spans.json
  amida import traces.amida exported/ more/*.jsonl.gz
  curl -s 'http://jaeger:16686/api/traces?service=shop' | amida import traces.amida -
  zcat spans.jsonl.gz | amida import traces.amida -
  amida import --format otlp-proto traces.amida request.bin --json")]
pub struct ImportArgs {
    /// The store's directory; made if it is not there
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Files, folders, or - for standard input
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// Says the format instead of finding it by content
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<InputFormat>,
    /// Report as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What import reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InputFormat {
    /// OTLP/JSON documents
    OtlpJson,
    /// One OTLP request in protobuf
    OtlpProto,
    /// OTLP requests in protobuf, each behind its length
    OtlpProtoFramed,
    /// Traces of Jaeger
    JaegerJson,
    /// Spans of Zipkin v2
    ZipkinJson,
    /// Rows of spans in a Parquet file
    Parquet,
    /// Rows of spans in an Arrow IPC file or stream
    Arrow,
}

impl InputFormat {
    /// The word of the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::OtlpJson => "otlp-json",
            Self::OtlpProto => "otlp-proto",
            Self::OtlpProtoFramed => "otlp-proto-framed",
            Self::JaegerJson => "jaeger-json",
            Self::ZipkinJson => "zipkin-json",
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
        }
    }
}

/// What the commands that read share.
#[derive(Debug, clap::Args)]
pub struct PartialArgs {
    /// Answer without what is damaged, and say on standard error what is left out
    #[arg(long)]
    pub allow_partial: bool,
}

/// Options of `amida sql`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Tables: spans, events, links, attribute_keys; views: traces, services, operations, service_edges.
DESCRIBE spans shows the columns, attribute_keys the attributes that there are:
attributes['http.route'], resource_attributes['host.name'], ..
Ids are lower-case hex, times RFC 3339 in UTC or in the zone of --tz. On a terminal, wide values of
a table are cut to its width and at most 10,000 rows are shown; every other format has everything.

Without a query, on a terminal, there is a prompt: history, completion by Tab, .help, Ctrl-C cancels
the query. There, and only there, answers longer than the screen go through a pager ($AMIDA_PAGER,
$PAGER, else less).

The store may be open for writing elsewhere; the query sees what was appended when it starts.

Examples:
  amida sql traces.amida
  amida sql traces.amida \"FROM services\"
  amida sql traces.amida --tz Asia/Tokyo \"SELECT name, start_time FROM spans LIMIT 10\"
  amida sql traces.amida \"SELECT name, count(*) FROM spans WHERE is_error GROUP BY 1\"
  amida sql traces.amida \"FROM spans |> WHERE duration > '500ms' |> LIMIT 10\"
  amida sql traces.amida --format csv -f query.sql > answer.csv
  echo 'SELECT * FROM spans' | amida sql traces.amida --format parquet --output spans.parquet")]
pub struct SqlArgs {
    /// The store's directory
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// The query; with - it is read from standard input, as without it where that is no terminal
    #[arg(value_name = "QUERY")]
    pub query: Option<String>,
    /// Read the query from this file
    #[arg(short, long, value_name = "FILE", conflicts_with = "query")]
    pub file: Option<PathBuf>,
    /// How to write the answer [default: table]
    #[arg(long, value_enum, value_name = "FORMAT", conflicts_with = "json")]
    pub format: Option<AnswerFormat>,
    /// The same as --format json
    #[arg(long)]
    pub json: bool,
    /// Write the answer to this file
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Show times in this zone: a name such as Asia/Tokyo, an offset, UTC or local
    #[arg(long, value_name = "ZONE", default_value = "UTC", allow_hyphen_values = true,
          value_parser = Zone::parse)]
    pub tz: Zone,
    /// At the prompt, print long answers instead of handing them to a pager
    #[arg(long)]
    pub no_pager: bool,
    /// Longest time for the query, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: u64,
    /// Memory for sorting, joining and grouping, in MiB; beyond it they spill to temporary files
    #[arg(long, value_name = "MIB", default_value_t = 256,
          value_parser = clap::value_parser!(u64).range(16..=1_048_576))]
    pub memory: u64,
    #[command(flatten)]
    pub partial: PartialArgs,
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AnswerFormat {
    /// Columns for people
    Table,
    /// Comma-separated values with a header
    Csv,
    /// One JSON array of objects
    Json,
    /// One JSON object a line
    Ndjson,
    /// A Parquet file
    Parquet,
}

/// Options of `amida trace`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The id is 32 hex digits of either case, 16 digits of a 64-bit id (as Jaeger and Zipkin show them),
or the first digits as long as no other trace begins with them.

A dot marks the critical path: what the duration of the root consists of. In the bars it is solid,
other time is shaded. ERR marks failed spans, ! what is odd: clocks that differ, parents that are
not stored, spans that are stored twice. docs/trace.md says more, also about the fields of --json.

Exit codes: 0 drawn; 1 no such trace or span, or several; 2 drawn without damaged rows
(--allow-partial).

Examples:
  amida trace traces.amida 4bf92f3577b34da6a3ce929d0e0e4736
  amida trace traces.amida 4bf92f
  amida trace traces.amida 4bf92f --all --color always | less -RS
  amida trace traces.amida 4bf92f --span 00f067aa0ba902b7
  amida trace traces.amida 4bf92f --json | jq '.spans[].name'")]
pub struct TraceArgs {
    /// The store's directory
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// The trace's id, or its first digits
    #[arg(value_name = "ID")]
    pub id: String,
    /// The trace as one JSON object
    #[arg(long)]
    pub json: bool,
    /// Draw every span: no run folded into one line, however many lines it takes
    #[arg(long)]
    pub all: bool,
    /// Also attributes, events and links under each span
    #[arg(short = 'v', long)]
    pub details: bool,
    /// Everything about one span, by its id or the first digits of it
    #[arg(long, value_name = "SPANID")]
    pub span: Option<String>,
    /// Whether to colour; auto: on a terminal, and as NO_COLOR and CLICOLOR_FORCE say
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Colour::Auto)]
    pub color: Colour,
    /// Width of the drawing in columns [default: the terminal's, else 100]
    #[arg(long, value_name = "COLUMNS", value_parser = clap::value_parser!(u16).range(50..=400))]
    pub width: Option<u16>,
    #[command(flatten)]
    pub partial: PartialArgs,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// Where it is seen
    Auto,
    /// Also in files and pipes
    Always,
    /// Not at all
    Never,
}

/// Options of `amida info`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The store may be open for writing elsewhere.

Examples:
  amida info traces.amida
  amida info traces.amida --json | jq .spans")]
pub struct InfoArgs {
    /// The store's directory
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Report as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Options of `amida files`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each file is a plain Parquet file that stays as it is until compaction or retention removes it.
Spans that are still in the log are in none of them; amida compact puts them there.

Examples:
  amida files traces.amida
  amida files traces.amida --long
  amida files traces.amida | xargs ls -l")]
pub struct FilesArgs {
    /// The store's directory
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Also rows, bytes and times
    #[arg(short, long)]
    pub long: bool,
    /// Report as one JSON object
    #[arg(long)]
    pub json: bool,
}
