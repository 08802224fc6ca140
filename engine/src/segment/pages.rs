//! Pages of row groups for Parquet's column readers, decompressed by what each thread keeps.
//!
//! Parquet makes a compressor and a decompressor for every column chunk that it opens. For ZSTD
//! that takes 15 us, as long as it takes to decompress a small page, and a look-up opens a dozen
//! columns for one page of each. So to Parquet's page reader ZSTD chunks are not compressed, and
//! what it gives is decompressed here.

use std::cell::RefCell;
use std::io::Cursor;
use std::sync::Arc;

use bytes::Bytes;
use parquet::arrow::arrow_reader::RowGroups;
use parquet::basic::Compression;
use parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::serialized_reader::SerializedPageReader;
use zstd::bulk::Decompressor;
use zstd::zstd_safe::get_frame_content_size;

use super::source::Source;

thread_local! {
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Some row groups of a file.
pub struct Groups {
    pub source: Source,
    pub metadata: Arc<ParquetMetaData>,
    /// Which, by their places in the file.
    pub groups: Vec<usize>,
}

impl RowGroups for Groups {
    fn num_rows(&self) -> usize {
        self.row_groups().map(|group| usize::try_from(group.num_rows()).unwrap_or(0)).sum()
    }

    fn column_chunks(&self, column: usize) -> Result<Box<dyn PageIterator>> {
        Ok(Box::new(Chunks {
            source: Arc::new(self.source.clone()),
            metadata: self.metadata.clone(),
            groups: self.groups.clone().into_iter(),
            column,
        }))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(self.groups.iter().filter_map(|group| self.metadata.row_groups().get(*group)))
    }

    fn metadata(&self) -> &ParquetMetaData {
        &self.metadata
    }
}

/// One column in each of the row groups.
struct Chunks {
    source: Arc<Source>,
    metadata: Arc<ParquetMetaData>,
    groups: std::vec::IntoIter<usize>,
    column: usize,
}

impl Iterator for Chunks {
    type Item = Result<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        let group = self.groups.next()?;
        Some(self.pages(group).map(|pages| Box::new(pages) as _))
    }
}

impl PageIterator for Chunks {}

impl Chunks {
    fn pages(&self, group: usize) -> Result<Pages> {
        let lacks = || ParquetError::General(format!("no column {} in {group}", self.column));
        let rows = self.metadata.row_groups().get(group).ok_or_else(lacks)?;
        let chunk = rows.columns().get(self.column).ok_or_else(lacks)?;
        let offsets = self.metadata.offset_index().and_then(|index| index.get(group));
        let pages = offsets.and_then(|columns| columns.get(self.column));
        let pages = pages.map(|index| index.page_locations().clone());
        let rows = usize::try_from(rows.num_rows())?;
        let zstd = matches!(chunk.compression(), Compression::ZSTD(_));
        let open = |chunk| SerializedPageReader::new(self.source.clone(), chunk, rows, pages);
        let inner = if zstd {
            let plain = chunk.clone().into_builder().set_compression(Compression::UNCOMPRESSED);
            open(&plain.build()?)?
        } else {
            open(chunk)?
        };
        Ok(Pages { inner, zstd })
    }
}

/// The pages of a column chunk.
struct Pages {
    inner: SerializedPageReader<Source>,
    /// Whether the inner reader gives pages as they are compressed.
    zstd: bool,
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.inner.get_next_page()?;
        if self.zstd { page.map(decompressed).transpose() } else { Ok(page) }
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.inner.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.inner.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.inner.at_record_boundary()
    }
}

/// A page after ZSTD. The levels at the beginning of a data page of version 2 are not compressed.
fn decompressed(mut page: Page) -> Result<Page> {
    match &mut page {
        Page::DataPageV2 { is_compressed: false, .. } => {}
        Page::DataPageV2 {
            buf, def_levels_byte_len, rep_levels_byte_len, is_compressed, ..
        } => {
            let levels = u64::from(*def_levels_byte_len) + u64::from(*rep_levels_byte_len);
            *buf = after_levels(buf, usize::try_from(levels)?)?;
            *is_compressed = false;
        }
        Page::DataPage { buf, .. } | Page::DictionaryPage { buf, .. } => {
            *buf = after_levels(buf, 0)?;
        }
    }
    Ok(page)
}

fn after_levels(page: &Bytes, levels: usize) -> Result<Bytes> {
    let wrong = |what: &str| ParquetError::General(format!("a page of ZSTD with {what}"));
    let (levels, compressed) =
        page.split_at_checked(levels).ok_or_else(|| wrong("more levels than bytes"))?;
    if compressed.is_empty() {
        // A page of nothing but nulls.
        return Ok(page.clone());
    }
    let size = get_frame_content_size(compressed).ok().flatten();
    let size = size.and_then(|size| i32::try_from(size).ok()).ok_or_else(|| wrong("no size"))?;
    let mut out = Vec::with_capacity(levels.len() + usize::try_from(size)?);
    out.extend_from_slice(levels);
    let mut cursor = Cursor::new(out);
    cursor.set_position(levels.len() as u64);
    DECOMPRESSOR.with_borrow_mut(|kept| {
        let decompressor = match kept {
            Some(decompressor) => decompressor,
            None => kept.insert(Decompressor::new()?),
        };
        decompressor.decompress_to_buffer(compressed, &mut cursor)
    })?;
    Ok(cursor.into_inner().into())
}

#[cfg(test)]
mod tests {
    use parquet::basic::Encoding;

    use super::*;

    #[test]
    fn levels_of_a_page_of_the_second_version_are_not_compressed() {
        let (levels, values) = (b"levels", b"values values values values");
        let compressed = zstd::bulk::compress(values, 1).unwrap();
        let page = |is_compressed, values: &[u8]| Page::DataPageV2 {
            buf: [&levels[..], values].concat().into(),
            num_values: 4,
            encoding: Encoding::PLAIN,
            num_nulls: 0,
            num_rows: 4,
            def_levels_byte_len: 4,
            rep_levels_byte_len: 2,
            is_compressed,
            statistics: None,
        };
        for page in [page(true, &compressed), page(false, values)] {
            let page = decompressed(page).unwrap();
            assert!(matches!(page, Page::DataPageV2 { is_compressed: false, .. }));
            assert_eq!(**page.buffer(), *[&levels[..], values].concat());
        }
    }
}
