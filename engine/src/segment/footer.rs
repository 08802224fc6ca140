//! The parsed Parquet footer of a segment, and the cache that keeps some of them in memory.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parquet::file::FOOTER_SIZE;
use parquet::file::metadata::{
    FooterTail, PageIndexPolicy, ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader,
};
use parquet::file::reader::Length;
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use super::format::{
    Header, KEY_COMPLETE, KEY_FORMAT_VERSION, KEY_INGEST_TIMES, KEY_SEQUENCES, Origin,
};
use super::outline::{Layout, Outline};
use super::schemas::{Schemas, json, value};
use super::source::Source;
use super::thrift;
use crate::error::{Error, Result};

/// What the footer of a segment says.
#[derive(Debug)]
pub struct Footer {
    /// Of all row groups.
    pub layout: Layout,
    /// Per row group the names of the promoted columns that are complete in it.
    pub complete: Vec<Vec<String>>,
    /// What stays when the rest is forgotten.
    pub outline: Arc<Outline>,
    bytes: u64,
}

impl Footer {
    /// Parses the footer of a file beside which no other is read.
    ///
    /// # Errors
    /// As `read`.
    pub fn read_alone(source: &Source, header: &Header) -> Result<Self> {
        Self::read(source, header, &Schemas::default(), None)
    }

    /// Parses the footer, of which this is the outline if it was parsed before: then it was looked
    /// over. As checksums are, it is looked over once.
    ///
    /// # Errors
    /// `Corrupt` when it is damaged or does not fit the header.
    pub fn read(
        source: &Source,
        header: &Header,
        schemas: &Schemas,
        outline: Option<&Arc<Outline>>,
    ) -> Result<Self> {
        // One check for all of it, before any of it is parsed.
        source.check(header.footer())?;
        let corrupt = |what: String| Error::corrupt(source.path(), header.footer_offset, what);
        let bytes = metadata_bytes(source, corrupt)?;
        let found;
        let places = match outline {
            Some(outline) => outline.places(),
            None => {
                found = thrift::check_file_metadata(&bytes)
                    .map_err(|e| corrupt(format!("the footer has {e}")))?;
                &found
            }
        };
        let elements = bytes.get(places.schema.clone()).unwrap_or_default();
        let schema = match outline {
            Some(outline) => Some(outline.shared.parquet.clone()),
            None => schemas.parquet(elements),
        };
        let options = schema.map(|schema| ParquetMetaDataOptions::new().with_schema(schema));
        let metadata = source.fenced(|| {
            ParquetMetaDataReader::decode_metadata_with_options(&bytes, options.as_ref())
        })?;
        if outline.is_none() {
            check_page_index(source, &metadata, corrupt)?;
        }
        let metadata = with_page_index(source, metadata)?;
        fits(header, &metadata, places.row_groups.len()).map_err(corrupt)?;
        let Keys { complete, origin } = Keys::read(&metadata).map_err(corrupt)?;
        let outline = match outline {
            Some(outline) => outline.clone(),
            None => {
                let shared =
                    source.fenced(|| Ok::<_, String>(schemas.shared(elements, &metadata)))?;
                let shared = shared.map_err(corrupt)?;
                let everywhere = |name| complete.iter().all(|names| names.contains(name));
                let everywhere =
                    shared.promoted.iter().zip(&shared.names).filter(|(_, n)| everywhere(n));
                let everywhere = everywhere.map(|(key, _)| key.clone()).collect();
                Arc::new(Outline::of(&metadata, shared, everywhere, origin, places.clone()))
            }
        };
        let names = complete.iter().flatten().map(|name| name.len() + size_of::<String>());
        let layout = Layout::of(metadata, &outline.shared);
        let bytes = layout.bytes + names.sum::<usize>() as u64;
        Ok(Self { layout, complete, outline, bytes })
    }
}

/// Parquet's metadata as it stands in the file.
pub fn metadata_bytes(source: &Source, corrupt: impl Fn(String) -> Error) -> Result<Bytes> {
    let file_bytes = source.len();
    let tail_at = file_bytes.saturating_sub(FOOTER_SIZE as u64);
    let tail = source.read(tail_at..file_bytes)?;
    let tail: [u8; FOOTER_SIZE] =
        tail.as_ref().try_into().map_err(|_| corrupt("no end of a Parquet file".into()))?;
    let tail = source.fenced(|| FooterTail::try_from(tail))?;
    source.read(tail_at.saturating_sub(tail.metadata_length() as u64)..tail_at)
}

/// The same metadata with the page index, which was looked over.
pub fn with_page_index(source: &Source, metadata: ParquetMetaData) -> Result<ParquetMetaData> {
    let mut parser = ParquetMetaDataReader::new_with_metadata(metadata)
        .with_page_index_policy(PageIndexPolicy::Required);
    source.fenced(|| {
        parser.read_page_indexes(source)?;
        parser.finish()
    })
}

/// Looks the page index over before Parquet's reader gets it.
fn check_page_index(
    source: &Source,
    metadata: &ParquetMetaData,
    corrupt: impl Fn(String) -> Error,
) -> Result<()> {
    for column in metadata.row_groups().iter().flat_map(|group| group.columns()) {
        let name = column.column_path();
        if let Some(range) = range(column.column_index_offset(), column.column_index_length()) {
            let checked = thrift::check_column_index(&source.read(range)?);
            checked.map_err(|e| corrupt(format!("the column index of {name} has {e}")))?;
        }
        if let Some(range) = range(column.offset_index_offset(), column.offset_index_length()) {
            let checked = thrift::check_offset_index(&source.read(range)?);
            checked.map_err(|e| corrupt(format!("the offset index of {name} has {e}")))?;
        }
    }
    Ok(())
}

