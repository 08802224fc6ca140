//! A segment file, opened and read in every way: any bytes, whole files with damage, and files with
//! anything in them under the right checksums.

use std::path::Path;
use std::sync::Arc;

use amida::{
    Durability, Fs, ManualClock, MemoryFs, Predicate, PromotedType, Result, Segment, SpanBatch,
    Store, TraceId, decoders,
};
use amida_tests::corpus::{self, Corpus, START_NS};
use amida_tests::input::{Damage, Input};
use amida_tests::oracle::Row;
use amida_tests::wild::Wild;
use bytes::Bytes;
use fastrand::Rng;

/// The number of the segment that a store writes first.
const FIRST: u64 = 1;

/// A segment as a store wrote it.
struct Whole {
    bytes: Vec<u8>,
    number: u64,
    rows: Vec<Row>,
}

/// Segments that a store wrote.
pub struct Target {
    segments: Vec<Whole>,
}

impl Target {
    /// Segments of few spans: plain ones with promoted columns, wild ones, and two row groups.
    pub fn new() -> Self {
        let mut corpus = Corpus::new(2);
        let mut request = |spans| corpus::encode(&corpus.request(spans));
        let one = written(&[vec![request(1)]]);
        let groups = written(&[vec![request(6)], vec![request(5)]]);
        let wild = written(&[(0..6).map(|n| corpus::encode(&Wild::new(n).request())).collect()]);
        Self { segments: vec![one, groups, wild] }
    }

    /// An input that reaches the decoders.
    pub fn seed(&self, number: u64) -> Vec<u8> {
        let mut random = Rng::with_seed(number);
        let mut seed = vec![(number % 3) as u8, random.u8(..)];
        if number.is_multiple_of(3) {
            let mut file = self.segments[0].bytes.clone();
            let at = random.usize(0..file.len());
            file[at] = random.u8(..);
            seed.extend(file);
        } else {
            seed.extend((0..random.usize(6..40)).map(|_| random.u8(..)));
        }
        seed
    }

    /// Panics when a segment is not read as it must be.
    pub fn check(&self, data: &[u8]) {
        let mut input = Input::new(data);
        let mode = input.u8() % 3;
        let whole = &self.segments[usize::from(input.u8()) % self.segments.len()];
        match mode {
            0 => drop(read(input.rest().to_vec(), FIRST)),
            1 => {
                let mut bytes = whole.bytes.clone();
                let damage = Damage::choose(&mut input, bytes.len());
                let Some((from, _)) = damage.apply(&mut bytes) else { return };
                let cut = matches!(damage, Damage::Cut(_));
                let what = format!("{damage:?}, from byte {from}");
                whole.or_an_error(bytes, cut, &what);
            }
            _ => {
                let mut bytes = whole.bytes.clone();
                edit(&mut bytes, &mut input);
                scan_forged(bytes, whole.number);
            }
        }
    }
}

impl Whole {
    /// What is read of a damaged file is an error or what was written.
    fn or_an_error(&self, bytes: Vec<u8>, cut: bool, what: &str) {
        let Ok(read) = read(bytes, self.number) else { return };
        assert!(!cut, "{what}: a cut file is opened");
        assert!(read.verified.is_err(), "{what}: not noticed");
        if let Ok(mut rows) = read.scanned {
            rows.sort();
            assert_eq!(rows, self.rows, "{what}: scanned");
        }
        for traced in read.traces {
            let Ok(rows) = traced else { continue };
            assert!(rows.iter().all(|row| self.rows.contains(row)), "{what}: a wrong row");
        }
    }
}

/// The segment of these flushes, after compaction.
fn written(flushes: &[Vec<Bytes>]) -> Whole {
    let fs = MemoryFs::new();
    let store = Store::options()
        .fs(Arc::new(fs.clone()))
        .clock(Arc::new(ManualClock::at(START_NS)))
        .disk_floor_bytes(0)
        .durability(Durability::Os)
        .promote([("http.route".to_owned(), PromotedType::String)])
        .open("/store")
        .expect("an empty store in memory opens");
    for requests in flushes {
        for request in requests {
            let _receipt =
                store.append_otlp(request.clone()).expect("a store in memory takes spans");
        }
        store.flush().expect("a store in memory flushes");
    }
    store.compact().expect("a store in memory compacts");
    let snapshot = store.snapshot();
    let [segment] = snapshot.segments() else { panic!("one segment after compaction") };
    let bytes = fs.map(segment.path()).expect("the file of the segment").to_vec();
    let read = read(bytes.clone(), segment.number()).expect("a whole segment opens");
    read.verified.expect("a whole segment verifies");
    let mut rows = read.scanned.expect("a whole segment is read");
    rows.sort();
    assert!(!read.traces.is_empty() && read.traces.iter().all(Result::is_ok));
    Whole { bytes, number: segment.number(), rows }
}

