//! Tests of the room, on spans that are generated from a seed.
#![allow(clippy::single_range_in_vec_init)] // a list of ranges may well have one

mod constants;
mod damage;
mod examined;
mod lookup;
mod round_trip;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, FixedSizeBinaryBuilder, Int64Array, RecordBatch, StringViewArray,
    TimestampNanosecondArray, UInt32Array,
};

use super::{HEADER_OFFSET, Header, MetadataCache, Origin, Segment, SegmentWriter, measures};
use crate::error::Result;
use crate::fs::{Fs, MemoryFs};
use crate::model::batch::SpanBatch;
use crate::model::catalog::{Promoted, PromotedType, Scope};
use crate::model::ids::TraceId;
use crate::model::ordered::Ordered;
use crate::model::schema::{COLUMN_NAMES, UTC, col, span_schema};
use crate::sync::Helpers;

const STORE: [u8; 16] = [7; 16];
const SEED: u64 = 20_261_123;
const ORIGIN: Origin = Origin { sequences: (5, u64::MAX), ingest_times: (i64::MIN, -1) };

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// One span before it is a row.
struct Row {
    trace: [u8; 16],
    span: u64,
    parent: Option<u64>,
    texts: BTreeMap<usize, String>,
    start: i64,
    duration: i64,
}

