//! A store with two segments, one of them of two row groups, and every way to damage that one.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use amida::{CrashModel, Fs, ManualClock, MemoryFs, Options, Retention, Store};

use crate::corpus::{START_NS, body, int, plain_span, text};

/// The store's directory.
pub const DIR: &str = "/store";
/// Spans of a row group: as few as compaction still copies.
pub const GROUP: u64 = 16 << 10;
/// The numbers of the spans in the segment that is damaged: its two row groups.
pub const GROUPS: [Range<u64>; 2] = [0..GROUP, GROUP..2 * GROUP];
/// The numbers of the spans in the other segment.
pub const OTHER: Range<u64> = 2 * GROUP..2 * GROUP + 100;
/// The numbers of the spans in the log.
pub const HOT: Range<u64> = OTHER.end..OTHER.end + 10;
/// Spans of a trace.
pub const TRACE_SPANS: u64 = 4;

const HOUR_NS: u64 = 3_600_000_000_000;

/// When a span starts: row groups, segments and the log each in an hour of their own.
pub fn start_ns(number: u64) -> i64 {
    let parts = [&GROUPS[0], &GROUPS[1], &OTHER, &HOT];
    let hour = parts.iter().position(|part| part.contains(&number)).expect("a span") as u64;
    START_NS + i64::try_from(hour * HOUR_NS + number * 1_000).expect("this century")
}

/// Start times of the spans with these numbers.
pub fn start_times(numbers: &Range<u64>) -> (i64, i64) {
    (start_ns(numbers.start), start_ns(numbers.end - 1))
}

/// What is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// A byte of the header.
    Header,
    /// A byte of this column in this row group.
    Column(usize, usize),
    /// A byte of the trace-ID index.
    Index,
    /// A byte of the block table.
    Table,
    /// A byte of the Parquet footer.
    Footer,
    /// The file ends in the middle.
    Cut,
    /// There is no file.
    Removed,
}

/// The disk of the store.
#[derive(Debug, Clone)]
pub struct Disk {
    /// It.
    pub fs: MemoryFs,
    /// The segment that is damaged.
    pub path: PathBuf,
    /// Per row group where each column stands.
    columns: Vec<Vec<Range<usize>>>,
    /// Per row group and column: where each page starts, and its first row within the row group.
    pages: Vec<Vec<Vec<(usize, u64)>>>,
}

/// Options for a store on this disk.
pub fn options(fs: &MemoryFs) -> Options {
    Store::options()
        .fs(Arc::new(fs.clone()))
        .clock(Arc::new(ManualClock::at(start_ns(HOT.end - 1) + 1)))
        .disk_floor_bytes(0)
        .retention(Retention::forever())
}

impl Disk {
    /// A sound store, closed by the death of its process.
    pub fn new() -> Self {
        let fs = MemoryFs::new();
        let store = options(&fs).open(DIR).expect("a store");
        append(&store, GROUPS[0].clone());
        store.flush().expect("flushed");
        append(&store, GROUPS[1].clone());
        store.compact().expect("merged");
        append(&store, OTHER);
        store.flush().expect("flushed");
        append(&store, HOT);
        let snapshot = store.snapshot();
        let [segment, _] = snapshot.segments() else { panic!("two segments") };
        let metadata = segment.metadata().expect("a footer");
        let range = |(start, length): (u64, u64)| start as usize..(start + length) as usize;
        let columns: Vec<Vec<Range<usize>>> = metadata
            .row_groups()
            .iter()
            .map(|group| group.columns().iter().map(|c| range(c.byte_range())).collect())
            .collect();
        assert_eq!(columns.len(), 2, "row groups");
        let page = |offset: i64, row: i64| (offset as usize, row as u64);
        let pages = metadata.offset_index().expect("a page index").iter().map(|group| {
            let column = group.iter().map(|index| {
                let places = index.page_locations().iter();
                places.map(|place| page(place.offset, place.first_row_index)).collect()
            });
            column.collect()
        });
        let pages = pages.collect();
        Self { fs: fs.crash(CrashModel::KeepAll), path: segment.path().to_owned(), columns, pages }
    }

