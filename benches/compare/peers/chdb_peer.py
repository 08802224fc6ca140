"""ClickHouse in this process (chDB): the tables of the OpenTelemetry Collector's exporter, loaded in
bulk from Arrow, then merged."""

from chdb.session import Session
import pyarrow as pa

from common import Clocks, bytes_below, lookups, main, question

TABLES = [
    "CREATE DATABASE IF NOT EXISTS otel ENGINE = Atomic",
    """CREATE TABLE otel.otel_traces (
        Timestamp DateTime64(9) CODEC(Delta, ZSTD(1)),
        TraceId String CODEC(ZSTD(1)),
        SpanId String CODEC(ZSTD(1)),
        ParentSpanId String CODEC(ZSTD(1)),
        TraceState String CODEC(ZSTD(1)),
        SpanName LowCardinality(String) CODEC(ZSTD(1)),
        SpanKind LowCardinality(String) CODEC(ZSTD(1)),
        ServiceName LowCardinality(String) CODEC(ZSTD(1)),
        ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
        ScopeName String CODEC(ZSTD(1)),
        ScopeVersion String CODEC(ZSTD(1)),
        SpanAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
        Duration UInt64 CODEC(ZSTD(1)),
        StatusCode LowCardinality(String) CODEC(ZSTD(1)),
        StatusMessage String CODEC(ZSTD(1)),
        Events Nested (Timestamp DateTime64(9), Name LowCardinality(String),
            Attributes Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
        Links Nested (TraceId String, SpanId String, TraceState String,
            Attributes Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
        INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
        INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
        INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
        INDEX idx_span_attr_key mapKeys(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
        INDEX idx_span_attr_value mapValues(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
        INDEX idx_duration Duration TYPE minmax GRANULARITY 1
    ) ENGINE = MergeTree PARTITION BY toDate(Timestamp)
    ORDER BY (ServiceName, SpanName, toDateTime(Timestamp))
    SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1""",
    """CREATE TABLE otel.otel_traces_trace_id_ts (
        TraceId String CODEC(ZSTD(1)),
        Start DateTime CODEC(Delta, ZSTD(1)),
        End DateTime CODEC(Delta, ZSTD(1)),
        INDEX idx_trace_id TraceId TYPE bloom_filter(0.01) GRANULARITY 1
    ) ENGINE = MergeTree PARTITION BY toDate(Start) ORDER BY (TraceId, Start)
    SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1""",
    """CREATE MATERIALIZED VIEW otel.otel_traces_trace_id_ts_mv TO otel.otel_traces_trace_id_ts AS
    SELECT TraceId, min(Timestamp) AS Start, max(Timestamp) AS End FROM otel.otel_traces
    WHERE TraceId != '' GROUP BY TraceId""",
]

INSERT = """INSERT INTO otel.otel_traces
    SELECT start_time, lower(hex(trace_id)), lower(hex(span_id)), lower(hex(parent_span_id)),
        trace_state, name, kind, service_name, resource_attributes, scope_name, scope_version,
        attributes, duration_ns, status_code, status_message,
        events.time, events.name, events.attributes,
        arrayMap(id -> lower(hex(id)), links.trace_id), arrayMap(id -> lower(hex(id)), links.span_id),
        links.trace_state, links.attributes
    FROM file('{columns}', 'Arrow')"""

TRACE = """WITH '{id}' AS trace,
        (SELECT min(Start) FROM otel.otel_traces_trace_id_ts WHERE TraceId = trace) AS begun,
        (SELECT max(End) + 1 FROM otel.otel_traces_trace_id_ts WHERE TraceId = trace) AS ended
    SELECT * FROM otel.otel_traces
    WHERE TraceId = trace AND Timestamp >= begun AND Timestamp <= ended"""

# The first question, as those ask it who need no exact answer.
APPROXIMATE = """SELECT ServiceName, count(), quantiles(0.5, 0.95, 0.99)(Duration) AS q
    FROM otel.otel_traces GROUP BY ServiceName"""

QUESTIONS = [
    """SELECT ServiceName, count(), quantilesExact(0.5, 0.95, 0.99)(Duration) AS q
       FROM otel.otel_traces GROUP BY ServiceName""",
    """SELECT ServiceName, toUnixTimestamp(toStartOfMinute(Timestamp)) AS minute, count(),
           countIf(StatusCode = 'Error')
       FROM otel.otel_traces GROUP BY ServiceName, minute""",
    """SELECT SpanId, TraceId, SpanName, Duration FROM otel.otel_traces
       WHERE toUInt16OrZero(SpanAttributes['http.response.status_code']) >= 500
         AND SpanAttributes['url.path'] LIKE '/api/%'
       ORDER BY Duration DESC, SpanId LIMIT 20""",
    "SELECT DISTINCT TraceId FROM otel.otel_traces WHERE SpanAttributes['user.id'] = '{user}'",
    """SELECT parent.ServiceName AS caller, child.ServiceName AS callee, count()
       FROM otel.otel_traces AS child JOIN otel.otel_traces AS parent
         ON child.TraceId = parent.TraceId AND child.ParentSpanId = parent.SpanId
       WHERE parent.ServiceName != child.ServiceName GROUP BY ALL""",
    """SELECT SpanId, TraceId, SpanName, Timestamp, Duration FROM otel.otel_traces
       WHERE ServiceName = '{service}' ORDER BY Timestamp DESC, SpanId LIMIT 100""",
]


def fetch(session, sql):
    answer = session.query(sql, "Arrow").bytes()
    return pa.ipc.open_file(pa.BufferReader(answer)).read_all()


def ingest(columns, directory):
    clocks = Clocks()
    session = Session(directory)
    for statement in TABLES:
        session.query(statement)
    session.query(INSERT.format(columns=columns))
    ingested = clocks.lap()
    session.query("OPTIMIZE TABLE otel.otel_traces FINAL")
    session.query("OPTIMIZE TABLE otel.otel_traces_trace_id_ts FINAL")
    settled = clocks.lap()
    spans = fetch(session, "SELECT count() AS n FROM otel.otel_traces")["n"][0].as_py()
    # Parts that were merged away stay on the disk for some minutes.
    parts = "SELECT sum(bytes_on_disk) AS n FROM system.parts WHERE database = 'otel' AND active"
    size = fetch(session, parts)["n"][0].as_py()
    with_old_parts = bytes_below(directory)
    session.close()
    return {
        "spans": spans,
        "bytes": size,
        "bytes_with_old_parts": with_old_parts,
        "ingest": ingested,
        "settle": settled,
    }


def plain(table):
    rows = []
    for row in table.to_pylist():
        values = []
        for value in row.values():
            values.extend(value if isinstance(value, list) else [value])
        rows.append([value.decode() if isinstance(value, bytes) else value for value in values])
    return rows


def ask(directory, facts):
    session = Session(directory)
    questions = []
    for sql in QUESTIONS:
        sql = sql.format(user=facts["user"], service=facts["service"])
        questions.append(question(lambda: fetch(session, sql), plain))
    trace = lambda id: fetch(session, TRACE.format(id=id.hex())).num_rows
    approximate = question(lambda: fetch(session, APPROXIMATE), plain)
    return {"lookup": lookups(facts, trace), "questions": questions, "approximate": approximate}


main(ingest, ask)
