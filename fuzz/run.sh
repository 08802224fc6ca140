#!/usr/bin/env bash
# Builds the fuzz targets on a stable toolchain and runs them one after the other; fails on the
# first crash. See README.md.
#
#   ./run.sh                           every target (but sql_plan) for a minute each
#   ./run.sh wal_record manifest       these
#   ./run.sh -n 1000000 segment        for a number of executions
#   ./run.sh -t 600                    for a number of seconds
#   ./run.sh sql_plan                  builds DataFusion, too
set -euo pipefail
cd "$(dirname "$0")"

all=(wal_record manifest segment_index otlp_proto otlp_json segment store_ops)
executions=-1 seconds=60
while getopts n:t:h option; do
    case $option in
        n) executions=$OPTARG seconds=0 ;;
        t) seconds=$OPTARG ;;
        *) sed -n '2,9s/^# \?//p' "$0"; exit 2 ;;
    esac
done
shift $((OPTIND - 1))
if [ $# -gt 0 ]; then targets=("$@"); else targets=("${all[@]}"); fi

host=$(rustc -vV | sed -n 's/^host: //p')
flags="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Cdebug-assertions"

# Three folders, because their dependencies are built in three ways: with instruments; without, for
# store_ops, which is about what the store does with its files and would spend its time in Parquet;
# and with the features that DataFusion asks for.
folder() {
    case $1 in
        store_ops) echo target/store ;;
        sql_plan) echo target/sql ;;
        *) echo target ;;
    esac
}
bins=()
for target in "${targets[@]}"; do
    case $target in
        store_ops)
            AMIDA_FUZZ_FLAGS=$flags RUSTC_WRAPPER=$PWD/instrument.sh cargo build --release \
                --target "$host" --target-dir "$(folder store_ops)" --bin store_ops ;;
        # --target keeps these flags from build scripts and macros.
        sql_plan)
            RUSTFLAGS=$flags cargo build --release --target "$host" \
                --target-dir "$(folder sql_plan)" --features sql --bin sql_plan ;;
        *) bins+=(--bin "$target") ;;
    esac
done
if [ ${#bins[@]} -gt 0 ]; then
    RUSTFLAGS=$flags cargo build --release --target "$host" "${bins[@]}"
fi

for target in "${targets[@]}"; do
    mkdir -p "corpus/$target" artifacts
    log=artifacts/$target.log
    # Long inputs make every execution slow and teach little.
    case $target in
        segment) longest=16384 ;;
        store_ops) longest=64 ;;
        manifest) longest=1024 ;;
        segment_index) longest=160 ;;
        *) longest=512 ;;
    esac
    status=0
    built=$(folder "$target")/$host/release/$target
    AMIDA_FUZZ_SEEDS="corpus/$target" "$built" "corpus/$target" \
        -runs="$executions" -max_total_time="$seconds" -max_len="$longest" -timeout=10 \
        -rss_limit_mb=2048 -artifact_prefix="artifacts/$target-" -print_final_stats=1 \
        -use_value_profile=0 -reload=0 > "$log" 2>&1 || status=$?
    awk -v target="$target" '
        /stat::number_of_executed_units/ { runs = $2 }
        /stat::average_exec_per_sec/ { speed = $2 }
        END { printf "%-14s %12d executions  %8d a second\n", target, runs, speed }' "$log"
    if [ $status -ne 0 ]; then
        echo "$target failed; the end of fuzz/$log:"
        tail -40 "$log"
        exit 1
    fi
done
