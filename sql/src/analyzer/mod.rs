//! What a query means beyond DataFusion's rules, checked and rewritten before its type coercion.
//!
//! | file | holds |
//! |---|---|
//! | words | literals beside ids, kinds and status codes: normalised, or refused by name |
//! | durations | literals beside durations: read with their unit, or refused by name |
//! | times | text literals beside times |
//! | types | attributes of several types: typed where the place says which, else refused |
//! | columns | columns that joins and unions compare or stack |
//! | windows | windows ordered by a duration |
//! | rule | the walk over a plan that applies both |

mod columns;
pub(crate) mod durations;
mod rule;
mod times;
pub(crate) mod types;
mod windows;
mod words;

use std::sync::Arc;

use amida::Catalog;

pub(crate) use self::rule::SpanRule;
use crate::error::engine_error;
use crate::source::Source;

/// Where planning looks up the types of attributes.
#[derive(Debug, Clone)]
pub(crate) enum CatalogSource {
    /// The catalog of the snapshot that the query reads.
    Bound(Arc<Catalog>),
    /// The newest catalog of a store, each time it is asked.
    Newest(Arc<dyn Source>),
}

impl CatalogSource {
    pub(crate) fn get(&self) -> datafusion::common::Result<Arc<Catalog>> {
        match self {
            CatalogSource::Bound(catalog) => Ok(catalog.clone()),
            CatalogSource::Newest(source) => {
                source.snapshot().and_then(|s| s.catalog()).map_err(engine_error)
            }
        }
    }
}
