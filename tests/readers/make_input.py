"""Makes two OTLP/JSON files whose spans have different attribute keys, and what must be found.

Usage: make_input.py FOLDER
"""

import collections
import json
import pathlib
import random
import sys

SPANS_PER_FILE = 3000
START_NS = 1_767_323_045_000_000_000


def any_value(value):
    """A value as OTLP/JSON spells it."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    return {"stringValue": value}


def attributes(values):
    return [{"key": key, "value": any_value(value)} for key, value in values.items()]


def text(value):
    """A value as SQL shows it."""
    return json.dumps(value) if not isinstance(value, str) else value


def web_span(rng):
    return {
        "http.route": rng.choice(["/cart", "/checkout", "/a\"b\\c", "/Gr\u00fc\u00dfe"]),
        "http.response.status_code": rng.choice([200, 201, 404, 500]),
        "cache.hit": rng.random() < 0.5,
        "sampling.ratio": rng.choice([0.25, 0.5, 1.5]),
        "shared.key": rng.choice(["x", "y"]),
    }


def database_span(rng):
    values = {
        "db.system.name": rng.choice(["postgresql", "redis"]),
        "db.response.rows": rng.randrange(5),
        "shared.key": rng.choice(["y", "z"]),
    }
    # A key of several types: complete in the JSON, never wrong in a column.
    if rng.random() < 0.1:
        values["http.response.status_code"] = rng.choice(["200", "teapot"])
    return values


def main(folder):
    rng = random.Random(20260102)
    counts = collections.defaultdict(collections.Counter)
    traces = set()
    number = 0
    for name, make in [("web", web_span), ("database", database_span)]:
        spans = []
        for _ in range(SPANS_PER_FILE):
            number += 1
            trace = f"{number // 7 + 1:032x}"
            traces.add(trace)
            values = make(rng)
            for key, value in values.items():
                counts[key][text(value)] += 1
            spans.append({
                "traceId": trace,
                "spanId": f"{number:016x}",
                "name": f"operation {number % 11}",
                "kind": 2,
                "startTimeUnixNano": str(START_NS + number * 1_000_000),
                "endTimeUnixNano": str(START_NS + number * 1_000_000 + 500 * number),
                "attributes": attributes(values),
            })
        resource = {"attributes": attributes({"service.name": name})}
        scopes = [{"scope": {"name": "readers"}, "spans": spans}]
        request = {"resourceSpans": [{"resource": resource, "scopeSpans": scopes}]}
        (folder / f"{name}.json").write_text(json.dumps(request))
    expected = {
        "spans": number,
        "traces": len(traces),
        "duration_ns": sum(500 * n for n in range(1, number + 1)),
        "services": {"web": SPANS_PER_FILE, "database": SPANS_PER_FILE},
        "attributes": {key: dict(counter) for key, counter in counts.items()},
    }
    (folder / "expected.json").write_text(json.dumps(expected))


main(pathlib.Path(sys.argv[1]))
