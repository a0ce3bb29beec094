#!/usr/bin/env python3
"""Compares attention of many queries with torch's FlashAttention-2 and cuDNN.

usage: attention_bench.py PROGRAM

PROGRAM is attention_bench of the build. Prints its JSON lines, one for each case and kernel, with the peers'
microseconds in the same run: 16 launches in one CUDA graph. The peers have no slots: behind a shared prefix each
sequence has a copy of it, and their mask is causal from the lower right. Needs torch and a GPU.
"""
import json
import subprocess
import sys

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.bias import causal_lower_right

from gpu_time import microseconds

HEADS, GROUPS, DIM, LAUNCHES = 32, 8, 128, 16
CASES = {"causal_1024": (1, 1024, 0), "causal_4096": (1, 4096, 0), "shared_prefix": (40, 106, 600)}
PEERS = {"flash_attention_2": SDPBackend.FLASH_ATTENTION, "cudnn": SDPBackend.CUDNN_ATTENTION}


def peers(case: str) -> dict:
    """Microseconds of each, or why there are none."""
    sequences, queries, prefix = CASES[case]
    shape = (sequences, HEADS, queries, DIM)
    q = torch.randn(shape, dtype=torch.bfloat16, device="cuda")
    k, v = (torch.randn(sequences, GROUPS, prefix + queries, DIM, dtype=torch.bfloat16, device="cuda") for _ in range(2))
    mask = {"attn_mask": causal_lower_right(queries, prefix + queries)} if prefix else {"is_causal": True}
    found = {}
    for name, backend in PEERS.items():
        try:
            with torch.no_grad(), sdpa_kernel(backend):
                attend = lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v, enable_gqa=True, **mask)
                found[name + "_microseconds"] = round(microseconds(lambda: [attend() for _ in range(LAUNCHES)], LAUNCHES), 2)
        except RuntimeError as error:
            found[name + "_error"] = str(error).splitlines()[0]
    return found


def main():
    ours = subprocess.run([sys.argv[1]], capture_output=True, text=True)
    known = {}
    for line in map(json.loads, ours.stdout.splitlines()):
        if "case" in line:
            if line["case"] not in known:
                known[line["case"]] = peers(line["case"])
            line.update(known[line["case"]])
        print(json.dumps(line), flush=True)
    if ours.returncode:
        sys.exit(f"{sys.argv[1]} ended with {ours.returncode}: {ours.stderr.strip()}")


if __name__ == "__main__":
    main()
