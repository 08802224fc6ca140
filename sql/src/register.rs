//! The tables in a DataFusion context that the user brought.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::prelude::SessionContext;
use object_store::memory::InMemory;

use crate::analyzer::CatalogSource;
use crate::functions::keeps::keeping;
use crate::functions::{aggregates, scalars};
use crate::provider::STORE_URL;
use crate::session::{tables, with_rules};
use crate::source::Source;

/// Registers the tables and functions of `docs/sql.md` in a context of your own, beside your
/// tables.
///
/// What differs from `Session`: each table of a statement takes its own snapshot, the types of
/// attributes are those of the newest one, and nothing is guarded or limited but by what the
/// context itself sets. Use `Session` for statements from others.
///
/// # Errors
/// DataFusion's, when a name is taken.
pub fn register(context: &SessionContext, source: &(impl Source + Clone)) -> Result<()> {
    let source: Arc<dyn Source> = Arc::new(source.clone());
    let url = ObjectStoreUrl::parse(STORE_URL)?;
    context.register_object_store(url.as_ref(), Arc::new(InMemory::new()));
    for function in scalars() {
        context.register_udf(function.as_ref().clone());
    }
    let known: Vec<_> = context.state().aggregate_functions().values().cloned().collect();
    for function in known.into_iter().map(keeping).chain(aggregates()) {
        context.register_udaf(function.as_ref().clone());
    }
    let state = context.state_ref();
    let existing = state.read().clone();
    let builder = SessionStateBuilder::new_from_existing(existing);
    let rules = with_rules(builder, CatalogSource::Newest(Arc::clone(&source)), Vec::new());
    *state.write() = rules.build();
    for (name, table) in tables(&source)? {
        context.register_table(name, table)?;
    }
    Ok(())
}
