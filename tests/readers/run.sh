#!/usr/bin/env bash
# Other readers must find in the segments what was imported: DuckDB and pyarrow, from PyPI, in a
# virtual environment under target/. Usage: tests/readers/run.sh [path of the amida binary]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
amida=${1:-$target/debug/amida}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

venv=$target/readers-venv
if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$venv/requirements.txt"
fi
python=$venv/bin/python
export PYTHONDONTWRITEBYTECODE=1

"$python" "$here/make_input.py" "$work"
store=$work/store.amida

check() {
    mapfile -t files < <("$python" "$here/segment_files.py" "$amida" "$store")
    [ "${#files[@]}" -eq "$1" ] || { echo "expected $1 segments, found ${#files[@]}"; exit 1; }
    "$python" "$here/read_duckdb.py" "$work/expected.json" "${files[@]}"
    "$python" "$here/read_pyarrow.py" "$work/expected.json" "${files[@]}"
    "$python" "$here/ask_amida.py" "$work/expected.json" "$amida" "$store"
}

# Two imports are two flushes: the second file has promoted columns that the first does not have.
"$amida" import "$store" "$work/web.json"
"$amida" import "$store" "$work/database.json"
echo "two segments with different columns:"
check 2
"$amida" compact "$store"
echo "after compaction:"
check 1
