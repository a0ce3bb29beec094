#!/usr/bin/env python3
"""Compares the time that compressc's --dry-run plans with the time that the run takes.

usage: bench_plan.py COMPRESSC MODEL --calibration FILE [options]

For each of --samples: the plan, then the run without a store. Wall time is only worth comparing on an idle machine;
processor time over the threads says more on a busy one. Prints one JSON line for each.
"""
import argparse
import json
import re
import tempfile
from pathlib import Path

import measure

UNITS = {"s": 1, "min": 60, "h": 3600}


def planned_seconds(plan):
    found = re.findall(r"^(?:calibration|weights) +about ([\d.e+-]+) (s|min|h)", plan, re.MULTILINE)
    if len(found) != 2:
        raise SystemExit(f"the plan has {len(found)} times, not 2:\n{plan}")
    return sum(float(number) * UNITS[unit] for number, unit in found)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("compressc", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--passes", default="awq{bits=4 group-size=64}")
    parser.add_argument("--calibration", type=Path, required=True)
    parser.add_argument("--samples", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--sequence-length", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    for samples in options.samples:
        command = [options.compressc.resolve(), options.model, f"--passes={options.passes}", "--calibration",
                   options.calibration, "--samples", samples, "--sequence-length", options.sequence_length,
                   "--threads", options.threads]
        planned = planned_seconds(measure.run(command + ["--dry-run"], options.threads).output)
        with tempfile.TemporaryDirectory() as directory:
            run = measure.run(command + ["-o", Path(directory) / "out", "--no-store", "--quiet"], options.threads)
        busy = run.cpu_seconds / options.threads
        print(json.dumps({
            "benchmark": "plan", "model": options.model.name, "passes": options.passes, "samples": samples,
            "sequence_length": options.sequence_length, "threads": options.threads, "planned_seconds": planned,
            "seconds": round(run.seconds, 1), "cpu_seconds_per_thread": round(busy, 1),
            "planned_over_wall": round(planned / run.seconds, 2), "planned_over_cpu": round(planned / busy, 2)}),
            flush=True)


if __name__ == "__main__":
    main()
