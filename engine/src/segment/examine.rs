//! A whole segment file as it stands on the disk: every checksum, every count, every row. Reads by
//! bounded reads, never through the map, and goes on behind damage.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};

use super::constant::Constant;
use super::footer::Footer;
use super::format::{BODY_OFFSET, Header};
use super::ids::for_ids;
use super::index::IndexBuilder;
use super::promote;
use super::reader::cover;
use super::rows::Rows;
use super::source::Source;
use super::writer::SegmentSummary;
use crate::error::{Error, Result};
use crate::fs::{BLOCK_BYTES, Blob, File, Fs};
use crate::model::batch::SpanBatch;
use crate::model::schema::{COLUMN_NAMES, span_schema};

/// Bytes that are read and checked in one go.
const READ_BYTES: u64 = 256 * BLOCK_BYTES as u64;

/// What is told while a segment is examined.
pub trait Visitor {
    /// What stands at this byte is not what was written.
    fn damage(&mut self, offset: u64, what: String);
    /// So many bytes of the file are done.
    fn done(&mut self, _bytes: u64) {}
    /// The next rows, in the order of the file.
    fn rows(&mut self, _rows: &SpanBatch) {}
}

/// What a segment says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The store that wrote it.
    pub store_id: [u8; 16],
    /// What was written.
    pub summary: SegmentSummary,
}

/// Reads header and footer only.
///
/// # Errors
/// `Corrupt` when they are damaged, `Unsupported`, `Io`.
pub fn describe(fs: &dyn Fs, path: &Path) -> Result<Description> {
    let segment = OnDisk::open(fs, path)?;
    let footer = Footer::read_alone(&segment.source(fs)?, &segment.header)?;
    Ok(segment.description(&footer))
}

