#!/usr/bin/env bash
# Amida beside DuckDB, chDB (ClickHouse), SQLite and fjall: the same corpus, the same questions, the same
# answers. Prints tables; with --write they go into docs/benchmarks.md.
# Usage: benches/compare/run.sh [--spans N] [--rounds N] [--only amida,duckdb] [--write]
# COMPARE_SKIP_BUILD=1 takes the programs that are there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
work=$target/compare
mkdir -p "$work"

venv=$work/venv
if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$venv/requirements.txt"
fi

if [ -z "${COMPARE_SKIP_BUILD:-}" ]; then
    cd "$root"
    # The whole workspace, as `cargo build --release` selects its features: DataFusion is built once.
    cargo build --release --workspace --bins --features amida-benches/sql
    # Apart: its dependencies ask for other features of what DataFusion uses.
    cargo build --release -p amida-benches --bin compare-fjall --features fjall
fi

export PYTHONDONTWRITEBYTECODE=1
exec "$venv/bin/python" "$here/compare.py" --release "$target/release" --work "$work" "$@"
