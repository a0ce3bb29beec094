#!/usr/bin/env python3
"""MMLU by deployed models and by transformers on the same questions, one after the other.

usage: bench_mmlu.py OUT [OUT ...] --data DATA [--rows FILE | --sample N --seed S] [options]

OUT is what compressc wrote: OUT/run is timed against transformers in fp32 on the first OUT/model
(test/EndToEnd/reference.py) with a cache of each subject's shared prefix, or without one, as harnesses score by
default (--whole-prompts). Prints one JSON line for each OUT. `seconds` is scoring
alone on both sides, without start and load; `ratio` is the peer's over ours, so above 1 we are faster;
`wall_seconds` is the whole process. On a busy machine compare `cpu_ratio` with --threads 1: processor time, of our whole
process and of the peer's scoring alone (with more threads, waiting in a loop counts). When the lines of --rows hold log-probabilities (`lp`), ours are
compared with those too.
"""
import argparse
import json
import random
import sys
import tempfile
from pathlib import Path

import measure

REFERENCE = Path(__file__).resolve().parents[2] / "test" / "EndToEnd" / "reference.py"


def count_rows(data):
    import gzip
    for name, reader in (("mmlu_test.jsonl.gz", gzip.open), ("mmlu_test.jsonl", open)):
        if (data / name).exists():
            with reader(data / name, "rb") as file:
                return sum(1 for line in file if line.strip())
    sys.exit(f"{data}: neither mmlu_test.jsonl.gz nor mmlu_test.jsonl is there")


def read_rows(path):
    """Row numbers, and the log-probabilities stored beside them if there are any."""
    rows, stored = [], {}
    for line in path.read_text().split("\n"):
        if line.strip():
            value = json.loads(line)
            row = value["row"] if isinstance(value, dict) else value
            rows.append(row)
            if isinstance(value, dict) and "lp" in value:
                stored[row] = value["lp"]
    return rows, stored


def largest_difference(left, right):
    return max(abs(a - b) for row in left for a, b in zip(left[row], right[row]))


def agreement(left, right):
    best = lambda values: values.index(max(values))
    return sum(best(left[row]) == best(right[row]) for row in left) / len(left)


def score(out, rows, options, result):
    """One process of OUT/run and its report."""
    ours = measure.run(
        [out.resolve() / "run", "mmlu", "--data", options.data, "--shots", options.shots,
         "--rows", ",".join(map(str, rows)), "--threads", options.threads, "--quiet",
         "--json", result], options.threads)
    report = json.loads(result.read_text())
    answered = sorted(question["row"] for question in report["questions"])
    if answered != rows:
        sys.exit(f"{out}/run answered {len(answered)} of {len(rows)} questions")
    return ours, report


def result_line(ours, report, peer, rows, stored, options):
    mine = {question["row"]: question["logprobs"] for question in report["questions"]}
    seconds = report["seconds"] + report["tokenize_seconds"]
    line = {"benchmark": "mmlu", "model": report["model"], "pipeline": report["pipeline"],
            "questions": len(rows), "shots": options.shots, "threads": options.threads,
            "instruction_set": report["instruction_set"], "accuracy": report["accuracy"],
            "seconds": round(seconds, 2), "wall_seconds": round(ours.seconds, 2),
            "cpu_seconds": round(ours.cpu_seconds, 2), "peak_rss_mb": ours.peak_rss_mb,
            "prompt_tokens": report["prompt_tokens"],
            "computed_tokens": report["computed_tokens"]}
    if peer:
        their = json.loads(peer.output)
        theirs = {answer["row"]: answer["lp"] for answer in their["mmlu"]["rows"]}
        line |= {"peer": f"transformers {their['transformers']} fp32, {their['loader']}",
                 "peer_prefix_cache": not options.whole_prompts,
                 "peer_accuracy": their["mmlu"]["accuracy"],
                 "peer_seconds": round(their["mmlu"]["seconds"], 2),
                 "peer_cpu_seconds": round(their["mmlu"]["cpu_seconds"], 2),
                 "peer_wall_seconds": round(peer.seconds, 2), "peer_peak_rss_mb": peer.peak_rss_mb,
                 "peer_computed_tokens": their["mmlu"]["computed_tokens"],
                 "ratio": round(their["mmlu"]["seconds"] / seconds, 3),
                 "cpu_ratio": round(their["mmlu"]["cpu_seconds"] / ours.cpu_seconds, 3),
                 "answer_agreement": agreement(mine, theirs),
                 "max_logprob_difference": round(largest_difference(mine, theirs), 6)}
    known = {row: mine[row] for row in rows if row in stored}
    if known:
        line |= {"stored_questions": len(known), "stored_answer_agreement": agreement(known, stored),
                 "stored_max_logprob_difference": round(largest_difference(known, stored), 6)}
    return line


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("outs", metavar="OUT", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=Path, help="JSON lines with `row`")
    parser.add_argument("--sample", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1234)
    parser.add_argument("--shots", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peer-python", default=sys.executable, help="a Python with transformers")
    parser.add_argument("--peer-model", type=Path, help="default: the first OUT/model")
    parser.add_argument("--whole-prompts", action="store_true", help="the peer shares no prefix")
    parser.add_argument("--no-peer", action="store_true", help="compare with the stored values only")
    options = parser.parse_args()

    if options.rows:
        rows, stored = read_rows(options.rows)
    else:
        total = count_rows(options.data)
        rows = random.Random(options.seed).sample(range(total), min(options.sample, total))
        stored = {}
    rows = sorted(set(rows))
    if not rows:
        parser.error("no rows to ask")

    with tempfile.TemporaryDirectory() as directory:
        runs = [score(out, rows, options, Path(directory) / "mmlu.json") for out in options.outs]
        row_file = Path(directory) / "rows.jsonl"
        row_file.write_text("".join(f"{row}\n" for row in rows))
        peer = None
        if not options.no_peer:
            peer = measure.run(
                [options.peer_python, REFERENCE, options.peer_model or options.outs[0] / "model",
                 "--mmlu", options.data, "--shots", options.shots, "--rows", row_file,
                 "--threads", options.threads] + ["--whole-prompts"] * options.whole_prompts, options.threads)
    for ours, report in runs:
        print(json.dumps(result_line(ours, report, peer, rows, stored, options)))


if __name__ == "__main__":
    main()
