//! The columns of a segment file: the span schema's, then the promoted ones; and how each is
//! encoded.
//!
//! What is read for one trace must be cheap to open: a large dictionary is decoded for every
//! look-up, a page is decompressed for one of its rows. So ids have no dictionary, numbers of
//! dictionary entries, which are packed bits, are not compressed, and what is compressed has small
//! pages. Promoted columns are not read for a trace: they have large pages, all of them ZSTD.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

use super::constant;
use crate::error::{Error, Result};
use crate::model::catalog::{Promoted, PromotedType, Scope};
use crate::model::schema::{COLUMN_NAMES, col, span_schema};

/// Most rows of a page. Numbers of dictionary entries are passed over quickly; what is decompressed
/// or has statistics that exclude rows has smaller pages.
const PAGE_ROWS_MAX: usize = 16_384;
/// Rows after which Parquet looks whether a page is full: few, so that pages are of one size.
const BATCH_ROWS: usize = 256;
/// Bytes after which a page ends, before compression, where it is worth having fewer rows than
/// `PAGE_ROWS_MAX`. It then ends with the next `BATCH_ROWS` rows, or before them where they alone
/// have as many bytes. What attributes take in pages of other sizes, and at other levels of ZSTD,
/// is in docs/decisions/0004.
const PAGE_BYTES_MAX: [(usize, usize); 8] = [
    (col::ATTRIBUTES, 128 << 10),
    (col::EVENTS, 32 << 10),
    (col::LINKS, 32 << 10),
    (col::TRACE_ID, 8 << 10),
    (col::SPAN_ID, 32 << 10),
    (col::PARENT_SPAN_ID, 4 << 10),
    (col::START_TIME, 16 << 10),
    (col::DURATION_NS, 16 << 10),
];
/// The level of ZSTD for attributes; all else has the first. What a level does depends on the size
/// of the page: of 128 to 256 KiB, the second does not take matches of four bytes, which are worse
/// than none in this text, and so makes less of it than the third.
const ATTRIBUTES_LEVEL: i32 = 2;
/// Other readers do not know the trace-ID index: a Bloom filter tells them which row groups do not
/// have a trace. It is wrong for one in a hundred, and as large as the traces of its row group
/// need, of which there are at most so many.
const BLOOM_WRONG: f64 = 0.01;
const BLOOM_TRACES_MAX: u64 = 1 << 17;
/// Columns that have minima and maxima per page.
const STATISTICS: [usize; 6] =
    [col::NAME, col::SERVICE_NAME, col::KIND, col::STATUS_CODE, col::START_TIME, col::DURATION_NS];

/// The schema of a file with these promoted columns.
///
/// # Errors
/// `Invalid` when a key cannot be promoted or two have one column name.
pub fn file_schema(promoted: &[Promoted]) -> Result<SchemaRef> {
    let mut fields = span_schema().fields().to_vec();
    for key in promoted {
        let name = key.column_name();
        if !matches!(key.scope, Scope::Span | Scope::Resource) {
            let scope = key.scope.word();
            return Err(Error::invalid(format!(
                "{:?}: only keys of spans and resources can be promoted, not of scope {scope}",
                key.key
            )));
        }
        if fields.iter().any(|f| *f.name() == name) {
            return Err(Error::invalid(format!("column {name} is promoted twice")));
        }
        let data_type = match key.value_type {
            PromotedType::String => DataType::Utf8View,
            PromotedType::Bool => DataType::Boolean,
            PromotedType::Int => DataType::Int64,
            PromotedType::Double => DataType::Float64,
        };
        fields.push(Arc::new(Field::new(name, data_type, true)));
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// How a file with these promoted columns is encoded. What is not named here has a dictionary, no
/// compression and no statistics.
pub fn properties(promoted: &[Promoted]) -> WriterProperties {
    let mut builder = WriterProperties::builder()
        // The second version of pages keeps which rows are null as it is, a bit a row; this one
        // compresses it.
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_data_page_row_count_limit(PAGE_ROWS_MAX)
        .set_write_batch_size(BATCH_ROWS)
        .set_max_row_group_row_count(None)
        .set_compression(Compression::UNCOMPRESSED)
        .set_statistics_enabled(EnabledStatistics::None);
    let zstd = Compression::ZSTD(ZstdLevel::default());
    let level = ZstdLevel::try_new(ATTRIBUTES_LEVEL).expect("a level that ZSTD has");
    let attributes = Compression::ZSTD(level);
    for (column, encoding, codec) in [
        // Neighbours are the same, or share nothing.
        (col::TRACE_ID, Encoding::PLAIN, zstd),
        // Random bytes, which nothing makes smaller; but children of one parent follow one another.
        (col::SPAN_ID, Encoding::PLAIN, Compression::UNCOMPRESSED),
        (col::PARENT_SPAN_ID, Encoding::PLAIN, zstd),
        // The high bytes of neighbours are the same, the low ones random.
        (col::START_TIME, Encoding::BYTE_STREAM_SPLIT, zstd),
        (col::DURATION_NS, Encoding::BYTE_STREAM_SPLIT, zstd),
        (col::ATTRIBUTES, Encoding::PLAIN, attributes),
        (col::EVENTS, Encoding::PLAIN, zstd),
        (col::LINKS, Encoding::PLAIN, Compression::LZ4_RAW),
    ] {
        builder = builder
            .set_column_dictionary_enabled(path(column), false)
            .set_column_encoding(path(column), encoding)
            .set_column_compression(path(column), codec);
    }
    builder = builder
        .set_column_compression(path(col::RESOURCE_ATTRIBUTES), Compression::LZ4_RAW)
        .set_column_bloom_filter_enabled(path(col::TRACE_ID), true)
        .set_column_bloom_filter_fpp(path(col::TRACE_ID), BLOOM_WRONG)
        .set_column_bloom_filter_max_ndv(path(col::TRACE_ID), BLOOM_TRACES_MAX);
    for (column, bytes) in PAGE_BYTES_MAX {
        builder = builder.set_column_data_page_size_limit(path(column), bytes);
    }
    for column in STATISTICS {
        builder = builder.set_column_statistics_enabled(path(column), EnabledStatistics::Page);
    }
    for column in constant::TEXTS.iter().chain(&constant::COUNTS) {
        builder = builder.set_column_statistics_enabled(path(*column), EnabledStatistics::Chunk);
    }
    for key in promoted {
        // A name with dots is one part of a path here, not several.
        let path = ColumnPath::from(key.column_name());
        builder = builder
            .set_column_compression(path.clone(), zstd)
            .set_column_statistics_enabled(path, EnabledStatistics::Page);
    }
    builder.build()
}

fn path(column: usize) -> ColumnPath {
    ColumnPath::from(COLUMN_NAMES[column])
}
