//! `Session`: SQL over a store, one snapshot a statement, within limits.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use amida::Missing;
use datafusion::catalog::memory::{MemoryCatalogProvider, MemorySchemaProvider};
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::execution::SessionStateDefaults;
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::simplify_expressions::SimplifyExpressions;
use datafusion::optimizer::{Analyzer, Optimizer, OptimizerRule};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionConfig;
use futures_channel::oneshot;
use object_store::memory::InMemory;

use crate::analyzer::{CatalogSource, SpanRule};
use crate::clauses;
use crate::deadline::Deadline;
use crate::early::hand_on_early;
use crate::error::{Error, Result};
use crate::functions::capped::cap;
use crate::functions::keeps::keeping;
use crate::functions::{LEFT_OUT, aggregates, scalars};
use crate::guard::{self, Allowed};
use crate::join_keys::NameJoinKeys;
use crate::mistakes::Known;
use crate::notes::notes;
use crate::planner::AttributePlanner;
use crate::provider::{BoundSnapshot, KeyTable, STORE_URL, SpanTable, around_damage};
use crate::rows::Rows;
use crate::share::SharePercentiles;
use crate::source::Source;
use crate::views::views;
use crate::watch::watch;

/// The limits of a session.
///
/// ```
/// use std::time::Duration;
/// use amida_sql::SessionOptions;
///
/// let options = SessionOptions::new()
///     .timeout(Duration::from_secs(5))
///     .memory_bytes_max(64 << 20);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SessionOptions {
    /// Most bytes of memory for all queries of the session together; beyond it they spill to
    /// disk where they can, else fail with `Limit`. Default 256 MiB.
    pub memory_bytes_max: usize,
    /// Most bytes of temporary files for spilling. Default 2 GiB.
    pub spill_bytes_max: u64,
    /// Longest time for one query, reading its rows included. Default 30 s.
    pub timeout: Duration,
    /// How many threads one query uses at most. Default: the machine's.
    pub target_partitions: usize,
    /// Whether a query that meets damaged files is answered from the rest instead of failing;
    /// `Rows::missing` then says what was left out. Default false.
    pub allow_partial: bool,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            memory_bytes_max: 256 << 20,
            spill_bytes_max: 2 << 30,
            timeout: Duration::from_secs(30),
            target_partitions: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
            allow_partial: false,
        }
    }
}

impl SessionOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `memory_bytes_max`.
    pub fn memory_bytes_max(mut self, bytes: usize) -> Self {
        self.memory_bytes_max = bytes;
        self
    }

    /// Sets `spill_bytes_max`.
    pub fn spill_bytes_max(mut self, bytes: u64) -> Self {
        self.spill_bytes_max = bytes;
        self
    }

    /// Sets `timeout`.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets `target_partitions`.
    pub fn target_partitions(mut self, partitions: usize) -> Self {
        self.target_partitions = partitions.max(1);
        self
    }

    /// Sets `allow_partial`.
    pub fn allow_partial(mut self, allow: bool) -> Self {
        self.allow_partial = allow;
        self
    }
}