    /// The number of a span whose page of that column is damaged: its trace begins the page.
    pub fn hit(&self, column: usize, group: usize) -> u64 {
        let at = self.block(column, group) + 7;
        let page = self.pages[group][column].iter().rfind(|(start, _)| *start <= at);
        // The file is sorted by trace, and the traces by their numbers.
        GROUPS[group].start + page.expect("no dictionary").1
    }

    /// The start of the first block of checksums that belongs to this column alone.
    fn block(&self, column: usize, group: usize) -> usize {
        let range = &self.columns[group][column];
        let block = (range.start - 128).next_multiple_of(4096) + 128;
        assert!(block + 4096 <= range.end, "column {column} has no block of its own: {range:?}");
        block
    }

    /// A copy of the disk with this damage, each on top of the others.
    pub fn damaged(&self, all: &[Damage]) -> MemoryFs {
        let fs = self.fs.crash(CrashModel::KeepAll);
        for damage in all {
            let mut bytes = fs.map(&self.path).expect("the segment").to_vec();
            match damage {
                Damage::Removed => {
                    fs.remove(&self.path).expect("removed");
                    continue;
                }
                Damage::Cut => bytes.truncate(bytes.len() / 2),
                damage => {
                    let at = self.place(&bytes, *damage);
                    bytes[at] ^= 0x10;
                }
            }
            write(&fs, &self.path, &bytes);
        }
        fs
    }

    /// The segment's file as it should be, on that disk again.
    pub fn restore(&self, fs: &MemoryFs) {
        if !fs.exists(&self.path).expect("a disk") {
            fs.create(&self.path).expect("created");
        }
        write(fs, &self.path, &self.fs.map(&self.path).expect("the segment"));
    }

    /// A byte of that part; of a column one whose block belongs to no other.
    fn place(&self, bytes: &[u8], damage: Damage) -> usize {
        let field = |at: usize| {
            let bytes = bytes[at..at + 8].try_into().expect("8 bytes");
            usize::try_from(u64::from_le_bytes(bytes)).expect("an offset")
        };
        match damage {
            Damage::Header => 30,
            Damage::Index => field(68) + 11,
            Damage::Table => field(76) + 11,
            Damage::Footer => field(84) + 11,
            Damage::Column(column, group) => self.block(column, group) + 7,
            Damage::Cut | Damage::Removed => unreachable!("no byte"),
        }
    }
}

impl Default for Disk {
    fn default() -> Self {
        Self::new()
    }
}

fn write(fs: &MemoryFs, path: &Path, bytes: &[u8]) {
    let file = fs.open_write(path).expect("a file");
    file.set_len(0).expect("emptied");
    file.write_all_at(bytes, 0).expect("written");
    file.sync_data().expect("synced");
}

/// The trace of a span: ids in the order of numbers, and hard to compress.
pub fn trace_id(number: u64) -> [u8; 16] {
    let trace = number / TRACE_SPANS;
    let mut id = [0; 16];
    id[..8].copy_from_slice(&trace.to_be_bytes());
    id[8..].copy_from_slice(&(trace + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    id
}

/// Stores spans: the name is the number, the id one more, and four make a trace.
pub fn append(store: &Store, numbers: Range<u64>) {
    let (count, mut spans) = (numbers.end - numbers.start, Vec::new());
    for number in numbers {
        let mut span = plain_span(0, number + 1, &number.to_string());
        span.trace_id = trace_id(number).to_vec();
        span.start_time_unix_nano = start_ns(number).try_into().expect("after 1970");
        span.end_time_unix_nano = span.start_time_unix_nano + 1_000;
        let scrambled = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        span.attributes = vec![text("key", format!("{scrambled:x}")), int("n", number as i64)];
        spans.push(span);
    }
    let receipt = store.append_otlp(body("shop", spans)).expect("accepted");
    assert_eq!(receipt.accepted(), count);
}
