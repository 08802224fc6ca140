"""What every peer in Python does: read its arguments, time by the process's CPU, print JSON.

A peer calls `main` with two functions: `ingest(.., directory)` fills a new directory, `ask(directory,
facts)` answers. Both return what is printed; README.md describes it.
"""

import json
import os
import resource
import statistics
import sys
import time

RUNS = 5


class Clocks:
    """Wall and CPU-seconds of the whole process since the last look."""

    def __init__(self):
        self.look()

    def look(self):
        usage = resource.getrusage(resource.RUSAGE_SELF)
        self.wall, self.cpu = time.perf_counter(), usage.ru_utime + usage.ru_stime

    def lap(self):
        wall, cpu = self.wall, self.cpu
        self.look()
        return {"wall_s": self.wall - wall, "cpu_s": self.cpu - cpu}


def bytes_below(directory):
    walked = os.walk(directory)
    return sum(os.lstat(os.path.join(d, f)).st_size for d, _, files in walked for f in files)


def lookups(facts, trace):
    """`trace(id)` returns the number of spans, having fetched all of their columns."""
    ids = [bytes.fromhex(id) for id, _ in facts["traces"]]
    spans = [trace(id) for id in ids]
    clocks, times = Clocks(), []
    for id in ids:
        begun = time.perf_counter()
        trace(id)
        times.append((time.perf_counter() - begun) * 1e6)
    cpu = clocks.lap()["cpu_s"]
    times.sort()
    at = lambda share: times[min(int(len(times) * share), len(times) - 1)]
    return {
        "p50_us": at(0.5),
        "p99_us": at(0.99),
        "cpu_us": cpu / len(ids) * 1e6,
        "spans": spans,
    }


def question(run, answer):
    """`run()` fetches the whole answer; `answer` makes comparable rows of it."""
    rows = answer(run())
    laps = []
    for _ in range(RUNS):
        clocks = Clocks()
        run()
        laps.append(clocks.lap())
    return {
        "cpu_ms": statistics.median(lap["cpu_s"] for lap in laps) * 1e3,
        "wall_ms": statistics.median(lap["wall_s"] for lap in laps) * 1e3,
        "answer": rows,
    }


def main(ingest, ask):
    what, *rest = sys.argv[1:]
    if what == "ingest":
        measured = ingest(*rest)
    else:
        directory, facts = rest
        with open(facts, encoding="utf-8") as file:
            measured = ask(directory, json.load(file))
    # Times in answers are only shown: what is compared are ids, numbers and words.
    json.dump(measured, sys.stdout, default=str)
