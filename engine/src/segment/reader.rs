//! A segment that is open for reading.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use parquet::file::metadata::ParquetMetaData;

use super::footer::{Footer, MetadataCache};
use super::format::{BODY_OFFSET, HEADER_OFFSET, Header};
use super::ids;
use super::index::TraceIndex;
use super::outline::{Layout, Outline};
use super::partial::LeftOut;
use super::source::Source;
use crate::error::{Error, Result};
use crate::fs::{Blob, BlockTable, Fs};
use crate::model::catalog::Promoted;
use crate::model::ids::TraceId;

/// An immutable file of spans: Parquet with a header, checksums and a trace-ID index of its own.
///
/// Opening it reads the header and the checksums only. Everything else is read, and checked against
/// its checksum, when it is needed; parsed footers are kept in a cache that all segments share.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use amida::{RequestBuilder, Resource, SpanBuilder, Store};
/// # let store = Store::in_memory();
/// # let id = "4bf92f3577b34da6a3ce929d0e0e4736".parse()?;
/// # let span = SpanBuilder::new(id, "00f067aa0ba902b7".parse()?, "GET /cart")
/// #     .attribute("http.response.status_code", 503);
/// # let body = RequestBuilder::new(Resource::new("checkout")).span(span).finish();
/// # let _receipt = store.append_otlp(body)?;
/// store.flush()?;
/// for segment in store.snapshot().segments() {
///     segment.verify()?; // every checksum and count
///     println!("{}: {} spans", segment.path().display(), segment.rows());
/// }
/// # Ok(())
/// # }
/// ```
pub struct Segment {
    fs: Arc<dyn Fs>,
    blob: Arc<Blob>,
    header: Header,
    cache: Arc<MetadataCache>,
    cache_key: u64,
    outline: OnceLock<Arc<Outline>>,
    index: OnceLock<TraceIndex>,
    obsolete: AtomicBool,
    damage: OnceLock<Error>,
}

impl Segment {
    /// Opens the file of the segment with this number, of this store if it is given.
    ///
    /// # Errors
    /// `Io`; `Corrupt` when header or block table are damaged, the file was cut, or it is another
    /// segment; `Unsupported` when a newer version wrote it.
    pub fn open(
        fs: &Arc<dyn Fs>,
        path: &Path,
        number: u64,
        store_id: Option<[u8; 16]>,
        cache: &Arc<MetadataCache>,
    ) -> Result<Self> {
        let bytes = fs.map(path)?;
        let header = Header::decode(path, &bytes)?;
        let wrong = |what: String| Error::corrupt(path, HEADER_OFFSET as u64, what);
        if header.number != number && !planted!("segment_place_unchecked") {
            return Err(wrong(format!("expected segment {number}, found {}", header.number)));
        }
        if let Some(id) = store_id.filter(|id| *id != header.store_id) {
            let (expected, found) = (hex::encode(id), hex::encode(header.store_id));
            return Err(wrong(format!("expected store {expected}, found {found}")));
        }
        let blob = cover(Blob::new(path, bytes), &header, |blob| blob.read(header.table()))?;
        let blob = Arc::new(blob);
        Ok(Self {
            fs: fs.clone(),
            blob,
            header,
            cache: cache.clone(),
            cache_key: cache.next_key(),
            outline: OnceLock::new(),
            index: OnceLock::new(),
            obsolete: AtomicBool::new(false),
            damage: OnceLock::new(),
        })
    }

    /// Its number in the store.
    pub fn number(&self) -> u64 {
        self.header.number
    }

    /// Where the file stands.
    pub fn path(&self) -> &Path {
        self.blob.path()
    }

    /// Number of spans.
    pub fn rows(&self) -> u64 {
        self.header.rows
    }

    /// Number of row groups.
    pub fn row_groups(&self) -> u32 {
        self.header.row_groups
    }

    /// Bytes of the file.
    pub fn bytes(&self) -> u64 {
        self.header.file_bytes
    }

