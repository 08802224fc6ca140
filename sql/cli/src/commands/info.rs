//! `amida info`: what a store holds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use amida::{Missing, Snapshot, Stats};
use amida_sql::Session;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use serde::Serialize;

use super::{Failure, Outcome, open, rfc3339, runtime, told};
use crate::args::InfoArgs;
use crate::output::{self, Align, Table};

#[derive(Debug, Serialize)]
struct Report<'a> {
    #[serde(serialize_with = "crate::output::path")]
    dir: &'a Path,
    spans: u64,
    traces: u64,
    start_time_min: Option<String>,
    start_time_max: Option<String>,
    services: Vec<Service>,
    bytes_per_span: Option<f64>,
    segments: u64,
    segments_to_merge: u64,
    segment_spans: u64,
    segment_bytes: u64,
    unflushed_spans: u64,
    unflushed_bytes: u64,
    wal_bytes: u64,
    disk_bytes: u64,
    accepted: u64,
    rejected: BTreeMap<&'static str, u64>,
    dropped: u64,
    damage: &'a [String],
    /// Damaged rows that the numbers of traces and services leave out.
    missing: Vec<Rows>,
}

/// Rows of a segment that cannot be read.
#[derive(Debug, Serialize)]
struct Rows {
    #[serde(serialize_with = "crate::output::path")]
    file: PathBuf,
    first: u64,
    spans: u64,
    start_time_min: String,
    start_time_max: String,
    what: String,
}

impl Rows {
    fn of(missing: &Missing) -> Self {
        Self {
            file: missing.path.clone(),
            first: missing.rows.start,
            spans: missing.spans(),
            start_time_min: rfc3339(missing.start_times.0),
            start_time_max: rfc3339(missing.start_times.1),
            what: missing.what.clone(),
        }
    }
}

#[derive(Debug, Serialize)]
struct Service {
    name: String,
    spans: u64,
}

/// Reports on a store.
pub fn run(args: &InfoArgs) -> Result<Outcome, Failure> {
    let reader = open(&args.dir)?;
    // What is damaged is reported, and does not keep the rest from being so.
    let (stats, snapshot) = (reader.stats(), reader.snapshot().allow_partial());
    let (traces, services) = ask(&snapshot)?;
    let missing = snapshot.missing();
    let times = snapshot.start_times();
    let report = Report {
        dir: &args.dir,
        spans: snapshot.span_count(),
        traces,
        start_time_min: times.map(|(from, _)| rfc3339(from)),
        start_time_max: times.map(|(_, to)| rfc3339(to)),
        services,
        bytes_per_span: bytes_per_span(&stats),
        segments: stats.segments,
        segments_to_merge: stats.segments_to_merge,
        segment_spans: stats.segment_spans,
        segment_bytes: stats.segment_bytes,
        unflushed_spans: stats.memtable_spans,
        unflushed_bytes: stats.memtable_bytes,
        wal_bytes: stats.wal_bytes,
        disk_bytes: stats.disk_bytes,
        accepted: stats.accepted,
        rejected: stats.rejected.iter().copied().collect(),
        dropped: stats.dropped,
        damage: &stats.damage,
        missing: missing.iter().map(Rows::of).collect(),
    };
    told(if args.json { output::json(&report) } else { tell(&report) })?;
    let is_whole = report.damage.is_empty() && report.missing.is_empty();
    Ok(if is_whole { Outcome::Good } else { Outcome::Failed })
}

/// Bytes of segments a span takes.
fn bytes_per_span(stats: &Stats) -> Option<f64> {
    (stats.segment_spans > 0).then(|| stats.segment_bytes as f64 / stats.segment_spans as f64)
}

