#!/usr/bin/env python3
"""Compares large products in e4m3 by 4-bit weights with cuBLAS in bf16 and torch's products in e4m3.

usage: fp8_linear_bench.py PROGRAM

PROGRAM is fp8_linear_bench of the build. Prints a JSON line for each shape, with the peers' milliseconds in the same run:
bf16, and e4m3 with a scale for each row of both operands. The peers' weights are expanded, gates are not applied and
residuals not added. Needs torch and a GPU of compute capability 9.0.
"""
import json
import subprocess
import sys

import torch

from gpu_time import microseconds
from packed_linear_bench import SHAPES


def main():
    for line in map(json.loads, subprocess.run([sys.argv[1]], check=True, capture_output=True, text=True).stdout.splitlines()):
        depth, columns = SHAPES[line["shape"]]
        x = torch.randn(line["rows"], depth, dtype=torch.bfloat16, device="cuda")
        w = torch.randn(columns, depth, dtype=torch.bfloat16, device="cuda")
        line["cublas_bf16_milliseconds"] = round(microseconds(lambda: x @ w.T, 1) / 1000, 3)
        x8, w8 = x.to(torch.float8_e4m3fn), w.to(torch.float8_e4m3fn)
        of_x = torch.ones(line["rows"], 1, device="cuda")
        of_w = torch.ones(1, columns, device="cuda")
        line["cublas_e4m3_milliseconds"] = round(microseconds(
            lambda: torch._scaled_mm(x8, w8.T, scale_a=of_x, scale_b=of_w, out_dtype=torch.bfloat16), 1) / 1000, 3)
        print(json.dumps(line))


if __name__ == "__main__":
    main()
