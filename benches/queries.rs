//! The six questions of the comparison, as Amida is asked them. `$USER` and `$SERVICE` stand for
//! values that the corpus has.

/// Short names, and SQL.
pub const QUESTIONS: [(&str, &str); 6] = [
    (
        "percentiles by service",
        "SELECT service_name, count(*) AS spans, p50(duration_ns) AS p50, p95(duration_ns) AS p95,
           p99(duration_ns) AS p99
         FROM spans GROUP BY service_name",
    ),
    (
        "errors by service and minute",
        "SELECT service_name, date_trunc('minute', start_time) AS minute, count(*) AS spans,
           count(*) FILTER (WHERE is_error) AS errors
         FROM spans GROUP BY 1, 2",
    ),
    (
        "slowest failed requests",
        "SELECT span_id, trace_id, name, duration_ns FROM spans
         WHERE attributes['http.response.status_code'] >= 500
           AND attributes['url.path'] LIKE '/api/%'
         ORDER BY duration_ns DESC, span_id LIMIT 20",
    ),
    (
        "traces of a user",
        "SELECT DISTINCT trace_id FROM spans WHERE attributes['user.id'] = '$USER'",
    ),
    ("service graph", "SELECT caller, callee, calls FROM service_edges"),
    (
        "last spans of a service",
        "SELECT span_id, trace_id, name, start_time, duration_ns FROM spans
         WHERE service_name = '$SERVICE' ORDER BY start_time DESC, span_id LIMIT 100",
    ),
];

/// A question with its values.
pub fn with_values(sql: &str, user: &str, service: &str) -> String {
    sql.replace("$USER", user).replace("$SERVICE", service)
}
