//! `amida compact`: the log into segments, small segments into larger ones.

use std::ops::RangeInclusive;
use std::time::Instant;

use amida::{Reader, Retention, Stats, Store};
use serde::Serialize;

use super::{Failure, Outcome};
use crate::args::CompactArgs;
use crate::output;

#[derive(Debug, Serialize)]
struct Side {
    segments: u64,
    segment_bytes: u64,
    wal_bytes: u64,
    disk_bytes: u64,
}

#[derive(Debug, Serialize)]
struct Report {
    spans: u64,
    before: Side,
    after: Side,
    seconds: f64,
}

impl From<&Stats> for Side {
    fn from(stats: &Stats) -> Self {
        Self {
            segments: stats.segments,
            segment_bytes: stats.segment_bytes,
            wal_bytes: stats.wal_bytes,
            disk_bytes: stats.disk_bytes,
        }
    }
}

/// Segments of the first size are made in any store, none of more than the last, which is the
/// library's default.
const SEGMENT_BYTES: RangeInclusive<u64> = 16 << 20..=256 << 20;

/// Compacts a store that nobody else writes to.
pub fn run(args: &CompactArgs) -> Result<Outcome, Failure> {
    let started = Instant::now();
    // The owner of the store says how long spans are kept; a tool that is run once in between
    // must not drop them by limits that the owner never set. The owner drops whole segments: an
    // eighth of what there is now is at most an eighth of what it keeps.
    let bytes = Reader::open(&args.dir)?.stats().segment_bytes;
    let store = Store::options()
        .must_exist()
        .retention(Retention::forever())
        .segment_bytes_max((bytes / 8).clamp(*SEGMENT_BYTES.start(), *SEGMENT_BYTES.end()))
        .open(&args.dir)?;
    let before = store.stats();
    let bar = output::byte_bar(0);
    let compacted = store.compact_with(|done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    compacted?;
    let after = store.stats();
    store.close()?;
    let report = Report {
        spans: after.segment_spans + after.memtable_spans,
        before: (&before).into(),
        after: (&after).into(),
        seconds: started.elapsed().as_secs_f64(),
    };
    if args.json {
        output::json(&report)?;
    } else {
        output::say(&format!(
            "{}: {} of {} became {} of {}, the directory {} became {}, in {:.1} s",
            output::things(report.spans, "span"),
            output::things(report.before.segments, "segment"),
            output::bytes(report.before.segment_bytes),
            report.after.segments,
            output::bytes(report.after.segment_bytes),
            output::bytes(report.before.disk_bytes),
            output::bytes(report.after.disk_bytes),
            report.seconds
        ))?;
    }
    Ok(Outcome::Good)
}
