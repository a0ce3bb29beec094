#!/bin/sh
# Checks the prompts of the whole MMLU test split against the published hashes.
# usage: check_prompt_hashes.sh DATA_DIR RUN
set -eu
if [ $# -ne 2 ]; then
  echo "usage: $0 DATA_DIR RUN" >&2
  exit 2
fi
data=$1
run=$2
prompts=$(mktemp)
trap 'rm -f "$prompts"' EXIT
failed=0

# check NAME WANTED ARGUMENTS...: the hash of the prompts, each with its zero byte
check() {
  name=$1
  wanted=$2
  shift 2
  "$run" mmlu --data "$data" --dump-prompts "$prompts" "$@"
  found=$(sha256sum <"$prompts" | cut -d' ' -f1)
  if [ "$found" = "$wanted" ]; then
    echo "ok   $name $found"
  else
    echo "FAIL $name: $found, wanted $wanted" >&2
    failed=1
  fi
}

# first NAME WANTED SHOTS: the hash of the first prompt without its zero byte
first() {
  found=$("$run" mmlu --data "$data" --dump-prompts - --limit 1 --shots "$3" | tr -d '\0' | sha256sum | cut -d' ' -f1)
  if [ "$found" = "$2" ]; then
    echo "ok   $1 $found"
  else
    echo "FAIL $1: $found, wanted $2" >&2
    failed=1
  fi
}

check 0-shot 0a3c2e3b34a08e5c6a36e9b11b02e4bf29e12ecf74656efa637b0a34fa674004 --shots 0
check 5-shot e615053d5ed037dcf108fb4fa85df27e5fa45928938a6c4b8f51e9fce3141fb9 --shots=5
first 0-shot-first 04ebc0806ad169c848f7078af1359da6f9f2c07f662e9f3cea9a94c7d54cbc7d 0
first 5-shot-first ff9b00310e214beacf4b324da8c9e6c1de4e49cb422f1bcb1f7037b78f40a2a3 5
exit $failed