/// Changes bytes and fields of the header, and makes the checksums right.
fn edit(bytes: &mut [u8], input: &mut Input<'_>) {
    let mut header = decoders::segment_header(bytes).expect("the header of a whole segment");
    let body_end = header.index_offset as usize;
    // Index, block table and footer: of what a forged page says parquet takes memory for values
    // that are not there.
    for _ in 0..=input.u8() % 4 {
        let at = body_end + input.below(bytes.len() - body_end);
        match input.u8() % 4 {
            0 => bytes[at] = input.u8(),
            1 => bytes[at] ^= 1 << (input.u8() % 8),
            2 => {
                let len = usize::from(input.u8() % 16).min(bytes.len() - at);
                bytes[at..at + len].copy_from_slice(&input.array::<16>()[..len]);
            }
            _ => {
                let from = 128 + input.below(bytes.len() - 128);
                let len = usize::from(input.u8()).min(bytes.len() - at.max(from));
                bytes.copy_within(from..from + len, at);
            }
        }
    }
    let small = |input: &mut Input<'_>| u64::from(input.u8() % 32);
    match input.u8() % 8 {
        0 => header.rows = input.u64(),
        1 => header.row_groups = small(input) as u32,
        2 => header.rows = small(input),
        3 => header.index_offset = header.index_offset.wrapping_add(small(input)),
        4 => header.table_offset = header.table_offset.wrapping_sub(small(input)),
        5 => header.footer_offset = header.footer_offset.wrapping_add(small(input)),
        _ => {}
    }
    decoders::seal_segment(bytes, header);
}

/// What a file gives.
struct Read {
    verified: Result<()>,
    scanned: Result<Vec<Row>>,
    traces: Vec<Result<Vec<Row>>>,
}

/// Opens a file and reads all of it in every way.
fn read(bytes: Vec<u8>, number: u64) -> Result<Read> {
    let segment = decoders::segment(Bytes::from(bytes), number)?;
    assert_eq!(segment.path(), Path::new("/bytes"));
    let _ = (segment.metadata(), segment.promoted(), segment.complete_columns());
    let _ = segment.complete_in_row_groups();
    let scanned = scan(&segment);
    let ids = segment.trace_ids_between(&[0; 16], &[255; 16]).unwrap_or_default();
    let traces = ids.iter().take(8).map(|id| segment.read_trace(*id).map(|b| rows(&b))).collect();
    // Rows that are asked for by number.
    let half = segment.rows() / 2;
    let _ = segment.read_rows(&[0..half.min(1), half..segment.rows()]);
    Ok(Read { verified: segment.verify(), scanned, traces })
}

/// Reads all of a file with right checksums over anything. Rows are not read by number: to pass
/// over rows, parquet 59 goes past the end of a forged page and makes an empty slice there, which a
/// build with debug assertions aborts on and any other has no harm of.
fn scan_forged(bytes: Vec<u8>, number: u64) {
    let Ok(segment) = decoders::segment(Bytes::from(bytes), number) else { return };
    let _ = (segment.metadata(), segment.promoted(), segment.complete_columns());
    let _ = segment.complete_in_row_groups();
    let _ = (scan(&segment), segment.verify());
    let _ = segment.trace_rows(TraceId::from_bytes(&[7; 16]).expect("an id"));
}

fn scan(segment: &Arc<Segment>) -> Result<Vec<Row>> {
    let batches = Arc::clone(segment).scan(&Predicate::new())?;
    let batches: Vec<SpanBatch> = batches.take(64).collect::<Result<_>>()?;
    Ok(rows(&batches))
}

fn rows(batches: &[SpanBatch]) -> Vec<Row> {
    batches.iter().flat_map(crate::rows::of_batch).collect()
}
