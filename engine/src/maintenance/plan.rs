//! What to do, decided from a version and limits alone: no I/O.

use std::ops::Range;
use std::time::Duration;

use crate::manifest::{SegmentEntry, Version};
use crate::model::catalog::{Catalog, Promoted, PromotedType, Scope, SqlType};
use crate::model::time::nanoseconds;
use crate::options::Retention;

/// Neighbours of about one size are merged when there are this many.
const FAN_IN: usize = 4;
/// Segments smaller than this count as one size.
const TIER_BYTES: u64 = 1 << 20;
/// Row groups with fewer rows are encoded again when they are merged.
pub const ROW_GROUP_ROWS_MIN: u64 = 16 << 10;
/// A column is promoted when its key stands in at least one span of this many.
const PROMOTE_ONE_IN: u64 = 200;
/// Keys that begin so tell where in its program a span was made, by OpenTelemetry's conventions.
/// Some SDKs put them on every span, and hardly anybody asks for spans by them.
const OF_PROGRAMS: [&str; 2] = ["code.", "thread."];
/// Longest key that is promoted, in bytes.
const PROMOTE_KEY_BYTES_MAX: usize = 128;

/// Limits of compaction.
#[derive(Debug, Clone, Copy)]
pub struct CompactionLimits {
    /// Largest segment to make.
    pub segment_bytes_max: u64,
    /// Longest time of ingest that one segment may span, so that retention can still drop its old
    /// part.
    pub ingest_span_max: Duration,
}

impl CompactionLimits {
    /// Limits that suit this retention, which drops whole segments: a segment has at most an eighth
    /// of the bytes that are kept, and spans at most an eighth of the time, and at least an hour.
    pub fn new(segment_bytes_max: u64, retention: &Retention) -> Self {
        let bytes = retention.bytes_max.map_or(u64::MAX, |bytes| bytes / 8);
        let eighth = retention.age_max.map_or(Duration::MAX, |age| age / 8);
        Self {
            segment_bytes_max: segment_bytes_max.min(bytes),
            ingest_span_max: eighth.max(Duration::from_secs(3600)),
        }
    }

    fn allow(&self, run: &[SegmentEntry]) -> bool {
        let bytes: u64 = run.iter().map(|segment| segment.bytes).sum();
        let first = run.iter().map(|segment| segment.ingest_times.0).min().unwrap_or(0);
        let last = run.iter().map(|segment| segment.ingest_times.1).max().unwrap_or(0);
        let span = u128::from(last.abs_diff(first));
        bytes <= self.segment_bytes_max && span <= self.ingest_span_max.as_nanos()
    }
}

/// The merges that the background does one after the other: neighbours in order of ingest, of about
/// one size. What is not `sound` stays as it is, and so nothing is merged across it.
pub fn due_merges(
    version: &Version,
    limits: &CompactionLimits,
    sound: impl Fn(&SegmentEntry) -> bool,
) -> Vec<Range<usize>> {
    let segments = &version.segments;
    let mut merges = Vec::new();
    let mut start = 0;
    while start < segments.len() {
        let tier = tier(segments[start].bytes);
        let alike = |s: &&SegmentEntry| self::tier(s.bytes) == tier && sound(s);
        let len = segments[start..].iter().take_while(alike).count().max(1);
        if len >= FAN_IN {
            let run = longest_allowed(segments, start..start + len, limits);
            if run.len() >= FAN_IN {
                merges.push(run);
            }
        }
        start += len;
    }
    merges
}

/// All merges that bring the store to the fewest segments, for a compaction that was asked for;
/// from the newest to the oldest, so that earlier positions stay valid while they are carried out.
/// `sound` as for `due_merges`.
pub fn all_merges(
    version: &Version,
    limits: &CompactionLimits,
    sound: impl Fn(&SegmentEntry) -> bool,
) -> Vec<Range<usize>> {
    let segments = &version.segments;
    let mut merges = Vec::new();
    let mut start = 0;
    while start < segments.len() {
        let len = segments[start..].iter().take_while(|s| sound(s)).count();
        let run = longest_allowed(segments, start..start + len, limits);
        if run.len() > 1 {
            merges.push(run.clone());
        }
        start = run.end.max(start + 1);
    }
    merges.reverse();
    merges
}

