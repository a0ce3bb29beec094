#!/usr/bin/env python3
"""MMLU questions for `run choice`: the prompts of `run mmlu`, and " A" to " D" to go on with.

usage: mmlu_as_choice.py MMLU.json OUT.jsonl RUN [options that RUN mmlu wrote MMLU.json with]
       mmlu_as_choice.py --check MMLU.json CHOICE.json    fails unless both runs have the same answers
"""
import json
import subprocess
import sys


def make(mmlu, out, run, options):
    prompts = subprocess.run([run, "mmlu", "--dump-prompts", "-", *options], capture_output=True, check=True).stdout
    with open(out, "w", encoding="utf-8") as file:
        for prompt, row in zip(prompts.decode().split("\0")[:-1], json.load(open(mmlu))["questions"], strict=True):
            file.write(json.dumps({"context": prompt, "continuations": [" A", " B", " C", " D"],
                                   "gold": row["gold"], "group": row["subject"]}) + "\n")


def check(mmlu, choice):
    first, second = (json.load(open(path)) for path in (mmlu, choice))
    print(first["accuracy"], second["accuracy"], second["accuracy_norm"])
    same = first["accuracy"] == second["accuracy"] == second["accuracy_norm"]
    same = same and first["accuracy_stderr"] == second["accuracy_stderr"]
    for a, b in zip(first["questions"], second["questions"], strict=True):
        same = same and a["gold"] == b["gold"] and a["prediction"] == b["prediction"]
        same = same and max(abs(x - y) for x, y in zip(a["logprobs"], b["logprobs"], strict=True)) < 1e-5
    sys.exit(not same)


if sys.argv[1] == "--check":
    check(*sys.argv[2:])
else:
    make(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
