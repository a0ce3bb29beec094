#!/usr/bin/env bash
# Builds the fuzz targets (sanitized, in build-fuzz) and runs each for a while on seeds of the test inputs.
# usage: tools/fuzz.sh [SECONDS [TARGET ...]]      default: 10 seconds each, all targets
# Needs build/bin/compressc. A finding is kept in build-fuzz/findings, and the status is then 1.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/environment.sh

seconds=${1:-10}
shift || true

cmake --preset fuzz >build-fuzz.log 2>&1 || { cat build-fuzz.log; exit 1; }
rm -f build-fuzz.log
cmake --build build-fuzz --target fuzzers
.venv/bin/python test/Fuzz/make_corpora.py build/bin/compressc build-fuzz/seeds

targets=("$@")
if [[ ${#targets[@]} -eq 0 ]]; then
  for program in build-fuzz/bin/fuzz-*; do
    targets+=("${program##*/fuzz-}")
  done
fi
mkdir -p build-fuzz/findings build-fuzz/results
rm -f build-fuzz/results/*
status=0
for target in "${targets[@]}"; do
  # What earlier runs found worth keeping grows beside the seeds.
  mkdir -p "build-fuzz/corpus/$target"
  log=build-fuzz/results/$target.log
  # Abseil's archives are not instrumented, so containers that cross into it look overflown.
  if ASAN_OPTIONS=detect_container_overflow=0:allocator_may_return_null=1 \
    "build-fuzz/bin/fuzz-$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -max_len=400000 \
    -artifact_prefix="build-fuzz/findings/$target-" -print_final_stats=1 \
    "build-fuzz/corpus/$target" "build-fuzz/seeds/$target" >"$log" 2>&1; then
    printf 'fuzz: %-12s %s runs, no finding\n' "$target" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
    touch "build-fuzz/results/$target.passed"
  else
    printf 'fuzz: %-12s FAILED\n' "$target"
    grep -E "ERROR|SUMMARY|runtime error|artifact" "$log" | head -5
    touch "build-fuzz/results/$target.failed"
    status=1
  fi
done
exit "$status"
