//! What footers with one schema share. A schema is half of a small footer, and the segments of a
//! store have one, or a few: it is read once for all of them.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use parquet::arrow::{ARROW_SCHEMA_META_KEY, parquet_to_arrow_schema};
use parquet::file::metadata::{FileMetaData, ParquetMetaData};
use parquet::schema::types::SchemaDescPtr;
use serde::de::DeserializeOwned;

use super::format::KEY_PROMOTED;
use crate::model::catalog::Promoted;
use crate::model::schema::COLUMN_NAMES;
use crate::sync::{Mutex, lock};

/// Most schemas that are remembered; the oldest go first.
const SCHEMAS_MAX: usize = 16;

type Read<T> = std::result::Result<T, String>;

/// A schema, and what it is known by.
#[derive(Debug)]
pub struct Shared {
    /// Parquet's elements, as they stand in the footer.
    elements: Box<[u8]>,
    /// The entries of the footer that tell the Arrow schema and the promoted keys.
    entries: [Option<String>; 2],
    /// As Parquet has it.
    pub parquet: SchemaDescPtr,
    /// As Arrow has it.
    pub arrow: SchemaRef,
    /// The promoted keys, in the order of their columns.
    pub promoted: Arc<[Promoted]>,
    /// The names of these columns.
    pub names: Box<[String]>,
    /// What Parquet counts for its schema in each footer.
    pub bytes: u64,
}

/// The schemas that were met.
#[derive(Debug, Default)]
pub struct Schemas(Mutex<VecDeque<Arc<Shared>>>);

impl Schemas {
    /// The schema of these elements, if it is known.
    pub fn parquet(&self, elements: &[u8]) -> Option<SchemaDescPtr> {
        let known = lock(&self.0);
        known.iter().find(|s| *s.elements == *elements).map(|s| s.parquet.clone())
    }

    /// What the schema of a footer says, which has these elements.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn shared(&self, elements: &[u8], metadata: &ParquetMetaData) -> Read<Arc<Shared>> {
        let file = metadata.file_metadata();
        let entries = [ARROW_SCHEMA_META_KEY, KEY_PROMOTED].map(|key| find(metadata, key));
        let same = |shared: &&Arc<Shared>| {
            *shared.elements == *elements
                && shared.entries.iter().map(Option::as_deref).eq(entries.iter().copied())
        };
        if let Some(shared) = lock(&self.0).iter().find(same) {
            return Ok(shared.clone());
        }
        let parquet = file.schema_descr_ptr();
        let arrow = parquet_to_arrow_schema(&parquet, file.key_value_metadata())
            .map_err(|e| format!("the schema cannot be decoded: {e}"))?;
        let names = arrow.fields().iter().map(|field| field.name().as_str());
        if !names.take(COLUMN_NAMES.len()).eq(COLUMN_NAMES.iter().copied()) {
            return Err("the columns are not those of a span".into());
        }
        let promoted: Arc<[Promoted]> = json::<Vec<_>>(metadata, KEY_PROMOTED)?.into();
        let alone = FileMetaData::new(0, 0, None, None, parquet.clone(), None);
        let shared = Arc::new(Shared {
            elements: elements.into(),
            entries: entries.map(|entry| entry.map(str::to_owned)),
            parquet,
            arrow: Arc::new(arrow),
            names: promoted.iter().map(Promoted::column_name).collect(),
            promoted,
            bytes: ParquetMetaData::new(alone, Vec::new()).memory_size() as u64,
        });
        let mut known = lock(&self.0);
        known.truncate(SCHEMAS_MAX - 1);
        known.push_front(shared.clone());
        Ok(shared)
    }
}

fn find<'a>(metadata: &'a ParquetMetaData, key: &str) -> Option<&'a str> {
    let entries = metadata.file_metadata().key_value_metadata();
    entries.into_iter().flatten().find(|entry| entry.key == key)?.value.as_deref()
}

/// An entry of the footer.
///
/// # Errors
/// When there is none.
pub fn value<'a>(metadata: &'a ParquetMetaData, key: &str) -> Read<&'a str> {
    find(metadata, key).ok_or_else(|| format!("the footer has no {key}"))
}

/// An entry of the footer, which is JSON.
///
/// # Errors
/// When there is none, or it is something else.
pub fn json<T: DeserializeOwned>(metadata: &ParquetMetaData, key: &str) -> Read<T> {
    serde_json::from_str(value(metadata, key)?).map_err(|e| format!("{key} in the footer: {e}"))
}
