//! The tables that a query sees, as views over the base table `span_rows`, which has ids as bytes:
//! grouping and joining by id stays cheap, and every id that leaves a view is text.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::Result;
use datafusion::datasource::ViewTable;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;

use crate::functions::calls::Calls;
use crate::functions::trace_root::TraceRoot;
use crate::functions::{aggregates, of_views};

/// The base table's name inside the views.
const BASE: &str = "span_rows";

const END_TIME: &str = "start_time + as_duration(duration_ns)";

const PERCENTILES: &str = "
    as_milliseconds(p50(duration_ns)) AS p50_ms, as_milliseconds(p95(duration_ns)) AS p95_ms,
    as_milliseconds(p99(duration_ns)) AS p99_ms";

/// Name and SQL of each view, in the order of `docs/sql.md`.
fn definitions() -> [(&'static str, String); 7] {
    [
        ("spans", spans()),
        ("events", EVENTS.to_owned()),
        ("links", LINKS.to_owned()),
        ("traces", traces()),
        ("services", services()),
        ("operations", operations()),
        ("service_edges", service_edges()),
    ]
}

fn spans() -> String {
    format!(
        "SELECT hex_id(trace_id) AS trace_id, hex_id(span_id) AS span_id,
           hex_id(parent_span_id) AS parent_span_id, name, service_name, kind, status_code,
           status_message, start_time, {END_TIME} AS end_time,
           as_duration(duration_ns) AS duration, duration_ns,
           as_milliseconds(duration_ns) AS duration_ms, status_code = 'ERROR' AS is_error,
           attributes, events, links, resource_attributes, resource_schema_url, scope_name,
           scope_version, scope_attributes, scope_schema_url, trace_state, flags,
           dropped_attributes_count, dropped_events_count, dropped_links_count, marks
         FROM span_rows"
    )
}

const EVENTS: &str = "
    SELECT hex_id(trace_id) AS trace_id, hex_id(span_id) AS span_id, service_name, span_name,
      get_field(event, 'time') AS time, get_field(event, 'name') AS name,
      get_field(event, 'attributes') AS attributes,
      get_field(event, 'dropped_attributes_count') AS dropped_attributes_count
    FROM (
      SELECT trace_id, span_id, service_name, name AS span_name,
        unnest(span_events(events)) AS event
      FROM span_rows WHERE events IS NOT NULL)";

const LINKS: &str = "
    SELECT hex_id(trace_id) AS trace_id, hex_id(span_id) AS span_id, service_name, span_name,
      get_field(link, 'linked_trace_id') AS linked_trace_id,
      get_field(link, 'linked_span_id') AS linked_span_id,
      get_field(link, 'trace_state') AS trace_state, get_field(link, 'flags') AS flags,
      get_field(link, 'attributes') AS attributes,
      get_field(link, 'dropped_attributes_count') AS dropped_attributes_count
    FROM (
      SELECT trace_id, span_id, service_name, name AS span_name,
        unnest(span_links(links)) AS link
      FROM span_rows WHERE links IS NOT NULL)";

fn traces() -> String {
    let ns = "CAST(end_time AS BIGINT) - CAST(start_time AS BIGINT)";
    format!(
        "SELECT hex_id(trace_id) AS trace_id, get_field(root, 'service') AS root_service,
           get_field(root, 'operation') AS root_operation, start_time, end_time,
           as_duration({ns}) AS duration, as_nanoseconds({ns}) AS duration_ns,
           as_milliseconds({ns}) AS duration_ms,
           span_count, error_count, services
         FROM (
           SELECT trace_id,
             trace_root(span_id, parent_span_id, start_time, service_name, name) AS root,
             min(start_time) AS start_time, max({END_TIME}) AS end_time,
             count(*) AS span_count,
             count(*) FILTER (WHERE status_code = 'ERROR') AS error_count,
             array_sort(array_agg(DISTINCT service_name)) AS services
           FROM span_rows GROUP BY trace_id)"
    )
}

fn services() -> String {
    format!(
        "SELECT service_name, count(*) AS spans,
           count(*) FILTER (WHERE status_code = 'ERROR') AS errors,
           min(start_time) AS first_seen, max(start_time) AS last_seen, {PERCENTILES}
         FROM span_rows GROUP BY service_name"
    )
}

fn operations() -> String {
    format!(
        "SELECT service_name, name, kind, count(*) AS spans,
           count(*) FILTER (WHERE status_code = 'ERROR') AS errors,
           min(start_time) AS first_seen, max(start_time) AS last_seen, {PERCENTILES}
         FROM span_rows GROUP BY service_name, name, kind"
    )
}

/// A call is a span whose parent span is one of another service. Spans may be stored twice; a
/// parent counts once. Traces are grouped by numbers, which is faster than by bytes.
fn service_edges() -> String {
    format!(
        "SELECT caller, callee, count(*) AS calls, count(*) FILTER (WHERE is_error) AS errors,
           {PERCENTILES}
         FROM (
           SELECT get_field(call, 'caller') AS caller, get_field(call, 'callee') AS callee,
             get_field(call, 'is_error') AS is_error,
             as_nanoseconds(get_field(call, 'duration_ns')) AS duration_ns
           FROM (
             SELECT unnest(calls) AS call
             FROM (
               SELECT calls(span_id, parent_span_id, start_time, service_name,
                   status_code = 'ERROR', duration_ns) AS calls
               FROM span_rows GROUP BY id_part(trace_id, 0), id_part(trace_id, 1))))
         GROUP BY caller, callee"
    )
}

/// The views over a base table.
///
/// # Errors
/// None in practice: the SQL is ours; DataFusion's words if it does not plan.
pub(crate) fn views(base: Arc<dyn TableProvider>) -> Result<Vec<(&'static str, Arc<ViewTable>)>> {
    let state = SessionStateBuilder::new()
        .with_default_features()
        .with_scalar_functions(
            SessionStateDefaults::default_scalar_functions()
                .into_iter()
                .chain(of_views())
                .collect(),
        )
        .build();
    let context = SessionContext::new_with_state(state);
    context.register_table(BASE, base)?;
    context.register_udaf(TraceRoot::udaf());
    context.register_udaf(Calls::udaf());
    for function in aggregates() {
        context.register_udaf(function.as_ref().clone());
    }
    let state = context.state();
    definitions()
        .into_iter()
        .map(|(name, sql)| {
            let plan: LogicalPlan = futures_executor::block_on(state.create_logical_plan(&sql))?;
            Ok((name, Arc::new(ViewTable::new(plan, None))))
        })
        .collect()
}
