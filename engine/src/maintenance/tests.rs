#![allow(clippy::single_range_in_vec_init)] // runs of one merge are ranges of segments

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{RecordBatch, new_null_array};
use arrow::datatypes::Schema;

use super::compact::Gathered;
use super::plan::{CompactionLimits, all_merges, due_merges, expired, promote, worth_a_column};
use crate::manifest::{SegmentEntry, Version};
use crate::model::batch::SpanBatch;
use crate::model::catalog::{Catalog, Promoted, PromotedType, Scope, TypeCounts};
use crate::model::json::ValueType;
use crate::model::schema::span_schema;
use crate::options::Retention;

const SECOND: i64 = 1_000_000_000;

/// A version whose segments have these sizes in MiB and were ingested a second after each other.
fn version(sizes_mib: &[u64]) -> Version {
    let mut version = Version::first([1; 16]);
    for (at, mib) in sizes_mib.iter().enumerate() {
        let at = at as i64;
        version.segments.push(SegmentEntry {
            number: at as u64 + 1,
            rows: 1000 * mib,
            bytes: mib << 20,
            start_times: (0, 0),
            ingest_times: (at * SECOND, (at + 1) * SECOND),
            sequences: (at as u64 + 1, at as u64 + 1),
            row_groups: 1,
            promoted: Vec::new(),
        });
    }
    version
}

fn limits(mib: u64) -> CompactionLimits {
    CompactionLimits::new(mib << 20, &Retention::forever())
}

fn all(_: &SegmentEntry) -> bool {
    true
}

#[test]
fn nothing_is_merged_across_a_damaged_segment_and_its_neighbours_are() {
    let sound = |entry: &SegmentEntry| entry.number != 3;
    assert!(due_merges(&version(&[2; 6]), &limits(1024), sound).is_empty());
    assert_eq!(due_merges(&version(&[2; 7]), &limits(1024), sound), [3..7]);
    assert_eq!(all_merges(&version(&[2; 7]), &limits(1024), sound), [3..7, 0..2]);
    let none = |_: &SegmentEntry| false;
    assert!(due_merges(&version(&[2; 7]), &limits(1024), none).is_empty());
    assert!(all_merges(&version(&[2; 7]), &limits(1024), none).is_empty());
}

#[test]
fn four_neighbours_of_one_size_are_merged_and_fewer_are_not() {
    assert!(due_merges(&version(&[2, 2, 2]), &limits(1024), all).is_empty());
    assert_eq!(due_merges(&version(&[2, 3, 2, 2]), &limits(1024), all), [0..4]);
    assert_eq!(due_merges(&version(&[64, 2, 2, 64, 2, 2, 2, 2]), &limits(1024), all), [4..8]);
}

#[test]
fn a_merge_stays_below_the_largest_segment_and_spans_a_bounded_time() {
    assert_eq!(due_merges(&version(&[2, 2, 2, 2, 2, 2]), &limits(9), all), [0..4]);
    assert!(due_merges(&version(&[2, 2, 2, 2]), &limits(7), all).is_empty());
    assert_eq!(all_merges(&version(&[2, 2, 2, 2, 2]), &limits(5), all), [2..4, 0..2]);
    let mut old = version(&[2, 2, 2, 2]);
    old.segments[0].ingest_times = (-3601 * 8 * SECOND, -3601 * 8 * SECOND);
    let limits = CompactionLimits::new(1 << 40, &Retention::max_age(Duration::from_secs(8)));
    assert!(due_merges(&old, &limits, all).is_empty());
    let newer_three = std::iter::once(1..4).collect::<Vec<_>>();
    assert_eq!(all_merges(&old, &limits, all), newer_three);
}

#[test]
fn retention_drops_the_oldest_by_time_of_ingest_and_by_bytes() {
    let four = version(&[10, 10, 10, 10]);
    let age = Retention::max_age(Duration::from_secs(10));
    assert_eq!(expired(&four, &age, 11 * SECOND), 0);
    assert_eq!(expired(&four, &age, 13 * SECOND - 1), 2);
    assert_eq!(expired(&four, &age, 1000 * SECOND), 4);
    assert_eq!(expired(&four, &Retention::forever().max_bytes(25 << 20), 0), 2);
    assert_eq!(expired(&four, &Retention::forever().max_bytes(40 << 20), 0), 0);
    assert_eq!(expired(&four, &Retention::forever(), i64::MAX), 0);
}

