#!/usr/bin/env python3
"""What each optimisation of the deployed program buys with the others on, and the compiled program against the
interpreter: scoring (MMLU, answers only) and decoding.

usage: bench_passes.py COMPRESSC MODEL --data DIR [--rows FILE] [--passes PIPELINE] [--turns 3] [-- compressc options]

Every program is compiled first; then all are measured in turns, the best of each counts. Prints one JSON line a
program: `scoring_ratio` and `decoding_ratio` are the speed of the whole over that without the optimisation.
"""
import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import measure

OPTIMISATIONS = ["sink-selection", "answer-head", "merge-linears", "fuse-epilogues", "fuse-rotary", "reuse-buffers"]


def main():
    _, _, extra = " ".join(sys.argv[1:]).partition(" -- ")
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("compressc")
    parser.add_argument("model")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", default="0-49", help="rows of mmlu_test")
    parser.add_argument("--passes", default="quantize{bits=4 group-size=64}")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(sys.argv[1:len(sys.argv) - (len(extra.split()) + 1 if extra else 0)])
    with tempfile.TemporaryDirectory() as directory:
        programs = {"all": ([], []), "interpreted": (None, ["--interpret"])}
        programs |= {f"without {name}": ([f"--without={name}"], []) for name in OPTIMISATIONS}
        for name, (flags, _) in programs.items():
            if flags is not None:
                subprocess.run([options.compressc, options.model, "-o", f"{directory}/{name}", "--quiet", "--no-store",
                                f"--passes={options.passes}", *extra.split(), *flags], check=True)
        best, arenas = {name: [0.0, 0.0] for name in programs}, {}
        for _ in range(options.turns):
            for name, (flags, interpret) in programs.items():
                run = f"{directory}/{name if flags is not None else 'all'}/run"
                result = Path(directory) / "result.json"
                common = ["--threads", options.threads, "--quiet", "--json", result, *interpret]
                measure.run([run, "mmlu", "--data", options.data, "--rows", options.rows, "--normalise", "answers",
                             *common], options.threads)
                report = json.loads(result.read_text())
                scoring = report["computed_tokens"] / report["seconds"]
                measure.run([run, "bench", "--prompt", 64, "--decode", 64, "--repeats", 1, *common], options.threads)
                decoding = json.loads(result.read_text())["decode_tokens_per_second"]["median"]
                best[name] = [max(best[name][0], scoring), max(best[name][1], decoding)]
                info = measure.run([run, "info", "--json", "-", *interpret], options.threads)
                arenas[name] = json.loads(info.output)["arena_bytes"]
    for name, (scoring, decoding) in best.items():
        print(json.dumps({"program": name, "scoring_tokens_per_second": round(scoring, 1),
                          "decoding_tokens_per_second": round(decoding, 1), "arena_bytes": arenas[name],
                          "scoring_ratio": round(best["all"][0] / scoring, 3),
                          "decoding_ratio": round(best["all"][1] / decoding, 3)}))


if __name__ == "__main__":
    main()