/// A span with attributes of every type, awkward keys and texts.
fn row(random: &mut Random, trace: [u8; 16]) -> Row {
    let n = random.below(1000);
    let mut attributes = format!(r#"{{"http.route":"/r{}","code":{},"ok":{}"#, n % 9, n, n > 500);
    attributes += &format!(r#","ratio":{}.5,"quoted \"key\"":"a\"b\nc""#, n);
    attributes += match n % 3 {
        0 => r#","mixed":1,"nan":{"$double":"NaN"}"#,
        1 => r#","mixed":"one","list":[1,"x"],"bytes":{"$bytes":"AAEC"}"#,
        _ => "",
    };
    attributes.push('}');
    let service = format!("service-{}", random.below(5));
    let mut texts = BTreeMap::from([
        (col::NAME, format!("GET /item/{}", random.below(20))),
        (col::RESOURCE_ATTRIBUTES, format!(r#"{{"service.name":"{service}","pid":{}}}"#, n % 4)),
        (col::SERVICE_NAME, service),
        (col::KIND, "SERVER".to_owned()),
        (col::STATUS_CODE, if n.is_multiple_of(10) { "ERROR" } else { "UNSET" }.to_owned()),
        (col::ATTRIBUTES, attributes),
        (col::SCOPE_ATTRIBUTES, "{}".to_owned()),
    ]);
    if n.is_multiple_of(7) {
        texts.insert(col::EVENTS, format!(r#"[{{"time":{n},"name":"retry"}}]"#));
        texts.insert(col::STATUS_MESSAGE, "timed out".to_owned());
    }
    let start = 1_700_000_000_000_000_000 + i64::try_from(random.below(1 << 40)).unwrap();
    let parent = (!n.is_multiple_of(4)).then(|| random.next());
    Row { trace, span: random.next() | 1, parent, texts, start, duration: n as i64 - 3 }
}

/// These rows as one batch, in the order of a row group.
fn batch(mut rows: Vec<Row>) -> SpanBatch {
    rows.sort_by_key(|row| (row.trace, row.start));
    let ids = |bytes: i32, id: &dyn Fn(&Row) -> Option<Vec<u8>>| -> ArrayRef {
        let mut builder = FixedSizeBinaryBuilder::new(bytes);
        for row in &rows {
            match id(row) {
                Some(id) => builder.append_value(id).unwrap(),
                None => builder.append_null(),
            }
        }
        Arc::new(builder.finish())
    };
    let columns = (0..COLUMN_NAMES.len()).map(|column| -> ArrayRef {
        match column {
            col::TRACE_ID => ids(16, &|row| Some(row.trace.to_vec())),
            col::SPAN_ID => ids(8, &|row| Some(row.span.to_be_bytes().to_vec())),
            col::PARENT_SPAN_ID => ids(8, &|row| Some(row.parent?.to_be_bytes().to_vec())),
            col::START_TIME => {
                let starts = rows.iter().map(|row| row.start);
                let array = TimestampNanosecondArray::from_iter_values(starts);
                Arc::new(array.with_timezone(UTC))
            }
            col::DURATION_NS => {
                Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.duration)))
            }
            col::FLAGS..=col::MARKS => {
                let counts = rows.iter().map(|row| (row.span % 3) as u32);
                Arc::new(UInt32Array::from_iter_values(counts))
            }
            _ => {
                Arc::new(rows.iter().map(|row| row.texts.get(&column)).collect::<StringViewArray>())
            }
        }
    });
    let batch = RecordBatch::try_new(span_schema().clone(), columns.collect()).unwrap();
    SpanBatch::try_new(batch).unwrap()
}

fn trace(random: &mut Random) -> [u8; 16] {
    let (a, b) = (random.next(), random.next());
    std::array::from_fn(|at| if at < 8 { a.to_le_bytes()[at] } else { b.to_le_bytes()[at - 8] })
}

/// These batches one after the other.
fn in_order(batches: &[SpanBatch]) -> Ordered<'_> {
    let rows = batches.iter().enumerate();
    let rows = rows.flat_map(|(at, batch)| (0..batch.len()).map(move |row| (at, row)));
    Ordered::new(batches, rows.collect())
}

/// Row groups of this many traces each, of 1 to 12 spans; the last trace of a group goes on in the
/// next one.
fn groups(seed: u64, sizes: &[u64]) -> Vec<SpanBatch> {
    let random = &mut Random(seed);
    let mut last = None;
    let group = |traces: &u64| {
        let mut ids: Vec<[u8; 16]> = (0..*traces).map(|_| trace(random)).collect();
        ids.extend(last.take());
        last = ids.first().copied();
        let rows = ids.into_iter().flat_map(|id| vec![id; 1 + random.below(12) as usize]);
        let rows: Vec<[u8; 16]> = rows.collect();
        batch(rows.into_iter().map(|id| row(random, id)).collect())
    };
    sizes.iter().map(group).collect()
}

fn promoted() -> Vec<Promoted> {
    let key = |scope, key: &str, value_type| Promoted { scope, key: key.into(), value_type };
    vec![
        key(Scope::Span, "http.route", PromotedType::String),
        key(Scope::Span, "code", PromotedType::Int),
        key(Scope::Resource, "pid", PromotedType::Int),
        key(Scope::Span, "ok", PromotedType::Bool),
        key(Scope::Span, "ratio", PromotedType::Double),
        key(Scope::Span, "nan", PromotedType::Double),
        key(Scope::Span, "mixed", PromotedType::Int),
        key(Scope::Span, "quoted \"key\"", PromotedType::String),
        key(Scope::Span, "absent", PromotedType::String),
    ]
}

/// A disk with one folder.
struct Disk {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    cache: Arc<MetadataCache>,
}

impl Disk {
    fn new() -> Self {
        Self::on(Arc::new(MemoryFs::new()), PathBuf::from("/store"))
    }

    fn on(fs: Arc<dyn Fs>, dir: PathBuf) -> Self {
        fs.create_dir_all(&dir).unwrap();
        Self { fs, dir, cache: Arc::new(MetadataCache::new(16 << 20)) }
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{number}.parquet"))
    }

    fn write(&self, number: u64, groups: &[SpanBatch], promoted: &[Promoted]) -> Segment {
        self.write_by(2, number, groups, promoted)
    }

    /// Writes a segment by so many threads.
    fn write_by(
        &self,
        threads: usize,
        number: u64,
        groups: &[SpanBatch],
        promoted: &[Promoted],
    ) -> Segment {
        let (path, helpers) = (self.path(number), Helpers::new(threads));
        let mut writer =
            SegmentWriter::create(&self.fs, &path, number, STORE, promoted, ORIGIN).unwrap();
        for group in groups {
            writer.write_row_group(&in_order(std::slice::from_ref(group)), &helpers).unwrap();
        }
        let summary = writer.finish().unwrap();
        let segment = self.open(number).unwrap();
        assert_eq!(summary.bytes, self.fs.open(&path).unwrap().len().unwrap());
        assert_eq!((summary.rows, summary.bytes), (segment.rows(), segment.bytes()));
        assert_eq!((summary.start_min_ns, summary.start_max_ns), segment.start_times());
        assert_eq!(summary.row_groups, segment.row_groups());
        assert_eq!((summary.origin, segment.origin().unwrap()), (ORIGIN, ORIGIN));
        segment
    }

    fn open(&self, number: u64) -> Result<Segment> {
        Segment::open(&self.fs, &self.path(number), number, Some(STORE), &self.cache)
    }

    fn bytes(&self, number: u64) -> Vec<u8> {
        self.fs.map(&self.path(number)).unwrap().to_vec()
    }

    /// Replaces the file of a segment.
    fn put(&self, number: u64, bytes: &[u8]) {
        put(self.fs.as_ref(), &self.path(number), bytes);
    }
}

/// The file with a checksum that its changed footer has.
fn with_right_checksum(mut bytes: Vec<u8>, header: &Header) -> Vec<u8> {
    let footer = header.footer();
    let footer = usize::try_from(footer.start).unwrap()..usize::try_from(footer.end).unwrap();
    let header = Header { footer_crc: crc32fast::hash(&bytes[footer]), ..header.clone() };
    let encoded = header.encode();
    bytes[HEADER_OFFSET..HEADER_OFFSET + encoded.len()].copy_from_slice(&encoded);
    bytes
}

fn put(fs: &dyn Fs, path: &Path, bytes: &[u8]) {
    if fs.exists(path).unwrap() {
        fs.remove(path).unwrap();
    }
    fs.create(path).unwrap().write_all_at(bytes, 0).unwrap();
}

fn all(batches: &[SpanBatch]) -> RecordBatch {
    SpanBatch::concat(batches).unwrap().into_record_batch()
}

/// All rows of a segment.
fn scan(segment: Segment) -> Result<Vec<SpanBatch>> {
    Arc::new(segment).scan(&crate::model::predicate::Predicate::new())?.collect()
}

fn trace_ids(batches: &[SpanBatch]) -> Vec<TraceId> {
    let mut ids: Vec<TraceId> =
        batches.iter().flat_map(|b| b.spans().map(|s| s.trace_id()).collect::<Vec<_>>()).collect();
    ids.sort();
    ids.dedup();
    ids
}

/// The rows of one trace, by brute force.
fn spans_of(batches: &[SpanBatch], id: TraceId) -> Vec<SpanBatch> {
    let kept = batches.iter().map(|b| super::rows::only_trace(vec![b.clone()], id).unwrap());
    kept.flatten().collect()
}
