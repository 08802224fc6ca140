"""Reads segments with pyarrow and compares with what was imported.

Usage: read_pyarrow.py EXPECTED.json FILE...
"""

import collections
import json

import pyarrow
import pyarrow.parquet as parquet
from common import arguments, same

expected, files = arguments()
spans = 0
traces = set()
services = collections.Counter()
counts = collections.defaultdict(collections.Counter)
promoted = set()

for file in files:
    table = parquet.read_table(file, pre_buffer=False)
    kind = table.schema.field("start_time").type
    same("type of start_time", str(kind), "timestamp[ns, tz=UTC]")
    spans += table.num_rows
    traces.update(id.hex() for id in table["trace_id"].to_pylist())
    services.update(table["service_name"].to_pylist())
    rows = [json.loads(text) for text in table["attributes"].to_pylist()]
    for row in rows:
        for key, value in row.items():
            text = value if isinstance(value, str) else json.dumps(value)
            counts[key][text] += 1
    for name in table.column_names:
        if name.startswith("attr."):
            promoted.add(name)
            key = name.removeprefix("attr.")
            for row, value in zip(rows, table[name].to_pylist()):
                if value is not None:
                    same(f"{name} beside the JSON", (type(value), value), (type(row[key]), row[key]))

same("spans", spans, expected["spans"])
same("traces", len(traces), expected["traces"])
same("services", dict(services), expected["services"])
same("attributes", {k: dict(v) for k, v in counts.items()}, expected["attributes"])
assert promoted, "no promoted column"
print(f"pyarrow {pyarrow.__version__}: {len(files)} files, {len(promoted)} promoted columns")
