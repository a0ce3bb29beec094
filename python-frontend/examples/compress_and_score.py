#!/usr/bin/env python3
"""Deploys a model as it is and at 4 bits, and scores both on MMLU.

usage: compress_and_score.py MODEL DATA CALIBRATION [OUT]

DATA is a folder as `OUT/run mmlu --data` takes it. Writes OUT/base and OUT/w4 (OUT: the current folder). For
a tiny model of random weights: test/Inputs/models/llama, test/Inputs/questions, test/Inputs/text/calibration.jsonl.
"""
import sys
from pathlib import Path

from compressc import ProgramError, compress, score


def main() -> int:
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    model, data, calibration = sys.argv[1:4]
    out = Path(sys.argv[4] if len(sys.argv) == 5 else ".")
    out.mkdir(parents=True, exist_ok=True)
    try:
        base = compress(model, out / "base")
        small = compress(model, out / "w4", passes="awq{bits=4 group-size=16}", calibration=calibration, samples=8,
                         sequence_length=256)
        before, after = base.mmlu(data=data), small.mmlu(data=data)
    except ProgramError:
        return 1  # the program has said why
    print(f"{small.report.ratio:.2f} times smaller than at 16 bits")
    print(f"MMLU {100 * before.accuracy:.1f} % before, {100 * after.accuracy:.1f} % after")
    print(f"score {score(before, after):.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