fn range(offset: Option<i64>, length: Option<i32>) -> Option<Range<u64>> {
    let offset = u64::try_from(offset?).ok()?;
    Some(offset..offset + u64::try_from(length?).ok()?)
}

/// The footer must describe what the header does.
fn fits(
    header: &Header,
    metadata: &ParquetMetaData,
    places: usize,
) -> std::result::Result<(), String> {
    let groups = metadata.row_groups();
    if groups.len() != places {
        return Err(format!("the footer has {places} row groups, of which {} count", groups.len()));
    }
    let rows: u64 = groups.iter().map(|g| u64::try_from(g.num_rows()).unwrap_or(0)).sum();
    if rows != header.rows || groups.len() as u64 != u64::from(header.row_groups) {
        return Err(format!(
            "the footer has {rows} rows in {} row groups, the header {} in {}",
            groups.len(),
            header.rows,
            header.row_groups
        ));
    }
    Ok(())
}

/// Our own entries in the footer.
struct Keys {
    complete: Vec<Vec<String>>,
    origin: Origin,
}

impl Keys {
    fn read(metadata: &ParquetMetaData) -> std::result::Result<Self, String> {
        value(metadata, KEY_FORMAT_VERSION)?;
        let keys = Self {
            complete: json(metadata, KEY_COMPLETE)?,
            origin: Origin {
                sequences: json(metadata, KEY_SEQUENCES)?,
                ingest_times: json(metadata, KEY_INGEST_TIMES)?,
            },
        };
        let groups = keys.complete.len();
        if groups != metadata.num_row_groups() {
            return Err(format!("{KEY_COMPLETE} in the footer has {groups} row groups"));
        }
        let (first, last) = keys.origin.sequences;
        if first > last {
            return Err(format!("{KEY_SEQUENCES} in the footer: {first} is after {last}"));
        }
        Ok(keys)
    }
}

/// A segment by its key in the cache, and one of its row groups, or all of it.
type Key = (u64, Option<usize>);

/// What was parsed: the whole footer, or what it says of one row group.
#[derive(Debug, Clone)]
enum Parsed {
    Whole(Arc<Footer>),
    RowGroup(Arc<Layout>),
}

#[derive(Debug, Clone)]
struct ByBytes;

impl Weighter<Key, Parsed> for ByBytes {
    fn weight(&self, _key: &Key, parsed: &Parsed) -> u64 {
        match parsed {
            Parsed::Whole(footer) => footer.bytes,
            Parsed::RowGroup(layout) => layout.bytes,
        }
    }
}

/// Parsed footers of all segments of a store, and parts of them, bounded by bytes; those not used
/// for long go first.
#[derive(Debug)]
pub struct MetadataCache {
    cache: Cache<Key, Parsed, ByBytes>,
    /// What the footers share.
    pub(super) schemas: Schemas,
    next: AtomicU64,
}

impl MetadataCache {
    /// A cache of at most this many bytes. A footer that is larger is parsed at each use.
    pub fn new(bytes_max: u64) -> Self {
        let options = OptionsBuilder::new()
            .weight_capacity(bytes_max)
            .estimated_items_capacity(usize::try_from(bytes_max / (64 << 10)).unwrap_or(0).max(16))
            // One shard: each shard only takes what fits its part of the bytes.
            .shards(1)
            .build()
            .expect("both capacities were given");
        let hasher = DefaultHashBuilder::default();
        let cache = Cache::with_options(options, ByBytes, hasher, Default::default());
        Self { cache, schemas: Schemas::default(), next: AtomicU64::new(0) }
    }

    /// A key that no other segment of this cache has.
    pub fn next_key(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// The footer of this key, read now if it is not there. Two threads that miss it both read it:
    /// waiting for each other would be a lock that is held while the disk is read.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn footer(&self, key: u64, read: impl FnOnce() -> Result<Footer>) -> Result<Arc<Footer>> {
        if let Some(Parsed::Whole(footer)) = self.cache.get(&(key, None)) {
            return Ok(footer);
        }
        let footer = Arc::new(read()?);
        self.cache.insert((key, None), Parsed::Whole(footer.clone()));
        Ok(footer)
    }

    /// As `footer`, what it says of this row group.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn layout(
        &self,
        key: u64,
        group: usize,
        read: impl FnOnce() -> Result<Layout>,
    ) -> Result<Arc<Layout>> {
        if let Some(Parsed::RowGroup(layout)) = self.cache.get(&(key, Some(group))) {
            return Ok(layout);
        }
        let layout = Arc::new(read()?);
        self.cache.insert((key, Some(group)), Parsed::RowGroup(layout.clone()));
        Ok(layout)
    }

    /// Forgets a footer, which has so many row groups, and its parts.
    pub fn forget(&self, key: u64, row_groups: usize) {
        self.cache.remove(&(key, None));
        (0..row_groups).for_each(|group| drop(self.cache.remove(&(key, Some(group)))));
    }

    /// Bytes of the footers and parts that are kept.
    pub fn bytes(&self) -> u64 {
        self.cache.weight()
    }
}
