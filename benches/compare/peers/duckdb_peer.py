"""DuckDB: one table, loaded in bulk from Arrow, then a checkpoint."""

import os

import duckdb
import pyarrow as pa

from common import Clocks, bytes_below, lookups, main, question

TABLE = """CREATE TABLE spans (
    trace_id BLOB, span_id BLOB, parent_span_id BLOB, trace_state VARCHAR, name VARCHAR,
    kind VARCHAR, service_name VARCHAR, scope_name VARCHAR, scope_version VARCHAR,
    start_time TIMESTAMP_NS, duration_ns BIGINT, status_code VARCHAR, status_message VARCHAR,
    attributes MAP(VARCHAR, VARCHAR), resource_attributes MAP(VARCHAR, VARCHAR),
    events STRUCT("time" TIMESTAMP_NS, name VARCHAR, attributes MAP(VARCHAR, VARCHAR))[],
    links STRUCT(trace_id BLOB, span_id BLOB, trace_state VARCHAR,
                 attributes MAP(VARCHAR, VARCHAR))[])"""

QUESTIONS = [
    """SELECT service_name, count(*), quantile_disc(duration_ns, 0.5),
           quantile_disc(duration_ns, 0.95), quantile_disc(duration_ns, 0.99)
       FROM spans GROUP BY service_name""",
    """SELECT service_name, epoch_ms(date_trunc('minute', start_time)) // 1000, count(*),
           count(*) FILTER (WHERE status_code = 'Error')
       FROM spans GROUP BY ALL""",
    """SELECT span_id, trace_id, name, duration_ns FROM spans
       WHERE TRY_CAST(attributes['http.response.status_code'] AS INTEGER) >= 500
         AND attributes['url.path'] LIKE '/api/%'
       ORDER BY duration_ns DESC, span_id LIMIT 20""",
    "SELECT DISTINCT trace_id FROM spans WHERE attributes['user.id'] = $user",
    """SELECT parent.service_name AS caller, child.service_name AS callee, count(*)
       FROM spans child JOIN spans parent
         ON child.trace_id = parent.trace_id AND child.parent_span_id = parent.span_id
       WHERE parent.service_name <> child.service_name GROUP BY ALL""",
    """SELECT span_id, trace_id, name, start_time, duration_ns FROM spans
       WHERE service_name = $service ORDER BY start_time DESC, span_id LIMIT 100""",
]

# The first question, as those ask it who need no exact answer.
APPROXIMATE = """SELECT service_name, count(*), approx_quantile(duration_ns, [0.5, 0.95, 0.99])
    FROM spans GROUP BY service_name"""


def connect(directory):
    config = {"storage_compatibility_version": "latest"}
    return duckdb.connect(os.path.join(directory, "spans.duckdb"), config=config)


def ingest(columns, directory):
    os.makedirs(directory)
    clocks = Clocks()
    database = connect(directory)
    database.execute(TABLE)
    with pa.memory_map(columns) as file:
        batches = pa.ipc.open_file(file)
        reader = pa.RecordBatchReader.from_batches(
            batches.schema, (batches.get_batch(at) for at in range(batches.num_record_batches)))
        database.execute("INSERT INTO spans SELECT * FROM reader")
    ingested = clocks.lap()
    database.execute("CHECKPOINT")
    spans = database.execute("SELECT count(*) FROM spans").fetchone()[0]
    database.close()
    settled = clocks.lap()
    return {"spans": spans, "bytes": bytes_below(directory), "ingest": ingested, "settle": settled}


def plain(rows):
    hexed = lambda value: value.hex() if isinstance(value, bytes) else value
    return [[hexed(value) for value in row.values()] for row in rows.to_pylist()]


def ask(directory, facts):
    database = connect(directory)
    fetch = lambda sql, values: database.sql(sql, params=values).to_arrow_table()

    def trace(id):
        return fetch("SELECT * FROM spans WHERE trace_id = $id", {"id": id}).num_rows

    questions = []
    for sql in QUESTIONS:
        values = {name: facts[name] for name in ("user", "service") if f"${name}" in sql}
        questions.append(question(lambda: fetch(sql, values), plain))
    approximate = question(lambda: fetch(APPROXIMATE, {}), plain)
    return {"lookup": lookups(facts, trace), "questions": questions, "approximate": approximate}


main(ingest, ask)
