use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use super::{CHUNK_ROWS, Decode, Memtable};
use crate::error::Result;
use crate::model::batch::SpanBatch;
use crate::model::catalog::Catalog;
use crate::model::hot::{HotBatch, HotRequest, HotSpan, Resolved};
use crate::model::ids::TraceId;
use crate::model::schema::Marks;

static RESOLVED_ROWS: AtomicUsize = AtomicUsize::new(0);

/// Counts what it is asked to resolve; the rows themselves do not matter here.
fn counting(batches: &[Arc<HotBatch>]) -> Result<Resolved> {
    let rows = batches.iter().map(|batch| batch.rows).sum();
    RESOLVED_ROWS.fetch_add(rows, Ordering::SeqCst);
    Ok(Resolved { batch: SpanBatch::empty(), catalog: Catalog::default() })
}

fn no_rows(_: &HotRequest, rows: &[usize]) -> Result<SpanBatch> {
    assert!(!rows.is_empty());
    Ok(SpanBatch::empty())
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
    let mut memtable = Memtable::new(Decode { all: counting, rows: no_rows });
    memtable.insert(batch(1, &vec![5; CHUNK_ROWS]), 1, (100, 100));
    memtable.insert(batch(2, &[9, 3]), 2, (101, 102));
    let before = memtable.view();
    before.batches().unwrap();
    before.batches().unwrap();
    assert_eq!(RESOLVED_ROWS.load(Ordering::SeqCst), CHUNK_ROWS + 2);
    memtable.insert(batch(3, &[7]), 3, (103, 103));
    assert_eq!(before.facts().rows, CHUNK_ROWS as u64 + 2);
    let after = memtable.view();
    after.batches().unwrap();
    // Only the open chunk (three rows now) was resolved again.
    assert_eq!(RESOLVED_ROWS.load(Ordering::SeqCst), CHUNK_ROWS + 5);
    assert_eq!(after.facts().start_times, Some((3, 9)));
    assert_eq!(after.facts().ingest_times, Some((100, 103)));
    assert_eq!((after.facts().first_sequence, after.facts().last_sequence), (1, 3));
    let id = TraceId::from_bytes(&[3; 16]).unwrap();
    assert_eq!((before.trace(id).unwrap().len(), after.trace(id).unwrap().len()), (0, 1));
}
