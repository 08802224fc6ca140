//! The command line of `amida export`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::times;
use crate::args::PartialArgs;

/// Options of `amida export`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Formats, by --format or by the ending of the file:
  otlp-json          .json, .jsonl   one OTLP/JSON document a line, as the OpenTelemetry
                                     Collector's file exporter writes
  otlp-proto-framed  .pb, .binpb, .otlp   requests in protobuf, each behind its length in 4 bytes,
                                     big-endian, as the Collector's file exporter writes
  otlp-proto                         one ExportTraceServiceRequest in protobuf
  parquet            .parquet        a row a span, compressed by zstd
  arrow              .arrow, .ipc    the same as an Arrow IPC file
The first three are also compressed: .jsonl.gz, .pb.zst. Without --output the export goes to
standard output, as otlp-json unless told otherwise. amida import reads all of them, and stores the
same spans again.

A query selects what its rows are: spans, if they have all columns of the table spans; else whole
traces, if they have a trace_id, or single spans, if they have a span_id as well.

The store may be open for writing elsewhere. A file stands under its name when it is complete.

Exit codes: 0 written, also if nothing matched; 1 failed, or a --trace has no spans; 2 written
without damaged rows (--allow-partial).

Examples:
  amida export traces.amida -o all.parquet
  amida export traces.amida --trace 4bf92f > trace.json
  amida export traces.amida --from 2026-11-01 --to 2026-11-02 -o day.jsonl.zst
  amida export traces.amida --from 1h --service checkout -o recent.pb
  amida export traces.amida --query \"FROM traces |> WHERE error_count > 0\" -o failed.jsonl.gz
  amida export traces.amida --query \"FROM spans |> WHERE is_error\" --format arrow > errors.arrow
  amida export old.amida | amida import new.amida -")]
pub struct ExportArgs {
    /// The store's directory
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// A trace, by its id or the first digits of it; may be given several times
    #[arg(long, value_name = "ID")]
    pub trace: Vec<String>,
    /// Spans that start then or later: a time in RFC 3339, a date, or 1h for an hour ago
    #[arg(long, value_name = "TIME", value_parser = times::parse)]
    pub from: Option<i64>,
    /// Spans that start before that time
    #[arg(long, value_name = "TIME", value_parser = times::parse)]
    pub to: Option<i64>,
    /// Spans of this service
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// What this query selects
    #[arg(long, value_name = "SQL", conflicts_with_all = ["trace", "from", "to", "service"])]
    pub query: Option<String>,
    /// How to write the spans [default: by the ending of the file, else otlp-json]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<ExportFormat>,
    /// Write to this file
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Report as one JSON object
    #[arg(long, requires = "output")]
    pub json: bool,
    #[command(flatten)]
    pub partial: PartialArgs,
}

/// What export writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// OTLP/JSON documents, one a line
    OtlpJson,
    /// One OTLP request in protobuf
    OtlpProto,
    /// OTLP requests in protobuf, each behind its length
    OtlpProtoFramed,
    /// A Parquet file
    Parquet,
    /// An Arrow IPC file
    Arrow,
}

impl ExportFormat {
    /// The word of the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::OtlpJson => "otlp-json",
            Self::OtlpProto => "otlp-proto",
            Self::OtlpProtoFramed => "otlp-proto-framed",
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
        }
    }
}
