use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{RecordBatch, new_null_array};
use arrow::datatypes::Schema;
use bytes::Bytes;

use super::{CHUNK_ROWS, Decode, Memtable, MemtableView, SomeSpans};
use crate::error::Result;
use crate::model::batch::SpanBatch;
use crate::model::catalog::Catalog;
use crate::model::hot::{HotBatch, HotRequest, HotSpan, Resolved};
use crate::model::ids::TraceId;
use crate::model::schema::{Marks, span_schema};
use crate::sync::Helpers;

static RESOLVED_ROWS: AtomicUsize = AtomicUsize::new(0);

/// Counts what it is asked to resolve; the rows themselves do not matter here.
fn counting(batches: &[Arc<HotBatch>]) -> Result<Resolved> {
    let rows = batches.iter().map(|batch| batch.rows).sum();
    RESOLVED_ROWS.fetch_add(rows, Ordering::SeqCst);
    Ok(Resolved { batch: SpanBatch::empty(), catalog: Catalog::default() })
}

/// Says with its rows how many spans it was asked for.
fn as_many_rows(spans: &[SomeSpans<'_>]) -> Result<SpanBatch> {
    let rows = spans.iter().map(|(_, rows)| rows.len()).sum();
    let columns = span_schema().fields().iter().map(|f| new_null_array(f.data_type(), rows));
    let schema = Arc::new(Schema::new(
        span_schema()
            .fields()
            .iter()
            .map(|f| f.as_ref().clone().with_nullable(true))
            .collect::<Vec<_>>(),
    ));
    SpanBatch::try_new(RecordBatch::try_new(schema, columns.collect()).unwrap())
}

fn batch(trace: u8, starts: &[i64]) -> HotBatch {
    let spans = starts.iter().map(|start_ns| HotSpan {
        trace_id: [trace; 16],
        span_id: [1; 8],
        parent_span_id: None,
        start_ns: *start_ns,
        duration_ns: 1,
        kind: 0,
        status: 0,
        marks: Marks::default(),
        message: 0..0,
        resource: 0,
        scope: 0,
    });
    HotBatch::new(vec![HotRequest {
        body: Bytes::from_static(b"body"),
        spans: spans.collect(),
        resources: Vec::new(),
        scopes: Vec::new(),
    }])
}

#[test]
fn a_view_does_not_change_and_full_chunks_are_resolved_once() {
    let mut memtable = Memtable::new(Decode { all: counting, rows: as_many_rows });
    memtable.insert(batch(1, &vec![5; CHUNK_ROWS]), 1, (100, 100));
    memtable.insert(batch(2, &[9, 3]), 2, (101, 102));
    let before = memtable.view();
    before.batches(&Helpers::none()).unwrap();
    before.batches(&Helpers::none()).unwrap();
    assert_eq!(RESOLVED_ROWS.load(Ordering::SeqCst), CHUNK_ROWS + 2);
    memtable.insert(batch(3, &[7]), 3, (103, 103));
    assert_eq!(before.facts().rows, CHUNK_ROWS as u64 + 2);
    let after = memtable.view();
    after.batches(&Helpers::none()).unwrap();
    // Only the open chunk (three rows now) was resolved again.
    assert_eq!(RESOLVED_ROWS.load(Ordering::SeqCst), CHUNK_ROWS + 5);
    assert_eq!(after.facts().start_times, Some((3, 9)));
    assert_eq!(after.facts().ingest_times, Some((100, 103)));
    assert_eq!((after.facts().first_sequence, after.facts().last_sequence), (1, 3));
    assert_eq!((rows_of(&before, [3; 16]), rows_of(&after, [3; 16])), (0, 1));
}

fn rows_of(view: &MemtableView, id: [u8; 16]) -> usize {
    let found = view.trace(TraceId::from_bytes(&id).unwrap()).unwrap();
    found.map_or(0, |spans| spans.len())
}

#[test]
fn a_trace_is_found_in_all_chunks_and_not_mixed_with_one_that_ends_alike() {
    let mut memtable = Memtable::new(Decode { all: counting, rows: as_many_rows });
    let mut alike = batch(1, &[1; 3]);
    for span in &mut alike.requests[0].spans {
        span.trace_id[0] = 9;
    }
    memtable.insert(alike, 1, (1, 1));
    for sequence in 2..=4 {
        memtable.insert(batch(2, &vec![1; CHUNK_ROWS / 2]), sequence, (1, 1));
        memtable.insert(batch(1, &[1, 1]), sequence, (1, 1));
    }
    let view = memtable.view();
    assert!(view.full.len() == 1 && view.open.rows > 0);
    let mut alike = [1; 16];
    alike[0] = 9;
    assert_eq!(rows_of(&view, [1; 16]), 6);
    assert_eq!(rows_of(&view, [2; 16]), CHUNK_ROWS / 2 * 3);
    assert_eq!(rows_of(&view, alike), 3);
    assert_eq!(rows_of(&view, [3; 16]), 0);
}
