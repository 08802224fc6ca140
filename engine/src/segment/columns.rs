//! The columns of a segment file: the span schema's, then the promoted ones; and how each is
//! encoded.
//!
//! What is read for one trace must be cheap to open: a ZSTD reader costs 40 to 55 us a column, a
//! large dictionary is decoded for every lookup, a page is decompressed for one of its rows. So
//! only attributes and events are ZSTD, ids have no dictionary, numbers of dictionary entries,
//! which are packed bits, are not compressed, and what is compressed has small pages.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

use super::constant;
use crate::error::{Error, Result};
use crate::model::catalog::{Promoted, PromotedType, Scope};
use crate::model::schema::{COLUMN_NAMES, col, span_schema};

/// Most rows of a page.
const PAGE_ROWS_MAX: usize = 4096;
/// Bytes after which a page ends, before compression, where it is worth having more or fewer than
/// `PAGE_ROWS_MAX` rows. Parquet looks at it after writing up to as many bytes at once: pages have
/// less than twice as many (or one larger row). Attributes in pages of 128 KiB instead of 64 take
/// 4.5 bytes a span less, and a look-up a quarter more time (docs/decisions/0004).
const PAGE_BYTES_MAX: [(usize, usize); 5] = [
    (col::ATTRIBUTES, 64 << 10),
    (col::EVENTS, 32 << 10),
    (col::LINKS, 32 << 10),
    (col::TRACE_ID, 16 << 10),
    (col::PARENT_SPAN_ID, 8 << 10),
];
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
/// compression and no statistics; promoted columns, whose dictionaries may be large, have LZ4.
pub fn properties(promoted: &[Promoted]) -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_data_page_row_count_limit(PAGE_ROWS_MAX)
        .set_write_batch_size(PAGE_ROWS_MAX)
        .set_max_row_group_row_count(None)
        .set_compression(Compression::UNCOMPRESSED)
        .set_statistics_enabled(EnabledStatistics::None);
    let zstd = Compression::ZSTD(ZstdLevel::default());
    for (column, encoding, codec) in [
        // Neighbours are the same, or share nothing.
        (col::TRACE_ID, Encoding::DELTA_BYTE_ARRAY, Compression::LZ4_RAW),
        // Random bytes, which nothing makes smaller; but children of one parent follow one another.
        (col::SPAN_ID, Encoding::PLAIN, Compression::UNCOMPRESSED),
        (col::PARENT_SPAN_ID, Encoding::PLAIN, Compression::LZ4_RAW),
        (col::START_TIME, Encoding::DELTA_BINARY_PACKED, Compression::UNCOMPRESSED),
        (col::DURATION_NS, Encoding::DELTA_BINARY_PACKED, Compression::UNCOMPRESSED),
        (col::ATTRIBUTES, Encoding::PLAIN, zstd),
        (col::EVENTS, Encoding::PLAIN, zstd),
        (col::LINKS, Encoding::PLAIN, Compression::LZ4_RAW),
    ] {
        builder = builder
            .set_column_dictionary_enabled(path(column), false)
            .set_column_encoding(path(column), encoding)
            .set_column_compression(path(column), codec);
    }
    builder = builder.set_column_compression(path(col::RESOURCE_ATTRIBUTES), Compression::LZ4_RAW);
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
            .set_column_compression(path.clone(), Compression::LZ4_RAW)
            .set_column_statistics_enabled(path, EnabledStatistics::Page);
    }
    builder.build()
}

fn path(column: usize) -> ColumnPath {
    ColumnPath::from(COLUMN_NAMES[column])
}
