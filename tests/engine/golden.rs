//! A small store that has everything: segments, promoted columns, sealed logs and one that is
//! written, two manifests; and what may be read from a damaged copy of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use amida::{
    CrashModel, Durability, Error, Fs, MemoryFs, Options, Predicate, Segment, SpanBatch, Store,
    TraceId,
};
use amida_tests::corpus::{self, Corpus};
use amida_tests::wild::Wild;
use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};

use crate::common::{DIR, options};
use crate::tap::Tap;

/// Where a row of the store belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its row in `Golden::rows`.
    row: u32,
    /// The request that it came with; rows of segments have none.
    request: Option<u32>,
}

/// The store, as a process that was killed left it.
pub struct Golden {
    /// Its disk.
    pub fs: MemoryFs,
    /// Its files with their bytes.
    pub files: Vec<(PathBuf, Vec<u8>)>,
    rows: RecordBatch,
    traces: HashMap<PathBuf, Vec<(TraceId, usize)>>,
    places: HashMap<([u8; 16], [u8; 8]), Place>,
    /// Rows of each request of the log, in its order.
    requests: Vec<usize>,
    /// The first request of the newest log file.
    newest_log: u32,
}

/// Rows that were read from a copy.
#[derive(Default)]
pub struct Seen {
    rows: HashSet<u32>,
    requests: BTreeMap<u32, usize>,
}

impl Seen {
    /// How many.
    pub fn len(&self) -> usize {
        self.rows.len()
    }
}

impl Golden {
    /// Makes the store.
    pub fn new() -> Self {
        let disk = MemoryFs::new();
        let no_segments = Arc::new(AtomicBool::new(false));
        let refuse = no_segments.clone();
        let tap = Tap::new(Arc::new(disk.clone()), move |call, path| {
            let segment = path.extension().is_some_and(|e| e == "tmp")
                && path.to_string_lossy().contains("segments");
            if call == "create" && segment && refuse.load(Ordering::SeqCst) {
                return Err(Error::io(path, &ErrorKind::Other.into()));
            }
            Ok(())
        });
        let settings = || Self::options(&disk).fs(Arc::new(tap.clone()));
        let store = settings().open(DIR).unwrap();
        let mut corpus = Corpus::new(7);
        for seed in 0..3 {
            let _ = store.append_otlp(corpus.body(25)).unwrap();
            let _ = store.append_otlp(corpus::encode(&Wild::new(seed).request())).unwrap();
            store.flush().unwrap();
        }
        let flushed: Vec<SpanBatch> =
            store.snapshot().scan(&Predicate::new()).unwrap().map(Result::unwrap).collect();
        store.close().unwrap();
        // From here on nothing becomes a segment: the log keeps it.
        no_segments.store(true, Ordering::SeqCst);
        let store = settings().seal_bytes(8_000).open(DIR).unwrap();
        let mut requests = Vec::new();
        for seed in 10..19 {
            let body = match seed % 3 {
                0 => corpus::encode(&Wild::new(seed).request()),
                _ => corpus.body(7),
            };
            let accepted = store.append_otlp(body).unwrap().accepted();
            if accepted > 0 {
                requests.push(usize::try_from(accepted).unwrap());
            }
        }
        let fs = disk.crash(CrashModel::KeepAll);
        let hot = store.snapshot().hot_batches().unwrap();
        Self::found(fs, &flushed, &hot, requests)
    }

