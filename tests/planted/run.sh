#!/usr/bin/env bash
# Every planted mistake must be found by the test that bugs.txt names, and that test must pass without
# it. One build; AMIDA_PLANTED chooses the mistake. Usage: run.sh [NAME..]; AMIDA_PLANTED_ENGINE is the
# binary of the tests where it is built already.
set -euo pipefail
cd "$(dirname "$0")/../.."
# Enough to find them all: every 16th byte, one script of the simulation.
export AMIDA_FLIPS_STEP=${AMIDA_FLIPS_STEP:-16} AMIDA_SIM_SCRIPT=${AMIDA_SIM_SCRIPT:-rotates}
bugs=tests/planted/bugs.txt
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# The list, the places in the code and the table have the same names.
sed -n 's/^    ("\([a-z_]*\)", .*/\1/p' engine/src/planted.rs | sort > "$out/listed"
grep -rhv '^ *//' --include='*.rs' engine/src | grep -o 'planted!("[a-z_]*")' | cut -d'"' -f2 |
    sort -u > "$out/placed"
grep -v '^#' "$bugs" | awk '{ print $1 }' | sort > "$out/tested"
diff "$out/listed" "$out/placed" || { echo "the list and the code differ" >&2; exit 1; }
diff "$out/listed" "$out/tested" || { echo "the list and $bugs differ" >&2; exit 1; }

# No -p: the packages of a plain `cargo test`, so that no dependency is built a second time.
engine=${AMIDA_PLANTED_ENGINE:-}
if [ -z "$engine" ]; then
    cargo test --features amida/planted --test engine --no-run 2> "$out/build" ||
        { cat "$out/build" >&2; exit 1; }
    engine=$(sed -n 's/.*Executable.*(\(.*\))$/\1/p' "$out/build")
fi
engine=$(realpath "$engine")

chosen() {
    if [ $# -eq 0 ]; then grep -v '^#' "$bugs"; else
        for name in "$@"; do grep "^$name " "$bugs"; done
    fi
}

begun=$SECONDS
mapfile -t tests < <(chosen "$@" | awk '{ print $2 }' | sort -u)
(cd tests && "$engine" --exact "${tests[@]}") > "$out/without" 2>&1 ||
    { cat "$out/without"; echo "a test fails without any mistake" >&2; exit 1; }
grep -q "^running ${#tests[@]} test" "$out/without" ||
    { echo "$bugs names a test that does not exist" >&2; exit 1; }
echo "without a mistake: ${#tests[@]} tests pass ($((SECONDS - begun)) s)"

# A mistake is found when its test fails, at an assertion of its own.
try() {
    local name=$1 test=$2 code=0
    (cd tests && AMIDA_PLANTED=$name timeout 120 "$ENGINE" --exact "$test") > "$OUT/$name" 2>&1 ||
        code=$?
    if [ "$code" -eq 101 ] && grep -q 'panicked at tests/' "$OUT/$name"; then
        echo "found    $name: ${test##*::}"
    else
        echo "NOT FOUND $name (exit code $code): $test"
        tail -5 "$OUT/$name"
    fi
}
export -f try
export ENGINE=$engine OUT=$out
chosen "$@" | xargs -P 2 -n 2 bash -c 'try "$0" "$1"' | tee "$out/all"
all=$(chosen "$@" | wc -l)
found=$(grep -c '^found ' "$out/all" || true)
echo "$found of $all planted mistakes found in $((SECONDS - begun)) s"
[ "$found" -eq "$all" ]
