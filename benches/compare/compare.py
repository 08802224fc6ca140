"""Feeds one corpus to several systems, asks all of them the same, checks that all answer alike, and
prints tables. run.sh prepares what it needs."""

import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
DOCUMENT = HERE.parent.parent / "docs" / "benchmarks.md"
BEGIN, END = "<!-- compare: begin -->", "<!-- compare: end -->"

QUESTIONS = [
    "p50, p95, p99 by service", "errors by service and minute", "20 slowest failed requests",
    "traces of a user", "service graph", "last 100 spans of a service",
]


class System:
    """How to run a system: commands that take what they need as arguments."""

    def __init__(self, name, title, ingest, ask, decoded):
        self.name, self.title, self.decoded = name, title, decoded
        self.ingest_command, self.ask_command = ingest, ask


def systems(release, work):
    python, peers = sys.executable, HERE / "peers"
    amida, fjall = str(release / "compare-amida"), str(release / "compare-fjall")
    corpus, columns, rows = (str(work / name) for name in ("corpus.otlp", "columns.arrow", "rows"))
    duckdb, chdb, sqlite = (
        [python, str(peers / f"{name}_peer.py")] for name in ("duckdb", "chdb", "sqlite"))
    # Those without `ask` differ in durability only, which answers do not show.
    return [
        System("amida", "Amida, synced", [amida, "ingest", corpus], [amida, "ask"], False),
        System("amida-os", "Amida, `Durability::Os`", [amida, "ingest", "--os", corpus], None, False),
        System("duckdb", "DuckDB, bulk", [*duckdb, "ingest", columns], [*duckdb, "ask"], True),
        System("chdb", "chDB (ClickHouse), bulk", [*chdb, "ingest", columns], [*chdb, "ask"], True),
        System("sqlite", "SQLite, NORMAL", [*sqlite, "ingest", "NORMAL", rows], [*sqlite, "ask"], True),
        System("sqlite-sync", "SQLite, FULL", [*sqlite, "ingest", "FULL", rows], None, True),
        System("fjall", "fjall", [fjall, "ingest", corpus], [fjall, "ask"], False),
        System("fjall-sync", "fjall, synced", [fjall, "ingest", "--sync", corpus], None, False),
    ]


