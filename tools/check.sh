#!/usr/bin/env bash
# Sets up, builds, and runs every test. The last line reads "N passed, M failed"; status 1 if any failed.
# usage: tools/check.sh
#   COMPRESSC_TEST_MEMORY_KB   address space of each lit test and what it starts (default 12 GiB)
#   COMPRESSC_TEST_TIMEOUT     seconds for one lit test (default 300)
#   COMPRESSC_FUZZ_SECONDS     seconds for each fuzz target, 0: none (default 5)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/environment.sh

results=build/results

run_unit_tests() {
  GTEST_OUTPUT="json:$PWD/$results/gtest/" GTEST_COLOR=no \
    ctest --test-dir build --output-on-failure --timeout 900 --output-junit "$PWD/$results/ctest.xml"
}

run_lit() {
  local suite=test
  if [[ -f build/test/lit.site.cfg.py ]]; then
    suite=build/test
  fi
  (
    ulimit -v "${COMPRESSC_TEST_MEMORY_KB:-12582912}"
    .venv/bin/lit -v --order=lexical --timeout "${COMPRESSC_TEST_TIMEOUT:-300}" \
      --output "$results/lit.json" "$suite"
  )
}

# As a user installs it, without the network.
run_python_tests() {
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
    --force-reinstall ./python-frontend &&
    COMPRESSC="$PWD/build/bin/compressc" .venv/bin/python -m pytest -q python-frontend/tests \
      --junitxml="$results/python.xml"
}

if ! step "set-up" tools/setup.sh || ! step "configure" cmake --preset dev ||
  ! step "build" cmake --build build; then
  # What cannot even be built counts as one failure, so that the last line is always there.
  printf '0 passed, 1 failed\n'
  exit 1
fi

rm -rf "$results"
mkdir -p "$results/gtest"
status=0
step "unit tests" run_unit_tests || status=1
step "lit tests" run_lit || status=1
step "python tests" run_python_tests || status=1
if [[ ${COMPRESSC_FUZZ_SECONDS:-5} -gt 0 ]]; then
  step "fuzzing" tools/fuzz.sh "${COMPRESSC_FUZZ_SECONDS:-5}" || status=1
  mkdir -p "$results/fuzz"
  cp build-fuzz/results/*.passed build-fuzz/results/*.failed "$results/fuzz" 2>/dev/null || true
fi

printf '\n'
.venv/bin/python tools/count_tests.py "$results" || status=1
[[ $status -eq 0 ]]
