#!/usr/bin/env python3
"""Compares products of few rows by 4-bit weights with torch's int4 kernel (tinygemm) and cuBLAS in bf16.

usage: packed_linear_bench.py PROGRAM

PROGRAM is packed_linear_bench of the build. Prints a JSON line for each shape and number of rows, with the peers'
microseconds in the same run: 36 layers of distinct weights in one CUDA graph each. Needs torch and a GPU.
"""
import json
import subprocess
import sys

import torch

from gpu_time import microseconds

SHAPES = {"qkv": (4096, 6144), "o": (4096, 4096), "gate_up": (4096, 24576), "down": (12288, 4096)}
LAYERS = 36


def main():
    ours = subprocess.run([sys.argv[1]], check=True, capture_output=True, text=True).stdout.splitlines()
    print(ours[0])
    for line in map(json.loads, ours[1:]):
        depth, columns = SHAPES[line["shape"]]
        x = torch.randn(line["rows"], depth, dtype=torch.bfloat16, device="cuda")
        bf16 = [torch.randn(columns, depth, dtype=torch.bfloat16, device="cuda") for _ in range(LAYERS)]
        line["cublas_bf16_microseconds"] = round(microseconds(lambda: [x @ w.T for w in bf16], LAYERS), 2)
        del bf16
        packed = [torch._convert_weight_to_int4pack(
            torch.randint(0, 256, (columns, depth // 2), dtype=torch.uint8, device="cuda"), 8) for _ in range(LAYERS)]
        scales = torch.rand(depth // 128, columns, 2, dtype=torch.bfloat16, device="cuda")
        line["tinygemm_microseconds"] = round(
            microseconds(lambda: [torch._weight_int4pack_mm(x, w, 128, scales) for w in packed], LAYERS), 2)
        del packed
        torch.cuda.empty_cache()
        print(json.dumps(line))


if __name__ == "__main__":
    main()
