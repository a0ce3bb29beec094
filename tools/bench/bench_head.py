#!/usr/bin/env python3
"""What a smaller head costs in perplexity: quantised (round to nearest) against svd-factorize of no more bytes, its factors
in 16, 8 and 4 bits. The layers stay as they are.

usage: bench_head.py COMPRESSC MODEL --calibration FILE --text FILE [options]

`head_bytes` are those that decoding a token reads of the head: for a head that is tied to the embedding they come on top
of the table, whose size is the base's. Prints one JSON line a head.
"""
import argparse
import json
import re
import sys
import tempfile
from pathlib import Path

import measure


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("compressc", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--calibration", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--sequence-length", type=int, default=512)
    parser.add_argument("--text", type=Path, required=True, help="what perplexity is measured on")
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--windows", type=int, default=16)
    parser.add_argument("--group-size", type=int, default=64)
    parser.add_argument("--bits", type=int, nargs="+", default=[8, 4, 3, 2], help="of the quantised heads")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    group = options.group_size

    program = measure.run([options.compressc, options.model, "--emit=lm"], options.threads).output
    (logits,) = re.findall(r"%logits = lm\.linear .*, tensor<(\d+)x(\d+)x\w+>\)", program)
    rows, columns = map(int, logits)
    plain = 2 * rows * columns

    def quantise(bits):
        return f"quantize{{bits={bits} group-size={group} head=true ignore=re:model}}"

    def packed(n, k, bits):
        """Codes, scales and zeros of a matrix."""
        return n * k * bits // 8 + n * (k // group) * (16 + bits) // 8

    with tempfile.TemporaryDirectory() as directory:
        out, result = Path(directory) / "out", Path(directory) / "result.json"

        def measured(head, size, passes):
            calibration = ["--calibration", options.calibration, "--samples", options.samples, "--sequence-length",
                           options.sequence_length] if "svd" in passes else []
            measure.run([options.compressc, options.model, "-o", out, "--quiet", "--no-store", "--threads",
                         options.threads, f"--passes={passes}", *calibration], options.threads)
            measure.run([out / "run", "perplexity", "--data", options.text, "--windows", options.windows, "--context",
                         options.context, "--threads", options.threads, "--quiet", "--json", result], options.threads)
            written = json.loads((out / "report.json").read_text())["weight_bytes"]
            print(json.dumps({"head": head, "head_bytes": size, "checkpoint_bytes": written, "perplexity":
                              round(json.loads(result.read_text())["perplexity"], 2), "passes": passes}), flush=True)

        measured("16 bits", plain, "")
        for bits in options.bits:
            size = packed(rows, columns, bits)
            measured(f"{bits} bits", size, quantise(bits))
            rank = min(size // (2 * (rows + columns)), columns)
            measured(f"rank {rank}, 16 bits", 2 * rank * (rows + columns), f"svd-factorize{{rank={rank}}}")
            for factor_bits in (b for b in (8, 4) if b > bits):
                def factors(rank):
                    return packed(rows, rank, factor_bits) + packed(rank, columns, factor_bits)

                rank = max((r for r in range(group, columns, group) if factors(r) <= size), default=None)
                if rank:
                    measured(f"rank {rank}, {factor_bits} bits", factors(rank),
                             f"svd-factorize{{rank={rank}}},{quantise(factor_bits)}")


if __name__ == "__main__":
    sys.exit(main())