/// SQL over a store. Cheap to clone; each statement sees one snapshot, taken when it starts.
///
/// `query` must be awaited, and its rows read, within a tokio runtime.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = amida::Store::in_memory();
/// let session = amida_sql::Session::new(&store);
/// let sql = "SELECT count(*) AS spans FROM spans WHERE service_name = $1";
/// let rows = session.query_with(sql, ["checkout"]).await?;
/// println!("{}", rows.collect().await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Session {
    source: Arc<dyn Source>,
    options: SessionOptions,
    state: Result<SessionState>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Session {
    /// A session with the default limits over a `Store`, an `Reader` or a `Snapshot`.
    pub fn new(source: &(impl Source + Clone)) -> Self {
        Self::with_options(source, SessionOptions::default())
    }

    /// A session with these limits.
    pub fn with_options(source: &(impl Source + Clone), options: SessionOptions) -> Self {
        let source: Arc<dyn Source> = Arc::new(source.clone());
        // Fails only where the views do not plan, which every test of this crate would see, or
        // where there is no temporary directory, which is made at the first spill.
        let state = state(&source, &options).map_err(|error| Error::planning(&error));
        Self { source, options, state }
    }

    /// Runs one statement: SELECT, EXPLAIN, SHOW or DESCRIBE.
    ///
    /// # Errors
    /// `Plan` when the statement is not valid or not allowed, `Limit` when planning it takes too
    /// long, `Engine` when what the query needs of the store cannot be read, naming the file (see
    /// `SessionOptions::allow_partial`). What fails later comes with the rows.
    pub async fn query(&self, sql: &str) -> Result<Rows> {
        self.query_with(sql, Vec::<ScalarValue>::new()).await
    }

    /// Runs one statement with values for `$1`, `$2`, ... in it.
    ///
    /// # Errors
    /// As `query`; `Plan` too when there are more or fewer values than parameters.
    pub async fn query_with<V: Into<ScalarValue>>(
        &self,
        sql: &str,
        params: impl IntoIterator<Item = V>,
    ) -> Result<Rows> {
        let params: Vec<ScalarValue> = params.into_iter().map(Into::into).collect();
        let deadline = Deadline::after(self.options.timeout);
        let session = self.clone();
        let sql = sql.to_owned();
        let watched = deadline.clone();
        let planned =
            deadline.bound(on_planning_thread(move || session.plan(&sql, params, &watched)));
        let Planned { plan, state, notes, missing } = planned.await???;
        let stream =
            execute_stream(plan, state.task_ctx()).map_err(|error| Error::execution(&error))?;
        Ok(Rows::new(stream, deadline, notes, missing))
    }

    fn plan(&self, sql: &str, params: Vec<ScalarValue>, deadline: &Deadline) -> Result<Planned> {
        let Allowed { statement, params: wanted, tokens, own_tables } = guard::parse(sql)?;
        if wanted != params.len() {
            return Err(Error::plan(format!(
                "the query has {wanted} parameters, {} values were given",
                params.len()
            )));
        }
        let state = self.state.clone()?;
        clauses::check(&statement, &tokens, &state)?;
        let mut snapshot = self.source.snapshot()?;
        if self.options.allow_partial && !snapshot.is_partial() {
            snapshot = snapshot.allow_partial();
        }
        let has_spans = snapshot.span_count() > 0;
        let keys = snapshot.catalog()?;
        let config =
            state.config().clone().with_extension(Arc::new(BoundSnapshot(snapshot.clone())));
        let builder = SessionStateBuilder::new_from_existing(state).with_config(config);
        let catalog = CatalogSource::Bound(Arc::clone(&keys));
        let mut state = with_rules(builder, catalog, params.clone()).build();
        // `now()` is the time at which the statement began.
        state.mark_start_execution();
        let known =
            Known { state: &state, catalog: &keys, tokens: &tokens, own_tables: &own_tables };
        // Nothing below waits for anything: our tables are in memory or read by this thread.
        let (plan, notes) = futures_executor::block_on(async {
            let plan = state.statement_to_plan(statement).await;
            let plan = plan.map_err(|error| known.explain(&error))?;
            guard::check_plan(&plan)?;
            let plan = bind(plan, params).map_err(|error| Error::planning(&error))?;
            let notes = if has_spans { notes(&plan, &keys) } else { Vec::new() };
            let physical = state.create_physical_plan(&plan).await;
            let physical = physical
                .and_then(|plan| around_damage(plan, &snapshot))
                .and_then(hand_on_early)
                .and_then(|plan| watch(plan, deadline))
                .map_err(|error| known.explain(&error))?;
            Ok::<_, Error>((physical, notes))
        })?;
        let missing = snapshot.missing();
        Ok(Planned { plan, state, notes, missing })
    }
}

/// A statement that can run.
struct Planned {
    plan: Arc<dyn ExecutionPlan>,
    state: SessionState,
    notes: Vec<String>,
    missing: Vec<Missing>,
}

fn bind(plan: LogicalPlan, params: Vec<ScalarValue>) -> datafusion::common::Result<LogicalPlan> {
    if params.is_empty() { Ok(plan) } else { plan.with_param_values(params) }
}

/// Runs on a thread of its own: planning recurses deeper than a runtime's threads have stack, and
/// would hold one of them for milliseconds.
async fn on_planning_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    const STACK_BYTES: usize = 32 << 20;
    let (sender, receiver) = oneshot::channel();
    std::thread::Builder::new()
        .name("amida-sql-plan".into())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let _ = sender.send(work());
        })
        .map_err(|error| Error::Execution(format!("no thread to plan the query: {error}")))?;
    receiver.await.map_err(|_| Error::plan("planning this query failed inside DataFusion"))
}