/// The number of traces, and the services with their spans, most first.
fn ask(snapshot: &Snapshot) -> Result<(u64, Vec<Service>), Failure> {
    let session = Session::new(snapshot);
    runtime()?.block_on(async {
        let traces = session.query("SELECT count(DISTINCT trace_id) FROM spans").await?;
        let traces = traces.collect().await?;
        let traces = traces.batches().iter().find_map(|batch| number(batch, 0, 0)).unwrap_or(0);
        let sql = "SELECT service_name, count(*) FROM spans GROUP BY 1 ORDER BY 2 DESC, 1";
        let mut services = Vec::new();
        for batch in session.query(sql).await?.collect().await?.batches() {
            for row in 0..batch.num_rows() {
                let spans = number(batch, 1, row).unwrap_or(0);
                services.push(Service { name: text(batch, row), spans });
            }
        }
        Ok((traces, services))
    })
}

fn number(batch: &RecordBatch, column: usize, row: usize) -> Option<u64> {
    let column = batch.column(column).as_primitive_opt::<Int64Type>()?;
    (row < column.len()).then(|| u64::try_from(column.value(row)).unwrap_or(0))
}

/// The text in the first column.
fn text(batch: &RecordBatch, row: usize) -> String {
    use arrow::util::display::{ArrayFormatter, FormatOptions};
    let options = FormatOptions::new();
    let formatter = ArrayFormatter::try_new(batch.column(0), &options);
    formatter.map(|formatter| formatter.value(row).to_string()).unwrap_or_default()
}

fn to_merge(segments: u64) -> String {
    match segments {
        0 => String::new(),
        due => format!("; {} to be merged", output::count(due)),
    }
}

fn tell(report: &Report<'_>) -> Result<(), Failure> {
    let (count, things) = (output::count, output::things);
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let mut facts = Table::new([("", Align::Left), ("", Align::Left)]);
    let mut fact = |name: &str, value: String| facts.row([name.to_owned(), value]);
    fact("store", report.dir.display().to_string());
    fact("spans", count(report.spans));
    fact("traces", count(report.traces));
    fact("first start", or_none(&report.start_time_min));
    fact("last start", or_none(&report.start_time_max));
    let each = report.bytes_per_span.map_or("-".to_owned(), |bytes| format!("{bytes:.1} B"));
    fact("bytes per span", format!("{each} in segments"));
    fact(
        "segments",
        format!(
            "{}: {}, {}{}",
            count(report.segments),
            things(report.segment_spans, "span"),
            output::bytes(report.segment_bytes),
            to_merge(report.segments_to_merge)
        ),
    );
    fact(
        "not in segments",
        format!(
            "{}, {} of requests",
            things(report.unflushed_spans, "span"),
            output::bytes(report.unflushed_bytes)
        ),
    );
    fact("write-ahead log", output::bytes(report.wal_bytes));
    fact("whole directory", output::bytes(report.disk_bytes));
    fact("accepted", format!("{} since the store was made", things(report.accepted, "span")));
    fact("rejected", output::reasons(&report.rejected));
    fact("dropped", format!("{} by retention", things(report.dropped, "span")));
    for damage in report.damage {
        fact("DAMAGE", damage.clone());
    }
    for rows in &report.missing {
        fact(
            "NOT COUNTED",
            format!(
                "{} of {}, starts from {} to {}: {}",
                things(rows.spans, "span"),
                rows.file.display(),
                rows.start_time_min,
                rows.start_time_max,
                rows.what
            ),
        );
    }
    if !(report.damage.is_empty() && report.missing.is_empty()) {
        let dir = report.dir.display();
        fact(
            "what to do",
            format!("amida verify {dir} checks every file; docs/troubleshooting.md"),
        );
    }
    output::say(&facts.render(output::width()))?;
    if report.services.is_empty() {
        return Ok(());
    }
    let mut services = Table::new([("service", Align::Left), ("spans", Align::Right)]);
    for service in &report.services {
        services.row([service.name.clone(), count(service.spans)]);
    }
    output::say(&format!("\n{}", services.render(output::width())))
}