    /// Earliest and latest start time, in nanoseconds since the epoch.
    pub fn start_times(&self) -> (i64, i64) {
        (self.header.start_min_ns, self.header.start_max_ns)
    }

    /// Checked bytes of the file, without copying where it is mapped.
    ///
    /// # Errors
    /// `Corrupt` when they are not what was written, or the range is not within the file's parts.
    pub fn read(&self, range: Range<u64>) -> Result<Bytes> {
        self.blob.read(range)
    }

    /// Parquet's metadata, with the page index.
    ///
    /// # Errors
    /// `Corrupt` when the footer is damaged.
    pub fn metadata(&self) -> Result<Arc<ParquetMetaData>> {
        self.footer().map(|footer| footer.layout.metadata.clone())
    }

    /// The columns of the file: those of a span, then the promoted ones.
    ///
    /// # Errors
    /// As `metadata`.
    pub fn schema(&self) -> Result<SchemaRef> {
        self.outline().map(|outline| outline.shared.arrow.clone())
    }

    /// The promoted keys of the file, in the order of their columns.
    ///
    /// # Errors
    /// As `metadata`.
    pub fn promoted(&self) -> Result<Arc<[Promoted]>> {
        self.outline().map(|outline| outline.shared.promoted.clone())
    }

    /// The promoted keys whose column holds every value of the key, in the whole file: there, a
    /// null says that the span does not have the key.
    ///
    /// # Errors
    /// As `metadata`.
    pub fn complete_columns(&self) -> Result<Arc<[Promoted]>> {
        self.outline().map(|outline| outline.complete_in_all.clone())
    }

    /// Which log records its spans came in, and when.
    ///
    /// # Errors
    /// As `metadata`.
    #[cfg(test)]
    pub(super) fn origin(&self) -> Result<super::format::Origin> {
        self.outline().map(|outline| outline.origin)
    }

    /// Per row group the names of the columns that are complete in it.
    ///
    /// # Errors
    /// As `metadata`.
    pub fn complete_in_row_groups(&self) -> Result<Vec<Vec<String>>> {
        self.footer().map(|footer| footer.complete.clone())
    }

    /// The ids of traces from `low` to `high`, both included, in order. All ids are read: rows are
    /// in order of time.
    ///
    /// # Errors
    /// `Corrupt` when what holds them is damaged.
    pub fn trace_ids_between(&self, low: &[u8; 16], high: &[u8; 16]) -> Result<Vec<TraceId>> {
        self.trace_ids_around(low, high, None)
    }

    /// The same, with a list around what is damaged.
    ///
    /// # Errors
    /// As `trace_ids_between`; with a list nothing that is damaged.
    pub(crate) fn trace_ids_around(
        &self,
        low: &[u8; 16],
        high: &[u8; 16],
        left_out: Option<&LeftOut>,
    ) -> Result<Vec<TraceId>> {
        match self.footer() {
            Ok(footer) => ids::trace_ids(self, &footer.layout, low, high, left_out),
            Err(error) => self.leave_out(error, left_out).map(|()| Vec::new()),
        }
    }

    /// Reads the whole file from the disk, not through the map, and checks every checksum.
    ///
    /// # Errors
    /// `Corrupt` names the first part that is damaged; `Io`.
    pub fn verify(&self) -> Result<()> {
        let file = self.fs.open(self.path())?;
        let mut begin = vec![0; usize::try_from(BODY_OFFSET).unwrap_or(0)];
        let read = file.read_at(&mut begin, 0)?;
        let mut expected = super::format::PARQUET_MAGIC.to_vec();
        expected.extend(self.header.encode());
        if begin.get(..read) != Some(expected.as_slice()) {
            let what = "the header is not the one that was read when the file was opened";
            return Err(Error::corrupt(self.path(), HEADER_OFFSET as u64, what));
        }
        self.blob.verify(file.as_ref())
    }

    /// Checks the footer's bytes, without parsing them.
    ///
    /// # Errors
    /// `Corrupt` when they are not what was written.
    pub fn check_footer(&self) -> Result<()> {
        self.blob.read(self.header.footer()).map(drop)
    }

