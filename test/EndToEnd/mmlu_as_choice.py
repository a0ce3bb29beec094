#!/usr/bin/env python3
"""MMLU questions for `run choice`: the prompts of `run mmlu`, and " A" to " D" to go on with.

usage: mmlu_as_choice.py RUN OUT.jsonl [options of run mmlu]
       mmlu_as_choice.py --check MMLU.json CHOICE.json    fails unless both runs have the same answers
"""
import gzip
import json
import subprocess
import sys
from pathlib import Path


def questions(data):
    for path in (Path(data) / "mmlu_test.jsonl", Path(data) / "mmlu_test.jsonl.gz"):
        if path.exists():
            with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as file:
                return [json.loads(line) for line in file if line.strip()]
    sys.exit(f"{data} has no mmlu_test.jsonl")


def make(run, out, options):
    """Rows are taken from the beginning: --limit is the only selection."""
    prompts = subprocess.run([run, "mmlu", "--dump-prompts", "-", *options], capture_output=True, check=True).stdout
    rows = questions(options[options.index("--data") + 1])
    with open(out, "w", encoding="utf-8") as file:
        for prompt, row in zip(prompts.decode().split("\0")[:-1], rows):
            file.write(json.dumps({"context": prompt, "continuations": [" A", " B", " C", " D"],
                                   "gold": row["answer"], "group": row["subject"]}) + "\n")


def check(mmlu, choice):
    first, second = (json.load(open(path)) for path in (mmlu, choice))
    print(first["accuracy"], second["accuracy"], second["accuracy_norm"])
    same = first["accuracy"] == second["accuracy"] == second["accuracy_norm"]
    same = same and first["accuracy_stderr"] == second["accuracy_stderr"]
    for a, b in zip(first["questions"], second["questions"], strict=True):
        same = same and all(a[key] == b[key] for key in ("row", "gold", "prediction"))
        same = same and max(abs(x - y) for x, y in zip(a["logprobs"], b["logprobs"], strict=True)) < 1e-5
    sys.exit(not same)


if sys.argv[1] == "--check":
    check(*sys.argv[2:])
else:
    make(sys.argv[1], sys.argv[2], sys.argv[3:])
