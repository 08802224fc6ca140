//! The columns of a segment file: the span schema's, then the promoted ones; and how each is
//! encoded.
//!
//! What is read for one trace must be cheap to open: a ZSTD reader costs 40 to 55 us a column, a
//! large dictionary is decoded for every lookup. So only attributes and events are ZSTD, ids have
//! no dictionary, and pages have at most 1024 rows.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{
    EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion,
};
use parquet::schema::types::ColumnPath;

use crate::error::{Error, Result};
use crate::model::catalog::{Promoted, PromotedType, Scope};
use crate::model::schema::{COLUMN_NAMES, col, span_schema};

/// Most rows of a page.
const PAGE_ROWS_MAX: usize = 1024;
/// Bytes after which a page of JSON text ends, before compression. Parquet looks at it after
/// writing up to as many bytes at once: pages have less than twice as many (or one larger row).
const JSON_PAGE_BYTES_MAX: usize = 64 << 10;
/// Columns that have minima and maxima per page.
const STATISTICS: [usize; 7] = [
    col::TRACE_ID,
    col::NAME,
    col::SERVICE_NAME,
    col::KIND,
    col::STATUS_CODE,
    col::START_TIME,
    col::DURATION_NS,
];

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

/// How a file with these promoted columns is encoded. What is not named here has a dictionary,
/// LZ4 and no statistics.
pub fn properties(promoted: &[Promoted]) -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_data_page_row_count_limit(PAGE_ROWS_MAX)
        .set_write_batch_size(PAGE_ROWS_MAX)
        .set_max_row_group_row_count(None)
        .set_compression(Compression::LZ4_RAW)
        .set_statistics_enabled(EnabledStatistics::None);
    // Sorted, and read at each lookup: neighbours share their beginning.
    builder = plain(builder, col::TRACE_ID, Encoding::DELTA_BYTE_ARRAY, Compression::LZ4_RAW);
    // Random bytes: nothing makes them smaller.
    for column in [col::SPAN_ID, col::PARENT_SPAN_ID] {
        builder = plain(builder, column, Encoding::PLAIN, Compression::UNCOMPRESSED);
    }
    for column in [col::START_TIME, col::DURATION_NS] {
        builder = plain(builder, column, Encoding::DELTA_BINARY_PACKED, Compression::UNCOMPRESSED);
    }
    let zstd = Compression::ZSTD(ZstdLevel::default());
    for (column, codec) in
        [(col::ATTRIBUTES, zstd), (col::EVENTS, zstd), (col::LINKS, Compression::LZ4_RAW)]
    {
        builder = plain(builder, column, Encoding::PLAIN, codec)
            .set_column_data_page_size_limit(path(column), JSON_PAGE_BYTES_MAX);
    }
    for column in STATISTICS {
        builder = builder.set_column_statistics_enabled(path(column), EnabledStatistics::Page);
    }
    for key in promoted {
        // A name with dots is one part of a path here, not several.
        let path = ColumnPath::from(key.column_name());
        builder = builder.set_column_statistics_enabled(path, EnabledStatistics::Page);
    }
    builder.build()
}

fn path(column: usize) -> ColumnPath {
    ColumnPath::from(COLUMN_NAMES[column])
}

fn plain(
    builder: WriterPropertiesBuilder,
    column: usize,
    encoding: Encoding,
    codec: Compression,
) -> WriterPropertiesBuilder {
    builder
        .set_column_dictionary_enabled(path(column), false)
        .set_column_encoding(path(column), encoding)
        .set_column_compression(path(column), codec)
}
