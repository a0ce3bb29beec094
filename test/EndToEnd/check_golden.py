#!/usr/bin/env python3
"""Compares the JSON of `run perplexity` and `run mmlu` with a model's golden.json (from transformers).

usage: check_golden.py GOLDEN.json [--perplexity RESULT.json] [--mmlu RESULT.json] [--tolerance T]
T is absolute, for mean losses and log-probabilities (2e-4).
"""
import argparse
import json
import sys


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("golden")
    parser.add_argument("--perplexity")
    parser.add_argument("--mmlu")
    parser.add_argument("--tolerance", type=float, default=2e-4)
    options = parser.parse_args()
    with open(options.golden) as file:
        tasks = json.load(file)["tasks"]
    worst = 0.0
    if options.perplexity:
        with open(options.perplexity) as file:
            result = json.load(file)
        worst = max(worst, abs(result["nll"] / result["tokens"] - tasks["perplexity"]["mean_nll"]))
    if options.mmlu:
        with open(options.mmlu) as file:
            questions = {row["row"]: row for row in json.load(file)["questions"]}
        golden = tasks["mmlu"]["rows"]
        if set(questions) != {row["row"] for row in golden}:
            sys.exit("the result is about other questions than the golden file")
        for row in golden:
            ours = questions[row["row"]]
            worst = max([worst] + [abs(a - b) for a, b in zip(ours["logprobs"], row["lp"])])
            top = sorted(row["lp"])
            # Answers closer than the tolerance may go either way.
            if ours["prediction"] != row["pred"] and top[-1] - top[-2] > 2 * options.tolerance:
                sys.exit(f"row {row['row']}: predicted {ours['prediction']}, golden {row['pred']}")
    print(f"worst difference {worst:.2e}")
    if worst > options.tolerance:
        sys.exit(f"larger than {options.tolerance:g}")


main()
