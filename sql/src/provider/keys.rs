//! `attribute_keys`: what the catalog says of attributes, as a table. No span is read for it.

use std::sync::{Arc, LazyLock};

use amida::json::ValueType;
use amida::{Catalog, Scope};
use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, Int64Builder, RecordBatch, StringViewBuilder};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::memory::{DataSourceExec, MemorySourceConfig};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::BoundSnapshot;
use crate::error::engine_error;
use crate::source::Source;

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let text = |name, nullable| Field::new(name, DataType::Utf8View, nullable);
    Arc::new(Schema::new(vec![
        text("scope", false),
        // Null in the row that counts what a full scope did not list.
        text("key", true),
        text("type", true),
        Field::new("count", DataType::Int64, false),
        text("example", true),
    ]))
});

/// A row per scope, key and type.
#[derive(Debug)]
pub(crate) struct KeyTable {
    source: Arc<dyn Source>,
}

impl KeyTable {
    pub(crate) fn new(source: Arc<dyn Source>) -> Self {
        Self { source }
    }
}

#[async_trait]
impl TableProvider for KeyTable {
    fn schema(&self) -> SchemaRef {
        SCHEMA.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let snapshot = match state.config().get_extension::<BoundSnapshot>() {
            Some(bound) => bound.0.clone(),
            None => self.source.snapshot().map_err(engine_error)?,
        };
        let batch = rows(snapshot.catalog().map_err(engine_error)?.as_ref())?;
        let source =
            MemorySourceConfig::try_new(&[vec![batch]], SCHEMA.clone(), projection.cloned())?
                .with_limit(limit)
                .with_show_sizes(false);
        Ok(DataSourceExec::from_data_source(source))
    }
}

fn rows(catalog: &Catalog) -> Result<RecordBatch> {
    let mut rows = Columns::default();
    for scope in Scope::ALL {
        for (key, counts) in catalog.keys(scope) {
            for value_type in ValueType::ALL {
                let count = counts.0[value_type as usize];
                if count > 0 {
                    let example = catalog.example(scope, key, value_type);
                    rows.add(scope, Some((key, value_type)), count, example);
                }
            }
        }
        if catalog.overflow(scope) > 0 {
            rows.add(scope, None, catalog.overflow(scope), None);
        }
    }
    rows.finish()
}

#[derive(Default)]
struct Columns {
    scope: StringViewBuilder,
    key: StringViewBuilder,
    value_type: StringViewBuilder,
    count: Int64Builder,
    example: StringViewBuilder,
}

impl Columns {
    fn add(
        &mut self,
        scope: Scope,
        key: Option<(&str, ValueType)>,
        count: u64,
        example: Option<&str>,
    ) {
        self.scope.append_value(scope.word());
        self.key.append_option(key.map(|(key, _)| key));
        self.value_type.append_option(key.map(|(_, value_type)| value_type.word()));
        self.count.append_value(i64::try_from(count).unwrap_or(i64::MAX));
        self.example.append_option(example);
    }

    fn finish(mut self) -> Result<RecordBatch> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.scope.finish()),
            Arc::new(self.key.finish()),
            Arc::new(self.value_type.finish()),
            Arc::new(self.count.finish()),
            Arc::new(self.example.finish()),
        ];
        Ok(RecordBatch::try_new(SCHEMA.clone(), columns)?)
    }
}