/// A store of 512 MiB was merged into one segment of 490 MiB, which retention then dropped whole.
#[test]
fn what_one_drop_of_retention_removes_is_small() {
    let limits = CompactionLimits::new(1 << 30, &Retention::forever().max_bytes(512 << 20));
    assert_eq!(limits.segment_bytes_max, 64 << 20);
    let many = version(&[8; 64]);
    assert_eq!(due_merges(&many, &limits, all), [0..8]);
    assert!(all_merges(&many, &limits, all).iter().all(|run| run.len() == 8));
    // A segment that is too large all the same, from before or from elsewhere, is not dropped while
    // it is the newest.
    let bytes = |mib: u64| Retention::forever().max_bytes(mib << 20);
    assert_eq!(expired(&version(&[70]), &bytes(16), 0), 0);
    assert_eq!(expired(&version(&[1, 70]), &bytes(16), 0), 1);
}

#[test]
fn frequent_keys_of_one_type_are_promoted_and_stay_promoted() {
    let mut catalog = Catalog::default();
    let mut add = |scope, key: &str, types: &[(ValueType, u64)]| {
        let mut counts = TypeCounts::default();
        for (value_type, count) in types {
            counts.add(*value_type, *count);
        }
        catalog.add(scope, key, &counts);
    };
    add(Scope::Span, "http.route", &[(ValueType::String, 90)]);
    add(Scope::Span, "HTTP.ROUTE", &[(ValueType::String, 80)]);
    add(Scope::Span, "thread.name", &[(ValueType::String, 100)]);
    add(Scope::Span, "code.line.number", &[(ValueType::Int, 100)]);
    add(Scope::Span, "rare", &[(ValueType::Int, 4)]);
    add(Scope::Span, "mixed", &[(ValueType::Int, 50), (ValueType::String, 50)]);
    add(Scope::Span, "seconds", &[(ValueType::Double, 100)]);
    add(Scope::Span, "list", &[(ValueType::Json, 100)]);
    add(Scope::Resource, "host.name", &[(ValueType::String, 100)]);
    add(Scope::Resource, "service.name", &[(ValueType::String, 100)]);
    add(Scope::Event, "message", &[(ValueType::String, 100)]);
    let old = Promoted { scope: Scope::Span, key: "old".into(), value_type: PromotedType::Bool };
    let mut version = version(&[]);
    version.promoted.push(old);
    let names = |rows, max| {
        let promoted = promote(&version, &[], worth_a_column(&catalog, rows), max);
        promoted.iter().map(Promoted::column_name).collect::<Vec<_>>()
    };
    assert_eq!(names(1_000, 32), ["attr.old", "attr.http.route"]);
    assert_eq!(names(799, 32), ["attr.old", "attr.http.route", "attr.rare"]);
    assert_eq!(names(799, 1), ["attr.old"]);
}

#[test]
fn what_is_encoded_again_is_cut_before_a_row_group_is_too_large() {
    let batch = |rows| {
        let columns = span_schema().fields().iter();
        let fields: Vec<_> =
            columns.clone().map(|field| field.as_ref().clone().with_nullable(true)).collect();
        let columns = columns.map(|field| new_null_array(field.data_type(), rows)).collect();
        let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
        SpanBatch::try_new(rows).unwrap()
    };
    let mut gathered = Gathered::default();
    let mut groups: Vec<Vec<SpanBatch>> =
        [3, 3, 3, 2, 6, 1, 9].into_iter().map(|rows| gathered.add(batch(rows), 6)).collect();
    groups.push(gathered.batches);
    groups.retain(|group| !group.is_empty());
    let rows: Vec<Vec<usize>> =
        groups.iter().map(|group| group.iter().map(SpanBatch::len).collect()).collect();
    assert_eq!(rows, [vec![3, 3], vec![3, 2], vec![6], vec![1], vec![9]]);
}