    fn found(fs: MemoryFs, flushed: &[SpanBatch], hot: &[SpanBatch], requests: Vec<usize>) -> Self {
        let of_requests = requests
            .iter()
            .zip(0..)
            .flat_map(|(rows, request)| std::iter::repeat_n(Some(request), *rows));
        let flushed_rows: usize = flushed.iter().map(SpanBatch::len).sum();
        let mut from = std::iter::repeat_n(None, flushed_rows).chain(of_requests);
        let mut places = HashMap::new();
        for (row, span) in flushed.iter().chain(hot).flat_map(SpanBatch::spans).enumerate() {
            let place = Place { row: row as u32, request: from.next().unwrap() };
            let key = (*span.trace_id().as_bytes(), *span.span_id().as_bytes());
            assert_eq!(places.insert(key, place), None, "ids are there once");
        }
        assert_eq!(from.next(), None);
        let all: Vec<&RecordBatch> =
            flushed.iter().chain(hot).map(SpanBatch::record_batch).collect();
        let schema = all[0].schema();
        let rows = concat_batches(&schema, all).unwrap();
        trim_logs(&fs);
        let mut files = Vec::new();
        for folder in ["manifest", "segments", "wal"] {
            let folder = Path::new(DIR).join(folder);
            for name in fs.list(&folder).unwrap() {
                let path = folder.join(name);
                files.push((path.clone(), fs.map(&path).unwrap().to_vec()));
            }
        }
        let logs = files.iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "wal"));
        let newest = logs.clone().next_back().map_or(0, |(_, bytes)| records(bytes).len());
        assert!(logs.count() > 2 && newest > 1, "sealed logs, and some records in the newest");
        let newest_log = (requests.len() - newest) as u32;
        let traces = traces(&fs);
        Self { fs, files, rows, traces, places, requests, newest_log }
    }

    /// Options for a copy of its disk.
    pub fn options(fs: &MemoryFs) -> Options {
        options(fs).durability(Durability::Os).single_threaded()
    }

    /// The files of a folder, oldest first.
    pub fn in_folder(&self, folder: &str) -> Vec<&(PathBuf, Vec<u8>)> {
        let folder = Path::new(DIR).join(folder);
        self.files.iter().filter(|(path, _)| path.starts_with(&folder)).collect()
    }

    /// A copy of the disk on which these files have other bytes.
    pub fn with(&self, changed: &[(&Path, Vec<u8>)]) -> MemoryFs {
        let copy = self.fs.crash(CrashModel::KeepAll);
        for (path, bytes) in changed {
            let file = copy.open_write(path).unwrap();
            file.set_len(bytes.len() as u64).unwrap();
            file.write_all_at(bytes, 0).unwrap();
            file.sync_data().unwrap();
        }
        copy
    }

    /// Takes rows that were read: each must be one that was stored, as it was, and not there yet.
    ///
    /// # Errors
    /// What is wrong.
    pub fn take(&self, batch: &SpanBatch, seen: &mut Seen) -> Result<(), String> {
        let mut rows = Vec::new();
        for span in batch.spans() {
            let key = (*span.trace_id().as_bytes(), *span.span_id().as_bytes());
            let place = self.places.get(&key).ok_or("a row that was never stored")?;
            if !seen.rows.insert(place.row) {
                return Err(format!("row {} is there twice", place.row));
            }
            if let Some(request) = place.request {
                *seen.requests.entry(request).or_default() += 1;
            }
            rows.push(place.row);
        }
        let expected = take_record_batch(&self.rows, &UInt32Array::from(rows)).unwrap();
        if expected.columns() != batch.record_batch().columns() {
            return Err(format!("wrong rows: expected {expected:?}, found {batch:?}"));
        }
        Ok(())
    }

    /// Whether all rows of all requests of the log were seen; requests must be whole.
    ///
    /// # Errors
    /// The request of which a part is there.
    pub fn has_log(&self, seen: &Seen) -> Result<bool, String> {
        for (request, rows) in &seen.requests {
            if *rows != self.requests[*request as usize] {
                return Err(format!("half of request {request} is there"));
            }
        }
        Ok(seen.requests.len() == self.requests.len())
    }

    /// Whether all rows were seen.
    pub fn has_all(&self, seen: &Seen) -> bool {
        seen.rows.len() == self.rows.num_rows()
    }

    /// Whether all rows of segments were seen.
    pub fn has_segments(&self, seen: &Seen) -> bool {
        let of_log: usize = seen.requests.values().sum();
        let all_of_log: usize = self.requests.iter().sum();
        seen.rows.len() - of_log == self.rows.num_rows() - all_of_log
    }

    /// Whether the requests that are missing may be the end of the newest log file, which a crash
    /// may cut off.
    pub fn misses_only_its_end(&self, seen: &Seen) -> bool {
        let first_missing = (0..).find(|request| !seen.requests.contains_key(request));
        let first_missing = first_missing.unwrap_or(u32::MAX);
        first_missing >= self.newest_log && seen.requests.range(first_missing..).next().is_none()
    }

    /// The file that the n-th byte of all files stands in, with its bytes, and where.
    pub fn byte(&self, n: u64) -> (&Path, &[u8], usize) {
        let mut left = usize::try_from(n).unwrap();
        for (path, bytes) in &self.files {
            if left < bytes.len() {
                return (path, bytes, left);
            }
            left -= bytes.len();
        }
        panic!("there is no byte {n}");
    }

    /// Traces of a segment, with their numbers of rows in it.
    pub fn traces_in(&self, segment: &Path) -> &[(TraceId, usize)] {
        self.traces.get(segment).map_or(&[], Vec::as_slice)
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> usize {
        self.files.iter().map(|(_, bytes)| bytes.len()).sum()
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows.num_rows()
    }
}

/// The first and the last trace of each segment.
fn traces(fs: &MemoryFs) -> HashMap<PathBuf, Vec<(TraceId, usize)>> {
    let snapshot = options(fs).open_reader(DIR).unwrap().snapshot();
    let of_segment = |segment: &Arc<Segment>| {
        let mut rows: BTreeMap<TraceId, usize> = BTreeMap::new();
        for batch in segment.clone().scan(&Predicate::new()).unwrap() {
            for span in batch.unwrap().spans() {
                *rows.entry(span.trace_id()).or_default() += 1;
            }
        }
        let ends = [rows.first_key_value(), rows.last_key_value()];
        let ends = ends.into_iter().flatten().map(|(id, rows)| (*id, *rows)).collect();
        (segment.path().to_owned(), ends)
    };
    snapshot.segments().iter().map(of_segment).collect()
}

/// Where the records of a log file stand, seals too.
pub fn records(log: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 64;
    while log.get(at..at + 4) == Some(b"AMRC") {
        let length: [u8; 4] = log[at + 4..at + 8].try_into().unwrap();
        let end = at + 40 + (u32::from_le_bytes(length) as usize).next_multiple_of(8);
        found.push(at..end);
        at = end;
    }
    found
}

/// A disk that cannot take space ahead has no zeros behind the last record.
fn trim_logs(fs: &MemoryFs) {
    let folder = Path::new(DIR).join("wal");
    for name in fs.list(&folder).unwrap() {
        let path = folder.join(name);
        let bytes = fs.map(&path).unwrap();
        let end = bytes.iter().rposition(|b| *b != 0).unwrap() + 1;
        let file = fs.open_write(&path).unwrap();
        file.set_len((end as u64).next_multiple_of(8)).unwrap();
        file.sync_data().unwrap();
    }
}

/// What a store says of damage when it is opened: what is wrong, what was cut off and put aside.
pub fn said(store: &Store) -> Vec<String> {
    let report = store.recovery();
    let aside = report.tails.iter().chain(&report.quarantined);
    let aside = aside.map(|path| path.display().to_string());
    report.damage.iter().cloned().chain(aside).collect()
}
