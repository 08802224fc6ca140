"""Reads segments with DuckDB and compares with what was imported.

Usage: read_duckdb.py EXPECTED.json FILE...
"""

import re
from pathlib import Path

import duckdb
from common import arguments, same

expected, files = arguments()
db = duckdb.connect()
SPANS = "read_parquet($files, union_by_name=true)"


def ask(query):
    return db.execute(query, {"files": files}).fetchall()


same("spans", ask(f"SELECT count(*) FROM {SPANS}")[0][0], expected["spans"])
traces = ask(f"SELECT count(DISTINCT lower(hex(trace_id))) FROM {SPANS}")[0][0]
same("traces", traces, expected["traces"])
duration = ask(f"SELECT sum(duration_ns)::BIGINT FROM {SPANS}")[0][0]
same("duration", duration, expected["duration_ns"])
services = dict(ask(f"SELECT service_name, count(*) FROM {SPANS} GROUP BY 1"))
same("services", services, expected["services"])

for key, values in expected["attributes"].items():
    value = f"""attributes->>'$."{key}"'"""
    found = ask(f"SELECT {value} AS v, count(*) FROM {SPANS} WHERE v IS NOT NULL GROUP BY 1")
    same(key, dict(found), values)

# What the README tells its readers to type, word for word.
readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
query = re.search(r"```sql\n(SELECT [^`]*read_parquet[^`]*)```", readme).group(1)
rows = db.execute(query.replace("DIR", str(Path(files[0]).parents[1]))).fetchall()
routes = {route: count for route, count in rows if route is not None}
same("the README's query", routes, expected["attributes"].get("http.route", {}))
same("the README's query, all rows", sum(count for _, count in rows), expected["spans"])

columns = {name: kind for name, kind, *_ in ask(f"DESCRIBE SELECT * FROM {SPANS}")}
promoted = [name for name in columns if name.startswith("attr.")]
assert promoted, f"no promoted column in {sorted(columns)}"
for name in promoted:
    key = name.removeprefix("attr.")
    value = f"""attributes->>'$."{key}"'"""
    if columns[name] == "DOUBLE":
        differs = f'"{name}" <> TRY_CAST({value} AS DOUBLE)'
    else:
        differs = f'CAST("{name}" AS VARCHAR) IS DISTINCT FROM {value}'
    query = f'SELECT count(*), count(*) FILTER ({differs}) FROM {SPANS} WHERE "{name}" IS NOT NULL'
    filled, wrong = ask(query)[0]
    assert filled > 0, f"{name} is empty"
    same(f"wrong values of {name}", wrong, 0)

print(f"duckdb {duckdb.__version__}: {len(files)} files, {len(promoted)} promoted columns")
