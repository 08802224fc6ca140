"""Asks `amida sql` for the same counts and compares with what was imported.

Usage: ask_amida.py EXPECTED.json AMIDA STORE
"""

import csv
import io
import json
import pathlib
import subprocess
import sys

from common import same

expected = json.loads(pathlib.Path(sys.argv[1]).read_text())
amida, store = sys.argv[2:4]


def ask(query):
    command = [amida, "sql", store, query, "--format", "csv"]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return list(csv.reader(io.StringIO(out)))[1:]


same("spans", int(ask("SELECT count(*) AS n FROM spans")[0][0]), expected["spans"])
traces = ask("SELECT count(DISTINCT trace_id) AS n FROM spans")[0][0]
same("traces", int(traces), expected["traces"])
services = ask("SELECT service_name, count(*) AS n FROM spans GROUP BY service_name")
same("services", {name: int(n) for name, n in services}, expected["services"])
for key, values in expected["attributes"].items():
    value = f"attributes['{key}']"
    query = f"SELECT {value} AS v, count(*) AS n FROM spans WHERE {value} IS NOT NULL GROUP BY {value}"
    same(key, {v: int(n) for v, n in ask(query)}, values)
print(f"amida sql: {expected['spans']} spans, {len(expected['attributes'])} keys")
