//! The questions that the demo asks, as SQL.

/// A question and its SQL.
pub struct Question {
    pub title: &'static str,
    pub sql: String,
}

/// The questions, in order. `now` is how SQL says when the demo's window ends.
pub fn questions(now: &str) -> Vec<Question> {
    vec![
        Question {
            title: "How is each service doing? Requests, errors, latency",
            sql: services(now),
        },
        Question { title: "Who calls whom?", sql: EDGES.into() },
        Question { title: "Which traces of the web shop were slowest?", sql: SLOWEST.into() },
        Question { title: "Which calls never rang, and when?", sql: NEVER_RANG.into() },
        Question {
            title: "Which requests had Latin letters in lastNameReading? Did the app send them?",
            sql: LATIN.into(),
        },
        Question { title: "One call that did not ring", sql: ONE_CALL.into() },
    ]
}

fn services(now: &str) -> String {
    format!(
        "\
SELECT service_name AS service,
       round(count(*) / 50.0, 1) AS per_minute,
       count(*) FILTER (WHERE is_error) AS errors,
       round(p50(duration_ms), 1) AS p50_ms,
       round(p95(duration_ms), 1) AS p95_ms,
       round(p99(duration_ms), 1) AS p99_ms
FROM spans
WHERE start_time >= {now} - interval '1 hour'
  AND kind IN ('SERVER', 'CONSUMER')
GROUP BY service_name
ORDER BY errors DESC, per_minute DESC, service"
    )
}

const EDGES: &str = "\
SELECT caller, callee, calls, errors,
       round(p50_ms, 1) AS p50_ms,
       round(p95_ms, 1) AS p95_ms,
       round(p99_ms, 1) AS p99_ms
FROM service_edges
ORDER BY calls DESC, caller, callee
LIMIT 12";

const SLOWEST: &str = "\
SELECT trace_id, root_operation, round(duration_ms, 1) AS ms, span_count, error_count
FROM traces
WHERE root_service = 'frontend-web'
ORDER BY duration_ms DESC
LIMIT 5";

const NEVER_RANG: &str = "\
SELECT time_bucket('10 minutes', call.start_time) AS from_time,
       push.attributes['push.provider'] AS provider,
       count(DISTINCT call.trace_id) AS calls,
       count(*) AS push_timeouts
FROM spans AS call
JOIN spans AS push ON push.trace_id = call.trace_id AND push.name = 'push.send'
JOIN events AS e ON e.trace_id = call.trace_id AND e.name = 'push.timeout'
WHERE call.name = 'call.press'
  AND call.trace_id NOT IN (SELECT trace_id FROM spans WHERE name = 'call.ring')
GROUP BY 1, 2
ORDER BY calls DESC, from_time, provider
LIMIT 6";

const LATIN: &str = "\
SELECT CASE WHEN regexp_like(app.attributes['lastNameReading'], '[A-Za-z]')
            THEN 'the mobile app sent them' ELSE 'the API server made them' END AS cause,
       app.attributes['app.version'] AS app_version,
       app.attributes['os.name'] AS os,
       api.resource_attributes['service.version'] AS api_version,
       count(*) AS requests
FROM spans AS app
JOIN spans AS api ON api.trace_id = app.trace_id AND api.parent_span_id = app.span_id
WHERE app.service_name = 'mobile-app' AND api.service_name = 'api-server'
  AND regexp_like(api.attributes['lastNameReading'], '[A-Za-z]')
GROUP BY 1, 2, 3, 4
ORDER BY cause DESC, requests DESC, app_version, os, api_version";

const ONE_CALL: &str = "\
SELECT trace_id, start_time, status_message
FROM spans
WHERE name = 'push.send' AND status_code = 'ERROR'
ORDER BY start_time
LIMIT 1";
