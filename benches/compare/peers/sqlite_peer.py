"""SQLite: rows with attributes as JSON text, a transaction per request of 512 spans, write-ahead log.

`prepare` makes the rows once, so that Python's conversion is not counted as SQLite's.
"""

import json
import marshal
import os
import sqlite3

from common import Clocks, bytes_below, lookups, main, question

TABLES = """
CREATE TABLE resources (id INTEGER PRIMARY KEY, attributes TEXT);
CREATE TABLE spans (
    trace_id BLOB, span_id BLOB, parent_span_id BLOB, trace_state TEXT, name TEXT, kind TEXT,
    service_name TEXT, scope_name TEXT, scope_version TEXT, start_ns INTEGER, duration_ns INTEGER,
    status_code TEXT, status_message TEXT, attributes TEXT, resource INTEGER, events TEXT,
    links TEXT);
CREATE INDEX spans_by_trace ON spans (trace_id);
CREATE INDEX spans_by_service ON spans (service_name, start_ns);
"""
INSERT = "INSERT INTO spans VALUES (" + ", ".join("?" * 17) + ")"

QUESTIONS = [
    """WITH ranked AS (
         SELECT service_name, duration_ns, count(*) OVER (PARTITION BY service_name) AS spans,
           row_number() OVER (PARTITION BY service_name ORDER BY duration_ns) AS place
         FROM spans)
       SELECT service_name, spans,
         max(duration_ns) FILTER (WHERE place = (spans * 50 + 99) / 100),
         max(duration_ns) FILTER (WHERE place = (spans * 95 + 99) / 100),
         max(duration_ns) FILTER (WHERE place = (spans * 99 + 99) / 100)
       FROM ranked GROUP BY service_name""",
    """SELECT service_name, start_ns / 60000000000 * 60, count(*),
         count(*) FILTER (WHERE status_code = 'Error')
       FROM spans GROUP BY 1, 2""",
    """SELECT span_id, trace_id, name, duration_ns FROM spans
       WHERE CAST(attributes ->> '$."http.response.status_code"' AS INTEGER) >= 500
         AND attributes ->> '$."url.path"' LIKE '/api/%'
       ORDER BY duration_ns DESC, span_id LIMIT 20""",
    "SELECT DISTINCT trace_id FROM spans WHERE attributes ->> '$.\"user.id\"' = :user",
    """SELECT parent.service_name AS caller, child.service_name AS callee, count(*)
       FROM spans child JOIN spans parent
         ON child.trace_id = parent.trace_id AND child.parent_span_id = parent.span_id
       WHERE parent.service_name <> child.service_name GROUP BY 1, 2""",
    """SELECT span_id, trace_id, name, start_ns, duration_ns FROM spans
       WHERE service_name = :service ORDER BY start_ns DESC, span_id LIMIT 100""",
]

REQUEST = 512


def connect(directory, synchronous="NORMAL"):
    database = sqlite3.connect(os.path.join(directory, "spans.sqlite"), isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute(f"PRAGMA synchronous = {synchronous}")
    database.execute("PRAGMA cache_size = -262144")
    database.execute("PRAGMA temp_store = MEMORY")
    return database


def rows_of(batch, resources):
    """Tuples for INSERT; new resources are added to `resources`."""
    text = lambda pairs: json.dumps(dict(pairs), separators=(",", ":"))
    listed = lambda items: json.dumps(items, default=bytes.hex) if items else None
    columns = batch.to_pydict()
    starts = batch["start_time"].cast("int64").to_pylist()
    order = ["trace_id", "span_id", "parent_span_id", "trace_state", "name", "kind",
             "service_name", "scope_name", "scope_version"]
    for at, start in enumerate(starts):
        resource = text(columns["resource_attributes"][at])
        events = [dict(event, time=event["time"].value) for event in columns["events"][at]]
        yield (
            *(columns[name][at] for name in order), start, columns["duration_ns"][at],
            columns["status_code"][at], columns["status_message"][at],
            text(columns["attributes"][at]), resources.setdefault(resource, len(resources)),
            listed(events), listed(columns["links"][at]),
        )


def prepare(columns, rows):
    import pyarrow as pa

    resources = {}
    with pa.memory_map(columns) as file, open(rows, "wb") as out:
        batches = pa.ipc.open_file(file)
        for number in range(batches.num_record_batches):
            batch = batches.get_batch(number)
            for at in range(0, len(batch), REQUEST):
                known = len(resources)
                made = list(rows_of(batch.slice(at, REQUEST), resources))
                marshal.dump((list(resources.items())[known:], made), out)
    return {}


def ingest(synchronous, rows, directory):
    os.makedirs(directory)
    clocks = Clocks()
    database = connect(directory, synchronous)
    database.executescript(TABLES)
    with open(rows, "rb") as file:
        while True:
            try:
                resources, made = marshal.load(file)
            except EOFError:
                break
            database.execute("BEGIN")
            database.executemany("INSERT INTO resources (attributes, id) VALUES (?, ?)", resources)
            database.executemany(INSERT, made)
            database.execute("COMMIT")
    ingested = clocks.lap()
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.execute("PRAGMA optimize")
    spans = database.execute("SELECT count(*) FROM spans").fetchone()[0]
    database.close()
    settled = clocks.lap()
    return {"spans": spans, "bytes": bytes_below(directory), "ingest": ingested, "settle": settled}


def plain(rows):
    hexed = lambda value: value.hex() if isinstance(value, bytes) else value
    return [[hexed(value) for value in row] for row in rows]


def ask(directory, facts):
    database = connect(directory)
    fetch = lambda sql, values: database.execute(sql, values).fetchall()
    whole = "SELECT spans.*, resources.attributes FROM spans JOIN resources ON resource = id " \
        "WHERE trace_id = :id"
    questions = [question(lambda: fetch(sql, facts), plain) for sql in QUESTIONS]
    lookup = lookups(facts, lambda id: len(fetch(whole, {"id": id})))
    return {"lookup": lookup, "questions": questions}


if __name__ == "__main__":
    import sys

    if sys.argv[1] == "prepare":
        print(json.dumps(prepare(*sys.argv[2:])))
    else:
        main(ingest, ask)