/// Reads everything. What it says of itself, where that can be read; what is damaged goes to the
/// visitor.
///
/// # Errors
/// `Io` when the file cannot be opened, `Unsupported` when a newer version wrote it.
pub fn examine(fs: &dyn Fs, path: &Path, visitor: &mut dyn Visitor) -> Result<Option<Description>> {
    let segment = match OnDisk::open(fs, path) {
        Ok(segment) => segment,
        Err(error @ Error::Corrupt { .. }) => {
            tell(visitor, 0, error);
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let body_is_whole = segment.check_blocks(visitor);
    let index = segment.blob.read_from_disk(&*segment.file, segment.header.index());
    if let Err(error) = &index {
        tell(visitor, segment.header.index_offset, error.clone());
    }
    let source = segment.source(fs)?;
    let footer = match Footer::read_alone(&source, &segment.header) {
        Ok(footer) => footer,
        Err(error) => {
            tell(visitor, segment.header.footer_offset, error);
            return Ok(None);
        }
    };
    let mut found = Found::default();
    for group in 0..footer.complete.len() {
        if let Err(error) = found.read_group(&source, &footer, group, visitor) {
            found.unread = true;
            // A block that is damaged was told already.
            if body_is_whole {
                tell(visitor, BODY_OFFSET, error);
            }
        }
        let groups = footer.complete.len() as u64;
        let bytes = segment.header.file_bytes;
        visitor.done(bytes / 2 + bytes / 2 * (group as u64 + 1) / groups);
    }
    if !found.unread {
        found.compare(&segment.header, index.ok().as_deref(), visitor);
    }
    visitor.done(segment.header.file_bytes);
    Ok(Some(segment.description(&footer)))
}

fn tell(visitor: &mut dyn Visitor, offset: u64, error: Error) {
    match error {
        Error::Corrupt { offset, what, .. } => visitor.damage(offset, what),
        other => visitor.damage(offset, other.to_string()),
    }
}

/// A segment that is read from the disk.
struct OnDisk {
    file: Box<dyn File>,
    blob: Arc<Blob>,
    header: Header,
}

impl OnDisk {
    fn open(fs: &dyn Fs, path: &Path) -> Result<Self> {
        let file = fs.open(path)?;
        let bytes = file.len()?;
        let mut begin = vec![0; usize::try_from(BODY_OFFSET).unwrap_or(0)];
        let read = file.read_at(&mut begin, 0)?;
        let header = Header::decode_begin(path, begin.get(..read).unwrap_or_default(), bytes)?;
        // The map is only asked for its length.
        let blob = cover(Blob::new(path, fs.map(path)?), &header, |blob| {
            blob.read_from_disk(&*file, header.table())
        })?;
        Ok(Self { file, blob: Arc::new(blob), header })
    }

    fn source(&self, fs: &dyn Fs) -> Result<Source> {
        Ok(Source::disk(&self.blob, fs.open(self.blob.path())?))
    }

    fn description(&self, footer: &Footer) -> Description {
        Description {
            store_id: self.header.store_id,
            summary: SegmentSummary {
                number: self.header.number,
                rows: self.header.rows,
                bytes: self.header.file_bytes,
                start_min_ns: self.header.start_min_ns,
                start_max_ns: self.header.start_max_ns,
                row_groups: self.header.row_groups,
                promoted: footer.outline.shared.promoted.to_vec(),
                origin: footer.outline.origin,
            },
        }
    }

    /// Checks every block of the row groups; whether all are whole. Damaged blocks next to each
    /// other are told as one.
    fn check_blocks(&self, visitor: &mut dyn Visitor) -> bool {
        let body = self.header.body();
        let mut whole = true;
        let mut run: Option<(u64, u64, String)> = None;
        let mut at = body.start;
        while at < body.end {
            let end = body.end.min(at + READ_BYTES);
            if run.is_some() || self.blob.read_from_disk(&*self.file, at..end).is_err() {
                self.find_blocks(at, end, &mut run, visitor);
                whole = false;
            }
            at = end;
            visitor.done(at / 2);
        }
        tell_run(run, visitor);
        whole
    }

    /// Finds the damaged blocks from `at` to `end`; `run` goes on from the bytes before.
    fn find_blocks(
        &self,
        mut at: u64,
        end: u64,
        run: &mut Option<(u64, u64, String)>,
        visitor: &mut dyn Visitor,
    ) {
        while at < end {
            let to = end.min(at + BLOCK_BYTES as u64);
            match (self.blob.read_from_disk(&*self.file, at..to), &mut *run) {
                (Ok(_), _) => tell_run(run.take(), visitor),
                (Err(_), Some((_, until, _))) => *until = to,
                (Err(Error::Corrupt { what, .. }), None) => *run = Some((at, to, what)),
                (Err(other), None) => *run = Some((at, to, other.to_string())),
            }
            at = to;
        }
    }
}

fn tell_run(run: Option<(u64, u64, String)>, visitor: &mut dyn Visitor) {
    if let Some((from, until, what)) = run {
        let bytes = until - from;
        visitor.damage(from, format!("{what}; {bytes} bytes from here on are not as written"));
    }
}

/// What was found in the rows.
#[derive(Debug, Default)]
struct Found {
    rows: u64,
    start_times: Option<(i64, i64)>,
    index: IndexBuilder,
    /// Some rows could not be read: nothing can be said of all.
    unread: bool,
}

impl Found {
    fn read_group(
        &mut self,
        source: &Source,
        footer: &Footer,
        group: usize,
        visitor: &mut dyn Visitor,
    ) -> Result<()> {
        let columns: Vec<usize> = (0..footer.layout.schema.fields().len()).collect();
        let mut rows = Rows::reading(source.clone(), &footer.layout, vec![group], None, &columns)?;
        let constants: Vec<Option<Constant>> =
            columns.iter().map(|column| Constant::of(&footer.layout, &[group], *column)).collect();
        let complete = footer.complete.get(group).map(Vec::as_slice).unwrap_or_default();
        let mut told = false;
        while let Some(read) = rows.next_columns() {
            let read = read?;
            let span_columns = read.get(..COLUMN_NAMES.len()).unwrap_or_default();
            let spans = RecordBatch::try_new(span_schema().clone(), span_columns.to_vec());
            let spans = source.fenced(|| spans).and_then(SpanBatch::try_new)?;
            self.rows += spans.len() as u64;
            for start in spans.start_times() {
                let (min, max) = self.start_times.unwrap_or((*start, *start));
                self.start_times = Some((min.min(*start), max.max(*start)));
            }
            for_ids(&read, |id| self.index.push(id));
            let fit = constants_fit(&read, &constants)
                .and_then(|()| promoted_fit(&read, &spans, footer, complete));
            if !told && let Err(what) = fit {
                visitor.damage(BODY_OFFSET, format!("row group {group}: {what}"));
                told = true;
            }
            visitor.rows(&spans);
        }
        self.index.end_row_group();
        Ok(())
    }

    /// Compares with what header and index say.
    fn compare(self, header: &Header, index: Option<&[u8]>, visitor: &mut dyn Visitor) {
        let offset = super::format::HEADER_OFFSET as u64;
        if self.rows != header.rows {
            visitor.damage(offset, format!("it has {} rows, not {}", self.rows, header.rows));
        }
        let said = Some((header.start_min_ns, header.start_max_ns));
        if self.start_times != said {
            let what = format!(
                "the start times are {:?}, the header says {said:?}",
                self.start_times.unwrap_or_default()
            );
            visitor.damage(offset, what);
        }
        if index.is_some_and(|index| index != self.index.encode()) {
            visitor.damage(header.index_offset, "the trace-ID index is not that of the ids".into());
        }
    }
}

/// What is not read because the statistics say it must be what stands there.
fn constants_fit(
    read: &[ArrayRef],
    constants: &[Option<Constant>],
) -> std::result::Result<(), String> {
    for (at, (array, constant)) in read.iter().zip(constants).enumerate() {
        let Some(constant) = constant else { continue };
        if constant.array(array.len()).to_data() != array.to_data() {
            let name = COLUMN_NAMES.get(at).copied().unwrap_or_default();
            return Err(format!("the column {name} is not what its statistics say"));
        }
    }
    Ok(())
}

/// The promoted columns must say what the attribute text says.
fn promoted_fit(
    read: &[ArrayRef],
    spans: &SpanBatch,
    footer: &Footer,
    complete: &[String],
) -> std::result::Result<(), String> {
    let expected = promote::of_batch(spans, &footer.outline.shared.promoted);
    let stored = read.iter().skip(COLUMN_NAMES.len());
    for ((key, (array, whole)), stored) in footer
        .outline
        .shared
        .promoted
        .iter()
        .zip(expected.arrays.iter().zip(expected.complete))
        .zip(stored)
    {
        let name = key.column_name();
        if array.to_data() != stored.to_data() {
            return Err(format!("the column {name} is not what the attributes say"));
        }
        if !whole && complete.contains(&name) {
            return Err(format!("the column {name} is said to be complete and is not"));
        }
    }
    Ok(())
}