/// The longest run from the start of this range that may become one segment.
fn longest_allowed(
    segments: &[SegmentEntry],
    range: Range<usize>,
    limits: &CompactionLimits,
) -> Range<usize> {
    let mut end = range.start;
    while end < range.end && limits.allow(&segments[range.start..=end]) {
        end += 1;
    }
    range.start..end
}

/// Sizes in steps of four: 0 up to 1 MiB, 1 up to 4 MiB, ...
fn tier(bytes: u64) -> u32 {
    (bytes / TIER_BYTES).checked_ilog(4).map_or(0, |log| log + 1)
}

/// How many of the first segments retention drops now. The newest is never dropped for its bytes:
/// a store that was just written to is not empty.
pub fn expired(version: &Version, retention: &Retention, now_ns: i64) -> usize {
    let too_old = retention.age_max.map_or(0, |age| {
        let limit = now_ns.saturating_sub(nanoseconds(age));
        let newest = |s: &SegmentEntry| {
            if planted!("retention_by_span_time") { s.start_times.1 } else { s.ingest_times.1 }
        };
        version.segments.iter().take_while(|s| newest(s) < limit).count()
    });
    let too_many = retention.bytes_max.map_or(0, |bytes_max| {
        let mut bytes = version.segment_bytes();
        version
            .segments
            .iter()
            .take(version.segments.len().saturating_sub(1))
            .take_while(|segment| {
                let over = bytes > bytes_max;
                bytes -= segment.bytes;
                over
            })
            .count()
    });
    too_old.max(too_many)
}

/// Keys of spans that are worth a column: frequent ones of one type, the most frequent first.
/// `catalog` has the spans of the next segment in it, `rows` counts all.
///
/// Not among them are doubles, which are measurements: they hardly repeat, so a column costs as
/// much again as the JSON, and is never pruned. Nor are resources' keys: their texts are few, and
/// what asks for a key reads each of them once.
pub fn worth_a_column(catalog: &Catalog, rows: u64) -> Vec<Promoted> {
    let mut worth = Vec::new();
    for (key, counts) in catalog.keys(Scope::Span) {
        let SqlType::One(value_type) = counts.sql_type() else { continue };
        let one_type = counts.seen().len() == 1;
        let frequent = counts.total() >= (rows / PROMOTE_ONE_IN).max(1);
        if let Some(value_type) = PromotedType::of(value_type)
            && value_type != PromotedType::Double
            && one_type
            && frequent
            && key.len() <= PROMOTE_KEY_BYTES_MAX
            && !OF_PROGRAMS.iter().any(|program| key.starts_with(program))
        {
            worth.push((
                counts.total(),
                Promoted { scope: Scope::Span, key: key.into(), value_type },
            ));
        }
    }
    worth.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.key.cmp(&b.1.key)));
    worth.into_iter().map(|(_, key)| key).collect()
}

/// The promoted keys of the next segment: those there are, those that were asked for, and the first
/// of these others, up to a number.
pub fn promote(
    version: &Version,
    asked: &[Promoted],
    others: Vec<Promoted>,
    promoted_max: usize,
) -> Vec<Promoted> {
    let mut promoted = version.promoted.clone();
    for new in asked {
        if !clashes(&promoted, new) {
            promoted.push(new.clone());
        }
    }
    for new in others {
        if promoted.len() < promoted_max && !clashes(&promoted, &new) {
            promoted.push(new);
        }
    }
    promoted
}

/// Column names must differ even where case is ignored, as some readers of Parquet do.
fn clashes(promoted: &[Promoted], new: &Promoted) -> bool {
    let name = new.column_name();
    promoted.iter().any(|old| old.column_name().eq_ignore_ascii_case(&name))
}