/// Adds what a query means with this catalog: planners and analyzer rules, ours first.
pub(crate) fn with_rules(
    mut builder: SessionStateBuilder,
    catalog: CatalogSource,
    params: Vec<ScalarValue>,
) -> SessionStateBuilder {
    let planners = builder.expr_planners().get_or_insert_with(Vec::new);
    planners.insert(0, Arc::new(AttributePlanner::new(catalog.clone(), params)));
    let analyzer = builder.analyzer().get_or_insert_with(Analyzer::new);
    analyzer.rules.insert(0, Arc::new(SpanRule::new(catalog)));
    let optimizer = builder.optimizer().get_or_insert_with(Optimizer::new);
    simplify_pushed_filters(optimizer);
    let ours: [Arc<dyn OptimizerRule + Send + Sync>; 2] =
        [Arc::new(NameJoinKeys), Arc::new(SharePercentiles)];
    for rule in ours {
        if optimizer.rules.iter().all(|known| known.name() != rule.name()) {
            optimizer.rules.push(rule);
        }
    }
    builder
}

/// Simplifies filters once more where they have just met the columns beneath our views: there
/// `duration > ..` becomes a range of `duration_ns`, before common parts are taken out of it.
fn simplify_pushed_filters(optimizer: &mut Optimizer) {
    let pushed = optimizer.rules.iter().position(|rule| rule.name() == "push_down_filter");
    let simplify = SimplifyExpressions::new();
    if let Some(at) = pushed
        && optimizer.rules.get(at + 1).is_none_or(|next| next.name() != simplify.name())
    {
        optimizer.rules.insert(at + 1, Arc::new(simplify));
    }
}

/// The state that all statements of a session start from: our tables, DataFusion's functions
/// without those that make rows or bytes from nothing, no files, no factories, one object store.
fn state(
    source: &Arc<dyn Source>,
    options: &SessionOptions,
) -> datafusion::common::Result<SessionState> {
    let mut config = SessionConfig::new()
        .with_information_schema(true)
        .with_default_catalog_and_schema("amida", "public")
        .with_create_default_catalog_and_schema(false)
        .with_target_partitions(options.target_partitions);
    let settings = config.options_mut();
    settings.execution.enable_recursive_ctes = false;
    settings.execution.collect_statistics = true;
    // Errors about names say where they stand.
    settings.sql_parser.collect_spans = true;
    let runtime = runtime(options)?;
    let mut functions = cap(SessionStateDefaults::default_scalar_functions());
    functions.retain(|f| !LEFT_OUT.contains(&f.name()));
    functions.extend(scalars());
    let known = SessionStateDefaults::default_aggregate_functions().into_iter().map(keeping);
    let aggregates = known.chain(aggregates()).collect();
    let builder = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_expr_planners(SessionStateDefaults::default_expr_planners())
        .with_scalar_functions(functions)
        .with_higher_order_functions(SessionStateDefaults::default_higher_order_functions())
        .with_aggregate_functions(aggregates)
        .with_window_functions(SessionStateDefaults::default_window_functions());
    let state = builder.build();
    let catalog = MemoryCatalogProvider::new();
    let schema = MemorySchemaProvider::new();
    for (name, table) in tables(source)? {
        schema.register_table(name.to_owned(), table)?;
    }
    catalog.register_schema("public", Arc::new(schema))?;
    state.catalog_list().register_catalog("amida".to_owned(), Arc::new(catalog));
    Ok(state)
}

/// Bounded memory and spilling, and no object store but ours: not even the file system's.
fn runtime(options: &SessionOptions) -> datafusion::common::Result<Arc<RuntimeEnv>> {
    let consumers_shown = NonZeroUsize::MIN.saturating_add(4);
    let pool = FairSpillPool::new(options.memory_bytes_max);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(TrackConsumersPool::new(pool, consumers_shown)))
        .with_max_temp_directory_size(options.spill_bytes_max)
        .build_arc()?;
    runtime.deregister_object_store(ObjectStoreUrl::local_filesystem().as_ref())?;
    let url = ObjectStoreUrl::parse(STORE_URL)?;
    // Bytes come through the segments of a scan, never through this store.
    runtime.register_object_store(url.as_ref(), Arc::new(InMemory::new()));
    Ok(runtime)
}

/// The tables of `docs/sql.md` over a source.
pub(crate) fn tables(
    source: &Arc<dyn Source>,
) -> datafusion::common::Result<Vec<(&'static str, Arc<dyn TableProvider>)>> {
    let views = views(Arc::new(SpanTable::new(Arc::clone(source))))?;
    let views = views.into_iter().map(|(name, view)| (name, view as Arc<dyn TableProvider>));
    let keys: Arc<dyn TableProvider> = Arc::new(KeyTable::new(Arc::clone(source)));
    Ok(views.chain([("attribute_keys", keys)]).collect())
}