def run(command, *arguments):
    done = subprocess.run([*command, *map(str, arguments)], stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.exit(f"failed ({done.returncode}): {' '.join(map(str, command))}")
    return json.loads(done.stdout)


def minute(value):
    """Unix seconds of what a system calls a minute."""
    if isinstance(value, str):
        return int(datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
                   .replace(tzinfo=datetime.timezone.utc).timestamp())
    return int(value)


def comparable(number, rows):
    """What must be the same in all systems: without times as text, in an order."""
    if number == 1:
        rows = [[service, minute(at), spans, errors] for service, at, spans, errors in rows]
    if number in (2, 5):  # the order is asked for: ids in it
        return [row[0] for row in rows]
    return sorted(map(tuple, rows))


def check_percentiles(name, rows, facts):
    services = facts["services"]
    if sorted(row[0] for row in rows) != sorted(services):
        sys.exit(f"{name}: other services than the corpus has")
    for service, spans, *values in rows:
        fact = services[service]
        if spans != fact["spans"]:
            sys.exit(f"{name}: {spans} spans of {service}, not {fact['spans']}")
        for value, (least, most) in zip(values, fact["bounds"], strict=True):
            if not least <= value <= most:
                sys.exit(f"{name}: a percentile of {service} is {value}, not in {least}..{most}")


def check(name, asked, facts, known):
    """Ends the run when a system answers otherwise than the corpus, or than the first system."""
    for field in ("lookup", "lookup_sql"):
        if field in asked and asked[field]["spans"] != [spans for _, spans in facts["traces"]]:
            sys.exit(f"{name}: lookups found other numbers of spans than the corpus has")
    # Approximate answers may differ.
    asked.get("approximate", {}).pop("answer", None)
    for number, question in enumerate(asked["questions"]):
        rows = question.pop("answer")
        if not rows:
            sys.exit(f"{name}: '{QUESTIONS[number]}' has no answer")
        if number == 0:
            check_percentiles(name, rows, facts)
            continue
        answer = comparable(number, rows)
        first, expected = known.setdefault(number, (name, answer))
        if answer != expected:
            sys.exit(f"{name} and {first} answer '{QUESTIONS[number]}' differently:\n"
                     f"{str(answer)[:500]}\n{str(expected)[:500]}")


def measure(chosen, rounds, work, facts, spans):
    measured = {system.name: {"ingest": [], "ask": []} for system in chosen}
    known = {}
    for number in range(rounds):
        turn = number % len(chosen)
        for system in chosen[turn:] + chosen[:turn]:
            print(f"round {number + 1}: {system.name}", file=sys.stderr)
            directory = work / "store"
            shutil.rmtree(directory, ignore_errors=True)
            ingested = run(system.ingest_command, directory)
            if ingested["spans"] != spans:
                sys.exit(f"{system.name}: {ingested['spans']} spans, not {spans}")
            measured[system.name]["ingest"].append(ingested)
            if system.ask_command:
                asked = run(system.ask_command, directory, work / "facts.json")
                check(system.name, asked, facts, known)
                measured[system.name]["ask"].append(asked)
    shutil.rmtree(work / "store", ignore_errors=True)
    return measured


def shown(values):
    """The median, and the least and most when there are several."""
    figure = lambda value: f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    median = figure(statistics.median(values))
    if len(values) == 1 or figure(min(values)) == figure(max(values)):
        return median
    return f"{median} ({figure(min(values))}..{figure(max(values))})"


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def ingest_table(chosen, measured, facts, spans):
    decode = facts["columns"]["cpu_s_per_million"]
    rows = []
    for system in chosen:
        runs = measured[system.name]["ingest"]
        cpu = lambda *steps: [sum(r[s]["cpu_s"] for s in steps) / spans * 1e6 for r in runs]
        settled = cpu("ingest", "settle")
        added = [value + decode for value in settled] if system.decoded else settled
        wall = [(r["ingest"]["wall_s"] + r["settle"]["wall_s"]) / spans * 1e6 for r in runs]
        size = [r["bytes"] / spans for r in runs]
        rows.append([system.title, shown(cpu("ingest")), shown(settled), shown(added),
                     shown(wall), shown(size)])
    head = ["system", "ingest", "with settling", "from OTLP", "wall, settled", "bytes/span"]
    return table(head, rows)


def lookup_table(chosen, measured):
    rows = []
    for system in chosen:
        for field, how in [("lookup", ""), ("lookup_sql", ", `SELECT *`")]:
            runs = [asked[field] for asked in measured[system.name]["ask"] if field in asked]
            if runs:
                figures = (shown([r[f] for r in runs]) for f in ("p50_us", "p99_us", "cpu_us"))
                rows.append([system.title.split(",")[0] + how, *figures])
    return table(["system", "p50, us", "p99, us", "CPU, us"], rows)


def question_table(chosen, measured, clock):
    asking = [s for s in chosen if any(a["questions"] for a in measured[s.name]["ask"])]
    rows = []
    for number, title in enumerate(QUESTIONS):
        row = [title]
        for system in asking:
            runs = [asked["questions"][number] for asked in measured[system.name]["ask"]]
            row.append(shown([r[clock] for r in runs]))
        rows.append(row)
    approximate = lambda runs: [r["approximate"][clock] for r in runs if "approximate" in r]
    runs = [approximate(measured[system.name]["ask"]) for system in asking]
    rows.insert(1, ["the same, approximate", *(shown(r) if r else "" for r in runs)])
    return table(["question", *(s.title.split(",")[0] for s in asking)], rows)


def fjall_version():
    lock = (HERE.parent.parent / "Cargo.lock").read_text(encoding="utf-8")
    return re.search(r'name = "fjall"\nversion = "([^"]+)"', lock).group(1)


def report(chosen, measured, facts, options):
    columns = facts["columns"]
    versions = (HERE / "requirements.txt").read_text(encoding="utf-8").split("\n")
    versions = ", ".join(line.replace("==", " ") for line in versions if "==" in line)
    parts = [
        f"`benches/compare/run.sh --spans {options.spans} --rounds {options.rounds}`: "
        f"{options.spans:,} spans ({columns['otlp_bytes_per_span']:.0f} B each as OTLP), "
        f"{facts['traces_in_all']:,} traces, {facts['users']:,} users. "
        f"{os.cpu_count()} cores, {platform.machine()}, {datetime.date.today()}; {versions}, "
        f"SQLite {sqlite3.sqlite_version}, fjall {fjall_version()}. Medians of the rounds "
        "(least..most). All systems gave the same answers. What each of them runs, and with which "
        "settings, is in benches/compare/README.md.",
        "Ingest, in CPU-seconds for a million spans, all threads; wall in seconds for a million. "
        "Systems that do not take OTLP get columns: making these took "
        f"{columns['cpu_s_per_million']:.2g} CPU-seconds for a million spans with prost and "
        "arrow-rs, which \"from OTLP\" adds.",
        ingest_table(chosen, measured, facts, options.spans),
        "A trace of 20 to 40 spans by its id, all columns:",
        lookup_table(chosen, measured),
    ]
    if any(asked["questions"] for system in measured.values() for asked in system["ask"]):
        parts += [
            "The questions, in milliseconds of CPU:",
            question_table(chosen, measured, "cpu_ms"),
            "And on the wall:",
            question_table(chosen, measured, "wall_ms"),
        ]
    return "\n\n".join(parts)


def write(text):
    """Puts the report between the markers, which stand at the document's end where there are none."""
    document = DOCUMENT.read_text(encoding="utf-8")
    if BEGIN not in document:
        document += f"\n## Beside other systems\n\n{BEGIN}\n{END}\n"
    head, rest = document.split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    DOCUMENT.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--release", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--spans", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", help="names of systems, with commas between")
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    options = parser.parse_args()
    chosen = systems(options.release, options.work)
    if options.only:
        only = options.only.split(",")
        unknown = set(only) - {system.name for system in chosen}
        if unknown:
            sys.exit(f"no such system: {', '.join(sorted(unknown))}")
        chosen = [system for system in chosen if system.name in only]
    work, release = options.work, options.release
    made = run([release / "measure"], "corpus", options.spans, work / "corpus.otlp")
    print(f"corpus: {made['requests']} requests", file=sys.stderr)
    run([release / "columns"], *(work / n for n in ("corpus.otlp", "columns.arrow", "facts.json")))
    if any(system.name.startswith("sqlite") for system in chosen):
        peer = [sys.executable, HERE / "peers" / "sqlite_peer.py", "prepare"]
        run(peer, work / "columns.arrow", work / "rows")
    facts = json.loads((work / "facts.json").read_text(encoding="utf-8"))
    measured = measure(chosen, options.rounds, work, facts, options.spans)
    (work / "measured.json").write_text(json.dumps(measured, indent=1), encoding="utf-8")
    text = report(chosen, measured, facts, options)
    print(text)
    if options.write:
        write(text)


main()