    /// Remembers that it could not be merged, and why.
    pub(crate) fn set_damage(&self, error: Error) {
        // The first cause is kept.
        let _ = self.damage.set(error);
    }

    /// Why it could not be merged.
    pub(crate) fn damage(&self) -> Option<&Error> {
        self.damage.get()
    }

    /// Removes the file once nobody holds this segment any more.
    pub fn remove_on_drop(&self) {
        if planted!("held_segment_unlinked") {
            let _ = self.fs.remove(self.path());
            return;
        }
        self.obsolete.store(true, Ordering::Relaxed);
    }

    /// The parsed footer, from the cache if it is there.
    pub(super) fn footer(&self) -> Result<Arc<Footer>> {
        self.cache.footer(self.cache_key, || {
            let (schemas, outline) = (&self.cache.schemas, self.outline.get());
            let footer = Footer::read(&self.source(), &self.header, schemas, outline)?;
            self.outline.get_or_init(|| footer.outline.clone());
            Ok(footer)
        })
    }

    /// What stays of the footer, which is parsed for it once.
    pub(super) fn outline(&self) -> Result<Arc<Outline>> {
        match self.outline.get() {
            Some(outline) => Ok(outline.clone()),
            None => self.footer().map(|footer| footer.outline.clone()),
        }
    }

    /// Where the columns of a row group are, from the cache if it is there.
    pub(super) fn layout(&self, group: usize) -> Result<Arc<Layout>> {
        let outline = self.outline()?;
        self.cache
            .layout(self.cache_key, group, || outline.layout(&self.source(), &self.header, group))
    }

    pub(super) fn blob(&self) -> &Arc<Blob> {
        &self.blob
    }

    /// The trace-ID index; built from the ids when the stored one is damaged.
    pub(super) fn index(&self) -> Result<&TraceIndex> {
        if let Some(index) = self.index.get() {
            return Ok(index);
        }
        let stored = self.blob.read(self.header.index()).map(TraceIndex::decode);
        let index = match stored {
            Ok(Some(index)) if !index.is_empty() => index,
            _ if planted!("damaged_index_hides_spans") => {
                TraceIndex::decode(Bytes::new()).expect("no bytes are an index of no entries")
            }
            damaged => {
                let error = damaged.err().map(|e| e.to_string()).unwrap_or_default();
                tracing::warn!(
                    target: "amida::segment", path = %self.path().display(), %error,
                    "the trace-ID index is damaged; building it again in memory"
                );
                ids::build_index(&self.blob, &self.footer()?.layout)?
            }
        };
        Ok(self.index.get_or_init(|| index))
    }

    /// A reader of the file for Parquet.
    pub(super) fn source(&self) -> Source {
        Source::map(&self.blob)
    }
}

/// Covers a segment file with its checksums; `table` reads the block table.
pub(super) fn cover(
    blob: Blob,
    header: &Header,
    table: impl FnOnce(&Blob) -> Result<Bytes>,
) -> Result<Blob> {
    let blob = blob
        .cover_whole(header.index(), header.index_crc)?
        .cover_whole(header.table(), header.table_crc)?
        .cover_whole(header.footer(), header.footer_crc)?;
    let table = BlockTable::decode(&table(&blob)?)
        .filter(|table| table.covered() == header.index_offset - BODY_OFFSET)
        .ok_or_else(|| {
            let what = "the block table is not that of the row groups";
            Error::corrupt(blob.path(), header.table_offset, what)
        })?;
    blob.cover_blocks(BODY_OFFSET, table)
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment").field("path", &self.path()).finish_non_exhaustive()
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        let row_groups = self.outline.get().map_or(0, |outline| outline.row_groups.len());
        self.cache.forget(self.cache_key, row_groups);
        if *self.obsolete.get_mut()
            && let Err(error) = self.fs.remove(self.path())
        {
            // Opening the store removes what no version names.
            tracing::warn!(target: "amida::segment", %error, "a replaced segment stays for now");
        }
    }
}
